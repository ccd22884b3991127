"""Both stores and their protocol as the official code's feature files, which `features.source: csv` reads back.

The training files hold the training pairs, a test file the trials of its list, in their order. Beside what the official
code reads stand files for the way back: the lists with names and labels, the training labels' names, and validation
trials, of people who are then in no training file.
"""

import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from pipeline.errors import ConfigError, ProtocolError, StoreError
from pipeline.files import atomic_path, write_text
from pipeline.protocol.checks import check_fits
from pipeline.protocol.sources.feature_files import (
    DIMENSION,
    TRAIN,
    TRIAL_LISTS,
    VALIDATION_LISTS,
    TrialList,
    parity_labels,
    write_train_labels,
)
from pipeline.protocol.sources.voxceleb_release import TRIALS_HEADER, parse_paths
from pipeline.protocol.tables import ProtocolTables, parity_lists
from pipeline.protocol.vocabulary import CROSS_MODAL, MODALITIES, PUBLISHED, Modality
from pipeline.store import Store

_CELL = 13  # bytes a number takes, about
_BLOCK = 8192  # rows written at a time
_OFFICIAL_CLASSES = 901  # of the official code's classifier, whatever the files hold
_PLAIN = re.compile(r"[^/,%\s]+")  # names that a path in a list may hold as they are

logger = logging.getLogger(__name__)


def write_authors_csv(folder: Path, faces: Store, voices: Store, tables: ProtocolTables) -> int:
    """Write the feature files of a protocol and its two stores; returns how many files.

    Raises ConfigError for vectors that are not 512 wide or a protocol without training pairs, ProtocolError where it
    was made for other stores, StoreError where the disk is too small.
    """
    stores: dict[Modality, Store] = {"face": faces, "voice": voices}
    _check(stores, tables)
    lists = {listed: trials for listed in (*TRIAL_LISTS, *VALIDATION_LISTS) if len(trials := _trials(tables, listed))}
    _check_disk(folder, len(tables.train_pairs) + sum(len(trials) for trials in lists.values()))
    pairs = tables.train_pairs
    for modality in MODALITIES:
        rows, labels = pairs[f"{modality}_row"].to_numpy(), pairs["class_index"].to_numpy()
        write_rows(folder / TRAIN[modality], stores[modality].matrix[rows], labels)
    training = tables.identities[tables.identities["class_index"] >= 0]
    write_train_labels(folder, dict(zip(training["class_index"], training["identity"], strict=True)))
    unnamed = parity_lists(tables.summary)
    codes = _Codes(tables, stores)
    for listed, trials in lists.items():
        for modality, rows in (("voice", trials["left_row"]), ("face", trials["right_row"])):
            write_rows(folder / listed.item(modality), stores[modality].matrix[rows.to_numpy()])
        if listed.name not in unnamed:  # otherwise its people are made up
            write_text(listed.source(folder), codes.list_text(trials))
        _warn_of_parity(listed, trials)
    _say_what_is_left_out(tables)
    return len(TRAIN) + 1 + sum(2 + (listed.name not in unnamed) for listed in lists)


def write_rows(path: Path, matrix: np.ndarray, labels: np.ndarray | None = None) -> None:
    """Write vectors (N, 512) float32, each number as short as it still is the same number, and labels (N,) behind."""
    with atomic_path(path) as temporary:
        names = [str(number) for number in range(matrix.shape[1] + (labels is not None))]
        kinds = [pa.float32()] * matrix.shape[1] + [pa.int64()] * (labels is not None)
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        options = pyarrow.csv.WriteOptions(include_header=False)
        with pyarrow.csv.CSVWriter(temporary, schema, write_options=options) as writer:
            for block in _blocks(len(matrix)):
                columns = [pa.array(column) for column in np.ascontiguousarray(matrix[block].T)]
                columns += [] if labels is None else [pa.array(labels[block], pa.int64())]
                writer.write_table(pa.table(columns, schema=schema))


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(first, first + _BLOCK) for first in range(0, rows, _BLOCK))


