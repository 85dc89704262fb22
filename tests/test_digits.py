"""The digits that travel with notebook 06, and what its solved notebook made of them."""

import re
from pathlib import Path

import nbformat
import numpy as np
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[1]
NAME = "06-training-loop"


def printed() -> str:
    solved = nbformat.read(ROOT / "solutions" / NAME / f"{NAME}.ipynb", as_version=4)
    outputs = [out for cell in solved.cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.output_type == "stream")


def test_the_shipped_digits_are_those_of_scikit_learn() -> None:
    theirs = load_digits()
    with np.load(ROOT / "source" / NAME / "digits.npz") as ours:
        assert set(ours.files) == {"images", "labels"}
        assert np.array_equal(ours["images"], theirs.data) and len(ours["images"]) == 1797
        assert np.array_equal(ours["labels"], theirs.target)


def test_it_is_said_where_they_are_from() -> None:
    text = (ROOT / "source" / NAME / "digits.md").read_text(encoding="utf-8")
    assert "Alpaydin" in text and "Kaynak" in text and "CC BY 4.0" in text


def test_the_solved_network_reads_at_least_95_of_100() -> None:
    found = re.findall(r"test accuracy ([\d.]+)%", printed())
    assert len(found) == 1 and float(found[0]) >= 95
    others = re.findall(r"(?:SGD|momentum|Adam): ([\d.]+)% of the test set", printed())
    assert len(others) == 3 and all(float(share) >= 95 for share in others)


def test_twenty_steps_lie_on_the_curve_of_pytorch() -> None:
    found = re.findall(r"largest distance in 20 steps: (\S+)", printed())
    assert len(found) == 1 and 0 <= float(found[0]) < 1e-8


def test_the_experiment_tells_penalty_from_decay() -> None:
    said = dict(
        re.findall(r"(\w+): an L2 penalty is weight decay in the first step: (\w+)", printed())
    )
    assert said == {"SGD": "True", "momentum": "True", "Adam": "False"}
