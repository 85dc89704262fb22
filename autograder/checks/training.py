"""For probes of a training: take answers apart, and follow an optimizer along many steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import numpy as np

from autograder.checks.calling import Misfit, split
from autograder.checks.compare import kind

# One layer's (W, b), or its gradients.
Layers = Sequence[Any]


def optimizer_steps(
    update: Callable[[Layers, Layers, Any], Any],
    params: Layers,
    gradients: Sequence[Layers],
    state: Any,
) -> tuple[list[Any], Any]:
    """The parameters after each step, and the state after the last.

    ``update(params, grads, state)`` returns new parameters and a new state. ``gradients`` has one
    entry for each step. ``params``, the first gradients and ``state`` themselves are handed to the
    first call, so that a change of them shows; all steps that count work on copies. The second step
    gets its gradients themselves, since a state of zeros may hide a change of the first ones. A
    dict that ``update`` returned and later changes is the student's own: that change is shown by a
    new key in ``state``. Raises ``Misfit`` when ``update`` does not return two values.
    """
    start, here = copy.deepcopy(params), copy.deepcopy(state)
    update(params, gradients[0], state)

    after: list[Any] = []
    for number, grads in enumerate(gradients):
        before = copy.deepcopy(here)
        shown = grads if number == 1 else copy.deepcopy(grads)
        found = update(copy.deepcopy(start), shown, here)
        if number == 1 and _numbers(here) != _numbers(before):
            _mark(state)
        # What the student keeps must not be what is changed next.
        start, here = copy.deepcopy(two_values(found, "new parameters, a new state"))
        after.append(copy.deepcopy(start))
    return after, here


def two_values(returned: Any, names: str) -> tuple[Any, Any]:
    """The two values that a function returned, ``names`` for example ``"trained, history"``.

    Raises ``Misfit`` with a sentence for anything else.
    """
    first, second = names.split(", ")
    values, misfit = split(returned, (first, second))
    if misfit:
        raise Misfit(misfit)
    return values[first], values[second]


def pairs_in(
    returned: Any,
    names: str,
    axes: tuple[int | None, int | None] = (None, None),
    part: str = "",
    *,
    listed: bool = False,
) -> list[tuple[Any, Any]]:
    """The pairs that a function returned in a list or yielded one by one, as a list.

    ``names`` is for example ``"W, b"``; ``axes`` says how many axes each of the two must have;
    ``part`` is the name of ``returned`` where it is one of several values that came back.
    With ``listed``, they must come in a list or tuple, which can be walked through again.
    Raises ``Misfit`` with a sentence for anything else.
    """
    wanted = f"expected {'a list of ' if listed else ''}pairs ({names})."
    sep = f" as {part}, " if part else ", "
    if listed and not isinstance(returned, (list, tuple)):
        raise Misfit(f"returned {kind(returned) if returned is not None else None}{sep}{wanted}")
    if returned is None or isinstance(returned, (dict, str, np.ndarray)):
        raise Misfit(f"returned {kind(returned) if returned is not None else None}{sep}{wanted}")
    try:
        entries = list(returned)
    except TypeError as error:
        if not hasattr(returned, "__iter__"):
            raise Misfit(f"returned {kind(returned)}{sep}{wanted}") from error
        raise
    for entry in entries:
        if not isinstance(entry, (tuple, list)) or len(entry) != 2:
            many = f" of {len(entry)} entries" if isinstance(entry, (tuple, list)) else ""
            raise Misfit(f"has {kind(entry)}{many} in what it returned{sep}{wanted}")
        for name, part, number in zip(names.split(", "), entry, axes, strict=True):
            if part is None:
                raise Misfit(f"returned a pair whose {name} is None.")
            if number is not None and np.ndim(part) != number:
                found = f"{name} has shape {np.shape(part)}, expected {number} axes."
                raise Misfit(f"returned a pair whose {found}")
    return [(first, second) for first, second in entries]


def _mark(state: Any) -> None:
    if isinstance(state, MutableMapping):
        state["changed"] = True


def _numbers(value: Any) -> list[bytes]:
    """Every number inside nested containers, in order, as bytes."""
    if isinstance(value, dict):
        return [part for key in value for part in (str(key).encode(), *_numbers(value[key]))]
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in _numbers(item)]
    array = np.asarray(value)
    return [b""] if array.dtype.hasobject else [array.tobytes()]
