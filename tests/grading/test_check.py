"""A student's check says what a kernel would say, without one, and leaves nothing behind."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from autograder.course import CourseFolder
from autograder.errors import UserError
from autograder.fingerprint import text_id
from autograder.grading import check
from autograder.grading.check import check_notebook
from autograder.grading.limits import Limits
from autograder.grading.needed import is_untouched, needed_cells
from autograder.grading.results import Result
from autograder.mistakes import all_mistakes
from autograder.progress import in_sum
from tests.grading.conftest import BIN, run

ROOT = Path(__file__).parents[2]
COURSE = CourseFolder(ROOT)
CHECK = """\
class check:
    def grade():
        return {points}
"""


def said(results: list[Result]) -> list[tuple[Any, ...]]:
    return [(r.cell, r.points, r.max_points, r.status, r.diagnosis, r.message) for r in results]


def in_a_kernel(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    with monkeypatch.context() as patch:
        patch.setattr(check, "is_ipython", lambda source: True)
        return check_notebook(path, Limits())


def written(folder: Path, name: str, answers: dict[str, str]) -> Path:
    """The released notebook with these texts in its solution cells."""
    notebook = nbformat.read(COURSE.student_notebook(name), as_version=4)
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def solved(name: str) -> dict[str, str]:
    notebook = nbformat.read(COURSE.solved_notebook(name), as_version=4)
    return {
        c.id: c.source for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")
    }


def mistaken(name: str) -> dict[str, str]:
    """For each exercise, its first named mistake."""
    answers = solved(name)
    for record in reversed(all_mistakes()):
        for cell, text in answers.items():
            names = (
                {getattr(node, "name", "") for node in ast.walk(ast.parse(text))}
                if ("def " in text)
                else set()
            )
            if record.exercise in names and record.source().count("def ") >= text.count("\ndef "):
                answers[cell] = record.source()
    return answers


def small(folder: Path, *answers: str, setup: str = "", points: str = "2.0") -> Path:
    """A notebook without torch: pairs of an answer and a check that gives ``points``."""
    cells = [new_code_cell(setup)] if setup else []
    for number, answer in enumerate(answers):
        solution = {"grade": False, "solution": True, "locked": False}
        test = {"grade": True, "solution": False, "locked": True, "points": 2}
        for kind, name, text in [
            (solution, f"answer{number}", answer),
            (test, f"answer{number}-check", CHECK.format(points=points) + "check.grade()"),
        ]:
            fields = {**kind, "grade_id": name, "schema_version": 3, "task": False}
            cell = new_code_cell(text, metadata={"nbgrader": {**fields, "cell_type": "code"}})
            cells.append(cell)
    path = folder / "small.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


# ------------------------------------------------------------------------- the course


@pytest.mark.parametrize("kind", ["solved", "empty", "mistaken"])
def test_both_ways_agree_on_the_course(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "02-manual-backprop"
    answers = {"solved": solved(name), "empty": {}, "mistaken": mistaken(name)}[kind]
    path = written(tmp_path, name, answers)
    mine = said(check_notebook(path, Limits()))
    assert mine == said(in_a_kernel(path, monkeypatch))
    statuses = {status for _, _, _, status, _, _ in mine}
    assert (statuses == {"passed"}) is (kind == "solved")
    if kind == "mistaken":
        assert sum(diagnosis is not None for *_, diagnosis, _ in mine) > 5


@pytest.mark.parametrize("name", COURSE.names())
def test_a_finished_notebook_passes(name: str, tmp_path: Path) -> None:
    results = check_notebook(written(tmp_path, name, solved(name)), Limits())
    assert {r.status for r in results} <= {"passed", "manual"}, said(results)


@pytest.mark.parametrize("name", COURSE.names())
def test_cells_of_the_course_are_known_again(name: str) -> None:
    notebook = nbformat.read(COURSE.student_notebook(name), as_version=4)
    for cell in notebook.cells:
        fields = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and not fields.get("grade") and not fields.get("solution"):
            assert is_untouched(cell), cell.source
            cell.source += "\nx"
            assert not is_untouched(cell)
        else:
            assert cell.cell_type != "code" or not is_untouched(cell)
    kept = needed_cells(nbformat.read(COURSE.student_notebook(name), as_version=4).cells)
    # With eval, a cell may use names that do not stand in it, so that nothing can be left out.
    evaluates = any(re.search(r"(?<![.\w])eval\(", cell.source) for cell in notebook.cells)
    assert any("matplotlib" in cell.source for cell in kept) == evaluates


def test_points_by_hand_are_named(tmp_path: Path) -> None:
    name = "05-regularized-mlp-derivation"
    results = check_notebook(written(tmp_path, name, solved(name) | {}), Limits())
    assert in_sum(results) == (
        "55 of 55 points on the visible checks. 10 more points are graded by hand."
    )
    by_hand = [r for r in results if r.status == "manual"]
    assert sum(r.max_points for r in by_hand) == 10
    unwritten = check_notebook(COURSE.student_notebook(name), Limits())
    assert {r.message for r in unwritten if r.status == "manual"} == {
        "Not written yet; a person grades it."
    }
    assert {r.message for r in by_hand} == {"A person grades it."}


# ------------------------------------------------------------------------- odd cells

ODD = {
    "syntax": "def f(x) return x",
    "exit": "import sys\nsys.exit(3)",
    "system_exit": "raise SystemExit",
    "raises": "1 / 0",
    "stderr": "import sys\nprint('!', file=sys.stderr)",
    "figure": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    "folder": "import os\nassert open('beside.txt').read() == 'here'\nos.chdir('/')",
    "other_folder": "import os\nassert os.getcwd() == os.path.abspath('/')\nos.chdir(START)",
    "not_text": "open('latin.txt', encoding='utf-8').read()",
    "helper": "import helper\nassert helper.value == 3",
    "no_file": "open('nowhere.txt')",
    "pickled": "import pickle\ndef g(): pass\nassert pickle.loads(pickle.dumps(g)) is g",
    "value": "object()",
}


def beside(folder: Path) -> None:
    (folder / "beside.txt").write_text("here")
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "helper.py").write_text("value = 3\n")


def test_both_ways_agree_on_odd_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    path = small(tmp_path, *ODD.values(), setup="import os\nSTART = os.getcwd()")
    before = sorted(tmp_path.rglob("*"))
    mine = check_notebook(path, Limits())
    assert sorted(tmp_path.rglob("*")) == before
    theirs = in_a_kernel(path, monkeypatch)
    for name, my, their in zip(ODD, mine, theirs, strict=True):
        # Of errors the sentence may differ: each has a traceback of its own.
        assert (my.points, my.status) == (their.points, their.status), (name, my, their)


@pytest.mark.parametrize("points", ["2.0", "1.0", "0.0", "3.0", "-1.0", "None", "'two'", "1 / 0"])
def test_both_ways_agree_on_points(
    points: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small(tmp_path, "x = 1", points=points)
    assert said(check_notebook(path, Limits())) == said(in_a_kernel(path, monkeypatch))


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        ("while True: pass", "timeout", "did not end in time"),
        ("import time\ntime.sleep(600)", "timeout", "did not end in time"),
        ("import os\nos._exit(3)", "error", "The process that ran this cell died."),
        (
            "import os, time\nif os.fork() == 0:\n    time.sleep(600)\nos._exit(1)",
            "error",
            "The process that ran this cell died.",
        ),
        (
            "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass",
            "timeout",
            "could not be stopped",
        ),
        ("while True: print('x' * 10_000)", "error", "wrote more than"),
        ("input('What? ')", "error", "input() has nobody to ask"),
    ],
)
def test_a_cell_that_does_not_end_well(
    answer: str, status: str, message: str, tmp_path: Path
) -> None:
    if "fork" in answer and not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    calls = "def answer():\n" + "\n".join(f"    {line}" for line in answer.splitlines())
    path = small(tmp_path, "x = 1", calls, "x = 2")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[3].source = f"answer()\n{notebook.cells[3].source}"
    nbformat.write(notebook, path)
    limits = Limits(cell_seconds=1.0, output_bytes=100_000)
    begin = time.monotonic()
    first, second, third = check_notebook(path, limits)
    assert time.monotonic() - begin < 60
    assert (first.points, first.status) == (2.0, "passed")
    assert second.points == 0.0
    assert second.status == status
    assert message in (third.message if "stopped" in message else second.message)
    alive = "died" not in message and "stopped" not in message
    assert (third.points == 2.0) is alive
    assert alive or message in third.message


def test_what_is_printed_past_python_goes_nowhere(tmp_path: Path) -> None:
    path = small(tmp_path, "import os\nfor _ in range(100): os.write(1, b'x' * 100_000)", "x = 1")
    assert [r.points for r in check_notebook(path, Limits())] == [2.0, 2.0]


def test_the_notebook_has_a_time_limit_too(tmp_path: Path) -> None:
    path = small(tmp_path, *["import time\ntime.sleep(5)\nx = 2.0"] * 5, points="x")
    begin = time.monotonic()
    results = check_notebook(path, Limits(notebook_seconds=2.0))
    assert time.monotonic() - begin < 20
    assert {r.points for r in results} == {0.0}


def test_a_file_with_the_name_of_a_module_does_not_stop_the_start(tmp_path: Path) -> None:
    for name in ("random", "json", "autograder"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')")
    assert [r.points for r in check_notebook(small(tmp_path, "x = 1"), Limits())] == [2.0]


def test_ipython_runs_in_a_kernel(tmp_path: Path) -> None:
    path = small(tmp_path, "%matplotlib inline\nx = !echo hello\nassert list(x) == ['hello']")
    assert [r.points for r in check_notebook(path, Limits())] == [2.0]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent in another way")
def test_ctrl_c_ends_both_processes(tmp_path: Path) -> None:
    path = small(
        tmp_path,
        "import os, time\nprint(os.getpid(), file=open('pid', 'w'), flush=True)\n"
        "while True: time.sleep(1)",
    )
    # Where the tests run in the background, Ctrl-C is ignored, and that is inherited.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command = subprocess.Popen(
            [BIN / "autograder", "check", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, usual)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert command.poll() is None
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=30)
    assert command.returncode not in (0, 2)
    assert "Traceback" not in out + err
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


# ------------------------------------------------------------------------- what is needed


def kept(*sources: str, answer: str = "answer = 1") -> str:
    """Of untouched cells with these texts, what runs before a cell of the student's."""
    cells = [new_code_cell(source, id=text_id(source)) for source in sources]
    mine = new_code_cell(answer, id="mine")
    return "\n".join(c.source for c in needed_cells([*cells, mine]) if c.source != answer)


