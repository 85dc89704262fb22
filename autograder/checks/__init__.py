"""What a test cell says: run, compare with autograd, explain, award points."""

from autograder.checks.calling import Misfit
from autograder.checks.check import Check
from autograder.checks.reference import Twin, recorded_edges

__all__ = ["Check", "Misfit", "Twin", "recorded_edges"]
