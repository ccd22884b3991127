"""What the benchmark's world holds, that its limit is one, that its control is one; and the whole of it, small."""

import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.manifest.schema import read_manifest
from pipeline.metrics import roc_auc
from tools.benchmarks.voxceleb_scale import methods
from tools.benchmarks.voxceleb_scale import planted as world_of
from tools.benchmarks.voxceleb_scale.control import exchanged, interval
from tools.benchmarks.voxceleb_scale.methods import Bench, described, entries, every_method, figures
from tools.benchmarks.voxceleb_scale.oracle import limits, log_likelihood_ratios
from tools.benchmarks.voxceleb_scale.planted import FACE, VOICE, Planted, Strengths, planted
from tools.benchmarks.voxceleb_scale.world import Size, open_world

ROOT = Path(__file__).resolve().parents[3]
NOTHING = Strengths(gender=0.0, age=0.0, accent=0.0, shared=0.0)
ATTRIBUTES = Strengths(shared=0.0)
TINY = Size(train=12, validation=4, test=6, pairs_a_person=4, trials=40)


def explained(world: Planted) -> float:
    """Share of the variance of unseen people's mean voices that a linear map of their faces foretells."""
    people = len(world.people.age)
    faces, voices = (rows.vectors.reshape(people, -1, 512).mean(1) for rows in (world.faces, world.voices))
    faces, voices = faces - faces.mean(0), voices - voices.mean(0)
    half = people // 2
    ridge = faces[:half].T @ faces[:half] + np.eye(512)
    weights = np.linalg.solve(ridge, faces[:half].T @ voices[:half])
    return float(1.0 - (voices[half:] - faces[half:] @ weights).var() / voices[half:].var())


def trials(people: int, rows: int, rng: np.random.Generator, count: int = 4000) -> tuple[np.ndarray, ...]:
    """Rows of faces, rows of voices and labels, half of them genuine."""
    left = rng.integers(0, people, count)
    right = np.where(np.arange(count) % 2 == 0, left, (left + rng.integers(1, people, count)) % people)
    at = (owner * rows + rng.integers(0, rows, count) for owner in (left, right))
    return (*at, (left == right).astype(np.int64))


def test_faces_foretell_voices_as_far_as_something_is_shared_and_no_further() -> None:
    assert explained(planted(800, 4, 2, 0, NOTHING, NOTHING)) < 0.01
    assert explained(planted(800, 4, 2, 0, ATTRIBUTES, ATTRIBUTES)) > 0.1


def test_without_strengths_nobody_is_better_than_chance() -> None:
    world = planted(200, 2, 2, 0, NOTHING, NOTHING)
    faces, voices, labels = trials(200, 4, np.random.default_rng(1))
    ratios = log_likelihood_ratios(world, faces, voices, NOTHING, NOTHING)
    np.testing.assert_allclose(ratios, 0.0, atol=1e-9)
    scores = (world.faces.vectors[faces] * world.voices.vectors[voices]).sum(1)
    assert 47.0 < roc_auc(scores, labels) < 53.0


def test_attributes_alone_tell_nobody_from_impostors_who_have_the_same() -> None:
    world = planted(3000, 1, 1, 0, ATTRIBUTES, ATTRIBUTES)
    people = pd.DataFrame({"gender": world.people.gender, "age": world.people.age, "nation": world.people.nationality})
    groups = [group for group in people.groupby(list(people)).indices.values() if len(group) > 1]
    genuine = np.concatenate(groups)
    impostor = np.concatenate([np.roll(group, 1) for group in groups])
    labels = np.repeat([1, 0], len(genuine))
    faces, voices = np.tile(genuine, 2), np.concatenate([genuine, impostor])
    within = roc_auc(log_likelihood_ratios(world, faces, voices, ATTRIBUTES, ATTRIBUTES), labels)
    assert len(genuine) > 1000 and 47.0 < within < 53.0
    anybody = np.concatenate([genuine, np.random.default_rng(0).permutation(genuine)])
    assert roc_auc(log_likelihood_ratios(world, faces, anybody, ATTRIBUTES, ATTRIBUTES), labels) > 80.0


