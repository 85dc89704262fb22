"""Right answers of notebook 05 that look different from the solution."""


# %% mlp_forward: einsum
def mlp_forward(x, W1, W2, phi):
    z = np.einsum("hd,d->h", W1, x)
    h = phi(z)
    return z, h, np.einsum("qh,h->q", W2, h)


# %% mlp_forward: row-times-matrix
def mlp_forward(x, W1, W2, phi):
    z = x @ W1.T
    h = phi(z)
    return [z, h, np.dot(h, W2.transpose())]


# %% mlp_forward: neuron-by-neuron
def mlp_forward(x, W1, W2, phi):
    z = np.array([sum(w * v for w, v in zip(row, x)) for row in W1])
    h = np.array([float(phi(value)) for value in z])
    o = np.zeros(len(W2))
    for i in range(len(W2)):
        for j in range(len(h)):
            o[i] += W2[i, j] * h[j]
    return z, h, o


# %% l2_penalty: norms
def l2_penalty(W1, W2, lam):
    return 0.5 * lam * (np.linalg.norm(W1) ** 2 + np.linalg.norm(W2, "fro") ** 2)


# %% l2_penalty: traces
def l2_penalty(W1, W2, lam):
    return lam * (np.trace(W1.T @ W1) + np.trace(W2 @ W2.T)) / 2


# %% l2_penalty: one-long-vector
def l2_penalty(W1, W2, lam):
    w = np.concatenate([W1.ravel(), W2.ravel()])
    return float(w @ w) * lam / 2


# %% objective: scalar-product
def objective(o, y, W1, W2, lam):
    error = o - y
    return 0.5 * error @ error + l2_penalty(W1, W2, lam)


# %% objective: all-at-once
def objective(o, y, W1, W2, lam):
    return (np.linalg.norm(o - y) ** 2 + lam * np.linalg.norm(W1) ** 2 + lam * np.sum(W2 * W2)) / 2


# %% objective: plain-loops
def objective(o, y, W1, W2, lam):
    J = 0.0
    for a, t in zip(o, y):
        J += (a - t) ** 2 / 2
    for W in (W1, W2):
        for weight in W.flat:
            J += lam * weight**2 / 2
    return J


# %% graph_edges: sources-of-each
sources = {"z": "x W1", "h": "z", "o": "h W2", "L": "o y", "s": "W1 W2", "J": "L s"}
graph_edges = {(start, end) for end, names in sources.items() for start in names.split()}


# %% graph_edges: a-list-of-lists
graph_edges = [
    ["L", "J"],
    ["s", "J"],
    ["o", "L"],
    ["y", "L"],
    ["W1", "s"],
    ["W2", "s"],
    ["h", "o"],
    ["W2", "o"],
    ["z", "h"],
    ["x", "z"],
    ["W1", "z"],
]


# %% graph_edges: frozen
graph_edges = frozenset(
    [("x", "z"), ("W1", "z"), ("z", "h"), ("h", "o"), ("W2", "o"), ("o", "L")]
    + [("y", "L"), ("W1", "s"), ("W2", "s"), ("L", "J"), ("s", "J")]
)


# %% gradient_shape: of-an-array
def gradient_shape(n, m):
    return np.zeros((n, m)).shape


# %% gradient_shape: tuple-of-a-list
def gradient_shape(n, m):
    return tuple([n, m])


# %% shape_ledger: all-written-out
def shape_ledger(d, h, q):
    return {
        "x": (d,),
        "W1": (h, d),
        "z": (h,),
        "h": (h,),
        "W2": (q, h),
        "o": (q,),
        "y": (q,),
        "dJ_do": (q,),
        "dJ_dW2": (q, h),
        "dJ_dh": (h,),
        "dJ_dz": (h,),
        "dJ_dW1": (h, d),
    }


