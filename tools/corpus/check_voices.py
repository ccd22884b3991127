"""Measure a corpus's voices with Resemblyzer: `python -m tools.corpus.check_voices data/demo`.

Needs tools/corpus/requirements-voices.txt in an environment of its own. Exits with 1 where voices are not separable.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from resemblyzer import VoiceEncoder, preprocess_wav
from tqdm import tqdm

from pipeline.media.audio import decode_audio
from tools.corpus.measures import Figure, across_clip_eer, format_table

RATE = 16_000  # Hz


def main() -> int:
    """The command line; 0 if the EER is at most 10 %."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.corpus.check_voices", description="Measure a corpus's voices."
    )
    parser.add_argument("corpus", type=Path, help="folder that tools.corpus.generate wrote")
    corpus = parser.parse_args().corpus
    encoder = VoiceEncoder("cpu", verbose=False)
    files = sorted(corpus.glob("*/*.mp4"))
    embeddings = np.stack(
        [
            encoder.embed_utterance(preprocess_wav(decode_audio(path, RATE), source_sr=RATE))
            for path in tqdm(files, unit="clip", desc="voices")
        ]
    )
    with (corpus / "identities.csv").open(newline="", encoding="utf-8") as text:
        genders = {row["identity"]: row["gender"] for row in csv.DictReader(text)}
    identities, clips = np.array([path.parent.name for path in files]), np.array([path.stem for path in files])
    who = (embeddings, identities, clips)
    groups = np.array([genders[identity] for identity in identities])
    figures = [
        Figure("Resemblyzer across clips, EER %", across_clip_eer(*who, np.zeros(len(files))), most=10),
        Figure("Resemblyzer across clips in a gender, EER %", across_clip_eer(*who, groups)),
    ]
    sys.stdout.write(format_table(figures) + "\n")
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
