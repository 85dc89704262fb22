"""Mistakes of notebook 07, an autograd engine.

A wrong ``Tensor`` is the right one below with one method replaced.
"""

import numpy as np

from autograder.mistakes import mistake, success_note

# ------------------------------------------------------------------------------ dL_dd

success_note(
    "dL_dd",
    "You went from the last line to the first, and added where two arrows met. The engine does this.",
)


@mistake(
    "dL_dd",
    "direct-only",
    "The gradient at c has one term, the one of the last line. A second arrow leaves c.",
)
def typed():
    return {"dL_dd": -3.0, "dL_dc": -1.5, "dL_da": 0.0, "dL_db": -2.25}


@mistake(
    "dL_dd",
    "through-d-only",
    "The gradient at c has only the part that comes through d. c also stands in the last line itself.",
)
def typed():
    return {"dL_dd": -3.0, "dL_dc": -3.0, "dL_da": 3.0, "dL_db": -4.5}


@mistake(
    "dL_dd",
    "own-value",
    "The slope of a product for one factor is the other factor; here dL_dd is the value of d itself.",
)
def typed():
    return {"dL_dd": -1.5, "dL_dc": -4.5, "dL_da": -8.25, "dL_db": 9.0}


@mistake(
    "dL_dd",
    "a-once",
    "The gradient at a has the part through c only. In which other line does a stand?",
)
def typed():
    return {"dL_dd": -3.0, "dL_dc": -4.5, "dL_da": 9.0, "dL_db": -6.75}


@mistake(
    "dL_dd",
    "a-direct",
    "The gradient at a has the part through d only. a is a factor of c as well.",
)
def typed():
    return {"dL_dd": -3.0, "dL_dc": -4.5, "dL_da": -3.0, "dL_db": -6.75}


@mistake(
    "dL_dd",
    "local-slopes",
    "These are the slopes of each line by itself. What is missing is the gradient that arrives from "
    "the lines behind.",
)
def typed():
    return {"dL_dd": -3.0, "dL_dc": -0.5, "dL_da": -1.0, "dL_db": 1.5}


# ------------------------------------------------------------------------------ topological_order

success_note(
    "topological_order",
    "Walked from its end, this list meets every node after all that were computed from it. So each "
    "gradient is complete when it is passed on.",
)


@mistake(
    "topological_order",
    "children-first",
    "The list begins at t and goes back to the leaves. Parents are to stand before their children.",
)
def topological_order(t):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent in node.parents:
                visit(parent)
            order.insert(0, node)

    visit(t)
    return order


@mistake(
    "topological_order",
    "before-its-parents",
    "A node enters the list when it is met, before its parents do. A long and a short way between "
    "two nodes then put one of them too late.",
)
def topological_order(t):
    order, stack = [], [t]
    while stack:
        node = stack.pop()
        if node not in order:
            order.append(node)
            stack.extend(node.parents)
    return order[::-1]


@mistake(
    "topological_order",
    "breadth-first",
    "The nodes come in rounds: t, its parents, their parents. A node that is reached in two rounds "
    "stands in the wrong one.",
)
def topological_order(t):
    order, queue = [], [t]
    while queue:
        node = queue.pop(0)
        if node not in order:
            order.append(node)
            queue.extend(node.parents)
    return order[::-1]


@mistake(
    "topological_order",
    "nodes-twice",
    "A node stands in the list as often as it is used. Which nodes have you seen already?",
)
def topological_order(t):
    order, stack = [], [(t, False)]
    for _ in range(20_000):
        if not stack:
            break
        node, ready = stack.pop()
        if ready:
            order.append(node)
        else:
            stack.append((node, True))
            stack.extend((parent, False) for parent in list(node.parents)[::-1])
    return order


@mistake(
    "topological_order",
    "calls-itself",
    "The order is right, but a function that calls itself once for each node stops at about 1,000 "
    "nodes. Keep a stack of your own.",
)
def topological_order(t):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent in node.parents:
                visit(parent)
            order.append(node)

    visit(t)
    return order


@mistake(
    "topological_order", "without-t", "t itself is not in the list. It is a node too, the last."
)
def topological_order(t):
    return _order(t)[:-1]


@mistake(
    "topological_order",
    "without-leaves",
    "The leaves are not in the list. A node without parents is a node: its gradient is wanted most.",
)
def topological_order(t):
    return [node for node in _order(t) if len(node.parents) or node is t]


@mistake(
    "topological_order",
    "first-parent-only",
    "Only the first parent of each node is followed. What is behind the others?",
)
def topological_order(t):
    order = [t]
    while len(order[-1].parents):
        order.append(next(iter(order[-1].parents)))
    return order[::-1]


@mistake(
    "topological_order",
    "parents-and-t-only",
    "The list has t and its parents, and ends there. The parents have parents too.",
)
def topological_order(t):
    return [*dict.fromkeys(t.parents), t]


