"""What one notebook may use, and the names of the errors in which a stopped cell ends."""

from __future__ import annotations

from dataclasses import dataclass

TIMEOUT = "CellTimeoutError"
DEAD = "DeadKernelError"
DIED = "The process that ran this cell died."


@dataclass(frozen=True)
class Limits:
    """What one notebook may use. Seconds are wall clock; sizes are bytes."""

    cell_seconds: float = 60.0
    notebook_seconds: float = 600.0
    # Processor time of the student's process for the whole notebook.
    cpu_seconds: float = 600.0
    output_bytes: int = 10_000_000
    memory_bytes: int = 8 * 2**30
    # Beside its own, and open at once.
    processes: int = 0
    files: int = 64
    file_bytes: int = 100_000_000
