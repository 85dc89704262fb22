# %% [markdown]
# # 06 · The training loop
#
# **50 points · about 101 minutes**
#
# You have gradients. In this notebook they train a network that reads handwritten digits. You write
# everything that stands between a gradient and a trained network: the first weights, the batches,
# the loss of a whole batch, the update, and the loop around them. At the end the network has seen
# 1,437 scans and reads 360 others, and at least 95 of 100 answers are right.
#
# Then you write two better updates, momentum and Adam, and find out by experiment whether two
# things that are often called by one name are the same.
#
# **Builds on.** Notebook [01](../01-forward-pass/01-forward-pass.ipynb): ReLU and log-softmax.
# Notebook [03](../03-two-layer-ffn/03-two-layer-ffn.ipynb): layers backward, at any depth. Notebook
# [05](../05-regularized-mlp-derivation/05-regularized-mlp-derivation.ipynb): the L2 penalty, and
# the gradient at the output. The functions of notebooks 01 and 02 come ready in the setup cell.
#
# **Leaves out.** Learning rates that change during training, dropout, early stopping, images larger
# than 8 × 8, and a program that derives by itself (notebook 07).

# %% [markdown]
# ## What you will build
#
# Training is a circle. A batch of samples goes in, the forward pass computes a loss, the backward
# pass computes gradients, the update changes the parameters, and the next batch comes. Once around
# is a *step*. Once through all samples is an *epoch*.

# %% nbgrader={"grade_id": "setup", "locked": true}
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import pictures
from autograder.checks import Check, Twin, optimizer_steps, pairs_in, two_values
from autograder.pictures import progress, written
from autograder.provided.forward_pass import log_softmax, relu
from autograder.provided.manual_backprop import numerical_gradient, relu_grad

pictures.use_print_style()
F = torch.nn.functional

# %% nbgrader={"grade_id": "picture-of-the-loop", "locked": true}
fig, ax = plt.subplots(figsize=(8, 3.1))
places = {
    "batch\nminibatches": (0, 1.6),
    "forward\nthe loss $J$": (3, 2.6),
    "backward\n$dW$, $db$": (6, 1.6),
    "update\nnew $W$, $b$": (3, 0.6),
}
for name, center in places.items():
    pictures.box(ax, center, name)
pictures.arrow(ax, (0.85, 1.9), (2.2, 2.4), "", pictures.BLUE)
pictures.arrow(ax, (3.85, 2.4), (5.3, 1.9), "", pictures.VERMILION, dashed=True)
pictures.arrow(ax, (5.3, 1.3), (3.85, 0.8), "", pictures.VERMILION, dashed=True)
pictures.arrow(ax, (2.15, 0.8), (0.85, 1.3), "", pictures.BLUE)
pictures.arrow(ax, (-1.9, 2.7), (-0.6, 2.0), "", pictures.GREEN)
pictures.box(ax, (-2.2, 2.9), "1,437 scans", color=pictures.GREEN)
pictures.arrow(ax, (3, 1.0), (3, 2.15), "", pictures.BLUE)
ax.text(3.1, 1.55, "the same\nparameters", va="center", fontsize=9, color=pictures.BLUE)
ax.set(xlim=(-3.3, 7.2), ylim=(0, 3.3), title="One step of training; all batches once are an epoch")
ax.axis("off")
plt.show()

# %% [markdown]
# *Picture: four boxes in a circle. From "batch" an arrow leads to "forward", from there a dashed one
# to "backward", from there to "update", and on to the next batch. From "update" a second arrow leads
# up to "forward", since the new parameters are used there. A box with 1,437 scans feeds the batches.
# Drawn by the cell above; it uses none of your functions.*
#
# ### Conventions
#
# - `params` is a list with one pair `(W, b)` for each layer, the first layer first. `W` has shape
#   (n_out, n_in), `b` has shape (n_out,). `grads` is a list of pairs `(dW, db)` of the same shapes.
# - A batch is rows: `X` has shape (B, n_in), and `y` has shape (B,) and holds the right class of each
#   sample as a whole number from 0.
# - `rng` is a `numpy.random.Generator`, made by `np.random.default_rng(seed)`. Whatever is random
#   takes its random numbers from it, so a seed repeats a training to the last digit.
# - Numbers are float64. A function leaves its inputs as they are and returns new arrays.
# - You write NumPy. PyTorch appears in the checks and in one cell that draws its loss curve.
# - Replace `raise NotImplementedError`, run the cell, then the check below it. Some cases of a check
#   are hidden.

# %% [markdown]
# ## 1. The data
#
# The scans are those that ship with scikit-learn: 1,797 digits, written by 13 people, each reduced to
# 8 × 8 numbers between 0 and 16. They lie beside this notebook in `digits.npz`; `digits.md` says
# where they come from.
#
# The cell below divides by 16, mixes the scans once, and puts 360 aside. These 360 are the **test
# set**. No training step may see them: they stand for the digits of tomorrow.

# %% nbgrader={"grade_id": "data", "locked": true}
with np.load("digits.npz") as stored:
    X_all, y_all = stored["images"] / 16.0, stored["labels"].astype(np.int64)
mixed = np.random.default_rng(6).permutation(len(y_all))
X_train, y_train = X_all[mixed[360:]], y_all[mixed[360:]]
X_test, y_test = X_all[mixed[:360]], y_all[mixed[:360]]
print("training:", X_train.shape, y_train.shape, "  test:", X_test.shape, y_test.shape)

# %% [markdown]
# What does the network get to see? Each scan is 64 numbers in a row. Folded into 8 rows of 8, they
# look like this:

