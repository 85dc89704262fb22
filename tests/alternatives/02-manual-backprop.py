"""Right answers of notebook 02 that look different from the solution."""


# %% relu_grad: where
def relu_grad(z):
    return np.where(z > 0, 1.0, 0.0)


# %% relu_grad: fill-by-mask
def relu_grad(z):
    slope = np.zeros_like(z)
    slope[z > 0] = 1
    return slope


# %% relu_grad: heaviside
def relu_grad(z):
    return np.heaviside(z, 0.0)


# %% relu_grad: entry-by-entry
def relu_grad(z):
    slope = np.empty(z.shape)
    for index, value in np.ndenumerate(z):
        slope[index] = 1.0 if value > 0 else 0.0
    return slope


# %% sigmoid_grad: quotient-rule
def sigmoid_grad(z):
    e = np.exp(-z)
    return e / (1 + e) ** 2


# %% sigmoid_grad: both-sides
def sigmoid_grad(z):
    return sigmoid(z) * sigmoid(-z)


# %% sigmoid_grad: hyperbolic
def sigmoid_grad(z):
    return 0.25 / np.cosh(z / 2) ** 2


# %% tanh_grad: cosh
def tanh_grad(z):
    return 1 / np.cosh(z) ** 2


# %% tanh_grad: two-factors
def tanh_grad(z):
    t = np.tanh(z)
    return (1 - t) * (1 + t)


# %% tanh_grad: through-the-sigmoid
def tanh_grad(z):
    s = 1 / (1 + np.exp(-2 * z))
    return 4 * s * (1 - s)


# %% chain_rule_neuron: sum-of-products
def chain_rule_neuron(x, w, b, y):
    Z = np.sum(w * x) + b
    A = np.maximum(0, Z)
    dL_dA = A - y
    dA_dZ = float(Z > 0)
    dZ_dw = np.array(x, dtype=float)
    dL_dw = dL_dA * dA_dZ * dZ_dw
    return dL_dA, dA_dZ, dZ_dw, dL_dw


# %% chain_rule_neuron: numbers-and-vectors-apart
def chain_rule_neuron(x, w, b, y):
    if isinstance(x, np.ndarray):
        Z = sum(float(wi) * float(xi) for wi, xi in zip(w, x)) + b
        dZ_dw = x.copy()
    else:
        Z = w * x + b
        dZ_dw = x
    on = Z > 0
    dL_dA = (Z if on else 0) - y
    dA_dZ = 1 if on else 0
    return [dL_dA, dA_dZ, dZ_dw, dZ_dw * (dL_dA if on else 0.0)]


# %% chain_rule_neuron: reuses-relu-grad
def chain_rule_neuron(x, w, b, y):
    Z = np.asarray(np.dot(x, w) + b)
    dL_dA = relu(Z) - y
    dA_dZ = relu_grad(Z)
    dZ_dw = np.copy(x)
    return dL_dA, dA_dZ, dZ_dw, (dL_dA * dA_dZ) * dZ_dw


# %% forward_pass: einsum
def forward_pass(x, W, b, activation_fn):
    return activation_fn(np.einsum("oi,i->o", W, x) + b)


# %% forward_pass: neuron-by-neuron
def forward_pass(x, W, b, activation_fn):
    return np.array([activation_fn(row @ x + bias) for row, bias in zip(W, b)])


# %% forward_pass: bias-as-weight
def forward_pass(x, W, b, activation_fn):
    widened = np.column_stack([W, b])
    return activation_fn(widened @ np.append(x, 1.0))


# %% backward_pass: broadcasting
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    delta = activation_grad_fn(W.dot(x) + b) * dy
    return delta[:, None] * x, delta, delta @ W


# %% backward_pass: index-by-index
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    n_out, n_in = W.shape
    dW, db, dx = np.zeros((n_out, n_in)), np.zeros(n_out), np.zeros(n_in)
    for i in range(n_out):
        z = sum(W[i, k] * x[k] for k in range(n_in)) + b[i]
        db[i] = dy[i] * activation_grad_fn(z)
        for j in range(n_in):
            dW[i, j] = db[i] * x[j]
            dx[j] += db[i] * W[i, j]
    return dW, db, dx


# %% backward_pass: diagonal-jacobian
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    jacobian = np.diag(activation_grad_fn(W @ x + b))
    db = jacobian @ dy
    dW = db.reshape(-1, 1) @ x.reshape(1, -1)
    dx = np.einsum("oi,o->i", W, db)
    return [dW, db, dx]


# %% backward_pass_batch: einsum
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = dY * activation_grad_fn(np.einsum("si,oi->so", X, W) + b)
    dW = np.einsum("so,si->oi", dZ, X)
    return dW, np.einsum("so->o", dZ), np.einsum("so,oi->si", dZ, W)


# %% backward_pass_batch: sample-by-sample
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dW, db, dX = np.zeros_like(W), np.zeros_like(b), np.zeros_like(X)
    for s in range(len(X)):
        dW_s, db_s, dX[s] = backward_pass(dY[s], X[s], W, b, activation_fn, activation_grad_fn)
        dW += dW_s
        db += db_s
    return dW, db, dX


# %% backward_pass_batch: product-with-ones
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    dZ = activation_grad_fn(np.matmul(X, np.transpose(W)) + b[None, :])
    dZ *= dY
    db = np.ones(len(X)) @ dZ
    dW = (X.T @ dZ).T
    dX = np.dot(dZ, W)
    return dW, db, dX


# %% numerical_gradient: unit-arrays
def numerical_gradient(f, x, eps=1e-5):
    slopes = []
    for i in range(x.size):
        unit = np.zeros(x.size)
        unit[i] = eps
        unit = unit.reshape(x.shape)
        slopes.append((f(x + unit) - f(x - unit)) / (2 * eps))
    return np.array(slopes).reshape(x.shape)


