"""Right answers of notebook 01 that look different from the solution."""


# %% affine: einsum
def affine(x, W, b):
    return np.einsum("ij,j->i", W, x) + b


# %% affine: loop-over-outputs
def affine(x, W, b):
    z = np.zeros(len(b))
    for i in range(len(b)):
        z[i] = sum(W[i, j] * x[j] for j in range(len(x))) + b[i]
    return z


# %% affine: column-vector
def affine(x, W, b):
    column = np.matmul(W, x[:, None]) + b[:, None]
    return column.ravel()


# %% affine_batch: einsum
def affine_batch(X, W, b):
    return np.einsum("sj,ij->si", X, W) + b


# %% affine_batch: loop-over-outputs
def affine_batch(X, W, b):
    Z = np.empty((X.shape[0], W.shape[0]))
    for i in range(W.shape[0]):
        Z[:, i] = (X * W[i]).sum(axis=1) + b[i]
    return Z


# %% affine_batch: transposed-twice
def affine_batch(X, W, b):
    return (W.dot(X.T) + b.reshape(-1, 1)).T.copy()


# %% affine_batch: column-of-ones
def affine_batch(X, W, b):
    ones = np.ones((len(X), 1))
    return np.hstack([X, ones]) @ np.hstack([W, b[:, None]]).T


# %% affine_batch: einsum-that-plans
def affine_batch(X, W, b):
    return np.einsum("ki,oi->ko", X, W, optimize=True) + b


# %% affine_batch: own-helper
def layer(X, W, b):
    return np.dot(X, W.T) + b


def affine_batch(X, W, b):
    return layer(X, W, b)


# %% relu: where
def relu(z):
    return np.where(z > 0, z, 0.0)


# %% relu: product-with-mask
def relu(z):
    return z * (z > 0)


# %% relu: copy-then-overwrite
def relu(z):
    a = z.copy()
    a[a < 0] = 0
    return a


# %% relu: half-of-sum
def relu(z):
    return (z + np.abs(z)) / 2


# %% sigmoid: two-parts
def sigmoid(z):
    a = np.empty_like(z)
    right = z >= 0
    a[right] = 1 / (1 + np.exp(-z[right]))
    e = np.exp(z[~right])
    a[~right] = e / (1 + e)
    return a


# %% sigmoid: tanh
def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


# %% sigmoid: clipped-far-out
def sigmoid(z):
    return 1 / (1 + np.exp(-np.clip(z, -500, 500)))


# %% sigmoid: logaddexp
def sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


# %% softmax: log-sum-exp
def softmax(z, axis=-1):
    m = z.max(axis=axis, keepdims=True)
    return np.exp(z - m - np.log(np.exp(z - m).sum(axis=axis, keepdims=True)))


# %% softmax: moved-axis
def softmax(z, axis=-1):
    moved = np.moveaxis(z, axis, 0)
    e = np.exp(moved - moved.max(axis=0))
    return np.moveaxis(e / e.sum(axis=0), 0, axis)


# %% softmax: expand-dims
def softmax(z, axis=-1):
    e = np.exp(z - np.expand_dims(z.max(axis), axis))
    e /= np.expand_dims(e.sum(axis), axis)
    return e


# %% z1: computed-with-numpy
z1 = np.array([[0.2, -0.3], [0.4, 0.1], [-0.5, 0.6]]) @ np.array([0.5, 0.8]) + [0.1, -0.2, 0.0]
a1 = np.maximum(0, z1)
z2 = np.array([[0.7, -0.4, 0.3]]) @ a1 + np.array([-0.1])
y_hat = 1 / (1 + np.exp(-z2))
dead_neurons = [i for i, a in enumerate(a1) if a == 0]
predicted_class = int(y_hat[0] >= 0.5)

# %% z1: tuples-and-rounding
z1, a1 = (-0.04, 0.08, 0.23), (0, 0.08, 0.23)
z2, y_hat = -0.063, 0.484
dead_neurons, predicted_class = (0,), 0

# %% z1: zero-dimensional
z1 = np.array([-0.04, 0.08, 0.23])
a1 = z1 * (z1 > 0)
z2 = float(0.7 * a1[0] - 0.4 * a1[1] + 0.3 * a1[2] - 0.1)
y_hat = np.exp(z2) / (1 + np.exp(z2))
dead_neurons = list(np.flatnonzero(a1 == 0))
predicted_class = np.int64(0)