@pytest.mark.parametrize(
    ("sources", "answer", "expected"),
    [
        (["import numpy as np", "x = 1\nprint(x)"], "np", "import numpy as np"),
        (["x = 1", "y = x + 1\nz = 3"], "y", "x = 1\ny = x + 1"),
        (
            ["import numpy as np\nnp.random.seed(0)"],
            "np.zeros(3)",
            "import numpy as np\nnp.random.seed(0)",
        ),
        (["p = {}", "p['a'] = 1", "q = {}"], "p", "p = {}\np['a'] = 1"),
        (
            ["def f():\n    return g()", "def g():\n    return 1"],
            "f()",
            "def f():\n    return g()\ndef g():\n    return 1",
        ),
        (["n = 0"], "def count():\n    n = 0\n    n += 1\n    return n", ""),
        (["n = 0"], "n += 1", "n = 0"),
        (["n = 0"], "def count():\n    global n\n    n += 1", "n = 0"),
        (["x = 1", "y = 2"], "globals()['x']", "x = 1\ny = 2"),
        (
            ["def probe():\n    return 1", "x = 1"],
            "check = 'probe', 'x'",
            "def probe():\n    return 1",
        ),
    ],
)
def test_of_the_course_only_what_is_needed_runs(
    sources: list[str], answer: str, expected: str
) -> None:
    assert kept(*sources, answer=answer) == expected


