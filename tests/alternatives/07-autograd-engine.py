"""Right answers of notebook 07 that look different from the solution."""

# %% dL_dd: from-symbols
a, b = 1.5, -2
c = a * b
dL_dd = c
dL_dc = (c + a) + c
dL_da = dL_dc * b + dL_dd
dL_db = dL_dc * a


# %% dL_dd: typed-in
dL_dd, dL_dc, dL_da, dL_db = -3, -4.5, 6, -6.75


# %% topological_order: two-tasks
def topological_order(t):
    done, order = set(), []
    tasks = [("look", t)]
    while tasks:
        task, node = tasks.pop()
        if task == "add":
            order.append(node)
            continue
        if id(node) in done:
            continue
        done.add(id(node))
        tasks.append(("add", node))
        for parent in reversed(list(node.parents)):
            tasks.append(("look", parent))
    return order


# %% topological_order: iterators
def topological_order(t):
    order, seen = [], {t}
    stack = [(t, iter(t.parents))]
    while stack:
        node, parents = stack[-1]
        for parent in parents:
            if parent not in seen:
                seen.add(parent)
                stack.append((parent, iter(parent.parents)))
                break
        else:
            order.append(node)
            stack.pop()
    return order


# %% topological_order: counting-children
def topological_order(t):
    nodes, waiting = {t}, [t]
    while waiting:
        for parent in waiting.pop().parents:
            if parent not in nodes:
                nodes.add(parent)
                waiting.append(parent)
    children = dict.fromkeys(nodes, 0)
    for node in nodes:
        for parent in set(node.parents):
            children[parent] += 1
    free, backward_order = [t], []
    while free:
        node = free.pop()
        backward_order.append(node)
        for parent in set(node.parents):
            children[parent] -= 1
            if children[parent] == 0:
                free.append(parent)
    return backward_order[::-1]


# %% topological_order: generator-of-a-deeper-python
def topological_order(t):
    import sys

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(t)
    sys.setrecursionlimit(before)
    return order


# %% unbroadcast: loops
def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1 and grad.shape[axis] != 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return grad


# %% unbroadcast: pad-the-shape
def unbroadcast(grad, shape):
    padded = (1,) * (grad.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i in range(grad.ndim) if padded[i] == 1)
    return grad.sum(axis=axes).reshape(shape)


# %% unbroadcast: early-return
def unbroadcast(grad, shape):
    if grad.shape == shape:
        return grad
    if grad.ndim > len(shape):
        return unbroadcast(np.add.reduce(grad, axis=0), shape)
    for axis in range(len(shape)):
        if shape[axis] < grad.shape[axis]:
            return unbroadcast(np.sum(grad, axis=axis, keepdims=True), shape)


# %% sum_backward: kept-shape
def sum_backward(dy, shape, axis, keepdims):
    kept = np.zeros(shape).sum(axis=axis, keepdims=True).shape
    return np.reshape(dy, kept) * np.ones(shape)


# %% sum_backward: by-hand
def sum_backward(dy, shape, axis, keepdims):
    dx = np.zeros(shape)
    if axis is None:
        dx += np.asarray(dy).item()
        return dx
    rows = np.moveaxis(dx, axis, 0)
    rows += np.squeeze(dy, axis=axis) if keepdims else dy
    return dx


# %% matmul_backward: case-by-case
def matmul_backward(dC, A, B):
    if A.ndim == 1 and B.ndim == 1:
        return dC * B, dC * A
    if A.ndim == 1:
        return B @ dC, np.outer(A, dC)
    if B.ndim == 1:
        return np.outer(dC, B), A.T @ dC
    dA = dC @ B.swapaxes(-1, -2)
    dB = A.swapaxes(-1, -2) @ dC
    if dA.ndim > A.ndim:
        dA = dA.sum(axis=0)
    if dB.ndim > B.ndim:
        dB = dB.sum(axis=0)
    return dA, dB


# %% matmul_backward: einsum
def matmul_backward(dC, A, B):
    left = {1: "j", 2: "ij", 3: "bij"}[A.ndim]
    right = {1: "j", 2: "jk", 3: "bjk"}[B.ndim]
    batch = "b" if 3 in (A.ndim, B.ndim) else ""
    result = batch + ("i" if A.ndim > 1 else "") + ("k" if B.ndim > 1 else "")
    dA = np.einsum(f"{result},{right}->{left}", dC, B)
    dB = np.einsum(f"{left},{result}->{right}", A, dC)
    return dA, dB


