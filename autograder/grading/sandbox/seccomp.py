"""seccomp: which system calls a process may make, and with which arguments.

The filter is a list of what is allowed. A kernel that is newer than this file brings new calls, and
a list of what is denied would let them through.

A refused call fails with an ordinary error number, so that Python raises ``PermissionError`` and
the notebook goes on.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from autograder.grading.sandbox.kernel import Machine, syscall

ALLOW = 0x7FFF0000  # SECCOMP_RET_ALLOW
_ERRNO = 0x00050000  # SECCOMP_RET_ERRNO
# The first call that this file does not know; programs take ENOSYS for "an older kernel".
FIRST_UNKNOWN = 470
X32 = 0x40000000  # the bit of the x32 calls, which run on x86_64 past a filter that does not look


def fail(number: int) -> int:
    """The verdict that ends a call with this error number; 0 is success without doing anything."""
    return _ERRNO | number


DENY = fail(errno.EPERM)
ABSENT = fail(errno.ENOSYS)
DONE = fail(0)
NO_XATTR = fail(errno.ENOTSUP)


@dataclass(frozen=True)
class Test:
    """``half(argument) & mask == value``, where a half is 32 bits: a filter sees no more at once.

    The kernel reads an argument of C type ``int`` from the low half alone, and so does the test.
    """

    __test__ = False  # the name is not for pytest

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    high: bool = False


@dataclass(frozen=True)
class Case:
    """A verdict that holds when all tests do."""

    tests: tuple[Test, ...]
    verdict: int


@dataclass(frozen=True)
class Rule:
    """The verdict of the first case that holds, or else ``otherwise``."""

    cases: tuple[Case, ...]
    otherwise: int


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Read and write, memory, time, threads, and questions about oneself.
PLAIN = _words("""
    access alarm arch_prctl brk capget chdir clock_getres clock_gettime clock_nanosleep close
    close_range copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
    epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 exit exit_group faccessat faccessat2
    fadvise64 fallocate fchdir fdatasync flock fstat fstatfs fsync ftruncate futex futex_requeue
    futex_wait futex_waitv futex_wake get_mempolicy getcpu getcwd getdents getdents64 getegid
    geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority
    getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid
    gettimeofday getuid link linkat lseek lstat madvise map_shadow_stack mbind membarrier mkdir
    mkdirat mlock mmap mprotect mremap mseal msync munmap nanosleep newfstatat pause pipe pipe2
    poll ppoll pread64 preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv recvfrom recvmsg rename renameat renameat2 restart_syscall rmdir rseq
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_yield select sendfile sendmsg sendto
    set_mempolicy set_robust_list set_tid_address setitimer setrlimit shutdown sigaltstack
    signalfd signalfd4 stat statfs statx symlink symlinkat sync_file_range sysinfo time
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime times umask uname unlink unlinkat wait4 waitid write writev
""")

# They change a file that the process may only read, if its user owns the file, and Landlock does
# not look at them. Copying a file ends in one, so they succeed without doing anything.
CHANGE_NOTHING = _words("chmod fchmod fchmodat fchmodat2 futimesat utime utimes")

# Landlock does not look at them either; answered as on a file system without attributes.
ATTRIBUTES = _words("""
    fgetxattr flistxattr fremovexattr fsetxattr getxattr lgetxattr listxattr llistxattr
    lremovexattr lsetxattr removexattr setxattr
