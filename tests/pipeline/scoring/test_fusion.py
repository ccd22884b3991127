"""Fusion: ranks among validation trials, by counting; a score of the pair alone; a file that holds all of it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.errors import CheckpointError, ProtocolError, ScoreError
from pipeline.evaluation.lists import TrialScorer
from pipeline.metrics import roc_auc
from pipeline.protocol import ProtocolTables
from pipeline.protocol.tables import shaped
from pipeline.protocol.vocabulary import CROSS_MODAL, F2V, VERIFICATION_TASKS, VOICES
from pipeline.scoring.fusion import Fusion, ShareHigher, fuse, load_trained, members_of, save_fusion
from pipeline.scoring.model import MODEL, Model, load_model, save_model
from pipeline.scoring.scorer import Scorer
from pipeline.scoring.similarity import similarity
from pipeline.settings import RunSettings
from pipeline.store import Store
from tests.pipeline.settings_for_training import train_settings
from tests.pipeline.training.world import ROWS, World

SETTINGS = {
    "one": train_settings(seeds=[0, 1]),
    "two": train_settings(method="two_branch", seeds=[3, 4]),
    "as_one": train_settings(loss="ce", seeds=[0, 1], ensemble="seeds"),
}


def test_a_share_is_what_counting_finds() -> None:
    scores = np.round(np.random.default_rng(0).normal(size=200), 1)  # with ties
    share = ShareHigher.of(scores)
    for score in scores:
        higher, equal = sum(other > score for other in scores), sum(other == score for other in scores)
        assert share(score) == pytest.approx((higher + equal / 2) / 200, abs=1e-12)


def test_shares_fall_strictly_between_and_beyond_the_trials_and_stay_within_0_and_1() -> None:
    share = ShareHigher.of(np.random.default_rng(0).normal(size=50))
    found = share(np.linspace(-40.0, 40.0, 3001))
    assert (np.diff(found) < 0.0).all()
    assert found[-1] > 0.0 and found[0] < 1.0


@pytest.mark.parametrize("scores", [[1.0], [0.5] * 9, [0.1, np.nan]])
def test_scores_that_rank_nothing_are_refused(scores: list[float]) -> None:
    with pytest.raises(ScoreError, match="none ranks"):
        ShareHigher.of(scores)


def protocol(
    world: World,
    subset: str = "validation",
    tasks: tuple[str, ...] = tuple(VERIFICATION_TASKS),
    parity: tuple[str, ...] = (),
) -> ProtocolTables:
    """Random trials of each task, of the world's validation people, and no other list."""
    trials, parts = world.lists.validation, []
    assert trials is not None
    for task in tasks:
        columns = {"subset": subset, "regime": "unseen_unheard", "task": task, "criterion": "random"}
        rows = {"left_row": trials.left, "right_row": trials.right, "label": trials.labels, "position": 0}
        people = {"left_identity": trials.left // ROWS, "right_identity": trials.right // ROWS}
        parts.append(pd.DataFrame({**columns, **rows, **people}))
    empty = {name: shaped(name) for name in ("identities", "train_pairs", "matching", "matching_released", "coverage")}
    return ProtocolTables(**empty, verification=pd.concat(parts), summary={"parity_lists": list(parity)})


@pytest.fixture(scope="module")
def files(world: World, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The model file of each run."""
    folder = tmp_path_factory.mktemp("runs")
    for run, settings in SETTINGS.items():
        save_model(folder / f"{run}.safetensors", world.train(settings).model)
    return {run: folder / f"{run}.safetensors" for run in SETTINGS}


def fused(world: World, files: Mapping[str, Path], *runs: str, **lists: object) -> Fusion:
    contents = {run: own for name in runs for run, own in members_of(files[name], name).items()}
    return fuse(contents, protocol(world, **lists), world.faces, world.voices)


def naive_scores(world: World, models: list[Model], left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Voices against faces, by loops: the share of validation trials that are scored higher, for two seeds each."""
    validation = world.lists.validation
    assert validation is not None
    found = np.zeros((2, len(left)))
    for model in models:
        voices, faces = model.embed("voice", world.voices), model.embed("face", world.faces)
        for judge in range(2):
            own = judge if model.judges == 2 else 0

            def score(voice: int, face: int, v: np.ndarray = voices[own], f: np.ndarray = faces[own]) -> float:
                return float(-np.sum((v[voice] - f[face]) ** 2))

            known = [score(*pair) for pair in zip(validation.left, validation.right, strict=True)]
            for number, pair in enumerate(zip(left, right, strict=True)):
                higher = sum(other > score(*pair) for other in known) / len(known)
                found[judge, number] -= higher / len(models)
    return found


def test_the_score_is_minus_the_mean_share_of_validation_trials_that_are_scored_higher(
    world: World, files: Mapping[str, Path]
) -> None:
    fusion = fused(world, files, "one", "two", "as_one")
    left, right = world.unseen.left[:40], world.unseen.right[:40]
    found = fusion.score("voice", world.voices[left], "face", world.faces[right][:, None])[:, :, 0]
    assert found.shape == (2, 40) and found.dtype == np.float32
    naive = naive_scores(world, [load_model(files[run]) for run in ("one", "two", "as_one")], left, right)
    assert np.abs(found - naive).max() <= 1.0 / len(world.lists.validation.labels)  # counting goes in steps of a trial
    assert ((found > -1.0) & (found < 0.0)).all()


def test_a_score_is_of_its_pair_alone(world: World, files: Mapping[str, Path]) -> None:
    fusion = fused(world, files, "one", "two")
    probes, candidates = world.voices[world.unseen.left], world.faces[world.unseen.right][:, None]
    together = fusion.score("voice", probes, "face", candidates)
    for some in (slice(0, 7), slice(7, 300)):
        alone = fusion.score("voice", probes[some], "face", candidates[some])
        np.testing.assert_allclose(alone, together[:, some], atol=1e-5)


def test_a_run_fused_with_itself_ranks_trials_as_it_does_alone(world: World, files: Mapping[str, Path]) -> None:
    own = members_of(files["one"], "one")["one"]
    fusion = fuse({"one": own, "again": own}, protocol(world), world.faces, world.voices)
    left, right, labels = world.unseen.left, world.unseen.right, world.unseen.labels
    scores = fusion.score("voice", world.voices[left], "face", world.faces[right][:, None])[:, :, 0]
    model = load_model(files["one"])
    alone = similarity(model.embed("voice", world.voices[left]), model.embed("face", world.faces[right]))
    for mine, theirs in zip(scores, alone, strict=True):
        assert roc_auc(mine, labels) == pytest.approx(roc_auc(theirs, labels), abs=0.05)


def test_evaluation_embeds_rows_once_and_scores_as_the_fusion_does(world: World, files: Mapping[str, Path]) -> None:
    fusion, rows = fused(world, files, "one", "as_one"), np.arange(24)
    stores = [Store(matrix, pd.DataFrame({"item": range(len(matrix))}), {}) for matrix in (world.faces, world.voices)]
    scorer = TrialScorer(fusion, *stores, rows, rows)
    sides, candidates = ("face", "voice"), np.stack([rows, rows[::-1]], axis=1)
    expected = fusion.score("face", world.faces[rows], "voice", world.voices[candidates])
    np.testing.assert_allclose(scorer.galleries(sides, rows, candidates), expected, atol=1e-5)
    np.testing.assert_allclose(scorer.pairs(sides, rows, rows), expected[:, :, 0], atol=1e-5)
    for judge in range(2):
        table = scorer.table(sides, rows, rows, judge)
        np.testing.assert_allclose(np.diag(table), expected[judge, :, 0], atol=1e-4)


def test_thresholds_are_of_its_own_scores_of_validation_trials(world: World, files: Mapping[str, Path]) -> None:
    fusion, trials = fused(world, files, "one", "two"), world.lists.validation
    assert trials is not None
    scores = fusion.score("voice", world.voices[trials.left], "face", world.faces[trials.right][:, None])[:, :, 0]
    for calibration, own in zip(fusion.calibration("voice", "face"), scores, strict=True):
        accepted = (own[trials.labels == 0] >= calibration.thresholds["far_10"]).mean()
        assert accepted <= 0.1 and calibration.people == 10
        with pytest.raises(ScoreError, match="nobody is left"):
            calibration.log_likelihood_ratio(own)
    mean, own = fusion.mean_calibration("face", "voice"), scores.mean(axis=0)
    assert (own[trials.labels == 0] >= mean.thresholds["far_10"]).mean() == pytest.approx(0.1, abs=0.006)
    assert mean.people == 10 and "nobody is left" in mean.reason


def test_guessed_labels_rank_scores_and_give_no_thresholds(world: World, files: Mapping[str, Path]) -> None:
    """As with single runs: labels by row parity, where no list names the people."""
    fusion = fused(world, files, "one", "two", parity=("validation_random_unseenunheard",))
    assert fusion.ranks(CROSS_MODAL)
    for own in (*fusion.calibration("voice", "face"), fusion.mean_calibration("voice", "face")):
        assert not own.thresholds and own.reason.startswith("no list names the validation people")
    assert fusion.mean_calibration("face", "face").thresholds  # labels of pairs within a modality are by name
    named = fused(world, files, "one", "two", parity=("random_unseenunheard",))  # of the test list alone
    assert named.mean_calibration("voice", "face").thresholds


def test_tasks_that_validation_does_not_hold_are_left_out(world: World, files: Mapping[str, Path]) -> None:
    fusion = fused(world, files, "one", "two", tasks=("cross_modal",))
    assert fusion.ranks(CROSS_MODAL) and fusion.ranks(F2V) and not fusion.ranks(VOICES)
    with pytest.raises(ScoreError, match="member one has no map for voice"):
        fusion.score("voice", world.voices[:2], "voice", world.voices[:2, None])


@pytest.mark.parametrize("lists", [{"subset": "test"}, {"tasks": ("face", "voice")}])
def test_without_validation_trials_of_what_members_are_for_there_is_no_fusion(
    world: World, files: Mapping[str, Path], lists: dict[str, object]
) -> None:
    with pytest.raises(ProtocolError, match=r"run one.*no validation trials of voice against face.*validation_ratio"):
        fused(world, files, "one", "two", **lists)


def test_the_file_holds_members_and_maps_and_gives_the_same_bytes(
    world: World, files: Mapping[str, Path], tmp_path: Path
) -> None:
    fusion = fused(world, files, "two", "one")
    save_fusion(tmp_path / MODEL, fusion)
    save_fusion(tmp_path / "again.safetensors", fused(world, files, "one", "two"))
    assert (tmp_path / MODEL).read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    loaded = load_trained(tmp_path / MODEL)
    assert isinstance(loaded, Fusion) and list(loaded.contents) == ["one", "two"]
    probes, candidates = world.voices[:9], world.faces[:9, None]
    found, before = (one.score("voice", probes, "face", candidates) for one in (loaded, fusion))
    assert np.array_equal(found, before)
    assert loaded.calibration("face", "voice") == fusion.calibration("voice", "face")
    assert loaded.mean_calibration("face", "voice") == fusion.mean_calibration("voice", "face")
    assert loaded.summary() == {"method": "fusion", "members": "one, two"}
    with pytest.raises(CheckpointError, match="is a fusion of one, two, not a run that was trained"):
        load_model(tmp_path / MODEL)
    assert isinstance(load_trained(files["one"]), Model)


def test_the_file_scores_new_media_as_that_of_any_run(
    world: World, files: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBNET_DEVICE", "cpu")
    fusion = fused(world, files, "one", "two")
    save_fusion(tmp_path / MODEL, fusion)
    scorer = Scorer.load(tmp_path / MODEL)
    found = scorer.pair_scores("voice", world.voices[:9], "face", world.faces[:9])
    np.testing.assert_allclose(found, fusion.score("voice", world.voices[:9], "face", world.faces[:9, None])[:, :, 0])
    value, _, lacking = scorer.threshold("voice", "face", "eer")
    assert value is not None and -1.0 < value < 0.0 and not lacking
    assert value == fusion.mean_calibration("voice", "face").thresholds["eer"]
    assert "nobody is left" in scorer.meaning("voice", "face", found).reason
    with pytest.raises(ScoreError, match="method fusion scores pairs and has no embeddings"):
        scorer.embed_face("a.jpg")


def test_a_file_with_thresholds_of_each_of_its_scores_alone_decides_nothing_and_names_the_remedy(
    world: World, files: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBNET_DEVICE", "cpu")
    save_fusion(tmp_path / MODEL, fused(world, files, "one", "two"))
    rewrite(tmp_path / MODEL, mean_calibration={})
    value, _, lacking = Scorer.load(tmp_path / MODEL).threshold("voice", "face", "eer")
    assert value is None
    assert lacking == "the model file holds no thresholds of the mean of its 2 scores: fuse the runs again"


def test_a_fusion_of_a_fusion_holds_its_members_all_of_one_weight(
    world: World, files: Mapping[str, Path], tmp_path: Path
) -> None:
    save_fusion(tmp_path / MODEL, fused(world, files, "one", "two"))
    contents = {**members_of(tmp_path / MODEL, "both"), **members_of(files["as_one"], "as_one")}
    nested = fuse(contents, protocol(world), world.faces, world.voices)
    probes, candidates = world.voices[:9], world.faces[:9, None]
    found = nested.score("voice", probes, "face", candidates)
    assert np.array_equal(found, fused(world, files, "one", "two", "as_one").score("voice", probes, "face", candidates))


def test_it_knows_which_settings_it_was_trained_with(world: World, files: Mapping[str, Path]) -> None:
    def settings(**members: RunSettings) -> RunSettings:
        return train_settings().model_copy(update={"fusion": {run: own.model_dump() for run, own in members.items()}})

    fusion = fused(world, files, "one", "two")
    assert fusion.was_trained_with(settings(one=SETTINGS["one"], two=SETTINGS["two"]))
    assert not fusion.was_trained_with(settings(one=SETTINGS["one"]))
    assert not fusion.was_trained_with(settings(one=SETTINGS["one"], two=train_settings(seeds=[3, 4])))


def header(path: Path) -> dict[str, object]:
    with safe_open(path, framework="pt") as file:
        found: dict[str, object] = json.loads(file.metadata()["sbnet"])
    return found


def rewrite(path: Path, tensors: dict[str, object] | None = None, **changes: object) -> None:
    save_file(load_file(path) | (tensors or {}), path, metadata={"sbnet": json.dumps(header(path) | changes)})


def reversed_map(path: Path) -> dict[str, object]:
    return {"0/cross_modal/0/shares": load_file(path)["0/cross_modal/0/shares"].flip(0).contiguous()}


BREAKS: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "another format": lambda path: rewrite(path, format=99),
    "a map that rises": lambda path: rewrite(path, reversed_map(path)),
    "maps of one member only": lambda path: rewrite(path, tasks=header(path)["tasks"][:1]),
    "a map that is absent": lambda path: rewrite(path, tasks=[{"cross_modal": 3}, {"cross_modal": 2}]),
    "a map too few": lambda path: rewrite(path, tasks=[{"cross_modal": 1}, {"cross_modal": 2}]),
    "a member of nothing": lambda path: rewrite(path, fusion={"one": {}, "two": {}}),
    "absent": lambda path: path.unlink(),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_fusion_is_refused_by_name(world: World, files: Mapping[str, Path], tmp_path: Path, kind: str) -> None:
    save_fusion(tmp_path / MODEL, fused(world, files, "one", "two"))
    BREAKS[kind](tmp_path / MODEL)
    with pytest.raises(CheckpointError, match=MODEL):
        load_trained(tmp_path / MODEL)