def _order(t):
    order, seen, stack = [], set(), [(t, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((parent, False) for parent in node.parents)
    return order


# ------------------------------------------------------------------------------ unbroadcast

success_note(
    "unbroadcast",
    "One rule covers all cases: an entry that was used n times receives the sum of n contributions.",
)


@mistake(
    "unbroadcast",
    "mean",
    "The contributions are averaged. An array that is used n times receives their sum.",
)
def unbroadcast(grad, shape):
    repeats = grad.size / max(int(np.prod(shape)), 1)
    return _unbroadcast(grad, shape) / repeats


@mistake(
    "unbroadcast",
    "first-copy",
    "Of the repeated copies, only the first one's gradient is kept. What about the others?",
)
def unbroadcast(grad, shape):
    for _ in range(grad.ndim - len(shape)):
        grad = grad[0]
    for axis, n in enumerate(shape):
        if n == 1:
            grad = grad.take([0], axis=axis)
    return grad.copy()


@mistake(
    "unbroadcast",
    "axes-in-front-only",
    "Axes that NumPy put in front are added up, but axes of length 1 that it stretched are not.",
)
def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    return grad


@mistake(
    "unbroadcast",
    "axes-of-length-1-only",
    "Stretched axes are added up, but axes that NumPy put in front are still there.",
)
def unbroadcast(grad, shape):
    if grad.ndim > len(shape):
        return grad
    return _unbroadcast(grad, shape)


@mistake(
    "unbroadcast",
    "not-at-once",
    "Each of the two cases works by itself. When both happen to one array, only the axes in front "
    "are added up.",
)
def unbroadcast(grad, shape):
    if grad.ndim > len(shape):
        return grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    return _unbroadcast(grad, shape)


@mistake(
    "unbroadcast",
    "axes-behind",
    "The last axes are added up. NumPy puts missing axes in front of an array.",
)
def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=-1)
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and i < grad.ndim)
    return grad.sum(axis=stretched, keepdims=True)


@mistake(
    "unbroadcast",
    "axis-lost",
    "A stretched axis is added up and then gone. In the result it must remain, with length 1.",
)
def unbroadcast(grad, shape):
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1))


def _unbroadcast(grad, shape):
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


# ------------------------------------------------------------------------------ sum_backward

success_note(
    "sum_backward",
    "Sum and broadcasting undo each other's shapes, and each is the other's way back.",
)


@mistake(
    "sum_backward",
    "divided",
    "The upstream gradient is divided by how many entries were added. That belongs to a mean.",
)
def sum_backward(dy, shape, axis, keepdims):
    dx = _sum_backward(dy, shape, axis, keepdims)
    return dx * np.size(dy) / max(dx.size, 1)


@mistake(
    "sum_backward",
    "no-upstream",
    "Every entry receives 1, the slope of a sum. Where is the upstream gradient?",
)
def sum_backward(dy, shape, axis, keepdims):
    return np.ones(shape)


@mistake(
    "sum_backward",
    "axis-in-front",
    "The axis that is gone comes back in front, where NumPy puts it, wherever it was before. In a "
    "square this repeats along the wrong axis.",
)
def sum_backward(dy, shape, axis, keepdims):
    return np.broadcast_to(dy, shape).copy()


@mistake(
    "sum_backward",
    "axis-behind",
    "The axis that is gone is put back at the end, wherever it was.",
)
def sum_backward(dy, shape, axis, keepdims):
    if axis is not None and not keepdims:
        dy = np.asarray(dy)[..., np.newaxis]
    return np.broadcast_to(dy, shape).copy()


@mistake(
    "sum_backward",
    "upstream-added-up",
    "Every entry receives the sum of all upstream gradients. Each entry was added into one sum only.",
)
def sum_backward(dy, shape, axis, keepdims):
    return np.full(shape, np.sum(dy))


@mistake(
    "sum_backward",
    "axis-always-put-back",
    "An axis is put back even when the sum kept it. What does keepdims say?",
)
def sum_backward(dy, shape, axis, keepdims):
    if axis is not None:
        dy = np.expand_dims(dy, axis)
    return dy * np.ones(shape)


def _sum_backward(dy, shape, axis, keepdims):
    if axis is not None and not keepdims:
        dy = np.expand_dims(dy, axis)
    return np.broadcast_to(dy, shape).copy()


# ------------------------------------------------------------------------------ matmul_backward

success_note(
    "matmul_backward",
    "A vector is a matrix with one row or one column, and a matrix in a batch is used k times: two "
    "remarks, and no new formula.",
)


@mistake(
    "matmul_backward",
    "no-transposes",
    "The factors are not transposed. In a square case the shapes fit all the same.",
)
def matmul_backward(dC, A, B):
    return dC @ B, A @ dC


@mistake(
    "matmul_backward",
    "wrong-sides",
    "The transposed factors stand on the wrong side of dC. A matrix product depends on the order.",
)
def matmul_backward(dC, A, B):
    return B.T @ dC, dC @ A.T


@mistake(
    "matmul_backward",
    "own-factor",
    "Each gradient is computed from the factor itself. The gradient of one takes the other.",
)
def matmul_backward(dC, A, B):
    return dC @ A.T, B.T @ dC


@mistake(
    "matmul_backward",
    "T-of-a-batch",
    "Matrices and vectors are right. For a batch, .T reverses all three axes, the one that counts the "
    "matrices as well.",
)
def matmul_backward(dC, A, B):
    if A.ndim < 3 and B.ndim < 3:
        return _matmul_backward(dC, A, B)
    return dC @ B.T, A.T @ dC


@mistake(
    "matmul_backward",
    "batch-not-added-up",
    "A matrix that is used for every matrix of a batch still has a gradient for each use.",
)
def matmul_backward(dC, A, B):
    if A.ndim < 3 and B.ndim < 3:
        return _matmul_backward(dC, A, B)
    return dC @ np.swapaxes(B, -1, -2), np.swapaxes(A, -1, -2) @ dC