def test_a_changed_cell_runs_whole() -> None:
    cell = new_code_cell("print('mine')", id=text_id("print('theirs')"))
    assert [c.source for c in needed_cells([cell])] == ["print('mine')"]


# ------------------------------------------------------------------------- files


def test_unusual_files(tmp_path: Path) -> None:
    path = small(tmp_path, "x = 1")
    usual = json.loads(path.read_text())
    assert check.is_usual(usual)
    old = {**usual, "nbformat_minor": 4, "cells": [dict(cell) for cell in usual["cells"]]}
    for cell in old["cells"]:
        del cell["id"]
    path.write_text(json.dumps(old))
    assert not check.is_usual(old)
    assert [r.points for r in check_notebook(path, Limits())] == [2.0]
    third = nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet()])
    path.write_text(json.dumps(third))
    with pytest.raises(UserError, match="is not a notebook of this course"):
        check_notebook(path, Limits())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cells: cells[0].update(source=3), "is not a valid notebook"),
        (lambda cells: cells[0].update(metadata=[]), "is not a valid notebook"),
        (
            lambda cells: cells[0].update(outputs=[{"output_type": "odd"}]),
            "is not a valid notebook",
        ),
        (lambda cells: cells[0].update(cell_type="odd"), "is not a valid notebook"),
        (lambda cells: cells.append(3), "is not a valid notebook"),
        (lambda cells: cells[1]["metadata"]["nbgrader"].pop("points"), "is damaged"),
        (lambda cells: cells[1]["metadata"]["nbgrader"].pop("grade_id"), "is damaged"),
        (lambda cells: cells[1]["metadata"]["nbgrader"].update(points="two"), "is damaged"),
        (lambda cells: cells.clear(), "is not a notebook of this course"),
    ],
)
def test_damaged_files(change: Any, said: str, tmp_path: Path) -> None:
    path = small(tmp_path, "x = 1")
    content = json.loads(path.read_text())
    change(content["cells"])
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=said):
        check_notebook(path, Limits())


