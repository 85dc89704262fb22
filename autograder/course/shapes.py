"""Shapes in docstrings: read them, and compare them with what is returned.

A line of ``Args:`` or ``Returns:`` says ``name: meaning, shape (B, n_in)``. Alternatives are
joined by "or": ``shape () or (n_in,)``. ``shape of z`` is the shape of another one, and
``any shape`` promises nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

LINE = re.compile(r"^\s*(\w+): (.*)$")
TUPLE = r"\([^()]*\)"
SHAPE = re.compile(rf"shape ({TUPLE}(?: or {TUPLE})*)")
SAME = re.compile(r"shape of `?(\w+)`?")

Binding = dict[str, int]


def docstring_shapes(source: str, function: str) -> dict[str, str]:
    """From each name in the docstring of ``function`` to the text that follows it."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            lines = (ast.get_docstring(node) or "").splitlines()
            found: dict[str, str] = {}
            last = None
            for line in lines:
                match = LINE.match(line) if line.startswith("    ") else None
                if match:
                    last = match[1]
                    found[last] = match[2]
                elif last and line.strip() and line.startswith("     "):
                    found[last] += " " + line.strip()
                else:
                    last = None
            return found
    return {}


def shape_problems(
    texts: Mapping[str, str], inputs: Mapping[str, Any], returned: Mapping[str, Any]
) -> list[str]:
    """What the docstring says that is not so, for one call."""
    problems: list[str] = []
    binding: Binding = {}
    known = {n: np.shape(v) for n, v in inputs.items() if isinstance(v, np.ndarray)}
    for name, value in [*inputs.items(), *returned.items()]:
        is_result = name in returned
        if not isinstance(value, (np.ndarray, float, np.floating)):
            continue
        text = texts.get(name)
        if text is None:
            problems.append(f"the docstring does not mention {name}")
            continue
        shape = np.shape(value)
        verdict = _matches(text, shape, binding, known)
        if verdict is None and is_result:
            problems.append(f"the docstring gives no shape for {name}")
        elif verdict is False:
            what = "returned" if is_result else "given"
            problems.append(f"the docstring says '{text}', but {name} is {what} with shape {shape}")
        known[name] = shape
    return problems


def _matches(
    text: str, shape: tuple[int, ...], binding: Binding, known: Mapping[str, tuple[int, ...]]
) -> bool | None:
    same = SAME.search(text)
    if same:
        return known.get(same[1], ()) == shape
    if "any shape" in text:
        return True
    match = SHAPE.search(text)
    if match is None:
        return None
    for option in re.findall(TUPLE, match[1]):
        trial = dict(binding)
        symbols = [part.strip() for part in option.strip("()").split(",") if part.strip()]
        if _fits(symbols, shape, trial):
            binding.update(trial)
            return True
    return False


def _fits(symbols: list[str], shape: tuple[int, ...], binding: Binding) -> bool:
    if symbols and symbols[0] in ("...", "…"):
        symbols = symbols[1:]
        shape = shape[len(shape) - len(symbols) :]
    if len(symbols) != len(shape):
        return False
    for symbol, size in zip(symbols, shape, strict=True):
        if symbol.isdigit():
            if int(symbol) != size:
                return False
        elif binding.setdefault(symbol, size) != size:
            return False
    return True
