"""`stages.export --to authors-csv`, and the way back through the stages that read feature files."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from extractors.faces.crop import crop_face
from extractors.voices.utterance_aggregator import spectrogram
from pipeline.config import load_params
from pipeline.media import decode_audio, read_frames
from pipeline.protocol.tables import ProtocolTables, read_protocol
from pipeline.store import Store, write_store
from tests.pipeline.export.test_authors_csv import store
from tests.pipeline.protocol.corpora import tables, write_whole_manifest
from tests.stages import test_trials
from tests.stages.project import Project, make_project

pytestmark = pytest.mark.stage
IMPORTED = ("import_features", "manifest", "detect_faces", "embed_faces", "embed_voices", "protocol")
of_media = test_trials.project  # a fixture: twelve people of pictures and sounds, trained and evaluated
CROSS_MODAL = ["subset", "regime", "criterion"]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What extraction would leave, of random vectors, with the protocol that the stage makes of it."""
    project = make_project(tmp_path_factory.mktemp("original"), {}, in_process=True)
    project.params(protocol={"trials": 60, "galleries": 20})
    parts = tables(people=30)
    write_whole_manifest(project.folder / "artifacts/manifest.parquet", parts.manifest)
    for name, index, seed in (("faces", parts.faces, 1), ("voices", parts.voices, 2)):
        made = store(index, seed)
        write_store(project.folder / "artifacts" / name, made.matrix, made.index, made.provenance)
    project.run("protocol")
    return project


