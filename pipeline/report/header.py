"""The header of the report: corpus, weights, seeds, how models were chosen, and warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.protocol.tables import VALIDATION_OF_LABELS, parity_lists
from pipeline.protocol.vocabulary import CROSS_MODAL, SEEN, VERIFICATION_TASKS
from pipeline.report.leaks import Leak, UsedWeights, used_weights
from pipeline.report.runs import MARK, Run
from pipeline.settings import Params

_DEMO = "data/demo"
_UNTRAINED = (
    "STAND-IN weights: the {modality} network is untrained (random weights). Figures that involve "
    "{modality}s say nothing about the method."
)
_STAND_IN = (
    "STAND-IN weights: the {modality} network's are not the official ones, but {description}. What its vectors "
    "lack, every figure that involves {modality}s lacks, too."
)
_OVERLAPS = {"unknown": "some of the test identities, or none"}
_CROSS = ("verification", CROSS_MODAL.name)
_VERIFICATION = tuple(("verification", task) for task in VERIFICATION_TASKS)
_GRID = "ten folds on a grid of 0.01, as the official code does"


@dataclass(frozen=True)
class Header:
    """The part of the page above all tables."""

    lines: tuple[tuple[str, str], ...]  # name, value
    warnings: tuple[str, ...]


def report_header(
    params: Params,
    runs: Sequence[Run],
    weights: Mapping[str, Mapping[str, object]],
    summary: Mapping[str, object],
    leaks: Sequence[Leak],
    voxceleb1: bool = False,
) -> Header:
    """Header lines and warnings; `weights` holds the provenance of the face and the voice store.

    `voxceleb1`: the people tested go by its names.
    """
    used = {modality: used_weights(provenance) for modality, provenance in weights.items()}
    done = [run for run in runs if run.metrics is not None]
    lines = [
        ("Corpus", f"{_corpus(params)}: {_people(summary)}"),
        ("Lists", f"{summary.get('source')}, seed {summary.get('seed')}; {_disjoint(summary)}"),
        *((f"{modality.capitalize()} weights", own.description) for modality, own in used.items()),
        ("Runs", f"{len(done)} of {len(runs)} evaluated; {_seeds(done)}"),
        ("Models chosen on", ", ".join(_rules(done)) or "no run yet"),
        ("EER and AUC", _rates(params, parity_lists(summary), done)),
        *((("People tested", tested),) if (tested := _tested(done)) else ()),
    ]
    return Header(
        tuple(lines), (*_stand_ins(used), *_leaks(leaks), *_cautions(params, done, summary, weights, voxceleb1))
    )


def _corpus(params: Params) -> str:
    return params.manifest.folder if params.features.source == "media" else params.features.folder


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
    counts = sorted({len(run.settings.seeds) for run in runs if run.settings.fusion is None})
    if not counts:
        return "no seeds yet"
    text = f"{' or '.join(str(count) for count in counts)} seeds each, figures are means over them, ± their deviation"
    ensembles = [run.name for run in runs if run.group("model").get("ensemble")]
    return text + (f"; the seeds of {', '.join(ensembles)} score as one, without deviation" if ensembles else "")


def _rules(runs: Sequence[Run]) -> list[str]:
    rules = dict.fromkeys(run.settings.selection for run in runs)
    words = {
        "validation": "validation identities, who neither train nor are tested",
        "last": "nothing (last epoch)",
        "test": f"the TEST list, as the official code does ({MARK})",
    }
    return [words[rule] for rule in rules]


def _tested(runs: Sequence[Run]) -> str:
    """How many people each list of trials has; empty before any run was tested on voices against faces."""
    for run in runs:
        groups = {name: run.group(*_CROSS, name) for name in run.group(*_CROSS)}
        if groups:
            return ", ".join(f"{name} {group.get('identities', 'unknown')}" for name, group in groups.items())
    return ""


def _rates(params: Params, unnamed: Sequence[str], runs: Sequence[Run]) -> str:
    exact = params.evaluate.rates == "exact"
    how = "exact" if exact else _GRID + _beyond_grid(runs)
    if not params.evaluate.bootstrap:
        return f"{how}; no intervals"
    share = f"{100 * params.evaluate.confidence:g} %"
    of = "" if exact else ", of the exact rates always"
    resamples = f"{params.evaluate.bootstrap} resamples of the test identities"
    text = f"{how}; {share} intervals in brackets from {resamples}{of}, none where they are too few; "
    text += "near rates of 0 or 100 too narrow where they are few (tools/benchmarks/README.md, interval_coverage)"
    if unnamed:
        text += f"; those of {', '.join(unnamed)} treat every trial as of its own people and so are too narrow"
    return text


def _beyond_grid(runs: Sequence[Run]) -> str:
    """Which runs' rates are exact all the same; empty where there are none."""
    found = [
        run.name
        for run in runs
        if any(
            "eer" in run.group(*task, name) and "eer_exact" not in run.group(*task, name)
            for task in _VERIFICATION
            for name in run.group(*task)
        )
    ]
    reason = "the grid is one of distances of unit vectors, which their scores are not"
    return f" (exact for {', '.join(found)}: {reason})" if found else ""


