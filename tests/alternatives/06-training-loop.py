"""Right answers of notebook 06 that look different from the solution."""


# %% init_params: uniform
def init_params(layer_sizes, rng):
    params = []
    for i in range(len(layer_sizes) - 1):
        n_in, n_out = layer_sizes[i], layer_sizes[i + 1]
        limit = np.sqrt(6 / n_in)
        params.append((rng.uniform(-limit, limit, (n_out, n_in)), np.zeros((n_out,))))
    return params


# %% init_params: scaled-and-transposed
def init_params(layer_sizes, rng):
    weights = [
        (rng.standard_normal((n, m)) * (2 / n) ** 0.5).T
        for n, m in zip(layer_sizes[:-1], layer_sizes[1:])
    ]
    return [(W, np.zeros(W.shape[0])) for W in weights]


# %% init_params: two-values
def init_params(layer_sizes, rng):
    return [
        (np.sqrt(2 / n) * rng.choice([-1.0, 1.0], size=(m, n)), np.zeros(m))
        for n, m in zip(layer_sizes, layer_sizes[1:])
    ]


# %% network_logits: last-layer-by-index
def network_logits(params, X):
    out = X
    for i, (W, b) in enumerate(params):
        out = np.einsum("bi,oi->bo", out, W) + b
        if i < len(params) - 1:
            out = out * (out > 0)
    return out


# %% network_logits: sample-by-sample
def network_logits(params, X):
    rows = []
    for x in X:
        for W, b in params[:-1]:
            x = np.maximum(W @ x + b, 0)
        rows.append(params[-1][0] @ x + params[-1][1])
    return np.array(rows)


# %% loss_and_gradients: one-hot-and-recursion
def loss_and_gradients(params, X, y, lam):
    def walk(A, layers):
        (W, b), below = layers[0], layers[1:]
        Z = A @ W.T + b
        if below:
            loss, dA, grads = walk(np.where(Z > 0, Z, 0.0), below)
            dZ = np.where(Z > 0, dA, 0.0)
        else:
            ell = log_softmax(Z, axis=1)
            one_hot = np.eye(Z.shape[1])[y]
            loss, grads = -(ell * one_hot).sum() / len(X), []
            dZ = (np.exp(ell) - one_hot) / len(X)
        return loss, dZ @ W, [[dZ.T @ A + lam * W, np.ones(len(X)) @ dZ]] + grads

    loss, _, grads = walk(X, params)
    return loss + 0.5 * lam * sum(np.linalg.norm(W) ** 2 for W, b in params), grads


# %% loss_and_gradients: sample-by-sample
def loss_and_gradients(params, X, y, lam):
    B = X.shape[0]
    grads = [(lam * W, np.zeros_like(b)) for W, b in params]
    J = lam / 2 * sum((W * W).sum() for W, _ in params)
    for x, label in zip(X, y):
        acts, zs = [x], []
        for W, b in params:
            zs.append(W @ acts[-1] + b)
            acts.append(np.maximum(zs[-1], 0))
        top = zs[-1].max()
        lse = top + np.log(np.sum(np.exp(zs[-1] - top)))
        J = J + (lse - zs[-1][label]) / B
        delta = np.exp(zs[-1] - lse) / B
        delta[label] -= 1 / B
        for l in range(len(params) - 1, -1, -1):
            dW, db = grads[l]
            grads[l] = (dW + np.outer(delta, acts[l]), db + delta)
            if l:
                delta = (params[l][0].T @ delta) * (zs[l - 1] > 0)
    return J, grads


# %% minibatches: a-list
def minibatches(X, y, batch_size, rng):
    idx = np.arange(X.shape[0])
    rng.shuffle(idx)
    Xs, ys = X[idx], y[idx]
    return [
        (Xs[i : i + batch_size], ys[i : i + batch_size]) for i in range(0, len(idx), batch_size)
    ]


# %% minibatches: split-and-sort
def minibatches(X, y, batch_size, rng):
    order = np.argsort(rng.random(len(y)))
    cuts = np.arange(batch_size, len(y), batch_size)
    for part in np.split(order, cuts):
        yield np.take(X, part, axis=0), np.take(y, part)


# %% minibatches: while-loop-of-lists
def minibatches(X, y, batch_size, rng):
    left = list(rng.permutation(len(X)))
    batches = []
    while left:
        part, left = left[:batch_size], left[batch_size:]
        batches.append([X[part], y[part]])
    return iter(batches)


# %% sgd_update: copies-changed
def sgd_update(params, grads, lr):
    new_params = []
    for (W, b), (dW, db) in zip(params, grads):
        W, b = W.copy(), b.copy()
        W -= lr * dW
        b -= lr * db
        new_params.append([W, b])
    return new_params


