"""Every notebook of the course is graded with its test cells in a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbgrader.utils import determine_grade

from autograder.commands import PRELOAD
from autograder.course import CourseFolder, read_source
from autograder.grading.cells import is_test
from autograder.grading.engine import Job, KernelEngine
from autograder.grading.isolated.engine import IsolatedEngine
from autograder.grading.isolated.plan import plan_for
from autograder.grading.isolated.walls import Walls
from autograder.grading.limits import Limits

COURSE = CourseFolder(Path(__file__).parents[2])
NAMES = COURSE.names()
LIMITS = Limits()


@pytest.fixture(scope="module")
def engine() -> Iterator[IsolatedEngine]:
    plans = {}
    for name in NAMES:
        plan = plan_for(name, read_source(COURSE.source_text(name)))
        assert plan is not None
        plans[f"{name}/{name}"] = plan
    walls = Walls.of_this_machine()
    made = IsolatedEngine(plans, KernelEngine(LIMITS), LIMITS, PRELOAD, walls)
    yield made
    made.warmth().close()


def shares(engine: IsolatedEngine, name: str, path: Path) -> set[float]:
    """Which shares of their points the test cells give to the notebook at ``path``."""
    # The tests are those of the instructor, whatever the file has.
    submitted = read_source(COURSE.source_text(name))
    source = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
    for cell in submitted.cells:
        if not is_test(cell):
            cell.source = source.get(cell.id, cell.source)
    executed = engine.execute(Job(submitted, {}, f"{name}/{name}"))
    assert executed.way == "apart"
    grades = [determine_grade(cell) for cell in executed.notebook.cells if is_test(cell)]
    return {score / most for score, most in grades}


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_gets_all_points_and_a_scaffold_none(name: str, engine: IsolatedEngine) -> None:
    assert shares(engine, name, COURSE.solved_notebook(name)) == {1.0}
    assert shares(engine, name, COURSE.student_notebook(name)) == {0.0}