# %% numerical_gradient: puts-the-old-number-back
def numerical_gradient(f, x, eps=1e-5):
    x = x.astype(np.float64)
    gradient = np.zeros_like(x)
    walk = np.nditer(x, flags=["multi_index"])
    for _ in walk:
        here = walk.multi_index
        old = x[here]
        x[here] = old + eps
        above = f(x)
        x[here] = old - eps
        below = f(x)
        x[here] = old
        gradient[here] = (above - below) / (2 * eps)
    return gradient


# %% numerical_gradient: flat-copy
def numerical_gradient(f, x, eps=1e-5):
    flat = np.array(x, dtype=float).ravel()

    def at(i, step):
        moved = flat.copy()
        moved[i] += step
        return f(moved.reshape(x.shape))

    half = [0.5 * (at(i, eps) - at(i, -eps)) / eps for i in range(flat.size)]
    return np.reshape(half, x.shape)


# %% bce_loss: probability-of-the-right-answer
def bce_loss(p, y):
    return np.mean(-np.log(np.where(y == 1, p, 1 - p)))


# %% bce_loss: plain-loop
def bce_loss(p, y):
    total = 0.0
    for p_s, y_s in zip(p.ravel(), y.ravel()):
        total -= y_s * np.log(p_s) + (1 - y_s) * np.log1p(-p_s)
    return float(total / p.size)


# %% bce_loss: clipped
def bce_loss(p, y):
    p = np.clip(p, 1e-12, 1 - 1e-12)
    yes, no = -y * np.log(p), -(1 - y) * np.log(1 - p)
    return np.average(yes + no)


# %% bce_grad: two-terms
def bce_grad(p, y):
    return -(y / p - (1 - y) / (1 - p)) / p.size


# %% bce_grad: where
def bce_grad(p, y):
    return np.where(y == 1, -1 / p, 1 / (1 - p)) / np.prod(p.shape)


# %% bce_grad: in-place-on-own-array
def bce_grad(p, y):
    dp = p - y
    dp /= p
    dp /= 1 - p
    dp /= dp.size
    return dp


# %% sigmoid_bce_grad: tanh
def sigmoid_bce_grad(z, y):
    return (0.5 * (1 + np.tanh(z / 2)) - y) / z.shape[0]


# %% sigmoid_bce_grad: own-sigmoid
def sigmoid_bce_grad(z, y):
    return (1 / (1 + np.exp(-z)) - y) / z.size


# %% sigmoid_bce_grad: by-the-target
def sigmoid_bce_grad(z, y):
    return np.where(y > 0, -sigmoid(-z), sigmoid(z)) / z.size


# %% sequential_gradients: through-the-layer-function
def sequential_gradients(X, y, W1, b1, W2, b2):
    a1 = relu(X @ W1.T + b1)
    p = sigmoid(a1 @ W2.T + b2)
    dW2, db2, da1 = backward_pass_batch(bce_grad(p, y), a1, W2, b2, sigmoid, sigmoid_grad)
    dW1, db1, _ = backward_pass_batch(da1, X, W1, b1, relu, relu_grad)
    return dW1, db1, dW2, db2


# %% sequential_gradients: einsum
def sequential_gradients(X, y, W1, b1, W2, b2):
    z1 = np.einsum("bi,hi->bh", X, W1) + b1
    a1 = z1 * (z1 > 0)
    z2 = np.einsum("bh,oh->bo", a1, W2) + b2
    d2 = (1 / (1 + np.exp(-z2)) - y) / X.shape[0]
    d1 = np.einsum("bo,oh->bh", d2, W2)
    d1[z1 <= 0] = 0
    return (
        np.einsum("bh,bi->hi", d1, X),
        d1.sum(0),
        np.einsum("bo,bh->oh", d2, a1),
        d2.sum(0),
    )


# %% sequential_gradients: one-sample-at-a-time
def sequential_gradients(X, y, W1, b1, W2, b2):
    B = len(X)
    dW1, db1, dW2, db2 = (np.zeros(v.shape) for v in (W1, b1, W2, b2))
    for x, target in zip(X, y):
        z1 = W1 @ x + b1
        a1 = np.maximum(z1, 0)
        delta2 = sigmoid(W2 @ a1 + b2) - target
        delta1 = (W2.T @ delta2) * np.where(z1 > 0, 1.0, 0.0)
        dW2 += np.outer(delta2, a1) / B
        db2 += delta2 / B
        dW1 += np.outer(delta1, x) / B
        db1 += delta1 / B
    return dW1, db1, dW2, db2


# %% sgd_step: comprehension
def sgd_step(params, grads, learning_rate):
    return [p - learning_rate * g for p, g in zip(params, grads)]


# %% sgd_step: copies-then-in-place
def sgd_step(params, grads, learning_rate):
    new_params = [p.copy() for p in params]
    for i in range(len(new_params)):
        new_params[i] -= learning_rate * grads[i]
    return new_params


# %% sgd_step: map
def sgd_step(params, grads, learning_rate):
    return list(map(lambda p, g: np.add(p, -learning_rate * g), params, grads))


# %% accumulate: by-index
def accumulate(grad_buffers, grads):
    result = []
    for i in range(len(grads)):
        result.append(np.add(grad_buffers[i], grads[i]))
    return result


# %% accumulate: copies-then-in-place
def accumulate(grad_buffers, grads):
    result = [g.copy() for g in grads]
    for total, old in zip(result, grad_buffers):
        total += old
    return result


# %% accumulate: sum-of-pairs
def accumulate(grad_buffers, grads):
    return [np.sum([old, new], axis=0) for old, new in zip(grad_buffers, grads)]
