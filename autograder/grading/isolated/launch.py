"""Start the warm processes, an interpreter each, which begin to import at once.

Nothing is imported here that takes time: they are on their way before the command that needs them
has imported its own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.grading.environment import small_environment

# One thread of arithmetic in each process: a fork would lose the others, and notebooks run side
# by side anyway.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
START = "from autograder.grading.isolated.zygote import main; main()"
# Student code without the library, student code with it, and the tests.
PLAIN, OBJECTS, JUDGE = "plain", "objects", "judge"
# Beside their sockets, the folder of all scratch folders.
SCRATCH = "scratch"


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

    def imports(self, role: str) -> list[str]:
        """The modules that a process of this role imports first."""
        if role == JUDGE:
            return [*self.judge, self.library]
        return [*self.student, self.library] if role == OBJECTS else [*self.student]

    def absent(self, role: str) -> list[str]:
        """The libraries that a process of this role does without."""
        return [self.library] if role == PLAIN else []


@dataclass(frozen=True)
class Started:
    """A warm process on its way, and the socket by which it belongs to this one."""

    process: subprocess.Popen[bytes]
    owner: socket.socket


class Launch:
    """Warm processes that listen in ``folder``, by role; each waits for its order."""

    def __init__(self, preload: Preload, roles: Sequence[str] = (JUDGE, PLAIN)) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="autograder-"))
        self.started: dict[str, Started] = {}
        self.ordered = False
        self._preload = preload
        # All at once: each takes a second to import.
        for role in roles:
            self.start(role)

    def start(self, role: str) -> None:
        """Start one more, unless there is one."""
        if role in self.started:
            return
        mine, theirs = socket.socketpair()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / role))
        listener.listen(128)
        first = {"imports": self._preload.imports(role), "absent": self._preload.absent(role)}
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(listener.fileno()), json.dumps(first)],
            stdin=theirs.fileno(),
            pass_fds=[listener.fileno()],
            env=small_environment() | dict.fromkeys(THREADS, "1") | {"MPLBACKEND": "agg"},
            start_new_session=True,
        )
        theirs.close()
        listener.close()
        self.started[role] = Started(process, mine)

    def close(self) -> None:
        """End all of them, and all that they forked; again does nothing."""
        for started in self.started.values():
            # Workers that were forked meanwhile have it too, so that to close it is not enough.
            with contextlib.suppress(OSError):
                started.owner.shutdown(socket.SHUT_RDWR)
            started.owner.close()
            if not self.ordered:  # it has forked nothing, and may be importing for seconds
                started.process.kill()
        for started in self.started.values():
            try:
                started.process.wait(5)
            except subprocess.TimeoutExpired:
                started.process.kill()
                started.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