# %% Tensor: closures-that-add
class Tensor:
    recording = True

    def __init__(self, data, op="", parents=()):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros_like(self.data)
        self.op = op
        self.parents = set(parents) if Tensor.recording else set()
        self._backward = lambda: None

    def _add_grad(self, g):
        g = np.asarray(g)
        while g.ndim > self.data.ndim:
            g = g.sum(axis=0)
        for axis, n in enumerate(self.data.shape):
            if n == 1:
                g = g.sum(axis=axis, keepdims=True)
        self.grad = self.grad + g

    def _binary(self, other, op, f, df):
        other = other if isinstance(other, Tensor) else Tensor(other)
        out = Tensor(f(self.data, other.data), op, (self, other))

        def _backward():
            da, db = df(out.grad, self.data, other.data)
            self._add_grad(da)
            other._add_grad(db)

        out._backward = _backward
        return out

    def _unary(self, op, y, df):
        out = Tensor(y, op, (self,))

        def _backward():
            self._add_grad(df(out.grad))

        out._backward = _backward
        return out

    def __add__(self, other):
        return self._binary(other, "+", lambda a, b: a + b, lambda g, a, b: (g, g))

    def __mul__(self, other):
        return self._binary(other, "*", lambda a, b: a * b, lambda g, a, b: (g * b, g * a))

    def __matmul__(self, other):
        return self._binary(other, "@", lambda a, b: a @ b, matmul_backward)

    def __pow__(self, n):
        return self._unary("**", self.data**n, lambda g: g * n * self.data ** (n - 1))

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def __truediv__(self, other):
        return self * (other**-1)

    def __radd__(self, other):
        return self + other

    def __rsub__(self, other):
        return (-self) + other

    def __rmul__(self, other):
        return self * other

    def __rtruediv__(self, other):
        return self**-1 * other

    def sum(self, axis=None, keepdims=False):
        y = self.data.sum(axis=axis, keepdims=keepdims)
        kept = self.data.sum(axis=axis, keepdims=True).shape
        return self._unary("sum", y, lambda g: g.reshape(kept) + 0 * self.data)

    def mean(self, axis=None, keepdims=False):
        total = self.sum(axis=axis, keepdims=keepdims)
        return total * (total.data.size / self.data.size)

    def reshape(self, *shape):
        return self._unary(
            "reshape", self.data.reshape(*shape), lambda g: g.reshape(self.data.shape)
        )

    T = property(lambda self: self._unary("transpose", self.data.T, lambda g: g.T))

    def exp(self):
        y = np.exp(self.data)
        return self._unary("exp", y, lambda g: g * y)

    def log(self):
        return self._unary("ln", np.log(self.data), lambda g: g / self.data)

    def tanh(self):
        y = np.tanh(self.data)
        return self._unary("tanh", y, lambda g: g * (1 - y * y))

    def relu(self):
        return self._unary("ReLU", self.data * (self.data > 0), lambda g: g * (self.data > 0))

    def backward(self):
        self.grad = np.ones_like(self.data)
        for node in reversed(topological_order(self)):
            node._backward()


# %% Tensor: functions-with-two-methods
class _Add:
    name = "add"

    def forward(self, a, b):
        return a + b

    def backward(self, g):
        return g, g


class _Mul:
    name = "mul"

    def forward(self, a, b):
        self.a, self.b = a, b
        return a * b

    def backward(self, g):
        return g * self.b, g * self.a


class _Pow:
    name = "pow"

    def __init__(self, n):
        self.n = n

    def forward(self, a):
        self.a = a
        return a**self.n

    def backward(self, g):
        return (g * self.n * self.a ** (self.n - 1),)


class _MatMul:
    name = "matmul"

    def forward(self, a, b):
        self.a, self.b = a, b
        return a @ b

    def backward(self, g):
        return matmul_backward(g, self.a, self.b)


class _Sum:
    name = "sum"

    def __init__(self, axis, keepdims):
        self.axis, self.keepdims = axis, keepdims

    def forward(self, a):
        self.shape = a.shape
        return np.sum(a, axis=self.axis, keepdims=self.keepdims)

    def backward(self, g):
        return (sum_backward(g, self.shape, self.axis, self.keepdims),)


class _Move:
    def __init__(self, name, there):
        self.name, self.there = name, there

    def forward(self, a):
        self.shape = a.shape
        self.places = self.there(np.arange(a.size).reshape(a.shape)).ravel()
        return self.there(a)

    def backward(self, g):
        back = np.empty(g.size)
        back[self.places] = g.ravel()
        return (back.reshape(self.shape),)


class _EachEntry:
    def __init__(self, name, f, slope):
        self.name, self.f, self.slope = name, f, slope

    def forward(self, a):
        self.a, self.y = a, self.f(a)
        return self.y

    def backward(self, g):
        return (g * self.slope(self.a, self.y),)


def _apply(function, *inputs):
    inputs = [t if isinstance(t, Tensor) else Tensor(t) for t in inputs]
    out = Tensor(function.forward(*[t.data for t in inputs]))
    if Tensor.recording:
        out.function, out.parents, out.op = function, inputs, function.name
    return out


