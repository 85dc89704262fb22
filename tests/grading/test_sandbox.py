"""Attacks by real processes: each is tried free first, where it must succeed, and then confined."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import itertools
import json
import mmap
import os
import platform
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autograder.grading.sandbox import (
    LAYERS,
    Layer,
    Policy,
    SandboxError,
    adopt_orphans,
    available,
    confine,
    kernel,
    kill_session,
    landlock,
    prepare,
    processes_of_session,
    readable_by_default,
    seccomp,
    user,
)

pytestmark = pytest.mark.skipif(
    bool(kernel.why_not_here()), reason=kernel.why_not_here() or "confined elsewhere"
)

STRANGER = 54321  # the number of a user without rights, where the tests run as root
MEBIBYTE = 2**20
REFUSED = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Outcome:
    """What came of a process: what its function returned or raised, and how it ended."""

    value: Any = None
    error: str = ""
    number: int | None = None
    signal: int = 0


@dataclass(frozen=True)
class Box:
    """A course with a submission in it, and a way to run code there as one of two users."""

    user: str
    folder: Path
    # Whether the rules about what is readable are made once for many processes.
    sharing: bool = False

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def gradebook(self) -> Path:
        return self.folder / "course" / "gradebook.db"

    @property
    def other(self) -> Path:
        """The scratch folder of another student."""
        return self.folder / "other"

    def policy(self, **changes: Any) -> Policy:
        limits = dict(
            cpu_seconds=60,
            memory_bytes=1024 * MEBIBYTE,
            processes=0,
            files=128,
            file_bytes=8 * MEBIBYTE,
        )
        readable = changes.pop("readable", None) or self.readable()
        return Policy(**{"scratch": self.scratch, "readable": readable} | limits | changes)

    def readable(self, **choice: Any) -> tuple[Path, ...]:
        """The default, as far as the user could read it if it were free."""
        paths = readable_by_default(**choice)
        if self.user == "root":
            return paths
        allowed = self.free(lambda: [os.access(path, os.R_OK) for path in paths]).value
        return tuple(path for path, may in zip(paths, allowed, strict=True) if may)

    def free(self, attack: Callable[[], Any]) -> Outcome:
        """Run ``attack`` as the user, not confined."""
        return self._run(attack, None)

    def confined(self, attack: Callable[[], Any], **changes: Any) -> Outcome:
        """Run ``attack`` as the user, confined."""
        return self._run(attack, self.policy(**changes))

    def stops(self, attack: Callable[[], Any], *numbers: int, **changes: Any) -> None:
        """``attack`` succeeds when free, and when confined fails with one of ``numbers``."""
        free = self.free(attack)
        assert not free.error, f"it fails anyway: {free}"
        self.refuses(attack, *numbers, **changes)

    def refuses(self, attack: Callable[[], Any], *numbers: int, **changes: Any) -> None:
        """``attack`` fails when confined."""
        outcome = self.confined(attack, **changes)
        assert outcome.number in (numbers or REFUSED), outcome

    def allows(self, function: Callable[[], Any], **changes: Any) -> Any:
        """What ``function`` returns when confined."""
        outcome = self.confined(function, **changes)
        assert not outcome.error and not outcome.signal, outcome
        return outcome.value

    def start(self, attack: Callable[[], Any], policy: Policy | None) -> tuple[int, int]:
        """A process that runs ``attack``, and the descriptor from which its result comes."""
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return child, reading
        with contextlib.suppress(BaseException):
            os.close(reading)
            os.write(writing, json.dumps(self._attempt(attack, policy, writing)).encode())
        os._exit(0)

    def _attempt(
        self, attack: Callable[[], Any], policy: Policy | None, writing: int
    ) -> dict[str, Any]:
        try:
            if self.user == "stranger" and os.geteuid() == 0:
                become(STRANGER)
            os.chdir(self.scratch)
            os.environ |= {"HOME": str(self.scratch), "TMPDIR": str(self.scratch)}
            tempfile.tempdir = None
            if policy is not None:
                self.confine(replace(policy, descriptors=(*policy.descriptors, writing)))
            return {"value": attack()}
        except BaseException as error:
            number = getattr(error, "errno", None)
            return {"error": f"{type(error).__name__}: {error}", "number": number}

    def confine(self, policy: Policy) -> list[Layer]:
        """Confine this process, in the way of this box."""
        return prepare(policy).sharing(self.folder).apply() if self.sharing else confine(policy)

    def _run(self, attack: Callable[[], Any], policy: Policy | None) -> Outcome:
        child, reading = self.start(attack, policy)
        return self.finish(child, reading)

    def wait_for(self, holds: Callable[[], bool], child: int, reading: int) -> None:
        """Wait until ``holds()``; the process ``child`` must not end before."""
        while not holds():
            ended, _, _ = select.select([reading], [], [], 0.01)
            assert not ended, self.finish(child, reading)

    def finish(self, child: int, reading: int) -> Outcome:
        """Wait for a process that ``start`` started."""
        try:
            text = b""
            while True:
                ready, _, _ = select.select([reading], [], [], 120)
                assert ready, "it does not end"
                part = os.read(reading, 65536)
                if not part:
                    break
                text += part
        finally:
            os.close(reading)
            kill_session(child)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return Outcome(**json.loads(text or b"{}"), signal=0 if text else ended)


def become(number: int) -> None:
    os.setgroups([])
    os.setresgid(number, number, number)
    os.setresuid(number, number, number)
    # Changing the user closes /proc/self to this process; a program started by a user has it open.
    kernel.prctl(4, 1)


@pytest.fixture(params=["root", "root, sharing", "stranger"])
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    """All of it belongs to the user who grades, so that ownership alone protects nothing."""
    who, _, sharing = request.param.partition(", ")
    if who == "root" and os.geteuid() != 0:
        pytest.skip("the tests do not run as root")
    with tempfile.TemporaryDirectory(prefix="box-") as name:
        folder = Path(os.path.realpath(name))
        folder.chmod(0o755)
        box = Box(who, folder, bool(sharing))
        readable_by_default()  # remembered, for a user who cannot look into the folders of Python
        for part in ("scratch", "other", "course/submitted/alice"):
            (folder / part).mkdir(parents=True)
        box.gradebook.write_text("points")
        (box.other / "answer.py").write_text("answer")
        (box.scratch / "data.csv").write_text("1,2\n3,4\n")
        if who == "stranger" and os.geteuid() == 0:
            for place, _, files in os.walk(folder):
                for path in (place, *(os.path.join(place, file) for file in files)):
                    os.chown(path, STRANGER, STRANGER)
        yield box


@pytest.fixture
def victim(box: Box) -> Iterator[int]:
    """A process of the same user, as the judge or another submission is."""
    child, reading = box.start(lambda: time.sleep(600), None)
    yield child
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def filtered(pid: int) -> bool:
    """Whether the last layer is in force."""
    return "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()


def call(name: str, *arguments: Any) -> int:
    """A system call by number, past everything that Python and the C library do."""
    return kernel.syscall(name, *arguments)


# Reading


def test_reads_no_gradebook(box: Box) -> None:
    box.stops(box.gradebook.read_text)


def test_reads_no_other_submission(box: Box) -> None:
    box.stops((box.other / "answer.py").read_text)


def test_lists_no_folder_of_the_course(box: Box) -> None:
    box.stops(lambda: os.listdir(box.folder / "course"))


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/hosts", "/proc/mounts", "/proc/1/status"])
def test_reads_no_file_of_the_system(box: Box, path: str) -> None:
    box.stops(lambda: Path(path).read_bytes()[:1] and None)


def test_reads_no_shadow_and_no_home(box: Box) -> None:
    if box.user == "root":
        box.stops(lambda: Path("/etc/shadow").read_bytes()[:1] and None)
    box.refuses(lambda: Path("/etc/shadow").read_bytes())
    box.refuses(functools.partial(os.listdir, Path.home()))


def test_reads_nothing_through_a_descriptor_of_a_folder(box: Box) -> None:
    def attack() -> None:
        folder = os.open(box.folder, os.O_PATH)
        os.fchdir(folder)
        os.close(os.open("course/gradebook.db", os.O_RDONLY, dir_fd=folder))

    box.stops(attack)


def test_reads_nothing_through_a_link(box: Box) -> None:
    (box.scratch / "link").symlink_to(box.gradebook)
    box.stops((box.scratch / "link").read_text)


def test_watches_no_folder(box: Box) -> None:
    def attack() -> None:
        watch = kernel.libc().inotify_init1(0)
        if watch < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        call("inotify_add_watch", watch, str(box.folder / "course").encode(), 0x100)

    box.stops(attack)


def test_reads_no_attributes(box: Box) -> None:
    box.stops(lambda: os.listxattr(box.gradebook), errno.ENOTSUP)


# Writing


def test_writes_nowhere_else(box: Box) -> None:
    box.stops(lambda: (box.folder / "new").write_text("x") and None)
    box.stops(lambda: box.gradebook.write_text("x") and None)


@pytest.mark.parametrize("path", ["/tmp", "/var/tmp", "/dev/shm"])
def test_writes_in_no_shared_folder(box: Box, path: str) -> None:
    box.stops(lambda: os.close(os.open(path, os.O_TMPFILE | os.O_RDWR)))


def test_truncates_nothing_else(box: Box) -> None:
    box.stops(lambda: os.truncate(box.gradebook, 0))
    box.gradebook.write_text("points")
    box.stops(lambda: os.close(os.open(box.gradebook, os.O_RDONLY | os.O_TRUNC)))
    # What may be read is not thereby truncated.
    box.gradebook.write_text("points")
    box.refuses(
        lambda: os.close(os.open(box.gradebook, os.O_RDONLY | os.O_TRUNC)),
        readable=(box.gradebook,),
    )
    assert box.gradebook.read_text() == "points"


def test_removes_and_renames_nothing_else(box: Box) -> None:
    box.refuses(lambda: os.unlink(box.gradebook))
    box.refuses(lambda: os.rename(box.gradebook, box.scratch / "mine"), errno.EACCES, errno.EXDEV)
    box.refuses(
        lambda: os.rename(box.scratch / "data.csv", box.other / "answer.py"),
        errno.EACCES,
        errno.EXDEV,
    )
    assert box.gradebook.exists() and (box.other / "answer.py").read_text() == "answer"
    box.stops(lambda: os.rename(box.gradebook, box.scratch / "mine"), errno.ENOENT, errno.EACCES)


def test_makes_no_link(box: Box) -> None:
    box.refuses(lambda: os.link(box.gradebook, box.scratch / "a"), *REFUSED, errno.EXDEV)
    box.stops(lambda: os.link(box.gradebook, "a"), *REFUSED, errno.EEXIST, errno.EXDEV)
    box.stops(lambda: os.symlink(box.gradebook, "b"), errno.EEXIST, errno.EACCES)
    box.refuses(lambda: os.symlink(box.gradebook, "c"))


def test_makes_nothing_but_files_and_folders(box: Box) -> None:
    def pipe() -> None:
        os.mkfifo("pipe")

    def socket_file() -> None:
        os.mknod("socket", stat.S_IFSOCK | 0o600)

    for attack in (pipe, socket_file):
        box.refuses(attack)
    box.stops(pipe, errno.EEXIST, errno.EACCES, errno.EPERM)


def test_changes_no_mode_time_or_owner(box: Box) -> None:
    before = box.gradebook.stat()

    def attack() -> None:
        os.chmod(box.gradebook, 0)
        os.utime(box.gradebook, (0, 0))
        os.chmod("data.csv", 0o4777)
        descriptor = os.open("data.csv", os.O_RDONLY)
        os.fchmod(descriptor, 0o4777)

    box.allows(attack)  # it is answered as done, and is not
    after = box.gradebook.stat()
    assert (after.st_mode, after.st_mtime) == (before.st_mode, before.st_mtime)
    assert (box.scratch / "data.csv").stat().st_mode & 0o7111 == 0
    box.refuses(lambda: os.chown(box.gradebook, os.getuid(), os.getgid()))


def test_mounts_nothing(box: Box) -> None:
    box.refuses(lambda: call("mount", b"none", str(box.scratch).encode(), b"tmpfs", 0, 0))
    box.refuses(lambda: call("open_tree", -100, b"/", 1))
    box.refuses(lambda: call("chroot", b"."))


def test_opens_nothing_by_handle(box: Box) -> None:
    box.refuses(lambda: call("name_to_handle_at", -100, b"/", 0, 0, 0))
    box.refuses(lambda: call("open_by_handle_at", -100, 0, 0))


# Other processes


def test_sees_no_other_process(box: Box, victim: int) -> None:
    box.stops(lambda: os.listdir("/proc") and None)
    for name in ("mem", "environ", "maps", "cmdline", "status"):
        box.stops(lambda name=name: os.close(os.open(f"/proc/{victim}/{name}", os.O_RDONLY)))
    for name in ("cwd", "exe", "fd/0"):
        box.stops(lambda name=name: os.readlink(f"/proc/{victim}/{name}") and None)
    box.stops(lambda: os.close(os.open(f"/proc/{os.getppid()}/status", os.O_RDONLY)))


def test_traces_no_other_process(box: Box, victim: int) -> None:
    box.stops(lambda: call("ptrace", 16, victim, 0, 0))
    box.refuses(lambda: call("process_vm_readv", victim, 0, 0, 0, 0, 0))
    box.refuses(lambda: call("process_vm_writev", victim, 0, 0, 0, 0, 0))
    box.stops(lambda: call("kcmp", victim, os.getpid(), 1, 0, 0))
    box.refuses(lambda: call("pidfd_open", victim, 0))
    box.refuses(lambda: call("pidfd_getfd", 3, 0, 0))


def test_is_hidden_from_siblings(box: Box) -> None:
    child, reading = box.start(lambda: time.sleep(600), box.policy())
    try:
        box.wait_for(lambda: filtered(child), child, reading)
        if box.user == "stranger":  # root sees everything
            outcome = box.free(lambda: os.readlink(f"/proc/{child}/exe"))
            assert outcome.number == errno.EACCES
            outcome = box.free(lambda: call("ptrace", 16, child, 0, 0))
            assert outcome.number == errno.EPERM
    finally:
        os.kill(child, signal.SIGKILL)
        box.finish(child, reading)


@pytest.mark.parametrize("processes", [0, 4])
def test_signals_no_other_process(box: Box, victim: int, processes: int) -> None:
    attacks: list[Callable[[], Any]] = [
        lambda: os.kill(victim, signal.SIGSTOP),
        lambda: os.kill(os.getppid(), 0),
        lambda: call("tgkill", victim, victim, signal.SIGSTOP),
        lambda: call("tkill", victim, signal.SIGSTOP),
        lambda: call("rt_sigqueueinfo", victim, signal.SIGSTOP, bytes(128)),
        lambda: call("pidfd_send_signal", call("pidfd_open", victim, 0), signal.SIGSTOP, 0, 0),
    ]
    for attack in attacks:
        box.refuses(attack, processes=processes)
    assert state(victim) == "S"
    # Everyone at once: the call may succeed for those whom it may reach, itself alone.
    box.confined(lambda: os.kill(-1, signal.SIGSTOP), processes=processes)
    assert state(victim) == "S"
    box.stops(attacks[0])


def test_signals_nobody_through_a_descriptor(box: Box, victim: int) -> None:
    def attack() -> None:
        reading, writing = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETOWN, victim)
        fcntl.fcntl(reading, 10, int(signal.SIGCONT))
        fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
        os.write(writing, b"x")

    box.stops(attack)


def test_signals_itself(box: Box) -> None:
    def itself() -> bool:
        seen: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return len(seen) >= 1

    assert box.allows(itself)


def test_changes_no_limit_or_priority_of_another(box: Box, victim: int) -> None:
    limits = Path(f"/proc/{victim}/limits")
    before = limits.read_text()
    box.refuses(lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (9, 9)))
    assert limits.read_text() == before
    box.stops(lambda: resource.prlimit(victim, resource.RLIMIT_NOFILE, (9, 9)) and None)
    box.stops(lambda: os.setpriority(os.PRIO_PROCESS, victim, 5))
    box.stops(lambda: os.setpriority(os.PRIO_USER, 0, 5))
    box.stops(lambda: os.sched_setaffinity(victim, os.sched_getaffinity(0)))


def test_is_never_nicer_to_itself(box: Box) -> None:
    assert box.allows(lambda: os.nice(1) - os.nice(0)) == 0
    box.refuses(lambda: os.nice(-1))


def test_ends_with_its_parent(box: Box) -> None:
    reading, writing = os.pipe()
    policy = replace(box.policy(), descriptors=(0, 1, 2, writing))
    middle = os.fork()
    if middle == 0:
        child, result = box.start(lambda: time.sleep(600), policy)
        box.wait_for(lambda: filtered(child), child, result)
        os._exit(0)
    os.close(writing)
    os.waitpid(middle, 0)
    ready, _, _ = select.select([reading], [], [], 60)
    assert ready and os.read(reading, 1) == b""
    os.close(reading)


# Network and other ways out


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_INET, socket.SOCK_STREAM),
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_INET6, socket.SOCK_STREAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
        (socket.AF_UNIX, socket.SOCK_DGRAM),
        (16, socket.SOCK_RAW),  # AF_NETLINK
    ],
)
def test_opens_no_socket(box: Box, family: int, kind: int) -> None:
    box.stops(lambda: socket.socket(family, kind).close())


def test_accepts_on_what_it_was_given_and_on_nothing_else(box: Box) -> None:
    """For a kernel, which listens; the same call is refused without the policy's word."""
    place = str(box.folder / "listens")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(place)
    listening.listen()
    os.chmod(place, 0o777)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(place)
    client.sendall(b"hello")

    def accept() -> str:
        given = socket.socket(fileno=listening.fileno())
        given.settimeout(5)
        connection, _ = given.accept()
        return connection.recv(5).decode()

    policy = {"descriptors": (0, 1, 2, listening.fileno())}
    box.refuses(accept, **policy)
    assert box.allows(accept, **policy, accepting=True) == "hello"
    families = socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK
    for family in families:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            box.refuses(functools.partial(socket.socket, family, kind), accepting=True)

    def of_a_pair(call: str, *arguments: Any) -> None:
        getattr(socket.socketpair()[0], call)(*arguments)

    mine = str(box.scratch / "mine")
    for call, *arguments in (
        ("bind", mine), ("bind", "\0abstract"), ("connect", place), ("listen",)
    ):  # fmt: skip
        attack = functools.partial(of_a_pair, call, *arguments)
        box.refuses(attack, **policy, accepting=True)
    client.close()
    listening.close()


