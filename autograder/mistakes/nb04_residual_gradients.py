"""Mistakes of notebook 04, residual connections."""

import numpy as np

from autograder.mistakes import mistake, success_note
from autograder.provided.two_layer_ffn import ffn_backward_batch, ffn_forward_batch

# ------------------------------------------------------------------------- residual_forward

success_note(
    "residual_forward",
    "When the sublayer gives zeros, the block hands its input on: a new block can do no harm.",
)


@mistake(
    "residual_forward",
    "no-residual",
    "What is returned is the sublayer's output alone. Where does the input come in?",
)
def residual_forward(x, sublayer):
    return sublayer(x)


@mistake(
    "residual_forward",
    "fed-the-sum",
    "The sublayer runs a second time, on the sum. It acts once, on the input.",
)
def residual_forward(x, sublayer):
    return x + sublayer(x + sublayer(x))


@mistake(
    "residual_forward",
    "sublayer-of-the-output",
    "The sublayer is applied to its own output. Count its calls in the formula.",
)
def residual_forward(x, sublayer):
    return x + sublayer(sublayer(x))


@mistake(
    "residual_forward",
    "adds-the-output-twice",
    "The sublayer's output is added to itself. One of the two terms is another array.",
)
def residual_forward(x, sublayer):
    return sublayer(x) + sublayer(x)


@mistake(
    "residual_forward",
    "product",
    "Input and output are multiplied. Which operation does the formula have?",
)
def residual_forward(x, sublayer):
    return x * sublayer(x)


@mistake(
    "residual_forward",
    "difference",
    "One of the two terms has the wrong sign: the input is taken away from the output.",
)
def residual_forward(x, sublayer):
    return sublayer(x) - x


@mistake(
    "residual_forward",
    "minus-branch",
    "The sublayer's output is subtracted from the input.",
)
def residual_forward(x, sublayer):
    return x - sublayer(x)


@mistake(
    "residual_forward",
    "mean-of-both",
    "The mean of input and output is returned. A residual connection adds and does not divide.",
)
def residual_forward(x, sublayer):
    return (x + sublayer(x)) / 2


@mistake(
    "residual_forward",
    "in-place",
    "The sum is written into x itself, so the caller loses the input. Make a new array.",
)
def residual_forward(x, sublayer):
    x += sublayer(x)
    return x


# ------------------------------------------------------------- after_attention, after_ffn, …

success_note(
    "after_attention",
    "Both plus signs hand on ones unchanged: the gradient of a sum is the same for all its terms.",
)


@mistake(
    "after_attention",
    "halved-at-each-plus",
    "The gradient is halved at each plus sign. Raise one term by 0.01: by how much does the sum "
    "rise?",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 4.1,
        "d_after_ffn": [1.0, 1.0],
        "d_ffn_output": [0.5, 0.5],
        "d_after_attention": [0.5, 0.5],
        "d_attention_output": [0.25, 0.25],
        "d_x": [0.25, 0.25],
    }


@mistake(
    "after_attention",
    "mean-for-loss",
    "The loss is a mean here, and it is asked to be a sum. A mean would halve its gradients, too.",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 2.05,
        "d_after_ffn": [0.5, 0.5],
        "d_ffn_output": [0.5, 0.5],
        "d_after_attention": [0.5, 0.5],
        "d_attention_output": [0.5, 0.5],
        "d_x": [0.5, 0.5],
    }


@mistake(
    "after_attention",
    "ffn-added-to-x",
    "The FFN output is added to x. By then the stream holds something else.",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.2, 2.1],
        "loss": 3.3,
        "d_after_ffn": [1.0, 1.0],
        "d_ffn_output": [1.0, 1.0],
        "d_after_attention": [1.0, 1.0],
        "d_attention_output": [1.0, 1.0],
        "d_x": [1.0, 1.0],
    }


@mistake(
    "after_attention",
    "no-additions",
    "The stream holds the outputs of the branches alone. What does each plus sign add to them?",
)
def after_attention():
    return {
        "after_attention": [0.5, 0.3],
        "after_ffn": [0.2, 0.1],
        "loss": 0.3,
        "d_after_ffn": [1.0, 1.0],
        "d_ffn_output": [1.0, 1.0],
        "d_after_attention": [1.0, 1.0],
        "d_attention_output": [1.0, 1.0],
        "d_x": [1.0, 1.0],
    }


