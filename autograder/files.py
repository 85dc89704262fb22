"""Write files whole or not at all, and say beforehand when that will not work."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from autograder.errors import UserError

READ_ONLY = 0o444
UNFINISHED = ".writing-"
ATTEMPTS = 5


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make ``folder`` hold ``files``, by relative path, and nothing else; they are read-only.

    Others see the former folder, none, or the whole new one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{UNFINISHED}{os.getpid()}-"))
    try:
        for name, data in files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(READ_ONLY)
        made.chmod(0o755)
        for attempt in range(ATTEMPTS):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                made.rename(folder)
                return
            except OSError:  # another run put its own there in the meantime
                if attempt == ATTEMPTS - 1:
                    raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def remove_unfinished(root: Path) -> None:
    """Remove what killed runs have left below ``root`` in the middle of ``replace_folder``."""
    for left in root.glob(f"*/{UNFINISHED}*-*"):
        number = left.name.removeprefix(UNFINISHED).split("-")[0]
        if not (number.isdigit() and Path("/proc", number).exists()):
            shutil.rmtree(left, ignore_errors=True)


def require_writable(folder: Path) -> None:
    """Make ``folder``; raise ``UserError`` when no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror or error}); "
            "make it writable, or name another folder."
        ) from error
