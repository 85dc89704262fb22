"""Grade the mutants of a solution: the check must reject them, or a reason must stand in writing.

Reasons lie in ``tests/survivors/NN-name.toml``, one entry for each mutant that gets full points::

    [[survivor]]
    exercise = "relu_grad"
    before = "rises = z > 0"
    after = "rises = 0 < z"
    equivalent = true
    reason = "Both say the same of every number."

``before`` and ``after`` are the changed lines without their indentation. ``equivalent`` says that
no input within the contract can tell the mutant from the solution; such a mutant does not count
in the share that is rejected. An entry stands for one mutant: where two lines are alike, there are
two entries.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from autograder.course.cells import CellRun, run_cell
from autograder.course.exercises import Exercise
from autograder.course.mutations import Mutant, mutants_of
from autograder.course.source import CourseFolder
from autograder.errors import UserError

# Seconds of CPU, so that a busy machine rejects nothing. A check takes well under one; what takes
# this long goes round in a circle.
DEADLINE = 5.0
# Seconds by the clock, as a multiple of that, for what waits and does nothing.
PATIENCE = 20
# A mutant may ask for a number of 2**(32**100) digits.
SPARE_BYTES = 2 * 2**30
# Of the mutants that differ from the solution, what a check must reject.
LEAST_SHARE = 0.99

FULL, FEWER, DIED, LATE = "full points", "fewer points", "died", "deadline"


@dataclass(frozen=True)
class Accepted:
    """A survivor that an author has looked at."""

    exercise: str
    before: str
    after: str
    reason: str
    equivalent: bool

    def __str__(self) -> str:
        return _arrow(self.before, self.after)


@dataclass(frozen=True)
class Survivor:
    """A mutant with full points, and what was written about it."""

    mutant: Mutant
    accepted: Accepted | None

    @property
    def explained(self) -> bool:
        return self.accepted is not None and bool(self.accepted.reason)

    @property
    def equivalent(self) -> bool:
        return self.explained and self.accepted is not None and self.accepted.equivalent

    def __str__(self) -> str:
        return _arrow(self.mutant.before, self.mutant.after)


@dataclass
class MutantProof:
    """What became of the mutants of one exercise.

    ``at_deadline`` of the ``rejected`` did not end in time.
    """

    made: int = 0
    rejected: int = 0
    at_deadline: int = 0
    survivors: list[Survivor] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The key ``mutants`` of ``validate --json``."""
        return {
            "made": self.made,
            "rejected": self.rejected,
            "at_deadline": self.at_deadline,
            "survivors": [
                {
                    "line": survivor.mutant.line,
                    "operator": survivor.mutant.operator,
                    "before": survivor.mutant.before,
                    "after": survivor.mutant.after,
                    "equivalent": survivor.equivalent,
                    "reason": survivor.accepted.reason if survivor.accepted else None,
                }
                for survivor in self.survivors
            ],
        }


@dataclass(frozen=True)
class Totals:
    """The sums of several exercises, such as those of a notebook."""

    made: int
    rejected: int
    at_deadline: int
    survivors: int
    explained: int
    equivalent: int

    @classmethod
    def of(cls, proofs: Iterable[MutantProof]) -> Totals:
        proofs = list(proofs)
        survivors = [survivor for proof in proofs for survivor in proof.survivors]
        return cls(
            made=sum(proof.made for proof in proofs),
            rejected=sum(proof.rejected for proof in proofs),
            at_deadline=sum(proof.at_deadline for proof in proofs),
            survivors=len(survivors),
            explained=sum(survivor.explained for survivor in survivors),
            equivalent=sum(survivor.equivalent for survivor in survivors),
        )

    @property
    def share(self) -> float:
        """Rejected, of those that are not equivalent to the solution; from 0 to 1."""
        different = self.made - self.equivalent
        return self.rejected / different if different else 1.0


class Reasons:
    """The accepted survivors of one notebook; each is used up by the mutant that it names."""

    def __init__(self, course: CourseFolder, notebook: str) -> None:
        self.path = course.survivors / f"{notebook}.toml"
        self._left = _read(self.path) if self.path.exists() else []

    def take(self, exercise: str, mutant: Mutant) -> Accepted | None:
        """The entry for this mutant, which is then used up."""
        for entry in self._left:
            if (entry.exercise, entry.before, entry.after) == (
                exercise,
                mutant.before,
                mutant.after,
            ):
                self._left.remove(entry)
                return entry
        return None

    def stale(self, unproved: Collection[str] = ()) -> list[Accepted]:
        """Entries whose mutant was rejected or not made; exercises in ``unproved`` are left out."""
        return [entry for entry in self._left if entry.exercise not in unproved]


