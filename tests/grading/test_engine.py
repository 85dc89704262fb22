"""A kernel that does not start is no fault of the submission."""

import mmap
import resource
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from autograder.grading.engine import Job, KernelEngine, NoKernelError, execute_in
from autograder.grading.limits import Limits

# A kernel specification whose program ends at once, the first time or always.
SPEC = """{{"argv": ["{shell}", "-c", "{command}", "kernel", "{{connection_file}}"],
"display_name": "broken", "language": "python"}}"""
DIES_ONCE = "if mkdir started; then exit 1; else exec {python} -m ipykernel_launcher -f $1; fi"


def kernel(folder: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = folder / "kernels" / "broken"
    spec.mkdir(parents=True)
    text = SPEC.format(shell="/bin/sh", command=command)
    (spec / "kernel.json").write_text(text)
    monkeypatch.setenv("JUPYTER_PATH", str(folder))


def notebook() -> object:
    made = new_notebook(cells=[new_code_cell("1 + 1")])
    made.metadata["kernelspec"] = {"name": "broken", "display_name": "broken", "language": "python"}
    return made


def test_a_kernel_that_dies_at_its_start_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    kernel(tmp_path, DIES_ONCE.format(python=sys.executable), monkeypatch)
    made = notebook()
    execute_in(made, tmp_path, Limits(), Config())
    assert made.cells[0].outputs[0].data["text/plain"] == "2"


def test_a_kernel_that_never_starts_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel(tmp_path, "exit 1", monkeypatch)
    made = notebook()
    with pytest.raises(NoKernelError, match="No kernel could be started"):
        execute_in(made, tmp_path, Limits(), Config())
    assert made.cells[0].outputs == []


def test_the_limit_of_a_kernels_memory_is_not_that_of_the_grader() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    # More than the limit, as in a process that has imported much: it still may start threads.
    held = mmap.mmap(-1, 4 * 2**30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    source = "import resource\nprint(resource.getrlimit(resource.RLIMIT_AS)[0])"
    job = Job(new_notebook(cells=[new_code_cell(source)]))
    size = 3 * 2**30
    executed = KernelEngine(Limits(memory_bytes=size)).execute(job)
    held.close()
    assert executed.notebook.cells[0].outputs[0].text == f"{size}\n"
    assert resource.getrlimit(resource.RLIMIT_AS) == before
