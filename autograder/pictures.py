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
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from types import GeneratorType
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import networkx
import numpy as np
import numpy.typing as npt
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
    shapes: Sequence[tuple[int, ...]] | None = None,
    cache_keys: Sequence[str] = (),
    layers: Sequence[int] = (),
) -> bool:
    """Can a cell show what ``function`` does? Otherwise print one sentence that says why not.

    The function is called once with copies of ``arguments``. With a ``shape``, the result must have
    it; with ``values``, it must be a tuple or list of that many; with ``shapes``, of one value for
    each shape. With ``cache_keys``, the last value must be a dict with an array for each key. With
    ``layers``, the sizes of a network, the result, or the first list among its values, must have a
    pair for each layer, of the shapes (n_out, n_in) and (n_out,).
    """
    name = getattr(function, "__name__", "the function")
    result = attempt(function, *arguments)
    if result is None:
        return False
    if shapes is not None:
        values = len(shapes)
    if values is not None and not (isinstance(result, (tuple, list)) and len(result) == values):
        print(f"{name} does not return {values} values; this cell needs them.")
        return False
    if shape is not None and np.shape(result) != shape:
        print(f"{name} returns shape {np.shape(result)}; this cell needs shape {shape}.")
        return False
    if shapes is not None and [_shape(value) for value in result] != list(shapes):
        found, wanted = (", ".join(map(str, each)) for each in (map(_shape, result), shapes))
        print(f"{name} returns the shapes {found}; this cell needs {wanted}.")
        return False
    missing = [key for key in cache_keys if not _holds_array(result[-1], key)]
    if missing:
        print(f"The cache that {name} returns has no array {missing[0]!r}; this cell needs it.")
        return False
    pairs = result if values is None else _first_list(result)
    if layers and (misfit := _misfit(pairs, layers)):
        print(f"{name} returns {misfit}.")
        return False
    return True


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function`` returns for copies of ``arguments``.

    Where there is nothing, print one sentence that says why, and return None.
    """
    name = getattr(function, "__name__", "the function")
    try:
        with without_output():
            result = function(*copy.deepcopy(arguments))
            if isinstance(result, GeneratorType):  # its lines run when it is walked over
                result = list(itertools.islice(result, MOST_YIELDED))
    except NotImplementedError as error:
        print(f"Write {_unwritten(error, name)} first; this cell then shows your answer.")
        return None
    except Exception as error:
        print(f"{name} raises {type(error).__name__}, so there is nothing to show yet: {error}")
        return None
    if result is None:
        print(f"{name} returns None, so there is nothing to show yet.")
    return result


def _unwritten(error: NotImplementedError, name: str) -> str:
    """What raised ``error``: a function that is written may use one that is not."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    code = frames[-1].f_code
    if not code.co_name.isidentifier():  # a lambda
        return name
    # A method by the name of its class too, an inner function by its own name.
    return code.co_qualname.rpartition("<locals>.")[2]


def _shape(value: Any) -> tuple[int, ...] | str:
    try:
        return tuple(np.shape(value))
    except ValueError:  # a list whose entries have different shapes
        return "of a ragged list"


def _first_list(values: Sequence[Any]) -> Any:
    return next((value for value in values if isinstance(value, (list, tuple))), None)


def _misfit(pairs: Any, sizes: Sequence[int]) -> str:
    """Why ``pairs`` are not the W and b of a network of these sizes, or of their gradients."""
    if not isinstance(pairs, (list, tuple)):
        return "no list of pairs; this cell needs one"
    if len(pairs) != len(sizes) - 1:
        return f"a list of {len(pairs)}; this cell needs a pair for each of {len(sizes) - 1} layers"
    for number, (pair, (n_in, n_out)) in enumerate(zip(pairs, pairwise(sizes), strict=True), 1):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            return f"for layer {number} no pair; this cell needs two arrays"
        found, wanted = [_shape(part) for part in pair], [(n_out, n_in), (n_out,)]
        if found != wanted:
            shown = (" and ".join(map(str, shapes)) for shapes in (found, wanted))
            return "for layer {} the shapes {}; this cell needs {}".format(number, *shown)
    return ""


def at_most(limit: float, values: Iterable[Any]) -> list[float]:
    """The ``values`` for a picture: what is larger or not a finite number stands at ``limit``."""
    return [float(v) if np.isfinite(v) and v < limit else limit for v in values]


def _holds_array(cache: Any, key: str) -> bool:
    return isinstance(cache, dict) and isinstance(cache.get(key), np.ndarray)


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


