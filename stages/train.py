"""Train one run of `experiments:`, all its seeds at once: `python -m stages.train RUN`."""

import logging
import sys

from pipeline.config import load_params, run_settings
from pipeline.device import select_device
from pipeline.errors import ConfigError
from pipeline.files import atomic_path
from pipeline.store import MATRIX, read_matrix
from pipeline.training import MODEL, StateFile, read_training_lists, save_model, train_run
from pipeline.workspace import home
from stages.common import ARTIFACTS, PARAMS, run_stage

HISTORY = "history.csv"

logger = logging.getLogger("stages.train")


def main() -> None:
    """Write the chosen networks and the history of a run; a killed training goes on from its last state."""
    if len(sys.argv) != 2:
        raise ConfigError("name one run of experiments: in params.yaml, as in `python -m stages.train single_fop`")
    run = sys.argv[1]
    settings = run_settings(load_params(PARAMS), run)
    faces, _ = read_matrix(ARTIFACTS / "faces" / MATRIX)
    voices, _ = read_matrix(ARTIFACTS / "voices" / MATRIX)
    lists = read_training_lists(ARTIFACTS / "protocol", settings, len(faces), len(voices))
    state_file = StateFile(home() / "training", run)
    trained = train_run(settings, lists, faces, voices, select_device(), state_file)
    folder = ARTIFACTS / "runs" / run
    save_model(folder / MODEL, trained.model)
    with atomic_path(folder / HISTORY) as temporary:
        trained.history.to_csv(temporary, index=False, lineterminator="\n")
    state_file.remove()
    epochs = ", ".join(map(str, trained.model.chosen_epoch))
    logger.info("train %s: epoch %s of %d, chosen on %s", run, epochs, settings.epochs, settings.selection)


if __name__ == "__main__":
    run_stage(main, takes="run")
