"""One feedback page: nbgrader's own, byte for byte, from its own template and nbconvert's filters.

Most cells are the same for a whole class. A cell that was rendered before is not rendered again,
nor a source that was highlighted before; see ``markup`` for why the pieces make up the page. A
notebook for which that does not hold goes through nbconvert whole.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import logging
import re
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nbformat
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.widgetsdatatypefilter import WidgetsDataTypeFilter
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbformat.v4.nbjson import JSONReader
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import GetGrades
from nbgrader.utils import is_grade, is_solution, is_task
from traitlets.config import Config

from autograder.grading.standings import Standing
from autograder.grading.submissions import UnreadableError, parse_notebook
from autograder.reports.markup import (
    SPACES,
    Memo,
    rewritten,
    rewritten_colors,
    rewritten_space,
)

# nbconvert reports each picture without a description through this logger.
logging.getLogger("traitlets").addHandler(logging.NullHandler())
logging.getLogger("traitlets").setLevel(logging.CRITICAL)

# Characters that a worker keeps of what it may need again.
MOST_CELLS = 24_000_000
MOST_FILTERED = 8_000_000

# Stands where the cells, or a finished piece of one cell, belong; nobody can know it beforehand.
_TOKEN = f"slot{secrets.token_hex(8)}"
_SLOT = re.compile(rf"{_TOKEN}n(\d+)n")
_CELLS = f"<{_TOKEN}></{_TOKEN}>"
_NEXT_CELL = f"\0{_TOKEN}\0"

# nbgrader's template with the cells left out, and the cells of its template alone.
_FRAME = """\
{%- extends template -%}
{%- block header -%}{%- endblock -%}
{%- block body_loop -%}{{ cells }}{%- endblock -%}
"""
_ALONE = """\
{%- extends template -%}
{%- block header -%}{%- endblock -%}
{%- block body -%}
{%- for cell in nb.cells -%}
{%- block any_cell scoped -%}{{ next_cell() }}{{ super() }}{%- endblock -%}
{%- endfor -%}
{%- endblock -%}
{%- block footer -%}{%- endblock -%}
"""
_HIGHLIGHTED = re.compile(r'(<div class="[\w -]+"><pre>)(.*)(</pre></div>\n)', re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\n]{1000,}")
_GRADE_ID = re.compile(r"[\w.-]+")
# Their place in the page is numbered at random.
_NUMBERED = frozenset(("application/javascript", "application/vnd.jupyter.widget-view+json"))


class PageError(Exception):
    """A page that cannot be made; the message is a sentence."""


@dataclass(frozen=True)
class PageJob:
    """One page: the graded notebook as bytes, and what the gradebook says about it."""

    number: int
    name: str
    text: bytes
    standing: Standing


@dataclass(frozen=True)
class Page:
    """What came of a job: the bytes of the page, or the reason why there is none."""

    number: int
    data: bytes = b""
    reason: str | None = None


def make_pages(config: Config, jobs: Sequence[PageJob]) -> list[Page]:
    """What a worker is asked for: a few pages at a time. Never raises for what a notebook is."""
    maker = _maker(config)
    return [_page(maker, job) for job in jobs]


def _page(maker: PageMaker, job: PageJob) -> Page:
    try:
        notebook = _read(job.name, job.text)
        return Page(job.number, maker.page(job.name, notebook, job.standing).encode())
    except (UnreadableError, PageError) as error:
        return Page(job.number, reason=str(error))
    except Exception as error:
        said = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
        return Page(job.number, reason=f"nbconvert cannot make a page of it ({reason}).")


def _read(name: str, data: bytes) -> NotebookNode:
    """The notebook in ``data``. Raises ``UnreadableError``."""
    with contextlib.suppress(Exception):
        content = json.loads(data)
        if (content["nbformat"], content["nbformat_minor"]) >= (4, 5):
            # As nbformat reads it, but validated once.
            nbformat.validate(content)
            notebook: NotebookNode = JSONReader().to_notebook(content)
            return notebook
    return parse_notebook(f"{name}.ipynb", data)


# Making one takes as long as several pages.
_made: list[tuple[Config, PageMaker]] = []


def _maker(config: Config) -> PageMaker:
    for known, maker in _made:
        if known == config:
            return maker
    maker = PageMaker(config)
    _made[:] = [(config, maker)]
    return maker


class PageMaker:
    """Makes pages with the settings of ``nbgrader_config.py``; keeps what pages share."""

    def __init__(self, config: Config) -> None:
        self._whole = _exporter(config)
        self._quick = _Pieces(_exporter(config))

    def page(self, name: str, notebook: NotebookNode, standing: Standing) -> str:
        """The page of ``notebook``, which is changed. Raises ``PageError`` and nbconvert's own."""
        enter_standing(notebook, standing)
        resources = page_resources(name, standing)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            page = self._quick.page(name, notebook, resources)
            if page is None:
                page, _ = self._whole.from_notebook_node(notebook, resources=resources)
        return page


