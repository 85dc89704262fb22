"""A class in which everything that can be wrong with a submission is wrong with one."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from nbgrader.api import Gradebook as Database

from autograder.course import CourseFolder
from tests.grading.conftest import KILLS_GRADER, Graded, run, run_here
from tests.grading.course import NAME, RIGHT, SUBMISSIONS, filled, submit

ALL = {"double-check": 2.0, "half-check": 3.0, "value-check": 4.0}


def points(graded: Graded, student: str) -> dict[str | None, float]:
    return {cell: r["points"] for cell, r in graded.of(student).items() if r["points"] is not None}


def statuses(graded: Graded, student: str) -> dict[str | None, str]:
    return {cell: r["status"] for cell, r in graded.of(student).items()}


def test_the_records_have_the_promised_keys(graded: Graded) -> None:
    keys = {"student", "notebook", "cell", "points", "max_points", "status", "diagnosis"}
    assert all(keys <= record.keys() for record in graded.data["results"])
    assert graded.data["layers"]


def test_every_submission_has_its_records(graded: Graded) -> None:
    students = {path.name for path in (graded.course.root / "submitted").iterdir()}
    assert {record["student"] for record in graded.data["results"]} == students


def test_right_partial_and_empty(graded: Graded) -> None:
    assert points(graded, "right") == ALL
    assert set(statuses(graded, "right").values()) == {"passed", "manual"}
    assert points(graded, "partial") == ALL | {"value-check": 1.5}
    assert statuses(graded, "partial")["value-check"] == "partial"
    assert set(points(graded, "empty").values()) == {0.0}
    assert "essay" in points(graded, "empty"), "no answer is 0 points, and nobody has to look"


def test_a_diagnosis_is_read_from_the_report(graded: Graded) -> None:
    record = graded.of("named")["double-check"]
    assert record["diagnosis"] == "double/squared"
    assert record["status"] == "failed"
    assert "It squares. [double/squared]" in " ".join(graded.output.split())


def test_text_on_stderr_alone_costs_nothing(graded: Graded) -> None:
    assert points(graded, "stderr") == ALL
    path = graded.course.root / "autograded/stderr" / NAME / f"{NAME}.ipynb"
    assert "Written to stderr: !" in path.read_text()


def test_hidden_tests_count(graded: Graded) -> None:
    assert points(graded, "hidden") == ALL | {"half-check": 0.0}


def test_manual_cells_wait(graded: Graded) -> None:
    record = graded.of("right")["essay"]
    assert (record["status"], record["points"], record["max_points"]) == ("manual", None, 5.0)


def test_a_syntax_error_is_named(graded: Graded) -> None:
    assert "SyntaxError" in graded.of("syntax")["half-check"]["message"]
    assert points(graded, "syntax") == ALL | {"half-check": 0.0}


def test_a_deleted_test_cell_counts_zero_and_nothing_else_changes(graded: Graded) -> None:
    assert points(graded, "deleted") == ALL | {"half-check": 0.0}
    assert statuses(graded, "deleted")["half-check"] == "missing"


def test_a_copied_test_cell_changes_nothing(graded: Graded) -> None:
    assert points(graded, "copied") == ALL


def test_more_than_the_maximum_is_an_error_of_that_cell_alone(graded: Graded) -> None:
    assert points(graded, "too_many") == ALL | {"value-check": 0.0}
    assert statuses(graded, "too_many")["value-check"] == "error"


@pytest.mark.parametrize("student", ["endless", "deaf"])
def test_an_endless_loop_costs_its_own_cell(student: str, graded: Graded) -> None:
    assert points(graded, student)["double-check"] == 0.0
    assert statuses(graded, student)["double-check"] == "timeout"


def test_a_flood_of_text_costs_its_own_cell(graded: Graded) -> None:
    assert points(graded, "flood") == ALL | {"double-check": 0.0}
    assert "wrote more than" in graded.of("flood")["double-check"]["message"]


def test_after_an_interrupted_loop_the_rest_still_earns_its_points(graded: Graded) -> None:
    assert points(graded, "endless") == ALL | {"double-check": 0.0}


def test_a_dead_process_keeps_the_points_earned_before(graded: Graded) -> None:
    assert points(graded, "dies") == {"double-check": 2.0, "half-check": 0.0, "value-check": 0.0}
    assert statuses(graded, "dies")["half-check"] == "error"


def test_a_notebook_cannot_kill_its_grader(graded: Graded) -> None:
    assert points(graded, "kills") == ALL | {"half-check": 0.0}
    assert "PermissionError" in graded.of("kills")["half-check"]["message"]


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        ("not_json", "is not a notebook: it is not JSON."),
        ("not_notebook", "is not a notebook: it has no cells."),
        ("not_text", "is not a notebook: it is not text."),
        ("other", "is a notebook of another course"),
        ("no_file", "There is no file"),
    ],
)
def test_what_cannot_be_read_is_one_record_with_a_reason(
    student: str, reason: str, graded: Graded
) -> None:
    (record,) = graded.of(student).values()
    assert (record["cell"], record["points"]) == (None, 0.0)
    assert reason in record["status"]
    page = graded.course.root / "feedback" / student / NAME / f"{NAME}.html"
    assert "could not be graded" in page.read_text()


def test_the_gradebook_has_the_same_points(graded: Graded) -> None:
    with Database(f"sqlite:///{graded.course.root / 'gradebook.db'}", "backprop") as database:
        for student in SUBMISSIONS:
            submission = database.find_submission_notebook(NAME, NAME, student)
            saved = {g.name: g.auto_score for g in submission.grades if g.auto_score is not None}
            assert saved == points(graded, student), student


def test_nothing_but_the_tables_stands_on_the_terminal(graded: Graded) -> None:
    assert "Traceback" not in graded.output
    assert "what went wrong" in graded.output


def test_feedback_is_nbgraders_page(graded: Graded) -> None:
    page = (graded.course.root / "feedback/named" / NAME / f"{NAME}.html").read_text()
    assert "(Score: 7.0 / 14.0)" in " ".join(page.split())
    assert "It squares." in page


def test_grading_again_runs_only_what_is_new(graded: Graded, tmp_path: Path) -> None:
    course = CourseFolder(tmp_path / "course")
    shutil.copytree(graded.course.root, course.root)
    for student in ("deaf", "flood", "endless", "kills"):
        shutil.rmtree(course.root / "submitted" / student)
    path = submit(course, "raises", filled(course, RIGHT))
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        grade = database.find_grade("double-check", NAME, NAME, "named")
        grade.manual_score = 1.25
        database.db.commit()
    again = run("autograder", "grade", "--json", "again.json", cwd=course.root)
    assert again.returncode == 0, again.stderr
    assert "were not run again" in again.stdout
    new = Graded(course, "", 0, json.loads((course.root / "again.json").read_text()))
    assert points(new, "raises") == points(graded, "raises")
    for folder in (path.parent, course.root / "autograded/raises" / NAME):
        year = "2026" if folder == path.parent else "2025"
        (folder / "timestamp.txt").write_text(f"{year}-01-01 00:00:00 UTC\n")
    newer = run("autograder", "grade", "--json", "again.json", cwd=course.root)
    assert newer.returncode == 0, newer.stderr
    new = Graded(course, "", 0, json.loads((course.root / "again.json").read_text()))
    assert points(new, "raises") == ALL
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        assert database.find_grade("double-check", NAME, NAME, "named").manual_score == 1.25


# ---------------------------------------------------------------------------- unusable input


def refused(done: object, words: str) -> None:
    """One sentence, exit code 2, no traceback."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def fresh(small: CourseFolder, tmp_path: Path) -> CourseFolder:
    course = CourseFolder(tmp_path / "course")
    shutil.copytree(small.root, course.root)
    submit(course, "s001", filled(course, RIGHT))
    return course


