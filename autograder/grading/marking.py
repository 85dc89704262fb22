"""What a worker does to one submission: read, merge, execute, count points.

A worker sees the submission and what the course says about its notebooks. It sees no gradebook, no
roster and no other submission, so it may be a process here or on another machine.
"""

from __future__ import annotations

import functools
import json
import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import NotebookNode
from nbgrader.api import MissingEntry
from nbgrader.nbgraderformat import MetadataValidator, ValidationError
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    IgnorePattern,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
)
from nbgrader.utils import (
    compute_checksum,
    determine_grade,
    is_grade,
    is_locked,
    is_solution,
    is_task,
)
from traitlets.config import Config

from autograder.grading.cells import drop_copied_cells
from autograder.grading.engine import Engine, Job, NoKernelError
from autograder.grading.notebook_json import written
from autograder.grading.results import GradedCell, Result, cell_results, make_gradable
from autograder.grading.submissions import UnreadableError, parse_notebook

NO_RESPONSE = "No response."
# Cells whose metadata are known to be valid; a course has some hundreds.
MOST_KNOWN = 10_000

# nbgrader's steps report through this logger what the results say anyway.
logging.getLogger("traitlets").addHandler(logging.NullHandler())
logging.getLogger("traitlets").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Sheet:
    """One notebook of the course: the instructor's cells as the gradebook has them."""

    assignment: str
    name: str
    notebook: NotebookNode

    @property
    def cells(self) -> list[GradedCell]:
        """The cells that carry points, in the order of the source."""
        return [
            GradedCell(
                cell.metadata.nbgrader.grade_id,
                float(cell.metadata.nbgrader.points),
                manual=bool(is_solution(cell) or is_task(cell) or cell.cell_type != "code"),
            )
            for cell in self.notebook.cells
            if is_grade(cell) or is_task(cell)
        ]

    @property
    def cell_names(self) -> frozenset[str]:
        """The grade ids of all cells, with points or without."""
        return frozenset(
            cell.metadata.nbgrader.grade_id
            for cell in self.notebook.cells
            if "nbgrader" in cell.metadata
        )

    @property
    def max_points(self) -> float:
        """The points of all its cells."""
        return sum(cell.max_points for cell in self.cells)


@dataclass(frozen=True)
class Work:
    """One submission of an assignment, as bytes: its notebooks and what lies beside them."""

    number: int
    assignment: str
    notebooks: Mapping[str, bytes | UnreadableError]
    files: Mapping[str, bytes] = field(default_factory=dict)
    # It was graded before: read what came of it.
    graded: bool = False


@dataclass(frozen=True)
class Marks:
    """What one notebook of a submission earned; ``reason`` says why it could not be graded."""

    name: str
    text: bytes = b""
    results: Sequence[Result] = ()
    # (grade_id, points or None for a cell that somebody has to look at)
    scores: Sequence[tuple[str, float | None]] = ()
    # (grade_id, what the gradebook says about the answer by itself)
    comments: Sequence[tuple[str, str | None]] = ()
    way: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class Marked:
    """What one submission earned, by notebook."""

    number: int
    marks: Sequence[Marks]


@dataclass(frozen=True)
class Marker:
    """Marks submissions of the notebooks in ``sheets``, which are by assignment and name."""

    sheets: Mapping[tuple[str, str], Sheet]
    engine: Engine
    config: Config = field(default_factory=Config)

    def mark_all(self, chunk: Sequence[Work]) -> list[Marked]:
        """What a worker is asked for: a few submissions at a time."""
        return [self.mark(work) for work in chunk]

    def mark(self, work: Work) -> Marked:
        """Never raises for what a submission is or does."""
        return Marked(work.number, [self._notebook(work, name) for name in work.notebooks])

    def _notebook(self, work: Work, name: str) -> Marks:
        sheet = self.sheets[work.assignment, name]
        try:
            data = work.notebooks[name]
            if isinstance(data, UnreadableError):
                raise data
            notebook = parse_notebook(f"{name}.ipynb", data)
            if work.graded:
                return Marks(name, results=cell_results("", name, notebook, sheet.cells))
            self._require_known(notebook, sheet)
            notebook = self._merge(notebook, sheet)
            executed = self.engine.execute(
                Job(notebook, work.files, f"{sheet.assignment}/{sheet.name}")
            )
        except (UnreadableError, NoKernelError) as error:
            return Marks(name, reason=str(error))
        notebook = self._tidy(executed.notebook)
        return Marks(
            name,
            text=written(notebook),
            results=cell_results("", name, notebook, sheet.cells),
            scores=list(_scores(notebook)),
            comments=list(_comments(notebook)),
            way=executed.way,
        )

    def _require_known(self, notebook: NotebookNode, sheet: Sheet) -> None:
        ids = {
            cell.metadata["nbgrader"].get("grade_id")
            for cell in notebook.cells
            if isinstance(cell.metadata.get("nbgrader"), dict)
        }
        if not ids & sheet.cell_names:
            raise UnreadableError(
                f"{sheet.name}.ipynb is a notebook of another course: it has no cell of "
                f"{sheet.name}."
            )

    def _merge(self, notebook: NotebookNode, sheet: Sheet) -> NotebookNode:
        """The submission with the test cells of the source, without outputs: nbgrader's steps."""
        drop_copied_cells(notebook.cells)
        kernelspec = sheet.notebook.metadata.get("kernelspec")
        if kernelspec:
            notebook.metadata["kernelspec"] = kernelspec
        try:
            for step in _steps(self.config).merge:
                if isinstance(step, _Overwrite):
                    step.sheet = sheet
                notebook, _ = step.preprocess(notebook, {})
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UnreadableError(f"Its nbgrader metadata is damaged: {reason}") from error
        return notebook

    def _tidy(self, notebook: NotebookNode) -> NotebookNode:
        for step in _steps(self.config).tidy:
            # Called, not run by .preprocess(): as in nbgrader, a disabled step does nothing.
            notebook, _ = step(notebook, {})
        make_gradable(notebook)
        return notebook