@mistake(
    "matmul_backward",
    "batch-averaged",
    "A matrix that is used for every matrix of a batch receives the mean of its gradients, not their "
    "sum.",
)
def matmul_backward(dC, A, B):
    dA, dB = _matmul_backward(dC, A, B)
    if A.ndim < B.ndim == 3:
        dA = dA / len(B)
    if B.ndim < A.ndim == 3:
        dB = dB / len(A)
    return dA, dB


@mistake(
    "matmul_backward",
    "vectors-missing",
    "Matrices are right. For a vector, the same formula multiplies along an axis that is not there.",
)
def matmul_backward(dC, A, B):
    if A.ndim > 1 and B.ndim > 1:
        return _matmul_backward(dC, A, B)
    dC = np.asarray(dC)
    return np.dot(dC, B.T), np.dot(A.T, dC)


@mistake(
    "matmul_backward",
    "vector-as-matrix",
    "A vector's gradient keeps the axis that was added to it. It must have the vector's shape.",
)
def matmul_backward(dC, A, B):
    left = A if A.ndim > 1 else A[None, :]
    right = B if B.ndim > 1 else B[:, None]
    return _matmul_backward(np.reshape(dC, (left @ right).shape), left, right)


def _matmul_backward(dC, A, B):
    left = A if A.ndim > 1 else A[None, :]
    right = B if B.ndim > 1 else B[:, None]
    dC = np.reshape(dC, (left @ right).shape)
    dA = _unbroadcast(dC @ np.swapaxes(right, -1, -2), left.shape)
    dB = _unbroadcast(np.swapaxes(left, -1, -2) @ dC, right.shape)
    return dA.reshape(A.shape), dB.reshape(B.shape)


# ------------------------------------------------------------------------------ Tensor

success_note(
    "Tensor",
    "This is how PyTorch works: every operation leaves a node with a recipe, and backward() walks "
    "through the nodes in reverse order.",
)


class _Tensor:
    recording = True
    __array_ufunc__ = None

    def __init__(self, data, op="", parents=(), recipe=None):
        self.data = np.array(data, dtype=np.float64)
        self.grad = None
        on = Tensor.recording
        self.op, self.parents, self.recipe = (op, parents, recipe) if on else ("", (), None)

    def _lift(self, value):
        return value if isinstance(value, _Tensor) else type(self)(value)

    def _make(self, data, op, parents, recipe):
        return type(self)(data, op, parents, recipe)

    def _order(self):
        return _order(self)

    def _receive(self, gradient):
        gradient = self._fit(gradient)
        self.grad = gradient if self.grad is None else self.grad + gradient

    def _fit(self, gradient):
        return _unbroadcast(gradient, self.data.shape)

    def _pass_on(self):
        for parent, gradient in zip(self.parents, self.recipe(self.grad), strict=True):
            parent._receive(gradient)

    def backward(self):
        order = self._order()
        for node in order:
            if node.parents:
                node.grad = None
        self._receive(np.ones_like(self.data))
        for node in reversed(order):
            if node.parents:
                node._pass_on()

    def __add__(self, other):
        other = self._lift(other)
        return self._make(self.data + other.data, "+", (self, other), lambda g: (g, g))

    def __sub__(self, other):
        other = self._lift(other)
        return self._make(self.data - other.data, "-", (self, other), lambda g: (g, -g))

    def __mul__(self, other):
        other = self._lift(other)
        return self._make(
            self.data * other.data,
            "*",
            (self, other),
            lambda g: (g * other.data, g * self.data),
        )

    def __truediv__(self, other):
        other = self._lift(other)
        return self._make(
            self.data / other.data,
            "/",
            (self, other),
            lambda g: (g / other.data, -g * self.data / other.data**2),
        )

    def __pow__(self, n):
        return self._make(self.data**n, "**", (self,), lambda g: (g * n * self.data ** (n - 1),))

    def __matmul__(self, other):
        other = self._lift(other)
        return self._make(
            self.data @ other.data,
            "@",
            (self, other),
            lambda g: _matmul_backward(g, self.data, other.data),
        )

    def sum(self, axis=None, keepdims=False):
        return self._make(
            self.data.sum(axis=axis, keepdims=keepdims),
            "sum",
            (self,),
            lambda g: (_sum_backward(g, self.data.shape, axis, keepdims),),
        )

    def mean(self, axis=None, keepdims=False):
        n = self.data.size if axis is None else self.data.shape[axis]
        return self._make(
            self.data.mean(axis=axis, keepdims=keepdims),
            "mean",
            (self,),
            lambda g: (_sum_backward(g, self.data.shape, axis, keepdims) / n,),
        )

    def reshape(self, *shape):
        return self._make(
            self.data.reshape(*shape), "reshape", (self,), lambda g: (g.reshape(self.data.shape),)
        )

    @property
    def T(self):
        return self._make(self.data.T, "T", (self,), lambda g: (g.T,))

    def exp(self):
        y = np.exp(self.data)
        return self._make(y, "exp", (self,), lambda g: (g * y,))

    def log(self):
        return self._make(np.log(self.data), "log", (self,), lambda g: (g / self.data,))

    def tanh(self):
        y = np.tanh(self.data)
        return self._make(y, "tanh", (self,), lambda g: (g * (1 - y**2),))

    def relu(self):
        y = np.maximum(self.data, 0)
        return self._make(y, "relu", (self,), lambda g: (g * (self.data > 0),))

    def __neg__(self):
        return self._make(-self.data, "neg", (self,), lambda g: (-g,))

    def __radd__(self, other):
        return self._lift(other) + self

    def __rmul__(self, other):
        return self._lift(other) * self

    def __rsub__(self, other):
        return self._lift(other) - self

    def __rtruediv__(self, other):
        return self._lift(other) / self


