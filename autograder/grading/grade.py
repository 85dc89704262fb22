"""Grade a class: every submission by itself, so that none stops or changes another."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import NotebookNode
from nbgrader.preprocessors import IgnorePattern, LimitOutput

from autograder.course import CourseFolder
from autograder.errors import UserError
from autograder.files import require_writable, write_whole
from autograder.grading.engine import Engine, Job, NoKernelError
from autograder.grading.gradebook import Gradebook, GradedCell
from autograder.grading.results import Result, Unreadable, cell_results, make_gradable
from autograder.grading.submissions import (
    Submission,
    UnreadableError,
    files_beside,
    find_submissions,
    read_notebook,
    read_timestamp,
)

TIDY = (IgnorePattern, ClearMetadataPreprocessor, LimitOutput)
READ_ONLY = 0o444


@dataclass
class Grading:
    """What came of grading a class."""

    results: list[Result | Unreadable] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    skipped: int = 0

    def as_json(self) -> dict[str, Any]:
        """The contract of ``grade --json``."""
        return {
            "results": [result.as_json() for result in self.results],
            "layers": self.layers,
        }


def grade_class(
    course: CourseFolder,
    names: Sequence[str],
    engine: Engine,
    *,
    submitted: Path | None = None,
    gradebook: str | None = None,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Grading:
    """Grade the submissions of ``names`` into the gradebook and ``autograded/``.

    ``progress`` is told how many of how many are done. What is not newer than its graded version
    is skipped unless ``force``. Raises ``UserError`` for input that cannot be used.
    """
    submissions = find_submissions(submitted or course.root / "submitted", names)
    require_writable(course.root / "autograded")
    book = Gradebook.open(course, gradebook)
    for name in names:
        book.enter(name)
    grading = _Class(course, book, engine, force)
    waiting = {i: job for i, s in enumerate(submissions) if (job := grading.prepare(s)) is not None}
    total, done = len(submissions), len(submissions) - len(waiting)
    progress(done, total)
    for i, executed in execute_all(engine, waiting, workers):
        grading.finish(submissions[i], executed)
        done += 1
        progress(done, total)
    results = [result for s in submissions for result in grading.results[s]]
    return Grading(results, engine.layers(), grading.skipped)


def execute_all(
    engine: Engine, jobs: dict[int, Job], workers: int
) -> Iterator[tuple[int, NotebookNode | str]]:
    """Execute each job in a worker process; a sentence for a job that could not be executed."""
    left = dict(jobs)
    with _pool(workers) as pool:
        futures: dict[Future[NotebookNode], int] = {
            pool.submit(engine.execute, job): i for i, job in left.items()
        }
        for future in as_completed(futures):
            executed: NotebookNode | str
            try:
                executed = future.result()
            except BrokenExecutor:
                break
            except NoKernelError as error:
                executed = str(error)
            yield futures[future], executed
            del left[futures[future]]
    # A notebook ended its worker, and with it the whole pool. Each that is left gets its own.
    for i, job in left.items():
        with _pool(1) as pool:
            try:
                yield i, pool.submit(engine.execute, job).result()
            except BrokenExecutor:
                yield i, "It ended the process that graded it."
            except NoKernelError as error:
                yield i, str(error)


def _pool(workers: int) -> Executor:
    # Not forked: a fork of a process with threads may hang.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


class _Class:
    """The steps before and after execution, in the process that owns the gradebook."""

    def __init__(self, course: CourseFolder, book: Gradebook, engine: Engine, force: bool) -> None:
        self._course = course
        self._book = book
        self._engine = engine
        self._force = force
        self._cells: dict[str, list[GradedCell]] = {}
        self.results: dict[Submission, list[Result | Unreadable]] = {}
        self.skipped = 0

    def prepare(self, submission: Submission) -> Job | None:
        """The job of a submission; None when there is nothing to execute."""
        graded = self._graded_folder(submission)
        if not self._force and self._is_up_to_date(submission, graded):
            notebook = nbformat.read(graded / submission.path.name, as_version=4)
            self.results[submission] = list(self._cell_results(submission, notebook))
            self.skipped += 1
            return None
        try:
            notebook = submission.read(self._book.cell_names(submission.name))
            try:
                notebook = self._book.merge(notebook, submission.name)
            except UserError:
                raise  # the gradebook is at fault, not the submission
            except Exception as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise UnreadableError(f"Its nbgrader metadata is damaged: {reason}") from error
        except UnreadableError as error:
            self._give_up(submission, str(error))
            return None
        files = submission.files() | files_beside(self._course.source / submission.name)
        return Job(notebook, files)

    def finish(self, submission: Submission, executed: NotebookNode | str) -> None:
        """Save what an executed notebook earned, or why it was not executed."""
        if isinstance(executed, str):
            self._give_up(submission, executed)
            return
        notebook = executed
        for step in TIDY:
            # Called, not run by .preprocess(): as in nbgrader, a disabled step does nothing.
            notebook, _ = step(config=self._book.config)(notebook, {})
        make_gradable(notebook)
        self._book.start_submission(submission.student, submission.name, submission.timestamp())
        self._book.save(notebook, submission.name, submission.student)
        self._write(submission, notebook)
        self.results[submission] = list(self._cell_results(submission, notebook))

    def _write(self, submission: Submission, executed: NotebookNode) -> None:
        folder = self._graded_folder(submission)
        shutil.rmtree(folder, ignore_errors=True)
        files = submission.files() | files_beside(self._course.source / submission.name)
        files[submission.path.name] = (nbformat.writes(executed) + "\n").encode()
        for name, data in files.items():
            write_whole(folder / name, data)
            os.chmod(folder / name, READ_ONLY)

    def _give_up(self, submission: Submission, reason: str) -> None:
        shutil.rmtree(self._graded_folder(submission), ignore_errors=True)
        maximum = sum(cell.max_points for cell in self._graded_cells(submission.name))
        self.results[submission] = [
            Unreadable(submission.student, submission.name, maximum, reason)
        ]

    def _graded_folder(self, submission: Submission) -> Path:
        return self._course.root / "autograded" / submission.student / submission.name

    def _is_up_to_date(self, submission: Submission, graded: Path) -> bool:
        """nbgrader's rule: there is a graded version, and the submission is not newer."""
        try:
            read_notebook(graded / submission.path.name)
        except UnreadableError:
            return False
        new, old = submission.timestamp(), read_timestamp(graded)
        return not (new is not None and old is not None and new > old)

    def _graded_cells(self, name: str) -> list[GradedCell]:
        if name not in self._cells:
            self._cells[name] = self._book.graded_cells(name)
        return self._cells[name]

    def _cell_results(self, submission: Submission, notebook: NotebookNode) -> list[Result]:
        cells = self._graded_cells(submission.name)
        return cell_results(submission.student, submission.name, notebook, cells)
