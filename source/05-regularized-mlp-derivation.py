# %% [markdown]
# # 05 · A derivation, step by step
#
# **65 points · about 141 minutes**
#
# A network with one hidden layer has two weight matrices. Training lowers an *objective*: the loss
# plus a penalty for large weights. In this notebook you derive the gradient of that objective for
# both matrices, from the objective back to the input. Each step of the derivation is one small
# exercise. It gets the right value of the step before as its input, so a slip costs one step and
# not all that follow. At the end you put the steps together.
#
# Then you use the derivation: you add a bias, count the numbers that training must keep, look at
# second derivatives, and cut the network into pieces for several devices.
#
# **Builds on.** Notebook [01](../01-forward-pass/01-forward-pass.ipynb): forward pass, ReLU,
# sigmoid, softmax. Notebook [02](../02-manual-backprop/02-manual-backprop.ipynb): slopes, the chain
# rule, central differences. What they built is provided, so a gap there does not stop you here.
#
# **Leaves out.** Batches and deeper networks (notebook 03), residual connections (04), shuffled
# data and better optimizers (06), a program that derives by itself (07).

# %% [markdown]
# ## What you will build
#
# The next picture is a map of the derivation. It starts at the objective $J$, at the right. Each
# arrow is a step toward one more gradient, and beside it stands the function that you will write
# for that step. Where two arrows meet, two parts are added.

# %% nbgrader={"grade_id": "setup", "locked": true}
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import pictures
from autograder.checks import Check, Twin, recorded_edges
from autograder.pictures import written
from autograder.provided.forward_pass import relu, sigmoid
from autograder.provided.manual_backprop import (
    numerical_gradient,
    relu_grad,
    sgd_step,
    sigmoid_grad,
    tanh_grad,
)

pictures.use_print_style()
F = torch.nn.functional

# %% nbgrader={"grade_id": "picture-of-the-steps", "locked": true}
fig, ax = plt.subplots(figsize=(8, 3))
for name, center in {
    "$J$": (8, 1),
    r"$\partial J/\partial o$": (6, 1),
    r"$\partial J/\partial h$": (4, 1),
    r"$\partial J/\partial z$": (2, 1),
    r"$\partial J/\partial W_2$": (4, 2.4),
    r"$\partial J/\partial W_1$": (0, 2.4),
    "penalty": (8, 2.4),
}.items():
    pictures.box(ax, center, name)
for start, end, label in [
    ((7.75, 1), (6.5, 1), "grad_o_mse"),
    ((5.5, 1), (4.5, 1), "grad_h"),
    ((3.5, 1), (2.5, 1), "grad_z"),
]:
    pictures.arrow(ax, start, end, label, pictures.VERMILION, dashed=True)
for start, end, label, place in [
    ((5.75, 1.25), (4.35, 2.2), "grad_W2", (5.5, 1.95)),
    ((1.75, 1.25), (0.35, 2.2), "grad_W1", (1.5, 1.95)),
    ((7.45, 2.4), (4.6, 2.4), "grad_penalty", (6, 2.57)),
]:
    pictures.arrow(ax, start, end, "", pictures.VERMILION, dashed=True)
    ax.text(*place, label, ha="center", va="center", color=pictures.VERMILION, fontsize=9)
above = {"arrowstyle": "-|>", "color": pictures.VERMILION, "lw": 1.6, "ls": "--"}
above["connectionstyle"] = "arc3,rad=0.22"
ax.annotate("", xy=(0.25, 2.7), xytext=(7.7, 2.65), arrowprops=above)
ax.text(3.9, 3.62, "grad_penalty", ha="center", color=pictures.VERMILION, fontsize=9)
ax.set(xlim=(-0.6, 8.7), ylim=(0.5, 3.8), title="From the objective to both weight matrices")
ax.axis("off")
plt.show()

# %% [markdown]
# *Picture: boxes from right to left, J, then the gradients at o, h and z. Dashed arrows labeled
# grad_o_mse, grad_h and grad_z join them. From the gradient at o an arrow grad_W2 leads to the
# gradient of W2, from the gradient at z an arrow grad_W1 to that of W1. From a box "penalty" two
# arrows grad_penalty lead to the same two. Drawn by the cell above from none of your functions.*
#
# ### Conventions
#
# - $\partial J / \partial V$ is the gradient of $J$ with respect to $V$. In code it is `dJ_dV`, or
#   `dV` for short. It has the shape of $V$.
# - A sample `x` is a vector of shape (d,). `h` is a vector of shape (h,): the letter stands for the
#   hidden layer and for the number of its neurons. `o` and `y` have shape (q,).
# - `W1` has shape (h, d) and `W2` has shape (q, h): one row for each output.
# - Numbers are float64. A function leaves its inputs as they are and returns new arrays.
# - You write NumPy. PyTorch appears in the checks only.
# - Cards say what to write. Replace the line `raise NotImplementedError`, run the cell, then run the
#   check below it. Some cases of a check are hidden: other shapes, other functions.

# %% [markdown]
# ## 1. The objective
#
# The network has one hidden layer and no biases. Its forward pass has three lines:
#
# $$ z = W_1 x \qquad h = \varphi(z) \qquad o = W_2\, h $$
#
# The activation $\varphi$ acts on each number by itself. $z$ is the *pre-activation*, $h$ is the
# hidden layer, and $o$ is the output. All three are vectors. Keep all three: the way back needs
# them.

# %% [markdown]
# ### Exercise: `mlp_forward(x, W1, W2, phi)`
#
# **What it is for.** Every number that the derivation uses is made here.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (d,) | one sample |
# | `W1` | (h, d) | weights of the hidden layer |
# | `W2` | (q, h) | weights of the output layer |
# | `phi` | | $\varphi$, a function that acts on each number of an array |
# | `z`, `h` | (h,) | hidden layer before and after $\varphi$ |
# | `o` | (q,) | output |
#
# One point each. When you are graded, `h` and `o` keep their point where they are right for your
# own earlier value.
#
# **3 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure which product this is.</summary>
#
# Each output is a sum over the inputs: row $i$ of the matrix meets the whole vector. `*` does not
# add up.
#
# </details>
#
# <details><summary>I'm not sure whether the output passes through the activation too.</summary>
#
# Count how often $\varphi$ stands in the three lines above.
#
# </details>


# %% nbgrader={"grade_id": "mlp_forward", "solution": true}
def mlp_forward(x, W1, W2, phi):
    """The forward pass of a network with one hidden layer and no biases.

    Args:
        x: one sample, shape (d,)
        W1: weights of the hidden layer, shape (h, d)
        W2: weights of the output layer, shape (q, h)
        phi: the activation, acts on each number of an array

    Returns:
        z: pre-activation of the hidden layer, shape (h,)
        h: hidden layer, shape (h,)
        o: output, shape (q,)
    """
    ### BEGIN SOLUTION
    z = W1 @ x
    h = phi(z)
    o = W2 @ h
    return z, h, o
    ### END SOLUTION


# %% nbgrader={"grade_id": "mlp_forward-check", "grade": true, "points": 3}
rng = np.random.default_rng(51)
normal = rng.normal


def pytorch(x, W1, W2, phi):
    z = F.linear(x, W1)
    h = phi(z)
    o = F.linear(h, W2)
    return z, h, o


check = Check("mlp_forward", pytorch, returns={"z": 1, "h": 1, "o": 1})
for title, d, h, q, phi in [
    ("4 inputs, 3 hidden neurons, 2 outputs, sine", 4, 3, 2, Twin(np.sin, torch.sin)),
    ("3 inputs, 3 hidden neurons, 3 outputs, ReLU", 3, 3, 3, Twin(relu, torch.relu)),
]:
    check.case(title, x=normal(size=d), W1=normal(size=(h, d)), W2=normal(size=(q, h)), phi=phi)
### BEGIN HIDDEN TESTS
check.hidden.follow_through(h=lambda z, phi: phi(z), o=lambda h, W2: W2 @ h)
for title, d, h, q, phi in [
    ("2 inputs, 5 hidden neurons, 3 outputs, sigmoid", 2, 5, 3, Twin(sigmoid, torch.sigmoid)),
    ("one output, tanh", 3, 4, 1, Twin(np.tanh, torch.tanh)),
    ("one hidden neuron, square", 5, 1, 3, Twin(np.square, torch.square)),
    ("one input, no activation", 1, 2, 4, Twin(lambda z: 1 * z, lambda z: 1 * z, "identity")),
]:
    check.hidden.case(
        title, x=normal(size=d), W1=normal(size=(h, d)), W2=normal(size=(q, h)), phi=phi
    )
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **Why a penalty?** A network that fits its few samples with huge weights often fits nothing else.
# So we charge for weights. The *squared Frobenius norm* of a matrix is the sum of the squares of
# all its entries:
#
# $$ \lVert W \rVert^2 = \sum_{i,j} W_{ij}^2 $$
#
# The penalty takes it from both matrices, with a factor $\lambda$ that says how much weights cost:
#
# $$ s = \frac{\lambda}{2} \left( \lVert W_1 \rVert^2 + \lVert W_2 \rVert^2 \right) $$
#
# The ½ is there for the derivative: it will cancel a 2. This is *L2 regularization*. With plain
# gradient descent it is also called *weight decay*; notebook 06 shows why.

# %% [markdown]
# ### Exercise: `l2_penalty(W1, W2, lam)`
#
# **What it is for.** It keeps weights small.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `W1` | (h, d) | weights of the hidden layer |
# | `W2` | (q, h) | weights of the output layer |
# | `lam` | () | $\lambda$, a number, zero or larger (`lambda` is a word of Python) |
# | `s` | () | the penalty, one number |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how two matrices of different shapes can be added.</summary>
#
# They are not added. Each becomes one number first, the sum of its squared entries. Those two
# numbers are added.
#
# </details>
#
# <details><summary>I'm not sure about <code>np.linalg.norm</code>.</summary>
#
# For a matrix it gives the square root of the sum of squares. The penalty has no square root in it.
#
# </details>


# %% nbgrader={"grade_id": "l2_penalty", "solution": true}
def l2_penalty(W1, W2, lam):
    """The L2 penalty of both weight matrices.

    Args:
        W1: weights of the hidden layer, shape (h, d)
        W2: weights of the output layer, shape (q, h)
        lam: how much weights cost, a number, shape ()

    Returns:
        s: the penalty, shape ()
    """
    ### BEGIN SOLUTION
    squares = np.sum(W1**2) + np.sum(W2**2)
    return lam / 2 * squares
    ### END SOLUTION


# %% nbgrader={"grade_id": "l2_penalty-check", "grade": true, "points": 2}
rng = np.random.default_rng(52)
normal = rng.normal


def pytorch(W1, W2, lam):
    norms = torch.linalg.matrix_norm(W1), torch.linalg.matrix_norm(W2)  # Frobenius norms
    return lam / 2 * (norms[0] ** 2 + norms[1] ** 2)


check = Check("l2_penalty", pytorch, returns={"s": 2})
check.case("4 → 3 → 2, λ = 0.3", W1=normal(size=(3, 4)), W2=normal(size=(2, 3)), lam=0.3)
check.case("3 → 3 → 3, λ = 1.7", W1=normal(size=(3, 3)), W2=normal(size=(3, 3)), lam=1.7)
### BEGIN HIDDEN TESTS
check.hidden.case("2 → 5 → 1, λ = 0.01", W1=normal(size=(5, 2)), W2=normal(size=(1, 5)), lam=0.01)
check.hidden.case("λ = 0", W1=normal(size=(2, 3)), W2=normal(size=(4, 2)), lam=0.0)
check.hidden.case("weights of zero", W1=np.zeros((2, 3)), W2=np.zeros((4, 2)), lam=0.6)
check.hidden.case("1 → 1 → 1", W1=np.array([[-3.0]]), W2=np.array([[0.5]]), lam=0.4)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The loss of one sample compares the output with the target $y$, shape (q,):
#
# $$ L = \tfrac12 \lVert o - y \rVert^2 = \tfrac12 \sum_i (o_i - y_i)^2 $$
#
# It is a sum over the outputs, not a mean. The objective is what training lowers:
#
# $$ J = L + s $$

# %% [markdown]
# ### Exercise: `objective(o, y, W1, W2, lam)`
#
# **What it is for.** The derivation starts at this number.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `o`, `y` | (q,) | output and target |
# | `W1`, `W2` | (h, d), (q, h) | the weights, for the penalty |
# | `lam` | () | $\lambda$ |
# | `J` | () | loss plus penalty, one number |
#
# **2 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure whether to write the penalty again.</summary>
#
# You have a function for it. Call it.
#
# </details>
#
# <details><summary>I'm not sure whether my loss is one number.</summary>
#
# $o - y$ is a vector, and so is its square. Which step is left?
#
# </details>


# %% nbgrader={"grade_id": "objective", "solution": true}
def objective(o, y, W1, W2, lam):
    """Half the squared error of one sample, plus the L2 penalty.

    Args:
        o: output, shape (q,)
        y: target, shape (q,)
        W1: weights of the hidden layer, shape (h, d)
        W2: weights of the output layer, shape (q, h)
        lam: how much weights cost, a number, shape ()

    Returns:
        J: the objective, shape ()
    """
    ### BEGIN SOLUTION
    L = 0.5 * np.sum((o - y) ** 2)
    s = l2_penalty(W1, W2, lam)
    return L + s
    ### END SOLUTION


# %% nbgrader={"grade_id": "objective-check", "grade": true, "points": 2}
rng = np.random.default_rng(53)
normal = rng.normal


