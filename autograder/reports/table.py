"""Tables for the terminal: a class for the instructor, one's own progress for a student."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.markup import escape
from rich.table import Table

from autograder.grading.results import Result, Unreadable

SHOWN = 2
MOST_ROWS = 300
# What the first line of a report says about an exercise that nobody began.
UNWRITTEN = ("not written yet", "is not defined")


@dataclass
class ClassTable:
    """A row for each student and notebook: points and what went wrong; of a large class, a part."""

    _rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    _others: int = 0

    def add(self, results: Sequence[Result | Unreadable]) -> None:
        """The results of one submission."""
        for notebook in dict.fromkeys(result.notebook for result in results):
            if len(self._rows) >= MOST_ROWS:
                self._others += 1
                continue
            mine = [result for result in results if result.notebook == notebook]
            cells = [result for result in mine if isinstance(result, Result)]
            points = sum(result.points or 0.0 for result in cells)
            maximum = sum(result.max_points for result in mine)
            wrong = [result.status for result in mine if isinstance(result, Unreadable)]
            said = escape("\n".join(wrong or what_went_wrong(cells)))
            assignment = mine[0].assignment
            place = notebook if assignment in ("", notebook) else f"{assignment}/{notebook}"
            row = (mine[0].student, place, f"{points:g} of {maximum:g}", said)
            self._rows.append(row)

    def rich(self) -> Table:
        """The table for the terminal."""
        table = Table("student", "notebook", "points", "what went wrong", show_lines=True)
        for row in self._rows:
            table.add_row(*row)
        return table

    def more(self) -> str:
        """A sentence about the rows that are not shown, or nothing."""
        if not self._others:
            return ""
        return f"And {self._others} more notebooks; --json writes the records of all."


def what_went_wrong(results: Sequence[Result]) -> list[str]:
    """A few lines about one submission: the first mistakes, and how many more there are."""
    wrong = [result for result in results if result.status not in ("passed", "manual")]
    begun = [r for r in wrong if not (r.status == "failed" and _unwritten(r))]
    lines = [_line(result) for result in begun[:SHOWN]]
    more = Counter(result.status for result in begun[SHOWN:])
    if more:
        lines.append("and " + ", ".join(f"{count} more {status}" for status, count in more.items()))
    unwritten = len(wrong) - len(begun)
    if unwritten:
        lines.append(f"{unwritten} of {len(results)} not written yet")
    waiting = sum(result.status == "manual" for result in results)
    if waiting:
        lines.append(f"{waiting} to grade by hand")
    return lines or ["-"]


def progress_table(results: Sequence[Result]) -> Table:
    """A row for each exercise of one's own notebook."""
    table = Table("exercise", "points", "what to look at")
    for result in results:
        points = f"{result.points or 0.0:g} of {result.max_points:g}"
        if result.status == "manual":
            points = f"{result.max_points:g} by hand"
        said = "visible checks passed" if result.status == "passed" else result.message
        table.add_row(_exercise(result), points, escape(said))
    return table


def _unwritten(result: Result) -> bool:
    return any(words in result.message for words in UNWRITTEN)


def _exercise(result: Result) -> str:
    return result.cell.removesuffix("-check")


def _line(result: Result) -> str:
    name = _exercise(result)
    text = result.message
    if result.diagnosis:
        return f"{name}: {text} [{result.diagnosis}]"
    return text if text.startswith(name) else f"{name}: {text}"
