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
from collections.abc import Callable, Iterator, Mapping, Sequence
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

# Of the inputs that cross to another process in one message; 1 MB is some milliseconds.
MOST_BYTES = 2**20
# A loop over samples adds at least one line of Python per sample; half of that is the threshold.
STEPS_PER_SAMPLE = 0.5

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


@dataclass(frozen=True)
class Way:
    """How an exercise is called: ``names`` are the quantities that come back.

    ``backward`` is the second function of an exercise that has two. The others are as in ``call``.
    """

    names: tuple[str, ...]
    backward: Function | None = None
    probe: Function | None = None
    beside: tuple[Any, ...] = ()
    may_share: frozenset[str] = frozenset()
    separate: bool = False


@dataclass(frozen=True)
class Order:
    """One call to be made; with ``many``, more samples, also whether it loops over them."""

    inputs: Mapping[str, Any]
    many: Mapping[str, Any] | None = None


FIELDS = tuple(field.name for field in fields(Call))


def call_each(function: Function, orders: Sequence[Order], way: Way) -> list[Call]:
    """What came of each of ``orders``.

    A function of another process gets many at once: a message costs more than most calls.
    """
    away = getattr(function, "through", None)
    if away is None:
        return [_carry_out(function, order, way) for order in orders]
    return [made for part in _portions(orders) for made in _ask(away, part, way)]


def _carry_out(function: Function, order: Order, way: Way) -> Call:
    if way.backward is not None:
        return call_pair(function, way.backward, order.inputs, way.names)
    made = call(
        function,
        order.inputs,
        way.names,
        probe=way.probe,
        beside=way.beside,
        may_share=way.may_share,
        separate=way.separate,
    )
    if order.many is not None and made.error is None:
        made.loops = loops_over_samples(function, order.inputs, order.many)
    return made


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


def loops_over_samples(function: Function, few: Mapping[str, Any], many: Mapping[str, Any]) -> bool:
    """Does ``function`` run more lines of Python the more samples there are?"""
    # The first call with a new shape may fill caches of a library, which is no loop.
    python_steps(function, many)
    added = python_steps(function, many) - python_steps(function, few)
    return added >= STEPS_PER_SAMPLE * (_first_length(many) - _first_length(few))


def _first_length(inputs: Mapping[str, Any]) -> int:
    return next(len(value) for value in inputs.values() if isinstance(value, np.ndarray))


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


# --------------------------------------------------------------- calls of another process
#
# Where the student's functions live in a process of their own, ``function.through`` calls the
# function below there, and only data comes back.


def calls_for_data(
    function: Function,
    orders: Sequence[Sequence[Any]],
    names: Sequence[str],
    backward: Function | None,
    probe: tuple[str, str] | None,
    options: Mapping[str, Any],
) -> list[list[Any]]:
    """``call_each`` where the functions live; what came of it as data.

    ``orders`` are pairs of inputs and of many or None, ``probe`` is a source text.
    """
    way = Way(
        tuple(names),
        backward,
        None if probe is None else _from_source(*probe),
        tuple(options["beside"]),
        frozenset(options["may_share"]),
        options["separate"],
    )
    return [to_data(_carry_out(function, Order(*order), way)) for order in orders]


def _ask(away: Function, orders: Sequence[Order], way: Way) -> list[Call]:
    """What came of ``orders``, by ``calls_for_data`` where the function lives."""
    options = {
        "beside": list(way.beside),
        "may_share": sorted(way.may_share),
        "separate": way.separate,
    }
    told = [
        [plain(order.inputs), None if order.many is None else plain(order.many)] for order in orders
    ]
    probe = None if way.probe is None else _source_of(way.probe)
    try:
        answer = away(
            __name__, "calls_for_data", told, list(way.names), way.backward, probe, options
        )
    except Exception as error:
        # What could not come back, because it is too large, say; not that the process is gone.
        if not getattr(error, "raised_there", False):
            raise
        name = str(getattr(error, "name", "Exception"))
        if name == "KeyboardInterrupt":  # as here: the time limit, and no answer of the student's
            raise KeyboardInterrupt from error
        if len(orders) > 1:  # one by one, to find out which
            return [made for order in orders for made in _ask(away, [order], way)]
        return [Call(error=_error_named(name, str(error)))]
    if not isinstance(answer, list) or len(answer) != len(orders):
        raise TypeError("A call came back as something else.")
    return [from_data(one) for one in answer]


def _portions(orders: Sequence[Order]) -> Iterator[list[Order]]:
    """``orders`` in order, in lists whose inputs are small enough for one message."""
    portion: list[Order] = []
    size = 0
    for order in orders:
        mine = _bytes_in(order.inputs) + _bytes_in(order.many)
        if portion and size + mine > MOST_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(order)
        size += mine
    if portion:
        yield portion


def _bytes_in(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(_bytes_in, value.values()))
    return sum(map(_bytes_in, value)) if isinstance(value, (list, tuple)) else 0


def to_data(made: Call) -> list[Any]:
    """A call as data, field by field: its error as the name of a type and a text."""
    error = made.error
    told = None if error is None else (type(error).__name__, " ".join(str(error).split()))
    return [told if name == "error" else getattr(made, name) for name in FIELDS]


def from_data(told: Any) -> Call:
    """The call that ``to_data`` wrote. Raises ``TypeError`` for what is no such thing.

    What comes from a student's process is believed about itself only: every value is compared.
    """
    if not isinstance(told, list) or len(told) != len(FIELDS):
        raise TypeError("A call came back as something else.")
    made = dict(zip(FIELDS, told, strict=True))
    if made["error"] is not None:
        made["error"] = _error_named(*made["error"])
    for name in ("values", "warnings", "changed", "shared", "entangled"):
        if not isinstance(made[name], dict if name == "values" else tuple):
            raise TypeError("A call came back as something else.")
    return Call(**made)


def plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as the student's function gets them: of two libraries, NumPy's function."""
    return {n: v.numpy if isinstance(v, Twin) else v for n, v in inputs.items()}


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
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return value.copy(order="K")
    if isinstance(value, (int, float, str, Twin)) or callable(value):
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
