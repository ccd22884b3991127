"""A small release in the form of the VoxCeleb1 lists, and a corpus that holds its media."""

from pathlib import Path

import pandas as pd

from pipeline.protocol.tables import ProtocolTables
from tests.pipeline.protocol.corpora import Tables, built, settings

PEOPLE = {f"id{10001 + n}": f"Name_{n}" for n in range(12)}
SPLIT = dict(zip(PEOPLE, "111111224444", strict=True))  # six train, two validation, four test
HEADER = "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path"
CRITERIA = ("random", "G", "N", "A", "GNA")


def video(code: str, number: int) -> str:
    """Eleven characters with an underscore and a hyphen, as YouTube's may have."""
    return f"v_{code[2:]}-{number:03d}"


def trial(voice: str, face: str, clips: tuple[int, int], number: int) -> str:
    left, right = (
        f"{PEOPLE[voice]}/{video(voice, clips[0])}_0000001.wav",
        f"{PEOPLE[face]}/{video(face, clips[1])}/0000025.jpg",
    )
    return f"{number},{int(voice[2:]) - 10000},{int(face[2:]) - 10000},{int(voice == face)},{left},{right}"


def write_release(folder: Path) -> Path:
    """Verification trials and matching lists over videos 0 and 1 of the test people, video 2 of the training people."""
    for name in ("Splits", "veriflist", "matching"):
        (folder / name).mkdir(parents=True)
    rows = [f"{code}\t{name}\t{'mf'[n % 2]}\tUSA\tdev" for n, (code, name) in enumerate(PEOPLE.items())]
    (folder / "vox1_meta.csv").write_text(
        "\n".join(["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet", *rows]) + "\n"
    )
    (folder / "Splits" / "identity_splits.txt").write_text(
        "".join(f"{PEOPLE[code]} {SPLIT[code]} \n" for code in PEOPLE)
    )
    for regime, split, clips in (("unseenunheard", "4", (0, 1)), ("seenheard", "1", (2, 2))):
        codes = [code for code in PEOPLE if SPLIT[code] == split]
        pairs = [(code, other) for at, code in enumerate(codes) for other in (code, codes[at - 1])]
        lines = [trial(voice, face, clips, number) for number, (voice, face) in enumerate(pairs, start=1)]
        for criterion in CRITERIA:
            path = folder / "veriflist" / f"veriflist_test_{criterion}_{regime}.txt"
            path.write_text("\n".join([HEADER, *lines]) + "\n")
    test = [code for code in PEOPLE if SPLIT[code] == "4"]
    for criterion in ("U", "G", "N", "GN"):
        voices = [f"{code}/{video(code, 0)}/00001.wav" for code in test]
        faces = [f"{PEOPLE[code]}/1.6/{video(code, 1)}/0000025.jpg" for code in test]
        f2v = [f"{faces[at]} {voices[at]} {voices[at - 1]}" for at in range(len(test))]
        v2f = [f"{voices[at]} {faces[at]} {faces[at - 1]}" for at in range(len(test))]
        (folder / "matching" / f"matching_f2v_{criterion}.csv").write_text("\n".join(f2v) + "\n")
        (folder / "matching" / f"matching_v2f_{criterion}.csv").write_text("\n".join(v2f) + "\n")
    return folder


def corpus() -> Tables:
    """VoxCeleb1's folders: three videos a person, an utterance and two frames each."""
    rows: dict[str, list[dict[str, object]]] = {"face": [], "voice": []}
    for code, name in PEOPLE.items():
        for number in range(3):
            clip = video(code, number)
            items = {"voice": [f"wav/{code}/{clip}/00001.wav"]}
            items["face"] = [f"unzippedFaces/{name}/1.6/{clip}/{frame:07d}.jpg" for frame in (25, 50)]
            for modality, paths in items.items():
                rows[modality] += [{"item": item, "identity": code, "clip": f"{code}/{clip}"} for item in paths]
    faces, voices = (
        pd.DataFrame(rows[modality])
        .sort_values("item", ignore_index=True)
        .assign(frame=0, digest=lambda one: one["item"])
        for modality in ("face", "voice")
    )
    manifest = pd.concat([faces, voices]).sort_values("item", ignore_index=True)
    gender = manifest["identity"].str[-1].astype(int) % 2
    manifest = manifest.assign(gender=gender.map({0: "f", 1: "m"}), nationality="USA", language=None)
    return Tables(manifest.assign(age=pd.array([None] * len(manifest), dtype="Float64")), faces, voices)


def imported(release: Path, parts: Tables | None = None, **changes: object) -> ProtocolTables:
    """The protocol of the release for `parts`, or for the whole corpus."""
    protocol = settings(source="voxceleb_lists", trials=40, galleries=12, **changes)
    return built(parts or corpus(), protocol, release)


def swapped(row: str) -> str:
    probe, genuine, impostor = row.split()
    return f"{probe} {impostor} {genuine}"


def doubled(row: str) -> str:
    probe, genuine, _ = row.split()
    return f"{probe} {genuine} {genuine}"
