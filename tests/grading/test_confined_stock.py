"""Stock nbgrader with one line in its settings: its own command and button, behind our walls."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook as Database
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory

from autograder.course import CourseFolder, nbgrader_config
from autograder.grading.sandbox import kernel
from tests.grading.conftest import run
from tests.grading.course import NAME, RIGHT, filled, submit

pytestmark = pytest.mark.skipif(
    bool(kernel.why_not_here()), reason=kernel.why_not_here() or "confined elsewhere"
)

LINE = 'c.Autograde.exporter_class = "autograder.stock.ConfinedExporter"\n'
# Stands for the path of the gradebook.
BOOK = "/GRADEBOOK"
# What a student's cell says of what it found; the first succeeds in stock nbgrader.
STEALS = f"print('loot:', open({BOOK!r}, 'rb').read(6))\nhalf = None\n"
FORGES = (
    f"import sqlite3\nwith sqlite3.connect({BOOK!r}) as book:\n"
    "    book.execute('update grade set manual_score = 3')\n"
)
BY_SHELL = f"!cat {BOOK} | head -c 6\n"
WARNS = "import sys\ndef half(x):\n    print('!', file=sys.stderr)\n    return x / 2\n"


@pytest.fixture(scope="module")
def course(small: CourseFolder, tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    """The small course with its gradebook, handed in, not graded; do not write into it."""
    made = CourseFolder(tmp_path_factory.mktemp("confined") / "course")
    shutil.copytree(small.root, made.root)
    released = {
        student: filled(made, answers)
        for student, answers in {
            "right": RIGHT,
            "steals": RIGHT | {"half": STEALS},
            "forges": RIGHT | {"half": FORGES},
            "shell": RIGHT | {"half": BY_SHELL},
            "stderr": RIGHT | {"half": WARNS},
            "too_many": RIGHT | {"value": "value = 99.0\n"},
        }.items()
    }
    shutil.rmtree(made.root / "notebooks")
    done = run("nbgrader", "generate_assignment", NAME, cwd=made.root)
    assert done.returncode == 0, done.stderr[-2000:]
    for student, notebook in released.items():
        submit(made, student, notebook)
    for place in (made.root / "gradebook.db", made.root):
        # Ownership and mode protect nothing here.
        place.chmod(0o777)
    return made


def copy(course: CourseFolder, folder: Path) -> CourseFolder:
    made = CourseFolder(folder / "course")
    shutil.copytree(course.root, made.root)
    for path in made.root.glob(f"submitted/*/{NAME}/*.ipynb"):
        path.write_text(path.read_text().replace(BOOK, str(made.root / "gradebook.db")))
    return made


def printed(course: CourseFolder, student: str) -> str:
    path = course.root / "autograded" / student / NAME / f"{NAME}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") + output.get("evalue", "") for output in outputs)


def scores(course: CourseFolder, student: str) -> dict[str, tuple[float | None, float | None]]:
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        submission = database.find_submission_notebook(NAME, NAME, student)
        return {g.name: (g.auto_score, g.manual_score) for g in submission.grades}


def test_the_command_runs_student_code_behind_the_walls(
    course: CourseFolder, tmp_path: Path
) -> None:
    made = copy(course, tmp_path)
    with (made.root / "nbgrader_config.py").open("a") as config:
        config.write(LINE)
    done = run("nbgrader", "autograde", NAME, cwd=made.root)
    assert done.returncode == 0, done.stderr[-3000:]
    right = {"double-check": 2.0, "half-check": 3.0, "value-check": 4.0, "essay": None}
    lost = right | {"half-check": 0.0}
    for student, points in {
        "right": right,
        "steals": lost,
        "forges": lost,
        "shell": lost,
        "stderr": right,
        "too_many": right | {"value-check": 0.0},
    }.items():
        wanted = {name: (score, None) for name, score in points.items()}
        assert scores(made, student) == wanted, student
    for student in ("steals", "shell"):
        assert "SQLite" not in printed(made, student)
    assert "Permission denied" in printed(made, "steals")
    assert "unable to open database" in printed(made, "forges")


def test_without_the_line_the_same_code_reads_the_gradebook(
    course: CourseFolder, tmp_path: Path
) -> None:
    made = copy(course, tmp_path)
    done = run("nbgrader", "autograde", NAME, "--student=steals", cwd=made.root)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "loot: b'SQLite'" in printed(made, "steals")


def test_the_button_of_the_formgrader_does_so_too(
    course: CourseFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The button calls this interface of nbgrader's."""
    made = copy(course, tmp_path)
    with (made.root / "nbgrader_config.py").open("a") as file:
        file.write(LINE)
    monkeypatch.chdir(made.root)
    config = nbgrader_config(made)
    config.CourseDirectory.root = str(made.root)
    api = NbGraderAPI(CourseDirectory(config=config), config=config)
    told = api.autograde(NAME, "steals")
    assert told["success"], told
    assert scores(made, "steals")["half-check"] == (0.0, None)
    assert "Permission denied" in printed(made, "steals")
    assert os.getcwd() == str(made.root)


def test_where_nothing_can_be_confined_nothing_runs(
    course: CourseFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = copy(course, tmp_path)
    with (made.root / "nbgrader_config.py").open("a") as file:
        file.write(LINE)
    monkeypatch.chdir(made.root)
    config = nbgrader_config(made)
    config.CourseDirectory.root = str(made.root)
    monkeypatch.setattr(kernel, "why_not_here", lambda: "There is no wall here.")
    monkeypatch.setattr(
        "autograder.grading.sandbox.confinement.why_not_here", lambda: "There is no wall here."
    )
    told = NbGraderAPI(CourseDirectory(config=config), config=config).autograde(NAME, "steals")
    assert not told["success"]
    assert "cannot confine student code" in caplog.text
    assert not (made.root / "autograded/steals" / NAME / f"{NAME}.ipynb").exists()
