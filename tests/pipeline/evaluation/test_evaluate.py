"""A run measured on planted lists: every figure recomputed from its scores, absent lists absent, bytes that repeat."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ProtocolError, ScoreError
from pipeline.evaluation import described, evaluate, lists_of, write_evaluation
from pipeline.evaluation.evaluate import headline
from pipeline.evaluation.figures import reliability
from pipeline.metrics import actual_dcf, cllr, equal_error_rate, min_cllr, min_dcf, official_rates, roc_auc
from pipeline.scoring.calibration import Calibration
from tests.pipeline.evaluation.planted import (
    EACH,
    PEOPLE,
    NoisyEncoder,
    planted_lists,
    probes,
    settings,
    stores,
    tables,
    trials,
)


def test_each_rate_is_the_mean_over_models_of_the_rate_of_its_scores() -> None:
    faces, voices = stores(0.7)
    result = evaluate(NoisyEncoder(3, 0.1), settings(), planted_lists(faces, voices), faces, voices)
    measured = {
        ("unseen_unheard", "cross_modal", "random"): result.metrics["verification"]["cross_modal"]["random"],
        ("unseen_unheard", "cross_modal", "G"): result.metrics["verification"]["cross_modal"]["G"],
        ("unseen_unheard", "face", "random"): result.metrics["verification"]["face"]["random"],
        ("unseen_unheard", "voice", "random"): result.metrics["verification"]["voice"]["random"],
        ("seen_heard", "cross_modal", "random"): result.metrics["seen_heard"]["verification"]["cross_modal"]["random"],
    }
    for key, table in result.scores.groupby(["regime", "task", "criterion"]):
        columns = [table[f"score_{model}"] for model in range(3)]
        eers = [equal_error_rate(column, table["label"]) for column in columns]
        aucs = [roc_auc(column, table["label"]) for column in columns]
        costs = [min_dcf(column, table["label"], 0.05) for column in columns]
        figures = measured.pop(key)
        assert [figures["eer"], figures["eer_std"]] == pytest.approx([np.mean(eers), np.std(eers, ddof=1)], abs=1e-5)
        assert [figures["auc"], figures["auc_std"]] == pytest.approx([np.mean(aucs), np.std(aucs, ddof=1)], abs=1e-5)
        assert figures["min_dcf"] == pytest.approx(np.mean(costs), abs=1e-5)
        assert figures["eer_low"] < figures["eer"] < figures["eer_high"]
        assert figures["auc_low"] < figures["auc"] < figures["auc_high"]
        assert figures["min_dcf_low"] < figures["min_dcf_high"]
        ratios = [2.0 * column + 4.0 for column in columns]  # as the encoder's calibration says
        least = [min_cllr(column, table["label"]) for column in columns]
        bits = [cllr(one, table["label"]) for one in ratios]
        paid = [actual_dcf(one, table["label"], 0.05) for one in ratios]
        assert [figures["min_cllr"], figures["actual_dcf"]] == pytest.approx([np.mean(least), np.mean(paid)], abs=1e-5)
        assert [figures["cllr"], figures["cllr_std"]] == pytest.approx([np.mean(bits), np.std(bits, ddof=1)], abs=1e-5)
        assert figures["actual_dcf"] >= figures["min_dcf"] and figures["cllr"] >= figures["min_cllr"]
        assert figures["cllr_low"] < figures["cllr"] < figures["cllr_high"]
        assert figures["min_cllr_low"] <= figures["min_cllr"] <= figures["min_cllr_high"]
        assert (figures["trials"], figures["genuine"], figures["identities"]) == (240, 120, len(PEOPLE))
    assert not measured


class _OneUncalibrated(NoisyEncoder):
    """Of whose models one has no map."""

    def calibration(self, left: str, right: str) -> list[Calibration]:
        return [*super().calibration(left, right)[1:], Calibration(people=3, reason="validation holds 3 people")]


def test_without_a_map_of_every_model_there_is_a_reason_and_no_cllr() -> None:
    faces, voices = stores(0.7)
    result = evaluate(_OneUncalibrated(2, 0.1), settings(), planted_lists(faces, voices), faces, voices)
    figures = result.metrics["verification"]["cross_modal"]["random"]
    assert "min_cllr" in figures
    assert not {"cllr", "actual_dcf"} & set(figures)
    assert result.metrics["calibration"]["cross_modal"] == {"reason": "validation holds 3 people"}
    assert not len(result.reliability)
    assert "cllr" not in headline(result.metrics, "both")


def test_reliability_is_the_share_of_genuine_trials_by_probability_at_even_odds() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [20_000, 60_000])
    ratios = 1.5 * (rng.normal(size=(1, 80_000)) + 1.5 * (labels - 0.5))  # right ones
    table = reliability("list", ratios, labels)
    assert table["trials"].sum() == 80_000
    assert (table["probability"].diff().iloc[1:] > 0).all()
    np.testing.assert_allclose(table["genuine"], table["probability"], atol=3.0)
    too_sure = reliability("list", 3.0 * ratios, labels)
    assert (too_sure["genuine"] - too_sure["probability"]).iloc[0] > 3.0


def test_score_is_minus_the_squared_distance_of_the_two_embeddings() -> None:
    faces, voices = stores(0.7)
    result = evaluate(NoisyEncoder(1, 0.0), settings(), planted_lists(faces, voices), faces, voices)
    for task, left, right in (("cross_modal", voices, faces), ("face", faces, faces), ("voice", voices, voices)):
        row = result.scores[result.scores["task"] == task].iloc[7]
        distance = np.square(left.matrix[row["left_row"]] - right.matrix[row["right_row"]]).sum()
        assert row["score_0"] == pytest.approx(-distance, abs=1e-5)


def test_matching_equals_a_plain_loop() -> None:
    faces, voices = stores(0.7)
    result = evaluate(NoisyEncoder(1, 0.0), settings(), planted_lists(faces, voices), faces, voices)
    sides = {"f2v": (faces, voices), "v2f": (voices, faces), "f2f": (faces, faces)}
    for task, (left, right) in sides.items():
        for size in (2, 4):
            found = 0
            for probe in probes("unseen_unheard", task).itertuples():
                gallery = [probe.genuine_row, *probe.impostor_rows[: size - 1]]
                distances = [np.square(left.matrix[probe.probe_row] - right.matrix[row]).sum() for row in gallery]
                found += distances[0] < min(distances[1:])
            figures = result.metrics["matching"][task][str(size)]
            assert figures["accuracy"] == pytest.approx(100 * found / (len(PEOPLE) * EACH), abs=1e-5)
            assert figures["accuracy_low"] <= figures["accuracy"] <= figures["accuracy_high"]
    assert result.matching["size"].tolist() == [2, 4]
    assert result.matching["f2v"].tolist() == pytest.approx(
        [result.metrics["matching"]["f2v"][size]["accuracy"] for size in ("2", "4")], abs=1e-4
    )
    assert result.matching["v2v"].isna().all()


def test_embeddings_without_noise_are_perfect_in_everything() -> None:
    faces, _ = stores(0.0)
    lists = planted_lists(faces, faces)
    metrics = evaluate(NoisyEncoder(1, 0.0), settings(), lists, faces, faces).metrics
    for task in ("cross_modal", "face", "voice"):
        figures = metrics["verification"][task]["random"]
        assert (figures["eer"], figures["auc"], figures["min_dcf"]) == (0.0, 100.0, 0.0)
    assert metrics["matching"]["f2v"]["4"]["accuracy"] == 100.0
    for direction in ("v2f", "f2v"):
        assert metrics["retrieval"][direction]["recall_1"] == 100.0
        assert metrics["retrieval"][direction]["mean_average_precision"] == 100.0


def test_collapsed_embeddings_are_chance_and_never_win_a_tie() -> None:
    faces, voices = stores(0.0)
    lists = planted_lists(faces, voices)
    one = np.tile(faces.matrix[:1], (len(faces.matrix), 1))
    flat = type(faces)(one, faces.index, {}), type(voices)(one, voices.index, {})
    metrics = evaluate(NoisyEncoder(1, 0.0), settings(), lists, *flat).metrics
    figures = metrics["verification"]["cross_modal"]["random"]
    assert (figures["eer"], figures["auc"], figures["min_dcf"]) == (50.0, 50.0, 1.0)
    assert metrics["matching"]["f2v"]["2"]["accuracy"] == 0.0


def test_lists_the_protocol_lacks_are_absent_not_zero() -> None:
    _, voices = stores(0.7)
    nobody = type(voices)(np.empty((0, 16), dtype=np.float32), voices.index.iloc[:0], {})
    protocol = tables([trials("unseen_unheard", "voice", "random")], [])
    result = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, nobody, voices), nobody, voices)
    assert set(result.metrics) == {"verification", "calibration"}
    assert set(result.metrics["verification"]) == {"voice"}
    assert "eer_std" not in result.metrics["verification"]["voice"]["random"]
    assert set(result.roc["list"]) == {"voice.random"}
    assert result.matching.columns.tolist() == ["size", "task", "accuracy", "f2v", "v2f", "f2f", "v2v"]
    assert not len(result.matching)


@pytest.mark.parametrize(
    ("modality", "task", "direction"),
    [("both", "cross_modal", "v2f"), ("voice", "voice", "v2v"), ("face", "face", "f2f")],
)
def test_curves_are_of_the_task_that_a_run_was_trained_for(modality: str, task: str, direction: str) -> None:
    faces, voices = stores(0.7)
    verification = [trials("unseen_unheard", name, "random", seed=2) for name in ("cross_modal", "face", "voice")]
    galleries = [probes("unseen_unheard", name) for name in ("f2v", "v2f", "f2f", "v2v")]
    lists = lists_of(tables(verification, galleries), faces, voices)
    result = evaluate(NoisyEncoder(2, 0.1), settings(), lists, faces, voices, modality)
    assert set(result.roc["list"]) == set(result.det["list"]) == {f"{task}.random"}
    area = np.trapezoid(result.roc["true_accept_rate"], result.roc["false_accept_rate"]) / 100
    assert area == pytest.approx(result.metrics["verification"][task]["random"]["auc"], abs=0.5)
    assert set(result.matching["task"]) == {direction}
    assert result.matching["accuracy"].equals(result.matching[direction])
    assert set(result.metrics) == {"verification", "matching", "retrieval", "calibration"}
    assert set(result.reliability["list"]) == {f"{task}.random"}


def test_run_whose_own_lists_are_absent_has_no_curve_of_another_task(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faces, voices = stores(0.7)
    protocol = tables([trials("unseen_unheard", "cross_modal", "random")], [probes("unseen_unheard", "v2f")])
    result = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices, "voice")
    assert "no random test list of task voice" in caplog.text
    assert result.matching["v2f"].notna().all()
    assert result.matching[["task", "accuracy"]].isna().all(axis=None)
    write_evaluation(tmp_path, result, {"rule": "last"}, "voice")
    assert (tmp_path / "roc.csv").read_text() == "list,false_accept_rate,true_accept_rate\n"
    assert (tmp_path / "det.csv").read_text() == "list,false_accept_rate,false_reject_rate\n"


def test_validation_trials_play_no_part() -> None:
    faces, voices = stores(0.7)
    other = trials("unseen_unheard", "cross_modal", "random", seed=9).assign(subset="validation")
    protocol = tables([trials("unseen_unheard", "cross_modal", "random"), other], [])
    result = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices)
    assert result.metrics["verification"]["cross_modal"]["random"]["trials"] == 240


def test_list_with_one_kind_of_trial_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    faces, voices = stores(0.7)
    genuine = trials("unseen_unheard", "cross_modal", "GNA").query("label == 1")
    protocol = tables([trials("unseen_unheard", "cross_modal", "random"), genuine], [])
    metrics = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices).metrics
    assert set(metrics["verification"]["cross_modal"]) == {"random"}
    assert "unseen_unheard/cross_modal/GNA has 120 trials of one kind only" in caplog.text


@pytest.mark.parametrize(("modality", "task"), [("both", "cross_modal"), ("face", "face")])
def test_summary_is_the_headline_of_what_a_run_was_trained_on(tmp_path: Path, modality: str, task: str) -> None:
    faces, voices = stores(0.7)
    result = evaluate(NoisyEncoder(2, 0.1), settings(), planted_lists(faces, voices), faces, voices)
    write_evaluation(tmp_path, result, {"rule": "validation"}, modality)
    summary = json.loads((tmp_path / "summary.json").read_text())
    figures = result.metrics["verification"][task]["random"]
    assert list(summary) == ["eer", "eer_std", "auc", "auc_std", "min_dcf", "cllr", "min_cllr", "identities"]
    assert summary == {key: figures[key] for key in summary}
    line = described(result.metrics, modality)
    assert line.startswith(f"EER {figures['eer']:.1f} ± {figures['eer_std']:.1f} %, AUC {figures['auc']:.1f} ± ")
    assert line.endswith(f"on {figures['identities']} people")


def test_run_whose_own_list_is_absent_has_an_empty_summary(tmp_path: Path) -> None:
    faces, voices = stores(0.7)
    protocol = tables([trials("unseen_unheard", "cross_modal", "random")], [])
    result = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices)
    write_evaluation(tmp_path, result, {"rule": "last"}, "voice")
    assert json.loads((tmp_path / "summary.json").read_text()) == {}
    assert described(result.metrics, "voice") == "no rates on a random list of what it was trained on"


def test_people_without_names_are_neither_counted_nor_retrieved(tmp_path: Path) -> None:
    faces, voices = stores(0.7)
    verification = [trials("unseen_unheard", "cross_modal", name) for name in ("random", "G")]
    protocol = tables([*verification, trials("seen_heard", "cross_modal", "random")], [])
    object.__setattr__(protocol, "summary", {"parity_lists": ["random_unseenunheard"]})
    result = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices)
    lists = result.metrics["verification"]["cross_modal"]
    assert "identities" not in lists["random"] and lists["G"]["identities"] == len(PEOPLE)
    assert result.metrics["seen_heard"]["verification"]["cross_modal"]["random"]["identities"] == len(PEOPLE)
    assert "retrieval" not in result.metrics
    assert described(result.metrics, "both").endswith(" %, on people unknown")
    write_evaluation(tmp_path, result, {"rule": "last"})
    assert list(json.loads((tmp_path / "summary.json").read_text())) == ["eer", "auc", "min_dcf", "cllr", "min_cllr"]


def test_sizes_beyond_the_galleries_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    faces, voices = stores(0.7)
    lists = planted_lists(faces, voices)
    held = len(probes("unseen_unheard", "f2v").iloc[0]["impostor_rows"]) + 1
    evaluate(NoisyEncoder(1, 0.0), settings(matching_sizes=[2, held]), lists, faces, voices)
    assert "no matching among" not in caplog.text
    found = evaluate(NoisyEncoder(1, 0.0), settings(matching_sizes=[2, held + 1, 20]), lists, faces, voices)
    assert caplog.text.count(f"hold {held} candidates (protocol.gallery_size): no matching among {held + 1}, 20") == 1
    assert set(found.metrics["matching"]["f2v"]) == {"2", "probes", "identities"}


def test_nothing_to_evaluate_is_refused() -> None:
    faces, voices = stores(0.7)
    protocol = tables([trials("unseen_unheard", "cross_modal", "G")], [])
    with pytest.raises(ProtocolError, match="nothing to evaluate"):
        evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices)


def test_official_grid_replaces_the_exact_rates_when_asked() -> None:
    faces, voices = stores(0.7)
    lists = planted_lists(faces, voices)
    result = evaluate(NoisyEncoder(1, 0.0), settings(rates="official_grid"), lists, faces, voices)
    table = result.scores[(result.scores["criterion"] == "random") & (result.scores["task"] == "face")]
    rates = official_rates(-table["score_0"], table["label"])
    figures = result.metrics["verification"]["face"]["random"]
    found = [figures[key] for key in ("eer", "auc", "accuracy", "eer_exact")]
    exact = equal_error_rate(table["score_0"], table["label"])
    assert found == pytest.approx([rates.eer, rates.auc, rates.accuracy, exact], abs=1e-5)


def test_scores_that_are_no_distances_of_unit_vectors_keep_their_exact_rates_on_the_official_grid() -> None:
    class Long(NoisyEncoder):
        def embed(self, modality: str, matrix: np.ndarray) -> np.ndarray:
            return np.float32(9.0) * super().embed(modality, matrix)

    faces, voices = stores(0.7)
    lists, grid = planted_lists(faces, voices), settings(rates="official_grid")
    found = evaluate(Long(1, 0.0), grid, lists, faces, voices).metrics["verification"]["face"]["random"]
    unit = evaluate(NoisyEncoder(1, 0.0), grid, lists, faces, voices).metrics["verification"]["face"]["random"]
    assert [found["eer"], found["auc"]] == pytest.approx([unit["eer_exact"], unit["auc_exact"]], abs=1e-4)
    assert "eer_exact" not in found and "accuracy" not in found


def test_scores_of_a_model_that_compares_no_embeddings_are_not_put_on_the_official_grid() -> None:
    class Shares(NoisyEncoder):
        """Scores within (-1, 0) that rise with the cosine, as a fusion's do."""

        compares = "pairs"

        def score(self, left: str, probes: np.ndarray, right: str, candidates: np.ndarray) -> np.ndarray:
            return ((np.einsum("pd,pgd->pg", probes, candidates)[None] - 1.0) / 2.0).astype(np.float32)

    faces, voices = stores(0.7)
    lists, grid = planted_lists(faces, voices), settings(rates="official_grid")
    found = evaluate(Shares(1, 0.0), grid, lists, faces, voices).metrics["verification"]["face"]["random"]
    unit = evaluate(NoisyEncoder(1, 0.0), grid, lists, faces, voices).metrics["verification"]["face"]["random"]
    assert [found["eer"], found["auc"]] == pytest.approx([unit["eer_exact"], unit["auc_exact"]], abs=1e-3)
    assert "eer_exact" not in found and "accuracy" not in found


