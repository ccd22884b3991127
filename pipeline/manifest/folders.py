"""Layout folder-per-identity: <identity>/.../clip.mp4, with any folders in between."""

from pipeline.manifest.media_folder import Listing
from pipeline.manifest.schema import Entry, recording_of


def recording_by_folder(path: str) -> str | None:
    """The recording that a second folder names; None for a file in one folder, or in none.

    <identity>/<video>/00001.wav and <identity>/<video>/faces/0000375.jpg are one video's utterance and frame. Of a file
    right in its identity's folder the recording is its path without the suffix (schema.recording_of), so that clip.mp4,
    clip.wav and clip.jpg beside each other are one. Nothing of one recording ends on both sides of a seen-heard split,
    or in a trial of two recordings.
    """
    folders = path.split("/")[:-1]
    return "/".join(folders[:2]) if len(folders) > 1 else None


def entries(listing: Listing) -> list[Entry]:
    """One entry per medium inside an identity's folder."""
    found = []
    for path in listing.paths:
        folders = path.split("/")[:-1]
        if folders:
            found.append(Entry(path, folders[0], recording_by_folder(path) or recording_of(path)))
        else:
            listing.ignored["outside an identity's folder"] += 1
    return found
