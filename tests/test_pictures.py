"""The guard in front of a picture: one sentence instead of a traceback."""

import threading

import matplotlib.pyplot as plt
import numpy as np
import pytest

from autograder import pictures
from autograder.pictures import written


def unwritten(z):
    raise NotImplementedError


def broken(z):
    return z + "1"


def nothing(z):
    return None


def calling_an_unwritten_one(z):
    return unwritten(z) + 1


def with_an_unwritten_argument(z):
    return (lambda value: unwritten(value))(z)


def raising_in_a_lambda(z):
    return (lambda: (_ for _ in ()).throw(NotImplementedError()))()


def flat(z):
    return z.ravel()


def changing(z):
    z += 1.0
    return z


def yielding_what_is_not_written(z):
    yield z
    yield unwritten(z)


def endless(z):
    while True:
        yield z


def talkative(z):
    print("talk")
    return z


@pytest.mark.parametrize(
    "function, expected, sentence",
    [
        (unwritten, {}, "Write unwritten first"),
        (yielding_what_is_not_written, {}, "Write unwritten first"),
        (calling_an_unwritten_one, {}, "Write unwritten first"),
        (with_an_unwritten_argument, {}, "Write unwritten first"),
        (raising_in_a_lambda, {}, "Write raising_in_a_lambda first"),
        (broken, {}, "broken raises"),
        (nothing, {}, "nothing returns None"),
        (flat, {"shape": (2, 3)}, "flat returns shape (6,)"),
        (flat, {"values": 2}, "flat does not return 2 values"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_sentence(function, expected, sentence, capsys):
    assert not written(function, np.zeros((2, 3)), **expected)
    out = capsys.readouterr().out
    assert out.startswith(sentence) and out.count("\n") == 1


def test_what_can_be_drawn_is_not_changed(capsys):
    z = np.zeros((2, 3))
    assert written(changing, z, shape=(2, 3))
    assert not z.any() and capsys.readouterr().out == ""


CHAIN = {("x", "z"), ("W1", "z"), ("z", "h")}


@pytest.fixture
def drawn(monkeypatch):
    """The texts in the figures that are shown."""
    texts = []

    def show():
        texts.extend(text.get_text() for text in plt.gca().texts if text.get_text())
        plt.close("all")

    monkeypatch.setattr(plt, "show", show)
    return texts


def test_a_graph_has_its_variables_and_the_operations_that_its_pairs_need(drawn, capsys):
    pictures.draw_graph(CHAIN, "a graph")
    assert {"$x$", "$W_1$", "$z$", r"$\times$", r"$\varphi$"} <= set(drawn)
    assert "loss" not in drawn and "$b$" not in drawn and capsys.readouterr().out == ""
    pictures.draw_graph([["b", "z"]], "a graph")
    assert "$b$" in drawn and r"$\times,+$" in drawn


def test_a_wrong_graph_is_drawn_too(drawn, capsys):
    pictures.draw_graph({("h", "W1"), ("J", "x")}, "arrows to what nothing makes")
    assert "$x$" in drawn and capsys.readouterr().out == ""


@pytest.mark.parametrize("entry", ["xz", 3, ("x",), ("x", "x"), ("x", "q"), ("x", "z", "h"), {}])
def test_entries_that_are_no_pairs_are_left_out_and_named(entry, drawn, capsys):
    pictures.draw_graph([*CHAIN, entry], "a graph")
    assert "$z$" in drawn and repr(entry) in capsys.readouterr().out


@pytest.mark.parametrize("edges", [None, 3, "xz", {"x": "z"}])
def test_what_is_no_set_is_said_in_one_sentence(edges, drawn, capsys):
    pictures.draw_graph(edges, "a graph")
    assert not drawn and capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("function", [endless, talkative])
def test_a_trial_ends_and_prints_nothing(function, capsys):
    assert written(function, np.zeros(2))
    assert capsys.readouterr().out == ""


def test_progress_gives_every_step_and_shows_them_on_standard_output(capsys):
    assert list(pictures.progress("abc", "letters")) == ["a", "b", "c"]
    shown = capsys.readouterr()
    assert "letters" in shown.out and "3/3" in shown.out and shown.err == ""


def test_progress_starts_no_thread():
    before = threading.active_count()
    for _ in pictures.progress(range(3)):
        assert threading.active_count() == before


def test_without_output_drops_what_is_printed(capsys):
    with pictures.without_output():
        print("dropped")
        list(pictures.progress(range(2)))
    assert capsys.readouterr().out == ""
