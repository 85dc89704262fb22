"""A cell's outputs are those of a kernel."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from autograder.grading.isolated.messages import as_outputs
from autograder.grading.isolated.runner import Runner

CELLS = [
    "1 + 1",
    "x = 3",
    "x",
    "x;",
    "x  # with a comment;",
    "2.0",
    "import numpy as np\nnp.float64(2.0)",
    "np.arange(3.0)",
    "{'b': 1, 'a': [1, 2, (3,)]}",
    "list(range(100))",
    "'text'",
    "None",
    "print('a')\nprint('b', end='')\nprint('c')",
    "import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('out again')",
    "display('shown')\n5",
    "from fractions import Fraction\nFraction(1, 3)",
    "class Html:\n    def _repr_html_(self):\n        return '<b>x</b>'\nHtml",
    "def f(x):\n    return x\n\nf(2)",
    "for i in range(2):\n    i",
    "# nothing but a comment",
    "",
]


def outputs_of(cells: list[Any]) -> list[Any]:
    found = []
    for cell in cells:
        mine = []
        for output in cell.outputs:
            data = dict(output)
            data.pop("execution_count", None)
            mine.append({k: dict(v) if isinstance(v, dict) else v for k, v in data.items()})
        found.append(mine)
    return found


def test_the_outputs_are_those_of_a_kernel() -> None:
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    kernel = nbformat.from_dict(notebook.copy())
    NotebookClient(kernel, timeout=120, kernel_name="python3").execute()
    runner = Runner({"__name__": "__main__"}, 10**6, pictures=True)
    for number, cell in enumerate(notebook.cells):
        cell.outputs = as_outputs(runner.run(cell.source, str(number)))
    for source, mine, theirs in zip(
        CELLS, outputs_of(notebook.cells), outputs_of(kernel.cells), strict=True
    ):
        assert joined(mine) == joined(theirs), source


def joined(outputs: list[Any]) -> list[Any]:
    """Streams of one name together: when a kernel sends them is a matter of time."""
    streams: dict[str, str] = {}
    others = []
    for output in outputs:
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + output["text"]
        else:
            others.append(output)
    return [streams, *others]


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("1 / 0", "ZeroDivisionError", "division by zero"),
        ("def f(", "SyntaxError", "'(' was never closed"),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("class E(Exception):\n    def __str__(self):\n        raise E()\nraise E()", "E", ""),
        ("while True: print('x' * 1000)", "OutputLimitError", "more than 5,000"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    ],
)
def test_an_error_ends_the_cell(source: str, name: str, text: str) -> None:
    runner = Runner({}, 5000, pictures=False)
    *_, last = as_outputs(runner.run(source, "1"))
    assert (last.output_type, last.ename) == ("error", name)
    assert text in last.evalue
    assert as_outputs(runner.run("1", "2"))[0].data == {"text/plain": "1"}


def test_a_traceback_shows_the_students_lines_only() -> None:
    runner = Runner({}, 5000, pictures=False)
    source = "def f(x):\n    return x / 0\n\nf(1)\n"
    text = "\n".join(runner.run(source, "affine")[-1]["traceback"])
    assert "<cell affine>" in text
    assert "return x / 0" in text
    assert "runner.py" not in text


def test_a_figure_becomes_a_picture() -> None:
    runner = Runner({}, 10**6, pictures=True)
    source = "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1)); plt.plot([1, 2]);"
    outputs = as_outputs(runner.run(source, "1"))
    assert [o.output_type for o in outputs] == ["display_data"]
    assert outputs[0].data["image/png"].startswith("iVBOR")
    assert runner.run("plt.get_fignums()", "2")[0]["data"] == {"text/plain": "[]"}


@pytest.mark.parametrize(
    "told",
    [
        None,
        "text",
        [1],
        [{"output_type": "unknown"}],
        [{"output_type": "stream", "name": "stdout", "text": 3}],
        [{"output_type": "error", "ename": "E", "evalue": "", "traceback": "x"}],
        [{"output_type": "execute_result", "data": [1]}],
        [{"output_type": "execute_result", "data": {"text/plain": ["2.0"]}}],
        [{"output_type": "stream", "text": "x"}] * 20_000,
    ],
)
def test_outputs_of_a_student_are_not_believed(told: Any) -> None:
    with pytest.raises(ValueError, match="malformed"):
        as_outputs(told)
