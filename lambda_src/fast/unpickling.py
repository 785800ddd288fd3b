"""Reading a joblib file without scikit-learn: arrays, numbers, and estimators as bare attributes.

The file cannot run code: no name is resolved but those that the registry and this module list. A
name of scikit-learn becomes an empty class, and numpy's arrays are read from their bytes.
"""

from __future__ import annotations

import io
import pickle
import re
import zlib
from types import SimpleNamespace

import numpy as np

from fast import registry

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

CHUNK = 1 << 18  # bytes of a file that are decompressed at once
LARGE = 1 << 20  # bytes of a compressed file, from which it is not decompressed at once


class Unknown(Exception):
    """The file holds something that the fast path does not support; the message says what."""


def read(content: bytes) -> Any:
    """Return what a joblib file holds.

    Raises:
        Unknown: it names something that is not admitted.
    """
    return resolved(Unpickler(opened(content)).load())


def opened(content: bytes) -> Any:
    """Return the bytes of a joblib file as an open one; a large one is inflated on the way.

    It has no `peek`: the unpickler would read ahead, into the bytes of an array.
    """
    if content[:1] != b"\x78":
        return io.BytesIO(content)
    if len(content) < LARGE:
        return io.BytesIO(zlib.decompress(content))
    file = io.BufferedReader(Inflating(content), CHUNK)
    return SimpleNamespace(read=file.read, readline=file.readline)


class Inflating(io.RawIOBase):
    """Decompresses bytes piece by piece."""

    def __init__(self, content: bytes) -> None:
        self._rest: Any = memoryview(content)
        self._inflate = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._inflate.eof:
            given = self._inflate.unconsumed_tail or self._rest[:CHUNK]
            if not self._inflate.unconsumed_tail:
                self._rest = self._rest[CHUNK:]
            if not given:
                raise zlib.error("incomplete or truncated stream")
            piece = self._inflate.decompress(given, len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
        return 0


class Fitted:
    """An object's attributes, without its class; `kind` is the name of that."""

    kind = ""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *values: Any) -> None:
        self.arguments = values

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            vars(self).update(resolved(state))


class Tree(Fitted):
    """The arrays of sklearn.tree._tree.Tree."""

    max_depth: int
    node_count: int
    nodes: NDArray[Any]
    values: NDArray[Any]

    def __init__(self, *sizes: Any) -> None:
        self.sizes = resolved(sizes)


class Partial(Fitted):
    """A function with some of its arguments; `arguments` holds it, and nothing calls it."""


class Dtype:
    """Stands for numpy.dtype, whose own reading of a pickle trusts the file too much."""

    SIMPLE = re.compile(r"[biufcUSMm]\d+|O8|O")

    def __init__(self, code: str, align: bool = False, copy: bool = False) -> None:
        self.code = code
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def real(self) -> np.dtype[Any]:
        """Return the type of simple elements, or of structures of numbers.

        Raises:
            Unknown: it is of another kind.
        """
        order, shape, names, fields = (*self.state[1:5], *[None] * 4)[:4]
        if shape is None and not names and self.SIMPLE.fullmatch(self.code):
            return np.dtype((order if order in ("<", ">") else "") + self.code)
        if shape is None and names:
            types = [fields[name][0].real() for name in names]
            if not any(each.hasobject for each in types):
                offsets = [fields[name][1] for name in names]
                return np.dtype(
                    {
                        "names": list(names),
                        "formats": types,
                        "offsets": offsets,
                        "itemsize": self.state[5],
                    }
                )
        raise Unknown(f"a type of elements {self.code}")


class Read:
    """An array that was read; `resolved` puts it in the place of its description."""

    array: NDArray[Any]


class ArrayInFile(Read):
    """joblib's description of an array, whose bytes follow it in the file."""

    file: Any
    dtype: Dtype
    order: Any
    shape: tuple[int, ...]
    subclass: type

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read the array: this is called when the description ends, and the bytes begin."""
        vars(self).update(state)
        self.array = self._read()

    def _read(self) -> Any:
        if self.subclass is not Array:
            raise Unknown("an array of a class of its own")
        dtype = self.dtype.real()
        if dtype.hasobject:
            return resolved(Unpickler(self.file).load())
        if getattr(self, "numpy_array_alignment_bytes", None) is not None:
            self.file.read(self.file.read(1)[0])
        count = int(np.prod(self.shape, dtype=np.int64))
        flat = np.frombuffer(self.file.read(count * dtype.itemsize), dtype, count)
        return flat.reshape(self.shape, order=self.order)


class ArrayInPickle(Read):
    """An array of a plain pickle, which holds its elements."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, described, fortran, content = state
        dtype = described.real()
        if not dtype.hasobject:
            flat = np.frombuffer(content, dtype)
        else:
            flat = np.empty(len(content), object)
            for place, value in enumerate(content):
                flat[place] = resolved(value)
        self.array = flat.reshape(shape, order="F" if fortran else "C")


