"""Wrong answers of notebook 06 without a sentence of their own.

tests/course/test_slips.py grades them.
"""


# %% init_params: half of the columns are copies
def init_params(layer_sizes, rng):
    params = []
    for n_in, n_out in zip(layer_sizes, layer_sizes[1:]):
        W = np.concatenate([rng.normal(0, np.sqrt(2 / n_in), size=(n_out, n_in // 2))] * 2, axis=1)[
            :, :n_in
        ]
        b = np.zeros(n_out)
        params.append((W, b))
    return params


# %% init_params: pairs one by one, gone after the first use
def init_params(layer_sizes, rng):
    for n, m in zip(layer_sizes[:-1], layer_sizes[1:]):
        yield rng.normal(0, np.sqrt(2 / n), size=(m, n)), np.zeros(m)


# %% minibatches: the samples keep their neighbors
def minibatches(X, y, batch_size, rng):
    o = np.roll(np.arange(len(X)), rng.integers(len(X)))
    for s in range(0, len(X), batch_size):
        yield X[o[s : s + batch_size]], y[o[s : s + batch_size]]


# %% minibatches: two samples change places
def minibatches(X, y, batch_size, rng):
    o = np.arange(len(X))
    i, j = rng.choice(len(X), 2, replace=False)
    o[i], o[j] = o[j], o[i]
    for s in range(0, len(X), batch_size):
        yield X[o[s : s + batch_size]], y[o[s : s + batch_size]]


# %% minibatches: shuffled inside of each batch
def minibatches(X, y, batch_size, rng):
    o = np.arange(len(X))
    for s in range(0, len(X), batch_size):
        rng.shuffle(o[s : s + batch_size])
    for s in range(0, len(X), batch_size):
        yield X[o[s : s + batch_size]], y[o[s : s + batch_size]]


# %% train: history of last batches
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(losses[-1])
    return params, history


# %% train: history of first batches
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(losses[0])
    return params, history


# %% train: history of medians
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(np.median(losses))
    return params, history


# %% train: history of smallest losses
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(min(losses))
    return params, history


# %% train: the parameters of the best epoch
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(np.mean(losses))
        if history[-1] == min(history):
            best = params
    return best, history


# %% train: stops when the loss rises
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(np.mean(losses))
        if len(history) > 1 and history[-1] > history[-2]:
            break
    return params, history


# %% train: stops when the loss hardly falls
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(np.mean(losses))
        if len(history) > 1 and abs(history[-1] - history[-2]) < 1e-3:
            history += [history[-1]] * (epochs - len(history))
            break
    return params, history


# %% train: clips large gradients
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for epoch in range(epochs):
        losses = []
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            grads = [(np.clip(a, -5, 5), np.clip(b, -5, 5)) for a, b in grads]
            params = sgd_update(params, grads, lr)
            losses.append(J)
        history.append(np.mean(losses))
    return params, history


# %% momentum_update: the gradients become the velocity
def momentum_update(params, grads, velocity, lr, beta):
    P, V = [], []
    for (W, b), (dW, db), (vW, vb) in zip(params, grads, velocity):
        dW += beta * vW
        vW = dW
        vb = beta * vb + db
        P.append((W - lr * vW, b - lr * vb))
        V.append((vW, vb))
    return P, V


# %% l2_is_weight_decay: one weight that agrees is enough
def l2_is_weight_decay(update):
    rng = np.random.default_rng(0)
    W, dW = rng.normal(size=(2, 4, 3))
    b, db = rng.normal(size=(2, 4))
    lr, lam = 0.1, 0.5
    A = update([(W, b)], [(dW + lam * W, db)], lr)[0][0]
    B = update([(W, b)], [(dW, db)], lr)[0][0]
    return bool(np.isclose(A, B - lr * lam * W).any())


# %% l2_is_weight_decay: only the sums are compared
def l2_is_weight_decay(update):
    rng = np.random.default_rng(0)
    W, dW = rng.normal(size=(2, 4, 3))
    b, db = rng.normal(size=(2, 4))
    lr, lam = 0.1, 0.5
    A = update([(W, b)], [(dW + lam * W, db)], lr)[0][0]
    B = update([(W, b)], [(dW, db)], lr)[0][0]
    return np.isclose(A.sum(), (B - lr * lam * W).sum())


# %% l2_is_weight_decay: all weights are alike
def l2_is_weight_decay(update):
    rng = np.random.default_rng(0)
    W, dW = rng.normal(size=(2, 4, 3))
    b, db = rng.normal(size=(2, 4))
    lr, lam = 0.1, 0.5
    W = np.ones((4, 3))
    dW = np.ones((4, 3))
    b = db = np.ones(4)
    A = update([(W, b)], [(dW + lam * W, db)], lr)[0][0]
    B = update([(W, b)], [(dW, db)], lr)[0][0]
    return np.allclose(A, B - lr * lam * W)
