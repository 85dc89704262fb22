"""Which cell of a notebook runs in which process.

The student's process runs what the student may have written: every cell but the test cells. The
judge's process runs the test cells and, of the instructor's own cells, those statements that the
test cells use. Both are worked out from the instructor's notebook, never from a submission.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nbformat import NotebookNode

from autograder.grading.cells import is_grade, is_solution, is_test
from autograder.grading.isolated.judge import Test
from autograder.grading.names import (
    REFLECTIVE,
    Names,
    bound_names,
    free_names,
    is_ipython,
    modules_imported,
    names_of,
    names_read,
    parse,
    read_names,
    slice_of,
    spare,
    statements_of,
    stored,
)

# What only exercises about its objects may use; their probes mention it.
LIBRARY = "torch"
# Every test cell of this course ends in this call.
ENDING = "check.grade()"


@dataclass(frozen=True)
class Plan:
    """How one notebook is graded apart from its tests.

    ``prepared`` is what the judge runs once, before any submission. ``answers`` are the names that
    students define, ``data`` the names of what is not a function, class or module. ``objects`` are
    the solution cells whose answers are objects, ``skippable`` the cells without answer and points.
    """

    name: str
    prepared: str
    tests: Mapping[str, Test]
    answers: frozenset[str]
    data: frozenset[str]
    objects: frozenset[str]
    sources: Mapping[str, str]
    skippable: frozenset[str]
    # Every module that the instructor's cells import.
    imports: frozenset[str]


def plan_for(name: str, source: NotebookNode) -> Plan | None:
    """The plan of an instructor's notebook; None where tests expect to share a process."""
    cells = [cell for cell in source.cells if cell.cell_type == "code"]
    tests = [cell for cell in cells if is_test(cell)]
    if not tests or not all(_is_ours(cell.source) for cell in tests):
        return None
    answers: dict[str, str] = {}
    for cell in cells:
        if is_solution(cell):
            for answer in bound_names(parse(cell.source)):
                answers[answer] = cell.metadata.nbgrader.grade_id
    given = [c for c in cells if not is_test(c) and not is_solution(c)]
    # A statement that uses an answer, such as a picture of it, is nothing that a test needs.
    statements = [
        s for cell in given for s in statements_of(cell.source) if not s[1] & set(answers)
    ]
    needed: set[str] = set()
    found: dict[str, Test] = {}
    objects: set[str] = set()
    for cell in tests:
        tree = parse(cell.source)
        needs = free_names(tree)
        text = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        keywords = {k.arg for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords}
        needed |= needs - set(answers)
        asks = tuple(sorted((needs | text | {k for k in keywords if k}) & set(answers)))
        probe, place = None, "plain"
        if probed := _probe_names(tree):
            probe = slice_of(probed, [*statements, *statements_of(cell.source)])
            if LIBRARY in read_names(parse(probe)):
                place = "objects"
                objects |= {answers[n] for n in asks}
        found[cell.id] = Test(cell.id, cell.source, asks, probe, place)
    return Plan(
        name=name,
        prepared=slice_of(needed, statements),
        tests=found,
        answers=frozenset(answers),
        data=frozenset(name for cell in cells for name in stored(cell.source)),
        objects=frozenset(objects),
        sources={cell.id: cell.source for cell in source.cells},
        skippable=frozenset(_skippable(cells)),
        imports=frozenset(name for cell in cells for name in modules_imported(cell.source)),
    )


def steps(plan: Plan, notebook: NotebookNode) -> dict[int, str]:
    """What happens to each code cell of a merged notebook: ``test``, ``run`` or ``skip``.

    Skipped are the instructor's own cells without points, such as pictures, where they are
    unchanged and nothing that runs can tell the difference.
    """
    decided: dict[int, str] = {}
    waiting: dict[int, Names] = {}
    needed: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if is_test(cell):
            decided[index] = "test"
            continue
        decided[index] = "run"
        known = str(cell.get("id", ""))
        if known in plan.skippable and plan.sources[known] == cell.source:
            waiting[index] = names_of(cell.source)
        else:
            needed |= names_read(cell.source)
    if needed & REFLECTIVE:
        return decided
    spare(waiting, needed, plan.data)
    return decided | dict.fromkeys(waiting, "skip")


def needs_kernel(notebook: NotebookNode) -> bool:
    """Does a cell use what only IPython understands: magics, shell commands, await?"""
    return any(is_ipython(c.source) for c in notebook.cells if c.cell_type == "code")


def _is_ours(source: str) -> bool:
    lines = source.rstrip().splitlines()
    return bool(lines) and lines[-1].strip() == ENDING


def _probe_names(tree: ast.Module) -> set[str]:
    """The functions that a test cell gives as ``probe=``."""
    return {
        keyword.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "probe" and isinstance(keyword.value, ast.Name)
    }


def _skippable(cells: Sequence[NotebookNode]) -> Iterator[str]:
    """Cells that carry no answer and no points: pictures and examples."""
    for cell in cells:
        if not is_grade(cell) and not is_solution(cell):
            yield cell.id
