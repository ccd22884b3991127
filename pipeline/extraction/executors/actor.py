"""What runs on a node of a cluster: an actor that holds decode workers and a model, and extracts chunks of items.

It works as the local executor does, on another machine: so a file that hangs or crashes a decoder, or for which memory
does not suffice, is there what it is here. It knows nothing of Ray (pipeline/extraction/executors/ray.py).
"""

import importlib.metadata
import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, MediaError
from pipeline.extraction.executors import LocalExecutor
from pipeline.extraction.item_cache import Arrays
from pipeline.extraction.tasks import Task
from pipeline.extraction.work import Spent, Work
from pipeline.files import sha256_hex, sha256_of

PROJECT = Path(__file__).resolve().parents[3]
_CODE = ("pipeline", "extractors")
_LIBRARIES = (  # that decide bytes: they decode, resample, scale or compute
    *("torch", "torchvision", "torchaudio", "facenet-pytorch", "openvino", "numpy", "scipy", "pydantic"),
    *("opencv-python", "pillow", "av", "soundfile", "soxr", "librosa"),
)
_SENT_EVERY = 0.5  # s between two messages with outcomes


@dataclass(frozen=True)
class Surroundings:
    """What must be the same wherever items of one run are extracted."""

    python: str
    libraries: Mapping[str, str]  # version by name, without a build's suffix: CPU and CUDA builds may work together
    code: str  # digest of every file of pipeline/ and extractors/


def surroundings() -> Surroundings:
    """Those of this process."""
    files = sorted(path for folder in _CODE for path in (PROJECT / folder).rglob("*.py"))
    code = sha256_hex(*(part for path in files for part in (str(path.relative_to(PROJECT)), sha256_of(path))))
    return Surroundings(platform.python_version(), {name: _version(name) for name in _LIBRARIES}, code)


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def difference(here: Surroundings, there: Surroundings) -> str:
    """What differs, in words; empty if nothing does."""
    if here.python != there.python:
        return f"Python is {there.python} there and {here.python} here"
    libraries = [
        f"{name} is {there.libraries[name]} there and {version} here"
        for name, version in here.libraries.items()
        if there.libraries[name] != version
    ]
    code = ["its files of pipeline/ or extractors/ are others"] if here.code != there.code else []
    return "; ".join([*libraries, *code])


@dataclass(frozen=True)
class Place:
    """Where an actor is."""

    node: str  # name of the machine
    processor: str  # on which the rounding of its results depends


@dataclass(frozen=True)
class Report:
    """What an actor has done since its last one."""

    outcomes: list[tuple[str, Arrays | MediaError]]  # by key
    spent: Spent


class ExtractionActor:
    """Called in this order: `arrive` once, `load` once, `run` for each chunk."""

    def arrive(self, stage: Surroundings, environment: Mapping[str, str], folder: str) -> Place:
        """Take over the stage's environment and working folder; raises ConfigError where results could be others."""
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        place = Place(socket.gethostname(), _processor())
        if found := difference(stage, surroundings()):
            raise ConfigError(f"node {place.node} would give other results than this machine: {found}")
        os.environ.update(environment)
        try:
            os.chdir(folder)
        except OSError as error:
            raise ConfigError(
                f"node {place.node} does not see {folder} ({error.strerror}): the project must be on a disk that every "
                "node mounts at the same path"
            ) from error
        return place

    def load(self, describe: Callable[[], Work[Any]]) -> str | None:
        """Load the model, and say what it runs in.

        Raises what it raises for want of weights, and ConfigError where it is another one than the stage's.
        """
        self._executor = LocalExecutor()
        try:
            self._work, self._workers = describe(), self._executor.workers()
        except ConfigError as error:
            raise ConfigError(f"node {socket.gethostname()}: {error}") from error
        return self._work.backend

    def run(self, tasks: Sequence[Task[Any]]) -> Iterator[Report]:
        """Outcomes by key, as they come: several in a message, which costs as much as a small image."""
        finished: list[tuple[str, Arrays | MediaError]] = []
        sent = time.monotonic()
        for outcomes in self._executor.extract(self._work, self._workers.run(tasks)):
            finished += [(task.key, outcome) for task, outcome in outcomes]
            if time.monotonic() - sent > _SENT_EVERY:
                yield Report(finished, self._spent())
                finished, sent = [], time.monotonic()
        yield Report(finished, self._spent())

    def _spent(self) -> Spent:
        """What was spent since the last report."""
        spent, self._executor.spent = self._executor.spent, Spent()
        return spent


def _processor() -> str:
    """The processor's model, as the kernel names it; empty where it does not."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
