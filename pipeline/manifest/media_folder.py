"""Which files of the media folder are media, without following links out of it."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ManifestError
from pipeline.manifest.checks import name_problem, path_problem, refuse
from pipeline.manifest.schema import KIND_OF_SUFFIX, suffix_of


@dataclass(frozen=True)
class Listing:
    """Media files below a folder, and what was passed over."""

    root: Path  # resolved
    paths: list[str]  # posix, sorted
    ignored: Counter[str] = field(default_factory=Counter)  # reason or suffix: number of files
    whole: bool = True  # every medium of the folder is in `paths`, so that one more is a change


def media_root(media: Path) -> Path:
    """The media folder with its links resolved; raises ManifestError where it is none."""
    if not media.is_dir():
        raise ManifestError(f"the media folder {str(media)!r} does not exist; mend manifest.media, or `dvc pull` it")
    return media.resolve()


def list_media(media: Path) -> Listing:
    """Every file with a media suffix below the folder; hidden files and other suffixes are counted as ignored.

    Raises ManifestError for links that lead out of the folder and for names that would break a line.
    """
    listing, problems = Listing(media_root(media), []), []
    for path, entry in _walk(listing.root, ""):
        if reason := _ignored(listing.root, path, entry):
            listing.ignored[reason] += 1
        elif problem := _problem(listing.root, path, entry):
            problems.append(f"{path!r} {problem}")
        else:
            listing.paths.append(path)
    refuse(problems, f"{media}: files that must not be used", "Mend or remove them.")
    return Listing(listing.root, sorted(listing.paths), listing.ignored)


def _ignored(root: Path, path: str, entry: os.DirEntry[str]) -> str | None:
    if entry.is_symlink() and Path(entry.path).is_dir():  # Path: a link in a circle is no folder, to DirEntry an error
        inside = Path(entry.path).resolve().is_relative_to(root)
        return "linked folders" if inside else None  # what they link to is found where it lies
    if suffix_of(path) not in KIND_OF_SUFFIX:
        return suffix_of(path) or "without suffix"
    return None


def _problem(root: Path, path: str, entry: os.DirEntry[str]) -> str | None:
    plain = entry.is_file(follow_symlinks=False)  # in a folder that was entered, so it leads nowhere else
    return name_problem(path) if plain else path_problem(root, path)


def _walk(folder: Path, below: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Relative path and entry of every file and link; folders are entered unless they are links or hidden."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{below}{entry.name}/")
        else:
            yield f"{below}{entry.name}", entry
