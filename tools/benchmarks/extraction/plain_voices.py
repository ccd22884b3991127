"""The plain loop over utterances: the official evaluation's procedure, one utterance after another, one process.

python -m tools.benchmarks.extraction.plain_voices utterances.json out.npz

Source of the procedure: WeidiXie/VGG-Speaker-Recognition, src/predict.py and src/utils.py: librosa loads a file, the
wav and its reverse make a spectrogram of full length, normalised frame by frame, that the network gets alone. The
official network runs in Keras, which is not installed here: in its place stands our network in PyTorch, with the
weights that the stage uses, so the comparison says nothing of Keras.
"""

import argparse
import json
import time
from pathlib import Path

import librosa
import numpy as np
import torch

from extractors.voices.aggregator_weights import aggregator_weights
from pipeline.config import load_params


def main() -> None:
    """Embed every utterance; write vectors, the files they belong to, and the loop's seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("utterances", type=Path, help="JSON: a list of wav or flac files")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    settings = load_params(Path("params.yaml")).embed_voices.options
    network = aggregator_weights(str(settings["weights"]), int(str(settings["seed"])))[1]()
    paths, vectors = json.loads(arguments.utterances.read_text()), []
    official_spectrogram(paths[0])  # librosa imports and compiles at first use: 2.5 s that are a start, no extraction
    start = time.monotonic()
    for path in paths:
        with torch.no_grad():
            vectors.append(network(torch.from_numpy(official_spectrogram(path))[None, None])[0].numpy())
    seconds = time.monotonic() - start
    np.savez(arguments.out, path=paths, vectors=np.stack(vectors), seconds=seconds)


def official_spectrogram(path: str) -> np.ndarray:
    """(257, T) float32 of a file, through librosa; reflect padding was its default when the weights were made."""
    waveform, _ = librosa.load(path, sr=16000)
    there_and_back = np.append(waveform, waveform[::-1])
    transform = librosa.stft(there_and_back, n_fft=512, win_length=400, hop_length=160, pad_mode="reflect")
    magnitude, _ = librosa.magphase(transform)  # (257, T)
    return (magnitude - magnitude.mean(axis=0)) / (magnitude.std(axis=0) + 1e-5)


if __name__ == "__main__":
    main()