def enter_standing(notebook: NotebookNode, standing: Standing) -> None:
    """What nbgrader's ``GetGrades`` writes into the cells. Raises ``PageError``."""
    for cell in notebook.cells:
        try:
            if is_solution(cell) or is_task(cell):
                name = cell.metadata.nbgrader["grade_id"]
                cell.metadata.nbgrader["comment"] = standing.comments[name]
            if is_grade(cell) or is_task(cell):
                name = cell.metadata.nbgrader["grade_id"]
                score, maximum = standing.scores[name]
                cell.metadata.nbgrader["score"] = score
                cell.metadata.nbgrader["points"] = maximum
        except KeyError as error:
            raise PageError(f"The gradebook has nothing about its cell {error}.") from error


def page_resources(name: str, standing: Standing) -> dict[str, Any]:
    """What nbgrader's template asks for beside the notebook."""
    penalty = standing.late_penalty or 0
    return {
        "nbgrader": {
            "notebook": name,
            "score": standing.score - penalty,
            "max_score": standing.max_score,
            "late_penalty": penalty,
        },
        "unique_key": name,
        "metadata": {"name": name, "path": ""},
    }


def _exporter(config: Config) -> HTMLExporter:
    """nbgrader's exporter, without the step that opens the gradebook."""
    converter = GenerateFeedback(coursedir=CourseDirectory(), config=config)
    exporter: HTMLExporter = converter.exporter_class(parent=converter, config=converter.config)
    for step in converter.preprocessors:
        if step is not GetGrades:
            exporter.register_preprocessor(step)
    return exporter


