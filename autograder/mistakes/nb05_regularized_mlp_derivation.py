"""Mistakes of notebook 05, the derivation for a regularized network with one hidden layer."""

import numpy as np

from autograder.mistakes import mistake, success_note

# ------------------------------------------------------------------------------ mlp_forward

success_note(
    "mlp_forward",
    "z, h and o are returned, not only o: each of them is used once more on the way back.",
)


@mistake(
    "mlp_forward",
    "no-activation",
    "h is the same as z: the activation is not applied. Read the second forward line.",
)
def mlp_forward(x, W1, W2, phi):
    z = W1 @ x
    return z, z, W2 @ z


@mistake(
    "mlp_forward",
    "output-activated",
    "The output passes through φ as well. Only the hidden layer has an activation.",
)
def mlp_forward(x, W1, W2, phi):
    z = W1 @ x
    h = phi(z)
    return z, h, phi(W2 @ h)


@mistake(
    "mlp_forward",
    "output-from-z",
    "o is computed from z. Which vector stands behind W2 in the third forward line?",
)
def mlp_forward(x, W1, W2, phi):
    z = W1 @ x
    return z, phi(z), W2 @ z


@mistake(
    "mlp_forward",
    "columns-for-rows",
    "Both matrices meet their vector with columns. Each output owns a row of its matrix.",
)
def mlp_forward(x, W1, W2, phi):
    z = x @ W1
    h = phi(z)
    return z, h, h @ W2


@mistake(
    "mlp_forward",
    "input-activated",
    "φ acts on the sample before the weights do, so z is not W1 x.",
)
def mlp_forward(x, W1, W2, phi):
    z = W1 @ phi(x)
    h = phi(z)
    return z, h, W2 @ h


@mistake(
    "mlp_forward",
    "returned-backward",
    "The three values are right, in another order: return them as they are made, z first.",
)
def mlp_forward(x, W1, W2, phi):
    z = W1 @ x
    h = phi(z)
    return W2 @ h, h, z


@mistake(
    "mlp_forward",
    "entries-not-added",
    "Weights and inputs are multiplied, and the products of a row are not added up. Which operator does both?",
)
def mlp_forward(x, W1, W2, phi):
    z = W1 * x
    h = phi(z)
    return z, h, W2 * h


# ------------------------------------------------------------------------------- l2_penalty

success_note(
    "l2_penalty",
    "A sum of squares is also a scalar product of a matrix with itself: np.vdot(W, W).",
)


@mistake(
    "l2_penalty",
    "half-forgotten",
    "The penalty is twice too large. The formula has a factor beside λ.",
)
def l2_penalty(W1, W2, lam):
    return lam * (np.sum(W1**2) + np.sum(W2**2))


