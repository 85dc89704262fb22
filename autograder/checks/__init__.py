"""What a test cell says: run, compare with autograd, explain, award points."""

from autograder.checks.calling import Misfit
from autograder.checks.check import Check
from autograder.checks.reference import Twin, recorded_edges
from autograder.checks.training import optimizer_steps, pairs_in, two_values

__all__ = [
    "Check",
    "Misfit",
    "Twin",
    "optimizer_steps",
    "pairs_in",
    "recorded_edges",
    "two_values",
]
