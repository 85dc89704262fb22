"""Mistakes of notebook 02, back-propagation by hand."""

import numpy as np

from autograder.mistakes import mistake, success_note


def _sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


# ------------------------------------------------------------------------------- relu_grad

success_note(
    "relu_grad",
    "A slope of 0 or 1 passes a gradient on unchanged or stops it; np.where(z > 0, 1.0, 0.0) "
    "says the same.",
)


@mistake(
    "relu_grad",
    "one-at-zero",
    "At z = 0 your slope is 1. The corner belongs to the flat side: compare > with >=.",
)
def relu_grad(z):
    return (z >= 0).astype(np.float64)


@mistake(
    "relu_grad",
    "boolean-mask",
    "This is an array of True and False, the answer to a question. A slope is a number, float64.",
)
def relu_grad(z):
    return z > 0


@mistake(
    "relu_grad",
    "whole-numbers",
    "These are whole numbers, an integer array. Write the two slopes as floats, 1.0 and 0.0.",
)
def relu_grad(z):
    return np.where(z > 0, 1, 0)


@mistake(
    "relu_grad",
    "value-for-slope",
    "This is ReLU itself, its height at z. The slope says how fast that height changes.",
)
def relu_grad(z):
    return np.maximum(z, 0.0)


@mistake(
    "relu_grad",
    "minus-one-on-the-left",
    "Left of zero your slope is −1. ReLU does not fall there: look at its left half.",
)
def relu_grad(z):
    return np.sign(z)


@mistake(
    "relu_grad",
    "writes-into-z",
    "The slopes are written into z itself, so the caller's z is gone. Build a new array.",
)
def relu_grad(z):
    z[z <= 0] = 0.0
    z[z > 0] = 1.0
    return z


# ---------------------------------------------------------------------------- sigmoid_grad

success_note(
    "sigmoid_grad",
    "The slope needs only the value s of the forward pass, s(1 − s), so nothing is computed twice.",
)


@mistake(
    "sigmoid_grad",
    "value-for-slope",
    "This is the sigmoid itself. At z = 0 it is ½, and its slope there is ¼.",
)
def sigmoid_grad(z):
    return _sigmoid(z)


@mistake(
    "sigmoid_grad",
    "z-for-sigmoid",
    "The formula is applied to z itself. What does the argument hold: z, or the sigmoid of z?",
)
def sigmoid_grad(z):
    return z * (1 - z)


@mistake(
    "sigmoid_grad",
    "squared-for-product",
    "The two factors are not the same: they add up to 1. You multiply s by itself.",
)
def sigmoid_grad(z):
    return _sigmoid(z) ** 2


@mistake(
    "sigmoid_grad",
    "plus-in-bracket",
    "The two factors must add up to 1. Look at the sign in your second factor.",
)
def sigmoid_grad(z):
    s = _sigmoid(z)
    return s * (1 + s)


@mistake(
    "sigmoid_grad",
    "formula-of-tanh",
    "This has the form of the slope of tanh. The sigmoid has two factors, one for each side.",
)
def sigmoid_grad(z):
    return 1 - _sigmoid(z) ** 2


@mistake(
    "sigmoid_grad",
    "sigmoid-twice",
    "The sigmoid is applied twice: once to z and once more to its own value.",
)
def sigmoid_grad(z):
    s = _sigmoid(_sigmoid(z))
    return s * (1 - s)


# ------------------------------------------------------------------------------- tanh_grad

success_note(
    "tanh_grad",
    "Like the sigmoid, tanh tells its slope from its value; 1 / cosh(z)² is the same number.",
)


@mistake(
    "tanh_grad",
    "value-for-slope",
    "This is tanh itself, which is negative on the left. Its slope is never negative.",
)
def tanh_grad(z):
    return np.tanh(z)


@mistake(
    "tanh_grad",
    "z-for-tanh",
    "The square is taken of z, but the fraction has sinh(z) / cosh(z) in it. What is that?",
)
def tanh_grad(z):
    return 1 - z**2


@mistake(
    "tanh_grad",
    "square-forgotten",
    "Your slope differs at z and −z. In the fraction sinh and cosh are squared; is yours?",
)
def tanh_grad(z):
    return 1 - np.tanh(z)


