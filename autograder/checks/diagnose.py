"""Which mistake do the numbers show? Silent when they do not say.

First the mistake bank: a record is named when its answer, run on the same inputs, gives the
student's numbers. Then general shapes of error, found by arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, overload

import numpy as np

from autograder.checks.calling import Call
from autograder.checks.compare import Array, allclose
from autograder.checks.compare import compare as compare_values
from autograder.mistakes import Mistake

# Below this many numbers, a factor or a sign could be chance.
ENOUGH = 3
# A number tells something about a mistake when it is so many times larger than the tolerance.
TELLING = 100.0


@dataclass(frozen=True)
class Diagnosis:
    """A mistake that the numbers show. ``id`` is what reports use."""

    id: str
    sentence: str


@dataclass(frozen=True)
class Evidence:
    """One case: its inputs, the reference and what came of the student's call."""

    inputs: dict[str, Any]
    expected: dict[str, Any]
    call: Call


class Calls(Sequence[Call]):
    """The calls of one record, each made when it is looked at: most records differ at the first."""

    def __init__(self, make: Callable[[int], Call], size: int) -> None:
        self._make = cache(make)
        self._places = list(range(size))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, i: int) -> Call: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Call]: ...
    def __getitem__(self, i: int | slice) -> Call | Sequence[Call]:
        if isinstance(i, slice):
            return [self._make(place) for place in self._places[i]]
        return self._make(self._places[i])

    def only(self, kept: Sequence[bool]) -> Calls:
        """Those that are marked, in the same order."""
        part = Calls(self._make, 0)
        part._places = [p for p, k in zip(self._places, kept, strict=True) if k]
        return part


def from_bank(
    records: Sequence[Mistake],
    run: Callable[[Mistake], Calls],
    evidence: Sequence[Evidence],
    wrong: str | None,
    tolerance: Mapping[str, float] | None = None,
    about: Sequence[bool] = (),
) -> Diagnosis | None:
    """The one record whose answer explains the student's calls; None when none or several do.

    ``run`` calls a record's answer on the inputs of ``evidence``. ``wrong`` is the first wrong
    quantity. A record explains everything when every value of every case agrees; otherwise it
    may still explain the first wrong quantity, if it spoils nothing that the student has right.
    ``about`` marks the cases of the property that went wrong first, and all that are right: when no
    record explains everything, one that explains these is named.

    ``tolerance`` is that of the check, for quantities that differ by more than rounding although
    both are right. The two numbers of a mistake may then differ by as much.
    """
    near = dict(tolerance or {})
    outcomes = [(record, run(record)) for record in records]
    full = [r for r, calls in outcomes if _explains_all(evidence, calls, near)]
    if not full and not all(about):
        part = [item for item, kept in zip(evidence, about, strict=True) if kept]
        full = [r for r, calls in outcomes if _explains_all(part, calls.only(about), near)]
    if not full and wrong is not None:
        full = [r for r, calls in outcomes if _explains_quantity(evidence, calls, wrong, near)]
    if len(full) == 1:
        return Diagnosis(full[0].diagnosis, full[0].sentence)
    return None


def from_arithmetic(evidence: Sequence[Evidence], wrong: str | None) -> Diagnosis | None:
    """A general shape of error in the quantity ``wrong``, or in how the inputs were treated."""
    for item in evidence:
        if item.call.changed:
            name = item.call.changed[0]
            return Diagnosis(
                "general/input-changed",
                f"The function changes its input {name}. Work on a copy, or build a new array.",
            )
    if wrong is not None:
        swapped = _other_order(evidence)
        if swapped:
            return swapped
        pairs = _pairs(evidence, wrong)
        differing = [pair for pair in pairs if not _close(pair[1], pair[2])]
        if differing:
            for pattern, everywhere in _PATTERNS:
                found = pattern(wrong, pairs if everywhere else differing)
                if found:
                    return found
        return None
    if any(item.call.error or item.call.misfit for item in evidence):
        return None  # a view is not the reason for a raise
    for item in evidence:
        if item.call.shared:
            quantity, name = item.call.shared[0]
            return Diagnosis(
                "general/view-of-input",
                f"{quantity} shares its memory with {name}: who changes the one changes the "
                "other. Return a new array.",
            )
        if item.call.entangled:
            first, second = item.call.entangled[0]
            return Diagnosis(
                "general/one-memory",
                f"{first} and {second} share one memory: who changes the one changes the other. "
                "Return two arrays.",
            )
    return None


