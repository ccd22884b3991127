"""params.yaml: what it refuses, and whether the message helps."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import load_params, run_settings
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def load(raw: object, tmp_path: Path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_params(path)


def refusal(raw: object, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(raw, tmp_path)
    return str(caught.value)


def test_shipped_file_is_valid_and_every_run_of_it() -> None:
    params = load_params(ROOT / "params.yaml")
    for run in params.experiments:
        assert run_settings(params, run).epochs >= 1


def test_unknown_key_is_named_with_the_likely_one(raw, tmp_path) -> None:
    raw["train"]["epochz"] = 3
    message = refusal(raw, tmp_path)
    assert "train.epochz: unknown key" in message and "'epochs'" in message


def test_unknown_section_is_named_with_the_likely_one(raw, tmp_path) -> None:
    raw["protocoll"] = raw.pop("protocol")
    message = refusal(raw, tmp_path)
    assert "protocoll: unknown key (did you mean 'protocol'?)" in message
    assert "protocol: missing" in message


def test_wrong_type_is_named_with_what_was_found(raw, tmp_path) -> None:
    raw["detect_faces"]["max_frames"] = "four"
    message = refusal(raw, tmp_path)
    assert "detect_faces.max_frames" in message and "'four'" in message and "integer" in message


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("detect_faces", "frame_rate", 0.0),
        ("embed_faces", "max_skip_ratio", 1.5),
        ("embed_voices", "extractor", 3),
        ("protocol", "test_ratio", 1.5),
        ("train", "dropout", 1.0),
        ("train", "batch_size", 1),
        ("train", "seeds", []),
        ("evaluate", "matching_sizes", [1]),
        ("manifest", "max_skip_ratio", 2.0),
        ("manifest", "identities", ""),
        ("manifest", "identities", None),
        ("manifest", "table", ""),
    ],
)
def test_value_out_of_range_is_named(raw, tmp_path, section, key, value) -> None:
    raw[section][key] = value
    assert f"{section}.{key}" in refusal(raw, tmp_path)


def test_all_problems_come_in_one_message(raw, tmp_path) -> None:
    raw["train"]["epochs"] = 0
    raw["evaluate"]["bootstrap"] = -1
    message = refusal(raw, tmp_path)
    assert "train.epochs" in message and "evaluate.bootstrap" in message and "2 problem(s)" in message


def test_number_that_yaml_reads_as_text_gets_its_remedy(raw, tmp_path) -> None:
    raw["train"]["learning_rate"] = "1e-3"  # what PyYAML makes of a bare 1e-3
    with pytest.raises(ConfigError, match=r"train\.learning_rate: '1e-3' is text to YAML.*1\.0e-5"):
        load(raw, tmp_path)


def test_split_that_leaves_nobody_to_train_on_is_refused(raw, tmp_path) -> None:
    raw["protocol"].update(validation_ratio=0.5, test_ratio=0.5)
    assert "leave no training identities" in refusal(raw, tmp_path)


def test_criteria_without_the_list_that_runs_are_judged_on_are_refused(raw, tmp_path) -> None:
    raw["protocol"]["criteria"] = ["G", "N"]
    assert "protocol: criteria must hold random: models are chosen" in refusal(raw, tmp_path)


def test_mapping_of_which_every_line_was_removed_is_empty(raw, tmp_path) -> None:
    raw["manifest"]["columns"] = None
    assert load(raw, tmp_path).manifest.columns == {}


def test_run_may_override_train_keys_but_not_invent_them(raw, tmp_path) -> None:
    raw["experiments"] = {"long": {"epochs": 7}}
    assert run_settings(load(raw, tmp_path), "long").epochs == 7
    raw["experiments"] = {"long": {"epoch": 7}}
    assert "experiments.long" in refusal(raw, tmp_path)


def test_recipe_lies_between_train_and_run(raw, tmp_path) -> None:
    raw["recipes"]["mine"] = {"epochs": 5, "batch_size": 16}
    raw["experiments"] = {"plain": {"recipe": "mine"}, "own": {"recipe": "mine", "epochs": 9}}
    params = load(raw, tmp_path)
    assert run_settings(params, "plain").epochs == 5
    assert (run_settings(params, "own").epochs, run_settings(params, "own").batch_size) == (9, 16)


def test_unknown_recipe_lists_the_known_ones(raw, tmp_path) -> None:
    raw["train"]["recipe"] = "secret"
    message = refusal(raw, tmp_path)
    assert "'secret'" in message and "honest" in message


def test_unknown_run_names_the_closest(raw, tmp_path) -> None:
    raw["experiments"] = {"single_fop": {}}
    with pytest.raises(ConfigError, match="did you mean 'single_fop'"):
        run_settings(load(raw, tmp_path), "single_fob")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [1, 2", "\x00"])
def test_file_that_is_no_mapping_is_refused(tmp_path, text) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        load_params(path)


def test_absent_file_says_where_to_run_from(tmp_path) -> None:
    with pytest.raises(ConfigError, match="project's root"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", ["lr0.01", "a b", "../up", "", "$(touch x)", "it's", "-flag", "naïve"])
def test_run_name_that_dvc_or_a_shell_would_not_take_is_refused(raw, tmp_path, name) -> None:
    raw["experiments"] = {name: {}}
    assert f"experiments.{name}: name a run with letters, digits" in refusal(raw, tmp_path)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "seeds", [0, 1, 0]),
        ("protocol", "criteria", ["random", "random"]),
        ("evaluate", "matching_sizes", [2, 4, 2]),
    ],
)
def test_value_that_would_count_twice_is_refused(raw, tmp_path, section, key, value) -> None:
    raw[section][key] = value
    assert f"{section}.{key}: {value[-1]!r} is there twice" in refusal(raw, tmp_path)


@pytest.mark.parametrize("recipe", ["honest", "paper"])
def test_choosing_on_the_test_list_is_refused_outside_the_official_recipe(raw, tmp_path, recipe) -> None:
    raw["experiments"] = {"peek": {"recipe": recipe, "selection": "test"}}
    assert "selection test exists under recipe official only" in refusal(raw, tmp_path)
    raw["experiments"] = {"peek": {"recipe": "official", "selection": "test"}}
    assert run_settings(load(raw, tmp_path), "peek").selection == "test"


@pytest.mark.parametrize("own", [{"loss": ["fop", "git"]}, {"branch": {"two": 1}}, {"recipe": ["official"]}])
def test_value_of_a_run_that_is_no_name_is_refused_by_its_run(raw, tmp_path, own) -> None:
    raw["experiments"] = {"mine": own}
    assert "experiments.mine" in refusal(raw, tmp_path)
