"""The only place where the checks meet torch: the reference is computed here, when a cell runs."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Twin:
    """One function in two libraries: the student's code gets ``numpy``, the reference ``torch``."""

    numpy: Callable[..., Any]
    torch: Callable[..., Any] | None = None
    name: str | None = None

    def __str__(self) -> str:
        return self.name or str(getattr(self.numpy, "__name__", "a function"))


class TorchUsed(Exception):
    """Torch was called where the student writes NumPy."""


def run_reference(reference: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
    """Call ``reference`` with float64 tensors that ask for gradients; return NumPy values."""
    import torch

    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        return to_numpy(reference(*(_to_torch(value) for value in inputs.values())))


def recorded_edges(**variables: Any) -> set[tuple[str, str]]:
    """The (from, to) pairs of names in the graph that PyTorch recorded for ``variables``.

    From each variable the walk goes back through the operations and ends at other variables.
    Every variable needs a gradient.
    """
    import torch

    node_of = {n: torch.autograd.graph.get_gradient_edge(v).node for n, v in variables.items()}
    name_of = {node: name for name, node in node_of.items()}
    edges: set[tuple[str, str]] = set()
    for name, start in node_of.items():
        waiting = [node for node, _ in start.next_functions]
        while waiting:
            node = waiting.pop()
            if node in name_of:
                edges.add((name_of[node], name))
            elif node is not None:
                waiting += [earlier for earlier, _ in node.next_functions]
    return edges


def to_numpy(value: Any) -> Any:
    """Tensors become arrays, inside lists, tuples and dicts too; everything else stays."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().numpy().copy()
    if isinstance(value, Mapping):
        return {key: to_numpy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_numpy(item) for item in value)
    return value


def _to_torch(value: Any) -> Any:
    import torch

    if isinstance(value, Twin):
        return value.torch
    if isinstance(value, np.ndarray):
        tensor = torch.tensor(value)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor
    if isinstance(value, (list, tuple)):
        return type(value)(_to_torch(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _to_torch(item) for key, item in value.items()}
    return value


@contextmanager
def torch_forbidden() -> Iterator[None]:
    """While this lasts, a call of torch raises ``TorchUsed``.

    In a NumPy exercise torch is the reference and never the answer.
    """
    if not _torch_is_here():
        yield
        return
    from torch.overrides import TorchFunctionMode

    class Forbid(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = getattr(func, "__name__", "a function")
            raise TorchUsed(f"it calls torch ({name}); this exercise is written in NumPy")

    with Forbid():
        yield


@contextmanager
def torch_left_as_found() -> Iterator[None]:
    """Undo what a student's function did to torch's global switches, so later checks are safe."""
    if not _torch_is_here():
        yield
        return
    import torch

    enabled, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_grad_enabled(enabled)
        torch.set_default_dtype(dtype)


def _torch_is_here() -> bool:
    """False in a process that was made without torch, where a stand-in has its name."""
    return not getattr(sys.modules.get("torch"), "is_stand_in", False)


def warm_up() -> None:
    """Do once what torch does slowly the first time: its first product and its first backward."""
    import torch

    torch.set_num_threads(1)
    x = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.gelu(torch.softmax(x @ x, dim=-1), approximate="tanh")
    torch.autograd.grad(y.sum(), x)
