"""By which a cell without nbgrader's fields is known again: its id says what it contained."""

from __future__ import annotations

import hashlib


def text_id(source: str) -> str:
    """The id that ``autograder build`` gives a cell with this text; a second one ends in ``-2``."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:12]
