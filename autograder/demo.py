"""A sample class: from right answers to files that are not notebooks, one of each kind."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.course import (
    CourseFolder,
    all_alternatives,
    defined_names,
    read_source,
    released_notebook,
)
from autograder.errors import UserError
from autograder.files import require_writable, write_whole
from autograder.mistakes import Mistake, mistakes_of

MARKER = ".autograder-demo"
TIMESTAMP = "2026-01-15 12:00:00 UTC\n"
MISTAKEN_STUDENTS = 5
# The endless loop of one student should not make everybody wait for a minute.
CELL_SECONDS = 8


@dataclass(frozen=True)
class Material:
    """What the submissions of one notebook are made of."""

    name: str
    released: NotebookNode
    # The sources of the solved solution cells, by grade_id, and which names each defines.
    solved: dict[str, str]
    defines: dict[str, list[str]]

    def fill(self, answers: dict[str, str]) -> NotebookNode:
        """The released notebook with these solution cells filled in."""
        notebook = copy.deepcopy(self.released)
        for cell in notebook.cells:
            if cell.id in answers:
                cell.source = answers[cell.id]
        return notebook

    def mistakes(self, place: str) -> list[Mistake]:
        """The records of the bank for what is written in a solution cell."""
        return [record for name in self.defines[place] for record in mistakes_of(name)]

    def place(self, exercise: str) -> str | None:
        """The solution cell in which an exercise is written."""
        return next((cell for cell, names in self.defines.items() if exercise in names), None)


Maker = Callable[[Material, CourseFolder], NotebookNode | str]


def make_class(course: CourseFolder, directory: Path) -> CourseFolder:
    """Make ``directory`` an nbgrader course with a sample class; a former one is replaced.

    Raises ``UserError`` when the folder exists and is not a former sample class.
    """
    names = course.names()
    if directory.exists():
        if not directory.is_dir() or (any(directory.iterdir()) and not _is_demo(directory)):
            raise UserError(f"{directory} exists and is not a sample class; name another folder.")
        shutil.rmtree(directory)
    require_writable(directory)
    (directory / MARKER).write_text("Made by autograder demo, which may replace this folder.\n")
    addition = (
        f"\n# A sample class with an endless loop in it.\nc.Execute.timeout = {CELL_SECONDS}\n"
    )
    made = copy_course(course, directory, names, addition)
    for name in names:
        notebook = read_material(course, name)
        for number, maker in enumerate(_students(), start=1):
            folder = directory / "submitted" / f"s{number:03d}" / name
            submission = maker(notebook, course)
            data = submission.encode() if isinstance(submission, str) else as_bytes(submission)
            write_whole(folder / f"{name}.ipynb", data)
            write_whole(folder / "timestamp.txt", TIMESTAMP.encode())
    return made


def copy_course(
    course: CourseFolder, directory: Path, names: Sequence[str], addition: str = ""
) -> CourseFolder:
    """An nbgrader course in ``directory`` with these notebooks of ``course``, and no submissions.

    ``addition`` is appended to its ``nbgrader_config.py``.
    """
    made = CourseFolder(directory)
    made.source.mkdir(parents=True)
    config = course.root / "nbgrader_config.py"
    text = config.read_text(encoding="utf-8") if config.exists() else "c = get_config()\n"
    (directory / "nbgrader_config.py").write_text(text + addition, encoding="utf-8")
    for name in names:
        shutil.copy(course.source_text(name), made.source_text(name))
        source = read_source(course.source_text(name))
        write_whole(made.instructor_notebook(name), as_bytes(source))
        write_whole(made.student_notebook(name), as_bytes(released_notebook(source, course)))
    return made


def _students() -> Sequence[Maker]:
    return [
        right,
        _right_but_different,
        *(_mistaken(number) for number in range(MISTAKEN_STUDENTS)),
        half_done,
        empty,
        syntax_error,
        _endless_loop,
        deleted_test_cell,
        _copied_test_cell,
        not_json,
    ]


def _is_demo(directory: Path) -> bool:
    return (directory / MARKER).is_file()


def read_material(course: CourseFolder, name: str) -> Material:
    """What the submissions of a notebook of ``course`` can be made of."""
    full = read_source(course.source_text(name))
    solved: dict[str, str] = {}
    defines: dict[str, list[str]] = {}
    for cell in full.cells:
        meta = cell.metadata.get("nbgrader")
        if meta is not None and meta.solution and cell.cell_type == "code":
            lines = cell.source.split("\n")
            kept = [line for line in lines if "### BEGIN" not in line and "### END" not in line]
            solved[cell.id] = "\n".join(kept)
            defines[cell.id] = defined_names(cell.source)
    return Material(name, released_notebook(full, course), solved, defines)


def right(notebook: Material, course: CourseFolder) -> NotebookNode:
    """Every answer is the solution."""
    return notebook.fill(notebook.solved)


def _right_but_different(notebook: Material, course: CourseFolder) -> NotebookNode:
    answers = dict(notebook.solved)
    for alternative in reversed(all_alternatives(course)):
        place = notebook.place(alternative.exercise)
        if place is not None:
            answers[place] = alternative.source()
    return notebook.fill(answers)


def _mistaken(number: int) -> Maker:
    """A student with one or two named mistakes: another exercise for each student."""

    def make(notebook: Material, course: CourseFolder) -> NotebookNode:
        answers = dict(notebook.solved)
        places = [p for p in notebook.defines if notebook.mistakes(p)]
        for place in places[number :: MISTAKEN_STUDENTS * 2]:
            records = notebook.mistakes(place)
            record = records[number % len(records)]
            answers[place] = record.source()
        return notebook.fill(answers)

    return make


def half_done(notebook: Material, course: CourseFolder) -> NotebookNode:
    """The first half of the answers, and nothing in the other cells."""
    first = list(notebook.solved)[: len(notebook.solved) // 2]
    return notebook.fill({cell: notebook.solved[cell] for cell in first})


def empty(notebook: Material, course: CourseFolder) -> NotebookNode:
    """Handed in as it was handed out."""
    return notebook.fill({})


def syntax_error(notebook: Material, course: CourseFolder) -> NotebookNode:
    """The first answer cannot be compiled."""
    cell = list(notebook.solved)[0]
    broken = notebook.solved[cell].replace("return", "retrun")
    return notebook.fill(notebook.solved | {cell: broken})


def _endless_loop(notebook: Material, course: CourseFolder) -> NotebookNode:
    cell = list(notebook.solved)[1 % len(notebook.solved)]
    name = notebook.defines[cell][0]
    return notebook.fill(
        notebook.solved | {cell: f"def {name}(*arguments):\n    while True:\n        pass\n"}
    )


def deleted_test_cell(notebook: Material, course: CourseFolder) -> NotebookNode:
    """All right, but the last test cell is gone."""
    made = notebook.fill(notebook.solved)
    tests = [cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    made.cells.remove(tests[-1])
    return made


def _copied_test_cell(notebook: Material, course: CourseFolder) -> NotebookNode:
    made = notebook.fill(notebook.solved)
    tests = [cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    twin = copy.deepcopy(tests[0])
    twin.id = f"{twin.id}-copy"
    made.cells.insert(made.cells.index(tests[0]), twin)
    return made


def not_json(notebook: Material, course: CourseFolder) -> str:
    """No notebook at all."""
    return "<html><body>Saved from the browser by mistake.</body></html>\n"


def as_bytes(notebook: NotebookNode) -> bytes:
    """A notebook as a file holds it."""
    text: str = nbformat.writes(notebook)
    return (text + "\n").encode()
