"""The warm processes of one worker, started when the first notebook needs them."""

from __future__ import annotations

import os
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

from autograder.grading.engine import Limits
from autograder.grading.isolated.descriptors import receive, send
from autograder.grading.isolated.peer import Channel
from autograder.grading.isolated.plan import Plan
from autograder.grading.isolated.walls import Walls, open_modules

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
    """A warm process, seen from outside."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        mine, theirs = socket.socketpair()
        environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", START],
            stdin=theirs.fileno(),
            env=environment,
            start_new_session=True,
        )
        theirs.close()
        self._control = mine
        send(mine, dict(order))
        self._warm = False

    def fork(self, order: Mapping[str, Any], sockets: Sequence[socket.socket]) -> int:
        """A new process that gets ``sockets``, which are closed here; its number."""
        self._await_warmth()
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
        """End the warm process and all that it forked."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_warmth(self) -> None:
        if not self._warm:
            receive(self._control)
            self._warm = True


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


class Warmth:
    """The warm processes for a set of plans, by role: ``plain``, ``objects`` and ``judge``."""

    def __init__(
        self, plans: Mapping[str, Plan], preload: Preload, limits: Limits, walls: Walls
    ) -> None:
        self._folder = tempfile.mkdtemp(prefix="autograder-")
        # Where children are confined to lies as deep, so that what is found out holds for them.
        Path(self._folder, "rehearsal").mkdir()
        opened = {name: open_modules(plan.imports) for name, plan in plans.items()}
        base: dict[str, Any] = {
            "absent": [],
            "calls": [],
            "plans": {},
            "walls": None,
            "opened": opened,
            "scratch": str(Path(self._folder, "rehearsal")),
        }
        provided = {name for plan in plans.values() for name in plan.imports}
        calls = [list(call) for call in preload.calls]
        self._orders = {
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
                        "tests": [[t.cell, t.source, t.asks, t.probe] for t in plan.tests.values()],
                    }
                    for name, plan in plans.items()
                },
            },
        }
        self._zygotes: dict[str, Zygote] = {}
        wanted = ["judge", "plain"]
        wanted += ["objects"] if any(plan.objects for plan in plans.values()) else []
        self._judge: Process | None = None
        self._judged = 0
        for role in wanted:  # all at once: each takes a second to import
            self._zygotes[role] = Zygote(self._orders[role])

    def zygote(self, role: str) -> Zygote:
        """The warm process of a role."""
        return self._zygotes[role]

    def judge(self) -> Process:
        """The judge of the next notebook."""
        if self._judge is None or self._judge.gone or self._judged >= MOST_JUDGED:
            if self._judge is not None:
                self._judge.end()
            mine, theirs = socket.socketpair()
            zygote = self._zygotes["judge"]
            pid = zygote.fork({"folder": self._folder}, [theirs])
            self._judge = Process(zygote, pid, Channel(mine))
            self._judged = 0
        self._judged += 1
        return self._judge

    def close(self) -> None:
        """End all of them."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for zygote in self._zygotes.values():
            zygote.close()
        self._zygotes.clear()