# %% shape_ledger: measured
def shape_ledger(d, h, q):
    x, W1, W2 = np.ones(d), np.ones((h, d)), np.ones((q, h))
    z = W1 @ x
    o = W2 @ np.tanh(z)
    do = o - np.zeros(q)
    dh = W2.T @ do
    values = dict(x=x, W1=W1, z=z, h=np.tanh(z), W2=W2, o=o, y=np.zeros(q))
    values |= dict(dJ_do=do, dJ_dW2=np.outer(do, z), dJ_dh=dh, dJ_dz=dh * z)
    values |= dict(dJ_dW1=np.outer(dh, x))
    return {name: value.shape for name, value in values.items()}


# %% shape_ledger: with-more-names
def shape_ledger(d, h, q):
    ledger = dict(x=(d,), W1=(h, d), z=(h,), h=(h,), W2=(q, h), o=(q,), y=(q,), J=())
    ledger.update({"dJ_d" + name: shape for name, shape in ledger.items()})
    return ledger


# %% dJ_dL: whole-numbers
dJ_dL = 1
dJ_ds = 1


# %% dJ_dL: differences
dJ_dL = ((2.5 + 0.25) - (2.0 + 0.25)) / 0.5
dJ_ds = np.float64(1.0)


# %% grad_o_mse: subtract
def grad_o_mse(o, y):
    return np.subtract(o, y)


# %% grad_o_mse: two-times-half
def grad_o_mse(o, y):
    gradient = np.zeros_like(o)
    for i in range(len(o)):
        gradient[i] = 0.5 * 2 * (o[i] - y[i])
    return gradient


# %% grad_o_cross_entropy: one-hot
def grad_o_cross_entropy(o, label):
    one_hot = np.zeros(o.shape)
    one_hot[label] = 1
    e = np.exp(o - np.max(o))
    return e / np.sum(e) - one_hot


# %% grad_o_cross_entropy: log-sum-exp
def grad_o_cross_entropy(o, label):
    return np.exp(o - np.logaddexp.reduce(o)) - (np.arange(len(o)) == label)


# %% grad_o_cross_entropy: class-by-class
def grad_o_cross_entropy(o, label):
    gradient = []
    for i in range(o.size):
        with np.errstate(over="ignore"):
            p = 1 / np.sum(np.exp(o - o[i]))
        gradient.append(p - 1 if i == label else p)
    return np.array(gradient)


# %% grad_penalty: two-times-half
def grad_penalty(W, lam):
    return lam / 2 * (2 * W)


# %% grad_penalty: in-place-on-a-copy
def grad_penalty(W, lam):
    result = W.copy()
    result *= lam
    return result


# %% grad_W2: column-times-row
def grad_W2(dJ_do, h, W2, lam):
    return dJ_do[:, None] @ h[None, :] + lam * W2


# %% grad_W2: einsum
def grad_W2(dJ_do, h, W2, lam):
    return np.einsum("i,j->ij", dJ_do, h) + lam * W2


# %% grad_W2: entry-by-entry
def grad_W2(dJ_do, h, W2, lam):
    gradient = np.empty_like(W2)
    for i in range(W2.shape[0]):
        for j in range(W2.shape[1]):
            gradient[i, j] = dJ_do[i] * h[j] + lam * W2[i, j]
    return gradient


# %% grad_h: row-times-matrix
def grad_h(dJ_do, W2):
    return dJ_do @ W2


# %% grad_h: add-up-rows
def grad_h(dJ_do, W2):
    return (dJ_do[:, None] * W2).sum(axis=0)


# %% grad_h: plain-loops
def grad_h(dJ_do, W2):
    q, h = W2.shape
    gradient = np.zeros(h)
    for j in range(h):
        for i in range(q):
            gradient[j] += dJ_do[i] * W2[i, j]
    return gradient


# %% grad_z: multiply
def grad_z(dJ_dh, z, phi_grad):
    slope = phi_grad(z)
    return np.multiply(slope, dJ_dh)


# %% grad_z: diagonal-matrix
def grad_z(dJ_dh, z, phi_grad):
    return np.diag(phi_grad(z)) @ dJ_dh


# %% grad_z: neuron-by-neuron
def grad_z(dJ_dh, z, phi_grad):
    return np.array([float(g * phi_grad(value)) for g, value in zip(dJ_dh, z)])


