"""The command line ``autograder``: what each command is told, and no slow imports.

What a command does is imported when it runs, so that ``autograder check`` starts fast.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from autograder.errors import UserError
from autograder.grading.limits import Limits

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Notebooks that teach back-propagation: build them, prove them, check and grade them.",
)

Names = Annotated[list[str] | None, typer.Argument(help="Notebooks, such as 01-forward-pass.")]
Course = Annotated[Path, typer.Option(help="The folder that holds source/.")]
GradebookUrl = Annotated[
    str | None, typer.Option(help="URL of the gradebook; sqlite:///gradebook.db of the course.")
]
MEGA = 10**6
MEMORY_MB = Limits.memory_bytes >> 20
FILE_MB = Limits.file_bytes // MEGA
OUTPUT_MB = Limits.output_bytes // MEGA
Seconds = Annotated[float | None, typer.Option(min=0.1, help="Seconds a cell may take.")]


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    # What jsonschema would check addresses with: a second to import, and notebooks have none.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may not know every letter
            stream.reconfigure(errors="replace")
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
    finally:
        # Python looks for garbage once more before it ends: half a second, for memory that the
        # system takes back anyway.
        gc.freeze()


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """To collect garbage between a thousand imports takes a seventh of their time.

    What they made stays until the end, so that nobody needs to look through it later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@app.command()
def build(
    names: Names = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a file is out of step.")
    ] = False,
    course: Course = Path(),
) -> None:
    """Make notebooks/ and solutions/ from source/."""
    from autograder.course import commands

    if not commands.build(names, check, course):
        raise typer.Exit(1)


@app.command()
def validate(
    names: Names = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the whole proof to this file.")
    ] = None,
    mutants: Annotated[
        bool,
        typer.Option("--mutants", help="Change each solution in many places; checks must see it."),
    ] = False,
    course: Course = Path(),
) -> None:
    """Prove the course sound; exit code 1 when it is not."""
    from autograder.course import commands

    if not commands.validate(names, json_file, mutants, course):
        raise typer.Exit(1)


@app.command()
def check(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, a file ending in .ipynb.")],
    timeout: Seconds = None,
) -> None:
    """Run your notebook and show your progress, without a gradebook."""
    from autograder.progress import show_progress

    if not show_progress(notebook, timeout):
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
    from autograder.preload import launched

    with launched() as launch:
        with _no_collecting():
            from autograder import commands

        commands.grade(
            course,
            names,
            json_file=json_file,
            limits={
                "cell_seconds": timeout,
                "notebook_seconds": notebook_seconds,
                "cpu_seconds": cpu_seconds,
                "memory_bytes": memory_mb << 20,
                "processes": processes,
                "files": open_files,
                "file_bytes": file_mb * MEGA,
                "output_bytes": output_mb * MEGA,
            },
            every_cell=every_cell,
            unconfined=unconfined,
            feedback=feedback,
            submitted=submitted,
            gradebook=gradebook,
            workers=workers,
            force=force,
            launch=launch,
        )


@app.command()
def feedback(
    names: Names = None,
    gradebook: GradebookUrl = None,
    workers: Annotated[int, typer.Option(min=1, help="Pages at the same time.")] = 2,
    course: Course = Path(),
) -> None:
    """Write nbgrader's feedback page for every graded submission."""
    with _no_collecting():
        from autograder import commands

    if not commands.feedback(course, names, gradebook, workers):
        raise typer.Exit(2)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="A folder for the sample class.")] = Path(
        "demo"
    ),
    workers: Annotated[int, typer.Option(min=1, help="Notebooks at the same time.")] = 2,
    course: Course = Path(),
) -> None:
    """Make a sample class, grade it, write feedback pages, and show the table."""
    from autograder import commands

    commands.demo(course, directory, workers)
