"""Right answers of notebook 04 that look different from the solution."""


# %% residual_forward: copy-then-add
def residual_forward(x, sublayer):
    y = x.copy()
    y += sublayer(x)
    return y


# %% residual_forward: np-add
def residual_forward(x, sublayer):
    branch = sublayer(x)
    return np.add(branch, x)


# %% residual_forward: stacked
def residual_forward(x, sublayer):
    return np.stack([x, sublayer(x)]).sum(axis=0)


# %% after_attention: arrays
x_, attention_, ffn_ = np.array([1.0, 2.0]), np.array([0.5, 0.3]), np.array([0.2, 0.1])
after_attention = x_ + attention_
after_ffn = after_attention + ffn_
loss = after_ffn.sum()
d_after_ffn = np.ones(2)
d_ffn_output = d_after_ffn
d_after_attention = d_after_ffn
d_attention_output = d_after_attention
d_x = d_after_attention

# %% after_attention: whole-numbers-and-tuples
after_attention = (1.5, 2.3)
after_ffn = (1.7, 2.4)
loss = [4.1]
d_after_ffn = [1, 1]
d_ffn_output = (1, 1)
d_after_attention = [1, 1.0]
d_attention_output = np.array([1, 1])
d_x = [1, 1]


# %% residual_backward: times-one
def residual_backward(dout):
    return 1.0 * dout, dout * np.ones_like(dout)


# %% residual_backward: two-rows-of-one-array
def residual_backward(dout):
    both = np.stack([dout, dout])
    return both[0], both[1]


# %% residual_backward: interleaved
def residual_backward(dout):
    both = np.stack([dout, dout], axis=-1)
    return [both[..., 0], both[..., 1]]


# %% residual_block_backward: in-place-on-the-new-array
def residual_block_backward(dy, x, W1, b1, W2, b2):
    Y, cache = ffn_forward_batch(x, W1, b1, W2, b2)
    *parameters, dx = ffn_backward_batch(dy, cache)
    dx += dy
    return (dx, *parameters)


# %% residual_block_backward: by-hand
def residual_block_backward(dy, x, W1, b1, W2, b2):
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, x.shape[-1])
    Z = rows @ W1.T + b1
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (Z + 0.044715 * Z**3))
    slope = 0.5 * (1 + t) + 0.5 * Z * (1 - t**2) * c * (1 + 3 * 0.044715 * Z**2)
    dZ = drows @ W2 * slope
    dW2 = np.einsum("ni,nj->ij", drows, 0.5 * Z * (1 + t))
    dx = drows + dZ @ W1
    return dx.reshape(x.shape), dZ.T @ rows, dZ.sum(0), dW2, drows.sum(0)


# %% residual_block_backward: token-by-token
def residual_block_backward(dy, x, W1, b1, W2, b2):
    total = [np.zeros_like(x), *(np.zeros_like(p) for p in (W1, b1, W2, b2))]
    for place in np.ndindex(x.shape[:-1]):
        cache = ffn_forward_batch(x[place], W1, b1, W2, b2)[1]
        dW1, db1, dW2, db2, dX = ffn_backward_batch(dy[place], cache)
        total[0][place] = dy[place] + dX
        for sum_, part in zip(total[1:], (dW1, db1, dW2, db2)):
            sum_ += part
    return total


# %% stack_gradient_norms: recursive
def stack_gradient_norms(x, layers, residual):
    norms = []

    def gradient(h, rest):
        if not rest:
            return np.ones(h.shape)
        f, cache = ffn_forward_batch(h, *rest[0])
        upstream = gradient(h + f if residual else f, rest[1:])
        dh = ffn_backward_batch(upstream, cache)[4]
        dh = dh + upstream * residual
        norms.insert(0, np.sqrt(dh @ dh))
        return dh

    gradient(x, list(layers))
    return np.array(norms)


