"""Functions that are carried as code do what they did; the others are not carried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograder.grading.isolated.carried import DEEPEST, pack, unpack
from autograder.grading.isolated.wire import decode, encode

SCALE = 2.5
WEIGHTS = np.array([1.0, -2.0, 0.5])
SEEN: list[Any] = []


def helper(x: Any) -> Any:
    return SCALE * x


def nested(x: Any, power: int = 3) -> Any:
    return helper(sum(entry**power for entry in x))


def closed_over(bias: float) -> Callable[[Any], Any]:
    return lambda x: np.maximum(WEIGHTS * x + bias, 0).sum()


def maker(scale: float) -> Callable[[Any], Any]:
    return lambda x: scale * x.sum()


def endless(x: Any) -> Any:
    return endless(x)


def writes_down(x: Any) -> Any:
    SEEN.append(x)
    return x


def keyword_only(x: Any, *, power: int = 2) -> Any:
    return x**power


def carried(function: Any) -> Any:
    """Through the wire, as between two processes."""
    parts = pack(function)
    assert parts is not None
    return unpack(decode(encode(parts)))


@pytest.mark.parametrize(
    "function",
    [helper, nested, closed_over(0.75), lambda x: float(np.sum(np.sin(x) * np.exp(x[::-1])))],
)
def test_a_carried_function_gives_the_same(function: Callable[[Any], Any]) -> None:
    x = np.array([0.5, -1.5, 2.0])
    np.testing.assert_array_equal(carried(function)(x), function(x))


def test_a_function_that_makes_functions() -> None:
    assert carried(maker)(3.0)(np.ones(2)) == 6.0


def test_an_error_stays_an_error() -> None:
    with pytest.raises(IndexError):
        carried(lambda x: x[99])(np.ones(2))


@pytest.mark.parametrize(
    "function", [writes_down, endless, keyword_only, print, np.tanh, SEEN.append, 3, type]
)
def test_what_does_not_stand_on_its_own_is_not_carried(function: Any) -> None:
    assert pack(function) is None


def test_functions_within_functions_are_carried_so_deep() -> None:
    def wrap(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: inner(x) + 1

    function = helper
    for _ in range(DEEPEST - 1):
        function = wrap(function)
    assert carried(function)(2.0) == 5.0 + DEEPEST - 1
    for _ in range(3):
        function = wrap(function)
    assert pack(function) is None
