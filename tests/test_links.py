"""Links and pictures of the documentation and the notebooks point to something that exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
ALL = [*PAGES, *NOTEBOOKS]
CODE = re.compile(r"(?ms)^(`{3,}|~{3,}).*?^\1|(`+)(?!`).*?(?<!`)\2(?!`)")
FORMULA = re.compile(r"(?s)\$\$.+?\$\$|\$[^$]+\$")
INLINE = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]*)>?[^)]*\)")
PICTURE = re.compile("!" + INLINE.pattern)
REFERENCE = re.compile(r"(?m)^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)>?")
HTML = re.compile(r"""<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*["']([^"']*)["']""")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def cells(path: Path) -> list[str]:
    """The Markdown of a page, or of each Markdown cell of a notebook."""
    if path.suffix != ".ipynb":
        return [path.read_text(encoding="utf-8")]
    notebook = nbformat.read(path, as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def targets(markdown: str) -> Iterator[str]:
    """What the links and pictures of ``markdown`` point to; code and formulas have none."""
    # A picture may be the text of a link, so its target is taken out first.
    text = FORMULA.sub("", CODE.sub("", markdown))
    yield from PICTURE.findall(text)
    text = PICTURE.sub("", text)
    for pattern in (INLINE, REFERENCE, HTML):
        yield from pattern.findall(text)


def anchors(path: Path) -> set[str]:
    """The anchors of all headings: JupyterLab's in a notebook, GitHub's in a page."""
    found: dict[str, int] = {}
    for text in cells(path):
        without_code = re.sub(r"(?ms)^(`{3,}|~{3,}).*?^\1", "", text)
        for heading in re.findall(r"(?m)^#{1,6}\s+(.+?)\s*#*$", without_code):
            if path.suffix == ".ipynb":
                anchor = re.sub(r"[`*]", "", heading).replace(" ", "-")
            else:
                plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
                anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
            found[anchor] = found.get(anchor, 0) + 1
    repeated = {f"{a}-{i}" for a, n in found.items() if path.suffix == ".md" for i in range(1, n)}
    return set(found) | repeated


def broken(path: Path, markdown: str) -> list[str]:
    """One sentence for each dangling link or picture in ``markdown``, a part of ``path``."""
    bad = []
    for target in targets(markdown):
        if ELSEWHERE.match(target):
            continue
        place, _, anchor = unquote(target).partition("#")
        goal = (path.parent / place).resolve() if place else path
        if not goal.is_relative_to(ROOT):
            bad.append(f"'{target}' leads out of the repository")
        elif not goal.exists():
            bad.append(f"'{target}' does not exist")
        elif anchor and goal.suffix in (".md", ".ipynb") and anchor not in anchors(goal):
            bad.append(f"'{target}': there is no such heading")
    return bad


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_link_and_picture_exists(path: Path) -> None:
    bad = [sentence for text in cells(path) for sentence in broken(path, text)]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_page_can_be_reached_from_the_readme(path: Path) -> None:
    reached: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        links = [t.partition("#")[0] for t in targets(page.read_text(encoding="utf-8"))]
        todo += [(page.parent / link).resolve() for link in links if not ELSEWHERE.match(link)]
    assert path in reached


def linked(path: Path, markdown: str) -> set[str]:
    """The names of the notebooks that ``markdown`` links to."""
    links = [target.partition("#")[0] for target in targets(markdown)]
    return {Path(link).stem for link in links if link.endswith(".ipynb")} - {path.stem}


def closing(path: Path) -> str:
    """The summary of a notebook and all that follows it."""
    _, found, after = "\n\n".join(cells(path)).rpartition("\n## Summary\n")
    assert found, f"{path.name} has no heading Summary"
    return after


@pytest.mark.parametrize(
    ("first", "second"),
    list(zip(NOTEBOOKS, NOTEBOOKS[1:], strict=False)),
    ids=lambda path: path.stem[:2],
)
def test_the_summaries_lead_on_and_back(first: Path, second: Path) -> None:
    assert second.stem in linked(first, closing(first)), f"{first.name} does not lead on"
    assert first.stem in linked(second, closing(second)), f"{second.name} does not lead back"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_summary_links_to_links_back(path: Path) -> None:
    for name in linked(path, closing(path)):
        other = ROOT / "notebooks" / name / f"{name}.ipynb"
        assert other.is_file(), f"{path.name} links to {other.name}, which does not exist"
        assert path.stem in linked(other, "\n\n".join(cells(other))), f"{other.name} → {path.name}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_readme_links_to_every_notebook(path: Path) -> None:
    readme = ROOT / "README.md"
    assert path.stem in linked(readme, readme.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "markdown",
    [
        "[a](docs/no-such-page.md)",
        "![a picture](docs/no-such-picture.svg)",
        "[![in a link](docs/no-such-picture.svg)](docs/students.md)",
        "[![in a link](docs/course-map.svg)](docs/no-such-page.md)",
        "[a](docs/students.md#no-such-heading)",
        "[a](#no-such-heading)",
        '<img src="docs/no-such-picture.svg" alt="">',
        "[a]\n\n[a]: docs/no-such-page.md",
        "[a](../elsewhere.md)",
        "[two\nlines](docs/no-such-page.md)",
    ],
)
def test_a_dangling_link_is_seen(markdown: str) -> None:
    assert len(broken(ROOT / "README.md", markdown)) == 1


@pytest.mark.parametrize(
    "markdown",
    [
        "[a](docs/students.md#start) and [b](#students)",
        "`[a](no-such-page.md)`",
        "```\n[a](no-such-page.md)\n```",
        "[a](https://jfly.uni-koeln.de/color/)",
        "[a](notebooks/01-forward-pass/01-forward-pass.ipynb#1.-One-layer)",
        "the entry (W)[i] (of two)",
        "the formula $W[i](x)$",
    ],
)
def test_what_is_right_passes(markdown: str) -> None:
    assert broken(ROOT / "README.md", markdown) == []