@mistake(
    "l2_penalty",
    "roots-of-the-squares",
    "Each norm is a square root here. The penalty has the squares of the norms.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * (np.linalg.norm(W1) + np.linalg.norm(W2))


@mistake(
    "l2_penalty",
    "second-matrix-forgotten",
    "Only W1 is charged. How many matrices does the penalty have?",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * np.sum(W1**2)


@mistake(
    "l2_penalty",
    "bracket-forgotten",
    "λ/2 multiplies the first sum only. Look at the bracket in the formula.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * np.sum(W1**2) + np.sum(W2**2)


@mistake(
    "l2_penalty",
    "mean-of-squares",
    "The squares are averaged. The Frobenius norm adds them up and divides by nothing.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * (np.mean(W1**2) + np.mean(W2**2))


@mistake(
    "l2_penalty",
    "absolute-values",
    "This adds up absolute values, which is L1 regularization. L2 has another power.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * (np.sum(np.abs(W1)) + np.sum(np.abs(W2)))


@mistake(
    "l2_penalty",
    "spectral-norm",
    "This norm is the largest singular value of a matrix. The penalty adds up entries.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * (np.linalg.norm(W1, 2) ** 2 + np.linalg.norm(W2, 2) ** 2)


@mistake(
    "l2_penalty",
    "square-of-the-sum",
    "The weights are added first and squared afterward. Each weight is squared by itself.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * (np.sum(W1) ** 2 + np.sum(W2) ** 2)


@mistake(
    "l2_penalty",
    "added-as-matrices",
    "Two matrices of squares are added. Each matrix should be one number by then.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * (W1**2 + W2**2)


@mistake(
    "l2_penalty",
    "one-sum-a-column",
    "There is still one number for each column: Python's own sum adds up rows. NumPy has another.",
)
def l2_penalty(W1, W2, lam):
    return lam / 2 * (sum(W1**2) + sum(W2**2))


# -------------------------------------------------------------------------------- objective

success_note(
    "objective",
    "Loss and penalty share no operation but the last plus, so their gradients never mix.",
)


@mistake(
    "objective",
    "half-of-the-loss-forgotten",
    "The loss is twice too large: it has a ½ of its own, beside that of the penalty.",
)
def objective(o, y, W1, W2, lam):
    return np.sum((o - y) ** 2) + lam / 2 * (np.sum(W1**2) + np.sum(W2**2))


@mistake(
    "objective",
    "mean-for-sum",
    "The squared errors are averaged over the outputs. The loss of this notebook is a sum.",
)
def objective(o, y, W1, W2, lam):
    return 0.5 * np.mean((o - y) ** 2) + lam / 2 * (np.sum(W1**2) + np.sum(W2**2))


@mistake(
    "objective",
    "penalty-forgotten",
    "This is the loss alone. The objective has a second part.",
)
def objective(o, y, W1, W2, lam):
    return 0.5 * np.sum((o - y) ** 2)


@mistake(
    "objective",
    "penalty-subtracted",
    "Large weights make this objective smaller, and training would chase them.",
)
def objective(o, y, W1, W2, lam):
    return 0.5 * np.sum((o - y) ** 2) - lam / 2 * (np.sum(W1**2) + np.sum(W2**2))


@mistake(
    "objective",
    "norm-not-squared",
    "The loss is half the length of o − y. The formula squares that length.",
)
def objective(o, y, W1, W2, lam):
    return 0.5 * np.linalg.norm(o - y) + lam / 2 * (np.sum(W1**2) + np.sum(W2**2))


@mistake(
    "objective",
    "loss-scaled-by-lambda",
    "λ multiplies the loss too. It belongs to the penalty only.",
)
def objective(o, y, W1, W2, lam):
    return lam / 2 * (np.sum((o - y) ** 2) + np.sum(W1**2) + np.sum(W2**2))


@mistake(
    "objective",
    "not-added-up",
    "There is one number for each output. The loss adds the squares up.",
)
def objective(o, y, W1, W2, lam):
    return 0.5 * (o - y) ** 2 + lam / 2 * (np.sum(W1**2) + np.sum(W2**2))


@mistake(
    "objective",
    "lambda-twice",
    "The penalty is multiplied by λ twice. The function for it has λ already.",
)
def objective(o, y, W1, W2, lam):
    s = lam / 2 * (np.sum(W1**2) + np.sum(W2**2))
    return 0.5 * np.sum((o - y) ** 2) + lam * s


# ------------------------------------------------------------------------------ graph_edges

success_note(
    "graph_edges",
    "Each arrow will carry one factor of the chain rule, from its tip back to its start.",
)


def _edges():
    return {
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


@mistake(
    "graph_edges",
    "arrows-turned",
    "Every arrow is turned around. A pair is (from, to): what goes in comes first.",
)
def graph_edges():
    return {"graph_edges": {(end, start) for start, end in _edges()}}


@mistake(
    "graph_edges",
    "penalty-without-weights",
    "Nothing leads to s. Which variables does the penalty charge for?",
)
def graph_edges():
    return {"graph_edges": _edges() - {("W1", "s"), ("W2", "s")}}


@mistake(
    "graph_edges",
    "target-left-out",
    "The target has no arrow. The loss compares the output with something.",
)
def graph_edges():
    return {"graph_edges": _edges() - {("y", "L")}}


@mistake(
    "graph_edges",
    "one-matrix-charged",
    "Only one of the weight matrices leads to s. Read the penalty once more.",
)
def graph_edges():
    return {"graph_edges": _edges() - {("W2", "s")}}


@mistake(
    "graph_edges",
    "chain-alone",
    "This is the chain from x to J only. Weights, target and penalty are variables too.",
)
def graph_edges():
    chain = ["x", "z", "h", "o", "L", "J"]
    return {"graph_edges": set(zip(chain, chain[1:], strict=False))}


@mistake(
    "graph_edges",
    "penalty-skipped",
    "The weight matrices lead to J directly. What stands between them and J?",
)
def graph_edges():
    edges = _edges() - {("W1", "s"), ("W2", "s"), ("s", "J")}
    return {"graph_edges": edges | {("W1", "J"), ("W2", "J")}}


@mistake(
    "graph_edges",
    "no-penalty-at-all",
    "s takes no part in your graph: no arrow leads to it and none leaves it.",
)
def graph_edges():
    return {"graph_edges": _edges() - {("W1", "s"), ("W2", "s"), ("s", "J")}}


# --------------------------------------------------------------------------- gradient_shape

success_note(
    "gradient_shape",
    "One number for each number of X: this is why a gradient can be subtracted from its weights.",
)


@mistake(
    "gradient_shape",
    "rows-and-columns-exchanged",
    "Rows and columns are exchanged. Some books write a gradient so; this course does not.",
)
def gradient_shape(n, m):
    return (m, n)


@mistake(
    "gradient_shape",
    "number-of-entries",
    "This is how many numbers the gradient has. The question is how they are arranged.",
)
def gradient_shape(n, m):
    return n * m


@mistake(
    "gradient_shape",
    "flattened",
    "The gradient is laid out as one long vector. X is a matrix.",
)
def gradient_shape(n, m):
    return (n * m,)


@mistake(
    "gradient_shape",
    "shape-of-the-function",
    "This is the shape of f(X), one number. The gradient answers for every entry of X.",
)
def gradient_shape(n, m):
    return ()


@mistake(
    "gradient_shape",
    "all-pairs",
    "A number for each pair of entries is what second derivatives need. This is the first one.",
)
def gradient_shape(n, m):
    return (n * m, n * m)


# ----------------------------------------------------------------------------- shape_ledger

success_note(
    "shape_ledger",
    "The second half of the ledger repeats the first: a gradient has the shape of its variable.",
)


def _ledger(d, h, q):
    shapes = {"x": (d,), "W1": (h, d), "z": (h,), "h": (h,), "W2": (q, h), "o": (q,), "y": (q,)}
    return shapes | {f"dJ_d{name}": shapes[name] for name in ("o", "W2", "h", "z", "W1")}


@mistake(
    "shape_ledger",
    "inputs-as-rows",
    "Your weight matrices have a row for each input. Here a row belongs to an output.",
)
def shape_ledger(d, h, q):
    turned = {"W1": (d, h), "W2": (h, q), "dJ_dW1": (d, h), "dJ_dW2": (h, q)}
    return _ledger(d, h, q) | turned


@mistake(
    "shape_ledger",
    "gradients-turned",
    "The matrices are right, but their gradients are turned on their side.",
)
def shape_ledger(d, h, q):
    return _ledger(d, h, q) | {"dJ_dW1": (d, h), "dJ_dW2": (h, q)}


@mistake(
    "shape_ledger",
    "columns-for-vectors",
    "The vectors have a second axis of length 1. In this course a vector has one axis.",
)
def shape_ledger(d, h, q):
    return {name: (*shape, 1)[:2] for name, shape in _ledger(d, h, q).items()}


@mistake(
    "shape_ledger",
    "numbers-for-tuples",
    "A vector's shape is written as a number. A tuple with one entry needs a comma.",
)
def shape_ledger(d, h, q):
    return {
        name: shape if len(shape) == 2 else shape[0] for name, shape in _ledger(d, h, q).items()
    }


@mistake(
    "shape_ledger",
    "gradients-are-numbers",
    "Your gradients have the shape of J. They answer for each entry of their variable.",
)
def shape_ledger(d, h, q):
    return {n: () if n.startswith("dJ") else shape for n, shape in _ledger(d, h, q).items()}


@mistake(
    "shape_ledger",
    "hidden-gradients-of-output-size",
    "The gradients at h and z have the size of the output. Whose entries do they answer for?",
)
def shape_ledger(d, h, q):
    return _ledger(d, h, q) | {"dJ_dh": (q,), "dJ_dz": (q,)}


# ------------------------------------------------------------------------------------ dJ_dL

success_note(
    "dJ_dL",
    "A plus passes a gradient on unchanged to both of its terms.",
)


@mistake(
    "dJ_dL",
    "values-for-slopes",
    "These look like values of L and s. A slope says how fast J grows, whatever L and s are.",
)
def dJ_dL():
    return {"dJ_dL": 2.0, "dJ_ds": 0.7}


@mistake(
    "dJ_dL",
    "shared-between-two",
    "J grows by the whole of what L grows, not by its half. A sum is no mean.",
)
def dJ_dL():
    return {"dJ_dL": 0.5, "dJ_ds": 0.5}


@mistake(
    "dJ_dL",
    "penalty-constant",
    "You treat s as if J did not feel it. What becomes of J when s grows by 0.01?",
)
def dJ_dL():
    return {"dJ_dL": 1.0, "dJ_ds": 0.0}


@mistake(
    "dJ_dL",
    "half-of-the-penalty",
    "The ½ of λ/2 stands inside s. This step asks about s as a whole.",
)
def dJ_dL():
    return {"dJ_dL": 1.0, "dJ_ds": 0.5}


@mistake(
    "dJ_dL",
    "penalty-with-a-minus",
    "Between L and s stands a plus. Which way does J move when s grows?",
)
def dJ_dL():
    return {"dJ_dL": 1.0, "dJ_ds": -1.0}


@mistake(
    "dJ_dL",
    "derivative-of-a-constant",
    "Both slopes are zero, as if J did not depend on L and s at all.",
)
def dJ_dL():
    return {"dJ_dL": 0.0, "dJ_ds": 0.0}


# ------------------------------------------------------------------------------- grad_o_mse

success_note(
    "grad_o_mse",
    "The ½ in the loss was put there for this line: the gradient is the error itself.",
)


@mistake(
    "grad_o_mse",
    "target-minus-output",
    "The sign is turned: your gradient points to where the loss falls.",
)
def grad_o_mse(o, y):
    return y - o


@mistake(
    "grad_o_mse",
    "factor-two",
    "A factor 2 is left over. What does the ½ in front of the square do to it?",
)
def grad_o_mse(o, y):
    return 2 * (o - y)


@mistake(
    "grad_o_mse",
    "divided-by-outputs",
    "This is divided by the number of outputs. The loss adds up and takes no mean.",
)
def grad_o_mse(o, y):
    return (o - y) / len(o)


@mistake(
    "grad_o_mse",
    "two-divided-by-outputs",
    "This is PyTorch's gradient of the mean squared error. The loss here is half of a sum.",
)
def grad_o_mse(o, y):
    return 2 * (o - y) / len(o)


@mistake(
    "grad_o_mse",
    "square-left",
    "The error is still squared, so it has lost its sign. What is the derivative of ½u²?",
)
def grad_o_mse(o, y):
    return (o - y) ** 2


@mistake(
    "grad_o_mse",
    "half-left",
    "Half of the error is missing: the ½ meets a 2 when the square is differentiated.",
)
def grad_o_mse(o, y):
    return 0.5 * (o - y)


@mistake(
    "grad_o_mse",
    "loss-for-gradient",
    "This is the loss, one number. Its gradient has one number for each output.",
)
def grad_o_mse(o, y):
    return 0.5 * np.sum((o - y) ** 2)


# --------------------------------------------------------------------- grad_o_cross_entropy

success_note(
    "grad_o_cross_entropy",
    "The entries add up to zero: what the right class gains, the others lose together.",
)


@mistake(
    "grad_o_cross_entropy",
    "label-left-out",
    "These are the probabilities. The second part of the loss, with the label, is missing.",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o - o.max())
    return p / p.sum()


@mistake(
    "grad_o_cross_entropy",
    "signs-turned",
    "All signs are turned: the right class should have a negative entry. Can a larger output "
    "of the right class raise the loss?",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o - o.max())
    return np.eye(len(o))[label] - p / p.sum()


@mistake(
    "grad_o_cross_entropy",
    "powers-overflow",
    "The numbers are right until an output is large: e to the power of 1000 is no float64. "
    "What can be subtracted from all outputs without changing the probabilities?",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o) / np.sum(np.exp(o))
    return p - np.eye(len(o))[label]


@mistake(
    "grad_o_cross_entropy",
    "mean-over-classes",
    "This is divided by the number of classes. One sample has one loss, and nothing is averaged.",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o - o.max())
    return (p / p.sum() - np.eye(len(o))[label]) / len(o)


@mistake(
    "grad_o_cross_entropy",
    "labels-from-one",
    "The 1 is subtracted one place too early. Labels count from 0, as Python does.",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o - o.max())
    return p / p.sum() - np.eye(len(o))[label - 1]


@mistake(
    "grad_o_cross_entropy",
    "label-alone",
    "Only the entry of the label is filled. The other outputs stand in the sum of powers too.",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o - o.max())
    return np.eye(len(o))[label] * (p / p.sum() - 1)


@mistake(
    "grad_o_cross_entropy",
    "outputs-for-probabilities",
    "The 1 is subtracted from the outputs themselves. They have not been through softmax.",
)
def grad_o_cross_entropy(o, label):
    return o - np.eye(len(o))[label]


@mistake(
    "grad_o_cross_entropy",
    "sigmoid-for-softmax",
    "Each output is turned into a probability by itself, with a sigmoid. Softmax compares them.",
)
def grad_o_cross_entropy(o, label):
    return np.exp(-np.logaddexp(0, -o)) - np.eye(len(o))[label]


@mistake(
    "grad_o_cross_entropy",
    "index-subtracted",
    "The index of the label is subtracted from every class. It says which entry changes, and not "
    "by how much.",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o - o.max())
    return p / p.sum() - label


@mistake(
    "grad_o_cross_entropy",
    "one-from-every-class",
    "The 1 is subtracted from every class. In which entries does the label's part of the loss stand?",
)
def grad_o_cross_entropy(o, label):
    p = np.exp(o - o.max())
    return p / p.sum() - 1


# ----------------------------------------------------------------------------- grad_penalty

success_note(
    "grad_penalty",
    "The pull is in proportion to the weight: large weights are pulled hard, small ones hardly.",
)


@mistake(
    "grad_penalty",
    "half-left",
    "The ½ is still there. It meets the 2 that the square gives.",
)
def grad_penalty(W, lam):
    return lam / 2 * W


@mistake(
    "grad_penalty",
    "two-left",
    "The 2 of the square is still there. Which factor stands in front of the squares?",
)
def grad_penalty(W, lam):
    return 2 * lam * W


@mistake(
    "grad_penalty",
    "lambda-forgotten",
    "λ is gone. It is a constant factor, and a derivative keeps those.",
)
def grad_penalty(W, lam):
    return W.copy()


@mistake(
    "grad_penalty",
    "signs-alone",
    "Every weight is pulled with the same force. That is the gradient of absolute values.",
)
def grad_penalty(W, lam):
    return lam * np.sign(W)


@mistake(
    "grad_penalty",
    "squares-left",
    "The weights are still squared. The power falls by one when it is differentiated.",
)
def grad_penalty(W, lam):
    return lam * W**2


@mistake(
    "grad_penalty",
    "added-up",
    "This is one number. Each weight has a derivative of its own, and nothing is added up.",
)
def grad_penalty(W, lam):
    return lam * np.sum(W)


@mistake(
    "grad_penalty",
    "written-into-the-weights",
    "The result is written into W itself, so the network has lost its weights.",
)
def grad_penalty(W, lam):
    W *= lam
    return W


# ---------------------------------------------------------------------------------- grad_W2

success_note(
    "grad_W2",
    "dJ_do[:, None] * h[None, :] spells the outer product out: a column times a row.",
)


@mistake(
    "grad_W2",
    "penalty-forgotten",
    "Only the way through the loss is here. W2 reaches J in a second way.",
)
def grad_W2(dJ_do, h, W2, lam):
    return np.outer(dJ_do, h)


@mistake(
    "grad_W2",
    "penalty-halved",
    "The part of the penalty is too small by one half. Has your grad_penalty a ½?",
)
def grad_W2(dJ_do, h, W2, lam):
    return np.outer(dJ_do, h) + lam / 2 * W2


@mistake(
    "grad_W2",
    "penalty-doubled",
    "The penalty is counted twice in this gradient.",
)
def grad_W2(dJ_do, h, W2, lam):
    return np.outer(dJ_do, h) + 2 * lam * W2


@mistake(
    "grad_W2",
    "outer-product-turned",
    "h and dJ_do have changed places in the outer product. Which one belongs to the rows?",
)
def grad_W2(dJ_do, h, W2, lam):
    return np.outer(h, dJ_do) + lam * W2


@mistake(
    "grad_W2",
    "entry-meets-entry",
    "Entry i of the one vector meets only entry i of the other. All pairs are needed.",
)
def grad_W2(dJ_do, h, W2, lam):
    return dJ_do * h + lam * W2


@mistake(
    "grad_W2",
    "scalar-product",
    "The products are added up into one number. Here each of them is an entry.",
)
def grad_W2(dJ_do, h, W2, lam):
    return dJ_do @ h + lam * W2


@mistake(
    "grad_W2",
    "penalty-without-lambda",
    "The weights are added without λ in front of them.",
)
def grad_W2(dJ_do, h, W2, lam):
    return np.outer(dJ_do, h) + W2


@mistake(
    "grad_W2",
    "penalty-subtracted",
    "The penalty's part is subtracted. The update subtracts; a gradient adds its ways up.",
)
def grad_W2(dJ_do, h, W2, lam):
    return np.outer(dJ_do, h) - lam * W2


@mistake(
    "grad_W2",
    "penalty-itself",
    "The penalty is added as one number. Here its gradient is wanted, an entry for each weight.",
)
def grad_W2(dJ_do, h, W2, lam):
    return np.outer(dJ_do, h) + lam / 2 * np.sum(W2**2)


# ----------------------------------------------------------------------------------- grad_h

success_note(
    "grad_h",
    "dJ_do @ W2 gives the same numbers: it reads the gradient as a row and needs no transpose.",
)


@mistake(
    "grad_h",
    "transpose-forgotten",
    "W2 is used as in the forward pass. This sum runs over its other index.",
)
def grad_h(dJ_do, W2):
    return W2 @ dJ_do


@mistake(
    "grad_h",
    "mean-over-outputs",
    "What comes from the outputs is averaged. The effects of several ways add up.",
)
def grad_h(dJ_do, W2):
    return W2.T @ dJ_do / len(dJ_do)


@mistake(
    "grad_h",
    "not-added-up",
    "There is still a row for each output. A hidden neuron wants one number from all of them.",
)
def grad_h(dJ_do, W2):
    return W2 * dJ_do[:, None]


@mistake(
    "grad_h",
    "sums-multiplied",
    "Two sums are multiplied. Each weight must meet the gradient of its own output first.",
)
def grad_h(dJ_do, W2):
    return W2.sum(axis=0) * dJ_do.sum()


@mistake(
    "grad_h",
    "gradient-left-out",
    "This adds up weights alone; dJ_do does not appear in it.",
)
def grad_h(dJ_do, W2):
    return W2.sum(axis=0)


@mistake(
    "grad_h",
    "first-output-alone",
    "Only the first output is followed. h reaches J through all of them.",
)
def grad_h(dJ_do, W2):
    return W2[0] * dJ_do[0]


@mistake(
    "grad_h",
    "products-side-by-side",
    "There is a column for each output: the products of a hidden neuron are not added up.",
)
def grad_h(dJ_do, W2):
    return W2.T * dJ_do


# ----------------------------------------------------------------------------------- grad_z

success_note(
    "grad_z",
    "With the matrix of slopes on its diagonal this would be a matrix product; * skips the zeros.",
)


@mistake(
    "grad_z",
    "slope-of-the-gradient",
    "The slope is taken at dJ_dh. It belongs at what went into the activation.",
)
def grad_z(dJ_dh, z, phi_grad):
    return dJ_dh * phi_grad(dJ_dh)


@mistake(
    "grad_z",
    "slope-left-out",
    "The gradient passes the activation as if it were not there.",
)
def grad_z(dJ_dh, z, phi_grad):
    return 1.0 * dJ_dh


@mistake(
    "grad_z",
    "gradient-left-out",
    "These are the slopes alone. The gradient that arrives from above is lost.",
)
def grad_z(dJ_dh, z, phi_grad):
    return 1.0 * phi_grad(z)


@mistake(
    "grad_z",
    "multiplied-by-z",
    "dJ_dh is multiplied by z itself. What does phi_grad make of z?",
)
def grad_z(dJ_dh, z, phi_grad):
    return dJ_dh * z


@mistake(
    "grad_z",
    "scalar-product",
    "The entries are added up into one number. Each neuron keeps its own.",
)
def grad_z(dJ_dh, z, phi_grad):
    return dJ_dh @ phi_grad(z)


@mistake(
    "grad_z",
    "all-pairs",
    "Every neuron meets every other one here. The activation acts on each by itself.",
)
def grad_z(dJ_dh, z, phi_grad):
    return np.outer(dJ_dh, phi_grad(z))


@mistake(
    "grad_z",
    "added",
    "Slope and gradient are added. Along one way the factors multiply.",
)
def grad_z(dJ_dh, z, phi_grad):
    return dJ_dh + phi_grad(z)


@mistake(
    "grad_z",
    "places-exchanged",
    "z and the gradient have changed places. At which of the two is the slope taken?",
)
def grad_z(dJ_dh, z, phi_grad):
    return phi_grad(dJ_dh) * z


# ---------------------------------------------------------------------------------- grad_W1

success_note(
    "grad_W1",
    "The same two lines as for W2: whatever a layer is, its gradient is (gradient at its output) "
    "times (its input).",
)


@mistake(
    "grad_W1",
    "penalty-forgotten",
    "This gradient lacks what the penalty adds. Count the ways from W1 to J.",
)
def grad_W1(dJ_dz, x, W1, lam):
    return np.outer(dJ_dz, x)


@mistake(
    "grad_W1",
    "penalty-halved",
    "Of the penalty's gradient only half has arrived. Differentiate λ/2 · u² once more.",
)
def grad_W1(dJ_dz, x, W1, lam):
    return np.outer(dJ_dz, x) + lam / 2 * W1


@mistake(
    "grad_W1",
    "penalty-doubled",
    "What the penalty adds is twice too large. Is it added in two places?",
)
def grad_W1(dJ_dz, x, W1, lam):
    return np.outer(dJ_dz, x) + 2 * lam * W1


@mistake(
    "grad_W1",
    "outer-product-turned",
    "The sample gives the rows of your table. A row of W1 belongs to a hidden neuron.",
)
def grad_W1(dJ_dz, x, W1, lam):
    return np.outer(x, dJ_dz) + lam * W1


@mistake(
    "grad_W1",
    "entry-meets-entry",
    "The two vectors are multiplied entry by entry. A table needs each entry with each.",
)
def grad_W1(dJ_dz, x, W1, lam):
    return dJ_dz * x + lam * W1


@mistake(
    "grad_W1",
    "scalar-product",
    "A scalar product makes one number of all pairs, and it is added to every weight.",
)
def grad_W1(dJ_dz, x, W1, lam):
    return dJ_dz @ x + lam * W1


@mistake(
    "grad_W1",
    "penalty-without-lambda",
    "W1 is added as it is. Which factor says what a weight costs?",
)
def grad_W1(dJ_dz, x, W1, lam):
    return np.outer(dJ_dz, x) + W1


@mistake(
    "grad_W1",
    "penalty-itself",
    "One number, a penalty, is added to every entry. What has the shape of W1?",
)
def grad_W1(dJ_dz, x, W1, lam):
    return np.outer(dJ_dz, x) + lam / 2 * np.sum(W1**2)


# ----------------------------------------------------------------------------- mlp_backward

success_note(
    "mlp_backward",
    "Nothing is derived twice: each line uses the line above it and one kept value.",
)


def _backward(x, y, W1, W2, lam, phi, phi_grad):
    z = W1 @ x
    h = phi(z)
    o = W2 @ h
    J = 0.5 * np.sum((o - y) ** 2) + lam / 2 * (np.sum(W1**2) + np.sum(W2**2))
    return z, h, o, J


@mistake(
    "mlp_backward",
    "penalty-missing-in-J",
    "J is the loss alone here. What does the objective add to it?",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, _ = _backward(x, y, W1, W2, lam, phi, phi_grad)
    J = 0.5 * np.sum((o - y) ** 2)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_backward",
    "penalty-missing-in-gradients",
    "This is the gradient of the loss alone. J has a penalty too, and a weight feels both.",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x), np.outer(o - y, h)


@mistake(
    "mlp_backward",
    "slope-at-h",
    "The slope of φ is taken at h, what came out of the activation.",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2.T @ (o - y) * phi_grad(h)
    return J, np.outer(dz, x) + lam * W1, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_backward",
    "slope-left-out",
    "The gradient goes from h to x without passing the activation.",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dh = W2.T @ (o - y)
    return J, np.outer(dh, x) + lam * W1, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_backward",
    "activation-for-slope",
    "At z the gradient is multiplied by φ. Which of the two functions is the slope?",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2.T @ (o - y) * phi(z)
    return J, np.outer(dz, x) + lam * W1, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_backward",
    "transpose-forgotten",
    "On the way back to h the matrix W2 is not transposed.",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2 @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_backward",
    "penalty-added-twice",
    "The penalty's part stands in this gradient twice. Does a step that you call hold it already?",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + 2 * lam * W1, np.outer(o - y, h) + 2 * lam * W2


@mistake(
    "mlp_backward",
    "z-for-h",
    "The gradient of W2 is made with z. Which vector did W2 multiply in the forward pass?",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, np.outer(o - y, z) + lam * W2


@mistake(
    "mlp_backward",
    "returned-in-order-of-making",
    "dW2 is returned before dW1. It is made first, but the card asks for J, dW1, dW2.",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(o - y, h) + lam * W2, np.outer(dz, x) + lam * W1


@mistake(
    "mlp_backward",
    "target-minus-output",
    "The walk starts with y − o, so the loss pushes both gradients the wrong way.",
)
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o, J = _backward(x, y, W1, W2, lam, phi, phi_grad)
    dz = W2.T @ (y - o) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, np.outer(y - o, h) + lam * W2


# ------------------------------------------------------------------------- mlp_bias_forward

success_note(
    "mlp_bias_forward",
    "A bias is a weight whose input is always 1: append a 1 to x and b to W1, and it is gone.",
)


@mistake(
    "mlp_bias_forward",
    "bias-forgotten",
    "The bias has no effect: this is the network of section 1.",
)
def mlp_bias_forward(x, W1, b, W2, phi):
    z = W1 @ x
    h = phi(z)
    return z, h, W2 @ h


@mistake(
    "mlp_bias_forward",
    "bias-after-activation",
    "The bias comes after φ, so z does not have it.",
)
def mlp_bias_forward(x, W1, b, W2, phi):
    z = W1 @ x
    h = phi(z) + b
    return z, h, W2 @ h


@mistake(
    "mlp_bias_forward",
    "bias-on-the-output",
    "The output layer gets the bias as well. It belongs to the hidden layer only.",
)
def mlp_bias_forward(x, W1, b, W2, phi):
    z = W1 @ x + b
    h = phi(z)
    return z, h, W2 @ h + b


@mistake(
    "mlp_bias_forward",
    "bias-subtracted",
    "The bias is subtracted. Some books write a threshold so; the formula above adds.",
)
def mlp_bias_forward(x, W1, b, W2, phi):
    z = W1 @ x - b
    h = phi(z)
    return z, h, W2 @ h


@mistake(
    "mlp_bias_forward",
    "bias-on-the-input",
    "The bias is added to the sample, before the weights. Look at the shape of b.",
)
def mlp_bias_forward(x, W1, b, W2, phi):
    z = W1 @ (x + b)
    h = phi(z)
    return z, h, W2 @ h


@mistake(
    "mlp_bias_forward",
    "bias-left-out-of-the-activation",
    "The z that you return has the bias, but φ gets another one without it.",
)
def mlp_bias_forward(x, W1, b, W2, phi):
    z = W1 @ x + b
    h = phi(W1 @ x)
    return z, h, W2 @ h


# ------------------------------------------------------------------------- bias_graph_edges

success_note(
    "bias_graph_edges",
    "One way leads from b to J, so its gradient has one term and no λ.",
)


@mistake(
    "bias_graph_edges",
    "bias-regularized",
    "An arrow leads from b to s. Does the penalty of this network charge for the bias?",
)
def bias_graph_edges():
    return {"bias_graph_edges": _edges() | {("b", "z"), ("b", "s")}}


@mistake(
    "bias_graph_edges",
    "bias-left-out",
    "This is the graph without a bias. Where does b enter?",
)
def bias_graph_edges():
    return {"bias_graph_edges": _edges()}


@mistake(
    "bias_graph_edges",
    "bias-after-activation",
    "b leads to h. It is added before the activation, not after it.",
)
def bias_graph_edges():
    return {"bias_graph_edges": _edges() | {("b", "h")}}


@mistake(
    "bias_graph_edges",
    "bias-arrow-turned",
    "The arrow between b and z points to b. Which of the two is computed from the other?",
)
def bias_graph_edges():
    return {"bias_graph_edges": _edges() | {("z", "b")}}


@mistake(
    "bias_graph_edges",
    "new-arrow-alone",
    "Only the new arrow is there. The set should hold the whole graph.",
)
def bias_graph_edges():
    return {"bias_graph_edges": {("b", "z")}}


@mistake(
    "bias_graph_edges",
    "bias-on-the-output",
    "b leads to o too. The output layer of this network has no bias.",
)
def bias_graph_edges():
    return {"bias_graph_edges": _edges() | {("b", "z"), ("b", "o")}}


# ------------------------------------------------------------------------ mlp_bias_backward

success_note(
    "mlp_bias_backward",
    "The bias costs nothing on the way back: its gradient was computed anyway.",
)


def _bias_steps(x, y, W1, b, W2, lam, phi):
    z = W1 @ x + b
    h = phi(z)
    o = W2 @ h
    J = 0.5 * np.sum((o - y) ** 2) + lam / 2 * (np.sum(W1**2) + np.sum(W2**2))
    return z, h, o, J


@mistake(
    "mlp_bias_backward",
    "bias-regularized",
    "The bias is charged as the weights are. The penalty has W1 and W2 only.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    J = J + lam / 2 * np.sum(b**2)
    return J, np.outer(dz, x) + lam * W1, dz + lam * b, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "bias-gradient-regularized",
    "db has a part for a penalty that the bias does not pay.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, dz + lam * b, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "bias-added-up",
    "db is one number. Every hidden neuron has a bias of its own.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, np.sum(dz), np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "bias-skips-the-activation",
    "db is the gradient at h. The bias was added before the activation.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dh = W2.T @ (o - y)
    dz = dh * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, dh, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "slope-without-bias",
    "The slope is taken at W1 x without the bias. The forward pass had another z.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(W1 @ x)
    return J, np.outer(dz, x) + lam * W1, dz, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "forward-without-bias",
    "The forward pass behind J runs without the bias.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, 0 * b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, dz, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "bias-times-gradient",
    "db has the factor b in it. With which factor does b stand in z?",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, dz * b, np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "penalty-missing-in-gradients",
    "The way through the penalty is missing in this gradient. Only the bias does without it.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x), dz, np.outer(o - y, h)


@mistake(
    "mlp_bias_backward",
    "slope-of-z-alone",
    "db is how fast z grows with b. The way goes on, from z to J.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, np.outer(dz, x) + lam * W1, np.ones(len(b)), np.outer(o - y, h) + lam * W2


@mistake(
    "mlp_bias_backward",
    "bias-returned-first",
    "db stands before dW1. The card asks for J, dW1, db, dW2.",
)
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o, J = _bias_steps(x, y, W1, b, W2, lam, phi)
    dz = W2.T @ (o - y) * phi_grad(z)
    return J, dz, np.outer(dz, x) + lam * W1, np.outer(o - y, h) + lam * W2


# ------------------------------------------------------------------------- inference_values

success_note(
    "inference_values",
    "The depth does not matter for the vectors: a network of 100 layers needs room for its widest.",
)


@mistake(
    "inference_values",
    "all-vectors-kept",
    "All four vectors are counted. A prediction may drop each as soon as the next is there.",
)
def inference_values(d, h, q):
    return h * d + q * h + d + 2 * h + q


@mistake(
    "inference_values",
    "hidden-layer-taken-for-widest",
    "You count the hidden layer. It is not always the widest vector.",
)
def inference_values(d, h, q):
    return h * d + q * h + h


@mistake(
    "inference_values",
    "weights-alone",
    "Only the weights are counted. The network needs room for one of its vectors, too.",
)
def inference_values(d, h, q):
    return h * d + q * h


@mistake(
    "inference_values",
    "vectors-alone",
    "Only a vector is counted. The weights need memory as well.",
)
def inference_values(d, h, q):
    return max(d, h, q)


@mistake(
    "inference_values",
    "gradients-counted",
    "The weights are counted twice. A prediction has no gradients.",
)
def inference_values(d, h, q):
    return 2 * (h * d + q * h) + max(d, h, q)


@mistake(
    "inference_values",
    "biases-counted",
    "Biases are counted. The network of section 1 has none.",
)
def inference_values(d, h, q):
    return h * d + h + q * h + q + max(d, h, q)


@mistake(
    "inference_values",
    "input-left-out",
    "The input is not among your candidates for the widest vector.",
)
def inference_values(d, h, q):
    return h * d + q * h + max(h, q)


@mistake(
    "inference_values",
    "input-taken-for-widest",
    "You count the input, whatever the sizes are. Sometimes another vector is wider.",
)
def inference_values(d, h, q):
    return h * d + q * h + d


# -------------------------------------------------------------------------- training_values

success_note(
    "training_values",
    "An optimizer that remembers more than the gradient, such as Adam, adds to this once more.",
)


@mistake(
    "training_values",
    "gradients-forgotten",
    "The weights are counted once. Training keeps a gradient for each of them.",
)
def training_values(d, h, q):
    return h * d + q * h + d + 2 * h + q


@mistake(
    "training_values",
    "hidden-layer-once",
    "The hidden layer is counted once. z and h are different vectors, and both are used again.",
)
def training_values(d, h, q):
    return 2 * (h * d + q * h) + d + h + q


@mistake(
    "training_values",
    "widest-alone",
    "Of the vectors only the widest is counted. That is enough for a prediction only.",
)
def training_values(d, h, q):
    return 2 * (h * d + q * h) + max(d, h, q)


@mistake(
    "training_values",
    "vectors-forgotten",
    "Weights and gradients are there, and no vector. What do your backward steps take?",
)
def training_values(d, h, q):
    return 2 * (h * d + q * h)


@mistake(
    "training_values",
    "vectors-twice",
    "The vectors are counted twice, once for their gradients. Those are not kept.",
)
def training_values(d, h, q):
    return 2 * (h * d + q * h + d + 2 * h + q)


@mistake(
    "training_values",
    "target-counted",
    "There are q numbers too many. Is the target one of the four vectors?",
)
def training_values(d, h, q):
    return 2 * (h * d + q * h) + d + 2 * h + 2 * q


@mistake(
    "training_values",
    "input-left-out",
    "The sample is not counted. Which backward step takes x?",
)
def training_values(d, h, q):
    return 2 * (h * d + q * h) + 2 * h + q


# ------------------------------------------------------------------- hessian_vector_product

success_note(
    "hessian_vector_product",
    "Two gradients, whatever the number of weights; the matrix itself is never built.",
)


@mistake(
    "hessian_vector_product",
    "one-side-only",
    "The difference is taken to one side, so the error shrinks with eps and not with its square.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return (grad_fn(w + eps * v) - grad_fn(w)) / eps


@mistake(
    "hessian_vector_product",
    "two-forgotten",
    "The two points lie 2 eps apart, and you divide by half of that.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return (grad_fn(w + eps * v) - grad_fn(w - eps * v)) / eps


@mistake(
    "hessian_vector_product",
    "not-divided",
    "This is the change of the gradient. The product is that change for a step of length one.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return grad_fn(w + eps * v) - grad_fn(w - eps * v)


@mistake(
    "hessian_vector_product",
    "step-along-all-ones",
    "w moves by eps in every place, and v is multiplied in afterward. Move along v itself.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return (grad_fn(w + eps) - grad_fn(w - eps)) / (2 * eps) * v


@mistake(
    "hessian_vector_product",
    "length-of-v-lost",
    "v is scaled to length one, and the result is not scaled back.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    unit = v / np.linalg.norm(v)
    return (grad_fn(w + eps * unit) - grad_fn(w - eps * unit)) / (2 * eps)


@mistake(
    "hessian_vector_product",
    "second-difference",
    "A second difference of the gradient is a third derivative. The gradient is a first one.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return (grad_fn(w + eps * v) - 2 * grad_fn(w) + grad_fn(w - eps * v)) / eps**2


@mistake(
    "hessian_vector_product",
    "turned-into-a-number",
    "The product is multiplied by v once more, which gives one number.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return v @ (grad_fn(w + eps * v) - grad_fn(w - eps * v)) / (2 * eps)


@mistake(
    "hessian_vector_product",
    "gradient-times-v",
    "This multiplies the gradient by v. The Hessian is how the gradient changes.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return grad_fn(w) * v


@mistake(
    "hessian_vector_product",
    "v-left-out",
    "w moves by eps in every place, and v is not used. The step goes along v.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return (grad_fn(w + eps) - grad_fn(w - eps)) / (2 * eps)


@mistake(
    "hessian_vector_product",
    "multiplied-by-eps",
    "Python reads / 2 * eps from left to right: divide by 2, then multiply by eps.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return (grad_fn(w + eps * v) - grad_fn(w - eps * v)) / 2 * eps


@mistake(
    "hessian_vector_product",
    "v-multiplied-in-again",
    "The step goes along v, and the result is multiplied by v once more.",
)
def hessian_vector_product(grad_fn, w, v, eps):
    return (grad_fn(w + eps * v) - grad_fn(w - eps * v)) / (2 * eps) * v


# ---------------------------------------------------------------------------------- hessian

success_note(
    "hessian",
    "(H + H.T) / 2 makes a matrix of differences symmetric to the last digit, as the true one is.",
)


@mistake(
    "hessian",
    "diagonal-alone",
    "Only the diagonal is filled. Each weight also changes the slopes of the others.",
)
def hessian(grad_fn, w):
    n = len(w)
    H = np.zeros((n, n))
    for j, unit in enumerate(np.eye(n)):
        H[j, j] = (grad_fn(w + 1e-5 * unit) - grad_fn(w - 1e-5 * unit))[j] / 2e-5
    return H


@mistake(
    "hessian",
    "product-of-gradients",
    "This is the outer product of the gradient with itself, which has first derivatives only.",
)
def hessian(grad_fn, w):
    g = grad_fn(w)
    return np.outer(g, g)


@mistake(
    "hessian",
    "two-forgotten",
    "Every number is twice too large. Where is a division by 2 missing?",
)
def hessian(grad_fn, w):
    eps = 1e-5
    return np.array([(grad_fn(w + eps * u) - grad_fn(w - eps * u)) / eps for u in np.eye(len(w))])


@mistake(
    "hessian",
    "not-divided",
    "These are differences of gradients, nearly zero. A derivative divides by the step.",
)
def hessian(grad_fn, w):
    eps = 1e-5
    return np.array([grad_fn(w + eps * u) - grad_fn(w - eps * u) for u in np.eye(len(w))])


@mistake(
    "hessian",
    "all-weights-moved",
    "All columns are alike: every weight moves at once. Move one weight for one column.",
)
def hessian(grad_fn, w):
    eps, n = 1e-5, len(w)
    change = (grad_fn(w + eps) - grad_fn(w - eps)) / (2 * eps)
    return np.tile(change[:, None], (1, n))


@mistake(
    "hessian",
    "row-sums",
    "This is a vector, the product of the Hessian with ones. The Hessian is a matrix.",
)
def hessian(grad_fn, w):
    return (grad_fn(w + 1e-5) - grad_fn(w - 1e-5)) / 2e-5


@mistake(
    "hessian",
    "weights-stay-moved",
    "Each weight that was moved stays where it is when the next one moves.",
)
def hessian(grad_fn, w):
    eps, n = 0.1, len(w)
    H, moved = np.zeros((n, n)), w.copy()
    for j in range(n):
        before = grad_fn(moved)
        moved[j] += eps
        H[:, j] = (grad_fn(moved) - before) / eps
    return H


@mistake(
    "hessian",
    "all-columns-in-one-call",
    "All unit vectors go into one call, so w becomes a matrix. A product takes one vector.",
)
def hessian(grad_fn, w):
    eps, units = 1e-5, np.eye(len(w))
    return (grad_fn(w + eps * units) - grad_fn(w - eps * units)) / (2 * eps)


# -------------------------------------------------------------------------- bubble_fraction

success_note(
    "bubble_fraction",
    "With M four times S the bubble is below one fifth, whatever S is.",
)


@mistake(
    "bubble_fraction",
    "busy-for-idle",
    "This is the fraction of cells that are busy. The bubble is the rest.",
)
def bubble_fraction(n_stages, n_microbatches):
    return n_microbatches / (n_microbatches + n_stages - 1)


@mistake(
    "bubble_fraction",
    "divided-by-busy",
    "Idle cells are divided by busy ones. The question is their part of all cells.",
)
def bubble_fraction(n_stages, n_microbatches):
    return (n_stages - 1) / n_microbatches


@mistake(
    "bubble_fraction",
    "one-tick-too-many",
    "Your schedule is one tick too long. Count the columns of the picture.",
)
def bubble_fraction(n_stages, n_microbatches):
    return (n_stages - 1) / (n_microbatches + n_stages)


@mistake(
    "bubble_fraction",
    "one-idle-cell-too-many",
    "A row has one idle cell less than you count. How long does the last stage wait?",
)
def bubble_fraction(n_stages, n_microbatches):
    return n_stages / (n_microbatches + n_stages - 1)


@mistake(
    "bubble_fraction",
    "stages-and-pieces-exchanged",
    "S and M have changed places: your bubble grows with the number of micro-batches.",
)
def bubble_fraction(n_stages, n_microbatches):
    return (n_microbatches - 1) / (n_microbatches + n_stages - 1)


@mistake(
    "bubble_fraction",
    "no-pipeline",
    "So it would be if only one stage worked at a time, without a pipeline.",
)
def bubble_fraction(n_stages, n_microbatches):
    return (n_stages - 1) / n_stages


@mistake(
    "bubble_fraction",
    "percent",
    "This is in percent. The card asks for a number from 0 to 1.",
)
def bubble_fraction(n_stages, n_microbatches):
    return 100 * (n_stages - 1) / (n_microbatches + n_stages - 1)


# ---------------------------------------------------------------------- stage_traffic_bytes

success_note(
    "stage_traffic_bytes",
    "The number of micro-batches does not matter here: the same values travel in smaller parcels.",
)


@mistake(
    "stage_traffic_bytes",
    "both-directions",
    "This counts both directions. The card asks for one.",
)
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    return 2 * batch_size * width * bytes_per_value


@mistake(
    "stage_traffic_bytes",
    "values-for-bytes",
    "These are numbers, not bytes. One number takes several bytes.",
)
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    return batch_size * width


@mistake(
    "stage_traffic_bytes",
    "one-sample",
    "This is the traffic of one sample. A whole batch crosses the cut.",
)
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    return width * bytes_per_value


@mistake(
    "stage_traffic_bytes",
    "weights-travel",
    "A matrix of weights would have so many bytes. Weights stay on their device.",
)
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    return width * width * bytes_per_value


@mistake(
    "stage_traffic_bytes",
    "bits-for-bytes",
    "These are bits. The question is in bytes.",
)
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    return 8 * batch_size * width * bytes_per_value
