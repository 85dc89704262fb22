"""The command ``autograder``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from autograder.course import CourseFolder, commands, nbgrader_config
from autograder.errors import UserError
from autograder.files import require_writable
from autograder.grading.engine import Engine, KernelEngine, Limits
from autograder.grading.grade import Grading, grade_class
from autograder.grading.isolated.engine import IsolatedEngine
from autograder.grading.isolated.plan import Plan, plan_for
from autograder.grading.isolated.walls import Walls
from autograder.grading.isolated.warmth import Preload
from autograder.grading.jupyter.engine import ConfinedKernelEngine
from autograder.grading.marking import portable
from autograder.grading.results import Result, Unreadable
from autograder.reports import (
    ClassTable,
    RecordFile,
    progress_table,
    write_feedback,
    write_reason,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Notebooks that teach back-propagation: build them, prove them, check and grade them.",
)
app.command("build")(commands.build)
app.command("validate")(commands.validate)

Names = commands.Names
Course = commands.Course
GradebookUrl = Annotated[
    str | None, typer.Option(help="URL of the gradebook; sqlite:///gradebook.db of the course.")
]
Seconds = Annotated[float | None, typer.Option(min=0.1, help="Seconds a cell may take.")]

MEGA = 10**6
MEMORY_MB = Limits.memory_bytes >> 20
FILE_MB = Limits.file_bytes // MEGA
OUTPUT_MB = Limits.output_bytes // MEGA
# What the warm processes have imported before a notebook comes.
PRELOAD = Preload(
    student=(
        "numpy",
        "matplotlib.pyplot",
        "IPython.core.formatters",
        "autograder.checks.calling",
        "autograder.pictures",
    ),
    judge=("numpy", "autograder.checks"),
    calls=(("autograder.checks.reference", "warm_up"),),
    judge_calls=(
        ("autograder.mistakes", "all_mistakes"),
        ("autograder.checks.memory", "remember"),
    ),
)
WAYS = {
    "apart": "with the student's code in a process of its own, apart from the tests",
    "kernel": "in a kernel that the student's code shares with the tests",
    "unconfined": "in a kernel that the tests share with student code that may do all you may do",
}


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"autograder: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # A full disk, or a folder that nobody thought would be closed.
        place = error.filename or "A file"
        print(f"autograder: {place} cannot be used: {error.strerror or error}.", file=sys.stderr)
        sys.exit(2)


@app.command()
def check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, a file ending in .ipynb.")],
    timeout: Seconds = None,
) -> None:
    """Run your notebook and show your progress, without a gradebook."""
    from autograder.grading.check import check_notebook

    limits = Limits(cell_seconds=timeout or Limits.cell_seconds)
    results = check_notebook(notebook, limits)
    console().print(progress_table(results))
    points = sum(result.points or 0.0 for result in results)
    maximum = sum(result.max_points for result in results)
    print(f"{points:g} of {maximum:g} points on the visible checks.")
    if any(result.status not in ("passed", "manual") for result in results):
        raise typer.Exit(1)


@app.command()
def grade(
    names: Names = None,
    submitted: Annotated[
        Path | None, typer.Option(help="Folder of <student>/<notebook>/<notebook>.ipynb.")
    ] = None,
    gradebook: GradebookUrl = None,
    workers: Annotated[int, typer.Option(min=1, help="Notebooks at the same time.")] = 2,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write one record for each test cell.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Grade again what was graded before.")] = False,
    feedback: Annotated[bool, typer.Option(help="Write feedback pages too.")] = False,
    every_cell: Annotated[
        bool, typer.Option(help="Run also cells without points that nobody changed: pictures.")
    ] = False,
    unconfined: Annotated[
        bool, typer.Option(help="Grade also where this machine cannot confine student code.")
    ] = False,
    timeout: Seconds = None,
    notebook_seconds: Annotated[
        float, typer.Option(min=1, help="Seconds a notebook may take.")
    ] = Limits.notebook_seconds,
    cpu_seconds: Annotated[
        float, typer.Option(min=1, help="Seconds of processor time a notebook may take.")
    ] = Limits.cpu_seconds,
    memory_mb: Annotated[int, typer.Option(min=64, help="Memory of a notebook.")] = MEMORY_MB,
    processes: Annotated[
        int, typer.Option(min=0, help="Processes that a notebook may start.")
    ] = Limits.processes,
    open_files: Annotated[
        int, typer.Option(min=16, help="Files a notebook may have open.")
    ] = Limits.files,
    file_mb: Annotated[int, typer.Option(min=1, help="Size of a file it may write.")] = FILE_MB,
    output_mb: Annotated[int, typer.Option(min=1, help="What a cell may print.")] = OUTPUT_MB,
    course: Course = Path(),
) -> None:
    """Grade a class into nbgrader's gradebook."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select_assignments(names or [])
    if json_file is not None:
        require_file(json_file)
    limits = Limits(
        cell_seconds=timeout or configured_seconds(folder),
        notebook_seconds=notebook_seconds,
        cpu_seconds=cpu_seconds,
        memory_bytes=memory_mb << 20,
        processes=processes,
        files=open_files,
        file_bytes=file_mb * MEGA,
        output_bytes=output_mb * MEGA,
    )
    engine = course_engine(folder, wanted, limits, every_cell=every_cell, unconfined=unconfined)
    grade_and_report(
        folder,
        wanted,
        engine,
        json_file=json_file,
        feedback=feedback,
        submitted=submitted,
        gradebook=gradebook,
        workers=workers,
        force=force,
    )


def grade_and_report(
    folder: CourseFolder,
    names: list[str],
    engine: Engine,
    *,
    json_file: Path | None = None,
    feedback: bool = False,
    gradebook: str | None = None,
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
        with bar("grading") as progress:
            grading = grade_class(
                folder, names, engine, record, gradebook=gradebook, progress=progress, **options
            )
        if records is not None:
            records.finish(grading.layers)
    finally:
        if records is not None:
            records.discard()
    if feedback:
        with bar("feedback") as progress:
            write_feedback(folder, names, gradebook, progress)
    console().print(table.rich())
    for sentence in table.more(), *how(grading):
        if sentence:
            print(sentence)


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


@app.command()
def feedback(names: Names = None, gradebook: GradebookUrl = None, course: Course = Path()) -> None:
    """Write nbgrader's feedback page for every graded submission."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select_assignments(names or [])
    if not (folder.root / "autograded").is_dir():
        raise UserError(f"{folder.root} has no folder autograded/; run autograder grade first.")
    with bar("feedback") as progress:
        pages = write_feedback(folder, wanted, gradebook, progress)
    print(f"{len(pages)} pages in {folder.root / 'feedback'}.")


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="A folder for the sample class.")] = Path(
        "demo"
    ),
    workers: Annotated[int, typer.Option(min=1, help="Notebooks at the same time.")] = 2,
    course: Course = Path(),
) -> None:
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


def console() -> Console:
    """Standard output; wide enough for a table when it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 120)


def require_file(path: Path) -> None:
    """Raise ``UserError`` when ``path`` cannot become a file."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file.")
    require_writable(path.absolute().parent)


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
    )
    with shown:
        task = shown.add_task(title, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
