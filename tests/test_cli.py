"""Bad input to every command: one clear sentence, exit code 2, nothing half written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from autograder.course import CourseFolder
from tests.grading.conftest import run, run_here

ROOT = Path(__file__).parents[1]
COURSE = CourseFolder(ROOT)
FIRST = COURSE.names()[0]
NOBODY = 65534


def refused(words: tuple[object, ...], said: str, cwd: Path) -> None:
    done = run_here("autograder", *map(str, words), cwd=cwd)
    assert done.returncode == 2, (words, done.stdout, done.stderr)
    assert said in " ".join(done.stderr.split()), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_bad_input(tmp_path: Path) -> None:
    text = tmp_path / "text.ipynb"
    text.write_text("not JSON")
    other = tmp_path / "other.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), other)
    full = tmp_path / "full"
    (full / "inside").mkdir(parents=True)
    for words, said in [
        (("check", "nowhere.ipynb"), "There is no file nowhere.ipynb"),
        (("check", tmp_path), "cannot be read"),
        (("check", text), "it is not JSON"),
        (("check", other), "is not a notebook of this course"),
        (("build",), "is not a course"),
        (("validate",), "is not a course"),
        (("grade",), "is not a course"),
        (("feedback",), "is not a course"),
        (("demo",), "is not a course"),
        (("build", "99-none", "--course", ROOT), "There is no notebook '99-none'"),
        (("validate", "99-none", "--course", ROOT), "There is no notebook '99-none'"),
        (("grade", "99-none", "--course", ROOT), "There is no notebook '99-none'"),
        (("feedback", "99-none", "--course", ROOT), "There is no notebook '99-none'"),
        (("validate", "--course", ROOT, "--json", text / "out.json"), "cannot be written"),
        (("demo", full, "--course", ROOT), "is not a sample class"),
        (("demo", text, "--course", ROOT), "is not a sample class"),
        (("demo", text / "inside", "--course", ROOT), "cannot be written"),
    ]:
        refused(words, said, cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "other.ipynb", "text.ipynb"]
    assert text.read_text() == "not JSON"


@pytest.mark.parametrize("words", [(), ("no-such-command",), ("check",), ("grade", "--workers=0")])
def test_usage_errors(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run_here("autograder", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("command", ["build", "demo"])
def test_a_folder_of_somebody_else(command: str) -> None:
    """Root may write everywhere, so the program runs as nobody."""
    with tempfile.TemporaryDirectory() as name:
        course = Path(name)
        course.chmod(0o755)
        shutil.copytree(ROOT / "source", course / "source")
        shutil.copy(ROOT / "nbgrader_config.py", course)
        # Everything is imported before the rights are given up: the checkout may be private.
        program = (
            "import os, sys, torch, autograder.commands, autograder.demo;"
            "import autograder.course.commands;"
            "from autograder.cli import main;"
            f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY});"
            f"sys.argv = ['autograder', '{command}']; main()"
        )
        before = sorted(course.rglob("*"))
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=course,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "cannot be written" in done.stderr
        assert "Traceback" not in done.stderr
        assert sorted(course.rglob("*")) == before


def test_check_shows_progress_and_says_visible() -> None:
    done = run("autograder", "check", COURSE.student_notebook(FIRST), cwd=ROOT)
    assert done.returncode == 1, done.stderr
    assert "not written yet" in done.stdout
    assert "points on the visible checks" in done.stdout
    assert "all passed" not in done.stdout
    solved = run("autograder", "check", COURSE.solved_notebook(FIRST), cwd=ROOT)
    assert solved.returncode == 0, solved.stdout


def test_build_check_names_the_file_and_the_mend(tmp_path: Path) -> None:
    shutil.copytree(COURSE.source, tmp_path / "source")
    done = run_here("autograder", "build", "--check", cwd=tmp_path)
    assert done.returncode == 1
    assert f"notebooks/{FIRST}/{FIRST}.ipynb is missing" in done.stdout
    assert f"mend: autograder build {FIRST}" in done.stdout