def attention_weights(
    attention_forward: Callable[..., Any],
    x: npt.NDArray[np.float64],
    W_qkv: npt.NDArray[np.float64],
    n_heads: int,
) -> npt.NDArray[np.float64]:
    """How much each token looks at each token, shape (n_heads, T, T), for ``x`` of shape (T, d).

    ``attention_forward(x, W_qkv, W_out, n_heads)`` returns its output, (B, T, d), and a cache in
    which the weights may or may not stand. So it is asked by its output alone: each token is made
    wider by its own number as a one-hot vector, and each head by values that are this vector. What
    arrives at a token is then the mean of one-hot vectors, and that is its row of weights. Queries
    make up for the root of the larger head size.
    """
    T, d = x.shape
    head = d // n_heads
    wide_head = head + T
    wide = n_heads * wide_head
    tokens = np.zeros((1, T, wide))
    tokens[0, :, :d] = x
    tokens[0, :, d : d + T] = np.eye(T)
    W_wide = np.zeros((3, n_heads, wide_head, wide))
    query, key, _ = W_qkv.reshape(3, n_heads, head, d)
    W_wide[0, :, :head, :d] = query * np.sqrt(wide_head / head)
    W_wide[1, :, :head, :d] = key
    W_wide[2, :, head:, d : d + T] = np.eye(T)
    out = attention_forward(tokens, W_wide.reshape(3 * wide, wide), np.eye(wide), n_heads)[0]
    return np.asarray(out).reshape(T, n_heads, wide_head)[:, :, head:].transpose(1, 0, 2)


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
# One unit up, divided by one unit across, in inches of the figure below.
TALLER = 1.1


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
    bends = (0.0,) if straight else (0.0, -0.35, 0.35, -0.15, 0.15, -0.45)
    bend = min(bends, key=lambda rad: _crossed(start, end, rad))
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
            "connectionstyle": f"arc3,rad={bend}",
        },
    )


def _crossed(start: Point, end: Point, rad: float) -> int:
    """How many other places of the graph an arrow of Matplotlib's style ``arc3`` runs over."""
    t = np.linspace(0, 1, 60)[:, None]
    first, last = np.array(start), np.array(end)
    along = last - first
    # Matplotlib bends at right angles on the screen, where a unit up is longer than one across.
    corner = (first + last) / 2 + rad * np.array([along[1] * TALLER, -along[0] / TALLER])
    curve = (1 - t) ** 2 * first + 2 * t * (1 - t) * corner + t**2 * last
    centers = {*PLACES.values(), *(center for _, center in OPERATIONS.values())} - {start, end}
    return sum(bool((np.abs(curve - np.array(c)) < 0.3).all(axis=1).any()) for c in centers)


# Above this many nodes a picture of a graph is a picture of nothing.
MOST_NODES = 60


def short(value: Any) -> str:
    """A few numbers on one line, in a box of a graph."""
    if value is None:
        return "None"
    return np.array2string(np.asarray(value), precision=2, separator=", ").replace("\n", "")


def draw_nodes(last: Any, label: Callable[[Any], str], title: str) -> None:
    """Draw all nodes behind ``last``, which have ``.parents``, from left to right.

    Leaves are square, results are round; ``label`` gives the text of each. The nodes are a
    student's answer: what cannot be drawn is said in one sentence.
    """
    try:
        graph, node_of = _graph_behind(last)
        texts = {key: label(node) for key, node in node_of.items()}
    except Exception as error:
        print(f"These nodes cannot be drawn, {type(error).__name__}: {error}")
        return
    if len(graph) > MOST_NODES:
        print(f"The graph has more than {MOST_NODES} nodes, too many for a picture.")
        return
    if not networkx.is_directed_acyclic_graph(graph):
        print("A node is behind itself, so there is no order to draw the graph in.")
        return
    places, routes, (width, height) = _layout(graph, texts)
    shrink = min(1.0, WIDEST / width)
    fig, ax = plt.subplots(figsize=(width * shrink, height * shrink + 0.3))
    boxes = {}
    for key, text in texts.items():
        leaf = graph.in_degree(key) == 0
        style = {
            "boxstyle": "square,pad=0.35" if leaf else "round,pad=0.35,rounding_size=0.7",
            "facecolor": "white",
            "edgecolor": BLUE if leaf else VERMILION,
        }
        made = ax.text(
            *places[key], text, ha="center", va="center", bbox=style, fontsize=9 * shrink, zorder=3
        )
        boxes[key] = made.get_bbox_patch()
    for route in routes:
        points = [places[key] for key in route]
        ax.plot(*zip(*points[:-1], strict=True), color=BLACK, lw=1.1, zorder=1)
        line = {"arrowstyle": "-|>", "color": BLACK, "lw": 1.1, "shrinkA": 0, "shrinkB": 1}
        line["patchB"] = boxes[route[-1]]
        ax.annotate("", xy=points[-1], xytext=points[-2], arrowprops=line, zorder=2)
    ax.set(xlim=(0, width), ylim=(0, height), title=title)
    ax.axis("off")
    plt.show()