@mistake(
    "tanh_grad",
    "plus-for-minus",
    "Your slope is larger than 1 away from zero. Look at the sign between the two terms.",
)
def tanh_grad(z):
    return 1 + np.tanh(z) ** 2


@mistake(
    "tanh_grad",
    "formula-of-sigmoid",
    "This has the form of the slope of the sigmoid. Divide the fraction for tanh term by term.",
)
def tanh_grad(z):
    t = np.tanh(z)
    return t * (1 - t)


@mistake(
    "tanh_grad",
    "cosh-not-squared",
    "The denominator has cosh to the first power. Which power does the quotient rule give?",
)
def tanh_grad(z):
    return 1 / np.cosh(z)


# ----------------------------------------------------------------------- chain_rule_neuron

success_note(
    "chain_rule_neuron",
    "Each factor is the slope of one forward line, and each could be exchanged without touching "
    "the others.",
)


@mistake(
    "chain_rule_neuron",
    "half-forgotten",
    "dL_dA is twice too large. The ½ in front of the square takes part in the derivative.",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = 2 * (A - y)
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


@mistake(
    "chain_rule_neuron",
    "target-minus-output",
    "dL_dA has the wrong sign. When A is above the target, does a larger A raise the loss?",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = y - A
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


@mistake(
    "chain_rule_neuron",
    "relu-always-on",
    "Your dA_dZ is 1 even where Z is negative. What does ReLU do to a change of Z there?",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = A - y
    dA_dZ = 1.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


@mistake(
    "chain_rule_neuron",
    "relu-missing-in-forward",
    "The loss is taken at Z, not at A: with ReLU off your dL_dA sees a negative output.",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    dL_dA = Z - y
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


@mistake(
    "chain_rule_neuron",
    "bias-forgotten",
    "Z is computed without the bias, and A and dL_dA follow. Read the first line of the neuron.",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x)
    A = max(Z, 0.0)
    dL_dA = A - y
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


@mistake(
    "chain_rule_neuron",
    "weight-for-input",
    "dZ_dw holds the weights. The slope with respect to a weight is what that weight multiplies.",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = A - y
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * w
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


@mistake(
    "chain_rule_neuron",
    "one-at-zero",
    "At Z = 0 exactly your dA_dZ is 1. Which slope does ReLU have at its corner here?",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = A - y
    dA_dZ = 1.0 if Z >= 0 else 0.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


@mistake(
    "chain_rule_neuron",
    "factors-added",
    "The three factors are added. How does a change grow from one line to the next?",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = A - y
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA + dA_dZ + dZ_dw


@mistake(
    "chain_rule_neuron",
    "relu-factor-left-out",
    "dL_dw lacks the factor of ReLU: it is not zero when the neuron is off.",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = A - y
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dZ_dw


@mistake(
    "chain_rule_neuron",
    "returns-the-input-itself",
    "dZ_dw is the caller's own array x under a second name. Return a new array.",
)
def chain_rule_neuron(x, w, b, y):
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)
    dL_dA = A - y
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = x
    return dL_dA, dA_dZ, dZ_dw, dL_dA * dA_dZ * dZ_dw


# ---------------------------------------------------------------------------- forward_pass

success_note(
    "forward_pass",
    "Because the activation is an argument, one function serves every kind of layer.",
)


@mistake(
    "forward_pass",
    "no-activation",
    "This is z, the weighted sum. One more step turns it into the output of the layer.",
)
def forward_pass(x, W, b, activation_fn):
    return W @ x + b


@mistake(
    "forward_pass",
    "bias-after-activation",
    "The bias is added after the activation. It belongs to the weighted sum.",
)
def forward_pass(x, W, b, activation_fn):
    return activation_fn(W @ x) + b


@mistake(
    "forward_pass",
    "bias-forgotten",
    "The bias does not take part. Compare your weighted sum with the formula of $z_i$.",
)
def forward_pass(x, W, b, activation_fn):
    return activation_fn(W @ x)


@mistake(
    "forward_pass",
    "columns-for-rows",
    "The columns of W meet the sample. Each output owns one row of W.",
)
def forward_pass(x, W, b, activation_fn):
    return activation_fn(x @ W + b)


@mistake(
    "forward_pass",
    "activation-on-input",
    "The activation acts on the sample before the weights do. Which comes first?",
)
def forward_pass(x, W, b, activation_fn):
    return W @ activation_fn(x) + b


# --------------------------------------------------------------------------- backward_pass

success_note(
    "backward_pass",
    "Every gradient has the shape of its value, and often only one product has that shape: "
    "dz[:, None] * x[None, :] spells the outer product out.",
)


@mistake(
    "backward_pass",
    "slope-left-out",
    "The gradient passes the activation unchanged: its slope is nowhere in db.",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = 1.0 * dy
    return np.outer(dz, x), dz, W.T @ dz


@mistake(
    "backward_pass",
    "slope-at-the-output",
    "The slope is taken at y, what came out of the activation. It belongs at what went in.",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    y = activation_fn(W @ x + b)
    dz = dy * activation_grad_fn(y)
    return np.outer(dz, x), dz, W.T @ dz


@mistake(
    "backward_pass",
    "slope-without-bias",
    "The slope is taken at W x without the bias. Which z did the forward pass have?",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_grad_fn(W @ x)
    return np.outer(dz, x), dz, W.T @ dz


@mistake(
    "backward_pass",
    "activation-for-slope",
    "dy is multiplied by the activation. Which of the two functions gives the slope?",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_fn(W @ x + b)
    return np.outer(dz, x), dz, W.T @ dz


@mistake(
    "backward_pass",
    "outer-product-turned",
    "dW has one row for each input. W has one row for each output; in which order do they stand?",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_grad_fn(W @ x + b)
    return np.outer(x, dz), dz, W.T @ dz


@mistake(
    "backward_pass",
    "dx-without-transpose",
    "dx uses W as the forward pass does. Over which index of W does the sum for dx run?",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_grad_fn(W @ x + b)
    return np.outer(dz, x), dz, W @ dz


@mistake(
    "backward_pass",
    "dx-skips-the-activation",
    "dx starts from dy. The way from the output to x leads through the activation first.",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_grad_fn(W @ x + b)
    return np.outer(dz, x), dz, W.T @ dy


@mistake(
    "backward_pass",
    "db-skips-the-activation",
    "db is dy. A bias acts on z, and the output comes after the activation.",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_grad_fn(W @ x + b)
    return np.outer(dz, x), dy.copy(), W.T @ dz


@mistake(
    "backward_pass",
    "dW-skips-the-activation",
    "dW is made from dy and x. A weight acts on z, and the output comes after the activation.",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_grad_fn(W @ x + b)
    return np.outer(dy, x), dz, W.T @ dz


@mistake(
    "backward_pass",
    "bias-added-up",
    "db is one number. Every output has a bias of its own, and with one sample there is no sum.",
)
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    dz = dy * activation_grad_fn(W @ x + b)
    return np.outer(dz, x), np.sum(dz), W.T @ dz


# --------------------------------------------------------------------- backward_pass_batch

success_note(
    "backward_pass_batch",
    "dZ.T @ X is the sum of the outer products of all samples: the matrix product does the sum "
    "over the batch.",
)


@mistake(
    "backward_pass_batch",
    "mean-for-sum",
    "What the samples add to a gradient is divided by B. If the loss is a mean, dY has the 1/B.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dZ.T @ X / len(X), dZ.mean(axis=0), dZ @ W


@mistake(
    "backward_pass_batch",
    "bias-not-added-up",
    "db still has one row for each sample. All samples share one bias.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dZ.T @ X, dZ, dZ @ W


@mistake(
    "backward_pass_batch",
    "bias-along-wrong-axis",
    "db is added up over the outputs of each sample. Which axis counts the samples?",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dZ.T @ X, dZ.sum(axis=1), dZ @ W


@mistake(
    "backward_pass_batch",
    "bias-keeps-an-axis",
    "db has two axes, the first of length 1. The bias has one axis; look at keepdims.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dZ.T @ X, dZ.sum(axis=0, keepdims=True), dZ @ W


@mistake(
    "backward_pass_batch",
    "slope-left-out",
    "The slope of the activation does not appear: dY is used as if it were dZ.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    return dY.T @ X, dY.sum(axis=0), dY @ W


@mistake(
    "backward_pass_batch",
    "slope-at-the-output",
    "The slope is taken at Y. The slope function wants the numbers before the activation.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(activation_fn(X @ W.T + b))
    return dZ.T @ X, dZ.sum(axis=0), dZ @ W


@mistake(
    "backward_pass_batch",
    "weights-turned",
    "dW has the inputs as rows. Write the three shapes down: which factor needs the transpose?",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return X.T @ dZ, dZ.sum(axis=0), dZ @ W


@mistake(
    "backward_pass_batch",
    "dX-turned-weights",
    "dX uses W as the forward pass does. In dX the sum runs over the outputs: where do they stand?",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dZ.T @ X, dZ.sum(axis=0), dZ @ W.T


@mistake(
    "backward_pass_batch",
    "dW-skips-the-activation",
    "dW is made from dY. A weight acts on Z, and Y comes after the activation.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dY.T @ X, dZ.sum(axis=0), dZ @ W


@mistake(
    "backward_pass_batch",
    "db-skips-the-activation",
    "db is added up from dY. A bias acts on Z, and Y comes after the activation.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dZ.T @ X, dY.sum(axis=0), dZ @ W


@mistake(
    "backward_pass_batch",
    "dX-skips-the-activation",
    "dX is made from dY. Between Y and X the gradient passes the activation.",
)
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(X @ W.T + b)
    return dZ.T @ X, dZ.sum(axis=0), dY @ W


# ---------------------------------------------------------------------- numerical_gradient

success_note(
    "numerical_gradient",
    "Both sides together cancel the term with f'': the error falls with eps², not with eps.",
)


@mistake(
    "numerical_gradient",
    "one-sided",
    "Only one side is visited: the difference of f(x + eps) and f(x). Its error is much larger.",
)
def numerical_gradient(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above = x.astype(np.float64)
        above[index] += eps
        gradient[index] = (f(above) - f(x.astype(np.float64))) / eps
    return gradient


@mistake(
    "numerical_gradient",
    "divided-by-one-step",
    "The gradient is twice too large. How far apart are the two places where f is taken?",
)
def numerical_gradient(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above, below = x.astype(np.float64), x.astype(np.float64)
        above[index] += eps
        below[index] -= eps
        gradient[index] = (f(above) - f(below)) / eps
    return gradient


@mistake(
    "numerical_gradient",
    "half-a-step",
    "f is taken half a step away on each side. The step to each side is the whole eps.",
)
def numerical_gradient(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above, below = x.astype(np.float64), x.astype(np.float64)
        above[index] += eps / 2
        below[index] -= eps / 2
        gradient[index] = (f(above) - f(below)) / eps
    return gradient


@mistake(
    "numerical_gradient",
    "own-step",
    "A large eps leaves no trace in your gradient. f is taken eps away on each side, nowhere else.",
)
def numerical_gradient(f, x, eps=1e-5):
    h = 1e-5
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above, below = x.astype(np.float64), x.astype(np.float64)
        above[index] += h
        below[index] -= h
        gradient[index] = (f(above) - f(below)) / (2 * h)
    return gradient


@mistake(
    "numerical_gradient",
    "whole-numbers-cut-down",
    "For whole numbers the step is lost: an integer array cuts 2.5 down to 2.",
)
def numerical_gradient(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] = above[index] + eps
        below[index] = below[index] - eps
        gradient[index] = (f(above) - f(below)) / (2 * eps)
    return gradient


@mistake(
    "numerical_gradient",
    "steps-pile-up",
    "An entry that was moved stays moved while the next ones are measured. Start each from x.",
)
def numerical_gradient(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    moved = x.astype(np.float64)
    for index in np.ndindex(x.shape):
        moved[index] += eps
        above = f(moved)
        moved[index] -= 2 * eps
        gradient[index] = (above - f(moved)) / (2 * eps)
    return gradient


@mistake(
    "numerical_gradient",
    "all-entries-at-once",
    "All entries move together, so every entry gets the sum of the effects. Move one at a time.",
)
def numerical_gradient(f, x, eps=1e-5):
    slope = (f(x + eps) - f(x - eps)) / (2 * eps)
    return np.full(x.shape, slope)


@mistake(
    "numerical_gradient",
    "absolute-difference",
    "Your gradient is never negative. Where f falls, the difference must keep its sign.",
)
def numerical_gradient(f, x, eps=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above, below = x.astype(np.float64), x.astype(np.float64)
        above[index] += eps
        below[index] -= eps
        gradient[index] = abs(f(above) - f(below)) / (2 * eps)
    return gradient


# -------------------------------------------------------------------------------- bce_loss

success_note(
    "bce_loss",
    "Each target switches one of the two terms off, so no if is needed; "
    "np.where(y == 1, p, 1 - p) inside one logarithm says the same.",
)


@mistake(
    "bce_loss",
    "sum-for-mean",
    "The elements are added up and not divided by their number. The loss is a mean.",
)
def bce_loss(p, y):
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))


@mistake(
    "bce_loss",
    "sign-forgotten",
    "Your loss is negative. A logarithm of a probability is negative; look at the front.",
)
def bce_loss(p, y):
    return np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@mistake(
    "bce_loss",
    "only-the-yes-term",
    "Answers to a target of 0 cost nothing. Which term of the formula speaks about them?",
)
def bce_loss(p, y):
    return -np.mean(y * np.log(p))


@mistake(
    "bce_loss",
    "mean-over-the-rows-only",
    "The sum is divided by the number of rows. The mean is over all elements.",
)
def bce_loss(p, y):
    return -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)) / len(p)


@mistake(
    "bce_loss",
    "mean-along-one-axis",
    "The mean is taken along the first axis only, so more than one number may be left.",
)
def bce_loss(p, y):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p), axis=0)


@mistake(
    "bce_loss",
    "targets-swapped",
    "The terms have changed places: a target of 1 is charged for log(1 − p).",
)
def bce_loss(p, y):
    return -np.mean(y * np.log(1 - p) + (1 - y) * np.log(p))


@mistake(
    "bce_loss",
    "logarithm-to-base-two",
    "The logarithm has base 2. The formula uses the natural one.",
)
def bce_loss(p, y):
    return -np.mean(y * np.log2(p) + (1 - y) * np.log2(1 - p))


# -------------------------------------------------------------------------------- bce_grad

success_note(
    "bce_grad",
    "The two-term form −(y/p − (1 − y)/(1 − p))/N gives the same numbers; on one denominator it "
    "shows the sign of p − y.",
)


@mistake(
    "bce_grad",
    "mean-forgotten",
    "The gradient is too large by the number of elements. The loss is a mean.",
)
def bce_grad(p, y):
    return (p - y) / (p * (1 - p))


@mistake(
    "bce_grad",
    "divided-by-the-rows-only",
    "The gradient is divided by the number of rows. How many elements does the mean count?",
)
def bce_grad(p, y):
    return (p - y) / (p * (1 - p)) / len(p)


@mistake(
    "bce_grad",
    "target-minus-probability",
    "Every sign is turned. Where the target is 1, does a larger p raise or lower the loss?",
)
def bce_grad(p, y):
    return (y - p) / (p * (1 - p)) / p.size


@mistake(
    "bce_grad",
    "denominator-forgotten",
    "This is the difference alone. The logarithms leave p and 1 − p in a denominator.",
)
def bce_grad(p, y):
    return (p - y) / p.size


@mistake(
    "bce_grad",
    "inner-minus-forgotten",
    "Where the target is 0 the sign is wrong: the inner derivative of 1 − p is missing.",
)
def bce_grad(p, y):
    return -(y / p + (1 - y) / (1 - p)) / p.size


@mistake(
    "bce_grad",
    "only-the-yes-term",
    "Elements with target 0 get no gradient. The second logarithm depends on p too.",
)
def bce_grad(p, y):
    return -(y / p) / p.size


@mistake(
    "bce_grad",
    "multiplied-by-the-slope",
    "The factor p(1 − p) multiplies here. In the derivative it divides.",
)
def bce_grad(p, y):
    return (p - y) * p * (1 - p) / p.size


# ------------------------------------------------------------------------ sigmoid_bce_grad

success_note(
    "sigmoid_bce_grad",
    "The slope p(1 − p) cancels against the denominator of the loss, so no z makes it overflow.",
)


@mistake(
    "sigmoid_bce_grad",
    "mean-forgotten",
    "The gradient is too large by the number of samples. Where is the mean of the loss?",
)
def sigmoid_bce_grad(z, y):
    return _sigmoid(z) - y


@mistake(
    "sigmoid_bce_grad",
    "sigmoid-forgotten",
    "z is compared with the target directly. The target is compared with a probability.",
)
def sigmoid_bce_grad(z, y):
    return (z - y) / len(z)


@mistake(
    "sigmoid_bce_grad",
    "target-minus-probability",
    "All signs are turned: where p is above the target, a larger z must raise the loss.",
)
def sigmoid_bce_grad(z, y):
    return (y - _sigmoid(z)) / len(z)


@mistake(
    "sigmoid_bce_grad",
    "slope-once-too-often",
    "The slope of the sigmoid is multiplied in once more. In the fused form it has canceled.",
)
def sigmoid_bce_grad(z, y):
    p = _sigmoid(z)
    return (p - y) * p * (1 - p) / len(z)


@mistake(
    "sigmoid_bce_grad",
    "two-steps",
    "The two steps are taken one after the other: where p rounds to 1, the first divides by zero. "
    "Use the form in which the factors have canceled.",
)
def sigmoid_bce_grad(z, y):
    p = _sigmoid(z)
    return (p - y) / (p * (1 - p)) / z.size * (p * (1 - p))


@mistake(
    "sigmoid_bce_grad",
    "stops-at-the-probability",
    "This is the gradient at p. One more step of the chain rule leads from p to z.",
)
def sigmoid_bce_grad(z, y):
    p = _sigmoid(z)
    return (p - y) / (p * (1 - p)) / len(z)


@mistake(
    "sigmoid_bce_grad",
    "mean-twice",
    "The division by the number of samples happens twice.",
)
def sigmoid_bce_grad(z, y):
    return (_sigmoid(z) - y) / len(z) ** 2


# -------------------------------------------------------------------- sequential_gradients

success_note(
    "sequential_gradients",
    "You have done the work of loss.backward(): four forward lines, read once from the bottom up.",
)


def _network(X, W1, b1, W2, b2):
    z1 = X @ W1.T + b1
    a1 = np.maximum(z1, 0.0)
    z2 = a1 @ W2.T + b2
    return z1, a1, z2


@mistake(
    "sequential_gradients",
    "mean-forgotten",
    "This gradient is too large by the batch size. The loss is a mean over the batch.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    dz2 = _sigmoid(z2) - y
    dz1 = (dz2 @ W2) * (z1 > 0)
    return dz1.T @ X, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "mean-at-every-layer",
    "The division by the batch size happens at the loss and again at the parameters.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    B = len(X)
    dz2 = (_sigmoid(z2) - y) / B
    dz1 = (dz2 @ W2) * (z1 > 0)
    return dz1.T @ X / B, dz1.mean(axis=0), dz2.T @ a1 / B, dz2.mean(axis=0)


@mistake(
    "sequential_gradients",
    "db1-before-relu",
    "db1 alone is made from the gradient at a1. The gradient passes ReLU first.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    dz2 = (_sigmoid(z2) - y) / len(X)
    da1 = dz2 @ W2
    dz1 = da1 * (z1 > 0)
    return dz1.T @ X, da1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "dW1-before-relu",
    "dW1 alone is made from the gradient at a1. The gradient passes ReLU first.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    dz2 = (_sigmoid(z2) - y) / len(X)
    da1 = dz2 @ W2
    dz1 = da1 * (z1 > 0)
    return da1.T @ X, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "relu-ignored",
    "The second layer is right. On the way to the first one the gradient must pass ReLU.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    dz2 = (_sigmoid(z2) - y) / len(X)
    dz1 = dz2 @ W2
    return dz1.T @ X, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "sigmoid-slope-left-out",
    "The gradient at p is used as if it were the gradient at z2. The sigmoid lies between them.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    p = _sigmoid(z2)
    dz2 = (p - y) / (p * (1 - p)) / len(X)
    dz1 = (dz2 @ W2) * (z1 > 0)
    return dz1.T @ X, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "sigmoid-slope-twice",
    "The slope of the sigmoid comes in once more, though the fused gradient contains it.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    p = _sigmoid(z2)
    dz2 = (p - y) * p * (1 - p) / len(X)
    dz1 = (dz2 @ W2) * (z1 > 0)
    return dz1.T @ X, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "values-before-relu",
    "dW2 is made from z1. What goes into the second layer has passed ReLU.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    dz2 = (_sigmoid(z2) - y) / len(X)
    dz1 = (dz2 @ W2) * (z1 > 0)
    return dz1.T @ X, dz1.sum(axis=0), dz2.T @ z1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "second-weights-skipped",
    "dz1 is made without W2. The gradient of a layer's input contains the weights of that layer.",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    dz2 = (_sigmoid(z2) - y) / len(X)
    dz1 = dz2 * (z1 > 0)
    return dz1.T @ X, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


@mistake(
    "sequential_gradients",
    "relu-open-at-zero",
    "Where z1 is exactly zero your ReLU lets the gradient through. Which slope does it have there?",
)
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1, a1, z2 = _network(X, W1, b1, W2, b2)
    dz2 = (_sigmoid(z2) - y) / len(X)
    dz1 = (dz2 @ W2) * (z1 >= 0)
    return dz1.T @ X, dz1.sum(axis=0), dz2.T @ a1, dz2.sum(axis=0)


# -------------------------------------------------------------------------------- sgd_step

success_note(
    "sgd_step",
    "Every layer of every network is updated by this one line; a list comprehension says it too.",
)


@mistake(
    "sgd_step",
    "uphill",
    "The step goes along the gradient, where the loss grows. Look at the sign.",
)
def sgd_step(params, grads, learning_rate):
    return [p + learning_rate * g for p, g in zip(params, grads, strict=True)]


@mistake(
    "sgd_step",
    "learning-rate-ignored",
    "The whole gradient is subtracted. What sets the length of the step?",
)
def sgd_step(params, grads, learning_rate):
    return [p - g for p, g in zip(params, grads, strict=True)]


@mistake(
    "sgd_step",
    "nothing-kept",
    "The parameters come back as they were. A name inside a loop forgets its value: collect them.",
)
def sgd_step(params, grads, learning_rate):
    for p, g in zip(params, grads, strict=True):
        p = p - learning_rate * g
    return params


@mistake(
    "sgd_step",
    "step-only",
    "This is the step alone. The new parameter is the old one plus the step.",
)
def sgd_step(params, grads, learning_rate):
    return [-learning_rate * g for p, g in zip(params, grads, strict=True)]


@mistake(
    "sgd_step",
    "learning-rate-on-everything",
    "The learning rate multiplies the parameter too. Mind the bracket: it scales the gradient.",
)
def sgd_step(params, grads, learning_rate):
    return [learning_rate * (p - g) for p, g in zip(params, grads, strict=True)]


@mistake(
    "sgd_step",
    "written-into-the-parameters",
    "The caller's params no longer hold the old parameters. Build a list and arrays of your own.",
)
def sgd_step(params, grads, learning_rate):
    for p, g in zip(params, grads, strict=True):
        p -= learning_rate * g
    return params


@mistake(
    "sgd_step",
    "divided-by-the-learning-rate",
    "The gradient is divided by the learning rate, so a smaller rate makes a longer step.",
)
def sgd_step(params, grads, learning_rate):
    return [p - g / learning_rate for p, g in zip(params, grads, strict=True)]


# ------------------------------------------------------------------------------ accumulate

success_note(
    "accumulate",
    "This is why a training loop begins with optimizer.zero_grad(): it makes the buffers zero.",
)


@mistake(
    "accumulate",
    "overwritten",
    "The old contents of the buffers are gone. That is what happens with zero_grad(), not without.",
)
def accumulate(grad_buffers, grads):
    return [g.copy() for g in grads]


@mistake(
    "accumulate",
    "lists-joined",
    "The one list stands behind the other. The arrays inside are to be added, pair by pair.",
)
def accumulate(grad_buffers, grads):
    return grad_buffers + grads


@mistake(
    "accumulate",
    "mean-of-both",
    "This is the mean of the two passes. backward() adds and divides by nothing.",
)
def accumulate(grad_buffers, grads):
    return [(old + new) / 2 for old, new in zip(grad_buffers, grads, strict=True)]


@mistake(
    "accumulate",
    "subtracted",
    "The new gradients are subtracted. That resembles a training step; a buffer collects.",
)
def accumulate(grad_buffers, grads):
    return [old - new for old, new in zip(grad_buffers, grads, strict=True)]


@mistake(
    "accumulate",
    "written-into-the-buffers",
    "The sum is written into the caller's buffers. PyTorch does so, but this function must not.",
)
def accumulate(grad_buffers, grads):
    for old, new in zip(grad_buffers, grads, strict=True):
        old += new
    return grad_buffers
