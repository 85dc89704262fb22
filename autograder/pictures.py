"""What the pictures of the notebooks share: colors, a style that prints, boxes, and a guard.

The colors are the palette of Okabe and Ito (https://jfly.uni-koeln.de/color/), which readers with
any common kind of color vision tell apart. Lines differ in style too, so they read in gray.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"

Point = tuple[float, float]


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
        result = function(*copy.deepcopy(arguments))
    except NotImplementedError:
        print(f"Write {name} first; this cell then shows your answer.")
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
