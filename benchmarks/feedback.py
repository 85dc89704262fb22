"""Feedback pages, this program against stock ``nbgrader generate_feedback``: one class, one run.

    python benchmarks/feedback.py [STUDENTS] [--class DIR] [--name NN-name] [--workers N]

The class is that of ``autograder demo``, made when there is none, with classmates added up to
STUDENTS. No two of them have one answer in common: each carries a comment of its student.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbgrader.utils import is_solution

from autograder.course import CourseFolder
from autograder.grading.gradebook import Gradebook
from autograder.grading.ledger import Entry
from autograder.grading.marking import Marks

BIN = Path(sys.executable).parent
BATCH = 50


def grown(course: CourseFolder, name: str, students: int) -> None:
    """Leave ``name`` alone in ``autograded/``, of ``students`` students who all differ."""
    paths = sorted((course.root / "autograded").glob(f"*/{name}/{name}.ipynb"))
    book = Gradebook.open(course)
    standings = book.read(book.standings(name), [path.parts[-3] for path in paths])
    originals = [
        (nbformat.read(path, as_version=4), standings[path.parts[-3], name]) for path in paths
    ]
    shutil.rmtree(course.root / "autograded")
    ledger, entries = book.ledger(name), []
    for number, (notebook, standing) in zip(
        range(students), itertools.cycle(originals), strict=False
    ):
        student = f"b{number:05d}"
        made = nbformat.from_dict(notebook)
        for cell in made.cells:
            if is_solution(cell):
                cell.source = f"{cell.source.rstrip()}\n# {student}"
        path = course.root / "autograded" / student / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(made, path)
        for cell in made.cells:
            if is_solution(cell):
                cell.source = cell.source.removesuffix(f"\n# {student}")
        scores = [(cell, points) for cell, (points, _) in standing.scores.items()]
        comments = list(standing.comments.items())
        entries.append(Entry(student, None, [Marks(name, scores=scores, comments=comments)]))
    for start in range(0, len(entries), BATCH):
        book.write(ledger, entries[start : start + BATCH])
    ledger.close()


def seconds(course: CourseFolder, *command: str) -> tuple[float, float]:
    """Wall and processor time of a command in the course, without pages from before."""
    shutil.rmtree(course.root / "feedback", ignore_errors=True)
    begin, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=course.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    wall, now = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def pages(course: CourseFolder) -> dict[str, bytes]:
    """The pages, by student."""
    return {p.parts[-3]: p.read_bytes() for p in (course.root / "feedback").rglob("*.html")}


def said(who: str, spent: tuple[float, float], count: int) -> None:
    """One line about one program."""
    wall, used = (f"{part:.1f} s ({1000 * part / count:.0f} ms a page)" for part in spent)
    print(f"{who:<15} {wall} by the clock, {used} of processor time", flush=True)


def main() -> None:
    """Make the class, run both, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("students", nargs="?", type=int, default=200)
    parser.add_argument("--class", dest="sample", type=Path, help="a class of autograder demo")
    parser.add_argument("--name", default="02-manual-backprop")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        course = CourseFolder(Path(folder) / "class")
        if options.sample:
            shutil.copytree(options.sample, course.root)
        else:
            subprocess.run([BIN / "autograder", "demo", course.root], check=True)
        grown(course, options.name, options.students)
        ours = seconds(
            course, "autograder", "feedback", options.name, f"--workers={options.workers}"
        )
        said("autograder", ours, options.students)
        made = pages(course)
        stock = seconds(course, "nbgrader", "generate_feedback", options.name)
        same = made == pages(course)
    count = len(made)
    said("stock nbgrader", stock, count)
    print(
        f"{stock[0] / ours[0]:.1f} times as fast by the clock, {stock[1] / ours[1]:.1f} times by "
        f"processor time, starts included; all {count} pages byte for byte the same: {same}"
    )
    if not same or count != options.students:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
