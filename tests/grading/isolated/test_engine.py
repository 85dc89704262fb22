"""Right and wrong answers get their points, and no trick gets more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autograder.grading.isolated.engine import IsolatedEngine
from autograder.grading.isolated.warmth import Warmth
from autograder.grading.limits import DEAD, TIMEOUT
from tests.grading.isolated.conftest import SOLVED, Graded, text

ROOT = Path(__file__).parents[3]


def test_the_solution_gets_all_points(grade: Graded) -> None:
    assert grade()[0] == SOLVED


def test_an_unchanged_picture_is_not_drawn(grade: Graded, engine, notebook) -> None:  # type: ignore[no-untyped-def]
    _, executed = grade()
    assert [c.outputs for c in executed.cells if "picture" in c.source] == [[]]
    picture = next(c for c in notebook.cells if "picture" in c.source)
    _, executed = grade({picture.id: picture.source + "\n1"})
    assert [len(c.outputs) for c in executed.cells if "picture" in c.source] == [2]


@pytest.mark.parametrize(
    ("answers", "lost"),
    [
        ({"affine": "def affine(x, W, b):\n    return W @ x"}, {"affine-check": 0.0}),
        ({"affine": "raise NotImplementedError"}, {"affine-check": 0.0}),
        ({"affine": "def affine(x W b)"}, {"affine-check": 0.0}),
        ({"affine": "affine = 3"}, {"affine-check": 0.0}),
        ({"scale": "def scale(f, x):\n    return f(x)"}, {"scale-check": 0.0}),
        ({"answer": "answer = 'a quarter'"}, {"answer-check": 0.0}),
        ({"answer": "answer = object()"}, {"answer-check": 0.0}),
        ({"answer": "import numpy as np\nanswer = np.float64(0.25)"}, {}),
        ({"Layer": "class Layer:\n    pass"}, {"Layer-check": 0.0}),
        ({"Layer": "def Layer():\n    return lambda x: 3 * x"}, {}),
        ({"setup": "import numpy as np\nimport torch"}, {}),
    ],
)
def test_each_answer_costs_its_own_points(
    grade: Graded, answers: dict[str, str], lost: dict[str, float]
) -> None:
    assert grade(answers)[0] == SOLVED | lost


@pytest.mark.parametrize(
    ("source", "why"),
    [
        # An object that is equal to everything, and arrays that say so of themselves.
        ("class Yes:\n    __eq__ = lambda *_: True\ndef affine(x, W, b):\n    return Yes()", "Yes"),
        (
            "class Yes(np.ndarray):\n"
            "    def __sub__(self, other): return np.zeros(len(self))\n"
            "    __rsub__ = __sub__\n"
            "    def __eq__(self, other): return np.ones(len(self), bool)\n"
            "def affine(x, W, b):\n    return np.zeros(len(b)).view(Yes)",
            "differs",
        ),
        # The checks and NumPy, patched in the student's own process.
        (
            "import autograder.checks.compare as c, autograder.checks.check as k\n"
            "c.compare = k.compare = lambda *a, **b: None\n"
            "np.allclose = np.array_equal = lambda *a, **b: True\n"
            "k.Check.grade = lambda self: 2.0\n"
            "def affine(x, W, b):\n    return np.zeros(len(b))",
            "differs",
        ),
        ("import torch\ndef affine(x, W, b):\n    return torch.relu(x)", "without torch"),
        ("def affine(x, W, b):\n    raise SystemExit", "SystemExit"),
        # It parses, and only the compiler refuses it.
        ("def affine(x, W, b):\n    global x\n    return x", "affine is not defined"),
        ("def affine(x, W, b):\n    return affine(x, W, b)", "RecursionError"),
    ],
)
def test_a_trick_earns_nothing(grade: Graded, source: str, why: str) -> None:
    earned, executed = grade({"affine": f"import numpy as np\n{source}\n"})
    assert earned == SOLVED | {"affine-check": 0.0}
    assert why in text(executed, "affine-check")


@pytest.mark.parametrize(
    "told",
    [
        "None",
        "3",
        "{}",
        "[{'values': {'z': 'right'}}] * 4",
        "[1] * 10**6",
        "[]",
        "object()",
        "print",
    ],
)
def test_a_forged_account_of_a_call_earns_nothing(grade: Graded, told: str) -> None:
    source = f"import autograder.checks.calling as c\nc.calls_for_data = lambda *a: {told}\n"
    earned, _ = grade({"affine": source + "def affine(x, W, b):\n    return W @ x\n"})
    assert earned == dict.fromkeys(SOLVED, 0.0) | {"answer-check": 3.0}


AFFINE = "def affine(x, W, b):\n    return W @ x + b\n"
SPY = """
import numpy as np
found = []
def attempt(what):
    try:
        found.append(str(what())[:200])
    except Exception as error:
        found.append("refused: " + type(error).__name__)
