"""Mistakes of notebook 08, the transformer block."""

import numpy as np

from autograder.mistakes import mistake, right_pair, success_note
from autograder.provided.forward_pass import log_softmax, softmax
from autograder.provided.two_layer_ffn import ffn_backward_batch, ffn_forward_batch

# -------------------------------------------------------------------------- softmax_backward

success_note(
    "softmax_backward",
    "The weighted mean of the upstream row is the zero point: what lies above it wants more of its "
    "score, what lies below wants less.",
)


@mistake(
    "softmax_backward",
    "diagonal-only",
    "Each score gets its own derivative p (1 - p) alone. The other probabilities of the row hand "
    "something back too.",
)
def softmax_backward(dprobs, probs):
    return dprobs * probs * (1 - probs)


@mistake(
    "softmax_backward",
    "no-sum",
    "The term with the sum over the row is absent. Open the bracket of the derivative: it has two "
    "terms.",
)
def softmax_backward(dprobs, probs):
    return dprobs * probs


@mistake(
    "softmax_backward",
    "sum-without-probabilities",
    "The sum over the row adds up dprobs alone. Which factor does each of its terms have?",
)
def softmax_backward(dprobs, probs):
    return probs * (dprobs - dprobs.sum(axis=-1, keepdims=True))


@mistake(
    "softmax_backward",
    "plain-mean",
    "The mean of dprobs is taken away, each entry counting alike. In the formula each entry counts "
    "by its probability.",
)
def softmax_backward(dprobs, probs):
    return probs * (dprobs - dprobs.mean(axis=-1, keepdims=True))


@mistake(
    "softmax_backward",
    "weighted-mean-of-n",
    "The sum of dprobs times probs is divided by the length of the row once more. The probabilities "
    "are weights already.",
)
def softmax_backward(dprobs, probs):
    return probs * (dprobs - (dprobs * probs).mean(axis=-1, keepdims=True))


@mistake(
    "softmax_backward",
    "no-outer-probability",
    "The bracket is right, but the probability before it is absent.",
)
def softmax_backward(dprobs, probs):
    return dprobs - (dprobs * probs).sum(axis=-1, keepdims=True)


@mistake(
    "softmax_backward",
    "probability-on-one-term",
    "The probability multiplies the first term only. Both terms of the bracket have it.",
)
def softmax_backward(dprobs, probs):
    return probs * dprobs - (dprobs * probs).sum(axis=-1, keepdims=True)


@mistake(
    "softmax_backward",
    "plus-for-minus",
    "The sum over the row is added. Look at the sign of its term in the derivative.",
)
def softmax_backward(dprobs, probs):
    return probs * (dprobs + (dprobs * probs).sum(axis=-1, keepdims=True))


@mistake(
    "softmax_backward",
    "sum-over-everything",
    "The sum runs over all rows at once. Each row has a softmax, and a sum, of its own.",
)
def softmax_backward(dprobs, probs):
    return probs * (dprobs - (dprobs * probs).sum())


@mistake(
    "softmax_backward",
    "first-axis",
    "The sum runs along the first axis. Softmax ran along the last.",
)
def softmax_backward(dprobs, probs):
    return probs * (dprobs - (dprobs * probs).sum(axis=0, keepdims=True))


@mistake(
    "softmax_backward",
    "with-cross-entropy",
    "This is probabilities minus something, the gradient of softmax together with a cross-entropy. "
    "Here softmax stands alone.",
)
def softmax_backward(dprobs, probs):
    return probs - dprobs


# ------------------------------------------------------------------------- layernorm_forward

success_note(
    "layernorm_forward",
    "With gamma at 1 and a tiny eps, dx is at right angles to (1, …, 1) and to the token itself: "
    "a shift or a stretch of the token changes nothing after the normalization.",
)


def _ln(x, gamma, beta, eps):
    s = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / s
    return gamma * x_hat + beta, {"x": x, "x_hat": x_hat, "s": s, "gamma": gamma}


def _rows(a):
    return a.reshape(-1, a.shape[-1])


def _mean(a):
    return a.mean(axis=-1, keepdims=True)


def _ln_back(dy, cache):
    x_hat, s = cache["x_hat"], cache["s"]
    dx_hat = dy * cache["gamma"]
    dx = (dx_hat - _mean(dx_hat) - x_hat * _mean(dx_hat * x_hat)) / s
    return dx, _rows(dy * x_hat).sum(axis=0), _rows(dy).sum(axis=0)


def layernorm_forward(x, gamma, beta, eps):
    return _ln(x, gamma, beta, eps)


def layernorm_backward(dy, cache):
    return _ln_back(dy, cache)


right_pair(layernorm_forward, layernorm_backward)


def _cache(x, x_hat, s, gamma):
    return {"x": x, "x_hat": x_hat, "s": s, "gamma": gamma}


@mistake(
    "layernorm_forward",
    "unbiased-variance",
    "The variance divides by d - 1. Layer normalization divides by d.",
)
def layernorm_forward(x, gamma, beta, eps):
    s = np.sqrt(x.var(axis=-1, ddof=1, keepdims=True) + eps)
    x_hat = (x - _mean(x)) / s
    return gamma * x_hat + beta, _cache(x, x_hat, s, gamma)


@mistake(
    "layernorm_forward",
    "eps-outside-the-root",
    "eps is added to the standard deviation. It is added to the variance, below the root.",
)
def layernorm_forward(x, gamma, beta, eps):
    s = x.std(axis=-1, keepdims=True) + eps
    x_hat = (x - _mean(x)) / s
    return gamma * x_hat + beta, _cache(x, x_hat, s, gamma)


@mistake(
    "layernorm_forward",
    "no-eps",
    "eps is not in the root. A token whose numbers are all equal would be divided by zero.",
)
def layernorm_forward(x, gamma, beta, eps):
    s = x.std(axis=-1, keepdims=True)
    x_hat = (x - _mean(x)) / s
    return gamma * x_hat + beta, _cache(x, x_hat, s, gamma)


