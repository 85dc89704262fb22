"""Grade a class: read, merge, execute, save. Knows nbgrader and no mathematics of the course."""

from autograder.grading.engine import Engine, KernelEngine, Limits
from autograder.grading.grade import Grading, grade_class
from autograder.grading.gradebook import Gradebook
from autograder.grading.results import Result, Unreadable, cell_results

__all__ = [
    "Engine",
    "Gradebook",
    "Grading",
    "KernelEngine",
    "Limits",
    "Result",
    "Unreadable",
    "cell_results",
    "grade_class",
]
