"""The one narrow interface behind which notebooks are executed.

An engine gets a merged notebook and the files beside it, and returns the executed notebook. It
sees no gradebook, no roster and no other submission.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets.config import Config

from autograder.grading.limits import DEAD, DIED, TIMEOUT, Limits

# No history on disk; and no warning about the transport on the terminal of the grader.
QUIET_KERNEL = ("--HistoryManager.hist_file=:memory:", "--log-level=CRITICAL")
# Two kernels that start at once may choose the same port; the one that dies has run nothing.
STARTS = 3


class NoKernelError(Exception):
    """The machine did not give a kernel. No fault of the submission; the message is a sentence."""


@dataclass(frozen=True)
class Job:
    """One notebook to execute, with the files that lie beside it, by relative path."""

    notebook: NotebookNode
    files: Mapping[str, bytes] = field(default_factory=dict)
    # The notebook of the course that it is, where the course has one.
    name: str = ""


@dataclass(frozen=True)
class Executed:
    """An executed notebook, and in which way.

    ``apart`` from the tests, in a confined ``kernel`` that it shares with them, or ``unconfined``.
    """

    notebook: NotebookNode
    way: str


class Engine(Protocol):
    """Executes one notebook. Never raises for what the notebook does.

    Raises ``NoKernelError`` when the machine cannot execute it now.
    """

    def execute(self, job: Job) -> Executed:
        """A copy of the notebook with outputs.

        A cell that was stopped, or that was not reached, ends in an output of type error whose
        name is ``CellTimeoutError`` or ``DeadKernelError``.
        """
        ...

    def layers(self) -> list[dict[str, Any]]:
        """The layers of isolation, each with a name and whether it is in force."""
        ...


@dataclass(frozen=True)
class KernelEngine:
    """Stock nbgrader's way: one Jupyter kernel for each notebook, started and shut down."""

    limits: Limits = Limits()
    config: Config = field(default_factory=Config)

    def execute(self, job: Job) -> Executed:
        """See ``Engine.execute``."""
        notebook = copy.deepcopy(job.notebook)
        with tempfile.TemporaryDirectory(prefix="autograder-") as scratch:
            for name, data in job.files.items():
                path = Path(scratch) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            execute_in(notebook, Path(scratch), self.limits, self.config, _MemoryBoundExecute)
        return Executed(notebook, "unconfined")

    def layers(self) -> list[dict[str, Any]]:
        """The kernel runs with the rights of whoever grades; say so."""
        return [
            {"layer": "cell and notebook time limits", "in_force": True},
            {"layer": "output limit", "in_force": True},
            {"layer": "memory limit", "in_force": sys.platform == "linux"},
            {"layer": "scratch folder", "in_force": True},
            {"layer": "own process for student code, apart from the tests", "in_force": False},
            {"layer": "no access to files, network and gradebook", "in_force": False},
        ]


def execute_in(
    notebook: NotebookNode,
    folder: Path,
    limits: Limits,
    config: Config,
    make: Callable[[Limits, Config], BoundedExecute] | None = None,
) -> None:
    """Execute ``notebook`` in place, in a fresh kernel whose working directory is ``folder``.

    ``make`` makes nbgrader's step, once for each start. Raises ``NoKernelError`` when no kernel
    starts; then no cell has run.
    """
    reason = ""
    for _ in range(STARTS):
        runner = (make or BoundedExecute)(limits, config)
        try:
            runner.preprocess(notebook, {"metadata": {"path": str(folder)}})
            _make_sound(notebook)
            return
        except Exception as error:
            if runner.last >= 0:
                died = isinstance(error, DeadKernelError)
                sentence = DIED if died else str(error)
                name = TIMEOUT if isinstance(error, CellTimeoutError) else DEAD
                name, sentence = runner.stopped or (name, sentence)
                _make_sound(notebook)
                _mark_unreached(notebook, runner.last, name, sentence)
                return
            reason = str(error).strip() or type(error).__name__
    raise NoKernelError(f"No kernel could be started for it ({reason}); grade it again.")


