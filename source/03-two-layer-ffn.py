# %% [markdown]
# # 03 · The feed-forward block, and networks of any depth
#
# **42 points · about 92 minutes**
#
# Half of every transformer block is a small network: a linear layer, an activation, a linear layer.
# It is called the *feed-forward network*, FFN for short, and it holds about two thirds of the
# weights of the block. In this notebook you carry gradients through it by hand: first for one
# token, then for a batch of sequences, then through networks of any depth.
#
# The new idea is the **cache**. The forward pass computes numbers that the backward pass needs
# again. It can keep them, or the backward pass can compute them a second time. Both have a price,
# and at the end you measure it.
#
# **Builds on.** Notebook [01](../01-forward-pass/01-forward-pass.ipynb): the cache of
# `forward_pass_manual`. Notebook [02](../02-manual-backprop/02-manual-backprop.ipynb): the
# gradients of one layer, and `numerical_gradient`. Both come ready in the setup cell, so you can
# start here.
#
# **Leaves out.** The residual connection around the block (notebook 04), weight decay (05),
# dropout, attention and layer normalization (08).

# %% [markdown]
# ## What you will build
#
# The next picture shows the block for one token. Solid arrows run forward. Three values drop onto
# the shelf below: this is the cache. Dashed arrows run backward and take from the shelf what they
# need.

# %% nbgrader={"grade_id": "setup", "locked": true}
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import pictures
from autograder.checks import Check, Twin
from autograder.pictures import written
from autograder.provided.forward_pass import forward_pass_manual, relu, sigmoid
from autograder.provided.manual_backprop import (
    numerical_gradient,
    relu_grad,
    sgd_step,
    sigmoid_grad,
    tanh_grad,
)

pictures.use_print_style()

# %% nbgrader={"grade_id": "picture-of-the-block", "locked": true}
fig, ax = plt.subplots(figsize=(8.2, 3))
forward, backward, kept = pictures.BLUE, pictures.VERMILION, pictures.GREEN
places = {"$x$": 0, r"$z = W_1 x + b_1$": 2.2, r"$h = \varphi(z)$": 4.8, r"$y = W_2 h + b_2$": 7.3}
for name, x in places.items():
    pictures.box(ax, (x, 2), name)
for start, end, gradient in [(0.2, 1.35, "$dx$"), (3.05, 4.25, "$dz$"), (5.35, 6.45, "$dh$")]:
    pictures.arrow(ax, (start, 2.12), (end, 2.12), "", forward)
    pictures.arrow(ax, (end, 1.88), (start, 1.88), "", backward, dashed=True)
    ax.text((start + end) / 2, 1.55, gradient, color=backward, ha="center", va="center")
pictures.arrow(ax, (8.85, 1.88), (8.2, 1.88), "", backward, dashed=True)
ax.text(8.6, 1.55, "$dy$", color=backward, ha="center", va="center")
for x, name in [(0, "$x$"), (2.2, "$z$"), (4.8, "$h$")]:
    pictures.arrow(ax, (x, 1.62 if x else 1.7), (x, 0.72), "", kept)
    pictures.box(ax, (x, 0.45), name, color=kept)
ax.plot([-0.5, 5.4], [0.12, 0.12], color=kept)
ax.text(5.5, 0.12, "the cache", color=kept, va="center")
ax.set(xlim=(-0.6, 9), ylim=(-0.1, 2.5), title="Forward fills the cache, backward uses it")
ax.axis("off")
plt.show()

# %% [markdown]
# *Picture: four boxes from left to right, x, z, h and y. Solid arrows point to the right, dashed
# arrows labeled dy, dh, dz, dx point back to the left. Below, x, z and h stand on a shelf called
# the cache. It is drawn by the cell above and uses none of your functions.*
#
# ### Conventions
#
# - $dV$ is the gradient of the loss with respect to $V$, and has the shape of $V$.
# - A sample, here also called a token, is a vector `x` of shape (n_in,). A batch of sequences is
#   `X` of shape (B, T, d_model): B sequences of T tokens each.
# - Weights are (n_out, n_in), one row for each output, as in `torch.nn.Linear`.
# - Everything is float64. A function leaves its inputs as they are and returns new arrays, not an
#   input or a view of one. A cache may hold the inputs themselves.
# - You write NumPy. PyTorch appears in the checks only.
#
# Run a check after each exercise. It names the first quantity that differs from PyTorch's, in the
# order in which back-propagation computes them. Some cases are hidden.

# %% [markdown]
# ## 1. Forward, with a memory
#
# The block has two layers and one activation between them:
#
# $$ z = W_1 x + b_1 \qquad h = \varphi(z) \qquad y = W_2 h + b_2 $$
#
# There is no activation after the second layer. A transformer adds $y$ to the stream of its tokens,
# and that sum may need negative numbers too.
#
# Which numbers will the backward pass ask for? $dW_2$ needs what went into the second layer, $h$.
# The slope of the activation needs what went into the activation, $z$. $dW_1$ needs what went into
# the first layer, $x$. So these three go into the cache.

# %% [markdown]
# ### Exercise: `ffn_forward(x, W1, b1, W2, b2, activation_fn)`
#
# **What it is for.** The feed-forward block for one token, and the record of how its output came
# about.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (n_in,) | one token |
# | `W1`, `b1` | (n_hidden, n_in), (n_hidden,) | first layer |
# | `W2`, `b2` | (n_out, n_hidden), (n_out,) | second layer |
# | `activation_fn` | | $\varphi$, acts on each number of an array |
# | `y` | (n_out,) | output of the second layer |
# | `cache` | dict | keys `"x"`, `"z"`, `"h"` |
#
# Points: 1 for `y`, 2 for `cache`.
#
# **3 points · 6 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what belongs under which key.</summary>
#
# Write the three formulas above as three lines of code. The names on their left sides, and the
# input, are the keys.
#
# </details>
#
# <details><summary>I'm not sure whether the cache may hold <code>x</code> itself.</summary>
#
# Yes. A cache is a note that the forward pass leaves for the backward pass, and nobody changes what
# stands in it.
#
# </details>


# %% nbgrader={"grade_id": "ffn_forward", "solution": true}
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    """A two-layer feed-forward block for one token.

    Args:
        x: one token, shape (n_in,)
        W1: weights of the first layer, shape (n_hidden, n_in)
        b1: bias of the first layer, shape (n_hidden,)
        W2: weights of the second layer, shape (n_out, n_hidden)
        b2: bias of the second layer, shape (n_out,)
        activation_fn: acts on each number of an array

    Returns:
        y: output, shape (n_out,)
        cache: a dict of x, z and h
    """
    ### BEGIN SOLUTION
    z = W1 @ x + b1
    h = activation_fn(z)
    y = W2 @ h + b2
    return y, {"x": x, "z": z, "h": h}
    ### END SOLUTION


# %% nbgrader={"grade_id": "ffn_forward-check", "grade": true, "points": 3}
rng = np.random.default_rng(31)


