"""Call a student's function once and write down everything that came of it."""

from __future__ import annotations

import builtins
import contextlib
import copy
import functools
import io
import itertools
import linecache
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import CodeType, FrameType, FunctionType
from typing import Any

import numpy as np

from autograder.checks.reference import Twin, torch_forbidden, torch_left_as_found

Function = Callable[..., Any]

# How much of an input a report shows.
LONGEST = 200
# Of a longer list of arrays, a report shows the first and the number.
MOST_SHOWN = 6

# The name beside a probe under which the grader puts the text of the probe.
PROBE_SOURCE = "__probe_source__"


class Misfit(Exception):
    """A probe raises it for an answer that it cannot read.

    The text goes on after the name of the function: ``returned ndarray, expected a tensor.``
    """


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
    # Pairs of quantities that lie in one memory, where they must be separate.
    entangled: tuple[tuple[str, str], ...] = ()
    loops: bool = False
    # Which function this is about, where an exercise has two.
    function: str | None = None

    @property
    def clean(self) -> bool:
        """Changed no input, returned no view of one, and no two results in one memory."""
        return not self.changed and not self.shared and not self.entangled


def call(
    function: Function,
    inputs: Mapping[str, Any],
    names: tuple[str, ...],
    *,
    probe: Function | None = None,
    beside: Sequence[Any] = (),
    may_share: frozenset[str] = frozenset(),
    separate: bool = False,
) -> Call:
    """Call ``function`` with copies of ``inputs``, by position, and take its answer apart.

    With a ``probe``, the probe is called instead, with the function first, then the objects
    ``beside`` it. Torch is allowed where the probe itself mentions it. A probe that cannot read
    the answer raises ``Misfit``. With ``separate``, no two quantities may share memory.
    """
    away = getattr(function, "through", None)
    if away is not None:
        told = _source_of(probe) if probe is not None else None
        beside_it = {"beside": list(beside), "may_share": sorted(may_share), "separate": separate}
        return _ask(away, "call_for_data", plain(inputs), names, told, beside_it)
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
            with contextlib.nullcontext() if mentions_torch(probe) else torch_forbidden():
                if probe is not None:
                    returned = probe(function, *beside, *arguments)
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
        if _share_memory(value, argument)
    )
    if separate:
        result.entangled = tuple(
            pair
            for pair in itertools.combinations(result.values, 2)
            if _share_memory(*(result.values[quantity] for quantity in pair))
        )
    return result


def call_pair(
    forward: Function, backward: Function, inputs: Mapping[str, Any], names: tuple[str, ...]
) -> Call:
    """Call ``forward`` with all inputs but the last, then ``backward`` with the last and the cache.

    ``forward`` returns the first quantity and a cache of any kind, ``backward`` the others. What
    came before a failure stays in ``values``.
    """
    away = getattr(forward, "through", None)
    if away is not None:
        return _ask(away, "pair_for_data", backward, plain(inputs), names)
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
    away = getattr(function, "through", None)
    if away is not None:
        return int(away(__name__, "python_steps", plain(inputs)))
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


# --------------------------------------------------------------- calls of another process
#
# Where the student's functions live in a process of their own, ``function.through`` calls one of
# the functions below there, and only data comes back.


