"""Train one run of `experiments:`, all its seeds at once: `python -m stages.train RUN`."""

import logging

from pipeline.config import run_settings
from pipeline.files import atomic_path
from pipeline.protocol import read_protocol
from pipeline.runtime.device import select_device
from pipeline.runtime.workspace import home
from pipeline.settings import Params
from pipeline.store import MATRIX, read_matrix
from pipeline.training import MODEL, StateFile, save_model, train_run, training_lists
from stages.common import Artifacts, run_stage

HISTORY = "history.csv"

logger = logging.getLogger("stages.train")


def main(params: Params, deps: Artifacts, outs: Artifacts, run: str) -> None:
    """Write the chosen networks and the history of a run; a killed training goes on from its last state."""
    settings = run_settings(params, run)
    faces, _ = read_matrix(deps.faces / MATRIX)
    voices, _ = read_matrix(deps.voices / MATRIX)
    lists = training_lists(read_protocol(deps.protocol), settings, len(faces), len(voices))
    state_file = StateFile(home() / "training", run)
    trained = train_run(settings, lists, faces, voices, select_device(), state_file)
    folder = outs.runs / run
    save_model(folder / MODEL, trained.model)
    with atomic_path(folder / HISTORY) as temporary:
        trained.history.to_csv(temporary, index=False, lineterminator="\n")
    state_file.remove()
    epochs = ", ".join(map(str, trained.model.chosen_epoch))
    logger.info("train %s: epoch %s of %d, chosen on %s", run, epochs, settings.epochs, settings.selection)


if __name__ == "__main__":
    run_stage(main, takes="run")
