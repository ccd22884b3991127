"""The importer on the lists as they were released, with every medium that they name there."""

import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.protocol.tables import ProtocolTables
from tests.pipeline.protocol.corpora import Tables, built, galleries, settings


def everything_named(lists: Path) -> Tables:
    """Rows for all media of the lists; each training person also gets a recording that no list names."""
    meta = pd.read_csv(lists / "vox1_meta.csv", sep="\t")
    code = dict(zip(meta["VGGFace1 ID"], meta["VoxCeleb1 ID"], strict=True))
    name = {person: written for written, person in code.items()}
    voices, faces = set(), set()
    for path in sorted((lists / "veriflist").glob("veriflist_*")):
        text = path.read_text()
        voices |= {(code[a], b, int(c)) for a, b, c in re.findall(r",([^/,]+)/(.{11})_(\d{7})\.wav", text)}
        faces |= {(a, b, int(c)) for a, b, c in re.findall(r",([^/,]+)/(.{11})/(\d{7})\.jpg", text)}
    for path in sorted((lists / "matching").glob("*.csv")):
        text = path.read_text()
        voices |= {(a, b, int(c)) for a, b, c in re.findall(r"(id\d{5})/(.{11})/(\d{5})\.wav", text)}
        faces |= {(a, b, int(c)) for a, b, c in re.findall(r"([^/ \n]+)/1\.6/(.{11})/(\d{7})\.jpg", text)}
    for person in meta["VoxCeleb1 ID"]:
        voices.add((person, "unlistedAAA", 1))
        faces.add((name[person], "unlistedAAA", 25))
    voice_rows = [(f"wav/{a}/{b}/{c:05d}.wav", a, f"{a}/{b}") for a, b, c in voices]
    face_rows = [(f"unzippedFaces/{a}/1.6/{b}/{c:07d}.jpg", code[a], f"{code[a]}/{b}") for a, b, c in faces]
    tables = [
        pd.DataFrame(rows, columns=["item", "identity", "clip"]).sort_values("item", ignore_index=True)
        for rows in (face_rows, voice_rows)
    ]
    traits = meta.rename(columns={"VoxCeleb1 ID": "identity", "Gender": "gender", "Nationality": "nationality"})
    manifest = pd.concat(tables).merge(traits[["identity", "gender", "nationality"]], on="identity")
    manifest = manifest.assign(age=pd.array([None] * len(manifest), dtype="Float64"), language=None)
    return Tables(manifest, *(table.assign(frame=0, digest=table["item"]) for table in tables))


@pytest.fixture(scope="module")
def corpus(shared: Path) -> Tables:
    return everything_named(shared / "data" / "voxceleb_lists")


@pytest.fixture(scope="module")
def protocol(shared: Path, corpus: Tables) -> ProtocolTables:
    started = time.process_time()
    made = built(
        corpus, settings(source="voxceleb_lists", trials=2000, galleries=500), shared / "data" / "voxceleb_lists"
    )
    assert time.process_time() - started < 20.0  # s of CPU, whatever else the machine does
    return made


def test_splits_are_901_100_250(protocol: ProtocolTables) -> None:
    assert protocol.identities["split"].value_counts().to_dict() == {"train": 901, "test": 250, "validation": 100}
    assert protocol.classes == 901