# %% sgd_update: nested
def sgd_update(params, grads, lr):
    return [tuple(p + (-lr) * g for p, g in zip(*layer)) for layer in zip(params, grads)]


# %% train: weighted-mean
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = []
    for _ in range(epochs):
        total = 0.0
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            J, grads = loss_and_gradients(params, X_batch, y_batch, lam)
            total += J * len(y_batch)
            params = [(W - lr * dW, b - lr * db) for (W, b), (dW, db) in zip(params, grads)]
        history.append(float(total / len(y)))
    return params, history


# %% train: loss-after-each-epoch
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    history = np.zeros(epochs)
    for epoch in range(epochs):
        for batch in minibatches(X, y, batch_size, rng):
            params = sgd_update(params, loss_and_gradients(params, *batch, lam)[1], lr)
        history[epoch] = loss_and_gradients(params, X, y, lam)[0]
    return params, history


# %% train: copies-changed-in-place
def train(params, X, y, epochs, batch_size, lr, lam, rng):
    mine = [(W.copy(), b.copy()) for W, b in params]
    history = []
    for _ in range(epochs):
        order, sums = rng.permutation(len(X)), []
        for first in range(0, len(X), batch_size):
            part = order[first : first + batch_size]
            J, grads = loss_and_gradients(mine, X[part], y[part], lam)
            sums.append(J)
            for (W, b), (dW, db) in zip(mine, grads):
                W -= lr * dW
                b -= lr * db
        history.append(sum(sums) / len(sums))
    return tuple(mine), history


# %% momentum_update: layer-by-layer
def momentum_update(params, grads, velocity, lr, beta):
    new_params, new_velocity = [], []
    for i in range(len(params)):
        vW = velocity[i][0] * beta + grads[i][0]
        vb = velocity[i][1] * beta + grads[i][1]
        new_velocity.append([vW, vb])
        new_params.append([params[i][0] - lr * vW, params[i][1] - lr * vb])
    return new_params, new_velocity


# %% momentum_update: through-sgd
def momentum_update(params, grads, velocity, lr, beta):
    new_velocity = [tuple(beta * v + g for v, g in zip(*pair)) for pair in zip(velocity, grads)]
    return sgd_update(params, new_velocity, lr), new_velocity


# %% adam_update: keys-by-place
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    new_state = {"t": state["t"] + 1 if state else 1}
    t = new_state["t"]
    new_params = []
    for layer, (pair, dpair) in enumerate(zip(params, grads)):
        new = []
        for place, (p, g) in enumerate(zip(pair, dpair)):
            m, v = state.get((layer, place), (np.zeros(p.shape), np.zeros(p.shape)))
            m = m + (1 - beta1) * (g - m)
            v = v + (1 - beta2) * (g * g - v)
            new_state[layer, place] = (m, v)
            scale = np.sqrt(1 - beta2**t)
            new.append(p - lr / (1 - beta1**t) * m / (np.sqrt(v) / scale + eps))
        new_params.append(new)
    return new_params, new_state


# %% adam_update: one-long-vector
def adam_update(params, grads, state, lr, beta1, beta2, eps):
    p = np.concatenate([a.ravel() for pair in params for a in pair])
    g = np.concatenate([a.ravel() for pair in grads for a in pair])
    m, v, t = state.get("mvt", (np.zeros(p.size), np.zeros(p.size), 0))
    m, v, t = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2, t + 1
    p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    new_params, start = [], 0
    for W, b in params:
        middle, end = start + W.size, start + W.size + b.size
        new_params.append((p[start:middle].reshape(W.shape), p[middle:end].copy()))
        start = end
    return new_params, {"mvt": (m, v, t)}


# %% l2_is_weight_decay: three-layers
def l2_is_weight_decay(update):
    rng = np.random.default_rng(123)
    lr, lam = 0.5, 2.0
    params = init_params([6, 5, 4, 3], rng)
    grads = init_params([6, 5, 4, 3], rng)
    coupled = [(dW + lam * W, db) for (W, b), (dW, db) in zip(params, grads)]
    first, second = update(params, coupled, lr), update(params, grads, lr)
    return all(
        np.abs(U - (V - lr * lam * W)).max() < 1e-9
        for (U, _), (V, _), (W, _) in zip(first, second, params)
    )


# %% l2_is_weight_decay: shrunk-first
def l2_is_weight_decay(update):
    W, dW = np.linspace(-3, 4, 6).reshape(2, 3), np.linspace(2, -1, 6).reshape(2, 3)
    b, db, lr, lam = np.ones(2), np.array([0.5, -2.0]), 0.3, 0.7
    step = update([(W, b)], [(dW, db)], lr)[0][0] - W
    decayed = (1 - lr * lam) * W + step
    with_l2 = update([(W, b)], [(dW + lam * W, db)], lr)[0][0]
    return np.isclose(decayed, with_l2, rtol=0, atol=1e-8).all()
