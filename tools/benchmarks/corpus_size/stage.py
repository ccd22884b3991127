"""One stage with a null extractor, its seconds and memory on the last line: `python -m ...corpus_size.stage STAGE`.

The extractors are registered as a user's own would be (docs/extending.md): they decode, cut and resample, and then give
one of a thousand unit vectors in place of a network's.
"""

import json
import resource
import sys
import time
from collections.abc import Sequence
from importlib import import_module

import numpy as np

from extractors.base import NO_WEIGHTS, Weights
from extractors.faces.crop import SquareCrop
from extractors.faces.face import FACE_EXTRACTORS, FaceExtractor
from extractors.voices.voice import VOICE_EXTRACTORS, VoiceExtractor
from stages.common import run_stage
from tools.benchmarks.corpus_size.media import SIDE
from tools.benchmarks.corpus_size.stores import WIDTH

_VECTORS = np.random.default_rng(1).standard_normal((1000, WIDTH)).astype(np.float32)
_VECTORS /= np.linalg.norm(_VECTORS, axis=1, keepdims=True)


def _vectors(batch: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One of the unit vectors for each input, whatever else is in the call."""
    return [_VECTORS[int(float(abs(one.flat[one.size // 2])) * 9973) % len(_VECTORS)] for one in batch]


@FACE_EXTRACTORS.register("null")
class NullFaces(FaceExtractor):
    """Cut faces to vectors, without a network."""

    version, dimension, independent = 1, WIDTH, True

    def load(self) -> Weights:
        """Nothing to load."""
        return NO_WEIGHTS

    def preparer(self) -> SquareCrop:
        """The face resized as FaceNet has it."""
        return SquareCrop(SIDE, 0)

    def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See _vectors."""
        return _vectors(batch)


@VOICE_EXTRACTORS.register("null")
class NullVoices(VoiceExtractor):
    """Waveforms to vectors, without a network."""

    version, dimension, sample_rate, independent = 1, WIDTH, 16_000, True

    def load(self) -> Weights:
        """Nothing to load."""
        return NO_WEIGHTS

    def __call__(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See _vectors."""
        return _vectors(batch)


def main() -> None:
    """Run the stage that the command line names."""
    stage, *run = sys.argv[1:]
    kinds = {"train": "run", "evaluate": "run"}
    sys.argv[0] = f"{stage}.py"
    start = time.monotonic()
    run_stage(import_module(f"stages.{stage}").main, kinds.get(stage, "nothing"), arguments=run)  # type: ignore[arg-type]
    seconds = time.monotonic() - start
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "seconds": seconds,
        "processor": own.ru_utime + own.ru_stime,
        "workers": children.ru_utime + children.ru_stime,
        "memory": own.ru_maxrss * 1024,  # Linux counts kB
        "worker_memory": children.ru_maxrss * 1024,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
