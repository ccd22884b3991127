"""The header says what is not to be trusted."""

import json
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.report.header import report_header
from pipeline.report.leaks import Leak, provenance_of, used_weights
from pipeline.report.runs import read_runs
from tests.pipeline.report.project import shipped_params, write_artifacts, write_params, write_results

SUMMARY: dict[str, object] = {
    "source": "generated",
    "seed": 0,
    "identities": {"train": 901, "validation": 100, "test": 250},
}

LIMITS = (  # of the intervals
    "none where they are too few; near rates of 0 or 100 too narrow where they are few "
    "(tools/benchmarks/README.md, interval_coverage)"
)


def weights(description: str, trained_on: list[str], stand_in: bool = False) -> dict[str, object]:
    """Provenance of a store, as far as its weights go."""
    return {"weights": {"description": description, "trained_on": trained_on, "stand_in": stand_in}}


OFFICIAL = weights("official (Xie et al.)", ["VoxCeleb2"])


def header(
    tmp_path: Path, voice: dict[str, object], leaks: list[Leak], source: str = "generated", **changes: dict[str, object]
) -> tuple[str, ...]:
    raw = shipped_params()
    for section, values in changes.items():
        raw[section] = raw[section] | values
    params = write_params(tmp_path, raw)
    stores = {"face": weights("vggface2", ["VGGFace2"]), "voice": voice}
    found = report_header(params, read_runs(params, tmp_path / "runs"), stores, SUMMARY | {"source": source}, leaks)
    assert ("Voice weights", used_weights(voice).description) in found.lines
    assert any("1251 identities (901 to train, 100 to choose, 250 to test)" in value for _, value in found.lines)
    return found.warnings


def test_untrained_weights_are_named_a_stand_in(tmp_path: Path) -> None:
    first = header(tmp_path, weights("untrained (seed 0): a stand-in", [], stand_in=True), [])[0]
    assert first.startswith("STAND-IN weights: the voice network is untrained")


def test_distilled_weights_are_not_passed_off_as_the_official_ones(tmp_path: Path) -> None:
    first = header(tmp_path, weights("distilled (ours, from another)", ["LibriSpeech"], stand_in=True), [])[0]
    assert "STAND-IN" in first
    assert "distilled (ours, from another)" in first


def test_official_weights_on_the_released_lists_need_no_warning(tmp_path: Path) -> None:
    own = {"media": "/data/voxceleb1"}
    assert header(tmp_path, OFFICIAL, [], "voxceleb_lists", manifest=own) == ()


def test_other_corpora_are_reported_as_not_comparable(tmp_path: Path) -> None:
    assert "synthetic people" in header(tmp_path, OFFICIAL, [])[-1]
    assert "not comparable" in header(tmp_path, OFFICIAL, [], manifest={"media": "/data/mine"})[-1]


def test_feature_files_are_the_corpus_where_nothing_was_extracted(tmp_path: Path) -> None:
    params = write_params(tmp_path, shipped_params() | {"features": {"source": "csv", "folder": "my/features"}})
    found = report_header(params, [], {}, {"source": "voxceleb_lists"}, [])
    assert found.lines[0] == ("Corpus", "my/features: counts unknown")
    assert found.warnings == ()


def test_figures_of_feature_files_are_comparable_only_if_the_files_are_the_authors(tmp_path: Path) -> None:
    params = write_params(tmp_path, shipped_params() | {"features": {"source": "csv", "folder": "my/features"}})
    found = report_header(params, [], {}, {"source": "csv_features", "seed": 0, "parity_lists": []}, [])
    assert dict(found.lines)["Lists"].endswith("training and test people are disjoint cannot be seen from them")
    (caution,) = found.warnings
    assert caution.startswith("Features were read from CSV files in my/features, not extracted here.")
    assert "comparable with the paper's only if these are the authors' own files" in caution
    by_parity = {"source": "csv_features", "parity_lists": ["N_unseenunheard"]}
    *_, guessed = report_header(params, [], {}, by_parity, []).warnings
    assert guessed.startswith("Labels by row parity: of N_unseenunheard,")


def test_people_without_names_are_not_counted(tmp_path: Path) -> None:
    params = write_params(tmp_path, shipped_params() | {"features": {"source": "csv", "folder": "my/features"}})
    summary = SUMMARY | {"source": "csv_features", "parity_lists": ["random_unseenunheard"]}
    lines = dict(report_header(params, [], {}, summary, []).lines)
    unknown = "people unknown, because no released list beside the features names them"
    assert lines["Corpus"] == f"my/features: {unknown}"
    assert lines["EER and AUC"].endswith(
        "; those of random_unseenunheard treat every trial as of its own people and so are too narrow"
    )
    named = report_header(params, [], {}, summary | {"parity_lists": []}, []).lines
    assert dict(named)["Corpus"].startswith("my/features: 1251 identities (")
    assert dict(named)["EER and AUC"].endswith(f"of the test identities, {LIMITS}")


