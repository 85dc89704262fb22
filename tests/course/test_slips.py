"""Wrong answers of notebooks 06 and 07 that once got full points, each for a hole of its own.

They have no sentence in the mistake bank: what they have in common is the property that they lack.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.course.exercises import Exercise, exercises
from autograder.course.source import read_source
from tests.course.test_course import COURSE

SLIPS = Path(__file__).parents[1] / "slips"
NAMES = [path.stem for path in sorted(SLIPS.glob("*.py"))]


def slips_of(name: str) -> dict[str, list[tuple[str, str]]]:
    """The slips of a notebook: for each exercise, pairs of what is wrong and the answer."""
    found: dict[str, list[tuple[str, str]]] = {}
    text = (SLIPS / f"{name}.py").read_text(encoding="utf-8")
    for block in re.split(r"^(?=# %%)", text, flags=re.MULTILINE)[1:]:
        marker, _, answer = block.partition("\n")
        exercise, _, what = marker.removeprefix("# %% ").partition(": ")
        found.setdefault(exercise, []).append((what, answer))
    return found


def exercises_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exercise]:
    """The exercises of a notebook, without its pictures and long trainings."""
    notebook = read_source(COURSE.source_text(name))
    kept = {"setup", "data"}
    notebook.cells = [
        cell
        for cell in notebook.cells
        if (marks := cell.metadata.get("nbgrader", {})).get("grade")
        or marks.get("solution")
        or marks.get("grade_id") in kept
    ]
    folder = COURSE.source / name
    if folder.is_dir():  # with what lies beside the notebook
        monkeypatch.chdir(folder)
    for exercise in exercises(notebook, name, folder):
        assert isinstance(exercise, Exercise), exercise
        yield exercise


def defines(answer: str, names: tuple[str, ...]) -> bool:
    return all(re.search(rf"^(?:def|class) {name}\b", answer, re.MULTILINE) for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_a_slip_does_not_get_full_points(name, monkeypatch):
    waiting = slips_of(name)
    accepted = []
    for exercise in exercises_of(name, monkeypatch):
        for what, answer in waiting.pop(exercise.name, []):
            if not defines(answer, exercise.names):  # it changes a part of the solution
                answer = "\n".join([*(text for _, text in exercise.solutions), answer])
            run, check, first = exercise.graded(answer)
            assert first.error is None, (exercise.name, what, first.error)
            assert check is not None and isinstance(run.value, float), (exercise.name, what)
            if run.value >= exercise.points:
                accepted.append(f"{exercise.name}: {what}")
    assert not waiting, f"no such exercise: {sorted(waiting)}"
    assert not accepted
