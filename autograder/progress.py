"""What ``autograder check`` shows: a student's own progress."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from pathlib import Path

from autograder.grading.check import check_notebook
from autograder.grading.limits import Limits
from autograder.grading.results import Result
from autograder.terminal import bar, console

TABLE = "autograder.reports.table"


def show_progress(notebook: Path, cell_seconds: float | None) -> bool:
    """Run a notebook, print the table, and say whether all visible checks passed."""
    limits = Limits(cell_seconds=cell_seconds or Limits.cell_seconds)
    with bar("checking") as progress:

        def follow(done: int, total: int) -> None:
            if done == 0:
                threading.Thread(target=importlib.import_module, args=[TABLE], daemon=True).start()
            progress(done, total)

        results = check_notebook(notebook, limits, follow)
    # Usually imported by now: the thread did so while the process of the notebook imported its own.
    # It is a thread, since Python may lose a Ctrl-C that comes while it imports.
    from autograder.reports.table import progress_table

    console().print(progress_table(results))
    print(in_sum(results))
    return all(result.status in ("passed", "manual") for result in results)


def in_sum(results: Sequence[Result]) -> str:
    """The last line: the points of the visible checks, and those that a person gives."""
    checked = [result for result in results if result.status != "manual"]
    points = sum(result.points or 0.0 for result in checked)
    maximum = sum(result.max_points for result in checked)
    by_hand = sum(result.max_points for result in results) - maximum
    more = f" {by_hand:g} more points are graded by hand." if by_hand else ""
    return f"{points:g} of {maximum:g} points on the visible checks.{more}"
