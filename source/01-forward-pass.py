# %% [markdown]
# # 01 · The forward pass
#
# **2 points · about 4 minutes**

# %% nbgrader={"grade_id": "setup", "locked": true}
import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder.checks import Check

# %% [markdown]
# ### Exercise: `affine(x, W, b)`
#
# **What it is for.** Every layer of every network in this course begins with this line.
#
# | symbol | shape | meaning |
# |---|---|---|
# | `x` | (n_in,) | one sample |
# | `W` | (n_out, n_in) | weights, one row for each output |
# | `b` | (n_out,) | bias, one number for each output |
# | `z` | (n_out,) | the result, `W x + b` |
#
# **2 points · 4 minutes · difficulty 1 of 3**
#
# <details><summary>I'm not sure on which side of <code>W</code> the sample stands.</summary>
#
# Row `i` of `W` belongs to output `i`. Output `i` is the dot product of that row with `x`.
# Which order of a matrix and a vector takes the dot product of each *row*?
#
# </details>
#
# <details><summary>I'm not sure which NumPy operator multiplies matrices.</summary>
#
# `*` multiplies entry by entry. `@` takes the dot products.
#
# </details>


# %% nbgrader={"grade_id": "affine", "solution": true}
def affine(x, W, b):
    """The affine map of one layer, for one sample.

    Args:
        x: one sample, shape (n_in,)
        W: weights, shape (n_out, n_in)
        b: bias, shape (n_out,)

    Returns:
        z: pre-activation, shape (n_out,)
    """
    ### BEGIN SOLUTION
    return W @ x + b
    ### END SOLUTION


# %% nbgrader={"grade_id": "affine-check", "grade": true, "points": 2}
rng = np.random.default_rng(1)


def pytorch(x, W, b):
    return torch.nn.functional.linear(x, W, b)


check = Check("affine", pytorch, returns={"z": 2})
check.case(
    "3 inputs, 2 outputs", x=rng.normal(size=3), W=rng.normal(size=(2, 3)), b=rng.normal(size=2)
)
check.case(
    "as many inputs as outputs",
    x=rng.normal(size=4),
    W=rng.normal(size=(4, 4)),
    b=rng.normal(size=4),
)
### BEGIN HIDDEN TESTS
check.hidden.case(
    "one output", x=rng.normal(size=5), W=rng.normal(size=(1, 5)), b=rng.normal(size=1)
)
### END HIDDEN TESTS
check.grade()
