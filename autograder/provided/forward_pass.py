"""What notebook 01 built and later notebooks call."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def relu(z: npt.ArrayLike) -> Array:
    """max(0, z) for each number of ``z``; same shape."""
    result: Array = np.maximum(np.asarray(z, dtype=np.float64), 0.0)
    return result


def sigmoid(z: npt.ArrayLike) -> Array:
    """1 / (1 + exp(-z)) for each number of ``z``; same shape, finite for every finite ``z``.

    Written as exp(-log(1 + exp(-z))), because ``np.logaddexp`` does not overflow.
    """
    result: Array = np.exp(-np.logaddexp(0.0, -np.asarray(z, dtype=np.float64)))
    return result


def softmax(z: npt.ArrayLike, axis: int = -1) -> Array:
    """Probabilities along ``axis``; same shape. A score of -inf has the probability 0.

    Shifted by the maximum, so that no power overflows.
    """
    z = np.asarray(z, dtype=np.float64)
    powers = np.exp(z - z.max(axis=axis, keepdims=True))
    result: Array = powers / powers.sum(axis=axis, keepdims=True)
    return result


def log_softmax(z: npt.ArrayLike, axis: int = -1) -> Array:
    """The logarithm of softmax along ``axis``; same shape, finite for every finite ``z``.

    z - m - log(sum(exp(z - m))) with the maximum m, so that no power overflows.
    """
    z = np.asarray(z, dtype=np.float64)
    shifted = z - z.max(axis=axis, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return result


def forward_pass_manual(
    x: Array, weights: Sequence[Array], biases: Sequence[Array]
) -> tuple[Array, dict[str, Array]]:
    """A network of L layers with ReLU between them and a sigmoid at the end.

    ``x`` has shape (B, n_0), ``weights[l]`` shape (n_(l+1), n_l), ``biases[l]`` shape (n_(l+1),).
    Returns the output, shape (B, n_L), and the cache: a0 = x, then z1, a1, z2, a2, …
    """
    a = x
    cache = {"a0": x}
    layers = len(weights)
    for layer, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = a @ W.T + b
        a = sigmoid(z) if layer == layers else relu(z)
        cache |= {f"z{layer}": z, f"a{layer}": a}
    return a, cache