def prove_mutants(
    exercise: Exercise,
    reasons: Reasons,
    progress: Callable[[int, int], None] = lambda done, total: None,
    deadline: float = DEADLINE,
) -> MutantProof:
    """Grade every mutant of the solution of ``exercise``, each in a process of its own.

    A mutant is rejected when it gets less than full points, ends its process, or takes more than
    ``deadline`` seconds of CPU. Raises ``UserError`` when the solution itself does not pass in this
    way: then the processes would reject everything.
    """
    answer = "\n".join(source for _, source in exercise.solutions)
    if outcome(exercise, answer, deadline) != FULL:
        raise UserError(
            f"{exercise.notebook}: the solution of {exercise.name} does not pass in the process "
            f"that grades mutants; look for memory beyond {SPARE_BYTES} bytes, threads, or a cell "
            f"that takes more than {deadline:g} s of CPU."
        )
    proof = MutantProof()
    mutants = mutants_of(answer)
    for mutant in mutants:
        progress(proof.made, len(mutants))
        proof.made += 1
        became = outcome(exercise, mutant.text, deadline)
        if became == FULL:
            proof.survivors.append(Survivor(mutant, reasons.take(exercise.name, mutant)))
        else:
            proof.rejected += 1
            proof.at_deadline += became == LATE
    return proof


def survivor_problems(proof: MutantProof, reasons: Reasons) -> Iterator[tuple[str, str]]:
    """A sentence and its mend for each survivor that nobody has explained."""
    for survivor in proof.survivors:
        if survivor.accepted is None:
            yield (
                f"The mutant {survivor} (line {survivor.mutant.line}, "
                f"{survivor.mutant.operator}) gets full points.",
                "add a hidden case that tells it from the solution; where none can, write the "
                f"reason into {reasons.path}.",
            )
        elif not survivor.explained:
            yield (
                f"The survivor {survivor} is listed without a reason.",
                f"say in {reasons.path} why no case tells it from the solution.",
            )


def notebook_problems(
    proofs: Mapping[str, MutantProof | None], reasons: Reasons
) -> Iterator[tuple[str | None, str, str]]:
    """What is wrong with a notebook as a whole: the exercise, a sentence and its mend.

    ``proofs`` has an entry for each exercise, None for one whose solution fails by itself.
    """
    proved = [proof for proof in proofs.values() if proof is not None]
    for entry in reasons.stale(unproved=[name for name in proofs if proofs[name] is None]):
        yield (
            entry.exercise,
            f"The reason for the mutant {entry} is stale: it is rejected, or no longer made.",
            f"take it out of {reasons.path}, or correct its lines.",
        )
    totals = Totals.of(proved)
    if totals.share < LEAST_SHARE:
        yield (
            None,
            f"Its checks reject {totals.share:.1%} of the mutants that differ from the solution, "
            f"{LEAST_SHARE:.0%} are needed.",
            "add hidden cases.",
        )


def one_thread() -> None:
    """Call before the cells run: a forked process cannot use the threads of its parent."""
    run_cell("import torch\ntorch.set_num_threads(1)", {}, "threads")


def outcome(exercise: Exercise, answer: str, deadline: float) -> str:
    """Grade ``answer`` in a process of its own that gets ``deadline`` seconds of CPU.

    Returns ``full points``, ``fewer points``, ``died`` or ``deadline``. Raises ``UserError`` where
    the operating system cannot copy a process.
    """
    try:
        context = multiprocessing.get_context("fork")
    except ValueError as error:
        raise UserError(
            "--mutants copies the running process, which this operating system cannot; "
            "run it on Linux or macOS."
        ) from error
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_grade, args=(sender, exercise, answer, deadline), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(deadline * PATIENCE):
            return LATE
        return FULL if receiver.recv() else FEWER
    except EOFError:
        process.join()
        return LATE if process.exitcode == -signal.SIGXCPU else DIED
    finally:
        process.kill()
        process.join()
        receiver.close()


def _grade(sender: Connection, exercise: Exercise, answer: str, deadline: float) -> None:
    """In the forked process: grade, and send whether the points are full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _limit_memory()
    seconds = math.ceil(deadline)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    run, _, _ = exercise.graded(answer)
    sender.send(_full(run, exercise.points))


def _full(run: CellRun, maximum: float) -> bool:
    """Would nbgrader give full points? Whatever is not a plain float counts as such."""
    if run.stderr or run.error is not None:
        return False
    return not (type(run.value) is float and run.value < maximum)


def _limit_memory() -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return  # not Linux; the deadline still holds
    limit = pages * resource.getpagesize() + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _read(path: Path) -> list[Accepted]:
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
        return [
            Accepted(
                entry["exercise"],
                entry["before"].strip(),
                entry["after"].strip(),
                entry.get("reason", "").strip(),
                bool(entry.get("equivalent", False)),
            )
            for entry in entries
        ]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}.") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: an entry needs [[survivor]] and the texts exercise, before, after and reason."
        ) from error


def _arrow(before: str, after: str) -> str:
    return " → ".join("'" + text.replace("\n", " ⏎ ") + "'" for text in (before, after))
