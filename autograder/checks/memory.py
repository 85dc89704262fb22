"""What a check computes alike for every student: PyTorch's answers, and those of the mistake bank.

In a notebook nothing is remembered. A grader that checks a whole class with the same test cells
calls ``remember`` once; from then on, an answer to the same inputs is computed once.
"""

from __future__ import annotations

import hashlib
import io
import marshal
import pickle
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

import numpy as np

# A course has some thousands of such answers, of a few kilobytes each.
MOST = 50_000

_known: dict[bytes, Any] | None = None


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
    try:
        key = hashlib.blake2b(_told_apart((what, dict(inputs))), digest_size=20).digest()
    except Exception:  # an input of which it cannot be said whether it is the same as another
        return compute()
    if key not in _known:
        answer = compute()
        if len(_known) < MOST:
            _known[key] = _frozen(answer)
        return answer
    return _known[key]


def _told_apart(value: Any) -> bytes:
    """Everything that tells ``value`` from others. Raises an error of any kind for some."""
    text = io.BytesIO()
    pickler = _Pickler(text, pickle.HIGHEST_PROTOCOL)
    # Equal parts are written alike, whether they are one object or two.
    pickler.fast = True
    pickler.dump(value)
    return text.getvalue()


class _Pickler(pickle.Pickler):
    """Writes a function by its code and what it closed over, for nobody to read back."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, FunctionType):
            return NotImplemented
        code = value.__code__
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        parts = [code.co_filename, marshal.dumps(code), value.__defaults__, value.__kwdefaults__]
        return tuple, ([*parts, cells],)


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