def pytorch(o, y, W1, W2, lam):
    L = 0.5 * F.mse_loss(o, y, reduction="sum")
    s = 0.5 * lam * (W1.square().sum() + W2.square().sum())
    return L + s


def sizes_case(d, h, q):
    return {
        "o": normal(size=q),
        "y": normal(size=q),
        "W1": normal(size=(h, d)),
        "W2": normal(size=(q, h)),
    }


check = Check("objective", pytorch, returns={"J": 2})
check.case("4 → 3 → 2, λ = 0.3", **sizes_case(4, 3, 2), lam=0.3)
check.case("3 → 3 → 3, λ = 1.7", **sizes_case(3, 3, 3), lam=1.7)
### BEGIN HIDDEN TESTS
check.hidden.case("2 → 4 → 5, λ = 0.02", **sizes_case(2, 4, 5), lam=0.02)
check.hidden.case("no penalty, λ = 0", **sizes_case(2, 3, 4), lam=0.0)
check.hidden.case("one output, λ = 0.8", **sizes_case(3, 2, 1), lam=0.8)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 2. The graph
#
# A *computational graph* has one node for each variable and an arrow from each variable to every
# variable that is computed **directly** from it. The derivation walks along these arrows, against
# their direction. So it helps to draw them first.
#
# The variables here are `x W1 z h W2 o y L s J`. Read the forward lines of section 1 one by one.
# Each line has one variable on its left side. The variables on its right side send an arrow to it.
# (Treat $\lambda$ as a fixed number, it is not in the list.)

# %% [markdown]
# ### Exercise: `graph_edges`
#
# **What it is for.** A gradient is a sum over paths. The graph shows how many paths there are.
#
# | symbol | form | meaning |
# |---|---|---|
# | `graph_edges` | a set of pairs | one pair `(from, to)` of names for each arrow |
#
# The names are strings: `"x" "W1" "z" "h" "W2" "o" "y" "L" "s" "J"`. A set of two pairs, for
# another network, is written `{("a", "b"), ("b", "c")}`.
#
# **2 points · 6 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure whether W1 sends an arrow to o.</summary>
#
# Look at the line that computes `o`. Does `W1` stand in it? If it does not, then `W1` reaches `o`
# through other variables, and those have the arrows.
#
# </details>
#
# <details><summary>I'm not sure how many arrows leave a weight matrix.</summary>
#
# Each matrix stands on the right side of more than one line. Read the line of $s$ again.
#
# </details>
#
# <details><summary>I'm not sure whether the target is part of the graph.</summary>
#
# It is not computed from anything, but something is computed from it.
#
# </details>

# %% nbgrader={"grade_id": "graph_edges", "solution": true}
# graph_edges: a set of (from, to) pairs of names
### BEGIN SOLUTION
graph_edges = {
    ("x", "z"),
    ("W1", "z"),
    ("z", "h"),
    ("h", "o"),
    ("W2", "o"),
    ("o", "L"),
    ("y", "L"),
    ("W1", "s"),
    ("W2", "s"),
    ("L", "J"),
    ("s", "J"),
}
### END SOLUTION


# %% nbgrader={"grade_id": "graph_edges-check", "grade": true, "points": 2}
def pytorch():
    sizes = (4, (3, 4), (2, 3), 2)
    x, W1, W2, y = (torch.ones(size, dtype=torch.float64, requires_grad=True) for size in sizes)
    z = W1 @ x
    h = torch.tanh(z)
    o = W2 @ h
    L = 0.5 * ((o - y) ** 2).sum()
    s = 0.05 * ((W1**2).sum() + (W2**2).sum())
    J = L + s
    # PyTorch records each operation as it runs; this follows the record from variable to variable.
    return recorded_edges(x=x, W1=W1, z=z, h=h, W2=W2, o=o, y=y, L=L, s=s, J=J)


check = Check("graph_edges", pytorch, returns={"graph_edges": 2}, typed=True)
check.case("the network of section 1")
check.grade()

# %% [markdown]
# The next cell draws **your** set, right or wrong. Variables are squares. A circle is the operation
# that makes the variable behind it. Can you follow a line of arrows from each weight matrix to $J$?
# How many such lines does each matrix have?

# %%
pictures.draw_graph(globals().get("graph_edges"), "Your graph: follow the arrows to J")

# %% [markdown]
# *Picture: the graph of your pairs, from x at the left to J at the right. Squares are variables,
# circles are operations: ×, φ, loss, the penalty, and +. A dotted arrow ends at a variable that no
# operation of this network makes. Drawn from your `graph_edges`.*
#
# Two ways lead from each weight matrix to $J$: one through the loss and one through the penalty. So
# each gradient of a matrix will have two terms. There is no such fork at $z$, $h$ or $o$.

# %% [markdown]
# ## 3. Shapes first
#
# Before any derivative, write down every shape. A gradient holds one number for each number of its
# variable: how much $J$ changes when that number changes.

# %% [markdown]
# ### Exercise: `gradient_shape(n, m)`
#
# **What it is for.** The one rule that you need for the ledger below.
#
# | symbol | form | meaning |
# |---|---|---|
# | `n`, `m` | whole numbers | $X$ is a matrix of shape (n, m), and $f(X)$ is one number |
# | `shape` | a tuple | the shape of $\partial f / \partial X$ |
#
# **1 point · 2 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how many numbers the gradient has.</summary>
#
# Change one entry of $X$ a little, and $f$ changes by some number. How many entries can you change?
#
# </details>
#
# <details><summary>I'm not sure in which order the numbers are arranged.</summary>
#
# Gradient descent computes $X - \eta\, \partial f / \partial X$, entry by entry. Which shape makes
# that possible?
#
# </details>


# %% nbgrader={"grade_id": "gradient_shape", "solution": true}
def gradient_shape(n, m):
    """The shape of the gradient of a number with respect to a matrix.

    Args:
        n: rows of the matrix
        m: columns of the matrix

    Returns:
        shape: a tuple
    """
    ### BEGIN SOLUTION
    return (n, m)
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradient_shape-check", "grade": true, "points": 1}
def pytorch(n, m):
    X = torch.ones(n, m, requires_grad=True)
    f = torch.sin(X).sum()
    f.backward()
    return tuple(X.grad.shape)


check = Check("gradient_shape", pytorch, returns={"shape": 1})
check.case("2 rows, 3 columns", n=2, m=3)
### BEGIN HIDDEN TESTS
check.hidden.case("7 rows, 4 columns", n=7, m=4)
check.hidden.case("one row", n=1, m=5)
check.hidden.case("one column", n=6, m=1)
check.hidden.case("a square matrix", n=3, m=3)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Exercise: `shape_ledger(d, h, q)`
#
# **What it is for.** A page with every shape of the forward and the backward pass. It will tell you
# where each transpose comes from.
#
# | symbol | form | meaning |
# |---|---|---|
# | `d`, `h`, `q` | whole numbers | sizes of input, hidden layer and output |
# | `ledger` | a dict | name → shape, a tuple |
#
# The keys: `x W1 z h W2 o y` for the variables, and `dJ_do dJ_dW2 dJ_dh dJ_dz dJ_dW1` for the
# gradients. A vector of $n$ numbers has the shape `(n,)`, with a comma.
#
# **3 points · 6 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure why the check says "is an int, expected a tuple".</summary>
#
# In Python, parentheses alone make no tuple: `(5)` is the number 5. The comma makes the tuple.
#
# </details>
#
# <details><summary>I'm not sure in which order the sizes of a matrix stand.</summary>
#
# Rows first. A weight matrix has one row for each of its outputs, and a column for each input.
#
# </details>
#
# <details><summary>I'm not sure about the shape of a gradient.</summary>
#
# You have answered that in the exercise before. A gradient of a vector is no exception.
#
# </details>


# %% nbgrader={"grade_id": "shape_ledger", "solution": true}
def shape_ledger(d, h, q):
    """Every shape of the forward and the backward pass.

    Args:
        d: size of the input
        h: size of the hidden layer
        q: size of the output

    Returns:
        ledger: a dict from each name to its shape, a tuple
    """
    ### BEGIN SOLUTION
    ledger = {
        "x": (d,),
        "W1": (h, d),
        "z": (h,),
        "h": (h,),
        "W2": (q, h),
        "o": (q,),
        "y": (q,),
    }
    for name in ("o", "W2", "h", "z", "W1"):
        ledger["dJ_d" + name] = ledger[name]
    return ledger
    ### END SOLUTION


# %% nbgrader={"grade_id": "shape_ledger-check", "grade": true, "points": 3}
def pytorch(d, h, q):
    x, y = torch.ones(d), torch.ones(q)
    W1, W2 = torch.ones(h, d, requires_grad=True), torch.ones(q, h, requires_grad=True)
    z = W1 @ x
    hidden = torch.tanh(z)
    o = W2 @ hidden
    J = 0.5 * F.mse_loss(o, y, reduction="sum")
    variables = {"x": x, "W1": W1, "z": z, "h": hidden, "W2": W2, "o": o, "y": y}
    gradients = {
        f"dJ_d{name}": torch.autograd.grad(J, variables[name], retain_graph=True)[0]
        for name in ("o", "W2", "h", "z", "W1")
    }
    return {name: tuple(value.shape) for name, value in (variables | gradients).items()}


check = Check("shape_ledger", pytorch, returns={"ledger": 3})
check.case("4 inputs, 3 hidden neurons, 2 outputs", d=4, h=3, q=2)
### BEGIN HIDDEN TESTS
check.hidden.case("2 inputs, 5 hidden neurons, 7 outputs", d=2, h=5, q=7)
check.hidden.case("one hidden neuron", d=3, h=1, q=4)
check.hidden.case("one input, one output", d=1, h=6, q=1)
check.hidden.case("equal sizes", d=3, h=3, q=3)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell shows your ledger for 4 inputs, 3 hidden neurons and 2 outputs. Then it lets the
# shapes work. For three of the gradients it takes the two factors that the derivation will need,
# as columns where they are vectors. It tries all eight arrangements, each factor first or second and
# each with or without a transpose, and prints those whose product has the shape of the gradient.


# %%
def fitting_products(ledger, target, factors):
    """The arrangements of two factors whose product has the shape of ``target``."""
    shape = {name: (*ledger[name], 1, 1)[:2] for name in (target, *factors)}  # a vector is a column
    fitting = []
    for left, right in (factors, factors[::-1]):
        for left_turn in ("", ".T"):
            for right_turn in ("", ".T"):
                a = shape[left][::-1] if left_turn else shape[left]
                b = shape[right][::-1] if right_turn else shape[right]
                if a[1] == b[0] and (a[0], b[1]) == shape[target]:
                    fitting.append(f"{left}{left_turn} @ {right}{right_turn}")
    return fitting


def show_products(ledger):
    for target, factors in [
        ("dJ_dW2", ("dJ_do", "h")),
        ("dJ_dh", ("dJ_do", "W2")),
        ("dJ_dW1", ("dJ_dz", "x")),
    ]:
        found = " or ".join(fitting_products(ledger, target, factors)) or "none"
        print(f"{target:>6} from {' and '.join(factors)}: {found}")


if written(shape_ledger, 4, 3, 2):
    ledger, equal = shape_ledger(4, 3, 2), shape_ledger(3, 3, 3)
    variables = ["x", "W1", "z", "h", "W2", "o", "y"]
    wanted = [*variables, *(f"dJ_d{name}" for name in ("o", "W2", "h", "z", "W1"))]
    if isinstance(ledger, dict) and all(isinstance(ledger.get(n), tuple) for n in wanted):
        print("variable  shape     gradient  shape")
        for name in variables:
            gradient = f"dJ_d{name}" if f"dJ_d{name}" in wanted else ""
            print(f"{name:9} {ledger[name]!s:9} {gradient:9} {ledger.get(gradient, '')}")
        print("\nproducts that fit, for 4 → 3 → 2:")
        show_products(ledger)
        print("\nproducts that fit, for 3 → 3 → 3:")
        show_products(equal)
    else:
        print("The ledger lacks a name, or a shape is not a tuple; see the report of the check.")

# %% [markdown]
# In 4 → 3 → 2, one arrangement fits for each. **That is where a transpose comes from:** a gradient must have the
# shape of its variable, and only one arrangement of the factors has it.
#
# This is a memory aid, no proof. In the last lines all sizes are 3. Then two arrangements fit for
# each gradient, and one of the two is wrong. The proof goes entry by entry, and it is the work of
# the next section.
#
# *A word on notation.* Many texts write $\frac{\partial J}{\partial h} = \frac{\partial J}{\partial
# o} \frac{\partial o}{\partial h}$, with the factors in this order and $\frac{\partial o}{\partial
# h} = W_2$. Such a formula treats a gradient as a **row** of shape (1, q). Here a gradient has the
# shape of its variable, a **column**. Turning the rows into columns turns the order around and
# transposes each factor. And where a text writes $\frac{\partial o}{\partial W_2} = h^\top$, it is a
# shorthand: the full derivative of a vector with respect to a matrix has three indices.

# %% [markdown]
# ## 4. The derivation
#
# Now walk from $J$ back to the input. Each step asks: this variable changes a little; how much does
# $J$ change? The change travels along the arrows of the graph. Where it takes several ways, the
# effects add up.
#
# Each function below gets the gradient of the step before as an argument. It need not know where
# that came from.

