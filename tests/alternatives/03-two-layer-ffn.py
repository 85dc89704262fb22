"""Right answers of notebook 03 that look different from the solution."""


# %% ffn_forward: step-by-step-cache
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    cache = {"x": x.copy()}
    cache["z"] = b1 + W1.dot(x)
    cache["h"] = activation_fn(cache["z"])
    return b2 + W2.dot(cache["h"]), cache


# %% ffn_forward: einsum-and-more-keys
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = np.einsum("kj,j->k", W1, x) + b1
    h = activation_fn(z)
    y = np.einsum("ik,k->i", W2, h) + b2
    return y, {"y": y, "h": h, "z": z, "x": x, "W1": W1, "W2": W2}


# %% ffn_forward: neuron-by-neuron
def ffn_forward(x, W1, b1, W2, b2, activation_fn):
    z = np.array([sum(W1[k] * x) + b1[k] for k in range(len(b1))])
    h = np.array(activation_fn(z))
    y = np.array([sum(W2[i] * h) + b2[i] for i in range(len(b2))])
    return y, dict(x=x, z=z, h=h)


# %% gelu: a-gate
def gelu(z):
    u = np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)
    return z / (1 + np.exp(-2 * u))


# %% gelu: number-by-number
def gelu(z):
    import math

    a = np.empty(z.shape)
    for index, value in np.ndenumerate(z):
        u = math.sqrt(2 / math.pi) * (value + 0.044715 * value**3)
        a[index] = value * (1 + math.tanh(u)) / 2
    return a


# %% gelu: factored
def gelu(z):
    return (z + z * np.tanh((2 / np.pi) ** 0.5 * z * (1 + 0.044715 * z * z))) / 2


# %% gelu_grad: through-the-gate
def gelu_grad(z):
    c = np.sqrt(2 / np.pi)
    gate = 1 / (1 + np.exp(-2 * c * (z + 0.044715 * z**3)))
    return gate + z * gate * (1 - gate) * 2 * c * (1 + 3 * 0.044715 * z**2)


# %% gelu_grad: cosh
def gelu_grad(z):
    c, a = np.sqrt(2 / np.pi), 0.044715
    u = c * (z + a * z**3)
    return 0.5 + 0.5 * np.tanh(u) + 0.5 * z * c * (1 + 3 * a * z * z) / np.cosh(u) ** 2


# %% gelu_grad: with-slope-of-tanh
def gelu_grad(z):
    c = np.sqrt(2 / np.pi)
    u = c * (z + 0.044715 * z**3)
    du = c + 0.134145 * c * z**2
    return (1 + np.tanh(u) + z * tanh_grad(u) * du) / 2


# %% backprop_two_layer: one-layer-twice
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    def linear_backward(d_out, value, W):
        return d_out[:, None] * value[None, :], d_out.copy(), d_out @ W

    z = W1.dot(x) + b1
    dW2, db2, dh = linear_backward(dy, activation_fn(z), W2)
    dW1, db1, dx = linear_backward(dh * activation_grad_fn(z), x, W1)
    return dW1, db1, dW2, db2, dx


# %% backprop_two_layer: einsum
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = np.einsum("kj,j->k", W1, x) + b1
    dz = np.einsum("i,ik->k", dy, W2) * activation_grad_fn(z)
    dW1, dW2 = np.einsum("k,j->kj", dz, x), np.einsum("i,k->ik", dy, activation_fn(z))
    return dW1, dz.copy(), dW2, 1.0 * dy, np.einsum("k,kj->j", dz, W1)


# %% backprop_two_layer: as-a-batch-of-one
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    X, dY = x.reshape(1, -1), dy.reshape(1, -1)
    Z = X @ W1.T + b1
    H = activation_fn(Z)
    dZ = dY @ W2 * activation_grad_fn(Z)
    return [dZ.T @ X, dZ.sum(0), dY.T @ H, dY.sum(0), (dZ @ W1)[0]]


