"""Run the source of one cell and collect what a kernel would have shown.

Outputs are those of the notebook format: streams, results, displayed data, errors. The traceback
is Python's own: IPython's colored one costs many milliseconds for each failing cell.
"""

from __future__ import annotations

import ast
import base64
import builtins
import functools
import io
import linecache
import sys
import traceback
import warnings
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any

Output = dict[str, Any]
# Of a traceback, a student needs the last calls; a recursion has a thousand.
FRAMES = 12
LONGEST_TEXT = 10_000


class OutputLimitError(Exception):
    """A cell printed more than it may."""


class Runner:
    """Runs cells in one namespace. ``output_bytes`` bounds the text of each cell.

    ``formatter`` turns a value into data by type, and metadata; without it, IPython's does.
    ``explain`` says which limit of the grader an error comes from, where it does.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        output_bytes: int,
        *,
        pictures: bool,
        explain: Callable[[BaseException], str | None] = lambda error: None,
        formatter: Callable[[Any], Any] | None = None,
    ) -> None:
        self.namespace = namespace
        self._explain = explain
        self._limit = output_bytes
        self._pictures = pictures
        self._outputs: list[Output] = []
        self._size = 0
        self._formatter = formatter

    def run(self, source: str, label: str) -> list[Output]:
        """The outputs of a cell. ``label`` stands in tracebacks. Never raises.

        ``KeyboardInterrupt`` is how the grader ends a cell that takes too long.
        """
        filename = f"<cell {label}>"
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)
        self._outputs, self._size = [], 0
        stdout, stderr = sys.stdout, sys.stderr
        sys.stdout = _Stream(self, "stdout")
        sys.stderr = _Stream(self, "stderr")
        shown = getattr(builtins, "display", None)
        builtins.display = self._display  # type: ignore[attr-defined]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                try:
                    self._execute(source, filename)
                finally:
                    if self._pictures:
                        self._flush_figures()
        except BaseException as error:  # a student's sys.exit() ends the cell, not the grading
            self._outputs.append(_error_output(error, self._explain(error)))
        finally:
            sys.stdout, sys.stderr = stdout, stderr
            if shown is None:
                del builtins.display  # type: ignore[attr-defined]
            else:
                builtins.display = shown  # type: ignore[attr-defined]
        return self._outputs

    def write(self, name: str, text: str) -> int:
        """What a stream gets, joined with what came before it."""
        self._add_size(len(text))
        last = self._outputs[-1] if self._outputs else None
        if last is not None and last.get("name") == name:
            last["text"] += text
        elif text:
            self._outputs.append({"output_type": "stream", "name": name, "text": text})
        return len(text)

    def _execute(self, source: str, filename: str) -> None:
        statements, expression = _compiled(source, filename)
        exec(statements, self.namespace)
        if expression is not None:
            value = eval(expression, self.namespace)
            # As in Jupyter, a semicolon at the end hides the value.
            if value is not None and not _is_quiet(source):
                self._show(value, "execute_result")

    def _show(self, value: Any, output_type: str) -> None:
        if type(value) in (float, int, bool):  # the points of a test cell, above all
            data, metadata = {"text/plain": repr(value)}, dict[str, Any]()
        else:
            data, metadata = self._format(value)
        self._add_size(sum(len(part) for part in data.values()))
        output: Output = {"output_type": output_type, "data": data, "metadata": metadata}
        if output_type == "execute_result":
            output["execution_count"] = None
        self._outputs.append(output)

    def _format(self, value: Any) -> tuple[dict[str, str], dict[str, Any]]:
        if self._formatter is None:
            from IPython.core.formatters import DisplayFormatter

            self._formatter = DisplayFormatter().format
        data, metadata = self._formatter(value)
        texts = {
            key: base64.b64encode(part).decode() if isinstance(part, bytes) else str(part)
            for key, part in data.items()
        }
        return texts or {"text/plain": object.__repr__(value)}, dict(metadata)

    def _display(self, *values: Any, **options: Any) -> None:
        for value in values:
            self._show(value, "display_data")

    def _flush_figures(self) -> None:
        """Each open figure becomes a picture, as with Jupyter's inline backend."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        try:
            for number in pyplot.get_fignums():
                figure = pyplot.figure(number)
                data = io.BytesIO()
                figure.savefig(data, format="png", bbox_inches="tight")
                text = base64.b64encode(data.getvalue()).decode()
                self._add_size(len(text))
                picture = {"image/png": text, "text/plain": repr(figure)}
                self._outputs.append(
                    {"output_type": "display_data", "data": picture, "metadata": {}}
                )
        finally:
            pyplot.close("all")

    def _add_size(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            self._size = 0  # once: the cell may print one more line in its except clause
            raise OutputLimitError(f"The cell wrote more than {self._limit:,} characters.")


class _Stream(io.TextIOBase):
    """Standard output or standard error of a cell."""

    def __init__(self, runner: Runner, name: str) -> None:
        self._runner = runner
        self._name = name

    def write(self, text: str) -> int:
        return self._runner.write(self._name, str(text))

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


# The judge runs the same test cells for a whole class.
@functools.lru_cache(maxsize=1024)
def _compiled(source: str, filename: str) -> tuple[CodeType, CodeType | None]:
    """The statements of a cell, and its last expression by itself."""
    tree = ast.parse(source, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    statements = compile(tree, filename, "exec")
    if not isinstance(last, ast.Expr):
        return statements, None
    return statements, compile(ast.Expression(last.value), filename, "eval")


def _is_quiet(source: str) -> bool:
    lines = [line for line in source.rstrip().splitlines() if line.strip()]
    code = lines[-1].split("#", 1)[0] if lines else ""
    return code.rstrip().endswith(";")


def _error_output(error: BaseException, limit: str | None) -> Output:
    name = type(error).__name__
    # What the other process raised keeps its own name.
    name = str(getattr(error, "name", None) or name) if name == "PeerError" else name
    try:
        text = str(error)[:LONGEST_TEXT]
    except Exception:
        text = ""
    if limit is not None:
        text = f"{text} ({limit})".strip()
    return {
        "output_type": "error",
        "ename": name,
        "evalue": text,
        "traceback": _traceback(error, name, text),
    }


def _traceback(error: BaseException, name: str, text: str) -> list[str]:
    if isinstance(error, SyntaxError):
        lines = traceback.format_exception_only(error)
        return [line.rstrip("\n") for line in lines]
    frames = traceback.extract_tb(_own_frames(error.__traceback__))
    shown = frames[-FRAMES:]
    head = ["Traceback (most recent call last):"]
    return [
        *head,
        *(line.rstrip("\n") for line in traceback.format_list(shown)),
        f"{name}: {text}" if text else name,
    ]


def _own_frames(tb: TracebackType | None) -> TracebackType | None:
    """The traceback from the first line of a cell on."""
    while tb is not None and not tb.tb_frame.f_code.co_filename.startswith("<cell "):
        tb = tb.tb_next
    return tb