def test_ratios_are_those_of_a_sum_over_everything_that_a_person_may_be() -> None:
    face, voice = replace(FACE, shared=1.5, age=1.0, gender=0.7), replace(VOICE, shared=0.8, accent=1.5)
    world = planted(6, 1, 2, 3, face, voice)
    faces, voices = np.array([0, 5, 8]), np.array([1, 2, 3])
    found = log_likelihood_ratios(world, faces, voices, face, voice)
    for ratio, i, j in zip(found, faces, voices, strict=True):
        f, v = world.faces.seen[i].astype(float), world.voices.seen[j].astype(float)
        a, b = world.faces.deviation[i], world.voices.deviation[j]
        one = two_f = two_v = 0.0
        for gender, age, nation in product("fm", range(18, 81), range(len(world_of.NATIONALITIES))):
            share = world_of.WOMEN if gender == "f" else 1.0 - world_of.WOMEN
            below, above = (-np.inf if age == 18 else age - 0.5), (np.inf if age == 80 else age + 0.5)
            share *= np.diff(stats.norm.cdf([below, above], *world_of.AGES[gender]))[0]
            shares = list(world_of.NATIONALITIES.values())
            share *= shares[nation] / sum(shares)
            sign = 1.0 if gender == "f" else -1.0
            old = (age - world_of.AGE_MEAN) / world_of.AGE_SCALE
            accent = world_of.accents()[nation]
            seen = [
                stats.norm.pdf(x[:3], [own.gender * sign, own.age * old, own.accent * accent], deviation).prod()
                for x, own, deviation in ((f, face, a), (v, voice, b))
            ]
            one, two_f, two_v = one + share * seen[0] * seen[1], two_f + share * seen[0], two_v + share * seen[1]
        expected = np.log(one / (two_f * two_v)) + shared_ratio(f[3:], v[3:], a, b, face.shared, voice.shared)
        assert ratio == pytest.approx(expected, rel=1e-6, abs=1e-6)


def shared_ratio(f: np.ndarray, v: np.ndarray, a: float, b: float, s: float, t: float) -> float:
    """Of the shared latent, by densities of pairs."""
    covariance = [[s * s + a * a, s * t], [s * t, t * t + b * b]]
    alone = [stats.norm.pdf(x, 0.0, np.hypot(k, d)).prod() for x, k, d in ((f, s, a), (v, t, b))]
    pair = stats.multivariate_normal.pdf(np.column_stack([f, v]), cov=covariance).prod()
    return float(np.log(pair / (alone[0] * alone[1])))


def test_rows_are_unit_vectors_sorted_by_person_and_the_same_again() -> None:
    world, again, other = planted(10, 3, 2, 5), planted(10, 3, 2, 5), planted(10, 3, 2, 6)
    assert world.faces.vectors.shape == world.voices.vectors.shape == (60, 512)
    assert world.faces.person.tolist() == sorted(list(range(10)) * 6)
    for rows in (world.faces, world.voices):
        assert rows.vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows.vectors, axis=1), 1.0, atol=1e-5)
    assert world.voices.vectors.min() == 0.0 and world.faces.vectors.min() < 0.0
    assert np.array_equal(world.faces.vectors, again.faces.vectors)
    assert np.array_equal(world.voices.vectors, again.voices.vectors)
    assert not np.array_equal(world.faces.vectors, other.faces.vectors)


def test_people_have_the_attributes_of_voxceleb1() -> None:
    people = planted(4000, 1, 1, 0).people
    women = people.gender == "f"
    assert women.mean() == pytest.approx(0.448, abs=0.03)
    assert (people.nationalities == "usa").mean() == pytest.approx(0.64, abs=0.03)
    same_age = people.age[:, None] // 10 == people.age // 10
    np.fill_diagonal(same_age, False)
    assert (women[:, None] == women)[same_age].mean() == pytest.approx(0.58, abs=0.02)