# %% nbgrader={"grade_id": "picture-of-the-digits", "locked": true}
fig, axes = plt.subplots(2, 10, figsize=(8, 2))
for digit in range(10):
    for row in range(2):
        scan = X_train[y_train == digit][row]
        axes[row, digit].imshow(scan.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes[row, digit].axis("off")
    axes[0, digit].set_title(digit)
plt.show()

# %% [markdown]
# *Picture: two scans of each digit from 0 to 9, dark strokes on white, so coarse that each is a
# pattern of 8 by 8 gray squares. Drawn from the training set.*

# %% [markdown]
# ## 2. The first weights
#
# Training starts somewhere. All weights zero does not work: then all neurons of a layer compute the
# same, get the same gradient, and stay the same for ever. So the first weights are random, with
# mean 0.
#
# How large? A neuron adds up n_in products. With weights of variance $v$ the sum has a variance of
# about $n_\text{in} \cdot v$ times the mean square of its inputs. ReLU then sets half of the sums to
# zero, and that halves the mean square. To keep the signal at its size from layer to layer:
#
# $$ n_\text{in} \cdot v \cdot \tfrac12 = 1 \quad\Longrightarrow\quad v = \frac{2}{n_\text{in}} $$
#
# This is *He initialization* (He, Zhang, Ren and Sun, *Delving Deep into Rectifiers*, 2015). Biases
# start at zero.

# %% [markdown]
# ### Exercise: `init_params(layer_sizes, rng)`
#
# **What it is for.** The place where training starts.
#
# | symbol | form | meaning |
# |---|---|---|
# | `layer_sizes` | list of ints | [64, 32, 10]: 64 inputs, 32 hidden neurons, 10 outputs |
# | `rng` | Generator | source of every random number |
# | `params` | list of pairs | one `(W, b)` for each layer |
# | `W` | (n_out, n_in) | random, mean 0, variance 2/n_in |
# | `b` | (n_out,) | zeros |
#
# Any distribution with this mean and variance will do. The check measures both on large layers.
#
# Points: 1 for the shapes, 1 for the biases, 1 for the mean, 2 for the variance, 1 for the use of
# `rng`.
#
# **6 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how many layers there are.</summary>
#
# Three sizes make two layers: 64 → 32 and 32 → 10. Walk over neighboring sizes;
# `zip(layer_sizes, layer_sizes[1:])` gives the pairs.
#
# </details>
#
# <details><summary>I'm not sure what to hand to <code>rng.normal</code>.</summary>
#
# Its second argument is a *standard deviation*, in the units of the weights. The formula gives a
# variance, in squared units. What leads from one to the other?
#
# </details>
#
# <details><summary>I'm not sure which size is n_in.</summary>
#
# The one on the left of the arrow. It is also the number of columns of W.
#
# </details>


# %% nbgrader={"grade_id": "init_params", "solution": true}
def init_params(layer_sizes, rng):
    """The first parameters of a network with ReLU: He initialization.

    Args:
        layer_sizes: numbers of neurons, inputs first, a list of ints
        rng: a numpy.random.Generator, source of every random number

    Returns:
        params: a list of (W, b); W has shape (n_out, n_in), b is zeros of shape (n_out,)
    """
    ### BEGIN SOLUTION
    params = []
    for n_in, n_out in zip(layer_sizes, layer_sizes[1:]):
        W = rng.normal(0.0, np.sqrt(2 / n_in), size=(n_out, n_in))
        b = np.zeros(n_out)
        params.append((W, b))
    return params
    ### END SOLUTION


# %% nbgrader={"grade_id": "init_params-check", "grade": true, "points": 6}
def pytorch(layer_sizes, seed):
    layers = [torch.nn.Linear(*pair) for pair in zip(layer_sizes, layer_sizes[1:])]
    gain = torch.nn.init.calculate_gain("relu")  # the standard deviation is gain / sqrt(n_in)
    shapes = [f"W {tuple(layer.weight.shape)}, b {tuple(layer.bias.shape)}" for layer in layers]
    nothing, variance = torch.zeros(len(layers)).double(), torch.full([len(layers)], gain**2)
    return shapes, nothing, nothing, variance.double(), "those of rng"


# Mean and variance of many random numbers are near their true values; the layers have 20,000
# weights or more. The mean is in units of their own deviation, the variance in units of 1 / n_in.
def probe(init_params, layer_sizes, seed):
    def params_case(seed):
        returned = init_params(layer_sizes, np.random.default_rng(seed))
        return pairs_in(returned, "W, b", (2, None), listed=True)

    params, again, other = params_case(seed), params_case(seed), params_case(seed + 1)
    weights = [W for W, _ in params]
    shapes = [f"W {np.shape(W)}, b {np.shape(b)}" for W, b in params]
    largest_bias = np.array([np.abs(b).max() for _, b in params])
    mean = np.array([float(W.mean()) / max(float(W.std()), 1e-9) for W in weights])
    variance = np.array([W.var() * W.shape[1] for W in weights])
    numbers = "those of rng"
    if any(len(np.unique(W, axis=0)) < len(W) for W in weights):
        numbers = "equal in several neurons"
    elif any(len(np.unique(W, axis=1).T) < len(W.T) for W in weights):
        numbers = "equal for several inputs"
    elif not all(np.array_equal(W, V) for W, (V, _) in zip(weights, again)):
        numbers = "different ones for the same seed"
    elif any(np.array_equal(W, V) for W, (V, _) in zip(weights, other)):
        numbers = "the same ones for another seed"
    return shapes, largest_bias, np.round(mean, 1) + 0.0, np.round(variance, 1), numbers


check = Check(
    "init_params",
    pytorch,
    returns={"shapes": 1, "largest_bias": 1, "mean": 1, "variance_times_n_in": 2, "numbers": 1},
    tolerance={"mean": 0.15, "variance_times_n_in": 0.15},
    probe=probe,
)
check.case("400 → 100 → 250 → 120", layer_sizes=[400, 100, 250, 120], seed=61)
check.case("as many outputs as inputs", layer_sizes=[200, 200, 200], seed=62)
### BEGIN HIDDEN TESTS
check.hidden.case("one layer, few inputs", layer_sizes=[50, 600], seed=63)
check.hidden.case("few outputs", layer_sizes=[900, 30], seed=64)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Does the signal keep its size? The next cell sends random numbers through 30 layers of 256 neurons,
# with your weights, and with your weights made 20 % smaller and 20 % larger.

# %%
wide = [256] * 31
if written(init_params, wide, np.random.default_rng(0), layers=wide):
    fig, ax = plt.subplots()
    for factor, color, style in [
        (1.2, pictures.VERMILION, "s--"),
        (1.0, pictures.BLUE, "o-"),
        (0.8, pictures.GREEN, "^-."),
    ]:
        rng = np.random.default_rng(65)
        a = rng.normal(size=(50, 256))
        sizes = [np.sqrt(np.mean(a**2))]
        for W, b in init_params(wide, rng):
            a = relu(a @ (factor * W).T + b)
            sizes.append(np.sqrt(np.mean(a**2)))
        ax.semilogy(sizes, style, color=color, ms=4, label=f"{factor:.1f} × your weights")
    ax.set(xlabel="layer", ylabel="root mean square", title="The size of a signal, layer by layer")
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: the size of the signal over 30 layers, on a logarithmic axis. With He initialization it
# stays near its first value. With 20 % more it grows more than a hundredfold, with 20 % less it
# shrinks still faster. Drawn from your `init_params`.*

# %% [markdown]
# ## 3. From scans to scores
#
# The network is the one you know: affine maps with ReLU between them. After the last layer there is
# no ReLU. Its 10 numbers are the *logits* of a scan, one score for each class. The largest score is
# the answer.

# %% [markdown]
# ### Exercise: `network_logits(params, X)`
#
# **What it is for.** The network's answer to a batch. The cells below use it to count right answers.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `params` | list of (W, b) | the layers |
# | `X` | (B, n_in) | a batch |
# | `logits` | (B, K) | K scores for each sample |
#
# **2 points · 5 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to treat the last layer differently.</summary>
#
# `params[:-1]` is all layers but the last, and `params[-1]` is the last.
#
# </details>
#
# <details><summary>I'm not sure where the transpose goes.</summary>
#
# A row of `X` has n_in numbers, and so has a row of `W`. Every row of the one meets every row of the
# other: `X @ W.T`.
#
# </details>


# %% nbgrader={"grade_id": "network_logits", "solution": true}
def network_logits(params, X):
    """The scores of a network with ReLU between its layers.

    Args:
        params: the layers, a list of (W, b)
        X: a batch, shape (B, n_in)

    Returns:
        logits: the output of the last layer, shape (B, K)
    """
    ### BEGIN SOLUTION
    a = X
    for W, b in params[:-1]:
        a = relu(a @ W.T + b)
    W, b = params[-1]
    return a @ W.T + b
    ### END SOLUTION


# %% nbgrader={"grade_id": "network_logits-check", "grade": true, "points": 2}
rng = np.random.default_rng(66)
normal = rng.normal


def pytorch(params, X):
    a = X
    for W, b in params[:-1]:
        a = torch.relu(F.linear(a, W, b))
    return F.linear(a, *params[-1])


def layers_case(*sizes):
    return [(normal(size=(m, n)), normal(size=m)) for n, m in zip(sizes, sizes[1:])]


check = Check("network_logits", pytorch, returns={"logits": 2})
check.case("5 → 4 → 3, two samples", params=layers_case(5, 4, 3), X=normal(size=(2, 5)))
check.case("3 → 3 → 3 → 3, three samples", params=layers_case(3, 3, 3, 3), X=normal(size=(3, 3)))
### BEGIN HIDDEN TESTS
check.hidden.case("one layer", params=layers_case(4, 6), X=normal(size=(3, 4)))
check.hidden.case("four layers", params=layers_case(2, 7, 6, 5, 4), X=normal(size=(8, 2)))
check.hidden.case("one sample", params=layers_case(6, 2, 5), X=normal(size=(1, 6)))
### END HIDDEN TESTS
check.grade()


# %% nbgrader={"grade_id": "accuracy", "locked": true}
def accuracy(params, X, y):
    """The share of right answers, from 0 to 1: with your ``network_logits``."""
    return float(np.mean(np.argmax(network_logits(params, X), axis=1) == y))


# %% [markdown]
# How good is a network that has learned nothing? With ten classes, guessing is right one time in ten.

# %%
if written(init_params, [64, 32, 10], np.random.default_rng(0), layers=[64, 32, 10]):
    untrained = init_params([64, 32, 10], np.random.default_rng(67))
    if written(network_logits, untrained, X_test, shape=(360, 10)):
        print(
            f"before training: {accuracy(untrained, X_test, y_test):.1%} of the test set are right"
        )

# %% [markdown]
# ## 4. The loss of a batch, and every gradient
#
# Now the center of the notebook. The objective of a batch is the mean cross-entropy plus the L2
# penalty of notebook 05. The logits $Z$ have shape (B, K): a row for each of B samples, a column for
# each of K classes. So has $\ell = \text{log-softmax}(Z)$, taken row by row. Of row $i$ the objective
# reads one entry, that of the right class $y_i$:
#
# $$ J = -\frac1B \sum_{i=1}^{B} \ell_{i,\, y_i} \;+\; \frac{\lambda}{2} \sum_{\text{layers}} \lVert W \rVert^2 $$
#
# The penalty has the weights only. A bias moves all samples alike and does not make a network wild.
#
# **Backward.** At the logits stands what notebook 05 found for one sample: probabilities, minus one
# at the right class. The mean adds a factor:
#
# $$ dZ_{ik} = \frac{1}{B} \left( p_{ik} - [\,k = y_i\,] \right) \qquad p = e^{\ell} $$
#
# The bracket is 1 where class $k$ is the right one of sample $i$, and 0 elsewhere.
#
# From there on it is notebook 03. For each layer from the last to the first, with $A$, shape
# (B, n_in), what went into the layer and $dZ$, shape (B, n_out), what came back to its sum:
#
# $$ dW = dZ^\top A + \lambda W \qquad db = \sum_{i} dZ_{i} \qquad dA = dZ\, W $$
#
# $dA$ passes through the ReLU below, and is then the $dZ$ of the layer below.

# %% [markdown]
# ### Exercise: `loss_and_gradients(params, X, y, lam)`
#
# **What it is for.** One forward and one backward pass: all that a training step needs to know.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `params` | list of (W, b) | the layers, ReLU between them |
# | `X` | (B, n_in) | a batch |
# | `y` | (B,) | the right class of each sample, whole numbers |
# | `lam` | () | $\lambda$, how much weights cost |
# | `J` | () | mean cross-entropy plus penalty |
# | `grads` | list of (dW, db) | one pair for each layer, in the order of `params` |
#
# The setup cell imports `log_softmax`, which works row by row, `relu`, and `relu_grad`: `relu_grad(Z)`
# has the shape of `Z`, and is 1 where $Z > 0$ and 0 elsewhere. Points: 3 for `J`, 5 for `grads`, 1 if
# everything stays finite for large logits.
#
# **9 points · 22 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure what the forward pass should keep.</summary>
#
# For each layer its input $A$, for $dW$, and its sum $Z$, for the slope of ReLU. Two lists will do:
# append in the forward pass, read from the end in the backward pass.
#
# </details>
#
# <details><summary>I'm not sure how to pick the right class of every row.</summary>
#
# `logits[np.arange(B), y]` takes from row 0 the entry y[0], from row 1 the entry y[1], and so on. The
# same pair of indices also works on the left side of `-=`.
#
# </details>
#
# <details><summary>I'm not sure where the mean shows up in the gradients.</summary>
#
# Once, in $dZ$ at the logits. All later lines are sums over the batch, and the factor is in them
# already. The penalty is not a mean over samples, so it has no such factor.
#
# </details>
#
# <details><summary>I'm not sure how the loop over the layers goes backward.</summary>
#
# Start with $dZ$ at the logits. For layer $l = L-1, \dots, 0$: compute $dW$ and $db$. If there is a
# layer below, compute $dA$ and multiply it by the slope of ReLU at the sum $Z$ of the layer below.
# Collect the pairs, and turn the list around at the end.
#
# </details>
#
# <details><summary>I'm not sure why my loss is infinite.</summary>
#
# The probability of a class can be 0 in float64, and its logarithm is then minus infinity. Take
# $\ell$ from `log_softmax` and not from the logarithm of a softmax.
#
# </details>


# %% nbgrader={"grade_id": "loss_and_gradients", "solution": true}
def loss_and_gradients(params, X, y, lam):
    """Mean cross-entropy plus L2 penalty of a batch, and its gradient for every parameter.

    Args:
        params: the layers, a list of (W, b), ReLU between them
        X: a batch, shape (B, n_in)
        y: the right classes, whole numbers, shape (B,)
        lam: how much weights cost, a number, shape ()

    Returns:
        J: the objective, shape ()
        grads: a list of (dW, db) in the order of params
    """
    ### BEGIN SOLUTION
    a = X
    inputs, sums = [], []
    for W, b in params:
        z = a @ W.T + b
        inputs.append(a)
        sums.append(z)
        a = relu(z)

    rows = np.arange(len(y))
    log_p = log_softmax(sums[-1])
    penalty = lam / 2 * sum(np.sum(W**2) for W, _ in params)
    J = -np.mean(log_p[rows, y]) + penalty

    dz = np.exp(log_p)
    dz[rows, y] -= 1
    dz /= len(y)
    grads = []
    for layer in reversed(range(len(params))):
        W, _ = params[layer]
        grads.append((dz.T @ inputs[layer] + lam * W, dz.sum(axis=0)))
        if layer > 0:
            dz = (dz @ W) * relu_grad(sums[layer - 1])
    return J, grads[::-1]
    ### END SOLUTION


# %% nbgrader={"grade_id": "loss_and_gradients-check", "grade": true, "points": 9}
rng = np.random.default_rng(68)
normal = rng.normal


def pytorch(params, X, y, lam):
    a = X
    for W, b in params[:-1]:
        a = torch.relu(F.linear(a, W, b))
    logits = F.linear(a, *params[-1])
    J = F.cross_entropy(logits, y) + lam / 2 * sum(W.square().sum() for W, _ in params)
    flat = torch.autograd.grad(J, [tensor for pair in params for tensor in pair])
    return J, list(zip(flat[::2], flat[1::2]))


def batch_case(B, *sizes, lam, scale=1.0):
    return {
        "params": [(normal(size=(m, n)), normal(size=m)) for n, m in zip(sizes, sizes[1:])],
        "X": scale * normal(size=(B, sizes[0])),
        "y": rng.integers(sizes[-1], size=B),
        "lam": lam,
    }


check = Check(
    "loss_and_gradients",
    pytorch,
    returns={"J": 3, "grads": 5},
    aspects={"stays finite": 1},
    last_first=["grads"],
)
check.case("4 samples, 5 → 6 → 3, λ = 0.3", **batch_case(4, 5, 6, 3, lam=0.3))
check.case("3 samples, 3 → 3 → 3 → 3, λ = 0.7", **batch_case(3, 3, 3, 3, 3, lam=0.7))
check.case(
    "logits of a few thousand",
    aspect="stays finite",
    warning_free=True,
    **batch_case(4, 5, 6, 3, lam=0.3, scale=800.0),
)
### BEGIN HIDDEN TESTS
check.hidden.case("one layer, λ = 0.2", **batch_case(5, 4, 6, lam=0.2))
check.hidden.case("four layers, λ = 0.05", **batch_case(7, 3, 8, 5, 6, 4, lam=0.05))
check.hidden.case("one sample, λ = 1.5", **batch_case(1, 4, 5, 3, lam=1.5))
check.hidden.case("no penalty", **batch_case(6, 2, 7, 5, lam=0.0))
check.hidden.case("two classes, 9 samples, λ = 0.4", **batch_case(9, 3, 4, 2, lam=0.4))
check.hidden.case(
    "larger logits still",
    aspect="stays finite",
    warning_free=True,
    **batch_case(3, 2, 4, 5, lam=0.1, scale=5e4),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# A check without PyTorch: the central differences of notebook 02. The cell below compares them with
# your gradient of the first weight matrix, on five real scans. Then it prints the loss of the
# untrained network. Ten classes, no idea: each gets about a tenth, and $-\ln \tfrac1{10} = 2.30$.

# %%
sizes = [64, 8, 10]
if written(init_params, sizes, np.random.default_rng(0), layers=sizes):
    small = init_params(sizes, np.random.default_rng(69))
    if written(loss_and_gradients, small, X_train[:5], y_train[:5], 0.1, values=2, layers=sizes):

        def loss_of_first(W):
            return loss_and_gradients([(W, small[0][1]), small[1]], X_train[:5], y_train[:5], 0.1)[
                0
            ]

        by_differences = numerical_gradient(loss_of_first, small[0][0])
        dW_first = loss_and_gradients(small, X_train[:5], y_train[:5], 0.1)[1][0][0]
        print(f"largest difference: {np.abs(by_differences - dW_first).max():.1e}")
        print(f"loss before training: {loss_and_gradients(small, X_train, y_train, 0.0)[0]:.2f}")

# %% [markdown]
# ## 5. Batches
#
# A gradient over all 1,437 scans costs 45 times as much as one over 32, and it is not 45 times as
# good: a random batch of 32 points nearly the same way. So training takes many cheap steps.
#
# The batches must be random. If the samples came sorted, a batch would have one digit only, and each
# step would undo the one before. And they must change from epoch to epoch, so that no sample is
# always averaged with the same others.

# %% [markdown]
# ### Exercise: `minibatches(X, y, batch_size, rng)`
#
# **What it is for.** One epoch: every sample once, in random order, in pieces.
#
# | symbol | form | meaning |
# |---|---|---|
# | `X`, `y` | (N, n_in), (N,) | all samples and their classes |
# | `batch_size` | int | samples in a batch |
# | `rng` | Generator | source of the order |
# | result | iterator of pairs | `(X_batch, y_batch)`, or a list of these |
#
# Every batch has `batch_size` samples. Only the last may have fewer: it gets what is left. Row $i$ of
# `X_batch` and entry $i$ of `y_batch` belong to the same sample. Called twice with one `rng`, it
# gives two different orders; with the same seed again, the same order again. `X` and `y` themselves
# stay as they are.
#
# Points: 1 each for sizes, completeness, pairs, a new order each time, and the use of `rng`.
#
# **5 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to shuffle two arrays alike.</summary>
#
# Shuffle neither. Shuffle the *numbers of the samples* and use them as an index into both:
# `rng.permutation(N)` gives the numbers 0 … N − 1 in random order.
#
# </details>
#
# <details><summary>I'm not sure how to cut the order into pieces.</summary>
#
# `range(0, N, batch_size)` gives the starts. A slice that ends beyond the end stops at the end, so
# the short last batch needs no special case.
#
# </details>
#
# <details><summary>I'm not sure what an iterator is.</summary>
#
# Something a `for` loop can walk over. A list of pairs is fine. A function with `yield` in place of
# `return` gives its pairs one at a time and needs no list.
#
# </details>


# %% nbgrader={"grade_id": "minibatches", "solution": true}
def minibatches(X, y, batch_size, rng):
    """One epoch of shuffled batches.

    Args:
        X: all samples, shape (N, n_in)
        y: their classes, shape (N,)
        batch_size: samples in a batch, an int; the last batch may be smaller
        rng: a numpy.random.Generator, source of the order

    Returns:
        an iterator of (X_batch, y_batch): every sample once
    """
    ### BEGIN SOLUTION
    order = rng.permutation(len(X))
    for start in range(0, len(X), batch_size):
        chosen = order[start : start + batch_size]
        yield X[chosen], y[chosen]
    ### END SOLUTION


# %% nbgrader={"grade_id": "minibatches-check", "grade": true, "points": 5}
def pytorch(X, y, batch_size, seed):
    samples = torch.utils.data.TensorDataset(X, y)
    generator = torch.Generator().manual_seed(seed)
    loader = torch.utils.data.DataLoader(samples, batch_size, shuffle=True, generator=generator)
    batches = list(loader)
    labels = torch.cat([y_batch for _, y_batch in batches])
    pairs = sum(int((X_b == X[y_b]).all(dim=1).sum()) for X_b, y_b in batches)
    sizes = [len(y_batch) for _, y_batch in batches]
    return sizes, sorted(labels.tolist()), pairs, "new in every epoch", "rng"


# The class of sample i is i here, so that the batches tell which samples they hold.
def probe(minibatches, X, y, batch_size, seed):
    original = X.copy()

    def epoch_case(rng):
        return pairs_in(minibatches(X, y, batch_size, rng), "X_batch, y_batch", (2, 1))

    rng = np.random.default_rng(seed)
    first, second = epoch_case(rng), epoch_case(rng)
    again = epoch_case(np.random.default_rng(seed))
    other = epoch_case(np.random.default_rng(seed + 1))

    def order_case(batches):
        return [int(i) for _, y_batch in batches for i in y_batch]

    def together_case(batches):
        """Which samples share a batch, in the order of their numbers."""
        return sorted(sorted(map(int, y_batch)) for _, y_batch in batches)

    sizes, rows = [len(y_batch) for _, y_batch in first], dict(enumerate(original))
    pairs = sum(
        int(np.array_equal(row, rows.get(i)) and np.asarray(i).dtype.kind == "i")
        for X_b, y_b in first
        for row, i in zip(X_b, y_b)
    )
    same, several = order_case(first) == order_case(second), 1 < batch_size < len(X)
    steps = np.abs(np.diff(order_case(first)))
    order = "the same in every epoch" if same else "new in every epoch"
    if order_case(first) == sorted(order_case(first)):
        order = "that of X, not shuffled"
    elif not same and several and together_case(first) == together_case(second):
        order = "new, but the same samples share a batch in every epoch"
    # Of few samples, most may stay neighbors by chance.
    elif not same and len(X) > 20 and np.mean(steps == 1) > 0.6:
        order = "new, but most neighbors in X stay neighbors"
    source = "rng"
    if order_case(first) != order_case(again):
        source = "something else: the same seed gives another order"
    elif order_case(first) == order_case(other):
        source = "something else: another seed gives the same order"
    return sizes, sorted(order_case(first)), pairs, order, source


def samples_case(N, batch_size, seed):
    X = np.random.default_rng(seed).normal(size=(N, 3))
    return {"X": X, "y": np.arange(N), "batch_size": batch_size, "seed": seed}


check = Check(
    "minibatches",
    pytorch,
    returns={"sizes": 1, "samples": 1, "right_pairs": 1, "order": 1, "source_of_order": 1},
    probe=probe,
)
check.case("11 samples in batches of 4", **samples_case(11, 4, seed=70))
check.case("12 samples in batches of 3", **samples_case(12, 3, seed=71))
### BEGIN HIDDEN TESTS
check.hidden.case("one at a time", **samples_case(9, 1, seed=72))
check.hidden.case("a batch larger than the data", **samples_case(10, 16, seed=73))
check.hidden.case("one sample left over", **samples_case(25, 8, seed=74))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# How much does a random batch know? The next cell compares the gradient of random batches with the
# gradient of the whole training set, for the untrained network. It draws the cosine of the angle
# between them: 1 means the same direction, 0 a right angle.

# %%
if all(
    [
        written(init_params, [64, 32, 10], np.random.default_rng(0), layers=[64, 32, 10]),
        written(minibatches, X_train, y_train, 32, np.random.default_rng(0)),
    ]
):
    untrained = init_params([64, 32, 10], np.random.default_rng(67))
    five = (X_train[:5], y_train[:5], 0.0)
    if written(loss_and_gradients, untrained, *five, values=2, layers=[64, 32, 10]):

        def direction(X, y):
            _, grads = loss_and_gradients(untrained, X, y, 0.0)
            flat = np.concatenate([np.ravel(part) for pair in grads for part in pair])
            return flat / np.linalg.norm(flat)

        sizes, whole = [1, 4, 16, 32, 64, 256], direction(X_train, y_train)
        rng = np.random.default_rng(75)
        cosines = [
            [
                direction(*b) @ whole
                for b, _ in zip(minibatches(X_train, y_train, B, rng), range(20))
            ]
            for B in sizes
        ]
        fig, ax = plt.subplots()
        low, middle, high = np.transpose([np.percentile(c, [10, 50, 90]) for c in cosines])
        ax.semilogx(sizes, middle, "o-", color=pictures.BLUE, label="the batch in the middle")
        ax.fill_between(sizes, low, high, color=pictures.SKY, alpha=0.3, label="8 of 10 batches")
        ax.set_xticks(sizes, sizes)
        ax.minorticks_off()
        ax.set(xlabel="batch size", ylabel="cosine", title="How far a batch points the right way")
        ax.legend(loc="lower right")
        plt.show()

# %% [markdown]
# *Picture: the cosine against the batch size, on a logarithmic axis, a rising curve with a band that
# grows narrower. Single samples point almost anywhere. 32 samples come to about 0.8, and eight times
# as many bring little more. Drawn from your `minibatches` and `loss_and_gradients`.*

# %% [markdown]
# ## 6. One step down
#
# *Stochastic gradient descent*, SGD, moves every parameter against its gradient. It is called
# stochastic because the gradient is that of a random batch.
#
# $$ W \leftarrow W - \eta\, dW \qquad b \leftarrow b - \eta\, db $$
#
# $\eta$ is the learning rate, in code `lr`.

# %% [markdown]
# ### Exercise: `sgd_update(params, grads, lr)`
#
# **What it is for.** The step itself, the same rule for every parameter.
#
# | symbol | form | meaning |
# |---|---|---|
# | `params` | list of (W, b) | the parameters before the step |
# | `grads` | list of (dW, db) | their gradients |
# | `lr` | () | learning rate |
# | `new_params` | list of (W, b) | the parameters after the step, new arrays |
#
# **3 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to walk over both lists at once.</summary>
#
# `for (W, b), (dW, db) in zip(params, grads):` takes a layer and its gradients at a time.
#
# </details>
#
# <details><summary>I'm not sure what is wrong with <code>W -= lr * dW</code>.</summary>
#
# It writes into the array that the caller gave you. Whoever kept the old parameters, to compare or
# to go back, has lost them. `W - lr * dW` makes a new array.
#
# </details>


# %% nbgrader={"grade_id": "sgd_update", "solution": true}
def sgd_update(params, grads, lr):
    """One step of stochastic gradient descent.

    Args:
        params: the parameters, a list of (W, b)
        grads: their gradients, a list of (dW, db)
        lr: learning rate, a number, shape ()

    Returns:
        new_params: a list of (W, b), new arrays
    """
    ### BEGIN SOLUTION
    return [(W - lr * dW, b - lr * db) for (W, b), (dW, db) in zip(params, grads)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "sgd_update-check", "grade": true, "points": 3}
rng = np.random.default_rng(76)
normal = rng.normal


def pytorch(params, grads, lr):
    with torch.no_grad():
        for pair, gradients in zip(params, grads):
            for tensor, gradient in zip(pair, gradients):
                tensor.grad = gradient.detach()
    torch.optim.SGD([tensor for pair in params for tensor in pair], lr=lr).step()
    return params


def layers_case(*sizes):
    return [(normal(size=(m, n)), normal(size=m)) for n, m in zip(sizes, sizes[1:])]


check = Check("sgd_update", pytorch, returns={"new_params": 3})
check.case("5 → 4 → 3, η = 0.3", params=layers_case(5, 4, 3), grads=layers_case(5, 4, 3), lr=0.3)
check.case(
    "3 → 3 → 3 → 3, η = 1.7", params=layers_case(3, 3, 3, 3), grads=layers_case(3, 3, 3, 3), lr=1.7
)
### BEGIN HIDDEN TESTS
check.hidden.case("one layer", params=layers_case(2, 6), grads=layers_case(2, 6), lr=0.01)
check.hidden.case(
    "four layers", params=layers_case(2, 5, 4, 6, 3), grads=layers_case(2, 5, 4, 6, 3), lr=0.1
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 7. The loop
#
# Everything is there. For each epoch: for each batch: loss and gradients, then the update, and the
# new parameters go into the next batch.
#
# A history shows whether it works: one number for each epoch. Here it is the mean of the $J$ of its
# batches. Each $J$ is computed before the update that follows it.

# %% [markdown]
# ### Exercise: `train(params, X, y, epochs, batch_size, lr, lam, rng)`
#
# **What it is for.** It turns a network that guesses into one that reads.
#
# | symbol | form | meaning |
# |---|---|---|
# | `params` | list of (W, b) | where training starts |
# | `X`, `y` | (N, n_in), (N,) | the training set |
# | `epochs`, `batch_size` | ints | rounds through all samples; samples in a batch |
# | `lr`, `lam` | () | learning rate $\eta$ and cost of weights $\lambda$ |
# | `rng` | Generator | for the order of the samples |
# | `trained` | list of (W, b) | the parameters after the last step |
# | `history` | list of `epochs` numbers | the mean of the batches' $J$ in each epoch |
#
# Plain SGD. Call the functions you have. The setup cell imports `progress`: write
# `for epoch in progress(range(epochs)):` and a bar shows how far the training is.
#
# How can a check know the right result when the order is random? It uses cases in which the order
# makes no difference: one batch of all samples, samples that are all alike, and steps so small that
# only their sum counts. A mean with or without the smaller weight of a short last batch passes, and so
# does the $J$ of the whole training set after each epoch: the check allows 0.1.
#
# Points: 4 for `trained`, 2 for `history`, 1 for an order that comes from `rng`, 1 for a new order in
# each epoch.
#
# **8 points · 14 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what goes from one step to the next.</summary>
#
# The parameters, and nothing else. The update returns new ones; give them the name that the next
# call of `loss_and_gradients` uses.
#
# </details>
#
# <details><summary>I'm not sure how many loops there are.</summary>
#
# Two, one inside the other. The outer one counts epochs. The inner one walks over
# `minibatches(...)`, called anew in each epoch so that the order is new.
#
# </details>
#
# <details><summary>I'm not sure where zero_grad() went.</summary>
#
# PyTorch adds each new gradient to the old one, so it must be cleared. `loss_and_gradients` returns
# new gradients each time. There is nothing to clear.
#
# </details>


# %% nbgrader={"grade_id": "train", "solution": true}
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    """Train a network with plain SGD.

    Args:
        params: where training starts, a list of (W, b)
        X: the training set, shape (N, n_in)
        y: its classes, shape (N,)
        epochs: rounds through the training set, an int
        batch_size: samples in a batch, an int
        lr: learning rate, a number, shape ()
        lam: how much weights cost, a number, shape ()
        rng: a numpy.random.Generator, for the order of the samples

    Returns:
        trained: the parameters after the last step, a list of (W, b)
        history: for each epoch the mean J of its batches, a list of numbers
    """
    ### BEGIN SOLUTION
    history = []
    for epoch in progress(range(epochs)):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(np.mean(losses))
    return params, history
    ### END SOLUTION


# %% nbgrader={"grade_id": "train-check", "grade": true, "points": 8}
rng = np.random.default_rng(77)
normal = rng.normal


def pytorch(params, X, y, epochs, batch_size, lr, lam, seed):
    tensors = [tensor for pair in params for tensor in pair]
    optimizer, history = torch.optim.SGD(tensors, lr=lr), []
    for _ in range(epochs):
        losses = []
        for X_batch, y_batch in zip(X.split(batch_size), y.split(batch_size)):
            logits = F.linear(torch.relu(F.linear(X_batch, *params[0])), *params[1])
            J = F.cross_entropy(logits, y_batch)
            J = J + lam / 2 * sum(W.square().sum() for W, _ in params)
            optimizer.zero_grad()
            J.backward()
            optimizer.step()
            losses.append(J.item())
        history.append(sum(losses) / len(losses))
    differ = bool((X[0] != X).any())  # where all samples are alike, order makes no difference
    return params, history, differ, "yes" if differ else "no"


# Beside the training asked for, a few short ones: they show where the order of the samples comes
# from, and that it changes. In tiny steps a sample counts more in a short last batch. If three epochs
# then move the parameters three times as far as one, the same samples share a batch in each.
def probe(train, params, X, y, epochs, batch_size, lr, lam, seed):
    def parts_case(result):
        trained, history = two_values(result, "trained, history")
        return pairs_in(trained, "W, b", (2, 1), "trained", listed=True), history

    def short_case(start, rounds, seed, size=2, lr=0.2):
        copies = [(W.copy(), b.copy()) for W, b in start], X_kept.copy(), y_kept.copy()
        return parts_case(train(*copies, rounds, size, lr, 0.0, np.random.default_rng(seed)))[0]

    def way_case(rounds):
        moved = short_case(params, rounds, seed, size=len(X) // 3 + 1, lr=1e-7)
        return np.concatenate(
            [np.ravel(v - u) for p, q in zip(params, moved) for u, v in zip(p, q)]
        )

    def equal_case(one, two):
        pairs = zip(one, two)
        return all(np.allclose(u, v, 1e-9) for p, q in pairs for u, v in zip(p, q))

    rng = np.random.default_rng(seed)
    kept, X_kept, y_kept = [(W.copy(), b.copy()) for W, b in params], X.copy(), y.copy()
    trained, history = parts_case(train(params, X, y, epochs, batch_size, lr, lam, rng))
    params = kept
    once = short_case(params, 1, seed)
    from_rng = equal_case(once, short_case(params, 1, seed))
    from_rng = from_rng and not equal_case(once, short_case(params, 1, seed + 1))
    same_order_twice = short_case(once, 1, seed)
    new_order, one, three = "yes", way_case(1), way_case(3)
    if equal_case(short_case(params, 2, seed), same_order_twice):
        new_order = "no"
    elif np.abs(three - 3 * one).max() < 1e-3 * np.abs(one).max():
        new_order = "of the batches only"
    return trained, history, from_rng, new_order


def training_case(N, sizes, scale=0.5, alike=False):
    X = np.repeat(normal(size=(1, sizes[0])), N, axis=0) if alike else normal(size=(N, sizes[0]))
    y = np.full(N, 1) if alike else rng.integers(sizes[-1], size=N)
    pairs = zip(sizes, sizes[1:])
    return {
        "params": [(scale * normal(size=(m, n)), scale * normal(size=m)) for n, m in pairs],
        "X": X,
        "y": y,
    }


check = Check(
    "train",
    pytorch,
    returns={"trained": 4, "history": 2, "order_from_rng": 1, "new_order_each_epoch": 1},
    tolerance={"history": 0.1},
    probe=probe,
)
check.case(
    "all samples in one batch, 20 steps",
    **training_case(14, [5, 8, 3]),
    epochs=20,
    batch_size=14,
    lr=0.02,
    lam=0.1,
    seed=78,
)
check.case(
    "samples that are all alike, a short last batch",
    **training_case(14, [4, 6, 3], alike=True),
    epochs=3,
    batch_size=4,
    lr=0.01,
    lam=0.2,
    seed=79,
)
check.case(
    "tiny steps, one sample in a batch",
    **training_case(18, [3, 5, 4], scale=1.0),
    epochs=2,
    batch_size=1,
    lr=1e-8,
    lam=0.05,
    seed=90,
)
### BEGIN HIDDEN TESTS
check.hidden.case(
    "tiny steps, so that every sample counts alike",
    **training_case(24, [6, 5, 4], scale=2.0),
    epochs=3,
    batch_size=4,
    lr=1e-7,
    lam=0.05,
    seed=80,
)
check.hidden.case(
    "one epoch, no penalty",
    **training_case(12, [3, 7, 5]),
    epochs=1,
    batch_size=12,
    lr=0.1,
    lam=0.0,
    seed=81,
)
check.hidden.case(
    "a penalty so large that J grows",
    **training_case(12, [5, 4, 3], scale=0.02),
    epochs=5,
    batch_size=12,
    lr=0.1,
    lam=20.5,
    seed=82,
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Train
#
# Now the digits: 64 inputs, 32 hidden neurons, 10 classes, 2,410 parameters. Does the loss still fall
# after 30 epochs?

# %%
start = None
if all(
    [
        written(init_params, [64, 32, 10], np.random.default_rng(0), layers=[64, 32, 10]),
        written(minibatches, X_train[:6], y_train[:6], 2, np.random.default_rng(0)),
    ]
):
    sizes = [64, 32, 10]
    start = init_params(sizes, np.random.default_rng(82))
    tiny = (X_train[:6], y_train[:6], 1, 2, 0.1, 0.0)
    if not all(
        [
            written(network_logits, start, X_test, shape=(360, 10)),
            written(loss_and_gradients, start, X_test, y_test, 0.1, values=2, layers=sizes),
            written(sgd_update, start, start, 0.1, layers=sizes),
            written(train, start, *tiny, np.random.default_rng(0), values=2, layers=sizes),
        ]
    ):
        start = None

if start is not None:
    began = time.perf_counter()
    trained, history = train(start, X_train, y_train, 30, 32, 0.2, 1e-4, np.random.default_rng(83))
    print(f"{time.perf_counter() - began:.1f} s for 30 epochs")
    print(f"test accuracy {accuracy(trained, X_test, y_test):.1%}")
    fig, ax = plt.subplots()
    shown = pictures.at_most(20, history)
    ax.semilogy(range(1, len(shown) + 1), shown, color=pictures.BLUE)
    ax.set(xlabel="epoch", ylabel="mean J of the batches", title="The history of your training")
    plt.show()

# %% [markdown]
# *Picture: the history over 30 epochs, on a logarithmic axis. It falls steeply at first and then ever
# more slowly. Losses above 20 are drawn at 20. Drawn from your `train`.*
#
# A falling loss says that the network fits the scans it was shown. Does it read the others? The next
# cell trains once more, one epoch at a time, and counts right answers after each. How far apart are
# the two curves at the end?

# %%
if start is None:
    print("The training above comes first; its cell says what is missing.")
else:
    rng, params = np.random.default_rng(83), start
    right = {"training set": [], "test set": []}
    for epoch in progress(range(30)):
        with pictures.without_output():
            params, _ = train(params, X_train, y_train, 1, 32, 0.2, 1e-4, rng)
        right["training set"].append(accuracy(params, X_train, y_train))
        right["test set"].append(accuracy(params, X_test, y_test))
    fig, ax = plt.subplots()
    for name, color, style in [
        ("training set", pictures.BLUE, "-"),
        ("test set", pictures.VERMILION, "--"),
    ]:
        ax.plot(range(1, 31), right[name], style, color=color, label=name)
    ax.axhline(0.95, color=pictures.BLACK, lw=0.8, ls=":")
    ax.set(xlabel="epoch", ylabel="share of right answers", title="How many digits are read right")
    ax.set_ylim(min(0.7, *right["test set"]) - 0.02, 1.01)
    ax.legend(loc="center right")
    plt.show()

# %% [markdown]
# *Picture: the share of right answers over 30 epochs, two curves that rise above a dotted line at 0.95
# and level off. That of the test set stays a little lower. Drawn from your `train` and
# `network_logits`.*
#
# Which scans does the network still get wrong? Look at them before you call it stupid.

# %%
if start is None:
    print("The training above comes first; its cell says what is missing.")
else:
    answers = np.argmax(network_logits(trained, X_test), axis=1)
    wrong = np.flatnonzero(answers != y_test)
    print(f"{len(wrong)} of {len(y_test)} are wrong")
    shown = wrong[:10]
    fig, axes = plt.subplots(1, 10, figsize=(8, 1.4))
    for place in axes:
        place.axis("off")
    for place, i in zip(axes, shown):
        place.imshow(X_test[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        place.set_title(f"{y_test[i]}, read {answers[i]}", fontsize=8)
    plt.show()

# %% [markdown]
# *Picture: up to ten scans of the test set that your network reads wrong, each with the digit that the
# writer meant and the one that was read. Many are hard for people too.*
#
# ### Is it PyTorch's curve?
#
# Every check compared one function. Do they also agree together, step after step, where a small
# difference would grow? The next cell trains twice from the same weights and on the same batches:
# once with your functions, once with PyTorch's own layers, loss and optimizer.


# %% nbgrader={"grade_id": "pytorch-twin", "locked": true}
def pytorch_losses(params, batches, lr, lam):
    """The J of every step of the same training in PyTorch."""
    shapes = [W.shape for W, _ in params]
    linear = [torch.nn.Linear(n_in, n_out).double() for n_out, n_in in shapes]
    model = torch.nn.Sequential(linear[0], torch.nn.ReLU(), linear[1])
    with torch.no_grad():
        for layer, (W, b) in zip(linear, params):
            layer.weight.copy_(torch.tensor(W))
            layer.bias.copy_(torch.tensor(b))
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=lr), []
    for X_batch, y_batch in batches:
        penalty = lam / 2 * sum(layer.weight.square().sum() for layer in linear)
        J = F.cross_entropy(model(torch.tensor(X_batch)), torch.tensor(y_batch)) + penalty
        optimizer.zero_grad()
        J.backward()
        optimizer.step()
        losses.append(J.item())
    return losses


def my_losses(params, batches, lr, lam):
    """The J of every step with the functions of this notebook."""
    losses = []
    for X_batch, y_batch in batches:
        J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
        params = sgd_update(params, grads, lr)
        losses.append(float(J))
    return losses


if start is None:
    print("The training above comes first; its cell says what is missing.")
else:
    twenty = list(minibatches(X_train, y_train, 32, np.random.default_rng(84)))[:20]
    mine = my_losses(start, twenty, 0.2, 1e-4)
    fig, ax = plt.subplots()
    ax.plot(range(1, 21), mine, color=pictures.BLUE, lw=4, alpha=0.5, label="your functions")
    try:
        theirs = pytorch_losses(start, twenty, 0.2, 1e-4)
    except Exception as error:  # where PyTorch is not installed, the rest still shows
        print(f"PyTorch's curve is left out: {error}")
    else:
        ax.plot(range(1, 21), theirs, ".--", color=pictures.VERMILION, lw=1, label="PyTorch")
        apart = max(abs(a - b) for a, b in zip(mine, theirs))
        print(f"largest distance in 20 steps: {apart:.0e}")
    ax.set(xlabel="step", ylabel="J of the batch", title="One training, two programs")
    ax.set_xticks([1, 5, 10, 15, 20])
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: the loss of 20 steps, a broad line from your functions and a thin dashed line with dots
# from PyTorch. Where both programs agree, the thin line runs inside the broad one. Drawn from your
# `minibatches`, `loss_and_gradients` and `sgd_update`.*
#
# ### How large a step?
#
# The learning rate is the one number that you must choose. The next cell trains 5 epochs with ten
# different ones. Before you run it: what happens on the left end, what on the right?

# %%
if start is None:
    print("The training above comes first; its cell says what is missing.")
else:
    rates, reached = np.logspace(-3, 1, 10), []
    for rate in progress(rates):
        with np.errstate(all="ignore"), pictures.without_output():
            _, history = train(
                start, X_train, y_train, 5, 32, rate, 1e-4, np.random.default_rng(85)
            )
        reached.append(history[-1])
    shown = pictures.at_most(20, reached)
    fig, ax = plt.subplots()
    ax.loglog(rates, shown, "o-", color=pictures.BLUE)
    ax.axhline(np.log(10), color=pictures.BLACK, lw=0.8, ls=":")
    ax.text(rates[4], np.log(10) * 1.1, "guessing")
    ax.set(
        xlabel="learning rate",
        ylabel="mean J in epoch 5",
        title="Ten learning rates, 5 epochs each",
    )
    plt.show()

# %% [markdown]
# *Picture: the loss of the fifth epoch against the learning rate, both axes logarithmic, a valley.
# On the left the steps are too short to arrive, on the right they overshoot and the loss is that of
# guessing or worse; losses above 20 are drawn at 20. Drawn from your `train`.*
#
# The valley is wide, and its right wall is steep. A rate that is too small costs time. One that is too
# large costs everything: each step lands farther away than it started.

# %% [markdown]
# ## 8. Momentum
#
# Picture a narrow valley. Across it the slope is steep, along it the slope is gentle. SGD zigzags
# from wall to wall and creeps along the bottom. A ball would not: its speed across the valley keeps
# changing sign and cancels, and its speed along the valley builds up.
#
# *Momentum* gives every parameter a velocity $v$, zero at first, of the parameter's shape. With $g$
# for the gradient of that parameter $w$:
#
# $$ v \leftarrow \beta\, v + g \qquad w \leftarrow w - \eta\, v $$
#
# With the new $v$ in the second line. $\beta$ is often 0.9. (Other books put $\eta$ into the velocity,
# or a factor $1 - \beta$ before $g$. This is PyTorch's form.)

# %% [markdown]
# ### Exercise: `momentum_update(params, grads, velocity, lr, beta)`
#
# **What it is for.** Faster along valleys, with one more number for each parameter.
#
# | symbol | form | meaning |
# |---|---|---|
# | `params`, `grads` | lists of pairs | as in `sgd_update` |
# | `velocity` | list of pairs | $v$ for each W and b; zeros at first |
# | `lr`, `beta` | () | $\eta$ and $\beta$ |
# | `new_params` | list of (W, b) | |
# | `new_velocity` | list of pairs | goes into the next call |
#
# The check makes 20 steps. Points: 1 for the parameters after the first step, 1 after the second, 2
# after the twentieth, 1 for the velocity then.
#
# **5 points · 8 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what the two new lists hold.</summary>
#
# Go layer by layer. Each layer has four arrays to follow: W, b and the velocities of both. Compute
# the new velocities first, then the new parameters from them.
#
# </details>
#
# <details><summary>I'm not sure why the first step is that of SGD.</summary>
#
# The velocity is zero before it. Put that into the first formula.
#
# </details>


# %% nbgrader={"grade_id": "momentum_update", "solution": true}
def momentum_update(params, grads, velocity, lr, beta):
    """One step of SGD with momentum.

    Args:
        params: the parameters, a list of (W, b)
        grads: their gradients, a list of (dW, db)
        velocity: a list of pairs of the same shapes, zeros at first
        lr: learning rate, a number, shape ()
        beta: how much of the velocity stays, a number, shape ()

    Returns:
        new_params: a list of (W, b)
        new_velocity: a list of pairs
    """
    ### BEGIN SOLUTION
    new_velocity = [(beta * vW + dW, beta * vb + db) for (vW, vb), (dW, db) in zip(velocity, grads)]
    new_params = [(W - lr * vW, b - lr * vb) for (W, b), (vW, vb) in zip(params, new_velocity)]
    return new_params, new_velocity
    ### END SOLUTION


# %% nbgrader={"grade_id": "momentum_update-check", "grade": true, "points": 5}
rng = np.random.default_rng(86)
normal = rng.normal


def pytorch(params, gradients, velocity, lr, beta):
    tensors = [tensor for pair in params for tensor in pair]
    optimizer, after = torch.optim.SGD(tensors, lr=lr, momentum=beta), {}
    for step, grads in enumerate(gradients, start=1):
        for tensor, gradient in zip(tensors, [g for pair in grads for g in pair]):
            tensor.grad = gradient.detach()
        optimizer.step()
        after[step] = [(W.detach().clone(), b.detach().clone()) for W, b in params]
    buffers = [optimizer.state[tensor]["momentum_buffer"] for tensor in tensors]
    return after[1], after[2], after[20], list(zip(buffers[::2], buffers[1::2]))


# optimizer_steps gives the parameters after each step, and what the last step handed on.
def probe(momentum_update, params, gradients, velocity, lr, beta):
    def update_case(params, grads, velocity):
        return momentum_update(params, grads, velocity, lr, beta)

    after, velocity = optimizer_steps(update_case, params, gradients, velocity)
    return after[0], after[1], after[19], velocity


def twenty_case(*sizes):
    def layers():
        return [(normal(size=(m, n)), normal(size=m)) for n, m in zip(sizes, sizes[1:])]

    params = layers()
    velocity = [(np.zeros_like(W), np.zeros_like(b)) for W, b in params]
    return {"params": params, "gradients": [layers() for _ in range(20)], "velocity": velocity}


check = Check(
    "momentum_update",
    pytorch,
    returns={"after_1_step": 1, "after_2_steps": 1, "after_20_steps": 2, "velocity": 1},
    probe=probe,
)
check.case("3 → 4 → 5 → 2, β = 0.9", **twenty_case(3, 4, 5, 2), lr=0.1, beta=0.9)
check.case("3 → 3 → 3 → 3, β = 0.6", **twenty_case(3, 3, 3, 3), lr=0.7, beta=0.6)
### BEGIN HIDDEN TESTS
check.hidden.case("one layer, β = 0.3", **twenty_case(2, 5), lr=0.03, beta=0.3)
check.hidden.case("β = 0.99", **twenty_case(4, 2, 3, 6), lr=0.02, beta=0.99)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 9. Adam
#
# Momentum smooths the direction. Adam also adapts the *length* of the step, for every parameter by
# itself. It keeps two running averages: of the gradient, $m$, and of its square, $v$ (here a second
# moment, not a velocity). Both have the shape of the parameter, and both are zero at first. At step $t = 1, 2, 3, \dots$, with $g^2$ entry by
# entry:
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2 $$
#
# An average that starts at zero is too small at first. After $t$ steps its weights add up to
# $1 - \beta^t$ and not to 1. So both are divided by that, for use only:
#
# $$ \hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t} \qquad
# w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \epsilon} $$
#
# $m$ and $v$ themselves go on without the division. Where gradients agree, $\hat m$ is as large as
# $\sqrt{\hat v}$ and the step is $\eta$; where they contradict each other, it is shorter. The size of
# the gradient cancels. (Kingma and Ba, *Adam: A Method for Stochastic Optimization*, 2015.)

# %% [markdown]
# ### Exercise: `adam_update(params, grads, state, lr, beta1, beta2, eps)`
#
# **What it is for.** The optimizer that most large models are trained with, in one form or another.
#
# | symbol | form | meaning |
# |---|---|---|
# | `params`, `grads` | lists of pairs | as in `sgd_update` |
# | `state` | dict | what Adam remembers: `{}` at first, then what your last call returned |
# | `lr`, `beta1`, `beta2`, `eps` | () | $\eta$, $\beta_1$, $\beta_2$, $\epsilon$ |
# | `new_params` | list of (W, b) | |
# | `new_state` | dict | goes into the next call; its keys are yours |
#
# Return a new dict and leave the given one, and the arrays in it, as they are.
#
# Points: 2 for the parameters after the first step, 2 after the second, 3 after the twentieth.
#
# **7 points · 14 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure what to keep in <code>state</code>.</summary>
#
# What the next step needs and cannot compute: $m$ for every parameter, $v$ for every parameter, and
# the number of steps so far.
#
# </details>
#
# <details><summary>I'm not sure how to begin when <code>state</code> is empty.</summary>
#
# `state.get("t", 0)` is 0 where there is no key "t". For the averages: if the dict is empty, build
# lists of zeros of the shapes of `params`.
#
# </details>
#
# <details><summary>I'm not sure what $t$ is in the first step.</summary>
#
# 1. With $t = 0$ the divisors $1 - \beta^t$ would be zero. Count first, then divide.
#
# </details>
#
# <details><summary>I'm not sure whether $\epsilon$ stands under the root.</summary>
#
# Read the denominator: the root is over $\hat v$ alone, and $\epsilon$ is added to the result.
#
# </details>


# %% nbgrader={"grade_id": "adam_update", "solution": true}
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    """One step of Adam.

    Args:
        params: the parameters, a list of (W, b)
        grads: their gradients, a list of (dW, db)
        state: a dict, {} before the first step, then what the last step returned
        lr: learning rate, a number, shape ()
        beta1: how much of the average gradient stays, a number, shape ()
        beta2: how much of the average square stays, a number, shape ()
        eps: keeps the division finite, a number, shape ()

    Returns:
        new_params: a list of (W, b)
        new_state: a new dict
    """
    ### BEGIN SOLUTION
    zeros = [[np.zeros_like(p) for p in pair] for pair in params]
    t = state.get("t", 0) + 1
    new_params, m_all, v_all = [], [], []
    for pair, gradients, m_pair, v_pair in zip(
        params, grads, state.get("m", zeros), state.get("v", zeros)
    ):
        m_new = [beta1 * m + (1 - beta1) * g for m, g in zip(m_pair, gradients)]
        v_new = [beta2 * v + (1 - beta2) * g**2 for v, g in zip(v_pair, gradients)]
        new_pair = []
        for p, m, v in zip(pair, m_new, v_new):
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            new_pair.append(p - lr * m_hat / (np.sqrt(v_hat) + eps))
        new_params.append(tuple(new_pair))
        m_all.append(m_new)
        v_all.append(v_new)
    return new_params, {"t": t, "m": m_all, "v": v_all}
    ### END SOLUTION


# %% nbgrader={"grade_id": "adam_update-check", "grade": true, "points": 7}
rng = np.random.default_rng(87)
normal = rng.normal


def pytorch(params, gradients, state, lr, beta1, beta2, eps):
    tensors = [tensor for pair in params for tensor in pair]
    optimizer, after = torch.optim.Adam(tensors, lr=lr, betas=(beta1, beta2), eps=eps), {}
    for step, grads in enumerate(gradients, start=1):
        for tensor, gradient in zip(tensors, [g for pair in grads for g in pair]):
            tensor.grad = gradient.detach()
        optimizer.step()
        after[step] = [(W.detach().clone(), b.detach().clone()) for W, b in params]
    return after[1], after[2], after[20]


def probe(adam_update, params, gradients, state, lr, beta1, beta2, eps):
    def update_case(params, grads, state):
        return adam_update(params, grads, state, lr, beta1, beta2, eps)

    after, _ = optimizer_steps(update_case, params, gradients, state)
    return after[0], after[1], after[19]


def twenty_case(*sizes):
    def layers():
        return [(normal(size=(m, n)), normal(size=m)) for n, m in zip(sizes, sizes[1:])]

    return {"params": layers(), "gradients": [layers() for _ in range(20)], "state": {}}


check = Check(
    "adam_update",
    pytorch,
    returns={"after_1_step": 2, "after_2_steps": 2, "after_20_steps": 3},
    probe=probe,
)
usual = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
check.case("3 → 4 → 5 → 2, the usual β", **twenty_case(3, 4, 5, 2), lr=0.1, **usual)
check.case("3 → 3 → 3 → 3", **twenty_case(3, 3, 3, 3), lr=0.02, beta1=0.7, beta2=0.95, eps=0.05)
### BEGIN HIDDEN TESTS
check.hidden.case("one layer", **twenty_case(2, 5), lr=0.3, beta1=0.5, beta2=0.8, eps=1e-3)
check.hidden.case("large ε", **twenty_case(4, 2, 3, 6), lr=0.2, beta1=0.8, beta2=0.4, eps=0.5)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# How do the three walk through a narrow valley? The next cell lets them go 40 steps from one point, on
# $f(w_1, w_2) = \tfrac12 (w_1^2 + 50\, w_2^2)$. The point is put into one "layer" with one weight and
# one bias. Which of them come near the lowest point, and which takes the strangest road?


# %%
def one_of_each():
    """Small inputs that show whether the three updates can be used."""
    params, grads = [(np.ones((1, 1)), np.ones(1))], [(np.ones((1, 1)), np.ones(1))]
    zeros = [(np.zeros((1, 1)), np.zeros(1))]
    return [
        written(sgd_update, params, grads, 0.1, layers=[1, 1]),
        written(momentum_update, params, grads, zeros, 0.1, 0.9, values=2, layers=[1, 1]),
        written(adam_update, params, grads, {}, 0.1, 0.9, 0.999, 1e-8, values=2, layers=[1, 1]),
    ]


def walker(name, lr):
    """A function (params, grads, state) → (params, state) for one of the three updates."""

    def step(params, grads, state):
        if name == "SGD":
            return sgd_update(params, grads, lr), None
        if name == "Adam":
            return adam_update(params, grads, state or {}, lr, 0.9, 0.999, 1e-8)
        velocity = state or [(np.zeros_like(W), np.zeros_like(b)) for W, b in params]
        return momentum_update(params, grads, velocity, lr, 0.9)

    return step


styles = {
    "SGD": (pictures.BLUE, "o-"),
    "momentum": (pictures.VERMILION, "s--"),
    "Adam": (pictures.GREEN, "^-."),
}
three_ready = all(one_of_each())
if three_ready:
    fig, ax = plt.subplots(figsize=(8, 3.2))
    side, up = np.meshgrid(np.linspace(-5.5, 3.5, 200), np.linspace(-1.3, 1.3, 100))
    ax.contour(
        side, up, side**2 + 50 * up**2, levels=10, colors=pictures.BLACK, alpha=0.25, linewidths=0.8
    )
    for name, lr in [("SGD", 0.037), ("momentum", 0.02), ("Adam", 0.3)]:
        step, params, state = walker(name, lr), [(np.array([[-5.0]]), np.array([1.0]))], None
        path = []
        for _ in range(40):
            (W, b) = params[0]
            path.append((W.item(), b.item()))
            params, state = step(params, [(W, 50 * b)], state)
        color, style = styles[name]
        ax.plot(*zip(*path), style, color=color, ms=3.5, lw=1, label=f"{name}, η = {lr}")
    ax.plot(0, 0, "*", color=pictures.BLACK, ms=12)
    ax.set(xlabel="$w_1$", ylabel="$w_2$", title="40 steps in a narrow valley", ylim=(-1.3, 1.3))
    ax.set_xlim(-5.5, 3.5)
    ax.legend(loc="lower right", ncols=3)
    plt.show()

# %% [markdown]
# *Picture: contour lines of a valley that is long from left to right, with a star at its lowest point.
# Three paths start at the upper left. SGD zigzags across the valley, creeps along it, and has not
# arrived after 40 steps. Momentum swings wide and runs past the star before it returns. Adam first
# walks diagonally, equally fast in both directions, and runs past the star as well. Drawn from your
# three update functions.*
#
# And on the digits? The same start, the same batches, 10 epochs, each with a learning rate that suits
# it.

# %%
if not three_ready or start is None:
    print("The training and the three updates come first.")
else:
    fig, ax = plt.subplots()
    for name, lr in [("SGD", 0.2), ("momentum", 0.05), ("Adam", 0.01)]:
        rng, step, params, state = np.random.default_rng(88), walker(name, lr), start, None
        curve = []
        for epoch in progress(range(10), name):
            losses = []
            for X_batch, y_batch in minibatches(X_train, y_train, 32, rng):
                J, grads = loss_and_gradients(params, X_batch, y_batch, 1e-4)
                params, state = step(params, grads, state)
                losses.append(J)
            curve += pictures.at_most(20, [np.mean(losses)])
        color, style = styles[name]
        ax.semilogy(range(1, 11), curve, style, color=color, ms=4, label=f"{name}, η = {lr}")
        print(f"{name}: {accuracy(params, X_test, y_test):.1%} of the test set are right")
    ax.set(xlabel="epoch", ylabel="mean J of the batches", title="Three optimizers, one network")
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: three falling curves over 10 epochs, on a logarithmic axis. Momentum and Adam fall faster
# than SGD. All three arrive at nearly the same accuracy. Losses above 20 are drawn at 20. Drawn from
# your three update functions.*

# %% [markdown]
# ## 10. Is the penalty a decay?
#
# There are two ways to keep weights small.
#
# - **L2 penalty:** add $\lambda W$ to the gradient, and let the optimizer do its work.
# - **Weight decay:** give the optimizer the gradient of the data alone. Also take $\eta\,\lambda\, W$
#   away from its result, with the old $W$.
#
# For SGD they are one and the same, and that is why the names are mixed up:
#
# $$ W - \eta\,(dW + \lambda W) \;=\; (W - \eta\, dW) - \eta \lambda W $$
#
# For other optimizers the left side has no such brackets to open. Are they still the same? That is a
# question for an experiment.

# %% [markdown]
# ### Exercise: `l2_is_weight_decay(update)`
#
# **What it is for.** A test for any optimizer: does it treat an L2 penalty as weight decay?
#
# | symbol | form | meaning |
# |---|---|---|
# | `update` | function | `update(params, grads, lr)` returns new params: the first step of some optimizer, from a fresh state |
# | `same` | bool | do both ways lead to the same weights? |
#
# You choose the parameters, the gradients, $\eta$ and $\lambda$ of your experiment. Both ways get the
# same four. The penalty is on `W` only. An optimizer may treat weights differently, so take several, of
# both signs. The check calls your test with many optimizers, some of them
# strange. It gives points only when all answers are right.
#
# **5 points · 14 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure what the experiment looks like.</summary>
#
# Make one layer with random `W`, `b` and random gradients. Call `update` twice: once with
# $dW + \lambda W$ in place of $dW$, once with $dW$. Which of the two results still needs a second step
# of yours before you compare?
#
# </details>
#
# <details><summary>I'm not sure how to compare.</summary>
#
# The two ways round differently, so `==` may fail for the last digit. `np.allclose` forgives
# differences of about a hundred-thousandth. So choose $\eta$ and $\lambda$ large enough: the decay
# $\eta\lambda W$ must be much larger than what is forgiven. There is no reason to be modest in an
# experiment.
#
# </details>
#
# <details><summary>I'm not sure how to call <code>adam_update</code> as <code>update</code>.</summary>
#
# Wrap it: `lambda params, grads, lr: adam_update(params, grads, {}, lr, 0.9, 0.999, 1e-8)[0]`. The
# cell below the check does that for you.
#
# </details>


# %% nbgrader={"grade_id": "l2_is_weight_decay", "solution": true}
def l2_is_weight_decay(update):
    """Does an optimizer treat an L2 penalty as weight decay?

    Args:
        update: update(params, grads, lr) returns new params, from a fresh state

    Returns:
        same: True if both give the same weights
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    W, dW = rng.normal(size=(2, 4, 3))
    b, db = rng.normal(size=(2, 4))
    lr, lam = 0.1, 0.5

    [(with_penalty, _)] = update([(W, b)], [(dW + lam * W, db)], lr)
    [(without, _)] = update([(W, b)], [(dW, db)], lr)
    return bool(np.allclose(with_penalty, without - lr * lam * W))
    ### END SOLUTION


# %% nbgrader={"grade_id": "l2_is_weight_decay-check", "grade": true, "points": 5}
def pytorch(rule):
    w, g = torch.linspace(-2, 3, 7).double(), torch.linspace(1, -4, 7).double()
    # A rule that moves w by -lr for each unit of g moves it by -lr * lam * w for lam * w.
    slope = torch.autograd.functional.jacobian(lambda g: rule(w, g, 0.1), g)
    return bool(torch.allclose(slope, -0.1 * torch.eye(7).double()))


def update_case(rule, name):
    """One optimizer for both libraries: ``rule`` says what becomes of one array."""

    def update(params, grads, lr):
        pairs = zip(params, grads)
        return [tuple(rule(w, g, lr) for w, g in zip(p, q)) for p, q in pairs]

    return Twin(update, rule, name)


def root(x):
    return x**0.5


check = Check("l2_is_weight_decay", pytorch, returns={"same": 5})
check.case("SGD", update=update_case(lambda w, g, lr: w - lr * g, "SGD"))
check.case(
    "the first step of momentum, its velocity still zero",
    update=update_case(lambda w, g, lr: w - lr * (0.9 * (0 * w) + g), "momentum"),
)
check.case(
    "the first step of Adam",
    update=update_case(lambda w, g, lr: w - lr * g / (root(g * g) + 1e-8), "Adam"),
)
### BEGIN HIDDEN TESTS
check.hidden.case(
    "the gradient divided by its length",
    update=update_case(lambda w, g, lr: w - lr * g / (root((g * g).sum()) + 1e-12), "normalized"),
)
check.hidden.case(
    "twice the step of SGD", update=update_case(lambda w, g, lr: w - 2 * lr * g, "twice")
)
check.hidden.case(
    "SGD that decays by itself",
    update=update_case(lambda w, g, lr: w - lr * (g + 0.1 * w), "SGD with decay"),
)
check.hidden.case(
    "the first step of Adam, with a decay of its own",
    update=update_case(
        lambda w, g, lr: (1 - 0.3 * lr) * w - lr * g / (root(g * g) + 1e-8), "AdamW"
    ),
)
check.hidden.case(
    "the first step of RMSProp",
    update=update_case(lambda w, g, lr: w - lr * g / (root(0.1 * g * g) + 1e-8), "RMSProp"),
)
check.hidden.case("no step at all", update=update_case(lambda w, g, lr: 1.0 * w + 0 * g, "nothing"))
check.hidden.case(
    "the square of the gradient with its sign",
    update=update_case(lambda w, g, lr: w - lr * g * root(g * g), "squared"),
)
check.hidden.case(
    "a step in the wrong direction", update=update_case(lambda w, g, lr: w + lr * g, "uphill")
)
check.hidden.case(
    "steps only where the gradient is positive",
    update=update_case(lambda w, g, lr: w - lr * (g + root(g * g)) / 2, "half of SGD"),
)
check.hidden.case(
    "the mean of the gradient for every weight",
    update=update_case(lambda w, g, lr: w - lr * (0 * g + g.mean()), "mean"),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# What does your test say about your own three updates?

# %%
first_steps = {
    "SGD": sgd_update,
    "momentum": lambda params, grads, lr: walker("momentum", lr)(params, grads, None)[0],
    "Adam": lambda params, grads, lr: walker("Adam", lr)(params, grads, None)[0],
}
if written(l2_is_weight_decay, sgd_update) and three_ready:
    for name, update in first_steps.items():
        print(
            f"{name}: an L2 penalty is weight decay in the first step: {l2_is_weight_decay(update)}"
        )

# %% [markdown]
# And what does the difference do in a real training? The next cell trains the digits four times, 10
# epochs each: SGD and Adam, each with the penalty in the gradient and with decay outside. It draws the
# length of the first weight matrix.

# %%
if not three_ready or start is None:
    print("The training and the three updates come first.")
else:
    fig, panels = plt.subplots(1, 2, figsize=(8, 3))
    for ax, (name, lr, lam) in zip(panels, [("SGD", 0.2, 0.01), ("Adam", 0.005, 0.01)]):
        for way, color, style in [
            ("L2 penalty", pictures.BLUE, "-"),
            ("weight decay", pictures.VERMILION, "--"),
        ]:
            rng, step, params, state = np.random.default_rng(89), walker(name, lr), start, None
            lengths = []
            for epoch in range(10):
                for X_batch, y_batch in minibatches(X_train, y_train, 32, rng):
                    coupled = lam if way == "L2 penalty" else 0.0
                    _, grads = loss_and_gradients(params, X_batch, y_batch, coupled)
                    before = params
                    params, state = step(params, grads, state)
                    if way == "weight decay":
                        params = [(W - lr * lam * V, b) for (W, b), (V, _) in zip(params, before)]
                lengths.append(np.linalg.norm(params[0][0]))
            ax.plot(range(1, 11), lengths, style, color=color, label=way)
        ax.set(xlabel="epoch", ylabel=r"$\Vert W_1 \Vert$", title=name)
        ax.legend()
    plt.show()

# %% [markdown]
# *Picture: two panels over 10 epochs. For SGD the lines for L2 penalty and weight decay lie on top of
# each other. For Adam they part: the same λ keeps the weights far smaller as a penalty than as
# decay. Drawn from your update functions.*
#
# Adam divides by the size of the gradient, and the penalty is part of that gradient. A weight whose
# data gradient is large gets hardly any penalty, one whose data gradient is near zero gets nearly a
# full step of size $\eta$ toward zero. Decay treats all weights alike. (Loshchilov and Hutter,
# *Decoupled Weight Decay Regularization*, 2019; it is the W in AdamW.)

# %% [markdown]
# ## Summary
#
# - Weights start random, with mean 0 and variance $2/n_\text{in}$, so that a signal keeps its size
#   through layers with ReLU.
# - A step is: batch, forward, backward, update. An epoch is all batches once, in a new order.
# - The gradient at the logits of a batch is $(p - \text{one-hot})/B$; the rest is notebook 03.
# - The learning rate matters most. Too small costs time, too large costs everything.
# - Momentum sums gradients, so what agrees grows. Adam divides by their size, so every parameter moves
#   about $\eta$.
# - An L2 penalty is weight decay for SGD, and is not for Adam.
#
# **Next.** In notebook [07](../07-autograd-engine/07-autograd-engine.ipynb) you write the program that finds the gradients by
# itself. In notebook
# [08](../08-transformer-block/08-transformer-block.ipynb) a step like these trains a character model. Back to
# notebook [05](../05-regularized-mlp-derivation/05-regularized-mlp-derivation.ipynb).