@mistake(
    "after_attention",
    "values-for-gradients",
    "The gradients are the values themselves. A gradient says how fast the loss rises, and not what "
    "a value is.",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 4.1,
        "d_after_ffn": [1.7, 2.4],
        "d_ffn_output": [0.2, 0.1],
        "d_after_attention": [1.5, 2.3],
        "d_attention_output": [0.5, 0.3],
        "d_x": [1.0, 2.0],
    }


@mistake(
    "after_attention",
    "branch-values-for-gradients",
    "The gradients of the two branch outputs are their values. When such a number rises by 0.01, by "
    "how much does the loss rise?",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 4.1,
        "d_after_ffn": [1.0, 1.0],
        "d_ffn_output": [0.2, 0.1],
        "d_after_attention": [1.0, 1.0],
        "d_attention_output": [0.5, 0.3],
        "d_x": [1.0, 1.0],
    }


@mistake(
    "after_attention",
    "x-on-two-paths",
    "d_x is twice what it is asked to be. The attention output is a fixed number here: it does not "
    "move when x moves.",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 4.1,
        "d_after_ffn": [1.0, 1.0],
        "d_ffn_output": [1.0, 1.0],
        "d_after_attention": [1.0, 1.0],
        "d_attention_output": [1.0, 1.0],
        "d_x": [2.0, 2.0],
    }


@mistake(
    "after_attention",
    "gradients-pile-up",
    "The gradient grows on its way down, as if each plus sign gave its copy twice. On how many "
    "paths does x reach the loss when the branches are fixed numbers?",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 4.1,
        "d_after_ffn": [1.0, 1.0],
        "d_ffn_output": [1.0, 1.0],
        "d_after_attention": [2.0, 2.0],
        "d_attention_output": [2.0, 2.0],
        "d_x": [4.0, 4.0],
    }


@mistake(
    "after_attention",
    "branches-get-nothing",
    "The outputs of the branches get a gradient of zero. The loss rises when one of them rises.",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 4.1,
        "d_after_ffn": [1.0, 1.0],
        "d_ffn_output": [0.0, 0.0],
        "d_after_attention": [1.0, 1.0],
        "d_attention_output": [0.0, 0.0],
        "d_x": [1.0, 1.0],
    }


@mistake(
    "after_attention",
    "starts-at-the-loss",
    "The walk back starts with the value of the loss. The slope of a quantity in itself is another "
    "number.",
)
def after_attention():
    return {
        "after_attention": [1.5, 2.3],
        "after_ffn": [1.7, 2.4],
        "loss": 4.1,
        "d_after_ffn": [4.1, 4.1],
        "d_ffn_output": [4.1, 4.1],
        "d_after_attention": [4.1, 4.1],
        "d_attention_output": [4.1, 4.1],
        "d_x": [4.1, 4.1],
    }


# ------------------------------------------------------------------------ residual_backward

success_note(
    "residual_backward",
    "A sum is the only place where a gradient is copied; a value that is used twice is where "
    "gradients are added.",
)


@mistake(
    "residual_backward",
    "both-are-dout",
    "Both results are dout itself: three names for one array, and no new one.",
)
def residual_backward(dout):
    return dout, dout


@mistake(
    "residual_backward",
    "one-copy",
    "One copy is made and returned twice: who adds to dx_ffn changes dx_input as well.",
)
def residual_backward(dout):
    copy = dout.copy()
    return copy, copy


@mistake(
    "residual_backward",
    "stream-is-dout",
    "dx_input is the array dout itself. dx_ffn is a new one; is one enough?",
)
def residual_backward(dout):
    return dout, dout.copy()


@mistake(
    "residual_backward",
    "branch-is-dout",
    "dx_ffn is the array dout itself. dx_input is a new one; is one enough?",
)
def residual_backward(dout):
    return dout.copy(), dout


