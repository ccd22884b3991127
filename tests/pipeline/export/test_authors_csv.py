"""Stores and protocol as the official code's feature files: what its scripts will read in them, and what is refused."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError, ProtocolError, StoreError
from pipeline.export.authors_csv import write_authors_csv, write_rows
from pipeline.protocol.sources.feature_files import TRAIN, TRIAL_LISTS, pack_features, read_features
from pipeline.protocol.tables import ProtocolTables
from pipeline.store import Store, read_store
from tests.pipeline.protocol.corpora import Tables, built, settings, tables

RANDOM, GENDER = TRIAL_LISTS[0], TRIAL_LISTS[1]


class Corpus(NamedTuple):
    faces: Store
    voices: Store
    protocol: ProtocolTables

    def write(self, folder: Path) -> int:
        return write_authors_csv(folder, self.faces, self.voices, self.protocol)


def store(index: pd.DataFrame, seed: int, width: int = 512) -> Store:
    matrix = np.random.default_rng(seed).normal(size=(len(index), width))
    unit = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    return Store(unit, index.assign(key="0"), {"extractor": "random"})


def corpus_of(parts: Tables, criteria: tuple[str, ...] = ("random", "G")) -> Corpus:
    protocol = built(parts, settings(trials=40, galleries=20, criteria=list(criteria)))
    return Corpus(store(parts.faces, 1), store(parts.voices, 2), protocol)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_of(tables())


@pytest.fixture(scope="module")
def folder(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    assert corpus.write(folder) == sum(path.is_file() for path in folder.rglob("*"))
    return folder


def as_the_official_code_reads(path: Path) -> np.ndarray:
    """ssnet_fop/main.py: pandas, without header."""
    return np.asarray(pd.read_csv(path, header=None))


def test_row_i_of_both_training_files_is_pair_i_with_its_class_behind(corpus: Corpus, folder: Path) -> None:
    pairs = corpus.protocol.train_pairs
    for modality, whole in (("face", corpus.faces), ("voice", corpus.voices)):
        read = as_the_official_code_reads(folder / TRAIN[modality])
        assert read.shape == (len(pairs), 513)
        np.testing.assert_array_equal(read[:, :512].astype(np.float32), whole.matrix[pairs[f"{modality}_row"]])
        assert read[:, 512].astype(int).tolist() == pairs["class_index"].tolist()


@pytest.mark.parametrize("listed", [RANDOM, GENDER])
def test_row_i_of_both_test_files_is_trial_i_and_even_rows_are_genuine(
    corpus: Corpus, folder: Path, listed: object
) -> None:
    """512 columns: twobranch_fop/test.py gives whole rows to its network."""
    assert listed in TRIAL_LISTS
    trials = corpus.protocol.trials("test", "unseen_unheard", "cross_modal", listed.criterion)
    voices = as_the_official_code_reads(folder / listed.item("voice"))
    faces = as_the_official_code_reads(folder / listed.item("face"))
    assert voices.shape == faces.shape == (len(trials), 512)
    np.testing.assert_array_equal(voices.astype(np.float32), corpus.voices.matrix[trials["left_row"]])
    np.testing.assert_array_equal(faces.astype(np.float32), corpus.faces.matrix[trials["right_row"]])
    assert (trials["left_identity"] == trials["right_identity"]).tolist() == [True, False] * (len(trials) // 2)


def test_no_validation_person_is_in_the_training_files(corpus: Corpus, folder: Path) -> None:
    named = pd.read_csv(folder / "train_labels.csv").set_index("label")["identity"]
    split = corpus.protocol.identities.set_index("identity")["split"]
    assert set(split[named]) == {"train"} and named.index.tolist() == list(range(corpus.protocol.classes))


def test_numbers_come_back_to_the_last_bit_and_in_as_few_digits_as_that_takes(tmp_path: Path) -> None:
    matrix = store(pd.DataFrame(index=range(20_000)), 5).matrix[:, :512]  # more than a block
    write_rows(tmp_path / "rows.csv", matrix)
    np.testing.assert_array_equal(read_features(tmp_path / "rows.csv", labelled=False).matrix, matrix)
    first = (tmp_path / "rows.csv").read_text().split(",", 1)[0]
    assert first == str(matrix[0, 0])


def test_vectors_that_are_not_of_512_numbers_are_refused_with_their_extractor(corpus: Corpus, tmp_path: Path) -> None:
    narrow = corpus._replace(voices=store(corpus.voices.index, 2, width=192))
    with pytest.raises(ConfigError, match=r"voice vectors are 192 wide.* takes 512: choose another embed_voices.extr"):
        narrow.write(tmp_path)


def test_a_protocol_of_other_stores_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    rows = corpus.faces.index.iloc[::-1].reset_index(drop=True)
    with pytest.raises(ProtocolError, match="made for other stores: run `dvc repro protocol`"):
        corpus._replace(faces=Store(corpus.faces.matrix, rows, {})).write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_training_pairs_there_is_nothing_to_train_on(corpus: Corpus, tmp_path: Path) -> None:
    empty = replace(corpus.protocol, train_pairs=corpus.protocol.train_pairs.iloc[:0])
    with pytest.raises(ConfigError, match="no training pairs of a face and a voice"):
        corpus._replace(protocol=empty).write(tmp_path)


def test_a_disk_that_is_too_small_is_refused_before_the_first_file(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match=r"needs about 0\.\d+ GB and 0\.00 are free: name another --out"):
        corpus.write(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_list_that_does_not_alternate_is_written_as_it_is_with_a_warning(
    corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = corpus.protocol.verification.sort_values("label", kind="stable", ignore_index=True)
    corpus._replace(protocol=replace(corpus.protocol, verification=table)).write(tmp_path)
    trials = int((table["subset"] == "test").sum() and len(corpus.protocol.trials(*RANDOM_OF)))
    assert f"and will have {trials // 2} of {trials} labels wrong" in caplog.text
    pd.testing.assert_series_equal(
        pd.read_csv(RANDOM.source(tmp_path))["label"],
        table[is_random(table)]["label"].reset_index(drop=True),
    )


RANDOM_OF = ("test", "unseen_unheard", "cross_modal", "random")


def is_random(table: pd.DataFrame) -> "pd.Series[bool]":
    columns = ("subset", "regime", "task", "criterion")
    return pd.Series([row == RANDOM_OF for row in table[list(columns)].itertuples(index=False, name=None)])


def test_lists_by_parity_alone_get_no_names(corpus: Corpus, tmp_path: Path) -> None:
    summary = {**corpus.protocol.summary, "parity_lists": ["random_unseenunheard"]}
    corpus._replace(protocol=replace(corpus.protocol, summary=summary)).write(tmp_path)
    assert not RANDOM.source(tmp_path).exists() and GENDER.source(tmp_path).exists()


def test_names_that_a_path_cannot_hold_come_back_as_they_were(tmp_path: Path) -> None:
    parts = tables()
    odd = {"person000": "a, b", "person001": "a/b", "person002": "a%2Fb", "person003": "Zoë\u2028x", "person004": "a b"}
    corpus = corpus_of(Tables(*(part.assign(identity=part["identity"].replace(odd)) for part in parts_of(parts))))
    corpus.write(tmp_path)
    for modality in ("face", "voice"):
        pack_features(tmp_path, modality, tmp_path / "stores" / modality)
    people = set(read_store(tmp_path / "stores" / "face").index["identity"])
    assert people == {*corpus.protocol.identities["identity"]} >= {*odd.values()}


def parts_of(parts: Tables) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return parts.manifest, parts.faces, parts.voices


def test_more_people_than_the_official_classifier_holds_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, corpus: Corpus
) -> None:
    monkeypatch.setattr("pipeline.export.authors_csv._OFFICIAL_CLASSES", 3)
    corpus.write(tmp_path)
    assert "the official classifier has 3 outputs" in caplog.text


def test_what_the_files_have_no_place_for_is_named(
    corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    corpus.write(tmp_path)
    assert "no place for them: trials of face and voice; galleries" in caplog.text
