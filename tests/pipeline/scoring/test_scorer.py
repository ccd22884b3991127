"""A trained run on new media: the pipeline's own vectors and scores, from the model file alone."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import CheckpointError, ExtractionError, MediaError, ScoreError, StoreError
from pipeline.evaluation.lists import TrialScorer
from pipeline.extraction.item_cache import ItemCache
from pipeline.methods import Method, Sizes
from pipeline.scoring import Model, Scorer, load_model
from pipeline.scoring.pairs import read_pairs, score_pairs, write_scores
from pipeline.scoring.scorer import EVEN, Verdict
from pipeline.scoring.vectors import MediaVectors, mean_vector
from pipeline.settings import Section
from pipeline.store import Store
from tests.media_factory import noise, write_image, write_sound, write_video
from tests.pipeline.scoring.runs import CALIBRATED, OF_MEAN, write_run
from tests.stages.project import ROOT, Project, make_project
from tests.stages.test_extraction_stages import demo_clips

pytestmark = pytest.mark.stage

PEOPLE, CLIPS = 3, 2


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three demo people, two clips each, extracted by the stages."""
    made = make_project(tmp_path_factory.mktemp("demo"), demo_clips(PEOPLE, CLIPS), in_process=True)
    made.extract()
    return made


@pytest.fixture(scope="module")
def origin(project: Project) -> dict[str, Any]:
    """What a run trained on the project's stores says of them."""
    return {"face": project.store("faces").provenance, "voice": project.store("voices").provenance}


@pytest.fixture(autouse=True)
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the media folder, with the project's item cache, decoding in this process."""
    monkeypatch.chdir(project.media)
    monkeypatch.setenv("SBNET_HOME", str(project.home))
    monkeypatch.setenv("SBNET_WORKERS", "0")
    monkeypatch.setenv("SBNET_DEVICE", "cpu")
    yield