"""


@pytest.mark.parametrize(
    "code",
    [
        f"open({str(ROOT / 'source' / '01-forward-pass.py')!r}).read()",
        f"open({str(ROOT / 'autograder' / 'mistakes' / 'nb01_forward_pass.py')!r}).read()",
        f"open({str(ROOT / 'autograder' / 'checks' / '..' / 'demo.py')!r}).read()",
        "__import__('autograder.mistakes.nb01_forward_pass')",
        "__import__('autograder.mistakes').mistakes_of('affine')[0]",
        "__import__('autograder.provided.two_layer_ffn')",
        "__import__('torch.nn').nn.Linear(2, 2)",
        "open('/etc/passwd').read()",
        "__import__('os').listdir('/')",
        f"__import__('os').listdir({str(Path.home())!r})",
        "open('/proc/1/environ').read()",
        "open('/proc/GRADER/mem', 'rb').read(1)",
        "open('/tmp/left-behind', 'w')",
        "__import__('socket').socket()",
        "__import__('os').fork()",
        "__import__('subprocess').run(['/bin/true'])",
        "__import__('os').kill(GRADER, 0)",
        "__import__('os').kill(__import__('os').getppid(), 15)",
    ],
)
def test_nothing_outside_can_be_reached(grade: Graded, code: str) -> None:
    source = (
        f"{SPY}\nattempt(lambda: {code})\nprint(found)\ndef affine(x, W, b):\n    return W @ x + b"
    )
    earned, executed = grade({"affine": source})
    assert earned == SOLVED
    assert "refused: " in text(executed, "affine")


def test_the_students_memory_holds_no_tests(grade: Graded) -> None:
    source = SPY + (
        "import gc, sys\n"
        "needle = ''.join(reversed(list('terces a')))\n"
        "texts = [o for o in gc.get_objects() if isinstance(o, (dict, list, tuple))]\n"
        "hits = [s for t in texts for s in (t.values() if isinstance(t, dict) else t)\n"
        "        if isinstance(s, str) and needle in s and s is not needle]\n"
        "names = [m for m in sys.modules if 'nbgrader' in m or 'mistakes.nb' in m]\n"
        "print('hits:', len(hits), names)\n"
        "def affine(x, W, b):\n    return W @ x + b\n"
    )
    earned, executed = grade({"affine": source})
    assert earned == SOLVED
    assert "hits: 0 []" in text(executed, "affine")


@pytest.mark.parametrize(
    "code",
    [
        # Whatever descriptors there are: answers that were never asked for, and noise.
        "for fd in range(3, 30):\n    try: os.write(fd, os.urandom(64))\n    except OSError: pass",
        "import msgpack, struct\n"
        "told = msgpack.packb(['done', {'answer': 0.25}])\n"
        "for fd in range(3, 30):\n"
        "    try: os.write(fd, struct.pack('<Q', len(told)) + told)\n"
        "    except OSError: pass",
        "for fd in range(3, 30):\n    try: os.close(fd)\n    except OSError: pass",
    ],
)
def test_noise_on_the_channels_earns_nothing(grade: Graded, code: str) -> None:
    wrong = "def affine(x, W, b):\n    return W @ x\n"
    earned, _ = grade({"affine": f"import os\nimport numpy as np\n{wrong}{code}\n"})
    assert earned["affine-check"] == 0.0
    assert sum(earned.values()) <= sum(SOLVED.values()) - 2.0
    assert grade()[0] == SOLVED, "the next student is not touched"


def test_forged_outputs_of_a_cell_earn_nothing(grade: Graded) -> None:
    code = (
        "import os, struct, msgpack\n"
        "told = msgpack.packb([{'output_type': 'stream', 'name': 'stdout', 'text': 'forged'}])\n"
        "for fd in range(3, 30):\n"
        "    try: os.write(fd, struct.pack('<Q', len(told)) + told)\n"
        "    except OSError: pass\n"
    )
    earned, _ = grade({"affine": code})
    assert earned["affine-check"] == 0.0


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("cell", "while True: pass"),
        ("function", "while True: pass"),
        (
            "function",
            "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass",
        ),
        ("function", "import time; time.sleep(3600)"),
        ("function", "import threading; threading.Event().wait()"),
    ],
)
def test_what_does_not_end_is_ended(grade: Graded, where: str, code: str) -> None:
    source = code if where == "cell" else f"def affine(x, W, b):\n    {code}\n"
    earned, executed = grade({"affine": source})
    assert earned["affine-check"] == 0.0
    said = text(executed, "affine" if where == "cell" else "affine-check")
    assert "for more than 2 seconds" in said
    last = next(c for c in executed.cells if c.id == "Layer-check")
    if "SIG_IGN" in code:
        assert earned == dict.fromkeys(SOLVED, 0.0) | {"Layer-check": earned["Layer-check"]}
    else:
        assert earned == SOLVED | {"affine-check": 0.0}
        assert not [o for o in last.outputs if o.output_type == "error"]
    names = {o.ename for c in executed.cells for o in c.get("outputs", []) if "ename" in o}
    assert TIMEOUT in names
    assert grade()[0] == SOLVED


def test_a_process_that_dies_keeps_what_was_earned_before(grade: Graded) -> None:
    earned, executed = grade({"scale": "def scale(f, x):\n    import os; os._exit(3)\n"})
    assert earned == SOLVED | {"scale-check": 0.0, "answer-check": 0.0}
    assert "ended itself" in text(executed, "scale-check")
    cell = next(c for c in executed.cells if c.id == "answer-check")
    assert cell.outputs[-1].ename == DEAD


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import numpy as np\nnp.ones(2**40)", "may use 8,192 MB"),
        ("files = [open('x', 'w') for _ in range(1000)]", "may have 64 files open"),
        ("open('x', 'wb').write(bytes(200_000_000))", "a file may have 100 MB"),
        ("open('/etc/passwd')", "in its own folder only"),
        ("while True: print('x' * 1000)", "more than 100,000 characters"),
    ],
)
def test_a_limit_says_that_it_struck(grade: Graded, source: str, sentence: str) -> None:
    earned, executed = grade({"affine": source})
    assert sentence in text(executed, "affine")
    assert earned == SOLVED | {"affine-check": 0.0}


def test_files_beside_the_notebook_are_there(grade: Graded) -> None:
    source = "print(open('data/words.txt').read())\ndef affine(x, W, b):\n    return W @ x + b"
    earned, executed = grade({"affine": source}, {"data/words.txt": b"a word"})
    assert earned == SOLVED
    assert "a word" in text(executed, "affine")


def test_the_environment_holds_nothing_of_the_graders(grade: Graded) -> None:
    source = f"import os\nprint(sorted(os.environ))\n{AFFINE}"
    earned, executed = grade({"affine": source})
    assert earned == SOLVED
    shown = text(executed, "affine")
    assert "NBGRADER_EXECUTION" in shown
    assert not [name for name in ("TOKEN", "PYTEST_CURRENT_TEST", "USER") if name in shown]


def test_a_picture_of_the_students_is_in_the_page(grade: Graded) -> None:
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('é'); plt.show()\n"
    earned, executed = grade({"affine": plot + AFFINE})
    assert earned == SOLVED
    cell = next(c for c in executed.cells if c.id == "affine")
    assert [sorted(o.data) for o in cell.outputs] == [["image/png", "text/plain"]]


def test_an_error_of_a_tests_function_has_its_own_name(grade: Graded) -> None:
    earned, executed = grade({"scale": "def scale(f, x):\n    return f(x, x)\n"})
    assert earned == SOLVED | {"scale-check": 0.0}
    assert "scale raised TypeError" in text(executed, "scale-check")
    caught = "def scale(f, x):\n    try: f()\n    except TypeError: return 2 * f(x)\n"
    assert grade({"scale": caught})[0] == SOLVED


def test_ipythons_own_syntax_goes_to_a_kernel(engine, notebook) -> None:  # type: ignore[no-untyped-def]
    import copy

    from autograder.grading.isolated.plan import needs_kernel

    for source, needed in [
        ("%timeit 1", True),
        ("!ls", True),
        ("%%bash\nls", True),
        ("import asyncio\nawait asyncio.sleep(0)", True),
        ("get_ipython().run_line_magic('who', '')", True),
        ("x?", True),
        ("def f(", False),
        ("1 + 1", False),
    ]:
        changed = copy.deepcopy(notebook)
        changed.cells[1].source = source
        assert needs_kernel(changed) is needed, source


def test_the_processes_of_a_notebook_stay_where_their_worker_is(engine: IsolatedEngine) -> None:
    usable = os.sched_getaffinity(0)
    servers = engine.started()
    os.sched_setaffinity(0, {min(usable)})
    warmth = Warmth(servers.folder)
    try:
        assert os.sched_getaffinity(warmth.judge().pid) == {min(usable)}
    finally:
        os.sched_setaffinity(0, usable)
        warmth.close()
        servers.close()