def test_asks_for_the_schedule_that_it_has_and_for_no_other(box: Box) -> None:
    def ask(policy: int, priority: int) -> None:
        os.sched_setscheduler(0, policy, os.sched_param(priority))

    box.allows(functools.partial(ask, os.SCHED_OTHER, 0))
    box.stops(functools.partial(ask, os.SCHED_BATCH, 0))
    box.refuses(functools.partial(ask, os.SCHED_FIFO, 1))


def test_opens_no_raw_socket(box: Box) -> None:
    box.refuses(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
    box.refuses(lambda: socket.socket(17, socket.SOCK_RAW))  # AF_PACKET


def test_finds_no_address(box: Box) -> None:
    outcome = box.confined(lambda: socket.getaddrinfo("example.org", 80))
    assert outcome.error.startswith(("gaierror", "PermissionError"))


def test_has_a_pair_of_sockets_for_itself_alone(box: Box) -> None:
    def pair() -> str:
        left, right = socket.socketpair()
        left.sendall(b"hello")
        return right.recv(5).decode()

    def event_loop() -> int:
        import asyncio

        async def answer() -> int:
            await asyncio.sleep(0)
            return 42

        return asyncio.run(answer())

    assert box.allows(pair) == "hello"
    assert box.allows(event_loop) == 42
    # It could be sent from to the socket of any service.
    box.stops(lambda: len(socket.socketpair(type=socket.SOCK_DGRAM)) and None)


def test_inherits_no_descriptor(box: Box) -> None:
    with box.gradebook.open() as inherited:
        number = inherited.fileno()
        assert box.free(lambda: os.pread(number, 6, 0).decode()).value == "points"
        assert box.allows(lambda: os.pread(number, 6, 0).decode()) == ""

        def look() -> list[str]:
            names = [os.readlink(f"/proc/self/fd/{n}") for n in range(3, number + 1)]
            return [name for name in names if not name.startswith("pipe:")]

        assert set(box.allows(look)) == {"/dev/null"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("io_uring_setup", (1, bytes(120))),
        ("userfaultfd", (1,)),
        ("perf_event_open", (bytes(128), 0, -1, -1, 0)),
        ("bpf", (0, bytes(128), 128)),
        ("keyctl", (0, -3, 1)),
        ("shmget", (0, 4096, 0o600)),
        ("semget", (0, 1, 0o600)),
        ("msgget", (0, 0o600)),
        ("mq_open", (b"autograder", 0o100, 0o600, 0)),
        ("personality", (0x0040000,)),
        ("unshare", (0x10000000,)),
        ("setns", (0, 0)),
        ("seccomp", (0, 0, 0)),
        ("landlock_restrict_self", (-1, 0)),
        ("setsid", ()),
        ("sync", ()),
        ("clock_settime", (0, bytes(16))),
        ("adjtimex", (bytes(256),)),
        ("setuid", (0,)),
        ("capset", (bytes(8), bytes(24))),
        ("bind", (0, 0, 0)),
        ("connect", (0, 0, 0)),
        ("accept", (0, 0, 0)),
    ],
)
def test_has_no_other_way_into_the_kernel(box: Box, name: str, arguments: tuple[Any, ...]) -> None:
    box.refuses(lambda: call(name, *arguments))


