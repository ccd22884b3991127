"""Scores, rates and curves of one run: `python -m stages.evaluate <run>`."""

import logging
import sys

from pipeline.config import load_params, run_settings
from pipeline.errors import CheckpointError, ConfigError
from pipeline.evaluation import described, evaluate, lists_of, write_evaluation
from pipeline.protocol import read_protocol
from pipeline.store import read_store
from pipeline.training import MODEL, load_model
from stages.common import ARTIFACTS, PARAMS, run_stage

logger = logging.getLogger("stages.evaluate")


def main() -> None:
    """Measure the models of the run that the command line names on every test list of the protocol."""
    params = load_params(PARAMS)
    if len(sys.argv) != 2:
        raise ConfigError(f"name one run, such as `python -m stages.evaluate {next(iter(params.experiments))}`")
    run = sys.argv[1]
    settings, folder = run_settings(params, run), ARTIFACTS / "runs" / run
    model = load_model(folder / MODEL)
    if model.settings != settings:
        raise CheckpointError(
            f"{folder / MODEL} was trained with other settings than params.yaml now gives run {run!r}: "
            f"run `dvc repro train@{run}`"
        )
    faces, voices = read_store(ARTIFACTS / "faces"), read_store(ARTIFACTS / "voices")
    lists = lists_of(read_protocol(ARTIFACTS / "protocol"), faces, voices)
    measured = params.evaluate.under(settings.recipe)
    evaluation = evaluate(model, measured, lists, faces, voices, settings.modality)
    epochs = {str(seed): epoch for seed, epoch in zip(settings.seeds, model.chosen_epoch, strict=True)}
    write_evaluation(folder, evaluation, {"rule": settings.selection, "epochs": {**epochs}}, settings.modality)
    logger.info("evaluate %s: %s", run, described(evaluation.metrics, settings.modality))


if __name__ == "__main__":
    run_stage(main, takes="run")