# %% [markdown]
# ### Exercise: `dJ_dL, dJ_ds`
#
# **What it is for.** The first step, $J = L + s$. Every later gradient carries these two factors.
#
# | symbol | form | meaning |
# |---|---|---|
# | `dJ_dL` | one number | how fast $J$ grows when $L$ grows |
# | `dJ_ds` | one number | how fast $J$ grows when $s$ grows |
#
# Type two numbers. One point each.
#
# **2 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what to do without values for L and s.</summary>
#
# Pick some, such as $L = 2$ and $s = 0.7$. By how much does $J$ grow when $L$ becomes 2.01? Does the
# answer depend on your pick?
#
# </details>
#
# <details><summary>I'm not sure whether λ takes part.</summary>
#
# $\lambda$ stands inside $s$. This step asks about $s$ as a whole.
#
# </details>

# %% nbgrader={"grade_id": "dJ_dL", "solution": true}
# dJ_dL: one number          dJ_ds: one number
### BEGIN SOLUTION
dJ_dL = 1.0
dJ_ds = 1.0
### END SOLUTION


# %% nbgrader={"grade_id": "dJ_dL-check", "grade": true, "points": 2}
def pytorch():
    L, s = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (2.0, 0.7))
    J = L + s
    return torch.autograd.grad(J, (L, s))


check = Check("dJ_dL", pytorch, returns={"dJ_dL": 1, "dJ_ds": 1}, typed=True)
check.case("the last line of the forward pass")
check.grade()

# %% [markdown]
# **The output.** There is one way from $o$ to $J$, through $L$. So the gradient at $o$ is that of
# the loss. For $L = \frac12 \sum_k (o_k - y_k)^2$, look at one output $o_i$. It stands in one term
# of the sum. The derivative of $\frac12 u^2$ is $u$.

# %% [markdown]
# ### Exercise: `grad_o_mse(o, y)`
#
# **What it is for.** The gradient that starts the walk, for a network that predicts numbers.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `o`, `y` | (q,) | output and target |
# | `dJ_do` | (q,) | gradient of $\frac12 \lVert o - y \rVert^2$ at $o$ |
#
# **1 point · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure about the sign.</summary>
#
# When $o_i$ is above its target, a larger $o_i$ makes the loss larger. Which sign has the gradient
# then?
#
# </details>
#
# <details><summary>I'm not sure whether to divide by q.</summary>
#
# Look at the loss: is it a sum or a mean? (The "mean" in the usual name *mean squared error* is not
# in this loss.)
#
# </details>


# %% nbgrader={"grade_id": "grad_o_mse", "solution": true}
def grad_o_mse(o, y):
    """The gradient of half the squared error at the output.

    Args:
        o: output, shape (q,)
        y: target, shape (q,)

    Returns:
        dJ_do: gradient at the output, shape (q,)
    """
    ### BEGIN SOLUTION
    return o - y
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_o_mse-check", "grade": true, "points": 1}
rng = np.random.default_rng(54)
normal = rng.normal


def pytorch(o, y):
    L = 0.5 * F.mse_loss(o, y, reduction="sum")
    return torch.autograd.grad(L, o)[0]


check = Check("grad_o_mse", pytorch, returns={"dJ_do": 1})
check.case("3 outputs", o=normal(size=3), y=normal(size=3))
check.case("5 outputs", o=normal(size=5), y=normal(size=5))
### BEGIN HIDDEN TESTS
check.hidden.case("one output", o=np.array([0.3]), y=np.array([-1.4]))
check.hidden.case("two outputs, far from the target", o=100 * normal(size=2), y=normal(size=2))
check.hidden.case("seven outputs", o=normal(size=7), y=normal(size=7))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **Another loss.** A classifier has one output for each class, and the target is the index of the
# right class, its *label*. The softmax turns outputs into probabilities, and cross-entropy charges
# for a small probability of the right class:
#
# $$ p_k = \frac{e^{o_k}}{\sum_j e^{o_j}} \qquad
# L = -\log p_{\text{label}} = \log \sum_j e^{o_j} - o_{\text{label}} $$
#
# Take the last form apart. The derivative of $\log u$ is $1/u$ times the derivative of $u$. With
# $u = \sum_j e^{o_j}$, only one term of $u$ has $o_i$ in it. The second part, $-o_{\text{label}}$,
# has $o_i$ in it only when $i$ is the label.
#
# Nothing else in the derivation changes with the loss: only this first gradient does.

# %% [markdown]
# ### Exercise: `grad_o_cross_entropy(o, label)`
#
# **What it is for.** The same walk, started by the loss of a classifier.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `o` | (q,) | outputs, also called logits |
# | `label` | | index of the right class, a whole number from 0 to q − 1 |
# | `dJ_do` | (q,) | gradient of the cross-entropy at `o` |
#
# Points: 2 for the numbers, 1 if they stay finite for outputs near ±1000.
#
# **3 points · 7 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what the derivative of the first part is.</summary>
#
# $1/u$ times $e^{o_i}$. Put them in one fraction and compare it with $p_i$.
#
# </details>
#
# <details><summary>I'm not sure how to treat the label apart from the other classes.</summary>
#
# Compute the first part for all classes as an array of your own. Then change the one entry that the
# second part touches.
#
# </details>
#
# <details><summary>I'm not sure why large outputs give nan.</summary>
#
# $e^{1000}$ is too large for a float64. A fraction keeps its value when numerator and denominator
# are divided by the same number. Which number makes the largest power $e^0$? Notebook 01 did this in
# `softmax`.
#
# </details>


# %% nbgrader={"grade_id": "grad_o_cross_entropy", "solution": true}
def grad_o_cross_entropy(o, label):
    """The gradient of softmax followed by cross-entropy, at the output.

    Args:
        o: output, one number a class, shape (q,)
        label: index of the right class

    Returns:
        dJ_do: gradient at the output, shape (q,)
    """
    ### BEGIN SOLUTION
    powers = np.exp(o - o.max())
    dJ_do = powers / powers.sum()
    dJ_do[label] -= 1.0
    return dJ_do
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_o_cross_entropy-check", "grade": true, "points": 3}
rng = np.random.default_rng(55)
normal = rng.normal


def pytorch(o, label):
    L = F.cross_entropy(o, torch.tensor(label))
    return torch.autograd.grad(L, o)[0]


finite = "stays finite"
check = Check("grad_o_cross_entropy", pytorch, returns={"dJ_do": 2}, aspects={finite: 1})
check.case("4 classes, label 1", o=normal(size=4), label=1)
check.case("3 classes, label 0", o=normal(size=3), label=0)
check.case("logits near ±1000", aspect=finite, o=np.array([1000.0, -1000.0, 999.0]), label=2)
### BEGIN HIDDEN TESTS
check.hidden.case("6 classes, the last one is right", o=2 * normal(size=6), label=5)
check.hidden.case("2 classes", o=normal(size=2), label=1)
check.hidden.case("equal outputs", o=np.full(5, -0.7), label=3)
check.hidden.case("one class", o=np.array([0.4]), label=0)
lone_case = np.array([-1000.0, 1000.0, -1000.0, -1000.0])
check.hidden.case("one at 1000, the others at −1000", aspect=finite, o=lone_case, label=3)
check.hidden.case("all near −1000", aspect=finite, o=-1000.0 - np.arange(4.0), label=1)
check.hidden.case("all near 1000", aspect=finite, o=1000.0 + np.arange(3.0), label=0)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The penalty.** $s$ holds the square of every weight, each in one term. For one matrix $W$:
#
# $$ s = \frac{\lambda}{2} \sum_{k,l} W_{kl}^2 + \text{terms without } W $$
#
# Which term has $W_{ij}$ in it, and what is its derivative?

# %% [markdown]
# ### Exercise: `grad_penalty(W, lam)`
#
# **What it is for.** One of the two ways from each weight matrix to $J$.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `W` | (n, m) | one of the weight matrices |
# | `lam` | () | $\lambda$ |
# | `ds_dW` | (n, m) | gradient of the penalty |
#
# **1 point · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what becomes of the ½.</summary>
#
# The derivative of $u^2$ is $2u$. Multiply by the ½.
#
# </details>
#
# <details><summary>I'm not sure where the sum goes.</summary>
#
# $W_{ij}$ stands in one term only. The derivative of the other terms is zero, so nothing is left to
# add up. The result has the shape of $W$.
#
# </details>


# %% nbgrader={"grade_id": "grad_penalty", "solution": true}
def grad_penalty(W, lam):
    """The gradient of the L2 penalty for one weight matrix.

    Args:
        W: a weight matrix, shape (n, m)
        lam: how much weights cost, a number, shape ()

    Returns:
        ds_dW: gradient of the penalty, shape (n, m)
    """
    ### BEGIN SOLUTION
    return lam * W
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_penalty-check", "grade": true, "points": 1}
rng = np.random.default_rng(56)
normal = rng.normal


def pytorch(W, lam):
    s = lam / 2 * W.square().sum()
    return torch.autograd.grad(s, W)[0]


check = Check("grad_penalty", pytorch, returns={"ds_dW": 1})
check.case("shape (2, 3), λ = 0.3", W=normal(size=(2, 3)), lam=0.3)
check.case("shape (4, 4), λ = 1.7", W=normal(size=(4, 4)), lam=1.7)
### BEGIN HIDDEN TESTS
check.hidden.case("one row, λ = 0.05", W=normal(size=(1, 5)), lam=0.05)
check.hidden.case("one column, λ = 2.5", W=normal(size=(6, 1)), lam=2.5)
check.hidden.case("λ = 0", W=normal(size=(3, 2)), lam=0.0)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The output weights.** Two ways lead from $W_2$ to $J$. The way through the penalty you know. On
# the way through the loss, look at one entry of $o = W_2 h$ :
#
# $$ o_i = \sum_j (W_2)_{ij}\, h_j $$
#
# $(W_2)_{ij}$ stands in $o_i$ and in no other output, and there it is multiplied by $h_j$. So a small
# change of it changes $J$ by $\frac{\partial J}{\partial o_i}\, h_j$ times as much. This holds for
# every pair $(i, j)$: the result is a whole table of products. To it comes what the penalty adds.

# %% [markdown]
# ### Exercise: `grad_W2(dJ_do, h, W2, lam)`
#
# **What it is for.** The gradient that trains the output layer.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dJ_do` | (q,) | gradient at the output |
# | `h` | (h,) | hidden layer, from the forward pass |
# | `W2` | (q, h) | weights of the output layer |
# | `lam` | () | $\lambda$ |
# | `dJ_dW2` | (q, h) | gradient of the objective, **both** ways added |
#
# **2 points · 6 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how two vectors make a matrix.</summary>
#
# Every entry of the one times every entry of the other: the *outer product*, a column times a row.
# NumPy has a function named after it.
#
# </details>
#
# <details><summary>I'm not sure which vector comes first.</summary>
#
# The entry $(i, j)$ is $\frac{\partial J}{\partial o_i}\, h_j$. The first index, the row, belongs to
# which vector? Your ledger agrees.
#
# </details>
#
# <details><summary>I'm not sure what <code>W2</code> is for.</summary>
#
# The way through the loss does not need it. The other way does.
#
# </details>


# %% nbgrader={"grade_id": "grad_W2", "solution": true}
def grad_W2(dJ_do, h, W2, lam):
    """The gradient of the objective for the output weights.

    Args:
        dJ_do: gradient at the output, shape (q,)
        h: hidden layer, shape (h,)
        W2: weights of the output layer, shape (q, h)
        lam: how much weights cost, a number, shape ()

    Returns:
        dJ_dW2: through the loss and through the penalty, shape (q, h)
    """
    ### BEGIN SOLUTION
    through_loss = np.outer(dJ_do, h)
    through_penalty = grad_penalty(W2, lam)
    return through_loss + through_penalty
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_W2-check", "grade": true, "points": 2}
rng = np.random.default_rng(57)
normal = rng.normal


def pytorch(dJ_do, h, W2, lam):
    o = F.linear(h, W2)
    s = lam / 2 * W2.square().sum()
    J = dJ_do @ o + s  # a J whose gradient at o is dJ_do
    return torch.autograd.grad(J, W2)[0]


def sizes_case(q, h):
    return {"dJ_do": normal(size=q), "h": normal(size=h), "W2": normal(size=(q, h))}


check = Check("grad_W2", pytorch, returns={"dJ_dW2": 2})
check.case("3 hidden neurons, 2 outputs, λ = 0.3", **sizes_case(2, 3), lam=0.3)
check.case("4 hidden neurons, 4 outputs, λ = 1.7", **sizes_case(4, 4), lam=1.7)
### BEGIN HIDDEN TESTS
check.hidden.case("2 hidden neurons, 5 outputs, λ = 0.04", **sizes_case(5, 2), lam=0.04)
check.hidden.case("one output, λ = 0.6", **sizes_case(1, 4), lam=0.6)
check.hidden.case("one hidden neuron, λ = 0.2", **sizes_case(3, 1), lam=0.2)
check.hidden.case("no penalty, λ = 0", **sizes_case(3, 2), lam=0.0)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The hidden layer.** Where does $h_j$ stand in the line of $o$? In **every** output, in $o_i$ with
# the factor $(W_2)_{ij}$. A change of $h_j$ reaches $J$ through all q outputs, and the effects add
# up:
#
# $$ \frac{\partial J}{\partial h_j} = \sum_i \frac{\partial J}{\partial o_i}\, (W_2)_{ij} $$
#
# The forward pass sums over the second index of $W_2$. This sum runs over the first.

# %% [markdown]
# ### Exercise: `grad_h(dJ_do, W2)`
#
# **What it is for.** It takes the gradient back through a layer. A deep network does this many
# times.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dJ_do` | (q,) | gradient at the output |
# | `W2` | (q, h) | weights of the output layer |
# | `dJ_dh` | (h,) | gradient at the hidden layer |
#
# **2 points · 5 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to sum over the first index.</summary>
#
# `W2 @ v` sums over the second index of `W2`. Which arrangement of `W2` has its indices the other
# way around?
#
# </details>
#
# <details><summary>I'm not sure whether the penalty belongs here.</summary>
#
# Follow the arrows that leave $h$ in the graph. Does one of them lead to $s$?
#
# </details>