def test_list_too_short_for_the_official_folds_is_left_out_by_name(caplog: pytest.LogCaptureFixture) -> None:
    faces, voices = stores(0.7)
    short = trials("unseen_unheard", "cross_modal", "G", count=8)
    protocol = tables([trials("unseen_unheard", "cross_modal", "random"), short], [])
    lists = lists_of(protocol, faces, voices)
    metrics = evaluate(NoisyEncoder(1, 0.0), settings(rates="official_grid"), lists, faces, voices).metrics
    assert set(metrics["verification"]["cross_modal"]) == {"random"}
    assert "list unseen_unheard/cross_modal/G has 8 trials, too few for 10 folds" in caplog.text
    exact = evaluate(NoisyEncoder(1, 0.0), settings(), lists, faces, voices).metrics
    assert exact["verification"]["cross_modal"]["G"]["trials"] == 8


def test_own_list_too_short_for_the_official_folds_is_refused_with_the_remedy() -> None:
    faces, voices = stores(0.7)
    short = trials("unseen_unheard", "voice", "random", count=8)
    lists = lists_of(tables([trials("unseen_unheard", "cross_modal", "random"), short], []), faces, voices)
    grid = settings(rates="official_grid")
    assert "voice" not in evaluate(NoisyEncoder(1, 0.0), grid, lists, faces, voices).metrics["verification"]
    with pytest.raises(ScoreError, match=r"unseen_unheard/voice/random, .* has 8 trials.*set evaluate.rates: exact"):
        evaluate(NoisyEncoder(1, 0.0), grid, lists, faces, voices, "voice")