def test_a_call_that_is_not_known_is_absent(box: Box) -> None:
    libc = kernel.libc()

    def number_of(value: int) -> int:
        return ctypes.get_errno() if libc.syscall(ctypes.c_long(value)) < 0 else 0

    getpid = kernel.machine().numbers["getpid"]
    assert box.allows(lambda: number_of(seccomp.FIRST_UNKNOWN)) == errno.ENOSYS
    assert box.allows(lambda: number_of(seccomp.X32 | getpid)) == errno.ENOSYS
    assert box.allows(lambda: number_of(kernel.machine().numbers["clone3"])) == errno.ENOSYS


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the 32-bit calls of x86_64")
def test_makes_no_32_bit_call(box: Box) -> None:
    def attack() -> int:
        memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        memory.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, getpid; int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)()) == os.getpid()

    outcome = box.free(attack)
    if outcome.value is not True:
        pytest.skip("this kernel runs no 32-bit calls")
    assert box.allows(attack) is False


def test_types_into_no_terminal(box: Box) -> None:
    def attack() -> None:
        leader, follower = os.openpty()
        fcntl.ioctl(follower, termios.TIOCSTI, b"x")

    def with_given(descriptor: int) -> None:
        fcntl.ioctl(descriptor, termios.TIOCSTI, b"x")

    leader, follower = os.openpty()
    box.refuses(lambda: with_given(follower), errno.ENOTTY, descriptors=(0, 1, 2, leader, follower))
    os.close(leader)
    os.close(follower)
    box.refuses(attack, errno.EACCES, errno.ENOENT, errno.EPERM)


