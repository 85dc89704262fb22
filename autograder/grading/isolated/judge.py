"""The judge's process: runs the test cells. Nothing that a student wrote is executed in it, so that
one such process serves a whole class; what it computes alike for all, it computes once.

The student's functions appear as callables that call across; the student's values are copies.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autograder.grading.isolated.descriptors import receive, send
from autograder.grading.isolated.peer import JUDGE, Channel, GoneError, LateError, Peer, PeerError
from autograder.grading.isolated.runner import Runner

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
    # In which of the student's processes it lives: ``plain`` or ``objects``.
    place: str = "plain"


@dataclass
class _Session:
    """One notebook: its tests, and the processes in which its cells run."""

    tests: Mapping[str, Test]
    runner: Runner
    peers: Mapping[str, Peer]

    def close(self) -> None:
        for peer in self.peers.values():
            peer.channel.close()


def serve(
    engine: socket.socket,
    prepared: Mapping[str, Mapping[str, Any]],
    tests: Mapping[str, Mapping[str, Test]],
) -> None:
    """Run the test cells that the engine names, of one notebook after another, until it is gone.

    ``prepared`` is, by notebook, what the instructor's own cells made. Each notebook starts from
    it anew.
    """
    session: _Session | None = None
    while True:
        try:
            order, descriptors = receive(engine)
        except KeyboardInterrupt:  # the engine's, for what has ended in the meantime
            continue
        except EOFError:
            return
        if order[0] == "begin":
            _, name, roles, output_bytes = order
            if session is not None:
                session.close()
            sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            session = _Session(
                tests[name],
                Runner(dict(prepared[name]), output_bytes, pictures=False),
                {
                    r: Peer(Channel(s), JUDGE, carries=True)
                    for r, s in zip(roles, sockets, strict=True)
                },
            )
        elif session is not None:
            test = session.tests[order[1]]
            peer = session.peers[test.place]
            send(engine, _run(test, session.runner, peer))


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
