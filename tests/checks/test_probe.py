"""Answers that are objects: probes without torch, further objects, properties one by one."""

import numpy as np
import pytest
import torch

import autograder.mistakes as bank
from autograder.checks import Check
from autograder.checks.calling import call, mentions_torch, names_in
from autograder.mistakes import Mistake


def numpy_probe(Box, x):
    return np.array(opened(Box, x))


def opened(Box, x):
    return Box(x).value


def torch_probe(Box, x):
    return as_array(Box(x).value)


def as_array(value):
    return torch.as_tensor(value).numpy()


class Box:
    def __init__(self, x):
        self.value = 2 * x


class TorchBox:
    def __init__(self, x):
        self.value = (2 * torch.tensor(x)).numpy()


def test_a_probe_mentions_torch_by_itself_or_by_a_helper():
    assert mentions_torch(torch_probe) and mentions_torch(as_array)
    assert not mentions_torch(numpy_probe) and not mentions_torch(None)


def test_torch_is_forbidden_unless_the_probe_mentions_it():
    x = {"x": np.array([1.0, -2.0])}
    assert call(Box, x, ("y",), probe=numpy_probe).error is None
    assert "calls torch" in str(call(TorchBox, x, ("y",), probe=numpy_probe).error)
    assert call(TorchBox, x, ("y",), probe=torch_probe).error is None


def test_the_names_of_a_class_are_those_of_its_methods_and_properties():
    class Uses:
        def method(self):
            return [numpy_probe(i, i) for i in range(3)]

        @property
        def size(self):
            return torch_probe

    assert {"numpy_probe", "torch_probe"} <= names_in(Uses)


def test_a_probe_gets_the_objects_that_the_check_uses(capsys):
    globals()["Opener"] = lambda box: box.value
    globals()["Container"] = Box

    def probe(Opener, Container, x):
        return Opener(Container(x))

    check = Check("Opener", lambda x: 2 * x, returns={"y": 1}, probe=probe, uses=["Container"])
    check.case("a vector", x=np.array([1.0, -2.0]))
    assert check.grade() == 1.0
    globals()["Container"] = None
    check = Check("Opener", lambda x: 2 * x, returns={"y": 1}, probe=probe, uses=["Container"])
    check.case("a vector", x=np.array([1.0, -2.0]))
    assert check.grade() == 0.0
    assert "Opener is checked with Container, which is not defined yet." in capsys.readouterr().out


class Sums:
    def plus(self, x):
        return x + 1

    def minus(self, x):
        return x - 1

    def times(self, x):
        return x * 3


class WrongMinus(Sums):
    def minus(self, x):
        return x + 1 - 2 * x


class WrongMinusNoTimes(WrongMinus):
    def times(self, x):
        raise NotImplementedError


def graded(made, monkeypatch, capsys):
    globals()["Arithmetic"] = made
    record = Mistake("Arithmetic", "turned", "Turned around.", WrongMinus)
    monkeypatch.setattr(bank, "_bank", {"Arithmetic": [record]})
    monkeypatch.setattr(bank, "_loaded", True)

    def probe(Arithmetic, name, x):
        return getattr(Arithmetic(), name)(x)

    def pytorch(name, x):
        return {"plus": x + 1, "minus": x - 1, "times": x * 3}[name]

    check = Check(
        "Arithmetic", pytorch, returns={"y": 1}, aspects={"minus": 1, "times": 2}, probe=probe
    )
    x = np.array([1.5, -2.0, 0.25])
    check.case("plus", name="plus", x=x)
    check.case("times", name="times", x=x, aspect="times")
    check.case("minus", name="minus", x=x, aspect="minus")
    points = check.grade()
    return points, check.diagnosis, capsys.readouterr().out


@pytest.mark.parametrize(("made", "points"), [(WrongMinus, 3.0), (WrongMinusNoTimes, 1.0)])
def test_one_property_is_named_whatever_else_is_missing(made, points, monkeypatch, capsys):
    earned, diagnosis, out = graded(made, monkeypatch, capsys)
    assert earned == points
    assert diagnosis is not None and diagnosis.id == "Arithmetic/turned"
    # The first wrong property in the order of the points, not of the cases.
    assert "Case: minus." in out


def test_a_method_that_is_not_written_is_named(monkeypatch, capsys):
    class NoTimes(Sums):
        def times(self, x):
            raise NotImplementedError

    earned, _, out = graded(NoTimes, monkeypatch, capsys)
    assert earned == 2.0
    assert "Arithmetic.times is not written yet." in out


def test_a_recursion_that_is_too_deep_is_a_proof(monkeypatch, capsys):
    def count(n):
        return 1.0 + count(n - 1) if n else 0.0

    def count_too(n):
        return count_too(n - 1) + 1.0 if n else 0.0

    globals()["count"] = count
    record = Mistake("count", "calls-itself", "It calls itself.", count_too)
    monkeypatch.setattr(bank, "_bank", {"count": [record]})
    monkeypatch.setattr(bank, "_loaded", True)
    check = Check("count", float, returns={"n": 1}, aspects={"deep": 1})
    check.case("few", n=3)
    check.case("many", n=20_000, aspect="deep")
    assert check.grade() == 1.0
    assert check.diagnosis is not None and check.diagnosis.id == "count/calls-itself"
    capsys.readouterr()


def test_a_long_input_is_cut_in_the_report(capsys):
    globals()["length"] = lambda names: 0
    check = Check("length", lambda names: len(names), returns={"n": 1})
    check.case("many names", names=[f"name {i}" for i in range(500)])
    check.grade()
    assert max(map(len, capsys.readouterr().out.splitlines())) < 300
