"""What the engine says to the two processes, and the outputs that come back."""

from __future__ import annotations

from typing import Any

from nbformat import NotebookNode

OUTPUT_TYPES = frozenset({"stream", "display_data", "execute_result", "error"})
MOST_OUTPUTS = 10_000


def new_output(kind: str, **fields: Any) -> NotebookNode:
    """An output of the notebook format. Not nbformat's own function, which validates each time."""
    return NotebookNode(output_type=kind, **fields)


def error_output(name: str, sentence: str) -> NotebookNode:
    """An error that the grader says, and not Python."""
    return new_output("error", ename=name, evalue=sentence, traceback=[f"{name}: {sentence}"])


def as_outputs(told: Any) -> list[NotebookNode]:
    """The outputs of a cell from what a process says they are. Raises ``ValueError``.

    A student's process may say anything. Only fields of the notebook format are taken, and only
    where they are of the right kind.
    """
    if not isinstance(told, list) or len(told) > MOST_OUTPUTS:
        raise ValueError("The outputs of a cell are malformed.")
    return [_output(output) for output in told]


def _output(told: Any) -> NotebookNode:
    if not isinstance(told, dict) or told.get("output_type") not in OUTPUT_TYPES:
        raise ValueError("An output is malformed.")
    kind = told["output_type"]
    if kind == "stream":
        name = "stderr" if told.get("name") == "stderr" else "stdout"
        return new_output("stream", name=name, text=_text(told.get("text")))
    if kind == "error":
        lines = told.get("traceback")
        if not isinstance(lines, list):
            raise ValueError("A traceback is malformed.")
        return new_output(
            "error",
            ename=_text(told.get("ename")),
            evalue=_text(told.get("evalue")),
            traceback=[_text(line) for line in lines],
        )
    data = told.get("data")
    if not isinstance(data, dict):
        raise ValueError("An output is malformed.")
    clean = NotebookNode({_text(key): _text(value) for key, value in data.items()})
    if kind == "execute_result":
        return new_output(kind, data=clean, metadata=NotebookNode(), execution_count=None)
    return new_output(kind, data=clean, metadata=NotebookNode())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("A text is malformed.")
    # A lone half of a surrogate pair cannot be written to a file.
    return value.encode("utf-8", "replace").decode("utf-8")
