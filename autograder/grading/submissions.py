"""Find what students submitted, and read it without trusting it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.errors import UserError

if TYPE_CHECKING:
    from nbformat import NotebookNode


class UnreadableError(Exception):
    """A submission that cannot be graded at all; the message is a sentence."""


@dataclass(frozen=True)
class Submission:
    """What one student handed in for one assignment: ``submitted/<student>/<assignment>/``."""

    student: str
    assignment: str
    folder: Path

    def timestamp(self) -> datetime | None:
        """When it was handed in, where the folder says so."""
        return read_timestamp(self.folder)

    def files(self) -> dict[str, bytes]:
        """What else the student handed in, by relative path."""
        return files_beside(self.folder)

    def read(self, name: str) -> bytes | UnreadableError:
        """The bytes of the notebook ``name``, or why there are none."""
        return read_bytes(self.folder / f"{name}.ipynb")


def read_bytes(path: Path) -> bytes | UnreadableError:
    """The bytes of a file, or why there are none."""
    try:
        if path.is_symlink():
            return UnreadableError(f"{path.name} is a link, not a file.")
        return path.read_bytes()
    except FileNotFoundError:
        return UnreadableError(f"There is no file {path.name}.")
    except OSError as error:
        return UnreadableError(f"{path.name} cannot be read: {error.strerror}.")


def parse_notebook(name: str, data: bytes) -> NotebookNode:
    """A notebook of format 4; ``name`` stands in the reason of the ``UnreadableError``."""
    return validated(name, parse_content(name, data))


def parse_content(name: str, data: bytes) -> dict[str, Any]:
    """What stands in the file, of any format and not looked into. Raises ``UnreadableError``."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{name} is not a notebook: it is not text.") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{name} is not a notebook: it is not JSON.") from error
    if not isinstance(content, dict) or "cells" not in content and "worksheets" not in content:
        raise UnreadableError(f"{name} is not a notebook: it has no cells.")
    return content


def validated(name: str, content: dict[str, Any]) -> NotebookNode:
    """A notebook of format 4 from what ``parse_content`` found. Raises ``UnreadableError``."""
    import nbformat
    from nbformat import reader

    try:
        # As nbformat.reads does it, without a second pass through text, and validated once.
        major, minor = reader.get_version(content)
        if major not in nbformat.versions:
            raise nbformat.NBFormatError(f"Unsupported nbformat version {major}")
        read = nbformat.versions[major].to_notebook_json(content, minor=minor)
        notebook: NotebookNode = nbformat.convert(read, 4)
        nbformat.validate(notebook)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableError(f"{name} is not a valid notebook: {reason}.") from error
    return notebook


def find_submissions(submitted: Path, names: Sequence[str]) -> list[Submission]:
    """All submissions of ``names``, by student, then notebook.

    Raises ``UserError`` when the folder is missing or holds none.
    """
    if not submitted.is_dir():
        raise UserError(
            f"There is no folder {submitted}; put submissions at "
            "submitted/<student>/<assignment>/, or name the folder with --submitted."
        )
    found = [
        Submission(student.name, name, student / name)
        for student in sorted(p for p in submitted.iterdir() if p.is_dir())
        for name in names
        if (student / name).is_dir()
    ]
    if not found:
        raise UserError(
            f"{submitted} holds no submissions of {', '.join(names)}; they belong at "
            "submitted/<student>/<assignment>/."
        )
    return found


def read_timestamp(folder: Path) -> datetime | None:
    """The time in ``timestamp.txt``, as nbgrader writes it; None when there is none."""
    from nbgrader.utils import parse_utc

    path = folder / "timestamp.txt"
    with contextlib.suppress(OSError, ValueError, TypeError, OverflowError):
        text = path.read_text(encoding="utf-8").strip()
        return parse_utc(text) if text else None
    return None


def files_beside(folder: Path) -> dict[str, bytes]:
    """All files below ``folder`` but notebooks, by relative path; links are not followed."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in _walk(folder)}


def _walk(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name in (".ipynb_checkpoints", "__pycache__"):
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file() and path.suffix != ".ipynb":
            yield path
