"""What later notebooks get from notebook 01 agrees with PyTorch."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograder.provided.forward_pass import (
    forward_pass_manual,
    log_softmax,
    relu,
    sigmoid,
    softmax,
)

PAIRS = [(relu, torch.relu), (sigmoid, torch.sigmoid)]
ARRAYS = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-1000, 1000))


@pytest.mark.parametrize("ours, theirs", PAIRS)
@given(z=ARRAYS)
def test_same_as_pytorch_and_silent(ours, theirs, z):
    before = z.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = ours(z)
    np.testing.assert_allclose(result, theirs(torch.tensor(z)).numpy(), rtol=1e-12, atol=1e-300)
    assert result.dtype == np.float64
    assert not np.shares_memory(result, z) and np.array_equal(z, before)


@pytest.mark.parametrize("ours, theirs", PAIRS)
def test_a_single_number_will_do(ours, theirs):
    assert float(ours(0.3)) == pytest.approx(theirs(torch.tensor(0.3, dtype=torch.float64)).item())


@pytest.mark.parametrize("sizes", [(3, 1), (2, 5, 4), (4, 3, 6, 2)])
def test_the_network_is_that_of_pytorch_and_the_cache_has_every_value(sizes):
    rng = np.random.default_rng(2)
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    weights = [rng.normal(size=(n_out, n_in)) for n_in, n_out in pairs]
    biases = [rng.normal(size=n_out) for _, n_out in pairs]
    x = rng.normal(size=(5, sizes[0]))
    output, cache = forward_pass_manual(x, weights, biases)

    a = torch.tensor(x)
    for layer, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = torch.nn.functional.linear(a, torch.tensor(W), torch.tensor(b))
        a = torch.sigmoid(z) if layer == len(weights) else torch.relu(z)
        np.testing.assert_allclose(cache[f"z{layer}"], z.numpy(), rtol=1e-12)
        np.testing.assert_allclose(cache[f"a{layer}"], a.numpy(), rtol=1e-12)
    assert output is cache[f"a{len(weights)}"] and cache["a0"] is x
    assert len(cache) == 1 + 2 * len(weights)


@given(z=ARRAYS)
def test_log_softmax_is_that_of_pytorch_and_silent(z):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for axis in (-1, 0):
            wanted = torch.log_softmax(torch.tensor(z), dim=axis).numpy()
            np.testing.assert_allclose(log_softmax(z, axis), wanted, rtol=1e-12, atol=1e-12)


@given(
    z=hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=2, max_dims=3), elements=st.floats(-1000, 1000)
    )
)
@pytest.mark.parametrize("axis", [0, -1])
def test_softmax_is_that_of_pytorch_and_silent(axis, z):
    before = z.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = softmax(z, axis)
    theirs = torch.softmax(torch.tensor(z), dim=axis).numpy()
    np.testing.assert_allclose(result, theirs, rtol=1e-10, atol=1e-300)
    assert not np.shares_memory(result, z) and np.array_equal(z, before)


def test_a_forbidden_score_has_no_probability():
    assert np.array_equal(softmax([[2.0, -np.inf, -np.inf]]), [[1.0, 0.0, 0.0]])
