# %% [markdown]
# # 02 · Back-propagation by hand
#
# **42 points · about 88 minutes**
#
# A network learns by changing each weight a little, in the direction that lowers the loss.
# For this it needs one number for every weight: how much does the loss change when this weight
# changes? That number is a *gradient*. Back-propagation computes all of them in one walk from the
# loss back to the input. Every weight of a large language model is trained in this way.
#
# In this notebook you write that walk in NumPy. PyTorch's autograd takes the same walk, and it
# checks every number that you compute.
#
# **Builds on.** Notebook [01](../01-forward-pass/01-forward-pass.ipynb): one layer, ReLU, sigmoid.
# You need Python, matrix products, and the derivative of a function of one variable.
#
# **Leaves out.** Networks of any depth and caches (notebook 03), residual connections (04),
# weight decay (05), better optimizers and real data (06).

# %% [markdown]
# ## What you will build
#
# The next picture shows one layer. The solid arrows run forward: they turn the sample $x$ into the
# output $y$ and the loss $L$. The dashed arrows run backward: each carries the gradient of the loss
# with respect to the value at its tip. You will write every dashed arrow.

# %% nbgrader={"grade_id": "setup", "locked": true}
import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import pictures
from autograder.checks import Check, Twin
from autograder.pictures import written
from autograder.provided.forward_pass import relu, sigmoid

pictures.use_print_style()

# %% nbgrader={"grade_id": "picture-of-one-layer", "locked": true}
fig, ax = plt.subplots(figsize=(7.5, 2.7))
forward, backward = pictures.BLUE, pictures.VERMILION
for name, center in {
    "$x$": (0, 1),
    "$W$": (1.1, 2),
    "$b$": (1.1, 0),
    r"$z = W x + b$": (2.7, 1),
    r"$y = \varphi(z)$": (5.2, 1),
    "$L$": (7, 1),
}.items():
    pictures.box(ax, center, name)
for start, end in [(0.2, 2.22), (3.18, 4.78), (5.62, 6.84)]:
    pictures.arrow(ax, (start, 1.12), (end, 1.12), "", forward)
    pictures.arrow(ax, (end, 0.88), (start, 0.88), "", backward, dashed=True)
for row in (0, 2):
    inner = 1 + 0.25 * (row - 1)
    pictures.arrow(ax, (1.35, row), (2.2, inner), "", forward)
    pictures.arrow(ax, (2.5, inner), (1.38, row + 0.22 * (row - 1)), "", backward, dashed=True)
labels = [("$dx$", 0.7, 0.65), ("$dz$", 4, 0.65), ("$dy$", 6.23, 0.65)]
for label, x, y in [*labels, ("$dW$", 2.25, 1.95), ("$db$", 2.25, 0.05)]:
    ax.text(x, y, label, color=backward, ha="center", va="center")
ax.set(xlim=(-0.4, 7.4), ylim=(-0.5, 2.5), title="Forward builds values, backward builds gradients")
ax.axis("off")
plt.show()

# %% [markdown]
# *Picture: a graph from $x$, $W$ and $b$ through $z$ and $y$ to the loss $L$. Solid arrows point
# toward the loss; beside each runs a dashed arrow back, labeled $dy$, $dz$, $dW$, $db$, $dx$. It is
# drawn by the cell above and uses none of your functions.*
#
# ### Conventions
#
# - $dV$ is the gradient of the loss with respect to $V$. It has **the shape of** $V$: one number
#   for each number of $V$.
# - A sample `x` has shape (n_in,). A batch `X` has B samples as its rows, shape (B, n_in).
# - Weights `W` have shape (n_out, n_in), one row for each output; the bias `b` has shape (n_out,).
# - All numbers are float64. A mask of `True` and `False` is not a gradient.
# - A function leaves its inputs as they are and returns new arrays. It does not return an input
#   itself or a view of one, because then a change of the result would change the input too.
# - You write NumPy. PyTorch appears in the checks only.
#
# ### How an exercise works
#
# A card says what to write. You replace the line `raise NotImplementedError`, run the cell, and run
# the check below it. The check compares your numbers with PyTorch's and prints your points. When
# something differs, it names the first quantity that does. Some cases are hidden: they use other
# shapes and other functions.

# %% [markdown]
# ## 1. Slopes
#
# Take a function of one variable, $a = \varphi(z)$. Its derivative $\varphi'(z)$ is a *slope*: when
# $z$ grows by a small $\delta$, then $a$ grows by about $\varphi'(z)\,\delta$.
#
# An activation acts on each number of an array by itself. So does its slope. The array of slopes
# has the shape of `z`.
#
# **ReLU** is $\max(0, z)$. It is flat on the left of zero and rises with slope 1 on the right. At
# exactly zero it has a corner and no derivative. A program needs a number there, and the custom,
# also PyTorch's, is slope 0.

# %% [markdown]
# ### Exercise: `relu_grad(z)`
#
# **What it is for.** It decides which neurons pass a gradient back.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | numbers that go into ReLU |
# | `slope` | shape of `z` | the slope of ReLU at each number, float64; 0 at zero |
#
# **1 point · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to treat each number of an array by itself.</summary>
#
# A comparison of an array with a number gives an array of `True` and `False`, one for each number.
#
# </details>
#
# <details><summary>I'm not sure what the check means by "bool, expected float64".</summary>
#
# `True` and `False` are answers to a question, not slopes. NumPy can turn an array of them into an
# array of floats. Look for a method that changes the type of an array.
#
# </details>


# %% nbgrader={"grade_id": "relu_grad", "solution": true}
def relu_grad(z):
    """The slope of ReLU at each number of z.

    Args:
        z: numbers that go into ReLU, any shape

    Returns:
        slope: 1.0 where ReLU rises and 0.0 elsewhere, shape of z
    """
    ### BEGIN SOLUTION
    rises = z > 0
    return rises.astype(np.float64)
    ### END SOLUTION


# %% nbgrader={"grade_id": "relu_grad-check", "grade": true, "points": 1}
rng = np.random.default_rng(21)


def pytorch(z):
    a = torch.relu(z)
    return torch.autograd.grad(a.sum(), z)[0]