class _Pieces:
    """Pages put together from pieces, with the template and the filters of ``exporter``."""

    def __init__(self, exporter: HTMLExporter) -> None:
        self._exporter = exporter
        self._cells: Memo[bytes] = Memo(MOST_CELLS)
        self._skeletons: Memo[str] = Memo(MOST_FILTERED)
        self._filtered: Memo[tuple[str, ...]] = Memo(MOST_FILTERED)
        # By the name of a notebook: the page above <body>, and nbconvert's resources.
        self._heads: dict[str, tuple[str, Any]] = {}
        # Finished pieces of the cells that are being rendered.
        self._slots: list[list[str]] = []
        self._lexer = ""
        self._highlighters: dict[str, Highlight2HTML] = {}
        self._is_usable = _is_plain(exporter)
        if self._is_usable:
            environment = exporter.environment
            # The templates of an installed program do not change while it runs.
            environment.auto_reload = False
            self._remember(environment.filters)
            self._frame = environment.from_string(_FRAME)
            self._alone = environment.from_string(_ALONE)

    def page(self, name: str, notebook: NotebookNode, resources: dict[str, Any]) -> str | None:
        """The page, or None when it cannot be put together from pieces."""
        if not self._is_usable or not _is_ordinary(notebook):
            return None
        head, common = self._head(name, resources)
        common = copy.copy(common)
        common.update(resources)
        language = notebook.metadata.get("language_info", {})
        self._lexer = language.get("pygments_lexer", language.get("name")) or "ipython3"
        cells = self._rendered(notebook, common)
        if not cells:
            return None
        frame = self._frame.render(
            nb=notebook,
            resources=common,
            template=self._exporter.template_file,
            cells=f"{_lead(cells[0])}{_CELLS}{_trail(cells[-1])}",
        )
        written = self._skeleton([f"<html>{frame}"])
        if written is None or written[0].count(_CELLS) != 1:
            return None
        before, after = written[0].removeprefix("<html>").split(_CELLS)
        return "".join((head, before, *_joined(cells), after))

    def _head(self, name: str, resources: dict[str, Any]) -> tuple[str, Any]:
        if name not in self._heads:
            empty, common = self._exporter.from_notebook_node(
                new_notebook(), resources=copy.deepcopy(resources)
            )
            self._heads[name] = (empty[: empty.index("<body>")].rstrip(SPACES), common)
            # nbconvert puts its own there for each notebook.
            filters = self._exporter.environment.filters
            filters["highlight_code"] = self._highlight_code
            filters["filter_data_type"] = WidgetsDataTypeFilter({}, parent=self._exporter)
        return self._heads[name]

    def _rendered(self, notebook: NotebookNode, resources: dict[str, Any]) -> list[str]:
        """Each cell in the page's spelling, with the white space around it; empty: not possible."""
        keys = [self._key(cell) for cell in notebook.cells]
        cells = [None if key is None else self._cells.get(key) for key in keys]
        missing = [number for number, cell in enumerate(cells) if cell is None]
        self._slots = []
        raw = self._alone.render(
            nb={"cells": [notebook.cells[number] for number in missing], "metadata": {}},
            resources=resources,
            template=self._exporter.template_file,
            next_cell=self._next_cell,
        ).split(_NEXT_CELL)[1:]
        bodies = [text.strip(SPACES) for text in raw]
        if not all(body.startswith("<div ") and body.endswith("</div>") for body in bodies):
            return []
        skeletons = self._skeleton(bodies)
        if skeletons is None:
            return []
        for number, text, skeleton, slots in zip(missing, raw, skeletons, self._slots, strict=True):
            cell = f"{_lead(text)}{_filled(skeleton, slots)}{_trail(text)}"
            cells[number] = cell
            if (key := keys[number]) is not None:
                self._cells.put(key, cell)
        self._slots = []
        return [cell or "" for cell in cells]

    def _skeleton(self, pieces: Sequence[str]) -> list[str] | None:
        """``pieces`` in the page's spelling; None when one does not stand alone."""
        known = [self._skeletons.get(piece) for piece in pieces]
        new = list(dict.fromkeys(p for p, k in zip(pieces, known, strict=True) if k is None))
        written = rewritten(new)
        if written is None:
            return None
        found = dict(zip(new, written, strict=True))
        for piece, text in found.items():
            self._skeletons.put(piece, text, len(piece))
        return [found[p] if k is None else k for p, k in zip(pieces, known, strict=True)]

    def _key(self, cell: NotebookNode) -> bytes | None:
        """Cells with one key look the same."""
        for output in cell.get("outputs", ()):
            if not _NUMBERED.isdisjoint(output.get("data", ())):
                return None
        content = json.dumps([self._lexer, cell]).encode()
        return hashlib.blake2b(content, digest_size=20).digest()

    def _next_cell(self) -> str:
        self._slots.append([])
        return _NEXT_CELL

    def _slot(self, text: str) -> str:
        """A short word for ``text``, which is finished."""
        if not self._slots:
            return text
        slots = self._slots[-1]
        slots.append(text)
        return f"{_TOKEN}n{len(slots) - 1}n"

    def _remember(self, filters: dict[str, Any]) -> None:
        """Put a memo before each filter that takes long."""
        filters["ansi2html"] = self._ansi2html(filters["ansi2html"])
        filters["markdown2html"] = self._markdown2html(filters["markdown2html"])
        filters["escape_html"] = self._escape_html(filters["escape_html"])

    def _once(self, key: tuple[str, ...], make: Callable[[], str]) -> str:
        found = self._filtered.get(key)
        if found is None:
            found = self._filtered.put(key, make(), sum(map(len, key)))
        return found

    def _highlight_code(
        self, source: str, language: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> str:
        magic = str((metadata or {}).get("magics_language", ""))
        lexer = self._lexer

        if lexer not in self._highlighters:
            made = Highlight2HTML(pygments_lexer=lexer, parent=self._exporter)
            self._highlighters[lexer] = made

        def make() -> str:
            text: str = self._highlighters[lexer](source, language=language, metadata=metadata)
            return text

        text = self._once(("code", lexer, language or "", magic, source), make)
        parts = _HIGHLIGHTED.fullmatch(text)
        if parts is None or (colored := rewritten_colors(parts[2])) is None:
            return text
        return f"{parts[1]}{self._slot(colored)}{parts[3]}"

    def _ansi2html(self, ansi2html: Callable[[str], str]) -> Callable[[str], str]:
        def memo(source: str) -> str:
            text = self._once(("ansi", source), lambda: str(ansi2html(source)))
            colored = rewritten_colors(text) if text.strip(SPACES) else None
            return text if colored is None else self._slot(colored)

        return memo

    def _markdown2html(self, markdown2html: Callable[..., str]) -> Callable[..., str]:
        @pass_context
        def memo(context: Context, source: str) -> str:
            attachments = json.dumps(context.get("cell", {}).get("attachments", {}))
            key = ("markdown", attachments, source)
            return self._once(key, lambda: markdown2html(context, source))

        return memo

    def _escape_html(self, escape_html: Callable[[Any], str]) -> Callable[[Any], str]:
        def memo(value: Any) -> str:
            if isinstance(value, str) and _BASE64.fullmatch(value):
                # A picture: nothing in it is ever escaped.
                return self._slot(value)
            return escape_html(value)

        return memo


def _is_plain(exporter: HTMLExporter) -> bool:
    """Whether no setting makes a cell depend on more than itself."""
    steps = all(
        isinstance(step, CSSHTMLHeaderPreprocessor) or not getattr(step, "enabled", True)
        for step in exporter._preprocessors
    )
    settings = exporter.filters or exporter.embed_images or exporter.sanitize_html
    return steps and not settings and type(exporter) is HTMLExporter


def _is_ordinary(notebook: NotebookNode) -> bool:
    """Whether the cells of ``notebook`` look the same by themselves as in the page."""
    if "widgets" in notebook.metadata or not notebook.cells:
        return False
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) < len(ids):
        # nbconvert gives such cells a new id at random.
        return False
    return all(
        _GRADE_ID.fullmatch(str(cell.metadata.nbgrader.get("grade_id", "-")))
        for cell in notebook.cells
        if "nbgrader" in cell.metadata
    )


def _filled(skeleton: str, slots: Sequence[str]) -> str:
    return _SLOT.sub(lambda match: slots[int(match[1])], skeleton)


def _lead(cell: str) -> str:
    return cell[: len(cell) - len(cell.lstrip(SPACES))]


def _trail(cell: str) -> str:
    return cell[len(cell.rstrip(SPACES)) :]


def _joined(cells: Sequence[str]) -> list[str]:
    """The cells and the white space between them; that at both ends is in the frame."""
    parts = [cells[0].strip(SPACES)]
    for before, cell in zip(cells, cells[1:], strict=False):
        parts += [rewritten_space(_trail(before) + _lead(cell)), cell.strip(SPACES)]
    return parts
