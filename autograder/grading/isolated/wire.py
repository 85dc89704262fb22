"""What may cross between two processes: data in a bounded format that cannot carry code.

Numbers, strings, bytes, NumPy arrays of numbers, and lists, tuples, dicts and sets of these. A
function crosses as a handle, by which its owner can be asked to call it; one of NumPy, or one that
the course provides, by its name; one of a test cell, where it stands on its own, as code for the
student's process, which alone takes any (``carried``). Everything else crosses as a word that says
what it was.

The bytes are MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md) with extension
types; size and depth are bounded on both sides.
"""

from __future__ import annotations

import functools
import importlib
import math
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import msgpack
import numpy as np

LARGEST = 64 * 2**20
DEEPEST = 32
MOST_ITEMS = 200_000
MOST_DIMENSIONS = 32
# Numbers and truth values; no objects, no records, no text.
# The package whose functions every notebook may import.
PROVIDED = "autograder.provided."
KINDS = frozenset("biufc")

_TUPLE, _SET, _FROZENSET, _ARRAY, _SCALAR, _INTEGER = range(6)
_COMPLEX, _HANDLE, _OPAQUE, _DICT, _NAMED, _CARRIED = range(6, 12)


class WireError(ValueError):
    """Something that does not fit the format: too large, too deep, or malformed."""


@dataclass(frozen=True)
class Handle:
    """A callable of one of the two processes. ``owner`` is the name of that process."""

    owner: str
    number: int
    name: str
    # The global names that the function uses, where it has code.
    names_used: tuple[str, ...] = ()


@dataclass(frozen=True)
class Carried:
    """A function as what it is made of, and its handle; see ``carried``."""

    handle: Handle
    parts: list[Any]


@dataclass(frozen=True)
class Opaque:
    """What could not cross. ``kind_of_object`` says what it was: ``a torch Tensor``."""

    kind_of_object: str

    def __repr__(self) -> str:
        return f"<{self.kind_of_object}>"


Export = Callable[[Any], Handle | Carried]
Import = Callable[[Handle | Carried], Any]


def encode(value: Any, export: Export | None = None) -> bytes:
    """``value`` as bytes. ``export`` makes a handle of a callable.

    Raises ``WireError`` for what is too large or too deep.
    """
    count = 0

    def plain(item: Any, depth: int) -> Any:
        nonlocal count
        count += 1
        if depth > DEEPEST:
            raise WireError(f"the value is nested deeper than {DEEPEST} levels")
        if count > MOST_ITEMS:
            raise WireError(f"the value has more than {MOST_ITEMS} parts")
        kind = type(item)
        if item is None or kind is bool or kind is float or kind is str or kind is bytes:
            return item
        if kind is int:
            return item if -(2**63) <= item < 2**64 else _integer(item)
        if kind is list:
            return [plain(part, depth + 1) for part in item]
        if kind is tuple:
            return _pack(_TUPLE, [plain(part, depth + 1) for part in item])
        if kind is dict:
            flat = [plain(part, depth + 1) for pair in item.items() for part in pair]
            return _pack(_DICT, flat)
        if isinstance(item, np.ndarray):
            return _array(item)
        if kind is set or kind is frozenset:
            code = _SET if kind is set else _FROZENSET
            return _pack(code, [plain(part, depth + 1) for part in item])
        if isinstance(item, np.generic) and item.dtype.kind in KINDS:
            return msgpack.ExtType(_SCALAR, item.dtype.str.encode() + b"|" + item.tobytes())
        if kind is complex:
            return msgpack.ExtType(_COMPLEX, struct.pack("<dd", item.real, item.imag))
        if isinstance(item, (list, tuple)):  # a named tuple, for example
            base = list(item)
            return plain(base if isinstance(item, list) else tuple(base), depth)
        if isinstance(item, Mapping):
            return plain(dict(item), depth)
        if kind is Opaque:
            return msgpack.ExtType(_OPAQUE, item.kind_of_object.encode()[:200])
        if (name := name_of(item)) is not None:
            return msgpack.ExtType(_NAMED, name.encode())
        if export is not None and callable(item):
            found = export(item)
            if isinstance(found, Handle):
                return _pack(_HANDLE, _as_list(found))
            parts = [plain(part, depth + 1) for part in found.parts]
            return _pack(_CARRIED, [*_as_list(found.handle), parts])
        return msgpack.ExtType(_OPAQUE, describe(item).encode("utf-8", "replace")[:200])

    data: bytes = msgpack.packb(plain(value, 0), use_bin_type=True)
    if len(data) > LARGEST:
        raise WireError(f"the value is larger than {LARGEST // 2**20} MB")
    return data


def decode(data: bytes, resolve: Import | None = None) -> Any:
    """The value that ``encode`` wrote. ``resolve`` makes a callable of a handle.

    Raises ``WireError`` for anything else.
    """
    if len(data) > LARGEST:
        raise WireError(f"the value is larger than {LARGEST // 2**20} MB")
    depth = 0
    count = 0

    def unpack(payload: bytes) -> Any:
        return msgpack.unpackb(
            payload, raw=False, strict_map_key=True, ext_hook=extension, max_map_len=0
        )

    def extension(code: int, payload: bytes) -> Any:
        nonlocal depth, count
        count += 1
        depth += 1
        if depth > DEEPEST or count > MOST_ITEMS:
            raise WireError("the value is nested too deep or has too many parts")
        try:
            return _extension(code, payload, unpack, resolve)
        finally:
            depth -= 1

    try:
        return unpack(data)
    except WireError:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError, struct.error) as error:
        raise WireError(f"the value is malformed: {type(error).__name__}") from error
    except msgpack.exceptions.UnpackException as error:
        raise WireError(f"the value is malformed: {type(error).__name__}") from error


