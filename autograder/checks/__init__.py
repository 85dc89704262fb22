"""What a test cell says: run, compare with autograd, explain, award points."""

from autograder.checks.check import Check
from autograder.checks.reference import Twin, recorded_edges
from autograder.checks.training import optimizer_steps

__all__ = ["Check", "Twin", "optimizer_steps", "recorded_edges"]
