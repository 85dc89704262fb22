"""Mistakes of notebook 01, the forward pass."""

import numpy as np
import torch
from torch import nn

from autograder.mistakes import mistake, success_note


def _sigmoid(z):
    return np.where(z >= 0, 1.0, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z)))


def _log_softmax(z):
    shifted = z - np.max(z, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _forward(x, weights, biases):
    a, cache = x, {"a0": x}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = a @ W.T + b
        a = _sigmoid(z) if i == len(weights) else np.maximum(z, 0.0)
        cache[f"z{i}"], cache[f"a{i}"] = z, a
    return a, cache


# ------------------------------------------------------------------------------------- affine

success_note(
    "affine",
    "Each row of W holds the weights of one output, so W @ x takes all dot products at once.",
)


@mistake("affine", "no-bias", "The bias b is not in the sum. Which term of the formula is absent?")
def affine(x, W, b):
    return W @ x


@mistake(
    "affine",
    "transposed-weights",
    "W is used transposed: its columns meet x. Each output has one row of W; see its shape.",
)
def affine(x, W, b):
    return x @ W + b


@mistake(
    "affine",
    "bias-subtracted",
    "The bias is subtracted. Look at the sign in front of b in the formula.",
)
def affine(x, W, b):
    return W @ x - b


@mistake(
    "affine",
    "bias-multiplied",
    "The bias joins the weights before the product, so x multiplies it too. Look at the order.",
)
def affine(x, W, b):
    return (W + b[:, None]) @ x


@mistake(
    "affine",
    "products-not-added",
    "The products of weights and inputs are not added up: the result is a table, not one number for "
    "each output.",
)
def affine(x, W, b):
    return W * x + b[:, None]


# ------------------------------------------------------------------------------- affine_batch

success_note(
    "affine_batch",
    'np.einsum("sj,ij->si", X, W) + b says the same with named indices: j is summed.',
)


@mistake(
    "affine_batch",
    "loop-over-samples",
    "The numbers are right, but Python handles one sample after the other. Which product takes all "
    "rows of X at once?",
)
def affine_batch(X, W, b):
    return np.array([W @ x + b for x in X])


@mistake(
    "affine_batch",
    "no-transpose",
    "X meets the columns of W instead of its rows. Write down both shapes and the one that you want.",
)
def affine_batch(X, W, b):
    return X @ W + b


@mistake("affine_batch", "no-bias", "The product is right, but nothing is added to it. Where is b?")
def affine_batch(X, W, b):
    return X @ W.T


@mistake(
    "affine_batch",
    "samples-in-columns",
    "The result has one column for each sample. In this course samples are rows.",
)
def affine_batch(X, W, b):
    return W @ X.T + b[:, None]


@mistake(
    "affine_batch",
    "bias-per-sample",
    "The bias is spread over the samples: each row gets one number of it. It belongs to the outputs, "
    "so each column gets one.",
)
def affine_batch(X, W, b):
    return X @ W.T + np.resize(b, len(X))[:, None]


@mistake(
    "affine_batch",
    "first-sample-everywhere",
    "All rows of the result are alike: only the first sample was used.",
)
def affine_batch(X, W, b):
    return np.tile(W @ X[0] + b, (len(X), 1))


# --------------------------------------------------------------------------------------- relu

success_note("relu", "A second way: z * (z > 0). The comparison is 1 where the signal passes.")


@mistake("relu", "absolute-value", "Negative numbers come out positive. ReLU does not keep them.")
def relu(z):
    return np.abs(z)


@mistake("relu", "lower-half", "This keeps the negative numbers and drops the positive ones.")
def relu(z):
    return np.minimum(0.0, z)


@mistake(
    "relu",
    "leaky",
    "Negative numbers pass with a small factor. That is a leaky ReLU; here they become exactly zero.",
)
def relu(z):
    return np.where(z > 0, z, 0.01 * z)


@mistake(
    "relu",
    "step",
    "The result says where z is positive, and forgets how large it is there.",
)
def relu(z):
    return (z > 0).astype(np.float64)


@mistake(
    "relu",
    "input-overwritten",
    "The zeros are written into z itself, so the caller's array changes. Build a new array.",
)
def relu(z):
    z[z < 0] = 0.0
    return z


@mistake(
    "relu",
    "only-the-positive",
    "Negative numbers are left out, so the array gets shorter. Each place keeps a number.",
)
def relu(z):
    return z[z > 0]


# ------------------------------------------------------------------------------------ sigmoid

success_note(
    "sigmoid",
    "A second way: 0.5 * (1 + np.tanh(z / 2)). It is the same function, and tanh never overflows.",
)


@mistake(
    "sigmoid",
    "overflow",
    "The numbers are right, but exp of a large positive number overflows on the way. For which z is "
    "the exponent positive?",
)
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@mistake(
    "sigmoid",
    "overflow-on-the-right",
    "For large positive z this divides infinity by infinity. The other form of the function is safe "
    "there.",
)
def sigmoid(z):
    return np.exp(z) / (1 + np.exp(z))


@mistake(
    "sigmoid",
    "where-computes-both",
    "A form is computed also where it overflows, and thrown away afterward. np.where is no help: "
    "it picks after both forms were computed everywhere.",
)
def sigmoid(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)) * 1.0)


