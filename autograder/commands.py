"""What the commands that need nbgrader do: ``grade``, ``feedback`` and ``demo``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from autograder.course import CourseFolder, nbgrader_config
from autograder.errors import UserError
from autograder.files import require_writable
from autograder.grading.engine import Engine, KernelEngine
from autograder.grading.grade import Grading, grade_class
from autograder.grading.isolated.engine import IsolatedEngine
from autograder.grading.isolated.launch import Launch
from autograder.grading.isolated.plan import Plan, plan_for
from autograder.grading.isolated.walls import Walls
from autograder.grading.jupyter.engine import ConfinedKernelEngine
from autograder.grading.limits import Limits
from autograder.grading.marking import portable
from autograder.grading.pool import Workers
from autograder.grading.results import Result, Unreadable
from autograder.preload import PRELOAD
from autograder.reports.feedback import FeedbackWriter, Written, write_feedback, write_reason
from autograder.reports.records import RecordFile
from autograder.reports.table import ClassTable
from autograder.terminal import bar, console

WAYS = {
    "apart": "with the student's code in a process of its own, apart from the tests",
    "kernel": "in a kernel that the student's code shares with the tests",
    "unconfined": "in a kernel that the tests share with student code that may do all you may do",
}


def grade(
    course: Path,
    names: Sequence[str] | None,
    *,
    json_file: Path | None,
    limits: Mapping[str, Any],
    every_cell: bool,
    unconfined: bool,
    **options: Any,
) -> None:
    """Grade a class into nbgrader's gradebook."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select_assignments(names or [])
    if json_file is not None:
        require_file(json_file)
    chosen = dict(limits)
    chosen["cell_seconds"] = chosen["cell_seconds"] or configured_seconds(folder)
    bounds = Limits(**chosen)
    engine = course_engine(folder, wanted, bounds, every_cell=every_cell, unconfined=unconfined)
    grade_and_report(folder, wanted, engine, json_file=json_file, **options)


def feedback(
    course: Path, names: Sequence[str] | None, gradebook: str | None, workers: int
) -> bool:
    """Write nbgrader's page for every graded submission; False when not one could be made."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select_assignments(names or [])
    if not (folder.root / "autograded").is_dir():
        raise UserError(f"{folder.root} has no folder autograded/; run autograder grade first.")
    with bar("feedback") as progress:
        written = write_feedback(folder, wanted, gradebook, progress, workers=workers)
    say_what_failed(written)
    print(f"{written.pages} pages in {folder.root / 'feedback'}.")
    return bool(written.pages or not written.failed)


def say_what_failed(written: Written) -> None:
    """A sentence for each page that could not be made."""
    for problem in written.problems:
        print(f"autograder: no page for {problem}", file=sys.stderr)
    if more := written.failed - len(written.problems):
        print(f"autograder: {more} more pages could not be made.", file=sys.stderr)


def demo(course: Path, directory: Path, workers: int) -> None:
    """Make a sample class, grade it, write feedback pages, and show the table."""
    from autograder.demo import make_class

    folder = CourseFolder(course.resolve())
    made = make_class(folder, directory.absolute())
    names = made.names()
    engine = course_engine(made, names, Limits(cell_seconds=configured_seconds(made)))
    grade_and_report(made, names, engine, feedback=True, workers=workers, force=True)
    print(f"gradebook: {made.root / 'gradebook.db'}")
    print(f"feedback:  {made.root / 'feedback'}/<student>/<notebook>/<notebook>.html")
    print(f"The folder is a whole nbgrader course: cd {made.root} and run nbgrader there.")


def grade_and_report(
    folder: CourseFolder,
    names: list[str],
    engine: IsolatedEngine,
    *,
    json_file: Path | None = None,
    feedback: bool = False,
    gradebook: str | None = None,
    workers: int = 1,
    launch: Launch | None = None,
    **options: Any,
) -> None:
    """Grade, write records and pages, and show the table."""
    records = RecordFile(json_file.absolute()) if json_file is not None else None
    table = ClassTable()

    def record(results: Sequence[Result | Unreadable]) -> None:
        table.add(results)
        if records is not None:
            records.add(results)
        for result in results:
            if feedback and isinstance(result, Unreadable):
                write_reason(folder, result)

    try:
        with ExitStack() as stack:
            # Workers first, so that they hold nothing of what comes after.
            executor = stack.enter_context(Workers(workers))
            servers = stack.enter_context(contextlib.closing(engine.started(launch)))
            if feedback:
                writer = FeedbackWriter(folder, gradebook, workers)
                options["saved"] = stack.enter_context(writer).add
            progress = stack.enter_context(bar("grading"))
            grading = grade_class(
                folder,
                names,
                engine.served_by(servers),
                record,
                gradebook=gradebook,
                workers=workers,
                progress=progress,
                executor=executor,
                **options,
            )
        if records is not None:
            records.finish(grading.layers)
    finally:
        if records is not None:
            records.discard()
    console().print(table.rich())
    for sentence in table.more(), *how(grading):
        if sentence:
            print(sentence)
    if feedback:
        say_what_failed(writer.written)


def how(grading: Grading) -> Iterator[str]:
    """Sentences about what was executed, in which way, and behind which walls."""
    if grading.skipped:
        yield (
            f"{grading.skipped} submissions are not newer than their graded version and were "
            "not run again; --force runs them."
        )
    for way, count in sorted(grading.ways.items()):
        yield f"{count} notebooks were graded {WAYS[way]}."
    for words, there in (("In force", True), ("Not in force", False)):
        layers = [layer["layer"] for layer in grading.layers if layer["in_force"] is there]
        if layers:
            yield f"{words} while grading: {', '.join(layers)}."


def configured_seconds(course: CourseFolder) -> float:
    """How long a cell may take, as ``nbgrader_config.py`` says."""
    config = nbgrader_config(course)
    return float(config.get("Execute", {}).get("timeout", Limits.cell_seconds))


def course_engine(
    course: CourseFolder,
    names: Sequence[str],
    limits: Limits,
    *,
    every_cell: bool = False,
    unconfined: bool = False,
) -> IsolatedEngine:
    """The engine that grades these assignments on this machine."""
    config = portable(nbgrader_config(course))
    plans: dict[str, Plan] = {}
    for assignment in names:
        for name in course.notebooks(assignment):
            plan = plan_for(name, course.instructor_source(assignment, name))
            if plan is not None:
                plans[f"{assignment}/{name}"] = plan
    walls = Walls.of_this_machine(unconfined=unconfined)
    otherwise: Engine = (
        KernelEngine(limits, config) if unconfined else ConfinedKernelEngine(limits, config, walls)
    )
    return IsolatedEngine(plans, otherwise, limits, PRELOAD, walls, every_cell)


def require_file(path: Path) -> None:
    """Raise ``UserError`` when ``path`` cannot become a file."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file.")
    require_writable(path.absolute().parent)