def test_a_notebook_that_kills_its_grader_hurts_only_itself(fresh: CourseFolder) -> None:
    """Where nothing confines it, it can."""
    submit(fresh, "kills", filled(fresh, RIGHT | {"half": KILLS_GRADER}))
    done = run("autograder", "grade", "--unconfined", "--json", "out.json", cwd=fresh.root)
    assert done.returncode == 0, done.stderr
    new = Graded(fresh, "", 0, json.loads((fresh.root / "out.json").read_text()))
    assert points(new, "s001") == ALL
    (record,) = new.of("kills").values()
    assert record["cell"] is None
    assert record["status"] == "It ended the process that graded it."
    assert "student code that may do all you may do" in done.stdout
    assert not any(
        layer["in_force"] for layer in new.data["layers"] if "landlock" in layer["layer"]
    )


def test_unusable_input_of_grade(fresh: CourseFolder, tmp_path: Path) -> None:
    root = fresh.root
    file = tmp_path / "file"
    file.write_text("text")
    for words, said in [
        (("--submitted", "nowhere"), "There is no folder nowhere"),
        (("--course", tmp_path / "nowhere"), "is not a course"),
        (("02-other",), "There is no notebook '02-other'"),
        (("--gradebook", "gradebook"), "is not the URL of a database"),
        (("--gradebook", f"sqlite:///{file}"), "is not a gradebook that can be read"),
        (("--gradebook", f"sqlite:///{root}"), "is a folder, not a gradebook"),
        (("--gradebook", f"sqlite:///{file}/book.db"), "cannot be written"),
        (("--gradebook", "nosuch://host/book"), "cannot be used"),
        (("--json", file / "out.json"), "cannot be written"),
        (("--json", root), "is a folder; name a file"),
    ]:
        refused(run_here("autograder", "grade", *words, cwd=root), said)
    assert file.read_text() == "text"
    assert not (root / "autograded" / "s001").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(run_here("autograder", "grade", "--submitted", empty, cwd=root), "holds no submissions")


