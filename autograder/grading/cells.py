"""What nbgrader's fields say about a cell, and what its outputs are worth.

These are nbgrader's rules. They stand here once more because a student's ``autograder check``
would wait longer for the import of nbgrader than for everything else but PyTorch. A test holds
each of them to nbgrader's own function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Cell = Mapping[str, Any]


def is_grade(cell: Cell) -> bool:
    """Does the cell carry points?"""
    return bool(_fields(cell).get("grade", False))


def is_solution(cell: Cell) -> bool:
    """Is the cell for a student's answer?"""
    return bool(_fields(cell).get("solution", False))


def is_task(cell: Cell) -> bool:
    """Does the cell ask for work that is graded by hand?"""
    return bool(_fields(cell).get("task", False))


def is_locked(cell: Cell) -> bool:
    """Is the cell put back when the notebook is graded?"""
    return not is_solution(cell) and (is_grade(cell) or bool(_fields(cell).get("locked", False)))


def is_test(cell: Cell) -> bool:
    """Is it a test cell, whose points are what its outputs say?"""
    return is_grade(cell) and cell["cell_type"] == "code" and not is_solution(cell)


def compute_checksum(cell: Cell) -> str:
    """The checksum that nbgrader writes into the fields of a cell when it is released."""
    parts = [cell["source"], cell["cell_type"]]
    parts += [str(asked(cell)) for asked in (is_grade, is_solution, is_locked)]
    parts.append(_fields(cell)["grade_id"])
    if is_grade(cell):
        parts.append(str(float(_fields(cell)["points"])))
    return hashlib.md5("".join(parts).encode("utf-8"), usedforsecurity=False).hexdigest()


def determine_grade(cell: Cell) -> tuple[float | None, float]:
    """The points of a graded cell, None where a person must look, and its maximum.

    Raises ``ValueError`` for more than the maximum, and ``ValueError``, ``KeyError`` or
    ``TypeError`` for an output that nbgrader cannot read.
    """
    if not is_grade(cell):
        raise ValueError("cell is not a grade cell")
    maximum = float(_fields(cell)["points"])
    if is_solution(cell):
        unanswered = _fields(cell).get("checksum") == compute_checksum(cell)
        return (0.0 if unanswered else None), maximum
    if cell["cell_type"] != "code":
        return None, maximum
    for output in cell["outputs"]:
        kind = output["output_type"]
        if kind == "error" or (kind == "stream" and output["name"] == "stderr"):
            return 0.0, maximum
        if kind == "execute_result":
            return _partial(output["data"]["text/plain"], maximum), maximum
    return maximum, maximum


def _partial(text: str | list[str], maximum: float) -> float:
    """The points that a value says. What is no number, or below 0, counts in full."""
    if not text:
        raise KeyError("output ['data']['text/plain'] does not exist")
    if isinstance(text, list):
        if len(text) > 1:
            return maximum
        text = text[0]
    try:
        points = float(text)
    except ValueError:
        return maximum
    if points > maximum:
        raise ValueError("partial credit cannot be greater than maximum points for cell")
    return points if points >= 0.0 else maximum


def drop_copied_cells(cells: Sequence[Cell]) -> None:
    """Of cells with one grade_id, the last keeps it, as in nbgrader; the others become ordinary.

    Stock nbgrader leaves empty metadata on the others, and its next step then takes the whole
    class for one of an old version and stops.
    """
    seen: set[str] = set()
    for cell in reversed(cells):
        meta = cell["metadata"].get("nbgrader", {})
        grade_id = meta.get("grade_id") if isinstance(meta, Mapping) else None
        if grade_id in seen:
            del cell["metadata"]["nbgrader"]
        elif grade_id is not None:
            seen.add(grade_id)


def _fields(cell: Cell) -> Mapping[str, Any]:
    fields = cell["metadata"].get("nbgrader", {})
    return fields if isinstance(fields, Mapping) else {}