def test_a_markdown_cell_may_say_anything(tmp_path: Path) -> None:
    path = small(tmp_path, "x = 1")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, new_markdown_cell("# %magic\nawait this"))
    nbformat.write(notebook, path)
    assert [r.points for r in check_notebook(path, Limits())] == [2.0]


# ------------------------------------------------------------------------- imports

SLOW = ["nbgrader", "sqlalchemy", "nbconvert", "nbclient", "nbformat", "IPython", "jupytext"]
SLOW += ["torch", "numpy", "matplotlib", "autograder.mistakes", "autograder.course"]


@pytest.mark.parametrize("words", [["check", "small.ipynb"], ["--help"], ["check", "--help"]])
def test_the_command_imports_nothing_slow(words: list[str], tmp_path: Path) -> None:
    small(tmp_path, "x = 1")
    program = (
        "import sys\n"
        "from autograder.cli import main\n"
        f"sys.argv = ['autograder', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code, done.code\n"
        f"print('slow:', sorted(set({SLOW!r}) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("slow: []")
    assert done.stderr == ""


def test_exit_codes(tmp_path: Path) -> None:
    assert run("autograder", "check", small(tmp_path, "x = 1"), cwd=tmp_path).returncode == 0
    wrong = small(tmp_path, "x = 1", points="1.0")
    assert run("autograder", "check", wrong, cwd=tmp_path).returncode == 1
