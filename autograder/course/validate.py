"""The proof that the course is sound: every property of every exercise, one by one."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat import NotebookNode

from autograder.course.alternatives import Alternative, all_alternatives
from autograder.course.build import MARKERS, out_of_step
from autograder.course.cells import CellRun, run_cell
from autograder.course.exercises import Broken, Exercise, exercises
from autograder.course.released import released_notebook
from autograder.course.shapes import docstring_shapes, shape_problems
from autograder.course.source import CourseFolder, read_source
from autograder.errors import UserError
from autograder.mistakes import Mistake, all_mistakes, mistakes_of, note_of

if TYPE_CHECKING:
    from autograder.course.mutants import MutantProof, Reasons

# What is being proved, and how many mutants of it are done, of how many; 0 of 0 without mutants.
Progress = Callable[[str, int, int], None]

LEAST_MISTAKES = 4
LEAST_ALTERNATIVES = 2
LEAST_HINTS = 2
CARD = re.compile(r"\*\*([\d.]+) points? · (\d+) minutes? · difficulty [123] of 3\*\*")
WRITTEN = re.compile(r"^### Written answer: ", re.MULTILINE)
RUBRIC = re.compile(r"^- ([\d.]+) points?: ", re.MULTILINE)
OPENING = re.compile(r"\*\*([\d.]+) points · about (\d+) minutes\*\*")


@dataclass(frozen=True)
class Problem:
    """One property that does not hold, and what mends it."""

    notebook: str
    exercise: str | None
    sentence: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.notebook}, {self.exercise}" if self.exercise else self.notebook
        return f"{place}: {self.sentence} Mend: {self.mend}"


@dataclass(frozen=True)
class Attempt:
    """What one mistake or alternative earned."""

    id: str
    points: float
    diagnosis: str | None


@dataclass
class Proof:
    """What was found about one exercise."""

    notebook: str
    exercise: str
    points: float
    solution_points: float = 0.0
    scaffold_points: float = 0.0
    cpu_seconds: float = 0.0
    mistakes: list[Attempt] = field(default_factory=list)
    alternatives: list[Attempt] = field(default_factory=list)
    mutants: MutantProof | None = None


@dataclass(frozen=True)
class Written:
    """An answer in prose, graded by hand."""

    notebook: str
    cell: str
    points: float


@dataclass
class Verdict:
    """The whole proof."""

    exercises: list[Proof] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """The contract of ``validate --json``."""
        return {
            "sound": self.sound,
            "exercises": [
                {
                    "notebook": proof.notebook,
                    "exercise": proof.exercise,
                    "points": proof.points,
                    "solution_points": proof.solution_points,
                    "scaffold_points": proof.scaffold_points,
                    "cpu_seconds": round(proof.cpu_seconds, 4),
                    "mistakes": [vars(attempt) for attempt in proof.mistakes],
                    "alternatives": [vars(attempt) for attempt in proof.alternatives],
                    "mutants": proof.mutants.as_json() if proof.mutants else None,
                }
                for proof in self.exercises
            ],
            "written": [vars(answer) for answer in self.written],
            "problems": [str(problem) for problem in self.problems],
        }


def validate(
    course: CourseFolder,
    names: Sequence[str],
    progress: Progress = lambda sentence, done, total: None,
    *,
    mutants: bool = False,
) -> Verdict:
    """Prove the notebooks ``names``, with ``mutants`` also by mutants of each solution.

    Raises ``UserError`` for a course that cannot be read.
    """
    verdict = Verdict()
    alternatives = all_alternatives(course)
    everything: set[str] = set()
    for name in names:
        full = read_source(course.source_text(name))
        released = released_notebook(full, course)
        reasons = _reasons(course, name) if mutants else None
        proofs = list(
            _notebook(course, name, full, released, alternatives, verdict, progress, reasons)
        )
        if reasons is not None:
            verdict.problems += _unexplained(name, proofs, reasons)
        found = {proof.exercise for proof in proofs}
        everything |= found
        verdict.problems += _stray_mistakes(name, found)
        verdict.exercises += proofs
        written = list(_written(name, full))
        verdict.written += written
        verdict.problems += _prose(name, full, proofs, written)
        verdict.problems += _secrets(course, name, full)
        verdict.problems += [
            Problem(name, None, f"{o.path} {o.reason}.", f"{o.mend}.")
            for o in out_of_step(course, [name])
        ]
    if list(names) == course.names():
        verdict.problems += _stray_alternatives(alternatives, everything)
    return verdict


def _notebook(
    course: CourseFolder,
    name: str,
    full: NotebookNode,
    released: NotebookNode,
    alternatives: Sequence[Alternative],
    verdict: Verdict,
    progress: Progress,
    reasons: Reasons | None,
) -> Iterator[Proof]:
    stubs = {cell.id: cell.source for cell in released.cells}
    sentences: dict[str, str] = {}
    with _quiet_figures(), _inside(course.source / name):
        for exercise in exercises(full, name, course.source / name):
            if isinstance(exercise, Broken):
                verdict.problems.append(
                    Problem(name, exercise.cell, f"The cell {exercise.reason}.", "mend the cell.")
                )
                continue
            sentence = f"{name}: {exercise.name}"
            progress(sentence, 0, 0)
            mine = [alt for alt in alternatives if alt.exercise == exercise.name]
            proof = _prove(exercise, stubs, mine, sentences, verdict.problems)
            # Where the solution fails, so does every mutant.
            if reasons is not None and proof.solution_points == proof.points:
                proof.mutants = _mutants(exercise, reasons, partial(progress, sentence))
            yield proof


def _reasons(course: CourseFolder, name: str) -> Reasons:
    try:
        from autograder.course.mutants import Reasons, one_thread
    except ImportError as error:
        raise UserError(
            f"--mutants needs the module {error.name}; run pip install -r requirements.lock, "
            "on Linux or macOS."
        ) from error
    one_thread()
    return Reasons(course, name)


def _mutants(
    exercise: Exercise, reasons: Reasons, progress: Callable[[int, int], None]
) -> MutantProof:
    from autograder.course.mutants import prove_mutants

    return prove_mutants(exercise, reasons, progress)


def _unexplained(name: str, proofs: Sequence[Proof], reasons: Reasons) -> Iterator[Problem]:
    """Mutants that the checks accept, and reasons that speak of none."""
    from autograder.course.mutants import notebook_problems, survivor_problems

    for proof in proofs:
        for sentence, mend in survivor_problems(proof.mutants, reasons) if proof.mutants else ():
            yield Problem(name, proof.exercise, sentence, mend)
    made = {proof.exercise: proof.mutants for proof in proofs}
    for exercise, sentence, mend in notebook_problems(made, reasons):
        yield Problem(name, exercise, sentence, mend)


def _prove(
    exercise: Exercise,
    stubs: dict[str, str],
    alternatives: Sequence[Alternative],
    sentences: dict[str, str],
    problems: list[Problem],
) -> Proof:
    proof = Proof(exercise.notebook, exercise.name, exercise.points)

    def problem(sentence: str, mend: str) -> None:
        problems.append(Problem(exercise.notebook, exercise.name, sentence, mend))

    def points(run: CellRun, whose: str) -> float:
        return _points(run, whose, exercise.points, problem)

    start = time.process_time()
    exercise.graded("\n".join(source for _, source in exercise.solutions))
    proof.cpu_seconds = time.process_time() - start

    # Solution and scaffold.
    proof.solution_points = points(exercise.run, "the solution")
    if proof.solution_points != exercise.points:
        problem(
            f"The solution gets {proof.solution_points:g} of {exercise.points:g} points.",
            f"read the report of the cell {exercise.check_id} in the solved notebook.",
        )
    if exercise.check.maximum != exercise.points:
        problem(
            f"The check awards {exercise.check.maximum:g} points in all, the cell marker says "
            f"{exercise.points:g}.",
            "make 'returns' and 'aspects' of the check add up to the points of the marker.",
        )
    if not exercise.solutions:
        problem(
            f"No solution cell defines {exercise.name}.",
            'mark the cell that defines it with nbgrader={"solution": true, ...}.',
        )
    stub = "\n".join(stubs[cell] for cell, _ in exercise.solutions)
    if "# TODO" not in stub or "raise NotImplementedError" not in stub:
        problem(
            "The scaffold lacks '# TODO' or 'raise NotImplementedError'.",
            "put ### BEGIN SOLUTION and ### END SOLUTION around the answer only.",
        )
    run, _, _ = exercise.graded(stub)
    proof.scaffold_points = points(run, "the scaffold")
    if proof.scaffold_points != 0.0:
        problem(
            f"The scaffold gets {proof.scaffold_points:g} points.",
            "a case must fail for an answer that does nothing.",
        )

    # Mistakes.
    records = mistakes_of(exercise.name)
    if len(records) < LEAST_MISTAKES:
        problem(
            f"The mistake bank has {len(records)} records, at least {LEAST_MISTAKES} are needed.",
            "add wrong answers that students really write.",
        )
    for record in records:
        proof.mistakes.append(_mistake(exercise, record, points, problem))
        other = sentences.setdefault(" ".join(record.sentence.split()), record.diagnosis)
        if other != record.diagnosis:
            problem(
                f"The mistakes {other} and {record.diagnosis} share one sentence.",
                "say for each what is particular about it.",
            )

    # Alternatives.
    if len(alternatives) < LEAST_ALTERNATIVES:
        problem(
            f"There are {len(alternatives)} alternatives, {LEAST_ALTERNATIVES} are needed.",
            "add right answers that look different to tests/alternatives/.",
        )
    for alternative in alternatives:
        run, check, first = exercise.graded(alternative.source())
        earned = points(run, f"the alternative '{alternative.id}'")
        diagnosis = check.diagnosis.id if check and check.diagnosis else None
        proof.alternatives.append(Attempt(alternative.id, earned, diagnosis))
        if earned != exercise.points:
            said = run.stdout.splitlines()[0] if run.stdout else str(first.error or run.error)
            problem(
                f"The alternative '{alternative.id}' gets {earned:g} of {exercise.points:g} "
                f"points: {said}",
                "a right answer lost points: mend the check, or the alternative if it is wrong.",
            )
        if diagnosis is not None:
            problem(
                f"The alternative '{alternative.id}' is diagnosed as {diagnosis}.",
                "a right answer must never be named a mistake.",
            )

    if note_of(exercise.name) is None:
        problem("There is no success note.", "add success_note(...) to the mistake bank.")
    _docstring(exercise, problem)
    return proof


def _mistake(
    exercise: Exercise,
    record: Mistake,
    points: Callable[[CellRun, str], float],
    problem: Callable[[str, str], None],
) -> Attempt:
    run, check, first = exercise.graded(record.source())
    earned = points(run, f"the mistake '{record.id}'")
    diagnosis = check.diagnosis.id if check and check.diagnosis else None
    if first.error is not None:
        problem(
            f"The mistake '{record.id}' does not run as a cell: {first.error}.",
            "use names that the notebook has, or helpers of the module with an underscore.",
        )
    elif earned >= exercise.points:
        problem(
            f"The mistake '{record.id}' gets full points.",
            "add a case whose numbers show it.",
        )
    elif diagnosis != record.diagnosis:
        named = f"named {diagnosis}" if diagnosis else "not named"
        problem(
            f"The mistake '{record.id}' is {named}.",
            "add a case that tells it from the others, such as a square one.",
        )
    elif " ".join(record.sentence.split()) not in run.stdout:
        problem(f"The report of '{record.id}' lacks its sentence.", "print the sentence.")
    return Attempt(record.id, earned, diagnosis)


def _points(run: CellRun, whose: str, maximum: float, problem: Callable[[str, str], None]) -> float:
    """The points of a check cell by nbgrader's rule, and a problem for what breaks that rule."""
    if run.stderr:
        problem(
            f"The check cell writes to stderr for {whose}: {run.stderr.strip().splitlines()[-1]}",
            "nbgrader gives 0 points for anything on stderr; print to stdout.",
        )
        return 0.0
    if run.error is not None:
        return 0.0
    if type(run.value) is not float or not 0.0 <= run.value <= maximum:
        problem(
            f"The check cell ends in {run.value!r} for {whose}.",
            f"end it in check.grade(), a plain float from 0 to {maximum:g}.",
        )
        return maximum
    return run.value


