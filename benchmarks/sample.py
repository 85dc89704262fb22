"""A class of any size that has handed in one notebook, as mixed as a real class.

Of 30 students 15 are right, each in an own mixture of the solution and its alternatives; 10 have
one to three mistakes; 5 are empty, half done, broken by a syntax error, short of a test cell, or no
notebook. Two mistakes in three are of the mistake bank; the third is a mutant of the solution, of
which the bank may know nothing. Kinds alternate, so that the first six, twelve … students are a
fair sample of the class.

The same arguments make the same files. Every answer carries the student's name in a comment: no two
files are equal, and no two answers that somebody wrote.
"""

from __future__ import annotations

import functools
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.course import Alternative, CourseFolder, all_alternatives
from autograder.course.mutations import mutants_of
from autograder.demo import (
    TIMESTAMP,
    Maker,
    copy_course,
    deleted_test_cell,
    empty,
    half_done,
    not_json,
    read_material,
    syntax_error,
)

NOTEBOOK = "02-manual-backprop"
SEED = 2
# The five of 30 who are neither right nor wrong in one place.
REST: Sequence[Maker] = (empty, half_done, syntax_error, deleted_test_cell, not_json)
MOST_MISTAKES = 3
# Of each solution, so many mutants are tried: making all takes seconds.
MUTANTS = 8


class Sample:
    """Submissions of the notebook ``name`` of ``course``."""

    def __init__(self, course: CourseFolder, name: str = NOTEBOOK) -> None:
        self._course = course
        self._material = read_material(course, name)
        self.name = name
        self._alternatives: dict[str, list[Alternative]] = {}
        for alternative in all_alternatives(course):
            place = self._material.place(alternative.exercise)
            # Where a cell asks for several things, an alternative of one leaves out the others.
            if place is not None and len(self._material.defines[place]) == 1:
                self._alternatives.setdefault(place, []).append(alternative)

    def mixed(self, number: int) -> bytes:
        """The file of student ``number`` of a mixed class, from 0."""
        if number % 2 == 0:
            return self._file(number, lambda *_: self._right(number))
        if number % 6 == 5:
            return self._file(number, REST[number // 6 % len(REST)])
        return self._file(number, lambda *_: self._mistaken(number, every=False))

    def failing(self, number: int) -> bytes:
        """The file of a student who has every exercise wrong."""
        return self._file(number, lambda *_: self._mistaken(number, every=True))

    def right(self, number: int) -> bytes:
        """The file of a student who has everything right."""
        return self._file(number, lambda *_: self._right(number))

    # ----------------------------------------------------------------- one student

    def _right(self, number: int) -> NotebookNode:
        chance = random.Random(f"{SEED} right {number}")
        answers = {place: self._right_answer(place, chance) for place in self._material.solved}
        return self._material.fill(answers)

    def _right_answer(self, place: str, chance: random.Random) -> str:
        others = [alternative.source() for alternative in self._alternatives.get(place, [])]
        return chance.choice([self._material.solved[place], *others])

    def _mistaken(self, number: int, *, every: bool) -> NotebookNode:
        chance = random.Random(f"{SEED} mistaken {number}")
        answers = {place: self._right_answer(place, chance) for place in self._material.solved}
        places = [place for place in answers if self._wrong_answers(place)]
        wrong = places if every else chance.sample(places, chance.randint(1, MOST_MISTAKES))
        for place in wrong:
            mutants = self._mutants(place)
            known = every or not mutants or chance.random() < 2 / 3
            answers[place] = chance.choice(self._wrong_answers(place) if known else mutants)
        return self._material.fill(answers)

    @functools.cache  # noqa: B019 - a sample lives as long as the program
    def _wrong_answers(self, place: str) -> list[str]:
        return [record.source() for record in self._material.mistakes(place)]

    @functools.cache  # noqa: B019
    def _mutants(self, place: str) -> list[str]:
        solved = self._material.solved[place]
        if "while" in solved:  # a mutant may be endless, and then its time says nothing
            return []
        mutants = mutants_of(solved)
        return [mutant.text for mutant in mutants[:: -(-len(mutants) // MUTANTS) or 1]]

    def _file(self, number: int, make: Maker) -> bytes:
        made = make(self._material, self._course)
        signature = f"# written by {student(number)}"
        if isinstance(made, str):
            return f"{made}<!-- {signature} -->\n".encode()
        released = {cell.id: cell.source for cell in self._material.released.cells}
        places = [cell for cell in made.cells if cell.id in self._material.solved]
        written = [cell for cell in places if cell.source != released[cell.id]] or places[:1]
        for cell in written:
            cell.source = f"{cell.source.rstrip()}\n{signature}\n"
        # Not by nbformat.writes, which validates each: a large class would take minutes to make.
        text: str = nbformat.v4.writes(made)
        return (text + "\n").encode()


def student(number: int) -> str:
    """The name of student ``number``, from 0. Sorted by name is sorted by number."""
    return f"s{number + 1:05d}"


def make_class(
    sample: Sample,
    course: CourseFolder,
    directory: Path,
    size: int,
    kind: Callable[[int], bytes] | None = None,
) -> CourseFolder:
    """An nbgrader course in ``directory``, replaced if it exists, with ``size`` submissions.

    ``kind`` is a method of ``sample``; a mixed class by default.
    """
    name = sample.name
    shutil.rmtree(directory, ignore_errors=True)
    made = copy_course(course, directory, [name])
    for number in range(size):
        folder = directory / "submitted" / student(number) / name
        folder.mkdir(parents=True)
        (folder / f"{name}.ipynb").write_bytes((kind or sample.mixed)(number))
        (folder / "timestamp.txt").write_text(TIMESTAMP, encoding="utf-8")
    return made
