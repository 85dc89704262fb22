"""A student's own notebook: run what its checks need, and say how far it got.

It is the student's own machine and own code, so nothing is confined. What takes time is left out:
Jupyter's kernel, nbgrader, and cells of the course that no check needs, such as pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autograder.errors import UserError
from autograder.grading.cells import compute_checksum, drop_copied_cells, is_grade, is_task, is_test
from autograder.grading.limits import Limits
from autograder.grading.names import is_ipython
from autograder.grading.needed import needed_cells
from autograder.grading.own import OwnProcess
from autograder.grading.results import GradedCell, Result, cell_results, make_gradable
from autograder.grading.submissions import (
    UnreadableError,
    parse_content,
    read_bytes,
    validated,
)

# Every test cell of the course ends in this call.
ENDING = "check.grade()"
CELL_KEYS = {
    "markdown": {"cell_type", "id", "metadata", "source", "attachments"},
    "raw": {"cell_type", "id", "metadata", "source", "attachments"},
    "code": {"cell_type", "id", "metadata", "source", "outputs", "execution_count"},
}
WHICH = "Name one of the notebooks in notebooks/."
Progress = Callable[[int, int], None]


def check_notebook(
    path: Path, limits: Limits, progress: Progress = lambda done, total: None
) -> list[Result]:
    """One result for each graded cell of the notebook at ``path``; nothing is written.

    ``progress`` is told how many cells have run, and of how many. Raises ``UserError`` when it is
    not a notebook of this course.
    """
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent}. {WHICH}")
    # The process starts first: it is ready when the notebook has been read.
    with OwnProcess(path.absolute().parent, limits) as process:
        try:
            notebook = read(path)
        except UnreadableError as error:
            raise UserError(f"{error} {WHICH}") from error
        cells = notebook["cells"]
        drop_copied_cells(cells)
        graded = graded_cells(path.name, notebook)
        if any(is_ipython(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
            run_in_kernel(notebook, path, limits)
        else:
            run_in_process(process, notebook, progress)
    make_gradable(notebook)
    results = cell_results("", path.stem, notebook, [cell for cell in graded if not cell.manual])
    by_name = {result.cell: result for result in results}
    answers = {_fields(cell).get("grade_id"): cell for cell in cells}
    return [by_name.get(g.name) or _by_hand(path.stem, g, answers[g.name]) for g in graded]


def graded_cells(name: str, notebook: Mapping[str, Any]) -> list[GradedCell]:
    """The cells of a notebook that carry points. Raises ``UserError`` for another course's."""
    cells = [cell for cell in notebook["cells"] if is_grade(cell) or is_task(cell)]
    if not any(is_test(cell) and ENDING in cell["source"] for cell in cells):
        raise UserError(f"{name} is not a notebook of this course: no cell of it ends in {ENDING}.")
    try:
        return [
            GradedCell(
                str(_fields(cell)["grade_id"]), float(_fields(cell)["points"]), not is_test(cell)
            )
            for cell in cells
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{name} is damaged: a graded cell does not say its name and its points; "
            "copy your answers into a fresh notebook."
        ) from error


def run_in_process(process: OwnProcess, notebook: Mapping[str, Any], progress: Progress) -> None:
    """Run the cells that are needed, without a kernel."""
    cells = needed_cells(notebook["cells"])
    process.start(cells)
    progress(0, len(cells))
    process.wait_for_imports()
    for done, cell in enumerate(cells, start=1):
        notebook["cells"][cell.index]["outputs"] = process.outputs(cell)
        progress(done, len(cells))


def run_in_kernel(notebook: Mapping[str, Any], path: Path, limits: Limits) -> None:
    """Run every cell as Jupyter does: for what only IPython understands."""
    from traitlets.config import Config

    from autograder.grading.engine import NoKernelError, execute_in

    executed = validated(path.name, dict(notebook))
    try:
        execute_in(executed, path.absolute().parent, limits, Config())
    except NoKernelError as error:
        raise UserError(str(error)) from error
    notebook["cells"][:] = executed.cells


def read(path: Path) -> dict[str, Any]:
    """The notebook at ``path`` in format 4, without outputs. Raises ``UnreadableError``.

    The usual file is read as it is. Where anything looks unusual, nbformat reads it, which brings
    an old format up to date or says what is wrong.
    """
    data = read_bytes(path)
    if isinstance(data, UnreadableError):
        raise data
    content = parse_content(path.name, data)
    if not is_usual(content):
        content = validated(path.name, content)
    for cell in content["cells"]:
        if isinstance(cell["source"], list):
            cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    return content


def is_usual(content: Mapping[str, Any]) -> bool:
    """Is it a notebook as Jupyter writes it today: format 4.5, and nothing out of place?

    Of outputs, which are thrown away, only the kind is looked at.
    """
    known = {"cells", "metadata", "nbformat", "nbformat_minor"}
    if set(content) != known or (content["nbformat"], content["nbformat_minor"]) != (4, 5):
        return False
    cells = content["cells"]
    if not isinstance(content["metadata"], dict) or not isinstance(cells, list):
        return False
    if not all(isinstance(cell, dict) and _is_usual_cell(cell) for cell in cells):
        return False
    return len({cell["id"] for cell in cells}) == len(cells)


def _is_usual_cell(cell: Mapping[str, Any]) -> bool:
    kind = cell.get("cell_type")
    keys = CELL_KEYS.get(kind) if isinstance(kind, str) else None
    if keys is None or set(cell) | {"attachments"} != keys | {"attachments"}:
        return False
    source = cell["source"]
    lines = source if isinstance(source, list) else [source]
    if not isinstance(cell["metadata"], dict) or not all(isinstance(s, str) for s in lines):
        return False
    if (
        not isinstance(cell["id"], str)
        or not cell["id"].replace("-", "").replace("_", "").isalnum()
    ):
        return False
    if not isinstance(cell["metadata"].get("nbgrader", {}), dict):
        return False
    if kind != "code":
        return True
    kinds = ("stream", "display_data", "execute_result", "error")
    return isinstance(cell["outputs"], list) and all(
        isinstance(output, dict) and output.get("output_type") in kinds
        for output in cell["outputs"]
    )


def _by_hand(name: str, graded: GradedCell, cell: Mapping[str, Any]) -> Result:
    written = is_task(cell) or _fields(cell).get("checksum") != compute_checksum(cell)
    message = "A person grades it." if written else "Not written yet; a person grades it."
    return Result("", name, graded.name, None, graded.max_points, "manual", None, message)


def _fields(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = cell["metadata"].get("nbgrader", {})
    return fields
