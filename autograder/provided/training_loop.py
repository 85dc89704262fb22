"""What notebook 06 built and later notebooks call.

``params`` is a list with one ``(W, b)`` for each layer, ``W`` of shape (n_out, n_in) and ``b`` of
shape (n_out,); ``grads`` is a list of ``(dW, db)`` of the same shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]
Layers = Sequence[tuple[Array, Array]]


def init_params(layer_sizes: Sequence[int], rng: np.random.Generator) -> list[tuple[Array, Array]]:
    """Weights with mean 0 and variance 2/n_in, biases of zeros; inputs first in ``layer_sizes``.

    He, Zhang, Ren and Sun, Delving Deep into Rectifiers, arXiv 1502.01852.
    """
    return [
        (rng.normal(0.0, np.sqrt(2 / n_in), size=(n_out, n_in)), np.zeros(n_out))
        for n_in, n_out in zip(layer_sizes, layer_sizes[1:], strict=False)
    ]


def minibatches(
    X: Array, y: Classes, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Array, Classes]]:
    """One epoch of shuffled batches; the last may be smaller. ``X`` (N, …), ``y`` (N, …)."""
    order = rng.permutation(len(X))
    for start in range(0, len(X), batch_size):
        chosen = order[start : start + batch_size]
        yield X[chosen], y[chosen]


def sgd_update(params: Layers, grads: Layers, lr: float) -> list[tuple[Array, Array]]:
    """One step of gradient descent: a new list of new arrays."""
    return [(W - lr * dW, b - lr * db) for (W, b), (dW, db) in zip(params, grads, strict=True)]


def adam_update(
    params: Layers,
    grads: Layers,
    state: dict[str, Any],
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[list[tuple[Array, Array]], dict[str, Any]]:
    """One step of Adam: new parameters and a new state. ``state`` is ``{}`` before the first step.

    Kingma and Ba, Adam: A Method for Stochastic Optimization, arXiv 1412.6980.
    """
    values = [value for pair in params for value in pair]
    slopes = [slope for pair in grads for slope in pair]
    zeros = [np.zeros_like(value) for value in values]
    t = state.get("t", 0) + 1
    m = [
        beta1 * old + (1 - beta1) * g for old, g in zip(state.get("m", zeros), slopes, strict=True)
    ]
    v = [
        beta2 * old + (1 - beta2) * g**2
        for old, g in zip(state.get("v", zeros), slopes, strict=True)
    ]
    new = [
        value - lr * (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + eps)
        for value, first, second in zip(values, m, v, strict=True)
    ]
    return list(zip(new[::2], new[1::2], strict=True)), {"t": t, "m": m, "v": v}