@mistake(
    "layernorm_forward",
    "no-mean",
    "The mean is not taken away before the division.",
)
def layernorm_forward(x, gamma, beta, eps):
    s = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    return gamma * (x / s) + beta, _cache(x, x / s, s, gamma)


@mistake(
    "layernorm_forward",
    "rms",
    "This divides by the root of the mean square, and takes no mean away. That is another "
    "normalization, RMSNorm.",
)
def layernorm_forward(x, gamma, beta, eps):
    s = np.sqrt(_mean(x * x) + eps)
    return gamma * (x / s) + beta, _cache(x, x / s, s, gamma)


@mistake(
    "layernorm_forward",
    "no-root",
    "It divides by the variance. What has the unit of x?",
)
def layernorm_forward(x, gamma, beta, eps):
    s = x.var(axis=-1, keepdims=True) + eps
    x_hat = (x - _mean(x)) / s
    return gamma * x_hat + beta, _cache(x, x_hat, s, gamma)


@mistake(
    "layernorm_forward",
    "across-all-tokens",
    "Mean and variance are those of all numbers at once. Each token has its own, along the last "
    "axis.",
)
def layernorm_forward(x, gamma, beta, eps):
    s = np.sqrt(x.var() + eps) * np.ones(x.shape[:-1])[..., None]
    x_hat = (x - x.mean()) / s
    return gamma * x_hat + beta, _cache(x, x_hat, s, gamma)


@mistake(
    "layernorm_forward",
    "across-the-batch",
    "Mean and variance run along the first axis, as in batch normalization. Here each token is "
    "normalized by itself.",
)
def layernorm_forward(x, gamma, beta, eps):
    s = np.sqrt(x.var(axis=0, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=0, keepdims=True)) / s
    return gamma * x_hat + beta, _cache(x, x_hat, s, gamma)


@mistake(
    "layernorm_forward",
    "shift-before-scale",
    "beta is added before gamma multiplies. Which of the two acts last?",
)
def layernorm_forward(x, gamma, beta, eps):
    _, cache = _ln(x, gamma, beta, eps)
    return gamma * (cache["x_hat"] + beta), cache


@mistake(
    "layernorm_forward",
    "no-beta",
    "beta is not in the output.",
)
def layernorm_forward(x, gamma, beta, eps):
    _, cache = _ln(x, gamma, beta, eps)
    return gamma * cache["x_hat"], cache


@mistake(
    "layernorm_forward",
    "no-gamma-forward",
    "gamma is not in the output.",
)
def layernorm_forward(x, gamma, beta, eps):
    _, cache = _ln(x, gamma, beta, eps)
    return cache["x_hat"] + beta, cache


@mistake(
    "layernorm_forward",
    "size-as-constant",
    "The way through the variance is absent: x also changes the s that it is divided by.",
)
def layernorm_backward(dy, cache):
    _, dgamma, dbeta = _ln_back(dy, cache)
    dx_hat = dy * cache["gamma"]
    return (dx_hat - _mean(dx_hat)) / cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "mean-as-constant",
    "The way through the mean is absent: x also changes the mean that is taken away.",
)
def layernorm_backward(dy, cache):
    _, dgamma, dbeta = _ln_back(dy, cache)
    dx_hat, x_hat = dy * cache["gamma"], cache["x_hat"]
    return (dx_hat - x_hat * _mean(dx_hat * x_hat)) / cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "both-as-constants",
    "Mean and variance are treated as constants. Both depend on x, and each is a way for the "
    "gradient.",
)
def layernorm_backward(dy, cache):
    _, dgamma, dbeta = _ln_back(dy, cache)
    return dy * cache["gamma"] / cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "no-gamma",
    "dx begins with dy. Between dy and the normalized token stands gamma.",
)
def layernorm_backward(dy, cache):
    dx, _, _ = _ln_back(dy, cache | {"gamma": 1.0})
    _, dgamma, dbeta = _ln_back(dy, cache)
    return dx, dgamma, dbeta


@mistake(
    "layernorm_forward",
    "variance-term-added",
    "The third term of dx is added. Look at its sign in the derivative.",
)
def layernorm_backward(dy, cache):
    _, dgamma, dbeta = _ln_back(dy, cache)
    dx_hat, x_hat = dy * cache["gamma"], cache["x_hat"]
    return (dx_hat - _mean(dx_hat) + x_hat * _mean(dx_hat * x_hat)) / cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "gamma-at-the-end",
    "gamma multiplies dx at the end. It belongs to dy, before the two means are taken.",
)
def layernorm_backward(dy, cache):
    dx, _, _ = _ln_back(dy, cache | {"gamma": 1.0})
    _, dgamma, dbeta = _ln_back(dy, cache)
    return dx * cache["gamma"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "not-divided-by-the-size",
    "The bracket of dx is right, but nothing divides it by s.",
)
def layernorm_backward(dy, cache):
    dx, dgamma, dbeta = _ln_back(dy, cache)
    return dx * cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "sums-for-means",
    "The two terms that are taken away are sums along the last axis. Each has a factor 1/d in the "
    "formula.",
)
def layernorm_backward(dy, cache):
    _, dgamma, dbeta = _ln_back(dy, cache)
    dx_hat, x_hat = dy * cache["gamma"], cache["x_hat"]
    along = dx_hat.sum(axis=-1, keepdims=True)
    beside = x_hat * (dx_hat * x_hat).sum(axis=-1, keepdims=True)
    return (dx_hat - along - beside) / cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "x-hat-once",
    "The third term of dx is a number for each token. It still has a factor that depends on the "
    "place.",
)
def layernorm_backward(dy, cache):
    _, dgamma, dbeta = _ln_back(dy, cache)
    dx_hat, x_hat = dy * cache["gamma"], cache["x_hat"]
    return (dx_hat - _mean(dx_hat) - _mean(dx_hat * x_hat)) / cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "means-across-tokens",
    "The two means of dx run over the tokens. They run along the last axis, one for each token.",
)
def layernorm_backward(dy, cache):
    _, dgamma, dbeta = _ln_back(dy, cache)
    dx_hat, x_hat = dy * cache["gamma"], cache["x_hat"]
    along = dx_hat.mean(axis=0)
    beside = x_hat * (dx_hat * x_hat).mean(axis=0)
    return (dx_hat - along - beside) / cache["s"], dgamma, dbeta