@mistake(
    "sigmoid",
    "sign-of-the-exponent",
    "The curve falls where it should rise. Look at the sign in the exponent.",
)
def sigmoid(z):
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, small, 1.0) / (1 + small)


@mistake(
    "sigmoid",
    "tanh",
    "The values lie between −1 and 1: this is the hyperbolic tangent. A sigmoid is never negative.",
)
def sigmoid(z):
    return np.tanh(z)


@mistake(
    "sigmoid",
    "clipped",
    "The input is clipped, so beyond the limits the result is that of the limit and not of z.",
)
def sigmoid(z):
    return 1 / (1 + np.exp(-np.clip(z, -10, 10)))


@mistake(
    "sigmoid",
    "minus-in-the-denominator",
    "The denominator subtracts the exponential. Compare it with the formula, sign by sign.",
)
def sigmoid(z):
    return 1 / (1.0 - np.exp(-np.abs(z) - 1e-3))


# ------------------------------------------------------------------------------------ softmax

success_note(
    "softmax",
    "Any shift gives the same probabilities; the maximum is the one that can never overflow.",
)


@mistake(
    "softmax",
    "overflow",
    "The formula is right, but exp of 1000 is infinite. Which number may you subtract from every logit?",
)
def softmax(z, axis=-1):
    return np.exp(z) / np.sum(np.exp(z), axis=axis, keepdims=True)


@mistake(
    "softmax",
    "sum-over-everything",
    "All numbers of the array together add up to 1. Each group along the axis must do so by itself.",
)
def softmax(z, axis=-1):
    e = np.exp(z - np.max(z))
    return e / np.sum(e)


@mistake(
    "softmax",
    "axis-ignored",
    "The argument axis has no effect: it is always the last axis that adds up to 1.",
)
def softmax(z, axis=-1):
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


@mistake(
    "softmax",
    "maximum-of-everything",
    "The shift is the maximum of the whole array. A row far below it becomes zeros only. Each group "
    "needs its own maximum.",
)
def softmax(z, axis=-1):
    e = np.exp(z - np.max(z))
    return e / np.sum(e, axis=axis, keepdims=True)


@mistake(
    "softmax",
    "not-normalized",
    "The exponentials are right, but they do not add up to 1. What does the formula divide by?",
)
def softmax(z, axis=-1):
    return np.exp(z - np.max(z, axis=axis, keepdims=True))


@mistake(
    "softmax",
    "no-exponential",
    "The shifted logits themselves are divided by their sum. Where are the exponentials?",
)
def softmax(z, axis=-1):
    shifted = z - np.min(z, axis=axis, keepdims=True) + 1.0
    return shifted / np.sum(shifted, axis=axis, keepdims=True)


@mistake(
    "softmax",
    "minimum-favored",
    "The smallest logit gets the largest probability. Look at the sign in the exponent.",
)
def softmax(z, axis=-1):
    e = np.exp(np.min(z, axis=axis, keepdims=True) - z)
    return e / np.sum(e, axis=axis, keepdims=True)


# --------------------------------------------------------------------------- z1, a1, z2, y_hat

success_note(
    "z1",
    "Neuron 0 is dead for this sample: whatever its weight to the output is, it contributes nothing.",
)


@mistake(
    "z1",
    "no-relu",
    "A negative number passes the hidden layer. What does ReLU do with it?",
)
def z1():
    return {
        "z1": [-0.04, 0.08, 0.23],
        "a1": [-0.04, 0.08, 0.23],
        "z2": -0.091,
        "y_hat": 0.47727,
        "dead_neurons": [],
        "predicted_class": 0,
    }


