# %% [markdown]
# # 07 · An autograd engine
#
# **70 points · about 140 minutes**
#
# So far you wrote each backward pass by hand, one backward line for one forward line. In this
# notebook you write the program that does this for you. You write a class `Tensor`. When you compute
# with tensors, each result remembers how it was made. After the last line, `backward()` walks through
# these memories in reverse and leaves a gradient in every tensor. PyTorch works in this way.
#
# **Builds on.** Notebook [02](../02-manual-backprop/02-manual-backprop.ipynb): slopes, the chain
# rule, gradients that add up over a batch. Notebook
# [05](../05-regularized-mlp-derivation/05-regularized-mlp-derivation.ipynb): the computational graph,
# and a network whose gradients are known. Nothing from your own notebooks is needed here.
#
# **Leaves out.** Second derivatives, GPUs, changing numbers in place, and speed. PyTorch has all
# four. Attention and layer normalization follow in notebook 08.

# %% [markdown]
# ## What you will build
#
# The next picture shows the graph of four short lines: `c = a * b`, `d = c + a`, `L = d * c` and
# `L.backward()`. Square boxes are numbers that somebody typed in. Round boxes are results. Each round
# box knows its operation, its value and the boxes that it was made from. At the end of this notebook
# your own class makes such graphs, and fills in the gradients.

# %% nbgrader={"grade_id": "setup", "locked": true}
from functools import reduce

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import pictures
from autograder.checks import Check, Misfit

pictures.use_print_style()
F = torch.nn.functional


class Node:
    """A name, an operation and the nodes that it was made from; `Tensor` will have more."""

    def __init__(self, name, *parents, op=""):
        self.name = name
        self.parents = parents
        self.op = op


# %% nbgrader={"grade_id": "picture-of-the-graph", "locked": true}
a, b = Node("a = 1.5"), Node("b = −2")
c = Node("c", a, b, op="*")
d = Node("d", c, a, op="+")
L = Node("L", d, c, op="*")
pictures.draw_nodes(
    L, lambda node: f"{node.op}\n{node.name}" if node.op else node.name, "Four lines"
)

# %% [markdown]
# *Picture: from left to right, square boxes a = 1.5 and b = −2, then round boxes c, made by a product,
# d, made by a sum, and L, made by a product. Arrows lead from a and b to c, from c and a to d, and
# from d and c to L. Drawn by the cell above from none of your functions.*
#
# ### Conventions
#
# - The *parents* of a node are the nodes that it was computed from directly. A *leaf* has none: it is
#   data or a parameter.
# - `dV` is the gradient of the output with respect to `V`. It has V's shape. In the class it is
#   `V.grad`.
# - The *upstream gradient* of a node is the gradient of the output with respect to that node.
# - Numbers are float64 NumPy arrays, shape () for a single one.
# - You write NumPy. PyTorch appears in the checks only.
# - Replace each `raise NotImplementedError`, run the cell, then run the check below it. Some cases of
#   a check are hidden: other shapes, other graphs.

# %% [markdown]
# ## 1. What the forward pass leaves behind
#
# A node of the graph stores four things:
#
# | what | example, for `c = a * b` |
# |---|---|
# | its operation | a product |
# | its parents | `a` and `b` |
# | its value | −3 |
# | a recipe for the local gradient | upstream times the other factor, for each parent |
#
# The forward lines make the graph, and the graph decides what backward does. There is no second
# program for the gradients.
#
# Look at the picture again. Two arrows leave `a`, and two leave `c`. A small change of `c` reaches `L`
# in two ways: directly, and through `d`. **What comes back along several arrows adds up.**

# %% [markdown]
# ### Exercise: `dL_dd, dL_dc, dL_da, dL_db`
#
# **What it is for.** Your engine will do what you do here with a pencil.
#
# | symbol | value | |
# |---|---|---|
# | `a`, `b` | 1.5, −2 | leaves |
# | `c` | −3 | `a * b` |
# | `d` | −1.5 | `c + a` |
# | `L` | 4.5 | `d * c` |
# | `dL_dd` … `dL_db` | numbers | the gradients of `L` |
#
# One point each. When you are graded, a number keeps its point where it is right for your own earlier
# ones.
#
# **4 points · 6 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where to start.</summary>
#
# At the last line, `L = d * c`. What is the slope of a product with respect to its first factor?
#
# </details>
#
# <details><summary>I'm not sure how many terms <code>dL_dc</code> has.</summary>
#
# As many as arrows leave `c`. One term comes from the last line directly. The other comes through `d`:
# your `dL_dd` times the slope of `d` with respect to `c`.
#
# </details>

# %% nbgrader={"grade_id": "dL_dd", "solution": true}
# dL_dd, dL_dc, dL_da, dL_db: four numbers
### BEGIN SOLUTION
dL_dd = -3.0
dL_dc = -1.5 + dL_dd
dL_da = dL_dc * -2.0 + dL_dd
dL_db = dL_dc * 1.5
### END SOLUTION


# %% nbgrader={"grade_id": "dL_dd-check", "grade": true, "points": 4}
def pytorch():
    a, b = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.5, -2.0))
    c = a * b
    d = c + a
    L = d * c
    return torch.autograd.grad(L, (d, c, a, b))


check = Check(
    "dL_dd", pytorch, returns={"dL_dd": 1, "dL_dc": 1, "dL_da": 1, "dL_db": 1}, typed=True
)
check.case("typed in")
### BEGIN HIDDEN TESTS
check.hidden.follow_through(
    dL_dc=lambda dL_dd: -1.5 + dL_dd,
    dL_da=lambda dL_dc, dL_dd: dL_dc * -2.0 + dL_dd,
    dL_db=lambda dL_dc: dL_dc * 1.5,
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 2. In which order?
#
# You took `d` before `c`, because the gradient of `c` needs the one of `d`. In general: a node may
# pass its gradient on only when all its contributions have arrived. So every node must come before
# its parents on the way back. Turned around: find an order with parents **before** children, and walk
# it from its end. This is a *topological order*.
#
# A graph can have several. For the picture above, `a b c d L` is one, and `b a c d L` is another. Any
# of them will do.

# %% [markdown]
# ### Exercise: `topological_order(t)`
#
# **What it is for.** `backward()` walks along this list, from its end.
#
# | symbol | form | meaning |
# |---|---|---|
# | `t` | a node | has `.parents`, an iterable of nodes; so has each of them |
# | `order` | a list of nodes | `t` and all nodes behind it, each **once**, parents before children, so `t` last |
#
# Use nothing of a node but `.parents`. A node can be in a set. Two points are for the order, one for
# the nodes being complete. One more is for depth: a chain of 2,000 nodes must work. Python stops a
# function that calls itself about 1,000 times deep.
#
# **4 points · 12 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how to reach all nodes.</summary>
#
# Depth first: before a node enters the list, all its parents must be in it. Before a parent enters,
# all *its* parents. Write this first as a function that calls itself, on paper.
#
# </details>
#
# <details><summary>I'm not sure how to keep a node from entering twice.</summary>
#
# Keep a set of the nodes that you have seen. It must be asked before a node enters the list.
#
# </details>
#
# <details><summary>I'm not sure how to do it without a function that calls itself.</summary>
#
# Keep your own stack, a list. Let each entry say which of two things is to be done with its node: look
# at its parents, or put it into the list. "Look at" pushes the second task for the same node first,
# and the parents on top of it. What is on top is done first.
#
# </details>


# %% nbgrader={"grade_id": "topological_order", "solution": true}
def topological_order(t):
    """All nodes that t was computed from, and t, parents before children.

    Args:
        t: a node; has .parents, an iterable of nodes

    Returns:
        order: a list of nodes, each once, t last
    """
    ### BEGIN SOLUTION
    order, seen = [], set()
    stack = [(t, False)]
    while stack:
        node, parents_are_done = stack.pop()
        if parents_are_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)
    return order
    ### END SOLUTION


# %% nbgrader={"grade_id": "topological_order-check", "grade": true, "points": 4}
def late_case(graph, order, last):
    """Each arrow of the graph behind `last` whose parent does not come before its child."""
    place = {name: i for i, name in enumerate(order)}
    behind, waiting = set(), [last]
    while waiting:
        name = waiting.pop()
        if name not in behind:
            behind.add(name)
            waiting.extend(graph[name])
    arrows = [(parent, name) for name in graph if name in behind for parent in graph[name]]
    return [f"{p} → {n}" for p, n in arrows if not place.get(p, 1e9) < place.get(n, -1)]


def probe(topological_order, graph, last):
    """Build nodes from the table `graph`, and look at the names in the list that comes back."""
    nodes = {}
    for name, parents in graph.items():
        nodes[name] = Node(name, *[nodes[parent] for parent in parents])

    def names_case():
        order = topological_order(nodes[last])
        if not isinstance(order, (list, tuple)) or any(not isinstance(n, Node) for n in order):
            raise Misfit(f"returned {str(order)[:40]}, expected a list of nodes.")
        return [node.name for node in order]

    order = names_case()
    if sorted(names_case()) != sorted(order):
        raise Misfit("returned other nodes when it was called again for the same t.")
    return sorted(order), late_case(graph, order, last)


def pytorch(graph, last):
    tensors, visited = {}, []
    for name, parents in graph.items():
        tensors[name] = torch.ones(()).requires_grad_() + sum(tensors[p] for p in parents)
        tensors[name].register_hook(lambda grad, name=name: visited.append(name))
    tensors[last].backward()  # PyTorch visits each node once, children first
    return sorted(visited), late_case(graph, visited[::-1], last)


