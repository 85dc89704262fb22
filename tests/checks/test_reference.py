"""What PyTorch recorded, as names."""

import torch

from autograder.checks import recorded_edges


def test_a_recorded_graph_joins_the_variables_that_are_next_to_each_other():
    x, w, b = (torch.ones(3, requires_grad=True) for _ in range(3))
    z = (w * x).exp().sum() + b
    y = z * z
    named = recorded_edges(x=x, w=w, b=b, z=z, y=y)
    assert named == {("x", "z"), ("w", "z"), ("b", "z"), ("z", "y")}


def test_what_has_no_name_is_walked_through():
    x = torch.ones(3, requires_grad=True)
    y = (2 * x).tanh()
    assert recorded_edges(x=x, y=y) == {("x", "y")}