def _other_order(evidence: Sequence[Evidence]) -> Diagnosis | None:
    """Every value is right, but stands in the place of another one, the same in every case."""
    found: dict[str, str] = {}
    for item in evidence:
        made, expected = item.call.values, item.expected
        if item.call.error or item.call.misfit or made.keys() != expected.keys():
            return None
        for name in expected:
            fits = [other for other in expected if _same(made[other], expected[name])]
            if not fits or found.setdefault(name, fits[0]) != fits[0]:
                return None
    if len(set(found.values())) < len(found) or all(n == other for n, other in found.items()):
        return None
    # Of two functions, the first returns the first value.
    names = list(found)[1:] if evidence[0].call.function else list(found)
    return Diagnosis(
        "general/other-order",
        f"Every value is right, but they stand in another order. Return {', '.join(names)}.",
    )


def _explains_all(
    evidence: Sequence[Evidence], calls: Sequence[Call], near: Mapping[str, float]
) -> bool:
    # A raise alone proves nothing: many programs fail alike. Numbers must agree somewhere.
    proof = False
    for item, other in zip(evidence, calls, strict=True):
        mine = item.call
        if (mine.error is None) != (other.error is None):
            return False
        if mine.error is not None:
            # By name: an error of another process is of a type of its own.
            if type(mine.error).__name__ != type(other.error).__name__:
                return False
            # Too deep is too deep, if all else agrees.
            proof = proof or isinstance(mine.error, RecursionError)
            continue
        flags_mine, flags_other = (
            (set(made.warnings), made.changed, made.shared, made.entangled, made.loops)
            for made in (mine, other)
        )
        if flags_mine != flags_other or (mine.misfit is None) != (other.misfit is None):
            return False
        if mine.misfit is not None:
            continue
        for name, expected in item.expected.items():
            if name not in mine.values and name not in other.values:
                continue
            if name not in mine.values or name not in other.values:
                return False
            if not _same(mine.values[name], other.values[name], near.get(name)):
                return False
            if not _same(other.values[name], expected, near.get(name)):
                proof = True
        flagged = other.loops or not other.clean or bool(other.warnings)
        proof = proof or flagged
    return proof


def _explains_quantity(
    evidence: Sequence[Evidence], calls: Sequence[Call], wrong: str, near: Mapping[str, float]
) -> bool:
    proof = False
    for item, other in zip(evidence, calls, strict=True):
        mine = item.call
        if mine.error or other.error or mine.misfit or other.misfit:
            return False
        if wrong not in mine.values or wrong not in other.values:
            return False
        if not _same(mine.values[wrong], other.values[wrong], near.get(wrong)):
            return False
        if mine.changed != other.changed or not _right_where_mine_is(item, other):
            return False
        # Many programs end in inf or nan alike; only finite numbers tell them apart.
        wanted = item.expected[wrong]
        if not _same(other.values[wrong], wanted, near.get(wrong)) and _finite(other.values[wrong]):
            proof = True
    return proof


def _right_where_mine_is(item: Evidence, other: Call) -> bool:
    """A record that spoils what the student has right tells another story."""
    return all(
        _same(other.values[name], expected)
        for name, expected in item.expected.items()
        if name in item.call.values
        and name in other.values
        and _same(item.call.values[name], expected)
    )


def _finite(value: Any) -> bool:
    if isinstance(value, (float, np.floating, np.ndarray)) and np.asarray(value).dtype.kind == "f":
        return bool(np.isfinite(value).all())
    return True


