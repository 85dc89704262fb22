"""Who a confined process is: a user of its own, without capabilities.

The kernel counts threads for each user. With a user of its own, a notebook that starts as many as
it can takes none from another. Root becomes a user from a range that nobody has; an ordinary user
gets a user namespace, in which the same user is counted anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from autograder.grading.sandbox.kernel import prctl, syscall

# systemd keeps these for users that exist only while a program runs; no account has them.
FIRST_SLOT, SLOTS = 61184, 4336

_CLONE_NEWUSER = 0x10000000
_DAC_READ_SEARCH = 2
_CAPBSET_READ, _CAPBSET_DROP, _SET_KEEPCAPS, _SET_SECUREBITS, _CAP_AMBIENT = 23, 24, 8, 28, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
_NOROOT_LOCKED = 0b11  # user 0 is nobody special, for ever


class Own(enum.Enum):
    """In which way a process can get a user of its own."""

    SLOT = "user"
    SLOT_THAT_READS = "user that may read what belongs to others, as far as Landlock grants it"
    NAMESPACE = "user namespace"
    NONE = "none"


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


_VERSION_3 = 0x20080522


def capabilities() -> int:
    """The permitted capabilities of this thread, a bit for each."""
    halves = (_Half * 2)()
    syscall("capget", ctypes.byref(_Header(_VERSION_3, 0)), halves)
    return int(halves[0].permitted) | int(halves[1].permitted) << 32


def enter(own: Own, slot: int, scratch: Path) -> None:
    """Become what ``own`` says, keeping all capabilities that this needs; ``drop`` comes after.

    ``slot`` chooses the user; ``scratch`` is given to it. Raises ``OSError``.
    """
    if own is Own.NAMESPACE:
        user, group = os.geteuid(), os.getegid()
        syscall("unshare", _CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    elif own is Own.NONE:
        # Without capabilities, root writes only where the folder is its own.
        if os.geteuid() == 0:
            with contextlib.suppress(PermissionError):
                _give(scratch, 0)
    else:
        number = FIRST_SLOT + slot % SLOTS
        _give(scratch, number)
        prctl(_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(number, number, number)
        os.setresuid(number, number, number)


def _give(folder: Path, number: int) -> None:
    os.chown(folder, number, number)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(place, name), number, number, follow_symlinks=False)


def drop(own: Own, *, executable: bool) -> None:
    """Drop every capability, for ever, also those that a program could bring.

    ``Own.SLOT_THAT_READS`` keeps the one to read what belongs to others; with ``executable``, so do
    the programs that it starts. Raises ``OSError``.
    """
    kept = 1 << _DAC_READ_SEARCH if own is Own.SLOT_THAT_READS else 0
    held, bounding = capabilities(), kept if executable else 0
    if held:
        # Keeping capabilities across the change of user left them permitted and not effective.
        _set_capabilities(held, 0)
        for number in range(64):
            try:
                if not bounding >> number & 1 and prctl(_CAPBSET_READ, number):
                    prctl(_CAPBSET_DROP, number)
            except OSError:  # the kernel has no more of them, or it may not drop them itself
                break
        # Without CAP_SETPCAP it cannot; no-new-privs has the same effect on programs.
        with contextlib.suppress(PermissionError):
            prctl(_SET_SECUREBITS, _NOROOT_LOCKED)
    prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    _set_capabilities(kept, bounding)
    if bounding:
        prctl(_CAP_AMBIENT, _AMBIENT_RAISE, _DAC_READ_SEARCH)


def _set_capabilities(permitted: int, inheritable: int) -> None:
    halves = (_Half * 2)()
    for i, half in enumerate(halves):
        low = permitted >> 32 * i & 0xFFFFFFFF
        half.effective = half.permitted = low
        half.inheritable = inheritable >> 32 * i & 0xFFFFFFFF
    syscall("capset", ctypes.byref(_Header(_VERSION_3, 0)), halves)


def choose(
    scratch: Path, needed: Iterable[str], attempt: Callable[[Callable[[], None]], str]
) -> tuple[Own, str]:
    """The best user that works on this machine, and what spoke against one when there is none.

    ``attempt`` runs a function in a throw-away process and returns "" or its error. ``needed`` are
    the paths that the user must be able to read.
    """
    ways = (Own.SLOT, Own.SLOT_THAT_READS) if os.geteuid() == 0 else (Own.NAMESPACE,)
    needed = list(needed)
    reason = ""
    for way in ways:
        reason = attempt(functools.partial(_rehearse, way, scratch, needed))
        if not reason:
            return way, ""
    return Own.NONE, reason


def _rehearse(way: Own, scratch: Path, needed: list[str]) -> None:
    enter(way, 0, scratch)
    drop(way, executable=False)
    for path in (str(scratch), *needed):
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
