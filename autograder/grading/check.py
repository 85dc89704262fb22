"""A student's own notebook: run it as it is, and say how far it got."""

from __future__ import annotations

from pathlib import Path

from nbgrader.utils import is_grade, is_solution
from traitlets.config import Config

from autograder.errors import UserError
from autograder.grading.engine import Limits, NoKernelError, execute_in
from autograder.grading.marking import drop_copied_cells
from autograder.grading.results import GradedCell, Result, cell_results, make_gradable
from autograder.grading.submissions import UnreadableError, read_notebook

# Every test cell of the course ends in this call.
ENDING = "check.grade()"


def check_notebook(path: Path, limits: Limits) -> list[Result]:
    """One result for each test cell of the notebook at ``path``; nothing is written.

    Raises ``UserError`` when it is not a notebook of this course.
    """
    try:
        notebook = read_notebook(path)
    except UnreadableError as error:
        raise UserError(f"{error} Name one of the notebooks in notebooks/.") from error
    drop_copied_cells(notebook)
    cells = [
        GradedCell(cell.metadata.nbgrader.grade_id, float(cell.metadata.nbgrader.points), False)
        for cell in notebook.cells
        if is_grade(cell) and cell.cell_type == "code" and not is_solution(cell)
    ]
    ours = any(ENDING in cell.source for cell in notebook.cells if is_grade(cell))
    if not cells or not ours:
        raise UserError(
            f"{path.name} is not a notebook of this course: no cell of it ends in {ENDING}."
        )
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    try:
        execute_in(notebook, path.absolute().parent, limits, Config())
    except NoKernelError as error:
        raise UserError(str(error)) from error
    make_gradable(notebook)
    return cell_results("", path.stem, notebook, cells)
