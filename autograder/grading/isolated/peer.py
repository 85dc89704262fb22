"""Call functions of another process, and let it call back: both sides are alike.

A message is a length and a value of ``wire``. A side that waits for an answer serves the calls that
come in the meantime, so that a function of one side can be an argument of a function of the other.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import socket
import struct
import time
from collections.abc import Callable
from types import FunctionType
from typing import Any

from autograder.grading.isolated.carried import pack, unpack
from autograder.grading.isolated.wire import (
    LARGEST,
    Carried,
    Handle,
    WireError,
    decode,
    encode,
)

# The name of the end whose functions may come as code.
JUDGE = "judge"
LENGTH = struct.Struct("<Q")
# Bytes that are read at a time: all of a usual message, and a part of a large one.
USUAL, MOST_AT_ONCE = 2**16, 2**20
# Calls that wait for each other: a function of a function of a function …
DEEPEST_CALLS = 50
# Functions that one side has handed to the other.
MOST_HANDLES = 100_000


class GoneError(Exception):
    """The other process ended, or sent what is no message."""


class LateError(Exception):
    """The other process did not answer in time."""


class PeerError(Exception):
    """What the other side raised: the name of its type and its text."""

    raised_there = True

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Channel:
    """Whole values over a stream socket, with a deadline for waiting."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # What was read beyond the last message.
        self._rest = b""
        self.deadline: float | None = None

    def fileno(self) -> int:
        """For ``select``, which does not see what is ``waiting`` here."""
        return self._socket.fileno()

    @property
    def socket(self) -> socket.socket:
        """What the values go over."""
        return self._socket

    @property
    def waiting(self) -> bool:
        """The begin of a message has been read."""
        return bool(self._rest)

    def send(self, data: bytes) -> None:
        """Raises ``GoneError``, or ``LateError`` when the other side does not read."""
        try:
            self._set_time_left()
            self._socket.sendall(LENGTH.pack(len(data)) + data)
        except TimeoutError as error:
            raise LateError("it does not read") from error
        except OSError as error:
            raise GoneError("it is gone") from error

    def receive(self) -> bytes:
        """The next message. Raises ``GoneError`` or ``LateError``."""
        self._read_to(LENGTH.size)
        (size,) = LENGTH.unpack_from(self._rest)
        if size > LARGEST:
            raise GoneError("it sent too much at once")
        end = LENGTH.size + size
        self._read_to(end)
        message, self._rest = self._rest[LENGTH.size : end], self._rest[end:]
        return message

    def close(self) -> None:
        """No more messages."""
        self._socket.close()

    def _read_to(self, size: int) -> None:
        """Read until ``_rest`` has ``size`` bytes; usually a whole message comes at once."""
        have = len(self._rest)
        if have >= size:
            return
        parts = [self._rest]
        try:
            while have < size:
                self._set_time_left()
                part = self._socket.recv(min(max(size - have, USUAL), MOST_AT_ONCE))
                if not part:
                    raise GoneError("it is gone")
                parts.append(part)
                have += len(part)
        except TimeoutError as error:
            raise LateError("no answer in time") from error
        except OSError as error:
            raise GoneError("it is gone") from error
        finally:
            # Who is interrupted between two parts, or was too early, reads on from here.
            self._rest = b"".join(parts)

    def _set_time_left(self) -> None:
        left = None
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise LateError("no answer in time")
        # Each change is a call of the system.
        if left is not None or self._socket.gettimeout() is not None:
            self._socket.settimeout(left)


class Remote:
    """A callable of another process."""

    def __init__(self, peer: Peer, handle: Handle) -> None:
        self._peer = peer
        self.handle = handle
        self.__name__ = handle.name
        self.names_used = frozenset(handle.names_used)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._peer.request("call", self.handle.number, list(arguments), named)

    def through(self, module: str, function: str, *arguments: Any) -> Any:
        """Call ``module.function(this, *arguments)`` where this callable lives."""
        return self._peer.request("through", module, function, self.handle.number, list(arguments))

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"


