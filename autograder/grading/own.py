"""A fresh Python process in which a student's own notebook runs, on any operating system.

This side starts it, waits for each cell as long as the cell may take, and ends it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autograder.grading.limits import DEAD, DIED, TIMEOUT, Limits
from autograder.grading.needed import CellToRun

# After an interrupt, a cell has this long to end by itself; then its process is killed.
GRACE_SECONDS = 1.0
# How often this side looks up from waiting: for Ctrl-C on Windows, and for a process that is gone.
LOOK_SECONDS = 0.2
LATE = "No reply before the time limit."
# One thread of arithmetic: the arrays of an exercise are small.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
MODULE = "autograder.grading.own_cells"
# What every notebook of the course imports: on its way before anybody has read the notebook.
USUAL = ("numpy", "torch", "autograder.checks")

Outputs = list[dict[str, Any]]


class OwnProcess:
    """A process whose working directory is ``folder``; it ends with the ``with`` statement."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + limits.notebook_seconds
        self._gone: str | None = None
        environment = {
            **os.environ,
            **dict.fromkeys(THREADS, "1"),
            # Figures are drawn into memory: there may be no display.
            "MPLBACKEND": "module://autograder.grading.isolated.figures",
        }
        # A group of its own, so that Ctrl-C reaches this side alone, which then ends the group.
        group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        # -P: a file beside the notebook that is called random.py must not stop the start.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, *USUAL],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **group,
        )
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def start(self, cells: Sequence[CellToRun]) -> None:
        """Say which ``cells`` are to be run, one after the other; see ``wait_for_imports``."""
        imports = dict.fromkeys(name for cell in cells for name in cell.imports)
        self._tell(
            {
                "imports": list(imports),
                "cells": [[cell.label, cell.source] for cell in cells],
                "output_bytes": self._limits.output_bytes,
            }
        )

    def wait_for_imports(self) -> None:
        """Until the first cell begins: what the course imports is no fault of a cell."""
        self._receive(self._deadline)

    def outputs(self, cell: CellToRun) -> Outputs:
        """What the next cell shows. Ask for each cell of ``start``, in order.

        A cell that was stopped, or that was not reached, ends in an output of type error whose
        name is ``CellTimeoutError`` or ``DeadKernelError``.
        """
        if self._gone:
            return [_error(DEAD, self._gone)]
        found = self._receive(min(time.monotonic() + self._limits.cell_seconds, self._deadline))
        if found is not None:
            return found
        if self._gone:
            return [_error(DEAD, self._gone)]
        self._tell({"interrupt": cell.label})
        late = _error(TIMEOUT, LATE)
        found = self._receive(time.monotonic() + GRACE_SECONDS)
        if found is None:
            self._gone = self._gone or "A cell above did not end in time and could not be stopped."
            self._end()
        return [*(found or []), late]

    def _receive(self, deadline: float) -> Outputs | None:
        """The next thing that is said; None when nothing is in time, or the process is gone."""
        ended = False
        while True:
            left = deadline - time.monotonic()
            try:
                line = self._said.get(timeout=max(0.01, min(left, LOOK_SECONDS)))
            except queue.Empty:
                if ended:  # a process that it started may hold the pipe open
                    self._gone = DIED
                if self._gone or left <= 0:
                    return None
                ended = self._process.poll() is not None
                continue
            try:
                found: Outputs = json.loads(line)
                return found
            except ValueError:  # nothing, or half of a line: the process has ended
                self._gone = DIED
                return None

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a process that is gone is noticed when it is asked
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        """In a thread: pass on every line, and in the end an empty one."""
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._said.put(line)
        self._said.put(b"")

    def _end(self) -> None:
        """Kill the process and, where there are groups, those that it started."""
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()


def _error(name: str, sentence: str) -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": name,
        "evalue": sentence,
        "traceback": [f"{name}: {sentence}"],
    }
