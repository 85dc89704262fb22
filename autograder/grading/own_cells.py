"""The inside of a process in which a student's own notebook runs; see ``own``.

It reads its orders on standard input, runs the cells, and writes a line for each to what was its
standard output. What cells print past Python goes nowhere.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import threading
import types
from collections.abc import Iterable
from typing import IO, Any

from autograder.grading.isolated.runner import Runner


class StdinNotImplementedError(RuntimeError):
    """A cell asks a question; the name is the one that Jupyter gives this error."""


class _Session:
    """The cells of one notebook."""

    def __init__(self, orders: IO[bytes], answers: IO[bytes]) -> None:
        self._orders = orders
        self._answers = answers
        self._running: str | None = None

    def serve(self) -> None:
        """Run the cells of the first order."""
        # Collecting garbage between a thousand imports takes a tenth of their time and finds none.
        gc.disable()
        _import(sys.argv[1:])
        order = json.loads(self._orders.readline())
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        threading.Thread(target=self._listen, daemon=True).start()
        signal.signal(signal.SIGINT, self._interrupted)
        _import(order["imports"])
        gc.freeze()
        gc.enable()
        # From now on as in a kernel: modules beside the notebook are found, and nothing is written.
        sys.path.insert(0, "")
        sys.dont_write_bytecode = True
        self._answer([])
        runner = Runner(vars(main), order["output_bytes"], pictures=False, formatter=_as_plain_text)
        for label, source in order["cells"]:
            self._answer(self._run(runner, label, source))
            pyplot = sys.modules.get("matplotlib.pyplot")
            if pyplot is not None:
                pyplot.close("all")

    def _run(self, runner: Runner, label: str, source: str) -> list[dict[str, Any]]:
        self._running = label
        try:
            outputs = runner.run(source, label)
        except KeyboardInterrupt:  # it came when the cell had ended
            outputs = []
        finally:
            self._running = None
        return [output for output in outputs if output["output_type"] != "display_data"]

    def _answer(self, outputs: list[dict[str, Any]]) -> None:
        # A lone half of a surrogate pair cannot be printed.
        text = json.dumps(outputs, ensure_ascii=False)
        self._answers.write(text.encode("utf-8", "replace") + b"\n")
        self._answers.flush()

    def _listen(self) -> None:
        """In a thread: interrupt the cell that takes too long, and end with the other side."""
        for line in self._orders:
            if json.loads(line).get("interrupt") != self._running:
                continue
            if hasattr(signal, "pthread_kill"):  # it also ends a sleep
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                import _thread

                _thread.interrupt_main()
        os._exit(1)

    def _interrupted(self, *details: object) -> None:
        if self._running is not None:
            raise KeyboardInterrupt


def main() -> None:
    """Take standard input and output away from the cells, run them, and end without a farewell."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    builtins.input = _nobody_to_ask
    try:
        _Session(orders, answers).serve()
    finally:
        # Unloading PyTorch takes a while, and threads of a cell may never end.
        os._exit(0)


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        # A notebook may import what is not installed; its cell will say so.
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def _as_plain_text(value: object) -> tuple[dict[str, str], dict[str, Any]]:
    """All that is read of a value; IPython's own formatters take longer to import."""
    try:
        text = repr(value)
    except Exception:  # as in IPython, a value that cannot be shown is no error of the cell
        text = object.__repr__(value)
    return {"text/plain": text}, {}


def _nobody_to_ask(*arguments: object) -> str:
    raise StdinNotImplementedError("input() has nobody to ask here; write the value into the cell.")


if __name__ == "__main__":
    main()