def _docstring(exercise: Exercise, problem: Callable[[str, str], None]) -> None:
    if exercise.check.typed or exercise.check.probe is not None:
        return
    source = "\n".join(text for _, text in exercise.solutions)
    texts: dict[str, str] = {}
    for name in exercise.check.functions:
        texts |= docstring_shapes(source, name)
    said: set[str] = set()
    for case in exercise.check.cases:
        for sentence in shape_problems(texts, case.inputs, case.call.values):
            if sentence not in said:
                said.add(sentence)
                problem(
                    f"In {exercise.name}, {sentence}.",
                    "write 'name: meaning, shape (...)' in Args and Returns.",
                )


def _written(name: str, full: NotebookNode) -> Iterator[Written]:
    """The cells of a notebook that a person grades."""
    for cell in full.cells:
        meta = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "markdown" and meta.get("grade") and meta.get("solution"):
            yield Written(name, meta["grade_id"], float(meta["points"]))


def _prose(
    name: str, full: NotebookNode, proofs: Sequence[Proof], written: Sequence[Written]
) -> Iterator[Problem]:
    """Cards, rubrics and the opening: points, minutes, hints."""
    text = [cell.source for cell in full.cells if cell.cell_type == "markdown"]
    minutes = 0
    for proof in proofs:
        heading = re.compile(rf"### Exercise: `{proof.exercise}\b")
        cards = [t for t in text if heading.search(t)]
        if len(cards) != 1:
            yield Problem(
                name,
                proof.exercise,
                f"{len(cards)} cards are headed '### Exercise: `{proof.exercise}…`'.",
                "give the exercise one card.",
            )
            continue
        minutes += yield from _card(name, proof.exercise, cards[0], proof.points)
    for answer in written:
        place = next(i for i, cell in enumerate(full.cells) if cell.id == answer.cell)
        card = full.cells[place - 1].source if place else ""
        if not WRITTEN.search(card):
            yield Problem(
                name,
                answer.cell,
                "The cell before this answer is not headed '### Written answer: …'.",
                "put its card directly before it.",
            )
            continue
        minutes += yield from _card(name, answer.cell, card, answer.points)
        regions = list(_regions(full.cells[place].source))
        rubric = sum(float(n) for lines in regions for n in RUBRIC.findall("\n".join(lines)))
        if rubric != answer.points:
            yield Problem(
                name,
                answer.cell,
                f"Its rubric adds up to {rubric:g} points, the cell marker says {answer.points:g}.",
                "between ### BEGIN SOLUTION and ### END SOLUTION write a line such as "
                "'- 2 points: …' for each thing that earns them.",
            )
    total = sum(p.points for p in proofs) + sum(a.points for a in written)
    opening = OPENING.search(text[0]) if text else None
    if opening is None:
        yield Problem(
            name,
            None,
            "The first cell lacks its line of points and minutes.",
            f"write **{total:g} points · about {minutes} minutes**.",
        )
    elif float(opening[1]) != total or int(opening[2]) < minutes:
        yield Problem(
            name,
            None,
            f"The first cell says {opening[1]} points and {opening[2]} minutes, the cards add up "
            f"to {total:g} and {minutes}.",
            "make the points the same, and the minutes at least as many.",
        )


