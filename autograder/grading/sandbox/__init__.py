"""Confine a process before it runs student code. What it stops: docs/confinement.md."""

from autograder.grading.sandbox.confinement import (
    LAYERS,
    REQUIRED,
    Layer,
    Policy,
    Prepared,
    SandboxError,
    available,
    confine,
    prepare,
)
from autograder.grading.sandbox.readable import readable_by_default
from autograder.grading.sandbox.session import (
    Process,
    adopt_orphans,
    kill_session,
    processes_of_session,
)

__all__ = [
    "LAYERS",
    "REQUIRED",
    "Layer",
    "Policy",
    "Prepared",
    "Process",
    "SandboxError",
    "adopt_orphans",
    "available",
    "confine",
    "kill_session",
    "prepare",
    "processes_of_session",
    "readable_by_default",
]
