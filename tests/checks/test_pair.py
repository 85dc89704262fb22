"""A forward and a backward function with a cache of the student's own between them."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from autograder import mistakes
from autograder.checks import Check
from autograder.checks.compare import compare


def layer(X, W):
    return np.tanh(X @ W.T), {"X": X, "W": W}


def layer_backward(dY, cache):
    X, W = cache["X"], cache["W"]
    dZ = dY * (1 - np.tanh(X @ W.T) ** 2)
    return dZ.T @ X, dZ @ W


RIGHT = (layer, layer_backward)


@pytest.fixture(autouse=True)
def bank():
    mistakes.right_pair(*RIGHT)

    @mistakes.mistake("layer", "no-slope", "The slope is absent.")
    def layer_backward(dY, cache):
        return dY.T @ cache["X"], dY @ cache["W"]

    @mistakes.mistake("layer", "sine", "This is no tanh.")
    def layer(X, W):
        return np.sin(X @ W.T), {"X": X, "W": W}

    yield
    mistakes._bank.pop("layer")
    mistakes._pairs.pop("layer")


def graded(capsys, forward, backward):
    globals()["layer"], globals()["layer_backward"] = forward, backward
    rng = np.random.default_rng(0)

    def pytorch(X, W, dY):
        Y = torch.tanh(X @ W.T)
        return Y, *torch.autograd.grad(Y, (W, X), grad_outputs=dY)

    check = Check("layer", pytorch, backward="layer_backward", returns={"Y": 1, "dW": 1, "dX": 1})
    for n in (2, 3):
        sizes = {"X": (4, 3), "W": (n, 3), "dY": (4, n)}
        check.case(f"{n} outputs", **{k: rng.normal(size=size) for k, size in sizes.items()})
    points = check.grade()
    globals()["layer"], globals()["layer_backward"] = RIGHT
    return points, capsys.readouterr().out, check


def test_of_the_order_only_what_the_second_function_returns_is_named(capsys):
    def backward(dY, cache):
        return RIGHT[1](dY, cache)[::-1]

    _, text, check = graded(capsys, layer, backward)
    assert check.diagnosis.id == "general/other-order"
    assert check.diagnosis.sentence.endswith("Return dW, dX.")


def test_the_right_pair_gets_all_points(capsys):
    assert graded(capsys, *RIGHT)[0] == 3


def test_any_cache_will_do(capsys):
    class Kept:
        pass

    def forward(X, W):
        kept = Kept()
        kept.values = (X, W)
        return RIGHT[0](X, W)[0], kept

    def backward(dY, cache):
        return RIGHT[1](dY, dict(zip("XW", cache.values, strict=True)))

    assert graded(capsys, forward, backward)[0] == 3


@pytest.mark.parametrize("keep", ["namespace", "data class", "module", "generator"])
def test_a_cache_may_be_or_hold_what_cannot_be_copied_or_compared(keep, capsys):
    @dataclass
    class Kept:
        X: np.ndarray
        W: np.ndarray

    def forward(X, W):
        made = {
            "namespace": SimpleNamespace(X=X, W=W),
            "data class": Kept(X, W),
            "module": {"X": X, "W": W, "np": np},
            "generator": [X, W, (value for value in (X, W))],
        }
        return RIGHT[0](X, W)[0], made[keep]

    def backward(dY, cache):
        if isinstance(cache, list):
            cache = {"X": cache[0], "W": cache[1]}
        kept = cache if isinstance(cache, dict) else vars(cache)
        return RIGHT[1](dY, kept)

    def spoiling(dY, cache):
        result = backward(dY, cache)
        kept = cache if isinstance(cache, (dict, list)) else vars(cache)
        kept[0 if isinstance(cache, list) else "X"] *= 2
        return result

    assert graded(capsys, forward, backward)[0] == 3
    assert graded(capsys, forward, spoiling)[0] == 1.5


def test_a_forward_function_counts_before_the_backward_one_is_written(capsys):
    def layer_backward(dY, cache):
        raise NotImplementedError

    points, text, _ = graded(capsys, layer, layer_backward)
    assert points == 1
    assert text.startswith("layer_backward is not written yet: it raises NotImplementedError.")
    points, text, _ = graded(capsys, layer_backward, layer_backward)
    assert (points, text.splitlines()[0]) == (
        0,
        "layer is not written yet: it raises NotImplementedError.",
    )


@pytest.mark.parametrize(
    ("forward", "backward", "points", "sentence"),
    [
        (lambda X, W: X, layer_backward, 0, "returned one value (ndarray), expected 2 values: Y"),
        (layer, lambda dY, cache: None, 1, "returned None, expected 2 values: dW, dX."),
        (layer, None, 0, "layer_backward is not defined"),
        (layer, lambda dY, cache: 1 / 0, 1, "raised ZeroDivisionError: division by zero."),
    ],
)
def test_the_report_speaks_of_the_function_that_failed(forward, backward, points, sentence, capsys):
    earned, text, _ = graded(capsys, forward, backward)
    assert earned == points
    assert sentence in text.splitlines()[0]


def test_a_changed_cache_is_a_changed_input(capsys):
    def backward(dY, cache):
        result = RIGHT[1](dY, cache)
        cache["X"] *= 2
        return result

    points, text, _ = graded(capsys, layer, backward)
    assert points == 1.5
    assert "backward changes its input cache; the numbers are right." in text


def test_a_mistake_is_tried_with_the_right_partner(capsys):
    records = mistakes.mistakes_of("layer")
    for record in records:
        points, _, check = graded(capsys, *record.functions())
        assert check.diagnosis and check.diagnosis.id == record.diagnosis
        assert points < 3
    assert "def layer(X, W):\n    return np.tanh" in records[0].source()
    assert "def layer(X, W):\n    return np.sin" in records[1].source()
    assert all("def layer_backward(dY, cache):" in record.source() for record in records)


def test_a_list_of_layers_is_compared_from_the_last_one():
    expected = [np.zeros(2), np.zeros(2)]
    got = [np.ones(2), np.ones(2)]
    first, last = (compare("dW", expected, got, last_first=flag) for flag in (False, True))
    assert first and first.path == "dW[0]"
    assert last and last.path == "dW[1]"