def _card(name: str, exercise: str, card: str, points: float) -> Generator[Problem, None, int]:
    """One card: its line of points and its hints. Returns its minutes."""
    match = CARD.search(card)
    if match is None:
        yield Problem(
            name,
            exercise,
            "The card lacks its line of points, minutes and difficulty.",
            "write **2 points · 5 minutes · difficulty 1 of 3**.",
        )
        return 0
    if float(match[1]) != points:
        yield Problem(
            name,
            exercise,
            f"The card says {match[1]} points, the cell marker {points:g}.",
            "make both the same.",
        )
    hints = card.count("<details>")
    if hints < LEAST_HINTS:
        yield Problem(
            name,
            exercise,
            f"The card has {hints} folded hints, at least {LEAST_HINTS} are needed.",
            "add <details><summary>I'm not sure …</summary> … </details>.",
        )
    return int(match[2])


def _secrets(course: CourseFolder, name: str, full: NotebookNode) -> Iterator[Problem]:
    """Nothing of a solution or a hidden test in what students get."""
    path = course.student_notebook(name)
    if not path.exists():
        return  # out_of_step says so
    try:
        released = nbformat.read(path, as_version=4)
    except Exception:
        return  # out_of_step says so
    texts = {cell.id: _code_lines(cell.source) for cell in released.cells}
    for cell in released.cells:
        if any(marker in cell.source for marker in MARKERS):
            yield Problem(
                name, cell.id, f"{path} shows a marker of solutions or hidden tests.", _REBUILD
            )
        if cell.get("outputs"):
            yield Problem(name, cell.id, f"{path} shows outputs.", _REBUILD)
    for cell in full.cells:
        for region in _regions(cell.source):
            for place, lines in texts.items():
                if _contains(lines, region):
                    yield Problem(
                        name,
                        cell.id,
                        f"The cell {place} of {path} shows what is between the markers.",
                        "say it in other words, or rebuild.",
                    )


