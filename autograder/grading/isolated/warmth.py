"""The warm processes of one worker, started when the first notebook needs them."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.grading.engine import NoKernelError
from autograder.grading.isolated.descriptors import receive, send
from autograder.grading.isolated.launch import JUDGE, OBJECTS, PLAIN, SCRATCH, Launch, Preload
from autograder.grading.isolated.peer import Channel
from autograder.grading.isolated.plan import Plan
from autograder.grading.isolated.walls import Walls, open_modules
from autograder.grading.limits import Limits

# A judge that has served so many is replaced by a new one.
MOST_JUDGED = 500


class Zygote:
    """A warm process, seen from a worker. ``path`` is where it listens."""

    def __init__(self, path: Path) -> None:
        self._control = socket.socket(socket.AF_UNIX)
        try:
            self._control.connect(str(path))
            receive(self._control)
            if hasattr(os, "sched_getaffinity"):
                send(self._control, ["stay", sorted(os.sched_getaffinity(0))])
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

    One for each role: ``plain``, ``objects`` and ``judge``. They listen in ``folder``. Those of
    ``launch`` are on their way already.
    """

    def __init__(
        self,
        plans: Mapping[str, Plan],
        preload: Preload,
        limits: Limits,
        walls: Walls,
        launch: Launch | None = None,
    ) -> None:
        self._launch = launch or Launch(preload)
        self.folder = self._launch.folder
        if any(plan.objects for plan in plans.values()):
            self._launch.start(OBJECTS)
        # Where children are confined to lies as deep, so that what is found out holds for them.
        above = self.folder / SCRATCH
        rehearsal = above / "rehearsal" / PLAIN
        rehearsal.mkdir(parents=True)
        opened = {name: open_modules(plan.imports) for name, plan in plans.items()}
        for role, started in self._launch.started.items():
            order: dict[str, Any] = {"role": role, "calls": [], "plans": {}}
            order |= {"walls": None, "opened": opened, "scratch": str(rehearsal)}
            order["above"] = str(above)
            if role != PLAIN:
                order["calls"] = [list(call) for call in preload.calls]
            if role == JUDGE:
                order["calls"] += map(list, preload.judge_calls)
                order["plans"] = {name: _for_the_judge(plan) for name, plan in plans.items()}
            else:
                without = preload.library if role == PLAIN else None
                order["walls"] = walls.order(limits, without)
            send(started.owner, order)
        self._launch.ordered = True

    def close(self) -> None:
        """End all of them, and all that they forked."""
        self._launch.close()


def _for_the_judge(plan: Plan) -> dict[str, Any]:
    tests = [[t.cell, t.source, t.asks, t.probe, t.place] for t in plan.tests.values()]
    return {"prepared": plan.prepared, "tests": tests}


class Warmth:
    """The warm processes of one worker. ``folder`` is where the servers listen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._zygotes: dict[str, Zygote] = {}
        self._judge: Process | None = None
        self._judged = 0

    def new_folder(self) -> Path:
        """For the scratch folders of one notebook, to be removed by the caller."""
        return Path(tempfile.mkdtemp(dir=self._folder / SCRATCH))

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
