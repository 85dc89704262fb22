"""The student's process: runs the student's cells, and calls their functions for the judge.

It holds no tests, no mistake bank, no roster and no gradebook. Everything that comes out of it is
taken as a claim of the student's.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from autograder.grading.isolated.peer import Channel, GoneError, Peer
from autograder.grading.isolated.runner import Runner
from autograder.grading.isolated.wire import Opaque, WireError, decode, encode


def serve(engine: socket.socket, judge: socket.socket, output_bytes: int, pictures: bool) -> None:
    """Until one of them is gone: run cells for the engine, answer calls for the judge."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    runner = Runner(namespace, output_bytes, pictures=pictures)
    orders = Channel(engine)

    def names(wanted: list[str]) -> dict[str, Any]:
        """The values of these names, of those that exist."""
        return {n: _sendable(namespace[n], peer) for n in wanted if n in namespace}

    peer = Peer(Channel(judge), "student", trusting=True, others={"names": names})
    while True:
        try:
            ready, _, _ = select.select([orders, peer.channel], [], [])
            if orders in ready:
                label, source = decode(orders.receive())
                outputs = runner.run(source, label)
                orders.send(encode(outputs))
            elif not peer.serve_one():
                return
        except KeyboardInterrupt:  # the engine's, for what has ended in the meantime
            continue
        except GoneError:
            return


def _sendable(value: Any, peer: Peer) -> Any:
    """``value``, or a word for it where it is too large to cross."""
    try:
        encode(value, peer.export)
    except (WireError, RecursionError, ValueError) as error:
        return Opaque(f"a value that cannot be read ({error})")
    return value
