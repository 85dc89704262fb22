"""For each property that ``validate`` proves, a course that lacks it, and the sentence it earns."""

import json

import nbformat
import pytest
from typer.testing import CliRunner

from autograder import mistakes
from autograder.cli import app
from autograder.course.build import build
from tests.course.conftest import NAME, Toy


def only(problems: list[str]) -> str:
    assert len(problems) == 1, problems
    return problems[0]


def test_the_toy_course_is_sound(toy: Toy) -> None:
    verdict = toy.validate()
    assert verdict.problems == []
    (proof,) = verdict.exercises
    assert (proof.solution_points, proof.scaffold_points) == (3.0, 0.0)
    assert [m.diagnosis for m in proof.mistakes] == [f"toy_affine/{m.id}" for m in proof.mistakes]
    assert [a.points for a in proof.alternatives] == [3.0, 3.0]


# Each row: what is edited in source/01-toy.py, and what validate then says.
BROKEN_SOURCES = {
    "the solution loses points": (
        "return product + b\n",
        "return product + b * 1.001\n",
        "The solution gets 0 of 3 points.",
    ),
    "the scaffold earns points": (
        "    ### BEGIN SOLUTION\n",
        "    return W @ x + b\n    ### BEGIN SOLUTION\n",
        "The scaffold gets 3 points.",
    ),
    "the check awards other points": (
        'returns={"z": 3}',
        'returns={"z": 2}',
        "The check awards 2 points in all, the cell marker says 3.",
    ),
    "a mistake is not rejected": (
        'check = Check("toy_affine", pytorch, returns={"z": 3})',
        'check = Check("toy_affine", pytorch, returns={"z": 3}, tolerance={"z": 1e9})',
        "The mistake 'no-bias' gets full points.",
    ),
    "a mistake is not named": (
        "size=(4, 4)), b=rng.normal(size=4))",
        "size=(2, 4)), b=rng.normal(size=2))",
        "The mistake 'transposed' is not named.",
    ),
    "stderr": (
        "check.grade()\n",
        "import sys\nprint('oops', file=sys.stderr)\ncheck.grade()\n",
        "The check cell writes to stderr for the solution: oops",
    ),
    "no float": (
        "check.grade()\n",
        "str(check.grade())\n",
        "The check cell ends in '3.0' for the solution.",
    ),
    "a NumPy float": (
        "check.grade()\n",
        "np.float64(check.grade())\n",
        "The check cell ends in np.float64(3.0) for the solution.",
    ),
    "more than the maximum": (
        "check.grade()\n",
        "check.grade() + 1.0\n",
        "The check cell ends in 4.0 for the solution.",
    ),
    "no check": (
        'check = Check("toy_affine"',
        'checked = Check("toy_affine"',
        "does not make a Check named 'check'",
    ),
    "points of the card": (
        "# **3 points · 2 minutes ·",
        "# **4 points · 2 minutes ·",
        "The card says 4 points, the cell marker 3.",
    ),
    "points of the opening": (
        "# **3 points · about 2",
        "# **5 points · about 2",
        "The first cell says 5 points and 2 minutes, the cards add up to 3 and 2.",
    ),
    "minutes of the opening": (
        "# **3 points · about 2",
        "# **3 points · about 1",
        "The first cell says 3 points and 1 minutes, the cards add up to 3 and 2.",
    ),
    "no line on the card": (
        " · difficulty 1 of 3**",
        "**",
        "The card lacks its line of points, minutes and difficulty.",
    ),
    "no card": (
        "### Exercise: `toy_affine(x, W, b)`",
        "### Exercise",
        "0 cards are headed",
    ),
    "one hint": (
        "# <details><summary>I'm not sure where to end.</summary> End. </details>\n",
        "",
        "The card has 1 folded hints, at least 2 are needed.",
    ),
    "shape of a result": (
        "z: the result, shape (n_out,)",
        "z: the result, shape (n_in,)",
        "the docstring says 'the result, shape (n_in,)', but z is returned with shape (2,).",
    ),
    "shape of an argument": (
        "W: weights, shape (n_out, n_in)",
        "W: weights, shape (n_in, n_out)",
        "but W is given with shape (2, 3).",
    ),
    "no shape": ("z: the result, shape (n_out,)", "z: the result", "gives no shape for z."),
    "no such name": ("z: the result", "y: the result", "does not mention z."),
    "a cell that raises": (
        "import torch\n",
        "import torch\nimport no_such_module\n",
        "raised ModuleNotFoundError: No module named 'no_such_module'",
    ),
}


