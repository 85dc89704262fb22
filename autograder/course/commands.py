"""What the commands ``build`` and ``validate`` do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from autograder.course.build import build as build_course
from autograder.course.build import out_of_step
from autograder.course.source import CourseFolder
from autograder.course.validate import Verdict
from autograder.course.validate import validate as validate_course
from autograder.files import require_writable, write_whole


def build(names: Sequence[str] | None, check: bool, course: Path) -> bool:
    """Make notebooks/ and solutions/ from source/, or say whether they are in step with it."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select(names or [])
    if check:
        found = list(out_of_step(folder, wanted))
        for item in found:
            print(item)
        if not found:
            print(f"In step with source/: {', '.join(wanted)}.")
        return not found
    with _progress() as progress:
        task = progress.add_task("build")
        made = build_course(folder, wanted, lambda text: progress.update(task, description=text))
    for path in made:
        print(path.relative_to(folder.root))
    return True


def validate(
    names: Sequence[str] | None, json_file: Path | None, mutants: bool, course: Path
) -> bool:
    """Prove the course sound, print the proof, and say whether it holds."""
    folder = CourseFolder(course.resolve())
    wanted = folder.select(names or [])
    if json_file is not None:
        require_writable(json_file.absolute().parent)
    with _progress(counted=mutants) as progress:
        task = progress.add_task("validate", total=None)
        verdict = validate_course(
            folder,
            wanted,
            lambda text, done, total: progress.update(
                task, description=text, completed=done, total=total or None
            ),
            mutants=mutants,
        )
    if json_file is not None:
        write_whole(json_file.absolute(), (json.dumps(verdict.as_json(), indent=2) + "\n").encode())
    _print(verdict)
    return verdict.sound


def _print(verdict: Verdict) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("notebook", "exercise", "points", "solution", "scaffold", "mistakes", "right")
    for proof in verdict.exercises:
        named = sum(m.diagnosis == f"{proof.exercise}/{m.id}" for m in proof.mistakes)
        accepted = sum(a.points == proof.points for a in proof.alternatives)
        table.add_row(
            proof.notebook,
            proof.exercise,
            f"{proof.points:g}",
            f"{proof.solution_points:g}",
            f"{proof.scaffold_points:g}",
            f"{named} of {len(proof.mistakes)} named",
            f"{accepted} of {len(proof.alternatives)} accepted",
        )
    console.print(table)
    if any(proof.mutants is not None for proof in verdict.exercises):
        console.print(_mutant_table(verdict))
    for notebook in dict.fromkeys(proof.notebook for proof in verdict.exercises):
        mine = [proof for proof in verdict.exercises if proof.notebook == notebook]
        seconds = sum(proof.cpu_seconds for proof in mine)
        by_hand = sum(a.points for a in verdict.written if a.notebook == notebook)
        total = sum(proof.points for proof in mine) + by_hand
        hand = f" ({by_hand:g} graded by hand)" if by_hand else ""
        print(f"{notebook}: {total:g} points{hand}; its test cells take {seconds:.2f} s of CPU.")
    for problem in verdict.problems:
        print(f"- {problem}")
    count = len(verdict.exercises)
    if verdict.sound:
        print(f"Sound: every property holds for all {count} exercises.")
    else:
        print(f"Not sound: {len(verdict.problems)} problems.")


def _mutant_table(verdict: Verdict) -> Table:
    from autograder.course.mutants import Totals

    table = Table("notebook", "mutants", "rejected", "of all", "of those that differ", "survivors")
    for notebook in dict.fromkeys(proof.notebook for proof in verdict.exercises):
        mine = [p.mutants for p in verdict.exercises if p.notebook == notebook and p.mutants]
        totals = Totals.of(mine)
        never_ended = f", {totals.at_deadline} at the deadline" if totals.at_deadline else ""
        table.add_row(
            notebook,
            f"{totals.made}",
            f"{totals.rejected}{never_ended}",
            f"{totals.rejected / totals.made:.2%}" if totals.made else "",
            f"{totals.share:.2%}",
            f"{totals.survivors}, {totals.explained} explained, {totals.equivalent} equivalent",
        )
    return table


def _progress(*, counted: bool = False) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        *((BarColumn(), MofNCompleteColumn()) if counted else ()),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
