"""What the check of notebook 08's train_step says to answers that return too little or too much."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.course.exercises import Exercise, exercises
from autograder.course.source import read_source

SOURCE = Path(__file__).parents[1] / "source"
NAME = "08-transformer-block"
STEP = "    return new_params, loss\n"


@pytest.fixture(scope="module")
def train_step() -> Iterator[Exercise]:
    notebook = read_source(SOURCE / f"{NAME}.py")
    needed = {"setup", "heads", "pytorch-block", "train_step-check"}

    def belongs(meta: dict[str, object]) -> bool:
        return meta.get("grade_id") in needed or bool(meta.get("solution"))

    notebook.cells = [c for c in notebook.cells if belongs(c.metadata.get("nbgrader", {}))]
    before = os.getcwd()
    os.chdir(SOURCE / NAME)
    try:
        (found,) = exercises(notebook, NAME, SOURCE / NAME)
        assert isinstance(found, Exercise)
        yield found
    finally:
        os.chdir(before)


def told(exercise: Exercise, ending: str) -> tuple[float, str]:
    ((_, solution),) = exercise.solutions
    assert STEP in solution
    run, _, first = exercise.graded(solution.replace(STEP, ending))
    assert first.error is None and run.error is None
    return run.value, run.stdout.splitlines()[0]


def test_a_parameter_that_is_not_returned_is_named_and_costs_its_part(train_step):
    points, line = told(train_step, "    del new_params['gamma3']\n" + STEP)
    assert 0 < points < 15 and "no key 'gamma3'" in line


def test_a_change_of_params_is_told_as_such_and_not_as_other_numbers(train_step):
    points, line = told(train_step, "    params.update(new_params)\n    return params, loss\n")
    assert 0 < points < 15 and "changes its input params" in line


def test_two_results_in_the_other_order_raise_nothing(train_step):
    points, line = told(train_step, "    return loss, new_params\n")
    assert points == 0 and line == "train_step: loss is a dict, expected a number."
