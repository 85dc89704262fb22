"""A sound toy course of one exercise, which the tests break in one place each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder import mistakes
from autograder.course import CourseFolder
from autograder.course.build import build
from autograder.course.validate import Verdict, validate

NAME = "01-toy"
SOURCE = '''\
# %% [markdown]
# # Toy
#
# **3 points · about 2 minutes**

# %% nbgrader={"grade_id": "setup", "locked": true}
import numpy as np
import torch

from autograder.checks import Check

# %% [markdown]
# ### Exercise: `toy_affine(x, W, b)`
#
# **3 points · 2 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where to begin.</summary> Begin. </details>
# <details><summary>I'm not sure where to end.</summary> End. </details>

# %% nbgrader={"grade_id": "toy_affine", "solution": true}
def toy_affine(x, W, b):
    """The affine map.

    Args:
        x: one sample, shape (n_in,)
        W: weights, shape (n_out, n_in)
        b: bias, shape (n_out,)

    Returns:
        z: the result, shape (n_out,)
    """
    ### BEGIN SOLUTION
    product = W @ x
    return product + b
    ### END SOLUTION


# %% nbgrader={"grade_id": "toy_affine-check", "grade": true, "points": 3}
rng = np.random.default_rng(1)


def pytorch(x, W, b):
    return torch.nn.functional.linear(x, W, b)


check = Check("toy_affine", pytorch, returns={"z": 3})
check.case("wide", x=rng.normal(size=3), W=rng.normal(size=(2, 3)), b=rng.normal(size=2))
### BEGIN HIDDEN TESTS
check.hidden.case("square", x=rng.normal(size=4), W=rng.normal(size=(4, 4)), b=rng.normal(size=4))
### END HIDDEN TESTS
check.grade()
'''
ALTERNATIVES = """\
# %% toy_affine: einsum
def toy_affine(x, W, b):
    return np.einsum("ij,j->i", W, x) + b


# %% toy_affine: dot
def toy_affine(x, W, b):
    return W.dot(x) + b
"""


@dataclass
class Toy:
    """The toy course, with short ways to break it."""

    course: CourseFolder

    @property
    def source(self) -> Path:
        return self.course.source_text(NAME)

    @property
    def alternatives(self) -> Path:
        return self.course.alternatives / f"{NAME}.py"

    def edit(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def validate(self) -> Verdict:
        return validate(self.course, [NAME])

    def problems(self, *, in_step: bool = False) -> list[str]:
        """What validate says; by default without that the files are out of step."""
        found = [str(problem) for problem in self.validate().problems]
        return (
            found
            if in_step
            else [
                text
                for text in found
                if "mend: autograder" not in text and "Mend: autograder build" not in text
            ]
        )


def enter_records() -> None:
    @mistakes.mistake("toy_affine", "no-bias", "The bias is absent.")
    def toy_affine(x, W, b):
        return W @ x

    @mistakes.mistake("toy_affine", "minus", "The bias is subtracted.")
    def toy_affine(x, W, b):
        return W @ x - b

    @mistakes.mistake("toy_affine", "transposed", "W is transposed.")
    def toy_affine(x, W, b):
        return x @ W + b

    @mistakes.mistake("toy_affine", "twice", "The bias counts twice.")
    def toy_affine(x, W, b):
        return W @ x + 2 * b

    mistakes.success_note("toy_affine", "Rows of W take dot products with x.")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy course as files, built once."""
    root = tmp_path_factory.mktemp("toy")
    course = CourseFolder(root)
    course.source.mkdir()
    course.alternatives.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "nbgrader_config.py", root)
    course.source_text(NAME).write_text(SOURCE)
    (course.alternatives / f"{NAME}.py").write_text(ALTERNATIVES)
    build(course, [NAME], report=lambda text: None)
    return root


@pytest.fixture
def toy(built: Path, tmp_path: Path) -> Iterator[Toy]:
    """A copy of the built course and fresh records, to break at will."""
    root = tmp_path / "course"
    shutil.copytree(built, root)
    enter_records()
    yield Toy(CourseFolder(root))
    mistakes._bank.pop("toy_affine", None)
    mistakes._notes.pop("toy_affine", None)
