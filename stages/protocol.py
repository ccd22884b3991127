"""Splits, training pairs, trials and galleries: `python -m stages.protocol`."""

import logging
from pathlib import Path

from pipeline.config import run_settings
from pipeline.manifest.schema import read_manifest
from pipeline.protocol import write_protocol
from pipeline.protocol.sources import build_protocol
from pipeline.protocol.sources.csv_features import SOURCE as CSV_FEATURES
from pipeline.protocol.tables import parity_lists
from pipeline.protocol.usable import check_usable, runs_without_trials
from pipeline.settings import Params
from pipeline.store import read_index
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.protocol")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Build the protocol of params.yaml, check it against the stores, name runs that it has no trials for, write it."""
    settings, lists = params.protocol, params.protocol.lists
    if params.features.source == "csv":
        settings, lists = settings.model_copy(update={"source": CSV_FEATURES}), params.features.folder
    faces, voices = read_index(deps.faces), read_index(deps.voices)
    tables = build_protocol(read_manifest(deps.manifest), faces, voices, settings, Path(lists))
    check_usable(tables)
    # A warning only, and dvc.yaml does not name experiments: as a parameter: another run changes no protocol.
    runs = {run: run_settings(params, run) for run in params.experiments}
    for reason, names in runs_without_trials(tables, runs).items():
        remedy = f"give {', '.join(names)} selection: last, or take them out of experiments:, or their training fails"
        logger.warning("%s: %s", reason, remedy)
    write_protocol(outs.protocol, tables)
    people = "unknown, because no list names them" if parity_lists(tables.summary) else tables.summary["identities"]
    counts = people, len(tables.train_pairs), len(tables.verification)
    logger.info("protocol: %s; identities %s, %d training pairs, %d trials", tables.summary["source"], *counts)


if __name__ == "__main__":
    run_stage(main)
