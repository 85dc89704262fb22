"""The engine: one notebook in, the executed notebook out, with student and tests kept apart."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from autograder.grading.engine import Engine, Executed, Job
from autograder.grading.isolated.descriptors import send
from autograder.grading.isolated.launch import Launch, Preload
from autograder.grading.isolated.messages import as_outputs, error_output
from autograder.grading.isolated.peer import Channel, GoneError, LateError
from autograder.grading.isolated.plan import Plan, needs_kernel, steps
from autograder.grading.isolated.walls import Walls
from autograder.grading.isolated.warmth import Process, Servers, Warmth
from autograder.grading.isolated.wire import WireError, decode, encode
from autograder.grading.limits import DEAD, TIMEOUT, Limits
from autograder.grading.notebook_json import shallow

# After an interrupt, a cell has this long to end by itself; then its process is killed.
GRACE_SECONDS = 1.0
# How long a process that does not answer has to end by itself, so that it can be said how.
FAREWELL_SECONDS = 0.05


@dataclass(frozen=True)
class IsolatedEngine:
    """Student's cells in a confined process, test cells in another; see the package."""

    plans: Mapping[str, Plan]
    # For notebooks whose tests share a process with the student, and for IPython's own syntax.
    otherwise: Engine
    limits: Limits = Limits()
    preload: Preload = field(default_factory=Preload)
    walls: Walls = Walls()
    # Run also the instructor's cells without points, so that feedback shows their pictures.
    every_cell: bool = False
    servers: Path | None = None

    def execute(self, job: Job) -> Executed:
        """See ``Engine.execute``."""
        if job.name not in self.plans or needs_kernel(job.notebook):
            return self.otherwise.execute(job)
        # Of the notebook, the outputs of cells are all that changes.
        notebook = shallow(job.notebook)
        notebook["cells"] = [shallow(cell) for cell in job.notebook.cells]
        with _Execution(self, job, notebook) as execution:
            execution.run()
        return Executed(notebook, "apart")

    def started(self, launch: Launch | None = None) -> Servers:
        """The warm processes of this engine, to be closed by the caller; see ``served_by``.

        Those of ``launch`` are on their way already.
        """
        return Servers(self.plans, self.preload, self.limits, self.walls, launch)

    def served_by(self, servers: Servers) -> IsolatedEngine:
        """This engine, with warm processes that all workers of this machine share."""
        return replace(self, servers=servers.folder)

    def warmth(self) -> Warmth:
        """The warm processes of this worker process."""
        global _warmth
        if _warmth is None or _warmth[0] != self:
            _close()
            # On another machine, say, there are none to share.
            own = None if self.servers and self.servers.is_dir() else self.started()
            folder = own.folder if own else self.servers
            assert folder is not None
            _warmth = (self, Warmth(folder), own)
        return _warmth[1]

    def layers(self) -> list[dict[str, Any]]:
        """See ``Engine.layers``."""
        return self.walls.layers()


# One engine for each worker process.
_warmth: tuple[IsolatedEngine, Warmth, Servers | None] | None = None


@atexit.register
def _close() -> None:
    global _warmth
    if _warmth is not None:
        _warmth[1].close()
        if _warmth[2] is not None:
            _warmth[2].close()
    _warmth = None


