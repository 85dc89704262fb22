"""Who may import whom. The walls keep student code, grading and mathematics apart."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "autograder").rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that ``path`` imports, anywhere in it, with what it takes from packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write the whole name of a module"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(path: Path, package: str) -> bool:
    return (ROOT / "autograder" / package) in path.parents


def touches(found: set[str], package: str) -> set[str]:
    return {name for name in found if f"{name}.".startswith(f"{package}.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_walls(path: Path) -> None:
    found = imports(path)
    assert not touches(found, "tests"), "a module of autograder imports from tests"
    if within(path, "checks"):
        assert not touches(found, "autograder.grading")
        assert not touches(found, "autograder.course")
    if within(path, "grading"):
        for package in ("checks", "mistakes", "provided"):
            assert not touches(found, f"autograder.{package}"), "grading knows no mathematics"
        # ``from autograder.course import X`` is the door; autograder.course.build.X is not.
        assert all(name.count(".") == 2 for name in touches(found, "autograder.course"))
    if within(path, "course"):
        assert all(name.count(".") == 2 for name in touches(found, "autograder.grading"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_is_imported_only_where_a_reference_is_computed(path: Path) -> None:
    allowed = path.match("checks/reference.py") or path.match("mistakes/nb*.py")
    assert allowed or not touches(imports(path), "torch")


def test_the_walls_can_fail() -> None:
    assert touches({"torch.nn", "numpy"}, "torch") == {"torch.nn"}
    assert not touches({"torchlike"}, "torch")
