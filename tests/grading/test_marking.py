"""A faster step of nbgrader's refuses what nbgrader's own step refuses, with the same words."""

import copy
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.preprocessors import CheckCellMetadata

from autograder.grading.marking import _CheckMetadata

GOOD = {
    "grade": True,
    "grade_id": "one",
    "locked": True,
    "points": 2,
    "schema_version": 3,
    "solution": False,
    "task": False,
}
CASES: dict[str, dict[str, Any]] = {
    "good": {},
    "points are a text": {"points": "two"},
    "no points": {"points": None},
    "negative points": {"points": -1},
    "no name": {"grade_id": ""},
    "a name with a space": {"grade_id": "one two"},
    "an old schema": {"schema_version": 2},
    "a new schema": {"schema_version": 4},
    "true is not one": {"points": True},
    "grade is one": {"grade": 1},
    "something more": {"more": 1},
}


def said(step: Any, notebook: Any) -> tuple[str, str] | None:
    try:
        step().preprocess(copy.deepcopy(notebook), {})
    except Exception as error:
        return type(error).__name__, str(error).splitlines()[0]
    return None


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("cell", [new_code_cell, new_markdown_cell])
def test_the_same_verdict_also_the_second_time(case: str, cell: Any) -> None:
    changed = {key: value for key, value in (GOOD | CASES[case]).items() if value is not None}
    notebook = new_notebook(cells=[cell("1", metadata={"nbgrader": changed})])
    expected = said(CheckCellMetadata, notebook)
    assert said(_CheckMetadata, notebook) == expected
    assert said(_CheckMetadata, notebook) == expected


def test_one_name_twice_is_refused() -> None:
    cells = [new_code_cell("1", metadata={"nbgrader": dict(GOOD)}) for _ in range(2)]
    notebook = new_notebook(cells=cells)
    assert said(_CheckMetadata, notebook) == said(CheckCellMetadata, notebook) is not None