@mistake(
    "layernorm_forward",
    "dgamma-is-dbeta",
    "dgamma adds up dy alone. What does gamma multiply in the forward pass?",
)
def layernorm_backward(dy, cache):
    dx, _, dbeta = _ln_back(dy, cache)
    return dx, dbeta.copy(), dbeta


@mistake(
    "layernorm_forward",
    "dgamma-with-x",
    "dgamma multiplies dy by x as it came in. gamma multiplies the normalized token.",
)
def layernorm_backward(dy, cache):
    dx, _, dbeta = _ln_back(dy, cache)
    return dx, _rows(dy * cache["x"]).sum(axis=0), dbeta


@mistake(
    "layernorm_forward",
    "first-axis-only",
    "dgamma and dbeta are summed along the first axis alone. Every axis but the last holds tokens.",
)
def layernorm_backward(dy, cache):
    dx, _, _ = _ln_back(dy, cache)
    return dx, (dy * cache["x_hat"]).sum(axis=0), dy.sum(axis=0)


@mistake(
    "layernorm_forward",
    "mean-over-tokens",
    "dgamma and dbeta are means over the tokens. Every token uses gamma and beta, and what they "
    "hand back adds up.",
)
def layernorm_backward(dy, cache):
    dx, _, _ = _ln_back(dy, cache)
    return dx, _rows(dy * cache["x_hat"]).mean(axis=0), _rows(dy).mean(axis=0)


# ------------------------------------------------------------------------- attention_forward

success_note(
    "attention_forward",
    "Every matrix product of the forward pass became two going back, so attention costs about twice "
    "as much backward, like a linear layer.",
)


def _split(x, n_heads):
    B, T, d = x.shape
    return x.reshape(B, T, n_heads, d // n_heads).transpose(0, 2, 1, 3)


def _merge(x):
    B, n_heads, T, s = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, n_heads * s)


def _qkv(x, W_qkv, n_heads):
    return [_split(part, n_heads) for part in np.split(x @ W_qkv.T, 3, axis=-1)]


def _scores(q, k):
    return q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])


def _masked(scores, offset=0):
    return np.where(np.tri(scores.shape[-1], k=offset, dtype=bool), scores, -np.inf)


def _finish(x, q, k, v, probs, W_qkv, W_out):
    merged = _merge(probs @ v)
    cache = {"x": x, "q": q, "k": k, "v": v, "probs": probs, "merged": merged}
    return merged @ W_out.T, cache | {"W_qkv": W_qkv, "W_out": W_out}