@mistake(
    "z1",
    "slip-in-the-sum",
    "This is the result of a version of the example with a slip in the last sum. Add the three terms "
    "of z2 again, with their signs.",
)
def z1():
    return {
        "z1": [-0.04, 0.08, 0.23],
        "a1": [0.0, 0.08, 0.23],
        "z2": -0.069,
        "y_hat": 0.48276,
        "dead_neurons": [0],
        "predicted_class": 0,
    }


@mistake(
    "z1",
    "no-hidden-bias",
    "The hidden layer lacks its bias. Compute the first entry of z1 again, term by term.",
)
def z1():
    return {
        "z1": [-0.14, 0.28, 0.23],
        "a1": [0.0, 0.28, 0.23],
        "z2": -0.143,
        "y_hat": 0.46431,
        "dead_neurons": [0],
        "predicted_class": 0,
    }


@mistake(
    "z1",
    "no-output-bias",
    "The sum of z2 has two terms from the hidden layer, and one more. Which one is absent?",
)
def z1():
    return {
        "z1": [-0.04, 0.08, 0.23],
        "a1": [0.0, 0.08, 0.23],
        "z2": 0.037,
        "y_hat": 0.50925,
        "dead_neurons": [0],
        "predicted_class": 1,
    }


@mistake(
    "z1",
    "sigmoid-sign",
    "The sigmoid of a negative number is below one half. Look at the sign in your exponent.",
)
def z1():
    return {
        "z1": [-0.04, 0.08, 0.23],
        "a1": [0.0, 0.08, 0.23],
        "z2": -0.063,
        "y_hat": 0.51575,
        "dead_neurons": [0],
        "predicted_class": 1,
    }


@mistake(
    "z1", "counted-from-one", "The dead neuron is the right one, but its number counts from 1."
)
def z1():
    return {
        "z1": [-0.04, 0.08, 0.23],
        "a1": [0.0, 0.08, 0.23],
        "z2": -0.063,
        "y_hat": 0.4843,
        "dead_neurons": [1],
        "predicted_class": 0,
    }


@mistake(
    "z1",
    "wrong-side-of-one-half",
    "The numbers are right, the class is not: on which side of one half does y_hat lie?",
)
def z1():
    return {
        "z1": [-0.04, 0.08, 0.23],
        "a1": [0.0, 0.08, 0.23],
        "z2": -0.063,
        "y_hat": 0.4843,
        "dead_neurons": [0],
        "predicted_class": 1,
    }


# ------------------------------------------------------------------------ forward_pass_manual

success_note(
    "forward_pass_manual",
    "The cache holds each value once more than the output needs it: that is the price of training.",
)


@mistake(
    "forward_pass_manual",
    "sigmoid-everywhere",
    "The hidden layers use the sigmoid too. Which activation do they have here?",
)
def forward_pass_manual(x, weights, biases):
    a, cache = x, {"a0": x}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = a @ W.T + b
        a = _sigmoid(z)
        cache[f"z{i}"], cache[f"a{i}"] = z, a
    return a, cache


@mistake(
    "forward_pass_manual",
    "relu-everywhere",
    "The last layer uses ReLU like the others. Its output should lie between 0 and 1.",
)
def forward_pass_manual(x, weights, biases):
    a, cache = x, {"a0": x}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = a @ W.T + b
        a = np.maximum(z, 0.0)
        cache[f"z{i}"], cache[f"a{i}"] = z, a
    return a, cache


@mistake(
    "forward_pass_manual",
    "keys-from-zero",
    "The keys are one too low: the first layer is z1 and a1, and a0 is the input.",
)
def forward_pass_manual(x, weights, biases):
    output, cache = _forward(x, weights, biases)
    shifted = {}
    for i in range(1, len(weights) + 1):
        shifted[f"z{i - 1}"], shifted[f"a{i - 1}"] = cache[f"z{i}"], cache[f"a{i}"]
    return output, shifted


@mistake(
    "forward_pass_manual",
    "activations-cached-as-z",
    "The cache has the activation under the key of the pre-activation. Store z before it is "
    "overwritten.",
)
def forward_pass_manual(x, weights, biases):
    output, cache = _forward(x, weights, biases)
    for i in range(1, len(weights) + 1):
        cache[f"z{i}"] = cache[f"a{i}"].copy()
    return output, cache


