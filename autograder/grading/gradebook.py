"""nbgrader's gradebook: opened with care, filled through nbgrader's own steps."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
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
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
    SaveCells,
)
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from traitlets.config import Config

from autograder.course import CourseFolder, nbgrader_config, read_source
from autograder.errors import UserError
from autograder.files import require_writable

# nbgrader's generate_assignment up to the step that writes the cells to the gradebook.
ENTER = (LockCells, ClearSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums, SaveCells)
MERGE = (ClearOutput, OverwriteKernelspec, OverwriteCells, CheckCellMetadata)
SAVE = (SaveAutoGrades, AssignLatePenalties, CheckCellMetadata)
SQLITE = "sqlite:///"

# nbgrader's steps report through this logger what the results say anyway.
logging.getLogger("traitlets").addHandler(logging.NullHandler())
logging.getLogger("traitlets").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class GradedCell:
    """A cell of the source that carries points."""

    name: str
    max_points: float
    manual: bool


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
        _put_programs_on_path()
        try:
            with _quiet(), Database(self.url, self.course_id) as database:
                yield database
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise UserError(f"The gradebook {self.url} cannot be used: {reason}.") from error

    def enter(self, name: str) -> None:
        """Make the assignment ``name``, or bring it up to date with ``source/``.

        Raises ``UserError`` when the gradebook has grades for other cells under this name.
        """
        with self.session() as database:
            database.update_or_create_assignment(name)
            with contextlib.suppress(MissingEntry):
                known = {cell.name for cell in database.find_notebook(name, name).source_cells}
                if known != self.cell_names(name):
                    _require_no_submissions(database, name, self.url)
        notebook = read_source(self.course.source_text(name))
        self._run(ENTER, notebook, name, student=None)

    def graded_cells(self, name: str) -> list[GradedCell]:
        """The cells of ``name`` that carry points, in the order of the source."""
        source = read_source(self.course.source_text(name))
        return [
            GradedCell(meta.grade_id, float(meta.points), bool(meta.solution or meta.task))
            for cell in source.cells
            if (meta := cell.metadata.get("nbgrader")) and (meta.grade or meta.task)
        ]

    def cell_names(self, name: str) -> frozenset[str]:
        """The grade ids of all cells of the source, with points or without."""
        source = read_source(self.course.source_text(name))
        return frozenset(
            cell.metadata.nbgrader.grade_id for cell in source.cells if "nbgrader" in cell.metadata
        )

    def merge(self, notebook: NotebookNode, name: str) -> NotebookNode:
        """The submission with the test cells of the source, without outputs."""
        drop_copied_cells(notebook)
        return self._run(MERGE, notebook, name, student=None)

    def start_submission(self, student: str, name: str, timestamp: datetime | None) -> None:
        """Make the student and the submission where they are missing."""
        with self.session() as database:
            database.update_or_create_student(student)
            more = {} if timestamp is None else {"timestamp": timestamp}
            database.update_or_create_submission(name, student, **more)

    def save(self, notebook: NotebookNode, name: str, student: str) -> None:
        """Write the points of an executed notebook. Manual scores stay."""
        self._run(SAVE, notebook, name, student)

    def _run(
        self, steps: tuple[Any, ...], notebook: NotebookNode, name: str, student: str | None
    ) -> NotebookNode:
        resources = {
            "nbgrader": {
                "notebook": name,
                "assignment": name,
                "student": student,
                "db_url": self.url,
            },
            "unique_key": name,
        }
        try:
            with _quiet():
                for step in steps:
                    notebook, resources = step(config=self.config).preprocess(notebook, resources)
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise UserError(f"The gradebook {self.url} cannot be used: {reason}.") from error
        return notebook


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """SQLAlchemy 2.1 warns about the order in which nbgrader adds objects; the rows are right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        yield


def _put_programs_on_path() -> None:
    """nbgrader calls the program ``alembic``, which lies beside the interpreter."""
    here = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if here not in path.split(os.pathsep):
        os.environ["PATH"] = f"{here}{os.pathsep}{path}"


def drop_copied_cells(notebook: NotebookNode) -> None:
    """Of cells with one grade_id, the last keeps it, as in nbgrader; the others become ordinary.

    Stock nbgrader leaves empty metadata on the others, and its next step then takes the whole
    class for one of an old version and stops.
    """
    seen: set[str] = set()
    for cell in reversed(notebook.cells):
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in seen:
            del cell.metadata["nbgrader"]
        elif grade_id is not None:
            seen.add(grade_id)


def _require_no_submissions(database: Any, name: str, url: str) -> None:
    if database.find_notebook(name, name).submissions:
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
