"""A warm process that forks a new one for each notebook.

It imports once what every notebook needs. Each worker that connects gets a copy of it, which forks
for one notebook after another. The new process gets its sockets with the order, as file
descriptors.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autograder.grading.isolated.absent import make_absent
from autograder.grading.isolated.descriptors import receive, send
from autograder.grading.isolated.judge import Test
from autograder.grading.isolated.runner import Runner

if TYPE_CHECKING:
    from autograder.grading.sandbox import Prepared


@dataclass
class Warm:
    """What a forked process starts with."""

    role: str
    # For the judge: by notebook, the prepared names and the tests.
    prepared: dict[str, dict[str, Any]] = field(default_factory=dict)
    tests: dict[str, dict[str, Test]] = field(default_factory=dict)
    # For the student: the limits, and by notebook how it is confined; empty where it is not.
    limits: dict[str, Any] = field(default_factory=dict)
    confined: dict[str, Prepared] = field(default_factory=dict)


def main() -> None:
    """Warm up as the first message says; then a warm copy for each worker that connects.

    Standard input is a socket from the owner; when the owner is gone, so are all of them. The
    arguments are the number of the listening socket, and what to import before any message comes.
    """
    # Collecting garbage between a thousand imports takes a fifth of their time and finds little,
    # which is frozen with the rest.
    gc.disable()
    owner = socket.socket(fileno=os.dup(0))
    listener = socket.socket(fileno=int(sys.argv[1]))
    _redirect(0, 1)
    first = json.loads(sys.argv[2])
    for library in first["absent"]:
        make_absent(library)
    _import(first["imports"])
    try:
        order, _ = receive(owner)
    except EOFError:
        os._exit(0)
    warm = _warm_up(order)
    _redirect(2)
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner to act on
    while True:
        ready, _, _ = select.select([owner, listener], [], [])
        if owner in ready:
            # They end too, and are waited for, so that the system knows what all of it has cost.
            _bury(0)
            os._exit(0)
        worker, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _serve(warm, worker, owner)
            os._exit(0)
        worker.close()
        _bury(os.WNOHANG)


def _bury(options: int) -> None:
    """Wait for the copies of this process that have ended, or, without ``options``, for all."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _serve(warm: Warm, worker: socket.socket, owner: socket.socket) -> None:
    """Fork, signal and bury for one worker, until it or the owner is gone."""
    # Children that end are buried by this process only, so that no number is used twice.
    alive: set[int] = set()
    send(worker, "warm")
    while True:
        ready, _, _ = select.select([owner, worker], [], [])
        if owner in ready:
            break
        try:
            order, descriptors = receive(worker)
        except (EOFError, OSError):
            break
        if order[0] == "fork":
            pid = os.fork()
            if pid == 0:
                worker.close()
                owner.close()
                _child(warm, order[1], descriptors)
            alive.add(pid)
            for descriptor in descriptors:
                os.close(descriptor)
            send(worker, pid)
        elif order[0] == "stay":  # on the processors of the worker
            os.sched_setaffinity(0, order[1])
        elif order[0] == "signal":
            if order[1] in alive:
                os.kill(order[1], order[2])
        elif order[0] == "end":
            send(worker, _end(order[1], alive))
    for pid in list(alive):
        _end(pid, alive)


def _end(pid: int, alive: set[int]) -> int:
    """Kill and bury; how it ended: its exit code, or minus the signal that ended it."""
    if pid not in alive:
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    alive.discard(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _warm_up(order: dict[str, Any]) -> Warm:
    warm = Warm(order["role"])
    if warm.role != "judge":
        import matplotlib

        # Imported now: a confined process may not read it.
        import autograder.grading.isolated.figures
        import autograder.grading.isolated.student  # noqa: F401

        matplotlib.use("module://autograder.grading.isolated.figures")
    for module, function in order["calls"]:
        getattr(importlib.import_module(module), function)()
    for name, plan in order["plans"].items():
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(plan["prepared"], f"<prepared {name}>", "exec"), namespace)
        warm.prepared[name] = namespace
        warm.tests[name] = {cell: Test(cell, *rest) for cell, *rest in plan["tests"]}
        rehearse(namespace, warm.tests[name].values())
    if order["walls"] is not None:
        from autograder.grading.isolated.confined import rehearse as prepare

        warm.limits = order["walls"]
        for name, opened in order["opened"].items():
            warm.confined[name] = prepare(order["walls"], opened, order["scratch"], order["above"])
    return warm


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        # A notebook may import what is not installed; its cell will say so.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def rehearse(namespace: dict[str, Any], tests: Iterable[Test]) -> None:
    """Run the tests for nobody, so that all that is slow the first time has been done.

    Without answers they compute PyTorch's side and end in zero points.
    """
    runner = Runner(dict(namespace), 10**9, pictures=False)
    for test in tests:
        runner.run(test.source, test.cell)


def _child(warm: Warm, order: dict[str, Any], descriptors: list[int]) -> None:
    """The life of a forked process; never returns."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        random.seed()
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(int.from_bytes(os.urandom(4), "little"))
        os.chdir(order["folder"])
        role: Callable[..., None]
        if warm.role == "judge":
            from autograder.grading.isolated.judge import serve as role

            role(sockets[0], warm.prepared, warm.tests)
        else:
            from autograder.grading.isolated.student import serve as role

            sys.path.insert(0, "")
            folder = order["folder"]
            os.environ.update(HOME=folder, TMPDIR=folder, MPLCONFIGDIR=folder)
            if warm.confined:
                from autograder.grading.isolated.confined import enter

                enter(warm.confined[order["notebook"]], folder, [s.fileno() for s in sockets])
            role(sockets[0], sockets[1], order["output_bytes"], order["pictures"], warm.limits)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _redirect(*descriptors: int) -> None:
    """What a process prints past Python goes nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


if __name__ == "__main__":
    main()