@pytest.fixture(scope="module")
def imported(original: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A second project, which has the exported files and nothing else."""
    exported = tmp_path_factory.mktemp("exported") / "features"
    original.run("export", "--to", "authors-csv", "--out", str(exported))
    project = make_project(tmp_path_factory.mktemp("imported"), {}, in_process=True)
    project.params(
        features={"source": "csv", "folder": str(exported)}, protocol={"trials": 60, "galleries": 20, "seed": 7}
    )
    for stage in IMPORTED:
        project.run(stage)
    return project


def protocol(project: Project) -> ProtocolTables:
    return read_protocol(project.folder / "artifacts/protocol")


def rows(store: Store, numbers: pd.Series) -> np.ndarray:
    return store.matrix[numbers.to_numpy()]


def test_training_pairs_come_back_with_their_vectors_people_and_classes(original: Project, imported: Project) -> None:
    before, after = protocol(original).train_pairs, protocol(imported).train_pairs
    assert len(before) and before["class_index"].tolist() == after["class_index"].tolist()
    for modality, column in (("faces", "face_row"), ("voices", "voice_row")):
        left, right = original.store(modality), imported.store(modality)
        np.testing.assert_array_equal(rows(left, before[column]), rows(right, after[column]))
        people = [one.index["identity"].iloc[table[column]].tolist() for one, table in ((left, before), (right, after))]
        assert people[0] == people[1]


def test_people_come_back_in_their_splits_although_the_seed_is_another(original: Project, imported: Project) -> None:
    before, after = (protocol(one).identities.set_index("identity") for one in (original, imported))
    assert set(before["split"]) == {"train", "validation", "test"}
    columns = ["split", "class_index"]
    pd.testing.assert_frame_equal(before[columns].sort_index(), after[columns].sort_index())


def test_cross_modal_trials_come_back_list_by_list_in_their_order(original: Project, imported: Project) -> None:
    before, after = protocol(original), protocol(imported)
    lists = before.verification.query("task == 'cross_modal'").groupby(CROSS_MODAL).groups
    assert {subset for subset, _, _ in lists} == {"validation", "test"}
    assert {(regime, criterion) for _, regime, criterion in lists} >= {("seen_heard", "G"), ("unseen_unheard", "GNA")}
    for subset, regime, criterion in lists:
        left, right = (one.trials(subset, regime, "cross_modal", criterion) for one in (before, after))
        same = ["label", "left_identity", "right_identity", "position"]
        pd.testing.assert_frame_equal(left[same], right[same])
        for modality, column in (("voices", "left_row"), ("faces", "right_row")):
            np.testing.assert_array_equal(
                rows(original.store(modality), left[column]), rows(imported.store(modality), right[column])
            )
    assert set(after.verification.query("task == 'cross_modal'").groupby(CROSS_MODAL).groups) == set(lists)


def test_the_way_back_and_forth_again_gives_the_same_files(imported: Project, tmp_path: Path) -> None:
    """But for the names of recordings, which the files do not hold."""
    imported.run("export", "--to", "authors-csv", "--out", str(tmp_path / "again"))
    source = Path(load_params(imported.folder / "params.yaml").features.folder)
    again = sorted(path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*.csv"))
    assert again == sorted(path.relative_to(source) for path in source.rglob("*.csv"))
    for name in again:
        assert (source / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_stale_figures_of_one_run_are_no_matter_of_another(of_media: Project, tmp_path: Path) -> None:
    other = of_media.folder / "artifacts/runs/two_fop"
    shutil.copytree(of_media.folder / "artifacts/runs/single_fop", other)  # figures of other settings than its own
    try:
        of_media.run("export", "single_fop", "--to", "onnx", "--out", str(tmp_path / "onnx"))
    finally:
        shutil.rmtree(other)


def test_a_card_does_not_take_the_figures_of_another_model(of_media: Project, tmp_path: Path) -> None:
    path = of_media.folder / "artifacts/runs/single_fop/metrics.json"
    own = path.read_text()
    metrics = json.loads(own)
    metrics["model"]["sha256"] = "0" * 64
    path.write_text(json.dumps(metrics))
    try:
        said = of_media.run("export", "single_fop", "--to", "onnx", "--out", str(tmp_path / "onnx"), fails=True)
    finally:
        path.write_text(own)
    assert "is not the model whose figures lie beside it: run `dvc repro evaluate@single_fop`" in said
    assert not (tmp_path / "onnx").exists()


@pytest.mark.slow
def test_exported_extractors_make_the_vectors_of_the_store_from_media(of_media: Project, tmp_path: Path) -> None:
    out = tmp_path / "onnx"
    of_media.run("export", "single_fop", "--to", "onnx", "--with-extractors", "--out", str(out))
    names = ["README.md", "face.onnx", "facenet.onnx", "utterance_aggregator.onnx", "voice.onnx"]
    assert sorted(path.name for path in out.iterdir()) == names
    for name, modality, inputs in (("facenet", "faces", crop), ("utterance_aggregator", "voices", spoken)):
        session = onnxruntime.InferenceSession(str(out / f"{name}.onnx"))
        store = of_media.store(modality)
        for row in (0, 7):
            medium = of_media.media / store.index["item"].iloc[row]
            (vectors,) = session.run(None, {session.get_inputs()[0].name: inputs(medium)[None]})
            assert np.abs(vectors[0] - store.matrix[row]).max() <= 1e-5


def crop(picture: Path) -> np.ndarray:
    """The whole picture as FaceNet takes it, (160, 160, 3)."""
    image = read_frames(picture, [0])[0].image
    return crop_face(image, np.array([0, 0, *image.shape[1::-1]]), 0, 160)


def spoken(sound: Path) -> np.ndarray:
    """The spectrogram (257, T) of a sound, repeated up to the second that the aggregator needs."""
    return spectrogram(np.resize(decode_audio(sound, 16000), 16000))


def test_before_dvc_repro_the_command_that_makes_it_is_named(tmp_path: Path) -> None:
    log = make_project(tmp_path, {}, in_process=True).run("export", "--to", "authors-csv", fails=True)
    assert "artifacts/faces/embeddings.safetensors does not exist: `dvc repro protocol` makes it" in log
    assert not (tmp_path / "artifacts").exists()


def test_a_folder_with_something_in_it_is_left_alone(original: Project, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    log = original.run("export", "--to", "authors-csv", "--out", str(tmp_path), fails=True)
    assert f"{tmp_path} is not an empty folder: name another with --out, or remove it first" in log
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