def test_the_command_itself_refuses_in_one_sentence(fresh: CourseFolder) -> None:
    refused(run("autograder", "grade", "--submitted", "nowhere", cwd=fresh.root), "no folder")


def test_usage_errors_exit_with_2(fresh: CourseFolder) -> None:
    for words in (("--workers", "0"), ("--timeout", "-1"), ("--no-such-option",)):
        done = run_here("autograder", "grade", *words, cwd=fresh.root)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_database_that_is_no_gradebook_stays_as_it_is(fresh: CourseFolder) -> None:
    path = fresh.root / "gradebook.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table recipes (name text)")
    before = path.read_bytes()
    refused(run_here("autograder", "grade", cwd=fresh.root), "not nbgrader's gradebook")
    assert path.read_bytes() == before


def test_a_gradebook_of_another_course_stays_as_it_is(fresh: CourseFolder) -> None:
    path = fresh.root / "gradebook.db"
    with Database(f"sqlite:///{path}", "chemistry"):
        pass
    before = path.read_bytes()
    refused(run_here("autograder", "grade", cwd=fresh.root), "of the course 'chemistry'")
    assert path.read_bytes() == before


def test_a_gradebook_with_grades_for_other_cells(fresh: CourseFolder) -> None:
    assert run_here("autograder", "grade", cwd=fresh.root).returncode == 0
    source = fresh.source_text(NAME)
    source.write_text(source.read_text().replace('"grade_id": "half', '"grade_id": "third'))
    done = run_here("autograder", "grade", "--force", cwd=fresh.root)
    refused(done, "has grades for other cells of 01-small")


def test_an_output_folder_that_cannot_be_written(fresh: CourseFolder) -> None:
    (fresh.root / "autograded").write_text("a file where the folder belongs")
    refused(run_here("autograder", "grade", cwd=fresh.root), "cannot be written")
    assert not (fresh.root / "gradebook.db").exists()