def _same(a: Any, b: Any, near: float | None = None) -> bool:
    """Equal up to rounding, NaN equal to NaN, and of the same type of number.

    With ``near``, an absolute tolerance, arrays may differ by as much. Where all numbers are no
    larger than that, any two would agree, so then only rounding counts.
    """
    # A reference that is one number arrives as an array without axes; an answer as a number.
    a, b = (v[()] if isinstance(v, np.ndarray) and v.ndim == 0 else v for v in (a, b))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype.kind == "f":
            both_nan = np.isnan(a) & np.isnan(b)
            if near is not None and not np.nanmax(np.abs(b), initial=0.0) > TELLING * near:
                near = None
            return bool(np.all(allclose(b, a, near) | both_nan))
        return bool(np.array_equal(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    numbers = (int, float, np.number)
    if isinstance(a, numbers) and isinstance(b, numbers):
        if isinstance(a, float) and isinstance(b, float) and np.isnan(a) and np.isnan(b):
            return True
        return isinstance(a, bool) == isinstance(b, bool) and bool(
            np.all(allclose(np.asarray(float(b)), np.asarray(float(a))))
        )
    if isinstance(a, np.ndarray) != isinstance(b, np.ndarray):
        return False
    try:
        return type(a) is type(b) and bool(a == b)
    except (TypeError, ValueError):
        return False


# A pair is the case's inputs, the expected array and the student's array.
Pair = tuple[dict[str, Any], Array, Array]


def _pairs(evidence: Sequence[Evidence], wrong: str) -> list[Pair]:
    """``wrong`` in every case; empty unless all that differ are float arrays, or lists of them."""
    pairs: list[Pair] = []
    for item, expected, got in _entries(evidence, wrong):
        right = compare_values(wrong, expected, got) is None
        if not isinstance(got, (np.ndarray, float, np.floating)):
            if right:
                continue
            return []
        if not isinstance(expected, (np.ndarray, float, np.floating)):
            return []
        array = np.asarray(got)
        if array.dtype != np.float64 or not np.isfinite(array).all():
            return []
        pairs.append((item.inputs, np.asarray(expected, dtype=np.float64), array))
    return pairs


def _entries(evidence: Sequence[Evidence], wrong: str) -> Iterator[tuple[Evidence, Any, Any]]:
    """What was expected and what came; of a list with an entry for each layer, each entry."""
    for item in evidence:
        expected, got = item.expected[wrong], item.call.values.get(wrong)
        if not isinstance(expected, list) or not isinstance(got, (list, tuple)):
            yield item, expected, got
        elif len(expected) == len(got):
            yield from ((item, *entry) for entry in zip(expected, got, strict=True))
        else:
            yield item, expected, got


def _alike(pairs: Sequence[Pair]) -> bool:
    """Same shapes, different numbers, and enough numbers that are not zero."""
    return all(expected.shape == got.shape for _, expected, got in pairs) and bool(
        sum(np.count_nonzero(expected) for _, expected, _ in pairs) >= ENOUGH
    )


def _close(expected: Array, got: Array) -> bool:
    return expected.shape == got.shape and bool(np.all(allclose(expected, got)))


def _transposed(name: str, pairs: Sequence[Pair]) -> Diagnosis | None:
    telling = any(min(g.shape, default=0) > 1 for _, _, g in pairs)
    if telling and all(g.ndim == 2 and _close(e, g.T) for _, e, g in pairs):
        return Diagnosis("general/transposed", f"{name} is transposed: its rows are its columns.")
    return None


def _sign(name: str, pairs: Sequence[Pair]) -> Diagnosis | None:
    if _alike(pairs) and all(_close(e, -g) for _, e, g in pairs):
        return Diagnosis("general/sign", f"Every number of {name} has the opposite sign.")
    return None


def _factor(name: str, pairs: Sequence[Pair]) -> Diagnosis | None:
    if not _alike(pairs):
        return None
    factors: list[float] = []
    pairs = [pair for pair in pairs if pair[1].any() or pair[2].any()]
    for _, expected, got in pairs:
        norm = float(np.sum(expected * expected))
        if norm == 0.0:
            return None
        factor = float(np.sum(expected * got)) / norm
        if factor == 0.0 or not _close(factor * expected, got):
            return None
        factors.append(factor)
    sizes = [_batch_size(inputs) for inputs, _, _ in pairs]
    if len(set(sizes)) > 1 and None not in sizes:
        batches = [size for size in sizes if size is not None]
        if _equal([f * b for f, b in zip(factors, batches, strict=True)], [1.0] * len(factors)):
            return Diagnosis(
                "general/mean-for-sum",
                f"Every number of {name} is divided by {_first_array(pairs)}. Where do you take a "
                "mean, or divide by that number?",
            )
        if _equal(factors, batches):
            return Diagnosis(
                "general/sum-for-mean",
                f"Every number of {name} is multiplied by {_first_array(pairs)}. Is the division "
                "of a mean absent?",
            )
    rows = [_rows(inputs) for inputs, _, _ in pairs]
    if len(set(rows)) > 1 and _equal([f * n for f, n in zip(factors, rows, strict=True)], [1.0]):
        return Diagnosis(
            "general/mean-for-sum",
            f"Every number of {name} is divided by the number of tokens. Where do you take a mean?",
        )
    said = f"{factors[0]:.4g}" if factors else ""
    # A factor that reads as 1 would be told to somebody whose numbers differ.
    if len(pairs) > 1 and said != "1" and _equal(factors, factors[:1] * len(factors)):
        return Diagnosis(
            "general/constant-factor",
            f"Every number of {name} is {said} times the expected one.",
        )
    return None


def _equal(factors: Sequence[float], wanted: Sequence[float]) -> bool:
    """Equal up to rounding; float32 instead of float64 is no factor."""
    return bool(np.allclose(factors, wanted, rtol=1e-9, atol=0.0))


def _missing_batch_sum(name: str, pairs: Sequence[Pair]) -> Diagnosis | None:
    telling = any(max(g.shape[: g.ndim - e.ndim], default=0) > 1 for _, e, g in pairs)
    if telling and all(
        g.ndim > e.ndim and _close(e, g.sum(axis=tuple(range(g.ndim - e.ndim))))
        for _, e, g in pairs
    ):
        return Diagnosis(
            "general/missing-batch-sum",
            f"{name} has too many axes: what the samples contribute is not added up along the "
            "first of them yet.",
        )
    return None


def _one_term(name: str, pairs: Sequence[Pair]) -> Diagnosis | None:
    """The difference is exactly one of the inputs."""
    # For a function of one array, such as ReLU, that can be chance: relu(-z) is relu(z) - z.
    arrays = [v for v in pairs[0][0].values() if isinstance(v, np.ndarray)]
    if len(arrays) < 2 or not _alike(pairs):
        return None
    for candidate in pairs[0][0]:
        for sign, word in ((1.0, "is missing"), (-1.0, "is one too many")):
            if all(_is_term(inputs.get(candidate), sign * (e - g)) for inputs, e, g in pairs):
                return Diagnosis(
                    "general/one-term",
                    f"The difference from the expected {name} is {candidate} itself: "
                    f"one term with {candidate} {word}.",
                )
    return None


def _is_term(term: Any, difference: Array) -> bool:
    if not isinstance(term, np.ndarray) or term.dtype != np.float64 or not term.any():
        return False
    try:
        return _close(np.broadcast_to(term, difference.shape), difference)
    except ValueError:
        return False


def _batch_size(inputs: dict[str, Any]) -> int | None:
    for value in inputs.values():
        if isinstance(value, np.ndarray) and value.ndim >= 1:
            return int(value.shape[0])
    return None


def _rows(inputs: dict[str, Any]) -> int:
    """How many vectors the first array holds that has axes for sequences and tokens."""
    for value in inputs.values():
        if isinstance(value, np.ndarray) and value.ndim == 3:
            return int(value.shape[0] * value.shape[1])
    return 0


def _first_array(pairs: Sequence[Pair]) -> str:
    """What ``_batch_size`` counts: samples, unless that input is a vector in every case."""
    for name, value in pairs[0][0].items():
        if isinstance(value, np.ndarray) and value.ndim >= 1:
            vectors = all(np.ndim(inputs[name]) == 1 for inputs, _, _ in pairs)
            return f"len({name})" if vectors else "the number of samples"
    return "the number of samples"


# Each with: must it hold in every case, also where the numbers are right?
_PATTERNS: tuple[tuple[Callable[[str, Sequence[Pair]], Diagnosis | None], bool], ...] = (
    (_transposed, False),
    (_sign, True),
    (_factor, True),
    (_missing_batch_sum, False),
    (_one_term, True),
)
