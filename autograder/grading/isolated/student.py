"""The student's process: runs the student's cells, and calls their functions for the judge.

It holds no tests, no mistake bank, no roster and no gradebook. Everything that comes out of it is
taken as a claim of the student's.
"""

from __future__ import annotations

import errno
import functools
import select
import socket
from collections.abc import Mapping
from typing import Any

from autograder.grading.isolated.peer import Channel, GoneError, Peer
from autograder.grading.isolated.runner import Runner
from autograder.grading.isolated.wire import Opaque, WireError, decode, encode


def serve(
    engine: socket.socket,
    judge: socket.socket,
    output_bytes: int,
    pictures: bool,
    limits: Mapping[str, int],
) -> None:
    """Until one of them is gone: run cells for the engine, answer calls for the judge."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    explain = functools.partial(which_limit, limits)
    runner = Runner(namespace, output_bytes, pictures=pictures, explain=explain)
    orders = Channel(engine)

    def names(wanted: list[str]) -> dict[str, Any]:
        """The values of these names, of those that exist."""
        return {n: _sendable(namespace[n], peer) for n in wanted if n in namespace}

    peer = Peer(Channel(judge), "student", trusting=True, others={"names": names})
    channels = [orders, peer.channel]
    while True:
        try:
            ready = [channel for channel in channels if channel.waiting]
            ready = ready or select.select(channels, [], [])[0]
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


def which_limit(limits: Mapping[str, int], error: BaseException) -> str | None:
    """A sentence, where ``error`` is what one of the grader's limits leads to."""
    if not limits:
        return None
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError):
        return f"While it is graded, a notebook may use {limits['memory_bytes'] >> 20:,} MB."
    if number in (errno.EMFILE, errno.ENFILE):
        return f"While it is graded, a notebook may have {limits['files']} files open."
    if number == errno.EFBIG:
        return f"While it is graded, a file may have {limits['file_bytes'] // 10**6:,} MB."
    if number == errno.EAGAIN or "start new thread" in str(error):
        return f"While it is graded, a notebook may start {limits['processes']} processes."
    if number in (errno.EPERM, errno.EACCES):
        return "While it is graded, a notebook reads and writes in its own folder only."
    return None


def _sendable(value: Any, peer: Peer) -> Any:
    """``value``, or a word for it where it is too large to cross."""
    try:
        encode(value, peer.export)
    except (WireError, RecursionError, ValueError) as error:
        return Opaque(f"a value that cannot be read ({error})")
    return value
