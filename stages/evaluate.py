"""Scores, rates and curves of one run: `python -m stages.evaluate <run>`."""

import logging

from pipeline.config import run_settings
from pipeline.errors import CheckpointError
from pipeline.evaluation import described, evaluate, lists_of, write_evaluation
from pipeline.protocol import read_protocol
from pipeline.settings import Params
from pipeline.store import read_store
from pipeline.training import MODEL, load_model
from stages.common import Artifacts, run_stage

logger = logging.getLogger("stages.evaluate")


def main(params: Params, deps: Artifacts, outs: Artifacts, run: str) -> None:
    """Measure the models of the run that the command line names on every test list of the protocol."""
    settings, trained = run_settings(params, run), deps.runs / run / MODEL
    model = load_model(trained)
    if model.settings != settings:
        raise CheckpointError(
            f"{trained} was trained with other settings than params.yaml now gives run {run!r}: "
            f"run `dvc repro train@{run}`"
        )
    faces, voices = read_store(deps.faces), read_store(deps.voices)
    lists = lists_of(read_protocol(deps.protocol), faces, voices)
    evaluation = evaluate(model, params.evaluate, lists, faces, voices, settings.modality)
    epochs = {str(seed): epoch for seed, epoch in zip(settings.seeds, model.chosen_epoch, strict=True)}
    write_evaluation(outs.runs / run, evaluation, {"rule": settings.selection, "epochs": {**epochs}}, settings.modality)
    logger.info("evaluate %s: %s", run, described(evaluation.metrics, settings.modality))


if __name__ == "__main__":
    run_stage(main, takes="run")
