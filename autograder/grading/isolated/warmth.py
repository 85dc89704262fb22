"""The warm processes of one worker, started when the first notebook needs them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.grading.engine import NoKernelError
from autograder.grading.environment import small_environment
from autograder.grading.isolated.descriptors import receive, send
from autograder.grading.isolated.peer import Channel
from autograder.grading.isolated.plan import Plan
from autograder.grading.isolated.walls import Walls, open_modules
from autograder.grading.limits import Limits

# One thread of arithmetic in each process: a fork would lose the others, and notebooks run side
# by side anyway.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


# A judge that has served so many is replaced by a new one.
MOST_JUDGED = 500
START = "from autograder.grading.isolated.zygote import main; main()"


@dataclass(frozen=True)
class Preload:
    """What a warm process imports and calls before the first fork, by role."""

    # Imported in the student's processes. Nothing of tests, mistakes or the gradebook.
    student: tuple[str, ...] = ()
    # Imported in the judge's process.
    judge: tuple[str, ...] = ()
    # Functions without arguments, as (module, function): called where the library is, and in the
    # judge's process alone.
    calls: tuple[tuple[str, str], ...] = ()
    judge_calls: tuple[tuple[str, str], ...] = ()
    # The library that only exercises about its objects may use.
    library: str = "torch"


class Zygote:
    """A warm process, seen from a worker. ``path`` is where it listens."""

    def __init__(self, path: Path) -> None:
        self._control = socket.socket(socket.AF_UNIX)
        try:
            self._control.connect(str(path))
            receive(self._control)
        except (OSError, EOFError) as error:
            raise NoKernelError(f"The warm process at {path} is gone; grade it again.") from error

    def fork(self, order: Mapping[str, Any], sockets: Sequence[socket.socket]) -> int:
        """A new process that gets ``sockets``, which are closed here; its number."""
        send(self._control, ["fork", dict(order)], [sock.fileno() for sock in sockets])
        pid, _ = receive(self._control)
        for sock in sockets:
            sock.close()
        return int(pid)

    def interrupt(self, pid: int) -> None:
        """What Ctrl-C does."""
        send(self._control, ["signal", pid, int(signal.SIGINT)])

    def end(self, pid: int) -> int:
        """Kill and bury; its exit code, or minus the signal that ended it."""
        send(self._control, ["end", pid])
        status, _ = receive(self._control)
        return int(status)

    def close(self) -> None:
        """End this copy and all that it forked."""
        self._control.close()


@dataclass
class Process:
    """A forked process, and the channel on which it takes orders."""

    zygote: Zygote
    pid: int
    orders: Channel
    gone: bool = False
    # Once gone: its exit code, or minus the signal that ended it.
    status: int = 0

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.zygote.interrupt(self.pid)

    def end(self) -> None:
        """Kill it, if it is not gone."""
        if not self.gone:
            self.orders.close()
            self.status = self.zygote.end(self.pid)
            self.gone = True


class Servers:
    """The warm processes for a set of plans, for all workers of this machine.

    One for each role: ``plain``, ``objects`` and ``judge``. They listen in ``folder``.
    """

    def __init__(
        self, plans: Mapping[str, Plan], preload: Preload, limits: Limits, walls: Walls
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="autograder-"))
        # Where children are confined to lies as deep, so that what is found out holds for them.
        (self.folder / "rehearsal").mkdir()
        opened = {name: open_modules(plan.imports) for name, plan in plans.items()}
        base: dict[str, Any] = {
            "absent": [],
            "calls": [],
            "plans": {},
            "walls": None,
            "opened": opened,
            "scratch": str(self.folder / "rehearsal"),
        }
        provided = {name for plan in plans.values() for name in plan.imports}
        calls = [list(call) for call in preload.calls]
        orders = {
            "plain": {
                **base,
                "role": "plain",
                "absent": [preload.library],
                "imports": list(preload.student),
                "walls": walls.order(limits, preload.library),
            },
            "objects": {
                **base,
                "role": "objects",
                "imports": [*preload.student, preload.library],
                "walls": walls.order(limits, None),
                "calls": calls,
            },
            "judge": {
                **base,
                "role": "judge",
                "imports": [*preload.judge, *sorted(provided)],
                "calls": [*calls, *map(list, preload.judge_calls)],
                "plans": {
                    name: {
                        "prepared": plan.prepared,
                        "tests": [
                            [t.cell, t.source, t.asks, t.probe, t.place]
                            for t in plan.tests.values()
                        ],
                    }
                    for name, plan in plans.items()
                },
            },
        }
        wanted = ["judge", "plain"]
        wanted += ["objects"] if any(plan.objects for plan in plans.values()) else []
        # All at once: each takes a second to import.
        self._started = [self._start(role, orders[role]) for role in wanted]

    def _start(
        self, role: str, order: Mapping[str, Any]
    ) -> tuple[subprocess.Popen[bytes], socket.socket]:
        mine, theirs = socket.socketpair()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / role))
        listener.listen(128)
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(listener.fileno())],
            stdin=theirs.fileno(),
            pass_fds=[listener.fileno()],
            env=small_environment() | dict.fromkeys(THREADS, "1") | {"MPLBACKEND": "agg"},
            start_new_session=True,
        )
        theirs.close()
        listener.close()
        send(mine, dict(order))
        return process, mine

    def close(self) -> None:
        """End all of them, and all that they forked."""
        for _, owner in self._started:
            owner.close()
        for process, _ in self._started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Warmth:
    """The warm processes of one worker. ``folder`` is where the servers listen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._zygotes: dict[str, Zygote] = {}
        self._judge: Process | None = None
        self._judged = 0

    def zygote(self, role: str) -> Zygote:
        """The warm process of a role. Raises ``NoKernelError`` when there is none."""
        if role not in self._zygotes:
            self._zygotes[role] = Zygote(self._folder / role)
        return self._zygotes[role]

    def judge(self) -> Process:
        """The judge of the next notebook."""
        if self._judge is None or self._judge.gone or self._judged >= MOST_JUDGED:
            if self._judge is not None:
                self._judge.end()
            mine, theirs = socket.socketpair()
            zygote = self.zygote("judge")
            pid = zygote.fork({"folder": str(self._folder)}, [theirs])
            self._judge = Process(zygote, pid, Channel(mine))
            self._judged = 0
        self._judged += 1
        return self._judge

    def close(self) -> None:
        """End them. The servers stay."""
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()