def test_without_resamples_there_are_no_intervals() -> None:
    faces, voices = stores(0.7)
    lists = planted_lists(faces, voices)
    metrics = evaluate(NoisyEncoder(1, 0.0), settings(bootstrap=0), lists, faces, voices).metrics
    assert "low" not in json.dumps(metrics)


def test_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    faces, voices = stores(0.7)
    lists = planted_lists(faces, voices)
    for name in ("once", "again"):
        result = evaluate(NoisyEncoder(2, 0.1), settings(), lists, faces, voices)
        write_evaluation(tmp_path / name, result, {"rule": "validation"})
    files = sorted(path.name for path in (tmp_path / "once").iterdir())
    tables_of = ["det.csv", "matching.csv", "metrics.json", "reliability.csv", "roc.csv", "scores.parquet"]
    assert files == [*tables_of, "summary.json"]
    for name in files:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    metrics = json.loads((tmp_path / "once" / "metrics.json").read_text())
    assert 0 < metrics["verification"]["cross_modal"]["random"]["eer"] < 50
    assert metrics["selection"] == {"rule": "validation"}
    assert len(pd.read_parquet(tmp_path / "once" / "scores.parquet")) == 5 * 240


def test_released_matching_lists_are_measured_by_criterion() -> None:
    faces, voices = stores(0.7)
    released = probes("unseen_unheard", "v2f", gallery=2).assign(position=range(len(PEOPLE) * EACH))
    released = pd.concat([released.assign(criterion="U"), released.iloc[:30].assign(criterion="GN")])
    protocol = tables([trials("unseen_unheard", "cross_modal", "random")], [], matching_released=released)
    metrics = evaluate(NoisyEncoder(1, 0.0), settings(), lists_of(protocol, faces, voices), faces, voices).metrics
    assert set(metrics["matching_released"]["v2f"]) == {"U", "GN"}
    assert set(metrics["matching_released"]["v2f"]["GN"]) == {"2", "probes", "identities"}
    assert metrics["matching_released"]["v2f"]["GN"]["probes"] == 30
    assert "matching" not in metrics


def test_a_list_by_language_is_measured_as_any_other() -> None:
    faces, voices = stores(0.7)
    verification = [
        trials("unseen_unheard", "cross_modal", name, seed=seed) for seed, name in enumerate(("random", "L"))
    ]
    lists = lists_of(tables(verification, []), faces, voices)
    measured = evaluate(NoisyEncoder(1, 0.0), settings(), lists, faces, voices).metrics["verification"]["cross_modal"]
    assert set(measured) == {"random", "L"} and measured["L"]["trials"] == 240
    assert set(measured["L"]) == set(measured["random"])
