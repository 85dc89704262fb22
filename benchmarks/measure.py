"""Run a command, and say what it took: time on the clock, CPU, and memory of all its processes.

``python -m benchmarks.measure COMMAND …`` prints one line of JSON.

CPU is user and system time of the command and of every process below it that was waited for, as the
operating system counts them; no process of the commands measured here is left without.

Memory is sampled: at each moment the sum over the whole tree of PSS, in which memory that several
processes share counts once. Where the system does not tell PSS, the sum of RSS is taken, which
counts shared memory many times; the field ``memory`` says which. The peak is the largest sample.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Seconds between two looks at the memory. A look costs about a millisecond a process.
EVERY = 0.5
POLL = 0.005
LAST_LINES = 2000


@dataclass(frozen=True)
class Measured:
    """What a command took: seconds, bytes and processes. ``memory`` is PSS or RSS."""

    wall: float
    cpu: float
    peak: int
    memory: str
    most_processes: int
    status: int
    output: str = ""


def measure(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    core: int | None = None,
    memory: bool = True,
) -> Measured:
    """Run ``command`` to its end, in ``folder``; with ``core``, on that processor alone.

    Looking at the ``memory`` takes time from what is measured; without, its fields are zero.

    The clock starts before the first process is made and ends when the last has been waited for.
    """
    words = list(command) if core is None else ["taskset", "-c", str(core), *command]
    peak, most, kind = 0, 0, "PSS"
    with tempfile.TemporaryFile() as printed:
        start = time.monotonic()
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=dict(environment) if environment is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        look = start if memory else math.inf
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() >= look:
                size, count, kind = _memory(process.pid, kind)
                peak, most = max(peak, size), max(most, count)
                look = time.monotonic() + EVERY
            time.sleep(POLL)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        output = printed.read().decode(errors="replace")
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(wall, cpu, peak, kind, most, process.returncode, output)


def _memory(root: int, kind: str) -> tuple[int, int, str]:
    """Bytes and number of the processes at and below ``root``, and what the bytes are."""
    tree = list(_tree(root))
    total = 0
    for pid in tree:
        size = _field(pid, "smaps_rollup", "Pss:") if kind == "PSS" else None
        if kind == "PSS" and size is None and Path(f"/proc/{pid}/status").exists():
            if _field(pid, "status", "VmRSS:") is None:  # ended, and not yet buried
                continue
            return _memory(root, "RSS")
        if size is None:
            size = _field(pid, "status", "VmRSS:")
        total += size or 0
    return total, len(tree), kind


def _field(pid: int, file: str, field: str) -> int | None:
    """Bytes from a line such as ``Pss: 12 kB``; None when there is none to be had."""
    try:
        with open(f"/proc/{pid}/{file}") as lines:
            for line in lines:
                if line.startswith(field):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _tree(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"/proc/{entry.name}/stat") as file:
                    # The name of the program may hold spaces; what follows it does not.
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, [])


def main() -> None:
    """Measure the command on the command line."""
    if not sys.argv[1:]:
        print("benchmarks.measure: name a command.", file=sys.stderr)
        sys.exit(2)
    measured = asdict(measure(sys.argv[1:]))
    sys.stderr.write(measured.pop("output")[-LAST_LINES:])
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