# %% backprop_two_layer: loops
def backprop_two_layer(x, W1, b1, W2, b2, activation_fn, activation_grad_fn, dy):
    z = W1 @ x + b1
    h, slope = activation_fn(z), activation_grad_fn(z)
    dW1, dW2 = np.zeros_like(W1), np.zeros_like(W2)
    dx, dz = np.zeros_like(x), np.zeros_like(z)
    for i in range(len(dy)):
        for k in range(len(h)):
            dW2[i, k] = dy[i] * h[k]
            dz[k] += dy[i] * W2[i, k] * slope[k]
    for k in range(len(h)):
        for j in range(len(x)):
            dW1[k, j] = dz[k] * x[j]
            dx[j] += dz[k] * W1[k, j]
    return dW1, dz, dW2, dy + 0, dx


# %% ffn_forward_batch: tuple-cache-and-einsum
def ffn_forward_batch(X, W1, b1, W2, b2):
    Z = np.einsum("btj,kj->btk", X, W1) + b1
    H = gelu(Z)
    return np.einsum("btk,ik->bti", H, W2) + b2, (X, W1, Z, H, W2)


def ffn_backward_batch(dY, cache):
    X, W1, Z, H, W2 = cache
    dZ = np.einsum("bti,ik->btk", dY, W2) * gelu_grad(Z)
    dW2 = np.einsum("bti,btk->ik", dY, H)
    dW1 = np.einsum("btk,btj->kj", dZ, X)
    return dW1, dZ.sum((0, 1)), dW2, dY.sum((0, 1)), np.einsum("btk,kj->btj", dZ, W1)


# %% ffn_forward_batch: flat-list-of-tokens
def ffn_forward_batch(X, W1, b1, W2, b2):
    shape = X.shape
    rows = X.reshape(-1, shape[-1])
    Z = rows @ W1.T + b1
    Y = gelu(Z) @ W2.T + b2
    return Y.reshape(shape), [shape, rows, Z, W1, W2]


def ffn_backward_batch(dY, cache):
    shape, rows, Z, W1, W2 = cache
    d = dY.reshape(-1, shape[-1])
    dZ = d @ W2 * gelu_grad(Z)
    return dZ.T @ rows, dZ.sum(0), d.T @ gelu(Z), d.sum(0), (dZ @ W1).reshape(shape)


# %% ffn_forward_batch: token-by-token
def ffn_forward_batch(X, W1, b1, W2, b2):
    Y = np.zeros_like(X)
    for b in range(X.shape[0]):
        for t in range(X.shape[1]):
            Y[b, t] = W2 @ gelu(W1 @ X[b, t] + b1) + b2
    return Y, {"inputs": (X, W1, b1, W2, b2)}


def ffn_backward_batch(dY, cache):
    X, W1, b1, W2, b2 = cache["inputs"]
    dW1, db1, dW2, db2 = map(np.zeros_like, (W1, b1, W2, b2))
    dX = np.zeros_like(X)
    for b in range(X.shape[0]):
        for t in range(X.shape[1]):
            z = W1 @ X[b, t] + b1
            dz = (W2.T @ dY[b, t]) * gelu_grad(z)
            dW1 += np.outer(dz, X[b, t])
            db1 += dz
            dW2 += np.outer(dY[b, t], gelu(z))
            db2 += dY[b, t]
            dX[b, t] = W1.T @ dz
    return dW1, db1, dW2, db2, dX


# %% ffn_forward_batch: a-closure-as-cache
def ffn_forward_batch(X, W1, b1, W2, b2):
    Z = X @ W1.T + b1

    def backward(dY):
        dZ = dY @ W2 * gelu_grad(Z)
        dW1 = np.tensordot(dZ, X, axes=((0, 1), (0, 1)))
        dW2 = np.tensordot(dY, gelu(Z), axes=((0, 1), (0, 1)))
        return dW1, dZ.sum((0, 1)), dW2, dY.sum((0, 1)), dZ @ W1

    return gelu(Z) @ W2.T + b2, backward


def ffn_backward_batch(dY, cache):
    return cache(dY)


