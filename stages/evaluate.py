"""Scores, rates and curves of one run: `python -m stages.evaluate <run>`."""

import logging

from pipeline.errors import CheckpointError
from pipeline.evaluation import described, evaluate, lists_of, write_evaluation
from pipeline.evaluation.figures import Metrics
from pipeline.files import sha256_of
from pipeline.protocol import read_protocol
from pipeline.resolved import SETTINGS, read_run_file, settings_digest
from pipeline.scoring.model import MODEL, load_model
from pipeline.scoring.provenance import check_protocol, check_provenance
from pipeline.settings import Params
from pipeline.store import read_store
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.evaluate")


def main(params: Params, deps: Artifacts, outs: Artifacts, run: str) -> None:
    """Measure the models of the run that the command line names on every test list of the protocol."""
    settings, trained = read_run_file(deps.settings / f"{run}.json", params, run).settings, deps.runs / run / MODEL
    model = load_model(trained)
    if not model.was_trained_with(settings):
        raise CheckpointError(
            f"{trained} was trained with other settings than params.yaml now gives run {run!r}: "
            f"run `dvc repro train@{run}`"
        )
    faces, voices = read_store(deps.faces), read_store(deps.voices)
    check_provenance(model.provenance, {"face": faces.provenance, "voice": voices.provenance}, str(trained))
    tables = read_protocol(deps.protocol)
    check_protocol(model.protocol, tables, str(trained), f"train@{run}")
    lists = lists_of(tables, faces, voices)
    evaluation = evaluate(model, params.evaluate, lists, faces, voices, settings.modality)
    epochs = {str(seed): epoch for seed, epoch in zip(settings.seeds, model.chosen_epoch, strict=True)}
    rule: Metrics = {"rule": settings.selection, "epochs": {**epochs}}
    what: Metrics = {**model.summary(), "sha256": sha256_of(trained), SETTINGS: settings_digest(settings)}
    write_evaluation(outs.runs / run, evaluation, rule, settings.modality, what)
    logger.info("evaluate %s: %s", run, described(evaluation.metrics, settings.modality))


if __name__ == "__main__":
    run_stage(main, takes="run")
