# %% [markdown]
# # 01 · The forward pass
#
# **49 points · about 90 minutes**
#
# A neural network is a function. Numbers go in, a prediction comes out. Computing the prediction is
# called the *forward pass*. In this notebook you write it in NumPy: one layer, a batch, the
# activations, the losses, a whole network. Then you write the same network in PyTorch and count
# what both cost.
#
# Everything here is used later. In notebook 02 the same lines are walked backward, and every
# intermediate value that you compute today is needed again.
#
# **Builds on.** Python, NumPy arrays, the product of a matrix and a vector.
#
# **Leaves out.** Gradients (notebook [02](../02-manual-backprop/02-manual-backprop.ipynb)), training
# (06), convolutions, and everything that runs on a GPU.

# %% nbgrader={"grade_id": "setup", "locked": true}
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograder import pictures
from autograder.checks import Check
from autograder.pictures import written

pictures.use_print_style()

# %% [markdown]
# ## What you will build
#
# The next picture shows the network of section 3. Two numbers go in. Three *hidden neurons* each
# form a weighted sum and pass it through ReLU. One output neuron does the same with a sigmoid. Every
# line is one weight.

# %% nbgrader={"grade_id": "picture-of-the-network", "locked": true}
columns = [
    [(0, 1.5, "$x_0$"), (0, 0.5, "$x_1$")],
    [(2.5, 2.2, "0"), (2.5, 1.0, "1"), (2.5, -0.2, "2")],
    [(5, 1.0, r"$\hat y$")],
]
weights_shown = [
    [["0.2", "-0.3"], ["0.4", "0.1"], ["-0.5", "0.6"]],
    [["0.7", "-0.4", "0.3"]],
]
fig, ax = plt.subplots(figsize=(7, 3.2))
for left, right, matrix in zip(columns, columns[1:], weights_shown, strict=False):
    for (x1, y1, _), row in zip(right, matrix, strict=True):
        for (x0, y0, _), weight in zip(left, row, strict=True):
            color = pictures.VERMILION if weight.startswith("-") else pictures.BLUE
            style = "--" if weight.startswith("-") else "-"
            ax.plot([x0, x1], [y0, y1], style, color=color, lw=1.4, zorder=1)
            place = 0.72 if x0 == 0 else 0.3
            ax.text(
                x0 + place * (x1 - x0),
                y0 + place * (y1 - y0),
                weight,
                ha="center",
                va="center",
                fontsize=9,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
for column in columns:
    for x, y, name in column:
        ax.scatter([x], [y], s=900, color="white", edgecolors=pictures.BLACK, zorder=2)
        ax.text(x, y, name, ha="center", va="center", zorder=3)
for x, name in [(0, "input"), (2.5, "hidden, ReLU"), (5, "output, sigmoid")]:
    ax.text(x, 2.75, name, ha="center")
ax.set(xlim=(-0.6, 5.6), ylim=(-0.7, 3.0), title="Every line is a weight; solid ones are positive")
ax.axis("off")
plt.show()

# %% [markdown]
# *Picture: a network with 2 inputs, 3 hidden neurons and 1 output. Solid lines are positive
# weights, dashed ones negative weights. The numbers are those of the example in section 3. Drawn by
# the cell above.*
#
# ### Conventions
#
# - Numbers are float64. A sample is a vector `x` of shape (n_in,).
# - A batch is B samples, one in each row of `X`, shape (B, n_in).
# - Weights `W` have shape (n_out, n_in): row $i$ belongs to output $i$. The bias `b` has shape
#   (n_out,). PyTorch's `nn.Linear` keeps them in the same way.
# - A function leaves its inputs as they are. It returns new arrays, never a view of an input. Only a
#   cache may hold the inputs themselves.
# - You write NumPy, except where a card says *torch*.
#
# ### How an exercise works
#
# A card says what to write. You replace the line `raise NotImplementedError`, run the cell, and run
# the check below it. The check compares your numbers with PyTorch's and prints your points. When
# something differs, it names what to look at first. Some cases are hidden: they use other shapes and
# other numbers.

# %% [markdown]
# ## 1. One layer
#
# A neuron multiplies each input by a weight, adds up the products, and adds a bias. With row $i$ of
# `W` for neuron $i$:
#
# $$ z_i = \sum_j W_{ij}\, x_j + b_i \qquad\text{or, for all neurons at once,}\qquad z = W x + b $$
#
# The shapes: (n_out, n_in) times (n_in,) gives (n_out,). The result $z$ is called the
# *pre-activation*, because an activation comes next. A map of this form is called *affine*.

# %% [markdown]
# ### Exercise: `affine(x, W, b)`
#
# **What it is for.** Every layer of every network in this course begins with this line.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (n_in,) | one sample |
# | `W` | (n_out, n_in) | weights, one row for each output |
# | `b` | (n_out,) | bias, one number for each output |
# | `z` | (n_out,) | the pre-activation |
#
# **2 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure on which side of <code>W</code> the sample stands.</summary>
#
# Row `i` of `W` belongs to output `i`. Output `i` is the dot product of that row with the sample.
# Which order of a matrix and a vector takes the dot product of each *row*?
#
# </details>
#
# <details><summary>I'm not sure which NumPy operator multiplies matrices.</summary>
#
# `*` multiplies entry by entry. `@` takes the dot products.
#
# </details>


# %% nbgrader={"grade_id": "affine", "solution": true}
def affine(x, W, b):
    """The affine map of one layer, for one sample.

    Args:
        x: one sample, shape (n_in,)
        W: weights, shape (n_out, n_in)
        b: bias, shape (n_out,)

    Returns:
        z: pre-activation, shape (n_out,)
    """
    ### BEGIN SOLUTION
    return W @ x + b
    ### END SOLUTION


# %% nbgrader={"grade_id": "affine-check", "grade": true, "points": 2}
rng = np.random.default_rng(11)
normal = rng.normal


def pytorch(x, W, b):
    n_out, n_in = W.shape
    layer = nn.Linear(n_in, n_out).double()
    layer.load_state_dict({"weight": W, "bias": b})
    return layer(x)


check = Check("affine", pytorch, returns={"z": 2})
check.case("3 inputs, 2 outputs", x=normal(size=3), W=normal(size=(2, 3)), b=normal(size=2))
check.case("4 inputs, 4 outputs", x=normal(size=4), W=normal(size=(4, 4)), b=normal(size=4))
### BEGIN HIDDEN TESTS
check.hidden.case("one output", x=normal(size=5), W=normal(size=(1, 5)), b=normal(size=1))
check.hidden.case("one input", x=normal(size=1), W=normal(size=(3, 1)), b=normal(size=3))
check.hidden.case("more outputs", x=normal(size=2), W=normal(size=(7, 2)), b=normal(size=7))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### A batch
#
# Networks see many samples at a time. Put B of them into the rows of `X`. Sample $s$ gives row $s$
# of `Z`:
#
# $$ Z_{si} = \sum_j X_{sj}\, W_{ij} + b_i $$
#
# In a matrix product the summed index stands last on the left and first on the right. Here $j$
# stands last in *both* `X` and `W`. So one of the two must be transposed. The bias has shape
# (n_out,), and NumPy adds it to every row: it *broadcasts*.

# %% [markdown]
# ### Exercise: `affine_batch(X, W, b)`
#
# **What it is for.** One matrix product serves all samples, without a Python loop over them.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `X` | (B, n_in) | B samples, one a row |
# | `W`, `b` | (n_out, n_in), (n_out,) | weights and bias |
# | `Z` | (B, n_out) | pre-activations, one row for each sample |
#
# Points: 2 for the numbers, 1 for writing it without a loop over the samples.
#
# **3 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where the transpose comes from.</summary>
#
# Write down the shapes that you have, (B, n_in) and (n_out, n_in), and the one that you want,
# (B, n_out). The index that disappears must be at the inner places of the product.
#
# </details>
#
# <details><summary>I'm not sure how the bias gets to every row.</summary>
#
# NumPy lines up shapes from the right: (B, n_out) and (n_out,) fit. Add them as they are.
#
# </details>


# %% nbgrader={"grade_id": "affine_batch", "solution": true}
def affine_batch(X, W, b):
    """The affine map of one layer, for a batch.

    Args:
        X: samples, one a row, shape (B, n_in)
        W: weights, shape (n_out, n_in)
        b: bias, shape (n_out,)

    Returns:
        Z: pre-activations, one row for each sample, shape (B, n_out)
    """
    ### BEGIN SOLUTION
    return X @ W.T + b
    ### END SOLUTION


# %% nbgrader={"grade_id": "affine_batch-check", "grade": true, "points": 3}
rng = np.random.default_rng(12)


def pytorch(X, W, b):
    return F.linear(X, W, b)


def layer_case(B, n_in, n_out):
    X, W, b = rng.normal(size=(B, n_in)), rng.normal(size=(n_out, n_in)), rng.normal(size=n_out)
    return {"X": X, "W": W, "b": b}


check = Check("affine_batch", pytorch, returns={"Z": 2}, aspects={"no loop over samples": 1})
check.case("5 samples, 3 inputs, 2 outputs", **layer_case(5, 3, 2))
check.case("4 samples, 4 inputs, 4 outputs", **layer_case(4, 4, 4))
check.no_python_loop(
    "8 samples and 200 samples",
    aspect="no loop over samples",
    few=layer_case(8, 3, 2),
    many=layer_case(200, 3, 2),
)
### BEGIN HIDDEN TESTS
check.hidden.case("one sample", **layer_case(1, 3, 5))
check.hidden.case("as many samples as outputs", **layer_case(3, 2, 3))
check.hidden.case("one input, one output", **layer_case(6, 1, 1))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Why so strict about loops? The next cell measures it: the same numbers, once with your `affine` for
# one sample after the other, once with your `affine_batch`. Look at the distance between the curves.

# %%
rng = np.random.default_rng(13)
W, b = rng.normal(size=(4, 8)), rng.normal(size=4)  # small, so that one processor core does it
if written(affine, W[0], W, b, shape=(4,)) and written(affine_batch, W, W, b, shape=(4, 4)):
    sizes = [1, 4, 16, 64, 256, 1024, 4096]
    loop, product = [], []
    for B in sizes:
        X = rng.normal(size=(B, 8))
        slow, fast = [], []
        for _ in range(5):
            start = time.perf_counter()
            np.array([affine(x, W, b) for x in X])
            middle = time.perf_counter()
            affine_batch(X, W, b)
            slow.append(middle - start)
            fast.append(time.perf_counter() - middle)
        loop.append(1e6 * min(slow))
        product.append(1e6 * min(fast))
    fig, ax = plt.subplots()
    ax.loglog(sizes, loop, "o--", color=pictures.VERMILION, label="loop over affine")
    ax.loglog(sizes, product, "s-", color=pictures.BLUE, label="affine_batch")
    ax.set(
        xlabel="samples in the batch", ylabel="microseconds", title="One product against many calls"
    )
    ax.legend()
    plt.show()
    print(f"At {sizes[-1]} samples the loop takes {loop[-1] / product[-1]:.0f} times as long.")

# %% [markdown]
# *Picture: time against batch size, both axes logarithmic. The loop's time grows in proportion to
# the number of samples; the matrix product starts lower and grows more slowly. Measured on the
# machine that runs this cell, from your functions.*
#
# The loop pays for a call of Python at every sample. The product pays once, and its inner loop runs
# in compiled code that also uses the processor's cache well.

# %% [markdown]
# ## 2. Activations
#
# Two affine maps in a row are one affine map: $W_2 (W_1 x + b_1) + b_2$ is again a matrix times $x$
# plus a vector. Depth would be worthless. So between two layers stands a function that is not
# affine, the *activation*. It acts on each number by itself.
#
# **ReLU** keeps positive numbers and replaces the others by zero: $\mathrm{ReLU}(z) = \max(0, z)$.

# %% [markdown]
# ### Exercise: `relu(z)`
#
# **What it is for.** The usual activation of hidden layers: one comparison for each number.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | pre-activations |
# | `a` | shape of `z` | activations, a new array |
#
# **1 point · 2 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure why <code>max(0, z)</code> fails.</summary>
#
# Python's `max` compares its two arguments as wholes, and an array is not larger or smaller than a
# number. NumPy has a function that takes the larger of two numbers at each place.
#
# </details>
#
# <details><summary>I'm not sure why the check says that I change my input.</summary>
#
# `z[z < 0] = 0` writes into the array that the caller owns. Build a new array.
#
# </details>


# %% nbgrader={"grade_id": "relu", "solution": true}
def relu(z):
    """The larger of zero and z, at each place.

    Args:
        z: pre-activations, any shape

    Returns:
        a: activations, shape of z
    """
    ### BEGIN SOLUTION
    return np.maximum(0.0, z)
    ### END SOLUTION


# %% nbgrader={"grade_id": "relu-check", "grade": true, "points": 1}
rng = np.random.default_rng(21)


def pytorch(z):
    return torch.relu(z)


check = Check("relu", pytorch, returns={"a": 1})
check.case("five numbers around zero", z=np.array([-2.0, -0.5, 0.0, 0.5, 2.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
### BEGIN HIDDEN TESTS
check.hidden.case("three axes", z=rng.normal(size=(2, 3, 4)))
check.hidden.case("positive numbers only", z=rng.uniform(0.5, 2.0, size=6))
check.hidden.case("negative numbers only", z=-rng.uniform(0.5, 2.0, size=(2, 3)))
check.hidden.case("very large numbers", z=np.array([-1000.0, 1000.0, 1e-9]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The sigmoid** squeezes any number into the interval from 0 to 1:
#
# $$ \sigma(z) = \frac{1}{1 + e^{-z}} $$
#
# A result between 0 and 1 can be read as a probability. The formula has a trap. At $z = -1000$ it
# asks for $e^{1000}$, which is too large for float64: NumPy warns of an *overflow* and computes with
# infinity. Multiply numerator and denominator by $e^{z}$ and the same function reads
#
# $$ \sigma(z) = \frac{e^{z}}{1 + e^{z}} $$
#
# This form is safe exactly where the first one is not.

# %% [markdown]
# ### Exercise: `sigmoid(z)`
#
# **What it is for.** The output of a network that answers yes or no.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | numbers of any size, also ±1000 |
# | `a` | shape of `z` | $\sigma(z)$, between 0 and 1 |
#
# Points: 1 for the numbers, 1 for staying finite, without a NumPy warning, at ±1000.
#
# **2 points · 6 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to use one formula here and another there.</summary>
#
# $e^{-|z|}$ is safe for every $z$. Write both forms with it: what is the numerator where $z$ is
# positive, and what is it where $z$ is negative?
#
# </details>
#
# <details><summary>I'm not sure why <code>np.where</code> still warns.</summary>
#
# `np.where(condition, A, B)` computes *both* A and B for the whole array, and then picks. Make both
# of them safe, or compute each on its own part of the array.
#
# </details>


# %% nbgrader={"grade_id": "sigmoid", "solution": true}
def sigmoid(z):
    """The logistic function, without overflow.

    Args:
        z: numbers of any size, any shape

    Returns:
        a: 1 / (1 + exp(-z)), shape of z
    """
    ### BEGIN SOLUTION
    small = np.exp(-np.abs(z))  # never more than 1
    return np.where(z >= 0, 1.0, small) / (1.0 + small)
    ### END SOLUTION


# %% nbgrader={"grade_id": "sigmoid-check", "grade": true, "points": 2}
rng = np.random.default_rng(22)


def pytorch(z):
    return torch.sigmoid(z)


check = Check("sigmoid", pytorch, returns={"a": 1}, aspects={"stays finite": 1})
check.case("five numbers around zero", z=np.array([-2.0, -0.5, 0.0, 0.5, 2.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
check.case(
    "numbers as large as ±1000",
    aspect="stays finite",
    warning_free=True,
    z=np.array([-1000.0, -30.0, 30.0, 1000.0]),
)
### BEGIN HIDDEN TESTS
check.hidden.case("three axes", z=3 * rng.normal(size=(2, 3, 4)))
check.hidden.case(
    "a matrix with ±1000",
    aspect="stays finite",
    warning_free=True,
    z=np.array([[1000.0, -1000.0, 0.5], [-2.0, 900.0, -800.0]]),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **Softmax** turns K numbers into K probabilities:
#
# $$ \mathrm{softmax}(z)_i = \frac{e^{z_i}}{\sum_k e^{z_k}} $$
#
# All are positive and they add up to 1. The numbers that go in are called *logits*. Again
# $e^{1000}$ is too large. The cure is to subtract the same number $m$ from every logit:
#
# $$ \frac{e^{z_i - m}}{\sum_k e^{z_k - m}}
# = \frac{e^{-m}\, e^{z_i}}{e^{-m} \sum_k e^{z_k}} = \mathrm{softmax}(z)_i $$
#
# The result does not change, so $m$ may be chosen freely. With $m = \max_k z_k$ the largest exponent
# is 0, and nothing can overflow.

# %% [markdown]
# ### Exercise: `softmax(z, axis=-1)`
#
# **What it is for.** The output of a network that chooses one of K classes.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | logits |
# | `axis` | | the axis along which the probabilities add up to 1 |
# | `p` | shape of `z` | probabilities |
#
# Points: 2 for the numbers, 1 for staying finite, without a NumPy warning, at ±1000.
#
# **3 points · 6 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure why my shapes do not fit.</summary>
#
# A sum along an axis removes that axis. `keepdims=True` keeps it with length 1, and then the
# division broadcasts along the right one.
#
# </details>
#
# <details><summary>I'm not sure which maximum to subtract.</summary>
#
# Each group of numbers that adds up to 1 needs its own. A maximum over the whole array can be far
# above a row, and then every exponential of that row becomes 0.
#
# </details>


# %% nbgrader={"grade_id": "softmax", "solution": true}
def softmax(z, axis=-1):
    """Probabilities from logits.

    Args:
        z: logits, any shape
        axis: the axis along which probabilities add up to 1

    Returns:
        p: probabilities, shape of z
    """
    ### BEGIN SOLUTION
    shifted = z - np.max(z, axis=axis, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "softmax-check", "grade": true, "points": 3}
rng = np.random.default_rng(23)


def pytorch(z, axis=-1):
    return torch.softmax(z, dim=axis)


check = Check("softmax", pytorch, returns={"p": 2}, aspects={"stays finite": 1})
check.case("three logits", z=np.array([0.5, -1.0, 2.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
check.case("a square batch, along axis 0", z=rng.normal(size=(3, 3)), axis=0)
check.case(
    "logits as large as ±1000",
    aspect="stays finite",
    warning_free=True,
    z=np.array([1000.0, -1000.0, -999.0]),
)
### BEGIN HIDDEN TESTS
check.hidden.case("three axes, the middle one", z=rng.normal(size=(2, 3, 4)), axis=1)
check.hidden.case("three axes, the last one", z=rng.normal(size=(2, 3, 4)))
check.hidden.case("axis 1 of a matrix", z=rng.normal(size=(2, 5)), axis=1)
check.hidden.case("one class", z=rng.normal(size=(3, 1)))
check.hidden.case(
    "rows of very different size",
    aspect="stays finite",
    warning_free=True,
    z=np.array([[1000.0, 1001.0, 999.0], [-1000.0, -1001.0, -1002.0], [-1000.0, 0.0, 1000.0]]),
)
check.hidden.case(
    "very negative logits only",
    aspect="stays finite",
    warning_free=True,
    z=np.array([-1000.0, -1001.0, -1002.0]),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell draws your three activations. Look at the ends of the curves: ReLU keeps growing, the
# sigmoid becomes flat on both sides. In the right panel one logit of three moves while the two
# others stay at 0 and 1; the three probabilities always add up to 1.

# %%
z = np.linspace(-6, 6, 241)
logits = np.stack([z, np.zeros_like(z), np.ones_like(z)], axis=1)
if (
    written(relu, z, shape=z.shape)
    and written(sigmoid, z, shape=z.shape)
    and written(softmax, logits, shape=logits.shape)
):
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.plot(z, relu(z), "-", color=pictures.BLUE, label="ReLU")
    left.plot(z, sigmoid(z), "--", color=pictures.VERMILION, label="sigmoid")
    left.set(xlabel="z", ylabel="activation", ylim=(-0.2, 3), title="ReLU and the sigmoid")
    left.legend()
    probabilities = softmax(logits)
    for k, (label, style, color) in enumerate(
        [
            ("class 0: z", "-", pictures.BLUE),
            ("class 1: 0", "--", pictures.VERMILION),
            ("class 2: 1", "-.", pictures.GREEN),
        ]
    ):
        right.plot(z, probabilities[:, k], style, color=color, label=label)
    right.set(xlabel="logit z of class 0", ylabel="probability", title="Softmax of three classes")
    right.legend()
    plt.show()

# %% [markdown]
# *Picture: two panels. Left, ReLU and sigmoid for z from −6 to 6. Right, the three probabilities of
# a softmax while the first logit grows from −6 to 6: the first curve rises from 0 toward 1, the two
# others fall. Drawn from your functions.*

# %% [markdown]
# ## 3. A network by hand
#
# Now two layers, with pencil and paper. This is the network of the first picture, for one sample:
#
# $$ x = \begin{bmatrix} 0.5 \\ 0.8 \end{bmatrix} \qquad
# W_1 = \begin{bmatrix} 0.2 & -0.3 \\ 0.4 & 0.1 \\ -0.5 & 0.6 \end{bmatrix} \qquad
# b_1 = \begin{bmatrix} 0.1 \\ -0.2 \\ 0 \end{bmatrix} \qquad
# W_2 = \begin{bmatrix} 0.7 & -0.4 & 0.3 \end{bmatrix} \qquad b_2 = \begin{bmatrix} -0.1 \end{bmatrix} $$
#
# $$ z_1 = W_1 x + b_1 \qquad a_1 = \mathrm{ReLU}(z_1) \qquad z_2 = W_2\, a_1 + b_2 \qquad
# \hat y = \sigma(z_2) $$
#
# A hidden neuron whose activation is 0 is called *dead* for this sample: it passes nothing on. The
# predicted class is 1 when $\hat y \ge \tfrac12$, and 0 otherwise.

# %% [markdown]
# ### Exercise: `z1, a1, z2, y_hat, dead_neurons, predicted_class`
#
# **What it is for.** Who has done it once by hand reads every later formula with other eyes.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z1`, `a1` | (3,) | hidden layer before and after ReLU |
# | `z2`, `y_hat` | one number | output layer before and after the sigmoid |
# | `dead_neurons` | a list | indices of the dead hidden neurons; the first neuron is 0 |
# | `predicted_class` | 0 or 1 | the answer of the network |
#
# Type numbers, such as `z1 = [0.12, 0.3, -0.5]`. Three correct decimals are enough for `y_hat`. One
# point each. When you are graded, `a1`, `z2` and `y_hat` keep their point where they are right for
# your own earlier value.
#
# **6 points · 9 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to begin.</summary>
#
# The first entry of $z_1$ takes the first row of $W_1$: multiply it with $x$ entry by entry, add up,
# and add the first entry of $b_1$.
#
# </details>
#
# <details><summary>I'm not sure whether my z2 is right.</summary>
#
# It has three terms that are not zero: two products and the bias. Add them one after the other and
# watch the signs.
#
# </details>

# %% nbgrader={"grade_id": "z1", "solution": true}
# z1: three numbers          a1: three numbers
# z2: one number             y_hat: one number
# dead_neurons: a list       predicted_class: 0 or 1
### BEGIN SOLUTION
z1 = [-0.04, 0.08, 0.23]
a1 = [0.0, 0.08, 0.23]
z2 = -0.032 + 0.069 - 0.1
y_hat = 0.4843
dead_neurons = [0]
predicted_class = 0
### END SOLUTION

# %% nbgrader={"grade_id": "z1-check", "grade": true, "points": 6}
W1 = torch.tensor([[0.2, -0.3], [0.4, 0.1], [-0.5, 0.6]], dtype=torch.float64)
b1 = torch.tensor([0.1, -0.2, 0.0], dtype=torch.float64)
W2 = torch.tensor([[0.7, -0.4, 0.3]], dtype=torch.float64)
b2 = torch.tensor([-0.1], dtype=torch.float64)


def pytorch():
    hidden = F.linear(torch.tensor([0.5, 0.8], dtype=torch.float64), W1, b1)
    active = torch.relu(hidden)
    last = F.linear(active, W2, b2)
    answer = torch.sigmoid(last)
    dead = [i for i in range(3) if active[i] == 0]
    return hidden, active, last, answer, dead, int(answer >= 0.5)


check = Check(
    "z1",
    pytorch,
    returns={"z1": 1, "a1": 1, "z2": 1, "y_hat": 1, "dead_neurons": 1, "predicted_class": 1},
    typed=True,
    # The first three are short decimals; y_hat is not, and three decimals of it are enough.
    tolerance={"z1": 1e-6, "a1": 1e-6, "z2": 1e-6, "y_hat": 6e-4},
)
check.case("the network above")
### BEGIN HIDDEN TESTS
check.hidden.follow_through(
    a1=lambda z1: np.maximum(z1, 0.0),
    z2=lambda a1: W2.numpy() @ a1 + b2.numpy(),
    y_hat=lambda z2: 1 / (1 + np.exp(-z2)),
    dead_neurons=lambda a1: np.flatnonzero(a1 == 0.0),
    predicted_class=lambda y_hat: y_hat >= 0.5,
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# If you have met this example elsewhere: a version in circulation has −0.069 and 0.4828 at the end.
# Its sum of the three terms of $z_2$ is wrong. Yours was checked by PyTorch.

# %% [markdown]
# ## 4. A network of any depth
#
# A network with L layers repeats two lines. With $a_0 = X$:
#
# $$ z_l = a_{l-1} W_l^\top + b_l \qquad a_l = \varphi_l(z_l) \qquad l = 1, \dots, L $$
#
# Here $\varphi_l$ is ReLU for the hidden layers and the sigmoid for the last one, because this
# network answers yes or no.
#
# While it computes, the forward pass builds a *graph*. A node stores the operation that made it, the
# nodes that went in, its value, and a recipe for its local gradient. Backward, in notebook 02, the slope of ReLU at layer $l$ needs $z_l$, and the
# gradient of $W_l$ needs $a_{l-1}$. So training keeps all of them. The dictionary that holds them is
# called the *cache*. A network that only predicts forgets each value once the next one is there.

# %% [markdown]
# ### Exercise: `forward_pass_manual(x, weights, biases)`
#
# **What it is for.** The whole forward pass, with the cache that back-propagation will read.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (B, n_0) | samples, one a row |
# | `weights` | list of L arrays (n_l, n_{l−1}) | $W_1 \dots W_L$ |
# | `biases` | list of L arrays (n_l,) | $b_1 \dots b_L$ |
# | `output` | (B, n_L) | $a_L$ |
# | `cache` | dict | keys `"a0"`, `"z1"`, `"a1"`, … `"zL"`, `"aL"` |
#
# The cache may hold `x` itself. You may call the functions that you have written.
#
# Points: 2 for the output, 3 for the cache.
#
# **5 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how a list that starts at 0 fits layers that start at 1.</summary>
#
# `weights[0]` is $W_1$. With `for i, (W, b) in enumerate(zip(weights, biases), start=1)` the number
# `i` is that of the layer.
#
# </details>
#
# <details><summary>I'm not sure how to make the keys.</summary>
#
# An f-string puts a number into a text: `f"z{i}"`.
#
# </details>
#
# <details><summary>I'm not sure how the code knows that a layer is the last one.</summary>
#
# There are `len(weights)` layers. Compare the number of the layer with it.
#
# </details>


# %% nbgrader={"grade_id": "forward_pass_manual", "solution": true}
def forward_pass_manual(x, weights, biases):
    """The forward pass of a network with ReLU hidden layers and a sigmoid output.

    Args:
        x: samples, one a row, shape (B, n_0)
        weights: a list of the weights, layer l has shape (n_l, n_{l-1})
        biases: a list of the biases, layer l has shape (n_l,)

    Returns:
        output: the activation of the last layer, shape (B, n_L)
        cache: a dict with the keys a0, z1, a1, and so on up to zL, aL
    """
    ### BEGIN SOLUTION
    last = len(weights)
    a = x
    cache = {"a0": a}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = affine_batch(a, W, b)
        a = sigmoid(z) if i == last else relu(z)
        cache[f"z{i}"] = z
        cache[f"a{i}"] = a
    return a, cache
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward_pass_manual-check", "grade": true, "points": 5}
rng = np.random.default_rng(41)


def pytorch(x, weights, biases):
    a, cache = x, {"a0": x}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = cache[f"z{i}"] = F.linear(a, W, b)
        a = cache[f"a{i}"] = torch.sigmoid(z) if i == len(weights) else torch.relu(z)
    return a, cache


def network_case(B, *sizes):
    pairs = list(zip(sizes, sizes[1:], strict=False))
    return {
        "x": rng.normal(size=(B, sizes[0])),
        "weights": [rng.normal(size=(n_out, n_in)) for n_in, n_out in pairs],
        "biases": [rng.normal(size=n_out) for _, n_out in pairs],
    }


check = Check(
    "forward_pass_manual", pytorch, returns={"output": 2, "cache": 3}, order=["cache", "output"]
)
check.case("2 → 3 → 1, 5 samples", **network_case(5, 2, 3, 1))
check.case("4 → 4 → 4, 4 samples", **network_case(4, 4, 4, 4))
### BEGIN HIDDEN TESTS
check.hidden.case("one layer", **network_case(6, 3, 2))
check.hidden.case("three layers", **network_case(3, 5, 4, 6, 2))
check.hidden.case("four layers, one sample", **network_case(1, 3, 7, 2, 5, 4))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell prints what your cache holds for the network of section 3, as a batch of three
# samples. Follow the shapes: the number of rows never changes.

# %%
example = (
    np.array([[0.5, 0.8], [0.1, 0.2], [0.9, 0.4]]),
    [np.array([[0.2, -0.3], [0.4, 0.1], [-0.5, 0.6]]), np.array([[0.7, -0.4, 0.3]])],
    [np.array([0.1, -0.2, 0.0]), np.array([-0.1])],
)
if written(forward_pass_manual, *example, values=2, cache_keys=["a0", "z1", "a1", "z2", "a2"]):
    output, cache = forward_pass_manual(*example)
    for key in ["a0", "z1", "a1", "z2", "a2"]:
        value = cache[key]
        print(f"{key}: shape {value.shape}, first sample {np.round(value[0], 4).tolist()}")

# %% [markdown]
# ## 5. Losses that do not overflow
#
# A classifier is trained by the *cross-entropy*: the negative logarithm of the probability that it
# gives to the right class. The direct way is `np.log(softmax(z))`. It breaks where a probability is
# so small that float64 rounds it to 0: the logarithm of 0 is minus infinity. But the logarithm
# itself is harmless. Write it out:
#
# $$ \log \mathrm{softmax}(z)_i = z_i - \log \sum_k e^{z_k}
# = (z_i - m) - \log \sum_k e^{z_k - m} \qquad m = \max_k z_k $$
#
# The sum on the right contains $e^0 = 1$, so its logarithm is finite and not negative. This is called the
# *log-sum-exp trick*.

# %% [markdown]
# ### Exercise: `log_softmax(z, axis=-1)`
#
# **What it is for.** The numbers that every classification loss is made of.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | logits |
# | `axis` | | the axis of the classes |
# | `log_p` | shape of `z` | logarithms of the probabilities, never −inf for finite logits |
#
# Points: 1 for the numbers, 1 for staying finite, without a NumPy warning, at ±1000.
#
# **2 points · 5 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure why the logarithm of my softmax is −inf.</summary>
#
# $e^{-1000}$ is smaller than the smallest positive float64, so it becomes 0. Do not form the
# probability. Use the right side of the formula.
#
# </details>
#
# <details><summary>I'm not sure where the maximum enters.</summary>
#
# Twice: subtract it first, and then both terms of the formula use the shifted logits.
#
# </details>


# %% nbgrader={"grade_id": "log_softmax", "solution": true}
def log_softmax(z, axis=-1):
    """Logarithms of softmax probabilities, by the log-sum-exp trick.

    Args:
        z: logits, any shape
        axis: the axis of the classes

    Returns:
        log_p: log-probabilities, shape of z
    """
    ### BEGIN SOLUTION
    shifted = z - np.max(z, axis=axis, keepdims=True)
    log_sum = np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
    return shifted - log_sum
    ### END SOLUTION


# %% nbgrader={"grade_id": "log_softmax-check", "grade": true, "points": 2}
rng = np.random.default_rng(51)


def pytorch(z, axis=-1):
    return F.log_softmax(z, dim=axis)


check = Check("log_softmax", pytorch, returns={"log_p": 1}, aspects={"stays finite": 1})
check.case("three logits", z=np.array([0.5, -1.0, 2.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
check.case("a square batch, along axis 0", z=rng.normal(size=(3, 3)), axis=0)
check.case(
    "logits as large as ±1000",
    aspect="stays finite",
    warning_free=True,
    z=np.array([1000.0, 0.0, -1000.0]),
)
### BEGIN HIDDEN TESTS
check.hidden.case("three axes, the middle one", z=rng.normal(size=(2, 3, 4)), axis=1)
check.hidden.case("three axes, the last one", z=rng.normal(size=(2, 3, 4)))
check.hidden.case("one class", z=rng.normal(size=(3, 1)))
check.hidden.case(
    "rows of very different size",
    aspect="stays finite",
    warning_free=True,
    z=np.array([[1000.0, 1001.0, -999.0], [-1000.0, -1001.0, -3000.0], [-1000.0, 0.0, 1000.0]]),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The cross-entropy of a batch picks, in each row, the log-probability of the right class, changes
# the sign, and takes the mean. The targets are class *indices*: `targets[s]` is the number of the
# right class of sample $s$.
#
# $$ L = -\frac1B \sum_{s=1}^{B} \log \mathrm{softmax}(z_s)_{t_s} $$

# %% [markdown]
# ### Exercise: `cross_entropy_with_logits(logits, targets)`
#
# **What it is for.** The loss of every classifier, and of every language model.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `logits` | (B, K) | one row for each sample, one column for each class |
# | `targets` | (B,) | whole numbers from 0 to K − 1 |
# | `loss` | () | mean over the samples |
#
# Points: 2 for the numbers, 1 for staying finite where a probability rounds to 0.
#
# **3 points · 5 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to pick one entry from each row.</summary>
#
# Two arrays of indices of the same length pick pairs: `A[rows, columns]` takes the entries
# `A[rows[0], columns[0]]`, `A[rows[1], columns[1]]`, and so on. Which rows do you want?
#
# </details>
#
# <details><summary>I'm not sure which of my functions to call.</summary>
#
# The one that never forms a probability.
#
# </details>


# %% nbgrader={"grade_id": "cross_entropy_with_logits", "solution": true}
def cross_entropy_with_logits(logits, targets):
    """Mean cross-entropy from logits and class indices.

    Args:
        logits: one row for each sample, shape (B, K)
        targets: indices of the right classes, shape (B,)

    Returns:
        loss: a number, shape ()
    """
    ### BEGIN SOLUTION
    rows = np.arange(len(targets))
    picked = log_softmax(logits)[rows, targets]
    return -np.mean(picked)
    ### END SOLUTION


# %% nbgrader={"grade_id": "cross_entropy_with_logits-check", "grade": true, "points": 3}
rng = np.random.default_rng(52)


def pytorch(logits, targets):
    criterion = nn.CrossEntropyLoss()
    return criterion(logits, targets)


check = Check(
    "cross_entropy_with_logits", pytorch, returns={"loss": 2}, aspects={"stays finite": 1}
)
check.case(
    "5 samples, 3 classes", logits=rng.normal(size=(5, 3)), targets=np.array([2, 0, 1, 1, 0])
)
check.case("4 samples, 4 classes", logits=rng.normal(size=(4, 4)), targets=np.array([3, 1, 0, 0]))
check.case(
    "sure and wrong",
    aspect="stays finite",
    warning_free=True,
    logits=np.array([[1000.0, 0.0, -1000.0], [0.0, 1.0, 2.0]]),
    targets=np.array([2, 1]),
)
### BEGIN HIDDEN TESTS
check.hidden.case("one sample", logits=rng.normal(size=(1, 6)), targets=np.array([4]))
check.hidden.case("two classes", logits=3 * rng.normal(size=(7, 2)), targets=rng.integers(0, 2, 7))
check.hidden.case("one class for all", logits=rng.normal(size=(3, 5)), targets=np.array([2, 2, 2]))
check.hidden.case(
    "very negative logits",
    aspect="stays finite",
    warning_free=True,
    logits=np.array([[-1000.0, -3000.0], [-2000.0, -900.0], [800.0, 0.0]]),
    targets=np.array([1, 0, 0]),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# For a yes-or-no question there is one logit $z$ and a target $y$, 0 or 1. The *binary cross-entropy*
# of $p = \sigma(z)$ is $-y \log p - (1 - y) \log (1 - p)$. Insert $\sigma$ and use
# $\log(1 - \sigma(z)) = -z + \log \sigma(z)$. What is left is $\log(1 + e^{-z}) + (1 - y)\, z$. It overflows
# for a very negative $z$. Take out the maximum, as before, and it reads
#
# $$ \mathrm{BCE}(z, y) = \max(z, 0) - z\, y + \log\!\left(1 + e^{-|z|}\right) $$
#
# The exponent is never positive, so nothing can overflow.

# %% [markdown]
# ### Exercise: `bce_with_logits(z, y)`
#
# **What it is for.** The loss of a network that answers yes or no, for logits of any size.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | logits |
# | `y` | shape of `z` | targets, each 0.0 or 1.0 |
# | `loss` | () | mean over **all** elements |
#
# Points: 2 for the numbers, 1 for staying finite, without a NumPy warning, at ±1000.
#
# **3 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to translate max(z, 0) for an array.</summary>
#
# You have written this function in section 2.
#
# </details>
#
# <details><summary>I'm not sure whether my loss can be right.</summary>
#
# At $z = 0$ each element costs $\log 2 \approx 0.693$, whatever its target. A confident right answer
# costs almost nothing. A confident wrong one costs about $|z|$.
#
# </details>


# %% nbgrader={"grade_id": "bce_with_logits", "solution": true}
def bce_with_logits(z, y):
    """Mean binary cross-entropy from logits.

    Args:
        z: logits, any shape
        y: targets, each 0.0 or 1.0, shape of z

    Returns:
        loss: a number, shape ()
    """
    ### BEGIN SOLUTION
    each = np.maximum(z, 0.0) - z * y + np.log1p(np.exp(-np.abs(z)))
    return np.mean(each)
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce_with_logits-check", "grade": true, "points": 3}
rng = np.random.default_rng(53)


def pytorch(z, y):
    criterion = nn.BCEWithLogitsLoss()
    return criterion(z, y)


def answers_case(*shape):
    return {"z": 2 * rng.normal(size=shape), "y": rng.integers(0, 2, size=shape).astype(float)}


check = Check("bce_with_logits", pytorch, returns={"loss": 2}, aspects={"stays finite": 1})
check.case("four answers", z=np.array([2.0, -1.0, 0.5, -0.3]), y=np.array([1.0, 0.0, 0.0, 1.0]))
check.case("shape (4, 3)", **answers_case(4, 3))
check.case(
    "logits as large as ±1000",
    aspect="stays finite",
    warning_free=True,
    z=np.array([1000.0, -1000.0, 1000.0, -1000.0]),
    y=np.array([1.0, 0.0, 0.0, 1.0]),
)
### BEGIN HIDDEN TESTS
check.hidden.case("a column", **answers_case(6, 1))
check.hidden.case("three axes", **answers_case(2, 3, 5))
check.hidden.case("one yes", z=np.array([[0.8]]), y=np.array([[1.0]]))
check.hidden.case("one no", z=np.array([[0.8]]), y=np.array([[0.0]]))
check.hidden.case(
    "a matrix with ±1000",
    aspect="stays finite",
    warning_free=True,
    z=np.array([[1000.0, -0.5], [-1000.0, 2.0]]),
    y=np.array([[0.0, 1.0], [1.0, 0.0]]),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# PyTorch has this loss in two forms. `nn.BCELoss` wants probabilities, and `nn.BCEWithLogitsLoss`
# wants logits. The next cell gives both the same sure and wrong answers: the target is 0 each time.
# The right loss is about $z$. Which form loses it?

# %%
targets = torch.zeros(1, dtype=torch.float64)
for z in [2.0, 30.0, 40.0, 150.0]:
    logits = torch.tensor([z], dtype=torch.float64)
    from_p = nn.BCELoss()(torch.sigmoid(logits), targets)
    from_z = nn.BCEWithLogitsLoss()(logits, targets)
    print(f"z = {z:5}: from probabilities {from_p:9.4f}, from logits {from_z:9.4f}")

# %% [markdown]
# Near $z = 40$ the sigmoid is rounded to exactly 1. The logarithm of $1 - p$ would be minus infinity.
# PyTorch cuts it off at −100, so the first form stays finite, and it is wrong.

# %% [markdown]
# ## 6. The same network in PyTorch
#
# In PyTorch a network is a class derived from `nn.Module`. `__init__` makes the layers, `forward`
# runs them. A layer must be an attribute of the module, or stand in an `nn.ModuleList`; only then do
# `model.parameters()` and the optimizer know its weights.

# %% [markdown]
# ### Exercise: `TrackedMLP(layer_sizes)` *torch*
#
# **What it is for.** A network that shows its cache on request: a debugger for forward passes.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `layer_sizes` | list `[n_0, n_1, …, n_L]` | sizes of input, hidden layers and output |
# | `forward(x)` | (B, n_0) → (B, n_L) | the output only, a tensor |
# | `forward(x, return_intermediates=True)` | | the pair `output, cache` |
# | `cache` | dict of tensors | keys `"a0"`, `"z1"`, `"a1"`, … `"zL"`, `"aL"` |
#
# Hidden layers use ReLU. The output layer has **no** activation: its $a_L$ equals $z_L$, because
# the losses of section 5 want logits. Points: 1 for registered parameters, 1 for the output alone,
# 1 for the output beside the cache, 1 for the cache, 1 for gradients that reach every parameter.
#
# **5 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure why the check counts 0 parameters.</summary>
#
# A plain Python list hides its layers from PyTorch. Use `nn.ModuleList`.
#
# </details>
#
# <details><summary>I'm not sure what comes first in <code>__init__</code>.</summary>
#
# `super().__init__()`. Without it PyTorch cannot register anything.
#
# </details>
#
# <details><summary>I'm not sure how many layers there are.</summary>
#
# One for each pair of neighbors in `layer_sizes`.
#
# </details>


# %% nbgrader={"grade_id": "TrackedMLP", "solution": true}
class TrackedMLP(nn.Module):
    """A network with ReLU hidden layers and logits as output.

    Args of the constructor:
        layer_sizes: a list of the sizes of input, hidden layers and output
    """

    ### BEGIN SOLUTION
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a = x
        cache = {"a0": a}
        for i, layer in enumerate(self.layers, start=1):
            z = layer(a)
            a = z if i == len(self.layers) else torch.relu(z)
            cache[f"z{i}"] = z
            cache[f"a{i}"] = a
        return (a, cache) if return_intermediates else a

    ### END SOLUTION


# %% nbgrader={"grade_id": "TrackedMLP-check", "grade": true, "points": 5}
rng = np.random.default_rng(61)


def pytorch(layer_sizes, x, weights, biases, dy):
    a, cache = x, {"a0": x}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = cache[f"z{i}"] = F.linear(a, W, b)
        a = cache[f"a{i}"] = z if i == len(weights) else torch.relu(z)
    gradients = torch.autograd.grad((dy * a).sum(), [*weights, *biases])
    return sum(v.numel() for v in [*weights, *biases]), a, a, cache, list(gradients)


def as_arrays(value):
    if isinstance(value, dict):
        return {key: as_arrays(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(as_arrays(item) for item in value)
    return value.detach().numpy().copy() if isinstance(value, torch.Tensor) else value


def probe(TrackedMLP, layer_sizes, x, weights, biases, dy):
    """Give the model our weights, run it in both ways, and return arrays."""
    model = TrackedMLP(layer_sizes).double()
    count = sum(parameter.numel() for parameter in model.parameters())
    mine = []
    for value in [*weights, *biases]:
        fits = [p for p in model.parameters() if p.shape == value.shape]
        mine += [p for p in fits if not any(p is other for other in mine)][:1]
    if len(mine) < len(weights) + len(biases):
        return count, None, None, None, None
    with torch.no_grad():
        for parameter, value in zip(mine, [*weights, *biases], strict=True):
            parameter.copy_(torch.tensor(value))
    x = torch.tensor(x)
    plain, pair = model(x), model(x, return_intermediates=True)
    output, cache = pair if isinstance(pair, (tuple, list)) and len(pair) == 2 else (pair, {})
    for y in (plain, output):  # each gives half of the gradient
        if isinstance(y, torch.Tensor) and y.shape == dy.shape and y.requires_grad:
            (torch.tensor(dy) * y / 2).sum().backward()
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in mine]
    return count, *map(as_arrays, [plain, output, cache]), [as_arrays(g) for g in gradients]


def module_case(B, *sizes):
    pairs = list(zip(sizes, sizes[1:], strict=False))
    return {
        "layer_sizes": list(sizes),
        "x": rng.normal(size=(B, sizes[0])),
        "weights": [rng.normal(size=(n_out, n_in)) for n_in, n_out in pairs],
        "biases": [rng.normal(size=n_out) for _, n_out in pairs],
        "dy": rng.normal(size=(B, sizes[-1])),
    }


check = Check(
    "TrackedMLP",
    pytorch,
    returns={
        "parameter count": 1,
        "output": 1,
        "output with intermediates": 1,
        "cache": 1,
        "gradients": 1,
    },
    probe=probe,
)
check.case("3 → 5 → 2, 4 samples", **module_case(4, 3, 5, 2))
check.case("one layer", **module_case(3, 4, 2))
### BEGIN HIDDEN TESTS
check.hidden.case("three layers", **module_case(6, 7, 5, 3, 2))
check.hidden.case("four layers, one sample", **module_case(1, 2, 9, 6, 4, 3))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Training mode and prediction
#
# Every operation on a parameter makes PyTorch remember it, for the backward pass. A prediction needs
# no memory of this kind. Inside `with torch.no_grad():` PyTorch computes the same numbers and builds
# no graph.
#
# A helper that predicts is called in the middle of other people's programs. So it must leave
# everything as it found it: the gradient mode, the mode of the model (training or evaluation), the
# parameters.

# %% [markdown]
# ### Exercise: `predict(model, x)` *torch*
#
# **What it is for.** The same output without a graph, so without the memory for one.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `model` | | any `nn.Module` that takes `x` |
# | `x` | (B, n_0) | a tensor |
# | `output` | (B, n_L) | equal to `model(x)`, but `requires_grad` is False |
#
# One point each: the numbers, no graph, everything left as it was.
#
# **3 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to switch the graph off for a few lines only.</summary>
#
# `torch.no_grad()` is made for a `with` statement. At its end PyTorch returns to the mode from
# before.
#
# </details>
#
# <details><summary>I'm not sure whether I need <code>model.eval()</code>.</summary>
#
# It changes how dropout and batch normalization behave. It has nothing to do with the graph. And if
# you call it, the model stays in that mode until somebody changes it back.
#
# </details>


# %% nbgrader={"grade_id": "predict", "solution": true}
def predict(model, x):
    """The output of a model, without a graph.

    Args:
        model: a module that takes x
        x: a tensor of samples, shape (B, n_0)

    Returns:
        output: a tensor that does not require gradients, shape (B, n_L)
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        return model(x)
    ### END SOLUTION


# %% nbgrader={"grade_id": "predict-check", "grade": true, "points": 3}
rng = np.random.default_rng(62)
names = ["training mode", "gradient mode", "parameters ask for gradients", "parameters", ".grad"]


def make_model(n_in, training):
    torch.manual_seed(n_in)
    model = nn.Sequential(nn.Linear(n_in, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    return model.train(training)


def state_of(model, gradient_mode):
    asks = all(parameter.requires_grad for parameter in model.parameters())
    values = [parameter.detach().numpy().copy() for parameter in model.parameters()]
    grads = [None if p.grad is None else p.grad.numpy().copy() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    return dict(zip(names, [modes, gradient_mode, asks, values, grads], strict=True))


def pytorch(x, training, gradient_mode):
    model = make_model(x.shape[1], training)
    output = model(x)
    return output, False, state_of(model, gradient_mode)


def probe(predict, x, training, gradient_mode):
    """Call predict in the given modes, and look at everything afterward."""
    model = make_model(x.shape[1], training)
    torch.set_grad_enabled(gradient_mode)
    output = predict(model, torch.tensor(x))
    state = state_of(model, torch.is_grad_enabled())
    if not isinstance(output, torch.Tensor):
        return output, None, state
    return output.detach().numpy().copy(), output.requires_grad, state


check = Check(
    "predict",
    pytorch,
    returns={"output": 1, "requires_grad": 1, "state": 1},
    probe=probe,
)
check.case("a model in training mode", x=rng.normal(size=(5, 3)), training=True, gradient_mode=True)
### BEGIN HIDDEN TESTS
check.hidden.case(
    "a model in evaluation mode", x=rng.normal(size=(2, 6)), training=False, gradient_mode=True
)
check.hidden.case(
    "gradients switched off before", x=rng.normal(size=(4, 2)), training=True, gradient_mode=False
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 7. What it costs
#
# **Time.** A layer computes B · n_out dot products of length n_in. A dot product of length n takes n
# multiplications and about n additions. One multiply-add counts as **2 FLOPs** (floating-point
# operations). The bias and the activation cost a few operations for each output and not for each
# weight: one comparison for ReLU; an exponential, an addition and a division for the sigmoid, and
# about the same for each number of a softmax. The custom is to leave them out. PyTorch can count
# while a layer runs:

# %% nbgrader={"grade_id": "flop-counter", "locked": true}
with FlopCounterMode(display=False) as counter:
    nn.Linear(3, 2)(torch.zeros(5, 3))
print("5 samples through a layer 3 → 2:", counter.get_total_flops(), "FLOPs")

# %% [markdown]
# ### Exercise: `forward_flops(layer_sizes, batch_size)`
#
# **What it is for.** It says how long a forward pass must take at least, before anybody runs it.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `layer_sizes` | list `[n_0, n_1, …, n_L]` | sizes of input, hidden layers and output |
# | `batch_size` | an int | B |
# | `flops` | an int | 2 for each multiply-add in the matrix products |
#
# **2 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how many multiply-adds one layer has.</summary>
#
# Every sample meets every weight of the layer once. How many weights are there?
#
# </details>
#
# <details><summary>I'm not sure how to get the pairs of sizes.</summary>
#
# `zip(layer_sizes, layer_sizes[1:])` gives (n_0, n_1), (n_1, n_2), and so on.
#
# </details>


# %% nbgrader={"grade_id": "forward_flops", "solution": true}
def forward_flops(layer_sizes, batch_size):
    """Floating-point operations of the matrix products of one forward pass.

    Args:
        layer_sizes: a list of the sizes of input, hidden layers and output
        batch_size: the number of samples

    Returns:
        flops: an int, 2 for each multiply-add
    """
    ### BEGIN SOLUTION
    pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
    return 2 * batch_size * sum(n_in * n_out for n_in, n_out in pairs)
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward_flops-check", "grade": true, "points": 2}
def pytorch(layer_sizes, batch_size):
    pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
    model = nn.Sequential(*[nn.Linear(n_in, n_out) for n_in, n_out in pairs])
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(batch_size, layer_sizes[0]))
    return counter.get_total_flops()


check = Check("forward_flops", pytorch, returns={"flops": 2})
check.case("2 → 3 → 1, one sample", layer_sizes=[2, 3, 1], batch_size=1)
check.case("5 → 4 → 3 → 2, 7 samples", layer_sizes=[5, 4, 3, 2], batch_size=7)
### BEGIN HIDDEN TESTS
check.hidden.case("one layer", layer_sizes=[6, 5], batch_size=3)
check.hidden.case("five layers", layer_sizes=[3, 8, 2, 9, 4, 6], batch_size=2)
check.hidden.case("784 → 256 → 128 → 10", layer_sizes=[784, 256, 128, 10], batch_size=32)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The count is 2 · B · (number of weights): the forward pass is *linear* in the size of the network
# and in the batch.
#
# **Memory.** Training keeps the whole cache of `forward_pass_manual`: `a0`, and two arrays for each
# layer. Prediction needs one layer at a time; the widest one decides. The next exercise counts
# numbers, not bytes.

# %% [markdown]
# ### Exercise: `stored_activations(layer_sizes, batch_size, training)`
#
# **What it is for.** It says why training needs so much more memory than prediction.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `layer_sizes` | list `[n_0, n_1, …, n_L]` | sizes of input, hidden layers and output |
# | `batch_size` | an int | B |
# | `training` | True or False | |
# | `count` | an int | numbers that are kept at once |
#
# In training: everything in the cache. In prediction: the activations of the widest layer, the
# input included.
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what the cache holds.</summary>
#
# Print the shapes in a cache of `forward_pass_manual`. The input has one array. Every later layer has
# two.
#
# </details>
#
# <details><summary>I'm not sure whether the input counts in prediction.</summary>
#
# It does: the input is a layer of size n_0, and it can be the widest.
#
# </details>


# %% nbgrader={"grade_id": "stored_activations", "solution": true}
def stored_activations(layer_sizes, batch_size, training):
    """How many numbers a forward pass keeps.

    Args:
        layer_sizes: a list of the sizes of input, hidden layers and output
        batch_size: the number of samples
        training: True when the cache is kept for a backward pass

    Returns:
        count: an int, numbers that are kept at once
    """
    ### BEGIN SOLUTION
    if training:
        return batch_size * (layer_sizes[0] + 2 * sum(layer_sizes[1:]))
    return batch_size * max(layer_sizes)
    ### END SOLUTION


# %% nbgrader={"grade_id": "stored_activations-check", "grade": true, "points": 2}
def pytorch(layer_sizes, batch_size, training):
    a = torch.zeros(batch_size, layer_sizes[0])
    cache, widest = [a], a.numel()
    for n_in, n_out in zip(layer_sizes, layer_sizes[1:], strict=False):
        z = nn.Linear(n_in, n_out)(a)
        a = torch.relu(z)
        cache += [z, a]
        widest = max(widest, a.numel())
    return sum(value.numel() for value in cache) if training else widest


check = Check("stored_activations", pytorch, returns={"count": 2})
check.case("2 → 3 → 1, training", layer_sizes=[2, 3, 1], batch_size=5, training=True)
check.case("2 → 3 → 1, prediction", layer_sizes=[2, 3, 1], batch_size=5, training=False)
### BEGIN HIDDEN TESTS
check.hidden.case("one layer, training", layer_sizes=[4, 6], batch_size=3, training=True)
check.hidden.case("the input is widest", layer_sizes=[9, 4, 5, 2], batch_size=2, training=False)
check.hidden.case("the output is widest", layer_sizes=[3, 4, 8], batch_size=7, training=False)
check.hidden.case("five layers", layer_sizes=[3, 8, 2, 9, 4, 6], batch_size=1, training=True)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell draws both counts for networks of growing depth, 64 neurons in each layer, 32
# samples. Look at what depth does to each curve.

# %%
depths = list(range(1, 21))
if written(stored_activations, [64, 64], 32, True) and written(
    stored_activations, [64, 64], 32, False
):
    fig, ax = plt.subplots()
    for training, label, style, color in [
        (True, "training", "o-", pictures.VERMILION),
        (False, "prediction", "s--", pictures.BLUE),
    ]:
        counts = [stored_activations([64] * (depth + 1), 32, training) for depth in depths]
        ax.plot(depths, counts, style, color=color, label=label, ms=4)
    ax.set(xlabel="layers", ylabel="stored numbers", title="What depth costs in memory")
    ax.set_xticks([1, 5, 10, 15, 20])
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: stored numbers against depth. The curve for training rises in a straight line, the curve
# for prediction stays level. Computed by your function.*
#
# There is a middle way, *gradient checkpointing*: keep a few layers, and compute the others again
# when the backward pass needs them. Notebook 03 builds it.

# %% [markdown]
# ## 8. A look inside: vanish or explode
#
# Random weights have a scale. It decides what happens to a signal on its way through many layers. To
# see it, measure each layer: the mean and the standard deviation of all numbers in $a_l$.

# %% [markdown]
# ### Exercise: `activation_statistics(X, weights, biases)`
#
# **What it is for.** The first thing to look at when a deep network does not learn.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `X` | (B, n_0) | samples, one a row |
# | `weights`, `biases` | lists | of the network of `forward_pass_manual` |
# | `statistics` | list of L pairs | `(mean, std)` of $a_1, \dots, a_L$ |
#
# The standard deviation is that of the population, the square root of the mean squared deviation.
#
# **3 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where to get the activations.</summary>
#
# `forward_pass_manual` returns them all in its cache.
#
# </details>
#
# <details><summary>I'm not sure over what to take the mean.</summary>
#
# Over all samples and all neurons of the layer: one number for each layer.
#
# </details>


# %% nbgrader={"grade_id": "activation_statistics", "solution": true}
def activation_statistics(X, weights, biases):
    """Mean and population standard deviation of every activation.

    Args:
        X: samples, one a row, shape (B, n_0)
        weights: a list of the weights of the network of forward_pass_manual
        biases: a list of its biases

    Returns:
        statistics: a list of L pairs (mean, std), for a1 up to aL
    """
    ### BEGIN SOLUTION
    _, cache = forward_pass_manual(X, weights, biases)
    activations = [cache[f"a{i}"] for i in range(1, len(weights) + 1)]
    return [(np.mean(a), np.std(a)) for a in activations]
    ### END SOLUTION


# %% nbgrader={"grade_id": "activation_statistics-check", "grade": true, "points": 3}
rng = np.random.default_rng(81)


def pytorch(X, weights, biases):
    a, statistics = X, []
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = F.linear(a, W, b)
        a = torch.sigmoid(z) if i == len(weights) else torch.relu(z)
        statistics.append((a.mean(), a.std(correction=0)))
    return statistics


def statistics_case(B, *sizes):
    pairs = list(zip(sizes, sizes[1:], strict=False))
    return {
        "X": rng.normal(size=(B, sizes[0])),
        "weights": [rng.normal(size=(n_out, n_in)) for n_in, n_out in pairs],
        "biases": [rng.normal(size=n_out) for _, n_out in pairs],
    }


check = Check("activation_statistics", pytorch, returns={"statistics": 3})
check.case("2 → 3 → 1, 5 samples", **statistics_case(5, 2, 3, 1))
check.case("4 → 4 → 4, 4 samples", **statistics_case(4, 4, 4, 4))
### BEGIN HIDDEN TESTS
check.hidden.case("one layer", **statistics_case(6, 3, 2))
check.hidden.case("four layers", **statistics_case(3, 5, 4, 6, 2, 3))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The experiment.** Eight layers of 100 neurons and one output, biases zero, 200 random samples.
# The weights are normal random numbers with mean 0. Their standard deviation is $c \cdot
# \sqrt{2 / n_{in}}$, with three choices of $c$:
#
# - $c = 0.2$: too small
# - $c = 1$: the choice of He and others (2015) for ReLU networks
# - $c = 3$: too large
#
# The next cell draws histograms of $a_1$, $a_4$, $a_8$ and the output for each choice, from your
# functions. Look at the scale under each panel, not only at its shape.


# %% nbgrader={"grade_id": "experiment", "locked": true}
def experiment(c, seed=82):
    rng = np.random.default_rng(seed)
    sizes = [100] * 9 + [1]
    pairs = list(zip(sizes, sizes[1:], strict=False))
    weights = [rng.normal(size=(m, n)) * c * np.sqrt(2 / n) for n, m in pairs]
    return rng.normal(size=(200, 100)), weights, [np.zeros(m) for _, m in pairs]


choices = [("too small", 0.2), ("He", 1.0), ("too large", 3.0)]
layers_shown = [1, 4, 8, 9]
if written(
    forward_pass_manual, *experiment(1.0), values=2, cache_keys=[f"a{i}" for i in layers_shown]
) and written(activation_statistics, *experiment(1.0), shapes=[(2,)] * 9):
    fig, axes = plt.subplots(3, 4, figsize=(8, 5.4))
    for row, (name, c) in zip(axes, choices, strict=True):
        inputs = experiment(c)
        _, cache = forward_pass_manual(*inputs)
        statistics = activation_statistics(*inputs)
        for ax, layer in zip(row, layers_shown, strict=True):
            mean, std = statistics[layer - 1]
            ax.hist(cache[f"a{layer}"].ravel(), bins=30, color=pictures.BLUE)
            label = "output" if layer == 9 else f"$a_{layer}$"
            ax.set_title(f"{label}, std {std:.2g}", fontsize=9)
            ax.set_yticks([])
            ax.tick_params(labelsize=7)
        row[0].set_ylabel(name)
    fig.suptitle("The scale of the weights decides whether a signal survives", fontsize=11)
    plt.show()

# %% [markdown]
# *Picture: a grid of histograms. One row for each scale of the weights, one column for the layers 1,
# 4, 8 and the output. The title of each panel gives its standard deviation. Drawn from your
# `forward_pass_manual` and `activation_statistics`.*

# %% [markdown]
# ### Exercise: `small_hidden, he_hidden, large_hidden, large_output`
#
# **What it is for.** Naming what you see is the first half of a repair.
#
# Compare the standard deviations of $a_1$ and $a_8$ in a row of the picture. Type one word for each:
#
# - `"vanish"`: $a_8$ is less than a tenth of $a_1$
# - `"keep"`: neither of the two
# - `"explode"`: $a_8$ is more than ten times $a_1$
# - `"saturate"`: for an output; nearly all of its values are closer than 0.01 to 0 or to 1
#
# | symbol | meaning |
# |---|---|
# | `small_hidden` | what the hidden layers do with weights too small |
# | `he_hidden` | what they do with He's weights |
# | `large_hidden` | what they do with weights too large |
# | `large_output` | what the sigmoid output does with weights too large |
#
# **4 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure which numbers to compare.</summary>
#
# The titles of the panels give them. Divide that of $a_8$ by that of $a_1$.
#
# </details>
#
# <details><summary>I'm not sure how an output can saturate when hidden layers do something else.</summary>
#
# A sigmoid cannot leave the interval from 0 to 1. What does it give for very large numbers?
#
# </details>

# %% nbgrader={"grade_id": "small_hidden", "solution": true}
# small_hidden: a word       he_hidden: a word
# large_hidden: a word       large_output: a word
### BEGIN SOLUTION
small_hidden = "vanish"
he_hidden = "keep"
large_hidden = "explode"
large_output = "saturate"
### END SOLUTION


# %% nbgrader={"grade_id": "small_hidden-check", "grade": true, "points": 4}
def words_for(c):
    X, weights, _ = experiment(c)
    a, stds = torch.tensor(X), []
    for W in weights[:-1]:
        a = torch.relu(a @ torch.tensor(W).T)
        stds.append(float(a.std()))
    ratio = stds[-1] / stds[0]
    hidden = "vanish" if ratio < 0.1 else "explode" if ratio > 10 else "keep"
    y = torch.sigmoid(a @ torch.tensor(weights[-1]).T)
    saturated = ((y < 0.01) | (y > 0.99)).double().mean() > 0.9
    return hidden, "saturate" if saturated else "keep"


def pytorch():
    small, he, large = words_for(0.2), words_for(1.0), words_for(3.0)
    return small[0], he[0], large[0], large[1]


check = Check(
    "small_hidden",
    pytorch,
    returns={"small_hidden": 1, "he_hidden": 1, "large_hidden": 1, "large_output": 1},
    typed=True,
)
check.case("the three rows of the picture")
check.grade()

# %% [markdown]
# With He's scale, a ReLU layer hands on about as much as it gets: ReLU removes half of the mean
# square of its input, and the factor 2 in the variance $2 / n_{in}$ gives it back. A saturated output
# is a problem of its own: the sigmoid is flat there, so notebook 02 will find a slope of almost 0.

# %% [markdown]
# ## Summary
#
# - A layer is an affine map and an activation: $z = W x + b$, $a = \varphi(z)$. For a batch,
#   $Z = X W^\top + b$, one product for all samples.
# - Softmax, sigmoid and their losses are computed from shifted exponents, so that nothing overflows.
#   Losses take logits, not probabilities.
# - The forward pass of L layers leaves a cache, `a0`, `z1`, `a1`, …. Training keeps it, prediction
#   does not.
# - A forward pass takes 2 FLOPs for each weight and sample.
# - The scale of the weights decides whether a signal vanishes, survives or explodes.
#
# **Next.** In notebook [02](../02-manual-backprop/02-manual-backprop.ipynb) you walk the same lines
# backward, and the cache shows what it is for.
