"""What the paths of MAV-Celeb say, in the forms of its four versions, test lists included; no other module of ours.

Versions 1 to 3 train on voices/id0001/<language>/<video>/00000.wav and faces/...jpg, and are tested on
voices/<language>/00000.wav. Version 4 trains on voices/<language>/id001/00000.wav, and is tested on
<track>/<language>_test/voices/00000.wav, where the track is gender or no_gender. Folders above these may be called
anything (mavceleb/mavceleb_baseline README, and the README of FLAG 2027's baseline).
"""

import re
from dataclasses import dataclass
from typing import Literal

Shown = Literal["face", "voice"]

ANONYMOUS = "anonymous/"  # begins the identity of an item whose person is withheld: each is a person of its own
TRACKS = ("gender", "no_gender")  # of version 4
_MODALITIES: dict[str, Shown] = {"voices": "voice", "faces": "face"}
_SUFFIXES: dict[str, Shown] = {  # of media outside such folders; others may show either
    **dict.fromkeys(("wav", "flac", "mp3", "m4a", "ogg", "opus"), "voice"),
    **dict.fromkeys(("jpg", "jpeg", "png", "bmp", "webp"), "face"),
}
_TEST = re.compile(r"(?P<language>.+)_test")


@dataclass(frozen=True)
class Place:
    """What the path of an utterance or a face says."""

    key: str  # the path without folders above, modality and suffix, as a list and an item have it in common
    language: str
    identity: str | None  # None: a sample of a test list, whose person is withheld
    recording: str | None  # as the manifest's clip; None with the identity
    track: str = ""  # gender | no_gender, of a test sample of version 4


def shown_in(path: str) -> Shown | None:
    """What a medium is there for, by the folder voices or faces or else by its suffix; None where neither says."""
    folders = [_MODALITIES[part] for part in path.split("/")[:-1] if part in _MODALITIES]
    return folders[-1] if folders else _SUFFIXES.get(path.rpartition(".")[2].lower())


def place_of(path: str) -> Place | None:
    """Read a path of an item or of a list, with or without voices/ or faces/; None where it is of no version."""
    parts = path.rpartition(".")[0].split("/")
    at = max((index for index, part in enumerate(parts[:-1]) if part in _MODALITIES), default=-1)
    above, rest = parts[: max(at, 0)], parts[at + 1 :]
    track = next((part for part in reversed(above) if part in TRACKS), "")
    if at < 0:  # training lists of versions 1 to 3 leave voices/ and faces/ out, and so may a user's folders
        rest = rest[-4:]
    if len(rest) == 4:
        identity, language, video, _ = rest
        return Place("/".join(rest), language, identity, f"{identity}/{video}")
    if at < 0:
        return None
    if len(rest) == 3:
        language, identity, number = rest
        return Place("/".join(rest), language, identity, f"{identity}/{number}")
    if len(rest) == 2:
        return Place("/".join(rest), rest[0], None, None, track)
    named = _TEST.fullmatch(above[-1]) if above and len(rest) == 1 else None
    return Place(f"{named['language']}/{rest[0]}", named["language"], None, None, track) if named else None