@mistake(
    "residual_backward",
    "halves",
    "The gradient is halved at the plus sign. In section 2, how fast did the sum rise with one "
    "term?",
)
def residual_backward(dout):
    return dout / 2, dout / 2


@mistake(
    "residual_backward",
    "nothing-for-the-branch",
    "The branch gets no gradient, so the FFN would never learn.",
)
def residual_backward(dout):
    return dout.copy(), np.zeros_like(dout)


@mistake(
    "residual_backward",
    "nothing-for-the-stream",
    "The stream gets no gradient at all, as without the residual connection.",
)
def residual_backward(dout):
    return np.zeros_like(dout), dout.copy()


@mistake(
    "residual_backward",
    "ones",
    "Ones are returned. They are the local slopes, and the upstream gradient is not in them yet.",
)
def residual_backward(dout):
    return np.ones_like(dout), np.ones_like(dout)


@mistake(
    "residual_backward",
    "ones-for-the-stream",
    "The stream gets ones and the branch the upstream gradient. A direct path with slope 1 "
    "multiplies what arrives by 1.",
)
def residual_backward(dout):
    return np.ones_like(dout), dout.copy()


@mistake(
    "residual_backward",
    "minus",
    "The branch gets the gradient with the opposite sign, as if it were subtracted in the forward "
    "line.",
)
def residual_backward(dout):
    return dout.copy(), -dout


@mistake(
    "residual_backward",
    "total-for-the-stream",
    "dx_input holds the gradient twice. Here each result belongs to one term of the sum.",
)
def residual_backward(dout):
    return dout + dout, dout.copy()


# ------------------------------------------------------------------ residual_block_backward

success_note(
    "residual_block_backward",
    "The parameters lie in the branch, so their gradients are those of notebook 03; only dx has "
    "a second path.",
)


