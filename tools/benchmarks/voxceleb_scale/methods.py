"""Every method of params.yaml in the planted world, each with the learning rate that validation people like best.

One rule for all: a run trains with its own entry of `experiments:`, but for as many epochs as every other and with each
learning rate that is given, one seed each; the rate whose best epoch has the lowest EER on validation people is taken
for all seeds, and of each seed the epoch that is best there. Test people choose nothing, except in runs of recipe
official, which are trained as that code does it. These keep their rate, and so does a method that scores galleries
only: there are no trials to choose by. Closed forms have none. What is done stays in RESULTS and CANDIDATES, and is
done again where the run's entry, what it takes from params.yaml or the code of its method or loss has changed.

Of a control nothing is chosen (control.py says why): the rate is that of `experiments:`, and the last epoch counts.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from pipeline.config import load_params
from pipeline.files import atomic_path, sha256_hex, write_text
from pipeline.losses import build_loss
from pipeline.methods import Sizes, build_method, method_class
from pipeline.methods.base import loss_sizes
from pipeline.protocol.judged import judged_on
from pipeline.resolved import code_of, resolved
from pipeline.settings import RunSettings
from pipeline.training.lists import TRAITS
from tools.benchmarks.voxceleb_scale.planted import DIMENSION
from tools.benchmarks.voxceleb_scale.stage import ROOT, run

RESULTS, CANDIDATES = "results.csv", "candidates.csv"
ADDED = {  # to the runs of params.yaml: what the world is calibrated on, and the other form of `best`
    "official_single_fop": {"recipe": "official", "loss": "fop"},
    "official_voice_only_fop": {"recipe": "official", "loss": "fop", "modality": "voice"},
    "official_face_only_fop": {"recipe": "official", "loss": "fop", "modality": "face"},
    "best_of_many": {"recipe": "best_of_many"},
}
_DIGITS = 16  # of a run's digest
_ORDER = ("order", "alternate_epochs")  # runs that differ in nothing else are one method
_COLUMNS = {  # of RESULTS -> where metrics.json has it; {task}: what the run is judged on
    "eer": ("verification", "{task}", "random"),
    "auc": ("verification", "{task}", "random"),
    "auc_g": ("verification", "{task}", "G"),
    "auc_a": ("verification", "{task}", "A"),
    "auc_gna": ("verification", "{task}", "GNA"),
    "v2f_2": ("matching", "v2f", "2"),
    "v2f_10": ("matching", "v2f", "10"),
    "f2v_2": ("matching", "f2v", "2"),
    "f2v_10": ("matching", "f2v", "10"),
}


@dataclass(frozen=True)
class Bench:
    """A project folder with stores and a protocol, and how runs are done in it."""

    project: Path
    epochs: int
    rates: Sequence[float]  # learning rates to choose from
    first_seed: int  # of a run, which its learning rate is chosen with
    say: Callable[[str], None]
    chooses: bool = True  # rate and epoch, on validation people

    def results(self, names: Sequence[str]) -> pd.DataFrame:
        """Do the runs that are not done yet as they are now, and say each; the results of all, in the order of names.

        Raises RuntimeError where the folder holds results of other settings.
        """
        self._claim()
        for name in names:
            digest, done = self._digest(name), self._table(RESULTS)
            if not ((done["run"] == name) & (done["digest"] == digest)).any():
                row = self._result(name, digest)
                self._add(RESULTS, row)
                self.say(described(row))
        return self._table(RESULTS).set_index("run").loc[list(names)].reset_index()

    def _claim(self) -> None:
        """Note what the folder's results are done with, once: runs that are done are not done again."""
        seeds = yaml.safe_load((self.project / "params.yaml").read_text(encoding="utf-8"))["train"]["seeds"]
        own = {"epochs": self.epochs, "rates": sorted(self.rates), "seeds": seeds, "chooses": self.chooses}
        note = self.project / "bench.json"
        if note.exists() and (done := json.loads(note.read_text(encoding="utf-8"))) != own:
            raise RuntimeError(f"{self.project} holds results of {done}, and not of {own}: take another --folder")
        write_text(note, json.dumps(own) + "\n")

    def _digest(self, name: str) -> str:
        """Of what a run depends on: its settings, before anything is chosen, and the code of its method and loss."""
        settings = self._resolved(name, entries()[name])
        return sha256_hex(json.dumps([settings.model_dump(mode="json"), code_of(settings)], sort_keys=True))[:_DIGITS]

    def _result(self, name: str, digest: str) -> dict[str, Any]:
        own = entries()[name]
        settings = self._resolved(name, own)
        chosen = {**own, "epochs": self.epochs} if _has_rate(settings) else {**own}
        if not self.chooses:
            chosen |= {"selection": "last"}
        elif is_searched(settings):
            chosen |= {"learning_rate": self._best_rate(name, own, digest)}
        settings = self._settled(name, chosen)
        cost = run(self.project, "-m", "stages.train", name)
        run(self.project, "-m", "stages.evaluate", name)
        metrics = json.loads((self._folder(name) / "metrics.json").read_text(encoding="utf-8"))
        row: dict[str, Any] = {"run": name, "digest": digest}
        row |= {"learning_rate": settings.learning_rate if _has_rate(settings) else None}
        row |= {"epochs": " ".join(str(epoch) for epoch in metrics["selection"]["epochs"].values())}
        return row | {"seconds": round(cost.wall, 1)} | figures(metrics, judged_on(settings.modality).name)

    def _best_rate(self, name: str, own: Mapping[str, Any], digest: str) -> float:
        for rate in self.rates:
            tried = self._table(CANDIDATES)
            same = (tried["run"] == name) & (tried["digest"] == digest)
            if not (same & (tried["learning_rate"] == rate)).any():
                candidate = f"{name}-rate{rate:.0e}"
                settings = {"epochs": self.epochs, "seeds": [self.first_seed], "learning_rate": rate}
                self._settled(candidate, {**own, **settings})
                run(self.project, "-m", "stages.train", candidate)
                history = pd.read_csv(self._folder(candidate) / "history.csv")
                best = history.loc[history["validation_eer"].idxmin()]
                found = {"run": name, "digest": digest, "learning_rate": rate, "epoch": int(best["epoch"])}
                self._add(CANDIDATES, found | {"validation_eer": float(best["validation_eer"])})
        tried = self._table(CANDIDATES)
        tried = tried[(tried["run"] == name) & tried["learning_rate"].isin(self.rates)]
        return float(tried.loc[tried["validation_eer"].idxmin(), "learning_rate"])

    def _settled(self, name: str, entry: Mapping[str, Any]) -> RunSettings:
        """The settings of one run, the only one of params.yaml from now on."""
        path = self.project / "params.yaml"
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        raw["experiments"] = {name: dict(entry)}
        write_text(path, yaml.safe_dump(raw, sort_keys=False))
        run(self.project, "-m", "stages.settings")
        return resolved(load_params(path), name)

    def _resolved(self, name: str, entry: Mapping[str, Any]) -> RunSettings:
        params = load_params(self.project / "params.yaml")
        return resolved(params.model_copy(update={"experiments": {name: dict(entry)}}), name)

    def _folder(self, name: str) -> Path:
        return self.project / "artifacts" / "runs" / name

    def _table(self, name: str) -> pd.DataFrame:
        path = self.project / name
        empty = pd.DataFrame({"run": [], "learning_rate": []})
        table = pd.read_csv(path, dtype={"digest": "str"}) if path.exists() else empty
        return table.assign(digest=table.get("digest", ""))  # a table of before has none: its runs are done again

    def _add(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row; those of the same run with other settings or code go."""
        table = self._table(name)
        kept = table[(table["run"] != row["run"]) | (table["digest"] == row["digest"])]
        rows = [*kept.to_dict("records"), dict(row)]
        with atomic_path(self.project / name) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")


def entries() -> dict[str, dict[str, Any]]:
    """Runs by name: the added ones, and those of the repository's params.yaml."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return {**ADDED, **raw["experiments"]}


def every_method() -> list[str]:
    """Names of runs, the first of those that differ in the order of their samples alone."""
    seen: dict[str, str] = {}
    for name, entry in entries().items():
        seen.setdefault(repr(sorted((key, str(value)) for key, value in entry.items() if key not in _ORDER)), name)
    return list(seen.values())


def is_searched(settings: RunSettings) -> bool:
    """Whether a run has a learning rate, which its recipe leaves open, and trials to choose it by."""
    return settings.selection == "validation" and _has_rate(settings)


def _has_rate(settings: RunSettings) -> bool:
    if method_class(settings.method).epochless:
        return False
    generator = torch.Generator()
    method = build_method(settings, Sizes(DIMENSION, DIMENSION, 2, dict.fromkeys(TRAITS, 2)), generator)
    loss = build_loss(settings.loss, settings.loss_options, loss_sizes(method), generator)
    return bool(method.optimisers(loss, settings))


def figures(metrics: Mapping[str, Any], task: str) -> dict[str, float]:
    """What RESULTS holds of metrics.json: means and, behind `_std`, deviations over seeds; absent, where it is."""
    found: dict[str, float] = {}
    for column, path in _COLUMNS.items():
        group: Any = metrics
        for key in path:
            group = group.get(key.format(task=task), {}) if isinstance(group, Mapping) else {}
        measure = column.split("_")[0] if path[0] == "verification" else "accuracy"
        for suffix in ("", "_std", "_low", "_high"):
            if f"{measure}{suffix}" in group:
                found[f"{column}{suffix}"] = group[f"{measure}{suffix}"]
    return found


def described(row: Mapping[str, Any]) -> str:
    """A line of the table: means and deviations over seeds."""
    cells = [f"{row['run']:26s}"]
    for column in _COLUMNS:
        mean, deviation = row.get(column), row.get(f"{column}_std")
        text = "" if mean is None or pd.isna(mean) else f"{mean:.1f}"
        text += f" ± {deviation:.1f}" if text and deviation is not None and not pd.isna(deviation) else ""
        cells.append(f"{text:>11s}")
    return " ".join(cells)


def heading() -> str:
    """The line above."""
    return " ".join([f"{'run':26s}", *(f"{column:>11s}" for column in _COLUMNS)])
