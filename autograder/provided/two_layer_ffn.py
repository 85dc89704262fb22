"""What notebook 03 built and later notebooks call.

The feed-forward block of a transformer: Linear, GELU, Linear. ``X`` may have any number of axes
before the last, such as (d,), (B, d) or (B, T, d).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Cache = dict[str, Array]

# GELU in its tanh form: Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv 1606.08415.
SCALE = np.sqrt(2 / np.pi)
CUBIC = 0.044715


def gelu(z: npt.ArrayLike) -> Array:
    """½ z (1 + tanh(√(2/π) (z + 0.044715 z³))) for each number of ``z``; same shape."""
    z = np.asarray(z, dtype=np.float64)  # z * z * z: in NumPy z**3 is a hundred times slower
    result: Array = 0.5 * z * (1 + np.tanh(SCALE * (z + CUBIC * z * z * z)))
    return result


def gelu_grad(z: npt.ArrayLike) -> Array:
    """The slope of ``gelu`` at each number of ``z``; same shape."""
    z = np.asarray(z, dtype=np.float64)
    t = np.tanh(SCALE * (z + CUBIC * z * z * z))
    result: Array = 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * SCALE * (1 + 3 * CUBIC * z**2)
    return result


def ffn_forward_batch(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> tuple[Array, Cache]:
    """Y, shape of ``X``, and what ``ffn_backward_batch`` needs.

    ``W1`` has shape (d_ff, d_model), ``b1`` (d_ff,), ``W2`` (d_model, d_ff), ``b2`` (d_model,).
    """
    Z = X @ W1.T + b1
    H = gelu(Z)
    Y: Array = H @ W2.T + b2
    return Y, {"X": X, "Z": Z, "H": H, "W1": W1, "W2": W2}


def ffn_backward_batch(dY: Array, cache: Cache) -> tuple[Array, Array, Array, Array, Array]:
    """dW1, db1, dW2, db2, dX for the upstream gradient ``dY``, shape of ``Y``."""
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dY_rows = dY.reshape(-1, dY.shape[-1])  # one row a token
    dW2 = dY_rows.T @ H.reshape(-1, H.shape[-1])
    db2 = dY_rows.sum(axis=0)
    dZ = (dY @ W2) * gelu_grad(Z)
    dZ_rows = dZ.reshape(-1, dZ.shape[-1])
    dW1 = dZ_rows.T @ X.reshape(-1, X.shape[-1])
    db1 = dZ_rows.sum(axis=0)
    dX = dZ @ W1
    return dW1, db1, dW2, db2, dX
