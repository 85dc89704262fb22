"""Run code cells in this process, without a kernel: what the proof of the course is made of."""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import sys
import warnings
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CellRun:
    """What one cell did. ``value`` is that of its last expression, as Jupyter would show it."""

    value: Any = None
    stdout: str = ""
    stderr: str = ""
    error: Exception | None = None


def run_cell(source: str, namespace: dict[str, Any], name: str) -> CellRun:
    """Execute ``source`` in ``namespace``; ``name`` stands in tracebacks. Never raises."""
    filename = f"<cell {name}>"
    # The reports quote a student's line, and inspect needs the text of a function.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    out, err = io.StringIO(), io.StringIO()
    value: Any = None
    error: Exception | None = None
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        warnings.showwarning = _show_warning
        try:
            tree = ast.parse(source, filename)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, filename, "exec"), namespace)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), filename, "eval"), namespace)
        except Exception as raised:
            error = raised
    return CellRun(value, out.getvalue(), err.getvalue(), error)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    sys.stderr.write(f"{category.__name__}: {message}\n")


def defined_names(source: str) -> list[str]:
    """The functions, classes and variables that a cell defines at its top level, in order."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                names += [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
    return names
