"""What the gradebook says about submissions, read for many students at once.

nbgrader opens the gradebook for each notebook and asks it for each cell. Here a few statements read
a batch of students, and what comes out is data that a worker may have: no roster, no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbgrader.api import (
    Assignment,
    Comment,
    Grade,
    GradeCell,
    Notebook,
    SolutionCell,
    SubmittedAssignment,
    SubmittedNotebook,
    TaskCell,
)
from sqlalchemy import Connection, Engine, create_engine, select

from autograder.grading.ledger import MOST_VALUES, PATIENCE


@dataclass(frozen=True)
class Standing:
    """One notebook of one student as it stands: by hand where somebody graded, else automatic."""

    score: float
    max_score: float
    # grade_id → points, most points
    scores: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    # grade_id → what a grader, or the gradebook by itself, says about the answer
    comments: Mapping[str, str | None] = field(default_factory=dict)
    late_penalty: float | None = None


class Standings:
    """Reads the standings of one assignment from the gradebook at ``url``."""

    def __init__(self, url: str, assignment: str) -> None:
        options = {"connect_args": {"timeout": PATIENCE}} if url.startswith("sqlite") else {}
        self._engine: Engine = create_engine(url, **options)
        self._assignment = assignment
        # The cells are the same for the whole class.
        self._notebooks: dict[str, tuple[str, float]] = {}
        self._cells: dict[str, tuple[str, float]] = {}

    def close(self) -> None:
        """Give the connection back."""
        self._engine.dispose()

    def read(self, students: Sequence[str]) -> dict[tuple[str, str], Standing]:
        """By student and notebook. Who is not in the gradebook is not in the answer.

        Raises SQLAlchemy's errors.
        """
        found: dict[tuple[str, str], Standing] = {}
        unique = list(dict.fromkeys(students))
        with self._engine.connect() as connection:
            if not self._notebooks:
                self._read_cells(connection)
            for start in range(0, len(unique), MOST_VALUES):
                found |= self._read(connection, unique[start : start + MOST_VALUES])
        return found

    def _read_cells(self, connection: Connection) -> None:
        wanted = (
            select(Notebook.id)
            .join(Assignment, Assignment.id == Notebook.assignment_id)
            .where(Assignment.name == self._assignment)
        )
        notebooks = select(Notebook.id, Notebook.name, Notebook.max_score)
        for number, name, maximum in connection.execute(notebooks.where(Notebook.id.in_(wanted))):
            self._notebooks[number] = (name, float(maximum))
        for kind in (GradeCell, TaskCell):
            cells = select(kind.id, kind.name, kind.max_score)
            for number, name, maximum in connection.execute(
                cells.where(kind.notebook_id.in_(wanted))
            ):
                self._cells[number] = (name, float(maximum or 0.0))
        for kind in (SolutionCell, TaskCell):
            cells = select(kind.id, kind.name)
            for number, name in connection.execute(cells.where(kind.notebook_id.in_(wanted))):
                self._cells.setdefault(number, (name, 0.0))

    def _read(
        self, connection: Connection, students: Sequence[str]
    ) -> dict[tuple[str, str], Standing]:
        submitted: dict[str, tuple[str, str, float | None]] = {}
        query = (
            select(
                SubmittedNotebook.id,
                SubmittedAssignment.student_id,
                SubmittedNotebook.notebook_id,
                SubmittedNotebook.late_submission_penalty,
            )
            .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
            .where(SubmittedAssignment.student_id.in_(students))
            .where(SubmittedNotebook.notebook_id.in_(list(self._notebooks)))
        )
        for number, student, notebook, penalty in connection.execute(query):
            submitted[number] = (student, notebook, penalty)
        scores: dict[str, dict[str, tuple[float, float]]] = {}
        comments: dict[str, dict[str, str | None]] = {}
        for row in self._rows(connection, Grade, Grade.score, list(submitted)):
            name, maximum = self._cells.get(row[1], ("", 0.0))
            scores.setdefault(row[0], {})[name] = (float(row[2]), maximum)
        for row in self._rows(connection, Comment, Comment.comment, list(submitted)):
            name, _ = self._cells.get(row[1], ("", 0.0))
            comments.setdefault(row[0], {})[name] = row[2]
        standings: dict[tuple[str, str], Standing] = {}
        for number, (student, notebook, penalty) in submitted.items():
            name, maximum = self._notebooks[notebook]
            mine = scores.get(number, {})
            standings[student, name] = Standing(
                sum(points for points, _ in mine.values()),
                maximum,
                mine,
                comments.get(number, {}),
                penalty,
            )
        return standings

    def _rows(
        self, connection: Connection, model: Any, value: Any, submitted: Sequence[str]
    ) -> list[Any]:
        query = select(model.notebook_id, model.cell_id, value)
        rows: list[Any] = []
        for start in range(0, len(submitted), MOST_VALUES):
            part = submitted[start : start + MOST_VALUES]
            rows += connection.execute(query.where(model.notebook_id.in_(part))).all()
        return rows
