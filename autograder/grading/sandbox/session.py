"""A session of its own for a confined process, by which all that it starts can be ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from autograder.grading.sandbox.kernel import prctl

_ENDED = "ZX"
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_CHILD_SUBREAPER = 1, 4, 36


@dataclass(frozen=True)
class Process:
    """One process that is alive; ``resident_bytes`` counts what it shares with others too."""

    pid: int
    threads: int
    resident_bytes: int
    cpu_seconds: float


def start_session() -> None:
    """Leave the terminal and the process group of the grader. Raises ``OSError``."""
    if os.getsid(0) != os.getpid():
        os.setsid()


def die_with(parent: int) -> None:
    """Be killed when ``parent`` ends, more exactly the thread of it that forked.

    Raises ``OSError``. Does not return when the parent has ended already.
    """
    prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def hide() -> None:
    """Close this process's memory and its folder in /proc to processes of the same user."""
    prctl(_SET_DUMPABLE, 0)


def keep_only(descriptors: Collection[int]) -> None:
    """Put /dev/null in place of every other descriptor of this process.

    They are replaced and not closed: an object of the parent that is collected later closes the
    number that it knows, and this must not be a file that the notebook has opened since.
    """
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number != nothing and number not in descriptors:
            # The descriptor of the listing itself is closed by now.
            with contextlib.suppress(OSError):
                os.fstat(number)
                os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


def processes_of_session(sid: int) -> list[Process]:
    """The processes alive in session ``sid``, the confined process among them while it lives.

    A confined process cannot leave its session, so nothing that it starts is missing.
    """
    page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    return [
        Process(
            pid=pid,
            threads=int(fields[17]),
            resident_bytes=int(fields[21]) * page,
            cpu_seconds=(int(fields[11]) + int(fields[12])) / tick,
        )
        for pid, fields in _entries(sid)
        if fields[0] not in _ENDED
    ]


def _entries(sid: int) -> list[tuple[int, list[str]]]:
    """The number of each process of a session and what proc(5) says of it, from its state on."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            text = Path(f"/proc/{name}/stat").read_text(errors="replace")
        except OSError:  # it ended
            continue
        # The name of the program stands in parentheses and may contain any character.
        fields = text.rpartition(")")[2].split()
        if int(fields[3]) == sid:
            found.append((int(name), fields))
    return found


def adopt_orphans() -> None:
    """Make this process the parent of what its children leave behind, so that it can reap it."""
    prctl(_SET_CHILD_SUBREAPER, 1)


def kill_session(sid: int, seconds: float = 5.0) -> bool:
    """Kill every process of session ``sid``; whether all were gone within ``seconds``.

    Call it before waiting for the confined process, whose number is then certainly not yet in use
    again. Orphans that this process has adopted are reaped; the confined process is not.
    """
    deadline = time.monotonic() + seconds
    while True:
        # What forks while it is being killed is found in the next round.
        entries = _entries(sid)
        for pid, fields in entries:
            if fields[0] not in _ENDED:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            elif pid != sid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        left = [pid for pid, fields in entries if fields[0] not in _ENDED]
        # An orphan that ended waits to be reaped; another parent may be the one to do it.
        unreaped = [pid for pid, fields in entries if int(fields[1]) == os.getpid() and pid != sid]
        if not left and not unreaped:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
