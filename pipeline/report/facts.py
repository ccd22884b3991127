"""What stands above every figure: corpus, weights, seeds, how models were chosen, and what is not to be trusted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from pipeline.errors import StoreError
from pipeline.protocol.parity import parity_lists
from pipeline.report.runs import MARK, Run
from pipeline.settings import Params
from pipeline.store import MATRIX

_DEMO = "data/demo"
# What a reader must know of figures made with weights that stand in for others.
_UNTRAINED = (
    "STAND-IN weights: the {modality} network is untrained (random weights). Figures that involve {modality}s say "
    "nothing about the method."
)
_STAND_IN = (
    "STAND-IN weights: the {modality} network's are not the official ones, but {description}. What its vectors lack, "
    "every figure that involves {modality}s lacks, too."
)
_CROSS = ("verification", "cross_modal")
_GRID = "ten folds on a grid of 0.01, as the official code does"


@dataclass(frozen=True)
class Facts:
    """The header of the report."""

    lines: tuple[tuple[str, str], ...]  # name, value
    warnings: tuple[str, ...]


def provenance_of(folder: Path) -> Mapping[str, object]:
    """Where a store's embeddings come from, without reading them; raises StoreError for a store that cannot be read."""
    try:
        with safe_open(folder / MATRIX, framework="numpy") as file:
            found = json.loads((file.metadata() or {}).get("provenance", "{}"))
    except (OSError, ValueError, SafetensorError) as error:
        raise StoreError(f"{folder / MATRIX} cannot be read ({error}); run `dvc repro` again") from error
    return found if isinstance(found, dict) else {}


def facts(
    params: Params,
    runs: Sequence[Run],
    weights: Mapping[str, Mapping[str, object]],
    summary: Mapping[str, object],
    leaks: Sequence[Mapping[str, str]],
) -> Facts:
    """Header lines and warnings; `weights` holds the provenance of the face and the voice store."""
    described = {modality: _weights(origin) for modality, origin in weights.items()}
    done = [run for run in runs if run.metrics is not None]
    lines = [
        ("Corpus", f"{_corpus(params)}: {_people(summary)}"),
        ("Lists", f"{summary.get('source')}, seed {summary.get('seed')}; {_disjoint(summary)}"),
        *((f"{modality.capitalize()} weights", str(known["description"])) for modality, known in described.items()),
        ("Runs", f"{len(done)} of {len(runs)} evaluated; {_seeds(done)}"),
        ("Models chosen on", ", ".join(_rules(done)) or "no run yet"),
        ("EER and AUC", _rates(params, done, parity_lists(summary))),
        *((("People tested", tested),) if (tested := _tested(done)) else ()),
    ]
    return Facts(tuple(lines), (*_stand_ins(described), *_leaks(leaks), *_cautions(params, done, summary)))


def _corpus(params: Params) -> str:
    return params.manifest.media if params.features.source == "media" else params.features.folder


def _people(summary: Mapping[str, object]) -> str:
    if parity_lists(summary):
        return "people unknown, because no released list beside the features names them"
    identities = summary.get("identities")
    if not isinstance(identities, dict):
        return "counts unknown"
    counts = ", ".join(f"{identities.get(split, 0)} to {verb}" for split, verb in _SPLITS.items())
    return f"{sum(identities.values())} identities ({counts})"


_SPLITS = {"train": "train", "validation": "choose", "test": "test"}


def _disjoint(summary: Mapping[str, object]) -> str:
    if summary.get("source") == "csv_features":  # their training people are numbers, their test people names
        return "whether the files' training and test people are disjoint cannot be seen from them"
    return "identities of the splits are disjoint"


def _seeds(runs: Sequence[Run]) -> str:
    counts = sorted({len(run.settings.seeds) for run in runs})
    if not counts:
        return "no seeds yet"
    return f"{' or '.join(str(count) for count in counts)} seeds each, figures are means over them, ± their deviation"