@mistake(
    "Tensor",
    "overwritten",
    "A gradient that arrives takes the place of what was there. A tensor that is used twice keeps the "
    "last contribution only.",
)
class Tensor(_Tensor):
    def _receive(self, gradient):
        self.grad = self._fit(gradient)


@mistake(
    "Tensor",
    "overwritten-by-recipe",
    "Where an operation has the same tensor as both operands, one of the two contributions is lost.",
)
class Tensor(_Tensor):
    def _pass_on(self):
        arrived = dict(zip(self.parents, self.recipe(self.grad), strict=True))
        for parent, gradient in arrived.items():
            parent._receive(gradient)


@mistake(
    "Tensor",
    "no-order",
    "A node passes its gradient on before all of it has arrived: the walk goes from t to its parents, "
    "to theirs, and so on. In which order must the nodes come?",
)
class Tensor(_Tensor):
    def _order(self):
        order, queue = [], [self]
        while queue:
            node = queue.pop(0)
            if node not in order:
                order.append(node)
                queue.extend(node.parents)
        return order[::-1]


@mistake(
    "Tensor",
    "every-path",
    "Each time a contribution arrives at a node, the node passes on all that it has, and so what came "
    "earlier is passed on again. Each node may pass its gradient on once, when it is complete.",
)
class Tensor(_Tensor):
    def backward(self):
        self.grad = np.ones_like(self.data)
        stack = [self]
        for _ in range(30_000):
            if not stack:
                break
            node = stack.pop()
            if node.parents:
                node._pass_on()
                stack.extend(list(node.parents)[::-1])


@mistake(
    "Tensor",
    "last-recipe-only",
    "Only the parents of the last node receive a gradient, and what is behind them gets zeros. Are all "
    "recipes called, and in the order that begins at the result?",
)
class Tensor(_Tensor):
    def backward(self):
        order = self._order()
        for node in order:
            node.grad = np.zeros_like(node.data)
        self.grad = np.ones_like(self.data)
        for node in order:
            if node.parents:
                node._pass_on()


@mistake(
    "Tensor",
    "calls-itself",
    "All numbers are right, but backward() stops with a deep graph: it calls itself once for each "
    "node, or the order does.",
)
class Tensor(_Tensor):
    def _order(self):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                for parent in node.parents:
                    visit(parent)
                order.append(node)

        visit(self)
        return order


@mistake(
    "Tensor",
    "starts-anew",
    "A second backward() erases what the first one left in the leaves. The card says that it adds.",
)
class Tensor(_Tensor):
    def backward(self):
        for node in self._order():
            node.grad = None
        _Tensor.backward(self)


@mistake(
    "Tensor",
    "shared-array",
    "Two tensors have the same array as their gradient, and a change in place of the one changes the "
    "other. Which of your recipes hands an array on without a copy?",
)
class Tensor(_Tensor):
    def _receive(self, gradient):
        fits = np.shape(gradient) == self.data.shape
        gradient = gradient if fits else self._fit(gradient)
        if self.grad is None:
            self.grad = gradient
        else:
            self.grad += gradient


@mistake(
    "Tensor",
    "nothing-in-the-middle",
    "Leaves have their gradients, but results in the middle have none after backward().",
)
class Tensor(_Tensor):
    def backward(self):
        _Tensor.backward(self)
        for node in self._order():
            if node.parents:
                node.grad = None


@mistake(
    "Tensor",
    "not-unbroadcast",
    "The gradient of a repeated operand has the shape of the result. It must be brought to the shape "
    "of the operand before it is added.",
)
class Tensor(_Tensor):
    def _fit(self, gradient):
        return gradient


@mistake(
    "Tensor",
    "unbroadcast-in-front-only",
    "An operand with an axis of length 1 that was stretched does not receive the sum along that axis.",
)
class Tensor(_Tensor):
    def _fit(self, gradient):
        while gradient.ndim > self.data.ndim:
            gradient = gradient.sum(axis=0)
        return gradient


@mistake(
    "Tensor",
    "unbroadcast-mean",
    "The contributions of a repeated operand are averaged. They add up.",
)
class Tensor(_Tensor):
    def _fit(self, gradient):
        return _unbroadcast(gradient, self.data.shape) * max(self.data.size, 1) / gradient.size


@mistake(
    "Tensor",
    "data-as-given",
    "The value keeps the type that was given. Whole numbers must become float64.",
)
class Tensor(_Tensor):
    def __init__(self, data, op="", parents=(), recipe=None):
        _Tensor.__init__(self, data, op, parents, recipe)
        self.data = np.array(data)


@mistake(
    "Tensor",
    "float32",
    "The value is float32. The course computes in float64, and so do the checks.",
)
class Tensor(_Tensor):
    def __init__(self, data, op="", parents=(), recipe=None):
        _Tensor.__init__(self, data, op, parents, recipe)
        self.data = np.array(data, dtype=np.float32)


