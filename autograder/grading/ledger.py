"""Points into nbgrader's gradebook: its own tables, many rows in one transaction.

nbgrader commits after each cell. Here a transaction takes several submissions whole, so that a run
which is killed leaves each of them written or not, and two runs at once wait for each other.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nbgrader.api import (
    Assignment,
    Base,
    BaseCell,
    Comment,
    Grade,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from autograder.grading.marking import Marks

# Seconds to wait for another run, or for the formgrader, to finish writing.
PATIENCE = 60
ATTEMPTS = 5
# SQLite takes a limited number of values in one statement.
MOST_VALUES = 500


@dataclass(frozen=True)
class Entry:
    """One submission to be written: ``marks`` by notebook; a notebook may be missing."""

    student: str
    timestamp: datetime | None
    marks: Sequence[Marks]
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class _Cells:
    """The cells of one notebook that a submission has rows for: grade_id → id."""

    id: str
    graded: Mapping[str, str]
    solutions: Mapping[str, str]
    tasks: Mapping[str, str]


@dataclass(eq=False)
class Ledger:
    """Writes the submissions of one assignment into the gradebook at ``url``."""

    url: str
    assignment: str
    _engine: Engine = field(init=False)
    _id: str = field(init=False)
    _duedate: datetime | None = field(init=False)
    _notebooks: dict[str, _Cells] = field(init=False)

    def __post_init__(self) -> None:
        self._engine = _open(self.url)
        with self._engine.connect() as connection:
            table = _table(Assignment)
            row = connection.execute(
                select(table.c.id, table.c.duedate).where(table.c.name == self.assignment)
            ).one()
            self._id, self._duedate = row
            self._notebooks = dict(_structure(connection, self._id))

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()

    def students(self) -> set[str]:
        """Who has a submission of this assignment already."""
        table = _table(SubmittedAssignment)
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(table.c.student_id).where(table.c.assignment_id == self._id)
            )
            return {str(student) for (student,) in rows}

    def write(self, entries: Sequence[Entry]) -> list[str]:
        """All of ``entries`` or none. Returns the students who handed in after the due date.

        Manual scores and comments stay. Raises SQLAlchemy's errors.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._engine.begin() as connection:
                    return self._write(connection, entries)
            except IntegrityError:
                # On a database that lets two runs write at once, the other made the row first.
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _write(self, connection: Connection, entries: Sequence[Entry]) -> list[str]:
        names = [entry.student for entry in entries]
        self._make_students(connection, names)
        submissions = self._submissions(connection, entries)
        notebooks = self._submitted_notebooks(connection, [row[0] for row in submissions.values()])
        grades, comments = self._rows(connection, [n for n in notebooks.values()])
        new_grades: list[dict[str, Any]] = []
        new_comments: list[dict[str, Any]] = []
        for entry in entries:
            submission, _, _ = submissions[entry.student]
            for marks in entry.marks:
                cells = self._notebooks[marks.name]
                submitted = notebooks[submission, cells.id]
                for name, points in marks.scores:
                    if (cell := cells.graded.get(name)) and (row := grades.get((submitted, cell))):
                        manual = row[1] is not None or points is None
                        new_grades.append(
                            {"b_id": row[0], "auto_score": points, "needs_manual_grade": manual}
                        )
                for name, text in marks.comments:
                    cell = cells.solutions.get(name) or cells.tasks.get(name)
                    if cell and (found := comments.get((submitted, cell))):
                        new_comments.append({"b_id": found, "auto_comment": text})
            for name in entry.missing:
                cells = self._notebooks[name]
                submitted = notebooks[submission, cells.id]
                for cell in (*cells.graded.values(), *cells.tasks.values()):
                    if row := grades.get((submitted, cell)):
                        new_grades.append(
                            {"b_id": row[0], "auto_score": 0.0, "needs_manual_grade": False}
                        )
        _update(connection, _table(Grade), new_grades)
        _update(connection, _table(Comment), new_comments)
        marked = [
            {"b_id": notebooks[submissions[entry.student][0], self._notebooks[marks.name].id]}
            for entry in entries
            for marks in entry.marks
        ]
        _update(
            connection,
            _table(SubmittedNotebook),
            [row | {"late_submission_penalty": None} for row in marked],
        )
        return [name for name in names if self._is_late(*submissions[name][1:])]

    def _make_students(self, connection: Connection, names: Sequence[str]) -> None:
        table = _table(Student)
        rows = _select(connection, select(table.c.id), table.c.id, names)
        known = {row[0] for row in rows}
        new = [{"id": name} for name in dict.fromkeys(names) if name not in known]
        _insert(connection, table, new)

    def _submissions(
        self, connection: Connection, entries: Sequence[Entry]
    ) -> dict[str, tuple[str, datetime | None, Any]]:
        """By student: the id, the time and the extension of the submission, made where missing."""
        table = _table(SubmittedAssignment)
        columns = select(table.c.student_id, table.c.id, table.c.timestamp, table.c.extension)
        query = columns.where(table.c.assignment_id == self._id)
        names = [entry.student for entry in entries]
        found = {
            row[0]: (str(row[1]), row[2], row[3])
            for row in _select(connection, query, table.c.student_id, names)
        }
        new, changed = [], []
        for entry in entries:
            if entry.student not in found:
                row = {"id": _new_id(), "timestamp": entry.timestamp}
                new.append(row | {"assignment_id": self._id, "student_id": entry.student})
                found[entry.student] = (str(row["id"]), entry.timestamp, None)
            elif entry.timestamp is not None:
                known = found[entry.student]
                changed.append({"b_id": known[0], "timestamp": entry.timestamp})
                found[entry.student] = (known[0], entry.timestamp, known[2])
        _insert(connection, table, new)
        _update(connection, table, changed)
        return found

    def _submitted_notebooks(
        self, connection: Connection, submissions: Sequence[str]
    ) -> dict[tuple[str, str], str]:
        """By submission and notebook: the id of the submitted notebook, made where missing."""
        table = _table(SubmittedNotebook)
        query = select(table.c.assignment_id, table.c.notebook_id, table.c.id)
        found = {
            (row[0], row[1]): str(row[2])
            for row in _select(connection, query, table.c.assignment_id, submissions)
        }
        new = [
            {
                "id": _new_id(),
                "assignment_id": submission,
                "notebook_id": cells.id,
                "flagged": False,
            }
            for submission in dict.fromkeys(submissions)
            for cells in self._notebooks.values()
            if (submission, cells.id) not in found
        ]
        _insert(connection, table, new)
        return found | {(row["assignment_id"], row["notebook_id"]): str(row["id"]) for row in new}

    def _rows(
        self, connection: Connection, submitted: Sequence[str]
    ) -> tuple[dict[tuple[str, str], tuple[str, Any]], dict[tuple[str, str], str]]:
        """Grades with their manual scores, and comments, by submitted notebook and cell."""
        grade, comment, table = _table(Grade), _table(Comment), _table(SubmittedNotebook)
        query = select(grade.c.notebook_id, grade.c.cell_id, grade.c.id, grade.c.manual_score)
        grades = {
            (row[0], row[1]): (str(row[2]), row[3])
            for row in _select(connection, query, grade.c.notebook_id, submitted)
        }
        query = select(comment.c.notebook_id, comment.c.cell_id, comment.c.id)
        comments = {
            (row[0], row[1]): str(row[2])
            for row in _select(connection, query, comment.c.notebook_id, submitted)
        }
        kinds = {cells.id: cells for cells in self._notebooks.values()}
        query = select(table.c.id, table.c.notebook_id)
        new_grades, new_comments = [], []
        for row in _select(connection, query, table.c.id, submitted):
            number, cells = str(row[0]), kinds[row[1]]
            for cell in (*cells.graded.values(), *cells.tasks.values()):
                if (number, cell) not in grades:
                    made = {"id": _new_id(), "notebook_id": number, "cell_id": cell}
                    new_grades.append(made | {"needs_manual_grade": True})
                    grades[number, cell] = (made["id"], None)
            for cell in (*cells.solutions.values(), *cells.tasks.values()):
                if (number, cell) not in comments:
                    made = {"id": _new_id(), "notebook_id": number, "cell_id": cell}
                    new_comments.append(made)
                    comments[number, cell] = made["id"]
        _insert(connection, grade, new_grades)
        _insert(connection, comment, new_comments)
        return grades, comments

    def _is_late(self, timestamp: datetime | None, extension: Any) -> bool:
        if timestamp is None or self._duedate is None:
            return False
        due = self._duedate if extension is None else self._duedate + extension
        return bool(timestamp > due)


