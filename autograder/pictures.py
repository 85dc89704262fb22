"""What the pictures of the notebooks share: colors, a style that prints, boxes, and a guard.

The colors are the palette of Okabe and Ito (https://jfly.uni-koeln.de/color/), which readers with
any common kind of color vision tell apart. Lines differ in style too, so they read in gray.
"""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from types import GeneratorType
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"

# A guard looks at so many values of a generator and no more: it may have no end.
MOST_YIELDED = 100

Point = tuple[float, float]
Step = TypeVar("Step")


def use_print_style() -> None:
    """Figures of a modest size with a light grid and no frame above or to the right."""
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.4),
            "figure.dpi": 80,
            "figure.constrained_layout.use": True,
            "axes.grid": True,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 11,
            "grid.alpha": 0.3,
            "lines.linewidth": 2,
            "legend.frameon": False,
        }
    )


def written(
    function: Callable[..., Any],
    *arguments: Any,
    shape: tuple[int, ...] | None = None,
    values: int | None = None,
) -> bool:
    """Can a cell show what ``function`` does? Otherwise print one sentence that says why not.

    The function is called once with copies of ``arguments``. With a ``shape``, the result must have
    it; with ``values``, it must be a tuple or list of that many.
    """
    name = getattr(function, "__name__", "the function")
    try:
        with without_output():
            result = function(*copy.deepcopy(arguments))
            if isinstance(result, GeneratorType):  # its lines run when it is walked over
                result = list(itertools.islice(result, MOST_YIELDED))
    except NotImplementedError as error:
        # A function that is written may use one that is not.
        raised_in = traceback.extract_tb(error.__traceback__)[-1].name
        missing = raised_in if raised_in.isidentifier() else name
        print(f"Write {missing} first; this cell then shows your answer.")
        return False
    except Exception as error:
        print(f"{name} raises {type(error).__name__}, so there is nothing to show yet: {error}")
        return False
    if result is None:
        print(f"{name} returns None, so there is nothing to show yet.")
        return False
    if values is not None and not (isinstance(result, (tuple, list)) and len(result) == values):
        print(f"{name} does not return {values} values; this cell needs them.")
        return False
    if shape is not None and np.shape(result) != shape:
        print(f"{name} returns shape {np.shape(result)}; this cell needs shape {shape}.")
        return False
    return True


def progress(steps: Iterable[Step], text: str = "") -> Iterator[Step]:
    """Walk over ``steps`` and show a bar with ``text`` before it, on standard output.

    The bar is for the person who waits: stderr would look like a fault to nbgrader.
    """
    # By default tqdm starts a thread and asks for a lock between processes; neither is needed.
    tqdm.monitor_interval = 0
    tqdm.set_lock(threading.RLock())
    yield from tqdm(steps, text, file=sys.stdout, ncols=72, mininterval=0.3)


