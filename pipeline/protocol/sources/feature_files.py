"""The official code's feature files (data/face and data/voice of msaadsaeed/SBNet): their names, and how they are read.

A line is 512 numbers and a label, without a header; anything else is named by file and line. The label of a test file
means nothing and may be missing: the official code reads test files without it (`twobranch_fop/test.py` gives whole
rows to a network of 512 inputs), training files with it.

Files that the official code does not read may stand beside them, as `stages.export` writes them: names of the training
labels, and trials of validation people, who are then of no training file.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.extraction.skips import write_skips
from pipeline.files import atomic_path, sha256_hex, sha256_of
from pipeline.protocol.sources.voxceleb_release import TRIALS_HEADER, parse_paths, read_lines
from pipeline.protocol.vocabulary import PUBLISHED, REGIMES, UNSEEN, Modality, Regime
from pipeline.store import off_unit_norm, write_store

TRAIN = {"face": "face/facenetfaceTrain.csv", "voice": "voice/voiceTrain.csv"}
_TRIALS = {
    "face": "face/facenet_face_veriflist_{name}.csv",
    "voice": "voice/voice_veriflist_{name}.csv",
}
TRAIN_LABELS = "train_labels.csv"  # label,identity
# As an extractor's provenance has it (extractors/base.py).
WEIGHTS: dict[Modality, dict[str, object]] = {
    "face": {"description": "authors-facenet (CSV)", "trained_on": ["FaceNet's training sets"], "stand_in": False},
    "voice": {"description": "authors-aggregator (CSV)", "trained_on": ["VoxCeleb2"], "stand_in": False},
}
DIMENSION = 512
_BLOCK = 1 << 26  # bytes parsed at a time
_ROUNDING = 1e-6  # how far rounding to float32 may take the norm from 1
ROW_PARITY = "row parity (no released list beside the features)"
_PATH, _LABEL = {"voice": 4, "face": 5}, 3  # columns of a released list

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialList:
    """One verification list: a face file, a voice file and, where it is given, the released list they follow."""

    criterion: str  # of PUBLISHED
    regime: Regime
    subset: str = "test"  # test | validation, which the release has not

    @property
    def name(self) -> str:
        """Short name, unique."""
        short = f"{self.criterion}_{self.regime.run_together}"
        return short if self.subset == "test" else f"{self.subset}_{short}"

    def item(self, modality: str) -> str:
        """Path of the list's features below the features folder."""
        return _TRIALS[modality].format(name=self._in_files)

    def source(self, folder: Path) -> Path:
        """Path of the released list, which need not be there."""
        return folder / "veriflist" / f"veriflist_{self._in_files}.txt"

    @property
    def _in_files(self) -> str:
        return f"{self.subset}_{self.criterion}_{self.regime.run_together}"


TRIAL_LISTS = tuple(TrialList(criterion, regime) for regime in REGIMES.values() for criterion in PUBLISHED)
VALIDATION_LISTS = tuple(TrialList(criterion, UNSEEN, "validation") for criterion in PUBLISHED)
ALL_LISTS = (*TRIAL_LISTS, *VALIDATION_LISTS)


@dataclass(frozen=True)
class Features:
    """Row i is line i + 1 of the file."""

    matrix: NDArray[np.float32]  # (N, 512), unit norm
    labels: NDArray[np.int64] | None  # (N,); None: the file has none
    rescaled: int  # rows whose vectors were not of unit norm in the file


def read_features(path: Path, *, labelled: bool) -> Features:
    """Read a feature file and bring its vectors to unit norm; unless `labelled`, its lines may end without a label.

    Raises ProtocolError naming file and line for another width, a header, a cell that is no finite number, a label that
    is no whole number and a vector of zeros.
    """
    width = DIMENSION if not labelled and _first_width(path) == DIMENSION else DIMENSION + 1
    numbers = _numbers(path, width)
    vectors, labels = numbers[:, :DIMENSION], numbers[:, DIMENSION:]
    if np.array_equal(vectors[0], np.arange(DIMENSION)):
        raise ProtocolError(f"{path} line 1: numbers of columns, no features; write the file without header and index")
    for bad, what in (
        (~np.isfinite(numbers).all(axis=1), "a cell is not a finite number"),
        ((labels != np.round(labels)).any(axis=1), "the label, its last cell, is not a whole number"),
        (~vectors.any(axis=1), "the vector is all zeros"),
    ):
        if bad.any():
            raise ProtocolError(f"{path} line {int(np.argmax(bad)) + 1}: {what}")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[np.abs(norms - 1.0) < _ROUNDING] = (
        1.0  # a division would change the last bits, and a store's vectors no longer be themselves
    )
    rescaled = len(off_unit_norm(vectors))
    if rescaled:
        logger.warning("%s: %d of %d vectors are not of unit norm and were rescaled", path, rescaled, len(norms))
    matrix = (vectors / norms).astype(np.float32)
    return Features(matrix, labels[:, 0].astype(np.int64) if width > DIMENSION else None, rescaled)