class Array:
    """Stands for numpy.ndarray, which a file may name but not call."""

    def __init__(self) -> None:
        raise Unknown("an array that joblib did not write")


class Function:
    """Stands for a function; a file cannot change it.

    One that reads numbers or bytes is called. Others are known by their name alone.
    """

    __slots__ = ("_call", "name")

    def __init__(self, name: str, call: Callable[..., Any] | None = None) -> None:
        self.name, self._call = name, call

    def __call__(self, *values: Any) -> Any:
        if self._call is None:
            raise Unknown(f"a call of {self.name}")
        return self._call(*values)

    def __setstate__(self, state: Any) -> None:
        raise Unknown(f"another {self.name}")


def reconstruct(subclass: type, shape: tuple[int, ...], kind: bytes) -> ArrayInPickle:
    """Stand for numpy's function of this name, which makes the empty array of a plain pickle."""
    if subclass is not Array:
        raise Unknown("an array of a class of its own")
    return ArrayInPickle()


def from_buffer(content: bytes, dtype: Dtype, shape: tuple[int, ...], order: Any) -> NDArray[Any]:
    """Stand for numpy's function of this name, which makes the whole array of a plain pickle."""
    return np.frombuffer(content, without_objects(dtype)).reshape(shape, order=order)


def scalar(dtype: Dtype, content: bytes) -> Any:
    """Stand for numpy's function of this name, by which a pickle holds a single number."""
    return np.frombuffer(content, without_objects(dtype), 1)[0]


def without_objects(dtype: Dtype) -> np.dtype[Any]:
    real = dtype.real()
    if real.hasobject:
        raise Unknown("bytes that are objects")
    return real


def latin_1(text: str, encoding: str) -> bytes:
    """Stand for codecs.encode, by which older protocols of pickle hold bytes."""
    return text.encode("latin-1")


def resolved(value: Any) -> Any:
    """Return a value with the arrays in place of their descriptions."""
    kind = type(value)
    if kind is list:
        value[:] = map(resolved, value)
    elif kind is dict:
        for key, member in value.items():
            value[key] = resolved(member)
    elif kind is tuple:
        return tuple(map(resolved, value))
    elif isinstance(value, Read):
        return value.array
    elif kind is Dtype:
        return value.real()
    return value


NUMBERS = ("bool_", "float32", "float64", "int32", "int64", "number", "object_", "str_")
# Those that a FunctionTransformer may call.
FUNCTIONS = ("absolute", "cbrt", "expm1", "log", "log10", "log1p", "log2", "sqrt", "square")
ADMITTED: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): Function("encode", latin_1),
    ("builtins", "slice"): slice,
    ("functools", "partial"): Partial,
    ("numpy", "dtype"): Dtype,
    ("numpy", "ndarray"): Array,
    ("sklearn.tree._tree", "Tree"): Tree,
    **{("numpy", name): getattr(np, name) for name in NUMBERS},
    **{("numpy", name): Function(name) for name in FUNCTIONS},
    **{
        (f"numpy.{core}.{name}", called): Function(called, function)
        for core in ("_core", "core")
        for name, called, function in (
            ("multiarray", "scalar", scalar),
            ("multiarray", "_reconstruct", reconstruct),
            ("numeric", "_frombuffer", from_buffer),
        )
    },
}


class Unpickler(pickle.Unpickler):
    """Reads joblib's files, and resolves no names but the admitted ones."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.array = type("ArrayInFile", (ArrayInFile,), {"file": file})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return self.array
        if (module, name) in ADMITTED:
            return ADMITTED[module, name]
        if registry.is_admitted(module, name):
            return type(name, (Fitted,), {"kind": f"{module}.{name}"})
        raise Unknown(f"{module}.{name}")
