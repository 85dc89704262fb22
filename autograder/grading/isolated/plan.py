"""Which cell of a notebook runs in which process.

The student's process runs what the student may have written: every cell but the test cells. The
judge's process runs the test cells and, of the instructor's own cells, those statements that the
test cells use. Both are worked out from the instructor's notebook, never from a submission.
"""

from __future__ import annotations

import ast
import builtins
import functools
import symtable
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nbformat import NotebookNode
from nbgrader.utils import is_grade, is_solution

from autograder.grading.isolated.judge import Test

# Every test cell of this course ends in this call.
ENDING = "check.grade()"
# With these, a program may use names that do not stand in it.
REFLECTIVE = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__"})
BUILTINS = frozenset(vars(builtins)) | {"display", "get_ipython"}


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
    tests = [cell for cell in cells if _is_test(cell)]
    if not tests or not all(_is_ours(cell.source) for cell in tests):
        return None
    answers: dict[str, str] = {}
    for cell in cells:
        if is_solution(cell):
            for bound in _bound(_parse(cell.source)):
                answers[bound] = cell.metadata.nbgrader.grade_id
    given = [c for c in cells if not _is_test(c) and not is_solution(c)]
    # A statement that uses an answer, such as a picture of it, is nothing that a test needs.
    statements = [s for cell in given for s in _statements(cell.source) if not s[1] & set(answers)]
    needed: set[str] = set()
    found: dict[str, Test] = {}
    objects: set[str] = set()
    for cell in tests:
        tree = _parse(cell.source)
        free = _free(tree)
        text = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        keywords = {k.arg for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords}
        needed |= free - set(answers)
        asks = tuple(sorted((free | text | {k for k in keywords if k}) & set(answers)))
        probe = None
        if probed := _probe_names(tree):
            objects |= {answers[n] for n in asks}
            probe = _slice(probed, [*statements, *_statements(cell.source)])
        found[cell.id] = Test(cell.id, cell.source, asks, probe)
    return Plan(
        name=name,
        prepared=_slice(needed, statements),
        tests=found,
        answers=frozenset(answers),
        data=frozenset(_stored(cells)),
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
    waiting: dict[int, _Names] = {}
    needed: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if _is_test(cell):
            decided[index] = "test"
            continue
        decided[index] = "run"
        names = _names(cell.source)
        known = str(cell.get("id", ""))
        if known in plan.skippable and plan.sources[known] == cell.source:
            waiting[index] = names
        else:
            needed |= names.read
    if needed & REFLECTIVE:
        return decided
    changed = True
    while changed:
        changed = False
        for index, names in list(waiting.items()):
            if (names.bound | (names.free & plan.data)) & needed:
                needed |= names.read
                del waiting[index]
                changed = True
    return decided | dict.fromkeys(waiting, "skip")


@dataclass(frozen=True)
class _Names:
    """Of one cell: what it binds, what it reads, and what of that must come from before."""

    bound: frozenset[str]
    read: frozenset[str]
    free: frozenset[str]


# The cells of a course, and those that students write alike, are looked at once.
@functools.lru_cache(maxsize=4096)
def _names(source: str) -> _Names:
    tree = _parse(source)
    return _Names(frozenset(_bound(tree)), frozenset(_read(tree)), frozenset(_free(tree)))


def needs_kernel(notebook: NotebookNode) -> bool:
    """Does a cell use what only IPython understands: magics, shell commands, await?"""
    return any(_is_ipython(c.source) for c in notebook.cells if c.cell_type == "code")


@functools.lru_cache(maxsize=4096)
def _is_ipython(source: str) -> bool:
    if "get_ipython" in source:
        return True
    try:
        compile(source, "<cell>", "exec", dont_inherit=True)
        return False
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    from IPython.core.inputtransformer2 import TransformerManager

    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        changed = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
        compile(changed, "<cell>", "exec", flags=flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # wrong in both
    return True


def _is_test(cell: NotebookNode) -> bool:
    return bool(is_grade(cell)) and cell.cell_type == "code" and not is_solution(cell)


def _is_ours(source: str) -> bool:
    lines = source.rstrip().splitlines()
    return bool(lines) and lines[-1].strip() == ENDING


def _parse(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _statements(source: str) -> Iterator[tuple[frozenset[str], frozenset[str], str]]:
    """Each statement of a cell: what it binds, what it needs, and its text."""
    for node in _parse(source).body:
        module = ast.Module([node], [])
        yield frozenset(_bound(module)), frozenset(_free(module)), ast.unparse(node)


def _slice(
    names: set[str], statements: Sequence[tuple[frozenset[str], frozenset[str], str]]
) -> str:
    """Of ``statements``, those that define ``names`` and what these need in turn, in order."""
    kept: set[int] = set()
    waiting, seen = set(names), set(names)
    while waiting:
        name = waiting.pop()
        for number, (bound, free, _) in enumerate(statements):
            if name in bound and number not in kept:
                kept.add(number)
                waiting |= free - seen
                seen |= free
    return "\n\n".join(statements[number][2] for number in sorted(kept))


def _bound(tree: ast.Module) -> list[str]:
    """The names that a cell binds at its top level, in order; imports too."""
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names += [(a.asname or a.name).split(".")[0] for a in node.names]
        else:
            names += [
                n.id
                for n in ast.walk(node)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            ]
    return names


def _free(tree: ast.Module) -> set[str]:
    """The names that a cell needs from before: read somewhere, and not bound by it earlier."""
    inside = _read(tree, nested=True) - set(_bound(tree))
    return (_needs(tree.body, set()) | inside) - BUILTINS


def _needs(body: Sequence[ast.stmt], bound: set[str]) -> set[str]:
    """What ``body`` reads and ``bound`` has not; adds to ``bound`` what it binds."""
    free: set[str] = set()
    for node in body:
        # The head of a compound statement by itself, then its parts, in the order of running.
        head: list[ast.expr] = []
        parts: list[list[ast.stmt]] = []
        if isinstance(node, (ast.For, ast.While, ast.If)):
            head = [node.iter if isinstance(node, ast.For) else node.test]
            parts = [node.body, node.orelse]
        elif isinstance(node, ast.With):
            head = [item.context_expr for item in node.items]
            parts = [node.body]
        elif isinstance(node, ast.Try):
            parts = [node.body, *(h.body for h in node.handlers), node.orelse, node.finalbody]
        if not parts:
            free |= _read(ast.Module([node], []), top=True) - bound
            bound |= set(_bound(ast.Module([node], [])))
            continue
        for expression in head:
            free |= _read(ast.Module([ast.Expr(expression)], []), top=True) - bound
        targets = [node.target] if isinstance(node, ast.For) else []
        if isinstance(node, ast.With):
            targets = [item.optional_vars for item in node.items if item.optional_vars]
        bound |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        for part in parts:
            free |= _needs(part, bound)
    return free


def _read(tree: ast.Module, *, top: bool = False, nested: bool = False) -> set[str]:
    """The global names that a cell reads: at its top level, inside its functions, or both."""
    both = top == nested
    names: set[str] = set()
    if top or both:
        names |= {
            node.target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
        }
    waiting = [symtable.symtable(ast.unparse(tree), "<cell>", "exec")]
    while waiting:
        table = waiting.pop()
        outermost = table.get_type() == "module"
        if both or outermost == top:
            names |= {
                symbol.get_name()
                for symbol in table.get_symbols()
                if symbol.is_referenced() and (outermost or symbol.is_global())
            }
        waiting += table.get_children()
    return names


def _probe_names(tree: ast.Module) -> set[str]:
    """The functions that a test cell gives as ``probe=``."""
    return {
        keyword.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "probe" and isinstance(keyword.value, ast.Name)
    }


def modules_imported(source: str) -> Iterator[str]:
    """The names of the modules that a text imports."""
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _stored(cells: Sequence[NotebookNode]) -> Iterator[str]:
    """Names that are bound by an assignment, a loop or a with statement at the top of a cell."""
    for cell in cells:
        for node in _parse(cell.source).body:
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
                yield from _bound(ast.Module([node], []))


def _skippable(cells: Sequence[NotebookNode]) -> Iterator[str]:
    """Cells that carry no answer and no points: pictures and examples."""
    for cell in cells:
        if not is_grade(cell) and not is_solution(cell):
            yield cell.id
