"""Wrong answers of notebook 07 without a sentence of their own.

tests/course/test_slips.py grades them.
"""


# %% topological_order: nodes one by one
def topological_order(t):
    order = []
    seen = set()
    s = [(t, 0)]
    while s:
        n, d = s.pop()
        if d:
            yield n
        elif n not in seen:
            seen.add(n)
            s.append((n, 1))
            s.extend((p, 0) for p in n.parents)


# %% topological_order: marks the nodes
def topological_order(t):
    order = []
    s = [(t, 0)]
    while s:
        n, d = s.pop()
        if d:
            order.append(n)
        elif not hasattr(n, "seen"):
            n.seen = True
            s.append((n, 1))
            s.extend((p, 0) for p in n.parents)
    return order


# %% topological_order: remembers the nodes of earlier calls
_seen = set()


def topological_order(t):
    order = []
    s = [(t, 0)]
    while s:
        n, d = s.pop()
        if d:
            order.append(n)
        elif n not in _seen:
            _seen.add(n)
            s.append((n, 1))
            s.extend((p, 0) for p in n.parents)
    return order


# %% topological_order: takes the parents away
def topological_order(t):
    order = []
    seen = set()
    s = [(t, 0)]
    while s:
        n, d = s.pop()
        if d:
            order.append(n)
        elif n not in seen:
            seen.add(n)
            s.append((n, 1))
            s.extend((p, 0) for p in n.parents)
            n.parents = []
    return order


# %% topological_order: two parents of each node
def topological_order(t):
    o = []
    seen = set()
    s = [(t, 0)]
    while s:
        n, d = s.pop()
        if d:
            o.append(n)
        elif n not in seen:
            seen.add(n)
            s.append((n, 1))
            s.extend((p, 0) for p in list(n.parents)[:2])
    return o


# %% Tensor: the mean along an axis divides by the length of another
def mean(self, axis=None, keepdims=False):
    added = self.data.size if axis is None else self.data.shape[keepdims]
    return self.sum(axis, keepdims) / added


Tensor.mean = mean


# %% Tensor: log of a little more
def log(self):
    return Tensor(np.log(self.data + 1e-12), "log", (self,), lambda g: (g / self.data,))


Tensor.log = log


# %% Tensor: relu changes the data of its operand
def relu(self):
    on = self.data > 0
    self.data[~on] = 0
    return Tensor(self.data, "relu", (self,), lambda g: (g * on,))


Tensor.relu = relu


# %% Tensor: a leaf has an operation
def with_a_name(self, data, op="", parents=(), recipe=None):
    begin(self, data, op or "leaf", parents, recipe)


begin = Tensor.__init__
Tensor.__init__ = with_a_name


# %% no_grad: switched off before the block
class no_grad:
    def __init__(self):
        self.b = Tensor.recording
        Tensor.recording = False

    def __enter__(self):
        return self

    def __exit__(self, *e):
        Tensor.recording = self.b


# %% gradient_of: a list
def gradient_of(f, x):
    t = Tensor(x)
    f(t).backward()
    return t.grad.tolist()


# %% gradient_of: a leaf that is used again
_t = None


def gradient_of(f, x):
    global _t
    if _t is None or _t.data.shape != x.shape:
        _t = Tensor(x)
    _t.data = x
    f(_t).backward()
    return _t.grad
