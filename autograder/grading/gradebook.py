"""nbgrader's gradebook: opened with care, filled through nbgrader's own steps."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.api import Gradebook as Database
from nbgrader.api import MissingEntry
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
    SaveCells,
)
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from traitlets.config import Config

from autograder.course import CourseFolder, nbgrader_config
from autograder.errors import UserError
from autograder.files import require_writable
from autograder.grading.ledger import (
    Entry,
    Ledger,
    holds_nobody,
    make_tables,
    not_waiting_for_the_disk,
)
from autograder.grading.marking import Sheet
from autograder.grading.standings import Standing, Standings

# nbgrader's generate_assignment up to the step that writes the cells to the gradebook, SaveCells.
PREPARE = (LockCells, ClearSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums)
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Gradebook:
    """The gradebook at ``url``, for the course in ``course``."""

    url: str
    course: CourseFolder

    @classmethod
    def open(cls, course: CourseFolder, url: str | None = None) -> Gradebook:
        """Check the gradebook without changing it; raise ``UserError`` when it is of no use."""
        url = url or f"{SQLITE}{course.root / 'gradebook.db'}"
        if "://" not in url:
            raise UserError(
                f"'{url}' is not the URL of a database; write sqlite:///gradebook.db, for example."
            )
        book = cls(url, course)
        if url.startswith(SQLITE):
            _inspect_sqlite(Path(url.removeprefix(SQLITE)), book.course_id)
        return book

    @property
    def config(self) -> Config:
        """The settings of ``nbgrader_config.py``."""
        return nbgrader_config(self.course)

    @property
    def course_id(self) -> str:
        """The name under which nbgrader keeps this course."""
        return str(self.config.get("CourseDirectory", {}).get("course_id", "")) or "default_course"

    @contextlib.contextmanager
    def session(self) -> Iterator[Any]:
        """nbgrader's own object; closed at the end."""
        with self._said_in_a_sentence(), _quiet():
            make_tables(self.url)
            with Database(self.url, self.course_id) as database:
                yield database

    def enter(self, assignment: str) -> list[Sheet]:
        """Make the assignment, or bring it up to date with ``source/``; its notebooks.

        Raises ``UserError`` when the gradebook has grades for other cells under this name.
        """
        with self._said_in_a_sentence(), _one_at_a_time(self.course.root):
            make_tables(self.url)
            # Of a gradebook that holds nobody, nothing can be lost that cannot be made again.
            fast = not_waiting_for_the_disk() if holds_nobody(self.url) else nullcontext()
            with fast:
                return self._enter(assignment)

    def _enter(self, assignment: str) -> list[Sheet]:
        sheets: list[Sheet] = []
        known: dict[str, dict[str, str]] = {}
        with self.session() as database:
            database.update_or_create_assignment(assignment)
            for name in self.course.notebooks(assignment):
                notebook = self.course.instructor_source(assignment, name)
                sheet = Sheet(assignment, name, notebook)
                with contextlib.suppress(MissingEntry):
                    stored = database.find_notebook(name, assignment)
                    known[name] = {cell.name: cell.checksum for cell in stored.source_cells}
                    if known[name].keys() != sheet.cell_names:
                        _require_no_submissions(stored, name, self.url)
                sheets.append(sheet)
        entered: list[Sheet] = []
        for sheet in sheets:
            notebook = self._run(PREPARE, sheet.notebook, assignment, sheet.name)
            # Where nobody has handed in yet, nbgrader removes the cells and makes them anew, while
            # another run may be using them. Cells that are there already stay.
            if known.get(sheet.name) != _checksums(notebook):
                notebook = self._run((SaveCells,), notebook, assignment, sheet.name)
            entered.append(Sheet(assignment, sheet.name, notebook))
        return entered

    def ledger(self, assignment: str) -> Ledger:
        """Where the points of this assignment are written."""
        with self._said_in_a_sentence():
            return Ledger(self.url, assignment)

    def standings(self, assignment: str) -> Standings:
        """Where the points and comments of this assignment are read."""
        with self._said_in_a_sentence():
            return Standings(self.url, assignment)

    def read(
        self, standings: Standings, students: Sequence[str]
    ) -> dict[tuple[str, str], Standing]:
        """By student and notebook; who is not there is not in the answer."""
        with self._said_in_a_sentence():
            return standings.read(students)

    def write(self, ledger: Ledger, entries: Sequence[Entry]) -> None:
        """Write submissions whole, with nbgrader's penalty for those that are late."""
        with self._said_in_a_sentence(), _quiet():
            for student in ledger.write(entries):
                for marks in next(e for e in entries if e.student == student).marks:
                    step = AssignLatePenalties(config=self.config)
                    resources = self._resources(ledger.assignment, marks.name, student)
                    step(NotebookNode(cells=[], metadata={}), resources)

    @contextlib.contextmanager
    def _said_in_a_sentence(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise UserError(f"The gradebook {self.url} cannot be used: {reason}.") from error

    def _resources(self, assignment: str, name: str, student: str | None) -> dict[str, Any]:
        return {
            "nbgrader": {
                "notebook": name,
                "assignment": assignment,
                "student": student,
                "db_url": self.url,
            },
            "unique_key": name,
        }

    def _run(
        self, steps: tuple[Any, ...], notebook: NotebookNode, assignment: str, name: str
    ) -> NotebookNode:
        resources = self._resources(assignment, name, None)
        with self._said_in_a_sentence(), _quiet():
            for step in steps:
                notebook, resources = step(config=self.config).preprocess(notebook, resources)
        return notebook


def _checksums(notebook: NotebookNode) -> dict[str, str]:
    """By grade id, what nbgrader knows a cell by: its kind, its points and its text."""
    marked = [cell.metadata.nbgrader for cell in notebook.cells if "nbgrader" in cell.metadata]
    return {mark.grade_id: mark.get("checksum") for mark in marked}


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """nbgrader looks first and writes then; of two runs that start at once, one waits here."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Said outright: a process that was forked meanwhile has the descriptor too.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """SQLAlchemy 2.1 warns about the order in which nbgrader adds objects; the rows are right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        yield


def _require_no_submissions(stored: Any, name: str, url: str) -> None:
    if stored.submissions:
        raise UserError(
            f"The gradebook {url} has grades for other cells of {name} than source/ does: it "
            "belongs to another course or version; name another one with --gradebook."
        )


def _inspect_sqlite(path: Path, course_id: str) -> None:
    """Look without writing: is this a gradebook, and of this course?"""
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a gradebook.")
    require_writable(path.absolute().parent)
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            tables = {
                row[0]
                for row in connection.execute("select name from sqlite_master where type='table'")
            }
            courses = (
                [row[0] for row in connection.execute("select id from course")]
                if "course" in tables
                else []
            )
    except (sqlite3.Error, OSError) as error:
        raise UserError(
            f"{path} is not a gradebook that can be read ({error}); "
            "restore a copy, or name another one with --gradebook."
        ) from error
    if not {"assignment", "grade", "student"} <= tables:
        raise UserError(
            f"{path} is a database, but not nbgrader's gradebook; "
            "name another one with --gradebook."
        )
    if courses and course_id not in courses:
        raise UserError(
            f"{path} is the gradebook of the course '{courses[0]}', this one is '{course_id}'; "
            "name another one with --gradebook."
        )
    try:
        with path.open("r+b"):
            pass
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error
