"""The pages of a class: from the gradebook or in the same run, whole or not at all."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook as Database

from autograder.course import CourseFolder
from autograder.grading.pool import processes
from autograder.reports.feedback import NOT_GRADED, write_feedback
from tests.grading.conftest import run, run_here
from tests.grading.course import NAME, RIGHT, filled, make_course, submit

STUDENTS = ("first", "second", "third")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    """Three graded submissions with pages of the same run."""
    course = make_course(tmp_path_factory.mktemp("graded") / "course")
    for student in STUDENTS:
        submit(course, student, filled(course, RIGHT | {"essay": f"Because {student}."}))
    done = run("autograder", "grade", "--feedback", cwd=course.root)
    assert done.returncode == 0, done.stderr
    return course


@pytest.fixture
def course(graded: CourseFolder, tmp_path: Path) -> CourseFolder:
    shutil.copytree(graded.root, tmp_path / "course")
    return CourseFolder(tmp_path / "course")


def page(course: CourseFolder, student: str) -> Path:
    return course.root / "feedback" / student / NAME / f"{NAME}.html"


def autograded(course: CourseFolder, student: str) -> Path:
    return course.root / "autograded" / student / NAME / f"{NAME}.ipynb"


def grade_by_hand(course: CourseFolder, student: str) -> None:
    with Database(f"sqlite:///{course.root / 'gradebook.db'}", "backprop") as database:
        database.find_grade("essay", NAME, NAME, student).manual_score = 3.25
        database.find_comment("essay", NAME, NAME, student).manual_comment = "Well said."
        database.db.commit()


def test_pages_of_the_same_run_are_those_made_later(course: CourseFolder) -> None:
    at_once = {student: page(course, student).read_bytes() for student in STUDENTS}
    shutil.rmtree(course.root / "feedback")
    written = write_feedback(course, [NAME], workers=2)
    assert (written.pages, written.problems) == (3, [])
    assert {student: page(course, student).read_bytes() for student in STUDENTS} == at_once


@pytest.mark.parametrize("again", [(), ("--force",)])
def test_points_by_hand_appear_in_pages_of_the_same_run(
    again: tuple[str, ...], course: CourseFolder
) -> None:
    grade_by_hand(course, "second")
    done = run("autograder", "grade", "--feedback", *again, cwd=course.root)
    assert done.returncode == 0, done.stderr
    text = page(course, "second").read_text()
    assert "Score: 3.25 / 5.0" in text
    assert "Well said." in text
    assert "Well said." not in page(course, "first").read_text()


def test_what_cannot_be_made_is_a_sentence_and_the_others_are_written(course: CourseFolder) -> None:
    shutil.rmtree(course.root / "feedback")
    autograded(course, "first").chmod(0o644)
    autograded(course, "first").write_text('{"cells": [')
    shutil.copytree(autograded(course, "third").parent, autograded(course, "nobody").parent)
    done = run("autograder", "feedback", cwd=course.root)
    assert done.returncode == 0
    assert "no page for first/01-small: 01-small.ipynb is not a notebook" in done.stderr
    assert f"no page for nobody/01-small: {NOT_GRADED}" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    written = sorted(path.parts[-3] for path in course.root.glob("feedback/*/*/*"))
    assert written == ["second", "third"]


def test_when_nothing_can_be_made_the_code_is_2(course: CourseFolder) -> None:
    for student in STUDENTS:
        autograded(course, student).chmod(0o644)
        autograded(course, student).write_text("")
    done = run_here("autograder", "feedback", cwd=course.root)
    assert done.returncode == 2
    assert done.stderr.count("it is not JSON") == 3
    assert "Traceback" not in done.stderr


def test_a_class_that_is_not_graded(course: CourseFolder) -> None:
    shutil.rmtree(course.root / "autograded")
    (course.root / "autograded").mkdir()
    done = run_here("autograder", "feedback", cwd=course.root)
    assert done.returncode == 2
    assert "holds no graded submission" in done.stderr


def breaks_once() -> Callable[[int], Executor]:
    """Makes a pool whose workers end at once, then pools that work."""
    made: list[int] = []

    def make(workers: int) -> Executor:
        made.append(workers)
        if len(made) == 1:
            return ProcessPoolExecutor(workers, initializer=os._exit, initargs=(3,))
        return processes(workers)

    return make


def test_a_pool_that_ends_costs_no_page(course: CourseFolder) -> None:
    shutil.rmtree(course.root / "feedback")
    written = write_feedback(course, [NAME], workers=1, executor=breaks_once())
    assert (written.pages, written.problems) == (3, [])


class Watched(ProcessPoolExecutor):
    """Keeps what goes to the workers."""

    sent: list[bytes]

    def submit(self, fn: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        self.sent.append(pickle.dumps((arguments, named)))
        return super().submit(fn, *arguments, **named)


def test_workers_see_no_gradebook_and_no_roster(course: CourseFolder) -> None:
    class Kept(Watched):
        sent: list[bytes] = []

    for student in STUDENTS:
        # The name stands in the answer too; here only the program could give it away.
        path = autograded(course, student)
        path.chmod(0o644)
        path.write_text(path.read_text().replace(f"Because {student}", "Because"))
    written = write_feedback(course, [NAME], workers=1, executor=Kept)
    assert written.pages == 3
    sent = b"".join(Kept.sent)
    assert b"double-check" in sent
    assert not any(word.encode() in sent for word in (*STUDENTS, "gradebook", "sqlite"))