# %% nbgrader={"grade_id": "grad_h", "solution": true}
def grad_h(dJ_do, W2):
    """The gradient of the objective at the hidden layer.

    Args:
        dJ_do: gradient at the output, shape (q,)
        W2: weights of the output layer, shape (q, h)

    Returns:
        dJ_dh: gradient at the hidden layer, shape (h,)
    """
    ### BEGIN SOLUTION
    return W2.T @ dJ_do
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_h-check", "grade": true, "points": 2}
rng = np.random.default_rng(58)
normal = rng.normal


def pytorch(dJ_do, W2):
    h = torch.zeros(W2.shape[1], dtype=torch.float64, requires_grad=True)
    o = F.linear(h, W2)
    return torch.autograd.grad((dJ_do * o).sum(), h)[0]


check = Check("grad_h", pytorch, returns={"dJ_dh": 2})
check.case("3 hidden neurons, 2 outputs", dJ_do=normal(size=2), W2=normal(size=(2, 3)))
check.case("4 hidden neurons, 4 outputs", dJ_do=normal(size=4), W2=normal(size=(4, 4)))
### BEGIN HIDDEN TESTS
check.hidden.case("2 hidden neurons, 6 outputs", dJ_do=normal(size=6), W2=normal(size=(6, 2)))
check.hidden.case("one output", dJ_do=normal(size=1), W2=normal(size=(1, 5)))
check.hidden.case("one hidden neuron", dJ_do=normal(size=3), W2=normal(size=(3, 1)))
check.hidden.case("a square layer of three", dJ_do=normal(size=3), W2=normal(size=(3, 3)))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The pre-activation.** $z_j$ influences $h_j = \varphi(z_j)$ and nothing else. One way, one
# factor: the slope of $\varphi$ at the number that went in. There is no sum and no matrix product
# here. Entry meets entry; mathematicians write this product as $\odot$.

# %% [markdown]
# ### Exercise: `grad_z(dJ_dh, z, phi_grad)`
#
# **What it is for.** It takes the gradient back through the activation. Where the activation is
# flat, the gradient ends.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dJ_dh` | (h,) | gradient at the hidden layer |
# | `z` | (h,) | pre-activation, from the forward pass |
# | `phi_grad` | | $\varphi'$, the slope of the activation, acts on each number of an array |
# | `dJ_dz` | (h,) | gradient at the pre-activation |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what to give to <code>phi_grad</code>.</summary>
#
# A slope is taken at the number that went **into** the activation.
#
# </details>
#
# <details><summary>I'm not sure whether to use <code>*</code> or <code>@</code>.</summary>
#
# `@` would add the entries up. Which neurons does $z_j$ influence?
#
# </details>


# %% nbgrader={"grade_id": "grad_z", "solution": true}
def grad_z(dJ_dh, z, phi_grad):
    """The gradient of the objective at the pre-activation.

    Args:
        dJ_dh: gradient at the hidden layer, shape (h,)
        z: pre-activation, shape (h,)
        phi_grad: the slope of the activation, acts on each number of an array

    Returns:
        dJ_dz: gradient at the pre-activation, shape (h,)
    """
    ### BEGIN SOLUTION
    return dJ_dh * phi_grad(z)
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_z-check", "grade": true, "points": 2}
rng = np.random.default_rng(59)
normal = rng.normal


def pytorch(dJ_dh, z, phi):
    h = phi(z)
    return torch.autograd.grad((dJ_dh * h).sum(), z)[0]


# You get the slope; PyTorch gets the activation and finds the slope by itself.
sine_slope = Twin(np.cos, torch.sin, "slope of the sine")
relu_slope = Twin(relu_grad, torch.relu, "slope of ReLU")
check = Check("grad_z", pytorch, returns={"dJ_dz": 2})
check.case("3 neurons, sine", dJ_dh=normal(size=3), z=normal(size=3), phi_grad=sine_slope)
check.case("5 neurons, ReLU", dJ_dh=normal(size=5), z=normal(size=5), phi_grad=relu_slope)
### BEGIN HIDDEN TESTS
square_slope = Twin(lambda z: 2 * z, torch.square, "slope of the square")
for title, n, slope in [
    ("4 neurons, tanh", 4, Twin(tanh_grad, torch.tanh, "slope of tanh")),
    ("6 neurons, sigmoid", 6, Twin(sigmoid_grad, torch.sigmoid, "slope of the sigmoid")),
    ("one neuron, square", 1, square_slope),
    ("2 neurons, square", 2, square_slope),
]:
    check.hidden.case(title, dJ_dh=normal(size=n), z=normal(size=n), phi_grad=slope)
corner_case = np.array([0.0, 1.2, -0.4, 0.0])
check.hidden.case("ReLU, z exactly 0", dJ_dh=normal(size=4), z=corner_case, phi_grad=relu_slope)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The hidden weights.** The last step. $z = W_1 x$ has the form of $o = W_2 h$ : a matrix times a
# vector. So the step looks like the one for $W_2$. What plays the part of $h$ now? And what plays
# the part of the gradient at $o$?

# %% [markdown]
# ### Exercise: `grad_W1(dJ_dz, x, W1, lam)`
#
# **What it is for.** The gradient that trains the hidden layer; the derivation ends here.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dJ_dz` | (h,) | gradient at the pre-activation |
# | `x` | (d,) | the sample |
# | `W1` | (h, d) | weights of the hidden layer |
# | `lam` | () | $\lambda$ |
# | `dJ_dW1` | (h, d) | gradient of the objective, both ways added |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to start.</summary>
#
# Write one entry: $z_i = \sum_j (W_1)_{ij}\, x_j$. In which entries of $z$ does $(W_1)_{ij}$ stand,
# and with which factor?
#
# </details>
#
# <details><summary>I'm not sure why the shapes do not fit together.</summary>
#
# The penalty's part has the shape of $W_1$, (h, d). Print the shape of your other part. Which of its
# two vectors should give the rows? Your ledger has the answer.
#
# </details>


# %% nbgrader={"grade_id": "grad_W1", "solution": true}
def grad_W1(dJ_dz, x, W1, lam):
    """The gradient of the objective for the hidden weights.

    Args:
        dJ_dz: gradient at the pre-activation, shape (h,)
        x: one sample, shape (d,)
        W1: weights of the hidden layer, shape (h, d)
        lam: how much weights cost, a number, shape ()

    Returns:
        dJ_dW1: through the loss and through the penalty, shape (h, d)
    """
    ### BEGIN SOLUTION
    through_loss = np.outer(dJ_dz, x)
    through_penalty = grad_penalty(W1, lam)
    return through_loss + through_penalty
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_W1-check", "grade": true, "points": 2}
rng = np.random.default_rng(60)
normal = rng.normal


def pytorch(dJ_dz, x, W1, lam):
    z = F.linear(x, W1)
    s = lam / 2 * W1.square().sum()
    J = dJ_dz @ z + s  # a J whose gradient at z is dJ_dz
    return torch.autograd.grad(J, W1)[0]


def sizes_case(h, d):
    return {"dJ_dz": normal(size=h), "x": normal(size=d), "W1": normal(size=(h, d))}


check = Check("grad_W1", pytorch, returns={"dJ_dW1": 2})
check.case("4 inputs, 3 hidden neurons, λ = 0.3", **sizes_case(3, 4), lam=0.3)
check.case("4 inputs, 4 hidden neurons, λ = 1.7", **sizes_case(4, 4), lam=1.7)
### BEGIN HIDDEN TESTS
check.hidden.case("2 inputs, 5 hidden neurons, λ = 0.04", **sizes_case(5, 2), lam=0.04)
check.hidden.case("one input, λ = 0.6", **sizes_case(4, 1), lam=0.6)
check.hidden.case("one hidden neuron, λ = 0.2", **sizes_case(1, 3), lam=0.2)
check.hidden.case("no penalty, λ = 0", **sizes_case(3, 2), lam=0.0)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 5. All steps together
#
# The backward pass of the whole network is now a list of your steps. One backward line for each
# forward line, from the last to the first:
#
# | forward line | backward step |
# |---|---|
# | $J = L + s$ | both factors are known |
# | $L = \frac12 \lVert o - y \rVert^2$ | gradient at $o$ |
# | $o = W_2 h$ | gradients of $W_2$ and at $h$ |
# | $h = \varphi(z)$ | gradient at $z$ |
# | $z = W_1 x$ | gradient of $W_1$ |

# %% [markdown]
# ### Exercise: `mlp_backward(x, y, W1, W2, lam, phi, phi_grad)`
#
# **What it is for.** It is `J.backward()` for this network.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x`, `y` | (d,), (q,) | one sample and its target |
# | `W1`, `W2` | (h, d), (q, h) | the weights |
# | `lam` | () | $\lambda$ |
# | `phi`, `phi_grad` | | $\varphi$ and its slope $\varphi'$ |
# | `J` | () | the objective, with the squared loss of section 1 |
# | `dW1`, `dW2` | shapes of `W1`, `W2` | gradients of `J` |
#
# Points: 1 for `J`, 2 for each gradient. You may call everything that you have written.
#
# **5 points · 9 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure where to start.</summary>
#
# With the forward pass: `z`, `h` and `o`. Keep all three, and then read the table above downward.
#
# </details>
#
# <details><summary>I'm not sure which of my functions knows the penalty.</summary>
#
# The objective has it, and so have the two functions for the weight matrices. If you add it once
# more, it counts twice.
#
# </details>
#
# <details><summary>I'm not sure why the check says "It uses grad_h, which is not right yet".</summary>
#
# Your `mlp_backward` calls a function of an earlier exercise, and the check of that exercise lost
# points when it last ran. Mend that function, run its check again, and then this one.
#
# </details>


# %% nbgrader={"grade_id": "mlp_backward", "solution": true}
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    """The objective of one sample and its gradient for both weight matrices.

    Args:
        x: one sample, shape (d,)
        y: target, shape (q,)
        W1: weights of the hidden layer, shape (h, d)
        W2: weights of the output layer, shape (q, h)
        lam: how much weights cost, a number, shape ()
        phi: the activation, acts on each number of an array
        phi_grad: its slope

    Returns:
        J: the objective, shape ()
        dW1: gradient of J, shape (h, d)
        dW2: gradient of J, shape (q, h)
    """
    ### BEGIN SOLUTION
    z, h, o = mlp_forward(x, W1, W2, phi)
    J = objective(o, y, W1, W2, lam)

    dJ_do = grad_o_mse(o, y)
    dW2 = grad_W2(dJ_do, h, W2, lam)
    dJ_dh = grad_h(dJ_do, W2)
    dJ_dz = grad_z(dJ_dh, z, phi_grad)
    dW1 = grad_W1(dJ_dz, x, W1, lam)
    return J, dW1, dW2
    ### END SOLUTION


# %% nbgrader={"grade_id": "mlp_backward-check", "grade": true, "points": 5}
rng = np.random.default_rng(61)
normal = rng.normal


def pytorch(x, y, W1, W2, lam, phi, phi_grad):
    o = F.linear(phi(F.linear(x, W1)), W2)
    L = 0.5 * F.mse_loss(o, y, reduction="sum")
    J = L + lam / 2 * (W1.square().sum() + W2.square().sum())
    return J, *torch.autograd.grad(J, (W1, W2))


def network_case(d, h, q):
    return {
        "x": normal(size=d),
        "y": normal(size=q),
        "W1": normal(size=(h, d)),
        "W2": normal(size=(q, h)),
    }


check = Check(
    "mlp_backward",
    pytorch,
    returns={"J": 1, "dW1": 2, "dW2": 2},
    order=["J", "dW2", "dW1"],
)
sine = {"phi": Twin(np.sin, torch.sin), "phi_grad": Twin(np.cos)}
rectified = {"phi": Twin(relu, torch.relu), "phi_grad": Twin(relu_grad)}
check.case("4 → 3 → 2, sine, λ = 0.3", **network_case(4, 3, 2), lam=0.3, **sine)
check.case("3 → 3 → 3, ReLU, λ = 1.7", **network_case(3, 3, 3), lam=1.7, **rectified)
### BEGIN HIDDEN TESTS
for title, sizes, lam, phi, slope in [
    ("2 → 5 → 3, tanh, λ = 0.05", (2, 5, 3), 0.05, Twin(np.tanh, torch.tanh), tanh_grad),
    ("5 → 2 → 4, sigmoid, λ = 0.8", (5, 2, 4), 0.8, Twin(sigmoid, torch.sigmoid), sigmoid_grad),
    (
        "3 → 4 → 1, square, no penalty",
        (3, 4, 1),
        0.0,
        Twin(np.square, torch.square),
        lambda z: 2 * z,
    ),
    ("1 → 1 → 2, tanh, λ = 0.4", (1, 1, 2), 0.4, Twin(np.tanh, torch.tanh), tanh_grad),
    ("4 → 4 → 4, sine, λ = 0.6", (4, 4, 4), 0.6, Twin(np.sin, torch.sin), np.cos),
]:
    names = {"phi": phi, "phi_grad": Twin(slope, name="its slope")}
    check.hidden.case(title, **network_case(*sizes), lam=lam, **names)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Does a judge that knows no formula agree? The next cell takes central differences of your own
# objective, with `numerical_gradient` from notebook 02, and compares them with your `mlp_backward`.
# The differences should be a billionth or less.

