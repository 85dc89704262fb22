"""Grade a class: every submission by itself, so that none stops or changes another."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autograder.course import CourseFolder
from autograder.files import remove_unfinished, replace_folder, require_writable
from autograder.grading.engine import Engine
from autograder.grading.gradebook import Gradebook
from autograder.grading.isolated.walls import APART, LIMITED
from autograder.grading.ledger import Entry, Ledger
from autograder.grading.marking import Marked, Marker, Marks, Sheet, Work, portable
from autograder.grading.pool import MakeExecutor, mark_all, processes
from autograder.grading.results import Result, Unreadable
from autograder.grading.submissions import (
    Submission,
    UnreadableError,
    files_beside,
    find_submissions,
    read_timestamp,
)

Record = Callable[[Sequence[Result | Unreadable]], None]


@dataclass(frozen=True)
class Saved:
    """A submission whose points are in the gradebook: its executed notebooks, by name."""

    student: str
    assignment: str
    notebooks: Mapping[str, bytes | UnreadableError]


Hand = Callable[[Sequence[Saved]], None]


@dataclass
class Grading:
    """What came of grading a class, beside the records: how many, and how."""

    graded: int = 0
    skipped: int = 0
    # How many notebooks were executed in which way; see ``Executed``.
    ways: Counter[str] = field(default_factory=Counter)
    layers: list[dict[str, Any]] = field(default_factory=list)


def grade_class(
    course: CourseFolder,
    names: Sequence[str],
    engine: Engine,
    record: Record,
    *,
    submitted: Path | None = None,
    gradebook: str | None = None,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    executor: MakeExecutor = processes,
    saved: Hand = lambda batch: None,
) -> Grading:
    """Grade the submissions of ``names`` into the gradebook and ``autograded/``.

    ``record`` gets the results of each submission, in the order of the class, as they come.
    ``saved`` gets what was graded, in the order in which it is saved.
    ``progress`` is told how many of how many are done. What is not newer than its graded version
    is not executed again unless ``force``. Raises ``UserError`` for input that cannot be used.
    """
    submissions = find_submissions(submitted or course.root / "submitted", names)
    require_writable(course.root / "autograded")
    remove_unfinished(course.root / "autograded")
    book = Gradebook.open(course, gradebook)
    sheets = {(s.assignment, s.name): s for name in names for s in book.enter(name)}
    with _Class(course, book, sheets, submissions, force) as run:
        marker = Marker(sheets, engine, portable(book.config))
        progress(0, len(submissions))
        for chunk in mark_all(marker, run.works(), workers, executor):
            run.finish(chunk, record)
            saved(run.saved(chunk))
            progress(run.done, len(submissions))
    return replace(run.grading, layers=list(_held(engine.layers(), run.grading.ways)))


def _held(layers: Sequence[dict[str, Any]], ways: Counter[str]) -> Iterator[dict[str, Any]]:
    """``layers``, each in force only where it was so for every notebook."""
    for layer in layers:
        name = layer["layer"]
        lost = (ways["kernel"] and name in APART) or (ways["unconfined"] and name != LIMITED)
        yield layer | {"in_force": bool(layer["in_force"] and not lost)}


class _Class:
    """The steps before and after the workers, in the process that owns the gradebook."""

    def __init__(
        self,
        course: CourseFolder,
        book: Gradebook,
        sheets: Mapping[tuple[str, str], Sheet],
        submissions: Sequence[Submission],
        force: bool,
    ) -> None:
        self._course = course
        self._book = book
        self._sheets = sheets
        self._submissions = submissions
        self._force = force
        self._ledgers = {a: book.ledger(a) for a in dict.fromkeys(a for a, _ in sheets)}
        self._written = {a: ledger.students() for a, ledger in self._ledgers.items()}
        self._given = {a: files_beside(course.source / a) for a in self._ledgers}
        self._skipped: set[int] = set()
        # Results that wait for those of an earlier submission.
        self._early: dict[int, list[Result | Unreadable]] = {}
        self._next = 0
        self.done = 0
        self.grading = Grading()

    def __enter__(self) -> _Class:
        return self

    def __exit__(self, *error: object) -> None:
        for ledger in self._ledgers.values():
            ledger.close()

    def works(self) -> Iterator[Work]:
        """What the workers get, one submission after another."""
        for number, submission in enumerate(self._submissions):
            names = [n for a, n in self._sheets if a == submission.assignment]
            graded = self._graded_folder(submission)
            if not self._force and self._is_up_to_date(submission, graded, names):
                self._skipped.add(number)
                done = replace(submission, folder=graded)
                notebooks = {name: done.read(name) for name in names}
                yield Work(number, submission.assignment, notebooks, graded=True)
                continue
            files = submission.files() | self._given[submission.assignment]
            notebooks = {name: submission.read(name) for name in names}
            yield Work(number, submission.assignment, notebooks, files)

    def finish(self, chunk: Sequence[Marked], record: Record) -> None:
        """Save what a chunk earned: the gradebook first, then the files that say it is done."""
        entries: dict[Ledger, list[Entry]] = {}
        for marked in chunk:
            submission = self._submissions[marked.number]
            read = [marks for marks in marked.marks if marks.reason is None]
            if marked.number not in self._skipped and read:
                missing = [marks.name for marks in marked.marks if marks.reason is not None]
                entry = Entry(submission.student, submission.timestamp(), read, missing)
                entries.setdefault(self._ledgers[submission.assignment], []).append(entry)
        for ledger, mine in entries.items():
            self._book.write(ledger, mine)
        for marked in chunk:
            submission = self._submissions[marked.number]
            if marked.number in self._skipped:
                self.grading.skipped += 1
            else:
                self._write(submission, marked.marks)
                self.grading.graded += 1
                self.grading.ways.update(m.way for m in marked.marks if m.reason is None)
            self._early[marked.number] = list(self._results(submission, marked.marks))
            self.done += 1
        while self._next in self._early:
            record(self._early.pop(self._next))
            self._next += 1

    def saved(self, chunk: Sequence[Marked]) -> list[Saved]:
        """The notebooks of a finished chunk; of what was graded before, as it was saved then."""
        batch: list[Saved] = []
        for marked in chunk:
            submission = self._submissions[marked.number]
            done = replace(submission, folder=self._graded_folder(submission))
            old = marked.number in self._skipped
            notebooks = {
                m.name: done.read(m.name) if old else m.text for m in marked.marks if not m.reason
            }
            batch.append(Saved(submission.student, submission.assignment, notebooks))
        return batch

    def _results(
        self, submission: Submission, marks: Sequence[Marks]
    ) -> Iterator[Result | Unreadable]:
        student, assignment = submission.student, submission.assignment
        for each in marks:
            if each.reason is None:
                for result in each.results:
                    yield replace(result, student=student, assignment=assignment)
            else:
                maximum = self._sheets[assignment, each.name].max_points
                yield Unreadable(student, each.name, maximum, each.reason, assignment)

    def _write(self, submission: Submission, marks: Sequence[Marks]) -> None:
        folder = self._graded_folder(submission)
        read = {f"{m.name}.ipynb": m.text for m in marks if m.reason is None}
        if read:
            replace_folder(folder, submission.files() | self._given[submission.assignment] | read)
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def _graded_folder(self, submission: Submission) -> Path:
        return self._course.root / "autograded" / submission.student / submission.assignment

    def _is_up_to_date(self, submission: Submission, graded: Path, names: Sequence[str]) -> bool:
        """nbgrader's rule: there is a graded version, and the submission is not newer."""
        if submission.student not in self._written[submission.assignment]:
            return False
        for name in names:
            there = (graded / f"{name}.ipynb").is_file()
            if not there and not isinstance(submission.read(name), UnreadableError):
                return False
        if not any((graded / f"{name}.ipynb").is_file() for name in names):
            return False
        new, old = submission.timestamp(), read_timestamp(graded)
        return not (new is not None and old is not None and new > old)