def test_a_project_is_split_as_asked_and_found_again_but_not_as_another_one(tmp_path: Path) -> None:
    world = open_world(tmp_path, TINY, seed=0, seeds=[0])
    artifacts = tmp_path / "artifacts"
    manifest = read_manifest(artifacts / "manifest.parquet")
    assert manifest["gender"].notna().all() and manifest["item"].is_monotonic_increasing
    identities = pd.read_parquet(artifacts / "protocol" / "identities.parquet")
    assert identities["split"].value_counts().to_dict() == {"train": 12, "test": 6, "validation": 4}
    written = (artifacts / "faces").stat().st_mtime_ns
    assert np.array_equal(open_world(tmp_path, TINY, seed=0, seeds=[0]).faces.vectors, world.faces.vectors)
    assert (artifacts / "faces").stat().st_mtime_ns == written
    with pytest.raises(RuntimeError, match="holds another world"):
        open_world(tmp_path, TINY, seed=1, seeds=[0])
    found = limits(world, artifacts / "protocol")
    assert set(found) == {"auc", "auc_g", "auc_a", "eer"} and found["auc"] > 70.0


def test_every_method_is_there_once_whatever_orders_it_is_tried_in() -> None:
    names, known = every_method(), entries()
    assert {"official_single_fop", "single_fop", "single_git", "two_fop", "dimnet", "cca"} <= set(names)
    assert not {"single_fop_random", "single_git_hefhev", "alternate_3"} & set(names)
    methods = {entry.get("method", "sbnet") for entry in known.values()}
    assert {known[name].get("method", "sbnet") for name in names} == methods


def test_figures_are_of_what_a_run_is_judged_on_and_absent_where_it_has_none() -> None:
    rates = {"eer": 20.0, "eer_std": 1.0, "auc": 88.0, "auc_low": 80.0, "auc_high": 90.0}
    metrics = {"verification": {"voice": {"random": rates}}, "matching": {"v2f": {"2": {"accuracy": 83.0}}}}
    found = figures(metrics, "voice")
    assert found["eer"] == 20.0 and found["eer_std"] == 1.0 and found["auc_low"] == 80.0 and found["v2f_2"] == 83.0
    assert "auc_g" not in found and "f2v_2" not in found
    assert described({"run": "voice_only", **found}).split() == ["voice_only", "20.0", "±", "1.0", "88.0", "83.0"]


def test_control_gives_every_class_the_voices_of_one_other_and_tears_gender_apart() -> None:
    people = 40
    gender = np.array(["f", "m"])[np.arange(people) % 2]
    identities = pd.DataFrame({"class_index": np.arange(people), "gender": gender})
    identities = pd.concat([identities, pd.DataFrame({"class_index": [-1, -1], "gender": ["f", "m"]})])
    classes = np.repeat(np.arange(people), 6)
    pairs = pd.DataFrame({"face_row": np.arange(240), "voice_row": np.arange(240), "class_index": classes})
    found = exchanged(pairs, identities, seed=3)
    assert found["face_row"].equals(pairs["face_row"])
    owners = found["voice_row"].to_numpy() // 6
    one_owner = found.assign(owner=owners).groupby("class_index")["owner"].agg(["nunique", "first"])
    assert (one_owner["nunique"] == 1).all()
    assert sorted(one_owner["first"]) == list(range(people))
    assert (one_owner["first"] != one_owner.index).all()
    assert (gender[one_owner["first"]] == gender).mean() == 0.5


def test_control_is_judged_by_how_far_exchanges_differ() -> None:
    found = [53.1, 48.4, 47.5, 52.6, 51.1, 52.6]
    mean, low, high = interval(found)
    expected = stats.ttest_1samp(found, 50.0).confidence_interval(0.95)
    assert mean == pytest.approx(np.mean(found)) and (low, high) == pytest.approx(tuple(expected))
    assert interval([57.0, 56.0, 57.5])[1] > 50.0