check = Check(
    "topological_order",
    pytorch,
    returns={"nodes": 1, "arrows in the wrong order": 2},
    aspects={"a deep graph": 1},
    probe=probe,
)
four_lines = {"a": [], "b": [], "c": ["a", "b"], "d": ["c", "a"], "L": ["d", "c"]}
check.case("the four lines above", graph=four_lines, last="L")
detour = {"x": [], "u": ["x"], "v": ["u"], "y": ["x", "v"], "z": ["y", "u"]}
check.case("short and long ways", graph=detour, last="z")
check.case("a node that is used twice by another", graph={"x": [], "y": ["x", "x"]}, last="y")
chain = {f"n{i}": [f"n{i - 1}"] if i else [] for i in range(2000)}
check.case("a chain of 2,000 nodes", graph=chain, last="n1999", aspect="a deep graph")
### BEGIN HIDDEN TESTS
check.hidden.case("a leaf by itself", graph={"x": []}, last="x")
check.hidden.case("a node beside the graph", graph=four_lines, last="c")
mirrored = {"x": [], "u": ["x"], "v": ["u"], "y": ["v", "x"], "z": ["u", "y"]}
check.hidden.case("ways in the other order", graph=mirrored, last="z")
alone = {"w": [], "x": [], "u": ["x"], "v": ["u"], "y": ["w", "u", "x", "v"]}
check.hidden.case("four parents", graph=alone, last="y")
alone = {"x": [], "u": ["x"], "v": ["u"], "w": [], "y": ["v", "x", "u", "w"]}
check.hidden.case("four parents in the other order", graph=alone, last="y")
rng = np.random.default_rng(70)
for size in (8, 15, 30):
    graph = {}
    for i in range(size):
        several = min(i, int(rng.integers(1, 4)))
        parents = rng.choice(i, size=several, replace=False) if i else []
        graph[f"n{i}"] = [f"n{j}" for j in parents]
    check.hidden.case(f"a random graph of {size} nodes", graph=graph, last=f"n{size - 1}")
ladder = {"n0": []} | {f"n{i}": [f"n{i - 1}", f"n{i - 1}"] for i in range(1, 2000)}
check.hidden.case("a ladder of 2,000 nodes", graph=ladder, last="n1999", aspect="a deep graph")
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# In which order will *your* function visit the first picture? The next cell asks it. Backward starts
# at the largest number.

# %%
order = pictures.attempt(topological_order, L)
place = {getattr(node, "name", None): i for i, node in enumerate(order or [], start=1)}
if place:
    pictures.draw_nodes(
        L,
        lambda node: f"{node.name}\nplace {place.get(node.name, '?')}",
        "The place of each node in your order",
    )

# %% [markdown]
# *Picture: the graph of the four lines again. Each box has its place in the list that your
# `topological_order` returns. Along every arrow the number grows.*

# %% [markdown]
# ## 3. Sums, and what NumPy repeats
#
# Two small tools come before the class. They belong together: one spreads numbers out, the other adds
# them up.
#
# **Broadcasting.** When a bias of shape (n,) is added to a batch of shape (B, n), NumPy uses the bias
# B times. It is a node that is used B times, so its gradient is a sum of B contributions. The rule is
# general: **what was repeated on the way forward is added up on the way back.** NumPy repeats an array
# in two ways:
#
# - axes that the array does not have are put in front: (n,) acts as (B, n);
# - an axis of length 1 is stretched: (B, 1) acts as (B, n).

# %% [markdown]
# ### Exercise: `unbroadcast(grad, shape)`
#
# **What it is for.** It gives each parent a gradient in the parent's own shape.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `grad` | the broadcast shape | upstream gradient of the repeated array |
# | `shape` | | the shape before it was repeated, a tuple |
# | `dx` | `shape` | gradient of the array before it was repeated |
#
# When the shapes are the same, you may return `grad` itself. Two points are for equal shapes and
# leading axes, one for axes of length 1, one for both at once.
#
# **4 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure which axes NumPy has put in front.</summary>
#
# `grad.ndim` minus the length of `shape` says how many. They are the first ones. Nothing of them
# remains in the result.
#
# </details>
#
# <details><summary>I'm not sure how an axis of length 1 stays in the result.</summary>
#
# `np.sum` has an argument `keepdims`.
#
# </details>
#
# <details><summary>I'm not sure what to do when both happen.</summary>
#
# One after the other. When the axes in front are gone, the remaining axes stand under the entries of
# `shape`, one by one.
#
# </details>


