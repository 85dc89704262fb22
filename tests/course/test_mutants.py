"""Mutants: how they are made, how they are graded, and what is said about those that survive."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import CourseFolder, read_source
from autograder.course.exercises import Exercise, exercises
from autograder.course.mutants import (
    DIED,
    FEWER,
    FULL,
    LATE,
    MutantProof,
    Reasons,
    Survivor,
    Totals,
    outcome,
    prove_mutants,
    survivor_problems,
)
from autograder.course.mutations import Mutant, changed_texts, mutants_of
from autograder.course.numpy_operators import OPERATORS, RewriteOperator
from autograder.course.validate import validate
from autograder.errors import UserError
from tests.course.conftest import NAME, Toy

ROOT = Path(__file__).parents[2]
# The one mutant of the toy solution that no vector x can tell from it.
EQUIVALENT = """\
[[survivor]]
exercise = "toy_affine"
before = "product = W @ x"
after = "product = W @ x.T"
equivalent = true
reason = "x has one axis, so its transpose is x."
"""


# ------------------------------------------------------------------------- making mutants


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_each_operator_makes_what_its_example_says(operator: RewriteOperator) -> None:
    before, after = operator.example
    assert tuple(changed_texts(before, operator)) == after


@pytest.mark.parametrize(
    ("before", "operator", "after"),
    [
        ("x.reshape(-1, n).T @ y", "drop-method", ["x.T @ y"]),
        ("y = np.exp(z)", "drop-method", []),
        ("y = x.sum()", "drop-call", []),
        ("np.maximum(z, 0.0)", "swap-entries", []),
        ("f(a, axis=0)", "swap-entries", []),
        ("f(x for x in y)", "swap-entries", []),
        ("a / b * c", "drop-operand", ["1 / b * c", "a * c", "a / b"]),
        ("- b", "drop-operand", []),
        ('def f(x):\n    """Text."""\n', "change-string", []),
        ('def f(x):\n    """Text."""\n', "delete-statement", []),
        ('z = f"a{i}"', "change-string", ['z = f"a{i}_"']),
        ("def f(eps=1e-5):\n    return eps\n", "nudge-number", []),
        ("a = [0, 2.5]", "nudge-number", ["a = [0.02, 2.5]", "a = [0, 2.55]"]),
        ("a, b = b, a", "drop-entry", ["a, b = a,", "a, b = b,"]),
        ("[f(x) for x in y]", "drop-entry", []),
        ("def f(x, y):\n    return y.x(x=y)\n", "next-variable", None),
    ],
)
def test_what_an_operator_does_in_corners(
    before: str, operator: str, after: list[str] | None
) -> None:
    chosen = next(each for each in OPERATORS if each.name == operator)
    if after is None:  # neither the attribute nor the name of the argument is a variable
        after = ["def f(x, y):\n    return x.x(x=y)\n", "def f(x, y):\n    return y.x(x=x)\n"]
    assert list(changed_texts(before, chosen)) == after


def test_a_mutant_says_where_it_differs() -> None:
    answer = 'def f(x):\n    """x + 1."""\n    y = x\n    return y - 1\n'
    found = {(m.line, m.operator, m.before, m.after) for m in mutants_of(answer)}
    assert (4, "ReplaceBinaryOperator_Sub_Add", "return y - 1", "return y + 1") in found
    assert (3, "delete-statement", "y = x", "pass") in found
    assert (4, "drop-operand", "return y - 1", "return y") in found


def test_arithmetic_on_bits_and_identity_are_left_out_unless_the_answer_has_them() -> None:
    def operators(answer: str) -> str:
        return " ".join(mutant.operator for mutant in mutants_of(answer))

    plain = operators("def f(a, b):\n    return a + b if a == b else b\n")
    assert "Add_Sub" in plain and "Add_BitAnd" not in plain and "Eq_Is" not in plain
    assert "BitOr_BitAnd" in operators("edges = others | mine")


names = st.sampled_from(["a", "b", "c", "0", "1", "2.5", "a.T", "np.sum(b, axis=0)", "c.copy()"])
expressions = st.recursive(
    names,
    lambda inner: st.builds(
        "({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "@", "**", ">"]), inner
    ),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(expressions, min_size=1, max_size=3))
def test_every_mutant_is_new_and_leaves_the_docstring(lines: list[str]) -> None:
    body = "".join(f"    v{i} = {line}\n" for i, line in enumerate(lines))
    answer = f'def f(a, b, c):\n    """Adds 1 + 1 to "a"."""\n{body}    return v0, a\n'
    trees = [ast.dump(ast.parse(answer))]
    for mutant in mutants_of(answer):
        tree = ast.parse(mutant.text)
        assert ast.get_docstring(tree.body[0]) == 'Adds 1 + 1 to "a".'
        trees.append(ast.dump(tree))
        assert mutant.before != mutant.after
        assert answer.split("\n")[mutant.line - 1].strip() == mutant.before.split("\n")[0]
    assert len(set(trees)) == len(trees)


# ------------------------------------------------------------------------- grading them


def first_exercise(course: CourseFolder, name: str) -> Exercise:
    """The cells up to the first check run, no further."""
    found = next(exercises(read_source(course.source_text(name)), name, course.source / name))
    assert isinstance(found, Exercise)
    return found


@pytest.mark.parametrize(
    ("body", "became"),
    [
        ("return W @ x + b", FULL),
        ("return W @ x", FEWER),
        ("return W @", FEWER),
        ("return bytearray(10**12)", FEWER),
        ("import os; os._exit(0)", DIED),
        ("import os; os.write(2, b'noise'); return W @ x + b", FULL),
    ],
)
def test_the_outcome_of_an_answer(body: str, became: str, toy: Toy) -> None:
    answer = f"def toy_affine(x, W, b):\n    {body}\n"
    assert outcome(first_exercise(toy.course, NAME), answer, 60.0) == became


def test_an_answer_that_never_ends_is_stopped_at_the_deadline(toy: Toy) -> None:
    answer = "def toy_affine(x, W, b):\n    while True:\n        pass\n"
    assert outcome(first_exercise(toy.course, NAME), answer, 0.5) == LATE


def test_what_never_ends_counts_as_rejected(toy: Toy) -> None:
    loop = "while n < 1:\n        n += 1\n    product = W @ x\n"
    toy.edit(toy.source, "    product = W @ x\n", f"    n = 0\n    {loop}")
    exercise = first_exercise(toy.course, NAME)
    proof = prove_mutants(exercise, Reasons(toy.course, NAME), deadline=2.0)
    assert proof.at_deadline > 0
    assert proof.rejected + len(proof.survivors) == proof.made


def test_a_process_that_rejects_the_solution_itself_proves_nothing(toy: Toy) -> None:
    exercise = first_exercise(toy.course, NAME)
    with pytest.raises(UserError, match="the solution of toy_affine does not pass"):
        prove_mutants(exercise, Reasons(toy.course, NAME), deadline=0.0)


def test_a_mutant_leaves_nothing_behind(toy: Toy) -> None:
    exercise = first_exercise(toy.course, NAME)
    answer = "def toy_affine(x, W, b):\n    np.left_behind = True\n    return W @ x\n"
    assert outcome(exercise, answer, 60.0) == FEWER
    assert not hasattr(exercise.namespace["np"], "left_behind")


# ------------------------------------------------------------------------- validate --mutants


def explain(toy: Toy, text: str) -> None:
    toy.course.survivors.mkdir(parents=True, exist_ok=True)
    (toy.course.survivors / f"{NAME}.toml").write_text(text)


def problems(toy: Toy) -> list[str]:
    found = validate(toy.course, [NAME], mutants=True).problems
    return [str(p) for p in found if "autograder build" not in str(p)]


def test_a_course_whose_survivors_are_explained_is_sound(toy: Toy) -> None:
    explain(toy, EQUIVALENT)
    verdict = validate(toy.course, [NAME], mutants=True)
    assert verdict.problems == []
    (proof,) = verdict.exercises
    assert proof.mutants is not None
    totals = Totals.of([proof.mutants])
    assert totals.made == totals.rejected + 1 > 20
    assert (totals.survivors, totals.explained, totals.equivalent, totals.share) == (1, 1, 1, 1.0)


def test_a_survivor_that_nobody_explained(toy: Toy) -> None:
    said = problems(toy)
    assert any("The mutant 'product = W @ x' → 'product = W @ x.T' (line " in s for s in said)
    assert any("Its checks reject 95." in s and "99% are needed" in s for s in said)
    assert len(said) == 2


@pytest.mark.parametrize("reason", ['reason = ""', 'reason = "  "', ""])
def test_a_survivor_without_a_reason(reason: str, toy: Toy) -> None:
    explain(toy, EQUIVALENT[: EQUIVALENT.index("reason")] + reason)
    assert any("is listed without a reason." in sentence for sentence in problems(toy))


def test_a_survivor_that_differs_counts_against_the_check(toy: Toy) -> None:
    explain(toy, EQUIVALENT.replace("equivalent = true\n", ""))
    (sentence,) = problems(toy)
    assert "Its checks reject 95." in sentence


@pytest.mark.parametrize(
    "entry",
    [
        EQUIVALENT.replace("x.T", "b"),  # it is made, and rejected
        EQUIVALENT.replace("W @ x.T", "W @ x @ x"),  # it is not made
        EQUIVALENT.replace("toy_affine", "toy_product"),
        EQUIVALENT,  # a second entry for the one mutant
    ],
)
def test_a_stale_reason(entry: str, toy: Toy) -> None:
    explain(toy, f"{EQUIVALENT}\n{entry}")
    (sentence,) = problems(toy)
    assert "is stale: it is rejected, or no longer made." in sentence


def test_a_weak_check(toy: Toy) -> None:
    explain(toy, EQUIVALENT)
    toy.edit(toy.source, 'returns={"z": 3})', 'returns={"z": 3}, tolerance={"z": 1e9})')
    said = problems(toy)
    assert any("'return product + b' → 'return product - b'" in sentence for sentence in said)
    assert any("of the mutants that differ from the solution" in sentence for sentence in said)


def test_a_solution_that_fails_is_not_mutated(toy: Toy) -> None:
    explain(toy, EQUIVALENT)
    toy.edit(toy.source, "return product + b\n", "return product - b\n")
    verdict = validate(toy.course, [NAME], mutants=True)
    assert verdict.exercises[0].mutants is None
    assert not any("stale" in problem.sentence for problem in verdict.problems)


def test_two_equal_lines_need_two_entries(toy: Toy) -> None:
    explain(toy, EQUIVALENT)
    mutant = Mutant(
        "add-transpose-1", 1, "add-transpose", "product = W @ x", "product = W @ x.T", ""
    )
    reasons = Reasons(toy.course, NAME)
    accepted = [reasons.take("toy_affine", mutant) for _ in range(2)]
    proof = MutantProof(2, 0, 0, [Survivor(mutant, each) for each in accepted])
    assert len(list(survivor_problems(proof, reasons))) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[survivor]\n", "is not TOML"),
        ('[[survivor]]\nexercise = "f"\n', "an entry needs"),
        ('survivor = "f"\n', "an entry needs"),
        ("[[survivor]]\nexercise = 1\nbefore = 2\nafter = 3\n", "an entry needs"),
    ],
)
def test_a_file_that_cannot_be_read(text: str, sentence: str, toy: Toy) -> None:
    explain(toy, text)
    with pytest.raises(UserError, match=sentence):
        Reasons(toy.course, NAME)


def test_the_command(toy: Toy, tmp_path: Path) -> None:
    arguments = ["validate", NAME, "--course", str(toy.course.root), "--mutants"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "gets full points." in result.output
    explain(toy, EQUIVALENT)
    result = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "proof.json")])
    assert result.exit_code == 0, result.output
    assert "of those that differ" in result.output and "100.00%" in result.output
    (exercise,) = json.loads((tmp_path / "proof.json").read_text())["exercises"]
    mutants = exercise["mutants"]
    assert mutants["made"] == mutants["rejected"] + 1 and mutants["at_deadline"] == 0
    (survivor,) = mutants["survivors"]
    assert survivor["operator"] == "add-transpose" and survivor["reason"].startswith("x has one")


def test_without_the_option_nothing_is_mutated(toy: Toy) -> None:
    explain(toy, "not TOML")
    (exercise,) = validate(toy.course, [NAME]).as_json()["exercises"]
    assert exercise["mutants"] is None


def test_without_the_library_one_sentence(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("autograder.course.mutants", "autograder.course.mutations"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "cosmic_ray.ast", None)
    with pytest.raises(UserError, match="--mutants needs the module cosmic_ray"):
        validate(toy.course, [NAME], mutants=True)


def test_students_do_not_need_the_library() -> None:
    code = "import sys, autograder.cli; assert not {'cosmic_ray', 'parso.tree'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------- the course


def test_the_first_exercise_of_the_course() -> None:
    course = CourseFolder(ROOT)
    reasons = Reasons(course, "01-forward-pass")
    proof = prove_mutants(first_exercise(course, "01-forward-pass"), reasons)
    assert list(survivor_problems(proof, reasons)) == []
    assert proof.made > 15 and Totals.of([proof]).share >= 0.99


@pytest.mark.parametrize("name", [path.stem for path in (ROOT / "tests/survivors").glob("*.toml")])
def test_the_reasons_of_the_course_name_lines_that_mutants_have(name: str) -> None:
    """Whether those mutants survive is seen by ``make mutants``."""
    course = CourseFolder(ROOT)
    made = {
        (mutant.before, mutant.after)
        for cell in read_source(course.source_text(name)).cells
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution")
        for mutant in mutants_of(cell.source)
    }
    entries = Reasons(course, name).stale()  # no mutant has used one up yet
    assert entries
    for entry in entries:
        assert (entry.before, entry.after) in made, entry
        assert len(entry.reason.split()) > 5
