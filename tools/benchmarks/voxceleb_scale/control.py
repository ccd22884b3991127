"""The control: the same training, but each training face gets another person's voices, always the same person's.

The pairs stay consistent, so training can still learn them by heart; but there is nothing in them that would hold for
people it has not seen. An AUC away from 50 on those would mean that the numbers come from somewhere else.

One exchange is not enough: 901 faces and the voices they were given agree by chance in what is strong in both, and
test people are alike in the same things, so that a single one lies a point or two off 50, either way. Choosing rate and
epoch on validation people, who share that chance, would always take what is above. So nothing is chosen, and the mean
over exchanges is judged, by how far they differ.

With each exchange the columns of the voices come in another order. Which number of a face lies beside which of a voice
says nothing, but a single branch sends both through the same weights, so that what is alike in this world's two spaces
by chance (on the test people of `--seed 1` raw cosines have an AUC of 53.1) would be alike in all exchanges.

What is judged are trials whose impostors have the same gender, nationality and age. Among all trials a single branch is
above 50 although nothing was to be learnt (54 to 55): one person in ten has an accent, which lies far out in either
space, and what lies far out goes to one place, faces and voices alike (mean cosine .44, of others .37). It tells the
rare from the frequent, and no person from another; an identity that had leaked would show in any list.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.files import atomic_path
from pipeline.store import read_store, write_store

_LINKED = ("manifest.parquet", "faces")
_CYCLES = 1000
JUDGED = "auc_gna"  # of the table of results


def write_control(folder: Path, control: Path, seed: int) -> None:
    """A project beside `folder` with its faces and trials, voices with columns reordered, training's exchanged.

    What lies there of an earlier call is made anew, links not followed; results beside it stay.
    """
    (control / "artifacts").mkdir(parents=True, exist_ok=True)
    for name in ("voices", "protocol"):
        old = control / "artifacts" / name
        if old.is_symlink():
            old.unlink()
    for name in _LINKED:
        target = control / "artifacts" / name
        if not target.exists():
            target.symlink_to((folder / "artifacts" / name).resolve())
    voices = read_store(folder / "artifacts" / "voices")
    columns = np.random.default_rng([seed, 1]).permutation(voices.matrix.shape[1])
    reordered = np.ascontiguousarray(voices.matrix[:, columns])
    write_store(control / "artifacts" / "voices", reordered, voices.index, voices.provenance)
    shutil.copy(folder / "params.yaml", control / "params.yaml")
    protocol = control / "artifacts" / "protocol"
    shutil.copytree(folder / "artifacts" / "protocol", protocol, dirs_exist_ok=True)
    pairs = pd.read_parquet(protocol / "train_pairs.parquet")
    identities = pd.read_parquet(protocol / "identities.parquet")
    with atomic_path(protocol / "train_pairs.parquet") as temporary:
        exchanged(pairs, identities, seed).to_parquet(temporary, index=False)


def exchanged(pairs: pd.DataFrame, identities: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Training pairs whose voices are another class's, of the same gender as often as that of two people at random.

    So even gender says nothing. Classes keep their number of pairs; where the other class has fewer, its voices repeat.
    """
    partner = _partners(identities, np.random.default_rng(seed))
    rows = pairs.groupby("class_index")["voice_row"].apply(np.asarray)
    voices = np.empty(len(pairs), dtype=np.int64)
    for number, where in pairs.groupby("class_index").indices.items():
        voices[where] = np.resize(rows[partner[int(str(number))]], len(where))
    return pairs.assign(voice_row=voices)


def _partners(identities: pd.DataFrame, rng: np.random.Generator) -> dict[int, int]:
    """Class -> class whose voices it gets: of many random cycles the one that keeps gender most nearly by chance."""
    training = identities[identities["class_index"] >= 0]
    gender, classes = training["gender"].to_numpy(dtype=object), training["class_index"].to_numpy()
    chance = training["gender"].value_counts(normalize=True).pow(2).sum()
    orders = [rng.permutation(len(classes)) for _ in range(_CYCLES)]
    kept = [np.mean(gender[order] == gender[np.roll(order, -1)]) for order in orders]
    order = orders[int(np.argmin(np.abs(np.array(kept) - chance)))]
    return {int(one): int(other) for one, other in zip(classes[order], classes[np.roll(order, -1)], strict=True)}


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of what two or more exchanges gave, and Student's interval of the mean."""
    mean, error = float(np.mean(values)), stats.sem(values)
    reach = float(stats.t.ppf((1.0 + confidence) / 2.0, len(values) - 1) * error)
    return mean, mean - reach, mean + reach
