"""A page put together from pieces is the page that nbconvert makes whole."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
    new_raw_cell,
)
from traitlets.config import Config

from autograder.grading.standings import Standing
from autograder.reports.markup import Memo, describe, rewritten, rewritten_colors
from autograder.reports.page import PageJob, PageMaker, enter_standing, make_pages, page_resources
from tests.reports.notebooks import decorated

# What breaks a parser that looks at a part of the page: ends without starts, open quotes and
# comments, tags without an end, white space where it counts, text that looks like markup.
NASTY = [
    *("<b>", "</b>", "<div>", "</div>", "<pre>", "</pre>", "<p>", "</p>", "<br>", "<br/>", "</br>"),
    *(
        "<img src=a>",
        "<img alt='' src=b/>",
        "<IMG>",
        "<!--",
        "-->",
        "<!-- x -->",
        "<![CDATA[",
        "]]>",
    ),
    *('<a href="', "<a href='", '"', "'", ">", "<", "<script>", "</script>", "<style>", "</style>"),
    *(
        "<textarea>",
        "</textarea>",
        "<?php",
        "?>",
        "<!DOCTYPE x>",
        "<svg/>",
        "<x:y>",
        "</x:y>",
        "</",
    ),
    *(
        "&",
        "&amp;",
        "&quot;",
        "&#39;",
        "&#x41",
        "&nbsp;",
        "&bogus;",
        "&lt;b&gt;",
        " ",
        "\n",
        "\t",
        "é",
    ),
    *("<div class='jp-Notebook'>", "<div class=jp-OutputArea-output>", "x", "$a_1$", "\x0c", "\r"),
    *(
        '<p class=" a  b ">',
        "<p A=1 a=2>",
        "\x1b[31m",
        "\x1b[0m",
        "`",
        "```\n",
        "# ",
        "* ",
        "|",
        "[x](y)",
    ),
]
nasty = st.lists(st.sampled_from(NASTY), max_size=12).map("".join)


def parsed(markup: str) -> str:
    soup = BeautifulSoup(markup, "html.parser")
    describe(soup, markup)
    return str(soup)


@settings(max_examples=300, deadline=None)
@given(st.lists(nasty.map(lambda text: f"<div>{text}</div>"), min_size=1, max_size=4))
def test_pieces_that_stand_alone_are_written_as_in_the_page(pieces: list[str]) -> None:
    written = rewritten(pieces)
    if written is not None:
        assert "".join(written) == parsed("".join(pieces))


@pytest.mark.parametrize(
    "piece",
    [
        "<div></div></div>",
        "<div><div></div>",
        "<div><b></div></b></div>",
        '<div><a href="></div>',
        "<div><!-- </div>",
        "<div><script></div>",
        "<div><![CDATA[</div>",
        "<div><br></br></div>",
    ],
)
def test_a_piece_that_does_not_stand_alone_is_refused(piece: str) -> None:
    assert rewritten(["<div>fine</div>", piece]) is None


@pytest.mark.parametrize(
    "piece",
    [
        "<div><br>&quot;</div>",
        "<div><img src=a></div>",
        "<div><pre> </pre> </div>",
        "<div><p>a<p>b</div>",
        "<div><table><tr><td>1<td>&nbsp;2</table></div>",
    ],
)
def test_ordinary_pieces_stand_alone(piece: str) -> None:
    assert rewritten([piece, piece]) == [parsed(piece)] * 2


colored = st.lists(
    st.sampled_from(
        [
            *("<span>", '<span class="a b">', '<span style="color: rgb(1,2,3)">', "</span>", "<b>"),
            *("&quot;", "&#39;", "&#34;", "&amp;", "&lt;", "&", "x", " ", "\n", "\r", "é", "\x00"),
        ]
    ),
    max_size=10,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(colored)
def test_colored_text_is_written_as_in_the_page(text: str) -> None:
    written = rewritten_colors(text)
    if written is not None:
        assert f"<pre>{written}</pre>" == parsed(f"<pre>{text}</pre>")


def test_ordinary_colored_text_is_recognized() -> None:
    assert (
        rewritten_colors('a&quot;<span class="n">x</span>\n&lt;')
        == 'a"<span class="n">x</span>\n&lt;'
    )


def test_a_memo_forgets_what_was_not_used_for_longest() -> None:
    memo: Memo[str] = Memo(1000)
    memo.put("a", "x" * 200)
    memo.put("b", "y" * 200)
    assert memo.get("a") == "x" * 200
    memo.put("c", "z" * 200)
    assert (memo.get("a"), memo.get("b"), memo.get("c")) == ("x" * 200, None, "z" * 200)


# ------------------------------------------------------------------------------------ whole pages


@pytest.fixture(scope="module")
def maker() -> PageMaker:
    return PageMaker(Config())


def whole(maker: PageMaker, name: str, notebook: NotebookNode, standing: Standing) -> str:
    """nbconvert's own page."""
    notebook = copy.deepcopy(notebook)
    enter_standing(notebook, standing)
    page, _ = maker._whole.from_notebook_node(notebook, resources=page_resources(name, standing))
    return str(page)