_REBUILD = "run autograder build."


def _regions(source: str) -> Iterator[list[str]]:
    """The lines of code between each pair of markers."""
    inside: list[str] | None = None
    for line in source.split("\n"):
        if line.strip().startswith("### BEGIN"):
            inside = []
        elif line.strip().startswith("### END") and inside is not None:
            kept = _code_lines("\n".join(inside))
            if kept:
                yield kept
            inside = None
        elif inside is not None:
            inside.append(line)


def _code_lines(source: str) -> list[str]:
    lines = (line.strip() for line in source.split("\n"))
    return [line for line in lines if line and not line.startswith("#")]


def _contains(lines: list[str], region: list[str]) -> bool:
    size = len(region)
    return any(lines[i : i + size] == region for i in range(len(lines) - size + 1))


def _stray_mistakes(name: str, found: set[str]) -> Iterator[Problem]:
    """Records in the module of this notebook that name no exercise of it."""
    module = f"autograder.mistakes.nb{name.replace('-', '_')}"
    for record in all_mistakes():
        if record.answer.__module__ == module and record.exercise not in found:
            yield Problem(
                name,
                record.exercise,
                f"The mistake '{record.id}' belongs to no exercise.",
                "correct the name of its exercise.",
            )


def _stray_alternatives(alternatives: Sequence[Alternative], found: set[str]) -> Iterator[Problem]:
    """Alternatives of exercises that no notebook has, and ids that stand twice."""
    for (exercise, id_), count in Counter((a.exercise, a.id) for a in alternatives).items():
        if count > 1:
            yield Problem(
                "tests/alternatives",
                exercise,
                f"The alternative '{id_}' stands there {count} times.",
                "give each its own id.",
            )
        if exercise not in found:
            yield Problem(
                "tests/alternatives",
                exercise,
                f"The alternative '{id_}' belongs to no exercise.",
                "correct the name in its marker.",
            )


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Cells find the files of the notebook in the working directory."""
    if not folder.is_dir():
        yield
        return
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _quiet_figures() -> Iterator[None]:
    """Figures are drawn without a screen and closed at the end."""
    namespace: dict[str, Any] = {}
    run_cell("import matplotlib\nmatplotlib.use('Agg')", namespace, "figures")
    try:
        yield
    finally:
        run_cell("import matplotlib.pyplot as plt\nplt.close('all')", namespace, "figures")
