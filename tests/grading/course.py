"""A small nbgrader course without torch, so that its kernels start fast."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.course import CourseFolder, read_source, released_notebook

NAME = "01-small"
SOURCE = """\
# %% [markdown]
# # Small

# %% nbgrader={"grade_id": "double", "solution": true}
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


# %% nbgrader={"grade_id": "double-check", "grade": true, "points": 2}
points = 2.0 if double(3) == 6 else 0.0
print("double: right." if points else "double: wrong.")
if double(3) == 9:
    print("Diagnosis: It squares. [double/squared]")
points

# %% nbgrader={"grade_id": "half", "solution": true}
def half(x):
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "half-check", "grade": true, "points": 3}
assert half(4) == 2
### BEGIN HIDDEN TESTS
assert half(5) == 2.5
### END HIDDEN TESTS

# %% nbgrader={"grade_id": "value", "solution": true}
### BEGIN SOLUTION
value = 1.0
### END SOLUTION

# %% nbgrader={"grade_id": "value-check", "grade": true, "points": 4}
value

# %% [markdown] nbgrader={"grade_id": "essay", "grade": true, "solution": true, "points": 5}
# Because.
"""

RIGHT = {
    "double": "def double(x):\n    return x + x\n",
    "half": "def half(x):\n    return x * 0.5\n",
    "value": "value = 4.0\n",
    "essay": "Because half of double is the whole.",
}
# Each submission: what stands in the solution cells.
SUBMISSIONS: dict[str, dict[str, str]] = {
    "right": RIGHT,
    "empty": {},
    "partial": RIGHT | {"value": "value = 1.5\n"},
    "named": RIGHT | {"double": "def double(x):\n    return x * x\n"},
    "hidden": RIGHT | {"half": "def half(x):\n    return x // 2\n"},
    "raises": RIGHT | {"half": "def half(x):\n    return x / 0\n"},
    "syntax": RIGHT | {"half": "def half(x) return x\n"},
    "stderr": RIGHT
    | {"double": "import sys\ndef double(x):\n    print('!', file=sys.stderr)\n    return 2 * x\n"},
    "string": RIGHT | {"value": "value = 'four'\n"},
    "numpy_float": RIGHT | {"value": "import numpy as np\nvalue = np.float64(2.0)\n"},
    "nan": RIGHT | {"value": "value = float('nan')\n"},
    "negative": RIGHT | {"value": "value = -1.0\n"},
    "nothing": RIGHT | {"value": "value = None\n"},
    "exit": RIGHT | {"double": "def double(x):\n    raise SystemExit\n"},
}


def make_course(root: Path) -> CourseFolder:
    """The small course in ``root``, with its generated files."""
    course = CourseFolder(root)
    course.source.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "nbgrader_config.py", root)
    course.source_text(NAME).write_text(SOURCE)
    full = read_source(course.source_text(NAME))
    for path, notebook in (
        (course.instructor_notebook(NAME), full),
        (course.student_notebook(NAME), released_notebook(full, course)),
    ):
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
    return course


def filled(course: CourseFolder, answers: dict[str, str]) -> NotebookNode:
    """The released notebook with these solution cells."""
    notebook = nbformat.read(course.student_notebook(NAME), as_version=4)
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    return notebook


def submit(course: CourseFolder, student: str, notebook: NotebookNode | str) -> Path:
    """Lay a notebook, or the text of a file, where nbgrader wants it."""
    path = course.root / "submitted" / student / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = notebook if isinstance(notebook, str) else nbformat.writes(notebook)
    path.write_text(text)
    return path


def with_cell(notebook: NotebookNode, change: str, grade_id: str) -> NotebookNode:
    """A copy of the notebook with one test cell deleted or copied."""
    made = copy.deepcopy(notebook)
    index = next(i for i, cell in enumerate(made.cells) if cell.id == grade_id)
    if change == "delete":
        del made.cells[index]
    else:
        twin = copy.deepcopy(made.cells[index])
        twin.id += "-copy"
        made.cells.insert(index, twin)
    return made
