# Right answers to the exercises of notebook 08 that look different from its solution.


# %% softmax_backward: jacobian
def softmax_backward(dprobs, probs):
    n = probs.shape[-1]
    J = probs[..., :, None] * (np.eye(n) - probs[..., None, :])
    return (dprobs[..., None, :] @ J)[..., 0, :]


# %% softmax_backward: einsum
def softmax_backward(dprobs, probs):
    return probs * dprobs - probs * np.einsum("...i,...i->...", probs, dprobs)[..., None]


# %% softmax_backward: loop-over-rows
def softmax_backward(dprobs, probs):
    rows = [
        (np.diag(p) - np.outer(p, p)) @ g
        for p, g in zip(probs.reshape(-1, probs.shape[-1]), dprobs.reshape(-1, probs.shape[-1]))
    ]
    return np.array(rows).reshape(probs.shape)


# %% layernorm_forward: three-ways
def layernorm_forward(x, gamma, beta, eps):
    mu = np.mean(x, axis=-1, keepdims=True)
    centered = x - mu
    inverse = (np.mean(centered**2, axis=-1, keepdims=True) + eps) ** -0.5
    return centered * inverse * gamma + beta, (centered, inverse, gamma)


def layernorm_backward(dy, cache):
    centered, inverse, gamma = cache
    d = dy.shape[-1]
    tokens = tuple(range(dy.ndim - 1))
    dx_hat = dy * gamma
    dvar = np.sum(dx_hat * centered, axis=-1, keepdims=True) * -0.5 * inverse**3
    dmu = np.sum(-dx_hat * inverse, axis=-1, keepdims=True)
    dx = dx_hat * inverse + dvar * 2 * centered / d + dmu / d
    return dx, np.sum(dy * centered * inverse, axis=tokens), np.sum(dy, axis=tokens)


# %% layernorm_forward: keeps-only-the-inputs
def layernorm_forward(x, gamma, beta, eps):
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return normed * gamma + beta, [x, gamma, eps]