# %% stack_gradient_norms: with-the-block-of-section-4
def stack_gradient_norms(x, layers, residual):
    inputs = [x]
    for weights in layers:
        f = ffn_forward_batch(inputs[-1], *weights)[0]
        inputs.append(inputs[-1] + f if residual else f)
    g, norms = np.ones(len(x)), np.empty(len(layers))
    for i in range(len(layers) - 1, -1, -1):
        total = residual_block_backward(g, inputs[i], *layers[i])[0]
        g = total if residual else total - g
        norms[i] = (g**2).sum() ** 0.5
    return norms


# %% stack_gradient_norms: jacobians
def stack_gradient_norms(x, layers, residual):
    d = len(x)
    jacobians, h = [], x
    for weights in layers:
        f, cache = ffn_forward_batch(h, *weights)
        rows = [ffn_backward_batch(row, cache)[-1] for row in np.eye(d)]
        jacobians.append(np.array(rows) + (np.eye(d) if residual else 0))
        h = h + f if residual else f
    product, norms = np.eye(d), []
    for jacobian in jacobians[::-1]:
        product = product @ jacobian
        norms.append(np.linalg.norm(np.ones(d) @ product))
    return np.array(norms)[::-1]


# %% pre_ln_block: step-by-step
def pre_ln_block(x, layer_norm, sublayer):
    h = layer_norm(x)
    h = sublayer(h)
    return np.add(h, x)


# %% pre_ln_block: with-the-first-exercise
def pre_ln_block(x, layer_norm, sublayer):
    return residual_forward(x, lambda v: sublayer(layer_norm(v)))


# %% post_ln_block: step-by-step
def post_ln_block(x, layer_norm, sublayer):
    y = sublayer(x)
    y = y + x
    return layer_norm(y)


# %% post_ln_block: with-the-first-exercise
def post_ln_block(x, layer_norm, sublayer):
    return layer_norm(residual_forward(x, sublayer))


# %% has_direct_path: constant-difference
def has_direct_path(make_block):
    block, rng = make_block(0), np.random.default_rng(7)
    xs = rng.normal(size=(5, 3, 4)) * 3
    differences = [block(x) - x for x in xs]
    return all(np.allclose(d, differences[0]) for d in differences)


# %% has_direct_path: numerical-gradient-of-each-output
def has_direct_path(make_block):
    block = make_block(0.0)
    x = np.linspace(-2, 2, 12).reshape(3, 4) + 0.05
    for i in range(12):
        slopes = numerical_gradient(lambda v, i=i: block(v).ravel()[i], x)
        wanted = np.zeros(12)
        wanted[i] = 1
        if np.abs(slopes.ravel() - wanted).max() > 1e-4:
            return False
    return True


# %% has_direct_path: random-directions
def has_direct_path(make_block):
    block, rng = make_block(0.0), np.random.default_rng()
    for _ in range(6):
        x, v = rng.normal(size=(2, 3, 4))
        if not np.allclose((block(x + 1e-4 * v) - block(x)) / 1e-4, v, atol=1e-3):
            return False
    return True


# %% has_direct_path: a-numpy-bool
def has_direct_path(make_block):
    block = make_block(0.0)
    x = np.where(np.arange(12).reshape(3, 4) % 2, 1.3, -0.8)
    y = block(x)
    J = np.stack([(block(x + e.reshape(3, 4)) - y).ravel() for e in np.eye(12)], axis=1)
    return np.all(np.abs(J - np.identity(12)) < 1e-8)


# %% block_forward: rebinding-x
def block_forward(x, attention, feedforward):
    x = x + attention(x)
    x = x + feedforward(x)
    return x


# %% block_forward: a-loop
def block_forward(x, attention, feedforward):
    stream = x.clone()
    for module in (attention, feedforward):
        stream = torch.add(stream, module(stream))
    return stream


# %% block_forward: into-the-branch
def block_forward(x, attention, feedforward):
    a = attention(x)
    f = feedforward(a + x)
    f = f + a
    return f + x