@mistake(
    "Tensor",
    "operands-share-a-name",
    "All operations have the same name. op is to say which one it was.",
)
class Tensor(_Tensor):
    def __init__(self, data, op="", parents=(), recipe=None):
        _Tensor.__init__(self, data, op and "op", parents, recipe)


@mistake(
    "Tensor",
    "difference-sign",
    "Both operands of a difference receive the same gradient. What does a − b do when b grows?",
)
class Tensor(_Tensor):
    def __sub__(self, other):
        other = self._lift(other)
        return self._make(self.data - other.data, "-", (self, other), lambda g: (g, g))


@mistake(
    "Tensor",
    "product-own-factor",
    "Each factor of a product receives the upstream gradient times itself. It should be the other one.",
)
class Tensor(_Tensor):
    def __mul__(self, other):
        other = self._lift(other)
        return self._make(
            self.data * other.data,
            "*",
            (self, other),
            lambda g: (g * self.data, g * other.data),
        )


@mistake(
    "Tensor",
    "product-no-upstream",
    "The recipe of the product has the slopes, but not the upstream gradient. Unless that is 1, it "
    "matters.",
)
class Tensor(_Tensor):
    def __mul__(self, other):
        other = self._lift(other)
        shape = (self.data * other.data).shape
        return self._make(
            self.data * other.data,
            "*",
            (self, other),
            lambda g: (np.broadcast_to(other.data, shape), np.broadcast_to(self.data, shape)),
        )


@mistake(
    "Tensor",
    "quotient-not-squared",
    "The gradient of the denominator: b stands in it with the power −1. What is the slope of 1/b?",
)
class Tensor(_Tensor):
    def __truediv__(self, other):
        other = self._lift(other)
        return self._make(
            self.data / other.data,
            "/",
            (self, other),
            lambda g: (g / other.data, -g * self.data / other.data),
        )


@mistake(
    "Tensor",
    "quotient-sign",
    "The gradient of the denominator has the wrong sign: a larger denominator makes a smaller quotient.",
)
class Tensor(_Tensor):
    def __truediv__(self, other):
        other = self._lift(other)
        return self._make(
            self.data / other.data,
            "/",
            (self, other),
            lambda g: (g / other.data, g * self.data / other.data**2),
        )


@mistake(
    "Tensor",
    "power-not-lowered",
    "In the slope of a power the exponent stays as it was. The power rule lowers it.",
)
class Tensor(_Tensor):
    def __pow__(self, n):
        return self._make(self.data**n, "**", (self,), lambda g: (g * n * self.data**n,))


@mistake(
    "Tensor",
    "power-no-factor",
    "The slope of a power has the lowered exponent, but not the factor that comes in front of it.",
)
class Tensor(_Tensor):
    def __pow__(self, n):
        return self._make(self.data**n, "**", (self,), lambda g: (g * self.data ** (n - 1),))


@mistake(
    "Tensor",
    "matmul-no-transposes",
    "The recipe of @ does not transpose. The square case shows it in the numbers.",
)
class Tensor(_Tensor):
    def __matmul__(self, other):
        other = self._lift(other)
        return self._make(
            self.data @ other.data,
            "@",
            (self, other),
            lambda g: (g @ other.data, self.data @ g),
        )


@mistake(
    "Tensor",
    "sum-axis-in-front",
    "The recipe of a sum along an axis repeats along the first axis, whichever was added up.",
)
class Tensor(_Tensor):
    def sum(self, axis=None, keepdims=False):
        return self._make(
            self.data.sum(axis=axis, keepdims=keepdims),
            "sum",
            (self,),
            lambda g: (np.broadcast_to(g, self.data.shape),),
        )


@mistake(
    "Tensor",
    "sum-no-upstream",
    "The recipe of the sum returns ones, without the upstream gradient. Unless that is 1, it matters.",
)
class Tensor(_Tensor):
    def sum(self, axis=None, keepdims=False):
        return self._make(
            self.data.sum(axis=axis, keepdims=keepdims),
            "sum",
            (self,),
            lambda g: (np.ones_like(self.data),),
        )


@mistake(
    "Tensor",
    "mean-not-divided",
    "The recipe of the mean is that of a sum. Every entry counts only one part of the whole.",
)
class Tensor(_Tensor):
    def mean(self, axis=None, keepdims=False):
        return self._make(
            self.data.mean(axis=axis, keepdims=keepdims),
            "mean",
            (self,),
            lambda g: (_sum_backward(g, self.data.shape, axis, keepdims),),
        )


@mistake(
    "Tensor",
    "mean-divided-by-all",
    "The recipe of a mean along an axis divides by the number of all entries. How many went into one "
    "mean?",
)
class Tensor(_Tensor):
    def mean(self, axis=None, keepdims=False):
        return self._make(
            self.data.mean(axis=axis, keepdims=keepdims),
            "mean",
            (self,),
            lambda g: (_sum_backward(g, self.data.shape, axis, keepdims) / self.data.size,),
        )


@mistake(
    "Tensor",
    "reshape-not-undone",
    "The gradient of reshape keeps the new shape. The parent needs it in its own.",
)
class Tensor(_Tensor):
    def reshape(self, *shape):
        return self._make(self.data.reshape(*shape), "reshape", (self,), lambda g: (g,))

    def _fit(self, gradient):
        return gradient if self.data.size == np.size(gradient) else _Tensor._fit(self, gradient)