def graded_cell(kind: str, source: str, grade_id: str, **meta: object) -> NotebookNode:
    make = new_code_cell if kind == "code" else new_markdown_cell
    known = {"grade_id": grade_id, "schema_version": 3, "grade": False, "solution": False}
    cell = make(source, metadata={"nbgrader": known | {"locked": False, "task": False} | meta})
    cell.id = grade_id
    return cell


def small() -> tuple[NotebookNode, Standing]:
    notebook = new_notebook(
        cells=[
            graded_cell("code", "def f(x):\n    return 'x'", "f", solution=True),
            graded_cell("code", "f(2)", "f-check", grade=True, points=2),
            graded_cell("markdown", "Because.", "essay", grade=True, solution=True, points=3),
            graded_cell("markdown", "Do *this*.", "task", task=True, points=1),
        ],
        metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}},
    )
    standing = Standing(
        4.5,
        6.0,
        {"f-check": (2.0, 2.0), "essay": (2.5, 3.0), "task": (0.0, 1.0)},
        {"f": None, "essay": "Why? $x < y$", "task": "No response."},
        0.5,
    )
    return notebook, standing


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_page_with_everything(maker: PageMaker) -> None:
    notebook, standing = small()
    notebook = decorated(notebook)
    for name in ("01-a", "02-b"):
        made = maker.page(name, copy.deepcopy(notebook), standing)
        assert made == whole(maker, name, notebook, standing)
    resources = page_resources("01-a", standing)
    assert maker._quick.page("01-a", entered(notebook, standing), resources) is not None


def entered(notebook: NotebookNode, standing: Standing) -> NotebookNode:
    notebook = copy.deepcopy(notebook)
    enter_standing(notebook, standing)
    return notebook


bundle = st.sampled_from(
    ["text/html", "text/plain", "text/markdown", "text/latex", "image/svg+xml"]
).flatmap(lambda kind: nasty.map(lambda text: new_output("display_data", data={kind: text})))
output = st.one_of(
    bundle,
    nasty.map(lambda text: new_output("stream", text=text)),
    nasty.map(lambda text: new_output("error", ename="E", evalue="", traceback=[text, text])),
)
cell = st.one_of(
    nasty.map(new_markdown_cell),
    nasty.map(new_raw_cell),
    st.tuples(nasty, st.lists(output, max_size=3)).map(
        lambda parts: new_code_cell(parts[0], outputs=parts[1])
    ),
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=40, deadline=None)
@given(st.lists(cell, max_size=4), st.sampled_from(["ipython3", "python", "nonsense"]))
def test_a_page_of_anything(maker: PageMaker, cells: list[NotebookNode], lexer: str) -> None:
    notebook, standing = small()
    notebook.metadata.language_info.pygments_lexer = lexer
    notebook.cells[1:1] = cells
    for number, one in enumerate(notebook.cells):
        one.id = f"cell-{number}"
    try:
        expected = whole(maker, "01-a", notebook, standing)
    except Exception as error:
        with pytest.raises(type(error)):
            maker.page("01-a", copy.deepcopy(notebook), standing)
        return
    assert maker.page("01-a", copy.deepcopy(notebook), standing) == expected


def test_scores_of_classmates_do_not_mix(maker: PageMaker) -> None:
    notebook, standing = small()
    other = Standing(
        0.0, 6.0, dict.fromkeys(standing.scores, (0.0, 2.0)), dict.fromkeys(standing.comments)
    )
    for each in (standing, other, standing):
        made = maker.page("01-a", copy.deepcopy(notebook), each)
        assert made == whole(maker, "01-a", notebook, each)


def test_settings_that_change_a_cell_are_respected(tmp_path: Path) -> None:
    notebook, standing = small()
    config = Config({"HTMLExporter": {"exclude_input_prompt": True, "anchor_link_text": "#"}})
    notebook.cells.append(new_markdown_cell("# Title"))
    made = PageMaker(config).page("01-a", copy.deepcopy(notebook), standing)
    assert made == whole(PageMaker(config), "01-a", notebook, standing)
    assert made != PageMaker(Config()).page("01-a", copy.deepcopy(notebook), standing)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "it is not text"),
        (b"{", "it is not JSON"),
        (b"{}", "it has no cells"),
        (
            b'{"cells": [{"id": "a"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "not a valid",
        ),
    ],
)
def test_a_damaged_notebook_is_a_sentence_about_one_page(text: bytes, said: str) -> None:
    notebook, standing = small()
    good = nbformat.writes(notebook).encode()
    jobs = [PageJob(0, "01-a", text, standing), PageJob(1, "01-a", good, standing)]
    bad, page = make_pages(Config(), jobs)
    assert bad.data == b""
    assert said in (bad.reason or "")
    assert page.reason is None
    assert page.data.endswith(b"</html>\n")


def test_a_cell_that_the_gradebook_does_not_know() -> None:
    notebook, _ = small()
    job = PageJob(0, "01-a", nbformat.writes(notebook).encode(), Standing(0.0, 0.0))
    (page,) = make_pages(Config(), [job])
    assert page.reason == "The gradebook has nothing about its cell 'f'."
