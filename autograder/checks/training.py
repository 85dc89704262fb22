"""Follow an optimizer of the student's along many steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import numpy as np

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
    first call, so that a change of them shows; all steps that count work on copies. A dict that
    ``update`` returned and later changes is the student's own: that change is shown by a new key in
    ``state``. Raises ``ValueError`` when ``update`` does not return two values.
    """
    start, here = copy.deepcopy(params), copy.deepcopy(state)
    update(params, gradients[0], state)

    after: list[Any] = []
    for number, grads in enumerate(gradients):
        before = copy.deepcopy(here)
        found = update(copy.deepcopy(start), copy.deepcopy(grads), here)
        if number == 1 and _numbers(here) != _numbers(before):
            _mark(state)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            what = f"{len(found)} values" if isinstance(found, (tuple, list)) else "one value"
            raise ValueError(f"it returned {what}, expected new parameters and a new state")
        # What the student keeps must not be what is changed next.
        start, here = copy.deepcopy(found[0]), copy.deepcopy(found[1])
        after.append(copy.deepcopy(start))
    return after, here


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
