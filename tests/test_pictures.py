"""The guard in front of a picture: one sentence instead of a traceback."""

import threading

import matplotlib.pyplot as plt
import numpy as np
import pytest

from autograder import pictures
from autograder.pictures import written
from autograder.provided.forward_pass import softmax


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
        (
            lambda z: (z, {"a0": z, "z1": 1.0}),
            {"values": 2, "cache_keys": ["a0", "z1"]},
            "The cache that <lambda> returns has no array 'z1'; this cell needs it.",
        ),
        (
            lambda z: ([z, 1.0], z),
            {"shapes": [(2,), (2, 3)]},
            "<lambda> returns the shapes of a ragged list, (2, 3); this cell needs (2,), (2, 3).",
        ),
        (lambda z: (z, z), {"values": 2, "cache_keys": ["a0"]}, "The cache that <lambda> returns"),
        (flat, {"shapes": [(2, 3)]}, "flat does not return 1 values"),
        (
            lambda z: (z, z.T),
            {"shapes": [(2, 3), (2, 3)]},
            "<lambda> returns the shapes (2, 3), (3, 2); this cell needs (2, 3), (2, 3).",
        ),
        (flat, {"layers": [3, 2]}, "flat returns no list of pairs; this cell needs one."),
        (
            lambda z: [(z, z[:, 0])],
            {"layers": [3, 2, 1]},
            "<lambda> returns a list of 1; this cell needs a pair for each of 2 layers.",
        ),
        (
            lambda z: (1.0, [(z, z[:, :1])]),
            {"layers": [3, 2], "values": 2},
            "<lambda> returns for layer 1 the shapes (2, 3) and (2, 1); "
            "this cell needs (2, 3) and (2,).",
        ),
        (
            lambda z: ([1.0], [(z, z[:, 0])]),
            {"layers": [3, 2], "values": 2},
            "<lambda> returns for layer 1 no pair; this cell needs two arrays.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_sentence(function, expected, sentence, capsys):
    assert not written(function, np.zeros((2, 3)), **expected)
    out = capsys.readouterr().out
    assert out.startswith(sentence) and out.count("\n") == 1


def test_what_can_be_drawn_is_not_changed(capsys):
    z = np.zeros((2, 3))
    assert written(changing, z, shape=(2, 3))
    assert written(lambda z: (z.T, 1.0), z, shapes=[(3, 2), ()])
    assert written(lambda z: (z, {"a0": z}), z, values=2, cache_keys=["a0"])
    assert written(lambda z: [(z, z[:, 0]), (z[:1, :2], z[0, :1])], z, layers=[3, 2, 1])
    assert written(lambda z: (0.5, [(z, z[:, 0])]), z, values=2, layers=[3, 2])
    assert not z.any() and capsys.readouterr().out == ""


def test_what_is_too_large_or_no_number_stands_at_the_limit():
    values = [0.5, 20.5, np.inf, -np.inf, np.nan, np.float64(3.0)]
    assert pictures.at_most(20, values) == [0.5, 20, 20, 20, 20, 3.0]


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


def test_no_arrow_of_a_graph_runs_over_a_place_that_it_does_not_join(drawn, monkeypatch):
    """Also a wrong one, such as from the bias to the penalty, which would touch phi and W2."""
    drawn_arrows = []

    def note(self, text, xy, xytext, arrowprops, **options):
        drawn_arrows.append((xytext, xy, float(arrowprops["connectionstyle"].split("rad=")[1])))

    monkeypatch.setattr(plt.Axes, "annotate", note)
    pictures.draw_graph({("b", "s"), ("b", "z"), ("x", "o"), ("W1", "J"), ("z", "x")}, "wrong")
    assert len(drawn_arrows) == 5 + 4
    for start, end, rad in drawn_arrows:
        assert pictures._crossed(start, end, rad) == 0, (start, end)
    assert pictures._crossed(pictures.PLACES["b"], pictures.OPERATIONS["s"][1], 0.0) > 0


class Node:
    def __init__(self, *parents):
        self.parents = parents


def label(node):
    return "box"


def test_a_graph_of_nodes_is_drawn_with_a_box_for_each_and_every_arrow_to_the_right(monkeypatch):
    drawn = []
    monkeypatch.setattr(plt, "show", lambda: drawn.append(plt.gcf()))
    x, w = Node(), Node()
    z = Node(x, w)
    last = Node(Node(z), x, z, z)
    pictures.draw_nodes(last, label, "a graph")
    (axes,) = drawn[0].axes
    assert sum(text.get_text() == "box" for text in axes.texts) == 5
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None) is not None]
    assert len(arrows) == 6
    for line in axes.lines:
        across = line.get_xdata()
        assert all(a < b for a, b in zip(across, across[1:], strict=False))
    plt.close("all")


def ring():
    one = Node()
    one.parents = (Node(one),)
    return one


def chain(length):
    node = Node()
    for _ in range(length):
        node = Node(node)
    return node


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (3, "cannot be drawn"),
        (Node("no node"), "cannot be drawn"),
        (ring(), "behind itself"),
        (chain(5000), "too many"),
    ],
)
def test_what_is_no_graph_is_said_in_one_sentence(last, sentence, capsys):
    plt.close("all")
    pictures.draw_nodes(last, label, "a graph")
    out = capsys.readouterr().out
    assert sentence in out and len(out.splitlines()) == 1
    assert not plt.get_fignums()


def test_attempt_returns_the_answer_or_names_what_is_missing(capsys):
    class Tool:
        def __init__(self):
            raise NotImplementedError

    assert pictures.attempt(lambda: 3) == 3
    assert capsys.readouterr().out == ""
    assert pictures.attempt(Tool) is None
    assert "Write Tool.__init__ first" in capsys.readouterr().out


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


@pytest.mark.parametrize(("T", "d", "n_heads"), [(5, 6, 3), (7, 4, 1), (1, 4, 2), (3, 8, 8)])
def test_the_weights_of_attention_are_read_from_its_output(T, d, n_heads):
    rng = np.random.default_rng(3)
    x, W_qkv = rng.normal(size=(T, d)), rng.normal(size=(3 * d, d))
    seen = []

    def attention_forward(x, W_qkv, W_out, n_heads):
        B, T, d = x.shape
        parts = (x @ W_qkv.T).reshape(B, T, 3, n_heads, d // n_heads)
        q, k, v = parts.transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(d // n_heads)
        probs = softmax(np.where(np.tri(T, dtype=bool), scores, -np.inf))
        seen.append(probs[0])
        return (probs @ v).transpose(0, 2, 1, 3).reshape(x.shape) @ W_out.T, None

    found = pictures.attention_weights(attention_forward, x, W_qkv, n_heads)
    attention_forward(x[None], W_qkv, np.eye(d), n_heads)
    assert found.shape == (n_heads, T, T)
    np.testing.assert_allclose(found, seen[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found, seen[1], rtol=1e-9, atol=1e-12)
