"""The engine for notebooks that need a real kernel: nbgrader's own step, confined."""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from traitlets.config import Config

from autograder.grading.engine import (
    BoundedExecute,
    Executed,
    Job,
    NoKernelError,
    execute_in,
)
from autograder.grading.isolated.walls import LIMITED, PACKAGE, Walls
from autograder.grading.jupyter.manager import LONGEST_PLACE, Manager, Watch
from autograder.grading.limits import DEAD, TIMEOUT, Limits
from autograder.grading.sandbox import adopt_orphans, readable_by_default

# A shell cell starts programs, and these start others.
PROCESSES = 32
# A kernel has five sockets, three threads with a selector each, and pipes.
FILES = 256
# After an interrupt, a cell has this long to end by itself; then its session is killed.
GRACE_SECONDS = 10.0
# One thread of arithmetic, as in the other processes that run student code.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class ConfinedKernelEngine:
    """One Jupyter kernel for each notebook, confined before its first cell.

    Only where ``walls`` found all that is required; see ``Walls.of_this_machine``.
    """

    limits: Limits = Limits()
    config: Config = field(default_factory=Config)
    walls: Walls = Walls()

    def execute(self, job: Job) -> Executed:
        """See ``Engine.execute``."""
        notebook = copy.deepcopy(job.notebook)
        language = _language(notebook)
        if language != "python":
            raise NoKernelError(
                f"It is written in {language}, and only Python is confined; "
                "grade it with --unconfined."
            )
        adopt_orphans()
        # Two folders: the student's process may write in one and never sees the other.
        scratch, own = _folder(), _folder()
        try:
            work = scratch / "work"
            for name in ("work", "home", "tmp"):
                (scratch / name).mkdir()
            for name, data in job.files.items():
                path = work / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            execute_in(
                notebook,
                work,
                self.limits,
                self.config,
                lambda limits, config: _ConfinedExecute(limits, config, self.walls, scratch, own),
            )
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(own, ignore_errors=True)
        return Executed(notebook, "kernel")

    def layers(self) -> list[dict[str, Any]]:
        """See ``Engine.layers``."""
        return [
            {"layer": name, "in_force": there}
            for name, there in ((LIMITED, True), *self.walls.found)
        ]


class _ConfinedExecute(BoundedExecute):
    """nbgrader's step with a kernel of ours."""

    def __init__(
        self, limits: Limits, config: Config, walls: Walls, scratch: Path, own: Path
    ) -> None:
        super().__init__(limits, config)
        self._manager: Manager | None = None
        self.shutdown_kernel = "immediate"
        self._order = _order(limits, walls, scratch, own)
        self._own = Path(tempfile.mkdtemp(dir=own))
        self._order["report"] = str(self._own / "report")
        self._watch = Watch(limits.memory_bytes, self._deadline + GRACE_SECONDS)

    def create_kernel_manager(self) -> Manager:
        """Instead of the kernel that the notebook names."""
        # Room for a message as long as all that a cell may write, in any encoding.
        most = 4 * self._limits.output_bytes + 2**20
        # nbclient forgets its own at the end.
        self.km = self._manager = Manager(self._own, self._order, self._watch, most)
        return self._manager

    def preprocess(self, nb: NotebookNode, resources: Any = None, *rest: Any) -> Any:
        """Run the notebook; nothing is left of its processes afterward."""
        try:
            return super().preprocess(nb, resources, *rest)
        except Exception as error:
            if self._watch.why:
                self.stopped = (TIMEOUT if self._watch.late else DEAD, self._watch.why)
            report = self._own / "report"
            if self.last < 0 and report.exists() and (why := report.read_text().strip()):
                raise RuntimeError(why) from error
            raise
        finally:
            if self._manager is not None:
                self._manager.end()

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> Any:
        """One cell, which the watch ends where an interrupt does not."""
        now = time.monotonic()
        end = min(now + self._limits.cell_seconds, max(self._deadline, now))
        self._watch.deadline = end + GRACE_SECONDS
        return super().preprocess_cell(cell, resources, index)


def _order(limits: Limits, walls: Walls, scratch: Path, own: Path) -> dict[str, Any]:
    """What the launcher is told."""
    readable = [*readable_by_default(programs=True), PACKAGE]
    home = str(scratch / "home")
    return {
        "scratch": str(scratch),
        "readable": [str(path) for path in readable],
        "required": sorted(walls.required),
        "cpu_seconds": max(1, round(limits.cpu_seconds)),
        "memory_bytes": limits.memory_bytes,
        "processes": max(limits.processes, PROCESSES),
        "files": max(limits.files, FILES),
        "file_bytes": limits.file_bytes,
        # Less than what the grader takes, which counts the error too.
        "most_printed": max(limits.output_bytes - 200_000, limits.output_bytes // 2),
        "environment": {
            **dict.fromkeys(THREADS, "1"),
            "HOME": home,
            "MPLCONFIGDIR": home,
            "IPYTHONDIR": f"{home}/.ipython",
            "JUPYTER_CONFIG_DIR": f"{home}/.jupyter",
            "TMPDIR": str(scratch / "tmp"),
            "SHELL": "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh",
            # As stock nbgrader says to a notebook that asks.
            "NBGRADER_EXECUTION": "autograde",
        },
    }


def _language(notebook: NotebookNode) -> str:
    metadata = notebook.metadata
    named = metadata.get("kernelspec", {}).get("language")
    return str(named or metadata.get("language_info", {}).get("name") or "python").lower()


def _folder() -> Path:
    """A new folder whose name leaves room for that of a socket."""
    folder = Path(tempfile.mkdtemp(prefix="autograder-"))
    if len(str(folder)) + len("/tmp12345678/k") > LONGEST_PLACE:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="autograder-", dir="/tmp"))
    return folder
