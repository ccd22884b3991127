"""Measure a corpus: `python -m tools.corpus.check data/demo` (in the runtime environment, from the project's root).

Faces through the project's own detector and FaceNet as params.yaml sets them; sound by its samples. Writes a table and
exits with 1 where a figure is outside its bounds. Voices: `python -m tools.corpus.check_voices`.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from extractors.faces.face import face_detector, face_extractor
from pipeline.config import load_params
from pipeline.media.audio import decode_audio
from pipeline.media.video import sample_frames
from tools.corpus.measures import Figure, across_clip_eer, format_table, sound_figures

RATE = 16_000  # Hz
_FRAME_RATE, _FRAMES = 2.0, 3  # looked at per second, and kept of a clip
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Faces:
    """Found faces: embeddings (N, 512), and who and which clip they are of; frames looked at; boxes as foretold."""

    embeddings: np.ndarray
    identities: np.ndarray
    clips: np.ndarray
    frames: int
    foretold: int


def clip_files(corpus: Path) -> list[Path]:
    """Every clip, by identity and number."""
    return sorted(corpus.glob("*/*.mp4"))


def _true_boxes(corpus: Path) -> dict[tuple[str, str], np.ndarray]:
    with (corpus / "truth" / "boxes.csv").open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    sides = ("left", "top", "right", "bottom")
    return {(row["identity"], row["clip"]): np.array([float(row[side]) for side in sides]) for row in rows}


def _holds(box: np.ndarray, found: np.ndarray) -> bool:
    """Whether the middle of the found box lies in the true one."""
    x, y = (found[0] + found[2]) / 2, (found[1] + found[3]) / 2
    return bool(box[0] < x < box[2] and box[1] < y < box[3])


def _crops(files: list[Path], corpus: Path) -> Iterator[tuple[Path, np.ndarray | None, bool]]:
    """File, crop (160, 160, 3) or None, and whether the face is where geometry puts it; one a frame."""
    params, boxes = load_params(Path("params.yaml")), _true_boxes(corpus)
    detect = face_detector(params.detect_faces, torch.device("cpu"))
    cut = face_extractor(params.embed_faces, torch.device("cpu")).preparer()
    for path in tqdm(files, unit="clip", desc="faces"):
        images = [frame.image for frame in sample_frames(path, _FRAME_RATE, _FRAMES)]
        for image, found in zip(images, detect(images), strict=True):
            if found is None:
                yield path, None, False
            else:
                crop = cut(image, found.box, found.landmarks)
                yield path, crop, _holds(boxes[path.parent.name, path.stem], found.box)


def measure_faces(files: list[Path], corpus: Path) -> Faces:
    """Detect and embed three frames a clip."""
    looked = list(_crops(files, corpus))
    seen = [(path, crop) for path, crop, _ in looked if crop is not None]
    embed = face_extractor(load_params(Path("params.yaml")).embed_faces, torch.device("cpu"))
    return Faces(
        embeddings=np.array(embed([crop for _, crop in seen])),
        identities=np.array([path.parent.name for path, _ in seen]),
        clips=np.array([path.stem for path, _ in seen]),
        frames=len(looked),
        foretold=sum(held for _, _, held in looked),
    )


def genders_of(corpus: Path, identities: np.ndarray) -> np.ndarray:
    """Gender of each identity from identities.csv  # (N,)."""
    with (corpus / "identities.csv").open(newline="", encoding="utf-8") as text:
        known = {row["identity"]: row["gender"] for row in csv.DictReader(text)}
    return np.array([known[identity] for identity in identities])


def face_figures(faces: Faces, genders: np.ndarray) -> list[Figure]:
    """Detection rate and how well FaceNet tells people apart across their clips."""
    everyone = np.zeros(len(genders))
    who = (faces.embeddings, faces.identities, faces.clips)
    return [
        Figure("frames with a face, %", 100 * len(genders) / faces.frames, least=99),
        Figure("faces where geometry puts them, %", 100 * faces.foretold / faces.frames, least=99),
        Figure("FaceNet across clips, EER %", across_clip_eer(*who, everyone), 0.5, 8),
        Figure("FaceNet across clips in a gender, EER %", across_clip_eer(*who, genders)),
    ]


def main() -> int:
    """The command line; 0 if every figure is within its bounds."""
    parser = argparse.ArgumentParser(prog="python -m tools.corpus.check", description="Measure a corpus.")
    parser.add_argument("corpus", type=Path, help="folder that tools.corpus.generate wrote")
    corpus = parser.parse_args().corpus
    files = clip_files(corpus)
    faces = measure_faces(files, corpus)
    figures = [
        Figure("people", len({path.parent for path in files})),
        Figure("clips", len(files)),
        Figure("megabytes", sum(path.stat().st_size for path in files) / _MEGABYTE, most=12),
        *face_figures(faces, genders_of(corpus, faces.identities)),
        *sound_figures([decode_audio(path, RATE) for path in files], RATE),
    ]
    sys.stdout.write(format_table(figures) + "\n")
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
