"""Mistakes of notebook 06, the training loop."""

import numpy as np

from autograder.mistakes import mistake, success_note

# ------------------------------------------------------------------------------ init_params

success_note(
    "init_params",
    "PyTorch has this as torch.nn.init.kaiming_normal_, after the first name of He.",
)


@mistake(
    "init_params",
    "half-the-variance",
    "The variance is 1/n_in. That keeps a signal without ReLU; ReLU sets half of it to zero.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(rng.normal(0, np.sqrt(1 / n), size=(m, n)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "outputs-for-inputs",
    "The variance is 2/n_out. A neuron adds up its inputs: whose number counts?",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(rng.normal(0, np.sqrt(2 / m), size=(m, n)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "mean-of-both-sizes",
    "The variance is 2/(n_in + n_out), the rule for tanh. With ReLU another one holds.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(rng.normal(0, np.sqrt(2 / (m + n)), size=(m, n)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "variance-for-deviation",
    "The random numbers get 2/n_in as their standard deviation. It is meant as their variance.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(rng.normal(0, 2 / n, size=(m, n)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "standard-normal",
    "The variance is 1, whatever the size of the layer. Each sum then grows with n_in.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(rng.normal(size=(m, n)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "rows-for-inputs",
    "The weights have a row for each input. In this course a row belongs to an output.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(rng.normal(0, np.sqrt(2 / n), size=(n, m)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "zeros",
    "All weights are zero, so all neurons of a layer are alike and stay alike.",
)
def init_params(layer_sizes, rng):
    return [(np.zeros((m, n)), np.zeros(m)) for n, m in zip(layer_sizes, layer_sizes[1:])]


@mistake(
    "init_params",
    "numbers-of-its-own",
    "The weights do not depend on rng: another seed gives the same ones.",
)
def init_params(layer_sizes, rng):
    mine = np.random.default_rng(0)
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(mine.normal(0, np.sqrt(2 / n), size=(m, n)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "the-global-generator",
    "The weights do not come from rng: the same seed gives other ones each time.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(np.random.normal(0, np.sqrt(2 / n), size=(m, n)), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "random-biases",
    "The biases are random too. They start at zero.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [
        (rng.normal(0, np.sqrt(2 / n), size=(m, n)), rng.normal(0, np.sqrt(2 / n), size=m))
        for n, m in pairs
    ]


@mistake(
    "init_params",
    "one-sided",
    "All weights are positive: numbers between 0 and 1 do not have the mean 0.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [(rng.random(size=(m, n)) * np.sqrt(2 / n), np.zeros(m)) for n, m in pairs]


@mistake(
    "init_params",
    "uniform-too-narrow",
    "The range of the uniform numbers is taken for their deviation. Their variance is a third of "
    "the square of the range.",
)
def init_params(layer_sizes, rng):
    pairs = zip(layer_sizes, layer_sizes[1:])
    return [
        (rng.uniform(-np.sqrt(2 / n), np.sqrt(2 / n), size=(m, n)), np.zeros(m)) for n, m in pairs
    ]


# --------------------------------------------------------------------------- network_logits

success_note(
    "network_logits",
    "argmax of the logits is argmax of the probabilities, so softmax is not needed to answer.",
)


@mistake(
    "network_logits",
    "relu-at-the-end",
    "The scores pass through ReLU too. A score may be negative; how many ReLUs are there?",
)
def network_logits(params, X):
    a = X
    for W, b in params:
        a = np.maximum(a @ W.T + b, 0.0)
    return a


@mistake(
    "network_logits",
    "no-relu",
    "No layer has an activation, so all layers together are one affine map.",
)
def network_logits(params, X):
    a = X
    for W, b in params:
        a = a @ W.T + b
    return a


@mistake(
    "network_logits",
    "no-bias",
    "The biases are not used.",
)
def network_logits(params, X):
    a = X
    for W, _ in params[:-1]:
        a = np.maximum(a @ W.T, 0.0)
    return a @ params[-1][0].T


@mistake(
    "network_logits",
    "softmax-at-the-end",
    "These are probabilities. The exercise asks for the scores before softmax.",
)
def network_logits(params, X):
    a = X
    for W, b in params[:-1]:
        a = np.maximum(a @ W.T + b, 0.0)
    z = a @ params[-1][0].T + params[-1][1]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@mistake(
    "network_logits",
    "last-layer-left-out",
    "The last layer is not there: this is the last hidden layer.",
)
def network_logits(params, X):
    a = X.copy()
    for W, b in params[:-1]:
        a = np.maximum(a @ W.T + b, 0.0)
    return a


@mistake(
    "network_logits",
    "columns-for-rows",
    "The batch meets the columns of W. It needs the rows, one for each output.",
)
def network_logits(params, X):
    a = X
    for W, b in params[:-1]:
        a = np.maximum(a @ W + b, 0.0)
    return a @ params[-1][0] + params[-1][1]


# ----------------------------------------------------------------------- loss_and_gradients

success_note(
    "loss_and_gradients",
    "The forward pass keeps one input and one sum for each layer, and each is read once more.",
)


def _objective(
    params,
    X,
    y,
    lam,
    *,
    mean=True,
    over_B=None,
    penalty=0.5,
    decay=1.0,
    decay_bias=0.0,
    gate=True,
    gate_of="below",
    one_hot=True,
    bias=None,
    log_p=None,
    divide_penalty=1.0,
    flip=1.0,
    order=-1,
):
    inputs, sums, a = [], [], X
    for W, b in params:
        z = a @ W.T + b
        inputs.append(a)
        sums.append(z)
        a = np.maximum(z, 0.0)
    rows, z = np.arange(len(y)), sums[-1]
    if log_p is None:
        shifted = z - z.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    else:
        logs = log_p(z)
    losses = -logs[rows, y]
    s = penalty * lam * sum(np.sum(W**2) for W, _ in params)
    s += decay_bias * lam / 2 * sum(np.sum(b**2) for _, b in params)
    J = (np.mean(losses) if mean else np.sum(losses)) + s / divide_penalty
    dz = np.exp(logs)
    if one_hot:
        dz[rows, y] -= 1
    dz = flip * dz / (over_B if over_B is not None else len(y))
    grads = []
    for k in reversed(range(len(params))):
        W, b = params[k]
        db = dz.sum(axis=0) if bias is None else bias(dz)
        dW = dz.T @ inputs[k] + decay * lam * W / divide_penalty
        grads.append((dW, db + decay_bias * lam * b))
        if k > 0:
            slope = (sums[k - 1] if gate_of == "below" else inputs[k] - 1) > 0
            dz = dz @ W * slope if gate else dz @ W
    return J, grads[::order]


@mistake(
    "loss_and_gradients",
    "sum-for-mean",
    "The losses of the samples are added up. The objective takes their mean, and so do the gradients.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, mean=False, over_B=1)


@mistake(
    "loss_and_gradients",
    "gradient-of-the-sum",
    "J is a mean and its gradients are those of a sum: the factor 1/B is not in dZ.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, over_B=1)


@mistake(
    "loss_and_gradients",
    "no-penalty",
    "λ has no effect, neither on J nor on the gradients.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, penalty=0.0, decay=0.0)


@mistake(
    "loss_and_gradients",
    "penalty-in-J-only",
    "J has the penalty, and the gradients of the weights do not. What is the slope of λ/2 times W²?",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, decay=0.0)


@mistake(
    "loss_and_gradients",
    "half-forgotten",
    "The penalty in J is twice too large: it has a factor beside λ.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, penalty=1.0)


@mistake(
    "loss_and_gradients",
    "half-in-the-gradient",
    "The penalty's gradient is half of what it should be: the ½ meets the 2 of the square.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, decay=0.5)


@mistake(
    "loss_and_gradients",
    "doubled-decay",
    "The penalty's gradient is twice too large: the ½ in front of the square was lost.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, decay=2.0)


@mistake(
    "loss_and_gradients",
    "biases-charged",
    "The biases are charged too, in J and in db. The penalty has the weights only.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, decay_bias=1.0)


@mistake(
    "loss_and_gradients",
    "penalty-averaged",
    "The penalty is divided by the number of samples. It does not belong to the mean.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, divide_penalty=len(y))


@mistake(
    "loss_and_gradients",
    "gate-forgotten",
    "The gradient passes the ReLUs unchanged. Where ReLU is off, nothing comes through.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, gate=False)


@mistake(
    "loss_and_gradients",
    "one-hot-forgotten",
    "dZ at the logits is the probabilities. The second part, with the right class, is not there.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, one_hot=False)


@mistake(
    "loss_and_gradients",
    "uphill",
    "dZ at the logits has the opposite sign, so every step would go uphill.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, flip=-1.0)


@mistake(
    "loss_and_gradients",
    "bias-averaged",
    "db is a mean over the rows of dZ. The factor 1/B is in dZ already, so the rows are added.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, bias=lambda dz: dz.mean(axis=0))


@mistake(
    "loss_and_gradients",
    "last-layer-first",
    "The gradients stand in the order of the backward pass. The list begins with the first layer.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, order=1)


@mistake(
    "loss_and_gradients",
    "log-of-softmax",
    "J is right until a probability is 0 in float64, and its logarithm is then infinite. "
    "log_softmax has no such place.",
)
def loss_and_gradients(params, X, y, lam):
    def log_p(z):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return np.log(e / e.sum(axis=1, keepdims=True))

    return _objective(params, X, y, lam, log_p=log_p)


@mistake(
    "loss_and_gradients",
    "powers-overflow",
    "All is right until a logit is large: e to the power of 1000 is no float64.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(
        params, X, y, lam, log_p=lambda z: z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    )


@mistake(
    "loss_and_gradients",
    "averaged-over-classes",
    "The gradients are divided by B times the number of classes. The mean is over samples.",
)
def loss_and_gradients(params, X, y, lam):
    return _objective(params, X, y, lam, over_B=len(y) * len(params[-1][1]))


# ------------------------------------------------------------------------------ minibatches

success_note(
    "minibatches",
    "One array of sample numbers is shuffled; the samples themselves are copied once, batch by batch.",
)


def _cut(X, y, order, batch_size):
    return [
        (X[order[i : i + batch_size]], y[order[i : i + batch_size]])
        for i in range(0, len(order), batch_size)
    ]


@mistake(
    "minibatches",
    "never-shuffled",
    "The samples come in the order in which they lie. Where does chance come in?",
)
def minibatches(X, y, batch_size, rng):
    return _cut(X, y, np.arange(len(X)), batch_size)


@mistake(
    "minibatches",
    "short-batch-dropped",
    "What is left over after the full batches is lost. The last batch may be shorter.",
)
def minibatches(X, y, batch_size, rng):
    order = rng.permutation(len(X))
    whole = max(len(X) // batch_size, 1) * batch_size
    return _cut(X, y, order[:whole], batch_size)


@mistake(
    "minibatches",
    "labels-left-behind",
    "The rows of X are shuffled and the classes are not: they belong to other samples now.",
)
def minibatches(X, y, batch_size, rng):
    order = rng.permutation(len(X))
    for i in range(0, len(X), batch_size):
        yield X[order[i : i + batch_size]], y[i : i + batch_size]


@mistake(
    "minibatches",
    "shuffled-apart",
    "X and y are shuffled each by itself. A scan and its class must move together.",
)
def minibatches(X, y, batch_size, rng):
    X_mixed, y_mixed = X[rng.permutation(len(X))], y[rng.permutation(len(X))]
    for i in range(0, len(X), batch_size):
        yield X_mixed[i : i + batch_size], y_mixed[i : i + batch_size]


@mistake(
    "minibatches",
    "with-replacement",
    "Some samples come several times and others never: each is drawn anew from all.",
)
def minibatches(X, y, batch_size, rng):
    return _cut(X, y, rng.integers(len(X), size=len(X)), batch_size)


@mistake(
    "minibatches",
    "numbers-of-its-own",
    "The order is the same in every epoch, and rng has no part in it.",
)
def minibatches(X, y, batch_size, rng):
    return _cut(X, y, np.random.default_rng(0).permutation(len(X)), batch_size)


@mistake(
    "minibatches",
    "the-global-generator",
    "The order does not come from rng: with the same seed it is another one each time.",
)
def minibatches(X, y, batch_size, rng):
    return _cut(X, y, np.random.permutation(len(X)), batch_size)


@mistake(
    "minibatches",
    "inputs-shuffled",
    "The arrays that were given are shuffled themselves. Their owner finds them in another order.",
)
def minibatches(X, y, batch_size, rng):
    order = rng.permutation(len(X))
    X[:], y[:] = X[order], y[order]
    return [
        (X[i : i + batch_size].copy(), y[i : i + batch_size].copy())
        for i in range(0, len(X), batch_size)
    ]


@mistake(
    "minibatches",
    "first-batch-alone",
    "The function ends with its first batch: return ends a loop, too.",
)
def minibatches(X, y, batch_size, rng):
    return _cut(X, y, rng.permutation(len(X)), batch_size)[:1]


@mistake(
    "minibatches",
    "number-of-batches",
    "There are batch_size batches. The argument is the number of samples in one.",
)
def minibatches(X, y, batch_size, rng):
    return [(X[part], y[part]) for part in np.array_split(rng.permutation(len(X)), batch_size)]


@mistake(
    "minibatches",
    "batches-shuffled",
    "The batches are shuffled and not the samples: the same samples always share a batch.",
)
def minibatches(X, y, batch_size, rng):
    batches = _cut(X, y, np.arange(len(X)), batch_size)
    return [batches[i] for i in rng.permutation(len(batches))]


# ------------------------------------------------------------------------------- sgd_update

success_note(
    "sgd_update",
    "No number of the step depends on another parameter, so all of them could be done at once.",
)


@mistake("sgd_update", "uphill", "The parameters move along the gradient, which is uphill.")
def sgd_update(params, grads, lr):
    return [(W + lr * dW, b + lr * db) for (W, b), (dW, db) in zip(params, grads)]


@mistake("sgd_update", "no-learning-rate", "The learning rate is not used.")
def sgd_update(params, grads, lr):
    return [(W - dW, b - db) for (W, b), (dW, db) in zip(params, grads)]


@mistake("sgd_update", "biases-kept", "The biases stay where they are. They have gradients too.")
def sgd_update(params, grads, lr):
    return [(W - lr * dW, b.copy()) for (W, b), (dW, db) in zip(params, grads)]


@mistake(
    "sgd_update",
    "in-place",
    "The arrays of params are overwritten: -= changes what the caller still holds.",
)
def sgd_update(params, grads, lr):
    for (W, b), (dW, db) in zip(params, grads):
        W -= lr * dW
        b -= lr * db
    return [(W.copy(), b.copy()) for W, b in params]


@mistake(
    "sgd_update",
    "step-alone",
    "This is the step. The new parameters are the old ones plus the step.",
)
def sgd_update(params, grads, lr):
    return [(-lr * dW, -lr * db) for dW, db in grads]


@mistake("sgd_update", "divided", "The gradient is divided by the learning rate.")
def sgd_update(params, grads, lr):
    return [(W - dW / lr, b - db / lr) for (W, b), (dW, db) in zip(params, grads)]


@mistake("sgd_update", "decay", "The parameters are scaled by the learning rate too.")
def sgd_update(params, grads, lr):
    return [(lr * (W - dW), lr * (b - db)) for (W, b), (dW, db) in zip(params, grads)]


# ------------------------------------------------------------------------------------ train

success_note(
    "train",
    "Nothing in the loop knows about digits: other samples, other layers, the same ten lines.",
)


def _run(params, X, y, epochs, batch_size, lr, lam, rng, **change):
    """The loop, with one thing changed."""

    def batches():
        order = rng.permutation(len(X)) if change.get("shuffle", True) else np.arange(len(X))
        return _cut(X, y, order, batch_size)

    made_once = change.get("once") or change.get("reorder")
    history, every, kept = [], [], batches() if made_once else None
    velocity = [(0 * W, 0 * b) for W, b in params]
    for epoch in range(epochs):
        losses = []
        if change.get("reorder"):
            kept = [kept[i] for i in rng.permutation(len(kept))]
        for X_batch, y_batch in kept or batches():
            if change.get("drop") and len(y_batch) < batch_size:
                continue
            J, grads = _objective(params, X_batch, y_batch, lam)
            if change.get("accumulate"):
                grads = velocity = [(v + dW, u + db) for (v, u), (dW, db) in zip(velocity, grads)]
            if change.get("uphill"):
                grads = [(-dW, -db) for dW, db in grads]
            losses.append(change.get("measure", lambda J, *_: J)(J, params, X_batch, y_batch))
            if not change.get("last") or len(losses) * batch_size >= len(X):
                params = [(W - lr * dW, b - lr * db) for (W, b), (dW, db) in zip(params, grads)]
        every += losses
        history.append(change.get("summary", np.mean)(losses))
    return params, every if change.get("every") else history


@mistake(
    "train",
    "never-shuffled",
    "The order of the samples does not depend on rng.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, shuffle=False)


@mistake(
    "train",
    "shuffled-once",
    "Every epoch has the same batches. Where are they made, and does rng go on from epoch to epoch?",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, once=True)


@mistake(
    "train",
    "batches-reordered",
    "The batches change places from epoch to epoch, but the same samples share one. Make new batches "
    "in each epoch.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, reorder=True)


@mistake(
    "train",
    "order-of-its-own",
    "The order changes from epoch to epoch, but rng does not decide about it. Whose random numbers "
    "are these?",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    mine = np.random.default_rng(0)
    return _run(params, X, y, epochs, batch_size, lr, lam, mine)


@mistake(
    "train",
    "history-of-batches",
    "The history has a number for every batch. The card asks for one for each epoch.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, every=True)


@mistake(
    "train",
    "parameters-overwritten",
    "The parameters that were given are changed in place. Whoever wants to start there again cannot.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    trained, history = _run(params, X, y, epochs, batch_size, lr, lam, rng)
    for (W, b), (W_new, b_new) in zip(params, trained):
        W[:], b[:] = W_new, b_new
    return params, history


@mistake(
    "train",
    "history-summed",
    "The losses of an epoch are added up, so the number grows with the number of batches.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, summary=np.sum)


@mistake(
    "train",
    "history-of-the-last-batch",
    "The history holds the J of the last batch of each epoch. Which batches does the mean run over?",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, summary=lambda losses: losses[-1])


@mistake(
    "train",
    "gradients-accumulated",
    "Each step uses the sum of all gradients so far. A step belongs to one batch.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, accumulate=True)


@mistake(
    "train",
    "no-penalty",
    "λ does not reach loss_and_gradients: the training runs without a penalty.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, 0.0, rng)


@mistake(
    "train",
    "one-step-an-epoch",
    "Only the last batch of an epoch moves the parameters. The update belongs into the inner loop.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, last=True)


@mistake(
    "train",
    "short-batch-skipped",
    "The short last batch makes no step.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, drop=True)


@mistake(
    "train",
    "start-returned",
    "The parameters that come back are those that went in. What does the loop do with the new ones?",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    _, history = _run(params, X, y, epochs, batch_size, lr, lam, rng)
    return [(W.copy(), b.copy()) for W, b in params], history


@mistake(
    "train",
    "always-from-the-start",
    "Every step begins at the first parameters again, so only the last one counts.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for _ in range(epochs):
        losses = []
        for X_batch, y_batch in _cut(X, y, rng.permutation(len(X)), batch_size):
            J, grads = _objective(params, X_batch, y_batch, lam)
            trained = [(W - lr * dW, b - lr * db) for (W, b), (dW, db) in zip(params, grads)]
            losses.append(J)
        history.append(np.mean(losses))
    return trained, history


@mistake(
    "train",
    "uphill",
    "The training climbs: its loss grows from epoch to epoch.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, epochs, batch_size, lr, lam, rng, uphill=True)


@mistake(
    "train",
    "one-epoch",
    "The parameters that come back made the steps of one epoch, whatever epochs says. Do they go on "
    "from epoch to epoch, and does every epoch find batches?",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    return _run(params, X, y, 1, batch_size, lr, lam, rng)


@mistake(
    "train",
    "history-of-accuracies",
    "The history holds shares of right answers. The card asks for the objective J.",
)
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    def right(J, params, X, y):
        a = X
        for W, b in params[:-1]:
            a = np.maximum(a @ W.T + b, 0.0)
        return np.mean(np.argmax(a @ params[-1][0].T + params[-1][1], axis=1) == y)

    return _run(params, X, y, epochs, batch_size, lr, lam, rng, measure=right)


# -------------------------------------------------------------------------- momentum_update

success_note(
    "momentum_update",
    "Under a gradient that stays the same, the velocity grows to g/(1 - β): ten times as fast "
    "for β = 0.9.",
)


def _momentum(params, grads, velocity, lr, beta, rule):
    new_params, new_velocity = [], []
    for pair, gradients, speeds in zip(params, grads, velocity):
        both = [rule(p, g, v) for p, g, v in zip(pair, gradients, speeds)]
        new_params.append(tuple(p for p, _ in both))
        new_velocity.append(tuple(v for _, v in both))
    return new_params, new_velocity


@mistake(
    "momentum_update",
    "damped",
    "The gradient enters the velocity with a factor 1 - β. In the formula of the card it has none.",
)
def momentum_update(params, grads, velocity, lr, beta):
    def rule(p, g, v):
        v = beta * v + (1 - beta) * g
        return p - lr * v, v

    return _momentum(params, grads, velocity, lr, beta, rule)


@mistake(
    "momentum_update",
    "old-velocity",
    "The step is made with the velocity from before. The second formula uses the new one.",
)
def momentum_update(params, grads, velocity, lr, beta):
    return _momentum(params, grads, velocity, lr, beta, lambda p, g, v: (p - lr * v, beta * v + g))


@mistake(
    "momentum_update",
    "velocity-not-kept",
    "The velocity that comes back is the one that went in, so no speed builds up.",
)
def momentum_update(params, grads, velocity, lr, beta):
    return _momentum(
        params, grads, velocity, lr, beta, lambda p, g, v: (p - lr * (beta * v + g), v.copy())
    )


@mistake(
    "momentum_update",
    "nesterov",
    "The step looks one velocity ahead. That is Nesterov's form, not the one of the card.",
)
def momentum_update(params, grads, velocity, lr, beta):
    def rule(p, g, v):
        v = beta * v + g
        return p - lr * (g + beta * v), v

    return _momentum(params, grads, velocity, lr, beta, rule)


@mistake(
    "momentum_update",
    "rate-in-the-velocity",
    "The parameters are right, but η is part of your velocity. In the card it stands in the second "
    "formula only.",
)
def momentum_update(params, grads, velocity, lr, beta):
    def rule(p, g, v):
        v = beta * v + lr * g
        return p - v, v

    return _momentum(params, grads, velocity, lr, beta, rule)


@mistake(
    "momentum_update",
    "step-for-velocity",
    "The parameters are right, but your velocity holds the step itself, with η and a minus sign. The "
    "card has both in the second formula.",
)
def momentum_update(params, grads, velocity, lr, beta):
    def rule(p, g, v):
        v = beta * v - lr * g
        return p + v, v

    return _momentum(params, grads, velocity, lr, beta, rule)


@mistake(
    "momentum_update",
    "parameters-overwritten",
    "The parameters that were given are changed in place. Build new arrays.",
)
def momentum_update(params, grads, velocity, lr, beta):
    new_velocity = []
    for (W, b), (dW, db), (vW, vb) in zip(params, grads, velocity):
        vW, vb = beta * vW + dW, beta * vb + db
        W -= lr * vW
        b -= lr * vb
        new_velocity.append((vW, vb))
    return params, new_velocity


@mistake(
    "momentum_update",
    "plain-sgd",
    "The parameters move by the gradient alone. Where is the velocity used?",
)
def momentum_update(params, grads, velocity, lr, beta):
    return _momentum(params, grads, velocity, lr, beta, lambda p, g, v: (p - lr * g, beta * v + g))


@mistake(
    "momentum_update",
    "no-friction",
    "β is not used: the velocity never forgets a gradient.",
)
def momentum_update(params, grads, velocity, lr, beta):
    def rule(p, g, v):
        v = v + g
        return p - lr * v, v

    return _momentum(params, grads, velocity, lr, beta, rule)


@mistake(
    "momentum_update",
    "velocity-against-gradient",
    "The gradient is subtracted from the velocity, and the velocity from the parameters: two minus "
    "signs lead uphill.",
)
def momentum_update(params, grads, velocity, lr, beta):
    def rule(p, g, v):
        v = beta * v - g
        return p - lr * v, v

    return _momentum(params, grads, velocity, lr, beta, rule)


@mistake(
    "momentum_update",
    "velocity-overwritten",
    "The velocity that was given is changed in place. Build new arrays.",
)
def momentum_update(params, grads, velocity, lr, beta):
    new_params = []
    for (W, b), (dW, db), (vW, vb) in zip(params, grads, velocity):
        vW *= beta
        vW += dW
        vb *= beta
        vb += db
        new_params.append((W - lr * vW, b - lr * vb))
    return new_params, velocity


@mistake(
    "momentum_update",
    "biases-without-velocity",
    "The weights are right and the biases make plain steps: they have a velocity of their own.",
)
def momentum_update(params, grads, velocity, lr, beta):
    new_params, new_velocity = [], []
    for (W, b), (dW, db), (vW, vb) in zip(params, grads, velocity):
        vW = beta * vW + dW
        new_params.append((W - lr * vW, b - lr * db))
        new_velocity.append((vW, vb.copy()))
    return new_params, new_velocity


# ------------------------------------------------------------------------------ adam_update

success_note(
    "adam_update",
    "In the first step both corrections cancel the factors: the step is η times the sign of g.",
)


def _adam(params, grads, state, lr, beta1, beta2, eps, step=None, m_rule=None, v_rule=None, t=None):
    flat = [p for pair in params for p in pair]
    gradients = [g for pair in grads for g in pair]
    number = state.get("t", 0) + 1 if t is None else t(state)
    ms = state.get("m", [np.zeros_like(p) for p in flat])
    vs = state.get("v", [np.zeros_like(p) for p in flat])
    m_rule = m_rule or (lambda m, g: beta1 * m + (1 - beta1) * g)
    v_rule = v_rule or (lambda v, g, m: beta2 * v + (1 - beta2) * g**2)
    ms = [m_rule(m, g) for m, g in zip(ms, gradients)]
    vs = [v_rule(v, g, m) for v, g, m in zip(vs, gradients, ms)]
    if step is None:

        def step(g, m, v, t):
            return m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps)

    with np.errstate(all="ignore"):
        new = [p - lr * step(g, m, v, number) for p, g, m, v in zip(flat, gradients, ms, vs)]
    return list(zip(new[::2], new[1::2])), {"t": number, "m": ms, "v": vs}


@mistake(
    "adam_update",
    "no-correction",
    "The averages are used as they are. They start at zero, and the first steps need a correction.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params, grads, state, lr, beta1, beta2, eps, lambda g, m, v, t: m / (np.sqrt(v) + eps)
    )


@mistake(
    "adam_update",
    "one-correction",
    "v is not corrected. It starts at zero, as m does.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        lambda g, m, v, t: m / (1 - beta1**t) / (np.sqrt(v) + eps),
    )


@mistake(
    "adam_update",
    "epsilon-under-the-root",
    "ε stands under the root. In the formula it is added to the root.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        lambda g, m, v, t: m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t) + eps),
    )


@mistake(
    "adam_update",
    "epsilon-before-the-correction",
    "ε is added to the root of v before v is corrected. The formula corrects first.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        lambda g, m, v, t: m / (1 - beta1**t) * np.sqrt(1 - beta2**t) / (np.sqrt(v) + eps),
    )


@mistake(
    "adam_update",
    "no-epsilon",
    "ε is not used. It matters wherever the average square is small.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        lambda g, m, v, t: m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t)),
    )


@mistake(
    "adam_update",
    "no-root",
    "The step divides by the average square itself. Read the denominator again.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        lambda g, m, v, t: m / (1 - beta1**t) / (v / (1 - beta2**t) + eps),
    )


@mistake(
    "adam_update",
    "always-the-first-step",
    "Every step is corrected as if it were the first. Who counts the steps?",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(params, grads, state, lr, beta1, beta2, eps, t=lambda state: 1)


@mistake(
    "adam_update",
    "counts-from-two",
    "The correction is one step ahead. What is t in the first step?",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(params, grads, state, lr, beta1, beta2, eps, t=lambda s: s.get("t", 1) + 1)


@mistake(
    "adam_update",
    "memory-lost",
    "The state that comes back is empty, so every step is a first step.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    new, _ = _adam(params, grads, {}, lr, beta1, beta2, eps)
    return new, {}


@mistake(
    "adam_update",
    "factors-exchanged",
    "β₁ and β₂ have changed places: β₁ belongs to the gradient, β₂ to its square.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(params, grads, state, lr, beta2, beta1, eps)


@mistake(
    "adam_update",
    "square-of-the-average",
    "v averages the square of m. It is meant to average the square of the gradient.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        v_rule=lambda v, g, m: beta2 * v + (1 - beta2) * m**2,
    )


@mistake(
    "adam_update",
    "gradient-for-average",
    "The step has the gradient itself in its numerator. Where is m used?",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        lambda g, m, v, t: g / (np.sqrt(v / (1 - beta2**t)) + eps),
    )


@mistake(
    "adam_update",
    "sums-for-averages",
    "The new gradient enters m and v without its factor, so they are sums and no averages.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(
        params,
        grads,
        state,
        lr,
        beta1,
        beta2,
        eps,
        m_rule=lambda m, g: beta1 * m + g,
        v_rule=lambda v, g, m: beta2 * v + g**2,
    )


@mistake(
    "adam_update",
    "correction-kept",
    "The corrected averages are kept and corrected again in the next step. Keep m and v themselves.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    t = state.get("t", 0) + 1
    new, kept = _adam(params, grads, state, lr, beta1, beta2, eps)
    m_hat = [m / (1 - beta1**t) for m in kept["m"]]
    v_hat = [v / (1 - beta2**t) for v in kept["v"]]
    return new, {"t": t, "m": m_hat, "v": v_hat}


@mistake(
    "adam_update",
    "uphill",
    "The step is added: the parameters move uphill.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    return _adam(params, grads, state, -lr, beta1, beta2, eps)


@mistake(
    "adam_update",
    "parameters-overwritten",
    "The arrays of params are changed in place. Build new ones, as in sgd_update.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    new, kept = _adam(params, grads, state, lr, beta1, beta2, eps)
    for (W, b), (W_new, b_new) in zip(params, new):
        W[:], b[:] = W_new, b_new
    return new, kept


@mistake(
    "adam_update",
    "state-overwritten",
    "The state that was given is changed, the dict or an array in it. Build new ones.",
)
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    new, kept = _adam(params, grads, state, lr, beta1, beta2, eps)
    state.update(kept)
    return new, state


# ----------------------------------------------------------------------- l2_is_weight_decay

success_note(
    "l2_is_weight_decay",
    "The answer is yes only for optimizers that move a weight by -η for each unit of its gradient.",
)


def _both(update, lr=0.1, lam=0.5):
    rng = np.random.default_rng(0)
    W, dW = rng.normal(size=(2, 4, 3))
    b, db = rng.normal(size=(2, 4))
    ((with_penalty, _),) = update([(W, b)], [(dW + lam * W, db)], lr)
    ((without, _),) = update([(W, b)], [(dW, db)], lr)
    return W, with_penalty, without


@mistake(
    "l2_is_weight_decay",
    "always-yes",
    "The answer is yes for every optimizer. Try your test on Adam, and with larger η and λ: the "
    "comparison forgives small differences.",
)
def l2_is_weight_decay(update):
    return True


@mistake(
    "l2_is_weight_decay",
    "always-no",
    "The answer is no for every optimizer, plain SGD included. Is there an η in your decay? Do you "
    "compare with ==, or after the decay of another W?",
)
def l2_is_weight_decay(update):
    return False


@mistake(
    "l2_is_weight_decay",
    "answers-turned",
    "Every answer is turned around: no where both ways agree, yes where they differ.",
)
def l2_is_weight_decay(update):
    W, with_penalty, without = _both(update)
    return not np.allclose(with_penalty, without - 0.1 * 0.5 * W)


@mistake(
    "l2_is_weight_decay",
    "no-decay",
    "The two ways do not differ in their decay. It belongs to the way without the penalty, and to "
    "that one alone.",
)
def l2_is_weight_decay(update):
    W, with_penalty, without = _both(update)
    return bool(np.allclose(with_penalty, without))


@mistake(
    "l2_is_weight_decay",
    "up-to-a-factor",
    "Your test forgives a factor. Both ways have the same η and λ and must lead to the same weights.",
)
def l2_is_weight_decay(update):
    W, with_penalty, without = _both(update)
    effect = with_penalty - without
    factor = np.sum(effect * W) / np.sum(W * W)
    return bool(abs(factor) > 1e-9 and np.allclose(effect, factor * W))


@mistake(
    "l2_is_weight_decay",
    "shrinks-without-gradient",
    "You ask whether the optimizer shrinks weights by itself. The question is what it makes of a "
    "penalty in its gradient.",
)
def l2_is_weight_decay(update):
    W = np.ones((2, 3))
    ((after, _),) = update([(W, np.ones(2))], [(1e-300 * W, 1e-300 * np.ones(2))], 0.1)
    return bool(np.all(np.abs(after) < 0.999 * W))


@mistake(
    "l2_is_weight_decay",
    "signs-alone",
    "Only the direction of the penalty's effect is looked at, not its size.",
)
def l2_is_weight_decay(update):
    W, with_penalty, without = _both(update)
    return bool(np.all((with_penalty - without) * W < 0))
