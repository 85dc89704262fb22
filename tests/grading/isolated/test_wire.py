"""Data crosses whole; nothing else crosses, whatever the bytes are."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from autograder.grading.isolated.wire import (
    DEEPEST,
    LARGEST,
    Handle,
    Opaque,
    WireError,
    decode,
    encode,
)
from autograder.provided.forward_pass import relu

keys = st.one_of(st.text(max_size=9), st.integers(), st.tuples(st.integers(), st.text(max_size=3)))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=9),
    st.binary(max_size=9),
    st.sampled_from([np.float32(0.5), np.int8(-3), np.bool_(True), np.complex128(1j)]),
    npst.arrays(
        st.sampled_from(["f8", "f4", "i8", "u1", "?", "c16", ">f8", "<i2"]),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.frozensets(keys, max_size=4),
        st.frozensets(keys, max_size=4).map(set),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, complex):
        return repr(a) == repr(b)
    return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


@given(values)
def test_data_comes_back_as_it_was(value: Any) -> None:
    assert same(value, decode(encode(value)))


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except WireError:
        return


@given(values, st.data())
def test_a_damaged_message_is_data_or_refused(value: Any, data: st.DataObject) -> None:
    whole = bytearray(encode(value))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    for damaged in (bytes(whole), bytes(whole[:place])):
        try:
            decode(damaged)
        except WireError:
            continue


def test_an_array_that_comes_back_can_be_written_to() -> None:
    array = decode(encode(np.zeros(3)))
    array[0] = 1.0
    assert array[0] == 1.0


class Sly:
    """Says that it is a float, that it is equal to everything, and what to run when unpickled."""

    __class__ = float  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __reduce__(self) -> Any:
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "an object"),
        (Sly(), "a Sly"),
        (np.array([object()]), "a NumPy array of object"),
        (np.array(["text"]), "a NumPy array of str"),
        (slice(1), "a slice"),
        (range(3), "a range"),
    ],
    ids=["object", "sly", "objects", "texts", "slice", "range"],
)
def test_an_object_crosses_as_a_word(value: Any, kind: str) -> None:
    back = decode(encode([value]))[0]
    assert isinstance(back, Opaque)
    assert back.kind_of_object.startswith(kind)


def test_functions_cross_as_handles_only() -> None:
    def double(x: float) -> float:
        return 2 * x

    data = encode({"f": double}, lambda f: Handle("student", 7, f.__name__, ("np",)))
    assert decode(data, lambda handle: handle) == {"f": Handle("student", 7, "double", ("np",))}
    assert isinstance(decode(encode(double)), Opaque)
    with pytest.raises(WireError):
        decode(data)  # where no functions are expected


@pytest.mark.parametrize("function", [np.tanh, np.add, relu])
def test_functions_that_both_sides_have_cross_by_name(function: Any) -> None:
    assert decode(encode([function]))[0] is function


@pytest.mark.parametrize(
    "name",
    ["os:abort", "numpy:load", "numpy:nothing", "numpy", "autograder.provided.x:y", "np:sin"],
)
def test_no_other_function_has_a_name(name: str) -> None:
    told = msgpack.packb([msgpack.ExtType(10, name.encode())])
    with pytest.raises(WireError, match="no such name"):
        decode(told)


def test_size_and_depth_are_bounded_on_both_sides() -> None:
    nested: list[Any] = []
    for _ in range(DEEPEST + 1):
        nested = [nested]
    with pytest.raises(WireError, match="nested deeper"):
        encode(nested)
    with pytest.raises(WireError, match="larger than"):
        encode(np.zeros(LARGEST // 8 + 1))
    with pytest.raises(WireError, match="parts"):
        encode([0] * 300_000)
    with pytest.raises(WireError, match="larger than"):
        decode(bytes(LARGEST + 1))


def test_a_shape_that_lies_is_refused() -> None:
    honest = encode(np.zeros((2, 3)))
    lengths = struct.pack("<2Q", 2, 3)
    assert lengths in honest
    for shape in ((2, 4), (127, 127), (0, 3), (2**63, 2**63), (2**64 - 1, 0)):
        with pytest.raises(WireError):
            decode(honest.replace(lengths, struct.pack("<2Q", *shape)))
