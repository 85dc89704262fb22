"""The text that travels with notebook 08, and what its solved notebook made of it."""

import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
NAME = "08-transformer-block"
PARAMETERS = {"gamma1", "beta1", "W_qkv", "W_out", "gamma2", "beta2", "W1", "b1", "W2", "b2"}


def printed() -> str:
    solved = nbformat.read(ROOT / "solutions" / NAME / f"{NAME}.ipynb", as_version=4)
    outputs = [out for cell in solved.cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.output_type == "stream")


def test_the_text_is_plain_and_long_enough() -> None:
    text = (ROOT / "source" / NAME / "alice.txt").read_text(encoding="ascii")
    assert text.startswith("Alice was beginning to get very tired of sitting by her sister")
    assert text.endswith("to her great delight it fitted!\n")
    assert len(text) > 6000 and not re.search(r"[^\n -~]", text)


def test_it_is_said_which_text_it_is_and_why_it_may_be_used() -> None:
    for path in (ROOT / "source" / NAME / "alice.md", ROOT / "source" / f"{NAME}.py"):
        said = path.read_text(encoding="utf-8")
        assert all(word in said for word in ("Lewis", "Carroll", "1865", "1898", "hundred years"))


def test_every_gradient_of_the_block_at_full_size_is_that_of_pytorch() -> None:
    found = dict(re.findall(r"^d(\w+) +relative difference (\S+)$", printed(), flags=re.MULTILINE))
    assert found.keys() == PARAMETERS | {"x"}
    assert all(0 <= float(apart) < 1e-8 for apart in found.values())


def test_the_loss_lies_on_the_curve_of_pytorch() -> None:
    found = re.findall(r"in 20 steps: (\S+), in 40 steps: (\S+)", printed())
    assert len(found) == 1 and all(0 <= float(apart) < 1e-8 for apart in found[0])


def test_training_teaches_words() -> None:
    losses = re.findall(r"mean loss of the last 100 steps: ([\d.]+)", printed())
    assert len(losses) == 1 and float(losses[0]) < 1.6
    before, after = re.search(r"before: (.*)\n\nafter: (.*)\n", printed()).groups()  # type: ignore[union-attr]
    known = set((ROOT / "source" / NAME / "alice.txt").read_text(encoding="ascii").lower().split())

    def share(written: str) -> float:
        words = written.split()
        return sum(word in known for word in words) / len(words)

    assert share(before) < 0.3 and share(after) > 0.6
