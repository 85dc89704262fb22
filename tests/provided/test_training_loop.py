"""What later notebooks get from notebook 06 agrees with PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autograder.provided.training_loop import adam_update, init_params, minibatches, sgd_update


def layers(rng, *sizes):
    pairs = zip(sizes, sizes[1:], strict=False)
    return [(rng.normal(size=(m, n)), rng.normal(size=m)) for n, m in pairs]


def test_he_initialization_has_the_spread_that_pytorch_calls_for():
    gain = torch.nn.init.calculate_gain("relu")
    for n_in, (W, b) in zip(
        [400, 300], init_params([400, 300, 200], np.random.default_rng(1)), strict=True
    ):
        assert W.shape[1] == n_in and b.shape == (len(W),) and not b.any()
        assert abs(W.mean()) < 0.02 * gain / np.sqrt(n_in)
        assert W.std() == pytest.approx(gain / np.sqrt(n_in), rel=0.02)


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 10))
def test_an_epoch_has_every_sample_once(n, batch_size, seed):
    X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n)
    batches = list(minibatches(X, y, batch_size, np.random.default_rng(seed)))
    assert sorted(i for _, labels in batches for i in labels) == list(range(n))
    assert all(np.array_equal(rows, X[labels]) for rows, labels in batches)
    assert [len(labels) for _, labels in batches[:-1]] == [batch_size] * (len(batches) - 1)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_twenty_steps_are_those_of_torch_optim(name):
    rng = np.random.default_rng(2)
    params, state = layers(rng, 3, 4, 2), {}
    tensors = [torch.tensor(value, requires_grad=True) for pair in params for value in pair]
    optimizer = {
        "sgd": lambda: torch.optim.SGD(tensors, lr=0.1),
        "adam": lambda: torch.optim.Adam(tensors, lr=0.1, betas=(0.8, 0.95), eps=1e-3),
    }[name]()
    for _ in range(20):
        grads = layers(rng, 3, 4, 2)
        for tensor, slope in zip(tensors, [g for pair in grads for g in pair], strict=True):
            tensor.grad = torch.tensor(slope)
        optimizer.step()
        if name == "sgd":
            params = sgd_update(params, grads, 0.1)
        else:
            params, state = adam_update(params, grads, state, 0.1, 0.8, 0.95, 1e-3)
    for ours, theirs in zip([v for pair in params for v in pair], tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
