"""From ``source/`` to notebooks and solutions, and the proof that the course is sound."""

from autograder.course.alternatives import Alternative, all_alternatives, alternatives_of
from autograder.course.cells import defined_names
from autograder.course.released import nbgrader_config, released_notebook
from autograder.course.source import CourseFolder, read_source

__all__ = [
    "Alternative",
    "CourseFolder",
    "all_alternatives",
    "alternatives_of",
    "defined_names",
    "nbgrader_config",
    "read_source",
    "released_notebook",
]
