"""The prose keeps the rules of the house: plain words, American spelling, pictures in words too."""

import ast
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
import pytest

from autograder.course.source import CourseFolder, read_source
from autograder.mistakes import all_mistakes, note_of

ROOT = Path(__file__).parents[1]
COURSE = CourseFolder(ROOT)
SVG = "{http://www.w3.org/2000/svg}"

# They tell a reader who is stuck that she should not be.
BELITTLING = [
    "just",
    "simply",
    "obviously",
    "trivial",
    "trivially",
    "easy",
    "easily",
    r"of\s+course",
]
BRITISH = [
    r"(?:nor|regular|initial|optim|vector|general|real|recogn|organ|summar|minim|maxim|penal|"
    r"visual|emphas|memor|discret|factor|special|character|author|util|final|custom|modern|"
    r"parallel|serial|equal|standard)is(?:e|ed|es|er|ers|ing|ation|ations)",
    r"anal(?:yse|ysed|yses|ysing)",
    r"(?:col|behavi|fav|neighb|hon|lab|flav|rig|vap)ours?(?:ed|ing|able|hood|ful|less)?",
    r"cent(?:re|red|res|ring)",
    r"(?:met|fib|kilomet)res?",
    r"(?:label|model|travel|cancel|signal|channel|tunnel)l(?:ed|ing|er|ers)",
    r"grey\w*",
    r"(?:to|after|back|for|up|down)wards",
    r"whilst|amongst|learnt|spelt|judgement|artefacts?|catalogue|maths|fulfil|defence|licence",
]
BANNED = re.compile(rf"\b(?:{'|'.join([*BELITTLING, *BRITISH])})\b", re.IGNORECASE)
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50-\u2b55\ufe0f]")
CODE = re.compile(r"(?ms)^(`{3,}|~{3,}).*?^\1|(`+)(?!`).*?(?<!`)\2(?!`)|<code>.*?</code>")
PICTURE = re.compile(r"!\[([^\]]*)\]\(")
HTML_PICTURE = re.compile(r"<img\b[^>]*>")

# Where a text stands, and the text.
Text = tuple[str, str]


def pages() -> Iterator[Text]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        yield path.name, path.read_text(encoding="utf-8")


def drawings() -> list[Path]:
    folders = [ROOT / "docs", COURSE.source, ROOT / "notebooks"]
    return sorted(path for folder in folders for path in folder.rglob("*.svg"))


@cache
def cells(name: str) -> list[tuple[str, str]]:
    """Kind and text of each cell, with the solutions: rubrics are held to the rules too."""
    notebook = read_source(COURSE.source_text(name))
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def markdown_cells() -> Iterator[Text]:
    for name in COURSE.names():
        for kind, text in cells(name):
            if kind == "markdown":
                yield f"{name}, cell '{text[:40]}'", text


def scaffolds() -> Iterator[Text]:
    """The docstrings of what students get."""
    for name in COURSE.names():
        for cell in nbformat.read(COURSE.student_notebook(name), as_version=4).cells:
            if cell.cell_type == "code":
                yield from docstrings(name, cell.source)


