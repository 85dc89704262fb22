"""``source/`` → ``notebooks/`` and ``solutions/``, and the check that they are in step."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from autograder.course.released import released_notebook
from autograder.course.source import METADATA, CourseFolder, read_source
from autograder.errors import UserError
from autograder.files import require_writable, write_whole

MARKERS = ("### BEGIN SOLUTION", "### END SOLUTION", "### BEGIN HIDDEN", "### END HIDDEN")
CELL_TIMEOUT = 120


@dataclass(frozen=True)
class OutOfStep:
    """A generated file that is not what ``source/`` says. ``mend`` is the command that helps."""

    path: Path
    reason: str
    mend: str

    def __str__(self) -> str:
        return f"{self.path} {self.reason}; mend: {self.mend}"


def build(
    course: CourseFolder, names: Sequence[str], report: Callable[[str], None] = print
) -> list[Path]:
    """Write the generated files of ``names``; nothing is written when one notebook fails.

    Raises ``UserError`` when a solution does not run or a folder cannot be written.
    """
    for folder in (course.root / "notebooks", course.root / "solutions", course.source):
        require_writable(folder)
    made: dict[Path, bytes] = {}
    for name in names:
        report(f"building {name}")
        full = read_source(course.source_text(name))
        traveling = dict(_traveling(course, name))
        made[course.instructor_notebook(name)] = _bytes(full)
        made[course.student_notebook(name)] = _bytes(released_notebook(full, course))
        made[course.solved_notebook(name)] = _bytes(_executed(solved_notebook(full), name, course))
        for target in (course.student_notebook(name), course.solved_notebook(name)):
            made |= {target.parent / inside: data for inside, data in traveling.items()}
    for path, data in made.items():
        write_whole(path, data)
    return list(made)


def out_of_step(course: CourseFolder, names: Sequence[str]) -> Iterator[OutOfStep]:
    """Every generated, committed file that ``source/`` would make differently."""
    for name in names:
        mend = f"autograder build {name}"
        full = read_source(course.source_text(name))
        wanted = {
            course.student_notebook(name): released_notebook(full, course),
            course.solved_notebook(name): solved_notebook(full),
        }
        for path, notebook in wanted.items():
            yield from _compare(path, notebook, mend, outputs=path == course.solved_notebook(name))
            for inside, data in _traveling(course, name):
                copied = path.parent / inside
                if not copied.exists() or copied.read_bytes() != data:
                    yield OutOfStep(copied, "differs from the file in source/", mend)


def solved_notebook(full: NotebookNode) -> NotebookNode:
    """The instructor's notebook without the markers, ready to be executed."""
    solved = copy.deepcopy(full)
    for cell in solved.cells:
        lines = cell.source.split("\n")
        kept = [line for line in lines if not line.strip().startswith(MARKERS)]
        cell.source = "\n".join(kept).strip("\n").rstrip()
    return solved


def _compare(path: Path, wanted: NotebookNode, mend: str, *, outputs: bool) -> Iterator[OutOfStep]:
    if not path.exists():
        yield OutOfStep(path, "is missing", mend)
        return
    try:
        found = nbformat.read(path, as_version=4)
    except Exception:
        yield OutOfStep(path, "is not a notebook", mend)
        return
    here = [(cell.cell_type, cell.source, cell.metadata, cell.id) for cell in found.cells]
    there = [(cell.cell_type, cell.source, cell.metadata, cell.id) for cell in wanted.cells]
    if here != there or found.metadata != wanted.metadata:
        pairs = enumerate(zip(here, there, strict=False), start=1)
        number = next((n for n, (a, b) in pairs if a != b), min(len(here), len(there)) + 1)
        yield OutOfStep(path, f"is out of step with source/ from cell {number} on", mend)
    elif outputs and any(
        cell.cell_type == "code" and cell.execution_count is None for cell in found.cells
    ):
        yield OutOfStep(path, "has cells that were never executed", mend)
    elif not outputs and any(cell.get("outputs") for cell in found.cells):
        yield OutOfStep(path, "has outputs; students get it without", mend)


def _executed(notebook: NotebookNode, name: str, course: CourseFolder) -> NotebookNode:
    with tempfile.TemporaryDirectory() as scratch:
        for inside, data in _traveling(course, name):
            write_whole(Path(scratch) / inside, data)
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,  # of a progress bar only its last state stays
            extra_arguments=["--HistoryManager.hist_file=:memory:", "--log-level=CRITICAL"],
            resources={"metadata": {"path": scratch}},
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError) as error:
            line = strip_ansi(str(error).strip().splitlines()[-1])
            raise UserError(f"The solved notebook {name} does not run: {line}") from error
    # The kernel wrote its own version into the metadata; the next machine has another.
    notebook.metadata = NotebookNode(METADATA)
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise UserError(
                    f"The solved notebook {name} writes to stderr in cell {number}: "
                    f"{output.text.strip().splitlines()[-1]}"
                )
    return notebook


def _traveling(course: CourseFolder, name: str) -> Iterator[tuple[Path, bytes]]:
    folder = course.source / name
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if path.is_file() and path.suffix != ".ipynb" and not hidden:
            yield path.relative_to(folder), path.read_bytes()


def _bytes(notebook: NotebookNode) -> bytes:
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return (text.rstrip("\n") + "\n").encode()