def test_results_of_other_settings_are_not_taken_for_those_asked_for(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train: {seeds: [0]}")
    (tmp_path / "results.csv").write_text("run,eer\n")

    def bench(epochs: int) -> Bench:
        return Bench(tmp_path, epochs, [1e-3], 0, lambda line: None)

    for _ in range(2):
        assert bench(4).results([]).empty
    with pytest.raises(
        RuntimeError, match=r"holds results of .*'epochs': 4.*, and not of .*'epochs': 5.*another --folder"
    ):
        bench(5).results([])


def test_a_run_whose_entry_or_code_has_changed_is_done_again_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    known: dict[str, dict[str, object]] = {"mine": {"loss": "fop"}, "other": {"loss": "ce"}}

    def result(bench: Bench, name: str, digest: str) -> dict[str, object]:
        done.append(name)
        return {"run": name, "digest": digest, "eer": float(len(done))}

    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.setattr(Bench, "_result", result)
    monkeypatch.setattr(methods, "entries", lambda: known)
    (tmp_path / "results.csv").write_text("run,eer\nmine,99.0\n")  # of a version that wrote no digest

    def errors() -> list[float]:
        return list(Bench(tmp_path, 4, [1e-3], 0, lambda line: None).results(["mine", "other"])["eer"])

    assert errors() == errors() == [1.0, 2.0]
    known["mine"]["learning_rate"] = 0.5
    assert errors() == errors() == [3.0, 2.0]
    monkeypatch.setattr(methods, "code_of", lambda settings: {"pipeline/methods/sbnet.py": "other code"})
    assert errors() == errors() == [4.0, 5.0]


def test_rates_that_were_tried_with_other_settings_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def stage(folder: Path, *arguments: str) -> None:
        if arguments[1] == "stages.train":
            trained.append(arguments[2])
            history = folder / "artifacts" / "runs" / arguments[2] / "history.csv"
            history.parent.mkdir(parents=True, exist_ok=True)
            history.write_text(f"epoch,validation_eer\n1,{20 + len(trained)}\n")

    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.setattr(methods, "run", stage)
    bench = Bench(tmp_path, 4, [1e-3, 1e-2], 0, lambda line: None)
    for digest in ("12345678", "12345678", "1e5"):
        assert bench._best_rate("mine", {"loss": "fop"}, digest) == 1e-3
    assert trained == ["mine-rate1e-03", "mine-rate1e-02"] * 2


@pytest.mark.stage
@pytest.mark.slow
def test_small_world_beats_chance_its_control_does_not_and_nothing_is_done_twice(tmp_path: Path) -> None:
    people = ["--train", "60", "--validation", "10", "--test", "20", "--trials", "2000", "--epochs", "4"]
    runs = ["--methods", "official_single_fop", "two_infonce", "cca", "--controls", "two_infonce", "--seeds", "0", "1"]
    runs += ["--exchanges", "3"]
    command = [sys.executable, "-m", "tools.benchmarks.voxceleb_scale", "--folder", str(tmp_path), *people, *runs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every run beats chance, no control does" in done.stdout
    results = pd.read_csv(tmp_path / "planted" / "results.csv")
    assert results["run"].tolist() == ["official_single_fop", "two_infonce", "cca"]
    candidates = pd.read_csv(tmp_path / "planted" / "candidates.csv")
    assert set(candidates["run"]) == {"two_infonce"}  # neither recipe official nor a closed form is searched
    best = candidates.loc[candidates["validation_eer"].idxmin(), "learning_rate"]
    assert results.set_index("run").loc["two_infonce", "learning_rate"] == best
    assert "control two_infonce: AUC of impostors alike" in done.stdout and "3 exchanges" in done.stdout
    tried = [tmp_path / f"control_{number}" for number in (1, 2, 3)]
    assert not any((control / "candidates.csv").exists() for control in tried)  # of a control nothing is chosen
    assert len({pd.read_csv(control / "results.csv")["auc"][0] for control in tried}) == 3
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")} == trained
