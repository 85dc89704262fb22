"""Which names a text of Python binds, and which it needs: what can be left out, and what not."""

from __future__ import annotations

import ast
import builtins
import functools
import re
import symtable
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

# With these, a program may use names that do not stand in it.
REFLECTIVE = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__"})
# Whatever may be ``x += 1``, with any operator.
ADDS = re.compile(r"[-+*/%@&|^<>]=")
BUILTINS = frozenset(vars(builtins)) | {"display", "get_ipython"}


@dataclass(frozen=True)
class Names:
    """Of one cell: what it binds, what it reads, and what of that must come from before."""

    bound: frozenset[str]
    read: frozenset[str]
    free: frozenset[str]


# The cells of a course, and those that students write alike, are looked at once.
@functools.lru_cache(maxsize=4096)
def names_of(source: str) -> Names:
    """The names of one cell."""
    tree = parse(source)
    return Names(
        frozenset(bound_names(tree)), frozenset(read_names(tree)), frozenset(free_names(tree))
    )


@functools.lru_cache(maxsize=4096)
def is_ipython(source: str) -> bool:
    """Does a cell use what only IPython understands: magics, shell commands, await?"""
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


def parse(source: str) -> ast.Module:
    """The syntax tree of a cell; an empty one where it has none."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def statements_of(source: str) -> Iterator[tuple[frozenset[str], frozenset[str], str]]:
    """Each statement of a cell: what it binds, what it needs, and its text."""
    for node in parse(source).body:
        module = ast.Module([node], [])
        yield frozenset(bound_names(module)), frozenset(free_names(module)), ast.unparse(node)


def slice_of(
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


def bound_names(tree: ast.Module) -> list[str]:
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


def free_names(tree: ast.Module) -> set[str]:
    """The names that a cell needs from before: read somewhere, and not bound by it earlier."""
    inside = read_names(tree, nested=True) - set(bound_names(tree))
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
            free |= read_names(ast.Module([node], []), top=True) - bound
            bound |= set(bound_names(ast.Module([node], [])))
            continue
        for expression in head:
            free |= read_names(ast.Module([ast.Expr(expression)], []), top=True) - bound
        targets = [node.target] if isinstance(node, ast.For) else []
        if isinstance(node, ast.With):
            targets = [item.optional_vars for item in node.items if item.optional_vars]
        bound |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        for part in parts:
            free |= _needs(part, bound)
    return free


@functools.lru_cache(maxsize=4096)
def names_read(source: str) -> frozenset[str]:
    """The global names that a cell reads anywhere; none where it is no Python."""
    return frozenset(_read(source, None, top=True, nested=True))


def read_names(tree: ast.Module, *, top: bool = False, nested: bool = False) -> set[str]:
    """The global names that a cell reads: at its top level, inside its functions, or both."""
    return _read(ast.unparse(tree), tree, top=top, nested=nested)


def _read(source: str, tree: ast.Module | None, *, top: bool, nested: bool) -> set[str]:
    both = top == nested
    names: set[str] = set()
    try:
        waiting = [symtable.symtable(source, "<cell>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return names
    while waiting:
        table = waiting.pop()
        outermost = table.get_type() == "module"
        if both or outermost == top:
            names |= {
                symbol.get_name()
                for symbol in table.get_symbols()
                if symbol.is_referenced() and (outermost or symbol.is_global())
            }
        if not outermost and (both or nested):
            # A function that says ``global x`` may say ``x += 1``.
            names |= {s.get_name() for s in table.get_symbols() if s.is_declared_global()}
        waiting += table.get_children()
    if (top or both) and ADDS.search(source):
        names |= set(_added_to(parse(source) if tree is None else tree))
    return names


def _added_to(tree: ast.AST) -> Iterator[str]:
    """The names ``x`` of every ``x += 1`` outside functions and classes: these read x too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        yield from _added_to(node)


def modules_imported(source: str) -> Iterator[str]:
    """The names of the modules that a text imports."""
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def stored(source: str) -> Iterator[str]:
    """Names that are bound by an assignment, a loop or a with statement at the top of a cell."""
    for node in parse(source).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            yield from bound_names(ast.Module([node], []))


def spare(waiting: dict[int, Names], needed: set[str], data: Container[str]) -> None:
    """Leave in ``waiting`` the cells without which the names in ``needed`` come out the same.

    What the others read is added to ``needed``. ``data`` are the names of what a cell may change
    without binding it.
    """
    changed = True
    while changed:
        changed = False
        for index, names in list(waiting.items()):
            touched = names.bound | {name for name in names.free if name in data}
            if touched & needed:
                needed |= names.read
                del waiting[index]
                changed = True