# %% forward_pass_manual: hidden-then-output
def forward_pass_manual(x, weights, biases):
    cache = {"a0": x}
    L = len(weights)
    for l in range(1, L):
        cache[f"z{l}"] = cache[f"a{l - 1}"] @ weights[l - 1].T + biases[l - 1]
        cache[f"a{l}"] = np.where(cache[f"z{l}"] > 0, cache[f"z{l}"], 0.0)
    cache[f"z{L}"] = cache[f"a{L - 1}"] @ weights[-1].T + biases[-1]
    cache[f"a{L}"] = 1 / (1 + np.exp(-cache[f"z{L}"]))
    return cache[f"a{L}"], cache


# %% forward_pass_manual: extra-keys
def forward_pass_manual(x, weights, biases):
    cache = {"a0": x.copy(), "weights": list(weights), "layers": len(weights)}
    a = x
    for number, W in enumerate(weights):
        z = np.dot(a, W.T) + biases[number]
        last = number == len(weights) - 1
        a = np.exp(-np.logaddexp(0, -z)) if last else np.clip(z, 0, None)
        cache["z" + str(number + 1)] = z
        cache["a" + str(number + 1)] = a
    return a.copy(), cache


# %% forward_pass_manual: recursive
def forward_pass_manual(x, weights, biases):
    def layer(i):
        if i == 0:
            return x
        z = np.einsum("bj,ij->bi", layer_output[i - 1], weights[i - 1]) + biases[i - 1]
        cache[f"z{i}"] = z
        return 1 / (1 + np.exp(-z)) if i == len(weights) else (np.abs(z) + z) / 2

    cache, layer_output = {}, {}
    for i in range(len(weights) + 1):
        layer_output[i] = layer(i)
        cache[f"a{i}"] = layer_output[i]
    return layer_output[len(weights)], cache


# %% log_softmax: logaddexp
def log_softmax(z, axis=-1):
    return z - np.expand_dims(np.logaddexp.reduce(z, axis=axis), axis)


# %% log_softmax: moved-axis
def log_softmax(z, axis=-1):
    moved = np.moveaxis(z, axis, -1)
    m = moved.max(-1)[..., None]
    result = moved - (m + np.log(np.exp(moved - m).sum(-1))[..., None])
    return np.ascontiguousarray(np.moveaxis(result, -1, axis))


# %% log_softmax: helper
def log_sum_exp(z, axis):
    m = np.amax(z, axis=axis, keepdims=True)
    return m + np.log(np.add.reduce(np.exp(z - m), axis=axis, keepdims=True))


def log_softmax(z, axis=-1):
    return z - log_sum_exp(z, axis)


# %% cross_entropy_with_logits: loop
def cross_entropy_with_logits(logits, targets):
    total = 0.0
    for row, target in zip(logits, targets):
        m = max(row)
        total += m + np.log(sum(np.exp(v - m) for v in row)) - row[target]
    return total / len(targets)


# %% cross_entropy_with_logits: one-hot
def cross_entropy_with_logits(logits, targets):
    one_hot = np.eye(logits.shape[1])[targets]
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(one_hot * log_p).sum() / logits.shape[0]


# %% cross_entropy_with_logits: take-along-axis
def cross_entropy_with_logits(logits, targets):
    picked = np.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    return float(np.mean(np.logaddexp.reduce(logits, axis=1) - picked))


# %% bce_with_logits: logaddexp
def bce_with_logits(z, y):
    return float((np.logaddexp(0, z) - z * y).mean())


# %% bce_with_logits: two-cases
def bce_with_logits(z, y):
    margins = np.where(y == 1, z, -z)
    return np.mean(np.logaddexp(0.0, -margins))


# %% bce_with_logits: loop
def bce_with_logits(z, y):
    total = 0.0
    for logit, target in zip(z.ravel(), y.ravel()):
        total += max(logit, 0) - logit * target + np.log(1 + np.exp(-abs(logit)))
    return total / z.size


# %% TrackedMLP: parameter-lists
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        pairs = list(zip(layer_sizes[:-1], layer_sizes[1:]))
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(m, n)) for n, m in pairs])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(m)) for _, m in pairs])

    def forward(self, x, return_intermediates=False):
        a, cache = x, {"a0": x}
        for i in range(len(self.weights)):
            z = a @ self.weights[i].T + self.biases[i]
            a = z if i == len(self.weights) - 1 else z.clamp(min=0)
            cache[f"z{i + 1}"], cache[f"a{i + 1}"] = z, a
        if return_intermediates:
            return a, cache
        return a