@mistake(
    "Tensor",
    "transpose-not-undone",
    "The gradient of T has the shape of the transpose. The parent needs it the other way around.",
)
class Tensor(_Tensor):
    @property
    def T(self):
        return self._make(self.data.T, "T", (self,), lambda g: (g,))

    def _fit(self, gradient):
        return gradient if self.data.size == np.size(gradient) else _Tensor._fit(self, gradient)


@mistake(
    "Tensor",
    "transpose-by-reshape",
    "The gradient of T has the right shape, but its entries are in the order of the transpose: reshape "
    "moves no entry across.",
)
class Tensor(_Tensor):
    @property
    def T(self):
        return self._make(self.data.T, "T", (self,), lambda g: (g.reshape(self.data.shape),))


@mistake(
    "Tensor",
    "exp-input",
    "The slope of exp is taken to be its input. Which of input and output is it?",
)
class Tensor(_Tensor):
    def exp(self):
        return self._make(np.exp(self.data), "exp", (self,), lambda g: (g * self.data,))


@mistake(
    "Tensor",
    "log-output",
    "The slope of log is taken at the output. It is one over the number that went in.",
)
class Tensor(_Tensor):
    def log(self):
        y = np.log(self.data)
        return self._make(y, "log", (self,), lambda g: (g / y,))


@mistake(
    "Tensor",
    "tanh-input",
    "The formula 1 − y² of tanh is for its output y, and here it gets the input.",
)
class Tensor(_Tensor):
    def tanh(self):
        return self._make(np.tanh(self.data), "tanh", (self,), lambda g: (g * (1 - self.data**2),))


@mistake(
    "Tensor",
    "relu-all-on",
    "The gradient passes through ReLU everywhere. Where the input is negative, the output does not "
    "depend on it.",
)
class Tensor(_Tensor):
    def relu(self):
        return self._make(np.maximum(self.data, 0), "relu", (self,), lambda g: (g,))


@mistake(
    "Tensor",
    "relu-at-zero",
    "At exactly 0, ReLU has slope 1 here. The course takes 0, as PyTorch does.",
)
class Tensor(_Tensor):
    def relu(self):
        return self._make(
            np.maximum(self.data, 0), "relu", (self,), lambda g: (g * (self.data >= 0),)
        )


@mistake(
    "Tensor",
    "relu-of-upstream",
    "ReLU's recipe looks at the sign of the upstream gradient. Whether a neuron is on is decided by its "
    "input.",
)
class Tensor(_Tensor):
    def relu(self):
        return self._make(np.maximum(self.data, 0), "relu", (self,), lambda g: (np.maximum(g, 0),))


@mistake(
    "Tensor",
    "number-on-the-left",
    "With a number on the left, difference and quotient are computed the wrong way around. In "
    "__rsub__ and __rtruediv__, self is the operand on the right.",
)
class Tensor(_Tensor):
    def __rsub__(self, other):
        return self - other

    def __rtruediv__(self, other):
        return self / other


# ------------------------------------------------------------------------------ no_grad

success_note(
    "no_grad",
    "PyTorch's no_grad does the same: one switch, put back to what it was, error or not.",
)


@mistake(
    "no_grad",
    "switched-on",
    "After an inner block, recording is on although the outer block goes on. Put back what was there "
    "before, whatever it was.",
)
class no_grad:
    def __enter__(self):
        Tensor.recording = False

    def __exit__(self, *error):
        Tensor.recording = True


@mistake(
    "no_grad",
    "not-after-an-error",
    "After a block that ended in an error, recording stays off. What stands after a yield does not run "
    "when the block raises.",
)
class no_grad:
    def __enter__(self):
        self.before = Tensor.recording
        Tensor.recording = False

    def __exit__(self, kind, error, where):
        if kind is None:
            Tensor.recording = self.before


@mistake(
    "no_grad",
    "error-swallowed",
    "An error in the block does not come through. Who catches it, or what does the result of __exit__ "
    "tell Python?",
)
class no_grad:
    def __enter__(self):
        self.before = Tensor.recording
        Tensor.recording = False

    def __exit__(self, *error):
        Tensor.recording = self.before
        return True


@mistake("no_grad", "never-back", "After the block, results still have no graph.")
class no_grad:
    def __enter__(self):
        Tensor.recording = False

    def __exit__(self, *error):
        pass


@mistake("no_grad", "does-nothing", "Inside the block, results have parents as before.")
class no_grad:
    def __enter__(self):
        self.before = Tensor.recording

    def __exit__(self, *error):
        Tensor.recording = self.before


@mistake(
    "no_grad",
    "toggles",
    "The switch is turned over at both ends of a block. So an inner block turns recording on.",
)
class no_grad:
    def __enter__(self):
        Tensor.recording = not Tensor.recording

    def __exit__(self, *error):
        Tensor.recording = not Tensor.recording


# ------------------------------------------------------------------------------ gradient_of

success_note(
    "gradient_of",
    "One forward pass and one backward pass, whatever the size of x; central differences need two "
    "calls for every entry.",
)


@mistake("gradient_of", "value", "This is the value of f, and not its gradient.")
def gradient_of(f, x):
    return f(Tensor(x)).data


