"""Messages with file descriptors beside them, between processes that trust each other."""

from __future__ import annotations

import socket
from typing import Any

from autograder.grading.isolated.peer import LENGTH
from autograder.grading.isolated.wire import decode, encode

MOST_DESCRIPTORS = 8


def send(sock: socket.socket, message: Any, descriptors: list[int] | None = None) -> None:
    """One message, with file descriptors beside it."""
    data = encode(message)
    socket.send_fds(sock, [LENGTH.pack(len(data))], descriptors or [])
    sock.sendall(data)


def receive(sock: socket.socket) -> tuple[Any, list[int]]:
    """One message and its file descriptors. Raises ``EOFError`` when the other side has gone."""
    head, descriptors, _, _ = socket.recv_fds(sock, LENGTH.size, MOST_DESCRIPTORS)
    if not head:
        raise EOFError
    data = bytearray()
    (size,) = LENGTH.unpack(head)
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return decode(bytes(data)), list(descriptors)
