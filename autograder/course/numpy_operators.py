"""Mutations of NumPy mathematics: the slips of a hand that writes a gradient.

cosmic-ray changes arithmetic, comparisons, numbers and truth values. What it has no operator for
is here: transposes, axes, terms, arguments, whole lines. An operator has the two methods that
cosmic-ray asks for, so that both kinds are applied in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from parso.python.tree import Name
from parso.tree import BaseNode, NodeOrLeaf

Position = tuple[tuple[int, int], tuple[int, int]]
Rewrites = Callable[[NodeOrLeaf], Iterator[str]]

# A function → what is written in its place by mistake.
LOOKALIKES = {
    "argmax": "argmin",
    "cos": "sin",
    "cosh": "sinh",
    "exp": "expm1",
    "eye": "ones",
    "log": "log1p",
    "log1p": "log",
    "max": "min",
    "maximum": "minimum",
    "mean": "sum",
    "min": "max",
    "minimum": "maximum",
    "ones": "zeros",
    "outer": "inner",
    "relu": "sigmoid",
    "relu_grad": "sigmoid_grad",
    "sigmoid": "relu",
    "sigmoid_grad": "relu_grad",
    "sqrt": "square",
    "std": "var",
    "sum": "mean",
    "tanh": "sin",
    "zeros": "ones",
}
# Their two arguments may change places.
COMMUTATIVE = frozenset({"max", "maximum", "min", "minimum"})
AXES = ("0", "1", "-1", "None")
SUMS = {"arith_expr": "+-", "term": "*/@"}
EXPRESSIONS = frozenset({"arith_expr", "atom_expr", "name", "number", "power", "term"})
STATEMENTS = frozenset({"for_stmt", "if_stmt", "simple_stmt", "while_stmt", "with_stmt"})
LISTS = frozenset({"testlist_comp", "testlist_star_expr", "testlist", "dictorsetmaker"})


@dataclass(frozen=True)
class RewriteOperator:
    """Replaces the text of one node of a parso tree.

    ``rewrites`` yields the texts that may stand in place of a node, none for most nodes.
    ``example`` is a line before and the lines that it may become.
    """

    name: str
    rewrites: Rewrites
    example: tuple[str, tuple[str, ...]]

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[Position]:
        """One position, ((line, column), (line, column)), for each text."""
        for _ in self.rewrites(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> Name:
        """A leaf with the text number ``index``. Only its text is read afterward."""
        text = list(self.rewrites(node))[index]
        leaf = Name(text, node.start_pos, prefix=node.get_first_leaf().prefix)
        # The walk goes on through a tree that must stay whole.
        leaf.parent = node.parent
        return leaf


def _text(node: NodeOrLeaf) -> str:
    return str(node.get_code(include_prefix=False))


def _joined(nodes: list[NodeOrLeaf]) -> str:
    return "".join(node.get_code() for node in nodes).strip()


def _children(node: NodeOrLeaf) -> list[NodeOrLeaf]:
    return list(node.children) if isinstance(node, BaseNode) else []


def _parent(node: NodeOrLeaf) -> str:
    return str(node.parent.type) if node.parent is not None else ""


def _entries(node: NodeOrLeaf) -> list[str]:
    """The entries between the commas of a list, a display or the arguments of a call."""
    entries, here = [], ""
    for child in _children(node):
        if _text(child) == ",":
            entries.append(here.strip())
            here = ""
        else:
            here += child.get_code()
    return [*entries, here.strip()] if here.strip() else entries


def drop_transpose(node: NodeOrLeaf) -> Iterator[str]:
    """``W.T`` becomes ``W``."""
    if node.type == "trailer" and _text(node) == ".T":
        yield ""


def add_transpose(node: NodeOrLeaf) -> Iterator[str]:
    """A name beside ``@`` is transposed."""
    beside = (node.get_previous_sibling(), node.get_next_sibling())
    if node.type == "name" and any(other and _text(other) == "@" for other in beside):
        yield f"{_text(node)}.T"


def change_axis(node: NodeOrLeaf) -> Iterator[str]:
    """``axis=0`` becomes each other axis, and none."""
    if node.type == "argument" and _text(node).startswith("axis="):
        yield from (f"axis={axis}" for axis in AXES if f"axis={axis}" != _text(node))


def drop_method(node: NodeOrLeaf) -> Iterator[str]:
    """``W.copy()`` becomes ``W``; ``np.exp(z)`` is a function, not a method of ``np``."""
    parts = _children(node) if node.type == "atom_expr" else []
    for i in range(1, len(parts) - 1):
        if not _text(parts[i]).startswith(".") or not _text(parts[i + 1]).startswith("("):
            continue
        if _joined(parts[:i]) not in ("np", "torch"):
            yield _joined(parts[:i]) + _joined(parts[i + 2 :])


def drop_call(node: NodeOrLeaf) -> Iterator[str]:
    """``np.exp(z)`` becomes ``(z)``: the first argument alone."""
    parts = _children(node) if node.type == "atom_expr" else []
    if len(parts) < 2 or parts[-1].type != "trailer" or not _text(parts[-1]).startswith("("):
        return
    if len(parts) == 3 and _text(parts[0]) not in ("np", "torch"):
        return  # a method, see drop_method
    inside = _children(parts[-1])[1:-1]
    if len(inside) == 1:
        first = _entries(inside[0])[0] if inside[0].type == "arglist" else _text(inside[0])
        yield f"({first})"


def lookalike(node: NodeOrLeaf) -> Iterator[str]:
    """``np.sum`` becomes ``np.mean``, and so on; also where a function is handed on."""
    if node.type == "name" and _text(node) in LOOKALIKES and _parent(node) != "param":
        yield LOOKALIKES[_text(node)]


def swap_operands(node: NodeOrLeaf) -> Iterator[str]:
    """The two sides of a difference, a quotient or a matrix product change places."""
    parts = _children(node) if node.type in SUMS else []
    for i in range(1, len(parts) - 1, 2):
        sign = _text(parts[i])
        # ``a * b - c`` has its product in a node of its own, so this keeps the precedence.
        if sign in ("-", "/", "@") and (i == 1 or sign == "@"):
            swapped = f"{_joined([parts[i + 1]])} {sign} {_joined([parts[i - 1]])}"
            before, after = _joined(parts[: i - 1]), _joined(parts[i + 2 :])
            yield f"{before} {swapped} {after}".strip()


def matmul_as_product(node: NodeOrLeaf) -> Iterator[str]:
    """``@`` becomes ``*``, which broadcasts."""
    if node.type == "operator" and _text(node) == "@" and _parent(node) == "term":
        yield "*"


def drop_operand(node: NodeOrLeaf) -> Iterator[str]:
    """One term of a sum, or one factor of a product, is not there."""
    parts = _children(node) if node.type in SUMS else []
    for i in range(0, len(parts), 2):
        if i > 0:
            yield _joined(parts[: i - 1] + parts[i + 1 :])
        elif _text(parts[1]) == "-":
            yield _joined(parts[1:])
        elif _text(parts[1]) in ("/", "//"):
            yield "1 " + _joined(parts[1:])
        else:
            yield _joined(parts[2:])


def drop_power(node: NodeOrLeaf) -> Iterator[str]:
    """``t**2`` becomes ``t``."""
    parts = _children(node) if node.type == "power" else []
    if len(parts) > 2 and _text(parts[-2]) == "**":
        yield _joined(parts[:-2])


def negate(node: NodeOrLeaf) -> Iterator[str]:
    """What is given a name, or returned, has the opposite sign."""
    last = _parent(node) in ("expr_stmt", "return_stmt") and node.get_next_sibling() is None
    if last and node.type in EXPRESSIONS:
        yield f"-({_text(node)})"


def lose_precision(node: NodeOrLeaf) -> Iterator[str]:
    """What is returned has passed through 32 bits."""
    if _parent(node) == "return_stmt" and node.type in EXPRESSIONS:
        yield f"np.float32({_text(node)})"


def delete_statement(node: NodeOrLeaf) -> Iterator[str]:
    """A line, or a whole loop, becomes ``pass``. Docstrings stay."""
    docstring = node.type == "simple_stmt" and _children(node)[0].type == "string"
    if node.type in STATEMENTS and not docstring:
        yield "pass\n"


def drop_with(node: NodeOrLeaf) -> Iterator[str]:
    """The lines under ``with torch.no_grad():`` run without it."""
    if node.type == "with_stmt":
        parts = _children(node)
        colon = next(i for i, part in enumerate(parts) if _text(part) == ":")
        yield "if True" + "".join(part.get_code() for part in parts[colon:])


def assign_plainly(node: NodeOrLeaf) -> Iterator[str]:
    """``+=`` becomes ``=`` and ``-=``; ``*=`` becomes ``=`` and ``/=``."""
    opposite = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}
    if node.type == "operator" and _text(node) in opposite:
        yield from ("=", opposite[_text(node)])


def swap_entries(node: NodeOrLeaf) -> Iterator[str]:
    """Two neighbors in what is returned, listed, unpacked or handed to a function."""
    if node.type not in LISTS | {"arglist"}:
        return
    if any(child.type in ("sync_comp_for", "comp_for") for child in _children(node)):
        return
    if node.type == "arglist" and _called(node) in COMMUTATIVE:
        return
    entries = _entries(node)
    for i, (one, two) in enumerate(pairwise(entries)):
        is_keyword = "=" in one or "=" in two if node.type == "arglist" else False
        # The order of a set or a dictionary is no mistake.
        if not is_keyword and node.type != "dictorsetmaker":
            yield ", ".join([*entries[:i], two, one, *entries[i + 2 :]])


def _called(arguments: NodeOrLeaf) -> str:
    trailer = arguments.parent
    before = trailer.get_previous_sibling() if trailer is not None else None
    return _text(before).removeprefix(".") if before is not None else ""


def drop_entry(node: NodeOrLeaf) -> Iterator[str]:
    """One entry of a list, a set, a dictionary or a returned tuple is not there."""
    if node.type not in LISTS:
        return
    if any(child.type in ("sync_comp_for", "comp_for") for child in _children(node)):
        return
    if node.parent is not None and node.parent.type in ("expr_stmt", "for_stmt"):
        left = node.get_next_sibling()
        if left is not None:
            return  # names that are assigned to
    entries = _entries(node)
    for i in range(len(entries)):
        rest = entries[:i] + entries[i + 1 :]
        yield ", ".join(rest) + ("," if len(rest) == 1 else "")


def change_string(node: NodeOrLeaf) -> Iterator[str]:
    """A key or a typed-in word is another one. Docstrings stay."""
    if node.type == "string" and _parent(node) != "simple_stmt":
        yield _text(node)[:-1] + "_" + _text(node)[-1]
    elif node.type == "fstring_end":
        yield "_" + _text(node)


def nudge_number(node: NodeOrLeaf) -> Iterator[str]:
    """A typed-in number is off by 2 percent, a zero by 0.02."""
    place: NodeOrLeaf | None = node
    if node.type != "number":
        return
    while place is not None:
        if place.type in ("funcdef", "classdef"):
            return
        place = place.parent
    number = float(_text(node))
    yield f"{number * 1.02:.6g}" if number else "0.02"


def next_variable(node: NodeOrLeaf) -> Iterator[str]:
    """A variable that is read is the next one of the same function instead."""
    if node.type != "name" or _is_target(node):
        return
    if _parent(node) == "argument" and node.get_next_sibling() is not None:
        return  # the name of an argument
    before = node.get_previous_leaf()
    if before is not None and _text(before) == ".":
        return  # the name of an attribute
    function: NodeOrLeaf | None = node
    while function is not None and function.type != "funcdef":
        function = function.parent
    if function is None:
        return
    names = list(dict.fromkeys(_local_names(function)))
    if _text(node) in names and len(names) > 1:
        yield names[(names.index(_text(node)) + 1) % len(names)]


def _is_target(node: NodeOrLeaf) -> bool:
    return isinstance(node, Name) and bool(node.is_definition())


def _local_names(function: NodeOrLeaf) -> Iterator[str]:
    """The parameters and the assigned names of a function, in the order of their definition."""
    waiting = [function]
    while waiting:
        node = waiting.pop(0)
        if node.type == "name" and _parent(node) != "funcdef" and _is_target(node):
            yield _text(node)
        waiting = _children(node) + waiting


OPERATORS = (
    RewriteOperator("drop-transpose", drop_transpose, ("X @ W.T", ("X @ W",))),
    RewriteOperator("add-transpose", add_transpose, ("X @ W", ("X.T @ W", "X @ W.T"))),
    RewriteOperator(
        "change-axis",
        change_axis,
        ("a.sum(axis=0)", ("a.sum(axis=1)", "a.sum(axis=-1)", "a.sum(axis=None)")),
    ),
    RewriteOperator("drop-method", drop_method, ("dz.copy().T", ("dz.T",))),
    RewriteOperator(
        "drop-call",
        drop_call,
        ("np.sum(a, axis=0) + f(b)", ("(a) + f(b)", "np.sum(a, axis=0) + (b)")),
    ),
    RewriteOperator("lookalike", lookalike, ("np.sum(z)", ("np.mean(z)",))),
    RewriteOperator("swap-operands", swap_operands, ("a - b @ c", ("b @ c - a", "a - c @ b"))),
    RewriteOperator("matmul-as-product", matmul_as_product, ("X @ W", ("X * W",))),
    RewriteOperator(
        "drop-operand",
        drop_operand,
        ("a - b * c + d", ("- b * c + d", "a + d", "a - b * c", "a - c + d", "a - b + d")),
    ),
    RewriteOperator("drop-power", drop_power, ("1 - t**2", ("1 - t",))),
    RewriteOperator("negate", negate, ("dz = da * slope", ("dz = -(da * slope)",))),
    RewriteOperator("lose-precision", lose_precision, ("return Z", ("return np.float32(Z)",))),
    RewriteOperator("delete-statement", delete_statement, ("a = b\n", ("pass\n",))),
    RewriteOperator(
        "drop-with", drop_with, ("with torch.no_grad():\n    a = b\n", ("if True:\n    a = b\n",))
    ),
    RewriteOperator("assign-plainly", assign_plainly, ("a += b", ("a = b", "a -= b"))),
    RewriteOperator(
        "swap-entries", swap_entries, ("a, b = f(x, y)", ("b, a = f(x, y)", "a, b = f(y, x)"))
    ),
    RewriteOperator("drop-entry", drop_entry, ('{"z": z, "h": h}', ('{"h": h,}', '{"z": z,}'))),
    RewriteOperator("change-string", change_string, ('cache["z"]', ('cache["z_"]',))),
    RewriteOperator("nudge-number", nudge_number, ("y_hat = 0.5", ("y_hat = 0.51",))),
    RewriteOperator(
        "next-variable",
        next_variable,
        (
            "def f(x, y):\n    return x @ y\n",
            ("def f(x, y):\n    return y @ y\n", "def f(x, y):\n    return x @ x\n"),
        ),
    ),
)