def _attend(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    return _finish(x, q, k, v, softmax(_masked(_scores(q, k))), W_qkv, W_out)


def _to_heads(dout, cache):
    dW_out = _rows(dout).T @ _rows(cache["merged"])
    return dW_out, _split(dout @ cache["W_out"], cache["q"].shape[1])


def _back_through_softmax(dprobs, probs):
    return probs * (dprobs - (dprobs * probs).sum(axis=-1, keepdims=True))


def _to_input(dq, dk, dv, cache):
    dqkv = np.concatenate([_merge(part) for part in (dq, dk, dv)], axis=-1)
    return dqkv @ cache["W_qkv"], _rows(dqkv).T @ _rows(cache["x"])


def _to_scores(dheads, cache):
    dprobs = dheads @ cache["v"].swapaxes(-1, -2)
    return _back_through_softmax(dprobs, cache["probs"]) / np.sqrt(dheads.shape[-1])


def _turned(a):
    return a.swapaxes(-1, -2)


def _attend_back(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = _to_scores(dheads, cache)
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(dS @ cache["k"], _turned(dS) @ cache["q"], dv, cache)
    return dx, dW_qkv, dW_out


def attention_forward(x, W_qkv, W_out, n_heads):
    return _attend(x, W_qkv, W_out, n_heads)


def attention_backward(dout, cache):
    return _attend_back(dout, cache)


right_pair(attention_forward, attention_backward)


@mistake(
    "attention_forward",
    "no-mask",
    "There is no mask: every token sees the tokens that come after it too.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    return _finish(x, q, k, v, softmax(_scores(q, k)), W_qkv, W_out)


@mistake(
    "attention_forward",
    "mask-after-softmax",
    "The mask acts on the probabilities, so the rows no longer sum to 1. It acts on the scores.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    probs = softmax(_scores(q, k)) * np.tri(x.shape[1])
    return _finish(x, q, k, v, probs, W_qkv, W_out)


@mistake(
    "attention_forward",
    "mask-of-zeros",
    "Forbidden scores are set to 0. A score of 0 still has a probability; which score has none?",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    probs = softmax(_scores(q, k) * np.tri(x.shape[1]))
    return _finish(x, q, k, v, probs, W_qkv, W_out)


@mistake(
    "attention_forward",
    "mask-one-too-far",
    "Each token sees one token too many: its successor. Which diagonal does the mask end at?",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    return _finish(x, q, k, v, softmax(_masked(_scores(q, k), 1)), W_qkv, W_out)


@mistake(
    "attention_forward",
    "mask-hides-itself",
    "No token sees itself, so the first one sees nothing, and a row without any score has no "
    "probabilities. Which diagonal does the mask end at?",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    return _finish(x, q, k, v, softmax(_masked(_scores(q, k), -1)), W_qkv, W_out)


@mistake(
    "attention_forward",
    "mask-turned-around",
    "Each token sees itself and the tokens that come after it. The triangle is the other one.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    allowed = np.tri(x.shape[1], dtype=bool).T
    probs = softmax(np.where(allowed, _scores(q, k), -np.inf))
    return _finish(x, q, k, v, probs, W_qkv, W_out)


@mistake(
    "attention_forward",
    "no-scale",
    "The scores are not divided by the root of the head size.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    return _finish(x, q, k, v, softmax(_masked(q @ _turned(k))), W_qkv, W_out)


@mistake(
    "attention_forward",
    "scale-of-the-whole-width",
    "The scores are divided by the root of d. A query of one head has fewer numbers.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    scores = q @ _turned(k) / np.sqrt(x.shape[-1])
    return _finish(x, q, k, v, softmax(_masked(scores)), W_qkv, W_out)


@mistake(
    "attention_forward",
    "scale-without-root",
    "The scores are divided by the head size. Its root is what brings their variance back to 1.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    scores = q @ _turned(k) / q.shape[-1]
    return _finish(x, q, k, v, softmax(_masked(scores)), W_qkv, W_out)


@mistake(
    "attention_forward",
    "interleaved-heads",
    "The heads take turns number by number. Each head has its numbers one after the other.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    B, T, d = x.shape
    parts = np.split(x @ W_qkv.T, 3, axis=-1)
    q, k, v = (p.reshape(B, T, d // n_heads, n_heads).transpose(0, 3, 1, 2) for p in parts)
    return _finish(x, q, k, v, softmax(_masked(_scores(q, k))), W_qkv, W_out)


@mistake(
    "attention_forward",
    "qkv-inside-each-head",
    "The rows of W_qkv are read as q, k, v of head 0, then q, k, v of head 1. First come the queries "
    "of all heads.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    B, T, d = x.shape
    parts = (x @ W_qkv.T).reshape(B, T, n_heads, 3, d // n_heads)
    q, k, v = parts.transpose(3, 0, 2, 1, 4)
    return _finish(x, q, k, v, softmax(_masked(_scores(q, k))), W_qkv, W_out)


@mistake(
    "attention_forward",
    "reshaped-without-exchange",
    "The cut into heads mixes tokens: reshape alone cannot bring the axis of the heads before that "
    "of the tokens.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    B, T, d = x.shape
    parts = np.split(x @ W_qkv.T, 3, axis=-1)
    q, k, v = (p.reshape(B, n_heads, T, d // n_heads) for p in parts)
    return _finish(x, q, k, v, softmax(_masked(_scores(q, k))), W_qkv, W_out)


@mistake(
    "attention_forward",
    "merged-without-exchange",
    "The heads are merged by reshape alone, so numbers of different tokens land in one row.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    _, cache = _finish(x, q, k, v, softmax(_masked(_scores(q, k))), W_qkv, W_out)
    merged = (cache["probs"] @ v).reshape(x.shape)
    return merged @ W_out.T, cache | {"merged": merged}


@mistake(
    "attention_forward",
    "one-head",
    "All d numbers are one head. Cut q, k and v before the scores.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    return _attend(x, W_qkv, W_out, 1)


@mistake(
    "attention_forward",
    "queries-and-keys-exchanged",
    "Queries and keys have changed places: row i of the scores belongs to the query of token i.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    return _finish(x, k, q, v, softmax(_masked(_scores(k, q))), W_qkv, W_out)


@mistake(
    "attention_forward",
    "softmax-along-queries",
    "Softmax runs along the queries. The probabilities of one query, a row, sum to 1.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    q, k, v = _qkv(x, W_qkv, n_heads)
    probs = softmax(_masked(_scores(q, k)), axis=-2)
    return _finish(x, q, k, v, probs, W_qkv, W_out)


@mistake(
    "attention_forward",
    "output-weights-turned",
    "merged is multiplied by W_out as it is. Its rows belong to the outputs, as in every layer.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    _, cache = _attend(x, W_qkv, W_out, n_heads)
    return cache["merged"] @ W_out, cache


@mistake(
    "attention_forward",
    "no-output-layer",
    "The merged heads are returned. One layer is still to come.",
)
def attention_forward(x, W_qkv, W_out, n_heads):
    _, cache = _attend(x, W_qkv, W_out, n_heads)
    return cache["merged"].copy(), cache


@mistake(
    "attention_forward",
    "no-scale-backward",
    "The root of the head size is in the forward pass, but not in dq and dk.",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = _to_scores(dheads, cache) * np.sqrt(dheads.shape[-1])
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(dS @ cache["k"], _turned(dS) @ cache["q"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "keys-not-turned",
    "dk multiplies the gradient of the scores as it is. A key is met by many queries: which index of "
    "the scores is summed?",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = _to_scores(dheads, cache)
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(dS @ cache["k"], dS @ cache["q"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "values-not-turned",
    "dv multiplies by the probabilities as they are. A value goes to many tokens: which index of "
    "the probabilities is summed?",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = _to_scores(dheads, cache)
    dv = cache["probs"] @ dheads
    dx, dW_qkv = _to_input(dS @ cache["k"], _turned(dS) @ cache["q"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "each-with-itself",
    "dq multiplies by the queries and dk by the keys. In a product each factor receives the other one.",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = _to_scores(dheads, cache)
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(dS @ cache["q"], _turned(dS) @ cache["k"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "other-scale-backward",
    "dq and dk are divided by the root of d. What were the scores divided by in the forward pass?",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = _to_scores(dheads, cache) * np.sqrt(dheads.shape[-1] / dout.shape[-1])
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(dS @ cache["k"], _turned(dS) @ cache["q"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "dq-and-dk-exchanged",
    "The gradients of queries and keys stand in each other's place.",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = _to_scores(dheads, cache)
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(_turned(dS) @ cache["q"], dS @ cache["k"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "softmax-skipped",
    "The gradient of the probabilities is taken for that of the scores. Softmax lies between them.",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dS = dheads @ _turned(cache["v"]) / np.sqrt(dheads.shape[-1])
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(dS @ cache["k"], _turned(dS) @ cache["q"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "softmax-entry-by-entry",
    "Softmax is taken back entry by entry, as if it were a sigmoid. The entries of a row depend on "
    "each other.",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    probs = cache["probs"]
    dS = dheads @ _turned(cache["v"]) * probs * (1 - probs) / np.sqrt(dheads.shape[-1])
    dv = _turned(probs) @ dheads
    dx, dW_qkv = _to_input(dS @ cache["k"], _turned(dS) @ cache["q"], dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "values-only",
    "Only the values hand something back. The probabilities depend on x too, through queries and "
    "keys.",
)
def attention_backward(dout, cache):
    dW_out, dheads = _to_heads(dout, cache)
    dv = _turned(cache["probs"]) @ dheads
    dx, dW_qkv = _to_input(0 * dv, 0 * dv, dv, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "queries-only-into-dx",
    "Only the queries reach dx. x went into all three: queries, keys and values.",
)
def attention_backward(dout, cache):
    _, dW_qkv, dW_out = _attend_back(dout, cache)
    _, dheads = _to_heads(dout, cache)
    dq = _to_scores(dheads, cache) @ cache["k"]
    dx, _ = _to_input(dq, 0 * dq, 0 * dq, cache)
    return dx, dW_qkv, dW_out


@mistake(
    "attention_forward",
    "output-gradient-turned",
    "dW_out has inputs as rows. The rows of W_out belong to the outputs of its layer.",
)
def attention_backward(dout, cache):
    dx, dW_qkv, dW_out = _attend_back(dout, cache)
    return dx, dW_qkv, dW_out.T.copy()


@mistake(
    "attention_forward",
    "output-layer-skipped",
    "dout goes into the heads as it is. The output layer lies between them, with its weights.",
)
def attention_backward(dout, cache):
    dx, dW_qkv, _ = _attend_back(dout, cache | {"W_out": np.eye(dout.shape[-1])})
    return dx, dW_qkv, _attend_back(dout, cache)[2]


@mistake(
    "attention_forward",
    "output-layer-turned-backward",
    "Going back through the output layer, W_out has its sides exchanged. Which index is summed: that "
    "of its outputs or that of its inputs?",
)
def attention_backward(dout, cache):
    dx, dW_qkv, _ = _attend_back(dout, cache | {"W_out": cache["W_out"].T})
    return dx, dW_qkv, _attend_back(dout, cache)[2]


# ----------------------------------------------------------------- transformer_block_forward

success_note(
    "transformer_block_forward",
    "Whatever the branches do, dx begins with dy itself: this is the direct path of notebook 04, "
    "through the whole block.",
)


def _block(x, params, n_heads):
    normed, norm1 = _ln(x, params["gamma1"], params["beta1"], 1e-5)
    heard, attention = _attend(normed, params["W_qkv"], params["W_out"], n_heads)
    a = x + heard
    normed, norm2 = _ln(a, params["gamma2"], params["beta2"], 1e-5)
    thought, ffn = _ffn(normed, params)
    return a + thought, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


def _ffn(x, params):
    return ffn_forward_batch(x, params["W1"], params["b1"], params["W2"], params["b2"])


def _ffn_branch(dy, cache):
    dW1, db1, dW2, db2, dnormed = ffn_backward_batch(dy, cache["ffn"])
    through, dgamma2, dbeta2 = _ln_back(dnormed, cache["norm2"])
    found = {"gamma2": dgamma2, "beta2": dbeta2, "W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
    return through, found


def _attention_branch(da, cache):
    dnormed, dW_qkv, dW_out = _attend_back(da, cache["attention"])
    through, dgamma1, dbeta1 = _ln_back(dnormed, cache["norm1"])
    return through, {"gamma1": dgamma1, "beta1": dbeta1, "W_qkv": dW_qkv, "W_out": dW_out}


def _block_back(dy, cache):
    through_ffn, second = _ffn_branch(dy, cache)
    da = dy + through_ffn
    through_attention, first = _attention_branch(da, cache)
    return da + through_attention, first | second


def transformer_block_forward(x, params, n_heads):
    return _block(x, params, n_heads)


def transformer_block_backward(dy, cache):
    return _block_back(dy, cache)


right_pair(transformer_block_forward, transformer_block_backward)


@mistake(
    "transformer_block_forward",
    "post-ln",
    "The normalizations stand after the additions. In pre-LN order they stand in the branches.",
)
def transformer_block_forward(x, params, n_heads):
    heard, attention = _attend(x, params["W_qkv"], params["W_out"], n_heads)
    a, norm1 = _ln(x + heard, params["gamma1"], params["beta1"], 1e-5)
    thought, ffn = _ffn(a, params)
    y, norm2 = _ln(a + thought, params["gamma2"], params["beta2"], 1e-5)
    return y, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


@mistake(
    "transformer_block_forward",
    "no-first-addition",
    "The output of attention replaces the stream. It is added to it.",
)
def transformer_block_forward(x, params, n_heads):
    y, cache = _block(x, params, n_heads)
    normed, norm1 = _ln(x, params["gamma1"], params["beta1"], 1e-5)
    a, attention = _attend(normed, params["W_qkv"], params["W_out"], n_heads)
    normed, norm2 = _ln(a, params["gamma2"], params["beta2"], 1e-5)
    thought, ffn = _ffn(normed, params)
    return a + thought, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


@mistake(
    "transformer_block_forward",
    "no-second-addition",
    "The output of the feed-forward network is returned alone. It is added to the stream.",
)
def transformer_block_forward(x, params, n_heads):
    y, cache = _block(x, params, n_heads)
    heard, _ = _attend(
        _ln(x, params["gamma1"], params["beta1"], 1e-5)[0],
        params["W_qkv"],
        params["W_out"],
        n_heads,
    )
    return y - (x + heard), cache


@mistake(
    "transformer_block_forward",
    "no-addition",
    "No branch is added to the stream: each replaces it. Where are the two residual connections?",
)
def transformer_block_forward(x, params, n_heads):
    normed, norm1 = _ln(x, params["gamma1"], params["beta1"], 1e-5)
    a, attention = _attend(normed, params["W_qkv"], params["W_out"], n_heads)
    normed, norm2 = _ln(a, params["gamma2"], params["beta2"], 1e-5)
    y, ffn = _ffn(normed, params)
    return y, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


@mistake(
    "transformer_block_forward",
    "second-addition-to-x",
    "The second addition takes x, so what attention found is lost on the stream.",
)
def transformer_block_forward(x, params, n_heads):
    normed, norm1 = _ln(x, params["gamma1"], params["beta1"], 1e-5)
    heard, attention = _attend(normed, params["W_qkv"], params["W_out"], n_heads)
    normed, norm2 = _ln(x + heard, params["gamma2"], params["beta2"], 1e-5)
    thought, ffn = _ffn(normed, params)
    return x + thought, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


@mistake(
    "transformer_block_forward",
    "branches-side-by-side",
    "The second branch leaves the stream before attention is added. It starts from a.",
)
def transformer_block_forward(x, params, n_heads):
    normed, norm1 = _ln(x, params["gamma1"], params["beta1"], 1e-5)
    heard, attention = _attend(normed, params["W_qkv"], params["W_out"], n_heads)
    normed, norm2 = _ln(x, params["gamma2"], params["beta2"], 1e-5)
    thought, ffn = _ffn(normed, params)
    y = x + heard + thought
    return y, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


@mistake(
    "transformer_block_forward",
    "normalized-stream",
    "The additions take the normalized tokens. The stream itself goes on, without a normalization.",
)
def transformer_block_forward(x, params, n_heads):
    normed, norm1 = _ln(x, params["gamma1"], params["beta1"], 1e-5)
    heard, attention = _attend(normed, params["W_qkv"], params["W_out"], n_heads)
    normed, norm2 = _ln(normed + heard, params["gamma2"], params["beta2"], 1e-5)
    thought, ffn = _ffn(normed, params)
    y = normed + thought
    return y, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


@mistake(
    "transformer_block_forward",
    "no-second-normalization",
    "The feed-forward network reads the stream as it is. A normalization stands before it.",
)
def transformer_block_forward(x, params, n_heads):
    _, cache = _block(x, params, n_heads)
    heard = cache["attention"]["merged"] @ params["W_out"].T
    thought, ffn = _ffn(x + heard, params)
    return x + heard + thought, cache | {"ffn": ffn}


@mistake(
    "transformer_block_forward",
    "first-gamma-twice",
    "Both normalizations use gamma1 and beta1. The second has its own.",
)
def transformer_block_forward(x, params, n_heads):
    return _block(x, params | {"gamma2": params["gamma1"], "beta2": params["beta1"]}, n_heads)


@mistake(
    "transformer_block_forward",
    "another-eps",
    "The output is near, but not equal: which eps do the normalizations have?",
)
def transformer_block_forward(x, params, n_heads):
    normed, norm1 = _ln(x, params["gamma1"], params["beta1"], 1e-6)
    heard, attention = _attend(normed, params["W_qkv"], params["W_out"], n_heads)
    normed, norm2 = _ln(x + heard, params["gamma2"], params["beta2"], 1e-6)
    thought, ffn = _ffn(normed, params)
    y = x + heard + thought
    return y, {"norm1": norm1, "attention": attention, "norm2": norm2, "ffn": ffn}


@mistake(
    "transformer_block_forward",
    "relu-for-gelu",
    "The feed-forward network has ReLU between its layers. This block has GELU.",
)
def transformer_block_forward(x, params, n_heads):
    y, cache = _block(x, params, n_heads)
    ffn = cache["ffn"]
    H = np.maximum(ffn["Z"], 0)
    return y + (H - ffn["H"]) @ params["W2"].T, cache | {"ffn": ffn | {"H": H}}


@mistake(
    "transformer_block_forward",
    "exact-gelu",
    "The feed-forward network has the exact form of GELU, z times the normal distribution function. "
    "Notebook 03, and ffn_forward_batch, have the tanh form.",
)
def transformer_block_forward(x, params, n_heads):
    import math

    y, cache = _block(x, params, n_heads)
    Z, H = cache["ffn"]["Z"], cache["ffn"]["H"]
    exact = 0.5 * Z * (1 + np.vectorize(math.erf)(Z / np.sqrt(2)))
    return y + (exact - H) @ params["W2"].T, cache


@mistake(
    "transformer_block_forward",
    "no-stream-past-the-ffn",
    "Going back, the share that stays on the stream beside the feed-forward network is forgotten.",
)
def transformer_block_backward(dy, cache):
    da, second = _ffn_branch(dy, cache)
    through_attention, first = _attention_branch(da, cache)
    return da + through_attention, first | second


@mistake(
    "transformer_block_forward",
    "no-stream-past-attention",
    "Going back, the share that stays on the stream beside attention is forgotten. All gradients of "
    "the parameters are right.",
)
def transformer_block_backward(dy, cache):
    through_ffn, second = _ffn_branch(dy, cache)
    through_attention, first = _attention_branch(dy + through_ffn, cache)
    return through_attention, first | second


@mistake(
    "transformer_block_forward",
    "no-stream-at-all",
    "Going back, both shares that stay on the stream are forgotten. What does an addition do with its "
    "upstream gradient?",
)
def transformer_block_backward(dy, cache):
    da, second = _ffn_branch(dy, cache)
    dx, first = _attention_branch(da, cache)
    return dx, first | second


@mistake(
    "transformer_block_forward",
    "attention-gets-dy",
    "The attention branch receives dy. The gradient that arrives at its addition also has the share "
    "that came through the feed-forward network.",
)
def transformer_block_backward(dy, cache):
    through_ffn, second = _ffn_branch(dy, cache)
    through_attention, first = _attention_branch(dy, cache)
    return dy + through_ffn + through_attention, first | second


@mistake(
    "transformer_block_forward",
    "dy-twice",
    "dx has one dy too many: the share that stayed on the stream is already in da.",
)
def transformer_block_backward(dy, cache):
    through_ffn, second = _ffn_branch(dy, cache)
    da = dy + through_ffn
    through_attention, first = _attention_branch(da, cache)
    return dy + da + through_attention, first | second


@mistake(
    "transformer_block_forward",
    "dy-for-da",
    "dx is dy and what comes back through attention. What the feed-forward network handed to the "
    "stream is not in it.",
)
def transformer_block_backward(dy, cache):
    through_ffn, second = _ffn_branch(dy, cache)
    through_attention, first = _attention_branch(dy + through_ffn, cache)
    return dy + through_attention, first | second


@mistake(
    "transformer_block_forward",
    "branch-forgotten-in-dx",
    "What comes back through attention is not in dx, although x went into that branch.",
)
def transformer_block_backward(dy, cache):
    through_ffn, second = _ffn_branch(dy, cache)
    da = dy + through_ffn
    _, first = _attention_branch(da, cache)
    return da, first | second


@mistake(
    "transformer_block_forward",
    "norm-skipped-backward",
    "Going back out of a branch, the normalization is passed without its backward function. Its two "
    "parameters have gradients, but the stream gets the wrong share.",
)
def transformer_block_backward(dy, cache):
    _, second = _ffn_branch(dy, cache)
    da = dy + ffn_backward_batch(dy, cache["ffn"])[-1]
    _, first = _attention_branch(da, cache)
    return da + _attend_back(da, cache["attention"])[0], first | second


@mistake(
    "transformer_block_forward",
    "caches-exchanged",
    "The two normalizations got each other's cache on the way back.",
)
def transformer_block_backward(dy, cache):
    exchanged = cache | {"norm1": cache["norm2"], "norm2": cache["norm1"]}
    return _block_back(dy, exchanged)


# ------------------------------------------------------------------------------- train_step

success_note(
    "train_step",
    "This is a whole language model in one function. Larger ones repeat the line with the block.",
)


def _model(params, inputs, n_heads):
    x = params["E"][inputs] + params["P"][: inputs.shape[1]]
    y, block = _block(x, params, n_heads)
    n, norm3 = _ln(y, params["gamma3"], params["beta3"], 1e-5)
    return log_softmax(n @ params["W_vocab"].T), {"block": block, "n": n, "norm3": norm3}


def _loss(log_p, targets):
    return -np.mean(np.take_along_axis(log_p, targets[..., None], axis=-1))


def _dlogits(log_p, targets):
    return (np.exp(log_p) - np.eye(log_p.shape[-1])[targets]) / targets.size


def _model_back(params, inputs, dlogits, cache):
    dy, dgamma3, dbeta3 = _ln_back(dlogits @ params["W_vocab"], cache["norm3"])
    dx, grads = _block_back(dy, cache["block"])
    dP, dE = np.zeros_like(params["P"]), np.zeros_like(params["E"])
    dP[: inputs.shape[1]] = dx.sum(axis=0)
    np.add.at(dE, inputs, dx)
    grads |= {"W_vocab": _rows(dlogits).T @ _rows(cache["n"]), "gamma3": dgamma3}
    return grads | {"beta3": dbeta3, "P": dP, "E": dE}, dx


def _down(params, grads, lr):
    return {name: value - lr * grads[name] for name, value in params.items()}


def _step(params, inputs, targets, lr, n_heads):
    log_p, cache = _model(params, inputs, n_heads)
    grads, _ = _model_back(params, inputs, _dlogits(log_p, targets), cache)
    return _down(params, grads, lr), _loss(log_p, targets)


def _loss_and_grads(params, tokens, n_heads):
    log_p, cache = _model(params, tokens[:, :-1], n_heads)
    dlogits = _dlogits(log_p, tokens[:, 1:])
    grads, dx = _model_back(params, tokens[:, :-1], dlogits, cache)
    return _loss(log_p, tokens[:, 1:]), grads, dx


@mistake(
    "train_step",
    "targets-not-shifted",
    "The targets are the inputs themselves: the model learns to repeat what it reads. What should "
    "it say at each position?",
)
def train_step(params, tokens, lr, n_heads):
    return _step(params, tokens[:, :-1], tokens[:, :-1], lr, n_heads)


@mistake(
    "train_step",
    "predicts-the-past",
    "Inputs and targets have changed places: the model says what came before.",
)
def train_step(params, tokens, lr, n_heads):
    return _step(params, tokens[:, 1:], tokens[:, :-1], lr, n_heads)


@mistake(
    "train_step",
    "loss-summed",
    "The loss is a sum over all positions, and so are its gradients. The card asks for the mean.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    many = tokens[:, 1:].size
    return _down(params, grads, many * lr), many * loss


@mistake(
    "train_step",
    "gradients-of-a-sum",
    "The loss is a mean, but its gradients are those of a sum. Which division is absent where the "
    "backward pass begins?",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, tokens[:, 1:].size * lr), loss


@mistake(
    "train_step",
    "divided-by-sequences-only",
    "The gradient at the logits is divided by the number of sequences. The mean runs over all "
    "positions of all sequences.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, (tokens.shape[1] - 1) * lr), loss


@mistake(
    "train_step",
    "divided-by-positions-only",
    "The gradient at the logits is divided by the length of a sequence. The mean runs over the "
    "positions of all sequences.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, lr * len(tokens)), loss


@mistake(
    "train_step",
    "only-the-loss-summed",
    "The loss that is returned is a sum over all positions, and its gradients are not. The card asks "
    "for the mean.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, lr), loss * tokens[:, 1:].size


@mistake(
    "train_step",
    "divided-by-tokens",
    "The gradient at the logits is divided by the number of tokens in the batch. The last of each "
    "row is only a target, so there are fewer terms in the mean.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, lr * tokens[:, 1:].size / tokens.size), loss


@mistake(
    "train_step",
    "uphill",
    "The step goes up: the parameters move along their gradient, and the loss grows.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, -lr), loss


@mistake(
    "train_step",
    "no-learning-rate",
    "The parameters move by their whole gradient. The step has a length, lr.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, 1.0), loss


@mistake(
    "train_step",
    "loss-after-the-step",
    "The loss is that of the new parameters. Return the one from before the step; it is there "
    "already.",
)
def train_step(params, tokens, lr, n_heads):
    _, grads, _ = _loss_and_grads(params, tokens, n_heads)
    stepped = _down(params, grads, lr)
    return stepped, _loss(_model(stepped, tokens[:, :-1], n_heads)[0], tokens[:, 1:])


@mistake(
    "train_step",
    "loss-sign",
    "The loss has the opposite sign. The logarithm of a probability is negative.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, lr), -loss


@mistake(
    "train_step",
    "no-one-hot",
    "The gradient at the logits is softmax alone. What is taken away at the right character?",
)
def train_step(params, tokens, lr, n_heads):
    log_p, cache = _model(params, tokens[:, :-1], n_heads)
    dlogits = np.exp(log_p) / tokens[:, 1:].size
    grads, _ = _model_back(params, tokens[:, :-1], dlogits, cache)
    return _down(params, grads, lr), _loss(log_p, tokens[:, 1:])


@mistake(
    "train_step",
    "embedding-written-once",
    "In dE a character that occurs several times has only its last gradient. All of them add up.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, dx = _loss_and_grads(params, tokens, n_heads)
    grads["E"] = np.zeros_like(params["E"])
    grads["E"][tokens[:, :-1]] += dx
    return _down(params, grads, lr), loss


@mistake(
    "train_step",
    "embedding-by-targets",
    "dE is collected at the rows of the targets. Which rows were looked up in the forward pass?",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, dx = _loss_and_grads(params, tokens, n_heads)
    grads["E"] = np.zeros_like(params["E"])
    np.add.at(grads["E"], tokens[:, 1:], dx)
    return _down(params, grads, lr), loss


@mistake(
    "train_step",
    "positions-averaged",
    "dP is the mean over the sequences. Every sequence uses the same rows of P, and what they hand "
    "back adds up.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, dx = _loss_and_grads(params, tokens, n_heads)
    grads["P"][: dx.shape[1]] = dx.mean(axis=0)
    return _down(params, grads, lr), loss


@mistake(
    "train_step",
    "positions-of-one-sequence",
    "dP has the gradient of one sequence only. Every sequence used the rows of P.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, dx = _loss_and_grads(params, tokens, n_heads)
    grads["P"][: dx.shape[1]] = dx[0]
    return _down(params, grads, lr), loss


@mistake(
    "train_step",
    "no-positions",
    "The rows of P are not added to the embeddings, so the model cannot tell positions apart.",
)
def train_step(params, tokens, lr, n_heads):
    stepped, loss = _step(
        params | {"P": 0 * params["P"]}, tokens[:, :-1], tokens[:, 1:], lr, n_heads
    )
    return stepped | {"P": params["P"].copy()}, loss


@mistake(
    "train_step",
    "positions-stay",
    "P is not moved by the step. It has a gradient too.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, lr) | {"P": params["P"].copy()}, loss


@mistake(
    "train_step",
    "embeddings-stay",
    "E is not moved by the step. Its rows were looked up, so they have a gradient too.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    return _down(params, grads, lr) | {"E": params["E"].copy()}, loss


@mistake(
    "train_step",
    "tables-stay",
    "Neither E nor P is moved by the step. dx goes on to both of them.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    same = {name: params[name].copy() for name in ("E", "P")}
    return _down(params, grads, lr) | same, loss


@mistake(
    "train_step",
    "no-third-normalization",
    "The logits are made from the output of the block as it is. The third normalization comes first.",
)
def train_step(params, tokens, lr, n_heads):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    _, cache = _model(params, inputs, n_heads)
    x = params["E"][inputs] + params["P"][: inputs.shape[1]]
    y, block = _block(x, params, n_heads)
    log_p = log_softmax(y @ params["W_vocab"].T)
    dlogits = _dlogits(log_p, targets)
    grads, _ = _model_back(params, inputs, dlogits, cache)
    dx, found = _block_back(dlogits @ params["W_vocab"], block)
    np.add.at(found.setdefault("E", np.zeros_like(params["E"])), inputs, dx)
    found["P"] = np.zeros_like(params["P"])
    found["P"][: inputs.shape[1]] = dx.sum(axis=0)
    found["W_vocab"] = _rows(dlogits).T @ _rows(y)
    still = {name: np.zeros_like(params[name]) for name in ("gamma3", "beta3")}
    return _down(params, grads | found | still, lr), _loss(log_p, targets)


@mistake(
    "train_step",
    "third-normalization-skipped-backward",
    "Going back, the gradient goes from the logits into the block past the third normalization.",
)
def train_step(params, tokens, lr, n_heads):
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    log_p, cache = _model(params, inputs, n_heads)
    dlogits = _dlogits(log_p, targets)
    grads, _ = _model_back(params, inputs, dlogits, cache)
    dx, found = _block_back(dlogits @ params["W_vocab"], cache["block"])
    found["E"], found["P"] = np.zeros_like(params["E"]), np.zeros_like(params["P"])
    np.add.at(found["E"], inputs, dx)
    found["P"][: inputs.shape[1]] = dx.sum(axis=0)
    return _down(params, grads | found, lr), _loss(log_p, targets)


@mistake(
    "train_step",
    "in-place",
    "What came in as params is changed, so the caller's old parameters are gone. Make a new dict of "
    "new arrays.",
)
def train_step(params, tokens, lr, n_heads):
    loss, grads, _ = _loss_and_grads(params, tokens, n_heads)
    for name, value in params.items():
        value -= lr * grads[name]
    return params, loss
