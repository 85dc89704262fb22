"""What later notebooks get from notebook 01 agrees with PyTorch."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograder.provided.forward_pass import relu, sigmoid

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
