"""Small corpora of rows without vectors, for protocols."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from pipeline.config import load_params
from pipeline.manifest.schema import COLUMNS, write_manifest
from pipeline.protocol.corpus import Corpus, read_corpus
from pipeline.protocol.sources import Inputs, build_protocol
from pipeline.protocol.tables import ProtocolTables
from pipeline.settings import ProtocolSettings

PARAMS = Path(__file__).resolve().parents[3] / "params.yaml"


@cache
def shipped() -> ProtocolSettings:
    """The protocol section of the params.yaml that ships."""
    return load_params(PARAMS).protocol


def settings(**changes: object) -> ProtocolSettings:
    """The shipped protocol section with some keys changed."""
    return ProtocolSettings.model_validate({**shipped().model_dump(), "source": "generated", **changes})


@dataclass(frozen=True)
class Tables:
    """What the protocol stage reads."""

    manifest: pd.DataFrame
    faces: pd.DataFrame
    voices: pd.DataFrame

    def corpus(self) -> Corpus:
        return read_corpus(self.manifest, self.faces, self.voices)

    def inputs(self, folder: Path = Path("no lists")) -> Inputs:
        return Inputs(self.manifest, self.faces, self.voices, folder)


def tables(people: int = 24, clips: int = 3, faces: int = 2, voices: int = 1, first: int = 0) -> Tables:
    """`people` identities with `clips` videos each, `faces` face rows and `voices` voice rows a video.

    Every second one is a woman; nationalities come in threes, ages in two bins.
    """
    names = [f"person{number:03d}" for number in range(first, first + people)]
    items = [
        {
            "item": f"{name}/{clip}.mp4",
            "identity": name,
            "clip": f"{name}/{clip}.mp4",
            "gender": "f" if number % 2 else "m",
            "nationality": ["GR", "IN", "PE"][number // 2 % 3],
            "age": float(20 + 15 * (number // 6 % 2)),
            "language": None,
        }
        for number, name in enumerate(names, start=first)
        for clip in range(clips)
    ]
    manifest = pd.DataFrame(items).sort_values("item", ignore_index=True)
    return Tables(manifest, _index(manifest, faces), _index(manifest, voices, whole=True))


def built(parts: Tables, protocol: ProtocolSettings, lists: Path = Path("no lists")) -> ProtocolTables:
    """The checked protocol of a corpus."""
    return build_protocol(parts.manifest, parts.faces, parts.voices, protocol, lists)


def _index(manifest: pd.DataFrame, rows: int, whole: bool = False) -> pd.DataFrame:
    index = manifest.loc[manifest.index.repeat(rows), ["item", "identity", "clip"]].reset_index(drop=True)
    index["frame"] = -1 if whole and rows == 1 else index.groupby("item").cumcount() * 25
    return index.assign(digest=index["item"])  # each medium has bytes of its own


def write_whole_manifest(path: Path, manifest: pd.DataFrame) -> None:
    """Write a manifest with the columns that protocols do not read, all null."""
    write_manifest(path, manifest.reindex(columns=list(COLUMNS)).astype(COLUMNS))


def galleries(protocol: ProtocolTables, task: str) -> pd.DataFrame:
    """The generated galleries of one direction, of unseen-unheard test people."""
    table = protocol.matching
    chosen = (table["subset"] == "test") & (table["regime"] == "unseen_unheard") & (table["task"] == task)
    return table[chosen].reset_index(drop=True)
