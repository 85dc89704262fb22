"""``Check``: what a test cell says about one exercise.

A test cell gives PyTorch's answer in a few lines, lists cases, and ends in ``check.grade()``::

    def pytorch(x, W, b):
        return torch.nn.functional.linear(x, W, b)

    check = Check("affine", pytorch, returns={"z": 2})
    check.case("3 inputs, 2 outputs", x=normal(3), W=normal((2, 3)), b=normal(2))
    check.hidden.case("as many inputs as outputs", x=..., W=..., b=...)
    check.grade()
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from autograder.checks.calling import Call, Order, Way, call_each, describe, names_in
from autograder.checks.compare import Difference, as_set, compare, kind
from autograder.checks.diagnose import Calls, Diagnosis, Evidence, from_arithmetic, from_bank
from autograder.checks.memory import recall
from autograder.checks.reference import Twin, run_reference
from autograder.mistakes import Mistake, mistakes_of, note_of

# Of the points for right numbers, what remains when an input was changed or a view returned.
UNCLEAN = 0.5

# Where the names of a notebook hold the exercises that are not right yet.
NOT_RIGHT = "_not_right_yet"


@dataclass
class Case:
    """One set of inputs and everything that is known about it."""

    title: str
    hidden: bool
    aspect: str | None
    warning_free: bool
    inputs: dict[str, Any]
    many: dict[str, Any] | None = None
    # What comes of it, from ``grade`` on.
    expected: dict[str, Any] = field(default_factory=dict)
    call: Call = field(default_factory=Call)
    differences: dict[str, Difference] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        """The answer is wrong, whatever was done to the inputs."""
        return bool(
            self.differences
            or self.call.error
            or self.call.misfit
            or self.call.loops
            or (self.warning_free and self.call.warnings)
        )

    @property
    def failed(self) -> bool:
        return self.wrong or not self.call.clean


class _Hidden:
    """The cases that students do not see in their notebook."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def case(
        self,
        title: str,
        /,
        *,
        aspect: str | None = None,
        warning_free: bool = False,
        **inputs: Any,
    ) -> None:
        """As ``Check.case``, in the grader only."""
        self._check._add(title, aspect, warning_free, inputs, hidden=True)

    def follow_through(self, **formulas: Callable[..., Any]) -> None:
        """Give points for a quantity that is right given the student's own earlier ones.

        Each formula is over inputs and earlier quantities, by the names of its parameters. It is
        half of the answer, so it stands among the hidden tests.
        """
        self._check._follow.update(formulas)

    def no_python_loop(
        self, title: str, /, *, aspect: str, few: Mapping[str, Any], many: Mapping[str, Any]
    ) -> None:
        """As ``Check.no_python_loop``, in the grader only."""
        self._check._add(title, aspect, False, dict(few), hidden=True, many=dict(many))


