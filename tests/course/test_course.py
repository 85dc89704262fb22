"""The course itself: sound, in step, and the same under stock nbgrader."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook as Database

from autograder.course import CourseFolder
from autograder.course.build import out_of_step
from autograder.course.validate import LEAST_ALTERNATIVES, LEAST_MISTAKES, Verdict, validate
from autograder.demo import make_class
from tests.grading.conftest import run

ROOT = Path(__file__).parents[2]
COURSE = CourseFolder(ROOT)
# Right in another way, and with mistakes; tests/grading/test_differential.py has every other kind.
STUDENTS = ["s002", "s003"]


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return validate(COURSE, COURSE.names())


def test_the_course_is_sound(verdict: Verdict) -> None:
    assert [str(problem) for problem in verdict.problems] == []


def test_every_exercise_has_mistakes_and_alternatives(verdict: Verdict) -> None:
    assert len(verdict.exercises) >= 45
    for proof in verdict.exercises:
        assert len(proof.mistakes) >= LEAST_MISTAKES
        assert all(mistake.points < proof.points for mistake in proof.mistakes)
        assert len(proof.alternatives) >= LEAST_ALTERNATIVES


def test_generated_files_are_in_step() -> None:
    assert [str(item) for item in out_of_step(COURSE, COURSE.names())] == []


@pytest.mark.parametrize("name", COURSE.names())
def test_solutions_are_executed_and_have_pictures(name: str) -> None:
    notebook = nbformat.read(COURSE.solved_notebook(name), as_version=4)
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 3
    assert not [o for o in outputs if o.output_type == "error"]


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> tuple[CourseFolder, CourseFolder]:
    """A part of the sample class, graded by stock nbgrader and by this program."""
    sample = make_class(COURSE, tmp_path_factory.mktemp("sample") / "class")
    for folder in (sample.root / "submitted").iterdir():
        if folder.name not in STUDENTS:
            shutil.rmtree(folder)
    by_stock = CourseFolder(tmp_path_factory.mktemp("stock") / "class")
    shutil.copytree(sample.root, by_stock.root)
    ours = run("autograder", "grade", cwd=sample.root)
    assert ours.returncode == 0, ours.stderr
    shutil.rmtree(by_stock.root / "notebooks")
    for name in COURSE.names():
        for command in ("generate_assignment", "autograde"):
            done = run("nbgrader", command, name, cwd=by_stock.root)
            assert done.returncode == 0, done.stderr[-2000:]
    return sample, by_stock


def scores(course: CourseFolder, student: str, name: str) -> dict[str, float | None]:
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        submission = database.find_submission_notebook(name, name, student)
        return {grade.name: grade.auto_score for grade in submission.grades}


@pytest.mark.parametrize("name", COURSE.names())
@pytest.mark.parametrize("student", STUDENTS)
def test_stock_nbgrader_gives_the_same_points(
    student: str, name: str, both_ways: tuple[CourseFolder, CourseFolder]
) -> None:
    ours, stock = both_ways
    assert scores(ours, student, name) == scores(stock, student, name)


@pytest.mark.parametrize("name", COURSE.names())
def test_stock_nbgrader_releases_what_build_made(
    name: str, both_ways: tuple[CourseFolder, CourseFolder]
) -> None:
    _, stock = both_ways
    theirs = nbformat.read(stock.student_notebook(name), as_version=4)
    ours = nbformat.read(COURSE.student_notebook(name), as_version=4)
    assert theirs.cells == ours.cells