def _rules(runs: Sequence[Run]) -> list[str]:
    rules = dict.fromkeys(run.settings.selection for run in runs)
    words = {
        "validation": "validation identities, who neither train nor are tested",
        "last": "nothing (last epoch)",
        "test": f"the TEST list, as the official code does ({MARK})",
    }
    return [words[rule] for rule in rules]


def _tested(runs: Sequence[Run]) -> str:
    """How many people each list of trials rests on; empty before any run was tried on voices against faces."""
    for run in runs:
        groups = {name: run.group(*_CROSS, name) for name in run.group(*_CROSS)}
        if groups:
            return ", ".join(f"{name} {group.get('identities', 'unknown')}" for name, group in groups.items())
    return ""


def _rates(params: Params, runs: Sequence[Run], unnamed: Sequence[str]) -> str:
    how = "exact" if params.evaluate.rates == "exact" else _GRID
    if params.evaluate.rates == "recipe":
        official = [run.name for run in runs if params.evaluate.under(run.settings.recipe).rates == "official_grid"]
        how = f"exact, but for runs under recipe official ({', '.join(official) or 'none yet'}): {_GRID}"
    if not params.evaluate.bootstrap:
        return f"{how}; no intervals"
    share = f"{100 * params.evaluate.confidence:g} %"
    whose = "" if params.evaluate.rates == "exact" else ", of the exact rates always"
    draws = f"{params.evaluate.bootstrap} resamples of the test identities"
    told = f"{how}; {share} intervals in brackets from {draws}{whose}, none where they are too few; "
    told += "near rates of 0 or 100 too narrow where they are few (tools/benchmarks/README.md, interval_coverage)"
    if unnamed:
        told += f"; those of {', '.join(unnamed)} treat every trial as of its own people and so are too narrow"
    return told


def _weights(store: Mapping[str, object]) -> Mapping[str, object]:
    """The record of weights in a store's provenance; of a store without one, what it says in its place."""
    found = store.get("weights", "unnamed")
    return found if isinstance(found, dict) else {"description": str(found)}


def _stand_ins(weights: Mapping[str, Mapping[str, object]]) -> list[str]:
    return [
        (_STAND_IN if known.get("trained_on") else _UNTRAINED).format(modality=modality, **known)
        for modality, known in weights.items()
        if known.get("stand_in")
    ]


_OVERLAPS = {"unknown": "some of the test identities, or none"}


def _leaks(leaks: Sequence[Mapping[str, str]]) -> list[str]:
    return [
        f"LEAK: the {leak['modality']} extractor ({leak['weights']}) may know "
        f"{_OVERLAPS.get(leak['overlap'], leak['overlap'] + ' of the test identities')}: {leak['reason']}."
        for leak in leaks
    ]


def _cautions(params: Params, runs: Sequence[Run], summary: Mapping[str, object]) -> list[str]:
    found = []
    if any(run.settings.selection == "test" for run in runs):
        found.append(f"{MARK} marks models chosen on the test list: their figures flatter, and only serve to compare.")
    if summary.get("source") == "csv_features":
        return found + _feature_files(params, summary)
    if Path(_corpus(params)).as_posix().strip("/") == _DEMO:
        found.append(
            "The shipped corpus holds synthetic people. The paper's figures are of VoxCeleb1: do not compare them "
            "with ours here, which show that the pipeline works."
        )
    elif summary.get("source") != "voxceleb_lists":
        found.append(
            "The paper's figures are of VoxCeleb1 and its released lists, ours of other trials: not comparable."
        )
    return found


def _feature_files(params: Params, summary: Mapping[str, object]) -> list[str]:
    found = [
        f"Features were read from CSV files in {params.features.folder}, not extracted here. Figures are comparable "
        "with the paper's only if these are the authors' own files: nothing in a file says whose it is."
    ]
    if guessed := parity_lists(summary):
        found.append(
            f"Labels by row parity: of {', '.join(guessed)}, whose released list is not beside the features. In the "
            "unseen-unheard lists N and GNA that makes nearly half of the labels wrong."
        )
    return found
