"""System calls that Python does not offer, through ``ctypes``; Linux on x86_64 and aarch64.

The numbers are those of ``arch/x86/entry/syscalls/syscall_64.tbl`` and
``include/uapi/asm-generic/unistd.h`` of the kernel; they never change.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Machine:
    """What differs from one processor to the other."""

    audit: int  # AUDIT_ARCH_*, as a seccomp filter sees it
    numbers: dict[str, int]


# Calls that both tables have, by name: (x86_64, aarch64).
_BOTH = {
    "accept": (43, 202),
    "accept4": (288, 242),
    "adjtimex": (159, 171),
    "bind": (49, 200),
    "bpf": (321, 280),
    "brk": (12, 214),
    "capget": (125, 90),
    "capset": (126, 91),
    "chdir": (80, 49),
    "chroot": (161, 51),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "close": (3, 57),
    "close_range": (436, 436),
    "connect": (42, 203),
    "copy_file_range": (326, 285),
    "dup": (32, 23),
    "dup3": (292, 24),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441),
    "eventfd2": (290, 19),
    "execve": (59, 221),
    "execveat": (322, 281),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "fadvise64": (221, 223),
    "fallocate": (285, 47),
    "fchdir": (81, 50),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fcntl": (72, 25),
    "fdatasync": (75, 83),
    "fgetxattr": (193, 10),
    "flistxattr": (196, 13),
    "flock": (73, 32),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "fstat": (5, 80),
    "fstatfs": (138, 44),
    "fsync": (74, 82),
    "ftruncate": (77, 46),
    "futex": (202, 98),
    "futex_requeue": (456, 456),
    "futex_wait": (455, 455),
    "futex_waitv": (449, 449),
    "futex_wake": (454, 454),
    "get_mempolicy": (239, 236),
    "getcpu": (309, 168),
    "getcwd": (79, 17),
    "getdents64": (217, 61),
    "getegid": (108, 177),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getgroups": (115, 158),
    "getitimer": (36, 102),
    "getpeername": (52, 205),
    "getpgid": (121, 155),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getpriority": (140, 141),
    "getrandom": (318, 278),
    "getresgid": (120, 150),
    "getresuid": (118, 148),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "getsid": (124, 156),
    "getsockname": (51, 204),
    "getsockopt": (55, 209),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "getuid": (102, 174),
    "getxattr": (191, 8),
    "inotify_add_watch": (254, 27),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "kcmp": (312, 272),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lgetxattr": (192, 9),
    "linkat": (265, 37),
    "listen": (50, 201),
    "listxattr": (194, 11),
    "llistxattr": (195, 12),
    "lremovexattr": (198, 15),
    "lseek": (8, 62),
    "lsetxattr": (189, 6),
    "madvise": (28, 233),
    "map_shadow_stack": (453, 453),
    "mbind": (237, 235),
    "membarrier": (324, 283),
    "memfd_create": (319, 279),
    "mkdirat": (258, 34),
    "mlock": (149, 228),
    "mknodat": (259, 33),
    "mmap": (9, 222),
    "mount": (165, 40),
    "mprotect": (10, 226),
    "mq_open": (240, 180),
    "mremap": (25, 216),
    "mseal": (462, 462),
    "msgget": (68, 186),
    "msync": (26, 227),
    "munmap": (11, 215),
    "name_to_handle_at": (303, 264),
    "nanosleep": (35, 101),
    "newfstatat": (262, 79),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "openat": (257, 56),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pipe2": (293, 59),
    "ppoll": (271, 73),
    "prctl": (157, 167),
    "pread64": (17, 67),
    "preadv": (295, 69),
    "preadv2": (327, 286),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pselect6": (270, 72),
    "ptrace": (101, 117),
    "pwrite64": (18, 68),
    "pwritev": (296, 70),
    "pwritev2": (328, 287),
    "read": (0, 63),
    "readahead": (187, 213),
    "readlinkat": (267, 78),
    "readv": (19, 65),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "removexattr": (197, 14),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigpending": (127, 136),
    "rt_sigprocmask": (14, 135),
    "rt_sigqueueinfo": (129, 138),
    "rt_sigreturn": (15, 139),
    "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "sched_getaffinity": (204, 123),
    "sched_getattr": (315, 275),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_rr_get_interval": (148, 127),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_yield": (24, 124),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "sendfile": (40, 71),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "set_mempolicy": (238, 237),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "setitimer": (38, 103),
    "setns": (308, 268),
    "setpgid": (109, 154),
    "setpriority": (141, 140),
    "setrlimit": (160, 164),
    "setsid": (112, 157),
    "setuid": (105, 146),
    "setxattr": (188, 5),
    "shmget": (29, 194),
    "shutdown": (48, 210),
    "sigaltstack": (131, 132),
    "signalfd4": (289, 74),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "statfs": (137, 43),
    "statx": (332, 291),
    "symlinkat": (266, 36),
    "sync": (162, 81),
    "sync_file_range": (277, 84),
    "sysinfo": (99, 179),
    "tgkill": (234, 131),
    "timer_create": (222, 107),
    "timer_delete": (226, 111),
    "timer_getoverrun": (225, 109),
    "timer_gettime": (224, 108),
    "timer_settime": (223, 110),
    "timerfd_create": (283, 85),
    "timerfd_gettime": (287, 87),
    "timerfd_settime": (286, 86),
    "times": (100, 153),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "umask": (95, 166),
    "uname": (63, 160),
    "unlinkat": (263, 35),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utimensat": (280, 88),
    "wait4": (61, 260),
    "waitid": (247, 95),
    "write": (1, 64),
    "writev": (20, 66),
}

# Older forms, which aarch64 never had.
_X86_64_ONLY = {
    "access": 21,
    "alarm": 37,
    "arch_prctl": 158,
    "chmod": 90,
    "creat": 85,
    "dup2": 33,
    "epoll_create": 213,
    "epoll_wait": 232,
    "eventfd": 284,
    "fork": 57,
    "futimesat": 261,
    "getdents": 78,
    "getpgrp": 111,
    "link": 86,
    "lstat": 6,
    "mkdir": 83,
    "mknod": 133,
    "open": 2,
    "pause": 34,
    "pipe": 22,
    "poll": 7,
    "readlink": 89,
    "rename": 82,
    "rmdir": 84,
    "select": 23,
    "signalfd": 282,
    "stat": 4,
    "symlink": 88,
    "time": 201,
    "unlink": 87,
    "utime": 132,
    "utimes": 235,
    "vfork": 58,
}

MACHINES = {
    "x86_64": Machine(0xC000003E, {k: v for k, (v, _) in _BOTH.items()} | _X86_64_ONLY),
    "aarch64": Machine(0xC00000B7, {k: v for k, (_, v) in _BOTH.items()}),
}


def why_not_here() -> str:
    """A sentence that says why this machine cannot confine; empty when it can."""
    if sys.platform != "linux":
        name = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        return f"Confinement needs Linux; this is {name}."
    if platform.machine() not in MACHINES or sys.byteorder != "little" or sys.maxsize < 2**32:
        return f"Confinement knows x86_64 and aarch64; this is {platform.machine()}."
    return ""


def machine() -> Machine:
    """The tables of this processor. Only where ``why_not_here`` is empty."""
    return MACHINES[platform.machine()]


@functools.cache
def libc() -> Any:
    """The C library of this process."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def syscall(name: str, *arguments: Any) -> int:
    """Call the kernel by ``name``; integers go as C ``long``, all else as ``ctypes`` takes it.

    Raises ``OSError`` with the kernel's own number.
    """
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = libc().syscall(ctypes.c_long(machine().numbers[name]), *values)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """``prctl(2)``. Raises ``OSError``."""
    return syscall("prctl", option, *arguments, *([0] * (4 - len(arguments))))