def layernorm_backward(dy, cache):
    x, gamma, eps = cache
    d = x.shape[-1]
    s = np.sqrt(x.var(-1, keepdims=True) + eps)
    x_hat = (x - x.mean(-1, keepdims=True)) / s
    g = dy * gamma
    total = d * g - g.sum(-1, keepdims=True) - x_hat * (g * x_hat).sum(-1, keepdims=True)
    return (
        total / (d * s),
        np.einsum("td,td->d", dy.reshape(-1, d), x_hat.reshape(-1, d)),
        np.ones(dy.size // d) @ dy.reshape(-1, d),
    )


# %% layernorm_forward: projection-matrix
def layernorm_forward(x, gamma, beta, eps):
    d = x.shape[-1]
    center = np.eye(d) - 1 / d
    c = x @ center
    s = np.sqrt((c * c).sum(-1) / d + eps)
    return c / s[..., None] * gamma + beta, (c, s, gamma, center)


def layernorm_backward(dy, cache):
    c, s, gamma, center = cache
    d = dy.shape[-1]
    x_hat = (c / s[..., None]).reshape(-1, d)
    rows = dy.reshape(-1, d)
    dx = np.empty_like(rows)
    for t, (h, g) in enumerate(zip(x_hat, rows * gamma)):
        dx[t] = (center - np.outer(h, h) / d) @ g / s.reshape(-1)[t]
    return dx.reshape(dy.shape), (rows * x_hat).sum(0), rows.sum(0)


# %% attention_forward: einsum
def attention_forward(x, W_qkv, W_out, n_heads):
    B, T, d = x.shape
    W = W_qkv.reshape(3, n_heads, d // n_heads, d)
    q, k, v = np.einsum("btd,chsd->cbhts", x, W)
    S = np.einsum("bhis,bhjs->bhij", q, k) / np.sqrt(d // n_heads)
    S = S + np.triu(np.full((T, T), -np.inf), k=1)
    e = np.exp(S - S.max(-1, keepdims=True))
    P = e / e.sum(-1, keepdims=True)
    O = np.einsum("bhij,bhjs->bihs", P, v)
    out = np.einsum("bihs,ehs->bie", O, W_out.reshape(d, n_heads, -1))
    return out, (x, W, W_out, q, k, v, P, O)


def attention_backward(dout, cache):
    x, W, W_out, q, k, v, P, O = cache
    d, s = x.shape[-1], q.shape[-1]
    dW_out = np.einsum("bie,bihs->ehs", dout, O).reshape(d, d)
    dO = np.einsum("bie,ehs->bihs", dout, W_out.reshape(d, -1, s))
    dv = np.einsum("bhij,bihs->bhjs", P, dO)
    dP = np.einsum("bihs,bhjs->bhij", dO, v)
    dS = P * (dP - np.einsum("bhij,bhij->bhi", P, dP)[..., None]) / np.sqrt(s)
    dq = np.einsum("bhij,bhjs->bhis", dS, k)
    dk = np.einsum("bhij,bhis->bhjs", dS, q)
    three = np.stack([dq, dk, dv])
    dW = np.einsum("cbhts,btd->chsd", three, x).reshape(3 * d, d)
    return np.einsum("cbhts,chsd->btd", three, W), dW, dW_out


# %% attention_forward: loops-over-sequences-and-heads
def attention_forward(x, W_qkv, W_out, n_heads):
    B, T, d = x.shape
    s = d // n_heads
    merged, kept = np.zeros_like(x), {}
    for b in range(B):
        for h in range(n_heads):
            rows = slice(h * s, (h + 1) * s)
            q, k, v = (x[b] @ W_qkv[i * d : (i + 1) * d][rows].T for i in range(3))
            S = q @ k.T / s**0.5
            S[~np.tri(T, dtype=bool)] = -1e30
            P = softmax(S)
            merged[b][:, rows] = P @ v
            kept[b, h] = q, k, v, P
    return merged @ W_out.T, (x, W_qkv, W_out, merged, kept, s)


def attention_backward(dout, cache):
    x, W_qkv, W_out, merged, kept, s = cache
    d = x.shape[-1]
    dmerged = dout @ W_out
    dx, dW_qkv = np.zeros_like(x), np.zeros_like(W_qkv)
    for (b, h), (q, k, v, P) in kept.items():
        g = dmerged[b][:, h * s : (h + 1) * s]
        dS = softmax_backward(g @ v.T, P) / s**0.5
        for i, part in enumerate([dS @ k, dS.T @ q, P.T @ g]):
            rows = slice(i * d + h * s, i * d + (h + 1) * s)
            dW_qkv[rows] += part.T @ x[b]
            dx[b] += part @ W_qkv[rows]
    return dx, dW_qkv, sum(g.T @ m for g, m in zip(dout, merged))


# %% attention_forward: scaled-queries-and-three-matrices
def attention_forward(x, W_qkv, W_out, n_heads):
    d = x.shape[-1]
    s = d // n_heads
    W_q, W_k, W_v = W_qkv[:d], W_qkv[d : 2 * d], W_qkv[2 * d :]
    q = split_heads(x @ W_q.T, n_heads) / np.sqrt(s)
    k, v = split_heads(x @ W_k.T, n_heads), split_heads(x @ W_v.T, n_heads)
    powers = np.exp(q @ np.swapaxes(k, 2, 3)) * np.tri(x.shape[1])
    P = powers / powers.sum(axis=3, keepdims=True)
    merged = merge_heads(P @ v)
    return merged @ W_out.T, (x, W_q, W_k, W_v, W_out, q, k, v, P, merged, n_heads)


def attention_backward(dout, cache):
    x, W_q, W_k, W_v, W_out, q, k, v, P, merged, n_heads = cache
    dO = split_heads(dout @ W_out, n_heads)
    dS = softmax_backward(dO @ np.swapaxes(v, 2, 3), P)
    dq = merge_heads(dS @ k) / np.sqrt(q.shape[-1])
    dk = merge_heads(np.swapaxes(dS, 2, 3) @ q)
    dv = merge_heads(np.swapaxes(P, 2, 3) @ dO)
    dW = [np.tensordot(g, x, axes=((0, 1), (0, 1))) for g in (dq, dk, dv)]
    dx = dq @ W_q + dk @ W_k + dv @ W_v
    return dx, np.concatenate(dW), np.tensordot(dout, merged, axes=((0, 1), (0, 1)))


# %% transformer_block_forward: tuple-of-caches
def transformer_block_forward(x, params, n_heads):
    p = params
    n1, c1 = layernorm_forward(x, p["gamma1"], p["beta1"], eps=1e-5)
    h1, c2 = attention_forward(n1, p["W_qkv"], p["W_out"], n_heads)
    n2, c3 = layernorm_forward(x + h1, p["gamma2"], p["beta2"], eps=1e-5)
    h2, c4 = ffn_forward_batch(n2, p["W1"], p["b1"], p["W2"], p["b2"])
    return x + h1 + h2, (c1, c2, c3, c4)


def transformer_block_backward(dy, cache):
    c1, c2, c3, c4 = cache
    grads, dx = {}, np.array(dy)
    grads["W1"], grads["b1"], grads["W2"], grads["b2"], dn2 = ffn_backward_batch(dx, c4)
    share, grads["gamma2"], grads["beta2"] = layernorm_backward(dn2, c3)
    dx += share
    dn1, grads["W_qkv"], grads["W_out"] = attention_backward(dx, c2)
    share, grads["gamma1"], grads["beta1"] = layernorm_backward(dn1, c1)
    dx += share
    return dx, grads


# %% transformer_block_forward: computed-again-in-backward
def transformer_block_forward(x, params, n_heads):
    a = (
        x
        + attention_forward(
            layernorm_forward(x, params["gamma1"], params["beta1"], 1e-5)[0],
            params["W_qkv"],
            params["W_out"],
            n_heads,
        )[0]
    )
    normed = layernorm_forward(a, params["gamma2"], params["beta2"], 1e-5)[0]
    ffn = [params[name] for name in ("W1", "b1", "W2", "b2")]
    return a + ffn_forward_batch(normed, *ffn)[0], (x, a, params, n_heads)


def transformer_block_backward(dy, cache):
    x, a, params, n_heads = cache
    n1, c1 = layernorm_forward(x, params["gamma1"], params["beta1"], 1e-5)
    _, c2 = attention_forward(n1, params["W_qkv"], params["W_out"], n_heads)
    n2, c3 = layernorm_forward(a, params["gamma2"], params["beta2"], 1e-5)
    _, c4 = ffn_forward_batch(n2, *(params[name] for name in ("W1", "b1", "W2", "b2")))
    *of_ffn, dn2 = ffn_backward_batch(dy, c4)
    back2 = layernorm_backward(dn2, c3)
    da = dy + back2[0]
    dn1, *of_attention = attention_backward(da, c2)
    back1 = layernorm_backward(dn1, c1)
    names = ["W1", "b1", "W2", "b2", "gamma2", "beta2", "W_qkv", "W_out", "gamma1", "beta1"]
    values = [*of_ffn, *back2[1:], *of_attention, *back1[1:]]
    return da + back1[0], dict(zip(names, values))


# %% train_step: loop-over-positions
def train_step(params, tokens, lr, n_heads):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    B, T = inputs.shape
    x = np.array([[params["E"][c] + params["P"][t] for t, c in enumerate(row)] for row in inputs])
    y, block = transformer_block_forward(x, params, n_heads)
    n, norm3 = layernorm_forward(y, params["gamma3"], params["beta3"], 1e-5)
    p = softmax(n @ params["W_vocab"].T)
    loss = 0.0
    dlogits = p.copy()
    for b in range(B):
        for t in range(T):
            loss -= np.log(p[b, t, targets[b, t]]) / (B * T)
            dlogits[b, t, targets[b, t]] -= 1
    dlogits /= B * T
    grads = {"W_vocab": np.einsum("btv,btd->vd", dlogits, n)}
    dy, grads["gamma3"], grads["beta3"] = layernorm_backward(dlogits @ params["W_vocab"], norm3)
    dx, of_block = transformer_block_backward(dy, block)
    grads.update(of_block)
    grads["E"], grads["P"] = np.zeros_like(params["E"]), np.zeros_like(params["P"])
    for b in range(B):
        for t in range(T):
            grads["E"][inputs[b, t]] += dx[b, t]
            grads["P"][t] += dx[b, t]
    return {name: params[name] - lr * grads[name] for name in grads}, loss


# %% train_step: one-hot-matrices
def train_step(params, tokens, lr, n_heads):
    V, d = params["E"].shape
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    B, T = inputs.shape
    one_hot = np.eye(V)[inputs]
    new = {name: value.copy() for name, value in params.items()}
    y, block = transformer_block_forward(one_hot @ params["E"] + params["P"][:T], params, n_heads)
    n, norm3 = layernorm_forward(y, params["gamma3"], params["beta3"], 1e-5)
    log_p = log_softmax(n @ params["W_vocab"].T).reshape(-1, V)
    rows = np.arange(B * T), targets.ravel()
    loss = -log_p[rows].mean()
    g = np.exp(log_p)
    g[rows] -= 1
    g = g / len(g)
    new["W_vocab"] -= lr * g.T @ n.reshape(-1, d)
    dy, dgamma, dbeta = layernorm_backward((g @ params["W_vocab"]).reshape(B, T, d), norm3)
    new["gamma3"] -= lr * dgamma
    new["beta3"] -= lr * dbeta
    dx, grads = transformer_block_backward(dy, block)
    for name in grads:
        new[name] -= lr * grads[name]
    new["P"][:T] -= lr * np.sum(dx, axis=0)
    new["E"] -= lr * np.tensordot(one_hot, dx, axes=((0, 1), (0, 1)))
    return new, loss