class _Execution:
    """One notebook on its way through its two or three processes."""

    def __init__(self, engine: IsolatedEngine, job: Job, notebook: NotebookNode) -> None:
        self._engine = engine
        self._limits = engine.limits
        self._plan = engine.plans[job.name]
        self._notebook = notebook
        self._deadline = time.monotonic() + engine.limits.notebook_seconds
        self._name = job.name
        self._files = job.files
        self._students: dict[str, Process] = {}
        self._judge: Process | None = None
        self._irregular = False

    def __enter__(self) -> _Execution:
        warmth = self._engine.warmth()
        self._folder = warmth.new_folder()
        roles = ["plain", "objects"] if self._plan.objects else ["plain"]
        order: dict[str, Any] = {
            "output_bytes": self._limits.output_bytes,
            "pictures": True,
            "notebook": self._name,
        }
        to_students: list[socket.socket] = []
        for role in roles:
            mine, theirs = socket.socketpair()
            judges, students = socket.socketpair()
            order["folder"] = str(self._scratch(role))
            pid = warmth.zygote(role).fork(order, [theirs, students])
            self._students[role] = Process(warmth.zygote(role), pid, Channel(mine))
            to_students.append(judges)
        self._judge = warmth.judge()
        begin = ["begin", self._name, roles, self._limits.output_bytes]
        send(self._judge.orders.socket, begin, [sock.fileno() for sock in to_students])
        for sock in to_students:
            sock.close()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._students.values():
            process.end()
        # A judge that was interrupted may have been so anywhere; the next notebook gets a new one.
        if self._irregular and self._judge is not None:
            self._judge.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _scratch(self, role: str) -> Path:
        """A folder for one process, with the files that lie beside the notebook."""
        folder = self._folder / role
        folder.mkdir()
        for name, data in self._files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def run(self) -> None:
        """Execute every cell in order; see ``Engine.execute``."""
        decided = steps(self._plan, self._notebook)
        for index, step in decided.items():
            if step == "skip" and not self._engine.every_cell:
                continue
            cell = self._notebook.cells[index]
            cell.outputs = self._test(cell) if step == "test" else self._run(cell, index)

    def _run(self, cell: NotebookNode, index: int) -> list[NotebookNode]:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        shown = "objects" if grade_id in self._plan.objects else "plain"
        order = [grade_id or f"cell {index + 1}", cell.source]
        found: list[NotebookNode] = []
        for role, process in self._students.items():
            outputs = self._ask(process, order, [process])
            if role == shown:
                found = outputs
        return found

    def _test(self, cell: NotebookNode) -> list[NotebookNode]:
        test = self._plan.tests.get(str(cell.metadata.nbgrader.grade_id))
        assert self._judge is not None
        if test is None:
            return [error_output("NameError", "This test cell is not one of the course.")]
        student = self._students[test.place]
        if student.gone:
            return [error_output(DEAD, self._how_it_died(student))]
        outputs = self._ask(self._judge, ["test", test.cell], [student, self._judge])
        if any(output.get("ename") == GoneError.__name__ for output in outputs):
            time.sleep(FAREWELL_SECONDS)
            student.end()
            return [error_output(DEAD, self._how_it_died(student))]
        return outputs

    def _ask(self, process: Process, order: Any, culprits: list[Process]) -> list[NotebookNode]:
        """The outputs of one cell. Past its time the ``culprits`` are interrupted, then killed.

        One after the other: a judge whose student was interrupted has something to say.
        """
        if process.gone:
            return [error_output(DEAD, self._how_it_died(process))]
        now = time.monotonic()
        deadline = min(now + self._limits.cell_seconds, self._deadline)
        late: list[NotebookNode] = []
        try:
            process.orders.deadline = None
            process.orders.send(encode(order))
            try:
                process.orders.deadline = max(deadline, now + 0.01)
                answer = process.orders.receive()
            except LateError:
                late = [error_output(TIMEOUT, self._which_time(now))]
                self._irregular = True
                answer = self._after_interrupt(process, culprits)
            return [*as_outputs(decode(answer)), *late]
        except LateError:
            for culprit in culprits:
                culprit.end()
            return late
        except (GoneError, WireError, ValueError):
            time.sleep(FAREWELL_SECONDS)
            process.end()
            return [error_output(DEAD, self._how_it_died(process))]

    @staticmethod
    def _after_interrupt(process: Process, culprits: list[Process]) -> bytes:
        for culprit in culprits:
            culprit.interrupt()
            process.orders.deadline = time.monotonic() + GRACE_SECONDS
            with contextlib.suppress(LateError):
                answer = process.orders.receive()
                # A student who was still busy when the judge gave up will never be in step again.
                for earlier in culprits[: culprits.index(culprit)]:
                    earlier.end()
                return answer
        raise LateError

    def _which_time(self, began: float) -> str:
        if began + self._limits.cell_seconds <= self._deadline:
            return f"The cell ran for more than {self._limits.cell_seconds:g} seconds."
        return f"The notebook ran for more than {self._limits.notebook_seconds:g} seconds."

    def _how_it_died(self, process: Process) -> str:
        if process.status == -signal.SIGXCPU:
            return (
                f"The code used more than {self._limits.cpu_seconds:g} seconds of processor time."
            )
        if process.status == -signal.SIGKILL:
            return "The process that ran this cell was ended: it did not stop when it was told to."
        if process.status < 0:
            return f"The process that ran this cell died ({signal.Signals(-process.status).name})."
        return "The process that ran this cell ended itself."
