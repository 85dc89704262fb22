"""What notebook 04 built and later notebooks call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Block = Callable[[Array], Array]


def residual_backward(dout: Array) -> tuple[Array, Array]:
    """The gradients of both terms of a residual sum: two new arrays, shape of ``dout``."""
    return dout.copy(), dout.copy()


def pre_ln_block(x: Array, layer_norm: Block, sublayer: Block) -> Array:
    """x + sublayer(layer_norm(x)), shape of ``x``."""
    y: Array = x + sublayer(layer_norm(x))
    return y


def has_direct_path(
    make_block: Callable[[float], Block], shape: tuple[int, ...] = (3, 4), eps: float = 1e-5
) -> bool:
    """Whether dy/dx of a block is the identity when its branch is silent.

    ``make_block(scale)`` gives a function y = block(x), both of ``shape``, whose branch is
    multiplied by ``scale``. The Jacobian at scale 0 is found by central differences with the step
    ``eps``, at one random x.
    """
    block = make_block(0.0)
    x = np.random.default_rng(0).normal(size=shape)
    steps = eps * np.eye(x.size).reshape(-1, *shape)
    rows = [(block(x + step) - block(x - step)).ravel() / (2 * eps) for step in steps]
    return bool(np.allclose(np.transpose(rows), np.eye(x.size), atol=1e-6))