@mistake(
    "gradient_of",
    "of-the-result",
    "This is the gradient of the result with respect to itself, which is 1. Which tensor was to be "
    "asked?",
)
def gradient_of(f, x):
    out = f(Tensor(x))
    out.backward()
    return out.grad


@mistake(
    "gradient_of",
    "twice",
    "Every number is twice the gradient. Did backward() run for two results, so that the gradients of the "
    "leaf added up?",
)
def gradient_of(f, x):
    leaf = Tensor(x)
    f(leaf).backward()
    f(leaf).backward()
    return leaf.grad


@mistake("gradient_of", "leaf-itself", "This is the value of x. Its gradient lies beside it.")
def gradient_of(f, x):
    leaf = Tensor(x)
    f(leaf).backward()
    return leaf.data


@mistake(
    "gradient_of",
    "step-of-descent",
    "This is x minus its gradient: a step of gradient descent. The gradient itself is asked for.",
)
def gradient_of(f, x):
    leaf = Tensor(x)
    f(leaf).backward()
    return leaf.data - leaf.grad


# ------------------------------------------------------------------------------ mean_cross_entropy

success_note(
    "mean_cross_entropy",
    "Its gradient is (softmax − one-hot) / B, as in notebook 02 for two classes. Nobody derived it "
    "here.",
)


@mistake(
    "mean_cross_entropy",
    "not-averaged",
    "The loss is the sum over the samples. Divide by their number.",
)
def mean_cross_entropy(logits, one_hot):
    return -(_log_softmax(logits, 1) * Tensor(one_hot)).sum()


@mistake(
    "mean_cross_entropy",
    "mean-over-entries",
    "The loss is divided by all B·C entries. How many samples are there?",
)
def mean_cross_entropy(logits, one_hot):
    return -(_log_softmax(logits, 1) * Tensor(one_hot)).mean()


@mistake(
    "mean_cross_entropy",
    "over-the-samples",
    "The exponentials are added up down the columns, over the samples. A row belongs to one sample.",
)
def mean_cross_entropy(logits, one_hot):
    return -(_log_softmax(logits, 0) * Tensor(one_hot)).sum() / len(one_hot)


@mistake(
    "mean_cross_entropy",
    "not-shifted",
    "The numbers are right for small logits, but the exponential of 1000 overflows. The maximum of each "
    "row is not taken off.",
)
def mean_cross_entropy(logits, one_hot):
    log_p = logits - logits.exp().sum(axis=1, keepdims=True).log()
    return -(log_p * Tensor(one_hot)).sum() / len(one_hot)


@mistake(
    "mean_cross_entropy",
    "log-of-softmax",
    "The numbers are right for moderate logits, but the logarithm of a softmax that became 0 is not "
    "finite. Take the logarithm on paper first, as in the formula.",
)
def mean_cross_entropy(logits, one_hot):
    e = (logits - Tensor(logits.data.max(axis=1, keepdims=True))).exp()
    p = e / e.sum(axis=1, keepdims=True)
    return -(p.log() * Tensor(one_hot)).sum() / len(one_hot)


@mistake("mean_cross_entropy", "sign", "The loss is negative: the logarithm of a probability is.")
def mean_cross_entropy(logits, one_hot):
    return (_log_softmax(logits, 1) * Tensor(one_hot)).sum() / len(one_hot)


@mistake(
    "mean_cross_entropy",
    "no-logarithm",
    "The logarithm of the sum of exponentials is not there: the logits of the right classes were only "
    "shifted and averaged.",
)
def mean_cross_entropy(logits, one_hot):
    shifted = logits - Tensor(logits.data.max(axis=1, keepdims=True))
    return -(shifted * Tensor(one_hot)).sum() / len(one_hot)


@mistake(
    "mean_cross_entropy",
    "graph-cut",
    "The loss is right and its gradient is not: a part of it was computed from plain numbers, and "
    "there the graph ends.",
)
def mean_cross_entropy(logits, one_hot):
    shifted = logits - Tensor(logits.data.max(axis=1, keepdims=True))
    total = Tensor(np.log(np.exp(shifted.data).sum(axis=1, keepdims=True)))
    return -((shifted - total) * Tensor(one_hot)).sum() / len(one_hot)


def _log_softmax(logits, axis):
    shifted = logits - Tensor(logits.data.max(axis=axis, keepdims=True))
    return shifted - shifted.exp().sum(axis=axis, keepdims=True).log()


# ------------------------------------------------------------------------------ mlp_gradients

success_note(
    "mlp_gradients",
    "The derivation of notebook 05 is in the recipes now: a product, a tanh, a sum. The order of its "
    "steps is in the graph.",
)


def _objective(x, y, W1, W2, lam, half=0.5, activate=True):
    z = W1 @ Tensor(x)
    o = W2 @ (z.tanh() if activate else z)
    return ((o - Tensor(y)) ** 2).sum() * half + ((W1**2).sum() + (W2**2).sum()) * (lam / 2)


def _solved(J, W1, W2):
    J.backward()
    return J.data, W1.grad, W2.grad


@mistake("mlp_gradients", "no-half", "The squared error lacks its factor ½.")
def mlp_gradients(x, y, W1, W2, lam):
    W1, W2 = Tensor(W1), Tensor(W2)
    return _solved(_objective(x, y, W1, W2, lam, half=1.0), W1, W2)


