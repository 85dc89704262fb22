"""How much one process may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "linux":
    import resource


def mapped_bytes() -> int:
    """The address space that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def tasks_of_user() -> int:
    """How many threads the user of this process has, in all its processes."""
    user, found = str(os.getuid()), 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            # Not the owner of the folder: that is root where a process is hidden.
            text = Path(f"/proc/{name}/status").read_text(errors="replace")
        except OSError:  # it ended
            continue
        entries = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if entries["Uid"].split()[0] == user:
            found += int(entries["Threads"])
    return found


def limit(*, cpu_seconds: int, memory_bytes: int, tasks: int, files: int, file_bytes: int) -> None:
    """Bound this process and what it starts, for ever.

    ``memory_bytes`` is beyond what is mapped now, ``tasks`` is all threads that the user may have.
    A hard limit that is lower already stays. Raises ``OSError``.
    """
    # SIGXCPU first, so that the end of it says why; SIGKILL one second later.
    _lower(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    _lower(resource.RLIMIT_AS, mapped_bytes() + memory_bytes)
    _lower(resource.RLIMIT_NPROC, tasks)
    _lower(resource.RLIMIT_NOFILE, files)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    for nothing in (
        resource.RLIMIT_CORE,
        resource.RLIMIT_MEMLOCK,
        resource.RLIMIT_MSGQUEUE,
        resource.RLIMIT_RTPRIO,
        resource.RLIMIT_NICE,
    ):
        _lower(nothing, 0)


def _lower(kind: int, soft: int, hard: int | None = None) -> None:
    _, ceiling = resource.getrlimit(kind)
    wanted = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        wanted = min(wanted, ceiling)
    resource.setrlimit(kind, (min(soft, wanted), wanted))
