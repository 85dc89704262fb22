"""Properties of the comparison, for inputs nobody chose."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograder.checks.compare import compare

ARRAYS = hnp.arrays(
    np.float64,
    hnp.array_shapes(max_dims=3, max_side=4),
    elements=st.floats(-1e6, 1e6, allow_subnormal=False),
)


@given(ARRAYS)
def test_equal_is_never_a_difference(array):
    assert compare("a", array, array.copy()) is None
    assert compare("a", {"k": [array]}, {"k": (array.copy(),), "more": 1}) is None


@given(ARRAYS, st.data())
def test_one_changed_number_is_always_a_difference(array, data):
    changed = array.copy()
    index = data.draw(st.sampled_from(list(np.ndindex(array.shape))))
    changed[index] += 1e-3 * (1 + np.abs(array).max())
    assert compare("a", array, changed).verdict == "value"


@given(ARRAYS)
def test_rounding_is_forgiven(array):
    assert compare("a", array, (array * 3) / 3) is None


@given(ARRAYS, st.sampled_from([np.nan, np.inf, -np.inf]))
def test_not_finite_is_said_before_values(array, strange):
    changed = array + 1
    changed.flat[0] = strange
    assert compare("a", array, changed).verdict == "finite"


@given(ARRAYS, st.sampled_from([np.float32, np.int64, np.bool_, np.complex128]))
def test_other_number_types_are_refused_before_values(array, dtype):
    assert compare("a", array, np.zeros(array.shape, dtype)).verdict == "dtype"


@given(ARRAYS)
def test_shape_is_said_before_values(array):
    assert compare("a", array, array[None]).verdict == "shape"


def test_numbers_have_many_right_forms():
    for got in (0.5, np.float64(0.5), np.array(0.5)):
        assert compare("loss", 0.5, got) is None
    for whole in (1, np.int64(1), np.array(1)):
        assert compare("loss", np.array(1.0), whole) is None
    assert compare("loss", 0.5, np.array([0.5])).verdict == "shape"
    assert compare("loss", 1.0, True).verdict == "type"
    assert compare("loss", 1.0, np.True_).verdict == "dtype"
    assert compare("loss", 0.5, np.float32(0.5)).verdict == "dtype"
    assert compare("loss", 0.5, "0.5").verdict == "type"


def test_typed_in_numbers_are_numbers():
    for got in (1, 1.0, [1.0], np.array(1.0), Fraction(1)):
        assert compare("slope", np.array(1.0), got, typed=True) is None
    for got in ("1", ["1"], True, [True], 1 + 0j, {1}, [[1], [1, 2]], None):
        assert compare("slope", np.array(1.0), got, typed=True).verdict == "type"


def test_whole_numbers_are_ints_of_python_or_numpy():
    for got in (7, np.int64(7), np.array(7)):
        assert compare("flops", 7, got) is None
    for got in (7.0, True, "7", np.array([7])):
        assert compare("flops", 7, got).verdict == "type"
    assert compare("flops", 7, 8).verdict == "value"


def test_the_place_of_a_difference_is_named():
    expected = {"a0": np.zeros(2), "z1": [np.zeros(2), np.ones(2)]}
    found = compare("cache", expected, {"a0": np.zeros(2), "z1": [np.zeros(2), np.zeros(2)]})
    assert found.path == "cache['z1'][1]"
    assert compare("cache", expected, {"a0": np.zeros(2)}).summary == "cache has no key 'z1'."


def test_an_array_that_claims_to_be_equal_is_not_believed():
    class Liar(np.ndarray):
        def __eq__(self, other):
            return True

        def __sub__(self, other):
            return np.zeros(self.shape)

    liar = np.ones(3).view(Liar)
    assert compare("z", np.zeros(3), liar).verdict == "value"


def test_a_list_may_hold_arrays_of_different_shapes():
    params = [np.zeros((2, 3)), np.zeros(2)]
    assert compare("params", params, [np.zeros((2, 3)), np.zeros(2)]) is None
    assert compare("params", params, [np.zeros((2, 3)), np.ones(2)]).path == "params[1]"
    assert compare("params", params, np.array(0.0)).verdict == "type"


def test_digits_that_look_the_same_are_told_apart():
    found = compare("slope", np.array([0.5, 0.25]), np.array([0.5, 0.25 + 3e-11]), tolerance=1e-13)
    assert found and found.details[-1] == (
        "the largest difference is 3.0e-11, and 1e-13 is allowed"
    )
    plain = compare("slope", np.array([0.5, 0.25]), np.array([0.5, 0.3]))
    assert plain and len(plain.details) == 2


def test_one_small_number_does_not_turn_the_others_into_powers_of_ten():
    found = compare("a", np.array([0.5, 3.0]), np.array([-2.2338e-6, 2.99777]))
    assert found.details == ("got      [-2.2338e-06, 2.9978]", "expected [0.5, 3. ]")


def test_in_a_list_compared_from_its_end_the_entries_behind_are_named():
    expected = [np.zeros(2), np.zeros(3), np.zeros(4)]
    got = [np.zeros(2), np.ones(3), np.zeros(4)]
    first = "db[1] differs in 3 of 3 values."
    assert compare("db", expected, got).summary == first
    assert compare("db", expected, got, last_first=True).summary == f"{first} db[2] is right."
    got = [np.ones(2), np.zeros(3), np.zeros(4)]
    found = compare("db", expected, got, last_first=True)
    assert found.summary == "db[0] differs in 2 of 2 values. db[2], db[1] are right."
    assert "right" not in compare("db", expected, [*got[:2], None], last_first=True).summary


EDGES = {("x", "z"), ("W", "z"), ("z", "L")}


def test_a_set_of_pairs_has_many_right_forms():
    listed = [["z", "L"], ("x", " z "), ["W", "z"], ["W", "z"]]
    for got in (EDGES, frozenset(EDGES), list(EDGES), tuple(EDGES), listed):
        assert compare("edges", EDGES, got) is None


def test_of_a_wrong_set_only_what_is_too_many_is_shown():
    found = compare("edges", EDGES, {("x", "z"), ("z", "x"), ("L", "z")})
    assert found.summary == "edges differs: 2 missing, 2 too many."
    assert found.details == ("too many: ('L', 'z') and others",)
    assert compare("edges", EDGES, {("x", "z")}).details == ()


@pytest.mark.parametrize(
    "got, sentence",
    [
        (7, "edges is an int, expected a set."),
        ({"x": "z"}, "edges is a dict, expected a set."),
        ([{}], "edges has a dict as an entry, which cannot stand in a set."),
        ([("x", {})], "edges has a tuple as an entry, which cannot stand in a set."),
        ([np.array(["x", "z"])], "edges has a NumPy array of shape (2,) as an entry"),
        ({"xz"}, "edges: 'xz' is a str, expected a pair (from, to)."),
        ({("x", "W", "z")}, "edges: ('x', 'W', 'z') has 3 entries, expected a pair (from, to)."),
        ({("x", "q")}, "edges: 'q' in ('x', 'q') is none of the known names."),
        ({("x", 3)}, "edges: 3 in ('x', 3) is none of the known names."),
        ([[["x"], "z"]], "edges: ('x',) in (('x',), 'z') is none of the known names."),
    ],
)
def test_what_is_no_set_of_pairs_is_said_in_one_sentence(got, sentence):
    found = compare("edges", EDGES, got)
    assert found.verdict == "type" and found.summary.startswith(sentence)


def test_a_wrong_word_is_said_beside_the_right_one_unless_it_was_typed():
    found = compare("order", "new in every epoch", "the same in every epoch")
    assert found.summary == "order is wrong."
    assert found.details == (
        "got      'the same in every epoch'",
        "expected 'new in every epoch'",
    )
    assert compare("answer", "explodes", "vanishes", typed=True).summary == (
        "answer is not 'vanishes'."
    )
