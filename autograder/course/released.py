"""Instructor's notebook → student's notebook, with nbgrader's own steps."""

from __future__ import annotations

import copy

from nbformat import NotebookNode
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.course.source import CourseFolder

# The order of nbgrader's generate_assignment, without the step that writes to the gradebook.
STEPS = (
    LockCells,
    ClearSolutions,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    ClearHiddenTests,
    ClearMarkScheme,
    ComputeChecksums,
    CheckCellMetadata,
)


def nbgrader_config(course: CourseFolder) -> Config:
    """The settings of ``nbgrader_config.py``, so that this program and stock nbgrader agree."""
    path = course.root / "nbgrader_config.py"
    if not path.exists():
        return Config()
    config: Config = PyFileConfigLoader(path.name, path=str(course.root)).load_config()
    return config


def released_notebook(notebook: NotebookNode, course: CourseFolder) -> NotebookNode:
    """What students get: no solutions, no hidden tests, no outputs; read-only test cells."""
    config = nbgrader_config(course)
    released = copy.deepcopy(notebook)
    for step in STEPS:
        released, _ = step(config=config).preprocess(released, {})
    return released
