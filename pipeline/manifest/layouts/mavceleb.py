"""Layout MAV-Celeb: the folders of its four versions, the anonymous samples of its challenges' test lists included."""

from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.mavceleb_paths import ANONYMOUS, place_of
from pipeline.manifest.media_folder import Listing, list_media
from pipeline.manifest.schema import Entry, Traits


@register(
    "mavceleb",
    expects="voices/id0001/<language>/<video>/00000.wav and faces/id0001/<language>/<video>/00000.jpg, or version 4's "
    "voices/<language>/id001/00000.wav; samples of test lists as voices/<language>/00000.wav or "
    "<track>/<language>_test/voices/00000.wav",
)
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    """One entry per utterance and face frame; the language comes from the path.

    The recording is <identity>/<video>; in version 4, whose paths name no video, <identity>/<number>, which a voice and
    the face that its training list pairs it with have in common.
    """
    listing, found = list_media(source.media), []
    for path in listing.paths:
        place = place_of(path)
        if place is None:
            listing.ignored["in no folders of MAV-Celeb"] += 1
            continue
        name = ANONYMOUS + path.rpartition(".")[0]
        traits = Traits(language=place.language)
        found.append(Entry(path, place.identity or name, place.recording or name, traits))
    return listing, found