def pytorch(x, W1, b1, W2, b2, activation_fn):
    z = torch.nn.functional.linear(x, W1, b1)
    h = activation_fn(z)
    y = torch.nn.functional.linear(h, W2, b2)
    return y, {"x": x, "z": z, "h": h}


def token_case(n_in, n_hidden, n_out, activation_fn):
    return {
        "x": rng.normal(size=n_in),
        "W1": rng.normal(size=(n_hidden, n_in)),
        "b1": rng.normal(size=n_hidden),
        "W2": rng.normal(size=(n_out, n_hidden)),
        "b2": rng.normal(size=n_out),
        "activation_fn": activation_fn,
    }


check = Check("ffn_forward", pytorch, returns={"y": 1, "cache": 2}, may_share=["cache"])
sine, positive = Twin(np.sin, torch.sin), Twin(relu, torch.relu)
check.case("3 → 5 → 2, sine", **token_case(3, 5, 2, sine))
check.case("4 → 4 → 4, ReLU", **token_case(4, 4, 4, positive))
### BEGIN HIDDEN TESTS
check.hidden.case("2 → 8 → 2, tanh", **token_case(2, 8, 2, Twin(np.tanh, torch.tanh)))
check.hidden.case("6 → 3 → 1, sigmoid", **token_case(6, 3, 1, Twin(sigmoid, torch.sigmoid)))
check.hidden.case("1 → 1 → 3, square", **token_case(1, 1, 3, Twin(np.square, torch.square)))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 2. GELU, the activation of transformers
#
# ReLU multiplies $z$ by 0 or by 1. GELU, the *Gaussian error linear unit*, multiplies it by a
# *gate*, a number between 0 and 1 that grows smoothly with $z$. In the form that GPT-2 uses, the
# gate is $\tfrac12(1 + \tanh u)$:
#
# $$ \mathrm{gelu}(z) = \tfrac12\, z\, (1 + \tanh u), \qquad
# u = \sqrt{2/\pi}\,\left(z + 0.044715\, z^3\right) $$
#
# For large positive $z$ the gate is 1 and the result is $z$. For large negative $z$ the gate is 0.
# Between them the curve dips a little below zero.
#
# The formula stands in for $z\,\Phi(z)$. Its gate $\Phi(z)$ is the probability that a number drawn
# from the normal distribution lies below $z$ (Hendrycks and Gimpel, *Gaussian Error Linear Units*, 2016). PyTorch has both forms:
# `gelu(z, approximate="tanh")` is the one above.

# %% [markdown]
# ### Exercise: `gelu(z)`
#
# **What it is for.** The $\varphi$ of the feed-forward block in GPT-2 and many models after it.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | numbers that go into the activation |
# | `a` | shape of `z` | the tanh form of GELU for each number |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where the brackets go.</summary>
#
# Give $u$ its own line and its own name. Then the formula for the result is short. The root
# multiplies both terms of $u$.
#
# </details>
#
# <details><summary>I'm not sure whether my curve can be right.</summary>
#
# gelu(0) is 0, gelu(3) is a little less than 3, and gelu(−3) is a little less than 0.
#
# </details>


# %% nbgrader={"grade_id": "gelu", "solution": true}
def gelu(z):
    """The Gaussian error linear unit in its tanh form.

    Args:
        z: numbers that go into the activation, any shape

    Returns:
        a: GELU of each number, shape of z
    """
    ### BEGIN SOLUTION
    u = np.sqrt(2 / np.pi) * (z + 0.044715 * z * z * z)  # in NumPy z**3 is much slower
    return 0.5 * z * (1 + np.tanh(u))
    ### END SOLUTION


# %% nbgrader={"grade_id": "gelu-check", "grade": true, "points": 2}
rng = np.random.default_rng(32)


def pytorch(z):
    return torch.nn.functional.gelu(z, approximate="tanh")


