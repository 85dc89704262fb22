"""A notebook as nbformat writes it, byte for byte, in a fraction of the time.

nbformat copies the notebook in depth, validates it again and has Python's JSON module indent it,
which is done in Python, value by value. Here only what changes is copied, each line of text is
written by the module's C code, and a cell that a whole class has alike is written once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

import nbformat
from nbformat import NotebookNode, from_dict
from nbformat.v4.nbjson import BytesEncoder
from nbformat.v4.rwbase import split_lines, strip_transient

MAJOR = 4
# Texts of cells that many notebooks have alike; a course has some hundreds.
MOST_KNOWN = 2048


def written(notebook: NotebookNode) -> bytes:
    """The file that ``nbformat.write`` makes of a valid notebook; ``notebook`` stays as it is.

    What is no Unicode becomes a question mark.
    """
    if notebook.get("nbformat") != MAJOR:
        text: str = nbformat.writes(notebook)
    else:
        head = shallow(notebook)
        head["cells"], head["metadata"] = [], shallow(notebook.metadata)
        parts = [
            f"{encode_basestring(key)}: {_text(value, _newline(1))}"
            for key, value in sorted(strip_transient(head).items())
            if key != "cells"
        ]
        cells = f",{_newline(2)}".join(map(_cell, notebook.cells))
        inside = f"[{_newline(2)}{cells}{_newline(1)}]" if cells else "[]"
        parts.insert(sum(key < "cells" for key in head), f'"cells": {inside}')
        text = "{" + _newline(1) + f",{_newline(1)}".join(parts) + _newline(0) + "}"
    return f"{text}\n".encode(errors="replace")


def _newline(level: int) -> str:
    """A line break, and the blanks before what lies so deep."""
    return "\n" + " " * level


def _cell(cell: NotebookNode) -> str:
    if cell.get("outputs"):
        return _new_cell(_copied_cell(cell))
    try:
        key = json.dumps(cell)
    except (TypeError, ValueError):
        return _new_cell(_copied_cell(cell))
    return _known_cell(key)


@functools.lru_cache(maxsize=MOST_KNOWN)
def _known_cell(text: str) -> str:
    return _new_cell(from_dict(json.loads(text)))


def _new_cell(cell: NotebookNode) -> str:
    """The text of a cell, which nbformat's own steps change on the way to a file."""
    alone = NotebookNode(cells=[cell], metadata=NotebookNode())
    return _text(strip_transient(split_lines(alone)).cells[0], _newline(2))


def _copied_cell(cell: NotebookNode) -> NotebookNode:
    """A copy down to the places that change."""
    made = shallow(cell)
    made["metadata"] = shallow(cell.metadata)
    if "attachments" in cell:
        made["attachments"] = shallow(cell.attachments)
        for name, bundle in cell.attachments.items():
            made["attachments"][name] = shallow(bundle)
    if "outputs" in cell:
        made["outputs"] = [shallow(output) for output in cell.outputs]
        for output in made["outputs"]:
            if "data" in output:
                output["data"] = shallow(output["data"])
    return made


def shallow(node: Mapping[str, Any]) -> NotebookNode:
    """A copy of ``node`` with the same parts."""
    made = NotebookNode()
    dict.update(made, node)
    return made


def _text(value: Any, newline: str) -> str:
    """JSON with sorted keys, one blank for each level; ``newline`` ends in those of this level."""
    inner = newline + " "
    if type(value) is str:
        return encode_basestring(value)
    if isinstance(value, dict) and value:
        # Keys that are no text would be written as text, in the order of what they are.
        if all(type(key) is str for key in value):
            parts = [
                f"{encode_basestring(key)}: {_text(value[key], inner)}" for key in sorted(value)
            ]
            return "{" + inner + f",{inner}".join(parts) + newline + "}"
        value = json.loads(json.dumps(value, cls=BytesEncoder, sort_keys=True))
        return _text(value, newline)
    if isinstance(value, (list, tuple)) and value:
        # Most of a notebook is lines of text.
        parts = [
            encode_basestring(part) if type(part) is str else _text(part, inner) for part in value
        ]
        return "[" + inner + f",{inner}".join(parts) + newline + "]"
    return json.dumps(value, cls=BytesEncoder, ensure_ascii=False)
