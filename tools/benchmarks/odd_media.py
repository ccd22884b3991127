"""Odd media through the real stages, beside what is right: `python -m tools.benchmarks.odd_media [FOLDER]`.

Small files in the shape of public bug reports, all made from clips of the shipped corpus: several tracks, mirrored and
anamorphic pictures, photos under another name, every kind of WAV, channels that cancel each other. Each goes through
manifest, detect_faces, embed_faces and embed_voices; printed is the cosine to the untouched clip, or why it was
skipped. The exit code is 1 if anything is not as it should be. FOLDER is ../shared/data/odd_media where none is named.
"""

import argparse
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tests.stages.project import DEMO, ROOT, Project, make_project

PERSON = "id0001"  # of whom all are made
UNTOUCHED = "0.mp4"
PART = "ref_2s.wav"  # two seconds of it: what the shorter files are made of

logger = logging.getLogger("tools.benchmarks.odd_media")


@dataclass(frozen=True)
class Right:
    """What is right of a file: how similar it is at least, or words of the reason why it is skipped."""

    modality: Literal["faces", "voices"]
    similarity: float = 0.0  # cosine to the reference
    reason: str = ""
    reference: str = UNTOUCHED
    said: str = ""  # words that the stages' log must hold beside the file's name


@dataclass(frozen=True)
class Found:
    """What the stages made of it."""

    name: str
    right: Right
    similarity: float | None
    reason: str
    said: bool

    @property
    def is_right(self) -> bool:
        """Whether that is as it should be."""
        if self.right.reason:
            return self.similarity is None and self.right.reason in self.reason
        return self.similarity is not None and self.similarity >= self.right.similarity and self.said

    def __str__(self) -> str:
        found = self.reason if self.similarity is None else f"{self.similarity:.4f}"
        right = f"skipped: {self.right.reason}" if self.right.reason else f"at least {self.right.similarity:g}"
        words = f", said: {self.right.said}" if self.right.said else ""
        mark = "right" if self.is_right else "WRONG"
        return f"{mark}  {self.name:30} {self.right.modality:6}  {right + words:62}  {found}"


_VOICE, _FACE = Right("voices", 0.98), Right("faces", 0.98)
_PART = Right("voices", 0.98, reference=PART)
RIGHT: dict[str, tuple[Right, ...]] = {
    "two_tracks_second_default.mkv": (Right("voices", 0.98, said="audio track 2 of 2 is taken (the default)"), _FACE),
    "two_tracks_second_default.mp4": (Right("voices", 0.98, said="audio track 2 of 2 is taken (the default)"), _FACE),
    "first_track_silent.mp4": (Right("voices", 0.98, said="audio track 2 is used"), _FACE),
    "mirrored_hflip.mp4": (_VOICE, _FACE),
    "anamorphic_sar2_1.mp4": (_VOICE, _FACE),
    "heic_photo_named.jpg": (Right("faces", reason="format HEIC is not among those read"),),
    "aac_71.m4a": (_VOICE,),
    "opus_71.opus": (_PART,),
    "loud_lfe_51.flac": (_PART,),
    "inverted.m4a": (Right("voices", 0.98, said="its channels cancel each other"),),
    "inverted.wav": (Right("voices", 0.98, said="its channels cancel each other"),),
    "rifx.wav": (_VOICE,),
    "wav_never_closed.wav": (_VOICE,),
    "nist_sphere_timit.wav": (_VOICE,),
    "AC3.wav": (Right("voices", 0.95),),
    "G722.wav": (Right("voices", 0.95),),
    "dc_only.wav": (Right("voices", reason="is silent"),),
    "unknown_video_codec.mp4": (_VOICE, Right("faces", reason="its video (zzz1) has no decoder")),
}


def measure(folder: Path, work: Path, *, in_process: bool = False) -> list[Found]:
    """Every file of the folder that RIGHT names, through the stages in a project below `work`."""
    media = {f"{PERSON}/{name}/{name}": folder / name for name in (*RIGHT, PART)}  # each a recording by itself
    media[f"{PERSON}/{UNTOUCHED}/{UNTOUCHED}"] = DEMO / PERSON / UNTOUCHED
    all_may_fail = {"max_skip_ratio": 1.0}
    sections = dict.fromkeys(("manifest", "detect_faces", "embed_faces", "embed_voices"), all_may_fail)
    project = make_project(work, media, in_process=in_process, **sections)
    log = project.extract().splitlines()
    vectors = {modality: _vectors(project, modality) for modality in ("faces", "voices")}
    reasons = {modality: _reasons(project, modality) for modality in ("faces", "voices")}
    found = []
    for name, wanted in RIGHT.items():
        for right in wanted:
            mine, reference = (vectors[right.modality].get(one) for one in (name, right.reference))
            similarity = None if mine is None or reference is None else float(mine @ reference)
            said = not right.said or any(name in line and right.said in line for line in log)
            reason = reasons[right.modality].get(name, "neither embedded nor skipped")
            found.append(Found(name, right, similarity, reason, said))
    return found


def _vectors(project: Project, modality: str) -> dict[str, np.ndarray]:
    """Mean vector (D,) of each file, of unit norm."""
    store = project.store(modality)
    found = {}
    for item, rows in store.index.groupby("item").indices.items():
        mean = store.matrix[rows].mean(axis=0)
        found[Path(str(item)).name] = mean / (mean @ mean) ** 0.5
    return found


def _reasons(project: Project, modality: str) -> dict[str, str]:
    skips = project.table(f"{modality}/skipped.csv")
    return {Path(item).name: str(reason) for item, reason in zip(skips["item"], skips["reason"], strict=True)}


def main() -> None:
    """Measure, print, and fail where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.odd_media", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data" / "odd_media")
    folder: Path = parser.parse_args().folder
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if missing := [name for name in (*RIGHT, PART) if not (folder / name).is_file()]:
        parser.error(f"{folder} lacks {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as work:
        found = measure(folder, Path(work))
    for one in found:
        logger.info("%s", one)
    wrong = sum(not one.is_right for one in found)
    logger.info("%d of %d right", len(found) - wrong, len(found))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
