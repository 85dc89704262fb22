"""Classes graded twice, by stock nbgrader and by this program: every row of the gradebook.

Each row that differs on purpose is named here, and stands in docs/differences.md.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook as Database

from autograder.course import CourseFolder
from autograder.demo import copy_course, half_done, read_material, right, syntax_error
from tests.grading.conftest import run
from tests.grading.pairs import GRADES, PENALTIES, Pair

ROOT = Path(__file__).parents[2]
FIFTH = "05-regularized-mlp-derivation"

CONFIG = """
from nbgrader.plugins import BasePlugin


class Half(BasePlugin):
    '''Half of the points for what is late.'''

    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return round(score / 2, 2)


c = get_config()
c.CourseDirectory.course_id = "made"
c.AssignLatePenalties.plugin_class = Half
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
"""


def cell(grade_id: str, source: str, kind: str, points: float | None = None) -> NotebookNode:
    """A cell with nbgrader's metadata; ``kind`` is solution, test, manual, task or locked."""
    text = kind == "task" or source.startswith("In words")
    made = (new_markdown_cell if text else new_code_cell)(source)
    made.metadata["nbgrader"] = {
        "grade_id": grade_id,
        "schema_version": 3,
        "grade": kind in ("test", "manual"),
        "solution": kind in ("solution", "manual"),
        "task": kind == "task",
        "locked": kind in ("test", "task", "locked"),
    }
    if points is not None:
        made.metadata["nbgrader"]["points"] = points
    return made


def answer(source: str) -> str:
    return f"### BEGIN SOLUTION\n{source}\n### END SOLUTION"


MIXED = [
    cell("setup", "import asyncio, sys, warnings\nfactor = 2", "locked"),
    cell("double", answer("def double(x):\n    return factor * x"), "solution"),
    cell("double-1", "assert double(2) == 4", "test", 1),
    cell(
        "double-2",
        "### BEGIN HIDDEN TESTS\nassert double(-3) == -6\n### END HIDDEN TESTS",
        "test",
        2.5,
    ),
    cell("share", answer("share = 1.0"), "solution"),
    cell("share-1", "print('Share:', share)\n2 * share", "test", 2),
    cell("later", answer("async def later():\n    return 3"), "solution"),
    cell("later-1", "await asyncio.sleep(0)\nassert await later() == 3", "test", 1),
    cell("shell", answer("!echo made > made.txt"), "solution"),
    cell("shell-1", "%%bash\ngrep -q made made.txt && cat given.csv", "test", 1),
    cell("rich-1", "from IPython.display import HTML\ndisplay(HTML('1'))\nHTML('2')", "test", 1),
    cell(
        "plot-1",
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([double(1)])\n"
        "assert double(1) == 2;",
        "test",
        1,
    ),
    cell("timed-1", "%%time\nassert double(0) == 0", "test", 1),
    cell("code", answer("13"), "manual", 3),
    cell("words", "In words: because.", "manual", 2),
    cell("task", "Draw something below.\n=== BEGIN MARK SCHEME ===\nok\n=== END MARK SCHEME ===",
         "task", 4),
]  # fmt: skip
SECOND = [
    cell("three", answer("three = 3"), "solution"),
    cell("three-1", "assert three == 3", "test", 1),
]

# By student: what stands in the solution cells instead of the solution.
CLASS: dict[str, dict[str, str]] = {
    "right": {},
    "wrong": {
        "double": "def double(x):\n    return abs(x) * 2",
        "share": "share = 0.25",
        "later": "async def later():\n    return 4",
        "shell": "pass",
    },
    "late": {"share": "share = 0.5"},
    "raises": {"double": "def double(x):\n    return x / 0", "share": "share = share"},
    "zero": {"share": "share = 0"},
    "many": {"share": "share = '2.0'"},
}
WARNS = {
    "double": "def double(x):\n    warnings.warn('slow')\n    return 2 * x",
    "share": "print('!', file=sys.stderr)\nshare = 0.5",
}
DUE, BEFORE, AFTER = "2030-01-02 00:00:00", "2030-01-01 12:00:00 UTC", "2030-01-03 12:00:00 UTC"
# On purpose: text on stderr alone costs no points.
STDERR = {("warns", f"{name}-1") for name in ("double", "plot", "timed")} | {("warns", "double-2")}


