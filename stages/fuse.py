"""Fuse trained runs into one and measure it: `python -m stages.fuse RUN`, a run of `fusions:`."""

import logging

from pipeline.errors import CheckpointError
from pipeline.evaluation import described, evaluate, lists_of, write_evaluation
from pipeline.evaluation.figures import Metrics
from pipeline.protocol import read_protocol
from pipeline.resolved import SETTINGS, read_run_file, settings_digest
from pipeline.scoring.fusion import fuse, members_of, save_fusion
from pipeline.scoring.model import MODEL, Contents
from pipeline.scoring.provenance import check_protocol, check_provenance
from pipeline.settings import Params
from pipeline.store import read_store
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.fuse")


def main(params: Params, deps: Artifacts, outs: Artifacts, run: str) -> None:
    """Write the model of a fusion, which holds its members, and its figures on every test list of the protocol."""
    settings = read_run_file(deps.settings / f"{run}.json", params, run).settings
    contents: dict[str, Contents] = {}
    for one in params.fusions[run]:
        contents |= members_of(deps.runs / one / MODEL, one)
    faces, voices, tables = read_store(deps.faces), read_store(deps.voices), read_protocol(deps.protocol)
    fusion = fuse(contents, tables, faces.matrix, voices.matrix)
    if not fusion.was_trained_with(settings):
        raise CheckpointError(
            f"members of {run} were trained with other settings than params.yaml now gives them: "
            f"run `dvc repro fuse@{run}`"
        )
    for name, member in zip(contents, fusion.members, strict=True):
        check_provenance(member.provenance, {"face": faces.provenance, "voice": voices.provenance}, name)
        check_protocol(member.protocol, tables, f"member {name}", f"fuse@{run}")
    save_fusion(outs.runs / run / MODEL, fusion)
    evaluation = evaluate(fusion, params.evaluate, lists_of(tables, faces, voices), faces, voices, settings.modality)
    rule: Metrics = {"rule": settings.selection}
    what: Metrics = {**fusion.summary(), SETTINGS: settings_digest(settings)}
    write_evaluation(outs.runs / run, evaluation, rule, settings.modality, what)
    logger.info("fuse %s (%s): %s", run, ", ".join(contents), described(evaluation.metrics, settings.modality))


if __name__ == "__main__":
    run_stage(main, takes="fusion")
