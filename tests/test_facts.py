"""The numbers of docs/coverage.md, in the table of what the course teaches otherwise."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn


@pytest.fixture(autouse=True)
def float64_and_a_seed():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gradient(function, x):
    """The gradient of the sum of ``function(x)`` at ``x``."""
    x = x.clone().requires_grad_()
    (result,) = torch.autograd.grad(function(x).sum(), x)
    return result


def saved(function, x):
    """What PyTorch keeps of one operation for its backward pass, and the result."""
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = function(x)
    return kept, result


def test_the_worked_network():
    W1 = np.array([[0.2, -0.3], [0.4, 0.1], [-0.5, 0.6]])
    a1 = np.maximum(W1 @ [0.5, 0.8] + [0.1, -0.2, 0.0], 0.0)
    z2 = np.array([0.7, -0.4, 0.3]) @ a1 - 0.1
    assert np.round(z2, 6) == -0.063
    assert np.round(1 / (1 + np.exp(-z2)), 4) == 0.4843


def test_a_residual_gradient_is_the_sum_of_both_paths():
    layer, x = nn.Linear(4, 4), torch.randn(4)

    def branch(x):
        return torch.tanh(layer(x))

    total = gradient(lambda x: x + branch(x), x)
    torch.testing.assert_close(total, torch.ones(4) + gradient(branch, x))
    assert (total - 1).abs().max() > 0.01
    # Branches of fixed numbers pass nothing back, and ones flow all the way.
    fixed = gradient(lambda x: x + torch.tensor([0.5, 0.3]), torch.tensor([1.0, 2.0]))
    assert fixed.tolist() == [1, 1]


def test_a_residual_gradient_can_cancel_and_can_grow():
    assert gradient(lambda x: x + -x, torch.randn(3)).tolist() == [0, 0, 0]
    layers = [torch.randn(16, 16) / 4 for _ in range(100)]

    def norm(residual):
        def run(x):
            for W in layers:
                x = residual * x + torch.tanh(W @ x)
            return x

        return gradient(run, torch.randn(16)).norm()

    assert norm(residual=1) > 100 * norm(residual=0) > 0


def test_gradients_exist_without_a_residual_connection():
    layer = nn.Linear(3, 3)
    F.relu(layer(torch.randn(5, 3))).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().max() > 0


def test_the_sum_behind_a_layer_normalization_has_no_gradient():
    x = torch.randn(2, 10, 8)
    assert gradient(nn.LayerNorm(8), x).abs().max() < 1e-12
    weighted = torch.randn(2, 10, 8)
    assert gradient(lambda x: weighted * nn.LayerNorm(8)(x), x).abs().max() > 0.1


def test_the_jacobian_of_softmax():
    z = torch.randn(5, dtype=torch.float64)
    p = torch.softmax(z, dim=0)
    found = torch.autograd.functional.jacobian(lambda z: torch.softmax(z, dim=0), z)
    assert torch.allclose(found, p[:, None] * (torch.eye(5) - p[None, :]))


def test_the_jacobian_of_layer_normalization():
    x, d, eps = torch.randn(6, dtype=torch.float64), 6, 0.1
    found = torch.autograd.functional.jacobian(lambda x: F.layer_norm(x, (d,), eps=eps), x)
    hat, s = F.layer_norm(x, (d,), eps=eps), (x.var(correction=0) + eps).sqrt()
    assert torch.allclose(found, (torch.eye(d) - 1 / d - hat[:, None] * hat / d) / s)


def test_the_root_brings_the_variance_of_scores_back_to_one():
    q, k = torch.randn(2, 100_000, 16, generator=torch.manual_seed(0))
    assert 0.97 < ((q * k).sum(dim=1) / 16**0.5).var() < 1.03


def test_what_training_keeps_follows_depth_and_batch():
    def cached(sizes):
        return sizes[0] + 2 * sum(sizes[1:])

    assert cached([64] * 3) / 64 == 5 and cached([64] * 101) / 64 == 201
    sizes = [784, 256, 128, 10]
    parameters = sum(
        p.numel() for p in nn.Sequential(*map(nn.Linear, sizes, sizes[1:])).parameters()
    )
    assert 149 * cached(sizes) < parameters < 150 * cached(sizes)
    # One hidden layer, one sample: weights, their gradients and four vectors, against the weights
    # and the widest vector.
    weights = 784 * 128 + 128 * 10
    assert 1.95 < (2 * weights + 784 + 2 * 128 + 10) / (weights + 784) < 2.05


@pytest.mark.parametrize(
    ("function", "kept_value"),
    [
        (torch.relu, "result"),
        (torch.sigmoid, "result"),
        (torch.tanh, "result"),
        (F.gelu, "input"),
        (lambda z: z + z, None),
    ],
)
def test_pytorch_keeps_what_a_slope_needs(function, kept_value):
    z = torch.randn(5, requires_grad=True) * 2
    kept, result = saved(function, z)
    expected = {"result": [result], "input": [z], None: []}[kept_value]
    assert len(kept) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(kept, expected, strict=True))


def test_log1p_keeps_what_log_loses():
    assert np.log(1 + np.exp(-37.0)) == 0 < np.log1p(np.exp(-37.0))


def test_bce_of_a_sigmoid_is_finite_and_wrong():
    logits, targets = torch.tensor([150.0]), torch.tensor([0.0])
    assert nn.BCEWithLogitsLoss()(logits, targets) == 150
    assert nn.BCELoss()(torch.sigmoid(logits), targets) == 100


def test_sorting_the_keys_of_a_cache_loses_the_order():
    keys = ["a0"] + [f"{letter}{layer}" for layer in range(1, 11) for letter in "za"]
    assert sorted(keys)[:3] == ["a0", "a1", "a10"]
