# %% [markdown]
# # 04 · Residual connections
#
# **36 points · about 80 minutes**
#
# Stack a hundred feed-forward blocks, and the gradient that arrives at the first one is a number
# with almost eighty zeros behind the decimal point. Add the input of each block to its output, and the
# gradient arrives. That one addition is a *residual connection*. Every transformer has two of them
# in each block.
#
# In this notebook you follow a gradient through the addition, by hand and in code. You measure what
# it does for a hundred layers. Then you write a test that finds out whether a block that somebody
# else built has such a path, or only looks as if it had one.
#
# **Builds on.** Notebook [03](../03-two-layer-ffn/03-two-layer-ffn.ipynb): `ffn_forward_batch` and
# `ffn_backward_batch`, the feed-forward block with GELU. Notebook
# [02](../02-manual-backprop/02-manual-backprop.ipynb): `numerical_gradient`. They come ready in the
# setup cell, so you can start here.
#
# **Leaves out.** The backward pass of attention and of layer normalization (notebook 08), and how
# such a network is trained (06).

# %% [markdown]
# ## What you will build
#
# The next picture shows the *residual stream* of one transformer block. The input `x` runs along
# the bottom to the output. Two branches leave the stream, compute something, and are added to it.
# The dashed arrows are gradients: at each plus sign the gradient goes both ways.

# %% nbgrader={"grade_id": "setup", "locked": true}
import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import pictures
from autograder.checks import Check, Misfit, Twin
from autograder.pictures import written
from autograder.provided.manual_backprop import numerical_gradient
from autograder.provided.two_layer_ffn import ffn_backward_batch, ffn_forward_batch, gelu

pictures.use_print_style()
nn, F = torch.nn, torch.nn.functional

# %% nbgrader={"grade_id": "picture-of-the-stream", "locked": true}
fig, ax = plt.subplots(figsize=(8.4, 3))
forward, backward = pictures.BLUE, pictures.VERMILION
for center, text in [
    ((0, 0), "$x$"),
    ((1.7, 1.7), "attention"),
    ((4.35, 0), "after\nattention"),
    ((6.3, 1.7), "FFN"),
    ((9, 0), "after\nFFN"),
]:
    pictures.box(ax, center, text)
for x in (3, 7.6):
    ax.text(x, 0, "+", ha="center", va="center", fontsize=15, zorder=3)
    ax.add_patch(plt.Circle((x, 0), 0.23, facecolor="white", edgecolor=pictures.BLACK, zorder=2))
for start, plus, branch, end in [(0.17, 3, 1.7, 3.9), (4.78, 7.6, 6.3, 8.72)]:
    for left, right in [(start, plus - 0.2), (plus + 0.2, end)]:
        pictures.arrow(ax, (left, 0.1), (right, 0.1), "", forward)
        pictures.arrow(ax, (right, -0.1), (left, -0.1), "", backward, dashed=True)
    pictures.arrow(ax, (start + 0.25, 0.13), (branch - 0.2, 1.53), "", forward)
    pictures.arrow(ax, (branch + 0.2, 1.53), (plus - 0.17, 0.2), "", forward)
    pictures.arrow(ax, (plus - 0.02, 0.24), (branch + 0.4, 1.53), "", backward, dashed=True)
    pictures.arrow(ax, (branch - 0.4, 1.53), (start + 0.02, 0.13), "", backward, dashed=True)
ax.text(3, -0.55, "the gradient\ngoes both ways", color=backward, ha="center", va="top", fontsize=9)
ax.text(7.6, -0.55, "and here again", color=backward, ha="center", va="top", fontsize=9)
ax.set(xlim=(-0.5, 9.6), ylim=(-1.3, 2.2), title="Two branches, two sums, one stream")
ax.axis("off")
plt.show()

# %% [markdown]
# *Picture: a line of boxes from left to right: x, a plus sign, "after attention", a plus sign, "after
# FFN". Above the line stand the boxes attention and FFN; each takes from the line and gives to the
# next plus sign. Solid arrows run forward. Dashed arrows run backward: at each plus sign one goes
# along the line and one goes up into the branch. Drawn by the cell above from none of your
# functions.*
#
# ### Conventions
#
# - $dV$ is the gradient of the loss with respect to $V$, and has the shape of $V$. In code it is
#   `dV` or `d_name`.
# - A token is a vector `x` of shape (d,). Tokens also come as rows of a batch (B, d) or as sequences
#   (B, T, d). A *sublayer* acts on any of these and keeps the shape.
# - Weights are (n_out, n_in), as in `torch.nn.Linear`.
# - Numbers are float64. A function leaves its inputs as they are and returns new arrays, not an
#   input or a view of one.
# - You write NumPy, except in the last exercise. There you write PyTorch.
# - Replace `raise NotImplementedError`, run the cell, then run the check below it. Some cases of a
#   check are hidden.

# %% [markdown]
# ## 1. Add the input
#
# A sublayer $F$ takes $x$ and gives an array of the same shape. A residual connection adds its input
# to what it gives:
#
# $$ y = x + F(x) $$
#
# The name comes from the view of $F$: if $y$ is what we want and $x$ is what we have, then $F(x)$
# has to find the rest, the *residual* (He, Zhang, Ren and Sun, *Deep Residual Learning for Image
# Recognition*, 2015).

# %% [markdown]
# ### Exercise: `residual_forward(x, sublayer)`
#
# **What it is for.** The forward line that this notebook is about.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | any | what the stream holds |
# | `sublayer` | | $F$, a function from an array to an array of the same shape |
# | `y` | shape of `x` | what the stream holds afterward |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what the sublayer does inside.</summary>
#
# You need not know. It is a function: call it with one array, and use what it returns.
#
# </details>
#
# <details><summary>I'm not sure what is wrong with <code>+=</code>.</summary>
#
# `x += something` writes into the array that the caller gave you. The caller may need it again. Which
# operator makes a new array?
#
# </details>


# %% nbgrader={"grade_id": "residual_forward", "solution": true}
def residual_forward(x, sublayer):
    """A sublayer with a residual connection around it.

    Args:
        x: what the stream holds, any shape
        sublayer: a function from an array to an array of the same shape

    Returns:
        y: what the stream holds afterward, shape of x
    """
    ### BEGIN SOLUTION
    return x + sublayer(x)
    ### END SOLUTION


# %% nbgrader={"grade_id": "residual_forward-check", "grade": true, "points": 2}
rng = np.random.default_rng(41)


def pytorch(x, sublayer):
    return torch.stack([x, sublayer(x)]).sum(dim=0)


def linear_case(width):
    A = rng.normal(size=(width, width))
    return Twin(lambda x: x @ A.T, lambda x: F.linear(x, torch.tensor(A)), "a linear layer")


check = Check("residual_forward", pytorch, returns={"y": 2})
check.case("one token, sine", x=rng.normal(size=5), sublayer=Twin(np.sin, torch.sin))
check.case("4 tokens, a linear layer", x=rng.normal(size=(4, 3)), sublayer=linear_case(3))
### BEGIN HIDDEN TESTS
check.hidden.case(
    "2 sequences of 3 tokens", x=rng.normal(size=(2, 3, 4)), sublayer=Twin(np.exp, torch.exp)
)
check.hidden.case("as many tokens as numbers", x=rng.normal(size=(3, 3)), sublayer=linear_case(3))
check.hidden.case(
    "a sublayer that gives zeros",
    x=rng.normal(size=(2, 3)),
    sublayer=Twin(np.zeros_like, torch.zeros_like),
)
check.hidden.case("one number", x=np.array([-0.7]), sublayer=Twin(np.cos, torch.cos))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 2. One block by hand
#
# Walk through the picture at the top with pencil and paper. So that nothing hides the additions,
# fixed numbers stand in for what attention and the FFN give:
#
# $$ x = \begin{bmatrix} 1 \\ 2 \end{bmatrix} \qquad
# \text{attention output} = \begin{bmatrix} 0.5 \\ 0.3 \end{bmatrix} \qquad
# \text{FFN output} = \begin{bmatrix} 0.2 \\ 0.1 \end{bmatrix} $$
#
# Forward there are three lines:
#
# - after attention = $x$ + attention output
# - after FFN = after attention + FFN output
# - loss = sum of the numbers of "after FFN"
#
# Now backward, line by line from the last. A sum changes by 1 when one of its terms changes by 1, so
# the slope of the loss in each number of "after FFN" is known. Then take the two additions. For
# each ask: how much does the left side change when I change one of the two terms?