@contextlib.contextmanager
def without_output() -> Iterator[None]:
    """What is printed meanwhile is dropped, such as the bars of many short trainings."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def box(ax: Any, center: Point, text: str, color: str = BLACK) -> None:
    """A value of a graph: ``text`` in a box."""
    style = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": color}
    ax.text(*center, text, ha="center", va="center", bbox=style, zorder=3)


def arrow(ax: Any, start: Point, end: Point, text: str, color: str, dashed: bool = False) -> None:
    """An arrow of a graph with ``text`` beside its middle: above when it points to the right."""
    line = {"arrowstyle": "-|>", "color": color, "lw": 1.6, "ls": "--" if dashed else "-"}
    ax.annotate("", xy=end, xytext=start, arrowprops=line)
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    below = end[0] < start[0]
    offset = (0, -4) if below else (0, 4)
    ax.annotate(
        text,
        middle,
        offset,
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        color=color,
        fontsize=9,
    )


# Where the variables of a network with one hidden layer stand, and the operation that makes each.
PLACES = {
    "x": (0, 0),
    "W1": (1.2, 1.1),
    "b": (1.2, -1.1),
    "z": (2.4, 0),
    "h": (4.4, 0),
    "W2": (5.6, 1.1),
    "o": (6.8, 0),
    "y": (8, -1.1),
    "L": (9.2, 0),
    "s": (9.2, 2.1),
    "J": (11.4, 1.1),
}
OPERATIONS = {
    "z": (r"$\times$", (1.2, 0)),
    "h": (r"$\varphi$", (3.4, 0)),
    "o": (r"$\times$", (5.6, 0)),
    "L": ("loss", (8, 0)),
    "s": (r"$\frac{\lambda}{2}\Vert\cdot\Vert^2$", (7.9, 2.1)),
    "J": ("+", (10.4, 1.1)),
}
WITH_BIAS = r"$\times,+$"


def draw_graph(edges: Any, title: str) -> None:
    """Draw (from, to) pairs as a computational graph: variables square, operations round.

    The pairs are a student's answer and may be anything. What cannot be drawn is left out and said
    in one sentence. A pair that leads to a value which no operation makes is a dotted arrow.
    """
    if edges is None:
        print("Type your pairs in first; this cell then draws them.")
        return
    if not isinstance(edges, (set, frozenset, list, tuple)):
        print(f"This is not a set of pairs but {type(edges).__name__}, so nothing is drawn.")
        return
    pairs, left_out = _pairs_to_draw(edges)
    if left_out:
        print(f"Not drawn, because it is not a pair of two different known names: {left_out}.")
    fig, ax = plt.subplots(figsize=(8, 3.4))
    with_bias = any("b" in pair for pair in pairs)
    for name, place in PLACES.items():
        if name != "b" or with_bias:
            style = {"boxstyle": "square,pad=0.45", "facecolor": "white", "edgecolor": BLUE}
            ax.text(*place, _in_math(name), ha="center", va="center", bbox=style, zorder=3)
    for target in dict.fromkeys(to for _, to in pairs):
        sources = [start for start, to in pairs if to == target]
        if target not in OPERATIONS:
            for source in sources:
                _link(ax, PLACES[source], PLACES[target], PURPLE, ":")
            continue
        text, center = OPERATIONS[target]
        if target == "z" and "b" in sources:
            text = WITH_BIAS
        style = {"boxstyle": "circle,pad=0.3", "facecolor": "white", "edgecolor": VERMILION}
        ax.text(*center, text, ha="center", va="center", bbox=style, zorder=3, fontsize=9)
        radius = 11.0 if text in ("+", r"$\times$", r"$\varphi$") else 18.0
        for source in sources:
            _link(ax, PLACES[source], center, BLACK, "-", shrink=(13.0, radius))
        _link(ax, center, PLACES[target], BLACK, "-", shrink=(radius, 13.0), straight=True)
    ax.set(xlim=(-0.6, 12), ylim=(-1.7, 2.8), title=title)
    ax.axis("off")
    plt.show()


def _pairs_to_draw(edges: Any) -> tuple[list[tuple[str, str]], str]:
    """The pairs of two different known names, sorted, and the text of the first other entry."""
    pairs: set[tuple[str, str]] = set()
    odd: list[str] = []
    for entry in edges:
        names = list(entry) if isinstance(entry, (list, tuple)) else []
        known = [name.strip() for name in names if isinstance(name, str)]
        known = [name for name in known if name in PLACES]
        if len(names) == len(known) == len(set(known)) == 2:
            pairs.add((known[0], known[1]))
        else:
            odd.append(repr(entry)[:60])
    return sorted(pairs), min(odd, default="")


def _in_math(name: str) -> str:
    return f"${name[0]}_{name[1:]}$" if len(name) > 1 else f"${name}$"


def _link(
    ax: Any,
    start: Point,
    end: Point,
    color: str,
    line: str,
    shrink: Point = (13.0, 13.0),
    straight: bool = False,
) -> None:
    """An arrow between two places of a graph, bent where a straight one would cross others."""
    far = start[1] == end[1] and abs(end[0] - start[0]) > 1.3 and not straight
    ax.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": color,
            "lw": 1.2,
            "ls": line,
            "shrinkA": shrink[0],
            "shrinkB": shrink[1],
            "connectionstyle": "arc3,rad=-0.35" if far else "arc3,rad=0",
        },
    )
