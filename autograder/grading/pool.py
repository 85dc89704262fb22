"""Workers: chunks of submissions go out, marks come back, a bounded number under way.

Any ``concurrent.futures.Executor`` will do: processes on this machine, or Dask's on many.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import pickle
import select
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized

from autograder.grading.marking import Marked, Marker, Marks, Work

# Submissions that a worker takes at a time, and chunks that are prepared for each worker.
CHUNK = 4
AHEAD = 2
ENDED = "It ended the process that graded it."

MakeExecutor = Callable[[int], Executor]


def processes(workers: int) -> Executor:
    """Worker processes on this machine."""
    # A fork of a process with threads may hang; without threads it spares a second of imports.
    forks = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if forks else "spawn")
    arguments = (os.getpid(), context.Value("i", 0))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=arguments)
    pool.submit(os.getpid)  # now, while there are no threads
    return pool


def _begin(run: int, started: Synchronized[int]) -> None:
    """What a worker does first: it ends with the run, and stays on one processor.

    A notebook's processes talk to each other and wait for each other. On one processor, they need
    not wake another for every word.
    """
    end_with(run)
    if hasattr(os, "sched_setaffinity"):
        with started.get_lock():
            number = started.value
            started.value += 1
        usable = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {usable[number % len(usable)]})


def end_with(run: int) -> None:
    """A worker does not outlive the process ``run``, however that ends."""
    if sys.platform != "linux":
        return
    if os.getppid() == run:
        from autograder.grading.sandbox.session import die_with

        die_with(run)
        return
    # A server forked this worker, and lives as long as the worker does.
    try:
        ended = os.pidfd_open(run)
    except OSError:
        os._exit(1)

    def wait_for_it() -> None:
        select.select([ended], [], [])
        os._exit(1)

    threading.Thread(target=wait_for_it, daemon=True).start()


@dataclass(frozen=True)
class Task:
    """What a worker is asked to do. The marker, which is large, is read once by each worker."""

    marker: bytes

    def __call__(self, chunk: Sequence[Work]) -> list[Marked]:
        """Mark a few submissions."""
        return _read(self.marker).mark_all(chunk)


@functools.lru_cache(maxsize=2)
def _read(marker: bytes) -> Marker:
    made: Marker = pickle.loads(marker)
    return made


class Workers:
    """Makes executors of worker processes, the first at once: before there are threads."""

    def __init__(self, workers: int) -> None:
        self._first: Executor | None = processes(workers)

    def __call__(self, workers: int) -> Executor:
        first, self._first = self._first, None
        return first or processes(workers)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._first is not None:
            self._first.shutdown()


def mark_all(
    marker: Marker, works: Iterable[Work], workers: int, make: MakeExecutor = processes
) -> Iterator[list[Marked]]:
    """Mark ``works`` in chunks, in the order in which they end.

    ``works`` is read as workers become free, so that a large class is never in memory whole.
    """
    chunks = _chunks(works)
    task = Task(pickle.dumps(marker))
    while True:
        suspects: list[Work] = []
        yield from _round(task, chunks, workers, make, suspects)
        if not suspects:
            return
        # One of them ended its worker, and with it the whole pool. Each gets a pool of its own.
        for work in suspects:
            with make(1) as pool:
                try:
                    yield pool.submit(task, [work]).result()
                except BrokenExecutor:
                    yield [Marked(work.number, [Marks(n, reason=ENDED) for n in work.notebooks])]


def _round(
    task: Task,
    chunks: Iterator[list[Work]],
    workers: int,
    make: MakeExecutor,
    suspects: list[Work],
) -> Iterator[list[Marked]]:
    """Mark until all is done, or until the pool is broken; what was under way then is suspect."""
    with make(workers) as pool:
        waiting: dict[Future[list[Marked]], list[Work]] = {}
        while not suspects:
            for chunk in itertools.islice(chunks, workers * AHEAD - len(waiting)):
                try:
                    waiting[pool.submit(task, chunk)] = chunk
                except BrokenExecutor:
                    suspects += chunk
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                chunk = waiting.pop(future)
                try:
                    yield future.result()
                except BrokenExecutor:
                    suspects += chunk
        for future, chunk in waiting.items():
            try:
                yield future.result()
            except BrokenExecutor:
                suspects += chunk


def _chunks(works: Iterable[Work]) -> Iterator[list[Work]]:
    remaining = iter(works)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk
