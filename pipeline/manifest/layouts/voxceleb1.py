"""Layout VoxCeleb1: wav/id10001/<video>/00001.wav, face frames <Name>/1.6/<video>/0000375.jpg, and vox1_meta.csv.

VoxCeleb2, too: aac/id00012/<video>/00001.m4a, mp4/id00012/<video>/00001.mp4, and vox2_meta.csv.
"""

from dataclasses import dataclass
from pathlib import Path
from sys import intern

from pipeline.errors import ManifestError
from pipeline.manifest.checks import refuse
from pipeline.manifest.csv_rows import read_rows, renamed
from pipeline.manifest.identities import canonical, parse_traits
from pipeline.manifest.layouts import LayoutInput, register
from pipeline.manifest.media_folder import Listing, list_media
from pipeline.manifest.schema import Entry, Traits

_COLUMNS = {"identity": "VoxCeleb1 ID", "name": "VGGFace1 ID", "gender": "Gender", "nationality": "Nationality"}
_COLUMNS_OF_2 = {"identity": "VoxCeleb2 ID", "gender": "Gender"}  # none of its folders is called by a VGGFace2 ID
_FACE_SCALE = "1.6"  # folder between name and video in the released frames: how much wider than the face box they are


@dataclass(frozen=True)
class Person:
    """One row of vox1_meta.csv or vox2_meta.csv."""

    identity: str  # id10001
    traits: Traits


@register("voxceleb1", expects="wav/id10001/<video>/00001.wav and faces/<Name>/1.6/<video>/0000375.jpg")
def find(source: LayoutInput) -> tuple[Listing, list[Entry]]:
    """One entry per utterance and face frame; the identity is the VoxCeleb ID, the recording <identity>/<video>.

    The folders may be below others (wav/, faces/, unzippedFaces/). Raises ManifestError for people that the table does
    not know.
    """
    listing, people = list_media(source.media), read_meta(source.table)
    found, strangers = [], []
    for path in listing.paths:
        folders = path.split("/")[:-1]
        if folders[-2:-1] == [_FACE_SCALE]:
            del folders[-2]
        if len(folders) < 2:
            listing.ignored["outside <person>/<video>/"] += 1
            continue
        name, video = folders[-2:]
        if person := people.get(canonical(name)):
            found.append(Entry(path, person.identity, intern(f"{person.identity}/{video}"), person.traits))
        else:
            strangers.append(f"{path!r}: {name!r}")
    refuse(
        strangers,
        f"people that {source.table.name} knows neither by ID nor by name",
        "Remove them, or mend manifest.table.",
    )
    return listing, found


def read_meta(path: Path) -> dict[str, Person]:
    """People by their ID and, in VoxCeleb1, by their name; ManifestError for a table that is no vox{1,2}_meta.csv."""
    raw = read_rows(path, "table")
    columns = _COLUMNS_OF_2 if _COLUMNS_OF_2["identity"] in raw.header else _COLUMNS
    if missing := [column for column in columns.values() if column not in raw.header]:
        raise ManifestError(
            f"{path} has no column(s) {', '.join(missing)}: layout voxceleb1 expects "
            "manifest.table to be vox1_meta.csv or vox2_meta.csv"
        )
    people: dict[str, Person] = {}
    problems: list[str] = []
    for row in renamed(raw, tuple(columns), columns).rows:
        names = {canonical(row.values.get(column, "")) for column in ("identity", "name") if column in columns}
        if "" in names or names & people.keys():
            problems.append(f"{row.source}: an ID or a name is missing or is there twice")
            continue
        person = Person(canonical(row.values["identity"]), parse_traits(row, problems))
        people.update(dict.fromkeys(names, person))
    refuse(problems, f"{path}: rows that cannot be read", f"Take {path.name} as it is released.")
    return people