def _graph_behind(last: Any) -> tuple[Any, dict[int, Any]]:
    """An arrow from each parent to its child, nodes by their ids; at most ``MOST_NODES`` + 1."""
    graph = networkx.DiGraph()
    node_of = {id(last): last}
    graph.add_node(id(last))
    waiting = [last]
    while waiting and len(graph) <= MOST_NODES:
        node = waiting.pop(0)
        for parent in node.parents:
            if id(parent) not in node_of:
                node_of[id(parent)] = parent
                waiting.append(parent)
            graph.add_edge(id(parent), id(node))
    return graph, node_of


# A box of a graph, in inches: for each letter and line, around them, and between two boxes.
LETTER, LINE, AROUND, BETWEEN = 0.075, 0.165, 0.2, 0.38
WIDEST = 9.0
# A node, or a bend of a long arrow: its start, its end and a column.
Key = Any


def _layout(
    graph: Any, texts: dict[int, str]
) -> tuple[dict[Key, Point], list[list[Key]], tuple[float, float]]:
    """Places in inches, the way of each arrow, and the size of the whole.

    In columns, after Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical
    system structures (1981): a long arrow has a bend in each column that it passes.
    """
    columns, routes = _columns(graph)
    rows = _rows(columns, routes)
    widths = []
    for keys in columns:
        lines = [line for key in keys for line in texts.get(key, "").splitlines()]
        widths.append(AROUND + LETTER * max(map(len, lines), default=0))
    lines_in_a_box = max(text.count("\n") + 1 for text in texts.values())
    step = AROUND + LINE * lines_in_a_box + 0.6 * BETWEEN
    left = [sum(widths[:i]) + BETWEEN * (i + 0.5) for i in range(len(columns))]
    low = min(rows.values())
    places = {
        key: (left[i] + widths[i] / 2, (rows[key] - low + 0.5) * step)
        for i, keys in enumerate(columns)
        for key in keys
    }
    size = (sum(widths) + BETWEEN * len(columns), (max(rows.values()) - low + 1) * step)
    return places, routes, size


def _columns(graph: Any) -> tuple[list[list[Key]], list[list[Key]]]:
    """The nodes and bends of each column, and the way of each arrow through them."""
    column: dict[Key, int] = {}
    order = list(networkx.topological_sort(graph))
    for key in order:
        column[key] = 1 + max((column[p] for p in graph.predecessors(key)), default=-1)
    for key in order:  # a leaf stands next to where it is used first
        if graph.in_degree(key) == 0:
            column[key] = min((column[c] for c in graph.successors(key)), default=1) - 1
    routes = []
    for start, end in graph.edges:
        bends = [(start, end, i) for i in range(column[start] + 1, column[end])]
        column.update({bend: bend[2] for bend in bends})
        routes.append([start, *bends, end])
    columns: list[list[Key]] = [[] for _ in range(max(column.values()) + 1)]
    for key, i in column.items():
        columns[i].append(key)
    return columns, routes


def _rows(columns: list[list[Key]], routes: list[list[Key]]) -> dict[Key, float]:
    """A height for each node and bend, so that few arrows cross and most are nearly straight."""
    neighbors: dict[Key, list[Key]] = {key: [] for keys in columns for key in keys}
    for route in routes:
        for one, other in pairwise(route):
            neighbors[one].append(other)
            neighbors[other].append(one)
    rows = {key: float(i) for keys in columns for i, key in enumerate(keys)}
    for turn in range(24):
        for keys in columns if turn % 2 == 0 else columns[::-1]:
            wish = {k: float(np.mean([rows[n] for n in neighbors[k]] or [0.0])) for k in keys}
            keys.sort(key=wish.__getitem__)
            # As near to the wish as a distance of one allows, and the column in its middle.
            for i, key in enumerate(keys):
                rows[key] = wish[key] if i == 0 else max(wish[key], rows[keys[i - 1]] + 1)
            shift = float(np.mean([rows[k] - wish[k] for k in keys]))
            for key in keys:
                rows[key] -= shift
    return rows