def _first_width(path: Path) -> int:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().count(",") + 1
    except OSError:  # the reading that follows says why
        return 0


def _numbers(path: Path, width: int) -> NDArray[np.float64]:
    """(N, width) as in the file."""
    names = [f"column {number}" for number in range(1, width + 1)]
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False, quote_char=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float64()), null_values=[]),
        )
    except (OSError, pa.ArrowException) as error:
        raise ProtocolError(_first_fault(path, width) or f"{path} cannot be read as features: {error}") from error
    return np.column_stack([column.to_numpy() for column in table.columns])


def _first_fault(path: Path, width: int) -> str | None:
    """The first line that is not `width` numbers, found line by line: the fast parser does not name it."""
    if not path.is_file():
        return f"{path} does not exist; features.source csv needs the official feature files there"
    if not path.stat().st_size:
        return f"{path} is empty"
    wanted = f"{width} ({DIMENSION} numbers{' and a label' if width > DIMENSION else ', as in line 1'})"
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            cells = line.rstrip("\r\n").split(",")
            if len(cells) != width:
                return f"{path} line {number}: {len(cells)} cells instead of {wanted}"
            for column, cell in enumerate(cells, start=1):
                if not _is_number(cell):
                    return f"{path} line {number}: cell {column} is not a number: {cell!r}"
    return None


def _is_number(cell: str) -> bool:
    try:
        return not math.isnan(float(cell))
    except ValueError:
        return False


