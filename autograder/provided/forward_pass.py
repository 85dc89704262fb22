"""What notebook 01 built and later notebooks call."""

from __future__ import annotations

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
