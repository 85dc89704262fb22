"""The same tree is a plain nbgrader course, and stock nbgrader gives the same points."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook as Database

from autograder.course import CourseFolder
from tests.grading.conftest import Graded, run
from tests.grading.course import NAME, RIGHT, SUBMISSIONS, filled, submit, with_cell
from tests.reports.notebooks import decorated


def stock(course: CourseFolder, *words: str) -> str:
    """Run a command of stock nbgrader; it must succeed."""
    done = run("nbgrader", *words, cwd=course.root)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def by_stock(small: CourseFolder, tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    """Every submission that stock nbgrader can grade, graded by it."""
    course = CourseFolder(tmp_path_factory.mktemp("stock") / "course")
    shutil.copytree(small.root, course.root)
    shutil.rmtree(course.root / "notebooks")
    stock(course, "generate_assignment", NAME)
    for student, answers in SUBMISSIONS.items():
        submit(course, student, filled(course, answers))
    submit(course, "deleted", with_cell(filled(course, RIGHT), "delete", "half-check"))
    stock(course, "autograde", NAME)
    return course


def scores(course: CourseFolder, student: str) -> dict[str, tuple[float | None, bool]]:
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        submission = database.find_submission_notebook(NAME, NAME, student)
        return {g.name: (g.auto_score, g.needs_manual_grade) for g in submission.grades}


@pytest.mark.parametrize("student", [*(s for s in SUBMISSIONS if s != "stderr"), "deleted"])
def test_the_same_points(student: str, by_stock: CourseFolder, graded: Graded) -> None:
    assert scores(by_stock, student) == scores(graded.course, student)


def test_stock_makes_the_notebook_that_build_makes(
    by_stock: CourseFolder, small: CourseFolder
) -> None:
    theirs = nbformat.read(by_stock.student_notebook(NAME), as_version=4)
    ours = nbformat.read(small.student_notebook(NAME), as_version=4)
    assert theirs.cells == ours.cells


def test_stock_validates_a_right_notebook(by_stock: CourseFolder) -> None:
    path = by_stock.root / "submitted/right" / NAME / f"{NAME}.ipynb"
    assert "Success" in stock(by_stock, "validate", str(path))


@pytest.fixture(scope="module")
def pages(graded: Graded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The pages of one class, made by this program and by stock nbgrader: two folders."""
    course = CourseFolder(tmp_path_factory.mktemp("pages") / "course")
    shutil.copytree(graded.course.root, course.root)
    path = course.root / "autograded/right" / NAME / f"{NAME}.ipynb"
    notebook = decorated(nbformat.read(path, as_version=4))
    path.chmod(0o644)
    nbformat.write(notebook, path)
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        grade = database.find_grade("essay", NAME, NAME, "partial")
        grade.manual_score, grade.extra_credit = 2.25, 0.5
        database.find_comment("essay", NAME, NAME, "partial").manual_comment = "Why? See $x$ & *y*."
        late = database.find_submission_notebook(NAME, NAME, "named")
        late.late_submission_penalty = 1.5
        database.db.commit()
    ours, theirs = course.root / "feedback", course.root / "theirs"
    shutil.rmtree(ours)
    done = run("autograder", "feedback", cwd=course.root)
    assert done.returncode == 0, done.stderr
    ours.rename(theirs.with_name("ours"))
    stock(course, "generate_feedback", NAME)
    ours.rename(theirs)
    return theirs.with_name("ours"), theirs


def test_every_page_is_stock_nbgraders_page(pages: tuple[Path, Path]) -> None:
    ours, theirs = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.html")} for f in pages)
    assert len(theirs) > len(SUBMISSIONS)
    assert ours.keys() == theirs.keys()
    assert [page for page in ours if ours[page] != theirs[page]] == []


def test_pages_show_pictures_formulas_and_what_graders_wrote(pages: tuple[Path, Path]) -> None:
    text = (pages[0] / "right" / NAME / f"{NAME}.html").read_text()
    for part in ("data:image/png;base64,", "data:image/svg+xml;base64,", "$\\frac{a}{b}$"):
        assert part in text
    assert "See $x$" in (pages[0] / "partial" / NAME / f"{NAME}.html").read_text()
    named = (pages[0] / "named" / NAME / f"{NAME}.html").read_text()
    assert "Late submission penalty (Score: -1.5)" in named


def test_pages_of_the_same_run_are_those_of_the_gradebook(
    graded: Graded, pages: tuple[Path, Path]
) -> None:
    at_once = graded.course.root / "feedback/hidden" / NAME / f"{NAME}.html"
    assert at_once.read_bytes() == (pages[0] / "hidden" / NAME / f"{NAME}.html").read_bytes()


# ---------------------------------------------------------------- what stock nbgrader does
# The course must respect these; when a new version of nbgrader changes one, we want to know.


def auto(by_stock: CourseFolder, student: str, cell: str) -> float | None:
    return scores(by_stock, student)[cell][0]


def test_anything_on_stderr_is_zero_points(by_stock: CourseFolder) -> None:
    assert auto(by_stock, "stderr", "double-check") == 0


@pytest.mark.parametrize("student", ["string", "numpy_float", "nan", "negative", "nothing"])
def test_a_last_value_that_is_no_plain_number_is_full_points(
    student: str, by_stock: CourseFolder
) -> None:
    assert auto(by_stock, student, "value-check") == 4


def test_a_plain_float_is_partial_credit(by_stock: CourseFolder) -> None:
    assert auto(by_stock, "partial", "value-check") == 1.5


def test_a_deleted_test_cell_leaves_the_score_empty(by_stock: CourseFolder) -> None:
    assert auto(by_stock, "deleted", "half-check") is None


def test_more_than_the_maximum_fails_the_submission(by_stock: CourseFolder) -> None:
    submit(by_stock, "too_many", filled(by_stock, RIGHT | {"value": "value = 99.0\n"}))
    done = run("nbgrader", "autograde", NAME, "--student=too_many", cwd=by_stock.root)
    assert done.returncode != 0
    assert "partial credit cannot be greater than maximum points" in done.stderr


def test_a_copied_test_cell_aborts_the_class(by_stock: CourseFolder, tmp_path: Path) -> None:
    course = CourseFolder(tmp_path / "course")
    shutil.copytree(by_stock.root, course.root)
    for folder in ("submitted", "autograded"):
        shutil.rmtree(course.root / folder)
    submit(course, "a_copied", with_cell(filled(course, RIGHT), "copy", "half-check"))
    submit(course, "b_right", filled(course, RIGHT))
    done = run("nbgrader", "autograde", NAME, cwd=course.root)
    assert done.returncode != 0
    assert "old version" in done.stderr
    assert not (course.root / "autograded/b_right").exists()


def test_a_student_can_write_into_the_gradebook(by_stock: CourseFolder, tmp_path: Path) -> None:
    course = CourseFolder(tmp_path / "course")
    shutil.copytree(by_stock.root, course.root)
    for folder in ("submitted", "autograded"):
        shutil.rmtree(course.root / folder)
    attack = (
        "import sqlite3\nwith sqlite3.connect('../../../gradebook.db') as book:\n"
        "    book.execute('update grade set manual_score = 3')\n"
    )
    submit(course, "cheat", filled(course, {"half": attack}))
    stock(course, "autograde", NAME)
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        assert database.find_submission_notebook(NAME, NAME, "cheat").score > 0
