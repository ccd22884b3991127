"""Layout folder-per-identity: <identity>/.../clip.mp4, with any folders in between."""

from pipeline.manifest.media_folder import Listing
from pipeline.manifest.schema import Entry, recording_of


def entries(listing: Listing) -> list[Entry]:
    """One entry per medium inside an identity's folder.

    The recording is the path without its suffix, so that clip.mp4, clip.wav and clip.jpg beside each other count as
    one recording and cannot end on both sides of a seen-heard split.
    """
    found = []
    for path in listing.paths:
        if "/" in path:
            found.append(Entry(path, path.split("/", 1)[0], recording_of(path)))
        else:
            listing.ignored["outside an identity's folder"] += 1
    return found
