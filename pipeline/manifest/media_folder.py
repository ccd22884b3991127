"""Which files of the media folder are media, without following links out of it."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ManifestError
from pipeline.manifest.checks import name_problem, path_problem, refuse
from pipeline.manifest.schema import KIND_OF_SUFFIX, suffix_of

# What network storage, desktops and file systems put beside a user's files: thumbnails, waste bins, snapshots. Some
# are media by their names, and every person would seem to have the same ones. In lower case.
_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "@recycle", "@tmp", "#recycle", "#snapshot", ".snapshot", ".thumbnails", ".trashes"),
        *("$recycle.bin", "recycler", "system volume information", "__macosx", "lost+found"),
    }
)

# Texts and tables, which no user takes for media.
_TEXTS = frozenset(
    ".csv .tsv .json .jsonl .txt .md .html .pdf .xml .yaml .yml .toml .ini .log .srt .vtt .parquet".split()
)

_BY_PARAMS = "manifest.media, or manifest.listed, in params.yaml"


@dataclass(frozen=True)
class Listing:
    """Media files below a folder, and what was passed over."""

    root: Path  # resolved
    paths: list[str]  # posix, sorted
    ignored: Counter[str] = field(default_factory=Counter)  # what: how many
    unread: Sequence[str] = ()  # ignored files of other kinds, texts left out
    whole: bool = True  # every medium of the folder is in `paths`, so that one more is a change


def media_root(media: Path, named_by: str = _BY_PARAMS) -> Path:
    """The media folder with its links resolved; raises ManifestError where it is none, and says what named it."""
    if media.exists() and not media.is_dir():
        raise ManifestError(f"{named_by}: {str(media)!r} is no folder; name the folder that holds it")
    if not media.is_dir():
        raise ManifestError(
            f"{named_by}: {str(media)!r} does not exist; name the folder with the media, or `dvc pull` it"
        )
    return media.resolve()


def list_media(media: Path, named_by: str = _BY_PARAMS) -> Listing:
    """Every file with a media suffix below the folder; hidden ones, system folders and other suffixes are counted.

    `named_by` says where a user gave the folder. Raises ManifestError for a folder that is none, links that lead out of
    it, names that would break a line and folders that cannot be opened.
    """
    root, problems = media_root(media, named_by), []
    listing, unread = Listing(root, []), []
    for path, entry in _walk(root, "", listing.ignored):
        if _is_linked_folder(entry) and Path(entry.path).resolve().is_relative_to(root):
            listing.ignored["linked folders"] += 1  # what they link to is found in its own folder
        elif suffix_of(path) not in KIND_OF_SUFFIX and not _is_linked_folder(entry):
            listing.ignored[suffix_of(path) or "without suffix"] += 1
            unread += [path] if suffix_of(path) not in _TEXTS else []
        elif problem := _problem(root, path, entry):
            problems.append(f"{path!r} {problem}")
        else:
            listing.paths.append(path)
    refuse(problems, f"{media}: files that must not be used", "Mend or remove them.")
    return Listing(root, sorted(listing.paths), listing.ignored, sorted(unread))


def folders_without_media(listing: Listing) -> dict[str, Counter[str]]:
    """The topmost folders that hold files but no medium, such as a person's of HEIC photos: the suffixes they hold."""
    if not listing.unread:
        return {}
    with_media = {parent for path in listing.paths for parent in _parents(path)}
    found: dict[str, Counter[str]] = {}
    for path in listing.unread:
        if without := [parent for parent in _parents(path) if parent not in with_media]:
            found.setdefault(without[0], Counter())[suffix_of(path) or "without suffix"] += 1
    return found


def _parents(path: str) -> list[str]:
    """The folders above a path, the topmost first."""
    return [path[:at] for at, letter in enumerate(path) if letter == "/"]


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and Path(entry.path).is_dir()  # Path: to DirEntry, a link in a circle is an error


def _problem(root: Path, path: str, entry: os.DirEntry[str]) -> str | None:
    plain = entry.is_file(follow_symlinks=False)  # in a folder that was entered, so it leads nowhere else
    return name_problem(path) if plain else path_problem(root, path)


def _walk(folder: Path, below: str, ignored: Counter[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Relative path and entry of every file and link; folders are entered unless they are links, hidden or a system's.

    What is hidden and the systems' folders are counted in `ignored`.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise ManifestError(f"{folder} cannot be opened ({error.strerror}); mend its permissions") from error
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and entry.name.lower() in _SYSTEM_FOLDERS:
            ignored[f"system folders ({entry.name})"] += 1
        elif entry.name.startswith("."):
            ignored["hidden folders" if is_folder else "hidden files"] += 1
        elif is_folder:
            yield from _walk(Path(entry.path), f"{below}{entry.name}/", ignored)
        else:
            yield f"{below}{entry.name}", entry