class Tensor:
    recording = True

    def __init__(self, data):
        self.data = np.array(data).astype(np.float64)
        self.grad, self.function, self.parents, self.op = None, None, [], None

    def backward(self):
        grads = {self: np.array(1.0)}
        for node in topological_order(self)[::-1]:
            g = grads[node]
            if node.function is None:
                node.grad = g if node.grad is None else node.grad + g
                continue
            node.grad = g
            for parent, share in zip(node.parents, node.function.backward(g)):
                share = unbroadcast(np.asarray(share), parent.data.shape)
                grads[parent] = grads[parent] + share if parent in grads else share

    def __add__(self, other):
        return _apply(_Add(), self, other)

    def __mul__(self, other):
        return _apply(_Mul(), self, other)

    def __sub__(self, other):
        return self + _apply(_Mul(), other, -1)

    def __neg__(self):
        return self * -1

    def __pow__(self, n):
        return _apply(_Pow(n), self)

    def __truediv__(self, other):
        return self * _apply(_Pow(-1), other)

    def __matmul__(self, other):
        return _apply(_MatMul(), self, other)

    def __radd__(self, other):
        return _apply(_Add(), other, self)

    def __rmul__(self, other):
        return _apply(_Mul(), other, self)

    def __rsub__(self, other):
        return Tensor(other) - self

    def __rtruediv__(self, other):
        return Tensor(other) / self

    def sum(self, axis=None, keepdims=False):
        return _apply(_Sum(axis, keepdims), self)

    def mean(self, axis=None, keepdims=False):
        total = self.sum(axis, keepdims)
        return total / (self.data.size // total.data.size)

    def reshape(self, shape):
        return _apply(_Move("reshape", lambda a: a.reshape(shape)), self)

    @property
    def T(self):
        return _apply(_Move("T", np.transpose), self)

    def exp(self):
        return _apply(_EachEntry("exp", np.exp, lambda a, y: y), self)

    def log(self):
        return _apply(_EachEntry("log", np.log, lambda a, y: 1 / a), self)

    def tanh(self):
        return _apply(_EachEntry("tanh", np.tanh, lambda a, y: 1 - y**2), self)

    def relu(self):
        return _apply(
            _EachEntry("relu", lambda a: np.maximum(0, a), lambda a, y: (y > 0).astype(float)), self
        )


# %% Tensor: recipes-in-pairs
class Tensor:
    recording = True

    def __init__(self, data, op="", recipe=()):
        self.data = np.array(data, dtype="float64")
        self.op = op
        self.grad = None
        # Pairs of a parent and the function that turns upstream into its gradient.
        self.recipe = list(recipe) if Tensor.recording else []

    @property
    def parents(self):
        return tuple(parent for parent, _ in self.recipe)

    def backward(self):
        order = topological_order(self)
        middle = [node for node in order if node.recipe]
        for node in middle:
            node.grad = np.zeros(node.data.shape)
        for node in order:
            if node.grad is None:
                node.grad = np.zeros(node.data.shape)
        self.grad += 1.0
        for node in reversed(middle):
            for parent, local in node.recipe:
                parent.grad += unbroadcast(np.asarray(local(node.grad)), parent.data.shape)

    def __add__(self, o):
        o = _tensor(o)
        return Tensor(self.data + o.data, "+", [(self, lambda g: g), (o, lambda g: g)])

    def __sub__(self, o):
        o = _tensor(o)
        return Tensor(self.data - o.data, "-", [(self, lambda g: g), (o, lambda g: -g)])

    def __mul__(self, o):
        o = _tensor(o)
        recipe = [(self, lambda g: g * o.data), (o, lambda g: g * self.data)]
        return Tensor(self.data * o.data, "*", recipe)

    def __truediv__(self, o):
        o = _tensor(o)
        y = self.data / o.data
        return Tensor(y, "/", [(self, lambda g: g / o.data), (o, lambda g: -g * y / o.data)])

    def __pow__(self, n):
        slope = n * self.data ** (n - 1)
        return Tensor(self.data**n, "**", [(self, lambda g: g * slope)])

    def __matmul__(self, o):
        o = _tensor(o)
        first = (self, lambda g: matmul_backward(g, self.data, o.data)[0])
        second = (o, lambda g: matmul_backward(g, self.data, o.data)[1])
        return Tensor(np.matmul(self.data, o.data), "@", [first, second])

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self):
        return Tensor(-self.data, "-()", [(self, lambda g: -g)])

    def __rsub__(self, o):
        return _tensor(o) - self

    def __rtruediv__(self, o):
        return _tensor(o) / self

    def sum(self, axis=None, keepdims=False):
        def back(g):
            return sum_backward(g, self.data.shape, axis, keepdims)

        return Tensor(np.sum(self.data, axis, keepdims=keepdims), "sum", [(self, back)])

    def mean(self, axis=None, keepdims=False):
        y = self.data.mean(axis, keepdims=keepdims)
        share = y.size / self.data.size

        def back(g):
            return share * sum_backward(g, self.data.shape, axis, keepdims)

        return Tensor(y, "mean", [(self, back)])

    def reshape(self, *shape):
        return Tensor(
            self.data.reshape(*shape), "reshape", [(self, lambda g: g.reshape(self.data.shape))]
        )

    @property
    def T(self):
        return Tensor(self.data.transpose(), "T", [(self, np.transpose)])

    def exp(self):
        out = Tensor(np.exp(self.data), "exp")
        if Tensor.recording:
            out.recipe = [(self, lambda g: g * out.data)]
        return out

    def log(self):
        return Tensor(np.log(self.data), "log", [(self, lambda g: g * self.data**-1)])

    def tanh(self):
        return Tensor(np.tanh(self.data), "tanh", [(self, lambda g: g / np.cosh(self.data) ** 2)])

    def relu(self):
        return Tensor(
            np.where(self.data > 0, self.data, 0),
            "relu",
            [(self, lambda g: np.where(self.data > 0, g, 0))],
        )


