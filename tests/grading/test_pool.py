"""Workers of this machine."""

from __future__ import annotations

import os
import time

from autograder.grading.pool import processes


def where(number: int) -> tuple[int, list[int]]:
    """The worker, and the processors that it may use."""
    time.sleep(0.3)
    return os.getpid(), sorted(os.sched_getaffinity(0))


def test_each_worker_stays_on_a_processor_of_its_own() -> None:
    usable = os.sched_getaffinity(0)
    with processes(2) as pool:
        found = dict(pool.map(where, range(6)))
    assert len(found) == 2
    assert all(len(processors) == 1 for processors in found.values())
    chosen = {processors[0] for processors in found.values()}
    assert chosen <= usable and len(chosen) == min(2, len(usable))
    assert os.sched_getaffinity(0) == usable
