"""What the student's process may read, and how much it may use."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.errors import UserError
from autograder.grading.limits import Limits
from autograder.grading.names import modules_imported

PACKAGE = Path(__file__).parents[2]
# Of this package, what a notebook imports for itself. Not the mistake bank, not the grader.
OPEN = ("__init__.py", "errors.py", "pictures.py", "checks", "mistakes/__init__.py")
OPEN_PROVIDED = "provided/__init__.py"
# Installed beside the course, and nothing that a notebook needs.
CLOSED = ("autograder", "nbgrader", "alembic", "sqlalchemy")


APART = ("student's cells apart from the tests", "only data between the two processes")
LIMITED = "limits of time and output"
ALWAYS = (*APART, LIMITED)


@dataclass(frozen=True)
class Walls:
    """Which layers must hold while a student's cells run; none of them where it is empty.

    ``found`` is what this machine can do, by layer, for the report.
    """

    required: frozenset[str] = frozenset()
    found: tuple[tuple[str, bool], ...] = ()

    @classmethod
    def of_this_machine(cls, *, unconfined: bool = False) -> Walls:
        """All layers that are needed. Raises ``UserError`` where one is missing.

        With ``unconfined``, those that are missing are done without.
        """
        from autograder.grading.sandbox import REQUIRED, available

        layers = available()
        missing = [layer for layer in layers if layer.name in REQUIRED and not layer.in_force]
        if missing and not unconfined:
            why = "; ".join(f"{layer.name}: {layer.detail}" for layer in missing)
            raise UserError(
                f"This machine cannot confine student code ({why}). Grade on Linux 5.13 or newer, "
                "or with --unconfined, which lets student code do whatever you may do."
            )
        found = tuple((layer.name, layer.in_force) for layer in layers)
        return cls(REQUIRED - {layer.name for layer in missing}, found)

    def layers(self) -> list[dict[str, Any]]:
        """For the report: each layer, and whether it is in force."""
        told = [*((name, True) for name in ALWAYS), *self.found]
        return [{"layer": name, "in_force": there} for name, there in told]

    def order(self, limits: Limits, without: str | None) -> dict[str, Any] | None:
        """What a warm process is told about the confinement of its children."""
        if sys.platform != "linux" or not self.required:
            return None
        from autograder.grading.sandbox import readable_by_default

        closed = CLOSED if without is None else (*CLOSED, without)
        return {
            "readable": [str(path) for path in readable_by_default(closed)],
            "listable": [str(PACKAGE)],
            "required": sorted(self.required),
            "cpu_seconds": max(1, round(limits.cpu_seconds)),
            "memory_bytes": limits.memory_bytes,
            "processes": limits.processes,
            "files": limits.files,
            "file_bytes": limits.file_bytes,
        }


def open_modules(imports: Iterable[str]) -> list[str]:
    """Of this package, the files that a notebook may read which imports ``imports``."""
    names = {*OPEN, OPEN_PROVIDED}
    waiting = list(imports)
    while waiting:
        module = waiting.pop()
        path = PACKAGE / (module.removeprefix("autograder.").replace(".", "/") + ".py")
        name = str(path.relative_to(PACKAGE))
        if module.startswith("autograder.provided.") and path.is_file() and name not in names:
            names.add(name)
            # What was built in one notebook may rest on what an earlier one provides.
            waiting += modules_imported(path.read_text(encoding="utf-8"))
    return sorted(str(PACKAGE / name) for name in names if (PACKAGE / name).exists())
