"""Layout folder-per-identity: <identity>/.../clip.mp4, with any folders in between."""

from sys import intern

from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.media_folder import Listing, list_media
from pipeline.manifest.schema import Entry, recording_of


@register("folders", expects="<identity>/clip.mp4 (a folder for each person)")
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    """One entry per medium inside an identity's folder."""
    listing, found = list_media(source.media), []
    for path in listing.paths:
        folders = path.split("/")[:-1]
        if folders:
            found.append(Entry(path, intern(folders[0]), intern(recording_of(path))))  # one text for all of a person
        else:
            listing.ignored["outside an identity's folder"] += 1
    return listing, found
