"""The guard in front of a picture: one sentence instead of a traceback."""

import numpy as np
import pytest

from autograder.pictures import written


def unwritten(z):
    raise NotImplementedError


def broken(z):
    return z + "1"


def nothing(z):
    return None


def flat(z):
    return z.ravel()


def changing(z):
    z += 1.0
    return z


@pytest.mark.parametrize(
    "function, expected, sentence",
    [
        (unwritten, {}, "Write unwritten first"),
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
