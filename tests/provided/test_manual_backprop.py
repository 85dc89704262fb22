"""What later notebooks get from notebook 02 agrees with PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograder.provided.manual_backprop import (
    numerical_gradient,
    relu_grad,
    sgd_step,
    sigmoid_grad,
    tanh_grad,
)

SLOPES = [
    (relu_grad, torch.relu),
    (sigmoid_grad, torch.sigmoid),
    (tanh_grad, torch.tanh),
]
ARRAYS = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-30, 30))


@pytest.mark.parametrize("slope, function", SLOPES)
@given(z=ARRAYS)
def test_slopes_are_those_of_pytorch(slope, function, z):
    tensor = torch.tensor(z, requires_grad=True)
    function(tensor).sum().backward()
    result = slope(z)
    assert tensor.grad is not None
    np.testing.assert_allclose(result, tensor.grad.numpy(), rtol=1e-10, atol=1e-15)
    assert result.dtype == np.float64 and result.shape == z.shape


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 2)])
def test_the_numerical_gradient_of_a_cube(shape):
    x = np.random.default_rng(0).normal(size=shape)
    before = x.copy()
    # (x + e)³ − (x − e)³ over 2e is 3x² + e², exactly.
    found = numerical_gradient(lambda v: float((v**3).sum()), x, eps=0.5)
    np.testing.assert_allclose(found, 3 * x**2 + 0.25, rtol=1e-12)
    assert np.array_equal(x, before)


def test_a_step_makes_new_arrays():
    params, grads = [np.ones(2), np.zeros((2, 2))], [np.full(2, 4.0), np.ones((2, 2))]
    new = sgd_step(params, grads, 0.25)
    assert [array.tolist() for array in new] == [[0.0, 0.0], [[-0.25, -0.25], [-0.25, -0.25]]]
    assert params[0].tolist() == [1.0, 1.0]
