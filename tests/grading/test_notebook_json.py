"""Our writer of notebooks against nbformat's."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from autograder.course import CourseFolder
from autograder.grading.notebook_json import written

ROOT = Path(__file__).parents[2]
TEXT = st.text(max_size=20) | st.sampled_from(["a\nb\n", "\r\n\x0b\u2028x", '"\\\x00é😀', "\ud800"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    LEAVES, lambda e: st.lists(e, max_size=3) | st.dictionaries(TEXT, e, max_size=3), max_leaves=8
)
METADATA = st.dictionaries(TEXT | st.sampled_from(["trusted", "signature"]), JSON, max_size=3)
TYPES = ["text/plain", "text/html", "image/png", "image/svg+xml", "application/javascript"]
BUNDLE = st.dictionaries(st.sampled_from(TYPES), TEXT, max_size=3) | st.builds(
    lambda value: {"application/json": value, "application/vnd.x+json": value}, JSON
)
STREAM = st.builds(
    lambda text, name: new_output("stream", text=text, name=name),
    TEXT | st.lists(TEXT, max_size=2),
    st.sampled_from(["stdout", "stderr"]),
)
DATA = st.builds(
    lambda kind, data, metadata: new_output(kind, data=data, metadata=metadata),
    st.sampled_from(["display_data", "execute_result"]),
    BUNDLE,
    METADATA,
)
ERROR = st.builds(
    lambda text: new_output("error", ename="E", evalue=text, traceback=[text, text]), TEXT
)
CELL = st.one_of(
    st.builds(
        lambda source, outputs, metadata: new_code_cell(
            source, outputs=outputs, metadata=NotebookNode(metadata)
        ),
        TEXT,
        st.lists(STREAM | DATA | ERROR, max_size=3),
        METADATA,
    ),
    st.builds(
        lambda source, bundle: new_markdown_cell(source, attachments={"picture.png": bundle}),
        TEXT,
        BUNDLE,
    ),
    st.builds(new_raw_cell, TEXT),
)
NOTEBOOK = st.builds(
    lambda cells, metadata: new_notebook(cells=cells, metadata=NotebookNode(metadata)),
    st.lists(CELL, max_size=4),
    METADATA,
)


def as_nbformat(notebook: NotebookNode) -> bytes:
    return (nbformat.v4.writes(notebook) + "\n").encode(errors="replace")


@given(NOTEBOOK)
def test_the_bytes_are_those_of_nbformat(notebook: NotebookNode) -> None:
    before = copy.deepcopy(notebook)
    assert written(notebook) == as_nbformat(notebook)
    assert repr(notebook) == repr(before)


@pytest.mark.parametrize("name", CourseFolder(ROOT).names())
def test_a_solved_notebook_is_written_alike(name: str) -> None:
    notebook = nbformat.read(CourseFolder(ROOT).solved_notebook(name), 4)
    assert written(notebook) == (nbformat.writes(notebook) + "\n").encode()


@pytest.mark.parametrize("value", [b"aGk=", {1: "a", 2: [b"x"]}, (1, 2), 10**30, float("nan")])
def test_what_is_no_json_is_written_alike(value: Any) -> None:
    notebook = new_notebook()
    dict.__setitem__(notebook.metadata, "odd", value)
    assert written(notebook) == as_nbformat(notebook)
