# %% [markdown]
# # 08 · A transformer block, whole
#
# **56 points · about 122 minutes**
#
# A language model is a stack of one block, repeated. In this notebook you write that block, forward
# and backward: layer normalization, attention with several heads, two residual connections, and the
# feed-forward network. No engine helps. Every line forward gets its line backward.
#
# At the end the block stands in a small model that reads text letter by letter. You train it with your
# own gradients and let it write.
#
# **Builds on.** Notebook [03](../03-two-layer-ffn/03-two-layer-ffn.ipynb): the feed-forward network for
# tokens. Notebook [04](../04-residual-gradients/04-residual-gradients.ipynb): residual connections, and
# where the normalization stands. Notebook [06](../06-training-loop/06-training-loop.ipynb): losses of
# classes, and steps. The functions that you need from them come ready in the setup cell.
#
# **Leaves out.** Several blocks on top of each other, dropout, word pieces in place of letters, and
# all that makes attention fast.

# %% [markdown]
# ## What you will build
#
# The stream of tokens runs from left to right. Two branches leave it and return: the first lets tokens
# hear each other, the second works on each token by itself. Each branch begins with a normalization.

# %% nbgrader={"grade_id": "setup", "locked": true}
import time
from copy import deepcopy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from autograder import pictures
from autograder.checks import Check, two_values
from autograder.pictures import attempt, progress, written
from autograder.provided.forward_pass import log_softmax, softmax
from autograder.provided.manual_backprop import numerical_gradient
from autograder.provided.two_layer_ffn import ffn_backward_batch, ffn_forward_batch

pictures.use_print_style()
threadpool_limits(1)  # matrices this small are multiplied faster by one core than by several
F = torch.nn.functional

# %% nbgrader={"grade_id": "picture-of-the-block", "locked": true}
fig, ax = plt.subplots(figsize=(8.2, 3))
forward, backward = pictures.BLUE, pictures.VERMILION
for place, name in [(0, "$x$"), (4.15, "+"), (8.15, "+"), (9.2, "$y$")]:
    pictures.box(ax, (place, 0.6), name)
for start, end in [(0.2, 3.93), (4.37, 7.93), (8.37, 8.98)]:
    pictures.arrow(ax, (start, 0.66), (end, 0.66), "", forward)
    pictures.arrow(ax, (end, 0.5), (start, 0.5), "", backward, dashed=True)
pictures.arrow(ax, (10.1, 0.5), (9.42, 0.5), "", backward, dashed=True)
for left, first, second in [(0.7, "layer\nnorm", "attention"), (4.75, "layer\nnorm", "FFN")]:
    pictures.box(ax, (left + 0.5, 2.1), first)
    pictures.box(ax, (left + 2.1, 2.1), second, color=pictures.GREEN)
    pictures.arrow(ax, (left - 0.1, 0.66), (left + 0.35, 1.72), "", forward)
    pictures.arrow(ax, (left + 0.95, 2.17), (left + 1.55, 2.17), "", forward)
    pictures.arrow(ax, (left + 1.55, 2.01), (left + 0.95, 2.01), "", backward, dashed=True)
    pictures.arrow(ax, (left + 2.55, 1.8), (left + 3.35, 0.86), "", forward)
    pictures.arrow(ax, (left + 3.15, 0.86), (left + 2.35, 1.8), "", backward, dashed=True)
    pictures.arrow(ax, (left + 0.15, 1.72), (left - 0.3, 0.66), "", backward, dashed=True)
for place, name in [(9.75, "$dy$"), (4.55, "$da$"), (0, "$dx$")]:
    ax.text(place, 0.2, name, ha="center", va="center", color=backward)
ax.text(6.2, 0.85, "$a$", ha="center", va="center", color=forward)
ax.text(2.8, 2.75, "tokens hear each other", ha="center", color=pictures.GREEN, fontsize=9)
ax.text(6.85, 2.75, "each token by itself", ha="center", color=pictures.GREEN, fontsize=9)
ax.set(xlim=(-0.4, 10.2), ylim=(0.05, 3), title="One block: solid forward, dashed backward")
ax.axis("off")
plt.show()

# %% [markdown]
# *Picture: a line from x to y with two additions. Before each addition a branch leaves the line, goes
# up through a layer norm and a second box, and comes down into the addition. The second box is
# attention in the first branch and FFN in the second. Dashed arrows run the same ways back. Drawn by
# the cell above; it uses none of your functions.*
#
# ### Conventions
#
# - $dV$ is the gradient of the loss with respect to $V$, and has the shape of $V$.
# - B sequences of T tokens, each token d numbers wide: `x` has shape (B, T, d).
# - Weights are (n_out, n_in), as in `torch.nn.Linear`. Attention has no biases.
# - Everything is float64. A function leaves its inputs as they are and returns new arrays. A cache may
#   hold the inputs themselves, and what else stands in it is your decision.
# - Where an exercise asks for a forward and a backward function, the check calls them one after the
#   other and hands your cache from the first to the second.
# - You write NumPy. PyTorch appears in the checks and in two cells that compare.
# - Replace `raise NotImplementedError`, run the cell, then the check below it. Some cases of a check
#   are hidden.

# %% [markdown]
# ## 1. Back through softmax
#
# Softmax makes probabilities $p$ from scores $z$, one row at a time:
#
# $$ p_i = \frac{e^{z_i}}{\sum_k e^{z_k}} $$
#
# In notebook 06 softmax stood next to its loss, and the two together had a short gradient, $p$ minus
# one-hot. In attention no loss follows it, so it needs a backward pass of its own.
#
# Each probability depends on **every** score of its row, through the denominator. The quotient rule
# gives two cases, which one formula covers ($\delta_{ij}$ is 1 for $i = j$ and 0 otherwise):
#
# $$ \frac{\partial p_i}{\partial z_j} = p_i\,(\delta_{ij} - p_j) $$
#
# A score gets what all probabilities of its row hand back, so $dz_j = \sum_i dp_i\,
# \frac{\partial p_i}{\partial z_j}$.

# %% [markdown]
# ### Exercise: `softmax_backward(dprobs, probs)`
#
# **What it is for.** The middle of the backward pass of attention.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `probs` | (..., n) | the output of softmax, each row sums to 1 |
# | `dprobs` | (..., n) | gradient of the loss with respect to `probs` |
# | `dlogits` | (..., n) | gradient with respect to the scores |
#
# The dots stand for any axes before the last. Softmax runs along the last axis, and so does the sum.
#
# **4 points · 12 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to get rid of the sum over <i>i</i>.</summary>
#
# Put the derivative into the sum and open the bracket. One of the two sums has $\delta_{ij}$ in it, so
# only one of its terms remains. The other has a factor that does not depend on $i$.
#
# </details>
#
# <details><summary>I'm not sure whether I need a matrix of derivatives.</summary>
#
# No. What is left of the second sum is one number for each row. Give it an axis of length 1 with
# `keepdims=True`, and it meets every score of its row.
#
# </details>
#
# <details><summary>I'm not sure whether my result can be right.</summary>
#
# The same number added to all scores of a row changes no probability. So each row of `dlogits` sums
# to zero.
#
# </details>


# %% nbgrader={"grade_id": "softmax_backward", "solution": true}
def softmax_backward(dprobs, probs):
    """The gradient of the scores that went into softmax.

    Args:
        dprobs: gradient of the loss with respect to probs, shape (..., n)
        probs: what softmax returned, along the last axis, shape (..., n)

    Returns:
        dlogits: gradient of the scores, shape (..., n)
    """
    ### BEGIN SOLUTION
    weighted_mean = np.sum(dprobs * probs, axis=-1, keepdims=True)
    return probs * (dprobs - weighted_mean)
    ### END SOLUTION


