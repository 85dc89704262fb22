"""nbgrader's rules, told again: each function says what nbgrader's own says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbgrader import utils

from autograder.course import CourseFolder
from autograder.grading import cells

COURSE = CourseFolder(Path(__file__).parents[2])
ASKED = ["is_grade", "is_solution", "is_task", "is_locked"]

texts = st.sampled_from(
    ["2.0", "1", "0", "-1.0", "nan", "inf", "3", "np.float64(2.0)", "", "None", " 1.5 ", "1e0", "²"]
)
values = st.one_of(texts, st.lists(texts, max_size=2), st.floats().map(repr))
outputs = st.one_of(
    st.fixed_dictionaries(
        {
            "output_type": st.just("stream"),
            "name": st.sampled_from(["stdout", "stderr"]),
            "text": st.just("x"),
        }
    ),
    st.fixed_dictionaries({"output_type": st.just("error")}),
    st.fixed_dictionaries({"output_type": st.just("display_data")}),
    st.fixed_dictionaries(
        {
            "output_type": st.just("execute_result"),
            "data": st.one_of(st.just({}), st.fixed_dictionaries({"text/plain": values})),
        }
    ),
)
fields = st.fixed_dictionaries(
    {"grade_id": st.just("a"), "points": st.sampled_from([0, 2, 2.5])},
    optional={name: st.booleans() for name in ("grade", "solution", "task", "locked")},
)
made = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown"]),
        "source": st.text(st.characters(exclude_categories=["Cs"])),
        "metadata": st.one_of(st.just({}), st.fixed_dictionaries({"nbgrader": fields})),
        "outputs": st.lists(outputs, max_size=3),
    }
)


def outcome(function: Any, cell: Any) -> Any:
    try:
        return function(cell)
    except (ValueError, KeyError, TypeError) as error:
        return type(error)


@given(made, st.booleans())
def test_the_rules_are_those_of_nbgrader(content: dict[str, Any], unchanged: bool) -> None:
    cell = nbformat.from_dict(content)
    for name in ASKED:
        assert getattr(cells, name)(content) == bool(getattr(utils, name)(cell))
    if "nbgrader" in cell.metadata:
        checksum = utils.compute_checksum(cell)
        assert cells.compute_checksum(content) == checksum
        if unchanged:
            cell.metadata.nbgrader["checksum"] = checksum
            content["metadata"]["nbgrader"]["checksum"] = checksum
    mine = outcome(cells.determine_grade, content)
    assert repr(mine) == repr(outcome(utils.determine_grade, cell)) or mine == outcome(
        utils.determine_grade, cell
    )


@pytest.mark.parametrize("name", COURSE.names())
def test_checksums_of_the_course(name: str) -> None:
    notebook = nbformat.read(COURSE.student_notebook(name), as_version=4)
    named = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    assert named
    for cell in named:
        assert cells.compute_checksum(cell) == cell.metadata.nbgrader.checksum
        assert isinstance(cell, NotebookNode)
