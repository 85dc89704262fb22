"""A notebook as nbformat writes it, byte for byte, in a fraction of the time.

nbformat copies the notebook in depth, validates it again and has Python's JSON module indent it,
which is done in Python, value by value. Here only what changes is copied, and each line of text is
written by the module's C code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4.nbjson import BytesEncoder
from nbformat.v4.rwbase import split_lines, strip_transient

MAJOR = 4


def written(notebook: NotebookNode) -> bytes:
    """The file that ``nbformat.write`` makes of a valid notebook; ``notebook`` stays as it is.

    What is no Unicode becomes a question mark.
    """
    if notebook.get("nbformat") != MAJOR:
        text: str = nbformat.writes(notebook)
    else:
        text = _text(strip_transient(split_lines(_copied(notebook))), "\n")
    return f"{text}\n".encode(errors="replace")


def _copied(notebook: NotebookNode) -> NotebookNode:
    """A copy down to the places that nbformat's own steps change on the way to a file."""
    made = _shallow(notebook)
    made["metadata"] = _shallow(notebook.metadata)
    made["cells"] = [_copied_cell(cell) for cell in notebook.cells]
    return made


def _copied_cell(cell: NotebookNode) -> NotebookNode:
    made = _shallow(cell)
    made["metadata"] = _shallow(cell.metadata)
    if "attachments" in cell:
        made["attachments"] = _shallow(cell.attachments)
        for name, bundle in cell.attachments.items():
            made["attachments"][name] = _shallow(bundle)
    if "outputs" in cell:
        made["outputs"] = [_shallow(output) for output in cell.outputs]
        for output in made["outputs"]:
            if "data" in output:
                output["data"] = _shallow(output["data"])
    return made


def _shallow(node: Mapping[str, Any]) -> NotebookNode:
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
