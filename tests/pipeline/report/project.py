"""A small project as the stages leave it behind: stores, protocol, and the results of some runs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from pipeline.config import load_params
from pipeline.evaluation import evaluate, lists_of, write_evaluation
from pipeline.protocol import read_protocol, write_protocol
from pipeline.protocol.tables import shaped
from pipeline.settings import Params
from pipeline.store import read_store, write_store
from tests.pipeline.evaluation.planted import PEOPLE, NoisyEncoder, probes, settings, stores, tables, trials

CASIA_WEBFACE = {"description": "casia-webface", "trained_on": ["CASIA-WebFace"], "stand_in": False}
UNTRAINED = {"description": "untrained (seed 0)", "trained_on": [], "stand_in": True}
ROOT = Path(__file__).resolve().parents[3]


def shipped_params() -> dict[str, dict[str, object]]:
    """params.yaml as it ships."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert isinstance(raw, dict)
    return raw


def write_params(folder: Path, raw: dict[str, dict[str, object]]) -> Params:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return load_params(path)


def write_artifacts(folder: Path) -> None:
    """Stores, protocol and skipped.csv, as extraction and protocol stages leave them."""
    faces, voices = stores(0.7)
    for name, store, weights in (("faces", faces, CASIA_WEBFACE), ("voices", voices, UNTRAINED)):
        index = store.index.assign(frame=0, clip=store.index["item"], digest="00", key="00")
        write_store(folder / name, store.matrix, index, {"weights": weights})
        skips = [{"item": f"broken/{name}.mp4", "stage": f"embed_{name}", "reason": "no audio <track> & no face"}]
        pd.DataFrame(skips).to_csv(folder / name / "skipped.csv", index=False)
    verification = [trials("unseen_unheard", "cross_modal", name, seed=3) for name in ("random", "G", "N", "A", "GNA")]
    verification[2]["position"] += np.arange(240) // 120  # list N does not alternate throughout
    verification += [trials("unseen_unheard", task, "random") for task in ("face", "voice")]
    verification += [trials("seen_heard", "cross_modal", "random", seed=4)]
    matching = [probes("unseen_unheard", task) for task in ("f2v", "v2f", "f2f", "v2v")]
    people = shaped(
        "identities",
        pd.DataFrame({"identity": PEOPLE, "split": "test", "class_index": -1}).assign(
            gender=None, nationality=None, age=None
        ),
    )
    protocol = tables(verification, matching, identities=people)
    object.__setattr__(protocol, "summary", {"identities": {"train": 40, "validation": 7, "test": 12}})
    write_protocol(folder / "protocol", protocol)


def write_results(folder: Path, runs: list[str], models: int = 2) -> None:
    """Measure one pair of noisy encoders on the protocol and give every run of `runs` its results."""
    faces, voices = read_store(folder / "faces"), read_store(folder / "voices")
    lists = lists_of(read_protocol(folder / "protocol"), faces, voices)
    result = evaluate(NoisyEncoder(models, 0.1), settings(bootstrap=40), lists, faces, voices)
    for number, run in enumerate(runs):
        if number == 0:
            write_evaluation(folder / "runs" / run, result, {"rule": "validation"})
        else:
            shutil.copytree(folder / "runs" / runs[0], folder / "runs" / run)
        cost = {"parameters": 10 + number, "seconds": [1.0, 3.0], "microseconds": 2.5, "device": "cpu"}
        (folder / "runs" / run / "cost.json").write_text(json.dumps(cost))