@pytest.mark.parametrize(
    ("regime", "criterion", "rows"),
    [
        *(("unseen_unheard", criterion, 30_496) for criterion in ("random", "G", "A")),
        ("unseen_unheard", "N", 28_193),
        ("unseen_unheard", "GNA", 27_280),
        *(("seen_heard", criterion, 18_020) for criterion in ("random", "G", "A")),
        ("seen_heard", "N", 17_840),
        ("seen_heard", "GNA", 17_380),
    ],
)
def test_every_row_of_every_verification_list_is_used(
    protocol: ProtocolTables, corpus: Tables, shared: Path, regime: str, criterion: str, rows: int
) -> None:
    trials = protocol.trials("test", regime, "cross_modal", criterion)
    assert len(trials) == rows
    path = (
        shared / "data" / "voxceleb_lists" / "veriflist" / f"veriflist_test_{criterion}_{regime.replace('_', '')}.txt"
    )
    source = pd.read_csv(path)
    assert (source["label"] == trials["label"]).all()
    assert ("id" + (10_000 + source["voice-speaker-id"]).astype(str) == trials["left_identity"]).all()
    assert ("id" + (10_000 + source["face-speaker-id"]).astype(str) == trials["right_identity"]).all()
    item = corpus.faces["item"].to_numpy()[trials["right_row"]]
    named = "unzippedFaces/" + source["face-path"].str.replace(r"^([^/]+)/", r"\1/1.6/", regex=True)
    assert (item == named.to_numpy()).all()


@pytest.mark.parametrize(
    ("regime", "criterion", "count"),
    [
        *(("unseen_unheard", *line) for line in (("G", 263), ("N", 0), ("GNA", 264))),
        *(("seen_heard", *line) for line in (("G", 33), ("N", 0), ("GNA", 28))),
    ],
)
def test_impostors_of_another_gender_or_nationality_are_counted(
    protocol: ProtocolTables, shared: Path, regime: str, criterion: str, count: int
) -> None:
    lists = shared / "data" / "voxceleb_lists"
    meta = pd.read_csv(lists / "vox1_meta.csv", sep="\t").set_index("VGGFace1 ID").to_dict("index")
    source = pd.read_csv(lists / "veriflist" / f"veriflist_test_{criterion}_{regime.replace('_', '')}.txt")
    naive = 0
    for voice, face in source.loc[source["label"] == 0, ["voice-path", "face-path"]].itertuples(index=False):
        left, right = (meta[path.split("/")[0]] for path in (voice, face))
        naive += ("G" in criterion and left["Gender"] != right["Gender"]) or (
            "N" in criterion and left["Nationality"] != right["Nationality"]
        )
    found = protocol.coverage.set_index("list")["mismatched"]
    assert found[f"verification/test/{regime}/cross_modal/{criterion}"] == naive == count


def test_traits_that_are_unknown_or_not_asked_for_are_not_reported(protocol: ProtocolTables) -> None:
    found = protocol.coverage.set_index("list")["mismatched"]
    for name in ("verification/test/unseen_unheard/cross_modal/random", "matching_released/f2v/U", "identities"):
        assert found[name] is pd.NA
    assert found["verification/test/unseen_unheard/cross_modal/A"] is pd.NA  # no ages in vox1_meta.csv
    assert found["matching_released/v2f/GN"] == 0


@pytest.mark.parametrize(("criterion", "wrong"), [("random", 0.0), ("N", 46.4), ("GNA", 40.8)])
def test_parity_is_no_label_for_the_lists_that_do_not_alternate(
    protocol: ProtocolTables, criterion: str, wrong: float
) -> None:
    trials = protocol.trials("test", "unseen_unheard", "cross_modal", criterion)
    share = 100 * np.mean((trials["position"] % 2 == 0).to_numpy() != (trials["label"] == 1).to_numpy())
    assert share == pytest.approx(wrong, abs=0.05)


def test_the_eight_matching_lists_are_there(protocol: ProtocolTables) -> None:
    sizes = protocol.matching_released.groupby(["task", "criterion"]).size().to_dict()
    assert sizes == {
        (task, criterion): rows
        for task in ("f2v", "v2f")
        for criterion, rows in (("U", 10_000), ("G", 10_000), ("N", 9_360), ("GN", 9_120))
    }


def test_nothing_is_missing_when_all_is_there(protocol: ProtocolTables) -> None:
    assert (protocol.coverage["missing_items"] == 0).all()


def test_galleries_of_ten_are_generated_from_the_test_people(protocol: ProtocolTables) -> None:
    for task in ("f2v", "v2f", "f2f", "v2v"):
        lists = galleries(protocol, task)
        assert len(lists) == 500 and set(lists["impostor_rows"].map(len)) == {9}
