"""A stand-in for a library that a process does without.

A notebook may import it and may derive classes from it, so that cells which only mention it run.
Whatever uses it raises ``AbsentError``.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class AbsentError(Exception):
    """The library was used where it is not offered."""


class _AbsentMeta(type):
    """A class of which every attribute is such a class again, and which cannot be called."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _absent(f"{cls.__qualname__}.{name}")

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        raise AbsentError(
            f"{cls.__qualname__} is not here: this exercise is written in NumPy, without "
            f"{cls.__qualname__.split('.')[0]}"
        )


def _absent(name: str) -> Any:
    return _AbsentMeta(name.rsplit(".", 1)[-1], (), {"__qualname__": name})


class _AbsentModule(ModuleType):
    is_stand_in = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _absent(f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the library and every module in it, and loads stand-ins."""

    def __init__(self, library: str) -> None:
        self._library = library

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == self._library or name.startswith(f"{self._library}."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do: attributes are made when asked for."""


def make_absent(library: str) -> None:
    """From now on, ``import library`` gives the stand-in. It must not have been imported before."""
    if library in sys.modules:
        raise RuntimeError(f"{library} is imported already.")
    sys.meta_path.insert(0, _Finder(library))
    importlib.import_module(library)
