"""Import only the parts of scikit-learn that a model needs, for models that numpy alone cannot
evaluate.

Unpickling one estimator imports its package, which imports all of its other estimators, and these
import nearly all of scipy. Here a package starts as a stand-in whose __init__ has not run. Asked
for a name that its __init__ imports from within the package, the stand-in imports the module that
defines the name, and no other. Asked for any other name, it runs its __init__, and is the real
package from then on. Nothing is patched. An init then imports half of the modules
(benchmarks/inference.py).
"""

from __future__ import annotations

import ast
import re
import sys
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, resolve_name
from types import ModuleType

TYPE_CHECKING = False  # see contract.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any, TypeVar

    Result = TypeVar("Result")

# The parts of scipy and numpy that most estimators do not use. scikit-learn's `from numpy import *`
# imports all of numpy.
DEFERRED = re.compile(
    r"joblib(\..+)?"
    r"|numpy\.(f2py|ma|polynomial|testing)(\..+)?"
    r"|scipy\.(fft|integrate|interpolate|ndimage|optimize|signal|spatial|stats)(\..+)?|scipy\.sparse\.(csgraph|linalg)"
    r"|sklearn\..+"
)
# scikit-learn imports functions of this package that it uses for fitting. Its distributions take
# longer to make than the whole rest of an init.
IMPORTED_WHEN_CALLED = "scipy.stats"
# scikit-learn imports it if it is installed, and needs it for a table alone. A model that takes one
# has imported it before.
LEFT_OUT = "pandas"
LISTED = re.compile(rb"(?:^|\n)__all__ *= *([\[(].*?[\])])", re.DOTALL)
INIT = ""  # in place of a module's name: the package's own __init__
SET_BY_IMPORT = {"__path__", "__file__", "__cached__"}


class NotDeferred(Exception):
    """A name cannot be imported through stand-ins.

    Not an ImportError, which code that imports an optional module would catch.
    """


@contextmanager
def packages() -> Iterator[None]:
    """Import packages as stand-ins within this context; stand-ins remain afterwards.

    After an exception none remain, so that the caller can import everything anew without them.
    """
    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    except Exception:
        sys.meta_path.remove(finder)
        undefer()
        raise
    sys.meta_path.remove(finder)


def undefer() -> None:
    """Turn every stand-in into its real package, those that are yet to be made included."""
    Loader.answers = False
    for module in list(sys.modules.values()):
        if type(module) is StandIn:
            with suppress(NotDeferred):  # raised again where the package is used
                become_real(module)


def safely(call: Callable[..., Result]) -> Callable[..., Result]:
    """Return a function that repeats the call with real packages if a stand-in cannot answer."""

    def again(*values: Any) -> Result:
        try:
            return call(*values)
        except NotDeferred:
            undefer()
            return call(*values)

    return again


class Finder:
    """Finds modules as Python does; packages that match DEFERRED get our Loader."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == LEFT_OUT:
            raise ModuleNotFoundError(f"{name} is left out", name=name)
        spec = PathFinder.find_spec(name, path, target) if DEFERRED.fullmatch(name) else None
        if spec is not None and spec.submodule_search_locations and spec.loader:
            spec.loader = Loader(spec.loader)  # type: ignore[assignment]  # forwards to one
        return spec


class Loader:
    """Makes a stand-in for the package that `actual` would load."""

    answers = True  # False: a stand-in becomes real at the first question

    def __init__(self, actual: Any) -> None:
        self.actual = actual
        self.lock = threading.RLock()  # one for each package, as in importlib.util.LazyLoader
        self.sources: dict[str, tuple[str, str]] | None = None  # of sources_of, once needed

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.actual, name)


class StandIn(ModuleType):
    """A package whose __init__ has not run."""

    if TYPE_CHECKING:
        __spec__: Any  # always set, and its loader is a Loader

    def __setattr__(self, name: str, value: Any) -> None:
        """Ignore a submodule that an import binds.

        The name may belong to a function as well; __getattr__ decides which.
        """
        if not (isinstance(value, ModuleType) and value.__name__ == f"{self.__name__}.{name}"):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name in SET_BY_IMPORT:  # the import system looks for these before it sets them
            raise AttributeError(name)
        with self.__spec__.loader.lock:
            if type(self) is StandIn:
                try:
                    answer(self, name) if Loader.answers else become_real(self)
                except (AttributeError, ImportError) as error:
                    raise NotDeferred(f"{self.__name__}.{name}: {error}") from error
        return ModuleType.__getattribute__(self, name)


def answer(package: StandIn, name: str) -> None:
    """Set the attribute of this name on a stand-in."""
    own, loader = package.__name__, package.__spec__.loader
    if loader.sources is None:
        loader.sources = dict(sources_of(own, loader.get_source(own)))
    module, original = loader.sources.get(name, (own, name))
    if module == INIT or (module == own and not find_spec(f"{own}.{original}")):
        become_real(package)
    elif module == own:
        vars(package)[name] = import_module(f"{own}.{original}")
    elif own == IMPORTED_WHEN_CALLED and f"\ndef {original}(".encode() in text_of(module):
        vars(package)[name] = when_called(package, name)
    else:
        vars(package)[name] = getattr(import_module(module), original)


def become_real(package: StandIn) -> None:
    """Run a stand-in's __init__; submodules that are already imported become its attributes."""
    package.__class__ = ModuleType  # type: ignore[assignment]  # from here on it is no stand-in
    for name, module in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if parent == package.__name__:
            vars(package).setdefault(child, module)
    try:
        package.__spec__.loader.actual.exec_module(package)
    except Exception as error:
        package.__class__ = StandIn
        raise NotDeferred(f"{package.__name__}: {type(error).__name__}: {error}") from error


def when_called(package: StandIn, name: str) -> Callable[..., Any]:
    """Return a function that makes the package real when called, and calls the real function."""

    def call(*values: Any, **named: Any) -> Any:
        if getattr(package, name) is call:
            become_real(package)
        return getattr(package, name)(*values, **named)

    return call


def sources_of(package: str, text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield where an __init__ takes its names from, given its source text.

    (name, (module, name there)) for imports from within the package; (name, (INIT, name)) for
    names bound in any other way.
    """
    others: set[str] = set()
    for statement in ast.parse(text).body:
        module = ""
        if isinstance(statement, ast.ImportFrom):
            module = resolve_name("." * statement.level + (statement.module or ""), package)
        if isinstance(statement, ast.ImportFrom) and (
            module == package or module.startswith(f"{package}.")
        ):
            for alias in statement.names:
                imported = (
                    public(module)
                    if alias.name == "*"
                    else {alias.asname or alias.name: alias.name}
                )
                yield from ((name, (module, original)) for name, original in imported.items())
        else:
            others |= bound(statement)
    yield from ((name, (INIT, name)) for name in others)  # last, so that they win


def bound(statement: ast.AST) -> set[str]:
    """Return the names that a statement may bind."""
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names


def public(module: str) -> dict[str, str]:
    """Return {name: name} for the names of `from module import *`, if __all__ is a literal."""
    text = text_of(module)
    listed = LISTED.search(text)
    if listed and text.count(b"__all__") == 1:
        with suppress(SyntaxError, ValueError):
            return {name: name for name in ast.literal_eval(listed[1].decode())}
    return {}


def text_of(module: str) -> bytes:
    """Return a module's source, or b"" of an extension.

    It stays undecoded, because decoding costs most of the time of reading it.
    """
    spec: Any = find_spec(module)
    text: bytes = spec.loader.get_data(spec.origin) if spec.origin.endswith(".py") else b""
    return text
