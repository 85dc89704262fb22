"""Nothing is lost: a run that is killed goes on, and two runs at once do not hurt each other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import nbformat
import pytest

from autograder.course import CourseFolder, read_source, released_notebook
from autograder.grading.gradebook import Gradebook
from tests.grading.conftest import BIN, run
from tests.grading.isolated.conftest import SOURCE

NAME = "01-tiny"
STUDENTS = 14


@pytest.fixture(scope="module")
def ungraded(tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    """A course of one notebook; every third student has one answer wrong."""
    course = CourseFolder(tmp_path_factory.mktemp("course"))
    course.source.mkdir()
    shutil.copy(Path(__file__).parents[2] / "nbgrader_config.py", course.root)
    course.source_text(NAME).write_text(SOURCE)
    released = released_notebook(read_source(course.source_text(NAME)), course)
    for number in range(STUDENTS):
        for cell in released.cells:
            if cell.id == "scale":
                factor = 3 if number % 3 == 0 else 2
                cell.source = f"def scale(f, x):\n    return {factor} * f(x)  # {number}\n"
        folder = course.root / "submitted" / f"s{number:03d}" / NAME
        folder.mkdir(parents=True)
        nbformat.write(released, folder / f"{NAME}.ipynb")
    return course


@pytest.fixture(scope="module")
def points(ungraded: CourseFolder, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What a run that nobody disturbs writes."""
    course = copied(ungraded, tmp_path_factory.mktemp("calm"))
    done = run("autograder", "grade", cwd=course.root)
    assert done.returncode == 0, done.stderr
    rows = in_gradebook(course)
    assert len({row for row in rows}) > STUDENTS
    return rows


def copied(course: CourseFolder, folder: Path) -> CourseFolder:
    shutil.copytree(course.root, folder / "course")
    return CourseFolder(folder / "course")


def in_gradebook(course: CourseFolder) -> list[object]:
    """Every grade and comment; and the gradebook is whole."""
    with contextlib.closing(sqlite3.connect(course.root / "gradebook.db")) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        return database.execute(
            "select a.student_id, c.name, g.auto_score, g.needs_manual_grade, m.auto_comment "
            "from submitted_assignment a join submitted_notebook n on n.assignment_id = a.id "
            "join base_cell c on c.notebook_id = n.notebook_id "
            "left join grade g on g.notebook_id = n.id and g.cell_id = c.id "
            "left join comment m on m.notebook_id = n.id and m.cell_id = c.id "
            "order by 1, 2"
        ).fetchall()


def start(course: CourseFolder, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [BIN / "autograder", "grade", "--workers", "1", *options],
        cwd=course.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def below(pid: int) -> set[int]:
    """The numbers of all processes that ``pid`` and those below it have started."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(entry.name)
            parents[number] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    waiting = {pid}
    while waiting:
        waiting = {number for number, parent in parents.items() if parent in waiting} - found
        found |= waiting
    return found


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def graded_files(course: CourseFolder) -> dict[Path, int]:
    """The graded notebooks, and when each was written."""
    files = course.root.glob(f"autograded/*/{NAME}/{NAME}.ipynb")
    return {path: path.stat().st_mtime_ns for path in files}


def test_a_killed_run_goes_on_where_it_was(
    ungraded: CourseFolder, points: list[object], tmp_path: Path
) -> None:
    course = copied(ungraded, tmp_path)
    before: dict[Path, int] = {}
    left = course.root / "autograded" / "s000" / ".writing-999999999-x"  # by a run that is dead
    left.mkdir(parents=True)
    for wanted in (1, STUDENTS // 2):
        process = start(course)
        deadline = time.monotonic() + 120
        while len(graded_files(course)) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kept = graded_files(course)
        assert wanted <= len(kept)
        assert {path: kept[path] for path in before} == before, "not graded again"
        before = kept
    done = run("autograder", "grade", cwd=course.root)
    assert done.returncode == 0, done.stderr
    after = graded_files(course)
    assert len(after) == STUDENTS
    assert {path: after[path] for path in before} == before
    assert in_gradebook(course) == points
    assert not list(course.root.glob("autograded/*/.writing-*"))


@pytest.mark.parametrize("options", [(), ("--feedback",)])
def test_a_killed_run_leaves_no_process(
    ungraded: CourseFolder, tmp_path: Path, options: tuple[str, ...]
) -> None:
    course = copied(ungraded, tmp_path)
    process = start(course, *options)
    deadline = time.monotonic() + 120
    while len(graded_files(course)) < STUDENTS // 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    started = below(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(started) >= 4, "a worker, two warm processes and what they forked"
    deadline = time.monotonic() + 20
    while any(map(is_alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if is_alive(pid)]


def test_two_runs_at_once_end_with_the_same_gradebook(
    ungraded: CourseFolder, points: list[object], tmp_path: Path
) -> None:
    course = copied(ungraded, tmp_path)
    runs = [start(course), start(course)]
    assert [process.wait(240) for process in runs] == [0, 0]
    assert in_gradebook(course) == points
    assert len(graded_files(course)) == STUDENTS


def test_cells_that_the_gradebook_has_are_not_made_anew(
    ungraded: CourseFolder, tmp_path: Path
) -> None:
    """Another run may be writing points for them; only what has changed is written."""
    course = copied(ungraded, tmp_path)

    def entered() -> tuple[bytes, float]:
        Gradebook.open(course).enter(NAME)
        path = course.root / "gradebook.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            (points,) = database.execute("select sum(max_score) from grade_cells").fetchone()
        return path.read_bytes(), points

    first = entered()
    assert entered() == first
    text = course.source_text(NAME)
    text.write_text(text.read_text().replace('"points": 3', '"points": 4'))
    assert entered()[1] == first[1] + 1