def test_undoes_none_of_it(box: Box) -> None:
    box.refuses(lambda: kernel.prctl(4, 1))  # PR_SET_DUMPABLE
    box.refuses(lambda: kernel.prctl(1, 0))  # PR_SET_PDEATHSIG
    box.refuses(lambda: kernel.prctl(36, 1))  # PR_SET_CHILD_SUBREAPER
    box.refuses(lambda: kernel.prctl(0x59616D61, -1))  # PR_SET_PTRACER
    assert box.allows(lambda: kernel.prctl(39)) == 1  # PR_GET_NO_NEW_PRIVS

    def raise_limits() -> list[int]:
        raised = []
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
            soft, hard = resource.getrlimit(kind)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (soft, hard + 1))
                raised.append(kind)
        return raised

    assert box.allows(raise_limits) == []


# Programs and processes


def test_starts_no_process_and_no_program(box: Box) -> None:
    box.stops(lambda: os.fork() or os._exit(0))
    box.stops(lambda: subprocess.run(["/bin/true"], check=True) and None)
    box.stops(lambda: os.posix_spawn("/bin/true", ["true"], {}) and None)
    box.refuses(lambda: os.execv("/bin/sh", ["sh"]))
    box.refuses(lambda: os.execve(os.open("/lib", os.O_PATH), ["x"], {}))
    box.refuses(lambda: call("clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0))


def test_runs_no_program_from_memory(box: Box) -> None:
    box.stops(lambda: os.close(os.memfd_create("program")))
    shell = {"readable": box.readable(programs=True), "executable": True, "processes": 4}
    box.refuses(lambda: os.close(os.memfd_create("program")), **shell)
    box.refuses(lambda: call("execveat", -1, b"", 0, 0, 0x1000), **shell)


def shell(box: Box) -> dict[str, Any]:
    return {"readable": box.readable(programs=True), "executable": True, "processes": 8}


def run_shell(command: str) -> str:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_runs_programs_where_the_policy_says_so(box: Box) -> None:
    assert box.allows(lambda: run_shell("cat data.csv | wc -l"), **shell(box)).strip() == "2"


def test_programs_are_confined_too(box: Box) -> None:
    command = f"cat {box.gradebook}; echo x > {box.gradebook}; ls {box.folder}/course"
    printed = box.allows(lambda: run_shell(command), **shell(box))
    assert printed.count("Permission denied") == 3 and "points" not in printed
    assert box.gradebook.read_text() == "points"


def test_runs_no_program_of_its_own(box: Box) -> None:
    shutil.copy("/bin/true", box.scratch / "program")
    (box.scratch / "program").chmod(0o755)
    if os.geteuid() == 0 and box.user == "stranger":
        os.chown(box.scratch / "program", STRANGER, STRANGER)
    box.stops(lambda: subprocess.run(["./program"], check=True) and None, **shell(box))


def test_a_namespace_is_not_made_with_a_process(box: Box) -> None:
    box.refuses(
        lambda: call("clone", 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) or os._exit(0), processes=4
    )
    box.refuses(  # CLONE_PARENT: a child of the grader
        lambda: call("clone", 0x8000 | signal.SIGCHLD, 0, 0, 0, 0) or os._exit(0), processes=4
    )


def test_what_it_leaves_behind_is_killed(box: Box) -> None:
    def attack() -> int:
        for _ in range(3):
            if os.fork() == 0:
                if os.fork() == 0:  # an orphan soon
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    time.sleep(600)
                os._exit(0)
        for _ in range(3):
            os.wait()
        return os.getpid()

    adopt_orphans()
    child, reading = box.start(attack, box.policy(processes=8))
    # The orphans hold the pipe open, so only the result comes and no end.
    assert json.loads(os.read(reading, 1000)).get("value") == child
    while state(child) != "Z":
        time.sleep(0.01)
    left = processes_of_session(child)
    assert len(left) == 3
    assert all(p.threads == 1 and p.resident_bytes > 0 for p in left)
    assert kill_session(child)
    assert processes_of_session(child) == []
    assert not any(Path(f"/proc/{p.pid}").exists() for p in left), "not reaped"
    os.close(reading)
    os.waitpid(child, 0)


# Limits


def bomb_threads() -> int:
    """How many threads can be started; they end with the process."""
    started = 0
    threading.stack_size(64 * 1024)
    with contextlib.suppress(RuntimeError):
        while started < 500:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            started += 1
    return started


def test_bounds_threads(box: Box) -> None:
    assert box.free(bomb_threads).value == 500
    assert box.allows(bomb_threads, threads=20) == 20


def test_bounds_threads_without_a_user_of_its_own(box: Box) -> None:
    """As where user namespaces are forbidden: what the user has already is added."""

    def work() -> tuple[bool, int]:
        policy = box.policy(descriptors=tuple(range(64)), threads=20)
        prepared = replace(prepare(policy), own=user.Own.NONE, why_no_user="forbidden")
        layers = {layer.name: layer for layer in prepared.apply()}
        assert layers["own user"].detail == "forbidden"
        return layers["own user"].in_force, bomb_threads()

    # A hidden process of the same user counts as well.
    child, reading = box.start(lambda: time.sleep(600), box.policy())
    box.wait_for(lambda: filtered(child), child, reading)
    in_force, started = box.free(work).value
    assert not in_force
    assert started == (500 if box.user == "root" else 20)  # the kernel does not count root's
    os.kill(child, signal.SIGKILL)
    box.finish(child, reading)


def test_a_thread_bomb_takes_no_threads_from_another(box: Box) -> None:
    def bomb_and_stay() -> int:
        started = bomb_threads()
        Path("full").touch()
        time.sleep(600)
        return started

    child, reading = box.start(bomb_and_stay, box.policy(threads=20))
    box.wait_for((box.scratch / "full").exists, child, reading)
    assert box.confined(bomb_threads, threads=20, scratch=box.other).value == 20
    os.kill(child, signal.SIGKILL)
    box.finish(child, reading)


def test_bounds_processes(box: Box) -> None:
    def bomb() -> int:
        started = 0
        with contextlib.suppress(BlockingIOError):
            while started < 200:
                if os.fork() == 0:
                    time.sleep(600)
                started += 1
        return started

    child, reading = box.start(bomb, box.policy(processes=5, threads=10))
    assert json.loads(os.read(reading, 1000)) == {"value": 15}
    assert kill_session(child)
    box.finish(child, reading)


def test_bounds_memory(box: Box) -> None:
    def bomb() -> int:
        held = []
        try:
            while len(held) < 20:
                # Above every threshold of malloc, so that it comes from no free space in the heap.
                held.append(bytearray(64 * MEBIBYTE))
        except MemoryError:
            return len(held) * 64
        return -1

    assert box.free(bomb).value == -1
    assert 320 <= box.allows(bomb, memory_bytes=512 * MEBIBYTE) <= 512


def test_bounds_a_file(box: Box) -> None:
    def bomb() -> None:
        with open("big", "wb", buffering=0) as file:
            for _ in range(3):
                file.write(bytes(MEBIBYTE))

    box.stops(bomb, errno.EFBIG, file_bytes=2 * MEBIBYTE)
    assert (box.scratch / "big").stat().st_size == 2 * MEBIBYTE
    box.refuses(lambda: os.truncate("big", 2**40), errno.EFBIG, file_bytes=2 * MEBIBYTE)


def test_bounds_descriptors(box: Box) -> None:
    def bomb() -> None:
        for _ in range(60):
            os.dup(0)

    box.stops(bomb, errno.EMFILE, files=40)


def test_locks_no_memory(box: Box) -> None:
    box.refuses(
        lambda: call(
            "mlock", ctypes.cast(ctypes.create_string_buffer(4096), ctypes.c_void_p), 4096
        ),
        errno.EPERM,
        errno.ENOMEM,
    )


@pytest.mark.parametrize(
    ("ignored", "end"), [(False, signal.SIGXCPU), (True, signal.SIGKILL)], ids=["plain", "ignored"]
)
def test_bounds_processor_time(box: Box, ignored: bool, end: int) -> None:
    def burn() -> None:
        if ignored:
            signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True:
            pass

    assert box.confined(burn, cpu_seconds=1).signal == end


# What must work


def reaches_python(box: Box) -> bool:
    return bool(
        box.free(lambda: all(os.access(p, os.R_OK) for p in (sys.prefix, sys.base_prefix))).value
    )


def forget(package: str) -> None:
    """As if nothing of it had been imported yet."""
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]


def test_numpy_works_with_threads(box: Box) -> None:
    import numpy as np

    def product() -> tuple[float, int]:
        a = np.ones((600, 600))
        return float((a @ a).sum()), len(os.listdir("/proc/self/task"))

    # /proc/self/task is listed only where the policy has it.
    value, tasks = box.allows(product, readable=(*box.readable(), Path("/proc/self/task")))
    assert value == 600.0**3
    assert tasks > 1 or os.cpu_count() == 1


def test_files_in_scratch_work(box: Box) -> None:
    def work() -> list[str]:
        Path("a").mkdir()
        Path("a/one.txt").write_text("one")
        shutil.copy("data.csv", "a/copy.csv")
        shutil.copy2("data.csv", "a/copy2.csv")
        os.rename("a/one.txt", "two.txt")
        shutil.move("a/copy.csv", ".")
        Path("two.txt").touch()
        Path("four.txt").touch()
        os.truncate("two.txt", 1)
        os.link("two.txt", "three.txt")
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
            file.write(b"x")
            Path(folder, "x").write_text("x")
        Path("/dev/null").write_text("gone")
        return sorted(str(p) for p in Path(".").rglob("*"))

    assert box.allows(work) == sorted(
        ["a", "a/copy2.csv", "copy.csv", "data.csv", "four.txt", "three.txt", "two.txt"]
    )


def test_time_randomness_and_threads_work(box: Box) -> None:
    def work() -> list[bool]:
        import queue
        import random
        import uuid

        answers: queue.Queue[int] = queue.Queue()
        thread = threading.Thread(target=answers.put, args=(1,))
        thread.start()
        thread.join()
        time.sleep(0.001)
        return [
            answers.get() == 1,
            0 <= random.SystemRandom().random() < 1,
            len(os.urandom(8)) == 8,
            uuid.uuid4() != uuid.uuid4(),
            time.localtime().tm_year > 2000,
            time.perf_counter() > 0,
            os.cpu_count() is not None,
            "VmRSS" in Path("/proc/self/status").read_text(),
        ]

    assert all(box.allows(work))


def test_imports_what_is_not_yet_imported(box: Box) -> None:
    if not reaches_python(box):
        pytest.skip("this user cannot read the Python that runs the tests")

    def work() -> list[str]:
        names = ["wave", "mpmath", "networkx", "sqlite3", "ssl", "decimal", "zoneinfo"]
        for name in names:
            forget(name)
        import zoneinfo

        for name in names:
            __import__(name)
        assert zoneinfo.ZoneInfo("Europe/Paris").key
        return names

    assert box.allows(work)


def test_imports_nothing_that_is_left_out(box: Box) -> None:
    if not reaches_python(box):
        pytest.skip("this user cannot read the Python that runs the tests")

    def work(name: str) -> str:
        forget(name)
        return str(__import__(name).__name__)

    readable = box.readable(without=("mpmath", "torch"))
    box.stops(functools.partial(work, "mpmath"), readable=readable)
    box.refuses(functools.partial(work, "torch"), readable=readable)
    assert box.allows(functools.partial(work, "networkx"), readable=readable) == "networkx"


def test_matplotlib_draws(box: Box) -> None:
    if not reaches_python(box):
        pytest.skip("this user cannot read the Python that runs the tests")

    def draw() -> int:
        forget("matplotlib")
        import matplotlib

        matplotlib.use("agg")
        from matplotlib import pyplot as plt

        plt.plot([1, 2, 3])
        plt.title(r"$\partial L / \partial W$ and letters")
        plt.savefig("plot.png")
        return Path("plot.png").stat().st_size

    assert box.allows(draw, readable=box.readable(without=("torch",))) > 5000


# The layers


def test_every_layer_holds(box: Box) -> None:
    layers = (
        box.allows(lambda: None)
        or box._run(
            lambda: [
                layer.as_json() for layer in box.confine(box.policy(descriptors=tuple(range(64))))
            ],
            None,
        ).value
    )
    assert [layer["layer"] for layer in layers] == list(LAYERS)
    assert all(layer["in_force"] for layer in layers), layers


def test_available_tries_them_out() -> None:
    layers = available()
    assert [layer.name for layer in layers] == list(LAYERS)
    assert all(isinstance(layer, Layer) and layer.in_force for layer in layers), layers
    # This process is as free as before.
    assert os.listdir("/") and socket.socket().close() is None


@pytest.mark.parametrize(("system", "name"), [("darwin", "macOS"), ("win32", "Windows")])
def test_says_so_on_another_system(
    system: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    policy = Box("root", tmp_path).policy()
    monkeypatch.setattr(sys, "platform", system)
    layers = available()
    assert [layer.name for layer in layers] == list(LAYERS)
    sentence = f"Confinement needs Linux; this is {name}."
    assert all(not layer.in_force and layer.detail == sentence for layer in layers)
    with pytest.raises(SandboxError, match=sentence):
        prepare(policy)


def test_has_no_capability(box: Box) -> None:
    def look() -> tuple[int, int, str]:
        return user.capabilities(), os.getuid(), Path("/proc/self/status").read_text()

    held, number, status = box.allows(look)
    assert held in (0, 1 << 2)  # CAP_DAC_READ_SEARCH, where Python lies in the home of root
    if held:
        assert box.user == "root"
    if box.user == "root":
        assert user.FIRST_SLOT <= number < user.FIRST_SLOT + user.SLOTS
    assert f"CapBnd:\t{0:016x}" in status


def test_refuses_when_there_are_threads(box: Box) -> None:
    def work() -> None:
        threading.Thread(target=time.sleep, args=(60,), daemon=True, name="early").start()
        confine(box.policy())

    outcome = box.free(work)
    assert outcome.error.startswith("SandboxError") and "early" in outcome.error


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    policy = Box("root", tmp_path).policy(readable=(Path("/nowhere"),))
    with pytest.raises(SandboxError, match="scratch folder"):
        prepare(policy)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(SandboxError, match="/nowhere"):
        prepare(policy)
    with pytest.raises(SandboxError, match="moat"):
        prepare(replace(policy, readable=()), frozenset({"moat"}))


def test_refuses_when_a_required_layer_is_missing(box: Box) -> None:
    """A process that is confined already cannot be confined again: the calls are forbidden."""

    def twice(*more: Path) -> None:
        readable = (*box.readable(), *more)
        policy = box.policy(descriptors=tuple(range(64)), readable=readable)
        prepared = prepare(policy, frozenset({"landlock"}))
        prepared.apply()
        prepared.apply()

    outcome = box.free(functools.partial(twice, Path("/proc/self/task")))
    assert outcome.error.startswith("SandboxError: The layer 'landlock'")
    assert box.free(twice).error.startswith("SandboxError: A process cannot count its threads")


# The filter itself, on both processors, run by an interpreter of its own


def interpret(code: list[seccomp.Instruction], audit: int, number: int, args: list[int]) -> int:
    """What the kernel's machine for filters answers, after Linux's Documentation on BPF."""
    data = struct.pack("<IIQ6Q", number, audit, 0, *args)
    accumulator, at = 0, 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, constant)
        elif operation == seccomp.AND:
            accumulator &= constant
        elif operation == seccomp.JEQ:
            at += if_true if accumulator == constant else if_false
        elif operation == seccomp.JGE:
            at += if_true if accumulator >= constant else if_false
        else:
            assert operation == seccomp.RETURN
            return constant


def judge(table: dict[str, seccomp.Rule], name: str | None, args: list[int]) -> int:
    """The verdict that the rules spell out."""
    if name not in table:
        return seccomp.DENY
    for case in table[name].cases:
        halves = [(args[t.argument] >> (32 if t.high else 0)) & 0xFFFFFFFF for t in case.tests]
        if all(h & t.mask == t.value for h, t in zip(halves, case.tests, strict=True)):
            return case.verdict
    return table[name].otherwise


words = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 70),
    st.sampled_from([77, 77 + 2**32, 0x5413, 0x5412, 0x10000, 0x10010000, 0x3D0F00, 0o1000]),
)