def make_tables(url: str) -> None:
    """Make nbgrader's tables in the database at ``url``, all or none, unless it has some.

    nbgrader makes the same, one by one; for their version it starts a program, alembic's.
    """
    engine = _open(url)
    with engine.begin() as connection:
        if not inspect(connection).get_table_names():
            from alembic.script import ScriptDirectory

            Base.metadata.create_all(connection)
            version = Table(
                "alembic_version", MetaData(), Column("version_num", String(32), nullable=False)
            )
            version.create(connection)
            newest = ScriptDirectory(ALEMBIC_DIR).get_current_head()
            connection.execute(insert(version).values(version_num=newest))
    engine.dispose()


def holds_nobody(url: str) -> bool:
    """Does the gradebook at ``url`` know no student yet?"""
    engine = _open(url)
    with engine.connect() as connection:
        found = connection.execute(select(_table(Student).c.id).limit(1)).first()
    engine.dispose()
    return found is None


@contextlib.contextmanager
def not_waiting_for_the_disk() -> Iterator[None]:
    """Meanwhile, what is written to SQLite is safe if this program dies, not if the machine does.

    nbgrader commits after each cell, and each time waits for the disk.
    """

    def connected(connection: Any, record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


def _structure(connection: Connection, assignment: str) -> Iterable[tuple[str, _Cells]]:
    notebook, cell = _table(Notebook), _table(BaseCell)
    query = select(notebook.c.id, notebook.c.name).where(notebook.c.assignment_id == assignment)
    for number, name in connection.execute(query).all():
        kinds: dict[str, dict[str, str]] = {}
        rows = connection.execute(
            select(cell.c.type, cell.c.name, cell.c.id).where(cell.c.notebook_id == number)
        )
        for kind, grade_id, cell_id in rows:
            kinds.setdefault(str(kind), {})[str(grade_id)] = str(cell_id)
        yield (
            str(name),
            _Cells(
                str(number),
                kinds.get("GradeCell", {}),
                kinds.get("SolutionCell", {}),
                kinds.get("TaskCell", {}),
            ),
        )


def _open(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url)
    engine = create_engine(url, connect_args={"timeout": PATIENCE})

    # The driver would begin a transaction at the first write, after the rows were read.
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


def _new_id() -> str:
    return uuid.uuid4().hex


def _select(connection: Connection, query: Any, column: Any, values: Sequence[str]) -> list[Any]:
    unique = list(dict.fromkeys(values))
    found: list[Any] = []
    for start in range(0, len(unique), MOST_VALUES):
        part = unique[start : start + MOST_VALUES]
        found += connection.execute(query.where(column.in_(part))).all()
    return found


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), [dict(row) for row in rows])


def _update(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        names = [name for name in rows[0] if name != "b_id"]
        statement = update(table).where(table.c.id == bindparam("b_id"))
        connection.execute(
            statement.values({name: bindparam(f"v_{name}") for name in names}),
            [{"b_id": row["b_id"]} | {f"v_{n}": row[n] for n in names} for row in rows],
        )