# %% grad_W1: column-times-row
def grad_W1(dJ_dz, x, W1, lam):
    return dJ_dz.reshape(-1, 1) * x.reshape(1, -1) + grad_penalty(W1, lam)


# %% grad_W1: as-for-the-output-layer
def grad_W1(dJ_dz, x, W1, lam):
    return grad_W2(dJ_dz, x, W1, lam)


# %% grad_W1: row-by-row
def grad_W1(dJ_dz, x, W1, lam):
    return np.stack([g * x + lam * row for g, row in zip(dJ_dz, W1)])


# %% mlp_backward: all-in-one
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z = W1.dot(x)
    h = phi(z)
    e = W2.dot(h) - y
    J = (e @ e + lam * (W1**2).sum() + lam * (W2**2).sum()) / 2
    delta = e @ W2
    delta = delta * phi_grad(z)
    return J, delta[:, None] * x + lam * W1, e[:, None] * h + lam * W2


# %% mlp_backward: columns
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    column = x[:, None]
    z = W1 @ column
    h = phi(z)
    error = W2 @ h - y[:, None]
    J = float(0.5 * np.sum(error**2)) + l2_penalty(W1, W2, lam)
    dW2 = error @ h.T
    dW1 = ((W2.T @ error) * phi_grad(z)) @ column.T
    dW1 += lam * W1
    dW2 += lam * W2
    return [J, dW1, dW2]


# %% mlp_backward: einsum
def mlp_backward(x, y, W1, W2, lam, phi, phi_grad):
    z, h, o = mlp_forward(x, W1, W2, phi)
    dW1 = np.einsum("q,qh,h,d->hd", o - y, W2, phi_grad(z), x) + grad_penalty(W1, lam)
    dW2 = np.einsum("q,h->qh", o - y, h) + grad_penalty(W2, lam)
    return objective(o, y, W1, W2, lam), dW1, dW2


# %% mlp_bias_forward: bias-as-weight
def mlp_bias_forward(x, W1, b, W2, phi):
    z = np.column_stack([W1, b]) @ np.append(x, 1.0)
    h = phi(z)
    return z, h, W2 @ h


# %% mlp_bias_forward: neuron-by-neuron
def mlp_bias_forward(x, W1, b, W2, phi):
    z = np.array([row @ x + bias for row, bias in zip(W1, b)])
    h = phi(z)
    return z, h, h @ W2.T


# %% mlp_bias_forward: add-in-place
def mlp_bias_forward(x, W1, b, W2, phi):
    z = np.matmul(W1, x)
    z += b
    h = phi(z)
    o = np.matmul(W2, h)
    return z, h, o