check = Check("relu_grad", pytorch, returns={"slope": 1})
check.case("numbers around zero", z=np.array([-2.0, -0.5, 0.0, 0.5, 3.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
### BEGIN HIDDEN TESTS
check.hidden.case("three axes", z=rng.integers(-2, 3, size=(2, 3, 4)) * rng.uniform(size=(2, 3, 4)))
check.hidden.case("very small and very large numbers", z=np.array([[-1000.0, -1e-9], [1e-9, 1000]]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The sigmoid** is $\sigma(z) = 1 / (1 + e^{-z})$. The quotient rule gives
#
# $$ \sigma'(z) = \frac{e^{-z}}{(1 + e^{-z})^2}
# = \frac{1}{1 + e^{-z}} \cdot \frac{e^{-z}}{1 + e^{-z}} . $$
#
# Look at the two factors on the right. The first is $\sigma(z)$. The two add up to 1. So the slope
# can be had from $\sigma(z)$ alone, and the forward pass has computed $\sigma(z)$ already. This is
# why frameworks keep the outputs of a layer until the backward pass.

# %% [markdown]
# ### Exercise: `sigmoid_grad(z)`
#
# **What it is for.** The last layer of a yes-or-no classifier ends in a sigmoid.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | numbers that go into the sigmoid |
# | `slope` | shape of `z` | $\sigma'(z)$ for each number |
#
# **1 point · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure whether to start with <code>z</code> or with its sigmoid.</summary>
#
# The argument is `z`, the number that goes *into* the sigmoid. The function `sigmoid` from
# notebook 01 is there: the setup cell imports it. Give its value a name first.
#
# </details>
#
# <details><summary>I'm not sure whether my slope can be right.</summary>
#
# At $z = 0$ the sigmoid is ½ and its slope is ¼, the largest slope that it has. Far out on both
# sides the curve is flat. What does your function give there?
#
# </details>


# %% nbgrader={"grade_id": "sigmoid_grad", "solution": true}
def sigmoid_grad(z):
    """The slope of the sigmoid at each number of z.

    Args:
        z: numbers that go into the sigmoid, any shape

    Returns:
        slope: the derivative of the sigmoid at z, shape of z
    """
    ### BEGIN SOLUTION
    s = sigmoid(z)
    return s * (1 - s)
    ### END SOLUTION


# %% nbgrader={"grade_id": "sigmoid_grad-check", "grade": true, "points": 1}
rng = np.random.default_rng(22)


def pytorch(z):
    a = torch.sigmoid(z)
    return torch.autograd.grad(a.sum(), z)[0]


# A formula is right to about 1e-16 here; a difference quotient only to 1e-11.
check = Check("sigmoid_grad", pytorch, returns={"slope": 1}, tolerance={"slope": 1e-13})
check.case("numbers around zero", z=np.array([-2.0, -0.5, 0.0, 0.5, 3.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
### BEGIN HIDDEN TESTS
check.hidden.case("three axes", z=3 * rng.normal(size=(2, 3, 4)))
check.hidden.case("numbers far from zero", z=np.array([[-20.0, 20.0, -8.0], [12.0, 5.0, -5.0]]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **The hyperbolic tangent** is $\tanh(z) = \sinh(z) / \cosh(z)$. Here $\sinh' = \cosh$ and
# $\cosh' = \sinh$, so the quotient rule gives
#
# $$ \tanh'(z) = \frac{\cosh^2(z) - \sinh^2(z)}{\cosh^2(z)} . $$
#
# As with the sigmoid, you can write this with the value $\tanh(z)$ alone. Divide both terms of the
# numerator by the denominator.

# %% [markdown]
# ### Exercise: `tanh_grad(z)`
#
# **What it is for.** The third classic activation, and a second run of the same idea: the slope
# from the value.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | any | numbers that go into tanh |
# | `slope` | shape of `z` | $\tanh'(z)$ for each number |
#
# **1 point · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what the fraction becomes.</summary>
#
# It has two terms. $\cosh^2 / \cosh^2$ is a number that you know. $\sinh^2 / \cosh^2$ is a power of
# something that you know.
#
# </details>
#
# <details><summary>I'm not sure whether my slope can be right.</summary>
#
# A slope of tanh lies between 0 and 1. At $z = 0$ it is 1, and it is the same at $z$ and $-z$.
#
# </details>


# %% nbgrader={"grade_id": "tanh_grad", "solution": true}
def tanh_grad(z):
    """The slope of tanh at each number of z.

    Args:
        z: numbers that go into tanh, any shape

    Returns:
        slope: the derivative of tanh at z, shape of z
    """
    ### BEGIN SOLUTION
    t = np.tanh(z)
    return 1 - t**2
    ### END SOLUTION


# %% nbgrader={"grade_id": "tanh_grad-check", "grade": true, "points": 1}
rng = np.random.default_rng(23)


def pytorch(z):
    a = torch.tanh(z)
    return torch.autograd.grad(a.sum(), z)[0]


# A formula is right to about 1e-16 here; a difference quotient only to 1e-11.
check = Check("tanh_grad", pytorch, returns={"slope": 1}, tolerance={"slope": 1e-13})
check.case("numbers around zero", z=np.array([-2.0, -0.5, 0.0, 0.5, 3.0]))
check.case("a batch of shape (4, 3)", z=rng.normal(size=(4, 3)))
### BEGIN HIDDEN TESTS
check.hidden.case("three axes", z=2 * rng.normal(size=(2, 3, 4)))
check.hidden.case("numbers far from zero", z=np.array([[-20.0, 20.0, -8.0], [12.0, 5.0, -5.0]]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# The next cell draws the three activations and your three slopes. Look at the right panel: only
# ReLU keeps slope 1 far to the right. A slope of ReLU is 0 or 1, a slope of the sigmoid is at most ¼. A gradient that passes through many
# sigmoids is multiplied by at most ¼ each time. That is why deep networks seldom use them between
# layers.

# %%
z = np.linspace(-5, 5, 401)
curves = [
    ("ReLU", relu, relu_grad, pictures.BLUE, "-"),
    ("sigmoid", sigmoid, sigmoid_grad, pictures.VERMILION, "--"),
    ("tanh", np.tanh, tanh_grad, pictures.GREEN, "-."),
]
if all([written(slope, z, shape=z.shape) for _, _, slope, _, _ in curves]):
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    for name, function, slope, color, style in curves:
        left.plot(z, function(z), style, color=color, label=name)
        right.plot(z, slope(z), style, color=color, label=name)
    left.set(xlabel="z", ylabel="value", ylim=(-1.2, 2.5), title="Three activations")
    right.set(xlabel="z", ylabel="slope", title="Their slopes")
    right.axhline(0.25, color=pictures.BLACK, lw=0.8, ls=":")
    left.legend()
    plt.show()

# %% [markdown]
# *Picture: two panels over z from −5 to 5. Left, the values of ReLU, sigmoid and tanh. Right, their
# slopes: a step from 0 to 1, a low bump of height ¼ (dotted line) and a bump of height 1. The right
# panel is drawn from your functions.*

# %% [markdown]
# ## 2. One neuron: the chain rule
#
# A neuron has weights $w$, a bias $b$ and an input $x$. With ReLU and a squared loss for the
# target $y$:
#
# $$ Z = w \cdot x + b \qquad A = \mathrm{ReLU}(Z) \qquad L = \tfrac12 (A - y)^2 $$
#
# How does $L$ change when $w$ changes? Follow a small change $\delta$ of $w$ through the three
# lines. It changes $Z$ by $\frac{\partial Z}{\partial w}\delta$. That changes $A$ by
# $\frac{\partial A}{\partial Z}$ times as much. That changes $L$ by $\frac{\partial L}{\partial A}$
# times as much. The factors multiply:
#
# $$ \frac{\partial L}{\partial w} = \frac{\partial L}{\partial A} \cdot
# \frac{\partial A}{\partial Z} \cdot \frac{\partial Z}{\partial w} $$
#
# This is the chain rule. Each factor is the slope of **one** line of the forward pass, and none
# needs to know the others. Back-propagation evaluates the product from the left, starting at the
# loss.
#
# **With several inputs**, $w$ and $x$ are vectors of shape (n_in,) and $w \cdot x$ is
# $\sum_i w_i x_i$. Then $Z$, $A$, $L$ stay single numbers. Only the last factor changes: it has one
# entry for each weight. The weight $w_i$ meets one input only, and a change $\delta$ of it changes
# the sum by that input times $\delta$.

# %% [markdown]
# ### Exercise: `chain_rule_neuron(x, w, b, y)`
#
# **What it is for.** The whole of back-propagation, on one neuron.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | () or (n_in,) | the input: one number, or a vector |
# | `w` | shape of `x` | the weights |
# | `b` | () | the bias, a number |
# | `y` | () | the target, a number |
# | `dL_dA` | () | slope of the loss |
# | `dA_dZ` | () | slope of ReLU; 0 at $Z = 0$ |
# | `dZ_dw` | shape of `w` | slope of the weighted sum, **a new array**, never an input itself |
# | `dL_dw` | shape of `w` | the product of the three |
#
# Return them in this order. A number may be a Python float or a NumPy float. Your function must
# work both for numbers and for vectors.
#
# **4 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how one formula can serve numbers and vectors.</summary>
#
# `@` refuses numbers. Look at `np.dot`, or multiply first and then add up with `np.sum`: both take
# either.
#
# </details>
#
# <details><summary>I'm not sure what the slope of ½ (A − y)² is.</summary>
#
# The derivative of $u^2$ is $2u$. What does the ½ do to the 2? And which sign has $A$ inside the
# bracket?
#
# </details>
#
# <details><summary>I'm not sure why the check speaks of a view of the input.</summary>
#
# For a vector the slope of $Z$ has the same numbers as one of the inputs. If you return that input
# itself, the caller holds one array under two names. Return a copy.
#
# </details>


# %% nbgrader={"grade_id": "chain_rule_neuron", "solution": true}
def chain_rule_neuron(x, w, b, y):
    """The three factors of the chain rule for one ReLU neuron, and their product.

    Z = w · x + b, A = ReLU(Z), L = ½ (A − y)².

    Args:
        x: input, shape () or (n_in,)
        w: weights, shape of x
        b: bias, a number, shape ()
        y: target, a number, shape ()

    Returns:
        dL_dA: slope of the loss at A, shape ()
        dA_dZ: slope of ReLU at Z, 0 at Z = 0, shape ()
        dZ_dw: slope of the weighted sum for each weight, a new array, shape of w
        dL_dw: gradient of the loss, shape of w
    """
    ### BEGIN SOLUTION
    Z = np.dot(w, x) + b
    A = max(Z, 0.0)

    dL_dA = A - y
    dA_dZ = 1.0 if Z > 0 else 0.0
    dZ_dw = 1.0 * x  # a new array, not x itself
    dL_dw = dL_dA * dA_dZ * dZ_dw
    return dL_dA, dA_dZ, dZ_dw, dL_dw
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain_rule_neuron-check", "grade": true, "points": 4}
def pytorch(x, w, b, y):
    x, w = (torch.as_tensor(v, dtype=torch.float64).detach() for v in (x, w))
    w.requires_grad_()
    Z = (w * x).sum() + b
    A = torch.relu(Z)
    L = 0.5 * (A - y) ** 2
    pairs = [(L, A), (A, Z), (Z, w), (L, w)]
    return [torch.autograd.grad(top, bottom, retain_graph=True)[0] for top, bottom in pairs]


check = Check(
    "chain_rule_neuron",
    pytorch,
    returns={"dL_dA": 1, "dA_dZ": 1, "dZ_dw": 1, "dL_dw": 1},
)
check.case("numbers, ReLU on", x=2.0, w=0.5, b=0.1, y=0.3)
check.case("numbers, ReLU off", x=2.0, w=-0.7, b=0.4, y=0.9)
check.case(
    "vectors, ReLU on",
    x=np.array([1.5, -2.0, 0.5]),
    w=np.array([0.8, -0.3, 0.4]),
    b=-0.25,
    y=2.5,
)
### BEGIN HIDDEN TESTS
check.hidden.follow_through(dL_dw=lambda dL_dA, dA_dZ, dZ_dw: dL_dA * dA_dZ * dZ_dw)
check.hidden.case("numbers, a negative input", x=-1.7, w=-0.9, b=0.35, y=-0.6)
check.hidden.case("numbers, Z exactly zero", x=2.0, w=1.5, b=-3.0, y=0.75)
check.hidden.case(
    "vectors, ReLU off", x=np.array([0.6, 1.1]), w=np.array([-1.2, 0.2]), b=0.1, y=-1.4
)
check.hidden.case(
    "vectors of five, A below the target",
    x=np.array([0.5, -1.0, 0.25, 2.0, -0.7]),
    w=np.array([0.3, 0.2, -0.6, 0.9, -1.1]),
    b=0.45,
    y=6.5,
)
check.hidden.case("a vector of one", x=np.array([3.0]), w=np.array([0.4]), b=-0.3, y=0.2)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Work the first case through on paper before you run the next cell: $x = 2$, $w = 0.5$, $b = 0.1$,
# $y = 0.3$. Then $Z = A = 1.1$, and the three factors are $0.8$, $1$ and $2$. Their product is
# $1.6$. So a weight that is larger by $0.01$ raises the loss by about $0.016$. The cell tries that.

# %%
if written(chain_rule_neuron, 2.0, 0.5, 0.1, 0.3, values=4):
    print("factors and product:", *(float(v) for v in chain_rule_neuron(2.0, 0.5, 0.1, 0.3)))
    for w in (0.50, 0.51):
        A = max(w * 2.0 + 0.1, 0.0)
        print(f"w = {w:.2f}: loss = {0.5 * (A - 0.3) ** 2:.4f}")

# %% [markdown]
# ## 3. One layer: the chain rule with matrices
#
# A layer is many neurons that see the same sample. Output $i$ has row $i$ of `W`:
#
# $$ z_i = \sum_k W_{ik}\, x_k + b_i \qquad y_i = \varphi(z_i) $$
#
# First the forward pass.

# %% [markdown]
# ### Exercise: `forward_pass(x, W, b, activation_fn)`
#
# **What it is for.** The computation whose gradients you want; a feed-forward block of a
# transformer is two of these.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (n_in,) | one sample |
# | `W` | (n_out, n_in) | weights |
# | `b` | (n_out,) | bias |
# | `activation_fn` | | $\varphi$, a function that acts on each number of an array |
# | `y` | (n_out,) | $\varphi(W x + b)$ |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to use a function that is an argument.</summary>
#
# Inside your function, `activation_fn` is a name like any other function's. Call it with an array.
#
# </details>
#
# <details><summary>I'm not sure what the activation acts on.</summary>
#
# On the whole weighted sum, with the bias inside. It acts once, at the end.
#
# </details>


# %% nbgrader={"grade_id": "forward_pass", "solution": true}
def forward_pass(x, W, b, activation_fn):
    """One layer for one sample.

    Args:
        x: one sample, shape (n_in,)
        W: weights, shape (n_out, n_in)
        b: bias, shape (n_out,)
        activation_fn: the activation, acts on each number of an array

    Returns:
        y: output of the layer, shape (n_out,)
    """
    ### BEGIN SOLUTION
    z = W @ x + b
    y = activation_fn(z)
    return y
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward_pass-check", "grade": true, "points": 2}
rng = np.random.default_rng(31)


def pytorch(x, W, b, activation_fn):
    z = torch.nn.functional.linear(x, W, b)
    return activation_fn(z)


def layer_case(n_in, n_out, activation_fn):
    return {
        "x": rng.normal(size=n_in),
        "W": rng.normal(size=(n_out, n_in)),
        "b": rng.normal(size=n_out),
        "activation_fn": activation_fn,
    }


check = Check("forward_pass", pytorch, returns={"y": 2})
sine, positive = Twin(np.sin, torch.sin), Twin(relu, torch.relu)
check.case("3 inputs, 2 outputs, sine", **layer_case(3, 2, sine))
check.case("4 inputs, 4 outputs, ReLU", **layer_case(4, 4, positive))
### BEGIN HIDDEN TESTS
tanh, bell = Twin(np.tanh, torch.tanh), Twin(sigmoid, torch.sigmoid)
identity = Twin(lambda z: z, lambda z: z, name="identity")
leaky = Twin(
    lambda z: np.where(z > 0, z, 0.1 * z), lambda z: torch.where(z > 0, z, 0.1 * z), name="leaky"
)
check.hidden.case("2 inputs, 6 outputs, sigmoid", **layer_case(2, 6, bell))
check.hidden.case("one output, tanh", **layer_case(5, 1, tanh))
check.hidden.case("one input, a leaky ReLU", **layer_case(1, 7, leaky))
check.hidden.case("no activation at all", **layer_case(4, 3, identity))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### From the output back to everything
#
# Somebody gives you $dy$, shape (n_out,): how the loss changes with each output. In a deep network
# it comes from the layer above. You owe four gradients. Take them one at a time and one entry at a
# time.
#
# **The gradient at $z$.** The number $z_i$ influences $y_i$ and no other output. One path, two
# factors:
#
# $$ dz_i = dy_i \, \varphi'(z_i) $$
#
# The slope is taken at $z_i$, the number that went *into* the activation.
#
# **The gradient of the bias.** $b_i$ is added to $z_i$ with factor 1. So $db_i = dz_i$.
#
# **The gradient of the weights.** Where does $W_{ij}$ stand in the forward line? In $z_i$ only, and
# there it is multiplied by $x_j$. So the slope of $z_i$ is $x_j$ and
#
# $$ dW_{ij} = dz_i \, x_j $$
#
# Every output index $i$ meets every input index $j$. This table of products is the *outer product*
# of $dz$ and $x$, written $dz\, x^\top$: a column of shape (n_out, 1) times a row of shape
# (1, n_in). The result is (n_out, n_in), the shape of `W`, as it must be.
#
# **The gradient of the input.** Where does $x_j$ stand? In *every* $z_i$, with factor $W_{ij}$. A
# change of $x_j$ reaches the loss along n_out paths, and the effects of the paths add up:
#
# $$ dx_j = \sum_i dz_i \, W_{ij} $$
#
# The forward pass sums over the *second* index of `W`; this sum runs over the *first*. That is
# where a transpose comes from: $dx = W^\top dz$, and (n_in, n_out) times (n_out,) is (n_in,).
#
# | quantity | shape | path from the loss |
# |---|---|---|
# | $dz$ | (n_out,) | through one activation |
# | $db$ | (n_out,) | the same |
# | $dW$ | (n_out, n_in) | through one $z_i$ |
# | $dx$ | (n_in,) | through all $z_i$, added up |

# %% [markdown]
# ### Exercise: `backward_pass(dy, x, W, b, activation_fn, activation_grad_fn)`
#
# **What it is for.** One dashed step of the first picture: $dW$ and $db$ train this layer, $dx$ is
# the $dy$ of the layer below.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dy` | (n_out,) | gradient of the loss with respect to the output |
# | `x` | (n_in,) | the sample that went in |
# | `W`, `b` | (n_out, n_in), (n_out,) | weights and bias |
# | `activation_fn` | | $\varphi$ |
# | `activation_grad_fn` | | $\varphi'$; give it the `z` of the layer |
# | `dW` | (n_out, n_in) | gradient of the weights |
# | `db` | (n_out,) | gradient of the bias |
# | `dx` | (n_in,) | gradient of the input |
#
# You may not need every argument. Points: 2 for each gradient. `dW` and `dx` also count when they
# are right for your own `db`.
#
# **6 points · 12 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure where to get <code>z</code>.</summary>
#
# Nobody stored it. The function has `x`, `W` and `b`, so it can repeat the first line of the
# forward pass.
#
# </details>
#
# <details><summary>I'm not sure how to make a matrix out of two vectors.</summary>
#
# `a * c` multiplies entry by entry and `a @ c` adds up. You want neither: you want every product of
# an entry of the one with an entry of the other. NumPy has a function named after it. Or give one
# vector a second axis with `None`.
#
# </details>
#
# <details><summary>I'm not sure where the transpose comes from.</summary>
#
# Write the sum for one entry, $dx_j$. Which index of `W` does the sum run over? In `W @ v` it is
# the second one. Which arrangement of `W` sums over the first?
#
# </details>


# %% nbgrader={"grade_id": "backward_pass", "solution": true}
def backward_pass(dy, x, W, b, activation_fn, activation_grad_fn):
    """The gradients of one layer for one sample.

    Args:
        dy: gradient of the loss with respect to the output, shape (n_out,)
        x: one sample, shape (n_in,)
        W: weights, shape (n_out, n_in)
        b: bias, shape (n_out,)
        activation_fn: the activation of the forward pass
        activation_grad_fn: its slope, a function of the z of the layer

    Returns:
        dW: gradient of the weights, shape (n_out, n_in)
        db: gradient of the bias, shape (n_out,)
        dx: gradient of the input, for the layer below, shape (n_in,)
    """
    ### BEGIN SOLUTION
    z = W @ x + b

    dz = dy * activation_grad_fn(z)
    db = dz
    dW = np.outer(dz, x)
    dx = W.T @ dz
    return dW, db, dx
    ### END SOLUTION


# %% nbgrader={"grade_id": "backward_pass-check", "grade": true, "points": 6}
rng = np.random.default_rng(32)


def pytorch(dy, x, W, b, activation_fn, activation_grad_fn):
    z = torch.nn.functional.linear(x, W, b)
    y = activation_fn(z)
    # A number whose gradient with respect to y is dy.
    J = (dy * y).sum()
    return torch.autograd.grad(J, (W, b, x))


def backward_case(n_in, n_out, activation_fn, activation_grad_fn):
    return {
        "dy": rng.normal(size=n_out),
        "x": rng.normal(size=n_in),
        "W": rng.normal(size=(n_out, n_in)),
        "b": rng.normal(size=n_out),
        "activation_fn": activation_fn,
        "activation_grad_fn": activation_grad_fn,
    }


check = Check(
    "backward_pass",
    pytorch,
    returns={"dW": 2, "db": 2, "dx": 2},
    order=["db", "dW", "dx"],
)
sine, cosine = Twin(np.sin, torch.sin), Twin(np.cos)  # the slope of the sine is the cosine
square, double = Twin(np.square, torch.square), Twin(lambda z: 2 * z, name="2z")
check.case("3 inputs, 2 outputs, sine", **backward_case(3, 2, sine, cosine))
check.case("4 inputs, 4 outputs, square", **backward_case(4, 4, square, double))
### BEGIN HIDDEN TESTS
check.hidden.follow_through(dW=lambda db, x: np.outer(db, x), dx=lambda db, W: db @ W)
tanh, hill = Twin(np.tanh, torch.tanh), Twin(lambda z: 1 - np.tanh(z) ** 2, name="slope of tanh")
positive = Twin(relu, torch.relu)
relu_slope = Twin(lambda z: np.where(z > 0, 1.0, 0.0), name="slope of ReLU")
bell = Twin(sigmoid, torch.sigmoid)
bump = Twin(lambda z: sigmoid(z) * (1 - sigmoid(z)), name="slope of the sigmoid")
leaky = Twin(
    lambda z: np.where(z > 0, z, 0.1 * z), lambda z: torch.where(z > 0, z, 0.1 * z), name="leaky"
)
leak = Twin(lambda z: np.where(z > 0, 1.0, 0.1), name="slope of the leaky ReLU")
identity = Twin(lambda z: z, lambda z: 1 * z, name="identity")
ones = Twin(lambda z: np.ones_like(z), name="slope of the identity")
check.hidden.case("3 inputs, 7 outputs, ReLU", **backward_case(3, 7, positive, relu_slope))
check.hidden.case("3 inputs, 3 outputs, tanh", **backward_case(3, 3, tanh, hill))
check.hidden.case("one output, sigmoid", **backward_case(4, 1, bell, bump))
check.hidden.case("one input, a leaky ReLU", **backward_case(1, 5, leaky, leak))
check.hidden.case("no activation at all", **backward_case(6, 3, identity, ones))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### A batch: the samples share the weights
#
# Now B samples go through the same layer, one in each row of `X`:
#
# $$ Z = X W^\top + b \qquad Y = \varphi(Z) \qquad \text{shapes } (B, n_{out}) $$
#
# Sample $s$ has its own row $X_s$ and its own row of gradients $dX_s$. Nothing changes for these.
# But there is only **one** `W`. A change of $W_{ij}$ reaches the loss through every sample, so what
# the samples contribute adds up:
#
# $$ dW_{ij} = \sum_s dZ_{si}\, X_{sj} \qquad db_i = \sum_s dZ_{si} \qquad
# dX_{sj} = \sum_i dZ_{si}\, W_{ij} $$
#
# Each is a matrix product or a sum along one axis. To find which, look at the summed index. It must
# be the *last* of the left matrix and the *first* of the right one. Where it is not, a matrix needs
# its transpose.
#
# There is no division by B here. When the loss is a mean, the factor 1/B is in `dY` already.

# %% [markdown]
# ### Exercise: `backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn)`
#
# **What it is for.** Training uses batches; this is the function that a framework runs for one
# layer.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `dY` | (B, n_out) | gradient of the loss with respect to the outputs |
# | `X` | (B, n_in) | the samples, one a row |
# | `W`, `b` | (n_out, n_in), (n_out,) | weights and bias |
# | `activation_fn`, `activation_grad_fn` | | $\varphi$ and $\varphi'$ |
# | `dW` | (n_out, n_in) | summed over the batch |
# | `db` | (n_out,) | summed over the batch |
# | `dX` | (B, n_in) | one row for each sample |
#
# **6 points · 8 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure along which axis to sum for <code>db</code>.</summary>
#
# The axis that disappears is that of the samples. In which position does B stand in the shape of
# `dZ`?
#
# </details>
#
# <details><summary>I'm not sure which matrix to transpose for <code>dW</code>.</summary>
#
# Write the shapes down: you have (B, n_out) and (B, n_in), you want (n_out, n_in), and B must be
# the index that is summed. There is one arrangement that fits.
#
# </details>


# %% nbgrader={"grade_id": "backward_pass_batch", "solution": true}
def backward_pass_batch(dY, X, W, b, activation_fn, activation_grad_fn):
    """The gradients of one layer for a batch.

    Args:
        dY: gradient of the loss with respect to the outputs, shape (B, n_out)
        X: samples, one a row, shape (B, n_in)
        W: weights, shape (n_out, n_in)
        b: bias, shape (n_out,)
        activation_fn: the activation of the forward pass
        activation_grad_fn: its slope, a function of the Z of the layer

    Returns:
        dW: gradient of the weights, summed over the batch, shape (n_out, n_in)
        db: gradient of the bias, summed over the batch, shape (n_out,)
        dX: gradient of each sample, shape (B, n_in)
    """
    ### BEGIN SOLUTION
    Z = X @ W.T + b

    dZ = dY * activation_grad_fn(Z)
    db = dZ.sum(axis=0)
    dW = dZ.T @ X
    dX = dZ @ W
    return dW, db, dX
    ### END SOLUTION


# %% nbgrader={"grade_id": "backward_pass_batch-check", "grade": true, "points": 6}
rng = np.random.default_rng(33)


def pytorch(dY, X, W, b, activation_fn, activation_grad_fn):
    Z = torch.nn.functional.linear(X, W, b)
    Y = activation_fn(Z)
    J = (dY * Y).sum()
    return torch.autograd.grad(J, (W, b, X))


def batch_case(B, n_in, n_out, activation_fn, activation_grad_fn):
    return {
        "dY": rng.normal(size=(B, n_out)),
        "X": rng.normal(size=(B, n_in)),
        "W": rng.normal(size=(n_out, n_in)),
        "b": rng.normal(size=n_out),
        "activation_fn": activation_fn,
        "activation_grad_fn": activation_grad_fn,
    }


check = Check(
    "backward_pass_batch",
    pytorch,
    returns={"dW": 2, "db": 2, "dX": 2},
    order=["db", "dW", "dX"],
)
sine, cosine = Twin(np.sin, torch.sin), Twin(np.cos)
square, double = Twin(np.square, torch.square), Twin(lambda z: 2 * z, name="2z")
check.case("5 samples, 3 inputs, 2 outputs, sine", **batch_case(5, 3, 2, sine, cosine))
check.case("4 samples, 4 inputs, 4 outputs, square", **batch_case(4, 4, 4, square, double))
### BEGIN HIDDEN TESTS
positive = Twin(relu, torch.relu)
relu_slope = Twin(lambda z: np.where(z > 0, 1.0, 0.0), name="slope of ReLU")
bell = Twin(sigmoid, torch.sigmoid)
bump = Twin(lambda z: sigmoid(z) * (1 - sigmoid(z)), name="slope of the sigmoid")
leaky = Twin(
    lambda z: np.where(z > 0, z, 0.1 * z), lambda z: torch.where(z > 0, z, 0.1 * z), name="leaky"
)
leak = Twin(lambda z: np.where(z > 0, 1.0, 0.1), name="slope of the leaky ReLU")
identity = Twin(lambda z: z, lambda z: 1 * z, name="identity")
ones = Twin(lambda z: np.ones_like(z), name="slope of the identity")
check.hidden.case("6 samples, ReLU", **batch_case(6, 2, 5, positive, relu_slope))
check.hidden.case("a batch of one sample, sigmoid", **batch_case(1, 4, 3, bell, bump))
check.hidden.case("7 samples, one output, a leaky ReLU", **batch_case(7, 3, 1, leaky, leak))
check.hidden.case("2 samples, one input, no activation", **batch_case(2, 1, 3, identity, ones))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 4. Checking a gradient without autograd
#
# PyTorch checks your gradients in this notebook. What checks PyTorch? The definition of the
# derivative: change one number a little and look at the loss. For entry $i$ of an array $x$,
#
# $$ \frac{\partial f}{\partial x_i} \approx \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}
# {2 \varepsilon} $$
#
# Here $e_i$ is an array of the shape of $x$ with a one at entry $i$ and zeros elsewhere. All other
# entries stay where they are. This is the *central difference*.
#
# Why both sides? Taylor's formula gives $f(x \pm \varepsilon) = f \pm \varepsilon f' +
# \tfrac{\varepsilon^2}{2} f'' \pm \tfrac{\varepsilon^3}{6} f''' + \dots$ In the difference the
# terms with $f$ and $f''$ cancel, and what remains is
#
# $$ \frac{f(x + \varepsilon) - f(x - \varepsilon)}{2 \varepsilon}
# = f'(x) + \frac{\varepsilon^2}{6} f'''(x) + \dots $$
#
# The error shrinks with $\varepsilon^2$. A difference to one side leaves an error
# $\tfrac{\varepsilon}{2} f''$, which shrinks only with $\varepsilon$. For a polynomial of degree 3
# the dots are exactly zero. The check uses this: it takes PyTorch's derivatives $f'$ and $f'''$ and
# knows which number your step must give, even for a step as large as ½.

# %% [markdown]
# ### Exercise: `numerical_gradient(f, x, eps=1e-5)`
#
# **What it is for.** A judge for any gradient that you ever write. It is slow, and it needs no
# formula for the gradient.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `f` | | a function from an array of the shape of `x` to one number |
# | `x` | any: (n,), (m, n), (k, m, n) … | where the gradient is wanted; floats or whole numbers |
# | `eps` | () | the step $\varepsilon$, used exactly as given |
# | `gradient` | shape of `x` | central difference for each entry, float64 |
#
# `x` is as before when your function has returned. `f` may treat each place of the array
# differently, so always give it an array of the full shape.
#
# **3 points · 10 minutes · difficulty 2 of 3**
#
# <details><summary>I'm not sure how to visit every entry of an array of any shape.</summary>
#
# `np.ndindex(x.shape)` yields every index as a tuple, and `x[index]` takes such a tuple.
#
# </details>
#
# <details><summary>I'm not sure why it goes wrong for whole numbers.</summary>
#
# An array of integers cannot hold 2.00001: NumPy cuts it down to 2. In which type should your
# changed array be?
#
# </details>
#
# <details><summary>I'm not sure why the check says that I change my input.</summary>
#
# `(x + eps) - eps` is not always `x` in floating point. Change a copy, or put the old number back.
#
# </details>


# %% nbgrader={"grade_id": "numerical_gradient", "solution": true}
def numerical_gradient(f, x, eps=1e-5):
    """Central differences of f at x, one entry at a time.

    Args:
        f: a function from an array with x's shape to one number
        x: where the gradient is wanted, floats or whole numbers, any shape
        eps: the step, shape ()

    Returns:
        gradient: (f(x + eps) − f(x − eps)) / (2 eps) for each entry, shape of x
    """
    ### BEGIN SOLUTION
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above = x.astype(np.float64)  # astype makes a copy
        below = x.astype(np.float64)
        above[index] += eps
        below[index] -= eps
        gradient[index] = (f(above) - f(below)) / (2 * eps)
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "numerical_gradient-check", "grade": true, "points": 3}
rng = np.random.default_rng(41)


def pytorch(f, x, eps=1e-5):
    x = x.detach().double().requires_grad_()
    (first,) = torch.autograd.grad(f(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    return first + eps**2 / 6 * third


def cubic(x):
    return (x**3).sum()


def coupled(x):
    return (x**3).sum() + (x[0] * x[-1]).sum()


def steep(x):
    return 1e10 * (x**3).sum()


# A difference of two numbers near 10 that is divided by 2e-5 keeps about ten digits.
check = Check("numerical_gradient", pytorch, returns={"gradient": 3}, tolerance={"gradient": 1e-7})
check.case("x³ and a large step", f=Twin(cubic, cubic), x=rng.normal(size=4), eps=0.5)
check.case("a matrix, the usual step", f=Twin(coupled, coupled), x=rng.normal(size=(2, 3)))
check.case("whole numbers", f=Twin(cubic, cubic), x=np.array([-2, 0, 1, 3]))
### BEGIN HIDDEN TESTS
weights = rng.normal(size=(2, 1, 3))
check.hidden.case(
    "three axes, each place with its own weight",
    f=Twin(
        lambda x: float(np.sum(weights * x**3)),
        lambda x: (torch.tensor(weights) * x**3).sum(),
        name="weighted cubes",
    ),
    x=rng.normal(size=(2, 1, 3)),
    eps=0.25,
)
check.hidden.case("the usual step is exactly 1e-5", f=Twin(steep, steep), x=np.zeros((2, 2)))
check.hidden.case("another step", f=Twin(coupled, coupled), x=rng.normal(size=(4, 2)), eps=0.1)
check.hidden.case(
    "a matrix of whole numbers, a large step",
    f=Twin(coupled, coupled),
    x=rng.integers(-3, 4, size=(3, 2)),
    eps=0.5,
)
check.hidden.case(
    "sines and exponentials",
    f=Twin(
        lambda x: np.sum(np.sin(x) * np.exp(x[::-1])),
        lambda x: (torch.sin(x) * torch.exp(x.flip(0))).sum(),
        name="sin · exp",
    ),
    x=rng.normal(size=5),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# **How small should the step be?** Two errors compete.
#
# - The *formula* is off by about $\tfrac{\varepsilon^2}{6} |f'''|$. A smaller step helps.
# - The *computer* rounds $f$ to a relative precision $u$. The difference of two rounded numbers is
#   off by about $u|f|$, and the division by $2\varepsilon$ magnifies this. A smaller step hurts.
#
# The sum of the two is least near $\varepsilon \approx u^{1/3}$, when $f$ and $f'''$ are of
# the size of 1. In float64, $u \approx 10^{-16}$ and the best step is near $10^{-5}$. In float32,
# $u \approx 6 \cdot 10^{-8}$ and the best step is near $4 \cdot 10^{-3}$.
#
# The next cell runs your function with 60 steps, for $f(x) = e^{\sin x}$ at $x = 0.7$. The second
# curve uses the same $f$ computed in float32. Look at the lowest points of the two curves: too small
# a step is as bad as too large a one.


# %%
def exp_sin(x):
    return np.exp(np.sin(x)).sum()


def exp_sin_32(x):
    return np.exp(np.sin(x.astype(np.float32))).sum()


place = np.array([0.7])
true_slope = np.cos(0.7) * np.exp(np.sin(0.7))
if written(numerical_gradient, exp_sin, place, shape=(1,)):
    steps = np.logspace(-12, 0, 60)
    fig, ax = plt.subplots()
    for name, f, color, style in [
        ("float64", exp_sin, pictures.BLUE, "o-"),
        ("float32", exp_sin_32, pictures.VERMILION, "s--"),
    ]:
        error = [abs(numerical_gradient(f, place, eps)[0] - true_slope) for eps in steps]
        ax.loglog(steps, error, style, color=color, label=name, ms=3, lw=1)
        best = int(np.argmin(error))
        print(f"{name}: smallest error {error[best]:.0e} at eps = {steps[best]:.0e}")
    ax.set(
        xlabel="step eps",
        ylabel="error of the gradient",
        title="How the error depends on the step",
    )
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: error against step, both axes logarithmic. Each curve is a U (a V on these axes): it
# falls from the left, where rounding rules, and rises to the right with slope 2, where the formula
# rules. The float64 curve has its bottom far lower and farther left than the float32 curve. At its
# far left the float32 curve is flat: there $x \pm \varepsilon$ rounds to $x$, and the difference is
# zero or noise. Drawn from your function.*
#
# This is why gradients are checked in float64. In float32 the judge itself is wrong in the fourth
# or fifth digit, so it cannot tell a small mistake from rounding.
#
# Now let your judge meet your layer. The loss below is $\sum_i dy_i\, y_i$, so the gradient at $y$
# is `dy`. The two answers should agree to about ten digits.

# %%
rng = np.random.default_rng(42)
x, W, b, dy = (rng.normal(size=size) for size in (3, (2, 3), 2, 2))
layer = (dy, x, W, b, np.tanh, tanh_grad)
if all(
    [
        written(forward_pass, x, W, b, np.tanh, shape=(2,)),
        written(backward_pass, *layer, values=3),
        written(numerical_gradient, exp_sin, W, shape=W.shape),
    ]
):
    dW, db, dx = backward_pass(*layer)
    for name, mine, judge in [
        ("dW", dW, numerical_gradient(lambda V: dy @ forward_pass(x, V, b, np.tanh), W)),
        ("db", db, numerical_gradient(lambda v: dy @ forward_pass(x, W, v, np.tanh), b)),
        ("dx", dx, numerical_gradient(lambda v: dy @ forward_pass(v, W, b, np.tanh), x)),
    ]:
        print(f"{name}: largest difference {np.abs(mine - judge).max():.0e}")

# %% [markdown]
# Why then does nobody train with central differences? Count the forward passes: two for **each**
# weight. A layer with a million weights needs two million. Back-propagation gets all gradients for
# about the price of two more forward passes.

# %% [markdown]
# ## 5. The loss of a yes-or-no question
#
# A classifier answers with a probability $p$ between 0 and 1. The target $y$ is 1 for yes and 0
# for no. The *binary cross-entropy* (BCE) is the negative logarithm of the probability that was
# given to the right answer: $-\log p$ when $y = 1$, and $-\log(1 - p)$ when $y = 0$. One formula
# for both, averaged over all N numbers of the array:
#
# $$ L = -\frac1N \sum_s \big( y_s \log p_s + (1 - y_s) \log (1 - p_s) \big) $$

# %% [markdown]
# ### Exercise: `bce_loss(p, y)`
#
# **What it is for.** It turns predictions and targets into the one number that training lowers.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `p` | any | probabilities, strictly between 0 and 1 |
# | `y` | shape of `p` | targets, each 0.0 or 1.0 |
# | `loss` | () | mean over **all** elements, with the natural logarithm |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to choose between the two logarithms without an if.</summary>
#
# Look at the formula: when $y$ is 1 the second term is multiplied by zero, when $y$ is 0 the first
# one is. Compute both for the whole array.
#
# </details>
#
# <details><summary>I'm not sure what N is for an array with two axes.</summary>
#
# The number of all its elements. NumPy's mean without an axis divides by that.
#
# </details>


# %% nbgrader={"grade_id": "bce_loss", "solution": true}
def bce_loss(p, y):
    """Binary cross-entropy, the mean over all elements.

    Args:
        p: probabilities, strictly between 0 and 1, any shape
        y: targets, each 0.0 or 1.0, shape of p

    Returns:
        loss: a number, shape ()
    """
    ### BEGIN SOLUTION
    log_likelihood = y * np.log(p) + (1 - y) * np.log(1 - p)
    return -np.mean(log_likelihood)
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce_loss-check", "grade": true, "points": 2}
rng = np.random.default_rng(51)


def pytorch(p, y):
    criterion = torch.nn.BCELoss()
    return criterion(p, y)


# The tolerance allows a guard as small as 1e-10 inside the logarithm.
check = Check("bce_loss", pytorch, returns={"loss": 2}, tolerance={"loss": 1e-8})
check.case("four answers", p=np.array([0.9, 0.2, 0.6, 0.3]), y=np.array([1.0, 0.0, 0.0, 1.0]))
check.case(
    "a column, shape (3, 1)", p=np.array([[0.7], [0.15], [0.4]]), y=np.array([[1.0], [1.0], [0.0]])
)
### BEGIN HIDDEN TESTS
for title, shape in [("two axes", (3, 4)), ("three axes", (2, 3, 5)), ("one answer", (1,))]:
    check.hidden.case(
        title,
        p=rng.uniform(0.1, 0.9, size=shape),
        y=rng.integers(0, 2, size=shape).astype(np.float64),
    )
check.hidden.case("one yes", p=np.array([[0.35]]), y=np.array([[1.0]]))
check.hidden.case("one no", p=np.array([[0.35]]), y=np.array([[0.0]]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Now its gradient. Take one element $p_s$. It stands in one term of the sum. The derivative of
# $\log p$ is $1/p$. The derivative of $\log(1 - p)$ is $-1/(1 - p)$: the minus comes from the inner
# function. The factor $-\frac1N$ in front of the sum stays. So
#
# $$ dp_s = -\frac1N \left( \frac{y_s}{p_s} - \frac{1 - y_s}{1 - p_s} \right)
# = \frac1N \cdot \frac{p_s - y_s}{p_s (1 - p_s)} $$
#
# Read the last form. The sign is that of $p - y$: to lower the loss, move $p$ toward $y$. The
# denominator makes the gradient huge when the network is sure and wrong.

# %% [markdown]
# ### Exercise: `bce_grad(p, y)`
#
# **What it is for.** The first dashed arrow: every backward pass of a classifier starts with it.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `p` | any | probabilities, strictly between 0 and 1 |
# | `y` | shape of `p` | targets, each 0.0 or 1.0 |
# | `dp` | shape of `p` | gradient of `bce_loss` with respect to each element |
#
# **2 points · 6 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure why there is a division by the number of elements.</summary>
#
# The loss is a mean. Each element has the weight 1/N in it, and a derivative keeps such a factor.
#
# </details>
#
# <details><summary>I'm not sure which N belongs to an array of shape (3, 4).</summary>
#
# The same N as in the loss: all elements, not the rows. An array knows the number of its elements.
#
# </details>


# %% nbgrader={"grade_id": "bce_grad", "solution": true}
def bce_grad(p, y):
    """The gradient of the mean binary cross-entropy with respect to the probabilities.

    Args:
        p: probabilities, strictly between 0 and 1, any shape
        y: targets, each 0.0 or 1.0, shape of p

    Returns:
        dp: gradient of the loss, shape of p
    """
    ### BEGIN SOLUTION
    dloss_each = 1 / p.size
    return dloss_each * (p - y) / (p * (1 - p))
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce_grad-check", "grade": true, "points": 2}
rng = np.random.default_rng(52)


def pytorch(p, y):
    loss = torch.nn.BCELoss()(p, y)
    return torch.autograd.grad(loss, p)[0]


check = Check("bce_grad", pytorch, returns={"dp": 2}, tolerance={"dp": 1e-8})
check.case("four answers", p=np.array([0.9, 0.2, 0.6, 0.3]), y=np.array([1.0, 0.0, 0.0, 1.0]))
check.case(
    "two axes",
    p=np.array([[0.7, 0.15, 0.6], [0.4, 0.8, 0.3]]),
    y=np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
)
### BEGIN HIDDEN TESTS
for title, shape in [("a column", (5, 1)), ("three axes", (2, 3, 4)), ("a row", (1, 6))]:
    check.hidden.case(
        title,
        p=rng.uniform(0.1, 0.9, size=shape),
        y=rng.integers(0, 2, size=shape).astype(np.float64),
    )
check.hidden.case("one yes", p=np.array([0.35]), y=np.array([1.0]))
check.hidden.case("one no", p=np.array([0.35]), y=np.array([0.0]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# Where does $p$ come from? From a sigmoid: $p = \sigma(z)$, and $\sigma' = p (1 - p)$, as you found
# in section 1. For B samples with one $z$ each, N is B. The chain rule multiplies:
#
# $$ dz_s = dp_s \cdot \sigma'(z_s)
# = \frac1B \cdot \frac{p_s - y_s}{p_s (1 - p_s)} \cdot p_s (1 - p_s)
# = \frac{\sigma(z_s) - y_s}{B} $$
#
# The factor that could be huge and the factor that could be tiny cancel on paper. What is left is
# the difference between answer and target. Writing two steps as one like this is called *fusing*
# them.

# %% [markdown]
# ### Exercise: `sigmoid_bce_grad(z, y)`
#
# **What it is for.** The gradient at the last `z` of a classifier, without a division by almost
# zero. PyTorch's `BCEWithLogitsLoss` does the same.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `z` | (B,) or (B, 1) | numbers that go into the sigmoid, one for each sample |
# | `y` | shape of `z` | targets, each 0.0 or 1.0 |
# | `dz` | shape of `z` | gradient of the mean BCE of $\sigma(z)$ with respect to `z` |
#
# Points: 1 for `dz`, and 1 when it is also right for a network that is sure and wrong, at $z = 40$.
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure where the slope of the sigmoid went.</summary>
#
# It is in the formula above, before the last equals sign. It cancels. If you multiply by it once
# more, it is there once too often.
#
# </details>
#
# <details><summary>I'm not sure what B is in code.</summary>
#
# The number of samples, the first number of the shape of `z`.
#
# </details>


# %% nbgrader={"grade_id": "sigmoid_bce_grad", "solution": true}
def sigmoid_bce_grad(z, y):
    """The gradient of the mean binary cross-entropy of sigmoid(z), fused.

    Args:
        z: numbers that go into the sigmoid, shape (B,) or (B, 1)
        y: targets, each 0.0 or 1.0, shape of z

    Returns:
        dz: gradient of the loss with respect to z, shape of z
    """
    ### BEGIN SOLUTION
    B = len(z)
    p = sigmoid(z)
    return (p - y) / B
    ### END SOLUTION


# %% nbgrader={"grade_id": "sigmoid_bce_grad-check", "grade": true, "points": 2}
rng = np.random.default_rng(53)


def pytorch(z, y):
    loss = torch.nn.BCEWithLogitsLoss()(z, y)
    return torch.autograd.grad(loss, z)[0]


check = Check("sigmoid_bce_grad", pytorch, returns={"dz": 1}, aspects={"sure and wrong": 1})
check.case("four samples", z=np.array([1.5, -0.3, 0.8, -2.0]), y=np.array([1.0, 0.0, 0.0, 1.0]))
check.case(
    "a column, shape (3, 1)", z=np.array([[0.7], [-1.2], [2.2]]), y=np.array([[0.0], [1.0], [1.0]])
)
check.case(
    "sure and wrong, z = 40",
    aspect="sure and wrong",
    z=np.array([40.0, -40.0, 0.5]),
    y=np.array([0.0, 1.0, 1.0]),
)
### BEGIN HIDDEN TESTS
check.hidden.case(
    "a column, sure and right, sure and wrong",
    aspect="sure and wrong",
    z=np.array([[-50.0], [45.0], [39.0], [-41.0]]),
    y=np.array([[0.0], [1.0], [0.0], [1.0]]),
)
for title, shape in [("seven samples", (7,)), ("a column of six", (6, 1)), ("two samples", (2,))]:
    check.hidden.case(
        title,
        z=2 * rng.normal(size=shape),
        y=rng.integers(0, 2, size=shape).astype(np.float64),
    )
check.hidden.case("one sample, a yes", z=np.array([[-0.6]]), y=np.array([[1.0]]))
check.hidden.case("one sample, a no", z=np.array([0.0]), y=np.array([0.0]))
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# On paper both ways are equal. On a computer they are not. At $z = 40$ float64 rounds $\sigma(z)$
# to exactly 1. When the target is 0, the gradient there, times B, should be 1. The next cell
# computes it in two steps and in one.

# %%
z, y = np.array([2.0, 20.0, 40.0]), np.zeros(3)
if all(
    [
        written(sigmoid_grad, z, shape=z.shape),
        written(bce_grad, np.full(3, 0.5), y, shape=z.shape),
        written(sigmoid_bce_grad, z, y, shape=z.shape),
    ]
):
    with np.errstate(all="ignore"):
        two_steps = bce_grad(sigmoid(z), y) * sigmoid_grad(z)
    print("z                         ", z)
    print("two steps, times B        ", two_steps * 3)
    print("sigmoid_bce_grad, times B ", sigmoid_bce_grad(z, y) * 3)

# %% [markdown]
# The two steps end in `nan`, "not a number": they divide by zero and then multiply by zero. The
# fused form never divides by $p(1 - p)$.

# %% [markdown]
# ## 6. A whole network
#
# Now put the pieces together. In PyTorch the network is four lines:
#
# ```python
# model = nn.Sequential(
#     nn.Linear(3, 4),
#     nn.ReLU(),
#     nn.Linear(4, 1),
#     nn.Sigmoid(),
# )
# ```
#
# With `nn.BCELoss()` and `loss.backward()`, PyTorch fills the `.grad` of every parameter. You will
# do the work of `loss.backward()`. These are the forward lines, and what the line opposite each has
# to deliver:
#
# | forward line | shape | the backward line delivers | made from |
# |---|---|---|---|
# | $z_1 = X W_1^\top + b_1$ | (B, n_hidden) | $dW_1$, $db_1$ | $dz_1$ and $X$ |
# | $a_1 = \mathrm{ReLU}(z_1)$ | (B, n_hidden) | $dz_1$ | $da_1$ and $z_1$ |
# | $z_2 = a_1 W_2^\top + b_2$ | (B, 1) | $da_1$, $dW_2$, $db_2$ | $dz_2$, $W_2$ and $a_1$ |
# | $p = \sigma(z_2)$, $L = \mathrm{BCE}(p, y)$ | (B, 1), () | $dz_2$ | $z_2$ and $y$ |
#
# Read the first column from top to bottom, and the third from bottom to top. Each $dV$ has the
# shape of $V$.

# %% [markdown]
# ### Exercise: `sequential_gradients(X, y, W1, b1, W2, b2)`
#
# **What it is for.** It is `loss.backward()` for this network.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `X` | (B, n_in) | samples, one a row |
# | `y` | (B, 1) | targets, each 0.0 or 1.0 |
# | `W1`, `b1` | (n_hidden, n_in), (n_hidden,) | first layer, then ReLU |
# | `W2`, `b2` | (1, n_hidden), (1,) | second layer, then sigmoid |
# | `dW1`, `db1` | shapes of `W1`, `b1` | gradients of the mean BCE |
# | `dW2`, `db2` | shapes of `W2`, `b2` | gradients of the mean BCE |
#
# The sizes differ from case to case. You may call every function that you have written. Points: 2
# for each gradient.
#
# **8 points · 14 minutes · difficulty 3 of 3**
#
# <details><summary>I'm not sure where to start.</summary>
#
# With the four forward lines; give each result its name. Then the last line of the table, from its
# bottom row up. You have written a function that delivers $dz_2$ in one step.
#
# </details>
#
# <details><summary>I'm not sure how the gradient gets from the second layer to the first.</summary>
#
# $a_1$ is the input of the second layer. The gradient of a layer's input has its own formula in
# section 3. Then it passes ReLU, which lets it through where $z_1$ is positive.
#
# </details>
#
# <details><summary>I'm not sure where the mean over the batch enters.</summary>
#
# Once, at the loss. Everything below sums over the samples and divides no more.
#
# </details>


# %% nbgrader={"grade_id": "sequential_gradients", "solution": true}
def sequential_gradients(X, y, W1, b1, W2, b2):
    """The gradients of Linear → ReLU → Linear → Sigmoid with the mean binary cross-entropy.

    Args:
        X: samples, one a row, shape (B, n_in)
        y: targets, each 0.0 or 1.0, shape (B, 1)
        W1: weights of the first layer, shape (n_hidden, n_in)
        b1: bias of the first layer, shape (n_hidden,)
        W2: weights of the second layer, shape (1, n_hidden)
        b2: bias of the second layer, shape (1,)

    Returns:
        dW1: gradient of W1, shape (n_hidden, n_in)
        db1: gradient of b1, shape (n_hidden,)
        dW2: gradient of W2, shape (1, n_hidden)
        db2: gradient of b2, shape (1,)
    """
    ### BEGIN SOLUTION
    z1 = X @ W1.T + b1
    a1 = relu(z1)
    z2 = a1 @ W2.T + b2

    dz2 = sigmoid_bce_grad(z2, y)
    dW2 = dz2.T @ a1
    db2 = dz2.sum(axis=0)
    da1 = dz2 @ W2
    dz1 = da1 * relu_grad(z1)
    dW1 = dz1.T @ X
    db1 = dz1.sum(axis=0)
    return dW1, db1, dW2, db2
    ### END SOLUTION


# %% nbgrader={"grade_id": "sequential_gradients-check", "grade": true, "points": 8}
rng = np.random.default_rng(61)
nn = torch.nn


def pytorch(X, y, W1, b1, W2, b2):
    n_hidden, n_in = W1.shape
    model = nn.Sequential(
        nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, 1), nn.Sigmoid()
    )
    model.double().load_state_dict({"0.weight": W1, "0.bias": b1, "2.weight": W2, "2.bias": b2})
    criterion = nn.BCELoss()
    loss = criterion(model(X), y)
    loss.backward()
    return [parameter.grad for parameter in model.parameters()]


def network_case(B, n_in, n_hidden):
    return {
        "X": rng.normal(size=(B, n_in)),
        "y": rng.permutation(np.arange(B) % 2.0)[:, None],
        "W1": rng.normal(size=(n_hidden, n_in)),
        "b1": rng.normal(size=n_hidden),
        "W2": rng.normal(size=(1, n_hidden)),
        "b2": rng.normal(size=1),
    }


check = Check(
    "sequential_gradients",
    pytorch,
    returns={"dW1": 2, "db1": 2, "dW2": 2, "db2": 2},
    order=["dW2", "db2", "dW1", "db1"],
)
check.case("the 3 → 4 → 1 network, 6 samples", **network_case(6, 3, 4))
check.case("4 samples, 4 inputs, 4 hidden neurons", **network_case(4, 4, 4))
### BEGIN HIDDEN TESTS
check.hidden.case("2 → 7 → 1, 5 samples", **network_case(5, 2, 7))
check.hidden.case("one sample", **network_case(1, 3, 4))
check.hidden.case("one hidden neuron", **(network_case(8, 2, 1) | {"W1": np.array([[0.9, -0.4]])}))
corner = network_case(3, 2, 5)
corner["X"][0] = 0.0
corner["b1"][:2] = 0.0
corner["W2"][0, :2] = 1.3, -0.8
check.hidden.case("a sample for which z1 is exactly zero", **corner)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ## 7. One step down
#
# The gradient points to where the loss grows fastest. To lower the loss, move the other way. How
# far is set by the *learning rate* $\eta$. For every parameter $V$ of the network:
#
# $$ V \leftarrow V - \eta \, dV $$
#
# This is *stochastic gradient descent* (SGD); it is called stochastic because the batch is a random
# part of the data. PyTorch's `torch.optim.SGD` does this in `optimizer.step()`. Call it after
# `loss.backward()`, never before: earlier the gradients are not there yet.

# %% [markdown]
# ### Exercise: `sgd_step(params, grads, learning_rate)`
#
# **What it is for.** The one line that makes a network learn.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `params` | list of arrays | the parameters, each of any shape |
# | `grads` | list of arrays | their gradients, in the same order and shapes |
# | `learning_rate` | () | $\eta$, a positive number |
# | `new_params` | list of arrays | a **new** list of **new** arrays; `params` stays as it was |
#
# **2 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure how to walk through two lists at once.</summary>
#
# `zip` pairs the first with the first, the second with the second, and so on.
#
# </details>
#
# <details><summary>I'm not sure why the check says that I change my input.</summary>
#
# `p -= …` writes into the array that the caller owns. `p - …` makes a new one.
#
# </details>


# %% nbgrader={"grade_id": "sgd_step", "solution": true}
def sgd_step(params, grads, learning_rate):
    """One step of stochastic gradient descent.

    Args:
        params: a list of arrays of any shape
        grads: a list of their gradients, in the same order
        learning_rate: the size of the step, shape ()

    Returns:
        new_params: a new list of new arrays
    """
    ### BEGIN SOLUTION
    new_params = []
    for param, grad in zip(params, grads, strict=True):
        new_params.append(param - learning_rate * grad)
    return new_params
    ### END SOLUTION


# %% nbgrader={"grade_id": "sgd_step-check", "grade": true, "points": 2}
rng = np.random.default_rng(71)


def pytorch(params, grads, learning_rate):
    with torch.no_grad():
        for param, grad in zip(params, grads, strict=True):
            param.add_(grad, alpha=-learning_rate)  # the line inside torch.optim.SGD
    return params


def arrays_case(*shapes):
    return [rng.normal(size=shape) for shape in shapes]


check = Check("sgd_step", pytorch, returns={"new_params": 2})
shapes = [(4, 3), (4,), (1, 4), (1,)]
check.case(
    "the 3 → 4 → 1 network",
    params=arrays_case(*shapes),
    grads=arrays_case(*shapes),
    learning_rate=0.1,
)
check.case("one vector", params=arrays_case(5), grads=arrays_case(5), learning_rate=0.75)
### BEGIN HIDDEN TESTS
shapes = [(3, 3), (3, 3), (2, 3, 4)]
check.hidden.case(
    "equal shapes", params=arrays_case(*shapes), grads=arrays_case(*shapes), learning_rate=2.0
)
shapes = [(2,), (5, 2), (1,), (2, 2), (3, 1, 2)]
check.hidden.case(
    "five arrays", params=arrays_case(*shapes), grads=arrays_case(*shapes), learning_rate=0.003
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### What `.grad` holds when `zero_grad()` is forgotten
#
# A training loop in PyTorch has four lines, in this order:
#
# ```python
# optimizer.zero_grad()
# loss = criterion(model(X), y)
# loss.backward()
# optimizer.step()
# ```
#
# Suppose the first line is missing. The loss below is $w_1 \cdot 1 + w_2 \cdot 2 + w_3 \cdot 3$, so
# its gradient is $(1, 2, 3)$. The program calls `backward()` three times and never clears `.grad`.
#
# **Predict first.** What does `w.grad` hold in the end? Write your prediction into the next cell.
# It is not graded. Then run the cell after it.

# %%
my_prediction = None  # for example [1, 2, 3]

# %%
w = torch.zeros(3, requires_grad=True)
for call in (1, 2, 3):
    loss = (w * torch.tensor([1.0, 2.0, 3.0])).sum()
    loss.backward()
    print(f"after backward() number {call}: w.grad = {w.grad.tolist()}")
print("your prediction:", my_prediction if my_prediction is not None else "none written yet")

# %% [markdown]
# `backward()` **adds** to what `.grad` holds. This is no whim. A parameter that is used twice in a
# network gets two gradients, and they add up, as the paths to $x_j$ did in section 3. It also lets
# a program split a batch that is too large for its memory. But it makes you responsible for the
# zeros.

# %% [markdown]
# ### Exercise: `accumulate(grad_buffers, grads)`
#
# **What it is for.** What `backward()` does to the `.grad` of each parameter.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `grad_buffers` | list of arrays | what each `.grad` holds before |
# | `grads` | list of arrays | the gradients of this backward pass, in the same order and shapes |
# | `new_buffers` | list of arrays | what each `.grad` holds after; **new** list, **new** arrays |
#
# **2 points · 3 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure what <code>+</code> does with two lists.</summary>
#
# It puts the one list behind the other. You want to add the arrays inside, pair by pair.
#
# </details>
#
# <details><summary>I'm not sure whether to change the buffers or to make new ones.</summary>
#
# PyTorch changes them in place. Here, as everywhere in this course, a function leaves its inputs as
# they are.
#
# </details>


# %% nbgrader={"grade_id": "accumulate", "solution": true}
def accumulate(grad_buffers, grads):
    """What each .grad holds after one more backward pass.

    Args:
        grad_buffers: a list of arrays of any shape, what each .grad holds before
        grads: a list of the new gradients, in the same order

    Returns:
        new_buffers: a new list of new arrays
    """
    ### BEGIN SOLUTION
    return [buffer + grad for buffer, grad in zip(grad_buffers, grads, strict=True)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "accumulate-check", "grade": true, "points": 2}
rng = np.random.default_rng(72)


def pytorch(grad_buffers, grads):
    params = [torch.zeros_like(grad, requires_grad=True) for grad in grads]
    for gradients in (grad_buffers, grads):  # two backward passes, no zero_grad() between
        pairs = zip(gradients, params, strict=True)
        sum((gradient * param).sum() for gradient, param in pairs).backward()
    return [param.grad for param in params]


def arrays_case(*shapes):
    return [rng.normal(size=shape) for shape in shapes]


check = Check("accumulate", pytorch, returns={"new_buffers": 2})
shapes = [(4, 3), (4,), (1, 4), (1,)]
check.case("the 3 → 4 → 1 network", grad_buffers=arrays_case(*shapes), grads=arrays_case(*shapes))
check.case("one vector", grad_buffers=arrays_case(5), grads=arrays_case(5))
### BEGIN HIDDEN TESTS
shapes = [(3, 3), (3, 3), (2, 3, 4)]
check.hidden.case("equal shapes", grad_buffers=arrays_case(*shapes), grads=arrays_case(*shapes))
shapes = [(2,), (5, 2), (1,)]
check.hidden.case(
    "the first backward pass, buffers of zeros",
    grad_buffers=[np.zeros(shape) for shape in shapes],
    grads=arrays_case(*shapes),
)
### END HIDDEN TESTS
check.grade()

# %% [markdown]
# ### Train
#
# Everything is there: gradients, the step, the loss. The next cell makes 64 random points with
# three coordinates each. The answer is yes when the first two, with some noise, have a positive
# sum. The cell trains the 3 → 4 → 1 network with your functions for 100 steps, twice from the same
# start: once as it should be, and once with the gradients added up and never cleared. Look at how
# the second curve swings.


# %%
def train(X, y, params, learning_rate, steps, forget_zero_grad):
    losses, buffers = [], [np.zeros_like(param) for param in params]
    for _ in range(steps):
        W1, b1, W2, b2 = params
        p = sigmoid(relu(X @ W1.T + b1) @ W2.T + b2)
        losses.append(bce_loss(np.clip(p, 1e-12, 1 - 1e-12), y))
        if not forget_zero_grad:
            buffers = [np.zeros_like(param) for param in params]
        buffers = accumulate(buffers, sequential_gradients(X, y, *params))
        params = sgd_step(params, buffers, learning_rate)
    return losses


rng = np.random.default_rng(73)
X = rng.normal(size=(64, 3))
y = (X[:, :1] + X[:, 1:2] + 0.8 * rng.normal(size=(64, 1)) > 0).astype(np.float64)
start = [rng.normal(size=(4, 3)), np.zeros(4), rng.normal(size=(1, 4)), np.zeros(1)]
if all(
    [
        written(bce_loss, np.full(2, 0.5), np.ones(2), shape=()),
        written(sequential_gradients, X, y, *start, values=4),
        written(accumulate, start, start, values=4),
        written(sgd_step, start, start, 0.1, values=4),
    ]
):
    fig, ax = plt.subplots()
    for forget, label, color, style in [
        (False, "with zero_grad()", pictures.BLUE, "-"),
        (True, "zero_grad() forgotten", pictures.VERMILION, "--"),
    ]:
        losses = train(X, y, start, 0.3, 100, forget)
        ax.plot(losses, style, color=color, label=label)
        print(f"{label}: loss {losses[0]:.2f} at the start, {losses[-1]:.2f} at the end")
    ax.set(xlabel="step", ylabel="loss", title="With and without zero_grad()")
    ax.legend()
    plt.show()

# %% [markdown]
# *Picture: the loss against the step. One curve falls and levels off. The other, with gradients
# that are never cleared, swings up and down and ends higher. Both come from your
# `sequential_gradients`, `accumulate`, `sgd_step` and `bce_loss`.*
#
# The second run still moves on old gradients, long after they have served, and shoots past the
# bottom of the valley. It does not crash and it raises no error, so only the curve tells you.
# With a brake on the old gradients the same idea becomes useful: it is *momentum*, in notebook 06.

# %% [markdown]
# ## Summary
#
# - A gradient $dV$ has the shape of $V$. Each forward line has one backward line.
# - The chain rule multiplies the slopes along a path. Where several paths meet, their gradients add
#   up: over the outputs for $dx$, over the samples for $dW$ and $db$, over the calls for `.grad`.
# - $dz = dy \cdot \varphi'(z)$, $dW = dz\, x^\top$, $db = dz$, $dx = W^\top dz$. For a batch:
#   $dZ^\top X$, the sum over the rows of $dZ$, and $dZ\, W$.
# - The mean over the batch enters once, at the loss. Sigmoid and BCE fuse to $(\sigma(z) - y)/B$.
# - Central differences judge a gradient, in float64, with a step near $10^{-5}$.
# - A training step is: clear, forward, backward, step.
# - Nothing here is special to ReLU, sigmoid or BCE. Back-propagation works for every activation and
#   every loss with a slope, and its gradients serve other optimizers than SGD too, such as Adam in
#   notebook 06.
#
# **Next.** In notebook [03](../03-two-layer-ffn/03-two-layer-ffn.ipynb) the same lines run through
# the feed-forward block of a transformer and through networks of any depth, with a cache that the
# forward pass leaves behind.
# Back to notebook [01](../01-forward-pass/01-forward-pass.ipynb).