@mistake("mlp_gradients", "no-penalty", "The penalty is not in J.")
def mlp_gradients(x, y, W1, W2, lam):
    W1, W2 = Tensor(W1), Tensor(W2)
    return _solved(_objective(x, y, W1, W2, 0.0), W1, W2)


@mistake("mlp_gradients", "penalty-no-half", "The penalty is λ times the squares. Look for a ½.")
def mlp_gradients(x, y, W1, W2, lam):
    W1, W2 = Tensor(W1), Tensor(W2)
    return _solved(_objective(x, y, W1, W2, 2 * lam), W1, W2)


@mistake("mlp_gradients", "no-tanh", "The hidden layer has no activation.")
def mlp_gradients(x, y, W1, W2, lam):
    W1, W2 = Tensor(W1), Tensor(W2)
    return _solved(_objective(x, y, W1, W2, lam, activate=False), W1, W2)


@mistake(
    "mlp_gradients",
    "penalty-without-graph",
    "J is right, but the gradients lack the penalty. Was it computed from tensors, and is backward() "
    "called on the whole of J?",
)
def mlp_gradients(x, y, W1, W2, lam):
    penalty = lam / 2 * (np.sum(W1**2) + np.sum(W2**2))
    W1, W2 = Tensor(W1), Tensor(W2)
    return _solved(_objective(x, y, W1, W2, 0.0) + penalty, W1, W2)


@mistake(
    "mlp_gradients",
    "two-backwards",
    "J is right, but a part of the gradients counts twice: backward() ran for a part of J and then for "
    "the whole of it.",
)
def mlp_gradients(x, y, W1, W2, lam):
    W1, W2 = Tensor(W1), Tensor(W2)
    _objective(x, y, W1, W2, 0.0).backward()
    return _solved(_objective(x, y, W1, W2, lam), W1, W2)


@mistake(
    "mlp_gradients",
    "mean-of-squares",
    "The squared error is averaged over the outputs. The norm adds up.",
)
def mlp_gradients(x, y, W1, W2, lam):
    n = len(y)
    W1, W2 = Tensor(W1), Tensor(W2)
    return _solved(_objective(x, y, W1, W2, lam, half=0.5 / n), W1, W2)


# ------------------------------------------------------------------------------ fit_step

success_note(
    "fit_step",
    "Three lines of forward pass. The biases were broadcast, the weights transposed, and no line of "
    "yours says what that means for a gradient.",
)


def _step(params, X, Y, learning_rate, sums=False, activate=True, biases=True):
    W1, b1, W2, b2 = tensors = [Tensor(p) for p in params]
    z = Tensor(X) @ W1.T + b1
    out = (z.relu() if activate else z) @ W2.T
    squares = (out + b2 - Tensor(Y)) ** 2 if biases else (out - Tensor(Y)) ** 2
    loss = squares.sum() if sums else squares.mean()
    loss.backward()
    grads = [t.grad if t.grad is not None else np.zeros_like(t.data) for t in tensors]
    return loss.data, [p - learning_rate * g for p, g in zip(params, grads, strict=True)]


@mistake("fit_step", "uphill", "The step goes uphill: the gradient is added.")
def fit_step(params, X, Y, learning_rate):
    return _step(params, X, Y, -learning_rate)


@mistake("fit_step", "sum-of-squares", "The loss is the sum of the squares, and not their mean.")
def fit_step(params, X, Y, learning_rate):
    return _step(params, X, Y, learning_rate, sums=True)


@mistake(
    "fit_step",
    "mean-over-samples",
    "The squares of a sample are added up before the mean is taken. The mean is over all B·q entries.",
)
def fit_step(params, X, Y, learning_rate):
    q = Y.shape[1]
    loss, new = _step(params, X, Y, learning_rate * q)
    return loss * q, new


@mistake("fit_step", "no-relu", "The hidden layer has no ReLU.")
def fit_step(params, X, Y, learning_rate):
    return _step(params, X, Y, learning_rate, activate=False)


@mistake("fit_step", "no-output-bias", "b2 is not in the output.")
def fit_step(params, X, Y, learning_rate):
    return _step(params, X, Y, learning_rate, biases=False)


@mistake(
    "fit_step", "gradients", "The list has the gradients, and not the parameters after the step."
)
def fit_step(params, X, Y, learning_rate):
    loss, new = _step(params, X, Y, 1.0)
    return loss, [p - n for p, n in zip(params, new, strict=True)]


@mistake(
    "fit_step",
    "loss-after",
    "The loss is the one after the step. The card asks for the one before.",
)
def fit_step(params, X, Y, learning_rate):
    _, new = _step(params, X, Y, learning_rate)
    return _step(new, X, Y, learning_rate)[0], new


@mistake(
    "fit_step",
    "weights-only",
    "Only the weights move. The biases are parameters too, and have a gradient.",
)
def fit_step(params, X, Y, learning_rate):
    loss, new = _step(params, X, Y, learning_rate)
    return loss, [new[0], params[1].copy(), new[2], params[3].copy()]


@mistake(
    "fit_step",
    "no-step",
    "The parameters come back as they were. What are the gradients for?",
)
def fit_step(params, X, Y, learning_rate):
    loss, _ = _step(params, X, Y, learning_rate)
    return loss, [p.copy() for p in params]


# What the records above compute with.
Tensor = _Tensor
