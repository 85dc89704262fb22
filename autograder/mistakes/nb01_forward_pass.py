"""Mistakes of notebook 01, the forward pass."""

# The same untyped function many times, wrong on purpose.
# mypy: ignore-errors

from autograder.mistakes import mistake, success_note

success_note(
    "affine",
    "Each row of W holds the weights of one output, so W @ x takes all dot products at once.",
)


@mistake("affine", "no-bias", "The bias b is not in the sum. Which term of the formula is absent?")
def affine(x, W, b):
    return W @ x


@mistake(
    "affine",
    "transposed-weights",
    "W is used transposed: its columns meet x. Each output has one row of W; see its shape.",
)
def affine(x, W, b):
    return x @ W + b


@mistake(
    "affine",
    "bias-subtracted",
    "The bias is subtracted. Look at the sign in front of b in the formula.",
)
def affine(x, W, b):
    return W @ x - b


@mistake(
    "affine",
    "weights-and-bias-added-first",
    "The bias joins the weights before the product, so x multiplies it too. Look at the order.",
)
def affine(x, W, b):
    return (W + b[:, None]) @ x
