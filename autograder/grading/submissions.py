"""Find what students submitted, and read it without trusting it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.utils import parse_utc

from autograder.errors import UserError


class UnreadableError(Exception):
    """A submission that cannot be graded at all; the message is a sentence."""


@dataclass(frozen=True)
class Submission:
    """One student's notebook: ``submitted/<student>/<name>/<name>.ipynb``."""

    student: str
    name: str
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.ipynb"

    def timestamp(self) -> datetime | None:
        """When it was handed in, where the folder says so."""
        return read_timestamp(self.folder)

    def files(self) -> dict[str, bytes]:
        """What else the student handed in, by relative path."""
        return files_beside(self.folder)

    def read(self, known: frozenset[str]) -> NotebookNode:
        """The notebook. Raises ``UnreadableError`` when there is none of this course.

        ``known`` are the grade ids of the source.
        """
        notebook = read_notebook(self.path)
        ids = {
            cell.metadata["nbgrader"].get("grade_id")
            for cell in notebook.cells
            if isinstance(cell.metadata.get("nbgrader"), dict)
        }
        if not ids & known:
            raise UnreadableError(
                f"{self.path.name} is a notebook of another course: it has no cell of {self.name}."
            )
        return notebook


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of format 4. Raises ``UnreadableError`` with the reason."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnreadableError(f"There is no file {path.name}.") from error
    except OSError as error:
        raise UnreadableError(f"{path.name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{path.name} is not a notebook: it is not text.") from error
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{path.name} is not a notebook: it is not JSON.") from error
    if not isinstance(data, dict) or "cells" not in data and "worksheets" not in data:
        raise UnreadableError(f"{path.name} is not a notebook: it has no cells.")
    try:
        notebook: NotebookNode = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableError(f"{path.name} is not a valid notebook: {reason}.") from error
    return notebook


def find_submissions(submitted: Path, names: Sequence[str]) -> list[Submission]:
    """All submissions of ``names``, by student, then notebook.

    Raises ``UserError`` when the folder is missing or holds none.
    """
    if not submitted.is_dir():
        raise UserError(
            f"There is no folder {submitted}; put submissions at "
            "submitted/<student>/<notebook>/<notebook>.ipynb, or name the folder with --submitted."
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
            "submitted/<student>/<notebook>/<notebook>.ipynb."
        )
    return found


def read_timestamp(folder: Path) -> datetime | None:
    """The time in ``timestamp.txt``, as nbgrader writes it; None when there is none."""
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
