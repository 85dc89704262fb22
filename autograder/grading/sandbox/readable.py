"""What Python, NumPy and matplotlib need to read."""

from __future__ import annotations

import functools
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

# Libraries, fonts, time zones and a few settings; no list of users, no host names, no home.
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/fonts",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/mime.types",
    "/etc/ssl/openssl.cnf",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
)
# Of the process itself, whichever it is. Not environ: it may hold a token of the grader.
_OF_ITSELF = ("maps", "stat", "statm", "status")
_PROGRAMS = ("/bin", "/usr/bin", "/etc/alternatives")
# Prefixes that are shared with much that has nothing to do with Python.
_SHARED_PREFIXES = {"/usr", "/usr/local", "/"}


@functools.cache
def library_folders() -> tuple[Path, ...]:
    """The folders of this Python in which modules lie."""
    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    names = [sysconfig.get_path(key) for key in keys]
    names += [sysconfig.get_path(key, vars=base) for key in keys]
    names += site.getsitepackages()
    names += [f"{folder}/lib-dynload" for folder in names]
    found = {Path(os.path.realpath(name)) for name in names}
    return tuple(sorted(path for path in found if os.path.isdir(path)))


@functools.cache
def readable_by_default(
    without: tuple[str, ...] = (), *, programs: bool = False
) -> tuple[Path, ...]:
    """What a notebook needs to read so that Python, NumPy and matplotlib work.

    The packages named in ``without`` are left out, with their metadata and bundled libraries. With
    ``programs``, the folders of the system's programs are among them. Nothing of a home folder
    or of the course is, unless Python itself is installed there.
    """
    holes = frozenset(
        entry
        for folder in library_folders()
        for entry in folder.iterdir()
        if without and _is_of(entry.name, without)
    )
    roots = {Path(name) for name in _SYSTEM + (_PROGRAMS if programs else ())}
    roots.update(library_folders())
    for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}:
        real = os.path.realpath(prefix)
        roots |= (
            {Path(real, part) for part in ("lib", "lib64", "share")}
            if real in _SHARED_PREFIXES
            else {Path(real)}
        )
    real_roots = {Path(os.path.realpath(root)) for root in roots if root.exists()}
    outer = [r for r in real_roots if not any(o in real_roots for o in r.parents)]
    above = frozenset(folder for hole in holes for folder in hole.parents)
    paths = sorted({path for root in outer for path in _around(root, holes, above)})
    return (*paths, *(Path("/proc/self", name) for name in _OF_ITSELF))


def _is_of(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a file or folder in site-packages belongs to one of ``packages``."""
    stem = re.split(r"[-.]", name, maxsplit=1)[0]
    return stem.lower().replace("-", "_") in {p.lower().replace("-", "_") for p in packages}


def _around(path: Path, holes: frozenset[Path], above: frozenset[Path]) -> Iterator[Path]:
    """The largest files and folders under ``path`` with no hole in them.

    ``above`` are all folders that a hole lies in, at whatever depth.
    """
    if path in holes:
        return
    if path not in above:
        yield path
        return
    for entry in path.iterdir():
        # The target of a link is granted by itself, or not at all.
        if not entry.is_symlink():
            yield from _around(entry, holes, above)
