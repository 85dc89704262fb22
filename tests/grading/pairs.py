"""One class in two folders: one for stock nbgrader, one for this program."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.grading.conftest import run

GRADES = """
select sa.student_id, a.name, n.name, c.name,
       g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade
from grade g join base_cell c on c.id = g.cell_id
join submitted_notebook sn on sn.id = g.notebook_id join notebook n on n.id = sn.notebook_id
join submitted_assignment sa on sa.id = sn.assignment_id
join assignment a on a.id = sa.assignment_id
"""
COMMENTS = """
select sa.student_id, a.name, n.name, c.name, m.auto_comment, m.manual_comment
from comment m join base_cell c on c.id = m.cell_id
join submitted_notebook sn on sn.id = m.notebook_id join notebook n on n.id = sn.notebook_id
join submitted_assignment sa on sa.id = sn.assignment_id
join assignment a on a.id = sa.assignment_id
"""
PENALTIES = """
select sa.student_id, a.name, n.name, sn.late_submission_penalty, sa.timestamp
from submitted_notebook sn join notebook n on n.id = sn.notebook_id
join submitted_assignment sa on sa.id = sn.assignment_id
join assignment a on a.id = sa.assignment_id
"""

Rows = dict[tuple[str, ...], tuple[Any, ...]]


@dataclass
class Pair:
    """The same course twice."""

    stock: Path
    ours: Path
    records: Path

    @classmethod
    def of(cls, course: Path, folder: Path) -> Pair:
        """Two copies of ``course`` in ``folder``."""
        pair = cls(folder / "stock", folder / "ours", folder / "out.json")
        for copy in (pair.stock, pair.ours):
            shutil.copytree(course, copy)
        return pair

    def grade(self, assignment: str, *words: str) -> tuple[str, str]:
        """Grade in both; what the commands said."""
        theirs = run("nbgrader", "autograde", assignment, *words, cwd=self.stock)
        assert theirs.returncode == 0, theirs.stderr[-3000:]
        force = [word for word in words if word == "--force"]
        ours = run("autograder", "grade", assignment, *force, "--json", self.records, cwd=self.ours)
        assert ours.returncode == 0, ours.stderr[-3000:]
        return theirs.stderr, ours.stdout

    def statements(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """What an instructor does in the formgrader, in both gradebooks."""
        for folder in (self.stock, self.ours):
            with sqlite3.connect(folder / "gradebook.db") as book:
                for statement, values in statements:
                    assert book.execute(statement, values).rowcount > 0, statement
            book.close()

    def rows(self, query: str, keys: int) -> tuple[Rows, Rows]:
        """The rows of both gradebooks, by their first ``keys`` columns."""
        return _rows(self.stock, query, keys), _rows(self.ours, query, keys)

    def results(self) -> list[dict[str, Any]]:
        """The records of the last run of ours."""
        found: list[dict[str, Any]] = json.loads(self.records.read_text())["results"]
        return found

    def require_equal(self, but: set[tuple[str, str]] = frozenset()) -> None:  # type: ignore[assignment]
        """Both gradebooks say the same, but for the grades of these (student, cell)."""
        for query, keys in ((GRADES, 4), (COMMENTS, 4), (PENALTIES, 3)):
            stock, ours = self.rows(query, keys)
            assert stock
            assert stock.keys() == ours.keys()
            different = {
                key: (stock[key], ours[key])
                for key in stock
                if stock[key] != ours[key] and (key[0], key[-1]) not in but
            }
            assert not different


def _rows(folder: Path, query: str, keys: int) -> Rows:
    with sqlite3.connect(folder / "gradebook.db") as book:
        found = {tuple(row[:keys]): tuple(row[keys:]) for row in book.execute(query)}
    book.close()
    return found
