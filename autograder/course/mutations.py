"""The mutants of one answer: its text with one small change each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.plugins import get_operator, operator_names

from autograder.course.numpy_operators import OPERATORS

# They need arguments; next_variable does their work.
LEFT_OUT = ("core/VariableInserter", "core/VariableReplacer")
# Numbers have no bits: arithmetic replaced by such an operator only raises an error. And whether
# two equal numbers are one object hangs on the interpreter.
MEANINGLESS = ("_BitAnd", "_BitOr", "_BitXor", "_LShift", "_RShift", "_Invert", "_Is", "_IsNot")
# Where the solution has such an operator already, it means something.
MEANT = ("core/ReplaceBinaryOperator_Bit", "core/ReplaceComparisonOperator_Is")


@dataclass(frozen=True)
class Mutant:
    """One changed answer.

    ``line`` counts from 1. ``before`` and ``after`` are the changed lines without their
    indentation, joined by newlines; ``text`` is the whole cell.
    """

    id: str
    line: int
    operator: str
    before: str
    after: str
    text: str


def mutants_of(answer: str) -> list[Mutant]:
    """Every mutant of ``answer`` that Python can compile to something else, each once.

    Two texts that compile to the same bytecode are one. Docstrings stay as they are.
    Raises ``SyntaxError`` when ``answer`` is not Python.
    """
    found: list[Mutant] = []
    counts: dict[str, int] = {}
    with warnings.catch_warnings():
        # The compiler warns about "1 is 2"; here it is meant.
        warnings.simplefilter("ignore")
        seen = {_fingerprint(compile(answer, "<answer>", "exec"))}
        for name, operator in _operators():
            for text in changed_texts(answer, operator):
                try:
                    fingerprint = _fingerprint(compile(text, "<answer>", "exec"))
                except (SyntaxError, ValueError):
                    continue
                if fingerprint in seen:
                    continue
                seen.add(fingerprint)
                counts[name] = counts.get(name, 0) + 1
                line, before, after = _difference(answer, text)
                id_ = f"{name}-{counts[name]}"
                found.append(Mutant(id_, line, name, before, after, text))
    return sorted(found, key=lambda mutant: mutant.line)


def _operators() -> Iterator[tuple[str, Any]]:
    for name in operator_names():
        meaningless = name.endswith(MEANINGLESS) and not name.startswith(MEANT)
        if name not in LEFT_OUT and not meaningless:
            yield name.removeprefix("core/"), get_operator(name)()
    for own in OPERATORS:
        yield own.name, own


def changed_texts(answer: str, operator: Any) -> Iterator[str]:
    """``answer`` changed at each place where ``operator`` can change it."""
    nodes = ast_nodes(parso.parse(answer))
    places = sum(1 for node in nodes for _ in operator.mutation_positions(node))
    for place in range(places):
        text = MutationVisitor.mutate_code(answer, operator, place)
        if text is not None:
            yield text


def _fingerprint(code: CodeType) -> tuple[object, ...]:
    """What the code does, without where it stands in the text."""
    # repr, because 1 == 1.0 == True.
    constants = tuple(
        _fingerprint(value) if isinstance(value, CodeType) else repr(value)
        for value in code.co_consts
    )
    return (code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars)


def _difference(before: str, after: str) -> tuple[int, str, str]:
    """The number of the first changed line, and the changed lines of both texts."""
    old, new = before.split("\n"), after.split("\n")
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    changed = (lines[start : len(lines) - end] for lines in (old, new))
    texts = ["\n".join(line.strip() for line in lines) for lines in changed]
    return start + 1, texts[0], texts[1]