def submit(root: Path, student: str, answers: dict[str, str], *, drop: str = "") -> Path:
    """Hand in the released notebooks with these answers, and the solution elsewhere."""
    folder = root / "submitted" / student / "hw"
    for name, source in (("mixed", MIXED), ("second", SECOND)):
        notebook = nbformat.read(root / "release/hw" / f"{name}.ipynb", as_version=4)
        solved = {c.metadata.nbgrader.grade_id: c.source for c in source}
        for made in notebook.cells:
            grade_id = made.metadata.nbgrader.grade_id
            if made.metadata.nbgrader.solution and student != "empty":
                made.source = answers.get(grade_id, solved[grade_id])
            if student == "edited" and made.metadata.nbgrader.locked:
                made.source = "share = double = None" if made.cell_type == "code" else "Nothing."
        folder.mkdir(parents=True, exist_ok=True)
        if name != drop:
            nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The made class, graded by both."""
    folder = tmp_path_factory.mktemp("made")
    root = folder / "base"
    (root / "source/hw").mkdir(parents=True)
    (root / "nbgrader_config.py").write_text(CONFIG)
    (root / "source/hw/given.csv").write_text("1,2\n")
    for name, cells in (("mixed", MIXED), ("second", SECOND)):
        notebook = new_notebook(cells=cells)
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, root / "source/hw" / f"{name}.ipynb")
    done = run("nbgrader", "generate_assignment", "hw", cwd=root)
    assert done.returncode == 0, done.stderr[-2000:]
    with Database(f"sqlite:///{root / 'gradebook.db'}", "made") as database:
        database.update_or_create_assignment("hw", duedate=DUE)
    for student, answers in CLASS.items():
        submit(root, student, answers)
    for student in ("empty", "edited"):
        submit(root, student, {})
    submit(root, "warns", WARNS)
    submit(root, "missing", {}, drop="second")
    for student in ("right", "late"):
        stamp = AFTER if student == "late" else BEFORE
        (root / "submitted" / student / "hw/timestamp.txt").write_text(stamp)
    pair = Pair.of(root, folder)
    pair.grade("hw")
    return pair


def test_every_row_of_a_made_class_is_the_same(pair: Pair) -> None:
    stock, ours = pair.rows(GRADES, 4)
    assert len(stock) == 10 * 12
    pair.require_equal(but=STDERR)
    late = {key[0]: row[0] for key, row in pair.rows(PENALTIES, 3)[1].items() if "mixed" in key}
    assert late["late"] and not late["right"]


def test_text_on_stderr_alone_is_no_failure(pair: Pair) -> None:
    stock, ours = pair.rows(GRADES, 4)
    for student, name in STDERR:
        key = (student, "hw", "mixed", name)
        assert stock[key][0] == 0
        assert ours[key][0] and ours[key][0] > 0
    assert ours["warns", "hw", "mixed", "share-1"][0] == 1.0


def test_the_records_of_a_made_class_agree_with_the_gradebook(pair: Pair) -> None:
    _, ours = pair.rows(GRADES, 4)
    records = {
        (r["student"], r["assignment"], r["notebook"], r["cell"]): r
        for r in pair.results()
        if r["cell"] is not None
    }
    for key, row in ours.items():
        if key[:3] != ("missing", "hw", "second"):
            assert records[key]["points"] == row[0], key


def test_grading_again_is_the_same(pair: Pair) -> None:
    """By-hand scores stay; what is not newer is skipped; what is newer is graded again."""
    one = (
        "update grade set {} where id in (select g.id from grade g "
        "join base_cell c on c.id = g.cell_id join submitted_notebook n on n.id = g.notebook_id "
        "join submitted_assignment s on s.id = n.assignment_id "
        "where s.student_id = ? and c.name = ?)"
    )
    comment = (
        "update comment set manual_comment = 'Good.' where id in (select m.id from comment m "
        "join base_cell c on c.id = m.cell_id join submitted_notebook n on n.id = m.notebook_id "
        "join submitted_assignment s on s.id = n.assignment_id "
        "where s.student_id = ? and c.name = ?)"
    )
    pair.statements(
        (one.format("manual_score = 2.5, needs_manual_grade = 0"), ("late", "code")),
        (one.format("manual_score = 0.5, needs_manual_grade = 0"), ("wrong", "double-1")),
        (one.format("extra_credit = 1.5"), ("late", "double-1")),
        (one.format("manual_score = 4, needs_manual_grade = 0"), ("late", "task")),
        (comment, ("late", "words")),
    )
    for root in (pair.stock, pair.ours):
        for student in ("late", "wrong"):
            submit(root, student, {"share": "share = 0.75"})
        stamp = "2030-01-04 00:00:00 UTC"
        (root / "submitted/late/hw/timestamp.txt").write_text(stamp)
    theirs, ours = pair.grade("hw")
    # "wrong" has no time, so nobody sees that it is newer.
    assert "Skipping existing assignment" in theirs
    assert "9 submissions are not newer" in ours
    stock, mine = pair.rows(GRADES, 4)
    assert mine["late", "hw", "mixed", "share-1"][0] == 1.5
    assert mine["wrong", "hw", "mixed", "share-1"][0] == 0.5
    assert mine["late", "hw", "mixed", "double-1"][2] == 1.5
    pair.require_equal(but=STDERR)
    pair.grade("hw", "--force", "--student=wrong")
    stock, mine = pair.rows(GRADES, 4)
    assert mine["wrong", "hw", "mixed", "share-1"][0] == 1.5
    assert mine["wrong", "hw", "mixed", "double-1"][1:] == (0.5, None, 1)
    # Ours graded everybody again, and to a by-hand score that means: have a look.
    pair.require_equal(but=STDERR | {("late", "code"), ("late", "task")})


def test_the_quickstart_course(tmp_path: Path) -> None:
    done = run("nbgrader", "quickstart", "course101", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    root = tmp_path / "course101"
    done = run("nbgrader", "generate_assignment", "ps1", cwd=root)
    assert done.returncode == 0, done.stderr[-2000:]
    for student, given in (("solved", "source"), ("empty", "release"), ("half", "source")):
        shutil.copytree(root / given / "ps1", root / "submitted" / student / "ps1")
    (root / "submitted/half/ps1/problem2.ipynb").unlink()
    pair = Pair.of(root, tmp_path)
    _, said = pair.grade("ps1")
    pair.require_equal()
    assert len(pair.rows(GRADES, 4)[0]) == 3 * 9
    assert "5 notebooks were graded in a kernel" in said
    assert "ps1/problem1" in said
    (lost,) = [r for r in pair.results() if r["cell"] is None]
    assert (lost["student"], lost["assignment"], lost["notebook"]) == ("half", "ps1", "problem2")
    waiting = {r["cell"] for r in pair.results() if r["status"] == "manual"}
    assert "cell-938593c4a215c6cc" in waiting, "the task"
    done = run("autograder", "feedback", cwd=pair.ours)
    assert done.returncode == 0, done.stderr
    pages = sorted(p.relative_to(pair.ours / "feedback") for p in pair.ours.rglob("feedback/*/*/*"))
    assert [str(p) for p in pages] == [
        "empty/ps1/problem1.html",
        "empty/ps1/problem2.html",
        "half/ps1/problem1.html",
        "solved/ps1/problem1.html",
        "solved/ps1/problem2.html",
    ]


def test_this_course(tmp_path: Path) -> None:
    """By stock nbgrader, by this program, and by stock nbgrader behind our walls."""
    handed_in = {"01-forward-pass": [right, half_done, syntax_error], FIFTH: [half_done]}
    base = copy_course(CourseFolder(ROOT), tmp_path / "base", list(handed_in))
    shutil.rmtree(base.root / "notebooks")
    for name, makers in handed_in.items():
        done = run("nbgrader", "generate_assignment", name, cwd=base.root)
        assert done.returncode == 0, done.stderr[-2000:]
        material = read_material(base, name)
        for maker in makers:
            path = base.root / "submitted" / maker.__name__ / name / f"{name}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(maker(material, base), path)
    pair = Pair.of(base.root, tmp_path)
    walled = Pair(tmp_path / "walled", pair.ours, pair.records)
    shutil.copytree(base.root, walled.stock)
    with (walled.stock / "nbgrader_config.py").open("a") as config:
        config.write('c.Autograde.exporter_class = "autograder.stock.ConfinedExporter"\n')
    for name in handed_in:
        _, said = pair.grade(name)
        assert "notebooks were graded with the student's code in a process of its own" in said
        pair.require_equal()
        done = run("nbgrader", "autograde", name, cwd=walled.stock)
        assert done.returncode == 0, done.stderr[-2000:]
        walled.require_equal()
    _, ours = pair.rows(GRADES, 4)
    earned = {student: 0.0 for student in ("right", "half_done", "syntax_error")}
    for key, row in ours.items():
        earned[key[0]] += row[0] or 0.0 if key[1] == "01-forward-pass" else 0.0
    assert earned["right"] > earned["half_done"] > 0
    assert earned["right"] > earned["syntax_error"] > 0


def test_every_difference_has_its_test() -> None:
    page = (ROOT / "docs/differences.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    there = "".join(path.read_text() for path in (ROOT / "tests/grading").rglob("test_*.py"))
    assert named and all(f"def {name}(" in there for name in named)
    assert all("`test_" in row for row in rows if not row.endswith("| test |"))