def test_extractor_that_knows_test_identities_is_named(tmp_path: Path) -> None:
    leak = Leak("face", "vggface", "all", "VGGFace1 contains them")
    assert header(tmp_path, OFFICIAL, [leak])[0].startswith("LEAK: the face extractor (vggface) may know all")


def test_extractor_whose_training_people_are_not_known_may_know_some_or_none(tmp_path: Path) -> None:
    leak = Leak("voice", "mine.h5", "unknown", "whom it met is not recorded")
    assert header(tmp_path, OFFICIAL, [leak])[0] == (
        "LEAK: the voice extractor (mine.h5) may know some of the test identities, or none: "
        "whom it met is not recorded."
    )


def test_models_chosen_on_the_test_list_are_marked(tmp_path: Path) -> None:
    write_artifacts(tmp_path)
    write_results(tmp_path, ["single_fop"])
    warnings = header(tmp_path, OFFICIAL, [], train={"recipe": "official", "selection": "test"})
    assert any("chosen on the test list" in warning for warning in warnings)


def test_header_says_that_intervals_are_of_the_exact_rates_beside_the_official_grid(tmp_path: Path) -> None:
    raw = shipped_params()
    raw["evaluate"] |= {"rates": "official_grid"}
    line = dict(report_header(write_params(tmp_path, raw), [], {}, SUMMARY, []).lines)["EER and AUC"]
    assert line.startswith("ten folds on a grid of 0.01")
    assert line.endswith(f"of the test identities, of the exact rates always, {LIMITS}")


def test_header_names_the_runs_whose_rates_are_exact_all_the_same(tmp_path: Path) -> None:
    raw = shipped_params()
    raw["evaluate"] |= {"rates": "official_grid"}
    params = write_params(tmp_path, raw)
    write_artifacts(tmp_path)
    write_results(tmp_path, ["aml", "single_fop"])
    path = tmp_path / "runs" / "single_fop" / "metrics.json"
    metrics = json.loads(path.read_text())
    for groups in metrics["verification"].values():
        for group in groups.values():
            group |= {"eer_exact": group["eer"]}
    path.write_text(json.dumps(metrics))
    line = dict(report_header(params, read_runs(params, tmp_path / "runs"), {}, SUMMARY, []).lines)["EER and AUC"]
    assert "(exact for aml: the grid is one of distances of unit vectors, which their scores are not)" in line


def test_seen_heard_trials_of_people_kept_from_training_are_named(tmp_path: Path) -> None:
    params = write_params(tmp_path, shipped_params() | {"features": {"source": "csv", "folder": "my/features"}})
    write_artifacts(tmp_path)
    write_results(tmp_path, ["single_fop"])
    runs = read_runs(params, tmp_path / "runs")
    summary = {"source": "csv_features", "validation_of_labels": 108}
    warnings = report_header(params, runs, {}, summary, []).warnings
    assert any(one.startswith("108 people of the training files were kept from training") for one in warnings)
    summary["validation_of_labels"] = 0
    assert not any("kept from training" in one for one in report_header(params, runs, {}, summary, []).warnings)


def test_released_checkpoints_on_voxceleb1s_people_outside_their_test_split_are_a_leak(tmp_path: Path) -> None:
    raw = shipped_params()
    raw["experiments"] = {"theirs": {"checkpoint": "theirs.pth.tar"}}
    params = write_params(tmp_path, raw)
    write_artifacts(tmp_path)
    write_results(tmp_path, ["theirs"])
    runs = read_runs(params, tmp_path / "runs")
    for source, voxceleb1, leaks in (("generated", True, 1), ("generated", False, 0), ("voxceleb_lists", True, 0)):
        warnings = report_header(params, runs, {}, {"source": source}, [], voxceleb1).warnings
        assert sum(one.startswith("LEAK: theirs: the authors trained on 901") for one in warnings) == leaks


def test_header_says_how_many_people_each_list_rests_on(tmp_path: Path) -> None:
    write_artifacts(tmp_path)
    params = write_params(tmp_path, shipped_params())
    assert "People tested" not in dict(
        report_header(params, read_runs(params, tmp_path / "runs"), {}, SUMMARY, []).lines
    )
    write_results(tmp_path, ["single_fop"])
    runs = read_runs(params, tmp_path / "runs")
    line = dict(report_header(params, runs, {}, SUMMARY, []).lines)["People tested"]
    counts = runs[0].group("verification", "cross_modal")
    assert line.split(", ") == [f"{name} {group['identities']}" for name, group in counts.items()]
    assert len(counts) == 5


def test_damaged_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "embeddings.safetensors").write_bytes(b"nonsense")
    with pytest.raises(StoreError, match=r"embeddings\.safetensors cannot be read"):
        provenance_of(tmp_path)
