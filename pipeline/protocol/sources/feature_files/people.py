"""Whose each row of the feature files is, and from which recording."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import ProtocolError
from pipeline.protocol.sources.feature_files.official import TrialList
from pipeline.protocol.sources.voxceleb_lists.names import parse
from pipeline.protocol.sources.voxceleb_lists.release import TRIALS_HEADER, read_lines

_PATH, _LABEL = {"voice": 4, "face": 5}, 3  # columns of a released list


def trained(labels: NDArray[np.int64]) -> pd.DataFrame:
    """identity and clip (N,) of the training file's rows: a person is a label; nothing is known of recordings."""
    names = [f"label {label:04d}" for label in labels]
    return pd.DataFrame({"identity": names, "clip": [f"train row {row}" for row in range(len(labels))]})


def tried(listed: TrialList, modality: str, rows: int, folder: Path) -> pd.DataFrame:
    """identity and clip (N,) of a test file's rows: by the released list where it is given, otherwise by parity.

    Without the list nothing says who somebody is, only whether two rows are of one person: then every trial has people
    of its own. Raises ProtocolError where the list and the file are not of one length.
    """
    source = listed.source(folder)
    if not source.is_file():
        own = [f"{listed.name} trial {row}" for row in range(rows)]
        same = parity_labels(rows) == 1
        names = [name if one else f"{name} {modality}" for name, one in zip(own, same, strict=True)]
        return pd.DataFrame({"identity": names, "clip": [f"{name} {modality}" for name in own]})
    paths = released(listed, rows, folder, listed.item(modality))[_PATH[modality]]
    codes: Mapping[str, str] = {name: name for name in paths.str.split("/").str[0].unique()}
    media = parse(paths, modality, codes)
    unread = media.video.isna().to_numpy()
    if unread.any():
        row = int(np.argmax(unread))
        raise ProtocolError(f"{source} line {row + 2}: no {modality} path: {paths.iloc[row]!r}")
    return pd.DataFrame({"identity": media.person, "clip": media.video})


def labels(listed: TrialList, rows: int, folder: Path) -> tuple[NDArray[np.int64], str]:
    """Label of each trial (N,) and where it is from: the released list's column, or the parity of its row."""
    if not listed.source(folder).is_file():
        return parity_labels(rows), "row parity (no released list beside the features)"
    column = released(listed, rows, folder, listed.item("voice"))[_LABEL]
    strange = ~column.isin(["0", "1"]).to_numpy()
    if strange.any():
        raise ProtocolError(f"{listed.source(folder)} line {int(np.argmax(strange)) + 2}: a label is 0 or 1")
    return column.astype("int64").to_numpy(), "the released list's column"


def parity_labels(rows: int) -> NDArray[np.int64]:
    """What the official code takes for labels: even rows (from 0) are genuine."""
    return 1 - np.arange(rows) % 2


def released(listed: TrialList, rows: int, folder: Path, item: str) -> pd.DataFrame:
    """The released list's fields, one row a trial; raises ProtocolError where the feature file is of another length."""
    source = listed.source(folder)
    lines = read_lines(source, ",", len(TRIALS_HEADER.split(",")), TRIALS_HEADER)
    if len(lines.fields) != rows:
        ends, other = sorted([(rows, str(folder / item)), (len(lines.fields), str(source))])
        raise ProtocolError(f"{ends[1]} ends after {ends[0]} trials, {other[1]} has {other[0]}; they must be one list")
    return lines.fields
