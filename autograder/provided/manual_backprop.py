"""What notebook 02 built and later notebooks call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from autograder.provided.forward_pass import sigmoid

Array = npt.NDArray[np.float64]


def relu_grad(z: npt.ArrayLike) -> Array:
    """The slope of ReLU at each number of ``z``, 0 at zero; same shape."""
    return (np.asarray(z) > 0).astype(np.float64)


def sigmoid_grad(z: npt.ArrayLike) -> Array:
    """The slope of the sigmoid at each number of ``z``; same shape."""
    s = sigmoid(z)
    return s * (1 - s)


def tanh_grad(z: npt.ArrayLike) -> Array:
    """The slope of tanh at each number of ``z``; same shape."""
    t = np.tanh(np.asarray(z, dtype=np.float64))
    result: Array = 1 - t**2
    return result


def numerical_gradient(f: Callable[[Array], float], x: npt.ArrayLike, eps: float = 1e-5) -> Array:
    """The gradient of ``f`` at ``x`` by central differences, shape of ``x``; ``f`` gives a number.

    Two calls of ``f`` for each number of ``x``, with a step of exactly ``eps``.
    """
    x = np.array(x, dtype=np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += eps
        below[index] -= eps
        gradient[index] = (f(above) - f(below)) / (2 * eps)
    return gradient


def sgd_step(params: Sequence[Array], grads: Sequence[Array], learning_rate: float) -> list[Array]:
    """One step of gradient descent: a new list of new arrays."""
    return [param - learning_rate * grad for param, grad in zip(params, grads, strict=True)]
