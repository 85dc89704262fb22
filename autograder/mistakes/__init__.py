"""The mistake bank: wrong answers that the grader knows by their numbers.

One module a notebook. One record is at the same time a wrong submission that must lose points,
a diagnosis when a student's numbers equal it, and a row of the class report.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Answer = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    ``exercise`` is the name that the student writes. ``id`` is short and unique in the exercise.
    ``sentence`` is what the student reads: what it is and where to look, never the answer.
    ``answer`` is the wrong function or class; for typed-in numbers, a function without arguments
    that returns a dict from each name to its wrong or right value. Where the student writes a
    forward and a backward function together, it is the wrong one of the two.
    """

    exercise: str
    id: str
    sentence: str
    answer: Answer

    @property
    def diagnosis(self) -> str:
        """The id that reports and JSON use, unique in the course."""
        return f"{self.exercise}/{self.id}"

    @property
    def typed(self) -> bool:
        """Is the answer typed-in values, and not a function?"""
        return inspect.isfunction(self.answer) and not inspect.signature(self.answer).parameters

    def functions(self) -> tuple[Answer, ...]:
        """What the student writes: the wrong function, beside it the right rest of its pair."""
        pair = _pairs.get(self.exercise, (self.answer,))
        return tuple(self.answer if f.__name__ == self.answer.__name__ else f for f in pair)

    def beside(self, name: str) -> Any:
        """A right object that the probe needs too: ``name`` in the module of the record."""
        return vars(inspect.getmodule(self.answer))[name]

    def source(self) -> str:
        """The wrong answer as a student would have typed it, without the record around it.

        Helpers of the module, whose names start with an underscore, come first. For typed-in
        values: one line ``name = value`` for each.
        """
        if self.typed:
            return "".join(f"{name} = {value!r}\n" for name, value in self.answer().items())
        module = inspect.getmodule(self.answer)
        parts: list[str] = []
        waiting: list[Any] = list(self.functions())
        seen: set[str] = set()
        while waiting:
            text = _definition(waiting.pop())
            parts.insert(0, text)
            # A helper may need helpers.
            for name, value in vars(module).items():
                used = re.search(rf"\b{name}\b", text) is not None
                written = inspect.isfunction(value) or inspect.isclass(value)
                if used and name not in seen and name[0] == "_" and written:
                    seen.add(name)
                    waiting.append(value)
        return "\n\n".join(parts)


def _definition(thing: Any) -> str:
    """The text of a function or class, without decorators.

    Not by inspect.getsource: of classes with one name it always finds the first.
    """
    parts = [getattr(value, "fget", value) for value in (thing, *vars(thing).values())]
    codes = [getattr(part, "__code__", None) for part in parts]
    line = min(code.co_firstlineno for code in codes if code is not None)
    lines, _ = inspect.findsource(inspect.getmodule(thing) or thing)
    found = [
        node
        for node in ast.walk(ast.parse("".join(lines)))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and node.name == thing.__name__
        and min([node.lineno, *(d.lineno for d in node.decorator_list)]) <= line
        and line <= (node.end_lineno or node.lineno)
    ]
    node = found[-1]
    return textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno])).rstrip() + "\n"


_bank: dict[str, list[Mistake]] = {}
_pairs: dict[str, tuple[Answer, Answer]] = {}
_notes: dict[str, str] = {}
_loaded = False


def mistake(exercise: str, id: str, sentence: str) -> Callable[[Answer], Answer]:
    """Enter the decorated function or class into the bank."""

    def enter(answer: Answer) -> Answer:
        records = _bank.setdefault(exercise, [])
        if any(known.id == id for known in records):
            raise ValueError(f"The mistake {exercise}/{id} stands in the bank twice.")
        records.append(Mistake(exercise, id, sentence, answer))
        return answer

    return enter


def right_pair(forward: Answer, backward: Answer) -> None:
    """The right functions of an exercise that asks for two; each mistake replaces one of them.

    The cache between them is the student's own, so a wrong function is tried with its partner.
    """
    _pairs[forward.__name__] = (forward, backward)


def success_note(exercise: str, sentence: str) -> None:
    """What a student reads after success: why it works, or a second way to write it."""
    _notes[exercise] = sentence


def mistakes_of(exercise: str) -> list[Mistake]:
    """The records of one exercise, in the order in which they were entered."""
    _load()
    return list(_bank.get(exercise, []))


def note_of(exercise: str) -> str | None:
    """The success note of one exercise, or None."""
    _load()
    return _notes.get(exercise)


def all_mistakes() -> list[Mistake]:
    """Every record of the bank."""
    _load()
    return [record for records in _bank.values() for record in records]


def _load() -> None:
    global _loaded
    if not _loaded:
        _loaded = True
        for module in pkgutil.iter_modules(__path__):
            importlib.import_module(f"{__name__}.{module.name}")
