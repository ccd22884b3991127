"""Feature files that cannot be right are refused by file and line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import PipelineError, ProtocolError
from pipeline.protocol.sources.feature_files import TRAIN, TRIAL_LISTS, pack_features, read_features
from pipeline.protocol.vocabulary import SEEN
from tests.pipeline.protocol.sources.feature_files import (
    UNSEEN,
    UNSEEN_N,
    protocol_of,
    stores_of,
    unit,
    write_features,
    write_rows,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_features(tmp_path)


def cell(column: int, text: str) -> Callable[[str], str]:
    def change(line: str) -> str:
        cells = line.split(",")
        cells[column] = text
        return ",".join(cells)

    return change


@pytest.mark.parametrize(
    ("line", "change", "match"),
    [
        (3, lambda row: row.rsplit(",", 1)[0], "line 3: 512 cells instead of 513"),
        (5, lambda row: row + ",1", "line 5: 514 cells instead of 513"),
        (4, cell(17, "abc"), "line 4: cell 18 is not a number: 'abc'"),
        (4, cell(17, ""), "line 4: cell 18 is not a number: ''"),
        (2, cell(0, "nan"), "line 2: a cell is not a finite number"),
        (2, cell(511, "inf"), "line 2: a cell is not a finite number"),
        (6, cell(512, "1.5"), "line 6: the label, its last cell, is not a whole number"),
        (7, lambda row: ",".join(["0"] * 513), "line 7: the vector is all zeros"),
        (7, lambda row: "", "line 7: 1 cells instead of 513"),
    ],
)
def test_a_bad_line_is_refused_by_file_and_line(
    folder: Path, line: int, change: Callable[[str], str], match: str
) -> None:
    path = folder / TRAIN["voice"]
    lines = path.read_text().splitlines()
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ProtocolError) as error:
        read_features(path, labelled=True)
    assert f"{path} {match}" in str(error.value)


def test_a_test_file_is_of_one_width_from_its_first_line(folder: Path) -> None:
    path = folder / UNSEEN.item("face")
    lines = [line.rsplit(",", 1)[0] for line in path.read_text().splitlines()]
    lines[3] += ",0"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ProtocolError) as error:
        read_features(path, labelled=False)
    assert f"{path} line 4: 513 cells instead of 512" in str(error.value)


@pytest.mark.parametrize("width", [512, 513])
def test_a_header_of_column_numbers_is_no_row(folder: Path, width: int) -> None:
    path = folder / UNSEEN.item("voice")
    rows = [",".join(line.split(",")[:width]) for line in path.read_text().splitlines()]
    path.write_text("\n".join([",".join(str(column) for column in range(width)), *rows]) + "\n")
    with pytest.raises(ProtocolError, match="line 1: numbers of columns, no features; write the file without header"):
        read_features(path, labelled=False)


def test_an_empty_and_an_absent_file_are_refused(folder: Path) -> None:
    path = folder / TRAIN["face"]
    path.write_text("")
    with pytest.raises(ProtocolError, match="is empty"):
        read_features(path, labelled=True)
    path.unlink()
    with pytest.raises(ProtocolError, match="does not exist"):
        read_features(path, labelled=True)


def drop_last_line(path: Path) -> None:
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines()[:-1]))


def test_training_files_of_unequal_length_are_refused(folder: Path) -> None:
    drop_last_line(folder / TRAIN["voice"])
    with pytest.raises(
        ProtocolError, match=r"facenetfaceTrain.csv line 48 has no counterpart: .*voiceTrain.csv holds 47"
    ):
        protocol_of(folder)


def test_test_files_of_unequal_length_are_refused(tmp_path: Path) -> None:
    folder = write_features(tmp_path, lists=False)
    drop_last_line(folder / UNSEEN_N.item("face"))
    with pytest.raises(ProtocolError, match=r"voice_veriflist_test_N_unseenunheard.csv line 24 has no counterpart"):
        protocol_of(folder)


def test_a_test_file_without_counterpart_is_refused(tmp_path: Path) -> None:
    folder = write_features(tmp_path, lists=False)
    (folder / UNSEEN_N.item("face")).unlink()
    with pytest.raises(ProtocolError, match=r"voice_veriflist_test_N_unseenunheard.csv line 1 has no counterpart"):
        protocol_of(folder)


def test_a_list_of_another_length_than_its_features_is_refused(folder: Path) -> None:
    drop_last_line(UNSEEN_N.source(folder))
    with pytest.raises(ProtocolError, match=r"veriflist_test_N_unseenunheard.txt ends after 23 trials"):
        stores_of(folder)


def test_training_labels_that_differ_between_the_files_are_refused(folder: Path) -> None:
    path = folder / TRAIN["voice"]
    lines = path.read_text().splitlines()
    lines[9] = cell(512, "7")(lines[9])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ProtocolError, match=r"line 10: label 0001 in one, label 0007 in the other"):
        protocol_of(folder)


def test_a_list_whose_label_contradicts_its_people_is_refused(folder: Path) -> None:
    source = UNSEEN.source(folder)
    source.write_text(source.read_text().replace("1,0,0,1,", "1,0,0,0,", 1))
    with pytest.raises(ProtocolError, match="label contradicts the identities"):
        protocol_of(folder)


def test_somebody_in_a_seen_and_an_unseen_list_is_refused(folder: Path) -> None:
    heard = next(listed for listed in TRIAL_LISTS if listed.regime is SEEN)
    for modality in TRAIN:
        (folder / heard.item(modality)).write_text((folder / UNSEEN.item(modality)).read_text())
    heard.source(folder).write_text(UNSEEN.source(folder).read_text())
    with pytest.raises(
        ProtocolError, match=r"'P0' is in a training file or a seen-heard list and in an unseen-unheard list"
    ):
        protocol_of(folder)


def test_no_test_list_at_all_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_rows(tmp_path / TRAIN["face"], unit(rng, 4), np.arange(4))
    with pytest.raises(PipelineError, match="holds no face features of a test list"):
        pack_features(tmp_path, "face", tmp_path / "out")
