"""Feature files of the official names and shape, made here."""

from pathlib import Path

import numpy as np

from pipeline.manifest.schema import empty_manifest
from pipeline.protocol.sources import build_protocol
from pipeline.protocol.sources.feature_files import TRAIN, TRIAL_LISTS, pack_features
from pipeline.protocol.sources.voxceleb_release import TRIALS_HEADER
from pipeline.protocol.tables import ProtocolTables
from pipeline.store import Store, read_store
from tests.pipeline.protocol.corpora import settings

PEOPLE, PER_PERSON, TESTED = 8, 6, 12  # training labels, rows each, test people
UNSEEN, UNSEEN_N = TRIAL_LISTS[0], TRIAL_LISTS[2]


def write_rows(path: Path, matrix: np.ndarray, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.column_stack([matrix.astype(np.float32).astype(str), labels.astype(str)])
    path.write_text("".join(",".join(row) + "\n" for row in cells))


def unit(rng: np.random.Generator, rows: int) -> np.ndarray:
    matrix = rng.normal(size=(rows, 512))
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def trial_people(alternate: bool) -> list[tuple[int, int]]:
    """Voice and face person of each trial: as `random` alternates, or two genuine ones first, as N may."""
    pairs = [(person, other) for person in range(TESTED) for other in (person, (person + 1) % TESTED)]
    return pairs if alternate else [*pairs[::2], *pairs[1::2]]


def list_text(pairs: list[tuple[int, int]]) -> str:
    rows = []
    for row, (voice, face) in enumerate(pairs, start=1):
        paths = f"P{voice}/voicevideo{row % 2}_0000001.wav,P{face}/facevideo{row % 2}0/0000025.jpg"
        rows.append(f"{row},{voice},{face},{int(voice == face)},{paths}")
    return "\n".join([TRIALS_HEADER, *rows]) + "\n"


def write_features(folder: Path, lists: bool = True) -> Path:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE), PER_PERSON)
    for path in TRAIN.values():
        write_rows(folder / path, unit(rng, len(labels)), labels)
    for listed, alternate in ((UNSEEN, True), (UNSEEN_N, False)):
        pairs = trial_people(alternate)
        for modality in TRAIN:
            write_rows(folder / listed.item(modality), unit(rng, len(pairs)), np.zeros(len(pairs), dtype=int))
        if lists:
            listed.source(folder).parent.mkdir(exist_ok=True)
            listed.source(folder).write_text(list_text(pairs))
    return folder


def stores_of(folder: Path) -> tuple[Store, Store]:
    for modality in ("face", "voice"):
        pack_features(folder, modality, folder / "stores" / modality)
    return read_store(folder / "stores" / "face"), read_store(folder / "stores" / "voice")


def protocol_of(folder: Path, **changes: object) -> ProtocolTables:
    faces, voices = stores_of(folder)
    protocol = settings(source="csv_features", trials=40, galleries=20, **changes)
    return build_protocol(empty_manifest(), faces.index, voices.index, protocol, folder)