# %% [markdown]
# ### Exercise: `after_attention, after_ffn, loss, d_after_ffn, d_ffn_output, d_after_attention, d_attention_output, d_x`
#
# **What it is for.** At both plus signs you see what becomes of a gradient.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `after_attention`, `after_ffn` | (2,) | the stream after each addition |
# | `loss` | one number | sum of `after_ffn` |
# | `d_after_ffn` | (2,) | gradient of the loss with respect to `after_ffn` |
# | `d_ffn_output`, `d_after_attention` | (2,) | the same for the two terms of the second addition |
# | `d_attention_output`, `d_x` | (2,) | the same for the two terms of the first addition |
#
# Type numbers, such as `after_attention = [0.25, -1.5]`. Half a point each. When you are graded, a
# value that is right given your own value before it keeps its half point.
#
# **4 points · 8 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to start backward.</summary>
#
# Write the loss as $u_1 + u_2$, where $u$ is "after FFN". What is $\partial\,\text{loss} / \partial
# u_1$? And $\partial\,\text{loss} / \partial u_2$?
#
# </details>
#
# <details><summary>I'm not sure whether the two terms of an addition share the gradient.</summary>
#
# Try it with numbers. Raise the first number of the FFN output by 0.01 and compute the loss again.
# By how much did it rise? Then raise a number of "after attention" instead.
#
# </details>
#
# <details><summary>I'm not sure whether d_x needs something from the attention branch too.</summary>
#
# It would, if the attention output were computed from $x$. Here it is a fixed number and does not
# move with $x$. Section 4 is about what changes when it does.
#
# </details>

# %% nbgrader={"grade_id": "after_attention", "solution": true}
# after_attention: two numbers      d_after_ffn: two numbers
# after_ffn: two numbers            d_ffn_output, d_after_attention: two numbers each
# loss: one number                  d_attention_output, d_x: two numbers each
### BEGIN SOLUTION
after_attention = [1.5, 2.3]
after_ffn = [1.7, 2.4]
loss = 4.1
d_after_ffn = [1.0, 1.0]
d_ffn_output = [1.0, 1.0]
d_after_attention = [1.0, 1.0]
d_attention_output = [1.0, 1.0]
d_x = [1.0, 1.0]
### END SOLUTION


# %% nbgrader={"grade_id": "after_attention-check", "grade": true, "points": 4}
def pytorch():
    numbers = [[1.0, 2.0], [0.5, 0.3], [0.2, 0.1]]
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in numbers]
    x_, attention_output_, ffn_output_ = leaves
    first = x_ + attention_output_
    second = first + ffn_output_
    total = second.sum()
    wanted = [second, ffn_output_, first, attention_output_, x_]
    return first, second, total, *torch.autograd.grad(total, wanted)


