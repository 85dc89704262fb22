"""Who may import whom. The walls keep student code, grading and mathematics apart."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "autograder").rglob("*.py"))


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports(text: str) -> set[str]:
    """Every module that ``text`` imports, at the top or inside a function.

    ``from package import name`` counts as ``package.name`` when that is a module and as
    ``package`` when it is a name that the package offers.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write the whole name of a module"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if is_module(full) else str(node.module))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__"):
                found.add(str(node.args[0].value))
    return found


def touches(found: set[str], package: str) -> set[str]:
    return {name for name in found if f"{name}.".startswith(f"{package}.")}


def breaches(place: str, text: str) -> list[str]:
    """What the module at ``place``, a path from the root, imports and must not."""
    found = imports(text)
    package = place.split("/")[1]
    forbidden = {
        "checks": ["autograder.grading", "autograder.course"],
        # It knows no mathematics of the course.
        "grading": ["autograder.checks", "autograder.mistakes", "autograder.provided"],
    }
    bad = touches(found, "tests")
    for other in forbidden.get(package, []):
        bad |= touches(found, other)
    # course and grading meet at the door: the package itself, never a module in it.
    for other in {"course": ["grading"], "grading": ["course"]}.get(package, []):
        bad |= touches(found, f"autograder.{other}") - {f"autograder.{other}"}
    # A bare ``import autograder`` would reach everything without saying what.
    bad |= found & {"autograder"}
    if place != "autograder/checks/reference.py" and package != "mistakes":
        bad |= touches(found, "torch")
    return sorted(bad)


@pytest.mark.parametrize("place", MODULES)
def test_walls(place: str) -> None:
    assert breaches(place, (ROOT / place).read_text()) == []


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("autograder/checks/check.py", "from autograder.grading import Result"),
        ("autograder/checks/check.py", "from autograder import grading"),
        ("autograder/grading/grade.py", "import autograder.checks"),
        (
            "autograder/grading/grade.py",
            "def f():\n    from autograder.mistakes import all_mistakes",
        ),
        ("autograder/grading/grade.py", "import autograder.course.build"),
        ("autograder/grading/grade.py", "from autograder.course import build"),
        ("autograder/grading/grade.py", "from autograder.course.build import build"),
        ("autograder/course/build.py", "from autograder.grading.engine import Job"),
        ("autograder/course/build.py", "from autograder.grading import engine"),
        ("autograder/demo.py", "from tests.alternatives import anything"),
        ("autograder/reports/table.py", "import autograder"),
        ("autograder/checks/compare.py", "import torch"),
        ("autograder/course/cells.py", "def f():\n    from torch import nn"),
        ("autograder/cli.py", "import importlib\nimportlib.import_module('torch.nn')"),
    ],
)
def test_a_breach_is_seen(place: str, line: str) -> None:
    assert breaches(place, line) != []


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("autograder/grading/grade.py", "import autograder.course"),
        ("autograder/grading/grade.py", "from autograder import course"),
        ("autograder/grading/grade.py", "from autograder.course import CourseFolder"),
        ("autograder/grading/grade.py", "from autograder.grading.engine import Job"),
        ("autograder/course/exercises.py", "from autograder.checks import Check"),
        ("autograder/checks/reference.py", "def f():\n    import torch"),
        ("autograder/mistakes/nb01_forward_pass.py", "import torch"),
        ("autograder/cli.py", "import torchlike, testsuite"),
    ],
)
def test_what_is_allowed_passes(place: str, line: str) -> None:
    assert breaches(place, line) == []


def test_a_notebook_is_given_only_what_earlier_ones_built():
    numbers = {p.stem[3:].replace("-", "_"): p.stem[:2] for p in (ROOT / "source").glob("*.py")}
    for path in sorted((ROOT / "source").glob("*.py")):
        for name in imports(path.read_text(encoding="utf-8")):
            if name.startswith("autograder.provided."):
                built = numbers[name.removeprefix("autograder.provided.")]
                assert built < path.stem[:2], f"{path.name} imports what it asks for: {name}"
