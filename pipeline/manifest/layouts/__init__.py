"""Layouts: how the files of a media folder, or the rows of a table, become items with an identity and a recording.

A new layout is one file here: a function from LayoutInput to a Listing and its entries, under `@register("name", ...)`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.manifest.media_folder import Listing
from pipeline.manifest.schema import Entry
from pipeline.registry import Registry


@dataclass(frozen=True)
class LayoutInput:
    """What a layout may read."""

    media: Path  # manifest.media
    table: Path  # manifest.table
    columns: Mapping[str, str]  # manifest.columns: our name -> the user's


Find = Callable[[LayoutInput], tuple[Listing, list[Entry]]]


@dataclass(frozen=True)
class Layout:
    """A way to read a media folder."""

    find: Find
    expects: str  # where its media should be, for the message when it finds none
    renames: bool  # whether manifest.columns holds for manifest.table, too


_LAYOUTS: Registry[Layout] = Registry(__name__, "manifest.layout")


def register(name: str, expects: str, renames: bool = False) -> Callable[[Find], Find]:
    """Make a function known as layout `name`."""

    def add(find: Find) -> Find:
        _LAYOUTS.add(name, Layout(find, expects, renames), find)
        return find

    return add


def layout_named(name: str) -> Layout:
    """The layout that manifest.layout names; raises ConfigError, naming the known ones, where no file registers it."""
    return _LAYOUTS.find(name)
