"""One set of versions, in every file that names them; one pair of commands, wherever they stand."""

import platform
import re
import sys
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
COMMANDS = ["make demo", "make test"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(requirements: list[str]) -> dict[str, str]:
    """Name → version. What is not an exact pin is left out, and so is a local version (+cpu)."""
    pairs = (re.fullmatch(r"([\w.-]+)==([\w.]+)", text) for text in requirements)
    return {canonical(match[1]): match[2] for match in pairs if match is not None}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECLARED = [
    *PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"]["test"],
]
LOCK = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line]


def test_every_direct_dependency_is_pinned() -> None:
    assert len(pins(DECLARED)) == len(DECLARED)
    assert pins(DECLARED)["torch"] == "2.13.0"


def test_the_lock_pins_everything_and_agrees_with_pyproject() -> None:
    assert len(pins(LOCK)) == len(LOCK)
    assert pins(DECLARED).items() <= pins(LOCK).items()
    # Without build isolation the build needs what the lock holds.
    assert pins(PROJECT["build-system"]["requires"]).items() <= pins(LOCK).items()


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11) or platform.machine() != "x86_64",
    reason="other platforms need a few other packages; the lock is made on this one",
)
def test_the_lock_is_the_dependencies_of_the_dependencies_and_nothing_else() -> None:
    reached: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [(canonical(Requirement(text).name), "") for text in DECLARED]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        reached.add(name)
        for text in requires(name) or []:
            needed = Requirement(text)
            # A torch build for graphics cards asks for their libraries, and pins each itself.
            if name == "torch" and needed.name.startswith(("nvidia", "cuda", "triton")):
                continue
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                todo += [(canonical(needed.name), each) for each in ("", *needed.extras)]
    assert reached == set(pins(LOCK))


def test_the_conda_environment_has_the_same_versions() -> None:
    parts = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = next(part["pip"] for part in parts if isinstance(part, dict))
    by_conda = [part.replace("=", "==") for part in parts if isinstance(part, str) and "=" in part]
    found = pins(by_conda) | pins(by_pip)
    assert len(found) == len(by_conda) + len(by_pip)
    python = found.pop("python")
    assert found == pins(DECLARED)
    assert PROJECT["project"]["requires-python"] == f">={python}"


def test_one_python_version() -> None:
    python = PROJECT["project"]["requires-python"].removeprefix(">=")
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = steps["jobs"]["course"]["steps"]
    assert [s["with"]["python-version"] for s in steps if "with" in s] == [python]
    assert f"({python.replace('.', ', ')})" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", sorted(pins(DECLARED)))
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    assert version(name).split("+")[0] == pins(LOCK)[name]


def test_the_workflow_runs_the_two_commands_and_nothing_else() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert [s["run"] for s in workflow["jobs"]["course"]["steps"] if "run" in s] == COMMANDS


def test_ci_runs_the_two_commands() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert sorted(line for line in lines if line.startswith("make ")) == COMMANDS


def test_the_two_commands_stand_at_the_top_of_the_readme() -> None:
    top = (ROOT / "README.md").read_text().split("\n## ")[0]
    assert all(command in top for command in COMMANDS)


def test_no_file_names_a_registry_or_a_place_on_a_machine() -> None:
    hosts = ("py" + "pi.org", "python" + "hosted", "npm" + "js", "deb.deb" + "ian")
    machine = re.compile(r"(?<![\w.\-/])/(?:work|root|opt/wheels)/")
    folders = (".ci", ".github", "autograder", "benchmarks", "docs", "source", "tests")
    # .git is a file in a worktree, and says where the repository lies.
    paths = [path for path in ROOT.iterdir() if path.name != ".git"]
    paths += [path for folder in folders for path in (ROOT / folder).rglob("*")]
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts:
            text = path.read_text(errors="ignore")
            assert not any(host in text for host in hosts), path
            assert not machine.search(text), path


def test_the_readme_says_the_points_and_minutes_of_each_notebook() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in sorted((ROOT / "source").glob("*.py")):
        opening = re.search(r"\*\*([\d.]+) points · about (\d+) minutes\*\*", path.read_text())
        assert opening is not None
        row = next(line for line in readme.splitlines() if f"/{path.stem}.ipynb) |" in line)
        assert f"| {opening[1]} | about {opening[2]} min |" in row