""")

# Their flags are in memory, where a filter cannot look. The C library then uses the older form.
UNREADABLE = ("clone3", "openat2")

_CLONE_THREAD = 0x00010000
# New namespaces, and CLONE_PARENT and CLONE_PTRACE, which would make a child the grader's.
_CLONE_FORBIDDEN = 0x7E020000 | 0x00008000 | 0x00002000

_PRCTL = (
    2,  # PR_GET_PDEATHSIG
    3,  # PR_GET_DUMPABLE
    15,  # PR_SET_NAME
    16,  # PR_GET_NAME
    21,  # PR_GET_SECCOMP
    23,  # PR_CAPBSET_READ
    29,  # PR_SET_TIMERSLACK
    30,  # PR_GET_TIMERSLACK
    39,  # PR_GET_NO_NEW_PRIVS
    51,  # PR_SVE_GET_VL, asked by BLAS on aarch64
    56,  # PR_GET_TAGGED_ADDR_CTRL
    0x53564D41,  # PR_SET_VMA: the C library names its memory
)
_IOCTL = (
    0x5401,  # TCGETS: is it a terminal?
    0x802C542A,  # TCGETS2: the same
    0x5413,  # TIOCGWINSZ: how wide is it?
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
)
_FICLONE = 0x40049409
# Descriptors, status flags, locks; neither owner nor signal of input (F_SETOWN, F_SETSIG: a signal
# to any process of the same user), nor leases.
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 36, 37, 38, 1027, 1030, 1032, 1034)
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE_MASK = 1, 1, 0xF
_ACCESS_MODE, _O_TRUNC = 0o3, 0o1000
_SCHED_OTHER = 0


def rules(
    *,
    pid: int,
    processes: bool,
    executable: bool,
    signals_scoped: bool,
    truncation_covered: bool,
    accepting: bool = False,
) -> dict[str, Rule]:
    """The rule of each call that is not plainly refused.

    ``pid`` is the process to confine. ``signals_scoped`` and ``truncation_covered`` say what
    Landlock takes care of; the rest is done here.
    """
    always, never = Rule((), ALLOW), Rule((), DENY)
    table = {name: always for name in PLAIN}
    table |= {name: Rule((), DONE) for name in CHANGE_NOTHING}
    table |= {name: Rule((), NO_XATTR) for name in ATTRIBUTES}
    table |= {name: Rule((), ABSENT) for name in UNREADABLE}
    # Threads always, processes when the policy has them, namespaces never.
    thread = 0 if processes else _CLONE_THREAD
    table["clone"] = _when(
        Test(0, 0, high=True), Test(0, thread, mask=_CLONE_FORBIDDEN | thread), verdict=ALLOW
    )
    for name in ("fork", "vfork", "setpgid", "pidfd_open"):
        table[name] = always if processes else never
    table["execve"] = always if executable else never
    # It listens on what it was given and on nothing else: socket, bind and connect stay refused.
    for name in ("accept", "accept4"):
        table[name] = always if accepting else never
    # A process that may fork has others to signal; then Landlock must draw the line.
    own = always if processes and signals_scoped else _when(Test(0, pid), verdict=ALLOW)
    table["kill"] = table["tgkill"] = own
    table["prctl"] = _one_of(0, _PRCTL, DENY)
    table["fcntl"] = _one_of(1, _FCNTL, DENY)
    ioctl = _one_of(1, _IOCTL, fail(errno.ENOTTY))
    reflink = Case((Test(1, _FICLONE),), fail(errno.EOPNOTSUPP))  # a copy goes on without it
    table["ioctl"] = Rule((*ioctl.cases, reflink), ioctl.otherwise)
    # A pair is for asyncio and talks to itself. A datagram socket could be sent from to any other.
    table["socketpair"] = _when(
        Test(0, _AF_UNIX), Test(1, _SOCK_STREAM, mask=_SOCK_TYPE_MASK), verdict=ALLOW
    )
    # The same, save that a file which may be missing is not said to be touched: without a time, the
    # caller creates it when this fails.
    table["utimensat"] = Rule(
        (Case(_null(1), DONE), Case(_null(2), DENY)),  # an open file; the time now
        DONE,
    )
    # Of oneself only; to another process of the same user they are an attack.
    table["prlimit64"] = table["sched_setaffinity"] = _when(Test(0, 0), verdict=ALLOW)
    # ZeroMQ asks for its threads to be scheduled as they are, and ends the process if refused.
    table["sched_setscheduler"] = _when(Test(1, _SCHED_OTHER), verdict=DONE)
    table["setpriority"] = _when(Test(0, 0), Test(1, 0), verdict=ALLOW)
    # Opening for reading may truncate, and before ABI 3 Landlock takes it for reading.
    for name, flags in (("open", 1), ("openat", 2)):
        table[name] = Rule(
            tuple(
                Case((Test(flags, _O_TRUNC | mode, mask=_O_TRUNC | _ACCESS_MODE),), DENY)
                for mode in (0, 3)
            ),
            ALLOW,
        )
    table["truncate"] = always if truncation_covered else never
    return table


def _null(argument: int) -> tuple[Test, ...]:
    return Test(argument, 0), Test(argument, 0, high=True)


def _when(*tests: Test, verdict: int) -> Rule:
    return Rule((Case(tests, verdict),), DENY)


def _one_of(argument: int, values: tuple[int, ...], otherwise: int) -> Rule:
    return Rule(tuple(Case((Test(argument, v),), ALLOW) for v in values), otherwise)


# BPF instructions: code, jump if true, jump if false, constant.
Instruction = tuple[int, int, int, int]
LOAD, AND, JEQ, JGE, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def program(table: dict[str, Rule], machine: Machine) -> list[Instruction]:
    """The filter for ``machine``: calls of ``table`` by their rule, all others refused."""
    code: list[Instruction] = [
        (LOAD, 0, 0, _ARCHITECTURE),
        (JEQ, 1, 0, machine.audit),
        (RETURN, 0, 0, DENY),  # the 32-bit calls of the same processor
        (LOAD, 0, 0, _NUMBER),
        (JGE, 0, 1, FIRST_UNKNOWN),  # and with it every x32 call
        (RETURN, 0, 0, ABSENT),
    ]
    by_number = {machine.numbers[n]: r for n, r in table.items() if n in machine.numbers}
    for number, rule in sorted(by_number.items()):
        block = _block(rule)
        code += [(JEQ, 0, len(block), number), *block]
    return [*code, (RETURN, 0, 0, DENY)]


def _block(rule: Rule) -> list[Instruction]:
    """Instructions for one call; every way through them ends in a return."""
    code: list[Instruction] = []
    for case in rule.cases:
        # Backward, since a test that fails jumps over all that follows in its case.
        body: list[Instruction] = [(RETURN, 0, 0, case.verdict)]
        for test in reversed(case.tests):
            offset = _ARGUMENTS + 8 * test.argument + (4 if test.high else 0)
            body = [(JEQ, 0, len(body), test.value), *body]
            body = [(AND, 0, 0, test.mask), *body] if test.mask != 0xFFFFFFFF else body
            body = [(LOAD, 0, 0, offset), *body]
        code += body
    return [*code, (RETURN, 0, 0, rule.otherwise)]


# Stands for the process in a filter that is made before there is one. No process has this number.
NOBODY = 0xFFFF_FFFE


@dataclass(frozen=True)
class Filter:
    """A filter as the kernel takes it, for any process: made once, it is soon fitted to each."""

    raw: bytes
    # Where the number of the process stands.
    places: tuple[int, ...]

    @classmethod
    def of(cls, code: Sequence[Instruction]) -> Filter:
        """From a program in which ``NOBODY`` stands for the process."""
        size = _INSTRUCTION.size
        own = [i for i, (do, _, _, value) in enumerate(code) if do == JEQ and value == NOBODY]
        raw = b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)
        return cls(raw, tuple(size * (i + 1) - _CONSTANT.size for i in own))

    def fitted(self, pid: int) -> bytes:
        """The filter for the process ``pid``."""
        raw = bytearray(self.raw)
        for place in self.places:
            _CONSTANT.pack_into(raw, place, pid)
        return bytes(raw)


# struct sock_filter, and the constant at its end.
_INSTRUCTION, _CONSTANT = struct.Struct("=HBBI"), struct.Struct("=I")


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


_SET_MODE_FILTER, _THREAD_SYNC = 1, 1


def install(raw: bytes) -> None:
    """Put a fitted filter over every thread of this process, for ever. Raises ``OSError``."""
    made = _Program(len(raw) // _INSTRUCTION.size, raw)
    syscall("seccomp", _SET_MODE_FILTER, _THREAD_SYNC, ctypes.byref(made))


def supported() -> bool:
    """Whether the kernel takes filters; asks without installing one."""
    try:
        syscall("seccomp", _SET_MODE_FILTER, _THREAD_SYNC, 0)
    except OSError as error:
        # It looked at the address of the filter, so it would take one.
        return error.errno == errno.EFAULT
    return True