# %%
rng = np.random.default_rng(62)
x, y, W1, W2 = (rng.normal(size=size) for size in (4, 2, (3, 4), (2, 3)))
lam = 0.3
network = (x, y, W1, W2, lam, np.tanh, tanh_grad)


def objective_at(V1, V2):
    """The student's objective as a function of the two weight matrices."""
    o = mlp_forward(x, V1, V2, np.tanh)[2]
    return objective(o, y, V1, V2, lam)


if all(
    [
        written(mlp_forward, x, W1, W2, np.tanh, values=3),
        written(objective, y, y, W1, W2, lam, shape=()),
        written(mlp_backward, *network, shapes=[(), W1.shape, W2.shape]),
    ]
):
    J, dW1, dW2 = mlp_backward(*network)
    for name, mine, judge in [
        ("dW1", dW1, numerical_gradient(lambda V: objective_at(V, W2), W1)),
        ("dW2", dW2, numerical_gradient(lambda V: objective_at(W1, V), W2)),
    ]:
        print(f"{name}: largest difference {np.abs(mine - judge).max():.0e}")

# %% [markdown]
# ### Forward, backward, update
#
# Training repeats three steps:
#
# 1. **Forward**, with the weights as they are now: $z$, $h$, $o$, $J$, all kept.
# 2. **Backward**, with the kept values: both gradients.
# 3. **Update**: $W \leftarrow W - \eta\, \partial J / \partial W$ for both matrices, with a small
#    step $\eta$. Only now do the weights change. The kept values belong to the old weights, so the
#    next round starts with a new forward pass.
#
# What does $\lambda$ do? The next cell trains a 2 → 8 → 1 network with tanh on 12 random samples, 300
# steps each, for several $\lambda$ from the same start. The gradient of all samples together is the
# mean of your gradients. The left panel shows the mean loss at the end, the right one the size of
# the weights.


# %%
def train_on(samples, weights, lam, steps, learning_rate):
    """Gradient descent with the student's mlp_backward; the weights at the end."""
    for _ in range(steps):
        total = [np.zeros_like(W) for W in weights]
        for x, y in samples:
            _, *gradients = mlp_backward(x, y, *weights, lam, np.tanh, tanh_grad)
            total = [t + g / len(samples) for t, g in zip(total, gradients, strict=True)]
        weights = sgd_step(weights, total, learning_rate)
    return weights


rng = np.random.default_rng(63)
samples = [(rng.normal(size=2), rng.normal(size=1)) for _ in range(12)]
start = [rng.normal(size=(8, 2)), rng.normal(size=(1, 8))]
if all(
    [
        written(
            mlp_backward,
            *samples[0],
            *start,
            0.1,
            np.tanh,
            tanh_grad,
            shapes=[(), start[0].shape, start[1].shape],
        ),
        written(mlp_forward, samples[0][0], *start, np.tanh, values=3),
        written(objective, np.ones(1), samples[0][1], *start, 0.0, shape=()),
    ]
):
    lambdas = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
    losses, sizes = [], []
    for lam in lambdas:
        W1, W2 = train_on(samples, start, lam, 300, 0.1)
        outputs = [mlp_forward(x, W1, W2, np.tanh)[2] for x, _ in samples]
        each = [objective(o, y, W1, W2, 0.0) for o, (_, y) in zip(outputs, samples, strict=True)]
        losses.append(np.mean(each))
        sizes.append(np.sqrt(np.sum(W1**2) + np.sum(W2**2)))
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.9))
    left.semilogx(lambdas, losses, "o-", color=pictures.BLUE)
    left.set(xlabel="λ", ylabel="mean loss, without penalty", title="Larger λ: worse fit …")
    right.semilogx(lambdas, sizes, "s--", color=pictures.VERMILION)
    right.set(xlabel="λ", ylabel="norm of all weights", title="… and smaller weights")
    for panel in (left, right):
        panel.set_ylim(bottom=0)
    plt.show()

# %% [markdown]
# *Picture: two panels against λ on a logarithmic axis. The mean loss rises from left to right and
# levels off; the norm of the weights falls to zero. Trained with your `mlp_backward`.*
#
# The penalty pulls each weight toward zero with the force $\lambda W_{ij}$. The loss pulls it to
# where the samples are fitted. Training ends where the two pulls balance. With the largest $\lambda$
# all weights are gone and the network answers zero, whatever it is asked.

# %% [markdown]
# ### Written answer: The gradient of the hidden weights
#
# Your functions compute $\partial J / \partial W_1$. Now derive it on paper, as a text that another
# student could follow, in Markdown with formulas in LaTeX. A person grades this answer.
#
# Start from
#
# $$ J = \tfrac12 \lVert o - y \rVert^2 + \tfrac{\lambda}{2} \left( \lVert W_1 \rVert^2 +
# \lVert W_2 \rVert^2 \right), \qquad o = W_2\, \varphi(W_1 x) $$
#
# and end with one formula for the matrix $\partial J / \partial W_1$ in terms of $x$, $y$, $o$, $z$,
# $W_1$, $W_2$, $\lambda$ and $\varphi'$. Your text should name the ways from $W_1$ to $J$, give the
# gradients at $o$, $h$ and $z$ entry by entry with a reason for each sum and for each missing sum,
# say where the transposes come from, and check the shape of the result.
#
# **6 points · 20 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how to begin.</summary>
#
# Take one entry, $(W_1)_{ij}$, and your graph. Through which variables does a change of it reach
# $J$? One paragraph for each variable on the way, starting at $J$.
#
# </details>
#
# <details><summary>I'm not sure how to write formulas in a notebook.</summary>
#
# Between dollar signs. `$\frac{\partial J}{\partial h_j}$` gives
# $\frac{\partial J}{\partial h_j}$, `$\sum_i$` gives $\sum_i$, `$W_2^\top$` gives $W_2^\top$,
# `$\varphi'(z_j)$` gives $\varphi'(z_j)$. Double-click any cell above to see how its formulas are
# typed.
#
# </details>

# %% [markdown] nbgrader={"grade_id": "derivation_dJ_dW1", "grade": true, "solution": true, "points": 6}
# ### BEGIN SOLUTION
# **Model answer.** A change of $(W_1)_{ij}$ reaches $J$ in two ways: through the penalty $s$, and
# through $z_i$, then $h_i$, then every $o_k$, then $L$. The effects of the two add up.
#
# *At $o$.* $o_k$ stands in one term of $L = \frac12 \sum_k (o_k - y_k)^2$, and $J = L + s$, so
# $\frac{\partial J}{\partial o_k} = o_k - y_k$.
#
# *At $h$.* $h_i$ stands in every $o_k = \sum_l (W_2)_{kl} h_l$, with the factor $(W_2)_{ki}$. All
# these ways add up: $\frac{\partial J}{\partial h_i} = \sum_k (o_k - y_k) (W_2)_{ki}$. The sum runs
# over the first index of $W_2$, where the forward pass sums over the second. So as a column this is
# $W_2^\top (o - y)$.
#
# *At $z$.* $z_i$ influences $h_i = \varphi(z_i)$ only, so there is no sum:
# $\frac{\partial J}{\partial z_i} = \frac{\partial J}{\partial h_i}\, \varphi'(z_i)$, or
# $\left( W_2^\top (o - y) \right) \odot \varphi'(z)$.
#
# *At $W_1$, through the loss.* $(W_1)_{ij}$ stands in $z_i$ only, with the factor $x_j$: the entry is
# $\frac{\partial J}{\partial z_i}\, x_j$. The table of all these products is a column times a row,
# $\frac{\partial J}{\partial z}\, x^\top$.
#
# *At $W_1$, through the penalty.* $(W_1)_{ij}^2$ is one term of $s$. The derivative of
# $\frac{\lambda}{2} u^2$ is $\lambda u$, because the ½ cancels the 2: $\lambda (W_1)_{ij}$.
#
# *Result.* $\frac{\partial J}{\partial W_1} = \left[ \left( W_2^\top (o - y) \right) \odot
# \varphi'(z) \right] x^\top + \lambda W_1$. Shapes: (h, q) times (q,) is (h,); entry by entry with
# (h,) stays (h,); a column (h, 1) times a row (1, d) is (h, d), the shape of $W_1$.
#
# **Rubric.**
#
# - 1 point: two ways from $W_1$ to $J$ are named, and their effects are added.
# - 1 point: the gradient at $o$ is $o - y$, from one term of the sum.
# - 1 point: the gradient at $h$ has a sum over all outputs, and this is why $W_2$ is transposed.
# - 1 point: the gradient at $z$ is an entry-by-entry product with $\varphi'$ at $z$, and no sum.
# - 1 point: $x^\top$ is explained: $(W_1)_{ij}$ stands in $z_i$ only, with the factor $x_j$.
# - 1 point: the penalty gives $\lambda W_1$, and the whole has the shape (h, d).
#
# A derivation in matrices or differentials earns the same points for the same reasons. A formula
# without its reason earns half of its point.
# ### END SOLUTION

# %% [markdown]
# ## 6. A bias
#
# Now add a bias vector $b$, shape (h,), to the hidden layer:
#
# $$ z = W_1 x + b \qquad h = \varphi(z) \qquad o = W_2\, h $$
#
# The penalty stays as it is: $b$ is not in it. A bias shifts the threshold of a neuron; large or
# small, it does not make the network react more strongly to its input. There is also little of it,
# one number for a whole row of $W_1$. So biases are usually not regularized.

# %% [markdown]
# ### Exercise: `mlp_bias_forward(x, W1, b, W2, phi)`
#
# **What it is for.** The forward pass of the network with a bias.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (d,) | one sample |
# | `W1`, `b` | (h, d), (h,) | weights and bias of the hidden layer |
# | `W2` | (q, h) | weights of the output layer, without a bias |
# | `phi` | | $\varphi$ |
# | `z`, `h` | (h,) | hidden layer before and after $\varphi$ |
# | `o` | (q,) | output |
#
# One point each; `h` and `o` also count, when you are graded, where they are right for your own
# earlier value.
#
# **3 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where the bias goes.</summary>
#
# It belongs to $z$, the number that goes into the activation.
#
# </details>
#
# <details><summary>I'm not sure how often it is added.</summary>
#
# Each hidden neuron has one entry of `b`. The output layer has none.
#
# </details>


# %% nbgrader={"grade_id": "mlp_bias_forward", "solution": true}
def mlp_bias_forward(x, W1, b, W2, phi):
    """The forward pass of a network whose hidden layer has a bias.

    Args:
        x: one sample, shape (d,)
        W1: weights of the hidden layer, shape (h, d)
        b: bias of the hidden layer, shape (h,)
        W2: weights of the output layer, shape (q, h)
        phi: the activation, acts on each number of an array

    Returns:
        z: pre-activation of the hidden layer, shape (h,)
        h: hidden layer, shape (h,)
        o: output, shape (q,)
    """
    ### BEGIN SOLUTION
    z = W1 @ x + b
    h = phi(z)
    o = W2 @ h
    return z, h, o
    ### END SOLUTION


# %% nbgrader={"grade_id": "mlp_bias_forward-check", "grade": true, "points": 3}
rng = np.random.default_rng(64)
normal = rng.normal


def pytorch(x, W1, b, W2, phi):
    z = F.linear(x, W1, b)
    h = phi(z)
    o = F.linear(h, W2)
    return z, h, o


def network_case(d, h, q):
    return {
        "x": normal(size=d),
        "W1": normal(size=(h, d)),
        "b": normal(size=h),
        "W2": normal(size=(q, h)),
    }


check = Check("mlp_bias_forward", pytorch, returns={"z": 1, "h": 1, "o": 1})
check.case("4 → 3 → 2, sine", **network_case(4, 3, 2), phi=Twin(np.sin, torch.sin))
check.case("3 → 3 → 3, ReLU", **network_case(3, 3, 3), phi=Twin(relu, torch.relu))
### BEGIN HIDDEN TESTS
check.hidden.follow_through(h=lambda z, phi: phi(z), o=lambda h, W2: W2 @ h)
check.hidden.case("2 → 5 → 3, sigmoid", **network_case(2, 5, 3), phi=Twin(sigmoid, torch.sigmoid))
check.hidden.case("one output, tanh", **network_case(3, 4, 1), phi=Twin(np.tanh, torch.tanh))
check.hidden.case("one neuron, square", **network_case(5, 1, 3), phi=Twin(np.square, torch.square))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Exercise: `bias_graph_edges`
#
# **What it is for.** The graph says at a glance which gradients the new variable changes.
#
# | symbol | form | meaning |
# |---|---|---|
# | `bias_graph_edges` | a set of pairs | one pair `(from, to)` of names for each arrow |
#
# The names are those of section 2 and `"b"`. Write the whole graph, not only what is new.
#
# **2 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure whether I must type everything again.</summary>
#
# If your set of section 2 is right, you may start from it: `|` joins two sets.
#
# </details>
#
# <details><summary>I'm not sure where the arrows of b lead.</summary>
#
# In which of the forward lines does $b$ stand on the right side? Is the line of $s$ one of them?
#
# </details>

# %% nbgrader={"grade_id": "bias_graph_edges", "solution": true}
# bias_graph_edges: a set of (from, to) pairs of names
### BEGIN SOLUTION
bias_graph_edges = graph_edges | {("b", "z")}
### END SOLUTION


# %% nbgrader={"grade_id": "bias_graph_edges-check", "grade": true, "points": 2}
def pytorch():
    sizes = (4, (3, 4), 3, (2, 3), 2)
    x, W1, b, W2, y = (torch.ones(size, dtype=torch.float64, requires_grad=True) for size in sizes)
    z = W1 @ x + b
    h = torch.tanh(z)
    o = W2 @ h
    L = 0.5 * ((o - y) ** 2).sum()
    s = 0.05 * ((W1**2).sum() + (W2**2).sum())
    J = L + s
    return recorded_edges(x=x, W1=W1, b=b, z=z, h=h, W2=W2, o=o, y=y, L=L, s=s, J=J)


