"""Right answers that look different: they must get full points and no diagnosis.

They lie in ``tests/alternatives/NN-name.py``, one top-level function, class or block for each::

    # %% affine: einsum
    def affine(x, W, b):
        return np.einsum("ij,j->i", W, x) + b

The text after the marker is what a student would have typed into the solution cell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from autograder.course.source import CourseFolder
from autograder.errors import UserError

MARKER = re.compile(r"# %% (\w+): ([a-z0-9-]+)")


@dataclass(frozen=True)
class Alternative:
    """One right answer. ``exercise`` is the name that the student writes."""

    exercise: str
    id: str
    text: str

    def source(self) -> str:
        """The answer as a student would have typed it."""
        return self.text


def alternatives_of(course: CourseFolder, exercise: str) -> list[Alternative]:
    """The alternatives of one exercise, of all files of the course."""
    return [alt for alt in all_alternatives(course) if alt.exercise == exercise]


def all_alternatives(course: CourseFolder) -> list[Alternative]:
    """Every alternative, in the order of the files. Raises ``UserError`` on a wrong marker."""
    found: list[Alternative] = []
    for path in sorted(course.alternatives.glob("[0-9][0-9]-*.py")):
        blocks = re.split(r"^(?=# %%)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for block in blocks[1:]:
            marker, _, text = block.partition("\n")
            match = MARKER.fullmatch(marker.rstrip())
            if match is None:
                raise UserError(
                    f"{path}: '{marker}' is not a marker such as '# %% affine: einsum'."
                )
            found.append(Alternative(match[1], match[2], text.strip() + "\n"))
    return found