# %% backward_pass_manual: front-insertion
def backward_pass_manual(d_output, weights, cache):
    a = cache[f"a{len(weights)}"]
    dz = d_output * a * (1 - a)
    dweights, dbiases = [], []
    for i in reversed(range(len(weights))):
        dweights = [dz.T @ cache[f"a{i}"], *dweights]
        dbiases = [dz.sum(axis=0), *dbiases]
        da = dz @ weights[i]
        if i > 0:
            dz = np.where(cache[f"a{i}"] > 0, da, 0.0)
    return dweights, dbiases, da


# %% backward_pass_manual: recursion
def backward_pass_manual(d_output, weights, cache):
    L = len(weights)

    def walk(layer, da):
        if layer == 0:
            return [], [], da
        z = cache[f"z{layer}"]
        dz = da * (sigmoid_grad(z) if layer == L else relu_grad(z))
        below_w, below_b, dx = walk(layer - 1, dz @ weights[layer - 1])
        return (
            below_w + [np.einsum("si,sj->ij", dz, cache[f"a{layer - 1}"])],
            below_b + [np.einsum("si->i", dz)],
            dx,
        )

    return walk(L, d_output)


# %% backward_pass_manual: tuples-and-reversal
def backward_pass_manual(d_output, weights, cache):
    da, found = d_output, []
    for i in range(len(weights), 0, -1):
        if i == len(weights):
            dz = da * np.exp(-cache[f"z{i}"]) * cache[f"a{i}"] ** 2
        else:
            dz = da * np.sign(cache[f"a{i}"])
        found.append((dz.T @ cache[f"a{i - 1}"], dz.T @ np.ones(len(dz))))
        da = dz @ weights[i - 1]
    dweights, dbiases = zip(*found[::-1])
    return dweights, dbiases, da


# %% ffn_parameter_count: factored
def ffn_parameter_count(d_model, expansion=4):
    return d_model * (2 * expansion * d_model + expansion + 1)


# %% ffn_parameter_count: from-shapes
def ffn_parameter_count(d_model, expansion=4):
    inner = d_model * expansion
    shapes = [(inner, d_model), (inner,), (d_model, inner), (d_model,)]
    return sum(int(np.prod(shape)) for shape in shapes)


# %% ffn_activation_bytes: factored
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    return bytes_per_value * batch_size * seq_len * d_model * (1 + 2 * expansion)


# %% ffn_activation_bytes: sum-of-three
def ffn_activation_bytes(batch_size, seq_len, d_model, expansion=4, bytes_per_value=4):
    widths = {"x": d_model, "z": expansion * d_model, "h": expansion * d_model}
    return sum(batch_size * seq_len * width * bytes_per_value for width in widths.values())


# %% checkpointed_ffn_backward: written-out
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    Z = X @ W1.T + b1
    H = gelu(Z)
    d = dY.reshape(-1, dY.shape[2])
    dZ = (d @ W2) * gelu_grad(Z).reshape(-1, len(b1))
    dX = (dZ @ W1).reshape(X.shape)
    rows = X.reshape(-1, X.shape[2])
    return dZ.T @ rows, dZ.sum(axis=0), d.T @ H.reshape(-1, len(b1)), d.sum(axis=0), dX


# %% checkpointed_ffn_backward: one-sequence-at-a-time
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    total, rows = None, []
    for one_dY, one_X in zip(dY, X):
        _, cache = ffn_forward_batch(one_X[None], W1, b1, W2, b2)
        *parts, dX = ffn_backward_batch(one_dY[None], cache)
        rows.append(dX)
        total = parts if total is None else [a + b for a, b in zip(total, parts)]
    return (*total, np.concatenate(rows))


# %% checkpointed_ffn_backward: one-token-functions
def checkpointed_ffn_backward(dY, X, W1, b1, W2, b2):
    sums, dX = [np.zeros_like(v) for v in (W1, b1, W2, b2)], np.empty_like(X)
    for place in np.ndindex(X.shape[:2]):
        found = backprop_two_layer(X[place], W1, b1, W2, b2, gelu, gelu_grad, dY[place])
        for total, part in zip(sums, found[:4]):
            total += part
        dX[place] = found[4]
    return (*sums, dX)
