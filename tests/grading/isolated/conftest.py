"""A small notebook whose tests are checks, and the engine that grades it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbgrader.utils import determine_grade, is_grade

from autograder.course import read_source
from autograder.grading.engine import Job, KernelEngine
from autograder.grading.isolated.engine import IsolatedEngine
from autograder.grading.isolated.plan import plan_for
from autograder.grading.isolated.walls import Walls
from autograder.grading.limits import Limits
from autograder.preload import PRELOAD

NAME = "01-tiny/01-tiny"
SECRET = 271828.25
SOURCE = f"""\
# %% nbgrader={{"grade_id": "setup", "locked": true}}
import numpy as np
import torch

from autograder.checks import Check

# %% nbgrader={{"grade_id": "affine", "solution": true}}
def affine(x, W, b):
    return W @ x + b


# %%
picture = affine(np.ones(2), np.ones((3, 2)), np.ones(3))
print("a picture", picture)

# %% nbgrader={{"grade_id": "affine-check", "grade": true, "points": 2}}
rng = np.random.default_rng(1)


def pytorch(x, W, b):
    return torch.nn.functional.linear(x, W, b)


check = Check("affine", pytorch, returns={{"z": 2}})
check.case("two cases", x=rng.normal(size=3), W=rng.normal(size=(2, 3)), b=rng.normal(size=2))
check.hidden.case("a secret", x=np.full(2, {SECRET}), W=rng.normal(size=(2, 2)), b=np.ones(2))
check.grade()

# %% nbgrader={{"grade_id": "scale", "solution": true}}
def scale(f, x):
    return 2 * f(x)


# %% nbgrader={{"grade_id": "scale-check", "grade": true, "points": 1}}
check = Check("scale", lambda f, x: 2 * f(x), returns={{"y": 1}})
check.case("a function", f=Twin(lambda x: x * x, lambda x: x * x), x=rng.normal(size=4))
check.grade()

# %% nbgrader={{"grade_id": "answer", "solution": true}}
answer = 0.25

# %% nbgrader={{"grade_id": "answer-check", "grade": true, "points": 3}}
check = Check("answer", lambda: torch.tensor(0.25), returns={{"answer": 3}}, typed=True)
check.case("the answer")
check.grade()

# %% nbgrader={{"grade_id": "Layer", "solution": true}}
class Layer(torch.nn.Module):
    def forward(self, x):
        return 3 * x


# %% nbgrader={{"grade_id": "Layer-check", "grade": true, "points": 4}}
def probe(Layer, x):
    return Layer()(torch.tensor(x)).numpy()


check = Check("Layer", lambda x: 3 * x, returns={{"y": 4}}, probe=probe)
check.case("a vector", x=rng.normal(size=3))
check.grade()
""".replace("import Check\n", "import Check, Twin\n")
SOLVED = {"affine-check": 2.0, "scale-check": 1.0, "answer-check": 3.0, "Layer-check": 4.0}
LIMITS = Limits(cell_seconds=2.0, notebook_seconds=20.0, output_bytes=100_000)

Graded = Callable[..., tuple[dict[str, float], NotebookNode]]


@pytest.fixture(scope="package")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The solved notebook."""
    path: Path = tmp_path_factory.mktemp("tiny") / "01-tiny.py"
    path.write_text(SOURCE)
    return read_source(path)


@pytest.fixture(scope="package")
def engine(notebook: NotebookNode) -> Iterator[IsolatedEngine]:
    """With all walls, as ``autograder grade`` makes it."""
    plan = plan_for("01-tiny", notebook)
    assert plan is not None
    made = IsolatedEngine(
        {NAME: plan}, KernelEngine(LIMITS), LIMITS, PRELOAD, Walls.of_this_machine()
    )
    yield made
    made.warmth().close()


@pytest.fixture
def grade(engine: IsolatedEngine, notebook: NotebookNode) -> Graded:
    """Grade the notebook with other cells in the place of the solved ones."""

    def graded(
        answers: dict[str, str] | None = None, files: dict[str, bytes] | None = None, **more: Any
    ) -> tuple[dict[str, float], NotebookNode]:
        submitted = copy.deepcopy(notebook)
        for cell in submitted.cells:
            cell.source = (answers or {}).get(cell.id, cell.source)
        executed = engine.execute(Job(submitted, files or {}, NAME))
        assert executed.way == "apart"
        return points(executed.notebook), executed.notebook

    return graded


def points(notebook: NotebookNode) -> dict[str, float]:
    """The points of each test cell, by nbgrader's rule."""
    return {
        cell.id: float(determine_grade(cell)[0])
        for cell in notebook.cells
        if is_grade(cell) and cell.cell_type == "code"
    }


def text(notebook: NotebookNode, cell_id: str) -> str:
    """Everything that a cell shows."""
    (cell,) = [cell for cell in notebook.cells if cell.id == cell_id]
    return "\n".join(
        str(output.get("text", "")) + str(output.get("evalue", "")) + str(output.get("data", ""))
        for output in cell.outputs
    )
