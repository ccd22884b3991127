"""How long a query of a gallery takes: `python -m tools.benchmarks.retrieval`.

A gallery of random unit vectors is written, opened and searched as `stages.score retrieve` does it, embedding left out.
Every answer is compared with a full sort of all distances. What else runs on the machine is shown by its load.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.scoring.gallery import FOLDERS, Gallery, read_gallery, write_gallery
from pipeline.scoring.similarity import similarity

_PART = 50_000  # rows generated at a time


def main() -> None:
    """Print seconds to write, to open and for a query, and the memory at most; exit code 1 for a wrong answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=128, help="E, times the number of networks of the run")
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="where the gallery is written; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        _measure(Path(folder), options)


def _measure(store: Path, options: argparse.Namespace) -> None:
    rng = np.random.default_rng(0)
    _say(f"{options.rows} rows of {options.width}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    start = time.perf_counter()
    _write(store, rng, options.rows, options.width)
    _say(f"written in {time.perf_counter() - start:.1f} s")
    start = time.perf_counter()
    gallery = read_gallery(store, "face")
    _say(f"opened and checked in {time.perf_counter() - start:.2f} s; {_peak():.0f} MB resident at most so far")
    queries = _unit(rng, options.queries, options.width)
    gallery.search(queries[0], options.top)  # the first touches the pages
    seconds, answers, worked = [], [], time.process_time()
    for query in queries:
        start = time.perf_counter()
        answers.append(gallery.search(query, options.top)[0].tolist())
        seconds.append(time.perf_counter() - start)
    median, most, longest = np.quantile(seconds, [0.5, 0.95, 1.0]) * 1000
    worked = (time.process_time() - worked) / len(queries) * 1000
    _say(f"a query takes {median:.0f} ms (median), {most:.0f} ms (95 %), {longest:.0f} ms (longest)")
    _say(f"of these a core works {worked:.0f} ms")
    _say(f"{_peak():.0f} MB resident at most, the mapped file ({gallery.vectors.nbytes / 1e6:.0f} MB) included")
    start = time.perf_counter()
    sound = [answer == _sorted(gallery, query, options.top) for answer, query in zip(answers, queries, strict=True)]
    plain = (time.perf_counter() - start) / len(queries) * 1000
    _say(f"{sum(sound)} of {len(queries)} answers are those of a full sort, which takes {plain:.0f} ms")
    _say(f"load {os.getloadavg()[0]:.1f}")
    if not all(sound):
        sys.exit(1)


def _write(store: Path, rng: np.random.Generator, rows: int, width: int) -> None:
    with write_gallery(store / FOLDERS["face"], {"run": "benchmark", "model": "", "modality": "face"}) as writer:
        for first in range(0, rows, _PART):
            vectors = _unit(rng, min(_PART, rows - first), width)
            names = [f"{row}.jpg" for row in range(first, first + len(vectors))]
            writer.add(names, names, [1] * len(vectors), vectors)


def _unit(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    vectors = rng.standard_normal((rows, width), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _sorted(gallery: Gallery, query: np.ndarray, top: int) -> list[int]:
    """Rows by similarity, the first of equal ones first: every distance, sorted whole."""
    parts = [similarity(gallery.vectors[at : at + _PART], query) for at in range(0, len(gallery.vectors), _PART)]
    found: list[int] = np.argsort(-np.concatenate(parts), kind="stable")[:top].tolist()
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
