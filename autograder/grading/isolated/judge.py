"""The judge's process: runs the test cells. Nothing that a student wrote is executed in it.

The student's functions appear as callables that call across; the student's values are copies.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autograder.grading.isolated.peer import Channel, GoneError, LateError, Peer, PeerError
from autograder.grading.isolated.runner import Runner
from autograder.grading.isolated.wire import decode, encode

# Where a test cell finds the text of its probe; see autograder.checks.
PROBE_SOURCE = "__probe_source__"


@dataclass(frozen=True)
class Test:
    """One test cell. ``asks`` are the names of the student's that it may look up."""

    cell: str
    source: str
    asks: tuple[str, ...]
    # Where the answer is an object, all that the probe needs: it runs where the object lives.
    probe: str | None


def serve(
    engine: socket.socket,
    students: Mapping[str, socket.socket],
    namespace: dict[str, Any],
    tests: Mapping[str, Test],
    output_bytes: int,
) -> None:
    """Run the test cells that the engine names, until it is gone.

    ``students`` are the processes in which the student's cells run: ``plain``, and ``objects``
    where answers are objects. ``namespace`` is what the instructor's own cells prepared.
    """
    runner = Runner(namespace, output_bytes, pictures=False)
    orders = Channel(engine)
    peers = {name: Peer(Channel(sock), "judge") for name, sock in students.items()}
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            try:
                name = decode(orders.receive())
            except GoneError:
                return
            test = tests[name]
            peer = peers["plain" if test.probe is None else "objects"]
            orders.send(encode(_run(test, runner, peer)))


def _run(test: Test, runner: Runner, peer: Peer) -> list[Any]:
    for name in test.asks:
        runner.namespace.pop(name, None)
    try:
        with contextlib.suppress(PeerError):
            values = peer.request("names", list(test.asks))
            if isinstance(values, dict):
                runner.namespace.update({n: values[n] for n in test.asks if n in values})
    except (GoneError, LateError) as error:
        return [_gone(error)]
    runner.namespace[PROBE_SOURCE] = test.probe
    return runner.run(test.source, test.cell)


def _gone(error: Exception) -> dict[str, Any]:
    return {
        "output_type": "error",
        "ename": type(error).__name__,
        "evalue": str(error),
        "traceback": [f"{type(error).__name__}: {error}"],
    }
