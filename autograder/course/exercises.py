"""Find the exercises of a notebook: a check cell, and the solution cells it grades."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from autograder.checks import Check
from autograder.course.cells import CellRun, defined_names, run_cell


@dataclass(frozen=True)
class Exercise:
    """One exercise of the solved notebook, and the names that existed before its check cell."""

    notebook: str
    check_id: str
    check_source: str
    points: float
    namespace: dict[str, Any]
    check: Check
    run: CellRun
    # grade_id and source of the solution cells that define what is checked.
    solutions: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The first function or variable that the student writes."""
        return self.check.name

    @property
    def names(self) -> tuple[str, ...]:
        """All names that the student writes for this exercise."""
        return tuple(self.check.returns) if self.check.typed else self.check.functions

    def graded(self, answer: str | None) -> tuple[CellRun, Check | None, CellRun]:
        """Run ``answer`` in place of the solution, then the check cell.

        Returns the run of the check cell, its check and the run of the answer.
        """
        namespace = {k: v for k, v in self.namespace.items() if k not in self.names}
        namespace.pop("check", None)
        first = run_cell(answer, namespace, self.name) if answer is not None else CellRun()
        run = run_cell(self.check_source, namespace, self.check_id)
        check = namespace.get("check")
        return run, check if isinstance(check, Check) else None, first


@dataclass(frozen=True)
class Broken:
    """A cell of the solved notebook that cannot be taken for an exercise, and why."""

    cell: str
    reason: str


def exercises(notebook: NotebookNode, name: str, folder: Path) -> Iterator[Exercise | Broken]:
    """Run the solved notebook from top to bottom and yield its exercises on the way.

    ``folder`` holds the files that travel with the notebook; cells find it as working directory
    of the process that calls this.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    solutions: dict[str, tuple[str, str]] = {}
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        meta = cell.metadata.get("nbgrader", {})
        label = meta.get("grade_id", f"cell {number}")
        if not meta.get("grade"):
            run = run_cell(cell.source, namespace, label)
            if run.error is not None:
                yield Broken(label, f"raised {type(run.error).__name__}: {run.error}")
            if meta.get("solution"):
                for defined in defined_names(cell.source):
                    solutions[defined] = (label, cell.source)
            continue
        before = dict(namespace)
        namespace.pop("check", None)
        run = run_cell(cell.source, namespace, label)
        check = namespace.get("check")
        if not isinstance(check, Check):
            why = f": it raised {type(run.error).__name__}: {run.error}" if run.error else ""
            yield Broken(label, f"does not make a Check named 'check'{why}")
            continue
        names = tuple(check.returns) if check.typed else check.functions
        cells = tuple(dict.fromkeys(solutions[n] for n in names if n in solutions))
        yield Exercise(name, label, cell.source, float(meta["points"]), before, check, run, cells)