def _stand_ins(used: Mapping[str, UsedWeights]) -> list[str]:
    return [
        (_UNTRAINED if own.trained_on == () else _STAND_IN).format(modality=modality, description=own.description)
        for modality, own in used.items()
        if own.stand_in
    ]


def _leaks(leaks: Sequence[Leak]) -> list[str]:
    return [
        f"LEAK: the {leak.modality} extractor ({leak.weights}) may know "
        f"{_OVERLAPS.get(leak.overlap, leak.overlap + ' of the test identities')}: {leak.reason}."
        for leak in leaks
    ]


def _cautions(
    params: Params,
    runs: Sequence[Run],
    summary: Mapping[str, object],
    weights: Mapping[str, Mapping[str, object]],
    voxceleb1: bool,
) -> list[str]:
    found = []
    if any(run.settings.selection == "test" for run in runs):
        found.append(f"{MARK} marks models chosen on the test list: their figures flatter, and only serve to compare.")
    found += _padded(runs, weights) + _released(runs, summary, voxceleb1)
    if summary.get("source") == "csv_features":
        return found + _feature_files(params, runs, summary)
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


def _padded(runs: Sequence[Run], weights: Mapping[str, Mapping[str, object]]) -> list[str]:
    """What runs did with faces and voices of unequal width."""
    narrow = dict.fromkeys(str(run.group("model")["padded"]) for run in runs if "padded" in run.group("model"))
    widths = {modality: origin.get("dimension") for modality, origin in weights.items()}
    return [
        f"Faces have {widths.get('face')} values, voices {widths.get('voice')}. Methods with one branch for "
        f"both see {modality}s with zeros behind them, which leaves their inner products as they are."
        for modality in narrow
    ]


def _released(runs: Sequence[Run], summary: Mapping[str, object], voxceleb1: bool) -> list[str]:
    names = [run.name for run in runs if run.settings.checkpoint is not None]
    if not names:
        return []
    found = [
        f"{', '.join(names)}: released checkpoints, trained by their authors on features of their own extractors. "
        "On vectors of other extractors their figures say little."
    ]
    if voxceleb1 and summary.get("source") != "voxceleb_lists":
        found.append(
            f"LEAK: {', '.join(names)}: the authors trained on 901 of VoxCeleb1's 1,251 people. The people tested here "
            "are VoxCeleb1's, and not their test split (protocol.source: voxceleb_lists): most were trained on."
        )
    return found


def _feature_files(params: Params, runs: Sequence[Run], summary: Mapping[str, object]) -> list[str]:
    found = [
        f"Features were read from CSV files in {params.features.folder}, not extracted here. Figures are comparable "
        "with the paper's only if these are the authors' own files: nothing in a file says where it comes from."
    ]
    kept, heard = summary.get(VALIDATION_OF_LABELS, 0), any(run.group(SEEN.name) for run in runs)
    if kept and heard:
        found.append(
            f"{kept} people of the training files were kept from training to choose on (protocol.validation_ratio). "
            "Seen-heard lists name people, the training files number them: trials of these people are among the "
            "seen-heard ones, although nothing trained on them. With validation_ratio 0 all train."
        )
    if guessed := parity_lists(summary):
        found.append(
            f"Labels by row parity: of {', '.join(guessed)}, whose released list is not beside the features. In the "
            "unseen-unheard lists N and GNA that makes nearly half of the labels wrong."
        )
    return found
