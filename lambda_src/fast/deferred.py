"""Importing scikit-learn without what a prediction does not touch, for models that estimators.py
does not know.

Unpickling one estimator imports its package, which imports every estimator in it, and they nearly
all of scipy. Here a package starts as a stand-in whose __init__ has not run. Asked for a name that
its __init__ imports from within the package, it imports the module that defines the name, and no
other; asked for anything else, it runs its __init__ and is the package from then on. Nothing is
patched. An init then imports half of the modules (benchmarks/inference.py).
"""

import ast
import re
import sys
import threading
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, resolve_name
from types import ModuleType

# Of scipy and numpy what most estimators do not touch. `from numpy import *`, which scikit-learn
# says, imports all of numpy.
DEFERRED = re.compile(
    r"joblib(\..+)?"
    r"|numpy\.(f2py|ma|polynomial|testing)(\..+)?"
    r"|scipy\.(fft|integrate|interpolate|ndimage|optimize|signal|spatial|stats)(\..+)?|scipy\.sparse\.(csgraph|linalg)"
    r"|sklearn\..+"
)
# scikit-learn imports functions of it to fit with; its distributions take longer to make than all
# the rest of an init.
IMPORTED_WHEN_CALLED = "scipy.stats"
LISTED = re.compile(rb"(?:^|\n)__all__ *= *([\[(].*?[\])])", re.DOTALL)
OWN = ""  # in place of a module's name: the __init__ itself
SET_BY_IMPORT = {"__path__", "__file__", "__cached__"}


class NotDeferred(Exception):
    """Something cannot be imported through stand-ins. No ImportError: who asks might take that for
    an optional module.
    """


@contextmanager
def packages():
    """Import packages as stand-ins meanwhile; what is a stand-in at the end goes on as one.

    After an exception there are none left, so that the same can be tried again as if there never
    had been any.
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


def undefer():
    """Make every stand-in the package that it stands for, and whatever would still become one."""
    Loader.answers = False
    for module in list(sys.modules.values()):
        if type(module) is StandIn:
            with suppress(NotDeferred):  # whoever needs it will ask for it, and hear why
                become_real(module)


def safely(call):
    """Return a function that makes every stand-in real and calls again, should a call meet one that
    cannot answer.
    """

    def again(*values):
        try:
            return call(*values)
        except NotDeferred:
            undefer()
            return call(*values)

    return again


class Finder:
    """Finds what DEFERRED names as Python does, and gives packages another loader."""

    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target) if DEFERRED.fullmatch(name) else None
        if spec is not None and spec.submodule_search_locations and spec.loader:
            spec.loader = Loader(spec.loader)
        return spec


class Loader:
    """Makes a stand-in of the package that another loader would load."""

    answers = True  # False: a stand-in that is asked for anything becomes real

    def __init__(self, actual):
        self.actual = actual
        self.lock = threading.RLock()  # one for each, as importlib.util.LazyLoader has
        self.sources = None  # what sources_of yields, once it was needed

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        """Run nothing yet."""

    def __getattr__(self, name):
        return getattr(self.actual, name)


class StandIn(ModuleType):
    """A package whose __init__ has not run."""

    def __setattr__(self, name, value):
        """Leave out a submodule that an import binds: whether the name is its own or a function's,
        __getattr__ finds out.
        """
        if not (isinstance(value, ModuleType) and value.__name__ == f"{self.__name__}.{name}"):
            super().__setattr__(name, value)

    def __getattr__(self, name):
        if name in SET_BY_IMPORT:  # it asks first whether they are there
            raise AttributeError(name)
        with self.__spec__.loader.lock:
            if type(self) is StandIn:
                try:
                    answer(self, name) if Loader.answers else become_real(self)
                except (AttributeError, ImportError) as error:
                    raise NotDeferred(f"{self.__name__}.{name}: {error}") from error
        return ModuleType.__getattribute__(self, name)


def answer(package, name):
    """Give a stand-in the attribute of a name."""
    own, loader = package.__name__, package.__spec__.loader
    if loader.sources is None:
        loader.sources = dict(sources_of(own, loader.get_source(own)))
    module, there = loader.sources.get(name, (own, name))
    if module == OWN or (module == own and not find_spec(f"{own}.{there}")):
        become_real(package)
    elif module == own:
        vars(package)[name] = import_module(f"{own}.{there}")
    elif own == IMPORTED_WHEN_CALLED and f"\ndef {there}(".encode() in text_of(module):
        vars(package)[name] = when_called(package, name)
    else:
        vars(package)[name] = getattr(import_module(module), there)


def become_real(package):
    """Run a stand-in's __init__, with the submodules that are there already."""
    package.__class__ = ModuleType
    for name, module in list(sys.modules.items()):
        parent, _, child = name.rpartition(".")
        if parent == package.__name__:
            vars(package).setdefault(child, module)
    try:
        package.__spec__.loader.actual.exec_module(package)
    except Exception as error:
        package.__class__ = StandIn
        raise NotDeferred(f"{package.__name__}: {type(error).__name__}: {error}") from error


def when_called(package, name):
    """Return what stands for a function of a package, and makes the package real when it is called."""

    def call(*values, **named):
        if getattr(package, name) is call:
            become_real(package)
        return getattr(package, name)(*values, **named)

    return call


def sources_of(package, text):
    """Yield (name, (module, name there)) for what an __init__ imports from within its package, and
    (name, (OWN, name)) for what it binds in another way."""
    others = set()
    for statement in ast.parse(text).body:
        module = ""
        if isinstance(statement, ast.ImportFrom):
            module = resolve_name("." * statement.level + (statement.module or ""), package)
        if module == package or module.startswith(f"{package}."):
            for each in statement.names:
                found = (
                    public(module) if each.name == "*" else {each.asname or each.name: each.name}
                )
                yield from ((name, (module, there)) for name, there in found.items())
        else:
            others |= bound(statement)
    yield from ((name, (OWN, name)) for name in others)  # last, so that they count


def bound(statement):
    """Return the names that a statement may bind."""
    found = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
    return found


def public(module):
    """Return what `from module import *` gives, each name for itself, if the module's text lists
    it.
    """
    text = text_of(module)
    listed = LISTED.search(text)
    if listed and text.count(b"__all__") == 1:
        with suppress(SyntaxError, ValueError):
            return {name: name for name in ast.literal_eval(listed[1].decode())}
    return {}


def text_of(module):
    """Return a module's text, undecoded, which is most of the time of reading it; an extension has
    none.
    """
    spec = find_spec(module)
    return spec.loader.get_data(spec.origin) if spec.origin.endswith(".py") else b""