def _tensor(value):
    return value if isinstance(value, Tensor) else Tensor(value)


# %% no_grad: generator
import contextlib


@contextlib.contextmanager
def no_grad():
    before, Tensor.recording = Tensor.recording, False
    try:
        yield
    finally:
        Tensor.recording = before


# %% no_grad: base-class
from contextlib import ContextDecorator


class no_grad(ContextDecorator):
    def __init__(self):
        self.stack = []

    def __enter__(self):
        self.stack.append(Tensor.recording)
        Tensor.recording = False
        return self

    def __exit__(self, kind, error, trace):
        Tensor.recording = self.stack.pop()
        return False


# %% no_grad: counting-depth
class no_grad:
    depth = 0

    def __enter__(self):
        no_grad.depth += 1
        Tensor.recording = False

    def __exit__(self, *error):
        no_grad.depth -= 1
        Tensor.recording = no_grad.depth == 0


# %% gradient_of: through-a-copy
def gradient_of(f, x):
    t = Tensor(np.copy(x))
    out = f(t)
    out.backward()
    return np.array(t.grad)


# %% gradient_of: keyword-free-one-liner
def gradient_of(f, x):
    leaf = Tensor(x)
    return (f(leaf).backward(), leaf.grad)[1]


# %% mean_cross_entropy: mean-of-rows
def mean_cross_entropy(logits, one_hot):
    s = logits - Tensor(np.max(logits.data, axis=1, keepdims=True))
    right = (s * Tensor(one_hot)).sum(axis=1)
    return (s.exp().sum(axis=1).log() - right).mean()


# %% mean_cross_entropy: shift-added-back
def mean_cross_entropy(logits, one_hot):
    m = np.max(logits.data, axis=-1, keepdims=True)
    lse = (logits - m).exp().sum(axis=-1, keepdims=True).log() + m
    B, C = one_hot.shape
    return ((lse - logits) * one_hot).mean() * C


# %% mlp_gradients: scalar-products
def mlp_gradients(x, y, W1, W2, lam):
    A, B = Tensor(W1), Tensor(W2)
    e = B @ (A @ x).tanh() - y
    J = (e @ e) / 2 + ((A * A).sum() + (B * B).sum()) * (lam / 2)
    J.backward()
    return float(J.data), A.grad, B.grad


# %% mlp_gradients: two-losses
def mlp_gradients(x, y, W1, W2, lam):
    A, B = Tensor(W1), Tensor(W2)
    h = (A @ Tensor(x)).tanh()
    L = 0.5 * ((B @ h - Tensor(y)) ** 2).sum()
    L.backward()
    s = lam * 0.5 * ((A**2).sum() + (B**2).sum())
    s.backward()
    return L.data + s.data, A.grad, B.grad


# %% fit_step: all-entries
def fit_step(params, X, Y, learning_rate):
    W1, b1, W2, b2 = map(Tensor, params)
    H = (W1 @ X.T).T + b1
    out = (W2 @ H.relu().T).T + b2
    loss = ((out - Y) * (out - Y)).sum() / Y.size
    loss.backward()
    return float(loss.data), [p.data - learning_rate * p.grad for p in (W1, b1, W2, b2)]


# %% fit_step: loop-over-params
def fit_step(params, X, Y, learning_rate):
    tensors = [Tensor(p) for p in params]
    out = Tensor(X)
    for i in (0, 2):
        out = out @ tensors[i].T + tensors[i + 1]
        if i == 0:
            out = out.relu()
    loss = ((Tensor(Y) - out) ** 2).mean()
    loss.backward()
    updated = []
    for p, t in zip(params, tensors):
        updated.append(p - learning_rate * t.grad)
    return loss.data, updated
