"""The grader's side of a confined kernel: its process, its limits, and the sockets to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from autograder.grading.environment import small_environment
from autograder.grading.sandbox import kill_session, processes_of_session

# How often the watch looks.
TICK = 0.2
# Messages that wait to be read; each has a largest size.
MOST_WAITING = 16
# sun_path of unix(7), without the zero at its end, less what a channel adds to the name.
LONGEST_PLACE = 107 - len("-99")


@dataclass
class Watch:
    """Kills a session from a thread of its own: past a deadline, or with too much memory.

    A kernel can keep its client busy with messages, so that the client never looks at a clock.
    """

    memory_bytes: int
    deadline: float
    # Why the session was killed: "" or a sentence.
    why: str = ""
    late: bool = False
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, sid: int) -> None:
        """Watch session ``sid`` until ``stop``."""
        self._thread = threading.Thread(target=self._run, args=(sid,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From now on nothing is killed."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, sid: int) -> None:
        while not self._over.wait(TICK):
            used = sum(process.resident_bytes for process in processes_of_session(sid))
            if time.monotonic() > self.deadline:
                self.late, self.why = True, "It did not end in time."
            elif used > self.memory_bytes:
                self.why = f"The notebook used more than {self.memory_bytes / 2**30:g} GiB."
            if self.why:
                kill_session(sid)
                return


class Provisioner(LocalProvisioner):
    """A kernel in a session of its own, ended with everything that it has started."""

    watch: Watch

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the process, and the watch over its session."""
        info = await super().launch_kernel(cmd, **kwargs)
        assert self.pid is not None
        self.watch.start(self.pid)
        return info

    async def poll(self) -> int | None:
        """Look and do not reap: the number must stay taken until the session is empty."""
        if self.process is None or self.pid is None:
            return 0
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if ended is None else ended.si_status

    async def send_signal(self, signum: int) -> None:
        """To the kernel and what it runs in the foreground."""
        if self.process is not None and self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signum)

    async def kill(self, restart: bool = False) -> None:
        """End the whole session."""
        self.end()

    async def terminate(self, restart: bool = False) -> None:
        """The same: nobody waits for what a notebook does at its end."""
        self.end()

    async def wait(self) -> int | None:
        """The end of a session is waited for where it is ended."""
        self.end()
        return 0

    async def cleanup(self, restart: bool = False) -> None:
        """Also when the kernel ended by itself, what it started may be there."""
        self.end()
        await super().cleanup(restart)

    def end(self) -> None:
        """Kill all that is left of the session, then bury the kernel."""
        self.watch.stop()
        if self.process is not None and self.pid is not None:
            kill_session(self.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


class Manager(AsyncKernelManager):
    """Starts ``autograder.grading.jupyter.launcher`` and talks to it through Unix sockets."""

    def __init__(self, folder: Path, order: dict[str, Any], watch: Watch, most: int) -> None:
        """``folder`` is the grader's own, for the sockets; a message has at most ``most`` bytes."""
        context = zmq.asyncio.Context()
        # Defaults for the sockets that are made here, before they connect.
        context.setsockopt(zmq.MAXMSGSIZE, most)
        context.setsockopt(zmq.RCVHWM, MOST_WAITING)
        super().__init__(
            context=context, transport="ipc", connection_file=str(folder / "kernel.json")
        )
        self.ip = str(folder / "k")
        for port, channel in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1):
            setattr(self, f"{channel}_port", port)
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        self._own_spec = KernelSpec(
            argv=[
                sys.executable,
                # The working directory is the student's, and not to be imported from yet.
                "-P",
                "-m",
                "autograder.grading.jupyter.launcher",
                "{connection_file}",
                str(folder / "order.json"),
            ],
            display_name="confined",
            language="python",
        )
        self._environment = dict(order["environment"])
        self._watch = watch

    @property
    def kernel_spec(self) -> KernelSpec:
        """Always the same, whatever the notebook asks for."""
        return self._own_spec

    def client(self, **kwargs: Any) -> Any:
        """A client whose sockets have the bounds of this manager's."""
        return super().client(context=self.context, **kwargs)

    async def _async_pre_start_kernel(self, **kw: Any) -> Any:
        provisioner = Provisioner(
            kernel_id=self.kernel_id or "confined", kernel_spec=self._own_spec, parent=self
        )
        provisioner.watch = self._watch
        self.provisioner = provisioner
        # What it prints past IPython is nothing for the terminal of the grader.
        kw |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return await super()._async_pre_start_kernel(**kw, env=small_environment())

    def end(self) -> None:
        """End what is left, whatever happened before."""
        if isinstance(self.provisioner, Provisioner):
            self.provisioner.end()
        self.context.destroy(linger=0)
