"""Extractors by the name that params.yaml uses. A new one is one file of the same name: nothing else is edited.

Its file registers it. pipeline.registry finds it: the module of that name is imported alone, since model families need
libraries that others do without.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from extractors.base import Extractor
from pipeline import registry
from pipeline.config import validate

if TYPE_CHECKING:
    import torch

ExtractorT = TypeVar("ExtractorT", bound=Extractor)

logger = logging.getLogger(__name__)


class Registry(Generic[ExtractorT]):
    """The extractors of one kind: those that the files of a folder register."""

    def __init__(self, package: str, section: str, key: str) -> None:
        """`section` of params.yaml holds the extractors' options, and names one by its `key`."""
        self._section = section
        self._key = key
        self._files: registry.Registry[type[ExtractorT]] = registry.Registry(package, f"{section}.{key}")

    def register(self, name: str) -> Callable[[type[ExtractorT]], type[ExtractorT]]:
        """Class decorator: make an extractor known as `name`."""

        def add(extractor: type[ExtractorT]) -> type[ExtractorT]:
            self._files.add(name, extractor, extractor)
            extractor.name = name
            return extractor

        return add

    def build(self, name: str, options: Mapping[str, object], device: "torch.device") -> ExtractorT:
        """The extractor called `name`, on `device`, of whatever its section holds beside the section's own keys.

        Keys that belong to another extractor of the folder do no harm and are named in the log: so `name` may be
        changed alone. Raises ConfigError for an unknown name, a key that belongs to none, and options that are absent
        or out of range.
        """
        chosen = self.find(name)
        foreign = self._foreign([key for key in options if key not in chosen.Options.model_fields])
        if foreign:
            logger.info("%s: not used by %s: %s", self._section, name, ", ".join(foreign))
        own = {key: value for key, value in options.items() if key not in foreign}
        where = f"{self._section} in params.yaml, with {self._key} {name} (its options: {_listed(chosen)})"
        return chosen(validate(chosen.Options, own, where), device)

    def find(self, name: str) -> type[ExtractorT]:
        """The class registered as `name`; raises ConfigError, naming the known ones, where there is none."""
        return self._files.find(name)

    def names(self) -> list[str]:
        """All names that the folder's files register, sorted."""
        return list(self._files.entries())

    def _foreign(self, keys: list[str]) -> list[str]:
        """Those of `keys` that are options of other extractors, sorted."""
        if not keys:
            return []
        known = {key for extractor in self._files.entries().values() for key in extractor.Options.model_fields}
        return sorted(known.intersection(keys))


def _listed(extractor: type[Extractor]) -> str:
    return ", ".join(extractor.Options.model_fields) or "none"