class BoundedExecute(Execute):  # type: ignore[misc]
    """nbgrader's own step, with a bound for the whole notebook and for its output.

    ``last`` is the index of the cell that runs, -1 before the first. ``stopped`` is name and
    sentence of the error in the cell at which the kernel was ended from outside.
    """

    stopped: tuple[str, str] | None = None

    def __init__(self, limits: Limits, config: Config) -> None:
        super().__init__(config=config)
        self._limits = limits
        self._deadline = time.monotonic() + limits.notebook_seconds
        self._bytes = 0
        self.last = -1
        self.timeout_func = self._seconds_left
        self.extra_arguments: list[str] = [*super().extra_arguments, *QUIET_KERNEL]

    def _seconds_left(self, cell: NotebookNode) -> float:
        # nbclient takes 0 for "no limit".
        return max(0.05, min(self._limits.cell_seconds, self._deadline - time.monotonic()))

    def preprocess_cell(
        self, cell: NotebookNode, resources: Any, index: int
    ) -> tuple[NotebookNode, Any]:
        self.last = index
        self._bytes = 0
        result: tuple[NotebookNode, Any] = super().preprocess_cell(cell, resources, index)
        self.last = index + 1
        return result

    async def _async_check_alive(self) -> None:
        # A task that looks once more after the end would complain on the grader's terminal.
        if self.kc is None:
            raise DeadKernelError("Kernel died")
        await super()._async_check_alive()

    def process_message(self, msg: Any, cell: NotebookNode, cell_index: int) -> Any:
        if msg["msg_type"] not in ("status", "execute_input"):
            self._bytes += _size(msg["content"])
            if self._bytes > self._limits.output_bytes:
                # What comes now is thrown away; the cell is interrupted as at a time limit.
                with contextlib.suppress(RuntimeError):
                    task = asyncio.ensure_future(self.km.interrupt_kernel())
                    task.add_done_callback(lambda done: done.exception())
                return None
        return super().process_message(msg, cell, cell_index)


class _MemoryBoundExecute(BoundedExecute):
    """The same, with a bound for the address space of the kernel, on Linux."""

    def start_new_kernel(self, **kwargs: Any) -> None:
        """The limit is set on the kernel from outside: this process keeps its own."""
        super().start_new_kernel(**kwargs)
        if sys.platform == "linux":
            import resource

            pid = self.km.provisioner.process.pid
            _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
            known = [n for n in (self._limits.memory_bytes, hard) if n != resource.RLIM_INFINITY]
            resource.prlimit(pid, resource.RLIMIT_AS, (min(known), hard))


def _make_sound(notebook: NotebookNode) -> None:
    """What a kernel sends is the student's to choose; keep what a notebook file can hold."""
    try:
        json.dumps(notebook.metadata, ensure_ascii=False).encode()
    except Exception:
        notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if type(cell.get("execution_count")) is not int:
                cell.execution_count = None
            cell.outputs = [_sound(output) for output in cell.get("outputs", [])]


def _sound(output: NotebookNode) -> NotebookNode:
    """``output``, or an error in its place where no notebook can hold what the kernel sent."""
    try:
        nbformat.validate(output, ref="output", version=4, version_minor=5)
        json.dumps(output, ensure_ascii=False).encode()
    except Exception:
        sentence = "The cell sent an output that a notebook cannot hold."
        error: NotebookNode = new_output(
            "error", ename="OutputError", evalue=sentence, traceback=[sentence]
        )
        return error
    return output


def _size(content: Any) -> int:
    """About how many characters a message holds, in whatever form."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, dict):
        return sum(_size(key) + _size(value) for key, value in content.items())
    return sum(map(_size, content)) if isinstance(content, list) else 8


def _mark_unreached(notebook: NotebookNode, first: int, name: str, sentence: str) -> None:
    """Without an output, nbgrader would take a cell that never ran for a cell that passed."""
    for cell in notebook.cells[max(first, 0) :]:
        if cell.cell_type == "code":
            cell.outputs = [*cell.get("outputs", []), new_output("error")]
            cell.outputs[-1].update(ename=name, evalue=sentence, traceback=[f"{name}: {sentence}"])
