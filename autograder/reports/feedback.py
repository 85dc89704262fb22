"""Feedback pages: nbgrader's own, from its own templates."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
from nbconvert.exporters import HTMLExporter
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import GetGrades

from autograder.course import CourseFolder
from autograder.files import require_writable, write_whole
from autograder.grading.gradebook import Gradebook
from autograder.grading.results import Unreadable

READABLE = 0o644
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


def write_feedback(
    course: CourseFolder,
    names: Sequence[str],
    gradebook: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write ``feedback/<student>/<assignment>/<notebook>.html`` for every graded notebook.

    ``names`` are the assignments.
    Returns the pages. Raises ``UserError`` when the gradebook or the folder cannot be used.
    """
    require_writable(course.root / "feedback")
    book = Gradebook.open(course, gradebook)
    graded = sorted(
        path
        for name in names
        for notebook in course.notebooks(name)
        for path in (course.root / "autograded").glob(f"*/{name}/{notebook}.ipynb")
    )
    exporter = _exporter(course)
    pages: list[Path] = []
    for done, path in enumerate(graded):
        progress(done, len(graded))
        student, assignment, name = path.parts[-3], path.parts[-2], path.stem
        notebook = nbformat.read(path, as_version=4)
        resources = {
            "nbgrader": {
                "notebook": name,
                "assignment": assignment,
                "student": student,
                "db_url": book.url,
            },
            "unique_key": name,
            "metadata": {"name": name, "path": str(path.parent)},
        }
        notebook, resources = GetGrades(config=book.config).preprocess(notebook, resources)
        body, _ = exporter.from_notebook_node(notebook, resources=resources)
        pages.append(_write(course, student, assignment, name, body))
    progress(len(graded), len(graded))
    return pages


def write_reason(course: CourseFolder, submission: Unreadable) -> Path:
    """A page for a submission that could not be graded: the reason, and what to do."""
    body = PAGE.format(
        notebook=html.escape(submission.notebook),
        maximum=submission.max_points,
        reason=html.escape(submission.status),
    )
    assignment = submission.assignment or submission.notebook
    return _write(course, submission.student, assignment, submission.notebook, body)


def _exporter(course: CourseFolder) -> HTMLExporter:
    """nbgrader's exporter with its templates, made once for all pages."""
    directory = CourseDirectory(root=str(course.root))
    converter = GenerateFeedback(coursedir=directory)
    # GetGrades runs before, with the resources of each student; the style step stays.
    steps = [step for step in converter.preprocessors if step is not GetGrades]
    exporter = HTMLExporter(config=converter.config)
    for step in steps:
        exporter.register_preprocessor(step)
    return exporter


def _write(course: CourseFolder, student: str, assignment: str, name: str, body: str) -> Path:
    path = course.root / "feedback" / student / assignment / f"{name}.html"
    write_whole(path, body.encode())
    os.chmod(path, READABLE)
    return path