@pytest.mark.parametrize("name", sorted(kernel.MACHINES))
@given(
    data=st.data(),
    args=st.lists(words, min_size=6, max_size=6),
    flags=st.fixed_dictionaries(
        {
            flag: st.booleans()
            for flag in ("processes", "executable", "signals_scoped", "truncation_covered")
        }
    ),
)
def test_the_filter_says_what_the_rules_say(
    name: str, data: st.DataObject, args: list[int], flags: dict[str, bool]
) -> None:
    machine = kernel.MACHINES[name]
    table = seccomp.rules(pid=77, **flags)
    names = {number: call for call, number in machine.numbers.items()}
    number = data.draw(st.one_of(st.sampled_from(sorted(names)), st.integers(0, 2**32 - 1)))
    answer = interpret(seccomp.program(table, machine), machine.audit, number, args)
    if number >= seccomp.FIRST_UNKNOWN:
        assert answer == seccomp.ABSENT
    else:
        assert answer == judge(table, names.get(number), args)


@given(st.integers(1, 2**22), st.booleans(), st.booleans())
def test_a_filter_that_is_fitted_is_the_one_made_for_the_process(
    pid: int, processes: bool, scoped: bool
) -> None:
    def code(number: int) -> list[seccomp.Instruction]:
        table = seccomp.rules(
            pid=number,
            processes=processes,
            executable=False,
            signals_scoped=scoped,
            truncation_covered=True,
        )
        return seccomp.program(table, kernel.machine())

    made = b"".join(struct.pack("=HBBI", *instruction) for instruction in code(pid))
    assert seccomp.Filter.of(code(seccomp.NOBODY)).fitted(pid) == made