check = Check("gelu", pytorch, returns={"a": 2})
check.case("numbers around zero", z=np.array([-3.0, -1.0, -0.2, 0.0, 0.7, 3.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
### BEGIN HIDDEN TESTS
check.hidden.case("three axes", z=2 * rng.normal(size=(2, 3, 4)))
check.hidden.case("numbers far from zero", z=np.array([[-9.0, 9.0], [-5.5, 6.5]]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Its slope
#
# gelu is a product of two functions of $z$: $z$ itself and the gate. The product rule gives its
# slope two terms. Let $t = \tanh u$, so that the gate is $\tfrac12(1 + t)$.
#
# $$ \mathrm{gelu}'(z) = \underbrace{\tfrac12\,(1 + t)}_{\text{slope of the first factor}} \; + \;
# \underbrace{\tfrac12\, z\, \frac{dt}{dz}}_{\text{slope of the second factor}} $$
#
# The second term needs the chain rule: $\frac{dt}{dz} = \frac{dt}{du} \cdot \frac{du}{dz}$. You know
# $\frac{dt}{du}$ from notebook 02. And $u$ is a polynomial in $z$.

# %% [markdown]
# ### Exercise: `gelu_grad(z)`
#
# **What it is for.** The backward pass through a GELU block multiplies by it.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | numbers that go into GELU |
# | `slope` | shape of `z` | $\mathrm{gelu}'(z)$ for each number |
#
# Compute it from the formula: a difference quotient is not exact enough for the check.
#
# **3 points · 8 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what the slope of tanh is.</summary>
#
# Notebook 02: it can be had from the value $t$ alone. The setup cell imports `tanh_grad`; note that
# it wants $u$ and not $t$.
#
# </details>
#
# <details><summary>I'm not sure how to differentiate <i>u</i>.</summary>
#
# It has a linear term and a cubic term, and the root is a factor of both. The power rule gives the
# cubic term a factor 3.
#
# </details>
#
# <details><summary>I'm not sure whether my slope can be right.</summary>
#
# At 0 it is ½. Far to the right it is 1, far to the left 0. Near $z = 1.4$ it is larger than 1.
#
# </details>


# %% nbgrader={"grade_id": "gelu_grad", "solution": true}
def gelu_grad(z):
    """The slope of the tanh form of GELU.

    Args:
        z: numbers that go into GELU, any shape

    Returns:
        slope: the derivative of gelu at each number, shape of z
    """
    ### BEGIN SOLUTION
    u = np.sqrt(2 / np.pi) * (z + 0.044715 * z * z * z)
    t = np.tanh(u)

    dt_du = 1 - t**2
    du_dz = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * dt_du * du_dz
    ### END SOLUTION


# %% nbgrader={"grade_id": "gelu_grad-check", "grade": true, "points": 3}
rng = np.random.default_rng(33)


def pytorch(z):
    a = torch.nn.functional.gelu(z, approximate="tanh")
    return torch.autograd.grad(a.sum(), z)[0]


# A formula is right to about 1e-15 here; a difference quotient only to 1e-11.
check = Check("gelu_grad", pytorch, returns={"slope": 3}, tolerance={"slope": 2e-13})
check.case("numbers around zero", z=np.array([-3.0, -1.0, -0.2, 0.0, 0.7, 3.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
### BEGIN HIDDEN TESTS
check.hidden.case("three axes", z=2 * rng.normal(size=(2, 3, 4)))
check.hidden.case("numbers far from zero", z=np.array([[-9.0, 9.0], [-5.5, 6.5]]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# How far is GELU from ReLU? The next cell draws both, and their slopes. Look at the right panel:
# ReLU's slope jumps at 0, GELU's passes smoothly, a little below 0 and a little above 1. The cell
# also prints how far your tanh form is from the exact form that PyTorch has.

# %%
z = np.linspace(-4, 4, 321)
if all([written(gelu, z, shape=z.shape), written(gelu_grad, z, shape=z.shape)]):
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    for name, value, slope, color, style in [
        ("GELU", gelu(z), gelu_grad(z), pictures.BLUE, "-"),
        ("ReLU", relu(z), relu_grad(z), pictures.VERMILION, "--"),
    ]:
        left.plot(z, value, style, color=color, label=name)
        right.plot(z, slope, style, color=color, label=name)
    left.set(xlabel="z", ylabel="value", title="GELU and ReLU")
    right.set(xlabel="z", ylabel="slope", title="Their slopes")
    left.legend()
    plt.show()
    exact = torch.nn.functional.gelu(torch.tensor(z)).numpy()
    print(f"largest distance from the exact form: {np.abs(gelu(z) - exact).max():.1e}")

# %% [markdown]
# *Picture: two panels over z from −4 to 4. Left, GELU and ReLU, which differ visibly only between
# −3 and 3. Right, their slopes: a step for ReLU, a smooth curve for GELU that overshoots 1 and
# undershoots 0. GELU and its slope are drawn from your functions.*

# %% [markdown]
# ## 3. Backward through two layers
#
# Somebody hands you $dy$, shape (n_out,). Go back line by line. Each forward line has one backward
# line for each thing that went into it:
#
# | forward line | backward lines |
# |---|---|
# | $y = W_2 h + b_2$ | $db_2$, $dW_2$, $dh$ |
# | $h = \varphi(z)$ | $dz$ |
# | $z = W_1 x + b_1$ | $db_1$, $dW_1$, $dx$ |
#
# The first and the last row are the same three formulas, those of a linear layer from notebook 02.
# (They also stand in the first hint below.) Only the names change. In the first row the incoming gradient is $dy$ and the input is $h$. In the
# last row the incoming gradient is $dz$ and the input is $x$.
#
# This is the whole secret of depth: **the gradient of a layer's input is the incoming gradient of
# the layer below.**

# %% [markdown]
# ### Exercise: `backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy)`
#
# **What it is for.** Every gradient of a feed-forward block, for one token.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (n_in,) | one token |
# | `W1`, `b1` | (n_hidden, n_in), (n_hidden,) | first layer |
# | `W2`, `b2` | (n_out, n_hidden), (n_out,) | second layer |
# | `activation_fn`, `activation_grad_fn` | | $\varphi$ and $\varphi'$ |
# | `dy` | (n_out,) | gradient of the loss with respect to the output |
# | `dW1`, `db1` | shapes of `W1`, `b1` | |
# | `dW2`, `db2` | shapes of `W2`, `b2` | |
# | `dx` | (n_in,) | |
#
# No cache comes in here, so the function runs the forward lines itself. Points: 2 for each
# gradient. Those of the first layer also count when they are right for your own `db1`.
#
# **10 points · 16 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what the three formulas of a linear layer are.</summary>
#
# The layer $y = Wx + b$ with incoming gradient $dy$ has $db_i = dy_i$ and $dW_{ij} = dy_i\, x_j$: one
# number for each pair of an output and an input. And $dx_j = \sum_i W_{ij}\, dy_i$.
#
# </details>
#
# <details><summary>I'm not sure where to start.</summary>
#
# With the forward lines for `z` and `h`. Then take the table above from its top row down: five
# results and two steps between them, seven lines.
#
# </details>
#
# <details><summary>I'm not sure which value goes into <code>activation_grad_fn</code>.</summary>
#
# A slope is taken where the activation was taken: at the number that went *into* it.
#
# </details>
#
# <details><summary>I'm not sure where the transposes come from.</summary>
#
# Hidden neuron $k$ reaches every output $i$, with the factor $W_{2,ik}$. So $dh_k$ sums over the
# *first* index of $W_2$. Compare the shapes: which arrangement of $W_2$ takes (n_out,) to
# (n_hidden,)?
#
# </details>
#
# <details><summary>I'm not sure why the check speaks of a view of the input.</summary>
#
# One of the biases has a gradient with the same numbers as `dy`. Return a copy. Otherwise the
# caller holds one array under two names, and an update in place would change both.
#
# </details>


# %% nbgrader={"grade_id": "backprop_two_layer", "solution": true}
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    """The gradients of a two-layer feed-forward block for one token.

    Args:
        x: one token, shape (n_in,)
        W1: weights of the first layer, shape (n_hidden, n_in)
        b1: bias of the first layer, shape (n_hidden,)
        W2: weights of the second layer, shape (n_out, n_hidden)
        b2: bias of the second layer, shape (n_out,)
        activation_fn: the activation between the layers
        activation_grad_fn: its slope, a function of z
        dy: gradient of the loss with respect to the output, shape (n_out,)

    Returns:
        dW1: gradient of W1, shape (n_hidden, n_in)
        db1: gradient of b1, shape (n_hidden,)
        dW2: gradient of W2, shape (n_out, n_hidden)
        db2: gradient of b2, a new array, shape (n_out,)
        dx: gradient of the token, shape (n_in,)
    """
    ### BEGIN SOLUTION
    z = W1 @ x + b1
    h = activation_fn(z)

    db2 = dy.copy()
    dW2 = np.outer(dy, h)
    dh = W2.T @ dy
    dz = dh * activation_grad_fn(z)
    db1 = dz
    dW1 = np.outer(dz, x)
    dx = W1.T @ dz
    return dW1, db1, dW2, db2, dx
    ### END SOLUTION


# %% nbgrader={"grade_id": "backprop_two_layer-check", "grade": true, "points": 10}
rng = np.random.default_rng(34)


def pytorch(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = torch.nn.functional.linear(x, W1, b1)
    y = torch.nn.functional.linear(activation_fn(z), W2, b2)
    return torch.autograd.grad((dy * y).sum(), (W1, b1, W2, b2, x))


def backward_case(n_in, n_hidden, n_out, activation_fn, activation_grad_fn):
    return {
        "x": rng.normal(size=n_in),
        "W1": rng.normal(size=(n_hidden, n_in)),
        "b1": rng.normal(size=n_hidden),
        "W2": rng.normal(size=(n_out, n_hidden)),
        "b2": rng.normal(size=n_out),
        "activation_fn": activation_fn,
        "activation_grad_fn": activation_grad_fn,
        "dy": rng.normal(size=n_out),
    }


check = Check(
    "backprop_two_layer",
    pytorch,
    returns={"dW1": 2, "db1": 2, "dW2": 2, "db2": 2, "dx": 2},
    order=["db2", "dW2", "db1", "dW1", "dx"],
)
sine, cosine = Twin(np.sin, torch.sin), Twin(np.cos)  # the slope of the sine is the cosine
square, double = Twin(np.square, torch.square), Twin(lambda z: 2 * z, name="2z")
check.case("3 → 5 → 2, sine", **backward_case(3, 5, 2, sine, cosine))
check.case("4 → 4 → 4, square", **backward_case(4, 4, 4, square, double))
### BEGIN HIDDEN TESTS
check.hidden.follow_through(dW1=lambda db1, x: np.outer(db1, x), dx=lambda db1, W1: db1 @ W1)
tanh, hill = Twin(np.tanh, torch.tanh), Twin(tanh_grad, name="slope of tanh")
positive, relu_slope = Twin(relu, torch.relu), Twin(relu_grad, name="slope of ReLU")
bell, bump = Twin(sigmoid, torch.sigmoid), Twin(sigmoid_grad, name="slope of the sigmoid")
check.hidden.case("2 → 6 → 3, tanh", **backward_case(2, 6, 3, tanh, hill))
check.hidden.case("5 → 7 → 5, ReLU", **backward_case(5, 7, 5, positive, relu_slope))
check.hidden.case("3 → 2 → 1, sigmoid", **backward_case(3, 2, 1, bell, bump))
check.hidden.case("1 → 3 → 4, sine", **backward_case(1, 3, 4, sine, cosine))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Is there a judge without PyTorch? In notebook 02 you built one: `numerical_gradient` needs only
# the forward pass. The next cell makes a loss, $L = dy \cdot y$, whose gradient at $y$ is $dy$. It
# then changes every single parameter a little and compares. Differences near $10^{-10}$ are what
# central differences can give. A slip would show as a difference near 1.

# %%
rng = np.random.default_rng(35)
x, dy = rng.normal(size=3), rng.normal(size=2)
params = {
    "W1": rng.normal(size=(5, 3)),
    "b1": rng.normal(size=5),
    "W2": rng.normal(size=(2, 5)),
    "b2": rng.normal(size=2),
}


def loss_with(name, value, x):
    """The loss when one parameter has another value."""
    changed = params | {name: value} if name != "x" else params
    y, _ = ffn_forward(value if name == "x" else x, *changed.values(), np.tanh)
    return dy @ y


if all(
    [
        written(ffn_forward, x, *params.values(), np.tanh, values=2),
        written(backprop_two_layer, x, *params.values(), np.tanh, tanh_grad, dy, values=5),
    ]
):
    mine = backprop_two_layer(x, *params.values(), np.tanh, tanh_grad, dy)
    for (name, value), gradient in zip((params | {"x": x}).items(), mine, strict=True):
        judge = numerical_gradient(lambda v, name=name: loss_with(name, v, x), value)
        print(f"d{name}: largest difference {np.abs(judge - gradient).max():.1e}")

# %% [markdown]
# ## 4. A batch of sequences
#
# A transformer works on B sequences of T tokens at once: `X` has shape (B, T, d_model). The block
# widens each token to $d_{ff}$ numbers, usually four times as many, and brings it back. It treats
# **every token by itself** and with the same weights:
#
# $$ Z = X W_1^\top + b_1 \qquad H = \mathrm{gelu}(Z) \qquad Y = H W_2^\top + b_2 $$
#
# NumPy's `@` takes the last two axes as matrices and repeats the product for the others, so these
# lines work on three axes as they stand.
#
# **Backward.** $dX$ has one row for each token: the formulas with the rows stay as they are. But
# there is one $W_1$ for all tokens of all sequences. What they contribute adds up, over B **and**
# over T:
#
# $$ dW_{2,ij} = \sum_{b,t} dY_{bti}\, H_{btj} \qquad db_{2,i} = \sum_{b,t} dY_{bti} $$
#
# and the same for the first layer. To the weights, a batch of B sequences of T tokens is one long
# list of $B \cdot T$ tokens.

# %% [markdown]
# ### Exercise: `ffn_forward_batch(X, W1, b1, W2, b2)` and `ffn_backward_batch(dY, cache)`
#
# **What it is for.** The feed-forward half of a transformer block, ready for notebook 08.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `X` | (B, T, d_model) | tokens |
# | `W1`, `b1` | (d_ff, d_model), (d_ff,) | first layer, then GELU |
# | `W2`, `b2` | (d_model, d_ff), (d_model,) | second layer |
# | `Y` | (B, T, d_model) | output |
# | `cache` | | whatever your backward function needs; you decide |
# | `dY` | (B, T, d_model) | gradient of the loss with respect to `Y` |
# | `dW1`, `db1`, `dW2`, `db2` | shapes of the parameters | summed over all tokens |
# | `dX` | (B, T, d_model) | one row for each token |
#
# The backward function sees `dY` and the cache and nothing else. It leaves both as they are. Points:
# 2 for `Y`, 1 for each gradient. You may call your `gelu` and `gelu_grad`.
#
# **7 points · 14 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what the cache must hold here.</summary>
#
# Write the backward lines first. Every name on a right side that is not computed in these lines
# belongs into the cache. The weights are among them.
#
# </details>
#
# <details><summary>I'm not sure how to sum over two axes in a matrix product.</summary>
#
# Make one axis of the two. `reshape(-1, n)` turns (B, T, n) into (B·T, n), and then the formula of
# notebook 02 for a batch holds as it is. Or write the sum above with `np.einsum`: its indices are
# those of the formula.
#
# </details>
#
# <details><summary>I'm not sure why <code>.T</code> does something strange.</summary>
#
# On an array with three axes `.T` reverses all three. Use it on matrices only.
#
# </details>


# %% nbgrader={"grade_id": "ffn_forward_batch", "solution": true}
def ffn_forward_batch(X, W1, b1, W2, b2):
    """The feed-forward block of a transformer, with GELU.

    Args:
        X: tokens, shape (B, T, d_model)
        W1: weights of the first layer, shape (d_ff, d_model)
        b1: bias of the first layer, shape (d_ff,)
        W2: weights of the second layer, shape (d_model, d_ff)
        b2: bias of the second layer, shape (d_model,)

    Returns:
        Y: output, shape (B, T, d_model)
        cache: whatever ffn_backward_batch needs
    """
    ### BEGIN SOLUTION
    Z = X @ W1.T + b1
    H = gelu(Z)
    Y = H @ W2.T + b2
    return Y, {"X": X, "Z": Z, "H": H, "W1": W1, "W2": W2}
    ### END SOLUTION


def ffn_backward_batch(dY, cache):
    """The gradients of the feed-forward block.

    Args:
        dY: gradient of the loss with respect to the output, shape (B, T, d_model)
        cache: what ffn_forward_batch returned

    Returns:
        dW1: gradient of W1, shape (d_ff, d_model)
        db1: gradient of b1, shape (d_ff,)
        dW2: gradient of W2, shape (d_model, d_ff)
        db2: gradient of b2, shape (d_model,)
        dX: gradient of the tokens, shape (B, T, d_model)
    """
    ### BEGIN SOLUTION
    X, Z, H = cache["X"], cache["Z"], cache["H"]
    d_ff, d_model = cache["W1"].shape

    db2 = dY.sum(axis=(0, 1))
    dW2 = dY.reshape(-1, d_model).T @ H.reshape(-1, d_ff)
    dH = dY @ cache["W2"]
    dZ = dH * gelu_grad(Z)
    db1 = dZ.sum(axis=(0, 1))
    dW1 = dZ.reshape(-1, d_ff).T @ X.reshape(-1, d_model)
    dX = dZ @ cache["W1"]
    return dW1, db1, dW2, db2, dX
    ### END SOLUTION


# %% nbgrader={"grade_id": "ffn_forward_batch-check", "grade": true, "points": 7}
rng = np.random.default_rng(36)


def pytorch(X, W1, b1, W2, b2, dY):
    Z = torch.nn.functional.linear(X, W1, b1)
    H = torch.nn.functional.gelu(Z, approximate="tanh")
    Y = torch.nn.functional.linear(H, W2, b2)
    return Y, *torch.autograd.grad((dY * Y).sum(), (W1, b1, W2, b2, X))


def sequence_case(B, T, d_model, d_ff):
    return {
        "X": rng.normal(size=(B, T, d_model)),
        "W1": rng.normal(size=(d_ff, d_model)),
        "b1": rng.normal(size=d_ff),
        "W2": rng.normal(size=(d_model, d_ff)),
        "b2": rng.normal(size=d_model),
        "dY": rng.normal(size=(B, T, d_model)),
    }


check = Check(
    "ffn_forward_batch",
    pytorch,
    backward="ffn_backward_batch",
    returns={"Y": 2, "dW1": 1, "db1": 1, "dW2": 1, "db2": 1, "dX": 1},
    order=["Y", "db2", "dW2", "db1", "dW1", "dX"],
)
check.case("2 sequences of 5 tokens, 3 wide, 7 inside", **sequence_case(2, 5, 3, 7))
check.case("all sizes equal", **sequence_case(4, 4, 4, 4))
### BEGIN HIDDEN TESTS
check.hidden.case("one sequence of one token", **sequence_case(1, 1, 3, 5))
check.hidden.case("6 sequences of one token", **sequence_case(6, 1, 4, 2))
check.hidden.case("one sequence of 7 tokens, 8 wide", **sequence_case(1, 7, 8, 32))
check.hidden.case("tokens of one number", **sequence_case(3, 2, 1, 6))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Does a token hear of its neighbors in this block? Ask the gradient. The next cell sends an upstream
# gradient in at **one** token and looks where it comes out. Column $s$ of row $t$ is the size of
# $dX$ at token $s$ when $dY$ is zero except at token $t$. In which cells of the picture do you
# expect something?

# %%
rng = np.random.default_rng(37)
T, d_model, d_ff = 6, 8, 32
X = rng.normal(size=(1, T, d_model))
W1, W2 = rng.normal(size=(d_ff, d_model)) / 3, rng.normal(size=(d_model, d_ff)) / 6
b1, b2 = np.zeros(d_ff), np.zeros(d_model)
if written(ffn_forward_batch, X, W1, b1, W2, b2, values=2):
    _, cache = ffn_forward_batch(X, W1, b1, W2, b2)
    if written(ffn_backward_batch, np.ones_like(X), cache, values=5):
        reach = np.zeros((T, T))
        for t in range(T):
            dY = np.zeros_like(X)
            dY[0, t] = rng.normal(size=d_model)
            dX = ffn_backward_batch(dY, cache)[-1]
            reach[t] = np.linalg.norm(dX[0], axis=-1)
        fig, ax = plt.subplots(figsize=(4.2, 3.4))
        image = ax.imshow(reach, cmap="cividis")
        fig.colorbar(image, label="size of dX")
        ax.set(xlabel="token s of X", ylabel="token t of Y", title="Which tokens hear which?")
        ax.grid(False)
        plt.show()

# %% [markdown]
# *Picture: a grid of 6 by 6 squares, one for each pair of tokens. Only the diagonal is bright. It is
# drawn from your two functions.*
#
# The feed-forward block never mixes tokens. In a transformer that is the work of attention, in
# notebook 08.

# %% [markdown]
# ## 5. Any depth
#
# In notebook 01 you ran a network of L layers forward, ReLU between the layers and a sigmoid at the
# end, and kept everything in a cache with the keys `a0`, `z1`, `a1`, …, `zL`, `aL`. Now walk it
# back. It is the same two-row table, L times. For $l = L, L-1, \dots, 1$, with
# $dA_L$ given:
#
# $$ dZ_l = dA_l \cdot \varphi_l'(Z_l) \qquad dW_l = dZ_l^\top A_{l-1} \qquad
# db_l = \sum_s dZ_{l,s} \qquad dA_{l-1} = dZ_l\, W_l $$
#
# Here $\varphi_L$ is the sigmoid and every other $\varphi_l$ is ReLU. The sum runs over the samples
# $s$ of the batch. The last $dA$, which is $dA_0$, is the gradient of the input.
#
# The backward pass is a loop like the forward pass, and it runs from the other end. It asks for each
# cached value exactly once, in the reverse order of their making.

# %% [markdown]
# ### Exercise: `backward_pass_manual(d_output, weights, cache)`
#
# **What it is for.** `loss.backward()` for a network of any depth, with the cache of
# `forward_pass_manual`.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `d_output` | (B, n_L) | gradient of the loss with respect to the output $A_L$ |
# | `weights` | list | $W_1, \dots, W_L$; `weights[0]` is $W_1$, shape (n_1, n_0) |
# | `cache` | dict | `a0` (B, n_0), and `z1`, `a1`, … each (B, n_l) |
# | `dweights` | list | L arrays, `dweights[0]` is $dW_1$ |
# | `dbiases` | list | L arrays, `dbiases[0]` is $db_1$, shape (n_1,) |
# | `dx` | (B, n_0) | gradient of the input |
#
# `d_output` is the gradient at $A_L$, behind the sigmoid, and not at $Z_L$. Points: 3 for
# `dweights`, 3 for `dbiases`, 2 for `dx`.
#
# **8 points · 18 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how the numbers of list and cache fit together.</summary>
#
# Layer $l$ has its weights at `weights[l - 1]`, its input at `cache[f"a{l - 1}"]` and its sum at
# `cache[f"z{l}"]`.
#
# </details>
#
# <details><summary>I'm not sure in which order the lists come out.</summary>
#
# The walk finds $dW_L$ first, but `dweights[0]` must be $dW_1$. Fill a list of the right length by
# index, or put each new gradient at the front.
#
# </details>
#
# <details><summary>I'm not sure why no biases come in.</summary>
#
# Look at the formulas: does any of them use $b$? A constant that is added has slope 1, whatever it
# is.
#
# </details>


# %% nbgrader={"grade_id": "backward_pass_manual", "solution": true}
def backward_pass_manual(d_output, weights, cache):
    """The gradients of a network with ReLU hidden layers and a sigmoid output.

    Args:
        d_output: gradient of the loss with respect to the output, shape (B, n_L)
        weights: a list of the L weight matrices, the first layer first
        cache: a dict of a0, z1, a1, …, as forward_pass_manual leaves it

    Returns:
        dweights: a list of the gradients of the weights, the first layer first
        dbiases: a list of the gradients of the biases, the first layer first
        dx: gradient of the input, shape (B, n_0)
    """
    ### BEGIN SOLUTION
    layers = len(weights)
    dweights, dbiases = [None] * layers, [None] * layers
    da = d_output
    for layer in range(layers, 0, -1):
        z = cache[f"z{layer}"]
        slope = sigmoid_grad(z) if layer == layers else relu_grad(z)
        dz = da * slope
        dbiases[layer - 1] = dz.sum(axis=0)
        dweights[layer - 1] = dz.T @ cache[f"a{layer - 1}"]
        da = dz @ weights[layer - 1]
    return dweights, dbiases, da
    ### END SOLUTION


# %% nbgrader={"grade_id": "backward_pass_manual-check", "grade": true, "points": 8}
rng = np.random.default_rng(38)


def pytorch(d_output, weights, cache):
    # z − a Wᵀ is the bias, the same in every row.
    biases = [
        (cache[f"z{i}"] - cache[f"a{i - 1}"] @ W.T)[0].detach().requires_grad_()
        for i, W in enumerate(weights, start=1)
    ]
    a = x = cache["a0"]
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = torch.nn.functional.linear(a, W, b)
        a = torch.sigmoid(z) if i == len(weights) else torch.relu(z)
    gradients = torch.autograd.grad((d_output * a).sum(), [*weights, *biases, x])
    return list(gradients[: len(weights)]), list(gradients[len(weights) : -1]), gradients[-1]


def network_case(B, *sizes, first_sample_zero=False):
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    weights = [rng.normal(size=(n_out, n_in)) for n_in, n_out in pairs]
    biases = [rng.normal(size=n_out) for _, n_out in pairs]
    X = rng.normal(size=(B, sizes[0]))
    if first_sample_zero:
        X[0], biases[0][:2] = 0.0, 0.0
    _, cache = forward_pass_manual(X, weights, biases)
    return {"d_output": rng.normal(size=(B, sizes[-1])), "weights": weights, "cache": cache}


check = Check(
    "backward_pass_manual",
    pytorch,
    returns={"dweights": 3, "dbiases": 3, "dx": 2},
    order=["dbiases", "dweights", "dx"],
    last_first=["dweights", "dbiases"],
)
check.case("3 → 5 → 2, 4 samples", **network_case(4, 3, 5, 2))
check.case("3 → 3 → 3 → 3, 3 samples", **network_case(3, 3, 3, 3, 3))
### BEGIN HIDDEN TESTS
check.hidden.case("one layer, 5 samples", **network_case(5, 4, 2))
check.hidden.case("one sample, three layers", **network_case(1, 2, 6, 4, 3))
check.hidden.case("five layers, 6 samples", **network_case(6, 3, 7, 5, 6, 4, 1))
check.hidden.case("z exactly zero", **network_case(3, 2, 5, 4, 2, first_sample_zero=True))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Train a deep network
#
# A single line cannot part the points inside a ring from those outside. A network with two hidden
# layers can. The next cell draws 200 random points, calls those near the origin class 1, and trains
# a 2 → 16 → 16 → 1 network with your `backward_pass_manual` and the `sgd_step` of notebook 02. The
# loss is the mean binary cross-entropy, whose gradient at the output $p$ is
# $(p - y) / (p\,(1 - p)\,B)$.

# %%
rng = np.random.default_rng(39)
X = rng.uniform(-2, 2, size=(200, 2))
y = (np.linalg.norm(X, axis=1, keepdims=True) < 1.3).astype(np.float64)
sizes = [2, 16, 16, 1]
pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
weights = [rng.normal(size=(n_out, n_in)) * np.sqrt(2 / n_in) for n_in, n_out in pairs]
biases = [np.zeros(n_out) for _, n_out in pairs]
p, cache = forward_pass_manual(X, weights, biases)
if written(backward_pass_manual, p - y, weights, cache, values=3):
    for step in range(1001):
        p, cache = forward_pass_manual(X, weights, biases)
        p = np.clip(p, 1e-12, 1 - 1e-12)
        if step % 250 == 0:
            loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
            print(f"step {step:4}: loss {loss:.3f}, right {np.mean((p > 0.5) == y):.0%}")
        dweights, dbiases, _ = backward_pass_manual(
            (p - y) / (p * (1 - p) * len(y)), weights, cache
        )
        weights, biases = sgd_step(weights, dweights, 0.3), sgd_step(biases, dbiases, 0.3)

    side = np.linspace(-2, 2, 81)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    answer = forward_pass_manual(grid, weights, biases)[0].reshape(81, 81)
    fig, ax = plt.subplots(figsize=(4.4, 3.6))
    filled = ax.contourf(side, side, answer, levels=np.linspace(0, 1, 11), cmap="cividis")
    fig.colorbar(filled, label="probability of class 1")
    for label, marker, color in [(1, "o", pictures.BLACK), (0, "x", "white")]:
        points = X[y[:, 0] == label]
        ax.scatter(*points.T, s=14, marker=marker, color=color, label=f"class {label}", lw=1)
    ax.set(
        xlabel="$x_1$",
        ylabel="$x_2$",
        title=f"{np.mean((p > 0.5) == y):.0%} of the points are on the right side",
    )
    ax.grid(False)
    plt.show()

# %% [markdown]
# *Picture: a square with 200 points, circles for class 1 near the middle and crosses for class 0
# around them. The color behind them is the network's answer: bright inside a rounded patch, dark
# outside. It was trained with your `backward_pass_manual`.*

# %% [markdown]
# ## 6. What a block costs
#
# **Weights.** The block has two matrices and two biases. With `expansion` $e$ the inner width is
# $d_{ff} = e \cdot d_{model}$. For GPT-2's smallest model, $d_{model} = 768$ and $e = 4$.

# %% [markdown]
# ### Exercise: `ffn_parameter_count(d_model, expansion=4)`
#
# **What it is for.** How many numbers does training have to find?
#
# | symbol | kind | meaning |
# |---|---|---|
# | `d_model` | int | width of a token |
# | `expansion` | int | $d_{ff} / d_{model}$ |
# | `count` | int | all numbers in `W1`, `b1`, `W2`, `b2` |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what to count.</summary>
#
# Write down the four shapes from section 4. The size of an array is the product of its shape.
#
# </details>
#
# <details><summary>I'm not sure whether both biases have the same length.</summary>
#
# A bias has one number for each output of its layer. The first layer has more outputs than the
# second.
#
# </details>


# %% nbgrader={"grade_id": "ffn_parameter_count", "solution": true}
def ffn_parameter_count(d_model, expansion=4):
    """How many parameters a feed-forward block has.

    Args:
        d_model: width of a token, an int
        expansion: inner width over d_model, an int

    Returns:
        count: an int
    """
    ### BEGIN SOLUTION
    d_ff = expansion * d_model
    first = d_ff * d_model + d_ff
    second = d_model * d_ff + d_model
    return first + second
    ### END SOLUTION


# %% nbgrader={"grade_id": "ffn_parameter_count-check", "grade": true, "points": 2}
def pytorch(d_model, expansion=4):
    d_ff = expansion * d_model
    # On the device "meta" a tensor has a shape and no memory.
    layers = [torch.nn.Linear(d_model, d_ff, device="meta")]
    layers += [torch.nn.GELU(), torch.nn.Linear(d_ff, d_model, device="meta")]
    return sum(parameter.numel() for parameter in torch.nn.Sequential(*layers).parameters())


check = Check("ffn_parameter_count", pytorch, returns={"count": 2})
check.case("GPT-2's smallest model", d_model=768)
check.case("three times as wide inside", d_model=10, expansion=3)
### BEGIN HIDDEN TESTS
check.hidden.case("no expansion", d_model=7, expansion=1)
check.hidden.case("a token of one number", d_model=1, expansion=5)
check.hidden.case("wider than any model", d_model=20001)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **Memory.** For the backward pass every token keeps its `x`, `z` and `h`. The weights are there
# once. But the cache grows with every token of the batch, and it is there for every block of the
# model. Networks are usually trained with numbers of 4 bytes (float32) or 2 bytes.

# %% [markdown]
# ### Exercise: `ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4)`
#
# **What it is for.** How much memory does one block's cache take?
#
# | symbol | kind | meaning |
# |---|---|---|
# | `batch_size`, `seq_len` | int | B and T |
# | `d_model`, `expansion` | int | width of a token, and $d_{ff} / d_{model}$ |
# | `bytes_per_value` | int | memory of one number |
# | `n_bytes` | int | bytes of x, z and h of every token |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how wide <i>z</i> and <i>h</i> are.</summary>
#
# As wide as the first layer has outputs. The activation does not change a shape.
#
# </details>
#
# <details><summary>I'm not sure whether the weights or the output count.</summary>
#
# Neither. The weights do not grow with the batch, and the output is the `x` of whatever comes next:
# it is counted there.
#
# </details>


# %% nbgrader={"grade_id": "ffn_activation_bytes", "solution": true}
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    """The memory of x, z and h of every token of a batch.

    Args:
        batch_size: number of sequences, an int
        seq_len: tokens a sequence, an int
        d_model: width of a token, an int
        expansion: inner width over d_model, an int
        bytes_per_value: memory of one number, an int

    Returns:
        n_bytes: an int
    """
    ### BEGIN SOLUTION
    tokens = batch_size * seq_len
    d_ff = expansion * d_model
    values_per_token = d_model + d_ff + d_ff  # x, z and h
    return tokens * values_per_token * bytes_per_value
    ### END SOLUTION


# %% nbgrader={"grade_id": "ffn_activation_bytes-check", "grade": true, "points": 2}
def pytorch(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    kinds = {1: torch.int8, 2: torch.float16, 4: torch.float32, 8: torch.float64}
    options = {"dtype": kinds[bytes_per_value], "device": "meta"}
    x = torch.empty(batch_size, seq_len, d_model, **options)
    z = torch.empty(batch_size, seq_len, expansion * d_model, **options)
    h = torch.empty_like(z)
    return x.nbytes + z.nbytes + h.nbytes


check = Check("ffn_activation_bytes", pytorch, returns={"n_bytes": 2})
check.case("8 sequences of 1024 tokens", batch_size=8, seq_len=1024, d_model=768)
check.case("small", batch_size=2, seq_len=3, d_model=5, expansion=2, bytes_per_value=8)
### BEGIN HIDDEN TESTS
check.hidden.case("two bytes", batch_size=3, seq_len=7, d_model=16, expansion=4, bytes_per_value=2)
check.hidden.case("one token", batch_size=1, seq_len=1, d_model=6, expansion=3)
check.hidden.case(
    "one byte, no expansion", batch_size=5, seq_len=2, d_model=4, expansion=1, bytes_per_value=1
)
check.hidden.case("more than 4 GB", batch_size=63, seq_len=4097, d_model=4099)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 7. Forget, and compute again
#
# The cache of a deep model can be larger than its weights. *Gradient checkpointing* keeps only the
# input $X$ of each block and throws $Z$ and $H$ away. When the backward pass arrives, it runs the
# block forward once more, has $Z$ and $H$ for a moment, and goes on.
#
# The price is one more forward pass. A matrix product costs the same again for each of its two
# gradients, so a backward pass costs about two forward passes. Without checkpointing a step costs
# 1 + 2 = 3 units of work, with it 1 + 1 + 2 = 4: a third more.

# %% [markdown]
# ### Exercise: `checkpointed_ffn_backward(dY, X, W1, b1, W2, b2)`
#
# **What it is for.** The backward pass of the block when the forward pass kept `X` and nothing else.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dY` | (B, T, d_model) | gradient of the loss with respect to the output |
# | `X` | (B, T, d_model) | the tokens that went in |
# | `W1`, `b1`, `W2`, `b2` | as in section 4 | the block, with GELU |
# | `dW1`, `db1`, `dW2`, `db2` | shapes of the parameters | summed over all tokens |
# | `dX` | (B, T, d_model) | |
#
# **5 points · 6 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what is left to do: it sounds like two things I have.</summary>
#
# It is. You have written a function that makes the cache from `X`, and one that uses it up.
#
# </details>
#
# <details><summary>I'm not sure what I save when I compute everything again.</summary>
#
# Time, you save none. You save memory: `Z` and `H` live only while this function runs, and not from
# the forward pass of this block until its backward pass.
#
# </details>


# %% nbgrader={"grade_id": "checkpointed_ffn_backward", "solution": true}
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    """The gradients of the feed-forward block from its input alone.

    Args:
        dY: gradient of the loss with respect to the output, shape (B, T, d_model)
        X: tokens, shape (B, T, d_model)
        W1: weights of the first layer, shape (d_ff, d_model)
        b1: bias of the first layer, shape (d_ff,)
        W2: weights of the second layer, shape (d_model, d_ff)
        b2: bias of the second layer, shape (d_model,)

    Returns:
        dW1: gradient of W1, shape (d_ff, d_model)
        db1: gradient of b1, shape (d_ff,)
        dW2: gradient of W2, shape (d_model, d_ff)
        db2: gradient of b2, shape (d_model,)
        dX: gradient of the tokens, shape (B, T, d_model)
    """
    ### BEGIN SOLUTION
    _, cache = ffn_forward_batch(X, W1, b1, W2, b2)
    return ffn_backward_batch(dY, cache)
    ### END SOLUTION


# %% nbgrader={"grade_id": "checkpointed_ffn_backward-check", "grade": true, "points": 5}
rng = np.random.default_rng(40)


def pytorch(dY, X, W1, b1, W2, b2):
    def block(X):
        H = torch.nn.functional.gelu(X @ W1.T + b1, approximate="tanh")
        return H @ W2.T + b2

    Y = torch.utils.checkpoint.checkpoint(block, X, use_reentrant=False)
    return torch.autograd.grad((dY * Y).sum(), (W1, b1, W2, b2, X))


def checkpoint_case(B, T, d_model, d_ff):
    return {
        "dY": rng.normal(size=(B, T, d_model)),
        "X": rng.normal(size=(B, T, d_model)),
        "W1": rng.normal(size=(d_ff, d_model)),
        "b1": rng.normal(size=d_ff),
        "W2": rng.normal(size=(d_model, d_ff)),
        "b2": rng.normal(size=d_model),
    }


check = Check(
    "checkpointed_ffn_backward",
    pytorch,
    returns={"dW1": 1, "db1": 1, "dW2": 1, "db2": 1, "dX": 1},
    order=["db2", "dW2", "db1", "dW1", "dX"],
)
check.case("2 sequences of 4 tokens, 3 wide, 6 inside", **checkpoint_case(2, 4, 3, 6))
check.case("all sizes equal", **checkpoint_case(3, 3, 3, 3))
### BEGIN HIDDEN TESTS
check.hidden.case("one sequence of one token", **checkpoint_case(1, 1, 4, 2))
check.hidden.case("5 sequences of 2 tokens, 6 wide", **checkpoint_case(5, 2, 6, 24))
check.hidden.case("tokens of one number", **checkpoint_case(2, 3, 1, 5))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# What does it buy? Take a model of 24 blocks, $d_{model} = 768$, and a batch of 8 sequences of 1024
# tokens. The next cell checkpoints 0, 1, 2, … 24 of the blocks. A block that is not checkpointed
# keeps what your `ffn_activation_bytes` says. A checkpointed one keeps its `x`; one block at a time
# has its `z` and `h` again. Before you run it: where on the line would you stop, with 2 GB left on
# your machine?

# %%
blocks, B, T, d_model = 24, 8, 1024, 768
if written(ffn_activation_bytes, B, T, d_model):
    whole = ffn_activation_bytes(B, T, d_model)
    only_x = 4 * B * T * d_model
    work, memory = [], []
    for checkpointed in range(blocks + 1):
        again = whole - only_x if checkpointed else 0
        memory.append(((blocks - checkpointed) * whole + checkpointed * only_x + again) / 1e9)
        work.append((3 * blocks + checkpointed) / (3 * blocks))
    fig, ax = plt.subplots()
    ax.plot(work, memory, "o-", color=pictures.BLUE, ms=4)
    for place, text, shift in [(0, "none checkpointed", (-4, 10)), (-1, "all 24", (-4, 12))]:
        ax.annotate(text, (work[place], memory[place]), shift, textcoords="offset points")
    ax.axhline(2, color=pictures.BLACK, ls=":", lw=1)
    ax.text(1.0, 2.1, "2 GB")
    ax.set(
        xlabel="FLOPs of a training step, relative",
        ylabel="memory of the caches in GB",
        ylim=(0, 6.4),
        title="What checkpointing costs and what it saves",
    )
    plt.show()
    print(f"{memory[0]:.2f} GB at {work[0]:.2f}, {memory[-1]:.2f} GB at {work[-1]:.2f}")

# %% [markdown]
# *Picture: memory against work, a falling line of 25 points. It starts at about 5.4 GB with no block
# checkpointed and ends below 1 GB with all 24, at 1.33 times the work. A dotted line marks 2 GB. It
# is computed with your `ffn_activation_bytes`.*
#
# The first checkpointed block saves nothing, for while it runs backward its `z` and `h` are there
# again. Each further one saves a `z` and an `h`. To stay below 2 GB, 19 of the 24 must be
# checkpointed, for about a quarter more work.
#
# And the time? The next cell measures one block with your functions, on your machine. It counts
# GELU and memory traffic too, which the counting of FLOPs leaves out, so the ratio need not be 1.33.
# A slow GELU raises it, since the forward pass runs twice. Does yours compute `z**3`? The last line
# says what that costs in NumPy against `z * z * z`.

# %%
rng = np.random.default_rng(41)
X, dY = rng.normal(size=(2, 8, 64, 96))
weights = [rng.normal(size=shape) for shape in [(384, 96), (384,), (96, 384), (96,)]]


def seconds(*works):
    """The shortest of 20 runs of each, in turns, so that both meet the same disturbances."""
    times = [[] for _ in works]
    for _ in range(20):
        for work, mine in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            mine.append(time.perf_counter() - start)
    return [min(mine) for mine in times]


def plain_step():
    _, cache = ffn_forward_batch(X, *weights)
    ffn_backward_batch(dY, cache)


def checkpointed_step():
    ffn_forward_batch(X, *weights)
    checkpointed_ffn_backward(dY, X, *weights)


if all(
    [
        written(ffn_forward_batch, X, *weights, values=2),
        written(checkpointed_ffn_backward, dY, X, *weights, values=5),
    ]
):
    plain, checkpointed = seconds(plain_step, checkpointed_step)
    print(f"with the cache {1000 * plain:.1f} ms, checkpointed {1000 * checkpointed:.1f} ms")
    print(f"checkpointing takes {checkpointed / plain:.2f} times as long here")
    power, product = seconds(lambda: X**3, lambda: X * X * X)
    print(f"z**3 takes {power / product:.0f} times as long as z * z * z")

# %% [markdown]
# ## Summary
#
# - The feed-forward block is two linear layers with GELU between them, applied to each token.
# - Back through a linear layer: three formulas. Back through an activation: one. Depth repeats them,
#   since the gradient of a layer's input is the incoming gradient of the layer below.
# - The cache holds what the backward lines need: the input of every layer and the sum before every
#   activation. It grows with the number of tokens.
# - Weights are shared by all tokens, so their gradients sum over the batch and over the sequence.
# - Checkpointing trades memory for one more forward pass, a third more work.
#
# **Next.** In notebook [04](../04-residual-gradients/04-residual-gradients.ipynb) the block gets a
# second path around it, and gradients survive a hundred layers. Back to notebook
# [02](../02-manual-backprop/02-manual-backprop.ipynb).