# %% TrackedMLP: named-attributes
class TrackedMLP(torch.nn.Module):
    def __init__(self, layer_sizes):
        torch.nn.Module.__init__(self)
        self.depth = len(layer_sizes) - 1
        for i in range(self.depth):
            self.add_module(f"layer{i}", torch.nn.Linear(layer_sizes[i], layer_sizes[i + 1]))

    def forward(self, x, return_intermediates=False):
        cache = {}
        cache["a0"] = x
        for i in range(1, self.depth + 1):
            cache[f"z{i}"] = getattr(self, f"layer{i - 1}")(cache[f"a{i - 1}"])
            hidden = i < self.depth
            cache[f"a{i}"] = F.relu(cache[f"z{i}"]) if hidden else cache[f"z{i}"]
        output = cache[f"a{self.depth}"]
        return (output, cache) if return_intermediates else output


# %% TrackedMLP: sequential
class TrackedMLP(nn.Module):
    def __init__(self, layer_sizes):
        super().__init__()
        modules = []
        for n_in, n_out in zip(layer_sizes, layer_sizes[1:]):
            modules += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.net = nn.Sequential(*modules[:-1])

    def forward(self, x, return_intermediates=False):
        if not return_intermediates:
            return self.net(x)
        cache, number = {"a0": x}, 0
        for module in self.net:
            x = module(x)
            if isinstance(module, nn.Linear):
                number += 1
                cache[f"z{number}"] = x
            cache[f"a{number}"] = x
        return x, cache


# %% predict: inference-mode
def predict(model, x):
    with torch.inference_mode():
        return model(x)


# %% predict: detach
def predict(model, x):
    return model(x).detach()


# %% predict: decorator
@torch.no_grad()
def predict(model, x):
    was_training = model.training
    model.eval()
    output = model(x)
    model.train(was_training)
    return output


# %% forward_flops: loop
def forward_flops(layer_sizes, batch_size):
    flops = 0
    for i in range(1, len(layer_sizes)):
        flops += 2 * batch_size * layer_sizes[i - 1] * layer_sizes[i]
    return flops


# %% forward_flops: dot
def forward_flops(layer_sizes, batch_size):
    sizes = np.array(layer_sizes)
    return 2 * batch_size * np.dot(sizes[:-1], sizes[1:])


# %% stored_activations: loop
def stored_activations(layer_sizes, batch_size, training):
    if not training:
        return max(batch_size * n for n in layer_sizes)
    count = batch_size * layer_sizes[0]
    for n in layer_sizes[1:]:
        count += batch_size * n + batch_size * n
    return count


# %% stored_activations: numpy
def stored_activations(layer_sizes, batch_size, training):
    sizes = np.array(layer_sizes)
    return batch_size * ((2 * sizes.sum() - sizes[0]) if training else sizes.max())


# %% activation_statistics: by-hand
def activation_statistics(X, weights, biases):
    statistics, a = [], X
    for i in range(len(weights)):
        z = a @ weights[i].T + biases[i]
        a = np.maximum(z, 0) if i < len(weights) - 1 else 1 / (1 + np.exp(-z))
        mean = a.sum() / a.size
        std = (((a - mean) ** 2).sum() / a.size) ** 0.5
        statistics.append([float(mean), float(std)])
    return statistics


# %% activation_statistics: methods
def activation_statistics(X, weights, biases):
    output, cache = forward_pass_manual(X, weights, biases)
    return [(cache[k].mean().item(), cache[k].std().item()) for k in cache if k[0] == "a"][1:]


# %% small_hidden: tuple
small_hidden, he_hidden, large_hidden, large_output = "vanish", "keep", "explode", "saturate"

# %% small_hidden: measured
stds = [activation_statistics(*experiment(c)) for c in (0.2, 1.0, 3.0)]
words = []
for s in stds:
    ratio = s[7][1] / s[0][1]
    words.append("vanish" if ratio < 0.1 else "explode" if ratio > 10 else "keep")
small_hidden, he_hidden, large_hidden = words
large_output = "saturate"
