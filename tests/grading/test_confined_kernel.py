"""What student code can do in a confined kernel, and what it cannot. Attacks run free first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from autograder.grading.engine import Engine, Job, KernelEngine, NoKernelError
from autograder.grading.isolated.walls import Walls
from autograder.grading.jupyter import engine as confined
from autograder.grading.jupyter.engine import ConfinedKernelEngine
from autograder.grading.limits import DEAD, TIMEOUT, Limits
from autograder.grading.sandbox import kernel, processes_of_session

pytestmark = pytest.mark.skipif(
    bool(kernel.why_not_here()), reason=kernel.why_not_here() or "confined elsewhere"
)

LIMITS = Limits(cell_seconds=30, notebook_seconds=120, output_bytes=1_000_000)


@pytest.fixture(scope="module")
def engine() -> ConfinedKernelEngine:
    return ConfinedKernelEngine(LIMITS, walls=Walls.of_this_machine())


def run(engine: Engine, *cells: str, files: dict[str, bytes] | None = None) -> list[NotebookNode]:
    """The cells after they were executed."""
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    executed = engine.execute(Job(notebook, files or {})).notebook
    nbformat.validate(executed)
    nbformat.writes(executed).encode()
    return list(executed.cells)


def text(cell: NotebookNode) -> str:
    """What a cell printed, and its value."""
    return "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def errors(cell: NotebookNode) -> list[str]:
    return [output.ename for output in cell.outputs if output.output_type == "error"]


SYNTAX = {
    "import asyncio\nawait asyncio.sleep(0)\n6 * 7": "42",
    "%%bash\necho from $((40 + 2))": "from 42\n",
    "!echo $((6 * 7)); echo error >&2": "42\nerror\n",
    "found = !echo one; echo two\nlist(found)": "['one', 'two']",
    "%env HOME": os.sep,
    "get_ipython().__class__.__name__": "Shell",
    "import os, subprocess, sys\nos.listdir()": "['data.csv']",
    "open('data.csv').read()": "'1,2'",
    "print(open('new.txt', 'w').write('four'))": "4",
    "import helper\nhelper.answer": "'from beside the notebook'",
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);": "<Figure",
    "os.environ['NBGRADER_EXECUTION']": "'autograde'",
    "subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True).stdout": "b'42",
    "import multiprocessing as m\nfork = m.get_context('fork')\n"
    "p = fork.Process(target=print, args=('child',))\np.start(); p.join()": "child\n",
    "%%capture kept\nprint('kept')": "",
    "kept.stdout": "'kept\\n'",
}


def test_the_syntax_of_ipython_and_the_shell_works(engine: ConfinedKernelEngine) -> None:
    files = {"data.csv": b"1,2", "helper.py": b"answer = 'from beside the notebook'"}
    cells = list(SYNTAX)
    # A folder of bytecode would appear beside the module.
    files_cell = cells.index("import os, subprocess, sys\nos.listdir()")
    cells[files_cell] = "import os, subprocess, sys\nsorted(os.listdir())"
    for cell, wanted in zip(run(engine, *cells, files=files), SYNTAX.values(), strict=True):
        wanted = "['data.csv', 'helper.py']" if "listdir" in cell.source else wanted
        assert wanted in text(cell), (cell.source, cell.outputs)
        assert not errors(cell), cell.source


@pytest.fixture
def secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A gradebook that anybody may read and write, as far as ordinary rights go."""
    folder = tmp_path_factory.mktemp("course")
    path = folder / "gradebook.db"
    path.write_text("points of everybody")
    for place in (path, folder, *list(folder.parents)[:-1]):
        if os.access(place, os.W_OK) and str(place).startswith("/tmp/"):
            place.chmod(place.stat().st_mode | 0o555)
    path.chmod(0o666)
    yield path


ATTACKS = {
    "read": "print(open({path!r}).read())",
    "read from a shell": "%%bash\ncat {path}",
    "read by a command": "!cat {path}",
    "read by a program": "import subprocess\nprint(subprocess.getoutput('cat {path}'))",
    "list": "import os\nprint('gradebook' if 'gradebook.db' in os.listdir({folder!r}) else '')",
}


def test_reads_no_gradebook(engine: ConfinedKernelEngine, secret: Path) -> None:
    cells = [a.format(path=str(secret), folder=str(secret.parent)) for a in ATTACKS.values()]
    for cell in run(KernelEngine(LIMITS), *cells):
        assert "points of everybody" in text(cell) or "gradebook" in text(cell), cell.source
    for cell in run(engine, *cells):
        assert "points of everybody" not in text(cell), cell.source
        assert not text(cell).startswith("gradebook"), cell.source


def test_writes_no_gradebook(engine: ConfinedKernelEngine, secret: Path) -> None:
    write = f"open({str(secret)!r}, 'w').write('mine')"
    shell = f"%%bash\necho mine > {secret}"
    run(engine, write, shell)
    assert secret.read_text() == "points of everybody"
    run(KernelEngine(LIMITS), write)
    assert secret.read_text() == "mine"