@mistake(
    "forward_pass_manual",
    "no-hidden-activation",
    "The hidden layers pass on their pre-activations. Without an activation all layers are one.",
)
def forward_pass_manual(x, weights, biases):
    a, cache = x, {"a0": x}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = a @ W.T + b
        a = _sigmoid(z) if i == len(weights) else z
        cache[f"z{i}"], cache[f"a{i}"] = z, a
    return a, cache


@mistake(
    "forward_pass_manual",
    "logits-returned",
    "The output is the last pre-activation. The cache is right: which of its entries is the output?",
)
def forward_pass_manual(x, weights, biases):
    output, cache = _forward(x, weights, biases)
    return cache[f"z{len(weights)}"], cache


@mistake(
    "forward_pass_manual",
    "no-biases",
    "No layer adds its bias. Compare your line for z with the formula.",
)
def forward_pass_manual(x, weights, biases):
    return _forward(x, weights, [0.0 * b for b in biases])


@mistake(
    "forward_pass_manual",
    "input-again",
    "Every layer reads the input x instead of the activation before it. Which name changes from "
    "layer to layer?",
)
def forward_pass_manual(x, weights, biases):
    cache = {"a0": x}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True), start=1):
        z = x @ W.T + b
        a = _sigmoid(z) if i == len(weights) else np.maximum(z, 0.0)
        cache[f"z{i}"], cache[f"a{i}"] = z, a
    return a, cache


# -------------------------------------------------------------------------------- log_softmax

success_note(
    "log_softmax",
    "The logarithm of a probability can be −2000 without harm; only the probability itself cannot.",
)


@mistake(
    "log_softmax",
    "log-of-softmax",
    "The probability is formed first, and where it rounds to 0 its logarithm is −inf. Stay with "
    "logarithms.",
)
def log_softmax(z, axis=-1):
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return np.log(e / np.sum(e, axis=axis, keepdims=True))


@mistake(
    "log_softmax",
    "no-shift",
    "exp of a logit of 1000 is infinite. What do you subtract from the logits first?",
)
def log_softmax(z, axis=-1):
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


@mistake(
    "log_softmax",
    "guarded-logarithm",
    "A small number inside the logarithm hides the −inf, but it replaces the true value by a limit "
    "of its own.",
)
def log_softmax(z, axis=-1):
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return np.log(e / np.sum(e, axis=axis, keepdims=True) + 1e-12)


@mistake(
    "log_softmax",
    "maximum-forgotten-once",
    "The maximum is subtracted inside the sum only. Both terms of the formula use the shifted logits.",
)
def log_softmax(z, axis=-1):
    m = np.max(z, axis=axis, keepdims=True)
    return z - np.log(np.sum(np.exp(z - m), axis=axis, keepdims=True))


@mistake(
    "log_softmax",
    "axis-ignored",
    "It is always the last axis that is summed, whatever the argument axis says.",
)
def log_softmax(z, axis=-1):
    shifted = z - np.max(z, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


@mistake(
    "log_softmax",
    "softmax-itself",
    "These are the probabilities. Their logarithms are wanted, and those are never positive.",
)
def log_softmax(z, axis=-1):
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


@mistake(
    "log_softmax",
    "base-two",
    "The logarithm has base 2. The formula wants the natural one.",
)
def log_softmax(z, axis=-1):
    shifted = z - np.max(z, axis=axis, keepdims=True)
    return (shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))) / np.log(2)


# ------------------------------------------------------------------ cross_entropy_with_logits

success_note(
    "cross_entropy_with_logits",
    "A network that knows nothing pays log K: it gives every class the probability 1/K.",
)


@mistake(
    "cross_entropy_with_logits",
    "sum-over-samples",
    "The samples are added up. The loss is their mean, so that it does not grow with the batch.",
)
def cross_entropy_with_logits(logits, targets):
    return -np.sum(_log_softmax(logits)[np.arange(len(targets)), targets])


@mistake(
    "cross_entropy_with_logits",
    "no-minus",
    "The sign is wrong: a loss is not negative, and a log-probability is not positive.",
)
def cross_entropy_with_logits(logits, targets):
    return np.mean(_log_softmax(logits)[np.arange(len(targets)), targets])


@mistake(
    "cross_entropy_with_logits",
    "columns-for-every-row",
    "The index takes the columns of all targets from every row. Each row needs its own column only.",
)
def cross_entropy_with_logits(logits, targets):
    return -np.mean(_log_softmax(logits)[:, targets])


