"""The official training scripts: which there are, and a run of one, a process of its own (official.py)."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.files import sha256_of, write_text
from pipeline.protocol.sources.feature_files import TRAIN, TRIAL_LISTS

_DRIVER = Path(__file__).with_name("official.py")
_RANDOM = TRIAL_LISTS[0]  # random, unseen-unheard: the list that every script tests on
READ = (*TRAIN.values(), _RANDOM.item("face"), _RANDOM.item("voice"))  # feature files of a training
_DATA = {f"../data/{item}": item for item in READ}
SLOW = "1e-5"  # learning rate of all but the single branch with FOP
TENSORFLOW = ("tensorflow", "tf_keras", "tf_slim", "pandas", "sklearn", "scipy")  # imports of its half
TENSORFLOW_PACKAGES = "tensorflow-cpu tf_keras tf_slim pandas scikit-learn scipy"


@dataclass(frozen=True)
class Script:
    """A training script of the official code.

    `{order}`, `{epochs}`, `{last}` (one more), `{seed}` and `{rate}` are filled in.
    """

    path: str  # below its checkout
    arguments: Sequence[str]
    rate: str = SLOW
    function: str = "test"  # of online_evaluation, called after each epoch
    framework: str = "torch"
    replacements: Mapping[str, str] = field(default_factory=dict)  # in its text
    links: Mapping[str, str] = field(default_factory=lambda: _DATA)  # from where it runs -> feature file


@dataclass(frozen=True)
class Training:
    """What both sides train, as `experiments:` in params.yaml names it."""

    method: str
    loss: str
    order: str  # of rows; "" for the two-branch network, which takes pairs
    rate: str = ""  # learning rate on both sides; "": the official one

    @property
    def name(self) -> str:
        """Such as sbnet_fop_vfvf."""
        return "_".join(part for part in (self.method, self.loss, self.order, self.rate.replace(".", "")) if part)

    @property
    def words(self) -> str:
        """In tables."""
        network = "single branch" if self.method == "sbnet" else "two-branch"
        return ", ".join(part for part in (network, self.loss, self.order, self.rate) if part)


def _center_or_git(loss: str) -> Script:
    seeds = {f"{module}(0)": f"{module}({{seed}})" for module in ("np.random.seed", "tf.set_random_seed")}
    return Script(
        "ssnet_cent_git/main.py",
        ["--split_type", "{order}", "--loss", loss],
        function="eval_train",
        framework="tensorflow",
        replacements={
            "range(100)": "range({epochs})",
            "init_learning_rate = 0.00001": "init_learning_rate = {rate}",
            **seeds,
        },
    )


# Their loop runs one epoch fewer than the option says.
_OPTIONS = "--lr {rate} --batch_size 128 --dim_embed 128 --max_num_epoch {last} --seed {seed}".split()
SCRIPTS = {
    ("sbnet", "fop"): Script("ssnet_fop/main.py", ["--split_type", "{order}", *_OPTIONS], rate="1e-2"),
    ("sbnet", "center"): _center_or_git("cent"),
    ("sbnet", "git"): _center_or_git("git"),
    # msaadsaeed/FOP: msaadsaeed/SBNet has its networks and tests, and trains none. A face has 4,096 numbers
    # there.
    ("two_branch", "fop"): Script(
        "main.py",
        ["--fusion", "gated", *_OPTIONS],
        replacements={"img_train[4096]": "img_train[512]"},
        links={
            "features/faceTrain.csv": TRAIN["face"],
            "feaures/voiceTrain.csv": TRAIN["voice"],  # as the script spells it
            "features/face_veriflist_test_random_unseenunheard.csv": _RANDOM.item("face"),
            "features/voice_veriflist_test_random_unseenunheard.csv": _RANDOM.item("voice"),
        },
    ),
}


@dataclass(frozen=True)
class Epoch:
    """After one epoch of an official script."""

    eer: float  # percent, on the official grid
    auc: float  # percent
    read: float | None  # s; None where it is not measured
    trained: float  # s
    processor: float | None = None  # s of the processor; of results that are older than this, None


def parsed(output: str) -> list[Epoch]:
    """What official.py printed, one epoch a line."""
    lines = [json.loads(line) for line in output.splitlines()]
    seconds = ("read", "trained", "processor")
    return [Epoch(100 * line["eer"], 100 * line["auc"], *(line[name] for name in seconds)) for line in lines]


def run_official(
    checkout: Path,
    features: Path,
    training: Training,
    seed: int,
    epochs: int,
    *,
    python: str = sys.executable,
    threads: int = 1,
    test: bool = True,
) -> list[Epoch]:
    """Train by the official script of a checkout on a folder of feature files.

    Raises RuntimeError with the script's last words where it fails, or ends after another number of epochs.
    """
    script = SCRIPTS[training.method, training.loss]
    order = _order(checkout.resolve(), script, training, seed, epochs, test)
    with tempfile.TemporaryDirectory() as folder:
        workplace = Path(folder) / "code"
        for link, item in script.links.items():
            target = Path(os.path.normpath(workplace / link))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to((features / item).resolve())
        (workplace / "output").mkdir(parents=True)
        (Path(folder) / "order.json").write_text(json.dumps(order), encoding="utf-8")
        done = subprocess.run(
            [python, str(_DRIVER), str(Path(folder) / "order.json")],
            cwd=workplace,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
    found = parsed(done.stdout) if not done.returncode else []
    if len(found) != epochs:
        raise RuntimeError(f"{order['script']} {' '.join(order['arguments'])} failed:\n{done.stderr[-2000:]}")
    return found


def _order(checkout: Path, script: Script, training: Training, seed: int, epochs: int, test: bool) -> dict[str, Any]:
    values: dict[str, object] = {"order": training.order, "epochs": epochs, "last": epochs + 1, "seed": seed}
    values["rate"] = training.rate or script.rate
    return {
        "script": str(checkout / script.path),
        "arguments": [argument.format_map(values) for argument in script.arguments],
        "function": script.function,
        "framework": script.framework,
        "replacements": {old: new.format_map(values) for old, new in script.replacements.items()},
        "seed": seed,
        "test": test,
    }


def remembered_official(
    folder: Path, checkout: Path, features: Path, training: Training, epochs: int, python: str, seed: int
) -> list[Epoch]:
    """As run_official, from `folder` where it has been run on the same bytes by the same code."""
    script = SCRIPTS[training.method, training.loss]
    code = sorted((checkout / script.path).parent.glob("*.py"))
    parts = [python, str(epochs), json.dumps(_order(Path(), script, training, seed, epochs, True), sort_keys=True)]
    parts += [sha256_of(path) for path in (*code, _DRIVER, *(features / item for item in READ))]
    known = folder / f"{training.name}_{seed}_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}.json"
    if not known.exists():
        found = run_official(checkout, features, training, seed, epochs, python=python)
        write_text(known, json.dumps([vars(epoch) for epoch in found]))
    return [Epoch(**epoch) for epoch in json.loads(known.read_text(encoding="utf-8"))]


def missing_packages(python: str) -> str:
    """Why Center and Git cannot be run by an interpreter; empty where they can."""
    command = [python, "-c", f"import {', '.join(TENSORFLOW)}"]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{python}: {error.strerror}"
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""
