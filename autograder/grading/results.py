"""What an executed notebook says, cell by cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.grading.cells import Cell, determine_grade, is_grade, is_solution, is_task, is_test
from autograder.grading.limits import TIMEOUT

# A notebook of nbformat, or the same as plain dicts.
Notebook = Mapping[str, Any]

# The last line of a report that names a mistake; see autograder.checks.
DIAGNOSIS = re.compile(r"^Diagnosis: (.*) \[([A-Za-z0-9_]+/[a-z0-9-]+)\]$", re.MULTILINE)

# Where IPython says a syntax error is: a file that nobody sees, and a line of the cell.
PLACE = re.compile(r"\([\w<>/. -]+, line (\d+)\)")


@dataclass(frozen=True)
class GradedCell:
    """A cell of the source that carries points."""

    name: str
    max_points: float
    manual: bool


@dataclass(frozen=True)
class Result:
    """One graded cell of one submission.

    ``status`` is passed, partial, failed, error, timeout, missing or manual. ``message`` is the
    first thing to read about it.
    """

    student: str
    notebook: str
    cell: str
    points: float | None
    max_points: float
    status: str
    diagnosis: str | None = None
    message: str = ""
    # The folder that the notebook belongs to; of this course, the same name.
    assignment: str = ""

    def as_json(self) -> dict[str, Any]:
        """The contract of ``grade --json``."""
        return vars(self)


@dataclass(frozen=True)
class Unreadable:
    """A submission that could not be graded at all; ``status`` is the reason, a sentence."""

    student: str
    notebook: str
    max_points: float
    status: str
    assignment: str = ""

    def as_json(self) -> dict[str, Any]:
        """The contract of ``grade --json``: one record without a cell."""
        return {
            "student": self.student,
            "notebook": self.notebook,
            "cell": None,
            "points": 0.0,
            "max_points": self.max_points,
            "status": self.status,
            "diagnosis": None,
            "message": self.status,
            "assignment": self.assignment,
        }


def make_gradable(notebook: Notebook) -> None:
    """Where nbgrader's rule on outputs would cost points that were earned, change the outputs.

    A value that nbgrader refuses becomes an error of that one cell: more points than the maximum
    would end the grading of the whole submission. And a warning is no failure: what a test cell
    that ends well wrote to stderr is shown, but no longer as a stream, which would cost all points.
    """
    for cell in notebook["cells"]:
        if is_test(cell):
            _excuse_stderr(cell)
            try:
                determine_grade(cell)
            except (ValueError, KeyError, TypeError) as error:
                sentence = f"The value of this test cell is not a number of points: {error}."
                # Of the kind that the notebook's outputs are.
                output = type(cell)(
                    output_type="error",
                    ename="PointsError",
                    evalue=sentence,
                    traceback=[sentence],
                )
                cell["outputs"] = [output, *cell["outputs"]]


def _excuse_stderr(cell: Any) -> None:
    outputs = cell["outputs"]
    if any(output["output_type"] == "error" for output in outputs):
        return
    written = [o for o in outputs if o["output_type"] == "stream" and o["name"] == "stderr"]
    if written:
        said = "Written to stderr: " + "".join(output["text"] for output in written)
        kind = type(cell)
        shown = kind(output_type="display_data", data=kind({"text/plain": said}), metadata=kind())
        cell["outputs"] = [*(output for output in outputs if output not in written), shown]


def cell_results(
    student: str, name: str, notebook: Notebook, cells: Sequence[GradedCell]
) -> list[Result]:
    """One result for each graded cell of the source, in its order."""
    found = {cell["metadata"]["nbgrader"]["grade_id"]: i for i, cell in _graded(notebook)}
    tasks = {
        cell["metadata"]["nbgrader"]["grade_id"] for cell in notebook["cells"] if is_task(cell)
    }
    results: list[Result] = []
    for graded in cells:
        base = (student, name, graded.name)
        if graded.name in tasks:
            message = "A task; waits for a grade by hand."
            results.append(Result(*base, None, graded.max_points, "manual", message=message))
            continue
        if graded.name not in found:
            results.append(
                Result(*base, 0.0, graded.max_points, "missing", message="The cell was deleted.")
            )
            continue
        index = found[graded.name]
        cell = notebook["cells"][index]
        points = determine_grade(cell)[0]
        if points is None:
            message = "Waits for a grade by hand."
            results.append(Result(*base, None, graded.max_points, "manual", message=message))
            continue
        if graded.manual and points == 0:
            message = "No answer was written."
            results.append(Result(*base, 0.0, graded.max_points, "failed", message=message))
            continue
        results.append(_result(base, cell, float(points), graded.max_points, notebook, index))
    return results


def _result(
    base: tuple[str, str, str],
    cell: Cell,
    points: float,
    maximum: float,
    notebook: Notebook,
    index: int,
) -> Result:
    text = "".join(
        output["text"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream" and output["name"] == "stdout"
    )
    matches = DIAGNOSIS.findall(text)
    sentence, diagnosis = matches[-1] if matches else (None, None)
    first_line = text.split("\n", 1)[0]
    raised = _error(cell)
    before = _error_before(notebook, index)
    if points >= maximum:
        return Result(*base, points, maximum, "passed")
    if points > 0:
        return Result(*base, points, maximum, "partial", diagnosis, sentence or first_line)
    # A name that the test cell misses, because the cell that defines it raised.
    follows = before is not None and before[0] != "NotImplementedError"
    if raised is not None and not (raised[0] == "NameError" and follows):
        status = "timeout" if raised[0] == TIMEOUT else "error"
        message = (
            "It did not end in time." if status == "timeout" else ": ".join(filter(None, raised))
        )
        return Result(*base, points, maximum, status, diagnosis, message)
    if before is not None:
        # The test cell could only say that the function is missing; this is why.
        if before[0] == TIMEOUT:
            message = "The cell above it did not end in time."
            return Result(*base, points, maximum, "timeout", diagnosis, message)
        if before[0] != "NotImplementedError":
            message = f"The cell above it raised {before[0]}: {before[1]}".rstrip(": ")
            return Result(*base, points, maximum, "failed", diagnosis, message)
    return Result(*base, points, maximum, "failed", diagnosis, sentence or first_line)


def _graded(notebook: Notebook) -> list[tuple[int, Cell]]:
    return [
        (i, cell)
        for i, cell in enumerate(notebook["cells"])
        if is_grade(cell) and "grade_id" in cell["metadata"]["nbgrader"]
    ]


def _error(cell: Cell) -> tuple[str, str] | None:
    """Name and first line of the error in which a cell ended."""
    errors = [output for output in cell.get("outputs", []) if output["output_type"] == "error"]
    # Nobody but the time limit interrupts a cell while it is graded.
    if any(error["ename"] in (TIMEOUT, "KeyboardInterrupt") for error in errors):
        return TIMEOUT, ""
    for error in errors:
        lines = PLACE.sub(r"(line \1)", error["evalue"] or "").strip().splitlines()
        return error["ename"], lines[0] if lines else ""
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream" and output["name"] == "stderr":
            lines = output["text"].strip().splitlines()
            return "stderr", lines[-1] if lines else ""
    return None


def _error_before(notebook: Notebook, index: int) -> tuple[str, str] | None:
    """The error of a solution cell between this graded cell and the one before it."""
    for cell in reversed(notebook["cells"][:index]):
        if is_grade(cell):
            return None
        if cell["cell_type"] == "code" and is_solution(cell):
            found = _error(cell)
            if found is not None and found[0] != "stderr":
                return found
    return None
