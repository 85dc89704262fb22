"""docs/coverage.md names real places: each exercise and heading exists, each exercise is named."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.course.source import CourseFolder, read_source

ROOT = Path(__file__).parents[1]
COURSE = CourseFolder(ROOT)
PAGE = ROOT / "docs" / "coverage.md"
PLACE = re.compile(r"(\d\d) (?:`(?P<exercise>\w+)`|\*(?P<heading>.+)\*)(?P<planned> \(planned\))?")
CARD = re.compile(r"#+ Exercise: ")
WRITTEN = re.compile(r"#+ Written answer: ")

# Notebook number, exercise or heading, and whether it is marked as planned.
Place = tuple[str, str, bool]


def rows(page: str) -> Iterator[list[str]]:
    """The cells of each table row below the head of its table."""
    for table in re.findall(r"(?:^\|.*\|\n)+", page, flags=re.MULTILINE):
        for line in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def places(page: str) -> list[Place]:
    """What the last column of every table names; a text that is no place is an error."""
    found = []
    for row in rows(page):
        for text in row[-1].split("; "):
            match = PLACE.fullmatch(text)
            assert match, f"'{text}' is no place such as 01 `affine` or 01 *A batch*"
            name = match["exercise"] or match["heading"]
            found.append((match[1], name, match["planned"] is not None))
    return found


class Notebook:
    """The headings of a notebook, and the names that each of its exercises asks for."""

    def __init__(self, markdown: str) -> None:
        self.headings: set[str] = set()
        self.exercises: list[set[str]] = []
        for line in re.findall(r"^#+ .+$", markdown, flags=re.MULTILINE):
            if CARD.match(line):
                spans = re.findall(r"`([^`]+)`", line)
                names = {n.strip() for span in spans for n in re.sub(r"\(.*", "", span).split(",")}
                self.exercises.append(names)
            elif WRITTEN.match(line):
                self.headings.add(WRITTEN.sub("", line))
                self.exercises.append({WRITTEN.sub("", line)})
            else:
                self.headings.add(line.lstrip("#").strip())

    def has(self, name: str) -> bool:
        return name in self.headings or any(name in names for names in self.exercises)


def notebooks() -> dict[str, Notebook]:
    found = {}
    for name in COURSE.names():
        cells = read_source(COURSE.source_text(name)).cells
        markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        found[name[:2]] = Notebook(markdown)
    return found


def complaints(page: str, course: dict[str, Notebook]) -> list[str]:
    """One sentence for each thing in which page and notebooks disagree."""
    named = places(page)
    bad = []
    for number, name, planned in named:
        exists = number in course and course[number].has(name)
        if planned and exists:
            bad.append(f"{number} '{name}' exists now: take the mark (planned) away")
        elif not planned and not exists:
            bad.append(
                f"{number} '{name}' does not exist: name another place, or mark it (planned)"
            )
    said = {(number, name) for number, name, _ in named}
    for number, notebook in course.items():
        for names in notebook.exercises:
            if not any((number, name) in said for name in names):
                bad.append(f"{number} '{min(names)}' is an exercise that the page does not name")
    return bad


def test_the_page_and_the_notebooks_agree() -> None:
    bad = complaints(PAGE.read_text(encoding="utf-8"), notebooks())
    assert not bad, "\n".join(bad)


def test_every_row_says_something_in_every_cell() -> None:
    found = list(rows(PAGE.read_text(encoding="utf-8")))
    assert found and all(all(row) for row in found)


SMALL = {
    "01": Notebook(
        "# 01 · A title\n### Exercise: `affine(x, W, b)`\n### Exercise: `z1, a1`\n"
        "### Exercise: `f(x)` and `g(y)` *torch*\n### Written answer: Why?\n## A `b` c"
    )
}
GOOD = "01 `affine`; 01 `a1`; 01 `g`; 01 *Why?*; 01 *A `b` c*; 02 `later` (planned)"


def page(where: str) -> str:
    return f"| idea | where |\n|---|---|\n| a bar \\| here | {where} |\n"


def test_a_good_page_passes() -> None:
    assert complaints(page(GOOD), SMALL) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("01 `affine`; ", ""),  # an exercise that nobody names
        ("; 01 *Why?*", ""),
        ("`affine`", "`affin`"),
        ("*A `b` c*", "*No such heading*"),
        ("01 `a1`", "01 `a1` (planned)"),  # a mark that has gone stale
        (" (planned)", ""),  # a promise that is not marked as one
    ],
)
def test_a_wrong_page_is_seen(old: str, new: str) -> None:
    assert len(complaints(page(GOOD.replace(old, new)), SMALL)) >= 1


@pytest.mark.parametrize("where", ["01 affine", "`affine`", "01 `affine`, 01 `a1`", "notebook 01"])
def test_what_is_no_place_is_an_error(where: str) -> None:
    with pytest.raises(AssertionError, match="is no place"):
        places(page(where))