check = Check("bias_graph_edges", pytorch, returns={"bias_graph_edges": 2}, typed=True)
check.case("the network with a bias")
check.grade()

# %%
pictures.draw_graph(globals().get("bias_graph_edges"), "Your graph with a bias")

# %% [markdown]
# *Picture: the graph of your pairs, as in section 2, with a square for b. Drawn from your
# `bias_graph_edges`.*
#
# How many ways lead from $b$ to $J$? The answer is the number of terms of its gradient.

# %% [markdown]
# ### Exercise: `mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad)`
#
# **What it is for.** The whole derivation once more, with the bias in its place.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x`, `y` | (d,), (q,) | one sample and its target |
# | `W1`, `b`, `W2` | (h, d), (h,), (q, h) | the parameters |
# | `lam` | () | $\lambda$; the penalty has $W_1$ and $W_2$ only |
# | `phi`, `phi_grad` | | $\varphi$ and its slope |
# | `J` | () | the objective, with the squared loss |
# | `dW1`, `db`, `dW2` | shapes of `W1`, `b`, `W2` | gradients of `J` |
#
# One point each.
#
# **4 points · 7 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure which of my steps change.</summary>
#
# Each backward step uses the values of one forward line. Which line has changed? Which step needs
# $z$, and which $z$ is it now?
#
# </details>
#
# <details><summary>I'm not sure what the gradient of the bias is.</summary>
#
# $b_i$ is added to $z_i$ with the factor 1, and to nothing else. You already compute the gradient
# at $z$.
#
# </details>


# %% nbgrader={"grade_id": "mlp_bias_backward", "solution": true}
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    """The objective of one sample and its gradients, for a network whose hidden layer has a bias.

    Args:
        x: one sample, shape (d,)
        y: target, shape (q,)
        W1: weights of the hidden layer, shape (h, d)
        b: bias of the hidden layer, shape (h,)
        W2: weights of the output layer, shape (q, h)
        lam: how much weights cost, a number, shape ()
        phi: the activation, acts on each number of an array
        phi_grad: its slope

    Returns:
        J: the objective, shape ()
        dW1: gradient of J, shape (h, d)
        db: gradient of J, shape (h,)
        dW2: gradient of J, shape (q, h)
    """
    ### BEGIN SOLUTION
    z, h, o = mlp_bias_forward(x, W1, b, W2, phi)
    J = objective(o, y, W1, W2, lam)

    dJ_do = grad_o_mse(o, y)
    dW2 = grad_W2(dJ_do, h, W2, lam)
    dJ_dh = grad_h(dJ_do, W2)
    dJ_dz = grad_z(dJ_dh, z, phi_grad)
    db = dJ_dz
    dW1 = grad_W1(dJ_dz, x, W1, lam)
    return J, dW1, db, dW2
    ### END SOLUTION


# %% nbgrader={"grade_id": "mlp_bias_backward-check", "grade": true, "points": 4}
rng = np.random.default_rng(65)
normal = rng.normal


def pytorch(x, y, W1, b, W2, lam, phi, phi_grad):
    o = F.linear(phi(F.linear(x, W1, b)), W2)
    L = 0.5 * F.mse_loss(o, y, reduction="sum")
    J = L + lam / 2 * (W1.square().sum() + W2.square().sum())
    return J, *torch.autograd.grad(J, (W1, b, W2))


def network_case(d, h, q):
    return {
        "x": normal(size=d),
        "y": normal(size=q),
        "W1": normal(size=(h, d)),
        "b": normal(size=h),
        "W2": normal(size=(q, h)),
    }


check = Check(
    "mlp_bias_backward",
    pytorch,
    returns={"J": 1, "dW1": 1, "db": 1, "dW2": 1},
    order=["J", "dW2", "db", "dW1"],
)
sine = {"phi": Twin(np.sin, torch.sin), "phi_grad": Twin(np.cos)}
rectified = {"phi": Twin(relu, torch.relu), "phi_grad": Twin(relu_grad)}
check.case("4 → 3 → 2, sine, λ = 0.3", **network_case(4, 3, 2), lam=0.3, **sine)
check.case("3 → 3 → 3, ReLU, λ = 1.7", **network_case(3, 3, 3), lam=1.7, **rectified)
### BEGIN HIDDEN TESTS
check.hidden.follow_through(dW1=lambda db, x, W1, lam: np.outer(db, x) + lam * W1)
for title, sizes, lam, phi, slope in [
    ("2 → 5 → 3, tanh, λ = 0.05", (2, 5, 3), 0.05, Twin(np.tanh, torch.tanh), tanh_grad),
    ("5 → 2 → 4, sigmoid, λ = 0.8", (5, 2, 4), 0.8, Twin(sigmoid, torch.sigmoid), sigmoid_grad),
    (
        "3 → 4 → 1, square, no penalty",
        (3, 4, 1),
        0.0,
        Twin(np.square, torch.square),
        lambda z: 2 * z,
    ),
    ("1 → 1 → 2, tanh, λ = 0.4", (1, 1, 2), 0.4, Twin(np.tanh, torch.tanh), tanh_grad),
]:
    names = {"phi": phi, "phi_grad": Twin(slope, name="its slope")}
    check.hidden.case(title, **network_case(*sizes), lam=lam, **names)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 7. What training must keep
#
# Look at your steps again and note what each takes from the forward pass: `grad_o_mse` takes $o$,
# `grad_W2` takes $h$, `grad_z` takes $z$, `grad_W1` takes $x$. Training must keep all four until
# the backward pass is over. Computing them a second time would also be possible, and slower.
#
# A prediction needs none of that. As soon as $h$ is there, $z$ may go. So count as in notebook 01:
#
# - **Inference** (prediction): all weights, and room for the widest of the vectors $x$, $z$, $h$,
#   $o$.
# - **Training**: all weights, a gradient for each weight, and all four vectors $x$, $z$, $h$, $o$.
#
# Count numbers, not bytes, for the network of section 1 without a bias and for one sample.

# %% [markdown]
# ### Exercise: `inference_values(d, h, q)`
#
# **What it is for.** The memory of a network that only predicts.
#
# | symbol | form | meaning |
# |---|---|---|
# | `d`, `h`, `q` | whole numbers | sizes of input, hidden layer and output |
# | `count` | a whole number | weights, and the widest of the four vectors |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how many numbers a matrix has.</summary>
#
# Rows times columns. Your ledger has the shapes of both.
#
# </details>
#
# <details><summary>I'm not sure why only some cases are right.</summary>
#
# The widest vector is not always the same one. `max` takes several numbers.
#
# </details>


# %% nbgrader={"grade_id": "inference_values", "solution": true}
def inference_values(d, h, q):
    """How many numbers a prediction for one sample needs at least.

    Args:
        d: size of the input
        h: size of the hidden layer
        q: size of the output

    Returns:
        count: an int
    """
    ### BEGIN SOLUTION
    weights = h * d + q * h
    widest = max(d, h, q)
    return weights + widest
    ### END SOLUTION


# %% nbgrader={"grade_id": "inference_values-check", "grade": true, "points": 2}
def pytorch(d, h, q):
    model = torch.nn.Sequential(
        torch.nn.Linear(d, h, bias=False), torch.nn.GELU(), torch.nn.Linear(h, q, bias=False)
    )
    vectors = [torch.ones(d)]
    with torch.no_grad():
        for layer in model:
            vectors.append(layer(vectors[-1]))
    weights = sum(parameter.numel() for parameter in model.parameters())
    return weights + max(vector.numel() for vector in vectors)


check = Check("inference_values", pytorch, returns={"count": 2})
check.case("4 → 3 → 2, the input is widest", d=4, h=3, q=2)
check.case("2 → 6 → 5, the hidden layer is widest", d=2, h=6, q=5)
### BEGIN HIDDEN TESTS
check.hidden.case("3 → 2 → 8, the output is widest", d=3, h=2, q=8)
check.hidden.case("784 → 128 → 10", d=784, h=128, q=10)
check.hidden.case("1 → 1 → 1", d=1, h=1, q=1)
check.hidden.case("5 → 5 → 5", d=5, h=5, q=5)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Exercise: `training_values(d, h, q)`
#
# **What it is for.** The memory of the same network while it learns.
#
# | symbol | form | meaning |
# |---|---|---|
# | `d`, `h`, `q` | whole numbers | sizes of input, hidden layer and output |
# | `count` | a whole number | weights, their gradients, and all four vectors |
#
# The check lets PyTorch run the forward pass and counts what it really saves for the backward pass.
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how many numbers the gradients have.</summary>
#
# A gradient has the shape of its variable. Count those of the weights; gradients at $o$, $h$ and $z$
# come and go during the backward pass and are not counted.
#
# </details>
#
# <details><summary>I'm not sure whether the hidden layer counts once or twice.</summary>
#
# $z$ and $h$ are two vectors. Which of your steps takes the one, which takes the other?
#
# </details>


# %% nbgrader={"grade_id": "training_values", "solution": true}
def training_values(d, h, q):
    """How many numbers training on one sample keeps.

    Args:
        d: size of the input
        h: size of the hidden layer
        q: size of the output

    Returns:
        count: an int
    """
    ### BEGIN SOLUTION
    weights = h * d + q * h
    gradients = weights
    kept = d + h + h + q
    return weights + gradients + kept
    ### END SOLUTION


# %% nbgrader={"grade_id": "training_values-check", "grade": true, "points": 2}
def pytorch(d, h, q):
    W1, W2 = torch.ones(h, d, requires_grad=True), torch.ones(q, h, requires_grad=True)
    x, y = torch.ones(d), torch.ones(q)
    saved = {}

    def note(tensor):
        saved[tensor.data_ptr()] = tensor  # by its place in memory, so that each counts once
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        z = W1 @ x
        o = W2 @ F.gelu(z)  # GELU saves z, because its slope needs z
        J = 0.5 * F.mse_loss(o, y, reduction="sum")
    J.backward()
    weights_and_target = {tensor.data_ptr() for tensor in (W1, W2, y)}
    vectors = [tensor for place, tensor in saved.items() if place not in weights_and_target]
    return sum(tensor.numel() for tensor in (W1, W2, W1.grad, W2.grad, *vectors))


check = Check("training_values", pytorch, returns={"count": 2})
check.case("4 → 3 → 2", d=4, h=3, q=2)
check.case("2 → 6 → 5", d=2, h=6, q=5)
### BEGIN HIDDEN TESTS
check.hidden.case("3 → 2 → 8", d=3, h=2, q=8)
check.hidden.case("784 → 128 → 10", d=784, h=128, q=10)
check.hidden.case("1 → 1 → 1", d=1, h=1, q=1)
check.hidden.case("5 → 5 → 5", d=5, h=5, q=5)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Weights are kept once for a whole batch, but the four vectors are kept for **every sample**. The
# next cell draws this for a 784 → 128 → 10 network, with your two counts. The difference of your two
# functions gives the vectors, so the bars are your own numbers. Look at which part of the memory
# grows with the batch.


# %%
def draw_memory(batch_sizes, inference, training):
    """Two bars for each batch size, and the ratio of the two."""
    fig, ax = plt.subplots()
    places = np.arange(len(batch_sizes))
    style = {"width": 0.38, "edgecolor": pictures.BLACK}
    ax.bar(places - 0.2, inference, color=pictures.SKY, label="inference", **style)
    ax.bar(places + 0.2, training, color=pictures.ORANGE, hatch="//", label="training", **style)
    for place, ratio in zip(places, training / inference, strict=True):
        ax.text(place + 0.2, training[place], f"×{ratio:.1f}", ha="center", va="bottom")
    ax.set_xticks(places, batch_sizes)
    ax.set(
        xlabel="samples in the batch", ylabel="numbers in memory", ylim=(0, 1.12 * max(training))
    )
    ax.set_title("The vectors of a large batch outweigh the weights")
    ax.legend()
    plt.show()


if written(inference_values, 784, 128, 10, shape=()) and written(
    training_values, 784, 128, 10, shape=()
):
    batch_sizes = np.array([1, 32, 256, 1024])
    weights = inference_values(784, 128, 10) - 784  # 784 is the widest vector
    vectors = training_values(784, 128, 10) - 2 * weights
    if weights > 0 and vectors > 0:
        draw_memory(batch_sizes, weights + 784 * batch_sizes, 2 * weights + vectors * batch_sizes)
    else:
        print("Your two counts leave no room for weights or for vectors; see their checks.")

# %% [markdown]
# *Picture: for 1, 32, 256 and 1024 samples two bars, numbers in memory for inference and for
# training, with the ratio of the two above. For few samples the weights and their gradients rule;
# for many samples both bars grow with the batch. Drawn from your two counts.*
#
# This network is shallow. In a network of 100 layers training keeps the vectors of all layers, and
# inference still needs room for the widest alone. That is why training runs out of memory on a
# machine that predicts without trouble.