class Check:
    """The check of one exercise.

    ``name`` is the function, class or first variable that the student writes; it is looked up
    among the names of the notebook. ``reference`` gives the expected values: it is called with
    the inputs as float64 tensors and returns what the student's function must return.

    ``backward`` names a second function that the student writes: ``name`` then returns the first
    quantity and a cache of the student's own making, and ``backward`` turns the last input, an
    upstream gradient, and that cache into the other quantities.

    ``returns`` maps each returned quantity, in the order in which the function returns them, to
    its points. ``aspects`` maps further properties, each tested by cases of its own, to points.
    ``order`` is the order of back-propagation, in which the first wrong quantity is named;
    ``last_first`` names lists with an entry for each layer, whose last entry is the first.

    ``tolerance`` replaces the usual one for a quantity, as an absolute number.

    ``probe`` is for answers that are objects: it gets the student's object and the inputs, and
    returns arrays. ``uses`` names further objects of the notebook, which the probe gets after the
    first. Torch is forbidden meanwhile, unless the text of the probe mentions it. ``typed`` is for
    numbers that the student types in: there is no call.
    ``may_share`` names quantities that may hold the inputs themselves, such as a cache.
    ``separate`` asks for quantities of which no two share memory. ``by_entry`` names dicts whose
    points are shared out evenly among their entries.

    An aspect of a function without a single right quantity is worth nothing.
    ``aspects_alone`` lifts that, for an aspect that is work of its own.
    """

    def __init__(
        self,
        name: str,
        reference: Callable[..., Any],
        *,
        returns: Mapping[str, float],
        backward: str | None = None,
        aspects: Mapping[str, float] | None = None,
        order: Sequence[str] | None = None,
        last_first: Sequence[str] = (),
        tolerance: Mapping[str, float] | None = None,
        probe: Callable[..., Any] | None = None,
        uses: Sequence[str] = (),
        typed: bool = False,
        may_share: Sequence[str] = (),
        separate: bool = False,
        by_entry: Sequence[str] = (),
        aspects_alone: bool = False,
    ) -> None:
        self.name = name
        self.functions = (name,) if backward is None else (name, backward)
        self.returns = dict(returns)
        self.aspects = dict(aspects or {})
        self.cases: list[Case] = []
        self.diagnosis: Diagnosis | None = None
        self.hidden = _Hidden(self)
        self._reference = reference
        self._order = tuple(order or self.returns)
        self._last_first = frozenset(last_first)
        self._follow: dict[str, Callable[..., Any]] = {}
        self._tolerance = dict(tolerance or {})
        self.probe = probe
        self.uses = tuple(uses)
        self.typed = typed
        self._may_share = frozenset(may_share)
        self._separate = separate
        self._by_entry = tuple(by_entry)
        self._aspects_alone = aspects_alone
        self._names = tuple(self.returns)
        if separate and backward is not None:
            raise ValueError("separate=True is for an exercise of one function.")
        if not set(self._by_entry) <= set(self._names):
            raise ValueError(f"by_entry={self._by_entry} names what is no quantity.")
        if set(self._order) != set(self._names):
            raise ValueError(f"order={self._order} does not name the quantities {self._names}.")
        # The names of the notebook are those of the cell that made this object.
        self._namespace = sys._getframe(1).f_globals

    @property
    def maximum(self) -> float:
        """All points of the exercise."""
        return float(sum(self.returns.values()) + sum(self.aspects.values()))

    def case(
        self,
        title: str,
        /,
        *,
        aspect: str | None = None,
        warning_free: bool = False,
        **inputs: Any,
    ) -> None:
        """Compare one call with the reference.

        ``title`` completes the sentence "wrong for …". A case with an ``aspect`` decides about the
        points of that aspect only. ``warning_free`` forbids NumPy's overflow warnings.
        """
        self._add(title, aspect, warning_free, inputs, hidden=False)

    def no_python_loop(
        self, title: str, /, *, aspect: str, few: Mapping[str, Any], many: Mapping[str, Any]
    ) -> None:
        """Forbid a Python loop over samples: count the lines run for a few and for many samples."""
        self._add(title, aspect, False, dict(few), hidden=False, many=dict(many))

    def grade(self) -> float:
        """Run the cases, print the report and return the points, a plain float."""
        self._run()
        # A warning about the student's numbers would go to stderr, and nbgrader gives 0 for that.
        with np.errstate(all="ignore"):
            points, lines = self._verdict()
        # A new set each time: the names of a notebook may be copied.
        mine = set(self.functions) if points < self.maximum else set()
        self._namespace[NOT_RIGHT] = self._not_right() | mine
        print("\n".join(lines))
        return points

    # ----------------------------------------------------------------- running the cases

    def _add(
        self,
        title: str,
        aspect: str | None,
        warning_free: bool,
        inputs: dict[str, Any],
        *,
        hidden: bool,
        many: dict[str, Any] | None = None,
    ) -> None:
        if aspect is not None and aspect not in self.aspects:
            raise ValueError(f"The case '{title}' has an aspect without points: '{aspect}'.")
        self.cases.append(Case(title, hidden, aspect, warning_free, inputs, many))

    def _run(self) -> None:
        """Call the student's functions, PyTorch's, and compare."""
        beside = tuple(self._namespace.get(name) for name in self.uses)
        calls = self._call_each(self._subjects(), beside, self.cases)
        for case, made in zip(self.cases, calls, strict=True):
            case.expected, case.call, case.differences = self._expected(case), made, {}
        with np.errstate(all="ignore"):
            for case in self.cases:
                for quantity, value in case.expected.items():
                    if found := self._compare(quantity, value, case.call):
                        case.differences[quantity] = found

    def _expected(self, case: Case) -> dict[str, Any]:
        """PyTorch's side."""
        inputs = case.inputs
        answer = recall(self._reference, inputs, lambda: run_reference(self._reference, inputs))
        return dict(zip(self._names, answer if self._many else (answer,), strict=True))

    def _compare(self, quantity: str, value: Any, made: Call) -> Difference | None:
        if quantity not in made.values:
            if self.typed and not made.error:
                return Difference("missing", quantity, f"{quantity} is not defined yet.")
            return None
        return compare(
            quantity,
            value,
            made.values[quantity],
            tolerance=self._tolerance.get(quantity),
            typed=self.typed,
            last_first=quantity in self._last_first,
        )

    @property
    def _many(self) -> bool:
        return len(self._names) > 1

    def _not_right(self) -> set[str]:
        """The exercises of this notebook whose last check lost points."""
        return set(self._namespace.get(NOT_RIGHT, ())) - set(self.functions)

    def _subjects(self) -> tuple[Any, ...]:
        return tuple(self._namespace.get(name) for name in self.functions)

    def _call_each(
        self, subjects: tuple[Any, ...], beside: tuple[Any, ...], cases: Sequence[Case]
    ) -> list[Call]:
        if self.typed:
            return [self._read_typed() for _ in cases]
        if not all(callable(subject) for subject in subjects):
            return [Call(error=NotImplementedError()) for _ in cases]
        first, backward = (*subjects, None)[:2]
        way = Way(self._names, backward, self.probe, beside, self._may_share, self._separate)
        return call_each(first, [Order(case.inputs, case.many) for case in cases], way)

    def _read_typed(self) -> Call:
        found = {n: self._namespace[n] for n in self._names if n in self._namespace}
        return Call(values={n: v for n, v in found.items() if v is not None})

    def _call_record(self, record: Mistake, case: Case) -> Call:
        if self.typed:
            return Call(values={n: _as_numbers(v) for n, v in record.answer().items()})
        inputs = {"inputs": case.inputs, "many": case.many}

        def compute() -> Call:
            beside = tuple(record.beside(name) for name in self.uses)
            (made,) = self._call_each(record.functions(), beside, [case])
            return made

        return cast(Call, recall(f"{record.diagnosis} {self._names}", inputs, compute))

    # ----------------------------------------------------------------- the verdict

    def _verdict(self) -> tuple[float, list[str]]:
        blocked = self._not_there()
        if blocked:
            return 0.0, [*blocked, self._score(0.0)]
        right = [q for q in self._order if self._is_right(q)]
        followed = [q for q in self._order if q not in right and self._follows(q)]
        base = sum(self.returns[q] for q in (*right, *followed))
        partly = {q: self._right_entries(q) for q in self._by_entry if q not in (*right, *followed)}
        base += sum(self.returns[q] * sum(found) / len(found) for q, found in partly.items())
        unclean = any(not case.call.clean for case in self.cases)
        if unclean:
            base *= UNCLEAN
        worthless = base == 0.0 and not self._aspects_alone
        lost = [a for a in self.aspects if worthless or not self._holds(a)]
        points = round(float(base + sum(p for a, p in self.aspects.items() if a not in lost)), 6)
        failed = [case for case in self.cases if case.failed]
        if not failed:
            return points, self._success(points)
        return points, self._failure(points, failed, right, followed, partly)

    def _not_there(self) -> list[str] | None:
        if self.typed:
            if any(case.call.values for case in self.cases):
                return None
            return [f"{self.name} is not defined yet: type your answer into the cell above."]
        for name, subject in zip(self.functions, self._subjects(), strict=True):
            if subject is None:
                return [f"{name} is not defined: run the cell that defines it, or write it."]
            if not callable(subject):
                return [f"{name} is {kind(subject)}, expected a function."]
        for name in self.uses:
            if self._namespace.get(name) is None:
                return [f"{self.name} is checked with {name}, which is not defined yet."]
        errors = [case.call.error for case in self.cases]
        nothing = not any(case.call.values for case in self.cases)
        if errors and nothing and all(isinstance(e, NotImplementedError) for e in errors):
            return [self._unwritten(self.name, self.cases[0].call)]
        return None

    def _unwritten(self, name: str, made: Call) -> str:
        """A function that is not there, or that uses one that is not there."""
        raised = made.raised_in
        plain = f"{name} is not written yet: it raises NotImplementedError."
        if raised and callable(self._namespace.get(raised)):
            return f"{name} uses {raised}, which is not written yet."
        if raised in _methods(self._namespace.get(name)):
            return plain if raised == "__init__" else f"{name}.{raised} is not written yet."
        for owner in (*self.uses, *sorted(names_in(self._namespace.get(name)))):
            if raised in _methods(self._namespace.get(owner)):
                what = owner if raised == "__init__" else f"{owner}.{raised}"
                verb = "is checked with" if owner in self.uses else "uses"
                return f"{name} {verb} {what}, which is not written yet."
        return plain

    def _is_right(self, quantity: str) -> bool:
        return all(
            quantity in case.call.values and quantity not in case.differences
            for case in self.cases
            if case.aspect is None
        )

    def _right_entries(self, quantity: str) -> list[bool]:
        """For each key of a dict: is the student's entry right in every case?"""
        cases = [case for case in self.cases if case.aspect is None]

        def is_right(case: Case, key: Any) -> bool:
            found, near = case.call.values.get(quantity), self._tolerance.get(quantity)
            if not isinstance(found, Mapping) or key not in found:
                return False
            wanted = case.expected[quantity][key]
            return compare(quantity, wanted, found[key], tolerance=near) is None

        return [all(is_right(case, key) for case in cases) for key in cases[0].expected[quantity]]

    def _holds(self, aspect: str) -> bool:
        mine = [case for case in self.cases if case.aspect == aspect]
        # An aspect without a visible case cannot be lost in the student's notebook. What a changed
        # input costs is taken from the points for the numbers, and is not taken twice.
        return not any(case.wrong for case in mine)

    def _follows(self, quantity: str) -> bool:
        """Is ``quantity`` right given the student's own earlier quantities, in every case?"""
        formula = self._follow.get(quantity)
        cases = [case for case in self.cases if case.aspect is None]
        if formula is None or not cases:
            return False
        needed = inspect.signature(formula).parameters
        # Zeros follow from zeros: where all cases give them, they show nothing.
        shown = False
        for case in cases:
            known = {n: v.numpy if isinstance(v, Twin) else v for n, v in case.inputs.items()}
            known |= case.call.values
            if quantity not in case.call.values or any(n not in known for n in needed):
                return False
            if any(_wrong_kind(case, name) for name in needed):
                return False
            if self.typed:
                known = {name: _as_numbers(value) for name, value in known.items()}
            try:
                with np.errstate(all="ignore"):
                    wanted = np.asarray(formula(*(known[name] for name in needed)), np.float64)
            except (TypeError, ValueError, IndexError):
                return False
            if not np.isfinite(wanted).all():
                return False
            shown = shown or bool(wanted.any())
            if compare(
                quantity,
                wanted,
                case.call.values[quantity],
                tolerance=self._tolerance.get(quantity),
                typed=self.typed,
            ):
                return False
        return shown

    # ----------------------------------------------------------------- the report

    def _success(self, points: float) -> list[str]:
        seen_hidden = any(case.hidden for case in self.cases)
        which = "all checks passed, hidden ones included" if seen_hidden else _VISIBLE
        lines = [f"{self.name}: {which}."]
        note = note_of(self.name)
        if note:
            lines.append(note)
        return [*lines, self._score(points)]

    def _failure(
        self,
        points: float,
        failed: Sequence[Case],
        right: Sequence[str],
        followed: Sequence[str],
        partly: Mapping[str, Sequence[bool]],
    ) -> list[str]:
        case, wrong = self._first_failure(failed)
        lines = self._describe(case, wrong, right)
        if not self.typed:
            where = " (a hidden case)" if case.hidden else ""
            lines.append(f"  Case{where}: {case.title}.")
            if case.inputs:
                called_name = " and ".join(self.functions)
                # What a probe gets need not be what the function is called with.
                how = "Tried" if self.probe else f"Called {called_name}"
                lines.append(f"  {how} with {describe(case.inputs)}.")
        passed = len(self.cases) - len(failed)
        if len(self.cases) > 1:
            lines.append(f"  {passed} of {len(self.cases)} cases are right.")
        for quantity, entries in partly.items():
            count = f"{sum(entries)} of {len(entries)} entries"
            lines.append(f"  {count} of {quantity} are right in every case.")
        called = self._not_right() & {*self.uses, *set().union(*map(names_in, self._subjects()))}
        if called:
            verb = "is" if len(called) == 1 else "are"
            names = ", ".join(sorted(called))
            lines.append(f"  It uses {names}, which {verb} not right yet: look there first.")
        self.diagnosis = self._diagnose(case.aspect, wrong)
        if self.diagnosis:
            sentence = " ".join(self.diagnosis.sentence.split())
            lines.append(f"Diagnosis: {sentence} [{self.diagnosis.id}]")
        if followed:
            verb = "is" if len(followed) == 1 else "are"
            lines.append(
                f"Follow-through: {', '.join(followed)} {verb} right given your own earlier values."
            )
        return [*lines, self._score(points)]

    def _first_failure(self, failed: Sequence[Case]) -> tuple[Case, str | None]:
        """The first wrong quantity in the order of back-propagation, and a case that shows it."""
        plain = [case for case in failed if case.aspect is None]
        if not plain:
            # Properties one by one, in the order in which the check names them.
            first = next(a for a in self.aspects if any(case.aspect == a for case in failed))
            plain = [case for case in failed if case.aspect == first]
        for case in plain:
            if case.call.error or case.call.misfit:
                return case, None
        for quantity in self._order:
            for case in plain:
                if quantity in case.differences:
                    return case, quantity
        return plain[0], None

    def _describe(self, case: Case, wrong: str | None, right: Sequence[str]) -> list[str]:
        made = case.call
        name = made.function or self.name
        if made.error is not None:
            text = " ".join(str(made.error).split())
            if isinstance(made.error, NotImplementedError) and not text:
                return [self._unwritten(name, made)]
            first = f"{name} raised {type(made.error).__name__}"
            first += f": {text}" if text else ""
            lines = [first if first.endswith(".") else first + "."]
            return [*lines, f"  {made.where}"] if made.where else lines
        if made.misfit:
            return [f"{name} {made.misfit}"]
        if wrong is not None:
            found = case.differences[wrong]
            first = f"{self.name}: {found.summary}" if not self.typed else found.summary
            before = [q for q in self._order[: self._order.index(wrong)] if q in right]
            if before and self._many:
                verb = "are" if len(before) > 1 else "is"
                first += f" {', '.join(before)} {verb} right; {wrong} is the first that differs."
            nothing = all(value is None for value in made.values.values())
            if found.path == wrong and found.summary == f"{wrong} is None." and nothing:
                first += " Does the function end in a return statement?"
            return [first, *(f"  {line}" for line in found.details)]
        if made.changed:
            return [f"{name} changes its input {made.changed[0]}; the numbers are right."]
        if made.shared:
            quantity, source = made.shared[0]
            return [f"{name}: {quantity} is a view of the input {source}."]
        if made.entangled:
            first, second = made.entangled[0]
            return [f"{name}: {first} and {second} share one memory; the numbers are right."]
        if made.loops:
            return [f"{self.name} runs Python code for every sample; the numbers are right."]
        return [f"{self.name} raises a NumPy warning: {made.warnings[0]}."]

    def _diagnose(self, aspect: str | None, wrong: str | None) -> Diagnosis | None:
        found = self._diagnose_from(self.cases, aspect, wrong)
        plain = [case for case in self.cases if case.aspect is None]
        if found or len(plain) == len(self.cases) or not any(case.failed for case in plain):
            return found
        # Who has a wrong formula often lacks the aspect too. The plain cases show the formula.
        return self._diagnose_from(plain, None, wrong)

    def _diagnose_from(
        self, these: Sequence[Case], aspect: str | None, wrong: str | None
    ) -> Diagnosis | None:
        # What is wrong tells most records apart at once, so it is run first.
        cases = sorted(these, key=lambda case: not case.failed)
        # What else goes wrong in other properties may be another mistake.
        about = [case.aspect in (None, aspect) or not case.failed for case in cases]

        def run(record: Mistake) -> Calls:
            return Calls(lambda i: self._call_record(record, cases[i]), len(cases))

        # One typed-in word or index is too little to tell a mistake from another by itself.
        part = None if self.typed and not _is_telling(cases, wrong) else wrong
        evidence = [self._evidence(case) for case in cases]
        named = from_bank(mistakes_of(self.name), run, evidence, part, self._tolerance, about)
        if named or self.typed or self.probe:
            return named
        return from_arithmetic([self._evidence(case) for case in these], wrong)

    def _evidence(self, case: Case) -> Evidence:
        if not self.typed:
            return Evidence(case.inputs, case.expected, case.call)
        # A list and an array of the same typed-in numbers are the same answer.
        expected = {name: _as_numbers(value) for name, value in case.expected.items()}
        typed = {name: _as_numbers(value) for name, value in case.call.values.items()}
        return Evidence(case.inputs, expected, Call(values=typed))

    def _score(self, points: float) -> str:
        noun = "point" if self.maximum == 1 else "points"
        which = "" if any(case.hidden for case in self.cases) else " on the visible checks"
        return f"{points:g} of {self.maximum:g} {noun}{which}."


