"""One class, graded once by this program and once by stock nbgrader."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autograder.cli import main
from autograder.course import CourseFolder
from tests.grading.course import NAME, RIGHT, SUBMISSIONS, filled, make_course, submit, with_cell

BIN = Path(sys.executable).parent
ENDLESS = "def double(x):\n    while True:\n        pass\n"
DEAF = (
    "def double(x):\n    while True:\n        try:\n            while True: pass\n"
    "        except BaseException: pass\n"
)
KILLS_ITSELF = "def half(x):\n    import os\n    os._exit(3)\n"
KILLS_GRADER = "def half(x):\n    import os, signal\n    os.kill(os.getppid(), signal.SIGKILL)\n"
FLOOD = "def double(x):\n    while True:\n        print('x' * 10_000)\n"
CELL_SECONDS = 3


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment as a user would."""
    return subprocess.run(
        [BIN / str(words[0]), *map(str, words[1:])],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def run_here(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """As ``run`` of autograder, in this process: without the second that a start takes."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, arguments = Path.cwd(), sys.argv
    os.chdir(cwd)
    sys.argv = list(map(str, words))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as done:
        code = int(done.code or 0)
    finally:
        os.chdir(before)
        sys.argv = arguments
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@dataclass
class Graded:
    """A graded class and what the command said."""

    course: CourseFolder
    output: str
    code: int
    data: dict[str, Any]

    def of(self, student: str) -> dict[str | None, dict[str, Any]]:
        """The records of one student, by cell."""
        return {r["cell"]: r for r in self.data["results"] if r["student"] == student}


@pytest.fixture(scope="package")
def small(tmp_path_factory: pytest.TempPathFactory) -> CourseFolder:
    """The small course, without submissions; do not write into it."""
    return make_course(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="package")
def graded(small: CourseFolder, tmp_path_factory: pytest.TempPathFactory) -> Graded:
    """All kinds of submissions, graded by ``autograder grade``."""
    course = CourseFolder(tmp_path_factory.mktemp("ours") / "course")
    shutil.copytree(small.root, course.root)
    for student, answers in SUBMISSIONS.items():
        submit(course, student, filled(course, answers))
    right = filled(course, RIGHT)
    submit(course, "deleted", with_cell(right, "delete", "half-check"))
    submit(course, "copied", with_cell(right, "copy", "half-check"))
    submit(course, "too_many", filled(course, RIGHT | {"value": "value = 99.0\n"}))
    submit(course, "endless", filled(course, RIGHT | {"double": ENDLESS}))
    submit(course, "deaf", filled(course, RIGHT | {"double": DEAF}))
    submit(course, "flood", filled(course, RIGHT | {"double": FLOOD}))
    submit(course, "dies", filled(course, RIGHT | {"half": KILLS_ITSELF}))
    submit(course, "kills", filled(course, RIGHT | {"half": KILLS_GRADER}))
    submit(course, "not_json", "<html></html>")
    submit(course, "not_notebook", '{"a": 1}')
    submit(course, "not_text", "")
    (course.root / "submitted/not_text" / NAME / f"{NAME}.ipynb").write_bytes(b"\xff\xfe\x00")
    submit(course, "other", '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    (course.root / "submitted/no_file" / NAME).mkdir(parents=True)
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + f"\nc.Execute.timeout = {CELL_SECONDS}\n")
    done = run("autograder", "grade", "--json", "out.json", "--feedback", cwd=course.root)
    assert done.returncode == 0, done.stderr
    data = json.loads((course.root / "out.json").read_text())
    return Graded(course, done.stdout, done.returncode, data)