# %% [markdown]
# ## 8. Second derivatives
#
# A gradient says in which direction to go. How far? That depends on how fast the gradient itself
# changes. For a function $f$ of n weights, put into one vector $w$ of shape (n,), with the gradient
# $g(w)$, the *Hessian* is the matrix of all second derivatives:
#
# $$ H_{ij} = \frac{\partial^2 f}{\partial w_i\, \partial w_j} = \frac{\partial g_i}{\partial w_j} $$
#
# It has n rows and n columns, and it is symmetric. Column $j$ says how the whole gradient changes
# when $w_j$ changes.
#
# Often the whole matrix is not needed, but only its product with one vector $v$. That product is the
# change of the gradient along $v$, and central differences give it from **two** gradients:
#
# $$ H v \approx \frac{g(w + \varepsilon v) - g(w - \varepsilon v)}{2 \varepsilon} $$
#
# The vector $v$ is used as it is; it need not have the length 1. As in notebook 02, the error
# shrinks with $\varepsilon^2$. When $f$ is a polynomial of degree 3, then $g$ has degree 2 and the
# formula is exact for every $\varepsilon$, also for a large one. The check uses that.

# %% [markdown]
# ### Exercise: `hessian_vector_product(grad_fn, w, v, eps)`
#
# **What it is for.** Second-order methods, and measuring how curved a loss is, for networks whose
# Hessian would fill a warehouse of disks.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `grad_fn` | | $g$, a function from an array (n,) to the gradient there, (n,) |
# | `w` | (n,) | where the product is wanted |
# | `v` | (n,) | the vector |
# | `eps` | () | the step $\varepsilon$, used as it is given |
# | `product` | (n,) | what the formula above gives, nearly $H v$ |
#
# **3 points · 5 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where the matrix H is.</summary>
#
# Nowhere. The formula has two gradients and no matrix.
#
# </details>
#
# <details><summary>I'm not sure why the numbers are near, but not equal.</summary>
#
# A difference to one side, $g(w + \varepsilon v) - g(w)$, has an error that shrinks with
# $\varepsilon$ and not with $\varepsilon^2$. And the two points of the formula are $2\varepsilon$
# apart.
#
# </details>


# %% nbgrader={"grade_id": "hessian_vector_product", "solution": true}
def hessian_vector_product(grad_fn, w, v, eps):
    """The Hessian times a vector, by central differences of the gradient.

    Args:
        grad_fn: the gradient, a function from an array of n numbers to n numbers
        w: where the product is wanted, shape (n,)
        v: the vector, shape (n,)
        eps: the step along v, shape ()

    Returns:
        product: the formula's value, nearly H v, shape (n,)
    """
    ### BEGIN SOLUTION
    ahead = grad_fn(w + eps * v)
    behind = grad_fn(w - eps * v)
    return (ahead - behind) / (2 * eps)
    ### END SOLUTION


# %% nbgrader={"grade_id": "hessian_vector_product-check", "grade": true, "points": 3}
rng = np.random.default_rng(66)
normal = rng.normal


def pytorch(loss, w, v, eps):
    return torch.autograd.functional.hvp(loss, w, v)[1]


# You get the gradient of a loss; PyTorch gets the loss itself.
def cubic_case(n):
    c, A = normal(size=n), normal(size=(n, n))
    ct, At = torch.tensor(c), torch.tensor(A)
    return Twin(
        lambda w: (c @ w) ** 2 / 2 * c + (A + A.T) @ w / 2,
        lambda w: (ct @ w) ** 3 / 6 + w @ At @ w / 2,
        "gradient of a cubic",
    )


def smooth_case(n):
    C = normal(size=(n + 2, n)) / np.sqrt(n)
    Ct = torch.tensor(C)
    return Twin(
        lambda w: C.T @ np.tanh(C @ w),
        lambda w: torch.log(torch.cosh(Ct @ w)).sum(),
        "gradient of log cosh",
    )


# Cubics are exact. With eps = 1e-5 the formula is off by 1e-10 and rounding by 1e-11, for numbers
# near 1; a difference to one side is off by 1e-5 and more.
check = Check(
    "hessian_vector_product", pytorch, returns={"product": 3}, tolerance={"product": 1e-7}
)
check.case(
    "a cubic of 3 weights", grad_fn=cubic_case(3), w=normal(size=3), v=normal(size=3), eps=0.5
)
check.case(
    "log cosh, 4 weights", grad_fn=smooth_case(4), w=normal(size=4), v=normal(size=4), eps=1e-5
)
### BEGIN HIDDEN TESTS
for title, n, gradient_case, eps in [
    ("a cubic of 6 weights", 6, cubic_case, 0.25),
    ("a cubic of 2 weights, a step of 2", 2, cubic_case, 2.0),
    ("one weight", 1, cubic_case, 0.5),
    ("log cosh, 7 weights", 7, smooth_case, 1e-5),
]:
    inputs = {"grad_fn": gradient_case(n), "w": normal(size=n), "v": normal(size=n), "eps": eps}
    check.hidden.case(title, **inputs)
inputs = {"grad_fn": smooth_case(5), "w": normal(size=5), "v": np.eye(5)[3], "eps": 1e-5}
check.hidden.case("v picks one column", **inputs)


# With a large step the formula is no longer exact for a quartic: it is the mean of H v on the way
# from w - eps v to w + eps v. Two points of that way (Gauss) give the mean of a quadratic exactly,
# so PyTorch gets the mean of the loss at these two.
def quartic_case(n, v, eps):
    C, shift = normal(size=(n + 1, n)) / np.sqrt(n), torch.tensor(eps * v / np.sqrt(3.0))
    Ct = torch.tensor(C)
    return Twin(
        lambda w: C.T @ (C @ w) ** 3 / 6,
        lambda w: sum(((Ct @ (w + move)) ** 4).sum() for move in (shift, -shift)) / 48,
        "gradient of a quartic",
    )


for n, eps in [(3, 0.4), (5, 0.7)]:
    w, v = normal(size=n), normal(size=n)
    quartic = quartic_case(n, v, eps)
    check.hidden.case(f"a quartic, a step of {eps}", grad_fn=quartic, w=w, v=v, eps=eps)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Exercise: `hessian(grad_fn, w)`
#
# **What it is for.** The whole matrix, for a few weights. It shows what the product above saves.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `grad_fn` | | $g$, a function from an array (n,) to the gradient there, (n,) |
# | `w` | (n,) | where the Hessian is wanted |
# | `H` | (n, n) | the Hessian, each number right to within 0.001 |
#
# The step is yours to choose. The second and third derivatives here are of the size of 1, so a step
# between $10^{-6}$ and $10^{-4}$ is accurate enough. Gradients may be as large as 1000. With a much
# smaller step rounding rules, as in the U-curve of notebook 02.
#
# **3 points · 5 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to get a matrix out of products with vectors.</summary>
#
# A matrix times a vector that is 1 in one place and 0 elsewhere is one column of the matrix.
# `np.eye(n)` has these vectors as its rows.
#
# </details>
#
# <details><summary>I'm not sure whether to fill rows or columns.</summary>
#
# The exact Hessian is symmetric, so both give the same matrix, up to the small errors of the
# differences.
#
# </details>
#
# <details><summary>I'm not sure why my numbers are near, but off by more than 0.001.</summary>
#
# Then it is the step. With a large one the formula is off; with a tiny one two nearly equal
# gradients are subtracted, and few of their digits are left. Compare your step with the card.
#
# </details>


# %% nbgrader={"grade_id": "hessian", "solution": true}
def hessian(grad_fn, w):
    """All second derivatives, by differences of the gradient.

    Args:
        grad_fn: the gradient, a function from an array of n numbers to n numbers
        w: where the Hessian is wanted, shape (n,)

    Returns:
        H: the Hessian, shape (n, n)
    """
    ### BEGIN SOLUTION
    n = len(w)
    H = np.zeros((n, n))
    for j, unit in enumerate(np.eye(n)):
        H[:, j] = hessian_vector_product(grad_fn, w, unit, 1e-5)
    return H
    ### END SOLUTION


# %% nbgrader={"grade_id": "hessian-check", "grade": true, "points": 3}
rng = np.random.default_rng(67)
normal = rng.normal


def pytorch(loss, w):
    return torch.autograd.functional.hessian(loss, w)


# You get the gradient of a loss; PyTorch gets the loss itself.
def cubic_case(n):
    c, A = normal(size=n) / np.sqrt(n), normal(size=(n, n))
    ct, At = torch.tensor(c), torch.tensor(A)
    return Twin(
        lambda w: (c @ w) ** 2 / 2 * c + (A + A.T) @ w / 2,
        lambda w: (ct @ w) ** 3 / 6 + w @ At @ w / 2,
        "gradient of a cubic",
    )


def smooth_case(n):
    C = normal(size=(n + 2, n)) / np.sqrt(n)
    Ct = torch.tensor(C)
    return Twin(
        lambda w: C.T @ np.tanh(C @ w),
        lambda w: torch.log(torch.cosh(Ct @ w)).sum(),
        "gradient of log cosh",
    )


# A linear term changes no second derivative, but it costs digits: gradients near 1000 are known to
# about 1e-13, and a difference of two is divided by the step.
def steep_case(n):
    smooth, slope = smooth_case(n), 1000.0 * np.where(np.arange(n) % 2, 1.0, -1.0)
    slope_t = torch.tensor(slope)
    return Twin(
        lambda w: smooth.numpy(w) + slope,
        lambda w: smooth.torch(w) + slope_t @ w,
        "gradient of a steep log cosh",
    )


# The third derivatives are of the size of 1: a difference to one side with the step 1e-4 is off by
# about 1e-4, a central one by less. Rounding is off by less than 1e-6 for every step from 1e-6 on,
# and by more than 0.01 for a step of 1e-12.
check = Check("hessian", pytorch, returns={"H": 3}, tolerance={"H": 1e-3})
check.case("a cubic of 3 weights", grad_fn=cubic_case(3), w=normal(size=3))
check.case("log cosh, 4 weights", grad_fn=smooth_case(4), w=normal(size=4))
check.case("log cosh, gradients near 1000", grad_fn=steep_case(3), w=normal(size=3))
### BEGIN HIDDEN TESTS
check.hidden.case("gradients near 1000, 6 weights", grad_fn=steep_case(6), w=normal(size=6))
check.hidden.case("a cubic of 6 weights", grad_fn=cubic_case(6), w=normal(size=6))
check.hidden.case("log cosh, 2 weights", grad_fn=smooth_case(2), w=normal(size=2))
check.hidden.case("one weight", grad_fn=cubic_case(1), w=normal(size=1))
check.hidden.case("log cosh, 8 weights", grad_fn=smooth_case(8), w=normal(size=8))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **What does it cost?** The next cell takes the gradient of $W_1$ from your `mlp_backward`, for
# networks with more and more inputs. It measures, on your machine, the time of one gradient, of one
# product $Hv$, and of n products, which is the whole Hessian. Look at the gap between the lowest and
# the highest curve.


# %%
def weight_gradient(x, y, W2):
    """The gradient of J for W1, as a function from a vector of weights to a vector."""
    shape = (W2.shape[1], len(x))
    return lambda w: mlp_backward(x, y, w.reshape(shape), W2, 0.1, np.tanh, tanh_grad)[1].ravel()


def seconds(run):
    """The shortest of three measured times."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def costs(n):
    """Seconds of one gradient, of one product and of n products, for n weights."""
    x, y, W2 = (rng.normal(size=size) for size in (n // 8, 2, (2, 8)))
    gradient = weight_gradient(x, y, W2)
    w, v = rng.normal(size=n), rng.normal(size=n)
    return (
        seconds(lambda: gradient(w)),
        seconds(lambda: hessian_vector_product(gradient, w, v, 1e-5)),
        seconds(lambda: [hessian_vector_product(gradient, w, u, 1e-5) for u in np.eye(n)]),
    )


rng = np.random.default_rng(68)
if written(mlp_backward, *network, shapes=[(), (3, 4), (2, 3)]) and written(
    hessian_vector_product, np.sin, np.ones(3), np.ones(3), 1e-5, shape=(3,)
):
    counts = [8, 16, 32, 64, 128, 256]
    gradients, products, hessians = zip(*[costs(n) for n in counts], strict=True)
    fig, ax = plt.subplots()
    for label, times, color, style in [
        ("n products: the Hessian", hessians, pictures.VERMILION, "s--"),
        ("one product Hv", products, pictures.GREEN, "^-."),
        ("one gradient", gradients, pictures.BLUE, "o-"),
    ]:
        ax.loglog(counts, times, style, color=color, label=label)
    ax.set(
        xlabel="number of weights n",
        ylabel="seconds",
        title="The whole Hessian is the expensive one",
    )
    ax.legend()
    plt.show()
    print(f"With {counts[-1]} weights, one product takes as long as", end=" ")
    print(f"{products[-1] / gradients[-1]:.1f} gradients,", end=" ")
    print(f"the Hessian as long as {hessians[-1] / gradients[-1]:.0f}.")

# %% [markdown]
# *Picture: time against the number of weights, both axes logarithmic. The curves of one gradient and
# of one product run close together and nearly flat; the curve of n products rises steeply. Measured
# live, with your `mlp_backward` and `hessian_vector_product`.*
#
# So second derivatives are slower than first ones: one product costs about two gradients, and the
# whole Hessian about 2n gradients. For a million weights it would also have $10^{12}$ entries. This
# is why training uses gradients.
#
# **And the graph?** PyTorch gets second derivatives without differences. It lets the backward pass
# record itself: every gradient becomes a variable of the graph, with operations of its own, and then
# the program walks back through all of that. The next cell counts the operations of both graphs, for
# the network of section 1.


# %%
def count_operations(tensor):
    """How many operations lie behind a tensor in PyTorch's graph."""
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [earlier for earlier, _ in node.next_functions]
    return len(seen)


