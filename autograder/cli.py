"""The command ``autograder``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from autograder.course import CourseFolder, commands, nbgrader_config
from autograder.errors import UserError
from autograder.files import require_writable, write_whole
from autograder.grading import KernelEngine, Limits, Unreadable, grade_class
from autograder.reports import class_table, progress_table, write_feedback, write_reason

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
    timeout: Seconds = None,
    course: Course = Path(),
) -> None:
    """Grade a class into nbgrader's gradebook."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select(names or [])
    if json_file is not None:
        require_file(json_file)
    with bar("grading") as progress:
        grading = grade_class(
            folder,
            wanted,
            kernel_engine(folder, timeout),
            submitted=submitted,
            gradebook=gradebook,
            workers=workers,
            force=force,
            progress=progress,
        )
    if json_file is not None:
        data = json.dumps(grading.as_json(), indent=2, allow_nan=False)
        write_whole(json_file.absolute(), (data + "\n").encode())
    if feedback:
        with bar("feedback") as progress:
            write_feedback(folder, wanted, gradebook, progress)
        for result in grading.results:
            if isinstance(result, Unreadable):
                write_reason(folder, result)
    console().print(class_table(grading.results))
    if grading.skipped:
        print(
            f"{grading.skipped} submissions are not newer than their graded version and were "
            "not run again; --force runs them."
        )
    missing = [layer["layer"] for layer in grading.layers if not layer["in_force"]]
    if missing:
        print(f"Not in force while grading: {'; '.join(missing)}.")


@app.command()
def feedback(names: Names = None, gradebook: GradebookUrl = None, course: Course = Path()) -> None:
    """Write nbgrader's feedback page for every graded submission."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select(names or [])
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
    with bar("grading") as progress:
        grading = grade_class(
            made, names, kernel_engine(made), workers=workers, force=True, progress=progress
        )
    with bar("feedback") as progress:
        write_feedback(made, names, progress=progress)
    for result in grading.results:
        if isinstance(result, Unreadable):
            write_reason(made, result)
    console().print(class_table(grading.results))
    print(f"gradebook: {made.root / 'gradebook.db'}")
    print(f"feedback:  {made.root / 'feedback'}/<student>/<notebook>/<notebook>.html")
    print(f"The folder is a whole nbgrader course: cd {made.root} and run nbgrader there.")


def kernel_engine(course: CourseFolder, cell_seconds: float | None = None) -> KernelEngine:
    """The engine with the limits of ``nbgrader_config.py``, or of the command line."""
    config = nbgrader_config(course)
    seconds = cell_seconds or float(config.get("Execute", {}).get("timeout", Limits.cell_seconds))
    return KernelEngine(Limits(cell_seconds=seconds), config)


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