def name_of(function: Any) -> str | None:
    """``module:name`` of a function that both sides have: NumPy's, and what the course provides."""
    name = getattr(function, "__name__", None)
    if isinstance(function, np.ufunc):
        return f"numpy:{name}" if getattr(np, str(name), None) is function else None
    if type(function) is not FunctionType or not function.__module__.startswith(PROVIDED):
        return None
    module = sys.modules.get(function.__module__)
    return f"{function.__module__}:{name}" if getattr(module, str(name), None) is function else None


def _by_name(text: str) -> Any:
    module, _, name = text.partition(":")
    if module != "numpy" and not module.startswith(PROVIDED):
        raise WireError("a function has no such name")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise WireError("a function has no such name") from error
    if name_of(found) != text:
        raise WireError("a function has no such name")
    return found


def describe(item: Any) -> str:
    """What ``item`` is, without calling anything of it."""
    kind = type(item)
    name = str(type.__getattribute__(kind, "__name__"))
    module = str(type.__getattribute__(kind, "__dict__").get("__module__", kind.__module__))
    if module.startswith("torch"):
        return f"a torch {name}"
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def _pack(code: int, parts: list[Any]) -> Any:
    return msgpack.ExtType(code, msgpack.packb(parts, use_bin_type=True))


def _integer(item: int) -> Any:
    size = (item.bit_length() + 8) // 8
    if size > 4096:
        raise WireError("an integer has more than 4096 bytes")
    return msgpack.ExtType(_INTEGER, item.to_bytes(size, "little", signed=True))


def _array(item: np.ndarray[Any, Any]) -> Any:
    if item.dtype.kind not in KINDS or item.dtype.hasobject:
        return msgpack.ExtType(_OPAQUE, f"a NumPy array of {item.dtype.name}".encode()[:200])
    if item.nbytes > LARGEST:
        raise WireError(f"an array is larger than {LARGEST // 2**20} MB")
    # tobytes of the array itself: a subclass may have its own idea of what its bytes are.
    base = np.asarray(item)
    kind, shape = base.dtype.str.encode(), base.shape
    head = struct.pack(f"<BB{len(shape)}Q", len(kind), len(shape), *shape)
    return msgpack.ExtType(_ARRAY, head + kind + base.tobytes())


def _extension(
    code: int, payload: bytes, unpack: Callable[[bytes], Any], resolve: Import | None
) -> Any:
    if code == _ARRAY:
        return _read_array(payload)
    if code == _SCALAR:
        text, _, raw = payload.partition(b"|") if payload[:1] != b"|" else _one_byte(payload)
        return np.frombuffer(raw, _dtype(text.decode("ascii")), count=1)[0]
    if code == _INTEGER:
        if len(payload) > 4097:
            raise WireError("an integer is too long")
        return int.from_bytes(payload, "little", signed=True)
    if code == _COMPLEX:
        return complex(*struct.unpack("<dd", payload))
    if code == _OPAQUE:
        return Opaque(payload.decode("utf-8", "replace")[:200])
    if code == _NAMED:
        return _by_name(payload.decode("utf-8", "replace"))
    parts = unpack(payload)
    if not isinstance(parts, list):
        raise WireError("a container is malformed")
    if code == _TUPLE:
        return tuple(parts)
    if code in (_SET, _FROZENSET):
        return set(parts) if code == _SET else frozenset(parts)
    if code == _DICT:
        return dict(zip(parts[::2], parts[1::2], strict=True))
    if code == _HANDLE and resolve is not None:
        return resolve(_handle(parts))
    if code == _CARRIED and resolve is not None:
        *named, made_of = parts
        return resolve(Carried(_handle(named), made_of))
    raise WireError(f"there is no extension type {code}")


def _as_list(handle: Handle) -> list[Any]:
    return [handle.owner, handle.number, handle.name, [str(name) for name in handle.names_used]]


def _handle(parts: list[Any]) -> Handle:
    owner, number, name, names = parts
    if not (isinstance(owner, str) and type(number) is int and isinstance(name, str)):
        raise WireError("a handle is malformed")
    if not (isinstance(names, list) and all(isinstance(n, str) for n in names)):
        raise WireError("a handle is malformed")
    return Handle(owner, number, name, tuple(names))


def _one_byte(payload: bytes) -> tuple[bytes, bytes, bytes]:
    """Types of one byte are written ``|b1``, with the separator as their first sign."""
    text, _, raw = payload[1:].partition(b"|")
    return b"|" + text, b"|", raw


def _read_array(payload: bytes) -> np.ndarray[Any, Any]:
    length, dimensions = payload[:2]
    if dimensions > MOST_DIMENSIONS:
        raise WireError("the shape of an array is malformed")
    shape = struct.unpack_from(f"<{dimensions}Q", payload, 2)
    offset = 2 + 8 * dimensions + length
    dtype = _dtype(payload[offset - length : offset].decode("ascii"))
    count = math.prod(shape)
    if count * dtype.itemsize != len(payload) - offset:
        raise WireError("an array has another size than its shape says")
    flat = np.frombuffer(payload, dtype, count=count, offset=offset)
    return flat.reshape(shape).copy()


@functools.lru_cache(maxsize=256)
def _dtype(text: Any) -> np.dtype[Any]:
    if not isinstance(text, str) or len(text) > 8:
        raise WireError("the type of an array is malformed")
    dtype = np.dtype(text)
    if dtype.kind not in KINDS or dtype.hasobject or dtype.shape:
        raise WireError("the type of an array is malformed")
    return dtype
