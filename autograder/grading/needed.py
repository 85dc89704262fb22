"""What of a student's notebook has to run so that its checks say what they say.

A student has no source of the course to compare with, but the released notebook says by itself
which of its cells nobody changed: a locked one by nbgrader's checksum, any other by its id, which
was made from its text. Unchanged cells without an answer and points are pictures, examples and the
setup. Of these, what nothing else needs is left out: statement by statement, so that a notebook
whose pictures are left out does not wait for matplotlib either.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autograder.fingerprint import text_id
from autograder.grading.cells import compute_checksum, is_grade, is_locked, is_solution, is_task
from autograder.grading.names import (
    REFLECTIVE,
    Names,
    bound_names,
    free_names,
    modules_imported,
    names_of,
    parse,
    spare,
    stored,
)


@dataclass(frozen=True)
class CellToRun:
    """One code cell: its place in the notebook, what tracebacks call it, and what of it runs."""

    index: int
    label: str
    source: str
    # Modules that the cell imports; only of cells of the course that nobody changed.
    imports: tuple[str, ...] = ()


def needed_cells(cells: Sequence[Mapping[str, Any]]) -> list[CellToRun]:
    """The cells of a notebook that have to run, in order."""
    code = {i: cell for i, cell in enumerate(cells) if cell["cell_type"] == "code"}
    untouched = {i: cell["source"] for i, cell in code.items() if is_untouched(cell)}
    others = [cell["source"] for i, cell in code.items() if i not in untouched]
    reflective = any(names_of(source).read & REFLECTIVE for source in others)
    if not reflective:
        data = frozenset(name for cell in code.values() for name in stored(cell["source"]))
        needed = {n for source in others for n in names_of(source).free | (_words(source) - data)}
        kept = _needed_statements(untouched, needed, data)
        reflective = any(names_of(source).read & REFLECTIVE for source in kept.values())
    if reflective:
        kept = untouched
    found = []
    for i, cell in code.items():
        source = kept.get(i, "") if i in untouched else cell["source"]
        if source:
            label = str(cell["metadata"].get("nbgrader", {}).get("grade_id") or f"cell {i + 1}")
            imports = tuple(modules_imported(source)) if i in untouched else ()
            found.append(CellToRun(i, label, source, imports))
    return found


def is_untouched(cell: Mapping[str, Any]) -> bool:
    """Is it a cell of the course without an answer and without points, as it was released?"""
    if is_grade(cell) or is_solution(cell) or is_task(cell):
        return False
    if is_locked(cell):
        fields = cell["metadata"]["nbgrader"]
        return "grade_id" in fields and fields.get("checksum") == compute_checksum(cell)
    return str(cell.get("id", "")).split("-")[0] == text_id(cell["source"])


def _needed_statements(
    sources: Mapping[int, str], needed: set[str], data: frozenset[str]
) -> dict[int, str]:
    """Of each cell, the statements that define or change what is needed."""
    found: list[tuple[int, str]] = []
    waiting: dict[int, Names] = {}
    for i, source in sources.items():
        for node in parse(source).body:
            module = ast.Module([node], [])
            free = frozenset(free_names(module))
            waiting[len(found)] = Names(frozenset(bound_names(module)) | _changed(node), free, free)
            found.append((i, ast.unparse(node)))
    spare(waiting, needed, data)
    kept: dict[int, str] = {}
    for number, (i, text) in enumerate(found):
        if number not in waiting:
            kept[i] = f"{kept[i]}\n{text}" if i in kept else text
    return kept


def _changed(statement: ast.stmt) -> frozenset[str]:
    """The names whose values a statement changes without binding them.

    ``np.random.seed(0)`` and ``np.x = 1`` change ``np``. Of a loop or a condition only data counts
    as changed, and ``spare`` sees to that.
    """
    parts: list[ast.expr] = []
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        parts = [statement.value.func]
    elif isinstance(statement, (ast.Assign, ast.Delete)):
        parts = statement.targets
    elif isinstance(statement, ast.AugAssign):
        parts = [statement.target]
    changed: set[str] = set()
    for part in parts:
        inner = part
        while isinstance(inner, (ast.Attribute, ast.Subscript)):
            inner = inner.value
        if inner is not part and isinstance(inner, ast.Name):
            changed.add(inner.id)
    return frozenset(changed)


def _words(source: str) -> set[str]:
    """What a check may look up by its name: its texts."""
    return {
        node.value
        for node in ast.walk(parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
