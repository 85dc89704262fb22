"""Stock nbgrader, executing behind our walls: one line in ``nbgrader_config.py``. ::

    c.Autograde.exporter_class = "autograder.stock.ConfinedExporter"

``nbgrader autograde`` and the formgrader's button then do all that they did, with one step of
theirs replaced: student code runs in a confined process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import Execute

from autograder.course import CourseFolder
from autograder.grading.engine import Engine, Job
from autograder.grading.limits import Limits
from autograder.grading.results import make_gradable
from autograder.grading.submissions import files_beside


class ConfinedExecute(Execute):  # type: ignore[misc]
    """In place of nbgrader's step of this name, with its settings (``c.Execute.…``)."""

    def preprocess(
        self, nb: NotebookNode, resources: Any, retries: int | None = None
    ) -> tuple[NotebookNode, Any]:
        """The executed notebook.

        Raises ``UserError`` where this machine cannot confine; then nothing was executed.
        """
        about = resources["nbgrader"]
        assignment, name = str(about["assignment"]), str(about["notebook"])
        coursedir = self.parent.parent.coursedir
        engine = _engine(Path(coursedir.root).resolve(), assignment, self.timeout)
        files = files_beside(Path(resources["metadata"]["path"]))
        executed = engine.execute(Job(nb, files, f"{assignment}/{name}")).notebook
        make_gradable(executed)
        return executed, resources


class ConfinedExporter(NotebookExporter):
    """nbgrader's exporter, which gets its steps by name and swaps the one that executes."""

    def register_preprocessor(self, preprocessor: Any, enabled: bool = False) -> Any:
        """See nbconvert."""
        wanted = ConfinedExecute if preprocessor is Execute else preprocessor
        return super().register_preprocessor(wanted, enabled)  # type: ignore[no-untyped-call]


# Of the last assignment: its warm processes serve all its submissions.
_made: dict[tuple[Path, str, float | None], Engine] = {}


def _engine(root: Path, assignment: str, seconds: float | None) -> Engine:
    """The engine that ``autograder grade`` would use."""
    key = (root, assignment, seconds)
    if key not in _made:
        from autograder.commands import course_engine

        course = CourseFolder(root)
        # A course whose instructor's notebooks lie elsewhere has none that is graded apart.
        known = course.source.is_dir() and assignment in course.assignments()
        limits = Limits(cell_seconds=float(seconds or Limits.cell_seconds))
        made = course_engine(course, [assignment] if known else [], limits)
        _made.clear()
        _made[key] = made
    return _made[key]
