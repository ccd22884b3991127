"""Where a protocol comes from: one file a source, by the name that `protocol.source` in params.yaml gives it.

A new source is a file in this folder with a function `@register("name")`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.protocol.checks import check_protocol
from pipeline.protocol.corpus import Corpus, Flags
from pipeline.protocol.tables import ProtocolTables
from pipeline.registry import Registry
from pipeline.settings import ProtocolSettings


@dataclass(frozen=True)
class Inputs:
    """What a source may build a protocol from."""

    manifest: pd.DataFrame
    faces: pd.DataFrame  # index of the face store
    voices: pd.DataFrame  # index of the voice store
    folder: Path  # the lists of a source that reads some


@dataclass(frozen=True)
class Draft:
    """A protocol as a source built it, not checked yet."""

    tables: ProtocolTables
    corpus: Corpus
    held_out: Flags  # (clips,) recordings kept from training


Source = Callable[[Inputs, ProtocolSettings], Draft]
_SOURCES: Registry[Source] = Registry(__name__, "protocol.source")


def register(name: str) -> Callable[[Source], Source]:
    """Decorator: make a source known under `name`."""

    def add(source: Source) -> Source:
        _SOURCES.add(name, source, source)
        return source

    return add


def source_named(name: str) -> Source:
    """The source that `protocol.source` names; raises ConfigError for an unknown one."""
    return _SOURCES.find(name)


def build_protocol(
    manifest: pd.DataFrame, faces: pd.DataFrame, voices: pd.DataFrame, settings: ProtocolSettings, folder: Path
) -> ProtocolTables:
    """Build the protocol for a manifest and the indexes of its two stores, and check every row of it.

    `folder` holds the lists of a source that reads some. Raises ProtocolError, ConfigError for an unknown source.
    """
    draft = source_named(settings.source)(Inputs(manifest, faces, voices, folder), settings)
    check_protocol(draft.tables, draft.corpus, draft.held_out)
    return draft.tables