PATHS = st.lists(st.sampled_from("ab"), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(
    st.lists(st.tuples(PATHS, st.sampled_from([landlock.READ_FILE, landlock.READ]))),
    st.lists(PATHS.filter(lambda path: path != "/"), min_size=1, max_size=2),
)
def test_wide_grants_are_narrow_where_they_must_be(
    pairs: list[tuple[str, int]], apart: list[str]
) -> None:
    grants = [landlock.Grant(path, rights) for path, rights in pairs]
    wide = landlock.around(grants, apart)

    def granted(path: str, by: Sequence[landlock.Grant]) -> int:
        found = 0
        for grant in by:
            if Path(path).is_relative_to(grant.path):
                found |= grant.rights
        return found

    places = [
        "/" + "/".join(parts) for n in range(6) for parts in itertools.product("ab", repeat=n)
    ]
    for path in places:
        assert granted(path, wide) & granted(path, grants) == granted(path, grants)
        if any(Path(path).is_relative_to(folder) for folder in apart):
            assert granted(path, wide) == granted(path, grants)


def test_says_that_there_is_no_landlock(box: Box) -> None:
    def work() -> None:
        replace(prepare(box.policy(descriptors=tuple(range(64)))), abi=0).apply()

    outcome = box.free(work)
    assert "'landlock' of the confinement is missing: the kernel has no Landlock" in outcome.error


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@example(0x40000003, 11)  # execve of a 32-bit process on x86_64
def test_the_filter_denies_every_other_processor(audit: int, number: int) -> None:
    for machine in kernel.MACHINES.values():
        if audit != machine.audit:
            code = seccomp.program({"getpid": seccomp.Rule((), seccomp.ALLOW)}, machine)
            assert interpret(code, audit, number, [0] * 6) == seccomp.DENY


@pytest.mark.parametrize("name", sorted(kernel.MACHINES))
def test_every_name_in_the_rules_is_a_call(name: str) -> None:
    table = seccomp.rules(
        pid=1, processes=True, executable=True, signals_scoped=True, truncation_covered=True
    )
    assert not set(table) - set(kernel.MACHINES["x86_64"].numbers)
    for old in seccomp.rules(
        pid=1, processes=False, executable=False, signals_scoped=False, truncation_covered=False
    ).values():
        assert all(0 <= case.verdict < 2**32 for case in old.cases)
    assert len(seccomp.program(table, kernel.MACHINES[name])) < 4096  # BPF_MAXINSNS


def test_an_old_kernel_without_scopes_is_made_up_for() -> None:
    """Landlock before ABI 3 and 6 lets truncate and signal; the filter then does not."""
    machine = kernel.machine()
    for processes in (False, True):
        table = seccomp.rules(
            pid=77,
            processes=processes,
            executable=False,
            signals_scoped=False,
            truncation_covered=False,
        )
        code = seccomp.program(table, machine)
        answer = functools.partial(interpret, code, machine.audit)
        assert answer(machine.numbers["kill"], [77, 9, 0, 0, 0, 0]) == seccomp.ALLOW
        for other in (1, 0, 2**32 - 1, 2**64 - 77):
            assert answer(machine.numbers["kill"], [other, 9, 0, 0, 0, 0]) == seccomp.DENY
        assert answer(machine.numbers["truncate"], [0] * 6) == seccomp.DENY


@pytest.mark.parametrize("version", range(1, landlock.abi() + 1))
def test_every_version_of_landlock_confines(box: Box, version: int) -> None:
    """The rights of an older kernel are taken by a newer one, so each can be tried here."""

    def work() -> list[str]:
        prepared = replace(prepare(box.policy(descriptors=tuple(range(64)))), abi=version)
        prepared.apply()
        attacks: dict[str, Callable[[], Any]] = {
            "read": box.gradebook.read_text,
            "write": lambda: box.gradebook.write_text("x"),
            "truncate": lambda: os.truncate(box.gradebook, 0),
            "truncate by reading": lambda: os.open(box.gradebook, os.O_RDONLY | os.O_TRUNC),
            "signal": lambda: os.kill(os.getppid(), 0),
        }
        done = []
        for name, attack in attacks.items():
            with contextlib.suppress(PermissionError):
                attack()
                done.append(name)
        Path("file").write_text("x")
        return done

    assert box.free(work) == Outcome(value=[])
    assert box.gradebook.read_text() == "points"
