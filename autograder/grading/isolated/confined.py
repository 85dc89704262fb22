"""The child of a warm process confines itself before the first cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.grading.sandbox import Policy, Prepared, prepare


def rehearse(order: dict[str, Any], opened: Sequence[str], scratch: str, above: str) -> Prepared:
    """Find out beforehand all that can be, so that a child has little left to do.

    ``opened`` are the files of the course that the notebook may read. A child's own folder must lie
    as deep as ``scratch``, and beneath ``above``. Raises ``SandboxError`` when a required layer is
    missing.
    """
    policy = Policy(
        scratch=Path(scratch),
        readable=tuple(Path(name) for name in (*order["readable"], *opened)),
        listable=tuple(Path(name) for name in order["listable"]),
        cpu_seconds=order["cpu_seconds"],
        memory_bytes=order["memory_bytes"],
        processes=order["processes"],
        files=order["files"],
        file_bytes=order["file_bytes"],
    )
    return prepare(policy, frozenset(order["required"])).sharing(Path(above))


def enter(prepared: Prepared, scratch: str, keep: Sequence[int]) -> None:
    """Confine this process for ever to ``scratch`` and the descriptors ``keep``.

    Raises ``SandboxError`` when a required layer is missing.
    """
    prepared.within(Path(scratch), (0, 1, 2, *keep)).apply()
