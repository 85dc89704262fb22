"""What later notebooks get from notebook 03 agrees with PyTorch."""

import numpy as np
import pytest
import torch

from autograder.provided.two_layer_ffn import (
    ffn_backward_batch,
    ffn_forward_batch,
    gelu,
    gelu_grad,
)


def test_gelu_and_its_slope_are_those_of_pytorch():
    z = np.concatenate([np.linspace(-8, 8, 81), [-1000.0, 1000.0]])
    tensor = torch.tensor(z, requires_grad=True)
    value = torch.nn.functional.gelu(tensor, approximate="tanh")
    value.sum().backward()
    assert tensor.grad is not None
    np.testing.assert_allclose(gelu(z), value.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gelu_grad(z), tensor.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3), (1, 1, 3)])
def test_the_block_is_that_of_pytorch_at_any_rank(shape):
    rng = np.random.default_rng(1)
    X, dY = rng.normal(size=(2, *shape))
    weights = [rng.normal(size=size) for size in [(7, 3), (7,), (3, 7), (3,)]]
    tensors = [torch.tensor(array, requires_grad=True) for array in [*weights, X]]
    W1, b1, W2, b2, x = tensors
    linear = torch.nn.functional.linear
    y = linear(torch.nn.functional.gelu(linear(x, W1, b1), approximate="tanh"), W2, b2)
    wanted = torch.autograd.grad(y, tensors, grad_outputs=torch.tensor(dY))

    Y, cache = ffn_forward_batch(X, *weights)
    np.testing.assert_allclose(Y, y.detach().numpy(), rtol=1e-12)
    for ours, theirs in zip(ffn_backward_batch(dY, cache), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-11, atol=1e-14)