V1, V2 = torch.ones(3, 4, requires_grad=True), torch.ones(2, 3, requires_grad=True)
output = V2 @ torch.tanh(V1 @ torch.ones(4))
J = 0.5 * (output - torch.ones(2)).square().sum() + 0.15 * (V1.square().sum() + V2.square().sum())
(first,) = torch.autograd.grad(J, V1, create_graph=True)  # the backward pass is recorded too
print("operations behind J:", count_operations(J))
print("operations behind the gradient of W1:", count_operations(first))

# %% [markdown]
# The gradient has a graph of its own, no smaller than the graph of $J$. Both must be kept until the
# second walk is over. Each walk back through the larger graph gives one product of the Hessian with
# a vector, so n walks give the whole matrix. The count is the same as with differences.

# %% [markdown]
# ## 9. A graph too large for one device
#
# Suppose the weights of a deep network do not fit on one device. Its graph can be cut. Notice where:
# every layer talks to the next through one vector for each sample, and back through the gradient of
# that vector. Cut between two layers, and only these must travel. The pieces are called *stages*.
# There are S of them, one on each device.
#
# Yet stage 2 cannot begin before stage 1 is done. With the whole batch in one piece, one device works
# and all others wait. So the batch is cut too, into M *micro-batches*. While stage 2 works on the
# first, stage 1 takes up the second. This is a *pipeline*. The next picture shows the forward pass,
# for S = 3 and M = 5. One column is one tick, the time in which a stage treats one micro-batch. Each
# stage treats the micro-batches in their order, and each as soon as the stage before has passed it
# on.

# %% nbgrader={"grade_id": "picture-of-the-pipeline", "locked": true}
fig, ax = plt.subplots(figsize=(7, 2.2))
for stage in range(3):
    for tick in range(7):
        micro = tick - stage
        busy = 0 <= micro < 5
        face = pictures.SKY if busy else "white"
        ax.add_patch(
            plt.Rectangle((tick, -stage), 1, 1, facecolor=face, edgecolor=pictures.BLACK, lw=0.8)
        )
        ax.text(
            tick + 0.5, 0.5 - stage, str(micro + 1) if busy else "idle", ha="center", va="center"
        )
ax.set_xticks(np.arange(7) + 0.5, np.arange(1, 8))
ax.set_yticks([0.5, -0.5, -1.5], ["stage 1", "stage 2", "stage 3"])
ax.set(xlim=(0, 7), ylim=(-2, 1), xlabel="tick", title="Devices wait at the start and at the end")
ax.grid(False)
plt.show()

# %% [markdown]
# *Picture: three rows, one a stage, and seven columns, one a tick. Stage 1 treats micro-batches 1 to
# 5 and then idles, stage 2 begins one tick later, stage 3 two ticks later. Three cells stand idle at
# the start, at the lower left, and three at the end, at the upper right. Drawn by the cell above.*
#
# The idle cells are called the *bubble*. The backward pass runs through the stages the other way
# around, with a bubble of the same shape, so the idle fraction of the whole is that of the forward
# pass.

# %% [markdown]
# ### Exercise: `bubble_fraction(n_stages, n_microbatches)`
#
# **What it is for.** How much of the rented hardware waits.
#
# | symbol | form | meaning |
# |---|---|---|
# | `n_stages` | a whole number ≥ 1 | S, one device each |
# | `n_microbatches` | a whole number ≥ 1 | M |
# | `fraction` | a number from 0 to 1 | idle cells, divided by all cells of the schedule |
#
# PyTorch has no function for this. The check plays the schedule through, tick by tick, and counts.
#
# **2 points · 6 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how many ticks the schedule has.</summary>
#
# Follow the last micro-batch. When does stage 1 begin with it? How many stages must it pass from
# then on? Count in the picture, then write it with S and M.
#
# </details>
#
# <details><summary>I'm not sure how many cells of a row are idle.</summary>
#
# Each stage is busy for M ticks. The rest of its row is idle, and that is the same number for each
# stage.
#
# </details>


# %% nbgrader={"grade_id": "bubble_fraction", "solution": true}
def bubble_fraction(n_stages, n_microbatches):
    """The idle fraction of a pipeline.

    Args:
        n_stages: stages of the pipeline, one device each
        n_microbatches: pieces of the batch

    Returns:
        fraction: idle cells of the schedule divided by all cells, shape ()
    """
    ### BEGIN SOLUTION
    ticks = n_microbatches + n_stages - 1
    idle = n_stages - 1
    return idle / ticks
    ### END SOLUTION


# %% nbgrader={"grade_id": "bubble_fraction-check", "grade": true, "points": 2}
def schedule(n_stages, n_microbatches):
    done = {}  # (stage, micro-batch) → the tick in which it is finished
    for m in range(n_microbatches):
        for s in range(n_stages):
            free = done.get((s, m - 1), 0)
            arrived = done.get((s - 1, m), 0)
            done[s, m] = max(free, arrived) + 1
    cells = n_stages * max(done.values())
    return torch.tensor((cells - len(done)) / cells, dtype=torch.float64)


check = Check("bubble_fraction", schedule, returns={"fraction": 2})
check.case("3 stages, 5 micro-batches", n_stages=3, n_microbatches=5)
check.case("4 stages, the batch in one piece", n_stages=4, n_microbatches=1)
### BEGIN HIDDEN TESTS
check.hidden.case("8 stages, 32 micro-batches", n_stages=8, n_microbatches=32)
check.hidden.case("one stage", n_stages=1, n_microbatches=6)
check.hidden.case("6 stages, 6 micro-batches", n_stages=6, n_microbatches=6)
check.hidden.case("9 stages, 2 micro-batches", n_stages=9, n_microbatches=2)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# At each cut the values of a whole batch travel forward. For each sample it is one vector, as wide as
# the layer. On the way back the gradients travel, of the same shape.

# %% [markdown]
# ### Exercise: `stage_traffic_bytes(batch_size, width, bytes_per_value)`
#
# **What it is for.** The price of a cut: what the wire between two devices must carry for each
# batch.
#
# | symbol | form | meaning |
# |---|---|---|
# | `batch_size` | a whole number | samples, all micro-batches together |
# | `width` | a whole number | numbers in the vector at the cut, for one sample |
# | `bytes_per_value` | a whole number | 4 for float32, 8 for float64 |
# | `traffic` | a whole number | bytes in **one** direction, for one batch |
#
# **1 point · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure whether the weights travel too.</summary>
#
# They stay on their device, and so do their gradients. Only what one layer hands to the next crosses
# the cut.
#
# </details>
#
# <details><summary>I'm not sure whether to count forward and backward.</summary>
#
# The card asks for one direction.
#
# </details>


# %% nbgrader={"grade_id": "stage_traffic_bytes", "solution": true}
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    """What crosses the cut between two stages, in one direction, for one batch.

    Args:
        batch_size: samples
        width: numbers in the vector at the cut, for one sample
        bytes_per_value: bytes of one number

    Returns:
        traffic: an int
    """
    ### BEGIN SOLUTION
    values = batch_size * width
    return values * bytes_per_value
    ### END SOLUTION


# %% nbgrader={"grade_id": "stage_traffic_bytes-check", "grade": true, "points": 1}
def pytorch(batch_size, width, bytes_per_value):
    types = {1: torch.int8, 2: torch.float16, 4: torch.float32, 8: torch.float64}
    vectors = torch.zeros(batch_size, width, dtype=types[bytes_per_value])
    return vectors.nbytes


check = Check("stage_traffic_bytes", pytorch, returns={"traffic": 1})
check.case("32 samples, 768 wide, float32", batch_size=32, width=768, bytes_per_value=4)
check.case("7 samples, 5 wide, float64", batch_size=7, width=5, bytes_per_value=8)
### BEGIN HIDDEN TESTS
check.hidden.case("one sample, float16", batch_size=1, width=300, bytes_per_value=2)
check.hidden.case("one number a sample, float32", batch_size=9, width=1, bytes_per_value=4)
check.hidden.case("64 samples, one byte a number", batch_size=64, width=64, bytes_per_value=1)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell draws your `bubble_fraction` for pipelines of 2, 4, 8 and 16 stages. How many
# micro-batches does a pipeline of 8 stages need before it idles less than a tenth of the time?

# %%
if written(bubble_fraction, 8, 4, shape=()):
    pieces = [1, 2, 4, 8, 16, 32, 64, 128]
    fig, ax = plt.subplots()
    for n_stages, color, style in [
        (16, pictures.PURPLE, "d:"),
        (8, pictures.VERMILION, "s--"),
        (4, pictures.GREEN, "^-."),
        (2, pictures.BLUE, "o-"),
    ]:
        fractions = [float(bubble_fraction(n_stages, M)) for M in pieces]
        ax.semilogx(pieces, fractions, style, base=2, color=color, label=f"{n_stages} stages", ms=5)
    ax.axhline(0.1, color=pictures.BLACK, lw=0.8, ls=":")
    ax.set_xticks(pieces, pieces)
    ax.set(xlabel="micro-batches M", ylabel="idle fraction", title="More pieces, smaller bubble")
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: idle fraction against the number of micro-batches, one curve for each number of stages.
# All curves fall. The dotted line marks one tenth; the more stages, the farther right a curve crosses
# it. Drawn from your `bubble_fraction`.*

# %% [markdown]
# ### Written answer: Several devices, or a smaller batch?
#
# Training a network runs out of memory. Two remedies are proposed: cut the graph into stages on
# several devices, or stay on one device and use a smaller batch. A person grades this answer.
#
# Write about ten sentences. What does each remedy save, and what does it not save? What does each
# cost? Say it with the counts of sections 7 and 9: which terms shrink with the batch, which with the
# number of stages? Which remedy would you choose for a network whose weights fill half a device, and
# which when they fill two devices?
#
# **4 points · 12 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what a smaller batch saves.</summary>
#
# Memory in training has three parts: weights, gradients, and the kept vectors. Which of them is
# multiplied by the number of samples?
#
# </details>
#
# <details><summary>I'm not sure what cutting the graph costs.</summary>
#
# You have computed two prices: one is a fraction of time, the other is in bytes. Think also of who
# has to program it.
#
# </details>

# %% [markdown] nbgrader={"grade_id": "pipeline_trade_off", "grade": true, "solution": true, "points": 4}
# ### BEGIN SOLUTION
# **Model answer.** Training keeps weights, one gradient for each weight, and the vectors $x$, $z$,
# $h$, $o$ of every sample. A smaller batch shrinks the vectors, in proportion. It leaves weights and
# gradients as they are. So it helps when the vectors are the large part, and it cannot help when the
# weights alone are too large. It costs no second device and no traffic. But the gradient becomes
# noisier, as it is the mean over fewer samples, more steps are needed for the same data, and a
# device with little work in each step is badly used. (Adding up the gradients of several small
# batches before an update removes the noise, not the time.)
#
# Cutting the graph into S stages is possible at every layer, as only one vector a sample crosses a
# cut. It divides all three parts of the memory by about S, weights and gradients too. It costs S
# devices, of which the fraction (S − 1)/(M + S − 1) waits, and at each cut batch · width · bytes in
# each direction. More micro-batches shrink the bubble, but many micro-batches need a large batch,
# and each is then small. Stages must also be balanced: all wait for the slowest.
#
# Weights that fill half a device, with their gradients, fill it whole: even a batch of one may not
# fit, so cut into two stages, or keep the gradients elsewhere. Were they a tenth of it, a smaller
# batch would be the cheaper remedy. Weights that fill two devices must be cut, with gradients into
# more than four stages; a smaller batch saves nothing that matters. The two remedies can be
# combined.
#
# **Rubric.**
#
# - 1 point: a smaller batch shrinks the kept vectors only, not the weights and their gradients.
# - 1 point: a cut divides weights and gradients too; it is possible where one vector a sample
#   crosses.
# - 1 point: the costs of a cut: bubble and traffic, with the effect of S and M; of a small batch:
#   noise or more steps.
# - 1 point: both cases are decided with a reason that fits the counts; other choices earn the point
#   when the reason holds.
# ### END SOLUTION

# %% [markdown]
# ## Summary
#
# - The objective is loss plus penalty. Each weight matrix reaches it in two ways, so its gradient has
#   two terms, and the second is $\lambda W$.
# - One backward line for each forward line:
#
# | forward | backward |
# |---|---|
# | $L = \frac12 \lVert o - y \rVert^2$ | $\partial J / \partial o = o - y$ |
# | $o = W_2 h$ | $\partial J / \partial W_2 = \frac{\partial J}{\partial o} h^\top + \lambda W_2$ and $\partial J / \partial h = W_2^\top \frac{\partial J}{\partial o}$ |
# | $h = \varphi(z)$ | $\partial J / \partial z = \frac{\partial J}{\partial h} \odot \varphi'(z)$ |
# | $z = W_1 x + b$ | $\partial J / \partial W_1 = \frac{\partial J}{\partial z} x^\top + \lambda W_1$ and $\partial J / \partial b = \frac{\partial J}{\partial z}$ |
#
# - Another loss changes the first line only: softmax with cross-entropy gives $p$ minus one at the
#   label.
# - A transpose appears because a gradient has the shape of its variable: the forward pass sums over
#   one index of a matrix, the backward pass over the other.
# - Training keeps what the backward steps take from the forward pass, for every sample. Inference
#   needs the widest vector only.
# - One product of the Hessian with a vector costs about two gradients, the whole Hessian about 2n.
# - A graph can be cut between layers. The price is idle time and traffic.
#
# **Next.** In notebook [06](../06-training-loop/06-training-loop.ipynb) these gradients train a
# network on real handwritten digits, in shuffled batches, with better optimizers. In notebook
# [07](../07-autograd-engine/07-autograd-engine.ipynb) you write the program that derives by itself.
# Back to notebook
# [04](../04-residual-gradients/04-residual-gradients.ipynb).