# %% bias_graph_edges: typed-in-full
bias_graph_edges = {
    ("x", "z"),
    ("W1", "z"),
    ("b", "z"),
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


# %% bias_graph_edges: list-with-one-more
bias_graph_edges = list(graph_edges) + [["b", "z"]]


# %% mlp_bias_backward: all-in-one
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z = W1 @ x + b
    h = phi(z)
    e = W2 @ h - y
    J = 0.5 * np.dot(e, e) + 0.5 * lam * (np.vdot(W1, W1) + np.vdot(W2, W2))
    db = phi_grad(z) * (e @ W2)
    return J, np.outer(db, x) + lam * W1, db, np.outer(e, h) + lam * W2


# %% mlp_bias_backward: bias-as-weight
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    wide, longer = np.column_stack([W1, b]), np.append(x, 1.0)
    J, dwide, dW2 = mlp_backward(longer, y, wide, W2, 0.0, phi, phi_grad)
    J = J + l2_penalty(W1, W2, lam)
    return J, dwide[:, :-1] + lam * W1, dwide[:, -1].copy(), dW2 + lam * W2


# %% mlp_bias_backward: one-neuron-at-a-time
def mlp_bias_backward(x, y, W1, b, W2, lam, phi, phi_grad):
    z, h, o = mlp_bias_forward(x, W1, b, W2, phi)
    error = o - y
    db = np.zeros(len(b))
    dW1 = lam * W1
    for i in range(len(b)):
        db[i] = phi_grad(z)[i] * sum(error[k] * W2[k, i] for k in range(len(o)))
        dW1[i] += db[i] * x
    dW2 = lam * W2 + error.reshape(-1, 1) @ h.reshape(1, -1)
    return objective(o, y, W1, W2, lam), dW1, db, dW2


# %% inference_values: of-arrays
def inference_values(d, h, q):
    ledger = shape_ledger(d, h, q)
    count = sum(np.zeros(ledger[name]).size for name in ("W1", "W2"))
    return count + max(np.zeros(ledger[name]).size for name in ("x", "z", "h", "o"))


# %% inference_values: factored
def inference_values(d, h, q):
    return int(np.max([d, h, q])) + h * (d + q)


# %% training_values: factored
def training_values(d, h, q):
    return 2 * h * (d + q + 1) + d + q


# %% training_values: product-of-shapes
def training_values(d, h, q):
    ledger = shape_ledger(d, h, q)
    kept = ["W1", "W2", "dJ_dW1", "dJ_dW2", "x", "z", "h", "o"]
    return sum(np.prod(ledger[name]) for name in kept)


# %% hessian_vector_product: two-halves
def hessian_vector_product(grad_fn, w, v, eps):
    step = np.multiply(eps, v)
    return grad_fn(w + step) / (2 * eps) - grad_fn(w - step) / (2 * eps)


# %% hessian_vector_product: sum-over-sides
def hessian_vector_product(grad_fn, w, v, eps):
    product = np.zeros(w.shape)
    for sign in (1, -1):
        product += sign * grad_fn(w + sign * eps * v)
    return 0.5 * product / eps


# %% hessian_vector_product: weight-by-weight
def hessian_vector_product(grad_fn, w, v, eps):
    ahead, behind = w.copy(), w.copy()
    for i in range(len(w)):
        ahead[i] += eps * v[i]
        behind[i] -= eps * v[i]
    difference = grad_fn(ahead) - grad_fn(behind)
    return np.array([change / (2 * eps) for change in difference])


# %% hessian: one-side
def hessian(grad_fn, w):
    here = grad_fn(w)
    return np.array([(grad_fn(w + 1e-6 * unit) - here) / 1e-6 for unit in np.eye(w.size)])


# %% hessian: symmetric
def hessian(grad_fn, w):
    n = w.shape[0]
    columns = [hessian_vector_product(grad_fn, w, np.eye(n)[i], 1e-4) for i in range(n)]
    H = np.stack(columns, axis=1)
    return (H + H.T) / 2


# %% hessian: one-side-with-the-longest-step
def hessian(grad_fn, w):
    n = len(w)
    H = np.zeros((n, n))
    for i in range(n):
        moved = w.copy()
        moved[i] += 1e-4
        H[i] = (grad_fn(moved) - grad_fn(w)) / 1e-4
    return H


# %% hessian: jacobian-of-the-gradient
def hessian(grad_fn, w):
    rows = [numerical_gradient(lambda u: grad_fn(u)[i], w) for i in range(len(w))]
    return np.array(rows)


# %% bubble_fraction: count-the-schedule
def bubble_fraction(n_stages, n_microbatches):
    ticks = n_microbatches + n_stages - 1
    grid = np.zeros((n_stages, ticks))
    for stage in range(n_stages):
        grid[stage, stage : stage + n_microbatches] = 1
    return float((grid == 0).mean())


# %% bubble_fraction: rest-of-the-busy
def bubble_fraction(n_stages, n_microbatches):
    return 1 - n_microbatches / (n_microbatches + n_stages - 1)


# %% stage_traffic_bytes: sum-over-samples
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    return sum(width * bytes_per_value for _ in range(batch_size))


# %% stage_traffic_bytes: of-an-array
def stage_traffic_bytes(batch_size, width, bytes_per_value):
    return np.zeros((batch_size, width)).size * bytes_per_value
