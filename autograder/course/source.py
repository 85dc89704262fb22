"""Read ``source/NN-name.py``, the one truth of a notebook.

The file is percent-format text (Jupytext). A cell marker carries only those nbgrader fields
that say something; the rest have one value per kind of cell and are filled in here::

    # %% nbgrader={"grade_id": "setup", "locked": true}
    # %% nbgrader={"grade_id": "affine", "solution": true}
    # %% nbgrader={"grade_id": "affine-check", "grade": true, "points": 2}
"""

import copy
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from autograder.errors import UserError
from autograder.fingerprint import text_id

NAME = re.compile(r"\d\d-[a-z0-9-]+")
SCHEMA_VERSION = 3
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}


@dataclass(frozen=True)
class CourseFolder:
    """Where the parts of a course lie. The layout is nbgrader's."""

    root: Path

    @property
    def source(self) -> Path:
        return self.root / "source"

    @property
    def alternatives(self) -> Path:
        return self.root / "tests" / "alternatives"

    @property
    def survivors(self) -> Path:
        return self.root / "tests" / "survivors"

    def source_text(self, name: str) -> Path:
        return self.source / f"{name}.py"

    def instructor_notebook(self, name: str) -> Path:
        """The notebook that stock nbgrader reads; generated, git-ignored."""
        return self.source / name / f"{name}.ipynb"

    def student_notebook(self, name: str) -> Path:
        return self.root / "notebooks" / name / f"{name}.ipynb"

    def solved_notebook(self, name: str) -> Path:
        return self.root / "solutions" / name / f"{name}.ipynb"

    def names(self) -> list[str]:
        """The names of all notebooks, in order. Raises ``UserError`` when there are none."""
        if not self.source.is_dir():
            raise UserError(
                f"{self.root} is not a course: it has no folder source/; "
                "run the command in the folder that holds source/, or name it with --course."
            )
        found = sorted(p.stem for p in self.source.glob("*.py") if NAME.fullmatch(p.stem))
        if not found:
            raise UserError(f"{self.source} holds no notebook source such as 01-forward-pass.py.")
        return found

    def assignments(self) -> list[str]:
        """Everything that can be graded: these notebooks, and folders as nbgrader has them.

        Raises ``UserError`` when there is nothing.
        """
        folders = [p.name for p in self.source.glob("*/") if any(p.glob("*.ipynb"))]
        texts = [p.stem for p in self.source.glob("*.py") if NAME.fullmatch(p.stem)]
        return sorted({*folders, *texts}) or self.names()

    def notebooks(self, assignment: str) -> list[str]:
        """The notebooks of an assignment: one of its own name, or all that lie in its folder."""
        if self.source_text(assignment).is_file():
            return [assignment]
        return sorted(p.stem for p in (self.source / assignment).glob("*.ipynb"))

    def instructor_source(self, assignment: str, name: str) -> NotebookNode:
        """The instructor's notebook, from the text where there is one. Raises ``UserError``."""
        if self.source_text(assignment).is_file():
            return read_source(self.source_text(assignment))
        path = self.source / assignment / f"{name}.ipynb"
        try:
            notebook: NotebookNode = nbformat.read(path, as_version=4)
            return notebook
        except Exception as error:
            raise UserError(f"{path} is not a notebook that can be read.") from error

    def select(self, wanted: Sequence[str]) -> list[str]:
        """``wanted``, or every notebook when it is empty. Raises ``UserError`` on a wrong name."""
        return self._known(wanted, self.names())

    def select_assignments(self, wanted: Sequence[str]) -> list[str]:
        """As ``select``, of everything that can be graded."""
        return self._known(wanted, self.assignments())

    def _known(self, wanted: Sequence[str], known: list[str]) -> list[str]:
        for name in wanted:
            if name not in known:
                raise UserError(
                    f"There is no notebook '{name}' in {self.source}; "
                    f"the notebooks are {', '.join(known)}."
                )
        return [name for name in known if name in wanted] if wanted else known


def read_source(path: Path) -> NotebookNode:
    """The instructor's notebook: solutions and hidden tests in place, metadata complete."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
    notebook = copy.deepcopy(_parsed(text))
    notebook.metadata = NotebookNode(METADATA)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        given = cell.metadata.get("nbgrader")
        cell.metadata = NotebookNode()
        if given is not None:
            cell.metadata["nbgrader"] = _complete(given, cell.cell_type, path)
            cell.id = given["grade_id"]
        else:
            # The id follows the text, so that an edit changes one id and not all that follow.
            digest = text_id(cell.source)
            seen[digest] = seen.get(digest, 0) + 1
            cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    result: NotebookNode = notebook
    return result


# A command asks for the same notebook several times, and reading it takes a quarter of a second.
@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> NotebookNode:
    notebook: NotebookNode = jupytext.reads(text, fmt="py")
    return notebook


def _complete(given: dict[str, object], cell_type: str, path: Path) -> NotebookNode:
    if "grade_id" not in given:
        raise UserError(f'{path}: a cell marker has nbgrader={given} without a "grade_id".')
    full: dict[str, object] = {
        "grade": False,
        "locked": bool(given.get("grade")) and not given.get("solution"),
        "schema_version": SCHEMA_VERSION,
        "solution": False,
        "task": False,
    }
    full.update(given)
    full["cell_type"] = cell_type
    return NotebookNode(full)