@pytest.mark.parametrize("name", BROKEN_SOURCES)
def test_a_broken_source(name: str, toy: Toy) -> None:
    old, new, sentence = BROKEN_SOURCES[name]
    toy.edit(toy.source, old, new)
    assert any(sentence in text for text in toy.problems()), toy.problems()


def test_a_scaffold_without_a_stub(toy: Toy) -> None:
    for marker in ("    ### BEGIN SOLUTION\n", "    ### END SOLUTION\n"):
        toy.edit(toy.source, marker, "")
    toy.edit(toy.source, '"toy_affine", "solution": true', '"toy_affine", "locked": true')
    assert any("No solution cell defines toy_affine." in text for text in toy.problems())
    assert any("The scaffold lacks '# TODO'" in text for text in toy.problems())


def test_too_few_mistakes(toy: Toy) -> None:
    mistakes._bank["toy_affine"].pop()
    assert "The mistake bank has 3 records, at least 4 are needed." in only(toy.problems())


def test_two_mistakes_with_one_sentence(toy: Toy) -> None:
    @mistakes.mistake("toy_affine", "thrice", "The bias counts  twice.")
    def toy_affine(x, W, b):  # type: ignore[no-untyped-def]
        return W @ x + 3 * b

    assert "The mistakes toy_affine/twice and toy_affine/thrice share one sentence." in only(
        toy.problems()
    )


def test_two_mistakes_with_the_same_numbers(toy: Toy) -> None:
    @mistakes.mistake("toy_affine", "again", "The bias is doubled.")
    def toy_affine(x, W, b):  # type: ignore[no-untyped-def]
        return b + W @ x + b

    found = toy.problems()
    # Two records fit, so neither is named; arithmetic still says what the numbers show.
    assert any("The mistake 'twice' is named general/one-term." in text for text in found)
    assert any("The mistake 'again' is named general/one-term." in text for text in found)


def test_a_mistake_that_is_right(toy: Toy) -> None:
    @mistakes.mistake("toy_affine", "right", "Nothing is wrong.")
    def toy_affine(x, W, b):  # type: ignore[no-untyped-def]
        return W @ x + b

    assert "The mistake 'right' gets full points." in only(toy.problems())


def test_a_mistake_of_no_exercise(toy: Toy) -> None:
    @mistakes.mistake("toy_afine", "typo", "A typo.")
    def toy_affine(x, W, b):  # type: ignore[no-untyped-def]
        return x

    toy_affine.__module__ = "autograder.mistakes.nb01_toy"
    try:
        assert "The mistake 'typo' belongs to no exercise." in only(toy.problems())
    finally:
        del mistakes._bank["toy_afine"]


def test_no_success_note(toy: Toy) -> None:
    del mistakes._notes["toy_affine"]
    assert "There is no success note." in only(toy.problems())


def test_too_few_alternatives(toy: Toy) -> None:
    toy.edit(toy.alternatives, "# %% toy_affine: dot\n", "#\n")
    assert any("There are 1 alternatives, 2 are needed." in text for text in toy.problems())


def test_an_alternative_that_is_wrong(toy: Toy) -> None:
    toy.edit(toy.alternatives, "return W.dot(x) + b", "return W.dot(x)")
    found = toy.problems()
    assert any(
        "The alternative 'dot' gets 0 of 3 points: toy_affine: z differs" in t for t in found
    )
    assert any("The alternative 'dot' is diagnosed as toy_affine/no-bias." in t for t in found)


def test_an_alternative_of_no_exercise(toy: Toy) -> None:
    with toy.alternatives.open("a") as file:
        file.write("\n\n# %% toy_afine: typo\nx = 1\n\n\n# %% toy_affine: dot\nx = 1\n")
    found = toy.problems()
    assert any("The alternative 'typo' belongs to no exercise." in text for text in found)
    assert any("The alternative 'dot' stands there 2 times." in text for text in found)


