"""What the documentation shows is what a reader gets."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import nbformat
import pytest
from nbgrader.apps.nbgraderapp import NbGraderApp
from typer.main import get_command

from autograder.cli import app
from autograder.mistakes import mistakes_of

ROOT = Path(__file__).parents[1]
FIRST = "01-forward-pass"


def student_cells(name):
    """Code by grade_id, of the notebook that students get."""
    path = ROOT / "notebooks" / name / f"{name}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    named = [c for c in cells if c.cell_type == "code" and "nbgrader" in c.metadata]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in named}


def commands(program):
    """What stands behind the name of a program, in code, anywhere in the documentation."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    lines = re.findall(
        r"(?m)^(?:\.venv/bin/)?(.+)$", "\n".join(re.findall(r"(?s)```(.+?)```", text))
    )
    spans = re.findall(r"`(?:\.venv/bin/)?([^`\n]+)`", text)
    found = [re.match(rf"{program} (?:-\S+ )*([a-z]\w*)", line) for line in lines + spans]
    return {match[1] for match in found if match}


def test_every_command_in_the_documentation_exists():
    ours, stock = commands("autograder"), commands("nbgrader")
    assert {"build", "validate", "check", "grade", "feedback", "demo"} <= ours
    assert ours <= set(get_command(app).commands)
    # nbgrader still lists a command that only says that it is gone.
    assert stock <= set(NbGraderApp.subcommands) - {"formgrade"}


def test_the_report_in_the_readme_is_what_the_check_prints(capsys):
    cells, namespace = student_cells(FIRST), {"__name__": "__main__"}
    (mistake,) = [m for m in mistakes_of("affine") if m.id == "no-bias"]
    for code in (cells["setup"], mistake.source(), cells["affine-check"]):
        exec(compile(code, FIRST, "exec"), namespace)
    printed = capsys.readouterr().out.strip()
    blocks = re.findall(r"(?ms)^```\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert printed.startswith("affine: ")
    assert printed in blocks


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as the page for instructors makes it, and the name of every file in it."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "repository"  # so that nothing is built in this one
    copy.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    for name in ("autograder", "notebooks", "solutions", "source", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", "dist", "."], cwd=copy, check=True)
    (made,) = (copy / "dist").glob("*.whl")
    unpacked = folder / "unpacked"
    with ZipFile(made) as archive:
        archive.extractall(unpacked)
        return unpacked, archive.namelist()


def test_the_wheel_for_students_holds_the_package_alone(wheel):
    _, names = wheel
    assert {name.split("/")[0].split("-")[0] for name in names} == {"autograder"}
    assert not [name for name in names if name.endswith(".ipynb")]


def test_with_the_wheel_a_notebook_can_be_checked(wheel, tmp_path):
    unpacked, _ = wheel
    cells = student_cells(FIRST)
    program = tmp_path / "program.py"
    place = "import autograder\nprint(autograder.__file__)"
    program.write_text("\n".join([place, cells["setup"], cells["affine"], cells["affine-check"]]))
    done = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(unpacked), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, *rest = done.stdout.splitlines()
    assert Path(first).is_relative_to(unpacked)
    assert rest[0] == "affine is not written yet: it raises NotImplementedError."