_VISIBLE = "all visible checks passed"


def _as_numbers(value: Any) -> Any:
    """A typed-in value as a float64 array of at least one axis, where it is made of numbers."""
    if isinstance(value, (str, dict)):
        return value
    if isinstance(value, (set, frozenset)) or _holds_pairs(value):
        found = as_set(value)
        return value if isinstance(found, str) else found
    try:
        return np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return value


def _methods(thing: Any) -> set[str]:
    """The names of what is written in the body of a class; none for a function."""
    if isinstance(thing, type):
        return set(vars(thing))
    # A class of another process says it itself: its methods have a dot before their names.
    told = getattr(thing, "names_used", ())
    return {name[1:] for name in told if name.startswith(".")}


def _holds_pairs(value: Any) -> bool:
    """A list of pairs of words, which may stand for a set of them."""
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(entry, (list, tuple)) and entry for entry in value)
        and all(isinstance(word, str) for entry in value for word in entry)
    )


def _is_telling(cases: Sequence[Case], quantity: str | None) -> bool:
    """Does a typed-in quantity have a number that is not a whole one?"""
    values = [_as_numbers(case.call.values.get(quantity)) for case in cases if quantity]
    return any(
        isinstance(v, np.ndarray) and v.dtype == np.float64 and bool(np.any(v != np.round(v)))
        for v in values
    )


def _wrong_kind(case: Case, name: str) -> bool:
    """A quantity that is not even of the right kind, so that nothing can follow from it."""
    found = case.differences.get(name)
    return found is not None and found.verdict != "value"