def test_a_solution_in_the_notebook_of_the_students(toy: Toy) -> None:
    path = toy.course.student_notebook(NAME)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += "\n\n    product = W @ x\n    return product + b\n"
    nbformat.write(notebook, path)
    assert any("shows what is between the markers." in text for text in toy.problems())


def test_a_marker_in_the_notebook_of_the_students(toy: Toy) -> None:
    path = toy.course.student_notebook(NAME)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source += "\n### BEGIN HIDDEN TESTS\n"
    nbformat.write(notebook, path)
    assert any("shows a marker of solutions or hidden tests." in text for text in toy.problems())


@pytest.mark.parametrize("which", ["student_notebook", "solved_notebook"])
def test_a_generated_file_out_of_step(which: str, toy: Toy) -> None:
    path = getattr(toy.course, which)(NAME)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].source += " "
    nbformat.write(notebook, path)
    sentence = only(toy.problems(in_step=True))
    assert f"{path} is out of step with source/ from cell 3 on. Mend: autograder build" in sentence
    path.unlink()
    assert "is missing" in only(toy.problems(in_step=True))


def test_the_command_prints_the_mend_and_exits_with_1(toy: Toy) -> None:
    toy.edit(toy.source, 'returns={"z": 3}', 'returns={"z": 2}')
    proof = toy.course.root / "proof.json"
    result = CliRunner().invoke(
        app, ["validate", "--course", str(toy.course.root), "--json", str(proof)]
    )
    assert result.exit_code == 1
    assert "Mend: make 'returns' and 'aspects' of the check add up" in result.stdout
    data = json.loads(proof.read_text())
    assert data["sound"] is False
    assert set(data["exercises"][0]) >= {
        "notebook",
        "exercise",
        "points",
        "solution_points",
        "scaffold_points",
        "mistakes",
        "alternatives",
    }


def test_the_command_on_a_sound_course_exits_with_0(toy: Toy) -> None:
    result = CliRunner().invoke(app, ["validate", NAME, "--course", str(toy.course.root)])
    assert result.exit_code == 0, result.output
    assert "Sound: every property holds" in result.stdout


WRITTEN = """
# %% [markdown]
# ### Written answer: why the bias
#
# **4 points · 3 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure where to begin.</summary> Begin. </details>
# <details><summary>I'm not sure where to end.</summary> End. </details>

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 4}
# ### BEGIN SOLUTION
# A layer without it maps zero to zero.
#
# - 3 points: says that zero goes to zero
# - 1 point: names the bias
# ### END SOLUTION
"""


@pytest.fixture
def essay(toy: Toy) -> Toy:
    """The toy course with an answer in prose."""
    toy.edit(toy.source, "**3 points · about 2", "**7 points · about 5")
    toy.source.write_text(toy.source.read_text() + WRITTEN)
    return toy


def test_an_answer_graded_by_hand_counts_and_stays_secret(essay: Toy) -> None:
    build(essay.course, [NAME], report=lambda sentence: None)
    verdict = essay.validate()
    assert verdict.problems == []
    assert verdict.as_json()["written"] == [{"notebook": NAME, "cell": "why", "points": 4.0}]
    released, solved = (
        next(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.id == "why")
        for path in (essay.course.student_notebook(NAME), essay.course.solved_notebook(NAME))
    )
    assert "zero" not in released
    assert solved.startswith("A layer without it") and "###" not in solved


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("- 3 points:", "- 2 points:", "Its rubric adds up to 3 points, the cell marker says 4."),
        ("**4 points ·", "**5 points ·", "The card says 5 points, the cell marker 4."),
        ("### Written answer: why", "### Why", "is not headed '### Written answer: …'"),
        ("**7 points", "**3 points", "The first cell says 3 points and 5 minutes"),
    ],
)
def test_an_answer_graded_by_hand_that_is_not_sound(
    essay: Toy, old: str, new: str, sentence: str
) -> None:
    essay.edit(essay.source, old, new)
    assert any(sentence in problem for problem in essay.problems())