def _check(stores: dict[Modality, Store], tables: ProtocolTables) -> None:
    for modality, store in stores.items():
        if store.matrix.shape[1] != DIMENSION:
            raise ConfigError(
                f"the {modality} vectors are {store.matrix.shape[1]} wide, and the official code takes {DIMENSION}: "
                f"choose another embed_{modality}s.extractor and run `dvc repro`"
            )
    if not len(tables.train_pairs):
        raise ConfigError("the protocol has no training pairs of a face and a voice, which the official code trains on")
    sizes = {modality: len(store.matrix) for modality, store in stores.items()}
    names = {modality: store.index["identity"].to_numpy(dtype=object) for modality, store in stores.items()}
    check_fits(tables, sizes, names)
    if tables.classes > _OFFICIAL_CLASSES:
        logger.warning(
            "%d people train, the official classifier has %d outputs: its script will stop at the first label beyond",
            tables.classes,
            _OFFICIAL_CLASSES,
        )


def _check_disk(folder: Path, rows: int) -> None:
    needed = rows * len(MODALITIES) * DIMENSION * _CELL
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise StoreError(
            f"{folder} needs about {needed / 1e9:.2f} GB and {free / 1e9:.2f} are free: name another --out"
        )


def _trials(tables: ProtocolTables, listed: TrialList) -> pd.DataFrame:
    return tables.trials(listed.subset, listed.regime.name, CROSS_MODAL.name, listed.criterion)


def _warn_of_parity(listed: TrialList, trials: pd.DataFrame) -> None:
    wrong = int((trials["label"].to_numpy() != parity_labels(len(trials))).sum())
    if wrong and listed.subset == "test":
        logger.warning(
            "%s: genuine and impostor trials do not alternate; the official code takes every second row for genuine, "
            "and will have %d of %d labels wrong",
            listed.name,
            wrong,
            len(trials),
        )


def _say_what_is_left_out(tables: ProtocolTables) -> None:
    test = tables.verification[tables.verification["subset"] == "test"]
    unimodal = sorted(set(test["task"]) - {CROSS_MODAL.name})
    others = sorted(set(test["criterion"]) - set(PUBLISHED))
    parts = [f"trials of {' and '.join(unimodal)}"] * bool(unimodal) + [f"criteria {', '.join(others)}"] * bool(others)
    parts += ["galleries"] * bool(len(tables.matching)) + ["challenge lists"] * bool(len(tables.challenge))
    if parts:
        logger.info("not in the feature files, which have no place for them: %s", "; ".join(parts))


class _Codes:
    """People, recordings and rows as the released lists write them: names, eleven characters, numbers."""

    def __init__(self, tables: ProtocolTables, stores: dict[Modality, Store]) -> None:
        self.stores = stores
        names = tables.identities["identity"]
        self.person = {name: name if _PLAIN.fullmatch(name) else quote(name, safe="") for name in names}
        self.number = {name: number for number, name in enumerate(names, start=1)}
        clips = sorted(set().union(*(zip(s.index["identity"], s.index["clip"], strict=True) for s in stores.values())))
        self.video = {clip: f"{number:011d}" for number, clip in enumerate(clips)}

    def list_text(self, trials: pd.DataFrame) -> str:
        """A verification list; raises ProtocolError for a name that the list cannot hold."""
        voices = self._paths("voice", trials["left_row"].to_numpy())
        faces = self._paths("face", trials["right_row"].to_numpy())
        people = zip(trials["left_identity"], trials["right_identity"], trials["label"], strict=True)
        rows = [
            f"{row},{self.number[left]},{self.number[right]},{label},{voice},{face}"
            for row, ((left, right, label), voice, face) in enumerate(zip(people, voices, faces, strict=True), start=1)
        ]
        return "\n".join([TRIALS_HEADER, *rows]) + "\n"

    def _paths(self, modality: Modality, rows: np.ndarray) -> list[str]:
        index = self.stores[modality].index.iloc[rows]
        pattern = "{}/{}_{:07d}.wav" if modality == "voice" else "{}/{}/{:07d}.jpg"
        people = [self.person[name] for name in index["identity"]]
        videos = [self.video[clip] for clip in zip(index["identity"], index["clip"], strict=True)]
        paths = [pattern.format(*one) for one in zip(people, videos, rows, strict=True)]
        read = parse_paths(pd.Series(paths), modality, {name: name for name in people})
        lost = (read.person != pd.Series(people)).to_numpy()
        if lost.any():
            name = index["identity"].iloc[int(np.argmax(lost))]
            raise ProtocolError(f"a released list cannot hold the identity {name!r}: rename it in the media folder")
        return paths