def test_has_no_network_and_makes_no_socket(engine: ConfinedKernelEngine) -> None:
    families = "AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"
    attempts = [f"import socket\nsocket.socket(socket.{family})" for family in families]
    bound = (
        "import os, socket\nsock, _ = socket.socketpair()\nsock.bind('/tmp/squat')",
        "sock.connect('/tmp/squat')",
        "sock.listen()",
    )
    for cell in run(engine, *attempts, *bound):
        assert errors(cell) == ["PermissionError"], cell.source


def test_does_not_reach_the_folder_of_its_sockets(engine: ConfinedKernelEngine) -> None:
    where = "import os\nplace = os.path.dirname(get_ipython().kernel.parent.ip)\nprint(place)"
    attempts = (
        "os.listdir(place)",
        "os.unlink(place + '/k-1')",
        "os.rename(place, '/tmp/elsewhere')",
        "open(place + '/kernel.json')",
        "open(place + '/report', 'a')",
    )
    first, *cells = run(engine, where, *attempts)
    assert "autograder-" in text(first)
    for cell in cells:
        assert errors(cell) == ["PermissionError"], cell.source


def test_sees_no_token_of_the_grader(
    engine: ConfinedKernelEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADER_TOKEN", "s3cret")
    look = "import os\nprint(os.environ.get('GRADER_TOKEN'))"
    shell = "%%bash\nenv"
    assert "s3cret" in text(run(KernelEngine(LIMITS), look)[0])
    assert not any("s3cret" in text(cell) for cell in run(engine, look, shell))


@pytest.mark.parametrize(
    "trap",
    [
        "autograder/__init__.py",
        "json.py",
        "socket.py",
        "sitecustomize.py",
        "zmq.py",
        "ipykernel/__init__.py",
    ],
)
def test_nothing_of_the_submission_runs_before_the_walls_stand(
    trap: str, engine: ConfinedKernelEngine, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    mark = tmp_path / "mark"
    attack = f"open({str(mark)!r}, 'w').write('free')".encode()
    cell, *_ = run(engine, "6 * 7", files={trap: attack})
    assert text(cell) == "42"
    assert not mark.exists()


def test_what_it_starts_ends_with_it(engine: ConfinedKernelEngine) -> None:
    start = (
        "import subprocess, os\n"
        "for _ in range(3): subprocess.Popen(['sleep', '1000'])\n"
        "if os.fork() == 0:\n    os.fork()\n    import time\n    time.sleep(1000)\n"
        "print(os.getsid(0))"
    )
    shell = "%%bash --bg\nsleep 1000 & disown"
    first, _ = run(engine, start, shell)
    assert not processes_of_session(int(text(first)))


def test_nothing_is_left_on_the_disk(
    engine: ConfinedKernelEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run(engine, "import os\nos.makedirs('deep/folder')\nos.chmod('deep', 0)")
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_stays_open(engine: ConfinedKernelEngine) -> None:
    """A class has thousands of notebooks, and each its sockets."""
    counts = []
    for cell in ("1", "1", "import os; os._exit(1)", "1"):
        run(engine, cell)
        counts.append(len(os.listdir("/proc/self/fd")))
    assert len(set(counts[1:])) == 1, counts


def test_an_interrupted_cell_costs_only_itself() -> None:
    limits = replace(LIMITS, cell_seconds=1)
    engine = ConfinedKernelEngine(limits, walls=Walls.of_this_machine())
    first, loop, last = run(engine, "1 + 1", "while True: pass", "6 * 7")
    assert (text(first), text(last)) == ("2", "42")
    assert TIMEOUT in errors(loop)


DEAF = "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n"
# It sends the grader messages faster than they are read, and never looks up.
BABBLE = """
kernel, parent = get_ipython().kernel, get_ipython().kernel.get_parent()
while True:
    try:
        while True:
            kernel.session.send(
                kernel.iopub_socket, "status", {"execution_state": "busy"}, parent=parent
            )
    except BaseException:
        pass
"""


@pytest.mark.parametrize("attack", [DEAF, BABBLE, "%%bash\ntrap '' INT\nwhile true; do :; done"])
def test_what_does_not_hear_is_killed_in_time(attack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "GRACE_SECONDS", 1.0)
    engine = ConfinedKernelEngine(replace(LIMITS, cell_seconds=1), walls=Walls.of_this_machine())
    before = time.monotonic()
    first, deaf, last = run(engine, "1 + 1", attack, "6 * 7")
    assert time.monotonic() - before < 60
    assert text(first) == "2"
    assert errors(deaf)
    assert TIMEOUT in errors(deaf)
    assert errors(last) or text(last) == "42"


def test_a_dead_kernel_keeps_what_ran_before(engine: ConfinedKernelEngine) -> None:
    first, dead, last = run(engine, "1 + 1", "import os\nos._exit(3)", "6 * 7")
    assert text(first) == "2"
    assert errors(dead) == errors(last) == [DEAD]


SEND = "kernel = get_ipython().kernel\nkernel.send_response(kernel.iopub_socket, {!r}, {!r})\n"
MALFORMED = [
    ("stream", {"name": "stdout", "text": 5}),
    ("stream", {"name": "stdout", "text": "\ud800"}),
    ("stream", {"name": 5}),
    ("display_data", {"data": 5, "metadata": {}}),
    ("display_data", {"data": {"text/plain": 5}, "metadata": {}}),
    ("execute_result", {"data": {"text/plain": {}}, "metadata": 1, "execution_count": "x"}),
    ("error", {"ename": 1, "evalue": None, "traceback": "x"}),
    ("comm_open", {"data": {"state": 5}, "comm_id": {}}),
    ("status", {}),
]


@pytest.mark.parametrize("message", MALFORMED, ids=[f"{m[0]}-{i}" for i, m in enumerate(MALFORMED)])
def test_a_message_of_the_wrong_form_harms_nobody(
    message: tuple[str, object], engine: ConfinedKernelEngine
) -> None:
    first, cell, _ = run(engine, "1 + 1", SEND.format(*message), "6 * 7")
    assert text(first) == "2"
    assert errors(cell)


def test_a_message_too_long_is_not_read() -> None:
    engine = ConfinedKernelEngine(replace(LIMITS, cell_seconds=3), walls=Walls.of_this_machine())
    long = SEND.format("display_data", {"data": {"text/plain": "LONG"}, "metadata": {}})
    first, cell, _ = run(engine, "1 + 1", long.replace("'LONG'", "'x' * 50_000_000"), "6 * 7")
    assert text(first) == "2"
    assert len(text(cell)) < LIMITS.output_bytes
    assert errors(cell)


def test_pictures_without_end_are_stopped(engine: ConfinedKernelEngine) -> None:
    flood = "from IPython.display import display\nwhile True: display('x' * 100_000)"
    (cell,) = run(engine, flood)
    assert len(text(cell)) <= LIMITS.output_bytes
    assert errors(cell)


def test_memory_of_all_its_processes_is_bounded() -> None:
    limits = replace(LIMITS, memory_bytes=2**30)
    engine = ConfinedKernelEngine(limits, walls=Walls.of_this_machine())
    one = "block = bytearray(2**31)"
    many = (
        "import os, time\n"
        "for _ in range(5):\n"
        "    if os.fork() == 0:\n"
        "        block = b'x' * (250 * 2**20)\n"
        "        time.sleep(1000)\n"
        "time.sleep(20)"
    )
    first, second = run(engine, one, many)
    assert errors(first) == ["MemoryError"]
    (error,) = [output for output in second.outputs if output.output_type == "error"]
    assert (error.ename, error.evalue) == (DEAD, "The notebook used more than 1 GiB.")


def test_a_kernel_that_cannot_be_confined_is_said_so() -> None:
    walls = Walls(frozenset({"moat"}))
    with pytest.raises(NoKernelError, match="There is no layer 'moat'"):
        run(ConfinedKernelEngine(LIMITS, walls=walls), "1 + 1")


def test_another_language_is_refused_in_a_sentence(engine: ConfinedKernelEngine) -> None:
    notebook = new_notebook(cells=[new_code_cell("1 + 1")])
    notebook.metadata["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    with pytest.raises(NoKernelError, match="grade it with --unconfined"):
        engine.execute(Job(notebook))


def test_the_kernel_ends_with_its_grader(tmp_path: Path) -> None:
    """Also where the grader is killed and cannot clean up."""
    script = tmp_path / "grader.py"
    script.write_text(
        "from nbformat.v4 import new_code_cell, new_notebook\n"
        "from autograder.grading.engine import Job\n"
        "from autograder.grading.isolated.walls import Walls\n"
        "from autograder.grading.jupyter.engine import ConfinedKernelEngine\n"
        'cell = new_code_cell(\'import os, time; open("../tmp/sid", "w")'
        ".write(str(os.getsid(0))); time.sleep(1000)')\n"
        "walls = Walls.of_this_machine()\n"
        "ConfinedKernelEngine(walls=walls).execute(Job(new_notebook(cells=[cell])))\n"
    )
    # A short name: where a socket's would become too long, the engine goes elsewhere.
    folder = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
    folder.chmod(0o755)
    grader = subprocess.Popen([sys.executable, script], env={**os.environ, "TMPDIR": str(folder)})
    try:
        found: list[str] = []
        deadline = time.monotonic() + 60
        while not found and time.monotonic() < deadline:
            time.sleep(0.1)
            found = [p.read_text() for p in folder.glob("*/tmp/sid") if p.read_text()]
        (sid,) = found
        assert processes_of_session(int(sid))
    finally:
        grader.kill()
        grader.wait()
        shutil.rmtree(folder, ignore_errors=True)
    deadline = time.monotonic() + 10
    while processes_of_session(int(sid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes_of_session(int(sid))
