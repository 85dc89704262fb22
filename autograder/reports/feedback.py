"""Feedback pages of a class: nbgrader's own, made by workers, written whole or not at all."""

from __future__ import annotations

import html
import itertools
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass, field
from pathlib import Path

from traitlets.config import Config

from autograder.course import CourseFolder
from autograder.errors import UserError
from autograder.files import require_writable, write_whole
from autograder.grading.grade import Saved
from autograder.grading.gradebook import Gradebook
from autograder.grading.pool import AHEAD, MakeExecutor, end_with, processes
from autograder.grading.results import Unreadable
from autograder.grading.standings import Standings
from autograder.grading.submissions import UnreadableError, read_bytes
from autograder.reports.page import Page, PageJob, make_pages

READABLE = 0o644
# Pages that a worker takes at a time, students that are read from the gradebook at a time, and
# sentences about pages that could not be made.
CHUNK = 4
BATCH = 16
MOST_PROBLEMS = 50
PRIVATE = ("CourseDirectory", "Exchange")
ENDED = "It ended the process that made its page."
NOT_GRADED = "The gradebook has no such submission."
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{notebook}</title></head>
<body style="font-family: sans-serif; max-width: 40em; margin: 3em auto;">
<h1>{notebook} (Score: 0 / {maximum:g})</h1>
<p>This submission could not be graded. {reason}</p>
<p>Open the file in JupyterLab, save it again, and hand it in once more.</p>
</body>
</html>
"""


def page_processes(workers: int) -> Executor:
    """Worker processes on this machine, which start with all that is imported here if they can.

    Importing takes as long as a hundred pages. A process in which no thread of Python's can hold a
    lock may be forked (those of NumPy sleep, and are ended and started again around a fork); where
    there are more, workers come from a server that has none.
    """
    methods = multiprocessing.get_all_start_methods()
    if "fork" in methods and sys.platform != "darwin" and threading.active_count() == 1:
        return _pool(workers, "fork")
    if "forkserver" not in methods:
        return processes(workers)
    # A worker imports the main program too, wherever that is this package's command.
    wanted = ("autograder.reports.page", "autograder.cli")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in wanted if name in sys.modules])
    return _pool(workers, "forkserver")


def _pool(workers: int, method: str) -> Executor:
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=end_with, initargs=(os.getpid(),)
    )


@dataclass
class Written:
    """How many pages were written and how many were not, with the first reasons."""

    pages: int = 0
    failed: int = 0
    # "student/notebook: sentence"
    problems: list[str] = field(default_factory=list)

    def fail(self, place: str, reason: str) -> None:
        """One page that is not there."""
        self.failed += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(f"{place}: {reason}")


class FeedbackWriter:
    """Makes the pages of graded submissions as they come, a bounded number under way.

    The gradebook stays in this process: a worker gets a notebook and what is known about it.
    ``__enter__`` raises ``UserError`` when the folder or the gradebook cannot be used.
    """

    def __init__(
        self,
        course: CourseFolder,
        gradebook: str | None = None,
        workers: int = 1,
        executor: MakeExecutor = page_processes,
    ) -> None:
        self._folder = course.root / "feedback"
        self._course = course
        self._url = gradebook
        self._workers = workers
        self._make = executor
        self._pool: Executor | None = None
        self._standings: dict[str, Standings] = {}
        self._jobs: list[PageJob] = []
        self._waiting: dict[Future[list[Page]], list[PageJob]] = {}
        # Where each page that is under way belongs: student, assignment, notebook.
        self._places: dict[int, tuple[str, str, str]] = {}
        self._numbers = itertools.count()
        self.written = Written()

    def __enter__(self) -> FeedbackWriter:
        require_writable(self._folder)
        self._book = Gradebook.open(self._course, self._url)
        # Where the gradebook lies, a worker need not know.
        self._config = Config({k: v for k, v in self._book.config.items() if k not in PRIVATE})
        # Before a student is read: a forked worker knows what this process knows.
        self._pool = self._make(self._workers)
        self._pool.submit(make_pages, self._config, [])
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self._submit()
                while self._waiting:
                    self._collect()
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
            for standings in self._standings.values():
                standings.close()

    def add(self, batch: Sequence[Saved]) -> None:
        """Make the pages of ``batch``. Raises ``UserError`` when the gradebook cannot be read."""
        for assignment in dict.fromkeys(saved.assignment for saved in batch):
            mine = [saved for saved in batch if saved.assignment == assignment]
            known = self._book.read(self._of(assignment), [saved.student for saved in mine])
            for saved in mine:
                for name, data in saved.notebooks.items():
                    place = (saved.student, assignment, name)
                    standing = known.get((saved.student, name))
                    if standing is None:
                        self._fail(place, NOT_GRADED)
                    elif isinstance(data, UnreadableError):
                        self._fail(place, str(data))
                    else:
                        number = next(self._numbers)
                        self._places[number] = place
                        self._jobs.append(PageJob(number, name, data, standing))
                        if len(self._jobs) >= CHUNK:
                            self._submit()

    def _of(self, assignment: str) -> Standings:
        if assignment not in self._standings:
            self._standings[assignment] = self._book.standings(assignment)
        return self._standings[assignment]

    def _submit(self) -> None:
        """Hand the jobs that wait to a worker; wait while enough are under way."""
        jobs, self._jobs = self._jobs, []
        if not jobs:
            return
        while len(self._waiting) >= self._workers * AHEAD:
            self._collect()
        if self._pool is None:
            self._pool = self._make(self._workers)
        try:
            self._waiting[self._pool.submit(make_pages, self._config, jobs)] = jobs
        except BrokenExecutor:
            self._recover(jobs)

    def _collect(self) -> None:
        """Write the pages of the chunks that have ended."""
        done, _ = wait(self._waiting, return_when=FIRST_COMPLETED)
        broken: list[PageJob] = []
        for future in done:
            jobs = self._waiting.pop(future)
            try:
                for page in future.result():
                    self._write(page)
            except BrokenExecutor:
                broken += jobs
        if broken:
            self._recover(broken)

    def _recover(self, jobs: Sequence[PageJob]) -> None:
        """One page ended its worker, and with it the whole pool. Each that is left gets its own."""
        left = [*jobs, *itertools.chain.from_iterable(self._waiting.values())]
        self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        for job in left:
            with self._make(1) as pool:
                try:
                    (page,) = pool.submit(make_pages, self._config, [job]).result()
                except BrokenExecutor:
                    page = Page(job.number, reason=ENDED)
            self._write(page)

    def _write(self, page: Page) -> None:
        place = self._places.pop(page.number)
        if page.reason is not None:
            self._fail(place, page.reason)
            return
        student, assignment, name = place
        _write(self._folder / student / assignment / f"{name}.html", page.data)
        self.written.pages += 1

    def _fail(self, place: tuple[str, str, str], reason: str) -> None:
        student, _, name = place
        self.written.fail(f"{student}/{name}", reason)


def write_feedback(
    course: CourseFolder,
    names: Sequence[str],
    gradebook: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    workers: int = 1,
    executor: MakeExecutor = page_processes,
) -> Written:
    """Write ``feedback/<student>/<assignment>/<name>.html`` for all that is graded of ``names``.

    Reads ``autograded/`` and the gradebook. Raises ``UserError`` when nothing is graded, or the
    gradebook or the folder cannot be used.
    """
    found = [(name, folder) for name in names for folder in _graded(course, name)]
    if not found:
        raise UserError(
            f"{course.root / 'autograded'} holds no graded submission of {', '.join(names)}; "
            "run autograder grade first."
        )
    with FeedbackWriter(course, gradebook, workers, executor) as writer:
        for start in range(0, len(found), BATCH):
            progress(start, len(found))
            # Returns when the workers are nearly done with it: no more of a class is in memory.
            writer.add([_read(course, *place) for place in found[start : start + BATCH]])
    progress(len(found), len(found))
    return writer.written


def write_reason(course: CourseFolder, submission: Unreadable) -> Path:
    """A page for a submission that could not be graded: the reason, and what to do."""
    body = PAGE.format(
        notebook=html.escape(submission.notebook),
        maximum=submission.max_points,
        reason=html.escape(submission.status),
    )
    name, assignment = submission.notebook, submission.assignment or submission.notebook
    path = course.root / "feedback" / submission.student / assignment / f"{name}.html"
    _write(path, body.encode())
    return path


def _graded(course: CourseFolder, assignment: str) -> list[Path]:
    """The folders in ``autograded/`` that hold a notebook of ``assignment``, by student."""
    folders = (course.root / "autograded").glob(f"*/{assignment}")
    return sorted(folder for folder in folders if any(folder.glob("*.ipynb")))


def _read(course: CourseFolder, assignment: str, folder: Path) -> Saved:
    there = [n for n in course.notebooks(assignment) if (folder / f"{n}.ipynb").exists()]
    notebooks = {name: read_bytes(folder / f"{name}.ipynb") for name in there}
    return Saved(folder.parent.name, assignment, notebooks)


def _write(path: Path, data: bytes) -> None:
    write_whole(path, data)
    os.chmod(path, READABLE)
