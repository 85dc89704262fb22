"""optimizer_steps: an optimizer followed along many steps, and what it does to its inputs."""

import copy

import numpy as np
import pytest

from autograder.checks import Check, optimizer_steps, pairs_in, two_values
from autograder.checks.calling import Misfit, describe

PARAMS = [(np.ones((2, 3)), np.zeros(2))]
GRADIENTS = [[(np.full((2, 3), k), np.full(2, k))] for k in (1.0, 2.0, 4.0)]


def heavy_ball(params, grads, state):
    speed = state.get("speed", 0.0) + grads[0][0]
    (W, b), (_, db) = params[0], grads[0]
    return [(W - speed, b - db)], {"speed": speed}


def test_the_state_goes_from_step_to_step():
    after, state = optimizer_steps(heavy_ball, PARAMS, GRADIENTS, {})
    assert [step[0][0][0, 0] for step in after] == [0.0, -3.0, -10.0]
    assert state["speed"][0, 0] == 7.0


def test_what_is_given_is_handed_on_itself_so_that_a_change_shows():
    params, state = copy.deepcopy(PARAMS), {}

    def careless(params, grads, state):
        params[0][0][:] -= grads[0][0]
        state["t"] = state.get("t", 0) + 1
        return params, state

    after, _ = optimizer_steps(careless, params, GRADIENTS, state)
    assert params[0][0][0, 0] == 0.0 and state["t"] == 1
    # The numbers are judged as if nothing had been changed behind anybody's back.
    assert [step[0][0][0, 0] for step in after] == [0.0, -2.0, -6.0]


def test_a_state_that_is_changed_later_shows_in_the_first_one():
    def careless(params, grads, state):
        if not state:
            return heavy_ball(params, grads, state)
        state["speed"] += grads[0][0]
        return [(params[0][0] - state["speed"], params[0][1])], state

    state = {}
    optimizer_steps(careless, PARAMS, GRADIENTS, state)
    assert state
    clean = {}
    optimizer_steps(heavy_ball, PARAMS, GRADIENTS, clean)
    assert not clean


def test_gradients_that_only_a_second_step_changes_show():
    def careless(params, grads, velocity):
        grads[0][0][:] += velocity  # zeros in the first step
        return params, grads[0][0].copy()

    gradients = copy.deepcopy(GRADIENTS)
    optimizer_steps(careless, PARAMS, gradients, np.zeros((2, 3)))
    assert gradients[1][0][0][0, 0] == 3.0
    assert [grads[0][0][0, 0] for grads in (gradients[0], gradients[2])] == [1.0, 4.0]


@pytest.mark.parametrize("returned", [PARAMS, (PARAMS, {}, 1), None])
def test_other_than_two_values_is_said(returned):
    with pytest.raises(Misfit, match="expected 2 values: new parameters, a new state"):
        optimizer_steps(lambda *_: returned, PARAMS, GRADIENTS, {})


def with_torch(x):
    import torch

    return torch.sin(torch.tensor(x)).numpy()


PAIR = (np.ones((2, 3)), np.ones(2))


@pytest.mark.parametrize("returned", [[PAIR, PAIR], (list(PAIR), PAIR), iter([PAIR, PAIR])])
def test_pairs_may_stand_in_a_list_or_come_one_by_one(returned):
    pairs = pairs_in(returned, "W, b", (2, 1))
    assert len(pairs) == 2 and all(W.shape == (2, 3) and b.shape == (2,) for W, b in pairs)


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (None, "returned None, expected pairs (W, b)."),
        (7, "returned an int, expected pairs (W, b)."),
        ({0: PAIR}, "returned a dict, expected pairs (W, b)."),
        ([np.ones((2, 3))], "has a NumPy array of shape (2, 3) in what it returned, expected"),
        ([[1, 2, 3]], "has a list of 3 entries in what it returned, expected"),
        ([PAIR[::-1]], "returned a pair whose W has shape (2,), expected 2 axes."),
        ([(PAIR[0], None)], "returned a pair whose b is None."),
    ],
)
def test_what_is_not_made_of_pairs_is_said(returned, sentence):
    with pytest.raises(Misfit) as raised:
        pairs_in(returned, "W, b", (2, 1))
    assert str(raised.value).startswith(sentence)


def test_pairs_that_are_used_again_must_stand_in_a_list():
    assert len(pairs_in((PAIR,), "W, b", listed=True)) == 1
    with pytest.raises(
        Misfit, match=r"returned a list_iterator, expected a list of pairs \(W, b\)"
    ):
        pairs_in(iter([PAIR]), "W, b", listed=True)
    with pytest.raises(Misfit, match=r"returned None, expected a list of pairs"):
        pairs_in(None, "W, b", listed=True)


def test_a_generator_that_fails_is_not_taken_for_one_of_another_form():
    def failing():
        yield PAIR
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        pairs_in(failing(), "W, b")


def no_pairs(x):
    return None


def test_a_misfit_of_a_probe_is_reported_in_the_words_of_a_misfit(monkeypatch, capsys):
    monkeypatch.setitem(globals(), "no_pairs", no_pairs)
    check = Check(
        "no_pairs",
        lambda x: x,
        returns={"y": 1},
        probe=lambda no_pairs, x: two_values(no_pairs(x), "W, b")[0],
    )
    check.case("one", x=np.ones(2))
    assert check.grade() == 0.0
    assert capsys.readouterr().out.startswith("no_pairs returned None, expected 2 values: W, b.")


def test_a_report_names_the_shapes_of_nested_layers():
    layers = [(np.ones((2, 3)), np.ones(2)), (np.ones((4, 2)), np.ones(4))]
    assert describe({"params": layers}) == "params [((2, 3), (2,)), ((4, 2), (4,))]"
    assert describe({"gradients": [layers] * 20}) == (
        "gradients [[((2, 3), (2,)), ((4, 2), (4,))], … 20 in all]"
    )
    assert describe({"sizes": [1, 2]}) == "sizes = [1, 2]"


def test_the_value_that_has_no_pairs_is_named() -> None:
    for found, sentence in [
        ([0.5, 0.25], "has a float in what it returned as trained, expected pairs (W, b)."),
        (np.zeros(2), "returned a NumPy array of shape (2,) as trained, expected pairs (W, b)."),
        (0.5, "returned a float as trained, expected pairs (W, b)."),
    ]:
        with pytest.raises(Misfit) as caught:
            pairs_in(found, "W, b", (2, 1), "trained")
        assert str(caught.value) == sentence