def write_train_labels(folder: Path, names: Mapping[int, str]) -> None:
    """Write the identity of each label of the training files."""
    table = pd.DataFrame({"label": list(names), "identity": list(names.values())}).sort_values("label")
    with atomic_path(folder / TRAIN_LABELS) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_train_labels(folder: Path) -> dict[int, str]:
    """Identity of each label; empty where the file is absent, as it is in the release.

    Raises ProtocolError for another header and for a label or an identity that is there twice.
    """
    path = folder / TRAIN_LABELS
    if not path.exists():
        return {}
    try:
        table = pd.read_csv(path, dtype={"label": "int64", "identity": "str"}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ProtocolError(
            f"{path} cannot be read ({error}); remove it, and people are named by their labels"
        ) from error
    if list(table.columns) != ["label", "identity"]:
        raise ProtocolError(f"{path} line 1: the header must be 'label,identity'")
    for column in table.columns:
        again = table[column].duplicated().to_numpy()
        if again.any():
            row = int(np.argmax(again))
            raise ProtocolError(f"{path} line {row + 2}: {column} {table[column].iloc[row]!r} is there twice")
    return dict(zip(table["label"].tolist(), table["identity"], strict=True))


def owners_of_training_file(features: Features, folder: Path) -> pd.DataFrame:
    """identity and clip (N,) of the training file's rows: a person is a label; nothing is known of recordings.

    Rows of one vector, which a file of pairs repeats, are one clip, called by the first of them: a trial of two of them
    would be genuine at no distance.
    Raises ProtocolError for a label without a name, where train_labels.csv gives names.
    """
    assert features.labels is not None  # training files are read as labelled
    named = read_train_labels(folder)
    nameless = sorted(set(features.labels.tolist()) - set(named)) if named else []
    if nameless:
        raise ProtocolError(f"{folder / TRAIN_LABELS} has no row for label {nameless[0]} of the training files")
    names = [named.get(label, f"label {label:04d}") for label in features.labels.tolist()]
    first: dict[str, int] = {}  # row of each vector
    clips = [f"train row {first.setdefault(sha256_hex(v.data), row)}" for row, v in enumerate(features.matrix)]
    return pd.DataFrame({"identity": names, "clip": clips})


def owners_of_test_file(listed: TrialList, modality: str, rows: int, folder: Path) -> pd.DataFrame:
    """identity and clip (N,) of a test file's rows: by the released list where it is given, otherwise by parity.

    Without the list nobody is named; it is only known whether two rows are of one person: then every trial has people
    of its own. Raises ProtocolError where the list and the file are not of one length.
    """
    source = listed.source(folder)
    if not source.is_file():
        own = [f"{listed.name} trial {row}" for row in range(rows)]
        same = parity_labels(rows) == 1
        names = [name if one else f"{name} {modality}" for name, one in zip(own, same, strict=True)]
        return pd.DataFrame({"identity": names, "clip": [f"{name} {modality}" for name in own]})
    paths = released_fields(listed, rows, folder, listed.item(modality))[_PATH[modality]]
    # Names of our own media are percent-encoded where a list could not hold them; VoxCeleb's hold no percent sign.
    codes: Mapping[str, str] = {name: unquote(name) for name in paths.str.split("/").str[0].unique()}
    media = parse_paths(paths, modality, codes)
    unread = media.video.isna().to_numpy()
    if unread.any():
        row = int(np.argmax(unread))
        raise ProtocolError(f"{source} line {row + 2}: no {modality} path: {paths.iloc[row]!r}")
    return pd.DataFrame({"identity": media.person, "clip": media.video})


def labels(listed: TrialList, rows: int, folder: Path) -> tuple[NDArray[np.int64], str]:
    """Label of each trial (N,) and where it is from: the released list's column, or the parity of its row."""
    if not listed.source(folder).is_file():
        return parity_labels(rows), ROW_PARITY
    column = released_fields(listed, rows, folder, listed.item("voice"))[_LABEL]
    strange = ~column.isin(["0", "1"]).to_numpy()
    if strange.any():
        raise ProtocolError(f"{listed.source(folder)} line {int(np.argmax(strange)) + 2}: a label is 0 or 1")
    return column.astype("int64").to_numpy(), "the released list's column"


def parity_labels(rows: int) -> NDArray[np.int64]:
    """What the official code takes for labels: even rows (from 0) are genuine."""
    return 1 - np.arange(rows) % 2


def released_fields(listed: TrialList, rows: int, folder: Path, item: str) -> pd.DataFrame:
    """The released list's fields, one row a trial; raises ProtocolError where the feature file is of another length."""
    source = listed.source(folder)
    lines = read_lines(source, ",", len(TRIALS_HEADER.split(",")), TRIALS_HEADER)
    if len(lines.fields) != rows:
        ends, other = sorted([(rows, str(folder / item)), (len(lines.fields), str(source))])
        raise ProtocolError(f"{ends[1]} ends after {ends[0]} trials, {other[1]} has {other[0]}; they must be one list")
    return lines.fields


def pack_features(folder: Path, modality: Modality, out: Path) -> None:
    """Write the store of one modality from its official files, and an empty skipped.csv: nothing is skipped here.

    A row's item is its file and its frame the row in it, from 0. Raises ProtocolError naming file and
    line.
    """
    files = {TRAIN[modality]: None, **{listed.item(modality): listed for listed in ALL_LISTS}}
    matrices, indexes, rescaled = [], [], 0
    for item, listed in files.items():
        if listed is not None and not (folder / item).exists():
            if listed in TRIAL_LISTS:  # the release has no others
                logger.info("no %s: the protocol goes without that list", folder / item)
            continue
        features = read_features(folder / item, labelled=listed is None)
        indexes.append(_index(features, item, listed, modality, folder))
        matrices.append(features.matrix)
        rescaled += features.rescaled
    if len(matrices) < 2:
        raise ProtocolError(f"{folder} holds no {modality} features of a test list, such as {list(files)[1]}")
    index = pd.concat(indexes, ignore_index=True)
    digests = "".join(index["digest"].unique())
    provenance = {
        "extractor": "csv",
        "dimension": DIMENSION,
        "weights": WEIGHTS[modality],
        "fingerprint": sha256_hex(digests),
        "rescaled_rows": rescaled,
    }
    write_store(out, np.concatenate(matrices), index, provenance)
    write_skips(out / "skipped.csv", [])


def _index(features: Features, item: str, listed: TrialList | None, modality: Modality, folder: Path) -> pd.DataFrame:
    rows = len(features.matrix)
    owners = (
        owners_of_test_file(listed, modality, rows, folder) if listed else owners_of_training_file(features, folder)
    )
    digest = sha256_of(folder / item)
    return owners.assign(item=item, frame=np.arange(rows, dtype=np.int32), digest=digest, key=digest)
