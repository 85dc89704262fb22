"""What later notebooks get from notebook 04."""

import numpy as np
import pytest
import torch

from autograder.provided.residual_gradients import (
    has_direct_path,
    pre_ln_block,
    residual_backward,
)


def test_both_terms_of_a_sum_get_the_gradient_in_arrays_of_their_own():
    dout = np.random.default_rng(0).normal(size=(2, 3))
    kept = dout.copy()
    along, into = residual_backward(dout)
    along += 1
    into *= 3
    np.testing.assert_array_equal(dout, kept)
    np.testing.assert_array_equal(along, kept + 1)
    np.testing.assert_array_equal(into, kept * 3)


def test_pre_ln_is_that_of_pytorch():
    x = np.random.default_rng(1).normal(size=(2, 3, 4))

    def normalize(v):
        centered = v - v.mean(axis=-1, keepdims=True)
        return centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)

    tensor = torch.tensor(x)
    wanted = tensor + torch.tanh(torch.nn.functional.layer_norm(tensor, (4,)))
    np.testing.assert_allclose(pre_ln_block(x, normalize, np.tanh), wanted.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("answer", "direct"),
    [
        (True, lambda x: 1 * x),
        (True, lambda x: x + np.arange(6.0).reshape(2, 3)),
        (False, lambda x: 0 * x),
        (False, lambda x: 0.9 * x),
        (False, lambda x: -x),
        (False, lambda x: np.roll(x, 1, axis=-1)),
        (False, lambda x: x + 0.1 * np.roll(x, 1, axis=0)),
        (False, lambda x: np.maximum(x, 0)),
        (False, np.tanh),
    ],
)
def test_a_direct_path_is_found_where_there_is_one(answer, direct):
    def make_block(scale):
        return lambda x: direct(x) + scale * np.sin(3 * x[::-1])

    assert has_direct_path(make_block, shape=(2, 3)) is answer
