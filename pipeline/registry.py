"""How params.yaml names something that is a file of its own: a plain dict that a decorator fills.

A package holds one file for each thing; its `__init__` holds the dict and the decorator. Files are found by looking at
the package's folder, so that a new one needs no other edit.
"""

import difflib
import logging
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from pipeline.errors import ConfigError

EntryT = TypeVar("EntryT")

logger = logging.getLogger(__name__)


def import_files(package: str) -> None:
    """Import every module of a package, so that each can register what it holds.

    A module that cannot be imported, because a library is absent that it alone needs, is named in the log: the other
    entries can still be used.
    """
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        try:
            import_module(module.name)
        except ImportError as error:
            logger.warning("%s cannot be imported, so what it registers is not known: %s", module.name, error)


def named(known: Mapping[str, EntryT], name: str, key: str) -> EntryT:
    """The entry called `name`; raises ConfigError, naming the `key` of params.yaml and the known names, for others."""
    if name in known:
        return known[name]
    closest = "".join(f" (did you mean {match!r}?)" for match in difflib.get_close_matches(name, known, n=1))
    raise ConfigError(f"{key}: {name!r} is not known{closest}; known: {', '.join(sorted(known))}")


def find(known: Mapping[str, EntryT], name: str, key: str, package: str) -> EntryT:
    """The entry called `name`, of which the module `package.name` is imported first, and all others only if need be.

    So a heavy library behind one entry costs nothing to who uses another: name a file as what it registers. Raises
    ConfigError as `named` does.
    """
    if name not in known and any(
        module.name == name for module in pkgutil.iter_modules(import_module(package).__path__)
    ):
        import_module(f"{package}.{name}")
    if name not in known:
        import_files(package)
    return named(known, name, key)


def source_of(entry: type) -> Path:
    """The file that a class is written in."""
    return Path(str(import_module(entry.__module__).__file__))
