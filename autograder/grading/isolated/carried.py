"""A function of a test cell, carried to the student's process as code.

A student's function that takes a function as its argument may call it hundreds of times. One that
stands on its own is therefore run where it is called, as in a notebook. Only the judge's side packs
and only the student's side unpacks: no code ever comes from a student.
"""

from __future__ import annotations

import builtins
import marshal
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

# The module that a function may use by any name.
LIBRARY = "numpy"
# Functions that use functions that use functions …
DEEPEST = 8
PLAIN = (bool, int, float, complex, str, np.ndarray, np.generic, np.ufunc, type(None))


def pack(function: Any, depth: int = 0) -> list[Any] | None:
    """All that ``function`` is made of, as data; None where it needs what cannot be carried.

    It may use NumPy, numbers, strings, arrays, and further functions that stand on their own.
    """
    if type(function) is not FunctionType or depth > DEEPEST or function.__kwdefaults__:
        return None
    known = function.__globals__
    used = {name: known[name] for name in sorted(_names(function.__code__)) if name in known}
    values = {
        "globals": list(used.values()),
        "closure": [_content(cell) for cell in function.__closure__ or ()],
        "defaults": list(function.__defaults__ or ()),
    }
    packed = {kind: [_packed(value, depth) for value in found] for kind, found in values.items()}
    if any(part is None for parts in packed.values() for part in parts):
        return None
    code = marshal.dumps(function.__code__)
    return [function.__name__, code, list(used), *packed.values()]


def unpack(parts: list[Any]) -> FunctionType:
    """The function that ``pack`` took apart. For what comes from the judge only."""
    name, code, names, used, closure, defaults = parts
    known: dict[str, Any] = {"__builtins__": builtins, "__name__": "__main__"}
    known |= dict(zip(names, map(_unpacked, used), strict=True))
    cells = tuple(CellType(_unpacked(part)) for part in closure)
    return FunctionType(
        marshal.loads(code), known, name, tuple(map(_unpacked, defaults)), cells or None
    )


def _names(code: CodeType) -> Iterator[str]:
    """The names that may be global ones, in ``code`` and in the functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return _content


def _packed(value: Any, depth: int) -> list[Any] | None:
    """What kind of thing it is, and the thing."""
    if isinstance(value, ModuleType):
        return ["module", ""] if value.__name__ == LIBRARY else None
    if isinstance(value, PLAIN):
        return ["value", value]
    function = pack(value, depth + 1)
    return None if function is None else ["function", function]


def _unpacked(part: list[Any]) -> Any:
    kind, value = part
    if kind == "module":
        return np
    return unpack(value) if kind == "function" else value
