"""Mistakes of notebook 03, the feed-forward block and networks of any depth."""

import numpy as np

from autograder.mistakes import mistake, right_pair, success_note


def _gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def _gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner


def _sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


# ----------------------------------------------------------------------------- ffn_forward

success_note(
    "ffn_forward",
    "One line of the forward pass, one entry of the cache: the backward pass will ask for each.",
)


@mistake(
    "ffn_forward",
    "activation-at-the-end",
    "The activation acts on the output too. It stands between the two layers only.",
)
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = W1 @ x + b1
    h = activation_fn(z)
    return activation_fn(W2 @ h + b2), {"x": x, "z": z, "h": h}


@mistake(
    "ffn_forward",
    "no-activation",
    "The two layers follow each other without the activation, so together they are one linear map.",
)
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = W1 @ x + b1
    return W2 @ z + b2, {"x": x, "z": z, "h": z}


@mistake(
    "ffn_forward",
    "h-under-z",
    "The key z holds the value behind the activation. What is the sum before it called?",
)
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = activation_fn(W1 @ x + b1)
    return W2 @ z + b2, {"x": x, "z": z, "h": z}


@mistake(
    "ffn_forward",
    "no-biases",
    "Neither bias is in its sum. Compare your two linear lines with the formulas.",
)
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = W1 @ x
    h = activation_fn(z)
    return W2 @ h, {"x": x, "z": z, "h": h}


@mistake(
    "ffn_forward",
    "no-second-bias",
    "The first layer is right, but b2 is not in the output.",
)
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = W1 @ x + b1
    h = activation_fn(z)
    return W2 @ h, {"x": x, "z": z, "h": h}


@mistake(
    "ffn_forward",
    "bias-behind-activation",
    "b1 is added behind the activation. It belongs to the sum that goes into it.",
)
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = W1 @ x
    h = activation_fn(z) + b1
    return W2 @ h + b2, {"x": x, "z": z, "h": h}


@mistake(
    "ffn_forward",
    "output-under-h",
    "The output is right, but the key h of the cache holds it too. What went into the second layer?",
)
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = W1 @ x + b1
    y = W2 @ activation_fn(z) + b2
    return y, {"x": x, "z": z, "h": y}


# ------------------------------------------------------------------------------------ gelu

success_note(
    "gelu",
    "(1 + tanh u) / 2 is the sigmoid of 2u, so GELU is z times a gate that opens with z.",
)


@mistake(
    "gelu",
    "exact-form",
    "This is the exact form, z times the normal distribution function. The tanh form is asked for.",
)
def gelu(z):
    import math

    return 0.5 * z * (1 + np.vectorize(math.erf)(z / np.sqrt(2)))


@mistake(
    "gelu",
    "sigmoid-form",
    "This is another approximation, z times the sigmoid of 1.702 z. The tanh form is asked for.",
)
def gelu(z):
    return z * _sigmoid(1.702 * z)


@mistake(
    "gelu",
    "root-on-one-term",
    "The root multiplies z only. It is a factor of both terms of u.",
)
def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * z + 0.044715 * z**3))


@mistake(
    "gelu",
    "square-for-cube",
    "The second term of u has z squared. Which power does the formula have?",
)
def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**2)))


@mistake(
    "gelu",
    "no-half",
    "Every value is twice too large: look at the factor before z.",
)
def gelu(z):
    return z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


@mistake(
    "gelu",
    "root-upside-down",
    "The fraction below the root is upside down.",
)
def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(np.pi / 2) * (z + 0.044715 * z**3)))


@mistake(
    "gelu",
    "no-z",
    "This is the gate alone, a number between 0 and 1. GELU multiplies z by it.",
)
def gelu(z):
    return 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


@mistake(
    "gelu",
    "root-over-two-only",
    "Only the 2 is under the root. The root covers the whole fraction 2/π.",
)
def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2) / np.pi * (z + 0.044715 * z**3)))


@mistake(
    "gelu",
    "zero-lost",
    "The factor of the cubic term is ten times too large. How many zeros follow its point?",
)
def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.44715 * z**3)))


@mistake(
    "gelu",
    "brackets-lost",
    "The tanh is added to z/2. The factor before the bracket multiplies both terms in it.",
)
def gelu(z):
    return 0.5 * z * 1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))


@mistake(
    "gelu",
    "relu",
    "This is ReLU. GELU multiplies z by a number between 0 and 1, not by 0 or 1.",
)
def gelu(z):
    return np.maximum(z, 0.0)


