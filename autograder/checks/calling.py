"""Call a student's function once and write down everything that came of it."""

from __future__ import annotations

import contextlib
import copy
import io
import linecache
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from autograder.checks.reference import Twin, torch_forbidden, torch_left_as_found

Function = Callable[..., Any]

# Of a longer list of arrays, a report shows the first and the number.
MOST_SHOWN = 6


class Misfit(ValueError):
    """Raised by a probe for an answer of another form: ``returned None, expected …``."""


@dataclass
class Call:
    """What came of one call. ``values`` maps each quantity to what was returned for it."""

    values: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
    where: str | None = None
    # The function that raised, where it is another one than that which was called.
    raised_in: str | None = None
    # Set when the function returned something that cannot be taken apart into the quantities.
    misfit: str | None = None
    # NumPy's warnings about overflow and the like, each once.
    warnings: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    loops: bool = False
    # Which function this is about, where an exercise has two.
    function: str | None = None

    @property
    def clean(self) -> bool:
        """Neither changed an input nor returned a view of one."""
        return not self.changed and not self.shared


def call(
    function: Function,
    inputs: Mapping[str, Any],
    names: tuple[str, ...],
    *,
    probe: Function | None = None,
    may_share: frozenset[str] = frozenset(),
    numpy_only: bool = False,
) -> Call:
    """Call ``function`` with copies of ``inputs``, by position, and take its answer apart.

    With a ``probe``, the probe is called instead, with the function first; torch is then allowed,
    unless the exercise is ``numpy_only``.
    """
    result = Call()
    given = {name: _copy(value) for name, value in inputs.items()}
    before = {name: _copy(value) for name, value in inputs.items()}
    arguments = [v.numpy if isinstance(v, Twin) else v for v in given.values()]
    returned: Any = None
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(record=True) as caught,
        np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"),
        torch_left_as_found(),
    ):
        warnings.simplefilter("always")
        try:
            forbidden = torch_forbidden() if probe is None or numpy_only else nullcontext()
            with forbidden:
                if probe is not None:
                    returned = probe(function, *arguments)
                else:
                    returned = function(*arguments)
        except Misfit as misfit:
            result.misfit = str(misfit)
            return result
        except KeyboardInterrupt:  # the grader's time limit, or the student at the keyboard
            raise
        except BaseException as error:  # a student's sys.exit() must not end the test cell
            result.error = error
            result.where = _where(error, function)
            result.raised_in = _raised_in(error, function)
            return result
    numeric = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
    result.warnings = tuple(dict.fromkeys(numeric))
    result.values, result.misfit = split(returned, names)
    result.changed = tuple(n for n in given if not _same(before[n], given[n]))
    result.shared = tuple(
        (quantity, name)
        for quantity, value in result.values.items()
        if quantity not in may_share
        for name, argument in given.items()
        if any(np.may_share_memory(a, b) for a in _arrays(value) for b in _arrays(argument))
    )
    return result


def call_pair(
    forward: Function, backward: Function, inputs: Mapping[str, Any], names: tuple[str, ...]
) -> Call:
    """Call ``forward`` with all inputs but the last, then ``backward`` with the last and the cache.

    ``forward`` returns the first quantity and a cache of any kind, ``backward`` the others. What
    came before a failure stays in ``values``.
    """
    *given, upstream = inputs
    may_share = frozenset({"cache"})
    first = call(forward, {n: inputs[n] for n in given}, (names[0], "cache"), may_share=may_share)
    cache = first.values.pop("cache", None)
    first.function = getattr(forward, "__name__", None)
    if first.error or first.misfit:
        return first
    second = call(backward, {upstream: inputs[upstream], "cache": cache}, names[1:])
    second.function = first.function if not first.clean else getattr(backward, "__name__", None)
    second.values = first.values | second.values
    second.warnings = tuple(dict.fromkeys(first.warnings + second.warnings))
    second.changed = first.changed + second.changed
    second.shared = first.shared + second.shared
    return second


def split(returned: Any, names: tuple[str, ...]) -> tuple[dict[str, Any], str | None]:
    """Take a returned value apart into named quantities, or say why that is not possible."""
    if len(names) == 1:
        return {names[0]: returned}, None
    wanted = f"{len(names)} values: {', '.join(names)}"
    if not isinstance(returned, (tuple, list)):
        what = "None" if returned is None else f"one value ({type(returned).__name__})"
        return {}, f"returned {what}, expected {wanted}."
    if len(returned) != len(names):
        return {}, f"returned {len(returned)} values, expected {wanted}."
    return dict(zip(names, returned, strict=True)), None


def python_steps(function: Function, inputs: Mapping[str, Any]) -> int:
    """How many lines of Python one call runs; a loop over samples grows with the batch."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal steps
        steps += 1
        return trace

    arguments = [v.numpy if isinstance(v, Twin) else _copy(v) for v in inputs.values()]
    previous = sys.gettrace()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.settrace(trace)
        try:
            function(*arguments)
        finally:
            sys.settrace(previous)
    return steps


def describe(inputs: Mapping[str, Any]) -> str:
    """The inputs as a reader wants them: ``x (3,), W (2, 3)``."""
    return ", ".join(f"{name} {_brief(value)}" for name, value in inputs.items())


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.shape)
    if isinstance(value, Twin):
        return f"= {value}"
    if isinstance(value, (list, tuple)) and _arrays(value):
        parts = [_brief(v) for v in value[:MOST_SHOWN]]
        if len(value) > MOST_SHOWN:
            parts = [parts[0], f"… {len(value)} in all"]
        return f"({', '.join(parts)})" if isinstance(value, tuple) else f"[{', '.join(parts)}]"
    if isinstance(value, Mapping) and any(isinstance(v, np.ndarray) for v in value.values()):
        return "{" + describe({str(key): v for key, v in value.items()}) + "}"
    return f"= {value!r}"


def _copy(value: Any) -> Any:
    if isinstance(value, Twin) or callable(value):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # a cache of the student's own making may hold what cannot be copied
        if type(value) is dict:
            return {key: _copy(entry) for key, entry in value.items()}
        if type(value) in (list, tuple):
            return type(value)(map(_copy, value))
        return value


def _arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, (list, tuple)):
        return [array for item in value for array in _arrays(item)]
    return []


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return (
            isinstance(after, np.ndarray)
            and before.shape == after.shape
            and before.dtype == after.dtype
            and bool(np.array_equal(before, after))
        )
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, Mapping):
        return before.keys() == after.keys() and all(_same(before[k], after[k]) for k in before)
    if (
        getattr(type(before), "__eq__", None) is object.__eq__
    ):  # a copy of such an object is never equal to it
        return True
    try:
        return bool(before is after or before == after)
    except Exception:  # a data class that holds arrays cannot compare itself
        return not hasattr(before, "__dict__") or _same(vars(before), vars(after))


def _raised_in(error: BaseException, function: Function) -> str | None:
    frames = traceback.extract_tb(error.__traceback__)
    name = frames[-1].name if frames else None
    return name if name and name != getattr(function, "__name__", None) else None


def _where(error: BaseException, function: Function) -> str | None:
    """The line of the student's own cell that raised: the last one in the file of the function."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == code.co_filename:
            text = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
            return f"in line {frame.lineno} of your cell: {text}" if text else None
    return None