# %% nbgrader={"grade_id": "softmax_backward-check", "grade": true, "points": 4}
rng = np.random.default_rng(101)


def pytorch(dprobs, probs):
    logits = torch.log(probs).detach().requires_grad_()  # scores that have these probabilities
    return torch.autograd.grad((dprobs * torch.softmax(logits, dim=-1)).sum(), logits)[0]


def rows_case(*shape):
    return {"dprobs": rng.normal(size=shape), "probs": softmax(rng.normal(size=shape))}


check = Check("softmax_backward", pytorch, returns={"dlogits": 4})
check.case("3 rows of 5", **rows_case(3, 5))
check.case("4 rows of 4", **rows_case(4, 4))
check.case("four axes, as in attention", **rows_case(2, 3, 4, 5))
### BEGIN HIDDEN TESTS
check.hidden.case("one row", **rows_case(6))
check.hidden.case(
    "a probability of zero",
    **rows_case(2, 3, 3)
    | {"probs": np.array([[[1.0, 0, 0], [0.25, 0.75, 0], [0.5, 0.2, 0.3]]] * 2)},
)
check.hidden.case("all axes alike", **rows_case(3, 3, 3, 3))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Which scores should rise when one probability should? The next cell asks your function, with an
# upstream gradient of 1 at one probability and 0 at the others. Row $i$ of the picture is the answer
# for probability $i$.

# %%
p = softmax(np.array([2.0, 1.0, 0.5, 0.0, -1.0]))
if written(softmax_backward, np.eye(5), np.tile(p, (5, 1)), shape=(5, 5)):
    jacobian = softmax_backward(np.eye(5), np.tile(p, (5, 1)))
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), width_ratios=[1, 1.3])
    left.bar(range(5), p, color=pictures.BLUE)
    left.set(xlabel="i", ylabel="$p_i$", title="Five probabilities")
    image = right.imshow(jacobian, cmap="PuOr", vmin=-0.25, vmax=0.25)
    fig.colorbar(image)
    right.set(xlabel="score j", ylabel="probability i", title="How $p_i$ depends on $z_j$")
    right.grid(False)
    plt.show()

# %% [markdown]
# *Picture: left, five bars that fall from 0.6 to 0.03. Right, a grid of 5 by 5 squares. The diagonal has
# one color and all others the opposite one, pale where both probabilities are small. The grid is drawn
# from your `softmax_backward`.*
#
# On the diagonal a score helps its own probability. Everywhere else it takes from the others. Where a
# probability is near 0 or 1, all is pale: a softmax that is sure of itself passes hardly any gradient.
# Keep that in mind for the scale in section 3.

# %% [markdown]
# ## 2. Layer normalization
#
# A residual stream grows from block to block. Layer normalization brings each token back to a standard
# size before a branch works on it. It acts on each token by itself, along the last axis of $x$:
#
# $$ \mu = \frac1d \sum_i x_i \qquad v = \frac1d \sum_i (x_i - \mu)^2 \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{v + \varepsilon}} \qquad y_i = \gamma_i\, \hat x_i + \beta_i $$
#
# $\gamma$ and $\beta$ are trained and have one number for each of the $d$ places. (Ba, Kiros and
# Hinton, *Layer Normalization*, 2016.)
#
# **Backward.** Start with the last formula. $\gamma$ and $\beta$ meet every token, so their gradients are
# sums over all tokens. And $d\hat x_i = dy_i\, \gamma_i$.
#
# The step from $\hat x$ to $x$ takes more care. $x_j$ acts on $\hat x_i$ in three ways: as $x_i$ itself if
# $i = j$, through $\mu$, and through $v$. With $s = \sqrt{v + \varepsilon}$ the three add up to
#
# $$ \frac{\partial \hat x_i}{\partial x_j} = \frac1s \left( \delta_{ij} - \frac1d -
# \frac{\hat x_i\, \hat x_j}{d} \right) $$
#
# From here it is the work of section 1 again: $dx_j = \sum_i d\hat x_i\,
# \frac{\partial \hat x_i}{\partial x_j}$, and each of the three terms becomes one short expression.

# %% [markdown]
# ### Exercise: `layernorm_forward(x, gamma, beta, eps)` and `layernorm_backward(dy, cache)`
#
# **What it is for.** The first box of each branch.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (..., d) | tokens, with one or more axes before the last |
# | `gamma`, `beta` | (d,) | scale and shift of each place |
# | `eps` | () | $\varepsilon$, added to the variance |
# | `y` | shape of `x` | the normalized tokens |
# | `cache` | | whatever your backward function needs |
# | `dy` | shape of `x` | gradient of the loss with respect to `y` |
# | `dx` | shape of `x` | |
# | `dgamma`, `dbeta` | (d,) | summed over all tokens |
#
# Points: 3 for `y`, 4 for `dx`, 2 for `dgamma`, 1 for `dbeta`.
#
# **10 points · 24 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure which variance this is.</summary>
#
# The mean of the squared distances: it divides by $d$. `x.var(axis=-1)` does that, unless you tell it
# otherwise.
#
# </details>
#
# <details><summary>I'm not sure over which axes to sum for <code>dgamma</code>.</summary>
#
# Over all but the last. `dy.reshape(-1, d)` makes one row of each token, whatever axes there were. Which
# sum then leaves (d,)?
#
# </details>
#
# <details><summary>I'm not sure how to turn the formula with <i>i</i> and <i>j</i> into code.</summary>
#
# Write the sum over $i$ three times, once for each term in the bracket. The first leaves $d\hat x_j$. The
# second leaves a mean along the last axis. The third also leaves a mean, of a product, and a factor that
# depends on $j$.
#
# </details>
#
# <details><summary>I'm not sure whether my <code>dx</code> can be right.</summary>
#
# The same number added to all places of a token changes nothing in $\hat x$. So each token's `dx` sums
# to zero along the last axis. What else can you do to a token without a change?
#
# </details>


# %% nbgrader={"grade_id": "layernorm_forward", "solution": true}
def layernorm_forward(x, gamma, beta, eps):
    """Layer normalization along the last axis.

    Args:
        x: tokens, shape (..., d)
        gamma: scale of each place, shape (d,)
        beta: shift of each place, shape (d,)
        eps: added to the variance, a number, shape ()

    Returns:
        y: the normalized tokens, shape of x
        cache: whatever layernorm_backward needs
    """
    ### BEGIN SOLUTION
    mu = x.mean(axis=-1, keepdims=True)
    s = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - mu) / s
    y = gamma * x_hat + beta
    return y, {"x_hat": x_hat, "s": s, "gamma": gamma}
    ### END SOLUTION