@pytest.fixture(scope="module")
def path(origin: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs"), origin)


@pytest.fixture
def scorer(path: Path) -> Scorer:
    return Scorer.load(path)


@pytest.fixture
def clips(project: Project) -> list[str]:
    return sorted(demo_clips(PEOPLE, CLIPS))


def rows_of(store: Store, item: str) -> np.ndarray:
    return store.matrix[(store.index["item"] == item).to_numpy()]


def test_import_brings_no_torch() -> None:
    code = "import sys; from pipeline.scoring import Scorer; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_vectors_are_the_stores_to_the_byte_extracted_anew_or_cached(
    project: Project, scorer: Scorer, clips: list[str], modality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = project.store(f"{modality}s")
    expected = rows_of(store, clips[0])
    assert scorer.extract(modality, clips[0]).tobytes() == expected.tobytes()  # from the stages' own cache
    (tmp_path / "weights").symlink_to(project.home / "weights")
    monkeypatch.setenv("SBNET_HOME", str(tmp_path))
    assert scorer.extract(modality, clips[0]).tobytes() == expected.tobytes()


def test_nothing_is_extracted_twice(
    project: Project, scorer: Scorer, clips: list[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    copied = tmp_path / "another name.mp4"
    copied.write_bytes(Path(clips[1]).read_bytes())
    with ItemCache(project.home / "items.sqlite") as cache:
        before = cache.usage()[0]
    with caplog.at_level(logging.INFO):
        scorer.verify(face=clips[0], voice=copied)
    assert [line.split("items: ")[1] for line in caplog.messages if " items: " in line] == [
        "0 extracted, 1 cached, 0 skipped"
    ] * 3
    with ItemCache(project.home / "items.sqlite") as cache:
        assert cache.usage()[0] == before


def test_nothing_of_params_is_read(
    scorer: Scorer, clips: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [Path(clip).resolve() for clip in clips]
    expected = scorer.verify(face=files[0], voice=files[1])
    monkeypatch.chdir(tmp_path)  # no params.yaml, no artifacts
    assert Scorer.load(scorer.path).verify(face=files[0], voice=files[1]) == expected


def test_verdict_is_by_the_mean_of_the_networks_scores_and_the_calibration_of_that_mean(
    project: Project, scorer: Scorer, clips: list[str]
) -> None:
    face = mean_vector([rows_of(project.store("faces"), clips[0])])
    voice = rows_of(project.store("voices"), clips[1])[0]
    verdict = scorer.verify(face=clips[0], voice=clips[1])
    scores = []
    for method in load_model(scorer.path).methods:
        with torch.no_grad():
            pair = [method.embed(side, torch.from_numpy(x[None]))[0] for side, x in (("voice", voice), ("face", face))]
        scores.append(-float(((pair[0] - pair[1]) ** 2).sum()))
    assert verdict.scores == pytest.approx(scores, abs=1e-6)
    assert verdict.similarity == pytest.approx(np.mean(scores), abs=1e-6)
    ratio = OF_MEAN.slope * np.mean(scores) + OF_MEAN.offset
    assert verdict.log_likelihood_ratio == pytest.approx(ratio, abs=1e-4)
    assert verdict.probability == pytest.approx(1.0 / (1.0 + np.exp(-ratio)), abs=1e-5)
    assert (verdict.threshold, verdict.threshold_name, verdict.reason) == (-1.27, "eer", "")
    assert verdict.same == (verdict.similarity >= -1.27)
    assert (verdict.left.modality, verdict.left.files) == ("voice", (clips[1],))


def test_threshold_is_one_by_name_or_a_number(scorer: Scorer, clips: list[str]) -> None:
    def judged(threshold: str | float) -> Verdict:
        return scorer.verify(face=clips[0], voice=clips[1], threshold=threshold)

    assert judged("far_1").threshold == -1.09 and judged("far_10").threshold == -1.24
    similar = judged("eer").similarity
    assert judged(similar).same is True and judged(similar + 1e-4).same is False
    assert judged(similar).threshold_name == "given"
    with pytest.raises(ScoreError, match=r"far_5.*far_10"):
        judged("far_5")


def test_prior_moves_the_probability_as_bayes_says(scorer: Scorer, clips: list[str]) -> None:
    even, rare = (scorer.verify(face=clips[0], voice=clips[1], prior=prior) for prior in (None, 0.01))
    assert even.prior == scorer.prior == EVEN
    odds = even.probability / (1 - even.probability) * 0.01 / 0.99
    assert rare.probability == pytest.approx(odds / (1 + odds))
    with pytest.raises(ScoreError, match=r"prior 1\.0"):
        scorer.verify(face=clips[0], voice=clips[1], prior=1.0)


@pytest.mark.parametrize("task", ["cross_modal", "face", "voice"])
def test_run_without_calibration_gives_a_similarity_and_says_why_no_more(
    origin: dict[str, Any], clips: list[str], tmp_path: Path, task: str
) -> None:
    rest = {name: own for name, own in CALIBRATED.items() if name != task}
    verdict = Scorer.load(write_run(tmp_path, origin, calibrations=rest)).verify(**pair_of(task, clips))
    assert verdict.log_likelihood_ratio is verdict.probability is verdict.same is verdict.threshold is None
    assert np.isfinite(verdict.similarity) and "no calibration" in verdict.reason
    given = Scorer.load(tmp_path / "mine" / "model.safetensors").verify(**pair_of(task, clips), threshold=-1.0)
    assert given.same is not None and given.probability is None


def pair_of(task: str, clips: list[str]) -> dict[str, str]:
    if task == "cross_modal":
        return {"face": clips[0], "voice": clips[1]}
    return {task: clips[0], f"other_{task}": clips[1]}


@pytest.mark.parametrize("task", ["face", "voice"])
def test_pairs_within_a_modality_have_their_own_calibration(origin: dict[str, Any], task: str, tmp_path: Path) -> None:
    clips = sorted(demo_clips(PEOPLE, CLIPS))
    own = {task: CALIBRATED[task]}
    scorer = Scorer.load(write_run(tmp_path, origin, calibrations=own))
    verdict = scorer.verify(**pair_of(task, clips))
    assert verdict.left.modality == verdict.right.modality == task and verdict.probability is not None
    assert scorer.verify(**{task: clips[0], f"other_{task}": clips[0]}).similarity == 0.0


def test_several_files_count_alike_however_many_frames_they_have(
    project: Project, scorer: Scorer, clips: list[str]
) -> None:
    files = [rows_of(project.store("faces"), clip).astype(np.float64) for clip in clips[:2]]
    means = [matrix.mean(axis=0) / np.linalg.norm(matrix.mean(axis=0)) for matrix in files]
    total = np.sum(means, axis=0)
    expected = load_model(scorer.path).embed("face", (total / np.linalg.norm(total))[None].astype(np.float32))[:, 0]
    np.testing.assert_allclose(scorer.embed_face(clips[:2]), expected, atol=1e-6)
    assert scorer.embed_voice(clips[0]).shape == (2, 16)


def test_lone_vector_is_left_as_it_is_and_opposite_ones_have_no_mean() -> None:
    vector = np.array([[0.6, 0.8]], np.float32) * np.float32(1.0001)
    assert mean_vector([vector]).tobytes() == vector.tobytes()
    with pytest.raises(MediaError, match="cancel out"):
        mean_vector([vector, -vector])


def test_a_candidate_that_is_named_twice_is_refused(scorer: Scorer, clips: list[str]) -> None:
    with pytest.raises(ScoreError, match="is named twice among the candidates"):
        scorer.match(voice=clips[0], faces=[clips[0], clips[1], clips[0]])


def test_a_candidate_is_known_by_its_bytes_however_it_is_named(
    scorer: Scorer, clips: list[str], tmp_path: Path
) -> None:
    copy = tmp_path / f"copy{Path(clips[0]).suffix}"
    copy.write_bytes(Path(clips[0]).read_bytes())
    for again in (f"{Path(clips[0]).parent}/./{Path(clips[0]).name}", str(copy)):
        with pytest.raises(
            ScoreError, match=r"are one file among the candidates: each would have half the probability"
        ):
            scorer.match(voice=clips[0], faces=[clips[0], again, clips[1]])
        once, twice = scorer.embed_face(clips[:2]), scorer.embed_face([clips[0], again, clips[1]])
        assert once.tobytes() == twice.tobytes()


def test_match_ranks_candidates_and_shares_sum_to_one(scorer: Scorer, clips: list[str]) -> None:
    ranking = scorer.match(voice=clips[0], faces=clips)
    each = {clip: scorer.verify(voice=clips[0], face=clip) for clip in clips}
    assert [one.medium for one in ranking.candidates] == sorted(clips, key=lambda clip: -each[clip].similarity)
    assert [one.rank for one in ranking.candidates] == list(range(1, len(clips) + 1))
    for one in ranking.candidates:
        assert one.similarity == pytest.approx(each[one.medium].similarity, abs=1e-6)
        assert one.log_likelihood_ratio == pytest.approx(each[one.medium].log_likelihood_ratio, abs=1e-4)
    ratios = np.array([one.log_likelihood_ratio for one in ranking.candidates])
    np.testing.assert_allclose([one.probability for one in ranking.candidates], np.exp(ratios) / np.exp(ratios).sum())
    reverse = scorer.match(face=clips[0], voices=clips)
    assert reverse.modality == "voice" and len(reverse.candidates) == len(clips)


def test_equal_candidates_keep_their_order(scorer: Scorer, clips: list[str], tmp_path: Path) -> None:
    twin = tmp_path / "twin.mp4"
    twin.write_bytes(Path(clips[0]).read_bytes() + b"\0\0\0\x08free")  # another file of the same film
    for names in ([str(twin), clips[0], clips[2]], [clips[0], str(twin), clips[2]]):
        found = [one.medium for one in scorer.match(voice=clips[0], faces=names).candidates]
        assert [name for name in found if name != clips[2]] == names[:2]


def test_store_is_searched_as_verify_scores(
    project: Project, scorer: Scorer, clips: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts = scorer.index(project.media, tmp_path / "store")
    assert counts == {"face": len(clips), "voice": len(clips), "skipped": 0}
    for probe, among, other in (
        (("voice"), "face", "face"),
        ("face", "voice", "voice"),
        ("face", "face", "other_face"),
    ):
        ranking = scorer.retrieve(tmp_path / "store", **{probe: clips[3]}, top=100, among=among)
        each = {clip: scorer.verify(**{probe: clips[3], other: clip}) for clip in clips}
        assert [one.medium for one in ranking.candidates] == sorted(clips, key=lambda clip: -each[clip].similarity)
        for one in ranking.candidates:
            assert one.similarity == pytest.approx(each[one.medium].similarity, abs=1e-6)
            assert one.log_likelihood_ratio == pytest.approx(each[one.medium].log_likelihood_ratio, abs=1e-4)
    assert len(scorer.retrieve(tmp_path / "store", voice=clips[3], top=2).candidates) == 2
    bytes_before = (tmp_path / "store" / "faces" / "vectors.safetensors").read_bytes()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        scorer.index(project.media, tmp_path / "store")
    assert [line for line in caplog.messages if " extracted" in line and "0 extracted" not in line] == []
    assert (tmp_path / "store" / "faces" / "vectors.safetensors").read_bytes() == bytes_before


def test_index_names_what_it_skips_and_knows_what_a_medium_lacks(
    scorer: Scorer, clips: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "media"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "talk.mp4").write_bytes(Path(clips[0]).read_bytes())
    write_image(folder / "faceless.jpg")
    write_sound(folder / "silent.wav", np.zeros(16000, np.float32))
    write_sound(folder / "noise.wav", noise(1.2, 16000))
    write_video(folder / "mute.mp4", 0.4)
    (folder / "broken.mp4").write_bytes(b"no film at all")
    counts = scorer.index(folder, tmp_path / "store")
    assert counts["face"] == 1 and counts["voice"] == 2
    skipped = pd.read_csv(tmp_path / "store" / "skipped.csv").groupby("item")["reason"].first()
    assert sorted(skipped.index) == ["broken.mp4", "faceless.jpg", "mute.mp4", "silent.wav"]
    assert "no face in 1 sampled frame" in skipped["faceless.jpg"] and "silent" in skipped["silent.wav"]
    (folder / "a" / "talk.mp4").unlink()
    (folder / "noise.wav").unlink()
    with pytest.raises(ExtractionError, match="no medium gave a face or a voice"):
        scorer.index(folder, tmp_path / "store")
    with pytest.raises(StoreError, match="holds no faces"):  # nothing of before is left
        scorer.retrieve(tmp_path / "store", voice=clips[0], top=5)


def test_store_of_another_model_is_refused_by_both_names(
    project: Project, scorer: Scorer, origin: dict[str, Any], clips: list[str], tmp_path: Path
) -> None:
    other = Scorer.load(write_run(tmp_path, origin, name="theirs", embedding=8))
    scorer.index(project.media, tmp_path / "store")
    with pytest.raises(CheckpointError, match=r"indexed by run mine .*, not by .*theirs"):
        other.retrieve(tmp_path / "store", voice=clips[0], top=1)
    with pytest.raises(StoreError, match="holds no faces"):
        scorer.retrieve(tmp_path / "nothing", voice=clips[0], top=1)


def test_pairs_have_the_scores_of_an_evaluation(
    project: Project, scorer: Scorer, origin: dict[str, Any], tmp_path: Path
) -> None:
    """Rows of the stores, single frames, as the trials of a list name them."""
    faces, voices = project.store("faces"), project.store("voices")
    left = np.repeat(np.arange(len(voices.matrix)), len(faces.matrix))
    right = np.tile(np.arange(len(faces.matrix)), len(voices.matrix))
    expected = TrialScorer(load_model(scorer.path), faces, voices, right, left).pairs(("voice", "face"), left, right)
    table = pd.DataFrame(
        {
            "note": "kept",
            "face": faces.index["item"].to_numpy()[right],
            "face_frame": faces.index["frame"].to_numpy()[right],
            "voice": voices.index["item"].to_numpy()[left],
        }
    )
    scores = scored(scorer, table, tmp_path)
    for network in range(2):
        np.testing.assert_array_equal(scores[f"score_{network}"].to_numpy(np.float32), expected[network])
    np.testing.assert_array_equal(scores["similarity"].to_numpy(np.float32), expected.mean(axis=0))
    assert (scores["note"] == "kept").all() and scores["reason"].isna().all()
    limit = scorer.verify(face=table["face"][0], voice=table["voice"][0]).threshold
    assert (scores["same"] == (expected.mean(axis=0) >= limit)).all()
    one = scorer.verify(face=table["face"][0], voice=table["voice"][0], prior=0.2)
    alone = scored(scorer, table.drop(columns="face_frame").head(1), tmp_path, prior=0.2).iloc[0]
    assert alone["similarity"] == pytest.approx(one.similarity, abs=1e-6)
    assert alone["probability"] == pytest.approx(one.probability, abs=1e-5)


def scored(scorer: Scorer, table: pd.DataFrame, folder: Path, prior: float | None = None) -> pd.DataFrame:
    """Through the files, as the command does it."""
    table.to_csv(folder / "pairs.csv", index=False)
    read, columns = read_pairs(folder / "pairs.csv")
    write_scores(folder / "scores.csv", score_pairs(scorer, read, columns, Path(), "eer", prior))
    return pd.read_csv(folder / "scores.csv")


def test_pairs_keep_every_row_and_say_why_one_has_no_score(scorer: Scorer, clips: list[str], tmp_path: Path) -> None:
    faceless, silent = write_image(tmp_path / "faceless.jpg"), tmp_path / "silent.wav"
    write_sound(silent, np.zeros(16000, np.float32))
    rows = [
        (clips[0], clips[1], ""),
        (str(faceless), clips[1], ""),
        (clips[0], str(silent), ""),
        ("nobody.jpg", "nothing.wav", ""),
        (clips[2], clips[1], "7"),
        (clips[2], clips[1], "0"),
    ]
    scores = scored(scorer, pd.DataFrame(rows, columns=["face", "voice", "face_frame"]), tmp_path)
    assert scores["similarity"].notna().tolist() == [True, False, False, False, False, True]
    assert scores["face"].tolist() == [row[0] for row in rows]
    reasons = scores["reason"].fillna("").tolist()
    assert "no face" in reasons[1] and "silent" in reasons[2] and "frame 7 is not among" in reasons[4]
    assert "nobody.jpg: does not exist" in reasons[3] and "nothing.wav: does not exist" in reasons[3]
    none = scored(scorer, pd.DataFrame(rows[1:2], columns=["face", "voice", "face_frame"]), tmp_path)
    assert none["similarity"].isna().all() and "no face" in none["reason"][0]


@pytest.mark.parametrize("task", ["face", "voice"])
def test_pairs_of_one_modality(scorer: Scorer, clips: list[str], tmp_path: Path, task: str) -> None:
    scores = scored(scorer, pd.DataFrame([pair_of(task, clips)]), tmp_path)
    assert scores["similarity"][0] == pytest.approx(scorer.verify(**pair_of(task, clips)).similarity, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("voice,name\na,b\n", "must have the columns voice and face, or"),
        ("voice,face,other_face\na,b,c\n", "must have the columns"),
        ("voice,face,similarity\na,b,1\n", "column 'similarity'.*rename"),
        ("voice,face\na,b,c\n", "more fields than its header"),
        ("voice,face\n", "holds no pair"),
        ("", "cannot be read"),
    ],
)
def test_tables_without_pairs_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(ScoreError, match=words):
        read_pairs(tmp_path / "pairs.csv")
    with pytest.raises(ScoreError, match="cannot be read"):
        read_pairs(tmp_path / "absent.csv")


def test_media_that_give_nothing_are_refused_with_the_reason(scorer: Scorer, clips: list[str], tmp_path: Path) -> None:
    faceless = write_image(tmp_path / "faceless.jpg")
    silent = write_sound(tmp_path / "silent.wav", np.zeros(16000, np.float32))
    mute = write_video(tmp_path / "mute.mp4", 0.4)
    (tmp_path / "text.wav").write_text("not a sound\n" * 50)
    (tmp_path / "empty.jpg").write_bytes(b"")
    refused = [
        ({"face": faceless, "voice": clips[0]}, "faceless.jpg: no face in 1 sampled frame"),
        ({"face": clips[0], "voice": silent}, "silent.wav: .*silent"),
        ({"face": clips[0], "voice": mute}, "mute.mp4"),
        ({"face": silent, "voice": clips[0]}, "silent.wav"),
        ({"face": clips[0], "voice": faceless}, "faceless.jpg"),
        ({"face": clips[0], "voice": tmp_path / "text.wav"}, "text.wav"),
        ({"face": tmp_path / "empty.jpg", "voice": clips[0]}, "empty"),
        ({"face": tmp_path / "absent.jpg", "voice": clips[0]}, "absent.jpg: does not exist"),
        ({"face": tmp_path, "voice": clips[0]}, "is no file"),
        ({"face": [clips[0], faceless], "voice": clips[0]}, "faceless.jpg: no face"),
    ]
    for media, words in refused:
        with pytest.raises(MediaError, match=words):
            scorer.verify(**media)
    with pytest.raises(MediaError, match=r"faceless\.jpg"):
        scorer.match(voice=clips[0], faces=[clips[0], faceless])


def test_calls_that_name_no_pair_are_refused(scorer: Scorer, clips: list[str]) -> None:
    for sides in ({}, {"face": "a"}, {"other_face": "a", "voice": "b"}, {"face": "a", "voice": "b", "other_face": "c"}):
        with pytest.raises(ScoreError, match="verify takes face and voice, face and other_face, or"):
            scorer.verify(**sides)
    with pytest.raises(ScoreError, match="match takes a face or a voice"):
        scorer.match(face="a", voice="b", faces=["c", "d"])
    with pytest.raises(ScoreError, match="two candidates"):
        scorer.match(face=clips[0], voices=[clips[0]])
    with pytest.raises(ScoreError, match="no file"):
        scorer.verify(face=[], voice=clips[0])


def changed(origin: dict[str, Any], modality: str, **changes: Any) -> dict[str, Any]:
    return {**origin, modality: {**origin[modality], **changes}}


def test_runs_of_other_extractors_are_refused(origin: dict[str, Any], clips: list[str], tmp_path: Path) -> None:
    detector = origin["face"]["detector"]
    refused = {
        "an edited extractor": (changed(origin, "face", fingerprint="e" * 64), "fingerprint eeeeeeeeeeee.*; these are"),
        "an edited detector": (
            changed(origin, "face", detector={**detector, "fingerprint": "f" * 64}),
            "fingerprint ffffffffffff",
        ),
        "an extractor that is not here": (changed(origin, "voice", extractor="wavelm"), "'wavelm' is not known"),
        "options that are not here": (changed(origin, "voice", options={"depth": 9}), "cannot be made here of media"),
        "feature files": ({**origin, "voice": {"extractor": "csv", "digest": "1"}}, "no extractor made them"),
        "nothing recorded": ({**origin, "voice": {}}, "an unrecorded extractor"),
        "a released checkpoint": (changed(origin, "voice", released=True), "released checkpoint"),
    }
    for name, (provenance, words) in refused.items():
        scorer = Scorer.load(write_run(tmp_path, provenance, name=name))
        with pytest.raises(CheckpointError, match=words) as caught:
            scorer.verify(face=clips[0], voice=clips[1])
        assert str(scorer.path) in str(caught.value), name


@pytest.mark.parametrize(("modality", "options"), [("face", {"margin": 8}), ("voice", {"max_seconds": 2.0})])
def test_options_of_the_model_hold_and_not_those_of_params(
    project: Project, clips: list[str], tmp_path: Path, modality: str, options: dict[str, object]
) -> None:
    """A project whose params.yaml says otherwise trained it."""
    other = project.copy(tmp_path / "other")
    other.params(**{f"embed_{modality}s": options})
    other.run(f"embed_{modality}s")
    store = other.store(f"{modality}s")
    origin = {side: other.store(f"{side}s").provenance for side in ("face", "voice")}
    scorer = Scorer.load(write_run(tmp_path, origin))
    assert scorer.extract(modality, clips[0]).tobytes() == rows_of(store, clips[0]).tobytes()
    assert rows_of(store, clips[0]).tobytes() != rows_of(project.store(f"{modality}s"), clips[0]).tobytes()


def test_broken_models_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is no file"):
        Scorer.load(tmp_path / "absent.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cannot be read as a trained run"):
        Scorer.load(tmp_path / "cut.safetensors")


def test_method_that_scores_galleries_matches_and_refuses_the_rest(
    project: Project, origin: dict[str, Any], clips: list[str], tmp_path: Path
) -> None:
    scorer = Scorer.load(write_run(tmp_path, origin, method="svhf", loss="own"))
    ranking = scorer.match(voice=clips[0], faces=clips[:3])
    model = load_model(scorer.path)
    faces = np.stack([mean_vector([rows_of(project.store("faces"), clip)]) for clip in clips[:3]])
    expected = model.score("voice", rows_of(project.store("voices"), clips[0]), "face", faces[None])[:, 0].mean(axis=0)
    assert {one.medium: one.similarity for one in ranking.candidates} == pytest.approx(
        dict(zip(clips[:3], expected.tolist(), strict=True)), abs=1e-6
    )
    calls = [
        (lambda: scorer.verify(face=clips[0], voice=clips[0]), "no pairs: use match"),
        (lambda: scorer.embed_face(clips[0]), "cannot embed; use match"),
        (lambda: scorer.index(project.media, tmp_path / "store"), "cannot fill a store; use match"),
        (lambda: scorer.retrieve(tmp_path / "store", face=clips[0], top=1), "cannot retrieve"),
        (lambda: scorer.match(voice=clips[0], voices=clips[:2]), "no answer for a voice among voices"),
    ]
    for call, words in calls:
        with pytest.raises(ScoreError, match=f"svhf.*{words}"):
            call()
    assert not (tmp_path / "store").exists()


class DotProducts(Method):
    """Scores pairs and embeds nothing."""

    class Options(Section):
        pass

    takes = "pairs"
    compares = "pairs"

    def __init__(self, options: Section, sizes: Any, modality: str, generator: torch.Generator) -> None:
        super().__init__(options, sizes, modality, generator)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def score(self, left: str, probes: torch.Tensor, right: str, candidates: torch.Tensor) -> torch.Tensor:
        return self.scale * (candidates @ probes[:, :, None])[:, :, 0]


def test_method_that_scores_pairs_verifies_and_cannot_be_indexed(
    project: Project, origin: dict[str, Any], path: Path, clips: list[str], tmp_path: Path
) -> None:
    sizes = Sizes(512, 512, 4)
    method = DotProducts(DotProducts.Options(), sizes, "both", torch.Generator())
    model = Model([method], {"method": "dot_products"}, sizes, (1,), origin)
    scorer = Scorer(path, model, MediaVectors(origin, "it", torch.device("cpu")))
    verdict = scorer.verify(face=clips[0], voice=clips[1])
    face, voice = mean_vector([rows_of(project.store("faces"), clips[0])]), rows_of(project.store("voices"), clips[1])
    assert verdict.similarity == pytest.approx(float(face @ voice[0]), abs=1e-6)
    with pytest.raises(ScoreError, match="cannot fill a store; use match or verify"):
        scorer.index(project.media, tmp_path / "store")
    with torch.no_grad():
        method.scale.fill_(torch.nan)
    with pytest.raises(ScoreError, match="not finite"):
        scorer.verify(face=clips[0], voice=clips[1])
