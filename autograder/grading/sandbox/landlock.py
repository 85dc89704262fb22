"""Landlock: which files a process may touch, whatever its user may.

The numbers are those of ``include/uapi/linux/landlock.h`` of the kernel. A right that is handled
and granted nowhere is denied everywhere.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from autograder.grading.sandbox.kernel import syscall

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
REFER = 1 << 13  # ABI 2
TRUNCATE = 1 << 14  # ABI 3

# How many of the rights on files each ABI knows; they are the lowest bits.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16, 6: 16, 7: 16, 8: 16, 9: 17}
LATEST = max(_FILE_RIGHTS)
NETWORK_ABI, SCOPE_ABI, TRUNCATE_ABI, IOCTL_ABI = 4, 6, 3, 5
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

READ = READ_FILE | READ_DIR
# No links out of it, no devices, no pipes that block who opens them: what lies in the scratch
# folder afterward is files and folders, and the grader may read it without care.
SCRATCH = (
    READ | WRITE_FILE | TRUNCATE | MAKE_REG | MAKE_DIR | REMOVE_FILE | REMOVE_DIR | REFER
)  # fmt: skip
# What the kernel accepts in a rule for something that is not a folder.
_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE

_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


@dataclass(frozen=True)
class Grant:
    """Rights on a file, or on a folder and all that is beneath it."""

    path: str
    rights: int


def grant(path: str, rights: int) -> Grant:
    """``rights`` on ``path``, as far as the kernel takes them for what is there now."""
    return Grant(path, rights if os.path.isdir(path) else rights & _OF_A_FILE)


def abi() -> int:
    """The Landlock version of the kernel; 0 when it has none or it is switched off."""
    try:
        return syscall("landlock_create_ruleset", 0, 0, _VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return 0
        raise


def describe(version: int) -> str:
    """What Landlock covers in this version of it."""
    covered = ["files"]
    covered += ["truncation"] if version >= TRUNCATE_ABI else []
    covered += ["TCP"] if version >= NETWORK_ABI else []
    covered += ["device ioctls"] if version >= IOCTL_ABI else []
    covered += ["signals", "abstract sockets"] if version >= SCOPE_ABI else []
    return f"ABI {version}: {', '.join(covered)}"


def ruleset(grants: Iterable[Grant], version: int) -> int:
    """The descriptor of rules that grant ``grants`` and nothing else, for ``enforce``.

    ``version`` is what ``abi()`` said. Raises ``OSError``.
    """
    # Without Landlock it is the call that fails.
    version = min(max(version, 1), LATEST)
    handled = (1 << _FILE_RIGHTS[version]) - 1
    attributes = _Ruleset(
        handled,
        _BIND_AND_CONNECT_TCP if version >= NETWORK_ABI else 0,
        _ABSTRACT_SOCKETS_AND_SIGNALS if version >= SCOPE_ABI else 0,
    )
    # An old kernel takes a longer struct when the rest of it is zero.
    made = syscall(
        "landlock_create_ruleset", ctypes.byref(attributes), ctypes.sizeof(attributes), 0
    )
    try:
        rule = _PathBeneath()
        place = ctypes.byref(rule)
        # One open and one call for each grant: a few hundred of them in some milliseconds.
        for granted in grants:
            rule.parent_fd = os.open(granted.path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule.allowed_access = granted.rights & handled
                syscall("landlock_add_rule", made, _PATH_BENEATH, place, 0)
            finally:
                os.close(rule.parent_fd)
    except BaseException:
        os.close(made)
        raise
    return made


def enforce(rules: int) -> None:
    """Deny this thread everything that ``rules`` do not grant, for ever; they are closed.

    What was denied before stays denied. The thread must have no-new-privs. Raises ``OSError``.
    """
    try:
        syscall("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)


def around(grants: Iterable[Grant], apart: Sequence[str]) -> tuple[Grant, ...]:
    """Few grants that hold all of ``grants``, and no more than these beneath the folders ``apart``.

    The others are widened to the highest folder above them that has nothing to do with ``apart``.
    All paths must be real ones.
    """
    found: dict[str, int] = {}
    for granted in grants:
        path = granted.path
        if not any(_is_beneath(path, folder) for folder in apart):
            above = [str(parent) for parent in PurePath(path).parents][::-1]
            free = (a for a in above if not any(_is_beneath(folder, a) for folder in apart))
            path = next(free, path)
        found[path] = found.get(path, 0) | granted.rights
    return tuple(Grant(path, rights) for path, rights in found.items())


def _is_beneath(path: str, folder: str) -> bool:
    return PurePath(path).is_relative_to(folder)
