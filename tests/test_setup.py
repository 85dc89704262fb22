"""One set of versions, in every file that names them; one pair of commands, wherever they stand."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(requirements: list[str]) -> dict[str, str]:
    pairs = (re.fullmatch(r"([\w.-]+)==([\w.]+)", text) for text in requirements)
    return {canonical(match[1]): match[2] for match in pairs if match is not None}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
LOCK = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line]


def test_every_direct_dependency_is_pinned() -> None:
    assert len(pins(DECLARED)) == len(DECLARED)
    assert pins(DECLARED)["torch"] == "2.13.0"


def test_the_lock_pins_everything_and_agrees_with_pyproject() -> None:
    assert len(pins(LOCK)) == len(LOCK)
    assert pins(DECLARED).items() <= pins(LOCK).items()


def test_the_conda_environment_has_the_same_versions() -> None:
    parts = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = next(part["pip"] for part in parts if isinstance(part, dict))
    by_conda = [part.replace("=", "==") for part in parts if isinstance(part, str) and "=" in part]
    found = pins(by_conda) | pins(by_pip)
    python = found.pop("python")
    assert found == pins(DECLARED)
    assert PROJECT["requires-python"] == f">={python}"


@pytest.mark.parametrize("name", sorted(pins(DECLARED)))
def test_what_is_installed_is_what_is_locked(name: str) -> None:
    assert version(name).split("+")[0] == pins(LOCK)[name]


@pytest.mark.parametrize("place", ["README.md", ".ci/run", ".github/workflows/ci.yml"])
def test_the_same_two_commands_everywhere(place: str) -> None:
    text = (ROOT / place).read_text()
    assert "make demo" in text
    assert "make test" in text


def test_the_two_commands_stand_at_the_top_of_the_readme() -> None:
    top = (ROOT / "README.md").read_text().split("\n## ")[0]
    assert "make demo" in top
    assert "make test" in top


def test_no_file_names_a_registry_or_a_place_on_a_machine() -> None:
    hosts = ("py" + "pi.org", "python" + "hosted", "npm" + "js", "deb.deb" + "ian")
    for path in [*ROOT.glob("*.*"), *ROOT.glob("docs/*"), *ROOT.glob(".ci/*")]:
        if path.is_file():
            text = path.read_text()
            assert not any(host in text for host in hosts), path
