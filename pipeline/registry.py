"""The one pattern by which params.yaml names a thing that is a file of its own: a plain dict that a decorator fills.

A package holds one file for each thing; its `__init__` holds the dict and the decorator. Files are found by looking at
the package's folder, so that a new one needs no other edit.
"""

import difflib
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import TypeVar

from pipeline.errors import ConfigError

EntryT = TypeVar("EntryT")


def import_files(package: str) -> None:
    """Import every module of a package, so that each can register what it holds."""
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        import_module(module.name)


def named(known: Mapping[str, EntryT], name: str, key: str) -> EntryT:
    """The entry called `name`; raises ConfigError, naming the `key` of params.yaml and the known names, for others."""
    if name in known:
        return known[name]
    closest = "".join(f" (did you mean {match!r}?)" for match in difflib.get_close_matches(name, known, n=1))
    raise ConfigError(f"{key}: {name!r} is not known{closest}; known: {', '.join(sorted(known))}")
