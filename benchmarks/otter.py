"""The same assignment for otter-grader: the same submissions, and test files with the same checks.

An assignment of otter is a notebook without test cells and a folder of test files, packed into
``autograder.zip``. Each test cell of the course becomes one test file that runs the cell's own text
on the student's names; otter knows no parts of points within a test, so a check that gives fewer
than all points fails. Otter executes each notebook in a kernel of its own, as nbgrader does.

Its fastest way on one machine is its Python interface, ``otter.api.grade_submission``, called in
one process for the whole class: ``otter run`` starts a new interpreter for each submission, and
``otter grade`` a container. ``otter_grade.py`` does that, in an environment that holds otter.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import nbformat

from autograder.course import CourseFolder, read_source

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
PROGRAM = HERE / "otter_grade.py"
# A file of otter's second format, of functions that raise.
TEST = """\
from otter.test_files import test_case

OK_FORMAT = False
name = {name!r}
SOURCE = {source!r}
POINTS = {points!r}


@test_case(points=POINTS)
def check(env):
    namespace = dict(env)
    statements, _, last = SOURCE.rstrip().rpartition("\\n")
    exec(compile(statements, name, "exec"), namespace)
    points = eval(last, namespace)
    if points < POINTS:
        raise AssertionError(f"{{points}} of {{POINTS}} points")
"""
SETTINGS = {"print_summary": False, "print_score": False, "logo": False, "pdf": False}


def make_assignment(course: CourseFolder, name: str, path: Path) -> None:
    """Write the ``autograder.zip`` of a notebook to ``path``."""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("otter_config.json", json.dumps(SETTINGS))
        for cell in read_source(course.source_text(name)).cells:
            meta = cell.metadata.get("nbgrader", {})
            if meta.get("grade") and not meta.get("solution"):
                text = TEST.format(name=meta.grade_id, source=cell.source, points=meta.points)
                packed.writestr(f"tests/{meta.grade_id}.py", text)


def take_over(course: CourseFolder, name: str, students: Sequence[str], folder: Path) -> list[Path]:
    """The submissions of ``students`` as students of otter hand them in, without test cells."""
    folder.mkdir(parents=True)
    made: list[Path] = []
    for student in students:
        given = course.root / "submitted" / student / name / f"{name}.ipynb"
        text = given.read_text(encoding="utf-8")
        try:
            notebook = nbformat.from_dict(json.loads(text))
            notebook.cells = [
                cell
                for cell in notebook.cells
                if not cell.metadata.get("nbgrader", {}).get("grade")
            ]
            text = json.dumps(notebook)
        except ValueError:  # no notebook, and it stays none
            pass
        made.append(folder / f"{student}.ipynb")
        made[-1].write_text(text, encoding="utf-8")
    return made


def command(assignment: Path, submissions: Sequence[Path], results: Path) -> list[str]:
    """Grade ``submissions`` in one process; ``results`` gets which checks each passed."""
    # -P: beside the program lies a module of the name of otter.
    words = [PYTHON, "-P", PROGRAM, assignment, results, *submissions]
    return [str(word) for word in words]
