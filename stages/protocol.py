"""Splits, training pairs, trials and galleries: `python -m stages.protocol`."""

import logging
from pathlib import Path

from pipeline.config import run_settings
from pipeline.manifest.schema import read_manifest
from pipeline.protocol import write_protocol
from pipeline.protocol.build import build_protocol
from pipeline.protocol.parity import parity_lists
from pipeline.protocol.sources.feature_files.protocol import protocol_of_features
from pipeline.protocol.usable import check_usable, unchoosable
from pipeline.settings import Params
from pipeline.store import read_index
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.protocol")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Build the protocol of params.yaml, check it against the stores, name the runs it is too little for, write it."""
    settings = params.protocol
    faces, voices = read_index(deps.faces), read_index(deps.voices)
    if params.features.source == "csv":
        tables = protocol_of_features(faces, voices, Path(params.features.folder), settings)
    else:
        manifest = read_manifest(deps.manifest)
        tables = build_protocol(manifest, faces, voices, settings, Path(settings.lists))
    check_usable(tables)
    # A warning only, and dvc.yaml does not name experiments: as a parameter: another run draws no other protocol.
    runs = {run: run_settings(params, run) for run in params.experiments}
    for reason, stuck in unchoosable(tables, runs).items():
        told = (reason, ", ".join(stuck))
        logger.warning("%s: give %s selection: last, or take them out of experiments:, or their training fails", *told)
    write_protocol(outs.protocol, tables)
    people = "unknown, because no list names them" if parity_lists(tables.summary) else tables.summary["identities"]
    counts = people, len(tables.train_pairs), len(tables.verification)
    logger.info("protocol: %s; identities %s, %d training pairs, %d trials", tables.summary["source"], *counts)


if __name__ == "__main__":
    run_stage(main)