@mistake(
    "residual_block_backward",
    "direct-only",
    "dx is the direct share alone. x also stands in FFN(x): on how many paths does it reach y?",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    dW1, db1, dW2, db2, _ = ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return dy.copy(), dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "branch-only",
    "dx is the share of the path through the FFN alone. The path around it is missing.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    dW1, db1, dW2, db2, dX = ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "dx-last",
    "The five gradients come in the order of notebook 03. Which one is asked to be first here?",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    dW1, db1, dW2, db2, dX = ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return dW1, db1, dW2, db2, dy + dX


@mistake(
    "residual_block_backward",
    "product-of-paths",
    "The shares of the two paths are multiplied. A gradient is a sum over paths.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    dW1, db1, dW2, db2, dX = ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return dy * dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "input-for-gradient",
    "x is added to the share of the branch, as in the forward line. Backward, what comes along the "
    "stream?",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    dW1, db1, dW2, db2, dX = ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return x + dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "ones-for-the-direct-path",
    "Ones are added for the direct path. Its slope is 1, and the gradient that takes it is not.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    dW1, db1, dW2, db2, dX = ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return 1 + dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "half-for-the-branch",
    "The branch gets half of the upstream gradient, as if it were shared out. Each term of a sum "
    "gets the whole of it.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    half = dy / 2
    dW1, db1, dW2, db2, dX = ffn_backward_batch(half, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return half + dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "cache-of-the-output",
    "The cache was made from y = x + FFN(x). The FFN saw x.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    y = x + ffn_forward_batch(x, W1, b1, W2, b2)[0]
    dW1, db1, dW2, db2, dX = ffn_backward_batch(dy, ffn_forward_batch(y, W1, b1, W2, b2)[1])
    return dy + dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "output-for-gradient",
    "The branch is run backward on y, the output, in place of the upstream gradient dy.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    f, cache = ffn_forward_batch(x, W1, b1, W2, b2)
    dW1, db1, dW2, db2, dX = ffn_backward_batch(x + f, cache)
    return dy + dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "no-slope",
    "The gradient passes GELU unchanged, so db1, dW1 and the share of the branch in dx are wrong.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    _, cache = ffn_forward_batch(x, W1, b1, W2, b2)
    _, _, dW2, db2, _ = ffn_backward_batch(dy, cache)
    dZ = dy @ W2
    rows = dZ.reshape(-1, dZ.shape[-1])
    return dy + dZ @ W1, rows.T @ x.reshape(-1, x.shape[-1]), rows.sum(axis=0), dW2, db2


@mistake(
    "residual_block_backward",
    "direct-path-twice",
    "dx holds dy twice. One path leads around the branch.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    dW1, db1, dW2, db2, dX = ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])
    return 2 * dy + dX, dW1, db1, dW2, db2


@mistake(
    "residual_block_backward",
    "straight-from-03",
    "This is what ffn_backward_batch returns, as it stands. The order is another one here, and dx "
    "has a second path.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    return ffn_backward_batch(dy, ffn_forward_batch(x, W1, b1, W2, b2)[1])


@mistake(
    "residual_block_backward",
    "total-into-the-branch",
    "The branch is run backward on the total dx. What arrives at its output is dy.",
)
def residual_block_backward(dy, x, W1, b1, W2, b2):
    _, cache = ffn_forward_batch(x, W1, b1, W2, b2)
    dx = dy + ffn_backward_batch(dy, cache)[-1]
    dW1, db1, dW2, db2, _ = ffn_backward_batch(dx, cache)
    return dx, dW1, db1, dW2, db2


# --------------------------------------------------------------------- stack_gradient_norms

success_note(
    "stack_gradient_norms",
    "The two kinds of stack differ in one line forward and one line backward.",
)


def _stack_gradients(x, layers, forward_residual, backward_residual, top=np.ones_like):
    """The gradient at the output and at the input of each layer, from the top down."""
    h, caches = x, []
    for layer in layers:
        f, cache = ffn_forward_batch(h, *layer)
        caches.append(cache)
        h = h + f if forward_residual else f
    found = [top(h)]
    for cache in reversed(caches):
        through = ffn_backward_batch(found[-1], cache)[-1]
        found.append(found[-1] + through if backward_residual else through)
    return found


@mistake(
    "stack_gradient_norms",
    "last-layer-first",
    "The norms are the wrong way round: the walk back finds the last layer first, and entry 0 is "
    "asked to be the first layer.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, residual)
    return np.array([np.linalg.norm(g) for g in found[1:]])


@mistake(
    "stack_gradient_norms",
    "outputs-for-inputs",
    "The norms belong to the outputs of the layers: the ones at the top are counted, and the "
    "gradient at the first input is not.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, residual)
    return np.array([np.linalg.norm(g) for g in found[:-1]])[::-1].copy()


@mistake(
    "stack_gradient_norms",
    "always-plain",
    "Residual stacks get the same numbers as plain ones. Where does your code look at residual?",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, False, False)
    return np.array([np.linalg.norm(g) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "always-residual",
    "Plain stacks get the numbers of residual ones. Which lines should not run when residual is "
    "False?",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, True, True)
    return np.array([np.linalg.norm(g) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "residual-forward-only",
    "The forward pass adds the input of each layer, and the backward pass knows only the branch.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, False)
    return np.array([np.linalg.norm(g) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "residual-backward-only",
    "The backward pass adds the direct share, but the forward pass ran a plain stack: the caches "
    "belong to other inputs.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, False, residual)
    return np.array([np.linalg.norm(g) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "branches-of-x",
    "Each layer is fed x, the input of the whole stack, and not what the layer before it gave.",
)
def stack_gradient_norms(x, layers, residual):
    g, norms = np.ones_like(x), []
    for layer in reversed(layers):
        through = ffn_backward_batch(g, ffn_forward_batch(x, *layer)[1])[-1]
        g = g + through if residual else through
        norms.append(np.linalg.norm(g))
    return np.array(norms[::-1])


@mistake(
    "stack_gradient_norms",
    "starts-with-the-output",
    "The walk back starts with the output itself. The upstream gradient is asked to be all ones.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, residual, top=np.copy)
    return np.array([np.linalg.norm(g) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "starts-with-a-mean",
    "The upstream gradient is divided by the width, as if the loss were a mean of the output.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, residual, lambda h: np.ones_like(h) / h.size)
    return np.array([np.linalg.norm(g) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "squared",
    "The numbers are squares of norms: a root is missing.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, residual)
    return np.array([np.sum(g**2) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "sum-of-absolute-values",
    "Absolute values are added up. The norm asked for is the root of the sum of squares.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, residual)
    return np.array([np.abs(g).sum() for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "norm-of-the-branch",
    "In residual stacks the norm is taken of the branch's share alone, before the direct share is "
    "added.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, residual, residual)
    pairs = list(zip(found, found[1:]))[::-1]
    return np.array([np.linalg.norm(g - above if residual else g) for above, g in pairs])


@mistake(
    "stack_gradient_norms",
    "direct-path-from-the-top",
    "Each layer adds the ones from the top of the stack. What comes along the stream is the "
    "gradient of the layer above.",
)
def stack_gradient_norms(x, layers, residual):
    h, caches = x, []
    for layer in layers:
        f, cache = ffn_forward_batch(h, *layer)
        caches.append(cache)
        h = h + f if residual else f
    g, norms = np.ones_like(h), []
    for cache in reversed(caches):
        through = ffn_backward_batch(g, cache)[-1]
        g = np.ones_like(h) + through if residual else through
        norms.append(np.linalg.norm(g))
    return np.array(norms[::-1])


@mistake(
    "stack_gradient_norms",
    "kinds-swapped",
    "Plain stacks get the numbers of residual ones, and residual stacks those of plain ones.",
)
def stack_gradient_norms(x, layers, residual):
    found = _stack_gradients(x, layers, not residual, not residual)
    return np.array([np.linalg.norm(g) for g in found[:0:-1]])


@mistake(
    "stack_gradient_norms",
    "backward-from-the-first-layer",
    "The walk back takes the layers in the order of the forward pass. Which layer does the upstream "
    "gradient meet first?",
)
def stack_gradient_norms(x, layers, residual):
    h, caches = x, []
    for layer in layers:
        f, cache = ffn_forward_batch(h, *layer)
        caches.append(cache)
        h = h + f if residual else f
    g, norms = np.ones_like(h), []
    for cache in caches:
        through = ffn_backward_batch(g, cache)[-1]
        g = g + through if residual else through
        norms.append(np.linalg.norm(g))
    return np.array(norms)


@mistake(
    "stack_gradient_norms",
    "ones-at-each-layer",
    "Each layer is handed ones. Only the last layer gets them; what does the layer below it get?",
)
def stack_gradient_norms(x, layers, residual):
    h, norms = x, []
    for layer in layers:
        f, cache = ffn_forward_batch(h, *layer)
        ones = np.ones_like(h)
        through = ffn_backward_batch(ones, cache)[-1]
        norms.append(np.linalg.norm(ones + through if residual else through))
        h = h + f if residual else f
    return np.array(norms)


# ------------------------------------------------------------------------------ pre_ln_block

success_note(
    "pre_ln_block",
    "The stream passes one plus sign and no function, so its Jacobian is I plus that of the "
    "branch.",
)


@mistake(
    "pre_ln_block",
    "post-ln",
    "This is post-LN: the sum is normalized. In pre-LN the normalization comes before the sublayer.",
)
def pre_ln_block(x, layer_norm, sublayer):
    return layer_norm(x + sublayer(x))


@mistake(
    "pre_ln_block",
    "normalized-stream",
    "The normalized x is added as well, so the stream does not run through untouched.",
)
def pre_ln_block(x, layer_norm, sublayer):
    h = layer_norm(x)
    return h + sublayer(h)


@mistake(
    "pre_ln_block",
    "no-normalization",
    "Nothing is normalized: layer_norm is never called.",
)
def pre_ln_block(x, layer_norm, sublayer):
    return x + sublayer(x)


@mistake(
    "pre_ln_block",
    "no-residual",
    "The branch is right, and the stream is not there: x is not added.",
)
def pre_ln_block(x, layer_norm, sublayer):
    return sublayer(layer_norm(x))


@mistake(
    "pre_ln_block",
    "normalized-branch-output",
    "The branch is normalized behind the sublayer. It belongs in front of it.",
)
def pre_ln_block(x, layer_norm, sublayer):
    return x + layer_norm(sublayer(x))


@mistake(
    "pre_ln_block",
    "normalized-twice",
    "The branch is right, but the sum is normalized once more.",
)
def pre_ln_block(x, layer_norm, sublayer):
    return layer_norm(x + sublayer(layer_norm(x)))


@mistake(
    "pre_ln_block",
    "only-the-stream-normalized",
    "The stream is normalized and the branch is not. It is the other way round.",
)
def pre_ln_block(x, layer_norm, sublayer):
    return layer_norm(x) + sublayer(x)


@mistake(
    "pre_ln_block",
    "in-place",
    "The sum is written into x itself, so the caller's stream changes. Build a new array.",
)
def pre_ln_block(x, layer_norm, sublayer):
    x += sublayer(layer_norm(x))
    return x


# ----------------------------------------------------------------------------- post_ln_block

success_note(
    "post_ln_block",
    "The same three steps as pre-LN in another order, and the stream passes every normalization.",
)


@mistake(
    "post_ln_block",
    "pre-ln",
    "This is pre-LN: the normalization stands in the branch. In post-LN it comes last.",
)
def post_ln_block(x, layer_norm, sublayer):
    return x + sublayer(layer_norm(x))


@mistake(
    "post_ln_block",
    "normalized-branch",
    "The branch is normalized and then added. Add first.",
)
def post_ln_block(x, layer_norm, sublayer):
    return x + layer_norm(sublayer(x))


@mistake(
    "post_ln_block",
    "normalized-stream",
    "Only the stream is normalized, and the branch is added behind that.",
)
def post_ln_block(x, layer_norm, sublayer):
    return layer_norm(x) + sublayer(x)


@mistake(
    "post_ln_block",
    "no-residual",
    "The sublayer's output is normalized, and x is not added to it.",
)
def post_ln_block(x, layer_norm, sublayer):
    return layer_norm(sublayer(x))


@mistake(
    "post_ln_block",
    "no-normalization",
    "The sum is right and is not normalized.",
)
def post_ln_block(x, layer_norm, sublayer):
    return x + sublayer(x)


@mistake(
    "post_ln_block",
    "normalized-twice",
    "The sum is normalized, but the sublayer's input is as well. It takes the stream as it is.",
)
def post_ln_block(x, layer_norm, sublayer):
    return layer_norm(x + sublayer(layer_norm(x)))


@mistake(
    "post_ln_block",
    "both-normalized-apart",
    "Stream and branch are normalized one by one and then added. One normalization, of the sum.",
)
def post_ln_block(x, layer_norm, sublayer):
    return layer_norm(x) + layer_norm(sublayer(x))


@mistake(
    "post_ln_block",
    "in-place",
    "x += … writes into the caller's stream before the normalization. Build a new array.",
)
def post_ln_block(x, layer_norm, sublayer):
    x += sublayer(x)
    return layer_norm(x)


# --------------------------------------------------------------------------- has_direct_path

success_note(
    "has_direct_path",
    "A second way: when y − x is the same array at many random x, the Jacobian is the identity.",
)


def _jacobian(block, x, eps=1e-5):
    columns = []
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = eps
        step = step.reshape(x.shape)
        columns.append((block(x + step) - block(x - step)).ravel() / (2 * eps))
    return np.array(columns).T


@mistake(
    "has_direct_path",
    "always-yes",
    "The test says yes to every block. A look whether gradients are there does that: they are "
    "there without a residual connection, too.",
)
def has_direct_path(make_block):
    return bool(np.any(_jacobian(make_block(1.0), np.ones((3, 4)))))


@mistake(
    "has_direct_path",
    "always-no",
    "The test says no to every block. Is the branch silent at the scale that you use, and does the "
    "comparison allow for rounding?",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    return bool(np.allclose(_jacobian(make_block(1.0), x), np.eye(12), atol=1e-6))


@mistake(
    "has_direct_path",
    "slopes-not-zero",
    "The test asks whether any slope is there at scale 0. The right slope is 1 in one place and 0 "
    "in all others.",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    return bool(np.any(np.abs(_jacobian(make_block(0.0), x)) > 1e-6))


@mistake(
    "has_direct_path",
    "output-is-input",
    "The test compares y with x. A block that adds fixed numbers has a direct path, too: compare "
    "slopes.",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    return bool(np.allclose(make_block(0.0)(x), x))


@mistake(
    "has_direct_path",
    "exactly-the-input",
    "The test asks whether y is x, to the last digit. A block may miss x by a rounding error, or add "
    "fixed numbers: compare slopes, and allow for rounding.",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    return bool(np.all(make_block(0.0)(x) == x))


@mistake(
    "has_direct_path",
    "all-numbers-at-once",
    "Slopes are added up before they are compared, as happens when all numbers of x are moved "
    "together. Slopes in wrong places add up to 1 as well.",
)
def has_direct_path(make_block):
    block, x, eps = make_block(0.0), np.random.default_rng(0).normal(size=(3, 4)), 1e-5
    return bool(np.allclose((block(x + eps) - block(x - eps)) / (2 * eps), 1.0, atol=1e-6))


@mistake(
    "has_direct_path",
    "diagonal-only",
    "Only the slope of each output in the input at its own place is looked at. What about the "
    "others?",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    return bool(np.allclose(np.diag(_jacobian(make_block(0.0), x)), 1.0, atol=1e-6))


@mistake(
    "has_direct_path",
    "at-zero",
    "The test looks at x = 0 only. Some functions have slope 1 there and nowhere else.",
)
def has_direct_path(make_block):
    return bool(np.allclose(_jacobian(make_block(0.0), np.zeros((3, 4))), np.eye(12), atol=1e-6))


@mistake(
    "has_direct_path",
    "positive-x",
    "All numbers of x are positive. Some functions have slope 1 there, and another slope below 0.",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).uniform(0.5, 2.0, size=(3, 4))
    return bool(np.allclose(_jacobian(make_block(0.0), x), np.eye(12), atol=1e-6))


@mistake(
    "has_direct_path",
    "tiny-scale",
    "The branch is not silent, only quiet. A residual connection may also depend on whether scale "
    "is 0.",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    return bool(np.allclose(_jacobian(make_block(1e-9), x), np.eye(12), atol=1e-4))


@mistake(
    "has_direct_path",
    "norm-only",
    "The test compares sizes, such as norms. A gradient can keep its size and arrive in another "
    "place, or with another sign.",
)
def has_direct_path(make_block):
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(3, 4)), rng.normal(size=12)
    moved = _jacobian(make_block(0.0), x).T @ g
    return bool(np.isclose(np.linalg.norm(moved), np.linalg.norm(g)))


@mistake(
    "has_direct_path",
    "first-number-only",
    "The test looks at the first number only, of x or of y. A block may treat the other eleven in "
    "another way.",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    column = _jacobian(make_block(0.0), x)[:, 0]
    return bool(np.allclose(column, np.eye(12)[0], atol=1e-6))


@mistake(
    "has_direct_path",
    "the-wrong-way-round",
    "Every answer is the opposite of the right one. Which of the two cases returns True?",
)
def has_direct_path(make_block):
    x = np.random.default_rng(0).normal(size=(3, 4))
    return not np.allclose(_jacobian(make_block(0.0), x), np.eye(12), atol=1e-6)


# ----------------------------------------------------------------------------- block_forward

success_note(
    "block_forward",
    "No backward pass was written. PyTorch walks the graph that the two sums are part of.",
)


@mistake(
    "block_forward",
    "no-residuals",
    "No addition is there: a gradient has one path, through both modules.",
)
def block_forward(x, attention, feedforward):
    return feedforward(attention(x))


@mistake(
    "block_forward",
    "no-first-residual",
    "The first plus sign is missing: the stream behind attention holds the attention output alone.",
)
def block_forward(x, attention, feedforward):
    after_attention = attention(x)
    return after_attention + feedforward(after_attention)


@mistake(
    "block_forward",
    "no-second-residual",
    "The second plus sign is missing: what is returned is the FFN output alone.",
)
def block_forward(x, attention, feedforward):
    return feedforward(x + attention(x))


@mistake(
    "block_forward",
    "feedforward-of-x",
    "feedforward gets x. In the picture its arrow starts behind the first plus sign.",
)
def block_forward(x, attention, feedforward):
    return x + attention(x) + feedforward(x)


@mistake(
    "block_forward",
    "second-sum-starts-at-x",
    "The FFN output is added to x, so the attention output reaches y through the FFN only.",
)
def block_forward(x, attention, feedforward):
    return x + feedforward(x + attention(x))


@mistake(
    "block_forward",
    "feedforward-of-attention",
    "feedforward gets the attention output alone, and not the stream behind the first plus sign.",
)
def block_forward(x, attention, feedforward):
    attention_output = attention(x)
    return x + attention_output + feedforward(attention_output)


@mistake(
    "block_forward",
    "modules-swapped",
    "The two modules run in the wrong order.",
)
def block_forward(x, attention, feedforward):
    after_ffn = x + feedforward(x)
    return after_ffn + attention(after_ffn)


@mistake(
    "block_forward",
    "stream-detached",
    "y is right, but detach cuts the direct path of the first sum out of the graph.",
)
def block_forward(x, attention, feedforward):
    after_attention = x.detach() + attention(x)
    return after_attention + feedforward(after_attention)


@mistake(
    "block_forward",
    "second-stream-detached",
    "y is right, but detach cuts the direct path of the second sum out of the graph.",
)
def block_forward(x, attention, feedforward):
    after_attention = x + attention(x)
    return after_attention.detach() + feedforward(after_attention)


@mistake(
    "block_forward",
    "attention-detached",
    "y is right, but attention is cut out of the graph: nothing flows back into its weights.",
)
def block_forward(x, attention, feedforward):
    after_attention = x + attention(x).detach()
    return after_attention + feedforward(after_attention)


@mistake(
    "block_forward",
    "attention-fed-detached",
    "y is right, but attention is fed a detached x, so the branch gives x no gradient.",
)
def block_forward(x, attention, feedforward):
    after_attention = x + attention(x.detach())
    return after_attention + feedforward(after_attention)


@mistake(
    "block_forward",
    "no-graph",
    "y is right, but it has no graph, so nothing can go backward. Which line leaves the graph?",
)
def block_forward(x, attention, feedforward):
    after_attention = x.detach() + attention(x).detach()
    return after_attention + feedforward(after_attention).detach()


@mistake(
    "block_forward",
    "in-place",
    "y is right, but += overwrites a tensor that a module has kept for the backward pass, which "
    "then fails.",
)
def block_forward(x, attention, feedforward):
    x += attention(x)
    x += feedforward(x)
    return x


@mistake(
    "block_forward",
    "halved",
    "Each sum is divided by 2. A residual connection adds.",
)
def block_forward(x, attention, feedforward):
    after_attention = (x + attention(x)) / 2
    return (after_attention + feedforward(after_attention)) / 2


@mistake(
    "block_forward",
    "feedforward-fed-detached",
    "y is right, but feedforward is fed a detached tensor: its weights learn, and what lies before "
    "it gets nothing through it.",
)
def block_forward(x, attention, feedforward):
    after_attention = x + attention(x)
    return after_attention + feedforward(after_attention.detach())


@mistake(
    "block_forward",
    "feedforward-detached",
    "y is right, but the output of feedforward is cut out of the graph: nothing flows back into its "
    "weights.",
)
def block_forward(x, attention, feedforward):
    after_attention = x + attention(x)
    return after_attention + feedforward(after_attention).detach()


@mistake(
    "block_forward",
    "x-detached",
    "y is right, but x is cut off from whatever computed it, so no gradient leaves the block.",
)
def block_forward(x, attention, feedforward):
    x = x.detach()
    after_attention = x + attention(x)
    return after_attention + feedforward(after_attention)


@mistake(
    "block_forward",
    "first-half-without-graph",
    "y is right, but the first half was computed without a graph: the gradient ends at the second.",
)
def block_forward(x, attention, feedforward):
    after_attention = (x + attention(x)).detach()
    return after_attention + feedforward(after_attention)


@mistake(
    "block_forward",
    "backward-inside",
    "y is right, but backward() was called inside, and that uses up the graph. The caller goes "
    "backward.",
)
def block_forward(x, attention, feedforward):
    after_attention = x + attention(x)
    y = after_attention + feedforward(after_attention)
    y.sum().backward()
    return y
