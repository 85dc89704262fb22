"""What a check computes alike for every student: PyTorch's answers, and those of the mistake bank.

In a notebook nothing is remembered. A grader that checks a whole class with the same test cells
calls ``remember`` once; from then on, an answer to the same inputs is computed once.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from autograder.checks.reference import Twin

# A course has some thousands of such answers, of a few kilobytes each.
MOST = 50_000

_known: dict[bytes, Any] | None = None


class _UnknownError(Exception):
    """An input of which it cannot be said whether it is the same as another."""


def remember() -> None:
    """From now on, remember."""
    global _known
    _known = {}


def recall(what: Any, inputs: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
    """``compute()``, or what it gave for the same ``what`` and ``inputs``: do not change it.

    ``what`` is a text, or the function that is computed. Two functions are the same when their
    code is, and the values that they closed over.
    """
    if _known is None:
        return compute()
    digest = hashlib.blake2b(digest_size=20)
    try:
        _add(digest.update, what)
        _add(digest.update, dict(inputs))
    except _UnknownError:
        return compute()
    key = digest.digest()
    if key not in _known:
        answer = compute()
        if len(_known) < MOST:
            _known[key] = _frozen(answer)
        return answer
    return _known[key]


def _add(update: Callable[[bytes], None], value: Any) -> None:
    """Everything that tells ``value`` from others. Raises ``_UnknownError``."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        update(f"array {value.dtype.str} {value.shape};".encode())
        update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (list, tuple)):
        update(f"{type(value).__name__} {len(value)};".encode())
        for part in value:
            _add(update, part)
    elif isinstance(value, Mapping):
        update(f"dict {len(value)};".encode())
        for key, part in value.items():
            _add(update, key)
            _add(update, part)
    elif isinstance(value, (set, frozenset)):
        _add(update, sorted(map(repr, value)))
    elif isinstance(value, Twin):
        _add(update, [str(value), value.numpy, value.torch])
    elif isinstance(value, FunctionType):
        _add_function(update, value)
    elif isinstance(value, (BuiltinFunctionType, np.ufunc)):
        module = getattr(value, "__module__", None)
        update(f"function {module} {value.__name__};".encode())
    else:
        raise _UnknownError


def _add_function(update: Callable[[bytes], None], function: FunctionType) -> None:
    update(f"function {function.__code__.co_filename};".encode())
    update(marshal.dumps(function.__code__))
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    _add(update, [list(function.__defaults__ or ()), function.__kwdefaults__, cells])


def _frozen(value: Any) -> Any:
    """The same, with arrays that nobody can write to."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, (list, tuple)):
        for part in value:
            _frozen(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            _frozen(part)
    elif hasattr(value, "__dataclass_fields__"):
        _frozen(vars(value))
    return value
