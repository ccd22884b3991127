"""Layout MAV-Celeb: voices/id0001/<language>/<video>/00000.wav and faces/id0001/<language>/<video>/00000.jpg."""

from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.media_folder import Listing, list_media
from pipeline.manifest.schema import Entry, Traits


@register(
    "mavceleb",
    expects="voices/id0001/<language>/<video>/00000.wav and faces/id0001/<language>/<video>/00000.jpg",
)
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    """One entry per utterance and face frame; the recording is <identity>/<video>, the language comes from the path."""
    listing, found = list_media(source.media), []
    for path in listing.paths:
        folders = path.split("/")[:-1]
        if len(folders) < 3:
            listing.ignored["outside <identity>/<language>/<video>/"] += 1
            continue
        identity, language, video = folders[-3:]
        found.append(Entry(path, identity, f"{identity}/{video}", Traits(language=language)))
    return listing, found