def call_for_data(
    function: Function,
    inputs: Mapping[str, Any],
    names: Sequence[str],
    probe: tuple[str, str] | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """``call`` where the function lives; what came of it as data. ``probe`` is a source text."""
    made = call(
        function,
        inputs,
        tuple(names),
        probe=None if probe is None else _from_source(*probe),
        beside=options["beside"],
        may_share=frozenset(options["may_share"]),
        separate=options["separate"],
    )
    return to_data(made)


def pair_for_data(
    forward: Function, backward: Function, inputs: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    """``call_pair`` where both functions live; the cache between them stays there."""
    return to_data(call_pair(forward, backward, inputs, tuple(names)))


def to_data(made: Call) -> dict[str, Any]:
    """A call as data: its error as the name of a type and a text."""
    error = made.error
    told = None if error is None else (type(error).__name__, " ".join(str(error).split()))
    return vars(made) | {"error": told}


def from_data(told: Any) -> Call:
    """The call that ``to_data`` wrote. Raises ``TypeError`` for what is no such thing.

    What comes from a student's process is believed about itself only: every value is compared.
    """
    wanted = {field.name for field in fields(Call)}
    if not isinstance(told, dict) or told.keys() != wanted:
        raise TypeError("A call came back as something else.")
    error = None if told["error"] is None else _error_named(*told["error"])
    for name in ("values", "warnings", "changed", "shared"):
        kind = dict if name == "values" else tuple
        if not isinstance(told[name], kind):
            raise TypeError("A call came back as something else.")
    return Call(**(told | {"error": error}))


def plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as the student's function gets them: of two libraries, NumPy's function."""
    return {n: v.numpy if isinstance(v, Twin) else v for n, v in inputs.items()}


def _ask(away: Function, what: str, *arguments: Any) -> Call:
    try:
        return from_data(away(__name__, what, *arguments))
    except Exception as error:
        # What could not come back, because it is too large, say; not that the process is gone.
        if not getattr(error, "raised_there", False):
            raise
        name = str(getattr(error, "name", "Exception"))
        if name == "KeyboardInterrupt":  # as here: the time limit, and no answer of the student's
            raise KeyboardInterrupt from error
        return Call(error=_error_named(name, str(error)))


def _error_named(name: str, text: str) -> BaseException:
    """An error of the type ``name``, which may be one that this process does not know."""
    known = getattr(builtins, name, None)
    base = known if isinstance(known, type) and issubclass(known, Exception) else Exception
    # The types of the library ask for arguments of their own.
    made: BaseException = type(name, (base,), {"__init__": lambda self, *_: None})(text)
    made.args = (text,) if text else ()
    return made


def _source_of(probe: Function) -> tuple[str, str]:
    """The name of a probe, and the text of all that it needs, which the grader puts beside it."""
    return probe.__name__, str(probe.__globals__[PROBE_SOURCE])


@functools.lru_cache(maxsize=64)
def _from_source(name: str, text: str) -> Function:
    """The function ``name`` that ``text`` defines."""
    names: dict[str, Any] = {}
    exec(compile(text, "<probe>", "exec"), names)
    made: Function = names[name]
    return made


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
        if isinstance(value, tuple):
            return "(" + ", ".join(parts) + ("," if len(value) == 1 else "") + ")"
        return f"[{', '.join(parts)}]"
    if isinstance(value, Mapping) and any(isinstance(v, np.ndarray) for v in value.values()):
        return "{" + describe({str(key): v for key, v in value.items()}) + "}"
    text = repr(value)
    return f"= {text}" if len(text) <= LONGEST else f"= {text[:LONGEST]}…"


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


def _share_memory(value: Any, other: Any) -> bool:
    """Does a number of ``value`` lie in the same place as one of ``other``?

    Exact, because two columns of one array have overlapping bounds and no number in common.
    """
    return any(np.shares_memory(a, b) for a in _arrays(value) for b in _arrays(other))


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return (
            isinstance(after, np.ndarray)
            and before.shape == after.shape
            and before.dtype == after.dtype
            # Not a number is not equal to itself, and is no change either.
            and bool(np.array_equal(before, after, equal_nan=before.dtype.kind in "fc"))
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


def mentions_torch(probe: Function | None) -> bool:
    """Does ``probe``, or a function of the same cell that it calls, use the name ``torch``?

    Only then is the exercise written in torch; a probe of a NumPy exercise needs NumPy alone.
    """
    waiting, seen = [probe], set()
    while waiting:
        function = waiting.pop()
        names = names_in(function)
        if "torch" in names:
            return True
        seen.add(function)
        known = getattr(function, "__globals__", {})
        helpers = [known.get(name) for name in names]
        waiting += [h for h in helpers if isinstance(h, FunctionType) and h not in seen]
    return False


def names_in(thing: Any) -> set[str]:
    """The global names that a function uses, or the methods of a class, also in inner functions."""
    # A function of another process says it itself.
    found: set[str] = set(getattr(thing, "names_used", ()))
    waiting = _codes(thing)
    while waiting:
        code = waiting.pop()
        found |= set(code.co_names)
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
    return found


def _codes(thing: Any) -> list[CodeType]:
    """The code of a function, or of each method and property of a class."""
    members = list(vars(thing).values()) if isinstance(thing, type) else [thing]
    members += [m.fget for m in members if isinstance(m, property)]
    codes = [getattr(member, "__code__", None) for member in members]
    return [code for code in codes if isinstance(code, CodeType)]


def _raised_in(error: BaseException, function: Function) -> str | None:
    frames = traceback.extract_tb(error.__traceback__)
    name = frames[-1].name if frames else None
    return name if name and name != getattr(function, "__name__", None) else None


def _where(error: BaseException, function: Function) -> str | None:
    """The line of the student's own cell that raised: the last one in the file of the function."""
    files = {code.co_filename for code in _codes(function)}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            text = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
            return f"in line {frame.lineno} of your cell: {text}" if text else None
    return None
