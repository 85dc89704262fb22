"""The child of a warm process confines itself before the first cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.grading.sandbox import Policy, Prepared, prepare


def enter(order: dict[str, Any], opened: Sequence[str], scratch: str, keep: Sequence[int]) -> None:
    """Confine this process for ever. Raises ``SandboxError`` when a required layer is missing."""
    _prepared(order, tuple(opened), scratch, tuple(keep)).apply()


def rehearse(order: dict[str, Any], opened: Sequence[str], scratch: str) -> None:
    """Find out beforehand what ``enter`` will ask, so that every child knows it."""
    _prepared(order, tuple(opened), scratch, ())


def _prepared(
    order: dict[str, Any], opened: tuple[str, ...], scratch: str, keep: tuple[int, ...]
) -> Prepared:
    readable = tuple(Path(name) for name in (*order["readable"], *opened))
    policy = Policy(
        scratch=Path(scratch),
        readable=readable,
        listable=tuple(Path(name) for name in order["listable"]),
        cpu_seconds=order["cpu_seconds"],
        memory_bytes=order["memory_bytes"],
        processes=order["processes"],
        files=order["files"],
        file_bytes=order["file_bytes"],
        descriptors=(0, 1, 2, *keep),
    )
    return prepare(policy, frozenset(order["required"]))