class Peer:
    """One end. ``name`` tells the two ends apart; ``others`` answers further kinds of requests.

    A ``trusting`` end lets the other side call importable functions on its own callables, and
    takes functions as code. An end that ``carries`` sends those that stand on their own as code.
    """

    def __init__(
        self,
        channel: Channel,
        name: str,
        *,
        trusting: bool = False,
        carries: bool = False,
        others: dict[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.channel = channel
        self.name = name
        self._trusting = trusting
        self._carries = carries
        self._others = others or {}
        self._given: list[Any] = []
        self._numbers: dict[int, int] = {}
        # Functions of this side that went as code: from then on, their handle is enough.
        self._sent: dict[int, Handle] = {}
        # Functions of the other side that came as code, by their number there.
        self._carried: dict[int, FunctionType] = {}
        self._depth = 0

    def request(self, kind: str, *content: Any) -> Any:
        """Ask the other side and wait; serve what it asks meanwhile.

        Raises ``PeerError`` for what the other side raised, ``GoneError`` and ``LateError``.
        """
        self._send([kind, *content])
        while True:
            message = self._receive()
            if message[0] == "done":
                return message[1]
            if message[0] == "fail":
                raise _peer_error(message)
            self._answer(message)

    def serve_one(self) -> bool:
        """Answer one request; False when the other side has gone."""
        try:
            self._answer(self._receive())
        except GoneError:
            return False
        return True

    def export(self, function: Any) -> Handle | Carried:
        """What crosses in place of a callable of this side."""
        if isinstance(function, Remote) and function._peer is self:
            return function.handle
        for number, carried in self._carried.items():
            if carried is function:
                return Handle(JUDGE, number, function.__name__)
        number = self._number(function)
        if number in self._sent:
            return self._sent[number]
        name = getattr(function, "__name__", None)
        name = name if isinstance(name, str) else "a function"
        handle = Handle(self.name, number, name[:200], names_used(function))
        parts = pack(function) if self._carries else None
        if parts is None:
            return handle
        self._sent[number] = handle
        return Carried(handle, parts)

    def _number(self, function: Any) -> int:
        number = self._numbers.get(id(function))
        if number is None:
            if len(self._given) >= MOST_HANDLES:
                raise WireError("too many functions were handed over")
            number = len(self._given)
            self._given.append(function)
            self._numbers[id(function)] = number
        return number

    def resolve(self, found: Handle | Carried) -> Any:
        """A callable that crossed: this side's own, one made of code, or one that calls across."""
        if isinstance(found, Carried):
            if not self._trusting:
                raise WireError("a function came as code")
            if found.handle.number not in self._carried:
                self._carried[found.handle.number] = unpack(found.parts)
            return self._carried[found.handle.number]
        if found.owner == self.name:
            if not 0 <= found.number < len(self._given):
                raise WireError("a handle names no function")
            return self._given[found.number]
        return self._carried.get(found.number) or Remote(self, found)

    # ----------------------------------------------------------------- one message

    def _send(self, message: list[Any]) -> None:
        try:
            data = encode(message, self.export)
        except BaseException:
            self._sent.clear()  # what was in the message did not go
            raise
        self.channel.send(data)

    def _receive(self) -> list[Any]:
        try:
            message = decode(self.channel.receive(), self.resolve)
        except WireError as error:
            raise GoneError(str(error)) from error
        if not isinstance(message, list) or not message or not isinstance(message[0], str):
            raise GoneError("it sent no message")
        return message

    def _answer(self, message: list[Any]) -> None:
        self._depth += 1
        try:
            if self._depth > DEEPEST_CALLS:
                raise RecursionError("functions call each other without end")
            answer = ["done", self._perform(*message)]
            data = encode(answer, self.export)
        except (GoneError, LateError):
            raise
        except BaseException as error:
            data = encode(["fail", *_described(error)])
        finally:
            self._depth -= 1
        self.channel.send(data)

    def _perform(self, kind: str, *content: Any) -> Any:
        if kind == "call":
            number, arguments, named = content
            return self._own(number)(*arguments, **named)
        if kind == "through" and self._trusting:
            module, function, number, arguments = content
            what = getattr(importlib.import_module(module), function)
            return what(self._own(number), *arguments)
        if kind in self._others:
            return self._others[kind](*content)
        raise GoneError(f"it asked for '{kind}'")

    def _own(self, number: Any) -> Any:
        if type(number) is not int or not 0 <= number < len(self._given):
            raise GoneError("it called a function that does not exist")
        return self._given[number]


def names_used(function: Any) -> tuple[str, ...]:
    """The global names that a function uses, also in inner functions.

    Of a class, the global names that its methods and properties use, and their own names, each
    with a dot before it.
    """
    parts = dict(vars(function)) if isinstance(function, type) else {}
    own = [name for name, part in parts.items() if callable(part) or isinstance(part, property)]
    found = {f".{name}" for name in own}
    getters = [part.fget for part in parts.values() if isinstance(part, property)]
    waiting = [
        getattr(part, "__code__", None)
        for part in ([*parts.values(), *getters] if parts else [function])
    ]
    while waiting and len(found) < 1000:
        code = waiting.pop()
        if code is not None:
            found |= set(code.co_names)
            waiting += [const for const in code.co_consts if hasattr(const, "co_names")]
    return tuple(sorted(found))


def _described(error: BaseException) -> tuple[str, str]:
    name = error.name if isinstance(error, PeerError) else type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = ""
    return name[:200], text[:2000]


def _peer_error(message: list[Any]) -> PeerError:
    if len(message) != 3 or not all(isinstance(part, str) for part in message[1:]):
        raise GoneError("it sent no message")
    return _error_class(message[1])(message[1], message[2])


@functools.lru_cache(maxsize=256)
def _error_class(name: str) -> type[PeerError]:
    """``PeerError``, and at the same time Python's own error of this name, where there is one.

    A student's ``except TypeError`` catches it, and reports call it a TypeError.
    """
    known = getattr(builtins, name, None)
    bases: tuple[type, ...] = (PeerError,)
    if isinstance(known, type) and issubclass(known, Exception):
        bases = (PeerError, known)
    try:
        made = type(name, bases, {})
        made(name, "")
    except (TypeError, ValueError):  # it is built in another way, or the name is no name
        return PeerError
    return made
