"""How params.yaml names something that is a file of its own: a decorator of the folder's package registers it.

A package holds one file for each thing. Files are found by looking at the package's folder, so that a new one needs no
other edit.
"""

import difflib
import logging
import pkgutil
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import ConfigError

EntryT = TypeVar("EntryT")

logger = logging.getLogger(__name__)


class Registry(Generic[EntryT]):
    """What the files of one package register, by the name that params.yaml uses."""

    def __init__(self, package: str, key: str) -> None:
        """`key` of params.yaml gives the name."""
        self.package = package
        self.key = key
        self._known: dict[str, EntryT] = {}
        self._owners: dict[str, Callable[..., object]] = {}  # what the decorator stands at

    def add(self, name: str, entry: EntryT, owner: Callable[..., object]) -> None:
        """Make `entry` known as `name`; `owner` is the class or function of it.

        Raises ConfigError for a name that something else has: which of the two is meant would depend on the order of
        imports.
        """
        other = self._owners.get(name)
        if other is not None and _place(other) != _place(owner):  # the same one: its module was loaded anew
            files = " and ".join(f"{file} ({what})" for file, what in (_place(other), _place(owner)))
            raise ConfigError(f"{self.key}: {name!r} is registered twice, by {files}: rename one of them")
        self._known[name], self._owners[name] = entry, owner

    def remove(self, name: str) -> None:
        """Make a name unknown again."""
        del self._known[name], self._owners[name]

    def find(self, name: str) -> EntryT:
        """The entry called `name`; the module of that name is imported first, and all others only if need be.

        So a heavy library behind one entry costs nothing to who uses another: name a file as what it registers. A file
        that cannot be imported is named in the log, and harms no other. Raises ConfigError as `named` does, with the
        files that could not be imported.
        """
        broken: dict[str, Exception] = {}
        if name not in self._known:
            self._import([module for module in self._modules() if module == f"{self.package}.{name}"], broken)
        if name not in self._known:
            self._import([module for module in self._modules() if module not in broken], broken)
        remark = "".join(f"; {module} could not be imported: {_of(error)}" for module, error in broken.items())
        try:
            return named(self._known, name, self.key, remark)
        except ConfigError as unknown:
            raise unknown from broken.get(f"{self.package}.{name}")

    def entries(self) -> dict[str, EntryT]:
        """All that the package's files register, sorted by name."""
        self._import(self._modules(), {})
        return dict(sorted(self._known.items()))

    def _modules(self) -> list[str]:
        prefix = f"{self.package}."
        return [module.name for module in pkgutil.iter_modules(import_module(self.package).__path__, prefix)]

    def _import(self, modules: list[str], broken: dict[str, Exception]) -> None:
        """Import modules, so that each can register what it holds; those that fail are added to `broken`."""
        for module in modules:
            try:
                import_module(module)
            except ConfigError:  # a name registered twice
                raise
            except Exception as error:  # noqa: BLE001 - a file of the user may do anything; it is named, not used
                broken[module] = error
                for name in [name for name, owner in self._owners.items() if owner.__module__ == module]:
                    self.remove(name)
                logger.warning("%s cannot be imported, so what it registers is not known: %s", module, _of(error))


def named(known: Mapping[str, EntryT], name: str, key: str, remark: str = "") -> EntryT:
    """The entry called `name`; raises ConfigError, naming the `key` of params.yaml and the known names, for others."""
    if name in known:
        return known[name]
    closest = "".join(f" (did you mean {match!r}?)" for match in difflib.get_close_matches(name, known, n=1))
    raise ConfigError(f"{key}: {name!r} is not known{closest}; known: {', '.join(sorted(known))}{remark}")


def source_of(entry: type) -> Path:
    """The file that a class is written in."""
    return Path(str(import_module(entry.__module__).__file__))


def _place(owner: Callable[..., object]) -> tuple[str, str]:
    """File and name of a class or function."""
    module = sys.modules.get(owner.__module__)
    return str(getattr(module, "__file__", None) or owner.__module__), owner.__qualname__


def _of(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