# %% nbgrader={"grade_id": "unbroadcast", "solution": true}
def unbroadcast(grad, shape):
    """Undo broadcasting: add up what was repeated.

    Args:
        grad: upstream gradient of the repeated array, any shape
        shape: the shape before it was repeated, a tuple

    Returns:
        dx: gradient of the array before it was repeated, any shape
    """
    ### BEGIN SOLUTION
    in_front = grad.ndim - len(shape)
    dx = grad.sum(axis=tuple(range(in_front)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    return dx.sum(axis=stretched, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "unbroadcast-check", "grade": true, "points": 4}
rng = np.random.default_rng(71)
normal = rng.normal


def pytorch(grad, shape):
    x = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    repeated = x.broadcast_to(grad.shape)
    return torch.autograd.grad((grad * repeated).sum(), x)[0]


check = Check(
    "unbroadcast",
    pytorch,
    returns={"dx": 2},
    aspects={"axes of length 1": 1, "both at once": 1},
    may_share=["dx"],
)
check.case("a bias over a batch", grad=normal(size=(4, 3)), shape=(3,))
check.case("nothing was repeated", grad=normal(size=(2, 5)), shape=(2, 5))
check.case("a bias of three over three samples", grad=normal(size=(3, 3)), shape=(3,))
check.case("a column", grad=normal(size=(4, 3)), shape=(4, 1), aspect="axes of length 1")
check.case("a row", grad=normal(size=(3, 3)), shape=(1, 3), aspect="axes of length 1")
check.case("one in front", grad=normal(size=(2, 4, 3)), shape=(4, 1), aspect="both at once")
### BEGIN HIDDEN TESTS
check.hidden.case("a number over a matrix", grad=normal(size=(2, 3)), shape=())
check.hidden.case("two axes in front", grad=normal(size=(2, 5, 4)), shape=(4,))
check.hidden.case("a number stays a number", grad=np.array(0.7), shape=())
check.hidden.case("a sequence", grad=normal(size=(2, 3, 4)), shape=(2, 3, 4))
for made, shape in [((3, 4, 2), (3, 1, 2)), ((3, 4), (1, 1)), ((2, 3, 4), (1, 3, 1)), ((5,), (1,))]:
    check.hidden.case(
        f"{shape} as {made}", grad=normal(size=made), shape=shape, aspect="axes of length 1"
    )
for made, shape in [
    ((2, 3, 4), (1, 4)),
    ((3, 3, 3), (3, 1)),
    ((2, 4, 3, 5), (1, 3, 1)),
    ((2, 3), (1,)),
]:
    check.hidden.case(
        f"{shape} as {made}", grad=normal(size=made), shape=shape, aspect="both at once"
    )
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **A sum.** Now the other way around. `y = x.sum(axis=1)` adds the entries of each row. Every entry of
# a row has the slope 1 for that row's sum. So each entry receives the upstream gradient of its sum:
# **what was added up on the way forward is repeated on the way back.**

# %% [markdown]
# ### Exercise: `sum_backward(dy, shape, axis, keepdims)`
#
# **What it is for.** The recipe of `sum`, and nearly that of `mean`.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dy` | as `np.sum` returns it | upstream gradient of the sum |
# | `shape` | | shape of `x`, a tuple |
# | `axis` | | `None` (all axes), or a whole number, which may be negative |
# | `keepdims` | | whether the sum kept the axis, with length 1 |
# | `dx` | `shape` | gradient of `x` |
#
# **2 points · 7 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure why a plain <code>np.broadcast_to</code> is not enough.</summary>
#
# After a sum over axis 1 of a (4, 3) array, `dy` has shape (4,). NumPy lines shapes up at their ends,
# so it would take the 4 for columns. Where was the axis that is gone?
#
# </details>
#
# <details><summary>I'm not sure how to put an axis back.</summary>
#
# `np.expand_dims`. It is needed only when an axis is gone.
#
# </details>


# %% nbgrader={"grade_id": "sum_backward", "solution": true}
def sum_backward(dy, shape, axis, keepdims):
    """The gradient of an array whose entries were added up.

    Args:
        dy: upstream gradient of the sum, any shape
        shape: shape of the array, a tuple
        axis: the axis that was added up, or None for all
        keepdims: whether the sum kept the axis, with length 1

    Returns:
        dx: gradient of the array, any shape
    """
    ### BEGIN SOLUTION
    if axis is not None and not keepdims:
        dy = np.expand_dims(dy, axis)
    return np.broadcast_to(dy, shape)
    ### END SOLUTION


# %% nbgrader={"grade_id": "sum_backward-check", "grade": true, "points": 2}
rng = np.random.default_rng(72)
normal = rng.normal


def pytorch(dy, shape, axis, keepdims):
    x = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    y = x.sum() if axis is None and not keepdims else x.sum(axis=axis, keepdims=keepdims)
    return torch.autograd.grad((dy * y).sum(), x)[0]


check = Check("sum_backward", pytorch, returns={"dx": 2}, may_share=["dx"])
check.case("each row", dy=normal(size=4), shape=(4, 3), axis=1, keepdims=False)
check.case("each column of a square", dy=normal(size=3), shape=(3, 3), axis=0, keepdims=False)
check.case("each row of a square", dy=normal(size=3), shape=(3, 3), axis=1, keepdims=False)
check.case("everything", dy=np.array(-0.6), shape=(2, 3), axis=None, keepdims=False)
check.case("each row, axis kept", dy=normal(size=(4, 1)), shape=(4, 3), axis=1, keepdims=True)
### BEGIN HIDDEN TESTS
check.hidden.case("last axis", dy=normal(size=(2, 3)), shape=(2, 3, 4), axis=-1, keepdims=False)
check.hidden.case("middle axis", dy=normal(size=(3, 3)), shape=(3, 3, 3), axis=1, keepdims=False)
check.hidden.case("a vector", dy=np.array(1.3), shape=(5,), axis=0, keepdims=False)
check.hidden.case("first kept", dy=normal(size=(1, 4)), shape=(3, 4), axis=-2, keepdims=True)
check.hidden.case("all kept", dy=normal(size=(1, 1)), shape=(3, 4), axis=None, keepdims=True)
check.hidden.case("a number", dy=np.array(0.4), shape=(), axis=None, keepdims=False)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 4. The matrix product
#
# For two matrices you know the gradients from notebooks 02 and 05. With $A$ of shape (m, n), $B$ of
# shape (n, p) and $C = A B$ of shape (m, p):
#
# $$ \mathrm{d}A = \mathrm{d}C\, B^\top \qquad \mathrm{d}B = A^\top\, \mathrm{d}C $$
#
# The operator `@` of NumPy can do more. A vector on the left acts as a matrix with one row, a vector
# on the right as a matrix with one column, and that axis is gone from the result. With three axes, the
# first counts matrices, and a single matrix is used again for each.

# %% [markdown]
# ### Exercise: `matmul_backward(dC, A, B)`
#
# **What it is for.** The recipe of `@`: nearly all the work of a network.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `A`, `B` | see below | the factors of `C = A @ B` |
# | `dC` | shape of `C` | upstream gradient |
# | `dA`, `dB` | shapes of `A`, `B` | gradients |
#
# | | graded shapes of `A` and `B` |
# |---|---|
# | matrices, 2 points | (m, n) and (n, p) |
# | vectors, 1 point | (m, n) and (n,); (n,) and (n, p); (n,) and (n,) |
# | batches, 1 point | (k, m, n) and (k, n, p); (k, m, n) and (n, p); (m, n) and (k, n, p) |
#
# **4 points · 12 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how to transpose a batch of matrices.</summary>
#
# `.T` reverses all axes. `np.swapaxes(A, -1, -2)` exchanges the last two only.
#
# </details>
#
# <details><summary>I'm not sure how to begin with vectors.</summary>
#
# Give the vector the axis that it lacks, in `A` or `B` and in `dC` too. Then all are matrices, and the
# formulas above hold. At the end, give each gradient the shape of its variable.
#
# </details>
#
# <details><summary>I'm not sure why my gradient has a k that the matrix has not.</summary>
#
# The matrix was used k times. What was repeated is added up, and you have a function for that.
#
# </details>


# %% nbgrader={"grade_id": "matmul_backward", "solution": true}
def matmul_backward(dC, A, B):
    """The gradients of both factors of a matrix product.

    Args:
        dC: upstream gradient, any shape
        A: left factor, any shape
        B: right factor, any shape

    Returns:
        dA: gradient of the left factor, shape of A
        dB: gradient of the right factor, shape of B
    """
    ### BEGIN SOLUTION
    left = A if A.ndim > 1 else A[np.newaxis, :]
    right = B if B.ndim > 1 else B[:, np.newaxis]
    upstream = np.reshape(dC, (left @ right).shape)
    dleft = upstream @ np.swapaxes(right, -1, -2)
    dright = np.swapaxes(left, -1, -2) @ upstream
    dA = unbroadcast(dleft, left.shape).reshape(A.shape)
    dB = unbroadcast(dright, right.shape).reshape(B.shape)
    return dA, dB
    ### END SOLUTION


# %% nbgrader={"grade_id": "matmul_backward-check", "grade": true, "points": 4}
rng = np.random.default_rng(73)


def pytorch(dC, A, B):
    C = A @ B
    return torch.autograd.grad((dC * C).sum(), (A, B))


def product_case(A_shape, B_shape):
    A, B = rng.normal(size=A_shape), rng.normal(size=B_shape)
    return {"dC": rng.normal(size=(A @ B).shape), "A": A, "B": B}


check = Check(
    "matmul_backward",
    pytorch,
    returns={"dA": 1, "dB": 1},
    aspects={"vectors": 1, "batches": 1},
)
check.case("(4, 3) @ (3, 2)", **product_case((4, 3), (3, 2)))
check.case("(3, 3) @ (3, 3)", **product_case((3, 3), (3, 3)))
check.case("(4, 3) @ (3,)", **product_case((4, 3), (3,)), aspect="vectors")
check.case("(3,) @ (3, 2)", **product_case((3,), (3, 2)), aspect="vectors")
check.case("(5, 4, 3) @ (5, 3, 2)", **product_case((5, 4, 3), (5, 3, 2)), aspect="batches")
check.case("(5, 4, 3) @ (3, 2)", **product_case((5, 4, 3), (3, 2)), aspect="batches")
### BEGIN HIDDEN TESTS
check.hidden.case("(1, 4) @ (4, 1)", **product_case((1, 4), (4, 1)))
check.hidden.case("(2, 5) @ (5, 3)", **product_case((2, 5), (5, 3)))
check.hidden.case("(3,) @ (3,)", **product_case((3,), (3,)), aspect="vectors")
check.hidden.case("(3, 3) @ (3,)", **product_case((3, 3), (3,)), aspect="vectors")
check.hidden.case("(3,) @ (3, 3)", **product_case((3,), (3, 3)), aspect="vectors")
check.hidden.case("(1,) @ (1, 4)", **product_case((1,), (1, 4)), aspect="vectors")
check.hidden.case("(4, 3) @ (5, 3, 2)", **product_case((4, 3), (5, 3, 2)), aspect="batches")
check.hidden.case("(3, 3, 3) @ (3, 3)", **product_case((3, 3, 3), (3, 3)), aspect="batches")
check.hidden.case("(2, 1, 3) @ (2, 3, 4)", **product_case((2, 1, 3), (2, 3, 4)), aspect="batches")
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 5. The class
#
# A `Tensor` is a node: a value, a gradient, an operation, parents, and a recipe. Python turns `a + b`
# into a call of `a.__add__(b)`. So if `__add__` makes a new tensor and writes down where it came from,
# the forward pass builds the graph by itself.
#
# Here is a method that the exercise does *not* ask for, the sine, in three lines:
#
# ```python
# def sin(self):
#     def recipe(upstream):
#         return (upstream * np.cos(self.data),)   # one gradient for each parent
#
#     return Tensor(np.sin(self.data), "sin", (self,), recipe)
# ```
#
# The recipe is a function inside the method. It is *kept* now and *called* later, in `backward()`, when
# the upstream gradient is known. It still sees `self`: Python keeps what an inner function uses. Other
# designs work too: a recipe that adds to the gradients itself, or a small class for each operation.
# The check looks at what your tensors do, and not at how.
#
# Then `backward()` is short:
#
# 1. Put all nodes in order.
# 2. Give the last node, which calls it, the gradient 1.
# 3. From the last node to the first: call the node's recipe with the node's gradient, and **add** what
#    comes back to the gradients of its parents, each in the parent's own shape.
#
# You need not write all methods at once. The check has points for every operation. Begin with
# `__init__`, `backward`, `+`, `*` and `sum`, run the check, and go on.

# %% [markdown]
# ### Exercise: `Tensor(data)`
#
# **What it is for.** It is the engine: forward lines in, gradients out.
#
# | symbol | form | meaning |
# |---|---|---|
# | `data` | float64 array | the value; `Tensor` also takes numbers and lists |
# | `grad` | array, shape of `data` | gradient; before the first `backward()` it is `None` or zeros, as you like |
# | `op` | a text | another one for each operation; of a leaf `""` |
# | `parents` | a tuple | the tensors it was made from; of a leaf empty (a list or set will do) |
#
# | points | operation | what is graded |
# |---|---|---|
# | 3 | a leaf | value (float64, also from whole numbers), and its gradient |
# | 6 | `a + b`, `a * b`, `a - b`, `a / b`, `a ** n`, `t.T` | the exponent is a number; `T` is a property, of a matrix |
# | 4 | `a @ b` | 2 matrices, 1 vectors, 1 batches: the shapes of section 4 |
# | 4 | `t.sum()`, `t.mean()` | over everything, and along one axis: `axis`, `keepdims` as in NumPy |
# | 5 | `t.reshape(shape)`, `t.exp()`, `t.log()`, `t.tanh()`, `t.relu()` | `shape` is a tuple (`t.reshape(2, 6)` will do too); ReLU has slope 0 at 0 |
# | 2 | a number beside a tensor | `t + 2`, `2 - t`, `3 / t`, …, and `-t` |
# | 3 | a tensor that is used twice | gradients add up, as in `a * a`, also in deep and crooked graphs |
# | 3 | broadcasting | axes in front, axes of length 1, both |
# | 1 | results in the middle | they have a `grad` too |
# | 1 | two losses | a second `backward()`, of another graph, adds to the `grad` of the leaves, as PyTorch does |
# | 1 | depth | a chain of 2,000 nodes |
# | 1 | `op` and `parents` | of `+`, `*`, `@` and `exp`; `a - b` may be made of two nodes |
#
# `backward()` is called on a tensor of shape () only. Not graded: a second `backward()` through the
# *same* graph, an array on the left of an operator, an `axis` that is a tuple.
#
# **34 points · 50 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how much to write before the first check.</summary>
#
# `__init__`, `backward` and `__add__`. With these, numbers can be added. For arrays the check needs
# one number at the end, so it also uses `*` and `sum` (or other operations, if those are not there).
# The report names the first operation that is wrong or absent.
#
# </details>
#
# <details><summary>I'm not sure where the gradient of a repeated operand gets its shape.</summary>
#
# All operands can go the same way: when a recipe's result is added to a parent's `grad`, bring it to
# the shape of the parent's `data` first. You have a function for that.
#
# </details>
#
# <details><summary>I'm not sure why <code>a * a</code> has half of its gradient.</summary>
#
# The node has `a` as a parent twice, and the recipe returns two gradients. Both belong to `a`. Does
# the second one replace the first, or is one of them lost in a set of parents?
#
# </details>
#
# <details><summary>I'm not sure what happens to <code>2 - t</code>.</summary>
#
# The number 2 does not know your class. Python then calls `t.__rsub__(2)`. The operand on the left is
# the argument, and the one on the right is `self`.
#
# </details>
#
# <details><summary>I'm not sure what an operator does with a number.</summary>
#
# Make a tensor of it first, a leaf. `isinstance(other, Tensor)` says whether that is needed.
#
# </details>
#
# <details><summary>I'm not sure which value a slope is taken at.</summary>
#
# Some slopes are short in terms of the input, others in terms of the *output*: exp and tanh. A recipe
# may use either. Keep the output in a variable of the method.
#
# </details>


# %% nbgrader={"grade_id": "Tensor", "solution": true}
class Tensor:
    """An array that remembers how it was computed.

    Attributes:
        data: the value, a float64 array
        grad: gradient of the output of the last backward() for it, the shape of data
        op: name of the operation that made it, "" for a leaf
        parents: the tensors it was made from, a tuple, empty for a leaf
    """

    recording = True  # no_grad() will switch this off: then a result has no parents
    __array_ufunc__ = None  # an array on the left then leaves the operation to this class

    def __init__(self, data, op="", parents=(), recipe=None):
        """A leaf, or a result with its operation, its parents and its recipe."""
        ### BEGIN SOLUTION
        self.data = np.array(data, dtype=np.float64)
        self.grad = None
        self.op = op if Tensor.recording else ""
        self.parents = tuple(parents) if Tensor.recording else ()
        self.recipe = recipe if Tensor.recording else None
        ### END SOLUTION

    def backward(self):
        """Fill the grad of every tensor behind this one, whose shape is ()."""

        ### BEGIN SOLUTION
        def receive(node, gradient):
            gradient = unbroadcast(gradient, node.data.shape)
            node.grad = gradient if node.grad is None else node.grad + gradient

        order = topological_order(self)
        for node in order:
            if node.parents:
                node.grad = None  # what an earlier backward left in the middle is not ours
        receive(self, np.ones_like(self.data))
        for node in reversed(order):
            if node.parents:
                for parent, gradient in zip(node.parents, node.recipe(node.grad), strict=True):
                    receive(parent, gradient)
        ### END SOLUTION

    def __add__(self, other):
        """self + other, a Tensor or a number."""
        ### BEGIN SOLUTION
        other = other if isinstance(other, Tensor) else Tensor(other)
        return Tensor(self.data + other.data, "+", (self, other), lambda g: (g, g))
        ### END SOLUTION

    def __mul__(self, other):
        """self * other, entry by entry."""
        ### BEGIN SOLUTION
        other = other if isinstance(other, Tensor) else Tensor(other)

        def recipe(upstream):
            return upstream * other.data, upstream * self.data

        return Tensor(self.data * other.data, "*", (self, other), recipe)
        ### END SOLUTION

    def sum(self, axis=None, keepdims=False):
        """The sum of all entries, or along one axis."""

        ### BEGIN SOLUTION
        def recipe(upstream):
            return (sum_backward(upstream, self.data.shape, axis, keepdims),)

        return Tensor(self.data.sum(axis=axis, keepdims=keepdims), "sum", (self,), recipe)
        ### END SOLUTION

    def __sub__(self, other):
        """self - other."""
        ### BEGIN SOLUTION
        other = other if isinstance(other, Tensor) else Tensor(other)
        return Tensor(self.data - other.data, "-", (self, other), lambda g: (g, -g))
        ### END SOLUTION

    def __truediv__(self, other):
        """self / other, entry by entry."""
        ### BEGIN SOLUTION
        other = other if isinstance(other, Tensor) else Tensor(other)

        def recipe(upstream):
            return upstream / other.data, -upstream * self.data / other.data**2

        return Tensor(self.data / other.data, "/", (self, other), recipe)
        ### END SOLUTION

    def __pow__(self, exponent):
        """self ** exponent, which is a number."""

        ### BEGIN SOLUTION
        def recipe(upstream):
            return (upstream * exponent * self.data ** (exponent - 1),)

        return Tensor(self.data**exponent, "**", (self,), recipe)
        ### END SOLUTION

    def __matmul__(self, other):
        """self @ other, for the shapes of section 4."""
        ### BEGIN SOLUTION
        other = other if isinstance(other, Tensor) else Tensor(other)

        def recipe(upstream):
            return matmul_backward(upstream, self.data, other.data)

        return Tensor(self.data @ other.data, "@", (self, other), recipe)
        ### END SOLUTION

    def mean(self, axis=None, keepdims=False):
        """The mean of all entries, or along one axis."""
        ### BEGIN SOLUTION
        added = self.data.size if axis is None else self.data.shape[axis]
        return self.sum(axis, keepdims) / added
        ### END SOLUTION

    def reshape(self, shape):
        """The same entries in another shape, a tuple."""
        ### BEGIN SOLUTION
        before = self.data.shape
        return Tensor(self.data.reshape(shape), "reshape", (self,), lambda g: (g.reshape(before),))
        ### END SOLUTION

    @property
    def T(self):
        """The transpose of a matrix."""
        ### BEGIN SOLUTION
        return Tensor(self.data.T, "T", (self,), lambda g: (g.T,))
        ### END SOLUTION

    def exp(self):
        """e to the power of each entry."""
        ### BEGIN SOLUTION
        y = np.exp(self.data)
        return Tensor(y, "exp", (self,), lambda g: (g * y,))
        ### END SOLUTION

    def log(self):
        """The natural logarithm of each entry."""
        ### BEGIN SOLUTION
        return Tensor(np.log(self.data), "log", (self,), lambda g: (g / self.data,))
        ### END SOLUTION

    def tanh(self):
        """The hyperbolic tangent of each entry."""
        ### BEGIN SOLUTION
        y = np.tanh(self.data)
        return Tensor(y, "tanh", (self,), lambda g: (g * (1 - y**2),))
        ### END SOLUTION

    def relu(self):
        """Each entry, or 0 where it is negative."""
        ### BEGIN SOLUTION
        on = self.data > 0
        return Tensor(np.where(on, self.data, 0.0), "relu", (self,), lambda g: (g * on,))
        ### END SOLUTION

    def __neg__(self):
        """-self."""
        ### BEGIN SOLUTION
        return self * -1.0
        ### END SOLUTION

    def __radd__(self, other):
        """other + self, for a number on the left."""
        ### BEGIN SOLUTION
        return self + other
        ### END SOLUTION

    def __rmul__(self, other):
        """other * self, for a number on the left."""
        ### BEGIN SOLUTION
        return self * other
        ### END SOLUTION

    def __rsub__(self, other):
        """other - self, for a number on the left."""
        ### BEGIN SOLUTION
        return Tensor(other) - self
        ### END SOLUTION

    def __rtruediv__(self, other):
        """other / self, for a number on the left."""
        ### BEGIN SOLUTION
        return Tensor(other) / self
        ### END SOLUTION


# %% nbgrader={"grade_id": "Tensor-check", "grade": true, "points": 34}
# Each case is a line of code. The same line runs on your tensors and on PyTorch's. The gradients of
# a, b and c are compared, and of results in the middle that a line calls h or k.
rng = np.random.default_rng(74)


def weights_case(shape):
    """Upstream gradients that are not all ones."""
    return np.cos(np.arange(np.prod(shape, dtype=int)) + 1.0).reshape(shape)


def loss_case(Tensor, out):
    """A number whose gradient at `out`, times the factor beside it, is weights_case.

    There are several ways to make one, so that a missing operation blocks nothing else.
    """
    shape = np.shape(out.data)
    w = weights_case(shape)
    ways = [
        lambda t: (t * Tensor(w)).sum(),
        lambda t: t.reshape((w.size,)) @ Tensor(w.reshape(w.size)),
        lambda t: (t * Tensor(w * w.size)).mean(),
        lambda t: (t / Tensor(1 / w)).sum(),
    ]
    for way in ways:
        try:
            leaf = Tensor(np.zeros(shape))
            way(leaf).backward()
            if np.shape(leaf.grad) == shape and np.allclose(leaf.grad, w):
                return way(out), 1.0
        except Exception:
            continue
    return (out, float(w)) if shape == () else (ways[0](out), 1.0)


def reshaped_case(t, shape):
    """t.reshape((2, 6)) and t.reshape(2, 6) are both fine."""
    try:
        return t.reshape(shape)
    except TypeError:
        return t.reshape(*shape)


def named_case(arrays):
    """The arrays of a case under the names a, b and c."""
    return {"abc"[i]: array for i, array in enumerate(arrays)}


def numbers_case(value, factor=1.0):
    """A copy of what a tensor holds; None stays None."""
    return None if value is None else np.array(value) * factor


def probe(Tensor, line, *arrays):
    """Run a line, or several with ";" between them, each with a backward of its own."""
    tensors = {name: Tensor(array) for name, array in named_case(arrays).items()}
    before = {name: numbers_case(t.data) for name, t in tensors.items()}
    names = {"reduce": reduce, "reshape": reshaped_case, "op": lambda t: t.op or "", **tensors}
    names["different_ops"] = lambda *results: len({t.op for t in results})
    names["made_from"] = lambda t: sorted(
        n for n, v in tensors.items() if any(v is p for p in t.parents)
    )
    for part in line.split(";"):
        out = eval(part.strip(), names)
        if out is None or isinstance(out, (int, list, str)):
            return out, {}
        if not hasattr(out, "backward"):
            raise Misfit(f"gives {type(out).__name__} for {part.strip()}, expected a Tensor.")
        loss, factor = loss_case(Tensor, out)
        loss.backward()
        tensors |= {n: names[n] for n in "hk" if n in names}
    for name, value in before.items():
        if not np.array_equal(value, tensors[name].data):
            raise Misfit(f"changes the data of the operand {name}. Its data must stay as it was.")
    grads = {n: numbers_case(t.grad, factor) for n, t in tensors.items()}
    return np.array(out.data), grads


def pytorch(line, *arrays):
    leaves = {n: t.detach().double().requires_grad_() for n, t in named_case(arrays).items()}
    names = {"reduce": reduce, "reshape": torch.reshape, **leaves}
    names["op"] = lambda t: t.grad_fn.name() if t.grad_fn else ""
    names["different_ops"] = lambda *results: len({t.grad_fn and t.grad_fn.name() for t in results})
    names["made_from"] = lambda t: sorted(
        n
        for n in leaves
        if t.grad_fn and any(leaves[n] is f.variable for f, _ in t.grad_fn.next_functions)
    )
    for part in line.split(";"):
        out = eval(part.strip(), names)
        if isinstance(out, (int, list, str)):
            return out, {}
        kept = leaves | {n: names[n] for n in "hk" if n in names}
        for t in kept.values():
            t.retain_grad()  # PyTorch keeps gradients of leaves only, unless asked
        (out * torch.tensor(weights_case(out.shape))).sum().backward()
    return out, {n: t.grad for n, t in kept.items()}


def normal(*shape):
    return rng.normal(size=shape)


def positive(*shape):
    return rng.uniform(0.4, 2.0, size=shape)


def random_line(steps):
    """A random graph of sums and products over a, b and c."""
    known, lines = ["a", "b", "c"], []
    for i in range(steps):
        x, y = rng.choice(known, size=2)
        lines.append(f"v{i} := {x} {rng.choice(['+', '*'])} {y}")
        known.append(f"v{i}")
    return f"[{', '.join(lines)}, {' + '.join(known)}][-1]"


check = Check(
    "Tensor",
    pytorch,
    returns={"value": 1, "grad": 2},
    aspects={
        **{"+": 1, "*": 1, "sum": 1, "sum along an axis": 1, "-": 1, "/": 1, "**": 1},
        **{"@ of matrices": 2, "@ with vectors": 1, "@ of batches": 1},
        **{"mean": 1, "mean along an axis": 1, "reshape": 1, "T": 1},
        **{"exp": 1, "log": 1, "tanh": 1, "relu": 1, "a number beside a tensor": 2},
        **{"used twice": 3, "broadcasting": 3, "results in the middle": 1, "two losses": 1},
        **{"depth": 1, "op and parents": 1},
    },
    probe=probe,
)
check.case("a leaf that is a number", line="a", a=np.array(-1.5))
check.case("a leaf of whole numbers", line="a", a=np.array([[2, -1, 0], [1, 3, -4]]))
for aspect, line, *arrays in [
    ("+", "a + b", np.array(1.5), np.array(-2.0)),
    ("+", "a + b", normal(3, 4), normal(3, 4)),
    ("*", "a * b", np.array(1.5), np.array(-2.0)),
    ("*", "a * b", normal(3, 4), normal(3, 4)),
    ("sum", "a.sum()", normal(3, 4)),
    ("sum along an axis", "a.sum(axis=1)", normal(3, 3)),
    ("sum along an axis", "a.sum(axis=0, keepdims=True)", normal(3, 4)),
    ("-", "a - b", normal(3, 4), normal(3, 4)),
    ("/", "a / b", normal(3, 4), positive(3, 4)),
    ("**", "a ** 3", normal(3, 4)),
    ("**", "a ** 0.5", positive(3, 4)),
    ("@ of matrices", "a @ b", normal(4, 3), normal(3, 2)),
    ("@ of matrices", "a @ b", normal(3, 3), normal(3, 3)),
    ("@ with vectors", "a @ b", normal(4, 3), normal(3)),
    ("@ of batches", "a @ b", normal(5, 4, 3), normal(3, 2)),
    ("mean", "a.mean()", normal(3, 4)),
    ("mean along an axis", "a.mean(axis=0)", normal(3, 4)),
    ("reshape", "reshape(a, (2, 6))", normal(3, 4)),
    ("T", "a.T", normal(3, 4)),
    ("exp", "a.exp()", normal(3, 4)),
    ("log", "a.log()", positive(3, 4)),
    ("tanh", "a.tanh()", normal(3, 4)),
    ("relu", "a.relu()", normal(3, 4)),
    ("relu", "a.relu()", np.array([0.0, 1.2, -0.3])),
    ("a number beside a tensor", "2 - a", normal(3, 4)),
    ("a number beside a tensor", "a * 2 + 1", normal(3, 4)),
    ("used twice", "a * a", normal(3, 4)),
    ("used twice", "((v := a * b) + a) * v", np.array(1.5), np.array(-2.0)),
    ("used twice", random_line(6), normal(2, 3), normal(2, 3), normal(2, 3)),
    ("broadcasting", "a + b", normal(4, 3), normal(3)),
    ("broadcasting", "a * b", normal(3, 1), normal(3, 4)),
    ("broadcasting", "a + b", normal(2, 4, 3), normal(4, 1)),
    ("results in the middle", "(h := a * b) * b", normal(3, 4), normal(3, 4)),
    ("two losses", "a * b; a + b", normal(3, 4), normal(3, 4)),
    ("depth", "reduce(lambda t, i: t + a, range(2000), a)", np.array(0.5)),
    ("op and parents", "made_from(a + b)", normal(2), normal(2)),
    ("op and parents", "different_ops(a, a + b, a * b, a @ b, a.exp())", normal(2), normal(2)),
]:
    check.case(line, aspect=aspect, line=line, **named_case(arrays))
### BEGIN HIDDEN TESTS
check.hidden.case("a leaf with three axes", line="a", a=normal(2, 3, 4))
for aspect, line, *arrays in [
    ("+", "a + b", normal(5), normal(5)),
    ("+", "a + b + c", normal(2, 3), normal(2, 3), normal(2, 3)),
    ("*", "a * b * c", normal(2, 3), normal(2, 3), normal(2, 3)),
    ("sum", "a.sum()", normal(2, 3, 2)),
    ("sum", "a.sum()", np.array(0.7)),
    ("sum along an axis", "a.sum(axis=-1)", normal(2, 3, 4)),
    ("sum along an axis", "a.sum(axis=0)", normal(3, 3)),
    ("sum along an axis", "a.sum(axis=1, keepdims=True)", normal(3, 3)),
    ("-", "a - b - c", normal(5), normal(5), normal(5)),
    ("/", "a / b / c", normal(2, 3), positive(2, 3), -positive(2, 3)),
    ("**", "a ** 2", normal(2, 3)),
    ("**", "a ** -1", positive(2, 3)),
    ("**", "a ** 1.7", positive(5)),
    ("@ of matrices", "a @ b @ c", normal(2, 5), normal(5, 3), normal(3, 4)),
    ("@ with vectors", "a @ b", normal(3), normal(3, 2)),
    ("@ with vectors", "a @ b", normal(4), normal(4)),
    ("@ with vectors", "a @ b", normal(3, 3), normal(3)),
    ("@ with vectors", "a @ b", normal(3), normal(3, 3)),
    ("@ of batches", "a @ b", normal(5, 4, 3), normal(5, 3, 2)),
    ("@ of batches", "a @ b", normal(4, 3), normal(2, 3, 2)),
    ("mean", "a.mean()", normal(2, 3, 4)),
    ("mean along an axis", "a.mean(axis=1, keepdims=True)", normal(3, 4)),
    ("mean along an axis", "a.mean(axis=-1)", normal(3, 3)),
    ("mean along an axis", "a.mean(axis=1)", normal(2, 4, 3)),
    ("mean along an axis", "a.mean(axis=-2, keepdims=True)", normal(2, 4, 3)),
    ("reshape", "reshape(a, (4,))", normal(2, 2)),
    ("reshape", "reshape(a, (3, 4))", normal(2, 3, 2)),
    ("T", "a.T", normal(3, 3)),
    ("T", "a.T", normal(2, 5)),
    ("exp", "a.exp().exp()", 0.5 * normal(2, 3)),
    ("log", "a.log().log()", 3 + positive(2, 3)),
    ("log", "a.log()", np.array([1e-6, 0.02, 300.0])),
    ("tanh", "a.tanh().tanh()", normal(2, 3)),
    ("relu", "a.relu().relu()", normal(4, 3)),
    ("a number beside a tensor", "2 + a", normal(5)),
    ("a number beside a tensor", "3 * a", normal(5)),
    ("a number beside a tensor", "a - 3", normal(5)),
    ("a number beside a tensor", "a / 4", normal(5)),
    ("a number beside a tensor", "3 / a", positive(5)),
    ("a number beside a tensor", "-a", normal(5)),
    ("used twice", "a + a", normal(5)),
    ("used twice", "a * (a + a)", normal(5)),
    ("@ of matrices", "a @ a", normal(3, 3)),
    ("used twice", "[v := a + b, v * v + v][-1]", normal(5), normal(5)),
    ("used twice", "[v := a * c, w := a + b, v + w][-1]", normal(5), normal(5), normal(5)),
    ("used twice", "[v := a + b, w := a * c, v + w][-1]", normal(5), normal(5), normal(5)),
    ("used twice", "reduce(lambda t, i: t + t, range(8), a)", normal(3)),
    *[("used twice", random_line(n), *[normal(2, 3) for _ in "abc"]) for n in (4, 9, 9, 14)],
    ("broadcasting", "a + b", normal(3, 3), normal(3)),
    ("broadcasting", "b * a", normal(4, 3), np.array(0.6)),
    ("/", "a / b", normal(3), positive(4, 3)),
    ("-", "a - b", normal(1, 3), normal(4, 1)),
    ("broadcasting", "a * b", normal(1, 3), normal(4, 1)),
    ("broadcasting", "(a + b) * b", normal(2, 3, 3), normal(3, 1)),
    ("results in the middle", "[h := a + b, k := h * a, k * b + h][-1]", normal(5), normal(5)),
    ("results in the middle", "[h := a + b, k := h.sum(), k * k][-1]", normal(5), normal(5)),
    ("two losses", "a * b; a * a; a + b", normal(5), normal(5)),
    ("depth", "reduce(lambda t, i: t * b + a, range(1000), a)", np.array(0.5), np.array(0.9)),
    ("op and parents", "made_from(a @ b)", normal(2), normal(2)),
    ("op and parents", "made_from(a * a)", normal(2)),
    ("op and parents", "made_from(b.exp())", normal(2), normal(2)),
    ("op and parents", "made_from(a)", normal(2)),
    ("op and parents", "op(a)", normal(2)),
]:
    check.hidden.case(line, aspect=aspect, line=line, **named_case(arrays))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### The graph, drawn from your own tensors
#
# A residual connection adds the input of a layer to its output: `y = x + tanh(x @ W.T)`. Nothing else
# is needed for the famous direct path. The `+` in the forward line *is* the path: it has two parents,
# and it hands its upstream gradient to both. The total gradient of `x` has a part from each. The next
# cell runs these lines with your class and draws what `.parents` and `.grad` then hold.


# %%
def residual():
    x = Tensor([1.0, -2.0])
    W = Tensor([[0.5, -0.3], [0.2, 0.4]])
    branch = (x @ W.T).tanh()
    y = x + branch
    loss = (y * Tensor([1.0, 3.0])).sum()
    loss.backward()
    return loss, {
        id(x): "x",
        id(W): "W",
        id(branch): "branch = tanh",
        id(y): "y = +",
        id(loss): "sum",
    }


def with_gradient(node, names):
    """Name or operation, and the gradient that backward left; of a matrix, its shape."""
    name = names.get(id(node), node.op or "numbers")
    return f"{name}\ngrad {pictures.short(node.grad) if node.data.ndim < 2 else node.data.shape}"


result = pictures.attempt(residual)
if result:
    pictures.draw_nodes(
        result[0],
        lambda node: with_gradient(node, result[1]),
        "Two arrows leave x: what meets there on the way back?",
    )

# %% [markdown]
# *Picture: the graph of a residual connection, drawn from the `parents` and `grad` of your tensors. From
# x one arrow leads straight to the sum y, another through the product with W and the tanh. The
# gradient at y is (1, 3), the same numbers arrive at the branch, and the gradient at x is not (1, 3):
# what came through the branch was added.*
#
# The graph is made when the lines run. So `if` and `for` in a forward pass need no special treatment: a
# loop of five rounds leaves five rounds of nodes, and the next call may leave another graph.
#
# Each node of your engine keeps its output. That is the memory that training costs. PyTorch keeps a
# little less: for each operation only what its slope needs, such as the output of tanh, and nothing for
# a sum.

# %% [markdown]
# ## 6. No graph when none is needed
#
# A prediction needs no gradients, so it needs no graph. Its results should be leaves, and what they were
# made from can be forgotten at once. PyTorch has `torch.no_grad()` for this, a *context manager*:
#
# ```python
# with no_grad():
#     y = model(x)      # y.parents is empty
# ```
#
# Your class has a switch, `Tensor.recording`. When it is off, a result has no parents. (If your
# `__init__` does not look at the switch yet, now is the time. Every result passes through `__init__`.)

# %% [markdown]
# ### Exercise: `no_grad()`
#
# **What it is for.** A part of a program that leaves no graph behind.
#
# | symbol | form | meaning |
# |---|---|---|
# | `no_grad()` | a context manager, stands after `with` | inside the block, results have no parents |
#
# After the block the switch is as it was **before** it. Points: 2 for that, 1 for a block inside
# another, 1 for a block that an error ends. The error must come through.
#
# **4 points · 8 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to write a context manager.</summary>
#
# In one of two ways. A class with `__enter__(self)`, which runs before the block, and
# `__exit__(self, *error)`, which runs after it: this is what the cell begins. Or, in place of the
# class, a function with one `yield` and `@contextlib.contextmanager` above it: what stands before the
# `yield` runs before the block.
#
# </details>
#
# <details><summary>I'm not sure what goes wrong with a block inside another.</summary>
#
# After the inner block the outer one goes on. So the inner one must not switch recording on. It must
# put back what it found. Where do you keep what you found?
#
# </details>
#
# <details><summary>I'm not sure what happens to my <code>yield</code> when the block raises an error.</summary>
#
# The error is raised at the `yield`, and the lines after it do not run. Python has a statement whose
# last part runs in any case: `try:` with `finally:`.
#
# </details>


# %% nbgrader={"grade_id": "no_grad", "solution": true}
class no_grad:
    """A context manager: inside its block, tensors are made without parents."""

    def __enter__(self):
        """Runs before the block."""
        ### BEGIN SOLUTION
        self.before = Tensor.recording
        Tensor.recording = False
        ### END SOLUTION

    def __exit__(self, *error):
        """Runs after the block, also when an error ends it."""
        ### BEGIN SOLUTION
        Tensor.recording = self.before
        ### END SOLUTION


# %% nbgrader={"grade_id": "no_grad-check", "grade": true, "points": 4}
def story_case(situation, no_grad, has_graph):
    """Where has a result a graph? The same story for your no_grad and for PyTorch's."""
    found = {"before the block": has_graph()}
    if situation == "a block":
        with no_grad():
            found["inside"] = has_graph()
    elif situation == "a block in a block":
        with no_grad():
            with no_grad():
                found["inside both"] = has_graph()
            found["after the inner block"] = has_graph()
    elif situation == "an object that has no block yet":
        later = no_grad()
        found["while its block has not begun"] = has_graph()
        with later:
            found["inside"] = has_graph()
    elif situation == "an error in the block":
        came_through = False
        try:
            with no_grad():
                raise ZeroDivisionError("an error inside the block")
        except ZeroDivisionError:
            came_through = True
        found["the error came through"] = came_through
    found["after the block"] = has_graph()
    return found


def probe(no_grad, Tensor, situation, a, b):
    a, b = Tensor(a), Tensor(b)
    switch = getattr(Tensor, "recording", None)
    try:
        return story_case(situation, no_grad, lambda: len((a * b).parents) > 0)
    finally:
        if switch is not None:
            Tensor.recording = switch  # the next case starts as this one did


def pytorch(situation, a, b):
    return story_case(situation, torch.no_grad, lambda: (a * b).requires_grad)


check = Check(
    "no_grad",
    pytorch,
    returns={"graph": 2},
    aspects={"a block in a block": 1, "an error in the block": 1},
    probe=probe,
    uses=["Tensor"],
)
a, b = np.array([1.0, -2.0]), np.array([0.5, 3.0])
check.case("a block", situation="a block", a=a, b=b)
for situation in ["a block in a block", "an error in the block"]:
    check.case(situation, aspect=situation, situation=situation, a=a, b=b)
### BEGIN HIDDEN TESTS
check.hidden.case("a block, once more", situation="a block", a=b, b=a)
check.hidden.case("no block at all", situation="no block", a=a, b=b)
later = "an object that has no block yet"
check.hidden.case(later, situation=later, a=a, b=b)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 7. Your engine at work
#
# From here on you write forward lines only. First a small tool: the gradient of any function. Notebook
# 02 found it by central differences, with two calls of the function for every entry of `x`. The engine
# needs one call, whatever the size of `x`.

# %% [markdown]
# ### Exercise: `gradient_of(f, x)`
#
# **What it is for.** The gradient of any function that your operations can say.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `f` | | takes a `Tensor`, returns a `Tensor` of shape () |
# | `x` | any | an array, not a tensor |
# | `dx` | shape of `x` | gradient of `f` at `x`, an array |
#
# **2 points · 5 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what <code>f</code> wants.</summary>
#
# A tensor, and you have an array. Keep the tensor that you make of it: the gradient will be there.
#
# </details>
#
# <details><summary>I'm not sure what to call <code>backward()</code> on.</summary>
#
# On what `f` returns. It fills the `grad` of everything behind it.
#
# </details>


# %% nbgrader={"grade_id": "gradient_of", "solution": true}
def gradient_of(f, x):
    """The gradient of a function of one array.

    Args:
        f: takes a Tensor, returns a Tensor of shape ()
        x: where the gradient is taken, an array, any shape

    Returns:
        dx: gradient of f at x, an array, shape of x
    """
    ### BEGIN SOLUTION
    leaf = Tensor(x)
    f(leaf).backward()
    return leaf.grad
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradient_of-check", "grade": true, "points": 2}
rng = np.random.default_rng(75)
normal = rng.normal


def formula_case(line):
    """A line of code as a function of t; it works on your tensors and on PyTorch's."""
    return lambda t: eval(line, {"t": t})


def probe(gradient_of, line, x):
    gradient_of(formula_case(line), x)  # a second call starts as the first one did
    return gradient_of(formula_case(line), x)


def pytorch(line, x):
    return torch.autograd.grad(formula_case(line)(x), x)[0]


check = Check("gradient_of", pytorch, returns={"dx": 2}, probe=probe)
check.case("a sum of squares", line="(t * t).sum()", x=normal(size=(3, 2)))
check.case("a mean of tanh", line="(t.tanh() + 2 * t).mean()", x=normal(size=4))
### BEGIN HIDDEN TESTS
check.hidden.case("log of a sum of powers", line="t.exp().sum().log()", x=normal(size=(2, 3)))
check.hidden.case("a number", line="t * t.exp()", x=np.array(0.3))
check.hidden.case("the same tensor in a product", line="(t.T @ t).sum()", x=normal(size=(3, 2)))
check.hidden.case("three axes", line="(t ** 3).mean()", x=normal(size=(2, 2, 3)))
check.hidden.case("a large constant", line="(1000 + t.tanh()).sum()", x=normal(size=(2, 3)))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **A loss that nobody derived.** The mean cross-entropy of notebook 01 takes logits and compares their
# softmax with the classes. In the operations that you have:
#
# $$ \log p = s - \log \sum_j e^{s_j} \qquad s = \text{logits} - \max_j \text{logits}_j \qquad
# L = -\frac1B \sum_{i,j} Y_{ij} \log p_{ij} $$
#
# The logits, $s$, $\log p$ and $Y$ have shape (B, C): a row for each sample, a column for each class.
# $Y$ is *one-hot*: each row is 0, with a 1 at the class of the sample. The maximum of each row is
# taken off so that the exponential cannot overflow. It is the same for all entries of a row, and it
# cancels in $\log p$. So it may enter as a plain number, from `logits.data`, without a gradient.

# %% [markdown]
# ### Exercise: `mean_cross_entropy(logits, one_hot)`
#
# **What it is for.** A loss from a few forward lines, with its gradient for nothing.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `logits` | (B, C) | a `Tensor` |
# | `one_hot` | (B, C) | an array: 1 at the class of each sample |
# | `loss` | () | a `Tensor`, the mean over the samples |
#
# Points: 1 for the loss, 2 for its gradient, 1 for logits of ±1000.
#
# **4 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure which axis is meant.</summary>
#
# A row belongs to one sample, and the sum in the formula runs over the classes: along the row. With
# `keepdims=True` the sums remain a column, which can be taken off the rows.
#
# </details>
#
# <details><summary>I'm not sure how the maximum stays a plain number.</summary>
#
# `logits.data` is an array. What you compute with NumPy from it has no parents. Then take it off the
# *tensor*.
#
# </details>
#
# <details><summary>I'm not sure what to divide by.</summary>
#
# By the number of samples B. A mean over all B·C entries would divide by C as well.
#
# </details>


# %% nbgrader={"grade_id": "mean_cross_entropy", "solution": true}
def mean_cross_entropy(logits, one_hot):
    """The mean cross-entropy of a batch.

    Args:
        logits: a Tensor, shape (B, C)
        one_hot: 1 at the class of each sample, 0 elsewhere, an array, shape (B, C)

    Returns:
        loss: a Tensor, shape ()
    """
    ### BEGIN SOLUTION
    shifted = logits - logits.data.max(axis=1, keepdims=True)
    log_p = shifted - shifted.exp().sum(axis=1, keepdims=True).log()
    return -(log_p * one_hot).sum() / len(one_hot)
    ### END SOLUTION


# %% nbgrader={"grade_id": "mean_cross_entropy-check", "grade": true, "points": 4}
rng = np.random.default_rng(76)
normal = rng.normal


def probe(mean_cross_entropy, Tensor, logits, one_hot):
    logits = Tensor(logits)
    loss = mean_cross_entropy(logits, one_hot)
    if not isinstance(loss, Tensor):
        raise Misfit(f"returned {type(loss).__name__}, expected a Tensor.")
    loss.backward()
    return loss.data, logits.grad


def pytorch(logits, one_hot):
    loss = F.cross_entropy(logits, one_hot.argmax(dim=1))
    return loss, torch.autograd.grad(loss, logits)[0]


def classes_case(C, *classes):
    return np.eye(C)[list(classes)]


check = Check(
    "mean_cross_entropy",
    pytorch,
    returns={"loss": 1, "dlogits": 2},
    aspects={"large logits": 1},
    probe=probe,
    uses=["Tensor"],
)
check.case("4 samples, 3 classes", logits=normal(size=(4, 3)), one_hot=classes_case(3, 2, 0, 1, 2))
check.case("3 samples, 3 classes", logits=normal(size=(3, 3)), one_hot=classes_case(3, 1, 1, 0))
large = np.array([[1000.0, -1000.0, 3.0], [-1000.0, 0.5, 1.0]])
check.case(
    "±1000", logits=large, one_hot=classes_case(3, 0, 2), aspect="large logits", warning_free=True
)
### BEGIN HIDDEN TESTS
check.hidden.case("2 samples, 5 classes", logits=normal(size=(2, 5)), one_hot=classes_case(5, 4, 0))
check.hidden.case("one sample", logits=normal(size=(1, 4)), one_hot=classes_case(4, 3))
check.hidden.case(
    "a wrong class at −2000",
    logits=np.array([[0.0, -2000.0], [-2000.0, 0.0], [500.0, 700.0]]),
    one_hot=classes_case(2, 1, 1, 0),
    aspect="large logits",
    warning_free=True,
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The network of notebook 05.** There you derived its gradients in five steps. Its objective was
#
# $$ z = W_1 x \qquad h = \tanh(z) \qquad o = W_2 h \qquad
# J = \tfrac12 \lVert o - y \rVert^2 + \tfrac{\lambda}{2} \left( \lVert W_1 \rVert^2 + \lVert W_2 \rVert^2 \right) $$
#
# $z$ and $h$ have shape (h,), $o$ and $y$ have shape (q,). As in notebook 05, the letter h stands for a
# vector and for its length.

# %% [markdown]
# ### Exercise: `mlp_gradients(x, y, W1, W2, lam)`
#
# **What it is for.** Notebook 05 in a few forward lines, without a derivation.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x`, `y` | (d,), (q,) | one sample and its target, arrays |
# | `W1`, `W2` | (h, d), (q, h) | weights, arrays |
# | `lam` | () | $\lambda$, a number |
# | `J` | () | the objective, a number or an array of shape (), not a tensor |
# | `dW1`, `dW2` | shapes of `W1`, `W2` | gradients of `J`, arrays |
#
# **4 points · 8 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure which of the five must be tensors.</summary>
#
# Those whose gradients you want. The others may be arrays or numbers, as long as they stand on the
# right side of an operator. A tensor is never wrong.
#
# </details>
#
# <details><summary>I'm not sure how the penalty's gradient gets in.</summary>
#
# Each matrix is used twice, in the network and in the penalty. What does your engine do with a tensor
# that is used twice?
#
# </details>


# %% nbgrader={"grade_id": "mlp_gradients", "solution": true}
def mlp_gradients(x, y, W1, W2, lam):
    """The objective of notebook 05 and its gradients, by the engine.

    Args:
        x: one sample, shape (d,)
        y: target, shape (q,)
        W1: weights of the hidden layer, shape (h, d)
        W2: weights of the output layer, shape (q, h)
        lam: how much weights cost, a number, shape ()

    Returns:
        J: the objective, shape ()
        dW1: gradient of J, shape (h, d)
        dW2: gradient of J, shape (q, h)
    """
    ### BEGIN SOLUTION
    W1, W2 = Tensor(W1), Tensor(W2)
    h = (W1 @ Tensor(x)).tanh()
    o = W2 @ h
    loss = 0.5 * ((o - Tensor(y)) ** 2).sum()
    penalty = lam / 2 * ((W1**2).sum() + (W2**2).sum())
    J = loss + penalty
    J.backward()
    return J.data, W1.grad, W2.grad
    ### END SOLUTION


# %% nbgrader={"grade_id": "mlp_gradients-check", "grade": true, "points": 4}
rng = np.random.default_rng(77)
normal = rng.normal


def pytorch(x, y, W1, W2, lam):
    o = F.linear(torch.tanh(F.linear(x, W1)), W2)
    L = 0.5 * F.mse_loss(o, y, reduction="sum")
    J = L + lam / 2 * (W1.square().sum() + W2.square().sum())
    return J, *torch.autograd.grad(J, (W1, W2))


def network_case(d, h, q):
    sizes = {"x": d, "y": q, "W1": (h, d), "W2": (q, h)}
    return {name: normal(size=size) for name, size in sizes.items()}


check = Check(
    "mlp_gradients",
    pytorch,
    returns={"J": 1, "dW1": 2, "dW2": 1},
    order=["J", "dW2", "dW1"],
)
check.case("4 → 3 → 2, λ = 0.3", **network_case(4, 3, 2), lam=0.3)
check.case("3 → 3 → 3, λ = 1.7", **network_case(3, 3, 3), lam=1.7)
### BEGIN HIDDEN TESTS
check.hidden.case("2 → 5 → 3, λ = 0.05", **network_case(2, 5, 3), lam=0.05)
check.hidden.case("3 → 4 → 1, no penalty", **network_case(3, 4, 1), lam=0.0)
check.hidden.case("1 → 2 → 4, λ = 0.8", **network_case(1, 2, 4), lam=0.8)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Notebook 05 took $\partial J / \partial o = o - y$, then $\partial J / \partial z = (W_2^\top\,
# \partial J / \partial o) \odot (1 - h^2)$, an outer product for each matrix, and $\lambda W$ for the
# penalty. The next cell compares your engine with these lines. They agree up to rounding, about
# 1e-16.

# %%
rng = np.random.default_rng(78)
x, y, W1, W2 = (rng.normal(size=size) for size in (4, 2, (3, 4), (2, 3)))
result = pictures.attempt(mlp_gradients, x, y, W1, W2, 0.3)
if result:
    h = np.tanh(W1 @ x)
    dJ_do = W2 @ h - y
    dJ_dz = (W2.T @ dJ_do) * (1 - h**2)
    derived = {"dW1": np.outer(dJ_dz, x) + 0.3 * W1, "dW2": np.outer(dJ_do, h) + 0.3 * W2}
    for (name, by_hand), mine in zip(derived.items(), result[1:], strict=True):
        print(f"{name}: largest difference {np.abs(by_hand - mine).max():.0e}")

# %% [markdown]
# How large is the graph of these few lines? The next cell runs the network with your tensors and draws
# it. You drew one by hand in notebook 05, as a set of pairs.


# %%
def network():
    leaves = {name: Tensor(v) for name, v in [("x", x), ("y", y), ("W1", W1), ("W2", W2)]}
    z = leaves["W1"] @ leaves["x"]
    h = z.tanh()
    o = leaves["W2"] @ h
    L = ((o - leaves["y"]) ** 2).sum() * 0.5
    s = ((leaves["W1"] ** 2).sum() + (leaves["W2"] ** 2).sum()) * 0.15
    J = L + s
    results = {"z": z, "h": h, "o": o, "L": L, "s": s, "J": J}
    return J, {id(t): name for name, t in (leaves | results).items()}


def with_shape(node, names):
    """Name, operation and shape."""
    name = names.get(id(node), "")
    parts = [f"{name} = {node.op}" if name and node.op else name or node.op or f"{node.data:g}"]
    return "\n".join([*parts, str(node.data.shape)] if node.data.shape else parts)


result = pictures.attempt(network)
if result:
    pictures.draw_nodes(
        result[0],
        lambda node: with_shape(node, result[1]),
        "The network of notebook 05, recorded by your class",
    )

# %% [markdown]
# *Picture: the graph of the objective, drawn from the `parents`, `op` and shapes of your tensors. Leaves
# W1, x, W2, y and two numbers; from x and W1 a product z, then h, then o with W2, then the loss L. From
# both matrices a second arrow leads to a square, and through two sums to the penalty s. L and s meet in
# J.*

# %% [markdown]
# **A training step.** The last exercise is a step of gradient descent for a network with biases, on a
# batch, with forward lines only:
#
# $$ H = \mathrm{relu}(X W_1^\top + b_1) \qquad O = H W_2^\top + b_2 \qquad L = \text{mean of } (O - Y)^2 $$
#
# $H$ has shape (B, h), $O$ and $Y$ have shape (B, q). A bias is added to every row.

# %% [markdown]
# ### Exercise: `fit_step(params, X, Y, learning_rate)`
#
# **What it is for.** Call it a few hundred times, and the network learns.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `params` | a list of 4 arrays | `W1` (h, d), `b1` (h,), `W2` (q, h), `b2` (q,) |
# | `X`, `Y` | (B, d), (B, q) | samples and targets, arrays |
# | `learning_rate` | () | length of the step |
# | `loss` | () | the mean over all B·q entries, **before** the step |
# | `new_params` | a list of 4 arrays | each parameter minus the learning rate times its gradient |
#
# **4 points · 8 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure whether to update the tensors.</summary>
#
# Make tensors of the arrays, run forward and backward, and return new *arrays*, from `data` and `grad`.
# The tensors and their graph can then be forgotten.
#
# </details>
#
# <details><summary>I'm not sure why the second step would be wrong if I kept the tensors.</summary>
#
# A second `backward()` adds to what is in `grad`. PyTorch users call `zero_grad()` for this reason. New
# tensors in every step start without a gradient.
#
# </details>


# %% nbgrader={"grade_id": "fit_step", "solution": true}
def fit_step(params, X, Y, learning_rate):
    """One step of gradient descent for a network with one hidden layer.

    Args:
        params: a list of W1, b1, W2, b2
        X: samples, shape (B, d)
        Y: targets, shape (B, q)
        learning_rate: length of the step, a number, shape ()

    Returns:
        loss: mean squared error before the step, shape ()
        new_params: a list of four arrays
    """
    ### BEGIN SOLUTION
    tensors = [Tensor(p) for p in params]
    W1, b1, W2, b2 = tensors
    H = (Tensor(X) @ W1.T + b1).relu()
    error = H @ W2.T + b2 - Tensor(Y)
    loss = (error**2).mean()
    loss.backward()
    return loss.data, [t.data - learning_rate * t.grad for t in tensors]
    ### END SOLUTION


# %% nbgrader={"grade_id": "fit_step-check", "grade": true, "points": 4}
rng = np.random.default_rng(79)
normal = rng.normal


def pytorch(params, X, Y, learning_rate):
    W1, b1, W2, b2 = params
    loss = F.mse_loss(F.linear(F.relu(F.linear(X, W1, b1)), W2, b2), Y)
    loss.backward()
    torch.optim.SGD(params, lr=learning_rate).step()
    return loss, params


def step_case(B, d, h, q):
    sizes = [(h, d), h, (q, h), q]
    return {
        "params": [normal(size=size) for size in sizes],
        "X": normal(size=(B, d)),
        "Y": normal(size=(B, q)),
    }


check = Check("fit_step", pytorch, returns={"loss": 1, "new_params": 3})
check.case("5 samples, 4 → 3 → 2", **step_case(5, 4, 3, 2), learning_rate=0.1)
check.case("3 samples, 3 → 3 → 3", **step_case(3, 3, 3, 3), learning_rate=0.5)
### BEGIN HIDDEN TESTS
check.hidden.case("2 samples, 2 → 6 → 1", **step_case(2, 2, 6, 1), learning_rate=0.03)
check.hidden.case("one sample, 3 → 4 → 5", **step_case(1, 3, 4, 5), learning_rate=0.2)
check.hidden.case("a step of length 0", **step_case(4, 2, 3, 2), learning_rate=0.0)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell trains a 1 → 16 → 1 network on 32 points of a sine, 1,500 steps of your `fit_step`. No
# gradient formula of this network stands anywhere in this notebook.

# %%
rng = np.random.default_rng(80)
X = np.linspace(-1, 1, 32).reshape(32, 1)
Y = np.sin(3 * X)
sizes = [(16, 1), 16, (1, 16), 1]
params = [rng.normal(size=size) * scale for size, scale in zip(sizes, [2, 1, 0.3, 0], strict=True)]
losses = []
if pictures.attempt(fit_step, params, X, Y, 0.05):
    for _ in range(1500):
        loss, params = fit_step(params, X, Y, 0.05)
        losses.append(float(loss))
    W1, b1, W2, b2 = params
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.semilogy(losses, color=pictures.BLUE)
    left.set(xlabel="step", ylabel="mean squared error", title="The loss of each step")
    right.plot(X, Y, "o", color=pictures.BLACK, ms=4, label="data")
    right.plot(
        X, np.maximum(X @ W1.T + b1, 0) @ W2.T + b2, "-", color=pictures.VERMILION, label="network"
    )
    right.set(xlabel="x", ylabel="y", title="After the last step")
    right.legend()
    plt.show()

# %% [markdown]
# *Picture: two panels. Left, the mean squared error of each step on a logarithmic axis; it falls. Right,
# the 32 points of the sine and the output of the network after the last step, straight pieces that
# follow the points. Drawn from your `fit_step`.*

# %% [markdown]
# ## Summary
#
# - A node stores its operation, its parents, its value and a recipe for the local gradient. The forward
#   lines make the graph, and the graph decides what backward does.
# - Backward is a walk through a topological order, from its end. A node passes its gradient on when all
#   its contributions have arrived.
# - Gradients of a node that is used twice add up. Broadcasting is such a use: what was repeated is added
#   up, and what was added up is repeated.
# - Recipes:
#
# | forward | what the parents receive, for the upstream gradient $g$ |
# |---|---|
# | $a + b$ | $g$ and $g$ |
# | $a \odot b$ | $g \odot b$ and $g \odot a$ |
# | $A B$ | $g B^\top$ and $A^\top g$ |
# | sum | $g$, repeated |
# | $\exp$, $\tanh$ | $g \odot y$ and $g \odot (1 - y^2)$, with the output $y$ |
#
# - A second `backward()` adds to the gradients of leaves. That is why training loops set them to zero.
# - Under `no_grad()` there is no graph, and nothing to remember.
#
# **Next.** Notebook [08](../08-transformer-block/08-transformer-block.ipynb) writes the whole block of a language model backward by
# hand again, with attention and layer normalization: the fast way, with no engine. In notebook
# [06](../06-training-loop/06-training-loop.ipynb) such gradients train a network on handwritten digits. Back to notebook
# [05](../05-regularized-mlp-derivation/05-regularized-mlp-derivation.ipynb), whose graph this was.
