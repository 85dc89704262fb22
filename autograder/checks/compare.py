"""Compare one value with its reference: type → shape → dtype → finite → value.

The first thing that is wrong ends the comparison, because the later ones would follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Two float64 programs for the same formula differ by rounding, about 1e-15 per operation. A
# ten-thousandth of a millionth is far above what any right order of operations does, and far below
# what any wrong formula does.
RELATIVE = 1e-10
ABSOLUTE = 1e-12
MANY = 12


@dataclass(frozen=True)
class Difference:
    """What is wrong with one value.

    ``verdict`` is one of missing, type, shape, dtype, finite, value. ``path`` names the place,
    for example ``cache["z1"]``. ``details`` are lines below the first one.
    """

    verdict: str
    path: str
    summary: str
    details: tuple[str, ...] = ()
    got: Any = None
    expected: Any = None


def compare(
    path: str,
    expected: Any,
    got: Any,
    *,
    tolerance: float | None = None,
    typed: bool = False,
    last_first: bool = False,
) -> Difference | None:
    """The first difference between ``got`` and ``expected``, or None when there is none.

    With ``last_first``, a list is compared from its last entry to its first.

    ``tolerance`` is an absolute one and replaces the usual pair. ``typed`` values were written
    by hand: a list may stand for an array, 1.0 for 1, and a word in any case for the word. Their
    right value is never shown.
    """
    if got is None:
        return Difference("type", path, f"{path} is None.")
    if isinstance(expected, Mapping):
        return _compare_mapping(path, expected, got, tolerance, typed)
    if isinstance(expected, (list, tuple)):
        return _compare_sequence(path, expected, got, tolerance, typed, last_first)
    if isinstance(expected, (set, frozenset)):
        return _compare_set(path, expected, got)
    if isinstance(expected, (str, bool, np.bool_)):
        return _compare_word(path, expected, got, typed)
    if isinstance(expected, Integral):
        return _compare_whole_number(path, expected, got, typed)
    if typed:
        return _compare_typed(path, expected, got, tolerance)
    return _compare_array(path, np.asarray(expected), got, tolerance)


def allclose(expected: Array, got: Array, tolerance: float | None = None) -> Array:
    """Elementwise: is ``got`` as near to ``expected`` as rounding explains?"""
    with np.errstate(invalid="ignore"):
        near = np.abs(got - expected) <= _bound(expected, tolerance)
    result: Array = near | (got == expected)
    return result


def _bound(expected: Array, tolerance: float | None) -> float:
    """The largest difference that passes."""
    if tolerance is not None:
        return tolerance
    finite = np.abs(expected[np.isfinite(expected)])
    return ABSOLUTE + RELATIVE * (float(finite.max()) if finite.size else 0.0)


def show(value: Any) -> str:
    """A short text of a value on one line."""
    if isinstance(value, np.ndarray):
        text = _line(value)
        if "e" in text and value.dtype.kind == "f":
            # One small number would turn all into powers of ten, and the line below into none.
            text = _line(value, formatter={"float_kind": lambda number: f"{number:.5g}"})
        return text
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    if isinstance(value, np.generic):
        return str(value.item())
    text = repr(value)
    return text if len(text) <= 72 else text[:69] + "..."


def _line(array: Array, **options: Any) -> str:
    text = np.array2string(
        array, precision=5, threshold=MANY, edgeitems=2, separator=", ", **options
    )
    return " ".join(text.split())


def kind(value: Any) -> str:
    """What a value is, in the words of the course."""
    if isinstance(value, np.ndarray):
        return f"a NumPy array of shape {value.shape}"
    # What could not come from another process says itself what it was.
    said = getattr(value, "kind_of_object", None)
    if isinstance(said, str):
        return said
    if type(value).__module__.startswith("torch"):
        return f"a torch {type(value).__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _compare_mapping(
    path: str,
    expected: Mapping[Any, Any],
    got: Any,
    tolerance: float | None,
    typed: bool,
) -> Difference | None:
    if not isinstance(got, Mapping):
        return Difference("type", path, f"{path} is {kind(got)}, expected a dict.")
    for key, value in expected.items():
        if key not in got:
            return Difference(
                "missing",
                path,
                f"{path} has no key {key!r}.",
                (f"keys found: {', '.join(map(repr, got)) or 'none'}",),
            )
        found = compare(f"{path}[{key!r}]", value, got[key], tolerance=tolerance, typed=typed)
        if found:
            return found
    return None


def _compare_sequence(
    path: str,
    expected: Any,
    got: Any,
    tolerance: float | None,
    typed: bool,
    last_first: bool,
) -> Difference | None:
    # np.ndim of a list would make an array of it, which fails for arrays of different shapes.
    many = isinstance(got, (list, tuple)) or (isinstance(got, np.ndarray) and got.ndim > 0)
    if not many:
        name = "list" if isinstance(expected, list) else "tuple"
        return Difference("type", path, f"{path} is {kind(got)}, expected a {name}.")
    if len(got) != len(expected):
        return Difference(
            "shape",
            path,
            f"{path} has {len(got)} entries, expected {len(expected)}.",
            (f"got {show(got)}",),
        )
    places = range(len(expected))
    for i in reversed(places) if last_first else places:
        difference = compare(f"{path}[{i}]", expected[i], got[i], tolerance=tolerance, typed=typed)
        if difference and last_first and i + 1 < len(expected):
            behind = [f"{path}[{j}]" for j in reversed(places) if j > i]
            verb = "is" if len(behind) == 1 else "are"
            summary = f"{difference.summary} {', '.join(behind)} {verb} right."
            return replace(difference, summary=summary)
        if difference:
            return difference
    return None


def as_set(value: Any) -> frozenset[Any] | str:
    """``value`` as a set whose pairs are tuples, or what is wrong with it.

    A list or tuple may stand for a set, and a list for a pair. Words lose spaces around them.
    """
    if not isinstance(value, (set, frozenset, list, tuple)):
        return f"is {kind(value)}, expected a set"
    entries = set()
    for entry in value:
        hashable = _hashable(entry)
        try:
            entries.add(hashable)
        except TypeError:
            return f"has {kind(entry)} as an entry, which cannot stand in a set"
    return frozenset(entries)


def _hashable(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, str):
        return str(value).strip()
    return value


def _compare_set(path: str, expected: Any, got: Any) -> Difference | None:
    wanted = as_set(expected)
    found = as_set(got)
    if isinstance(found, str) or isinstance(wanted, str):
        return Difference("type", path, f"{path} {found}.")
    if all(isinstance(entry, tuple) for entry in wanted):
        odd = _odd_pair(wanted, found)
        if odd:
            return Difference("type", path, f"{path}: {odd}.", got=got, expected=expected)
    missing, extra = wanted - found, found - wanted
    if not missing and not extra:
        return None
    counts = f"{len(missing)} missing, {len(extra)} too many"
    # One that is too many helps to look again; one that is missing would be the answer.
    example: tuple[str, ...] = ()
    if extra:
        more = " and others" if len(extra) > 1 else ""
        example = (f"too many: {show(min(extra, key=repr))}{more}",)
    return Difference("value", path, f"{path} differs: {counts}.", example, got, expected)


def _odd_pair(wanted: frozenset[Any], found: frozenset[Any]) -> str | None:
    """The first entry that is no tuple of the known names, in the order of their texts."""
    sizes = {len(entry) for entry in wanted}
    names = {name for entry in wanted for name in entry}
    for entry in sorted(found, key=repr):
        if not isinstance(entry, tuple):
            return f"{show(entry)} is {kind(entry)}, expected a pair (from, to)"
        if len(entry) not in sizes:
            return f"{show(entry)} has {len(entry)} entries, expected a pair (from, to)"
        for name in entry:
            if name not in names:
                return f"{show(name)} in {show(entry)} is none of the known names"
    return None


def _compare_word(path: str, expected: Any, got: Any, typed: bool) -> Difference | None:
    kinds = (str,) if isinstance(expected, str) else (bool, np.bool_)
    if not isinstance(got, kinds):
        wanted = "str" if isinstance(expected, str) else "bool"
        return Difference("type", path, f"{path} is {kind(got)}, expected a {wanted}.")
    same = got.strip().lower() == expected.lower() if typed and isinstance(got, str) else False
    if same or bool(got == expected):
        return None
    if typed and isinstance(got, str):
        said = f"{path} is not {got!r}."  # the right word would be the answer
    elif isinstance(got, str):
        said = f"{path} is {got!r}, expected {expected!r}."
    else:
        said = f"{path} is {bool(got)}."
    return Difference("value", path, said, got=got, expected=expected)


def _shape_or_number(expected: Array) -> str:
    return "one number" if expected.ndim == 0 else str(expected.shape)


def _compare_whole_number(path: str, expected: Any, got: Any, typed: bool) -> Difference | None:
    if isinstance(got, np.ndarray) and got.ndim == 0:
        got = got[()]
    if typed and isinstance(got, float) and got.is_integer():
        got = int(got)
    if isinstance(got, (bool, np.bool_)) or not isinstance(got, Integral):
        return Difference("type", path, f"{path} is {kind(got)}, expected an int.")
    if int(got) == int(expected):
        return None
    details: tuple[str, ...] = (f"got      {int(got)}", f"expected {int(expected)}")
    if typed:
        details = (f"got {int(got)}",)
    return Difference("value", path, f"{path} is wrong.", details, int(got), int(expected))


def _compare_typed(
    path: str, expected: Any, got: Any, tolerance: float | None
) -> Difference | None:
    try:
        # NumPy would read the text "1" as the number 1, and True as well.
        if np.asarray(got).dtype.kind in "USbc":
            raise TypeError
        numbers = np.asarray(got, dtype=np.float64)
    except (TypeError, ValueError):
        return Difference("type", path, f"{path} is {kind(got)}, expected numbers.")
    wanted = np.asarray(expected, dtype=np.float64)
    if numbers.shape != wanted.shape and numbers.size == wanted.size == 1:
        numbers = numbers.reshape(wanted.shape)
    return _compare_array(path, wanted, numbers, tolerance, secret=True)


def _compare_array(
    path: str, expected: Array, got: Any, tolerance: float | None, secret: bool = False
) -> Difference | None:
    scalar = expected.ndim == 0
    is_number = isinstance(got, (Real, np.generic)) and not isinstance(got, bool)
    if not isinstance(got, np.ndarray) and not (scalar and is_number):
        wanted = "a number" if scalar else "a NumPy array"
        if not scalar and is_number:
            wanted += f" of shape {expected.shape}"
        return Difference("type", path, f"{path} is {kind(got)}, expected {wanted}.")
    array = np.asarray(got)
    if array.shape != expected.shape:
        return Difference(
            "shape",
            path,
            f"{path} has shape {array.shape}, expected {_shape_or_number(expected)}.",
            got=array,
            expected=expected,
        )
    # A whole number is as good a number as a float; an array of them is not float64.
    if array.dtype != np.float64 and not (scalar and array.dtype.kind in "iu"):
        return Difference(
            "dtype",
            path,
            f"{path} is {array.dtype}, expected float64.",
            got=array,
            expected=expected,
        )
    array = array.astype(np.float64)
    strange = ~np.isfinite(array) & np.isfinite(expected)
    if strange.any():
        words = ", ".join(sorted({str(v) for v in array[strange]}))
        return Difference(
            "finite",
            path,
            f"{path}: {int(strange.sum())} of {array.size} values are not finite ({words}).",
            got=array,
            expected=expected,
        )
    wrong = ~allclose(expected, array, tolerance)
    if not wrong.any():
        return None
    count = f"in {int(wrong.sum())} of {array.size} values" if array.size > 1 else ""
    details: tuple[str, ...]
    if secret:
        details = (f"got {show(array)}",)
    elif array.size <= MANY:
        details = (f"got      {show(array)}", f"expected {show(expected)}")
    else:
        index = np.unravel_index(int(np.argmax(np.abs(array - expected))), array.shape)
        place = ", ".join(str(int(i)) for i in index)
        details = (
            f"got      {path}[{place}] = {show(array[index])}",
            f"expected {path}[{place}] = {show(expected[index])}",
        )
    if not secret and len({line.split(maxsplit=1)[1] for line in details}) == 1:
        # All digits shown are the same, so that the lines alone would puzzle.
        most = float(np.max(np.abs(array - expected)))
        allowed = _bound(expected, tolerance)
        details += (f"the largest difference is {most:.1e}, and {allowed:.0e} is allowed",)
    return Difference(
        "value", path, f"{path} differs {count}".rstrip() + ".", details, array, expected
    )