def docstrings(place: str, code: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield f"{place}, docstring of {node.name}", ast.get_docstring(node) or ""


def sentences() -> Iterator[Text]:
    """Of the mistake bank: what a report says."""
    for mistake in all_mistakes():
        yield mistake.diagnosis, mistake.sentence
    for exercise in sorted({mistake.exercise for mistake in all_mistakes()}):
        yield f"success note of {exercise}", note_of(exercise) or ""


def everything() -> list[Text]:
    svg = [(path.name, " ".join(ET.parse(path).getroot().itertext())) for path in drawings()]
    return [*pages(), *markdown_cells(), *scaffolds(), *sentences(), *svg]


def against_the_rules(text: str) -> list[str]:
    """Words that the prose does without, and signs that are no letters."""
    return [match[0] for match in BANNED.finditer(CODE.sub(" ", text))] + EMOJI.findall(text)


def without_words(markdown: str) -> list[str]:
    """Pictures in ``markdown`` that a reader who cannot see them gets nothing of."""
    text = CODE.sub(" ", markdown)
    bad = [match[0] for match in PICTURE.finditer(text) if not match[1].strip()]
    bad += [tag for tag in HTML_PICTURE.findall(text) if not re.search(r"""alt=["'][^"']+""", tag)]
    return bad


def test_there_is_something_to_read() -> None:
    for source in (pages(), markdown_cells(), scaffolds(), sentences()):
        assert len([text for _, text in source if text]) > 4


def test_the_words() -> None:
    bad = [f"{place}: '{word}'" for place, text in everything() for word in against_the_rules(text)]
    assert not bad, "\n".join(bad)


def test_no_emoji_in_what_the_program_prints() -> None:
    for path in sorted([*(ROOT / "autograder").rglob("*.py"), *COURSE.source.glob("*.py")]):
        assert EMOJI.findall(path.read_text(encoding="utf-8")) == [], path


def test_every_picture_in_markdown_has_words() -> None:
    texts = [*pages(), *markdown_cells()]
    bad = [f"{place}: {picture}" for place, text in texts for picture in without_words(text)]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("path", drawings(), ids=lambda path: path.name)
def test_every_drawing_has_a_title_and_a_description(path: Path) -> None:
    root = ET.parse(path).getroot()
    assert root.get("role") == "img"
    named = (root.get("aria-labelledby") or "").split()
    for tag in ("title", "desc"):
        element = root.find(f"{SVG}{tag}")
        assert element is not None and (element.text or "").strip(), f"no <{tag}>"
        assert element.get("id") in named, f"<{tag}> is not in aria-labelledby"


def undescribed(notebook: list[tuple[str, str]]) -> list[str]:
    """The first lines of cells that draw and are not followed by a description in words.

    A plotted picture has no place for an alternative text. The words stand in the next cell.
    """
    after = [*notebook[1:], ("end", "")]
    return [
        text.strip().splitlines()[0]
        for (kind, text), following in zip(notebook, after, strict=True)
        if kind == "code" and re.search(r"\bplt\.show\(|\bpictures\.draw_", text)
        if not (following[0] == "markdown" and following[1].startswith("*Picture: "))
    ]


@pytest.mark.parametrize("name", COURSE.names())
def test_every_plotted_picture_is_described_in_the_next_cell(name: str) -> None:
    assert undescribed(cells(name)) == []


@pytest.mark.parametrize("name", COURSE.names())
def test_every_notebook_has_at_least_two_pictures(name: str) -> None:
    assert sum(text.startswith("*Picture: ") for _, text in cells(name)) >= 2


@pytest.mark.parametrize(
    "text",
    [
        "It is just a sum.",
        "Simply add them.",
        "Of\ncourse not.",
        "an easy step",
        "regularised weights",
        "the neighbouring token",
        "the centre",
        "grey labels",
        "labelled arrows",
        "walk backwards",
        "done \U0001f389",
        "right \u2713",
    ],
)
def test_what_is_against_the_rules_is_seen(text: str) -> None:
    assert len(against_the_rules(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "An adjusted exercise raises no noise; otherwise it justifies a promise.",
        "`ax.text(ha='centre')` and <code>just</code>",
        "four hours, an array of arrows → ⊙ ▶",
        "toward the center, backward",
    ],
)
def test_plain_words_pass(text: str) -> None:
    assert against_the_rules(text) == []


def test_a_picture_without_words_is_seen() -> None:
    assert len(without_words('![](a.svg) <img src="b.png"> <img src="c.png" alt="">')) == 3
    assert without_words('![a map](a.svg) <img src="b.png" alt="a map"> `![](x)`') == []
    drawing, words = ("code", "x = 1\nplt.show()"), ("markdown", "*Picture: a line.*")
    assert undescribed([drawing, words]) == []
    assert undescribed([drawing, ("markdown", "A line."), words]) == ["x = 1"]
    assert undescribed([words, drawing]) == ["x = 1"]
