"""A submission to a MAV-Celeb challenge: `python -m stages.submit RUN [RUN ...] [--out ZIP] [--dry-run]`.

Each RUN trains on one language (`language:` of its entry); v1 to v3 want one run a language, v4 one in all.
"""

import argparse
import logging
import sys
from pathlib import Path

import pandas as pd

from pipeline.config import load_params
from pipeline.errors import ConfigError, RunError
from pipeline.evaluation import lists_of
from pipeline.evaluation.challenge import ScoreFile, absent_cells, labelled, score_files, scored, write_submission
from pipeline.protocol import ProtocolTables, read_protocol
from pipeline.protocol.vocabulary import HEARD, UNHEARD
from pipeline.resolved import read_run_file
from pipeline.scoring.fusion import Fusion, load_trained
from pipeline.scoring.model import MODEL, Model
from pipeline.scoring.provenance import check_protocol, check_provenance
from pipeline.settings import ALL_LANGUAGES
from pipeline.store import Store, read_store
from stages.common import PARAMS, Artifacts, run_command

Cell = tuple[str, str, float]  # subset and track of own trials, and their EER

logger = logging.getLogger("stages.submit")


def main() -> None:
    """Score the released test lists with trained runs, check what can be checked, and write the zip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run of experiments: or fusions: in params.yaml")
    parser.add_argument("--out", type=Path, default=Path("submission.zip"), help="the archive (%(default)s)")
    parser.add_argument(
        "--dry-run", action="store_true", help="score own trials as the organisers would; write nothing"
    )
    parser.add_argument(
        "--pattern", default="", help="names of the files, of {track} {test} {heard} {regime} {version}; by version"
    )
    arguments = parser.parse_args()
    deps = Artifacts()
    tables, faces, voices = read_protocol(deps.protocol), read_store(deps.faces), read_store(deps.voices)
    lists_of(tables, faces, voices)  # raises where the protocol was made for other stores
    version = str(tables.summary.get("version", ""))
    files: list[ScoreFile] = []
    cells: list[Cell] = []
    systems: list[str] = []  # the language that each run heard
    for run in arguments.runs:
        model, heard = _trained(run, deps, tables, faces, voices)
        systems.append(heard)
        if arguments.dry_run:
            cells += _dry_run(run, model, heard, tables, (faces, voices))
        else:
            files += score_files(model, heard, tables.challenge, version, faces, voices, arguments.pattern)
    if arguments.dry_run:
        if len(set(systems)) == len(systems):
            _say_means(cells, version)
        else:
            _say("no mean: runs that heard the same are several systems, and a submission has one run a language heard")
    else:
        _write(arguments.out, files, tables, version)


def _trained(
    run: str, deps: Artifacts, tables: ProtocolTables, faces: Store, voices: Store
) -> tuple[Model | Fusion, str]:
    """A run's model and the language that it heard."""
    params = load_params(PARAMS)
    settings = read_run_file(deps.settings / f"{run}.json", params, run).settings
    if settings.modality != "both":
        raise ConfigError(
            f"run {run} was trained on {settings.modality}s alone: a submission compares voices with faces"
        )
    path = deps.runs / run / MODEL
    model = load_trained(path)
    stage = f"{'fuse' if isinstance(model, Fusion) else 'train'}@{run}"
    if not model.was_trained_with(settings):
        raise RunError(f"{path} was trained with other settings than params.yaml has: run `dvc repro {stage}`")
    check_provenance(model.provenance, {"face": faces.provenance, "voice": voices.provenance}, str(path))
    check_protocol(model.protocol, tables, str(path), stage)
    return model, settings.language


def _write(out: Path, files: list[ScoreFile], tables: ProtocolTables, version: str) -> None:
    write_submission(out, files)
    for one in files:
        _say(f"{one.name}: {len(one.keys)} trials in {one.language}, {one.regime}{_known(one, tables)}")
    for absent in absent_cells(files, version):
        logger.warning("a whole submission to %s has the files of %s, too", version or "this version", absent)
    _say(f"{out}; lower distances mean the same person")


def _known(one: ScoreFile, tables: ProtocolTables) -> str:
    """The score of a file where its truth is there."""
    trials = tables.challenge[
        (tables.challenge["origin"] == "released")
        & (tables.challenge["language"] == one.language)
        & (tables.challenge["track"] == one.track)
    ]
    if trials["label"].isna().any():
        return ""
    truth = dict(zip(trials["key"], trials["label"].astype(int), strict=True))
    return f", EER {scored(one.text, truth):.2f} %"


def _dry_run(
    run: str, model: Model | Fusion, heard: str, tables: ProtocolTables, stores: tuple[Store, Store]
) -> list[Cell]:
    """EER of own trials, from people kept from training, through files as they would be submitted."""
    own = labelled(tables.challenge[tables.challenge["origin"] == "own"])
    cells = []
    for (subset, track, language), trials in own.groupby(["subset", "track", "language"], sort=True, observed=True):
        keyed = trials.assign(origin="released", key=[f"{position:08d}" for position in range(len(trials))])
        file = _one_file(model, language, keyed, stores)
        eer = scored(file.text, dict(zip(keyed["key"], keyed["label"], strict=True)))
        regime = HEARD if heard in (language, ALL_LANGUAGES) else UNHEARD
        cells.append((str(subset), str(track), eer))
        _say(f"{run}: own {subset} trials, {track}, {language} ({regime}): {len(trials)} trials, EER {eer:.2f} %")
    return cells


def _say_means(cells: list[Cell], version: str) -> None:
    """The challenge's figure: a mean over all cells of a track, in version 4 over those of both tracks, too."""
    for subset in sorted({subset for subset, _, _ in cells}):
        rates: dict[str, list[float]] = {}
        for own, track, eer in cells:
            for part in (track, *(("both tracks",) if version == "v4" else ())):
                if own == subset:
                    rates.setdefault(part, []).append(eer)
        for part, found in rates.items():
            _say(f"mean of {len(found)} cells of own {subset} trials, {part}: EER {sum(found) / len(found):.2f} %")


def _one_file(model: Model | Fusion, language: str, trials: pd.DataFrame, stores: tuple[Store, Store]) -> ScoreFile:
    return score_files(model, language, trials, "", *stores)[0]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    run_command(main)