def layernorm_backward(dy, cache):
    """The gradients of layer normalization.

    Args:
        dy: gradient of the loss with respect to the output, shape (..., d)
        cache: what layernorm_forward returned

    Returns:
        dx: gradient of the tokens, shape of dy
        dgamma: gradient of gamma, shape (d,)
        dbeta: gradient of beta, shape (d,)
    """
    ### BEGIN SOLUTION
    x_hat, s, gamma = cache["x_hat"], cache["s"], cache["gamma"]
    d = dy.shape[-1]

    dbeta = dy.reshape(-1, d).sum(axis=0)
    dgamma = (dy * x_hat).reshape(-1, d).sum(axis=0)

    dx_hat = dy * gamma
    through_mean = dx_hat.mean(axis=-1, keepdims=True)
    through_variance = x_hat * (dx_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = (dx_hat - through_mean - through_variance) / s
    return dx, dgamma, dbeta
    ### END SOLUTION


# %% nbgrader={"grade_id": "layernorm_forward-check", "grade": true, "points": 10}
rng = np.random.default_rng(102)
normal = rng.normal


def pytorch(x, gamma, beta, eps, dy):
    y = torch.nn.functional.layer_norm(x, gamma.shape, gamma, beta, eps)
    return y, *torch.autograd.grad((dy * y).sum(), (x, gamma, beta))


def tokens_case(*shape, eps):
    d = shape[-1]
    x, dy = normal(size=(2, *shape))
    return {"x": 2 * x + 1, "gamma": normal(size=d), "beta": normal(size=d), "eps": eps, "dy": dy}


check = Check(
    "layernorm_forward",
    pytorch,
    backward="layernorm_backward",
    returns={"y": 3, "dx": 4, "dgamma": 2, "dbeta": 1},
    order=["y", "dbeta", "dgamma", "dx"],
)
check.case("2 sequences of 4 tokens, 5 wide", **tokens_case(2, 4, 5, eps=1e-5))
check.case("4 tokens, 4 wide, a large ε", **tokens_case(4, 4, eps=0.5))
### BEGIN HIDDEN TESTS
check.hidden.case("two axes before the last, all alike", **tokens_case(3, 3, 3, eps=1e-3))
check.hidden.case("three axes before the last", **tokens_case(2, 3, 2, 6, eps=1e-5))
check.hidden.case("one token of two numbers", **tokens_case(1, 2, eps=0.1))
check.hidden.case(
    "a token whose numbers are all equal",
    **tokens_case(2, 3, 4, eps=1e-2) | {"x": np.stack([np.full((3, 4), 2.0), normal(size=(3, 4))])},
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# What does a gradient $d\hat x$ lose on its way to $dx$? Two parts: the one along $(1, 1, \dots, 1)$ and the one
# along $\hat x$. A token that moves in these two directions comes out of the normalization unchanged, if
# $\varepsilon$ is tiny. What remains is divided by the size of the token. The next cell makes a token
# louder and louder and measures the gradient that arrives. How does the line run, and why does it bend
# on the left?

# %%
rng = np.random.default_rng(103)
token, upstream = rng.normal(size=(2, 1, 64))
gamma, beta = np.ones(64), np.zeros(64)
if written(layernorm_forward, token, gamma, beta, 1e-5, values=2):
    _, cache = layernorm_forward(token, gamma, beta, 1e-5)
    if written(layernorm_backward, upstream, cache, values=3):
        loudness, arrived = np.logspace(-4, 3, 29), []
        for factor in loudness:
            _, cache = layernorm_forward(factor * token, gamma, beta, 1e-5)
            dx, _, _ = layernorm_backward(upstream, cache)
            arrived.append(np.linalg.norm(dx))
        fig, ax = plt.subplots()
        ax.loglog(loudness, arrived, "o-", ms=4, color=pictures.BLUE)
        ax.set(
            xlabel="factor before the token", ylabel="norm of dx", title="Loud tokens hear little"
        )
        plt.show()

# %% [markdown]
# *Picture: the norm of dx against the factor, both axes logarithmic. It is level up to about a
# thousandth and then falls as one over the factor. Drawn from your two functions.*
#
# Ten times louder, a tenth of the gradient. On the left, $\varepsilon$ is larger than the variance and
# sets the size alone. In a pre-LN model the stream grows with depth, so late branches change it less and
# less. That calms the training of deep models.

# %% [markdown]
# ## 3. Attention
#
# Attention lets a token collect something from the tokens before it. Each token makes three vectors: a
# *query* (what am I looking for?), a *key* (what do I offer?) and a *value* (what do I hand over?). One
# matrix makes all three. `W_qkv` has 3d rows: first d rows for q, then d for k, then d for v.
#
# The d numbers of each are then cut into `n_heads` pieces, one after the other, of $s$ = d / `n_heads`
# numbers. The first s numbers belong to head 0, the next s to head 1. Each head works by itself. For
# one head, with q, k and v of shape (T, s):
#
# $$ S = \frac{q\,k^\top}{\sqrt s} \qquad P = \mathrm{softmax}(S + \text{mask}) \qquad O = P\,v $$
#
# - $S$ and $P$ are (T, T): a row for each token that asks, a column for each that answers. $O$ is (T, s).
# - $S_{ij}$ says how well the key of token $j$ fits the query of token $i$. A sum of $s$ products has a
#   variance of about $s$; the root brings it back to 1, so that softmax is not too sure of itself.
# - **Causal:** token $i$ may look at itself and at tokens before it. The mask is $-\infty$ for $j > i$
#   and 0 elsewhere, so these probabilities are 0.
# - The outputs of all heads stand next to each other again, *merged*, shape (T, d), and
#   `out = merged @ W_out.T`.
#
# (Vaswani and others, *Attention Is All You Need*, 2017.)
#
# Cutting and merging are a matter of axes. The next cell has both, ready for you. Each undoes the other,
# so each is also the other's backward pass.


# %% nbgrader={"grade_id": "heads", "locked": true}
def split_heads(x, n_heads):
    """(B, T, d) becomes (B, n_heads, T, d / n_heads): one matrix for each sequence and head."""
    B, T, d = x.shape
    return x.reshape(B, T, n_heads, d // n_heads).transpose(0, 2, 1, 3)


def merge_heads(x):
    """(B, n_heads, T, s) becomes (B, T, n_heads * s): the heads next to each other."""
    B, n_heads, T, s = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, n_heads * s)


example = np.arange(12.0).reshape(1, 2, 6)
print("2 tokens, 6 wide:\n", example[0])
print("head 0 of 3:\n", split_heads(example, 3)[0, 0])
print("head 2 of 3:\n", split_heads(example, 3)[0, 2])

# %% [markdown]
# **Backward.** Read the forward lines from the last to the first. Four of them are matrix products, and
# for $C = A B$ there is one rule (notebook 07): $dA = dC\, B^\top$ and $dB = A^\top dC$.
#
# | forward line | backward gives |
# |---|---|
# | `out = merged @ W_out.T` | $dW_{out}$ as in a linear layer, summed over all tokens; $d\,merged$ |
# | merge | cut into heads: $dO$ |
# | $O = P\,v$ | $dP$ and $dv$ |
# | $P = \mathrm{softmax}(S + \text{mask})$ | $dS$, with your `softmax_backward` |
# | $S = q\,k^\top / \sqrt s$ | $dq$ and $dk$ |
# | cut | merge: $dq$, $dk$, $dv$ next to each other, (B, T, 3d) |
# | `x @ W_qkv.T` | $dW_{qkv}$, summed over all tokens; $dx$ |
#
# And the mask? Where it is $-\infty$ the probability is 0, and the formula of section 1 has $p$ as a
# factor. So nothing flows back there, and the mask needs no line of its own.

# %% [markdown]
# ### Exercise: `attention_forward(x, W_qkv, W_out, n_heads)` and `attention_backward(dout, cache)`
#
# **What it is for.** The only place of a language model where tokens meet.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (B, T, d) | tokens |
# | `W_qkv` | (3d, d) | rows of q, then of k, then of v |
# | `W_out` | (d, d) | the layer after the heads |
# | `n_heads` | int | divides d |
# | `out` | (B, T, d) | output |
# | `cache` | | whatever your backward function needs |
# | `dout` | (B, T, d) | gradient of the loss with respect to `out` |
# | `dx` | (B, T, d) | |
# | `dW_qkv`, `dW_out` | (3d, d), (d, d) | summed over all tokens |
#
# `softmax`, `split_heads` and `merge_heads` are ready. Points: 5 for `out`, 4 for `dx`, 4 for `dW_qkv`, 2
# for `dW_out`.
#
# **15 points · 34 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how to get q, k and v out of one product.</summary>
#
# `x @ W_qkv.T` has shape (B, T, 3d). Its last axis holds q, k and v one after the other;
# `np.split(…, 3, axis=-1)` cuts it into three. Then cut each into heads.
#
# </details>
#
# <details><summary>I'm not sure how to transpose a key when there are four axes.</summary>
#
# `k.T` would reverse all of them. `k.swapaxes(-1, -2)` exchanges the last two, and `@` repeats the
# product for all others.
#
# </details>
#
# <details><summary>I'm not sure how to write the mask.</summary>
#
# `np.tri(T)` is a triangle of ones: row $i$ has ones up to column $i$. `np.where(allowed, S, -np.inf)`
# keeps the scores that are allowed. It must happen **before** softmax, or the rows no longer sum to 1.
#
# </details>
#
# <details><summary>I'm not sure which product gives <code>dk</code>.</summary>
#
# Take the rule for $C = AB$ with $A = q$ and $B = k^\top$. It gives the gradient of $k^\top$. Transpose
# both sides, and check the shape: $dk$ has one row for each token, like $k$.
#
# </details>
#
# <details><summary>I'm not sure which of my backward lines is wrong.</summary>
#
# Let notebook 02 judge, on a tiny input. With `f = lambda x: np.sum(dout * attention_forward(x, W_qkv,
# W_out, n_heads)[0])`, `numerical_gradient(f, x)` should be your `dx`. With `W_qkv` as the variable it
# judges `dW_qkv`, and that finds the line: its first d rows come from $dq$, the next from $dk$, the last
# from $dv$.
#
# </details>
#
# <details><summary>I'm not sure where the root goes on the way back.</summary>
#
# $S$ is a product times a constant. The constant stays where it is: divide once, before or after the
# products that give $dq$ and $dk$.
#
# </details>


# %% nbgrader={"grade_id": "attention_forward", "solution": true}
def attention_forward(x, W_qkv, W_out, n_heads):
    """Causal attention with several heads, without biases.

    Args:
        x: tokens, shape (B, T, d)
        W_qkv: the rows of q, then of k, then of v, shape (3d, d)
        W_out: the layer after the heads, shape (d, d)
        n_heads: how many heads share the d numbers, an int that divides d

    Returns:
        out: output, shape (B, T, d)
        cache: whatever attention_backward needs
    """
    ### BEGIN SOLUTION
    T = x.shape[1]
    q, k, v = (split_heads(part, n_heads) for part in np.split(x @ W_qkv.T, 3, axis=-1))

    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    allowed = np.tri(T, dtype=bool)
    probs = softmax(np.where(allowed, scores, -np.inf))
    merged = merge_heads(probs @ v)
    out = merged @ W_out.T

    cache = {"x": x, "q": q, "k": k, "v": v, "probs": probs, "merged": merged}
    return out, cache | {"W_qkv": W_qkv, "W_out": W_out}
    ### END SOLUTION


def attention_backward(dout, cache):
    """The gradients of causal attention.

    Args:
        dout: gradient of the loss with respect to the output, shape (B, T, d)
        cache: what attention_forward returned

    Returns:
        dx: gradient of the tokens, shape (B, T, d)
        dW_qkv: gradient of W_qkv, shape (3d, d)
        dW_out: gradient of W_out, shape (d, d)
    """
    ### BEGIN SOLUTION
    q, k, v, probs = cache["q"], cache["k"], cache["v"], cache["probs"]
    n_heads, s, d = q.shape[1], q.shape[-1], dout.shape[-1]

    dW_out = dout.reshape(-1, d).T @ cache["merged"].reshape(-1, d)
    dheads = split_heads(dout @ cache["W_out"], n_heads)

    dprobs = dheads @ v.swapaxes(-1, -2)
    dv = probs.swapaxes(-1, -2) @ dheads
    dscores = softmax_backward(dprobs, probs) / np.sqrt(s)
    dq = dscores @ k
    dk = dscores.swapaxes(-1, -2) @ q

    dqkv = np.concatenate([merge_heads(part) for part in (dq, dk, dv)], axis=-1)
    dW_qkv = dqkv.reshape(-1, 3 * d).T @ cache["x"].reshape(-1, d)
    dx = dqkv @ cache["W_qkv"]
    return dx, dW_qkv, dW_out
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention_forward-check", "grade": true, "points": 15}
rng = np.random.default_rng(104)
normal = rng.normal


def pytorch(x, W_qkv, W_out, n_heads, dout):
    def heads(part):
        return part.unflatten(-1, (n_heads, -1)).transpose(1, 2)

    q, k, v = (heads(part) for part in F.linear(x, W_qkv).chunk(3, dim=-1))
    merged = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
    out = F.linear(merged, W_out)
    return out, *torch.autograd.grad((dout * out).sum(), (x, W_qkv, W_out))


def attention_case(B, T, d, n_heads):
    return {
        "x": normal(size=(B, T, d)),
        "W_qkv": normal(size=(3 * d, d)) / np.sqrt(d),
        "W_out": normal(size=(d, d)) / np.sqrt(d),
        "n_heads": n_heads,
        "dout": normal(size=(B, T, d)),
    }


check = Check(
    "attention_forward",
    pytorch,
    backward="attention_backward",
    returns={"out": 5, "dx": 4, "dW_qkv": 4, "dW_out": 2},
    order=["out", "dW_out", "dW_qkv", "dx"],
)
check.case("2 sequences of 5 tokens, 3 heads of 4 numbers", **attention_case(2, 5, 12, 3))
check.case("4 sequences of 4 tokens, 2 heads of 2 numbers", **attention_case(4, 4, 4, 2))
### BEGIN HIDDEN TESTS
check.hidden.case("one head", **attention_case(3, 4, 5, 1))
check.hidden.case("as many heads as numbers in each", **attention_case(2, 6, 9, 3))
check.hidden.case("heads of one number", **attention_case(3, 2, 4, 4))
check.hidden.case("one token", **attention_case(2, 1, 6, 2))
check.hidden.case("one sequence, longer than wide", **attention_case(1, 11, 8, 2))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# In notebook 03 you asked the feed-forward network which tokens hear which, and only the diagonal was
# bright. Ask attention the same. An upstream gradient goes in at **one** token $i$ of the output. Row
# $i$ of the picture is the size of $dx$ at each token $j$. Where do you expect nothing at all?

# %%
rng = np.random.default_rng(105)
T, d, n_heads = 8, 12, 3
x = rng.normal(size=(1, T, d))
W_qkv, W_out = rng.normal(size=(3 * d, d)) / np.sqrt(d), rng.normal(size=(d, d)) / np.sqrt(d)
if written(attention_forward, x, W_qkv, W_out, n_heads, values=2):
    _, cache = attention_forward(x, W_qkv, W_out, n_heads)
    if written(attention_backward, x, cache, shapes=[x.shape, W_qkv.shape, W_out.shape]):
        reach = np.zeros((T, T))
        for t in range(T):
            dout = np.zeros_like(x)
            dout[0, t] = rng.normal(size=d)
            reach[t] = np.linalg.norm(attention_backward(dout, cache)[0][0], axis=-1)
        fig, ax = plt.subplots(figsize=(4.2, 3.4))
        image = ax.imshow(reach, cmap="cividis")
        fig.colorbar(image, label="size of dx")
        ax.set(xlabel="token j of x", ylabel="token i of out", title="Which tokens hear which?")
        ax.grid(False)
        plt.show()
        print(f"largest number above the diagonal: {np.triu(reach, 1).max():.0e}")

# %% [markdown]
# *Picture: a grid of 8 by 8 squares, one for each pair of tokens. The lower left triangle with the
# diagonal has squares of all shades; above the diagonal every square is as dark as can be, exactly
# zero. Drawn from your two functions.*
#
# No output token hears of a later one. That is what lets a model train on all positions of a text at
# once: each position predicts its next letter without having seen it.

# %% [markdown]
# ## 4. The block
#
# Now the parts come together, in pre-LN order (notebook 04):
#
# $$ a = x + \mathrm{attention}(\mathrm{LN}_1(x)) \qquad y = a + \mathrm{FFN}(\mathrm{LN}_2(a)) $$
#
# $\mathrm{LN}_1$ has `gamma1` and `beta1`, $\mathrm{LN}_2$ has `gamma2` and `beta2`, and $\varepsilon =
# 10^{-5}$ in both. The FFN is that of notebook 03, with GELU in its tanh form.
#
# In PyTorch the block is the next cell. It has no backward pass, since PyTorch finds one by itself. Yours
# will have one.


# %% nbgrader={"grade_id": "pytorch-block", "locked": true}
def pytorch_block(x, params, n_heads):
    """The block in PyTorch: tensors in, a tensor out."""

    def norm(x, gamma, beta):
        return F.layer_norm(x, gamma.shape, gamma, beta, 1e-5)

    def heads(part):
        return part.unflatten(-1, (n_heads, -1)).transpose(1, 2)

    qkv = F.linear(norm(x, params["gamma1"], params["beta1"]), params["W_qkv"])
    q, k, v = (heads(part) for part in qkv.chunk(3, dim=-1))
    merged = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
    a = x + F.linear(merged, params["W_out"])
    z = F.linear(norm(a, params["gamma2"], params["beta2"]), params["W1"], params["b1"])
    return a + F.linear(F.gelu(z, approximate="tanh"), params["W2"], params["b2"])


# %% [markdown]
# **Backward.** Walk the two lines from the right. At each addition the upstream gradient goes both ways:
# along the stream, and through the branch. Where the branch left the stream, both shares add up.

# %% [markdown]
# ### Exercise: `transformer_block_forward(x, params, n_heads)` and `transformer_block_backward(dy, cache)`
#
# **What it is for.** What large language models repeat, forward and backward.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (B, T, d) | the stream before the block |
# | `params` | dict | `gamma1`, `beta1` (d,); `W_qkv` (3d, d); `W_out` (d, d); `gamma2`, `beta2` (d,); `W1` (d_ff, d); `b1` (d_ff,); `W2` (d, d_ff); `b2` (d,) |
# | `n_heads` | int | divides d |
# | `y` | (B, T, d) | the stream after the block |
# | `cache` | | whatever your backward function needs |
# | `dy` | (B, T, d) | gradient of the loss with respect to `y` |
# | `dx` | (B, T, d) | |
# | `grads` | dict | the gradient of each of the ten, under the same key |
#
# Call your functions. From notebook 03 the setup cell has `ffn_forward_batch(X, W1, b1, W2, b2)`, which
# returns `Y, cache`, and `ffn_backward_batch(dY, cache)`, which returns `dW1, db1, dW2, db2, dX`.
#
# One case of the check is as wide as a block of GPT-2's smallest model: (2, 10, 768) with 12 heads. Points:
# 4 for `y`, 3 for `dx`, 5 for `grads`: half a point for each of the ten.
#
# **12 points · 20 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure what the cache holds when every part has its own.</summary>
#
# The caches of the parts: four of them. Nothing else is needed, since an addition needs nothing.
#
# </details>
#
# <details><summary>I'm not sure where the backward pass begins.</summary>
#
# At the FFN, with $dy$: the addition hands it to the branch as it is. Then $\mathrm{LN}_2$. What comes out
# of it joins the share that stayed on the stream. The sum is $da$, and with $da$ the same begins again.
#
# </details>
#
# <details><summary>I'm not sure which normalization gets which cache.</summary>
#
# The one that ran last goes first. Give the four caches names, and use each once.
#
# </details>


# %% nbgrader={"grade_id": "transformer_block_forward", "solution": true}
def transformer_block_forward(x, params, n_heads):
    """A transformer block: attention and a feed-forward network, each normalized before it.

    Args:
        x: the stream before the block, shape (B, T, d)
        params: a dict of gamma1 beta1 W_qkv W_out gamma2 beta2 W1 b1 W2 b2
        n_heads: how many heads, an int that divides d

    Returns:
        y: the stream after the block, shape (B, T, d)
        cache: whatever transformer_block_backward needs
    """
    ### BEGIN SOLUTION
    normed, norm1 = layernorm_forward(x, params["gamma1"], params["beta1"], 1e-5)
    heard, attention = attention_forward(normed, params["W_qkv"], params["W_out"], n_heads)
    a = x + heard

    normed, norm2 = layernorm_forward(a, params["gamma2"], params["beta2"], 1e-5)
    ffn_params = (params[name] for name in ("W1", "b1", "W2", "b2"))
    thought, ffn = ffn_forward_batch(normed, *ffn_params)
    y = a + thought
    return y, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}
    ### END SOLUTION


def transformer_block_backward(dy, cache):
    """The gradients of a transformer block.

    Args:
        dy: gradient of the loss with respect to the output, shape (B, T, d)
        cache: what transformer_block_forward returned

    Returns:
        dx: gradient of the stream before the block, shape (B, T, d)
        grads: a dict with the gradient of each parameter
    """
    ### BEGIN SOLUTION
    dW1, db1, dW2, db2, dnormed = ffn_backward_batch(dy, cache["ffn"])
    through_ffn, dgamma2, dbeta2 = layernorm_backward(dnormed, cache["norm2"])
    da = dy + through_ffn

    dnormed, dW_qkv, dW_out = attention_backward(da, cache["attention"])
    through_attention, dgamma1, dbeta1 = layernorm_backward(dnormed, cache["norm1"])
    dx = da + through_attention

    grads = {"gamma1": dgamma1, "beta1": dbeta1, "W_qkv": dW_qkv, "W_out": dW_out}
    grads |= {"gamma2": dgamma2, "beta2": dbeta2, "W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
    return dx, grads
    ### END SOLUTION


# %% nbgrader={"grade_id": "transformer_block_forward-check", "grade": true, "points": 12}
rng = np.random.default_rng(106)
normal = rng.normal


def pytorch(x, params, n_heads, dy):
    y = pytorch_block(x, params, n_heads)
    backwards = list(params)[::-1]  # the last parameter of the block is the first to get a gradient
    wanted = [x, *(params[name] for name in backwards)]
    dx, *found = torch.autograd.grad((dy * y).sum(), wanted)
    return y, dx, dict(zip(backwards, found))


def block_case(B, T, d, d_ff, n_heads):
    params = {
        "gamma1": 1 + normal(size=d) / 2,
        "beta1": normal(size=d),
        "W_qkv": normal(size=(3 * d, d)) / np.sqrt(d),
        "W_out": normal(size=(d, d)) / np.sqrt(d),
        "gamma2": 1 + normal(size=d) / 2,
        "beta2": normal(size=d),
        "W1": normal(size=(d_ff, d)) / np.sqrt(d),
        "b1": normal(size=d_ff),
        "W2": normal(size=(d, d_ff)) / np.sqrt(d_ff),
        "b2": normal(size=d),
    }
    x, dy = normal(size=(2, B, T, d))
    return {"x": x, "params": params, "n_heads": n_heads, "dy": dy}


check = Check(
    "transformer_block_forward",
    pytorch,
    backward="transformer_block_backward",
    returns={"y": 4, "dx": 3, "grads": 5},
    order=["y", "grads", "dx"],
    by_entry=["grads"],
)
check.case("2 sequences of 4 tokens, 6 wide, 7 inside, 3 heads", **block_case(2, 4, 6, 7, 3))
check.case("all sizes equal, 2 heads", **block_case(4, 4, 4, 4, 2))
check.case("(2, 10, 768), 12 heads", **block_case(2, 10, 768, 160, 12))
### BEGIN HIDDEN TESTS
check.hidden.case("one head", **block_case(3, 5, 4, 9, 1))
check.hidden.case("one token", **block_case(2, 1, 6, 5, 2))
check.hidden.case("one sequence", **block_case(1, 7, 8, 3, 4))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# How near to PyTorch are you at full size? The next cell has a feed-forward network four times as wide as
# the stream, 7 million parameters in all. For each gradient it prints the largest difference, relative
# to the largest number of that gradient. Rounding alone leaves about $10^{-15}$ to $10^{-13}$.


# %% nbgrader={"grade_id": "full-size", "locked": true}
def block_params(d, d_ff, rng):
    """First parameters of a block. The matrices that write into the stream start small."""
    return {
        "gamma1": np.ones(d),
        "beta1": np.zeros(d),
        "W_qkv": rng.normal(size=(3 * d, d)) / np.sqrt(d),
        "W_out": rng.normal(size=(d, d)) / np.sqrt(4 * d),
        "gamma2": np.ones(d),
        "beta2": np.zeros(d),
        "W1": rng.normal(size=(d_ff, d)) / np.sqrt(d),
        "b1": np.zeros(d_ff),
        "W2": rng.normal(size=(d, d_ff)) / np.sqrt(4 * d_ff),
        "b2": np.zeros(d),
    }


def as_tensors(params):
    """The same parameters for PyTorch, which shall find their gradients."""
    return {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}


rng = np.random.default_rng(107)
x, dy = rng.normal(size=(2, 2, 10, 768))
large = block_params(768, 3072, rng)
if written(transformer_block_forward, x, large, 12, values=2):
    began = time.perf_counter()
    _, cache = transformer_block_forward(x, large, 12)
    answer = attempt(transformer_block_backward, dy, cache)
    if answer is not None:
        print(f"forward and backward: {time.perf_counter() - began:.2f} s")
        try:
            dx, grads = answer
            tensors = as_tensors(large) | {"x": torch.tensor(x, requires_grad=True)}
            y = pytorch_block(tensors["x"], tensors, 12)
            theirs = torch.autograd.grad(y, list(tensors.values()), torch.tensor(dy))
            for name, gradient in zip(tensors, theirs):
                mine, wanted = (grads | {"x": dx})[name], gradient.numpy()
                apart = np.abs(mine - wanted).max() / np.abs(wanted).max()
                print(f"d{name:7} relative difference {apart:.0e}")
        except Exception as error:  # an answer that is not right yet, or no PyTorch in reach
            print(f"There is nothing to compare, {type(error).__name__}: {error}")

# %% [markdown]
# ## 5. A model that reads letters
#
# One block, and around it the least that a language model needs.
#
# | key of `params` | shape | meaning |
# |---|---|---|
# | `E` | (V, d) | *embedding*: one row for each of V characters |
# | `P` | (T_max, d) | one row for each position, up to T_max |
# | the ten of section 4 | | the block |
# | `gamma3`, `beta3` | (d,) | a third layer normalization, after the block, $\varepsilon = 10^{-5}$ |
# | `W_vocab` | (V, d) | one row of weights for each possible next character, no bias |
#
# Characters are numbers from 0 to V − 1. A batch `tokens` has shape (B, T+1). The first T of each row go
# in, and the last T are what the model should say: at each position the character that follows. With
# `inputs = tokens[:, :-1]` and `targets = tokens[:, 1:]`:
#
# $$ x_{bt} = E_{\mathrm{inputs}_{bt}} + P_t \qquad y = \mathrm{block}(x) \qquad
# n = \mathrm{LN}_3(y) \qquad \mathrm{logits} = n\, W_{vocab}^\top $$
#
# The loss is the mean of $-\log p$ of the right character, over all $B \cdot T$ positions.
#
# **Backward.** From notebook 06 you know $d\,\mathrm{logits}$: softmax minus one-hot, divided by the number
# of terms in the mean. Then a linear layer, $\mathrm{LN}_3$, the block. At the end stands $dx$, and it goes
# to two tables:
#
# - Row $t$ of $P$ was added at position $t$ of every sequence.
# - A row of $E$ was added wherever its character stands, often several times in one batch.
#
# What is used several times gets the sum of all its gradients. Rows that were not used get zero.

# %% [markdown]
# ### Exercise: `train_step(params, tokens, lr, n_heads)`
#
# **What it is for.** One step of training a language model, with no gradient that is not yours.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `params` | dict | the fifteen parameters of the table above |
# | `tokens` | (B, T+1) | whole numbers from 0 to V − 1; T is at most T_max |
# | `lr` | () | $\eta$ of plain SGD: every parameter moves by $-\eta$ times its gradient |
# | `n_heads` | int | divides d |
# | `new_params` | dict | the fifteen after the step, new arrays under the same keys |
# | `loss` | () | the loss **before** the step |
#
# `softmax` and `log_softmax` are ready. The check makes several steps with your function. Points: 4 for the loss of the first step. For the
# parameters after it, in the order of the backward pass: 3 for `W_vocab`, `gamma3`, `beta3`; 3 for the ten
# of the block; 4 for `P` and `E`. And 1 for the losses of all steps.
#
# **15 points · 32 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure how to look up embeddings.</summary>
#
# An array of whole numbers as an index does it: `E[inputs]` has shape (B, T, d). For the positions, take
# the first T rows of `P`; NumPy repeats them for every sequence.
#
# </details>
#
# <details><summary>I'm not sure how to pick the log-probability of the right character.</summary>
#
# `np.take_along_axis(log_p, targets[..., None], axis=-1)` takes from each row the one at its target. Or
# make a one-hot array with `np.eye(V)[targets]`; you need it in the backward pass as well.
#
# </details>
#
# <details><summary>I'm not sure why my gradient of <code>E</code> is too small.</summary>
#
# `dE[inputs] += dx` writes each row once, even where a character occurs more often: the last one wins.
# `np.add.at(dE, inputs, dx)` adds every time.
#
# </details>
#
# <details><summary>I'm not sure how to update fifteen parameters.</summary>
#
# Collect all gradients in one dict under the keys of `params`. Yours from the block has ten of them
# already. Then one dict comprehension makes the new ones.
#
# </details>


# %% nbgrader={"grade_id": "train_step", "solution": true}
def train_step(params, tokens, lr, n_heads):
    """One step of gradient descent of a character model with one block.

    Args:
        params: a dict of E, P, the ten of the block, gamma3, beta3 and W_vocab
        tokens: characters as whole numbers, shape (B, T+1)
        lr: learning rate, a number, shape ()
        n_heads: how many heads, an int

    Returns:
        new_params: a dict of new arrays under the same keys
        loss: the mean loss before the step, a number, shape ()
    """
    ### BEGIN SOLUTION
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    B, T = inputs.shape
    V, d = params["W_vocab"].shape

    x = params["E"][inputs] + params["P"][:T]
    y, block = transformer_block_forward(x, params, n_heads)
    n, norm3 = layernorm_forward(y, params["gamma3"], params["beta3"], 1e-5)
    log_p = log_softmax(n @ params["W_vocab"].T)
    one_hot = np.eye(V)[targets]
    loss = -np.sum(one_hot * log_p) / (B * T)

    dlogits = (np.exp(log_p) - one_hot) / (B * T)
    dW_vocab = dlogits.reshape(-1, V).T @ n.reshape(-1, d)
    dy, dgamma3, dbeta3 = layernorm_backward(dlogits @ params["W_vocab"], norm3)
    dx, grads = transformer_block_backward(dy, block)
    dP = np.zeros_like(params["P"])
    dP[:T] = dx.sum(axis=0)
    dE = np.zeros_like(params["E"])
    np.add.at(dE, inputs, dx)

    grads |= {"W_vocab": dW_vocab, "gamma3": dgamma3, "beta3": dbeta3, "P": dP, "E": dE}
    new_params = {name: value - lr * grads[name] for name, value in params.items()}
    return new_params, loss
    ### END SOLUTION


# %% nbgrader={"grade_id": "train_step-check", "grade": true, "points": 15}
rng = np.random.default_rng(108)
normal = rng.normal


def parts_case(params):
    """The parameters in three parts, in the order of the backward pass."""
    if not isinstance(params, dict):
        return params, params, params
    block = ["W2", "b2", "W1", "b1", "gamma2", "beta2", "W_out", "W_qkv", "gamma1", "beta1"]
    parts = ["W_vocab", "gamma3", "beta3"], block, ["P", "E"]
    return [{name: params[name] for name in names if name in params} for names in parts]


def pytorch(params, batches, lr, n_heads):
    optimizer, losses = torch.optim.SGD(params.values(), lr=lr), []
    for step, tokens in enumerate(batches):
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        y = pytorch_block(params["E"][inputs] + params["P"][: inputs.shape[1]], params, n_heads)
        n = F.layer_norm(y, y.shape[-1:], params["gamma3"], params["beta3"], 1e-5)
        logits = F.linear(n, params["W_vocab"])
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step == 0:
            after = {name: value.detach().clone() for name, value in params.items()}
    return losses[0], *parts_case(after), losses


# The first step gets params themselves, so that a change of them shows. What it returned is copied
# before the next step can change it. Without all parameters there is no next step.
def probe(train_step, params, batches, lr, n_heads):
    losses, after, here = [], None, params
    for tokens in batches:
        here, loss = two_values(train_step(here, tokens, lr, n_heads), "new_params, loss")
        losses.append(loss)
        after = deepcopy(here) if after is None else after
        if not isinstance(here, dict) or params.keys() - here.keys():
            break
    return losses[0], *parts_case(after), losses


def model_case(V, T_max, d, d_ff, n_heads, steps, B, T):
    block = {
        "gamma1": 1 + normal(size=d) / 4,
        "beta1": normal(size=d) / 4,
        "W_qkv": normal(size=(3 * d, d)) / np.sqrt(d),
        "W_out": normal(size=(d, d)) / np.sqrt(d),
        "gamma2": 1 + normal(size=d) / 4,
        "beta2": normal(size=d) / 4,
        "W1": normal(size=(d_ff, d)) / np.sqrt(d),
        "b1": normal(size=d_ff) / 4,
        "W2": normal(size=(d, d_ff)) / np.sqrt(d_ff),
        "b2": normal(size=d) / 4,
    }
    around = {
        "E": normal(size=(V, d)),
        "P": normal(size=(T_max, d)),
        "gamma3": 1 + normal(size=d) / 4,
    }
    around |= {"beta3": normal(size=d) / 4, "W_vocab": normal(size=(V, d)) / np.sqrt(d)}
    batches = list(rng.integers(V, size=(steps, B, T + 1)))
    return {"params": around | block, "batches": batches, "lr": 0.05, "n_heads": n_heads}


check = Check(
    "train_step",
    pytorch,
    returns={"loss": 4, "new_output_layer": 3, "new_block": 3, "new_tables": 4, "losses": 1},
    probe=probe,
)
check.case("7 characters, 3 sequences of 4, twenty steps", **model_case(7, 6, 6, 8, 3, 20, 3, 4))
check.case("all sizes 4, 2 heads", **model_case(4, 4, 4, 4, 2, 2, 4, 4))
### BEGIN HIDDEN TESTS
check.hidden.case("one sequence as long as P", **model_case(9, 7, 8, 5, 2, 3, 1, 7))
check.hidden.case("one character in, one out", **model_case(5, 3, 6, 4, 1, 2, 6, 1))
check.hidden.case(
    "two characters only, so all are used often", **model_case(2, 9, 4, 6, 4, 3, 5, 8)
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 6. A text to learn from
#
# Beside this notebook lies `alice.txt`: the first pages of *Alice's Adventures in Wonderland* by Lewis
# Carroll, published in 1865. Its author died in 1898, more than a hundred years ago, so the text belongs
# to everybody. `alice.md` says more.
#
# The cell below makes one line of it, in small letters. What is left are 38 different characters, and
# each gets a number. `batch` takes pieces of 25 characters from random places.

# %% nbgrader={"grade_id": "text", "locked": true}
text = " ".join(Path("alice.txt").read_text(encoding="utf-8").split()).lower()
letters = sorted(set(text))
number_of = {letter: number for number, letter in enumerate(letters)}
numbers = np.array([number_of[letter] for letter in text])
V, T, d, d_ff, n_heads = len(letters), 24, 48, 192, 4


def batch(rng):
    """12 pieces of the text, T + 1 characters each, as numbers, shape (12, T + 1)."""
    starts = rng.integers(len(numbers) - T, size=12)
    return numbers[starts[:, None] + np.arange(T + 1)]


def first_params(rng):
    """What training starts from: small random tables and matrices, standard normalizations."""
    around = {"E": rng.normal(size=(V, d)) / 2, "P": rng.normal(size=(T, d)) / 2}
    around |= {"gamma3": np.ones(d), "beta3": np.zeros(d)}
    around["W_vocab"] = rng.normal(size=(V, d)) / np.sqrt(25 * d)
    return around | block_params(d, d_ff, rng)


start = first_params(np.random.default_rng(109))
print(f"{len(text)} characters, {V} different ones: {''.join(letters)!r}")
print(f"{sum(value.size for value in start.values())} parameters")
print(f"it begins: {text[:60]}…")

# %% [markdown]
# ### Is it PyTorch's curve?
#
# The check compared a few steps of a tiny model. The next cell takes the model you are about to train
# and makes 40 steps twice, on the same batches: once with your `train_step`, once with PyTorch's layers,
# autograd and optimizer.


# %% nbgrader={"grade_id": "pytorch-twin", "locked": true}
def pytorch_losses(params, batches, lr, n_heads):
    """The loss of every step of the same training in PyTorch."""
    tensors, losses = as_tensors(params), []
    optimizer = torch.optim.SGD(list(tensors.values()), lr=lr)
    for tokens in map(torch.tensor, batches):
        y = pytorch_block(tensors["E"][tokens[:, :-1]] + tensors["P"], tensors, n_heads)
        n = F.layer_norm(y, y.shape[-1:], tensors["gamma3"], tensors["beta3"], 1e-5)
        loss = F.cross_entropy((n @ tensors["W_vocab"].T).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def usable(answer):
    """Can what train_step returned go into its next call?"""
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], dict)):
        return False
    params, loss = answer
    same = all(np.shape(params.get(name)) == value.shape for name, value in start.items())
    return same and loss is not None and np.ndim(loss) == 0


rng = np.random.default_rng(110)
forty = [batch(rng) for _ in range(40)]
answer = attempt(train_step, start, forty[0], 0.5, n_heads)
ready = usable(answer)
if answer is not None and not ready:
    print("train_step does not return fifteen parameters and a loss; this cell needs them.")
if ready:
    mine, params = [], start
    for tokens in forty:
        params, loss = train_step(params, tokens, 0.5, n_heads)
        mine.append(float(loss))
    fig, ax = plt.subplots()
    ax.plot(range(1, 41), mine, color=pictures.BLUE, lw=4, alpha=0.5, label="your functions")
    try:
        theirs = pytorch_losses(start, forty, 0.5, n_heads)
    except Exception as error:  # where PyTorch is not installed, the rest still shows
        print(f"PyTorch's curve is left out: {error}")
    else:
        ax.plot(range(1, 41), theirs, ".--", color=pictures.VERMILION, lw=1, label="PyTorch")
        apart = [abs(one - other) for one, other in zip(mine, theirs)]
        print(f"largest distance in 20 steps: {max(apart[:20]):.0e}, in 40 steps: {max(apart):.0e}")
    ax.set(xlabel="step", ylabel="loss of the batch", title="One training, two programs")
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: the loss of 40 steps, a broad line from your functions and a thin dashed line with dots from
# PyTorch. Where both programs agree, the thin line runs inside the broad one. Drawn from your
# `train_step`.*
#
# ### What does it write before it has read anything?
#
# To write, the model gets the last 24 characters, and its probabilities for the next one are drawn from.
# The chosen character joins the text, and the window moves on. The logits are divided by 0.7 before
# softmax, which makes the model a little surer of itself than it is.


# %% nbgrader={"grade_id": "write", "locked": true}
def next_letter(params, so_far, rng):
    """One more character, drawn from what the model expects after ``so_far``."""
    inputs = np.array([[number_of[letter] for letter in so_far[-T:]]])
    x = params["E"][inputs] + params["P"][: inputs.shape[1]]
    y, _ = transformer_block_forward(x, params, n_heads)
    n, _ = layernorm_forward(y, params["gamma3"], params["beta3"], 1e-5)
    p = softmax(n[0, -1] @ params["W_vocab"].T / 0.7)
    return letters[rng.choice(V, p=p)]


def write(params, beginning="alice ", length=240):
    """``beginning`` and what the model makes of it."""
    rng, written_so_far = np.random.default_rng(111), beginning
    for _ in range(length):
        written_so_far += next_letter(params, written_so_far, rng)
    return written_so_far


if ready:
    print(attempt(write, start))

# %% [markdown]
# ### Train
#
# 1,500 steps, 12 pieces each, so every character is read about seventy times. The learning rate rises to 1
# over the first 100 steps, because large steps with random weights can throw a model off. Over the last
# third it falls to zero, so that the loss settles.
#
# Three dotted lines help to read the curve: guessing among all characters alike; knowing how often each
# one occurs; knowing how often each one follows each other. Only who looks further back than one
# character gets below the third.

# %%
if not ready:
    print("train_step comes first; its check says what is missing.")
else:
    steps, rng, trained, history = 1500, np.random.default_rng(112), start, []
    began = time.perf_counter()
    for step in progress(range(steps), "training"):
        lr = min(1.0, step / 100, 3 * (1 - step / steps))
        trained, loss = train_step(trained, batch(rng), lr, n_heads)
        history.append(float(loss))
        if not np.isfinite(loss):
            print(f"In step {step + 1} the loss is {loss}: the training ends here.")
            break
    print(f"{time.perf_counter() - began:.0f} s, mean loss of the last 100 steps: ", end="")
    print(f"{np.mean(history[-100:]):.2f}")

    pairs = np.zeros((V, V))
    np.add.at(pairs, (numbers[:-1], numbers[1:]), 1)
    share, follows = pairs / pairs.sum(), pairs / pairs.sum(axis=1, keepdims=True)
    single = share.sum(axis=1)
    lines = {
        "all alike": np.log(V),
        "how often each occurs": -np.sum(single * np.log(single)),
        "which follows which": -np.sum(share[share > 0] * np.log(follows[share > 0])),
    }
    fig, ax = plt.subplots(figsize=(7, 3.4))
    ax.plot(history, color=pictures.SKY, lw=0.5)
    smooth = np.convolve(history, np.ones(50) / 50, mode="valid")
    ax.plot(np.arange(len(smooth)) + 25, smooth, color=pictures.BLUE)
    for name, level in lines.items():
        ax.axhline(level, color=pictures.BLACK, ls=":", lw=1)
        ax.text(steps, level + 0.04, name, ha="right", fontsize=9)
    ax.set(xlabel="step", ylabel="loss", ylim=(0, 4), title="The history of your training")
    plt.show()

# %% [markdown]
# *Picture: the loss of 1,500 steps, a pale ragged line with a smooth one in it. It starts at the highest of
# three dotted lines, falls below the second at once and below the third after some hundred steps, and
# ends a little above 1. Drawn from your `train_step`.*
#
# Is yours near 0.1? Then look at your mask. A model that sees the next character needs no language to
# predict it, and what it writes by itself is nonsense.
#
# And what does it write now? The next cell prints the same beginning, continued by the model before and
# after training.

# %%
if ready:
    for name, params in [("before", start), ("after", trained)]:
        story = attempt(write, params)
        if story is not None:
            print(f"{name}: {story}\n")

# %% [markdown]
# Words, spaces, some turns of phrase; no sense. The model has seen a few pages only, and partly learned
# them by heart. It is the same block as in the large ones. They have more of them, wider ones, and more
# to read.
#
# ### Where does each head look?
#
# Your `attention_forward` returns no probabilities. But it averages values. So hand it values that say
# which token they come from, a 1 at the place of that token: what arrives at token $t$ is then its
# probability for each token. `pictures.attention_weights` does that, with the trained weights of the
# block, on a line of the text. What do the heads do when a word comes back?

# %%
line = "down, down, down. there "
if ready:
    x = trained["E"][[number_of[letter] for letter in line]] + trained["P"]
    normed = attempt(layernorm_forward, x, trained["gamma1"], trained["beta1"], 1e-5)
    heads = None
    if normed is not None:
        heads = attempt(
            pictures.attention_weights, attention_forward, normed[0], trained["W_qkv"], n_heads
        )
    if heads is not None:
        fig, axes = plt.subplots(2, 2, figsize=(7.6, 7.6))
        for number, ax in enumerate(axes.flat):
            ax.imshow(heads[number], cmap="cividis", vmin=0, vmax=1)
            ax.set_xticks(range(T), line, fontsize=7)
            ax.set_yticks(range(T), line, fontsize=7)
            ax.set(title=f"head {number}", xlabel="looks at", ylabel="character")
            ax.grid(False)
        plt.show()

# %% [markdown]
# *Picture: four grids of 24 by 24 squares, one for each head, with the characters of a line along both
# sides. Above the diagonal all is dark. Below it each head has a pattern of its own: one is bright beside
# the diagonal, others have bright columns. Drawn from your `attention_forward` and `layernorm_forward`.*
#
# Nobody told the heads what to do. A bright line beside the diagonal is a head that looks one character
# back. Bright columns are characters that many later ones look at, here mostly spaces and commas, where
# words begin and end.

# %% [markdown]
# ## Summary
#
# - A softmax row shares one denominator. What one probability gains the others lose, so the gradients
#   of its scores sum to zero.
# - Layer normalization takes two parts out of a gradient, along $(1, \dots, 1)$ and along the token, and
#   divides by the size of the token.
# - Attention backward is matrix products with the sides exchanged. The mask needs no line: a probability
#   of zero passes nothing.
# - A pre-LN block hands its upstream gradient along the stream, and adds what each branch hands back.
# - What is used several times gets the sum: weights over all tokens, a row of $E$ over all its places.
# - A loss that falls proves little by itself. The same loss, step after step, as a program that is known
#   to be right proves the gradients.
#
# **Next.** This is the last notebook. What a language model has more of is size: stack the block, widen
# it, and run your `train_step` again. Back to notebook
# [07](../07-autograd-engine/07-autograd-engine.ipynb), whose engine would have found all these gradients
# by itself, or to notebook [06](../06-training-loop/06-training-loop.ipynb), whose Adam would train this model faster than plain SGD.
