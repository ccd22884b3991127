"""Layout folder-per-identity: <identity>/.../clip.mp4, with any folders in between."""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from sys import intern

from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.media_folder import Listing, list_media
from pipeline.manifest.schema import KIND_OF_SUFFIX, Entry, recording_of, suffix_of

logger = logging.getLogger(__name__)


@register("folders", expects="<identity>/clip.mp4 (a folder for each person)")
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    """One entry per medium inside an identity's folder; pictures that may be frames of one film are counted."""
    listing, found = list_media(source.media), []
    for path in listing.paths:
        folders = path.split("/")[:-1]
        if folders:
            found.append(Entry(path, intern(folders[0]), intern(recording_of(path))))  # one text for all of a person
        else:
            listing.ignored["outside an identity's folder"] += 1
    _warn_of_frames([path for path in listing.paths if path.count("/") == 1])
    return listing, found


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
