"""Layout folder-per-identity: <identity>/.../clip.mp4, with any folders in between."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from sys import intern

from pipeline.errors import first_of
from pipeline.manifest.checks import refuse
from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.media_folder import Listing, list_media
from pipeline.manifest.schema import KIND_OF_SUFFIX, Entry, recording_of, suffix_of

# Folders that corpora have above their people: splits, and kinds of media.
_ABOVE_PEOPLE = frozenset("dev test train val wav aac mp4 audio video videos faces voices images frames".split())
_SHOWN = 3  # folders named of each of these

logger = logging.getLogger(__name__)


@register("folders", expects="<identity>/clip.mp4 (a folder for each person)")
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    """One entry per medium inside an identity's folder; pictures that may be frames of one film are counted.

    Raises ManifestError where people would be called `wav` or `dev` and the people themselves are folders below.
    """
    listing, found = list_media(source.media), []
    _refuse_folders_above_people(listing.paths)
    for path in listing.paths:
        folders = path.split("/")[:-1]
        if folders:
            found.append(Entry(path, intern(folders[0]), intern(recording_of(path))))  # one text for all of a person
        else:
            listing.ignored["outside an identity's folder"] += 1
    _warn_of_frames([path for path in listing.paths if path.count("/") == 1])
    return listing, found


def _refuse_folders_above_people(paths: Sequence[str]) -> None:
    below: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folders = path.split("/")[:-1]
        if len(folders) > 1 and folders[0].lower() in _ABOVE_PEOPLE:
            below[folders[0]].add(folders[1])
    refuse(
        [f"{folder!r}: {', '.join(first_of(sorted(names), _SHOWN))}" for folder, names in sorted(below.items())],
        "folders where layout folders expects people, with what seem to be people below",
        "Put all media of a person into one folder, directly in manifest.media, or list the media in a table (layout "
        "csv); VoxCeleb1 and VoxCeleb2 have layout voxceleb1, MAV-Celeb has mavceleb. Rename one that is a person.",
    )


def _warn_of_frames(paths: Sequence[str]) -> None:
    """Say which pictures in a person's own folder differ by a number alone: each is a recording by itself."""
    films = {recording_of(path) for path in paths if not _is_picture(path)}  # and sounds; talk.jpg is of talk.mp4
    pictures = [path for path in paths if _is_picture(path) and recording_of(path) not in films]
    series = Counter(map(_without_numbers, pictures))
    frames = [path for path in pictures if series[_without_numbers(path)] > 1]
    if frames:
        logger.warning(
            "%d pictures of %d people differ in their names by numbers alone, and each is a recording by itself, "
            "first: %r; frames of one film belong into a folder of theirs, <identity>/<film>/, or under one clip of "
            "a table (layout csv): trials of two recordings depend on that",
            *(len(frames), len({path.partition("/")[0] for path in frames}), frames[0]),
        )


def _is_picture(path: str) -> bool:
    return KIND_OF_SUFFIX[suffix_of(path)] == "image"


def _without_numbers(path: str) -> str:
    person, _, name = path.partition("/")
    return f"{person}/{re.sub(r'[0-9]+', '', name)}"