def portable(config: Config) -> Config:
    """Of the settings, those that a worker process can get: no classes or functions of a file.

    A plugin that ``nbgrader_config.py`` defines is for the gradebook, which stays here.
    """
    kept = Config()
    for section, settings in config.items():
        for name, value in settings.items():
            try:
                pickle.dumps(value)
            except Exception:
                continue
            kept[section][name] = value
    return kept


def _scores(notebook: NotebookNode) -> Any:
    for cell in notebook.cells:
        if is_grade(cell) and "grade_id" in cell.metadata.nbgrader:
            points, _ = determine_grade(cell)
            yield cell.metadata.nbgrader.grade_id, None if points is None else float(points)


def _comments(notebook: NotebookNode) -> Any:
    for cell in notebook.cells:
        if (is_solution(cell) or is_task(cell)) and "grade_id" in cell.metadata.nbgrader:
            meta = cell.metadata.nbgrader
            same = meta.get("checksum") == compute_checksum(cell) and not is_task(cell)
            yield meta.grade_id, NO_RESPONSE if same else None


class _CheckMetadata(CheckCellMetadata):  # type: ignore[misc]
    """nbgrader's own step, which checks its schema again for each cell, and each cell again.

    Whether a cell is valid hangs on its type and its nbgrader metadata alone.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        try:
            _validator().validate_nb(nb)
        except ValidationError as error:
            reason = "Notebook failed to validate; the nbgrader metadata may be corrupted."
            raise ValidationError(reason) from error
        return nb, resources


class _Validator(MetadataValidator):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self._valid: set[tuple[str, str]] = set()

    def validate_cell(self, cell: NotebookNode) -> None:
        if "nbgrader" not in cell.metadata:
            return
        known = (cell.cell_type, json.dumps(cell.metadata["nbgrader"], sort_keys=True))
        if known not in self._valid:
            super().validate_cell(cell)
            if len(self._valid) < MOST_KNOWN:
                self._valid.add(known)


@functools.cache
def _validator() -> _Validator:
    return _Validator()


class _Overwrite(OverwriteCells):  # type: ignore[misc]
    """nbgrader's own step, with the cells of a sheet in place of the gradebook's."""

    sheet: Sheet

    def preprocess(self, nb: NotebookNode, resources: Any) -> Any:
        self.notebook_id = self.sheet.name
        self.assignment_id = self.sheet.assignment
        self.gradebook = _Cells(self.sheet)
        nb, resources = NbGraderPreprocessor.preprocess(self, nb, resources)
        if self.add_missing_cells:
            nb, resources = self.add_missing_grade_cells(nb, resources)
            nb, resources = self.add_missing_task_cells(nb, resources)
        return nb, resources


class _Cells:
    """Of nbgrader's gradebook, what that step asks for."""

    def __init__(self, sheet: Sheet) -> None:
        marked = [c for c in sheet.notebook.cells if "nbgrader" in c.metadata]
        self.source_cells = [
            SimpleNamespace(
                name=cell.metadata.nbgrader.grade_id,
                cell_type=cell.cell_type,
                locked=is_locked(cell),
                source=cell.source,
                checksum=cell.metadata.nbgrader.get("checksum"),
            )
            for cell in marked
            if is_grade(cell) or is_solution(cell) or is_locked(cell) or is_task(cell)
        ]
        self.grade_cells = self._with_points(c for c in marked if is_grade(c))
        self.task_cells = self._with_points(c for c in marked if is_task(c))
        self.solution_cells = self._with_points(c for c in marked if is_solution(c))

    @staticmethod
    def _with_points(cells: Any) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                name=cell.metadata.nbgrader.grade_id,
                max_score=float(cell.metadata.nbgrader.get("points", 0)),
            )
            for cell in cells
        ]

    def find_notebook(self, name: str, assignment: str) -> _Cells:
        return self

    def find_source_cell(self, name: str, notebook: str, assignment: str) -> SimpleNamespace:
        return _named(self.source_cells, name)

    def find_graded_cell(self, name: str, notebook: str, assignment: str) -> SimpleNamespace:
        return _named([*self.grade_cells, *self.task_cells], name)


def _named(cells: Sequence[SimpleNamespace], name: str) -> SimpleNamespace:
    for cell in cells:
        if cell.name == name:
            return cell
    raise MissingEntry(f"No such cell: {name}")


@dataclass(frozen=True)
class _Steps:
    merge: tuple[Any, ...]
    tidy: tuple[Any, ...]


# Making them takes longer than running them.
_made: list[tuple[Config, _Steps]] = []


def _steps(config: Config) -> _Steps:
    for known, steps in _made:
        if known == config:
            return steps
    merge = (ClearOutput, _Overwrite, _CheckMetadata)
    tidy = (IgnorePattern, ClearMetadataPreprocessor, LimitOutput)
    made = _Steps(
        tuple(step(config=config) for step in merge), tuple(step(config=config) for step in tidy)
    )
    _made[:] = [(config, made)]
    return made