@mistake(
    "cross_entropy_with_logits",
    "log-of-softmax",
    "Where the right class gets a probability that rounds to 0, the logarithm is −inf. You have a "
    "function that never forms the probability.",
)
def cross_entropy_with_logits(logits, targets):
    e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(targets)), targets]))


@mistake(
    "cross_entropy_with_logits",
    "divided-by-all-elements",
    "The sum is divided by samples times classes. Only one entry of each row counts.",
)
def cross_entropy_with_logits(logits, targets):
    return -np.sum(_log_softmax(logits)[np.arange(len(targets)), targets]) / logits.size


@mistake(
    "cross_entropy_with_logits",
    "no-logarithm",
    "The logits of the right classes are averaged as they are. The log-softmax is absent.",
)
def cross_entropy_with_logits(logits, targets):
    return -np.mean(logits[np.arange(len(targets)), targets])


@mistake(
    "cross_entropy_with_logits",
    "softmax-over-samples",
    "The probabilities add up to 1 over the samples. They belong to the classes of one sample: which "
    "axis is that?",
)
def cross_entropy_with_logits(logits, targets):
    return -np.mean(_log_softmax(logits.T).T[np.arange(len(targets)), targets])


@mistake(
    "cross_entropy_with_logits",
    "one-loss-per-sample",
    "There is still one number for each sample. What does the formula do with them in the end?",
)
def cross_entropy_with_logits(logits, targets):
    return -_log_softmax(logits)[np.arange(len(targets)), targets]


# ---------------------------------------------------------------------------- bce_with_logits

success_note(
    "bce_with_logits",
    "A second way: np.mean(np.logaddexp(0, z) - z * y). logaddexp(0, z) is log(1 + exp(z)), computed "
    "safely.",
)


@mistake(
    "bce_with_logits",
    "through-the-sigmoid",
    "The sigmoid is formed first, and where it rounds to 0 or 1 a logarithm is −inf. Stay with the "
    "logits.",
)
def bce_with_logits(z, y):
    p = _sigmoid(z)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@mistake(
    "bce_with_logits",
    "overflow",
    "The formula before the last step is used, and its exponential overflows for a very negative z.",
)
def bce_with_logits(z, y):
    return np.mean(np.log(1 + np.exp(-z)) + (1 - y) * z)


@mistake(
    "bce_with_logits",
    "sum-of-elements",
    "The elements are added up. The loss is their mean.",
)
def bce_with_logits(z, y):
    return np.sum(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))


@mistake(
    "bce_with_logits",
    "mean-over-rows",
    "The sum is divided by the number of rows. The mean is over all elements.",
)
def bce_with_logits(z, y):
    return np.sum(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))) / len(z)


@mistake(
    "bce_with_logits",
    "no-absolute-value",
    "The exponent is −z where the formula has −|z|. For which z is that a difference?",
)
def bce_with_logits(z, y):
    return np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.clip(z, -50, None))))


@mistake(
    "bce_with_logits",
    "targets-swapped",
    "A yes is priced as a no, and the other way around. Which term is multiplied by y?",
)
def bce_with_logits(z, y):
    return np.mean(np.maximum(z, 0) - z * (1 - y) + np.log1p(np.exp(-np.abs(z))))


@mistake(
    "bce_with_logits",
    "no-maximum",
    "The first term is z itself. The formula has the larger of z and 0.",
)
def bce_with_logits(z, y):
    return np.mean(z - z * y + np.log1p(np.exp(-np.abs(z))))


# --------------------------------------------------------------------------------- TrackedMLP

success_note(
    "TrackedMLP",
    "An nn.ModuleList registers what it holds, so the optimizer of notebook 06 will find every weight.",
)


def _run(layers, x, hidden, output):
    a, cache = x, {"a0": x}
    for i, layer in enumerate(layers, start=1):
        z = layer(a)
        a = output(z) if i == len(layers) else hidden(z)
        cache[f"z{i}"], cache[f"a{i}"] = z, a
    return a, cache


