"""Two processes call each other's functions; a dead, silent or lying one does no harm."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from autograder.grading.isolated.carried import pack
from autograder.grading.isolated.peer import (
    LENGTH,
    Channel,
    GoneError,
    LateError,
    Peer,
    PeerError,
)
from autograder.grading.isolated.wire import LARGEST, Carried, Handle, WireError, encode


@contextmanager
def other_side(
    names: dict[str, Any], *, trusting: bool = False, carries: bool = False
) -> Iterator[Peer]:
    """A peer whose other side, in a thread, answers requests for the functions in ``names``."""
    mine, theirs = socket.socketpair()
    student = Peer(
        Channel(theirs), "student", trusting=trusting, others={"get": lambda name: names[name]}
    )

    def serve() -> None:
        while student.serve_one():
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    judge = Peer(Channel(mine), "judge", carries=carries)
    judge.channel.deadline = time.monotonic() + 20
    yield judge
    judge.channel.close()
    thread.join(5)
    assert not thread.is_alive()


def double(x: Any) -> Any:
    return 2 * x


def test_a_call_and_its_result() -> None:
    with other_side({"double": double}) as judge:
        remote = judge.request("get", "double")
        assert remote.__name__ == "double"
        np.testing.assert_array_equal(remote(np.arange(3.0)), [0.0, 2.0, 4.0])


def test_functions_as_arguments_call_back() -> None:
    def derivative(f: Callable[[float], float], x: float) -> float:
        return (f(x + 0.5) - f(x - 0.5)) / 1.0

    calls: list[float] = []

    def square(x: float) -> float:
        calls.append(x)
        return x * x

    with other_side({"derivative": derivative}) as judge:
        assert judge.request("get", "derivative")(square, 3.0) == 6.0
    assert calls == [3.5, 2.5]


def test_a_function_that_returns_functions() -> None:
    def has_direct_path(make_block: Callable[[float], Callable[[float], float]]) -> bool:
        return make_block(0.0)(3.0) == 3.0

    with other_side({"f": has_direct_path}) as judge:
        remote = judge.request("get", "f")
        assert remote(lambda scale: lambda x: x + scale * x) is True
        assert remote(lambda scale: lambda x: scale * x) is False


def test_a_function_comes_home_as_itself() -> None:
    with other_side({"same": lambda f: f, "double": double}) as judge:
        same = judge.request("get", "same")
        mine = [1].append
        assert same(mine) is mine
        remote = judge.request("get", "double")
        assert same(remote).handle == remote.handle


def test_a_function_that_stands_on_its_own_is_run_where_it_is_called() -> None:
    weights, seen = np.arange(3.0), []

    def alone(x: Any) -> Any:
        return float(np.sum(weights * x))

    def not_alone(x: Any) -> Any:
        seen.append(x)
        return x

    kind = {
        "kind": lambda f: type(f).__name__,
        "call": lambda f: f(np.ones(3)),
        "same": lambda f: f,
    }
    with other_side(kind, trusting=True, carries=True) as judge:
        asked = {name: judge.request("get", name) for name in kind}
        assert asked["kind"](alone) == "function"
        assert asked["call"](alone) == 3.0
        assert asked["same"](alone) is alone
        assert asked["kind"](not_alone) == "Remote"
        asked["call"](not_alone)
        assert len(seen) == 1


def test_a_function_goes_as_code_once() -> None:
    def alone(x: Any) -> Any:
        return float(np.sum(x))

    with other_side({"call": lambda f, *rest: f(np.ones(3))}, trusting=True, carries=True) as judge:
        call = judge.request("get", "call")
        # A message that is too large does not go, and the function in it neither.
        with pytest.raises(WireError):
            call(alone, np.zeros(LARGEST // 8 + 1))
        assert isinstance(judge.export(alone), Carried)
        judge._sent.clear()
        assert call(alone) == 3.0
        assert isinstance(judge.export(alone), Handle)
        assert call(alone) == 3.0


def test_code_of_a_student_is_never_taken() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        judge = Peer(Channel(mine), "judge", carries=True)
        code = Carried(Handle("student", 0, "f"), [*(pack(double) or [])])
        Channel(theirs).send(encode(["done", print], lambda function: code))
        with pytest.raises(GoneError, match="came as code"):
            judge.request("call", 0, [], {})


def test_a_class_says_its_methods_and_what_they_use() -> None:
    class Machine:
        def work(self) -> float:
            return double(1.0)

        @property
        def size(self) -> int:
            return len([self])

    with other_side({"Machine": Machine}) as judge:
        names = judge.request("get", "Machine").names_used
    assert {".work", ".size", "double", "len"} <= names
    assert "work" not in names


def test_an_error_keeps_its_name_and_text() -> None:
    with other_side({"f": lambda: [][0]}) as judge:
        with pytest.raises(PeerError, match="out of range") as caught:
            judge.request("get", "f")()
        assert caught.value.name == "IndexError"


def test_a_result_that_is_too_large_is_an_error_of_that_call() -> None:
    with other_side({"f": lambda: np.zeros(LARGEST // 8 + 9), "double": double}) as judge:
        with pytest.raises(PeerError, match="larger than"):
            judge.request("get", "f")()
        assert judge.request("get", "double")(1) == 2


def test_calls_without_end_end() -> None:
    def ping(f: Any) -> Any:
        return f(ping)

    with other_side({"ping": ping}) as judge:
        remote = judge.request("get", "ping")

        def pong(f: Any) -> Any:
            return f(pong)

        with pytest.raises(PeerError):
            remote(pong)


def test_only_a_trusting_side_calls_what_can_be_imported() -> None:
    with other_side({"double": double}, trusting=True) as judge:
        remote = judge.request("get", "double")
        assert remote.through("inspect", "isfunction") is True
    mine, theirs = socket.socketpair()
    careful = Peer(Channel(theirs), "judge")
    careful.export(double)
    Channel(mine).send(encode(["through", "inspect", "isfunction", 0, []]))
    assert not careful.serve_one(), "it takes the request for the end of the conversation"


@pytest.mark.parametrize(
    "told",
    [
        b"",
        LENGTH.pack(2**60),
        LENGTH.pack(3) + b"\xc1\xc1\xc1",
        LENGTH.pack(len(encode(5))) + encode(5),
        LENGTH.pack(len(encode(["done"]))) + encode(["unknown", 1]),
        LENGTH.pack(len(encode(["fail", 1, 2]))) + encode(["fail", 1, 2]),
        LENGTH.pack(len(encode(["call", 99, [], {}]))) + encode(["call", 99, [], {}]),
        LENGTH.pack(len(encode(["through", "os", "abort", 0, []])))
        + encode(["through", "os", "abort", 0, []]),
    ],
)
def test_what_is_no_message_ends_the_conversation(told: bytes) -> None:
    mine, theirs = socket.socketpair()
    judge = Peer(Channel(mine), "judge")
    judge.channel.deadline = time.monotonic() + 5
    theirs.sendall(told)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(GoneError):
        judge.request("names", ["a"])
    theirs.close()


def test_who_does_not_answer_is_late_and_who_dies_is_gone() -> None:
    mine, theirs = socket.socketpair()
    judge = Peer(Channel(mine), "judge")
    judge.channel.deadline = time.monotonic() + 0.2
    with pytest.raises(LateError):
        judge.request("names", ["a"])
    judge.channel.deadline = time.monotonic() + 5
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    theirs.close()
    with pytest.raises(GoneError):
        judge.request("names", ["a"])


def test_messages_that_arrive_together_are_read_one_by_one() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        channel = Channel(mine)
        whole = b"".join(LENGTH.pack(len(data)) + data for data in (b"first", b"", b"third"))
        theirs.sendall(whole)
        assert [channel.receive() for _ in range(2)] == [b"first", b""]
        assert channel.waiting
        assert channel.receive() == b"third"
        assert not channel.waiting


def test_a_message_that_is_late_is_read_from_where_it_stopped() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        channel = Channel(mine)
        whole = LENGTH.pack(6) + b"halves"
        theirs.sendall(whole[:11])
        channel.deadline = time.monotonic() + 0.05
        with pytest.raises(LateError):
            channel.receive()
        theirs.sendall(whole[11:])
        channel.deadline = None
        assert channel.receive() == b"halves"