# ------------------------------------------------------------------------------- gelu_grad

success_note(
    "gelu_grad",
    "The product rule gives the gate itself, plus z times the slope of the gate.",
)


@mistake(
    "gelu_grad",
    "first-term-only",
    "This is the gate, the first of two terms. The gate depends on z too: apply the product rule.",
)
def gelu_grad(z):
    return 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


@mistake(
    "gelu_grad",
    "second-term-only",
    "This is the second term of the product rule. The slope of the factor z gives a first one.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    return 0.5 * z * (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)


@mistake(
    "gelu_grad",
    "no-inner-slope",
    "The slope of tanh is there, but not the slope of u: the chain rule has one more factor.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2)


@mistake(
    "gelu_grad",
    "no-three",
    "In the slope of u the cubic term lacks the factor that the power rule gives.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * np.sqrt(2 / np.pi) * (1 + 0.044715 * z**2)


@mistake(
    "gelu_grad",
    "root-forgotten",
    "In the slope of u the root is absent. It is a factor of u, so it stays a factor of its slope.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * (1 + 3 * 0.044715 * z**2)


@mistake(
    "gelu_grad",
    "no-z",
    "The second term lacks the factor z: the product rule keeps the factor that it does not "
    "differentiate.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * (1 - t**2) * inner


@mistake(
    "gelu_grad",
    "tanh-for-its-slope",
    "The second term holds tanh u where its slope belongs.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * t * inner


@mistake(
    "gelu_grad",
    "exact-form",
    "This is the slope of the exact form, with the normal density. Differentiate the tanh form.",
)
def gelu_grad(z):
    import math

    normal = 0.5 * (1 + np.vectorize(math.erf)(z / np.sqrt(2)))
    return normal + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


@mistake(
    "gelu_grad",
    "tanh-grad-of-t",
    "The slope of tanh is taken at t. Take it at u, which went into tanh.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * (1 - np.tanh(t) ** 2) * inner


@mistake(
    "gelu_grad",
    "tanh-grad-of-z",
    "The slope of tanh is taken at z. Take it at the number that went into tanh.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * (1 - np.tanh(z) ** 2) * inner


@mistake(
    "gelu_grad",
    "product-of-slopes",
    "This is the product of the slopes of the two factors. The slope of a product has two "
    "terms, each with one factor left as it is.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 - t**2) * inner


@mistake(
    "gelu_grad",
    "t-not-squared",
    "The slope of tanh is built from t, but without the square.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t) * inner


@mistake(
    "gelu_grad",
    "root-on-one-term",
    "In the slope of u the root multiplies the first term only.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) + 3 * 0.044715 * z**2
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner


@mistake(
    "gelu_grad",
    "cubic-term-only",
    "In the slope of u the linear term has left nothing behind. What is the slope of z?",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * 3 * 0.044715 * z**2
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner


@mistake(
    "gelu_grad",
    "power-stays",
    "In the slope of u the cubic term still has its old power. The power rule lowers it.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**3)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * inner


@mistake(
    "gelu_grad",
    "half-on-one-term",
    "The second term is twice too large: the ½ stands before the whole product.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) + z * (1 - t**2) * inner


@mistake(
    "gelu_grad",
    "minus",
    "The second term has the wrong sign: the product rule adds, and tanh never falls.",
)
def gelu_grad(z):
    t = np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))
    inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + t) - 0.5 * z * (1 - t**2) * inner


# ---------------------------------------------------------------------- backprop_two_layer

success_note(
    "backprop_two_layer",
    "Both layers use the same three formulas; what differs is the incoming gradient and the input.",
)


@mistake(
    "backprop_two_layer",
    "slope-at-h",
    "The slope is taken at h, the value behind the activation. Take it at the value before.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = (W2.T @ dy) * activation_grad_fn(h)
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "no-slope",
    "The gradient passes the activation unchanged. The line with φ has a backward line of its own.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = W2.T @ dy
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "z-for-h",
    "dW2 is built with z. What went into the second layer is the value behind the activation.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    dz = (W2.T @ dy) * activation_grad_fn(z)
    return np.outer(dz, x), dz, np.outer(dy, z), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "W2-not-transposed",
    "dh runs over the wrong index of W2. In the forward line its second index is summed, and here?",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = (W2 @ dy) * activation_grad_fn(z)
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "W1-not-transposed",
    "Everything is right up to dx, which runs over the wrong index of W1.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = (W2.T @ dy) * activation_grad_fn(z)
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1 @ dz


@mistake(
    "backprop_two_layer",
    "activation-on-output",
    "dy is multiplied by a slope at the output. There is no activation behind the second layer.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dout = dy * activation_grad_fn(W2 @ h + b2)
    dz = (W2.T @ dout) * activation_grad_fn(z)
    return np.outer(dz, x), dz, np.outer(dout, h), dout, W1.T @ dz


@mistake(
    "backprop_two_layer",
    "first-layer-before-the-slope",
    "db1 and dW1 are built with dh. The slope of the activation comes first.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dh = W2.T @ dy
    dz = dh * activation_grad_fn(z)
    return np.outer(dh, x), dh, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "weights-transposed",
    "Both weight gradients are transposed: in dW the outputs are the rows.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = (W2.T @ dy) * activation_grad_fn(z)
    return np.outer(x, dz), dz, np.outer(h, dy), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "dy-itself",
    "The numbers are right, but db2 is the array dy itself. Return a new array.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = (W2.T @ dy) * activation_grad_fn(z)
    return np.outer(dz, x), dz, np.outer(dy, h), dy, W1.T @ dz


@mistake(
    "backprop_two_layer",
    "slope-of-dh",
    "φ' is applied to the gradient dh. It is a slope at z, and the gradient is multiplied by it.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = activation_grad_fn(W2.T @ dy)
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "h-for-slope",
    "dh is multiplied by h where the slope of the activation belongs.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = (W2.T @ dy) * h
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "db1-is-dh",
    "db1 alone is taken before the slope of the activation. b1 stands in the line of z.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dh = W2.T @ dy
    dz = dh * activation_grad_fn(z)
    return np.outer(dz, x), dh, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "dW1-from-dh",
    "dW1 alone is built with dh. The incoming gradient of the first layer is dz.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dh = W2.T @ dy
    dz = dh * activation_grad_fn(z)
    return np.outer(dh, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "dx-from-dh",
    "dx alone is built with dh. The incoming gradient of the first layer is dz.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dh = W2.T @ dy
    dz = dh * activation_grad_fn(z)
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dh


@mistake(
    "backprop_two_layer",
    "no-first-bias",
    "The forward lines leave out b1, so z and h are not those of the forward pass.",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x
    h = activation_fn(z)
    dz = (W2.T @ dy) * activation_grad_fn(z)
    return np.outer(dz, x), dz, np.outer(dy, h), dy.copy(), W1.T @ dz


@mistake(
    "backprop_two_layer",
    "times-the-biases",
    "The gradients of the biases are multiplied by the biases. Which slope has an added constant?",
)
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h = activation_fn(z)
    dz = (W2.T @ dy) * activation_grad_fn(z)
    return np.outer(dz, x), dz * b1, np.outer(dy, h), dy * b2, W1.T @ dz


# ----------------------------------------------------------------------- ffn_forward_batch

success_note(
    "ffn_forward_batch",
    "To the weights, B sequences of T tokens are one list of B·T tokens; "
    "np.einsum('bti,btj->ij', dY, H) says the same.",
)


def ffn_forward_batch(X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    H = _gelu(Z)
    return H @ W2.T + b2, {"X": X, "Z": Z, "H": H, "W1": W1, "W2": W2}


def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


right_pair(ffn_forward_batch, ffn_backward_batch)


@mistake(
    "ffn_forward_batch",
    "mean-over-batch",
    "All four parameter gradients are divided by the number of sequences. The sum is asked for.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    B = len(dY)
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X) / B
    dW2 = np.einsum("bti,btj->ij", dY, H) / B
    return dW1, dZ.sum(axis=(0, 1)) / B, dW2, dY.sum(axis=(0, 1)) / B, dZ @ W1


@mistake(
    "ffn_forward_batch",
    "mean-over-tokens",
    "The bias gradients are means over all tokens. What the tokens contribute adds up.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.mean(axis=(0, 1)), dW2, dY.mean(axis=(0, 1)), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "slope-at-H",
    "The slope of GELU is taken at H. It belongs at Z, which went into GELU.",
)
def ffn_backward_batch(dY, cache):
    X, H, W1, W2 = (cache[name] for name in ("X", "H", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(H)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "no-slope",
    "The gradient passes GELU unchanged, so everything below it is wrong.",
)
def ffn_backward_batch(dY, cache):
    X, H, W1, W2 = (cache[name] for name in ("X", "H", "W1", "W2"))
    dZ = dY @ W2
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "relu-slope",
    "The backward pass multiplies by the slope of ReLU, but the forward pass ran GELU.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2) * (Z > 0)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "Z-for-H",
    "dW2 is built with Z. The second layer saw the values behind GELU.",
)
def ffn_backward_batch(dY, cache):
    X, Z, W1, W2 = (cache[name] for name in ("X", "Z", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, Z)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "one-sequence-only",
    "The parameter gradients hold the first sequence only. All sequences share the weights.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1, dW2 = dZ[0].T @ X[0], dY[0].T @ H[0]
    return dW1, dZ[0].sum(axis=0), dW2, dY[0].sum(axis=0), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "relu-forward",
    "The forward pass runs ReLU. The block of this section has GELU.",
)
def ffn_forward_batch(X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    H = np.maximum(Z, 0.0)
    return H @ W2.T + b2, {"X": X, "Z": Z, "H": H, "W1": W1, "W2": W2}


@mistake(
    "ffn_forward_batch",
    "gelu-twice",
    "GELU acts on the output too. It stands between the layers only.",
)
def ffn_forward_batch(X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    H = _gelu(Z)
    return _gelu(H @ W2.T + b2), {"X": X, "Z": Z, "H": H, "W1": W1, "W2": W2}


@mistake(
    "ffn_forward_batch",
    "no-biases",
    "The forward pass leaves out both biases.",
)
def ffn_forward_batch(X, W1, b1, W2, b2):
    Z = X @ W1.T
    H = _gelu(Z)
    return H @ W2.T, {"X": X, "Z": Z, "H": H, "W1": W1, "W2": W2}


@mistake(
    "ffn_forward_batch",
    "axes-mixed-up",
    "The reshape for dW1 and dW2 mixes the numbers of different tokens. The axis that stays "
    "must stay last.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = dZ.reshape(dZ.shape[-1], -1) @ X.reshape(-1, X.shape[-1])
    dW2 = dY.reshape(dY.shape[-1], -1) @ H.reshape(-1, H.shape[-1])
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "W2-transposed",
    "dH runs over the wrong index of W2. Compare the shapes of dY and dH.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2.T) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "ffn_forward_batch",
    "W1-transposed",
    "dX runs over the wrong index of W1. Compare the shapes of dZ and dX.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1.T


@mistake(
    "ffn_forward_batch",
    "forward-not-transposed",
    "The forward pass sums over the rows of W1 and W2, which are the outputs of a layer.",
)
def ffn_forward_batch(X, W1, b1, W2, b2):
    Z = X @ W1 + b1
    H = _gelu(Z)
    return H @ W2 + b2, {"X": X, "Z": Z, "H": H, "W1": W1, "W2": W2}


@mistake(
    "ffn_forward_batch",
    "weights-mean-over-batch",
    "dW1 and dW2 are divided by the number of sequences, the biases are not. The sum is asked for.",
)
def ffn_backward_batch(dY, cache):
    X, Z, H, W1, W2 = (cache[name] for name in ("X", "Z", "H", "W1", "W2"))
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X) / len(X)
    dW2 = np.einsum("bti,btj->ij", dY, H) / len(X)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


# -------------------------------------------------------------------- backward_pass_manual

success_note(
    "backward_pass_manual",
    "The loop asks for every cached value once, in the reverse order of their making.",
)


@mistake(
    "backward_pass_manual",
    "no-output-slope",
    "The last layer is treated as if d_output stood before the sigmoid. It stands behind it.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        dz = da.copy() if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "relu-at-the-output",
    "The last layer is treated like the others. It has a sigmoid, not ReLU.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        dz = da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "sigmoid-everywhere",
    "Every layer is treated as a sigmoid layer. The hidden ones have ReLU.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = _sigmoid(cache[f"z{i}"])
        dz = da * s * (1 - s)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "no-hidden-slope",
    "The last layer is right, but the gradient passes the hidden ReLUs unchanged.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "lists-from-the-end",
    "The lists are the wrong way round: the walk finds the last layer first, and entry 0 is asked "
    "to be the first.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.append(dz.T @ cache[f"a{i - 1}"])
        dbiases.append(dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "sigmoid-of-a",
    "The slope of the sigmoid is taken at its output a, as if the sigmoid had been applied twice.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = _sigmoid(cache[f"a{i}"])
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "mean-over-samples",
    "All parameter gradients are divided by the number of samples; d_output holds that factor "
    "already when the loss is a mean.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"] / len(dz))
        dbiases.insert(0, dz.mean(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "one-at-zero",
    "Where z is exactly 0 the gradient passes. The corner of ReLU belongs to its flat side.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] >= 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "stops-at-z1",
    "The lists are right, but dx is the gradient at the first sum z1. One step is left to the input.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, dz


@mistake(
    "backward_pass_manual",
    "biases-from-dA",
    "The biases are summed from dA. They stand in the line of Z, before the activation.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, da.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "own-output-for-input",
    "dW of a layer is built with the layer's own output. What went into it?",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1]
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "weights-transposed-back",
    "The gradient goes back through the transposed weights. Compare the shapes of dZ and dA.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = dz @ weights[i - 1].T
    return dweights, dbiases, da


@mistake(
    "backward_pass_manual",
    "slope-not-handed-on",
    "What a layer hands on to the layer below lacks the slope of its activation.",
)
def backward_pass_manual(d_output, weights, cache):
    dweights, dbiases, da = [], [], d_output
    for i in range(len(weights), 0, -1):
        s = cache[f"a{i}"]
        dz = da * s * (1 - s) if i == len(weights) else da * (cache[f"z{i}"] > 0)
        dweights.insert(0, dz.T @ cache[f"a{i - 1}"])
        dbiases.insert(0, dz.sum(axis=0))
        da = da @ weights[i - 1]
    return dweights, dbiases, da


# --------------------------------------------------------------------- ffn_parameter_count

success_note(
    "ffn_parameter_count",
    "For expansion 4 this is 8 d² + 5 d: the matrices dwarf the biases as soon as d is large.",
)


@mistake("ffn_parameter_count", "no-biases", "Only the two matrices are counted, not the biases.")
def ffn_parameter_count(d_model, expansion=4):
    return 2 * expansion * d_model**2


@mistake("ffn_parameter_count", "one-matrix", "One of the two layers is counted, not both.")
def ffn_parameter_count(d_model, expansion=4):
    return expansion * d_model**2 + expansion * d_model


@mistake(
    "ffn_parameter_count",
    "biases-of-equal-length",
    "Both biases are counted with the inner width. The second layer has fewer outputs.",
)
def ffn_parameter_count(d_model, expansion=4):
    return 2 * expansion * d_model**2 + 2 * expansion * d_model


@mistake(
    "ffn_parameter_count",
    "biases-of-the-outer-width",
    "Both biases are counted with d_model numbers. The first layer has more outputs.",
)
def ffn_parameter_count(d_model, expansion=4):
    return 2 * expansion * d_model**2 + 2 * d_model


@mistake(
    "ffn_parameter_count",
    "always-four",
    "The expansion is taken as 4 whatever the argument says.",
)
def ffn_parameter_count(d_model, expansion=4):
    return 8 * d_model**2 + 5 * d_model


@mistake(
    "ffn_parameter_count",
    "square-inside",
    "One layer is counted as a square matrix of the inner width. Write down the shape of W2.",
)
def ffn_parameter_count(d_model, expansion=4):
    d_ff = expansion * d_model
    return d_model * d_ff + d_ff + d_ff * d_ff + d_model


@mistake(
    "ffn_parameter_count",
    "no-second-bias",
    "The bias of the second layer is not counted.",
)
def ffn_parameter_count(d_model, expansion=4):
    return 2 * expansion * d_model**2 + expansion * d_model


@mistake(
    "ffn_parameter_count",
    "no-first-bias",
    "The bias of the first layer is not counted.",
)
def ffn_parameter_count(d_model, expansion=4):
    return 2 * expansion * d_model**2 + d_model


@mistake(
    "ffn_parameter_count",
    "both-square",
    "Both matrices are counted as square ones of the inner width. Write down their shapes.",
)
def ffn_parameter_count(d_model, expansion=4):
    d_ff = expansion * d_model
    return 2 * d_ff**2 + d_ff + d_model


# -------------------------------------------------------------------- ffn_activation_bytes

success_note(
    "ffn_activation_bytes",
    "With expansion 4 a token keeps 9 d_model numbers, and 8 of the 9 can be computed again from "
    "the first.",
)


@mistake("ffn_activation_bytes", "no-x", "The input x is not counted; dW1 needs it.")
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * 2 * expansion * d_model * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "one-inner-array",
    "Only one array of the inner width is counted. Both z and h are kept.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * (1 + expansion) * d_model * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "output-counted",
    "The output y is counted too. The backward pass of this block does not ask for it.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * (2 + 2 * expansion) * d_model * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "values-not-bytes",
    "This is a number of values. How many bytes does each take?",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * (1 + 2 * expansion) * d_model


@mistake(
    "ffn_activation_bytes",
    "always-four-bytes",
    "Each value is taken as 4 bytes, whatever the argument says.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * (1 + 2 * expansion) * d_model * 4


@mistake(
    "ffn_activation_bytes",
    "one-token-a-sequence",
    "Every sequence is counted as one token. The cache grows with the length of the sequence.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * (1 + 2 * expansion) * d_model * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "always-expansion-four",
    "The inner width is taken as 4 times d_model, whatever the argument says.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * 9 * d_model * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "one-sequence",
    "The batch is counted as one sequence. Each sequence has a cache of its own.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return seq_len * (1 + 2 * expansion) * d_model * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "all-as-wide-as-x",
    "All three arrays are counted as wide as x. How many numbers has z for each token?",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * 3 * d_model * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "weights-counted",
    "The weights and biases are counted too. They are there once, whatever the batch.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    tokens = batch_size * seq_len * (1 + 2 * expansion) * d_model
    parameters = 2 * expansion * d_model**2 + expansion * d_model + d_model
    return (tokens + parameters) * bytes_per_value


@mistake(
    "ffn_activation_bytes",
    "bits",
    "Every value is counted with 8 times its bytes. Bits are not asked for.",
)
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return batch_size * seq_len * (1 + 2 * expansion) * d_model * bytes_per_value * 8


# --------------------------------------------------------------- checkpointed_ffn_backward

success_note(
    "checkpointed_ffn_backward",
    "torch.utils.checkpoint.checkpoint does this for any part of a model.",
)


@mistake(
    "checkpointed_ffn_backward",
    "dY-through-forward",
    "The gradient dY is sent through the forward pass. Run X forward; dY comes after, backward.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = dY @ W1.T + b1
    dZ = (X @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, dY)
    dW2 = np.einsum("bti,btj->ij", X, _gelu(Z))
    return dW1, dZ.sum(axis=(0, 1)), dW2, X.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "checkpointed_ffn_backward",
    "no-bias-in-second-run",
    "The second forward pass leaves out b1, so it finds another Z than the first did.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = X @ W1.T
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, _gelu(Z))
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "checkpointed_ffn_backward",
    "no-gelu-in-second-run",
    "dW2 is built with Z: the second forward pass stops before GELU.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, Z)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "checkpointed_ffn_backward",
    "slope-at-H",
    "The slope of GELU is taken at what came out of GELU in the second run.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    H = _gelu(X @ W1.T + b1)
    dZ = (dY @ W2) * _gelu_grad(H)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, H)
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "checkpointed_ffn_backward",
    "counted-twice",
    "Everything is twice too large. The block is run forward twice, but its gradient counts once.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    dZ = 2 * (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = 2 * np.einsum("bti,btj->ij", dY, _gelu(Z))
    return dW1, dZ.sum(axis=(0, 1)), dW2, 2 * dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "checkpointed_ffn_backward",
    "X-added-to-dX",
    "dX has X itself added to it. Only gradients belong there.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, _gelu(Z))
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1 + X


@mistake(
    "checkpointed_ffn_backward",
    "first-sequence-only",
    "The parameter gradients come from the first sequence alone.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = dZ[0].T @ X[0]
    dW2 = dY[0].T @ _gelu(Z[0])
    return dW1, dZ[0].sum(axis=0), dW2, dY[0].sum(axis=0), dZ @ W1


@mistake(
    "checkpointed_ffn_backward",
    "output-for-dY",
    "The output Y of the second run goes backward in place of dY.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    dY = _gelu(Z) @ W2.T + b2
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, _gelu(Z))
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1


@mistake(
    "checkpointed_ffn_backward",
    "run-on-the-output",
    "The second run starts from the output of a first one. Start from X, as the forward pass did.",
)
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    X = _gelu(X @ W1.T + b1) @ W2.T + b2
    Z = X @ W1.T + b1
    dZ = (dY @ W2) * _gelu_grad(Z)
    dW1 = np.einsum("bti,btj->ij", dZ, X)
    dW2 = np.einsum("bti,btj->ij", dY, _gelu(Z))
    return dW1, dZ.sum(axis=(0, 1)), dW2, dY.sum(axis=(0, 1)), dZ @ W1