@mistake(
    "TrackedMLP",
    "relu-on-the-output",
    "The output passes ReLU too, so negative logits are lost. The last layer has no activation.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = _run(self.layers, x, torch.relu, torch.relu)
        return (a, cache) if return_intermediates else a


@mistake(
    "TrackedMLP",
    "sigmoid-on-the-output",
    "The output passes a sigmoid. The losses want logits: the last layer has no activation.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = _run(self.layers, x, torch.relu, torch.sigmoid)
        return (a, cache) if return_intermediates else a


@mistake(
    "TrackedMLP",
    "no-hidden-activation",
    "The hidden layers have no activation, so the whole network is one affine map.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = _run(self.layers, x, torch.clone, torch.clone)
        return (a, cache) if return_intermediates else a


@mistake(
    "TrackedMLP",
    "plain-list",
    "The layers stand in a plain Python list, so PyTorch does not know their parameters.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = [nn.Linear(n_in, n_out) for n_in, n_out in pairs]

    def forward(self, x, return_intermediates=False):
        a, cache = _run(self.layers, x, torch.relu, torch.clone)
        return (a, cache) if return_intermediates else a


@mistake(
    "TrackedMLP",
    "detached",
    "A detach() cuts the graph: no gradient reaches the layers before it.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = _run(self.layers, x, lambda z: torch.relu(z).detach(), torch.clone)
        return (a, cache) if return_intermediates else a


@mistake(
    "TrackedMLP",
    "activations-cached-as-z",
    "Under the keys of the pre-activations the cache holds what comes after ReLU: it is stored too "
    "late, or a ReLU that works in place overwrites it.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = _run(self.layers, x, torch.relu, torch.clone)
        for i in range(1, len(self.layers) + 1):
            cache[f"z{i}"] = cache[f"a{i}"]
        return (a, cache) if return_intermediates else a


@mistake(
    "TrackedMLP",
    "no-biases",
    "The layers were made without a bias, so parameters are missing.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out, bias=False) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = _run(self.layers, x, torch.relu, torch.clone)
        return (a, cache) if return_intermediates else a


@mistake(
    "TrackedMLP",
    "cache-always-returned",
    "The cache comes back even when nobody asked for it. Look at return_intermediates.",
)
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
        self.layers = nn.ModuleList([nn.Linear(n_in, n_out) for n_in, n_out in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = x, {"a0": x}
        for i, layer in enumerate(self.layers, start=1):
            z = layer(a)
            a = z if i == len(self.layers) else torch.relu(z)
            cache |= {f"z{i}": z, f"a{i}": a}
        return a, cache


# ------------------------------------------------------------------------------------ predict

success_note(
    "predict",
    "The with statement restores the gradient mode even when the model raises an error.",
)


@mistake(
    "predict",
    "graph-built",
    "The output still belongs to a graph: PyTorch remembered every operation.",
)
def predict(model, x):
    return model(x)


@mistake(
    "predict",
    "gradients-off-for-all",
    "Gradients are switched off and stay off, for the whole program. Something must restore the mode.",
)
def predict(model, x):
    torch.set_grad_enabled(False)
    return model(x)


@mistake(
    "predict",
    "left-in-evaluation-mode",
    "The model was put into evaluation mode and stays there. The caller did not ask for that.",
)
def predict(model, x):
    model.eval()
    with torch.no_grad():
        return model(x)


@mistake(
    "predict",
    "parameters-frozen",
    "The parameters no longer ask for gradients, so this model cannot be trained further.",
)
def predict(model, x):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model(x)


@mistake(
    "predict",
    "softmax-added",
    "The output is not that of the model: a softmax was applied to it.",
)
def predict(model, x):
    with torch.no_grad():
        return torch.softmax(model(x), dim=-1)


@mistake(
    "predict",
    "gradients-cleared",
    "The .grad of the parameters was cleared. A prediction leaves it as it is.",
)
def predict(model, x):
    model.zero_grad()
    with torch.no_grad():
        return model(x)


@mistake(
    "predict",
    "gradients-on-for-all",
    "The gradient mode is on afterward, whatever it was before. Restore the mode that you found.",
)
def predict(model, x):
    torch.set_grad_enabled(False)
    output = model(x)
    torch.set_grad_enabled(True)
    return output


@mistake(
    "predict",
    "mode-of-the-layers-changed",
    "The model says that it is in its old mode, but its layers are in evaluation mode. Each module "
    "has a mode of its own.",
)
def predict(model, x):
    before = model.training
    model.eval()
    with torch.no_grad():
        output = model(x)
    model.training = before
    return output


# ------------------------------------------------------------------------------ forward_flops

success_note(
    "forward_flops",
    "The backward pass takes about twice as many: one product for dW and one for dX, where the "
    "forward pass has one.",
)


@mistake(
    "forward_flops",
    "multiply-adds",
    "This counts multiply-adds. Each of them is two operations.",
)
def forward_flops(layer_sizes, batch_size):
    return batch_size * sum(m * n for m, n in zip(layer_sizes, layer_sizes[1:], strict=False))


@mistake(
    "forward_flops",
    "one-sample",
    "The batch size has no effect. Every sample goes through every layer.",
)
def forward_flops(layer_sizes, batch_size):
    return 2 * sum(m * n for m, n in zip(layer_sizes, layer_sizes[1:], strict=False))


@mistake(
    "forward_flops",
    "bias-counted",
    "The additions of the bias are counted too. Only the matrix products are wanted.",
)
def forward_flops(layer_sizes, batch_size):
    pairs = zip(layer_sizes, layer_sizes[1:], strict=False)
    return sum(2 * batch_size * m * n + batch_size * n for m, n in pairs)


@mistake(
    "forward_flops",
    "sizes-added",
    "The sizes of neighboring layers are added. How many weights connect them?",
)
def forward_flops(layer_sizes, batch_size):
    return 2 * batch_size * sum(m + n for m, n in zip(layer_sizes, layer_sizes[1:], strict=False))


@mistake(
    "forward_flops",
    "last-layer-missing",
    "The last layer is not counted. How many pairs of neighbors does the list have?",
)
def forward_flops(layer_sizes, batch_size):
    sizes = layer_sizes[:-1]
    return 2 * batch_size * sum(m * n for m, n in zip(sizes, sizes[1:], strict=False))


@mistake(
    "forward_flops",
    "all-sizes-multiplied",
    "All sizes are multiplied into one product. The layers run one after the other: their costs add "
    "up.",
)
def forward_flops(layer_sizes, batch_size):
    return 2 * batch_size * int(np.prod(layer_sizes))


# ------------------------------------------------------------------------- stored_activations

success_note(
    "stored_activations",
    "The weights do not depend on the batch, the cache does: with a large batch it is the cache that "
    "fills the memory.",
)


@mistake(
    "stored_activations",
    "only-activations",
    "In training each layer keeps two arrays, before and after its activation. One is missing.",
)
def stored_activations(layer_sizes, batch_size, training):
    return batch_size * (sum(layer_sizes) if training else max(layer_sizes))


@mistake(
    "stored_activations",
    "input-twice",
    "The input is counted twice. It has no pre-activation.",
)
def stored_activations(layer_sizes, batch_size, training):
    return batch_size * (2 * sum(layer_sizes) if training else max(layer_sizes))


@mistake(
    "stored_activations",
    "input-missing",
    "The input is part of the cache: it is a0.",
)
def stored_activations(layer_sizes, batch_size, training):
    return batch_size * (2 * sum(layer_sizes[1:]) if training else max(layer_sizes))


@mistake(
    "stored_activations",
    "training-always",
    "Prediction is counted like training. It needs one layer at a time.",
)
def stored_activations(layer_sizes, batch_size, training):
    return batch_size * (layer_sizes[0] + 2 * sum(layer_sizes[1:]))


@mistake(
    "stored_activations",
    "widest-without-input",
    "In prediction the input is a layer too, and it can be the widest.",
)
def stored_activations(layer_sizes, batch_size, training):
    if training:
        return batch_size * (layer_sizes[0] + 2 * sum(layer_sizes[1:]))
    return batch_size * max(layer_sizes[1:])


@mistake(
    "stored_activations",
    "one-sample",
    "The batch size has no effect. Every sample has activations of its own.",
)
def stored_activations(layer_sizes, batch_size, training):
    return layer_sizes[0] + 2 * sum(layer_sizes[1:]) if training else max(layer_sizes)


@mistake(
    "stored_activations",
    "output-only",
    "In prediction only the output is counted. On the way there a wider layer was stored.",
)
def stored_activations(layer_sizes, batch_size, training):
    if training:
        return batch_size * (layer_sizes[0] + 2 * sum(layer_sizes[1:]))
    return batch_size * layer_sizes[-1]


# ---------------------------------------------------------------------- activation_statistics

success_note(
    "activation_statistics",
    "Half of the numbers after ReLU are zeros, so the mean is as telling as the spread.",
)


@mistake(
    "activation_statistics",
    "sample-deviation",
    "The standard deviation divides by one less than the number of values. That of the population "
    "divides by all.",
)
def activation_statistics(X, weights, biases):
    _, cache = _forward(X, weights, biases)
    layers = [cache[f"a{i}"] for i in range(1, len(weights) + 1)]
    return [(np.mean(a), np.std(a, ddof=1)) for a in layers]


@mistake(
    "activation_statistics",
    "variance",
    "The second number is the variance. The standard deviation is its square root.",
)
def activation_statistics(X, weights, biases):
    _, cache = _forward(X, weights, biases)
    layers = [cache[f"a{i}"] for i in range(1, len(weights) + 1)]
    return [(np.mean(a), np.var(a)) for a in layers]


@mistake(
    "activation_statistics",
    "pre-activations",
    "These are the statistics of the pre-activations z. Those of the activations are wanted.",
)
def activation_statistics(X, weights, biases):
    _, cache = _forward(X, weights, biases)
    layers = [cache[f"z{i}"] for i in range(1, len(weights) + 1)]
    return [(np.mean(a), np.std(a)) for a in layers]


@mistake(
    "activation_statistics",
    "input-included",
    "The list begins with the input. It should begin with the first layer.",
)
def activation_statistics(X, weights, biases):
    _, cache = _forward(X, weights, biases)
    layers = [cache[f"a{i}"] for i in range(len(weights) + 1)]
    return [(np.mean(a), np.std(a)) for a in layers]


@mistake(
    "activation_statistics",
    "shifted-by-one",
    "The list has the right length, but it starts at the input and stops before the output.",
)
def activation_statistics(X, weights, biases):
    _, cache = _forward(X, weights, biases)
    layers = [cache[f"a{i}"] for i in range(len(weights))]
    return [(np.mean(a), np.std(a)) for a in layers]


@mistake(
    "activation_statistics",
    "order-swapped",
    "The pairs are the wrong way around: the mean comes first.",
)
def activation_statistics(X, weights, biases):
    _, cache = _forward(X, weights, biases)
    layers = [cache[f"a{i}"] for i in range(1, len(weights) + 1)]
    return [(np.std(a), np.mean(a)) for a in layers]


@mistake(
    "activation_statistics",
    "mean-of-deviations",
    "The deviation is taken for each neuron, and then averaged. Take it over all numbers at once.",
)
def activation_statistics(X, weights, biases):
    _, cache = _forward(X, weights, biases)
    layers = [cache[f"a{i}"] for i in range(1, len(weights) + 1)]
    return [(np.mean(a), np.mean(np.std(a, axis=0))) for a in layers]


# ------------------------------------------------------------------------------- small_hidden

success_note(
    "small_hidden",
    "Eight layers multiply eight factors: a factor of 0.2 becomes 0.2 to the power of 7 on the way "
    "from the first to the last.",
)


@mistake(
    "small_hidden",
    "small-and-large-swapped",
    "Small and large weights are swapped. Does a product of many small factors grow?",
)
def small_hidden():
    return {
        "small_hidden": "explode",
        "he_hidden": "keep",
        "large_hidden": "vanish",
        "large_output": "saturate",
    }


@mistake(
    "small_hidden",
    "output-explodes",
    "An output of a sigmoid cannot explode: it stays between 0 and 1. What happens at these ends?",
)
def small_hidden():
    return {
        "small_hidden": "vanish",
        "he_hidden": "keep",
        "large_hidden": "explode",
        "large_output": "explode",
    }


@mistake(
    "small_hidden",
    "hidden-layers-saturate",
    "ReLU has no upper end, so hidden layers cannot saturate. Compare their standard deviations.",
)
def small_hidden():
    return {
        "small_hidden": "vanish",
        "he_hidden": "keep",
        "large_hidden": "saturate",
        "large_output": "saturate",
    }


@mistake(
    "small_hidden",
    "he-vanishes",
    "With He's weights the deviation shrinks a little, by far less than a factor of ten.",
)
def small_hidden():
    return {
        "small_hidden": "vanish",
        "he_hidden": "vanish",
        "large_hidden": "explode",
        "large_output": "saturate",
    }


@mistake(
    "small_hidden",
    "shape-instead-of-scale",
    "The histograms look alike, but their scales are not. Read the numbers above the panels.",
)
def small_hidden():
    return {
        "small_hidden": "keep",
        "he_hidden": "keep",
        "large_hidden": "keep",
        "large_output": "keep",
    }