check = Check(
    "after_attention",
    pytorch,
    returns={
        "after_attention": 0.5,
        "after_ffn": 0.5,
        "loss": 0.5,
        "d_after_ffn": 0.5,
        "d_ffn_output": 0.5,
        "d_after_attention": 0.5,
        "d_attention_output": 0.5,
        "d_x": 0.5,
    },
    typed=True,
    # All of them are decimals of one digit.
    tolerance={"after_attention": 1e-6, "after_ffn": 1e-6, "loss": 1e-6},
)
check.case("the block above")
### BEGIN HIDDEN TESTS
check.hidden.follow_through(
    after_ffn=lambda after_attention: after_attention + np.array([0.2, 0.1]),
    loss=lambda after_ffn: after_ffn.sum(keepdims=True),
    d_ffn_output=lambda d_after_ffn: d_after_ffn,
    d_after_attention=lambda d_after_ffn: d_after_ffn,
    d_attention_output=lambda d_after_attention: d_after_attention,
    d_x=lambda d_after_attention: d_after_attention,
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 3. Back through a plus sign
#
# The word *split* is misleading. At a plus sign the gradient does not get smaller on either side.
# Each term moves the sum one to one, so each term gets the whole upstream gradient:
#
# $$ y = a + b \qquad\Longrightarrow\qquad da = dy, \quad db = dy $$
#
# This holds for every number of an array, whatever the upstream gradient is.

# %% [markdown]
# ### Exercise: `residual_backward(dout)`
#
# **What it is for.** The backward line of the addition. Whoever calls it will go on with both
# results, and may add to one of them in place.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dout` | any | gradient of the loss with respect to the sum |
# | `dx_input` | shape of `dout` | what goes along the stream, to the input |
# | `dx_ffn` | shape of `dout` | what goes into the branch, to the output of the FFN |
#
# The three arrays share no memory: writing into one must leave the other two as they are.
#
# **2 points · 5 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how two equal arrays can differ.</summary>
#
# `a = dout` makes no array. It gives the array a second name. What does `a[0] = 7` do to `dout` then?
#
# </details>
#
# <details><summary>I'm not sure how to get a new array with the same numbers.</summary>
#
# An array has a method for it. Count how often you call it: how many new arrays are asked for?
#
# </details>


# %% nbgrader={"grade_id": "residual_backward", "solution": true}
def residual_backward(dout):
    """The gradients of both terms of a residual sum.

    Args:
        dout: gradient of the loss with respect to the sum, any shape

    Returns:
        dx_input: gradient that goes along the stream, shape of dout
        dx_ffn: gradient that goes into the branch, shape of dout
    """
    ### BEGIN SOLUTION
    return dout.copy(), dout.copy()
    ### END SOLUTION


# %% nbgrader={"grade_id": "residual_backward-check", "grade": true, "points": 2}
rng = np.random.default_rng(42)


def pytorch(dout):
    a = torch.zeros_like(dout, requires_grad=True)
    b = torch.zeros_like(dout, requires_grad=True)
    return torch.autograd.grad((dout * (a + b)).sum(), (a, b))


check = Check("residual_backward", pytorch, returns={"dx_input": 1, "dx_ffn": 1}, separate=True)
check.case("4 tokens of 3 numbers", dout=rng.normal(size=(4, 3)))
check.case("one token", dout=rng.normal(size=5))
### BEGIN HIDDEN TESTS
check.hidden.case("2 sequences of 3 tokens", dout=rng.normal(size=(2, 3, 4)))
check.hidden.case("a gradient of zeros", dout=np.zeros((2, 2)))
check.hidden.case("one number", dout=np.array([[-2.5]]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 4. Two paths, one total
#
# Now the branch is a real one. It is computed from $x$:
#
# $$ f = F(x) \qquad y = x + f $$
#
# $x$ stands in both lines. So it reaches the loss on two paths, and a gradient is a sum over paths:
#
# $$ \underbrace{dx}_{\text{total}} \;=\; \underbrace{dy}_{\text{direct path}} \;+\;
# \underbrace{J_F^\top\, dy}_{\text{through the branch}} $$
#
# $J_F$ is the Jacobian of $F$: its entry $(i, j)$ is the slope of output $i$ in input $j$. You need
# not build it. `ffn_backward_batch` from notebook 03 gives the product.
#
# If you have met residual connections elsewhere: many texts write $dx = dy$ at the plus sign and
# stop there. That is the **direct** share. It is what section 2 has, where the branch does not
# depend on $x$. What `x.grad` holds in PyTorch is the **total**.

# %% [markdown]
# ### Exercise: `residual_block_backward(dy, x, W1, b1, W2, b2)`
#
# **What it is for.** The whole backward pass of $y = x + \mathrm{FFN}(x)$, half of a transformer
# block.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dy` | shape of `x` | gradient of the loss with respect to $y$ |
# | `x` | (d,), (B, d) or (B, T, d) | what went into the block |
# | `W1`, `b1` | (d_ff, d), (d_ff,) | first layer of the FFN |
# | `W2`, `b2` | (d, d_ff), (d,) | second layer; GELU in its tanh form stands between them |
# | `dx` | shape of `x` | the **total** gradient of the input |
# | `dW1`, `db1`, `dW2`, `db2` | shapes of the parameters | summed over all tokens |
#
# The setup cell has both halves of notebook 03's block, and they take any of the three shapes:
#
# - `ffn_forward_batch(X, W1, b1, W2, b2)` returns `Y, cache`
# - `ffn_backward_batch(dY, cache)` returns `dW1, db1, dW2, db2, dX`
#
# Watch the order: here `dx` is returned **first**. Points: 2 for `dx`, 1 for each of the others.
#
# **6 points · 12 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what goes into the branch on the way back.</summary>
#
# Section 3: each term of a sum gets the whole upstream gradient. The output of the FFN is one of the
# two terms.
#
# </details>
#
# <details><summary>I'm not sure where the cache comes from.</summary>
#
# Nobody hands it to you. The FFN must run forward once more, on the value that went into it.
#
# </details>
#
# <details><summary>I'm not sure whether dx is <code>dX</code>.</summary>
#
# `dX` is the share of the path through the branch. How many paths lead from $x$ to $y$?
#
# </details>


# %% nbgrader={"grade_id": "residual_block_backward", "solution": true}
def residual_block_backward(dy, x, W1, b1, W2, b2):
    """The gradients of y = x + FFN(x), the FFN with GELU in its tanh form.

    Args:
        dy: gradient of the loss with respect to y, shape of x
        x: what went into the block, shape (..., d)
        W1: weights of the first layer, shape (d_ff, d)
        b1: bias of the first layer, shape (d_ff,)
        W2: weights of the second layer, shape (d, d_ff)
        b2: bias of the second layer, shape (d,)

    Returns:
        dx: total gradient of the input, shape of x
        dW1: gradient of W1, shape (d_ff, d)
        db1: gradient of b1, shape (d_ff,)
        dW2: gradient of W2, shape (d, d_ff)
        db2: gradient of b2, shape (d,)
    """
    ### BEGIN SOLUTION
    direct, d_branch = residual_backward(dy)
    _, cache = ffn_forward_batch(x, W1, b1, W2, b2)
    dW1, db1, dW2, db2, through_branch = ffn_backward_batch(d_branch, cache)
    return direct + through_branch, dW1, db1, dW2, db2
    ### END SOLUTION


# %% nbgrader={"grade_id": "residual_block_backward-check", "grade": true, "points": 6}
rng = np.random.default_rng(43)


def pytorch(dy, x, W1, b1, W2, b2):
    h = F.gelu(F.linear(x, W1, b1), approximate="tanh")
    y = x + F.linear(h, W2, b2)
    return torch.autograd.grad((dy * y).sum(), (x, W1, b1, W2, b2))


def block_case(*shape, d_ff):
    d = shape[-1]
    return {
        "dy": rng.normal(size=shape),
        "x": rng.normal(size=shape),
        "W1": rng.normal(size=(d_ff, d)),
        "b1": rng.normal(size=d_ff),
        "W2": rng.normal(size=(d, d_ff)),
        "b2": rng.normal(size=d),
    }


check = Check(
    "residual_block_backward",
    pytorch,
    returns={"dx": 2, "dW1": 1, "db1": 1, "dW2": 1, "db2": 1},
    order=["db2", "dW2", "db1", "dW1", "dx"],
)
check.case("2 sequences of 4 tokens, 3 wide, 6 inside", **block_case(2, 4, 3, d_ff=6))
check.case("3 tokens, 3 wide, 3 inside", **block_case(3, 3, d_ff=3))
check.case("one token, 4 wide, 5 inside", **block_case(4, d_ff=5))
### BEGIN HIDDEN TESTS
check.hidden.case("5 tokens, 2 wide, 8 inside", **block_case(5, 2, d_ff=8))
check.hidden.case("all sizes equal", **block_case(3, 3, 3, d_ff=3))
check.hidden.case("one token, 3 wide, 3 inside", **block_case(3, d_ff=3))
check.hidden.case("one sequence of one token", **block_case(1, 1, 6, d_ff=2))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# How large are the two shares? The next cell multiplies `W2` and `b2` by a factor, from 0 to 2. At 0
# the branch is silent. Before you run it: which line stays where it is?

# %%
rng = np.random.default_rng(44)
dy, x = rng.normal(size=(2, 16))
W1, b1 = rng.normal(size=(64, 16)) / 4, rng.normal(size=64) / 4
W2, b2 = rng.normal(size=(16, 64)) / 8, rng.normal(size=16) / 8
shapes = [dy.shape, W1.shape, b1.shape, W2.shape, b2.shape]
if written(residual_block_backward, dy, x, W1, b1, W2, b2, shapes=shapes):
    factors = np.linspace(0, 2, 41)
    total = [residual_block_backward(dy, x, W1, b1, k * W2, k * b2)[0] for k in factors]
    branch = [dx - dy for dx in total]
    fig, ax = plt.subplots()
    for arrays, label, color, style in [
        (total, "total, your dx", pictures.BLUE, "-"),
        ([dy] * len(factors), "direct path, dy", pictures.VERMILION, "--"),
        (branch, "through the branch, dx − dy", pictures.GREEN, ":"),
    ]:
        norms = [np.linalg.norm(array) for array in arrays]
        ax.plot(factors, norms, style, color=color, label=label)
    ax.set(
        xlabel="factor in front of the branch",
        ylabel="norm of the gradient",
        ylim=0,
        title="Two shares and their total, for a branch that gets louder",
    )
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: three curves over a factor from 0 to 2. The direct share is a level line. The share of the
# branch is a straight line that starts at 0. The total starts at the level line and leaves it as the
# branch grows. Drawn from your `residual_block_backward`.*
#
# The norms do not add up, because the two shares point in different directions. The direct share
# cannot vanish. The total can be smaller than it, or larger.

# %% [markdown]
# ## 5. A hundred layers
#
# Put $L$ feed-forward blocks on top of each other. There are two ways, with $h_1 = x$:
#
# $$ \text{plain:}\quad h_{l+1} = F_l(h_l) \qquad\qquad
# \text{residual:}\quad h_{l+1} = h_l + F_l(h_l) $$
#
# Going back, the plain stack multiplies the gradient by $J_l^\top$ once for each layer. If that makes
# it smaller by a factor, a hundred layers make it smaller by the hundredth power of that factor.
# The residual stack multiplies it by $(I + J_l)^\top$. Multiply out two layers:
#
# $$ (I + J_2)(I + J_1) = I + J_1 + J_2 + J_2 J_1 $$
#
# With $L$ layers there are $2^L$ terms, one for each path through the stack. One of them is $I$: the
# path that takes no branch at all.

# %% [markdown]
# ### Exercise: `stack_gradient_norms(x, layers, residual)`
#
# **What it is for.** It measures what arrives at each layer.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (d,) | one token |
# | `layers` | a list of L tuples | `(W1, b1, W2, b2)` of each layer, the first layer first |
# | `residual` | bool | `True`: each layer has a residual connection. `False`: plain |
# | `norms` | (L,) | an array: `norms[l]` is the norm of the gradient at the **input** of `layers[l]` |
#
# The upstream gradient at the output of the last layer is all ones, as if the loss were the sum of
# the output. The norm of a vector is the root of the sum of its squares, `np.linalg.norm`. Each
# gradient is a total.
#
# Points: 3 for plain stacks, and 2 for residual ones.
#
# **5 points · 15 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what to keep on the way forward.</summary>
#
# The cache of each layer: `ffn_backward_batch` will ask for it. A list of caches, in the order of the
# layers, is enough for both kinds of stack.
#
# </details>
#
# <details><summary>I'm not sure what goes into the next layer.</summary>
#
# Plain: what the layer returned. Residual: that plus what went into the layer. The cache does not
# know about the addition, so the two kinds of stack have the same line for it.
#
# </details>
#
# <details><summary>I'm not sure in which order the norms come out.</summary>
#
# The walk back finds the last layer first. `norms[0]` belongs to the first layer.
#
# </details>
#
# <details><summary>I'm not sure whether the ones themselves are in the answer.</summary>
#
# They are the gradient at the output of the last layer. Asked for are the inputs: go through a layer
# first, then take the norm.
#
# </details>


# %% nbgrader={"grade_id": "stack_gradient_norms", "solution": true}
def stack_gradient_norms(x, layers, residual):
    """The norm of the gradient at the input of each layer of a stack of FFNs.

    Args:
        x: one token, shape (d,)
        layers: a list of (W1, b1, W2, b2), the first layer first
        residual: whether each layer has a residual connection, a bool

    Returns:
        norms: norm of the gradient at the input of each layer, shape (L,)
    """
    ### BEGIN SOLUTION
    h, caches = x, []
    for W1, b1, W2, b2 in layers:
        f, cache = ffn_forward_batch(h, W1, b1, W2, b2)
        caches.append(cache)
        h = h + f if residual else f

    norms = np.zeros(len(layers))
    dh = np.ones_like(h)
    for layer in reversed(range(len(layers))):
        through_layer = ffn_backward_batch(dh, caches[layer])[-1]
        dh = dh + through_layer if residual else through_layer
        norms[layer] = np.linalg.norm(dh)
    return norms
    ### END SOLUTION


# %% nbgrader={"grade_id": "stack_gradient_norms-check", "grade": true, "points": 5}
rng = np.random.default_rng(45)


def pytorch(x, layers, residual):
    inputs, h = [], x
    for W1, b1, W2, b2 in layers:
        inputs.append(h)
        f = F.linear(F.gelu(F.linear(h, W1, b1), approximate="tanh"), W2, b2)
        h = h + f if residual else f
    gradients = torch.autograd.grad(h.sum(), inputs)
    return torch.stack([torch.linalg.vector_norm(g) for g in gradients])


def stack_case(d, *widths):
    layers = [
        (
            rng.normal(size=(d_ff, d)) / np.sqrt(d),
            rng.normal(size=d_ff),
            rng.normal(size=(d, d_ff)) / np.sqrt(d_ff),
            rng.normal(size=d),
        )
        for d_ff in widths
    ]
    return {"x": rng.normal(size=d), "layers": layers}


check = Check(
    "stack_gradient_norms",
    pytorch,
    returns={"norms": 3},
    aspects={"residual stacks": 2},
    aspects_alone=True,
)
check.case("3 plain layers", **stack_case(4, 6, 5, 7), residual=False)
check.case("3 residual layers", **stack_case(4, 6, 5, 7), residual=True, aspect="residual stacks")
### BEGIN HIDDEN TESTS
check.hidden.case("one plain layer", **stack_case(3, 3), residual=False)
check.hidden.case("8 plain layers", **stack_case(5, *[5] * 8), residual=False)
for title, case in [
    ("one residual layer", stack_case(3, 3)),
    ("8 residual layers", stack_case(5, *[5] * 8)),
    ("tokens of one number", stack_case(1, 4, 2)),
]:
    check.hidden.case(title, **case, residual=True, aspect="residual stacks")
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Now a hundred layers, 16 wide and 64 inside, with the weights that `torch.nn.Linear` starts with:
# uniform between $-1/\sqrt{n_{in}}$ and $1/\sqrt{n_{in}}$. The gradient starts at the right end, where
# its norm is $\sqrt{16} = 4$, and walks to the left. Each thin line is another draw of the weights.
# Before you run it: where does each bundle end, at layer 1?


# %%
def random_stack(depth, d, d_ff, rng):
    """FFNs with the weights that torch.nn.Linear starts with."""

    def uniform(*shape, n_in):
        return rng.uniform(-1, 1, size=shape) / np.sqrt(n_in)

    return [
        (
            uniform(d_ff, d, n_in=d),
            uniform(d_ff, n_in=d),
            uniform(d, d_ff, n_in=d_ff),
            uniform(d, n_in=d_ff),
        )
        for _ in range(depth)
    ]


rng = np.random.default_rng(46)
depth, d = 100, 16
draws = [(rng.normal(size=d), random_stack(depth, d, 4 * d, rng)) for _ in range(5)]
if all(written(stack_gradient_norms, *draws[0], kind, shape=(depth,)) for kind in (False, True)):
    fig, ax = plt.subplots(figsize=(7, 3.6))
    first = {}
    for kind, label, color, style in [
        (True, "residual", pictures.BLUE, "-"),
        (False, "plain", pictures.VERMILION, "--"),
    ]:
        lines = [stack_gradient_norms(*draw, kind) for draw in draws]
        for i, norms in enumerate(lines):
            name = label if i == 0 else None
            ax.plot(range(1, depth + 1), norms, style, color=color, lw=1, label=name)
        first[label] = np.median([norms[0] for norms in lines])
    ax.set(
        yscale="log",
        xlabel="layer (the gradient enters at 100)",
        ylabel="norm of the gradient",
        title="What arrives at each of 100 layers",
    )
    ax.legend()
    plt.show()
    for label, norm in first.items():
        print(f"{label:>8}: norm at layer 1 is {norm:.1e}")

# %% [markdown]
# *Picture: the norm of the gradient on a logarithmic axis against the layer, 1 to 100. From the right
# end the plain stacks fall along a straight line to about 1e-80 at layer 1. The residual stacks stay
# near the height where they start and rise a little. Drawn from your `stack_gradient_norms`.*
#
# A straight line on a logarithmic axis is a constant factor for each layer. Read it off: the plain
# stack loses a factor of about 6 in each layer. A smaller learning rate or a larger one does not help
# a layer whose gradient is a number like 1e-80.
#
# The residual stacks do not stay level. The term $I$ keeps the gradient from vanishing, and the other
# $2^L - 1$ terms add to it.

# %% [markdown]
# ## 6. Where the normalization stands
#
# *Layer normalization* takes one token, subtracts the mean of its numbers and divides by their
# standard deviation. Then come a gain and a bias for each place. Its backward pass waits for notebook
# 08. Here it is a function `layer_norm`, and the question is where to put it. There are two customs:
#
# - **pre-LN** normalizes what goes into the branch. The stream itself is only added to. GPT-2 and
#   most models after it do this.
# - **post-LN** adds first and then normalizes the sum. The first transformer did this.

# %% [markdown]
# ### Exercise: `pre_ln_block(x, layer_norm, sublayer)`
#
# **What it is for.** One sublayer of GPT-2.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | any | what the stream holds |
# | `layer_norm`, `sublayer` | | functions from an array to an array of the same shape |
# | `y` | shape of `x` | what the stream holds afterward |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what is normalized.</summary>
#
# What goes into the sublayer, and nothing else.
#
# </details>
#
# <details><summary>I'm not sure which <code>x</code> is added.</summary>
#
# Follow the stream with a finger from left to right. In pre-LN it passes one plus sign and nothing
# more.
#
# </details>


# %% nbgrader={"grade_id": "pre_ln_block", "solution": true}
def pre_ln_block(x, layer_norm, sublayer):
    """A sublayer with a residual connection, normalized before the sublayer.

    Args:
        x: what the stream holds, any shape
        layer_norm: a function from an array to an array of the same shape
        sublayer: a function from an array to an array of the same shape

    Returns:
        y: what the stream holds afterward, shape of x
    """
    ### BEGIN SOLUTION
    return x + sublayer(layer_norm(x))
    ### END SOLUTION


# %% nbgrader={"grade_id": "pre_ln_block-check", "grade": true, "points": 2}
rng = np.random.default_rng(47)


def pytorch(x, layer_norm, sublayer):
    branch = sublayer(layer_norm(x))
    return torch.stack([x, branch]).sum(dim=0)


def norm_case(width):
    """Layer normalization with a gain and a bias, in both libraries."""
    gain, bias = rng.normal(size=(2, width))

    def normalize(x):
        centered = x - x.mean(axis=-1, keepdims=True)
        variance = (centered**2).mean(axis=-1, keepdims=True)
        return gain * centered / np.sqrt(variance + 1e-5) + bias

    def twin(x):
        return F.layer_norm(x, (width,), torch.tensor(gain), torch.tensor(bias))

    return Twin(normalize, twin, "a layer normalization")


def mixing_case(width):
    A = rng.normal(size=(width, width))
    return Twin(
        lambda x: np.tanh(x @ A.T), lambda x: torch.tanh(x @ torch.tensor(A).T), "a small layer"
    )


def stream_case(*shape):
    width = shape[-1]
    return {
        "x": rng.normal(size=shape),
        "layer_norm": norm_case(width),
        "sublayer": mixing_case(width),
    }


check = Check("pre_ln_block", pytorch, returns={"y": 2})
check.case("4 tokens of 3 numbers", **stream_case(4, 3))
check.case("one token", **stream_case(5))
### BEGIN HIDDEN TESTS
check.hidden.case("2 sequences of 3 tokens", **stream_case(2, 3, 4))
check.hidden.case("as many tokens as numbers", **stream_case(4, 4))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Exercise: `post_ln_block(x, layer_norm, sublayer)`
#
# **What it is for.** One sublayer of the first transformer.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | any | what the stream holds |
# | `layer_norm`, `sublayer` | | functions from an array to an array of the same shape |
# | `y` | shape of `x` | what the stream holds afterward |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what goes into the sublayer.</summary>
#
# The stream as it is. The normalization comes later.
#
# </details>
#
# <details><summary>I'm not sure which of the three steps is the last.</summary>
#
# "Adds first and then normalizes the sum": what does the block return?
#
# </details>


# %% nbgrader={"grade_id": "post_ln_block", "solution": true}
def post_ln_block(x, layer_norm, sublayer):
    """A sublayer with a residual connection, normalized after the sum.

    Args:
        x: what the stream holds, any shape
        layer_norm: a function from an array to an array of the same shape
        sublayer: a function from an array to an array of the same shape

    Returns:
        y: what the stream holds afterward, shape of x
    """
    ### BEGIN SOLUTION
    return layer_norm(x + sublayer(x))
    ### END SOLUTION


# %% nbgrader={"grade_id": "post_ln_block-check", "grade": true, "points": 2}
rng = np.random.default_rng(48)


def pytorch(x, layer_norm, sublayer):
    stream = torch.stack([x, sublayer(x)]).sum(dim=0)
    return layer_norm(stream)


check = Check("post_ln_block", pytorch, returns={"y": 2})
check.case("4 tokens of 3 numbers", **stream_case(4, 3))
check.case("one token", **stream_case(5))
### BEGIN HIDDEN TESTS
check.hidden.case("2 sequences of 3 tokens", **stream_case(2, 3, 4))
check.hidden.case("as many tokens as numbers", **stream_case(4, 4))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Does the place matter? In post-LN the stream passes a normalization in every block, so its Jacobian
# is not $I$ plus something. It is the Jacobian of the normalization times that. In pre-LN the $I$
# stands alone.
#
# The next cell builds a model of 48 small blocks at initialization. A block is two sublayers, one
# that averages over the tokens so far (attention before it has learned anything) and an FFN. A random
# gradient of norm 1 enters at the top and walks down, through Jacobians of your blocks that are found
# by central differences. Before you run it: in which of the two can the direct path get lost?


# %%
def normalized(x):
    """Layer normalization without gain and bias."""
    centered = x - x.mean(axis=-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)


def initial_sublayers(blocks, tokens, d, rng):
    """Two sublayers for each block: one that mixes tokens, and an FFN."""
    average = np.tril(np.ones((tokens, tokens)))
    average /= average.sum(axis=1, keepdims=True)  # row t: the mean of tokens 0 to t

    def attention(V):
        return lambda h: average @ h @ V.T

    def feedforward(W1, W2):
        return lambda h: gelu(h @ W1.T) @ W2.T

    made = []
    for _ in range(blocks):
        made.append(attention(rng.normal(size=(d, d)) / np.sqrt(d)))
        W1, W2 = rng.normal(size=(4 * d, d)), rng.normal(size=(d, 4 * d))
        made.append(feedforward(W1 / np.sqrt(d), W2 / np.sqrt(2 * d)))
    return made


def norms_down_the_stack(block, x, sublayers, g, eps=1e-5):
    """The norm of the gradient at the input of each sublayer, the first sublayer first."""
    inputs = [x]
    for sublayer in sublayers[:-1]:
        inputs.append(block(inputs[-1], normalized, sublayer))
    steps = eps * np.eye(x.size).reshape(-1, *x.shape)  # one array for each number of x
    norms = []
    for h, sublayer in zip(reversed(inputs), reversed(sublayers), strict=True):
        above, below = (block(h + s, normalized, sublayer) for s in (steps, -steps))
        g = np.sum(g * (above - below) / (2 * eps), axis=(1, 2)).reshape(h.shape)
        norms.append(np.linalg.norm(g))
    return norms[::-1]


rng = np.random.default_rng(49)
blocks, tokens, d = 48, 6, 8
models = [
    (*rng.normal(size=(2, tokens, d)), initial_sublayers(blocks, tokens, d, rng)) for _ in range(10)
]
many = np.zeros((5, tokens, d))
ready = [
    written(f, many, normalized, np.tanh, shape=many.shape) for f in (pre_ln_block, post_ln_block)
]
if all(ready):
    fig, ax = plt.subplots(figsize=(7, 3.6))
    place = np.arange(2 * blocks) / 2 + 1
    for block, label, color, style in [
        (pre_ln_block, "pre-LN", pictures.BLUE, "-"),
        (post_ln_block, "post-LN", pictures.VERMILION, "--"),
    ]:
        lines = [
            norms_down_the_stack(block, x, sublayers, g / np.linalg.norm(g))
            for x, g, sublayers in models
        ]
        for norms in lines:
            ax.plot(place, norms, style, color=color, lw=0.7, alpha=0.5)
        middle = np.median(lines, axis=0)
        ax.plot(place, middle, style, color=color, lw=2.5, label=label)
        print(f"{label}: median at block 1 is {middle[0]:.1e}")
    ax.set(
        yscale="log",
        xlabel="block (the gradient enters at 48)",
        ylabel="norm of the gradient",
        title="What arrives at each of 48 blocks, before any training",
    )
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: the norm of the gradient on a logarithmic axis against the block, 1 to 48; ten thin lines
# of each kind and their medians. From right to left the pre-LN lines rise slowly, to about 10. The
# post-LN lines fall and spread out; their median at block 1 is far below 1. Drawn from your
# `pre_ln_block` and `post_ln_block`.*
#
# The normalization divides by the standard deviation of the sum, and that is mostly larger than 1. So
# in post-LN the direct path shrinks from sublayer to sublayer, 96 times, and next to nothing of it is
# left at the bottom. What arrives has gone through branches, and how much that is depends on the draw.
# Models with post-LN can be trained, but they need a careful start, with a learning rate that grows
# slowly (Xiong and others, *On Layer Normalization in the Transformer Architecture*, 2020).

# %% [markdown]
# ## 7. A test for a direct path
#
# Somebody hands you a block and says that it has a residual connection. How do you find out? A test
# that you meet often looks whether gradients are there: "`x.grad` is not None". The next cell takes a
# block **without** a residual connection and looks.

# %% nbgrader={"grade_id": "gradients-are-there", "locked": true}
rng = np.random.default_rng(50)
x, dy = rng.normal(size=(2, 5, 4))
shapes = {"W1": (8, 4), "b1": (8,), "W2": (4, 8), "b2": (4,)}
weights = [rng.normal(size=shape) / 2 for shape in shapes.values()]
_, cache = ffn_forward_batch(x, *weights)  # y = FFN(x), and x is not added
for name, gradient in zip([*shapes, "X"], ffn_backward_batch(dy, cache), strict=True):
    print(f"d{name}: {np.count_nonzero(gradient)} of {gradient.size} numbers are not zero")

# %% [markdown]
# Every gradient is there, and none is zero. The chain rule does not need a residual connection. What
# is missing is the direct path, and no list of gradients shows that.
#
# So we look at the path itself. Put a number `scale` in front of the branch:
#
# $$ y = x + \text{scale} \cdot F(x) \qquad\Longrightarrow\qquad
# \frac{\partial y}{\partial x} = I + \text{scale} \cdot J_F $$
#
# At `scale` 0 the branch is silent, and what remains is the direct path alone. A block has a direct
# path when its Jacobian at scale 0 is the identity, **at every x**: each output has slope 1 in the
# input at its own place and slope 0 in all others.
#
# This is about slopes. A block that adds a fixed array, such as position vectors, still has a direct
# path: $y$ is not $x$ there, but $\partial y / \partial x = I$.

# %% [markdown]
# ### Exercise: `has_direct_path(make_block)`
#
# **What it is for.** This time you write the test. It is tried on a collection of blocks, right and
# broken ones.
#
# | symbol | form | meaning |
# |---|---|---|
# | `make_block` | a function | `make_block(scale)` gives a block whose branch is multiplied by the number `scale` |
# | `block = make_block(0.0)` | a function | `y = block(x)`, NumPy; `x` and `y` have shape (3, 4): 3 tokens of 4 numbers |
# | answer | bool | `True` when $\partial y / \partial x$ is the identity at scale 0, at every `x` |
#
# What the broken blocks do:
#
# - they leave the residual connection out, or multiply it by some number
# - they add the numbers of `x` at other places, or only some of them, or others on top
# - they send `x` through a function, before or after the addition. Some functions have slope 1 for
#   some numbers only: at 0, or where `x` is positive. So choose an `x` with numbers of both signs,
#   not close to 0
# - their residual connection depends on `scale`
#
# There is 1 point for telling a residual connection from none, and 1 for each of seven more kinds.
# A kind holds right and broken blocks. Its point needs the right answer for all of them. So a test
# that always says the same gets nothing, and without the first point there are no others.
#
# **8 points · 20 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how to get a Jacobian from a function that I cannot look into.</summary>
#
# Central differences, as in `numerical_gradient`. Change one number of `x` by a small step, up and
# down. The difference of the two outputs, divided by twice the step, is an array: the slopes of all
# 12 outputs in this one input.
#
# </details>
#
# <details><summary>I'm not sure what to do with 12 such arrays.</summary>
#
# Make each a row of 12 numbers (`ravel`). Together they are a matrix of shape (12, 12). You know what
# it should be.
#
# </details>
#
# <details><summary>I'm not sure whether I can change all 12 numbers in one go.</summary>
#
# Then each output shows the sum of its slopes. What if an output has slope 1 in a wrong place?
#
# </details>
#
# <details><summary>I'm not sure how to compare.</summary>
#
# Differences of floats are not exact: allow an error of, say, 1e-6. `np.allclose` has a parameter for
# that. Compare the whole matrix.
#
# </details>
#
# <details><summary>I'm not sure why <code>block(x) == x</code> is not enough.</summary>
#
# Read the last paragraph before this card again. And a block that computes in two steps may miss `x`
# by a rounding error.
#
# </details>


# %% nbgrader={"grade_id": "has_direct_path", "solution": true}
def has_direct_path(make_block):
    """Whether a block hands its input on unchanged when its branch is silent.

    Args:
        make_block: make_block(scale) gives a function y = block(x) for x of shape (3, 4)

    Returns:
        answer: True when dy/dx is the identity at scale 0 at every x, a bool
    """
    ### BEGIN SOLUTION
    block, eps = make_block(0.0), 1e-5
    x = np.random.default_rng(0).normal(size=(3, 4))
    jacobian = np.empty((x.size, x.size))
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = eps
        step = step.reshape(x.shape)
        jacobian[:, i] = (block(x + step) - block(x - step)).ravel() / (2 * eps)
    return bool(np.allclose(jacobian, np.eye(x.size), atol=1e-6))
    ### END SOLUTION


# %% nbgrader={"grade_id": "has_direct_path-check", "grade": true, "points": 8}
rng = np.random.default_rng(51)
A, M, fixed = rng.normal(size=(4, 4)), rng.normal(size=(3, 3)), rng.normal(size=(3, 4))
I3, I4 = np.eye(3), np.eye(4)
same = Twin(lambda v: 1 * v, lambda v: 1 * v)


def pytorch(make_block):
    block = make_block(0.0)
    x = torch.tensor(np.random.default_rng(52).normal(size=(3, 4)))
    jacobian = torch.autograd.functional.jacobian(block, x).reshape(12, 12)
    return bool(torch.allclose(jacobian, torch.eye(12, dtype=torch.float64)))


def blocks_case(
    tokens=I3, numbers=I4, plus=0 * fixed, before=same, after=same, inside=same, on=None, times=1
):
    """One rule as make_block, in both libraries.

    y = after(tokens @ before(x) @ numbers + plus + scale * branch(inside(x))). The first term is
    there only when on(scale), and times on(scale). times is a factor in the branch.
    """

    def make_in(library, array, tanh):
        before_, after_, inside_ = (getattr(f, library) for f in (before, after, inside))

        def make_block(scale):
            def block(x):
                x = array(x)
                if x.shape != (3, 4):
                    raise ValueError(f"the block takes x of shape (3, 4) and got {tuple(x.shape)}")
                branch = times * tanh(array(M) @ inside_(x) @ array(A))
                stream = array(tokens) @ before_(x) @ array(numbers)
                stream = stream if on is None else on(scale) * stream
                return after_(stream + array(plus) + scale * branch)

            return block

        return make_block

    in_numpy = make_in("numpy", lambda v: np.array(v, dtype=np.float64), np.tanh)
    in_torch = make_in("torch", torch.as_tensor, torch.tanh)
    return {"make_block": Twin(in_numpy, in_torch, "a maker of such blocks")}


asking, said = np.random.default_rng(55), {}


def probe(has_direct_path, make_block):
    """Ask twice, with two other blocks in between: the answer must come from the block."""
    # What was said of the other two in an earlier case must be said again.
    answers = {"this": [], **said.setdefault(has_direct_path, {"adds": [], "adds nothing": []})}
    makers = {
        "this": make_block,
        "adds": lambda scale: lambda x: 1.0 * x,
        "adds nothing": lambda scale: lambda x: 0.0 * x,
    }
    for name in asking.permutation(["this", "this", "adds", "adds nothing"]):
        answers[name].append(has_direct_path(makers[name]))
    for given in answers.values():
        if all(isinstance(a, (bool, np.bool_)) for a in given) and len(set(given)) > 1:
            raise Misfit("says True and False of the same block. Does it look at the block?")
    return answers["this"][0]


def layer_norm_case(x):
    centered = x - x.mean(axis=-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5)


norm = Twin(layer_norm_case, lambda x: F.layer_norm(x, (4,)))
first_half, second_half = np.diag([1.0, 1, 0, 0]), np.diag([0.0, 0, 1, 1])
turn, next_token = np.linalg.qr(A)[0], np.roll(I3, 1, axis=0)

kinds = ["multiplied", "places", "mixed", "parts", "added", "every x", "scale"]
check = Check(
    "has_direct_path",
    pytorch,
    returns={"answer": 1},
    aspects=dict.fromkeys(kinds, 1),
    probe=probe,
)
check.case("x is added", **blocks_case())
check.case("x is not added", **blocks_case(0 * I3))
for kind, title, made in [
    ("multiplied", "the branch times 5 is added to x", blocks_case(times=5)),
    ("multiplied", "half of x is added", blocks_case(0.5 * I3)),
    ("places", "x is turned, turned back, and added", blocks_case(numbers=turn @ turn.T)),
    ("places", "the tokens change places", blocks_case(next_token)),
    ("mixed", "x is mixed, unmixed, and added", blocks_case(M @ np.linalg.inv(M))),
    ("mixed", "half of x and half of a neighbor are added", blocks_case((I3 + next_token) / 2)),
    ("parts", "two halves of x are added", blocks_case(numbers=first_half + second_half)),
    ("parts", "the first half of each token is added", blocks_case(numbers=first_half)),
    ("added", "x and fixed numbers are added", blocks_case(plus=fixed)),
    ("added", "fixed numbers are added, and not x", blocks_case(0 * I3, plus=fixed)),
    ("every x", "pre-LN", blocks_case(inside=norm)),
    ("every x", "tanh of x is added", blocks_case(before=Twin(np.tanh, torch.tanh))),
    ("scale", "the branch times 1000 is added to x", blocks_case(times=1000)),
    ("scale", "scale times x is added", blocks_case(on=lambda scale: scale)),
]:
    check.case(title, aspect=kind, **made)
### BEGIN HIDDEN TESTS
relu_twin = Twin(lambda v: np.maximum(v, 0.0), torch.relu)
# A step of 1 up and down does not see it: the wave has the length 2.
wave = Twin(
    lambda v: v + 0.1 * np.sin(np.pi * v + 1), lambda v: v + 0.1 * torch.sin(torch.pi * v + 1)
)
check.hidden.case("x is added to a branch with a layer norm", **blocks_case(inside=norm, times=3))
check.hidden.case(
    "a branch with a layer norm, and x is not added", **blocks_case(0 * I3, inside=norm)
)
for kind, title, made in [
    ("multiplied", "x is added twice", blocks_case(2 * I3)),
    ("multiplied", "x is subtracted", blocks_case(-I3)),
    ("multiplied", "nine tenths of x are added", blocks_case(0.9 * I3)),
    ("places", "the numbers of a token change places", blocks_case(numbers=np.roll(I4, 1, axis=0))),
    ("places", "x is turned and added", blocks_case(numbers=turn)),
    ("places", "two tokens change places", blocks_case(I3[[0, 2, 1]])),
    ("mixed", "half of a neighbor is added too", blocks_case(I3 + 0.5 * next_token)),
    ("mixed", "the mean of each token is added", blocks_case(numbers=np.full((4, 4), 0.25))),
    ("mixed", "x minus the mean of its tokens is added", blocks_case(I3 - 1 / 3)),
    ("mixed", "a tenth of another number is added too", blocks_case(numbers=I4 + 0.1 * I4[::-1])),
    ("parts", "the second half of each token is added", blocks_case(numbers=second_half)),
    ("parts", "all tokens but the last are added", blocks_case(np.diag([1.0, 1, 0]))),
    ("parts", "all numbers but the first are added", blocks_case(numbers=np.diag([0.0, 1, 1, 1]))),
    ("added", "x and large fixed numbers are added", blocks_case(plus=50 * fixed)),
    ("added", "half of x and fixed numbers are added", blocks_case(0.5 * I3, plus=fixed)),
    ("every x", "ReLU of x is added", blocks_case(before=relu_twin)),
    ("every x", "ReLU after the sum", blocks_case(after=relu_twin)),
    ("every x", "post-LN", blocks_case(after=norm)),
    ("every x", "the absolute value of x is added", blocks_case(before=Twin(np.abs, torch.abs))),
    (
        "every x",
        "x and its cube are added",
        blocks_case(before=Twin(lambda x: x + x**3, lambda x: x + x**3)),
    ),
    ("every x", "x and a small wave of it are added", blocks_case(before=wave)),
    ("scale", "x is added unless scale is 0", blocks_case(on=lambda scale: float(scale != 0))),
]:
    check.hidden.case(title, aspect=kind, **made)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell shows five Jacobians at scale 0, and above each what your test says. Look for the
# picture of the identity: ones on the diagonal, zeros elsewhere.


# %%
def add_in_the_stream(direct):
    """make_block for y = direct(x) + scale * branch."""
    return lambda scale: lambda x: direct(x) + scale * np.tanh(x[::-1])


collection = {
    "x": lambda x: 1 * x,
    "nothing": lambda x: 0 * x,
    "x / 2": lambda x: 0.5 * x,
    "tokens moved": lambda x: np.roll(x, 1, axis=0),
    "tanh of x": np.tanh,
}
x = np.random.default_rng(53).normal(size=(3, 4))
makers = {name: add_in_the_stream(direct) for name, direct in collection.items()}
if written(has_direct_path, makers["x"], shape=()):
    fig, axes = plt.subplots(1, len(makers), figsize=(8.6, 2.5))
    for ax, (name, make_block) in zip(axes, makers.items(), strict=True):
        block = make_block(0.0)
        jacobian = [
            numerical_gradient(lambda v, f=block, i=i: f(v).flat[i], x).ravel() for i in range(12)
        ]
        ax.imshow(jacobian, cmap="PuOr", vmin=-1.2, vmax=1.2)
        says = "direct path" if has_direct_path(make_block) else "no direct path"
        ax.set_title(f"adds {name}:\n{says}", fontsize=9)
        ax.set(xticks=[], yticks=[], xlabel="12 inputs")
        ax.grid(False)
    axes[0].set_ylabel("12 outputs")
    plt.show()

# %% [markdown]
# *Picture: five matrices of 12 by 12 cells; dark violet is 1, white is 0. The block that adds x has
# a dark diagonal. Nothing: all white. Half of x: a pale diagonal. Moved tokens: a dark diagonal in
# another place. Tanh of x: a diagonal of different shades. Above each stands the answer of your
# `has_direct_path`.*
#
# One broken kind has a history. The first residual networks applied ReLU after the sum, so the stream
# lost its negative numbers in each block. Later the same
# authors moved everything into the branch, so that the stream is only added to (*Identity Mappings
# in Deep Residual Networks*, 2016). Pre-LN follows that idea.

# %% [markdown]
# ## 8. Forward writes the graph
#
# In PyTorch you write the forward pass only. While it runs, PyTorch records each operation as a node
# of a graph. `loss.backward()` walks that graph from the loss back to its *leaves*, the tensors that
# nothing was computed for: inputs and weights. On the way it multiplies by local slopes, as you have
# done by hand. So the path that a gradient takes is decided in the forward
# pass: a `+` that you leave out there is a path that `backward()` cannot take.
#
# The next cell has an attention module to work with. Notebook 08 takes it apart. Here it counts that
# it is a module, that its weights are in `qkv_proj` and `out_proj`, and that it keeps the shape
# (B, T, d).


# %% nbgrader={"grade_id": "attention-module", "locked": true}
class Attention(nn.Module):
    """Causal self-attention with one projection for queries, keys and values."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.qkv_proj = nn.Linear(d_model, 3 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x):
        B, T, d = x.shape
        heads = self.qkv_proj(x).view(B, T, 3, self.n_heads, d // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).reshape(B, T, d))


def make_modules(d_model, n_heads, d_ff):
    """An attention module and a feed-forward module, in float64."""
    torch.manual_seed(d_model)
    layers = [nn.Linear(d_model, d_ff), nn.GELU(approximate="tanh"), nn.Linear(d_ff, d_model)]
    return Attention(d_model, n_heads).double(), nn.Sequential(*layers).double()


# %% [markdown]
# ### Exercise: `block_forward(x, attention, feedforward)` *torch*
#
# **What it is for.** The `forward` method of a transformer block. You write two additions, and the
# backward pass comes with them.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (B, T, d) | a tensor, such as (2, 10, 768) |
# | `attention`, `feedforward` | | modules that keep the shape |
# | `y` | (B, T, d) | the stream after both sublayers, as in the picture at the top |
#
# There is no normalization here. Points: 2 for `y`, and 1 for each of three gradients that PyTorch
# computes from your forward pass: of `x`, of `attention.qkv_proj.weight`, and of the first weight of
# `feedforward`. The check also says whether `y` has a graph, whether the forward pass has overwritten
# something that the graph needs, and whether `backward()` runs.
#
# **5 points · 8 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what goes into <code>feedforward</code>.</summary>
#
# In the picture at the top, follow the arrow that goes up to the FFN back to the box where it starts.
#
# </details>
#
# <details><summary>I'm not sure why PyTorch complains about an <i>inplace operation</i>.</summary>
#
# To find the gradient of its weights, a module keeps the tensor that went into it, as your caches do.
# `x += …` overwrites that tensor. Make a new one.
#
# </details>
#
# <details><summary>I'm not sure whether I have to write a backward pass.</summary>
#
# No. It follows from what you write here. That is the point of this section.
#
# </details>


# %% nbgrader={"grade_id": "block_forward", "solution": true}
def block_forward(x, attention, feedforward):
    """A transformer block without normalization: two sublayers, each with a residual connection.

    Args:
        x: a tensor, shape (B, T, d)
        attention: a module that keeps the shape
        feedforward: a module that keeps the shape

    Returns:
        y: a tensor, shape (B, T, d)
    """
    ### BEGIN SOLUTION
    after_attention = x + attention(x)
    return after_attention + feedforward(after_attention)
    ### END SOLUTION


# %% nbgrader={"grade_id": "block_forward-check", "grade": true, "points": 5}
rng = np.random.default_rng(54)
modules_case = {sizes: make_modules(*sizes) for sizes in [(768, 12, 1536), (12, 3, 20)]}


def pytorch(sizes, x, dy):
    attention, feedforward = modules = modules_case[sizes]
    # A hook: what goes into a module is added to what comes out of it.
    hooks = [m.register_forward_hook(lambda _, given, out: given[0] + out) for m in modules]
    y = nn.Sequential(*modules)(x)
    for hook in hooks:
        hook.remove()
    weights = (attention.qkv_proj.weight, feedforward[0].weight)
    return y, True, True, True, *torch.autograd.grad((dy * y).sum(), (x, *weights))


def probe(block_forward, sizes, x, dy):
    """Run the block forward, let PyTorch go backward, and return arrays."""
    attention, feedforward = modules_case[sizes]
    leaf = torch.tensor(x, requires_grad=True)
    stream = 1 * leaf  # as in a stack: what goes into the block was computed
    y = block_forward(stream, attention, feedforward)
    if not isinstance(y, torch.Tensor):
        raise Misfit(f"returned {type(y).__name__}, expected a tensor.")
    answer = y.detach().numpy().copy()
    wanted = (leaf, attention.qkv_proj.weight, feedforward[0].weight)
    try:
        gradients = torch.autograd.grad(y, wanted, torch.tensor(dy), allow_unused=True)
    except RuntimeError as error:
        kept = "inplace" not in str(error)
        return answer, y.requires_grad, kept, False, None, None, None
    zeros = map(torch.zeros_like, wanted)
    found = [z if g is None else g for g, z in zip(gradients, zeros, strict=True)]
    return answer, True, True, True, *(g.detach().numpy() for g in found)


check = Check(
    "block_forward",
    pytorch,
    returns={
        "y": 2,
        "y.requires_grad": 0,
        "nothing_overwritten": 0,
        "backward_runs": 0,
        "dx": 1,
        "d_qkv_proj_weight": 1,
        "d_feedforward_weight": 1,
    },
    order=[
        "y",
        "y.requires_grad",
        "nothing_overwritten",
        "backward_runs",
        "d_feedforward_weight",
        "d_qkv_proj_weight",
        "dx",
    ],
    probe=probe,
)
x, dy = rng.normal(size=(2, 2, 10, 768))
check.case("2 sequences of 10 tokens, 768 wide", sizes=(768, 12, 1536), x=x, dy=dy)
### BEGIN HIDDEN TESTS
for title, B, T in [("3 sequences of 5 tokens, 12 wide", 3, 5), ("one token, 12 wide", 1, 1)]:
    x, dy = rng.normal(size=(2, B, T, 12))
    check.hidden.case(title, sizes=(12, 3, 20), x=x, dy=dy)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Look at the graph that your forward pass has written. The next cell starts at $y$ and goes back.
# Then it repeats the test from section 7 in PyTorch, "`x.grad` is not None", for your block and for
# one without a residual connection.


# %%
def without_residual(x, attention, feedforward):
    return feedforward(attention(x))


def operations(node):
    """The operations behind a node: what its inputs came from."""
    return [earlier.name() for earlier, _ in node.next_functions if earlier is not None]


attention, feedforward = make_modules(12, 3, 48)
torch.manual_seed(0)
x = torch.randn(2, 10, 12, dtype=torch.float64, requires_grad=True)
if written(block_forward, x, attention, feedforward, shape=(2, 10, 12)):
    # What is no tensor has no graph.
    y = torch.as_tensor(block_forward(x, attention, feedforward))
    print("last operation:", y.grad_fn.name() if y.grad_fn else "none was recorded")
    if y.grad_fn:
        print("its inputs come from:", ", ".join(operations(y.grad_fn)))
    for name, block in [("your block", block_forward), ("no residual", without_residual)]:
        x.grad = None
        attention.zero_grad()
        y = torch.as_tensor(block(x, attention, feedforward))
        try:
            if y.requires_grad:
                y.sum().backward()
        except RuntimeError:
            print(f"{name}: backward() does not run. The check above says more.")
            continue
        found = [x.grad is not None, attention.qkv_proj.weight.grad is not None]
        size = float(x.grad.norm()) if found[0] else 0.0
        print(f"{name}: gradients of x and qkv_proj there? {found}; norm of x.grad {size:.2g}")

# %% [markdown]
# Both blocks pass that test. The sum at the end of a residual block has two inputs, and one of them
# is again a sum: these are the two direct paths, written down by your two plus signs.
#
# ## Summary
#
# - A residual connection is one addition: $y = x + F(x)$. Going back, each term of the sum gets the
#   whole upstream gradient.
# - The gradient of the input is a total: $dx = dy + J_F^\top dy$. The direct share is $dy$ itself,
#   whatever the branch does.
# - A plain stack multiplies by one Jacobian for each layer and loses the gradient. In a residual stack
#   one of the $2^L$ paths is the identity.
# - Pre-LN normalizes inside the branch and leaves the stream alone. Post-LN normalizes the stream.
# - Gradients that are there prove nothing about a direct path. At scale 0 the Jacobian shows it.
# - The forward pass writes the graph that the backward pass walks.
#
# **Next.** Notebook [05](../05-regularized-mlp-derivation/05-regularized-mlp-derivation.ipynb) derives
# a gradient step by step, penalty included. Notebook
# [08](../08-transformer-block/08-transformer-block.ipynb) builds the whole transformer block, with the
# backward passes of attention and layer normalization. Back to notebook
# [03](../03-two-layer-ffn/03-two-layer-ffn.ipynb).
