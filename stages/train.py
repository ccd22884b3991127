"""Train one run of `experiments:`, its seeds one after another: `python -m stages.train RUN`."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from pipeline.files import atomic_path, write_text
from pipeline.protocol import ProtocolTables, read_protocol
from pipeline.protocol.tables import VALIDATION_OF_LABELS
from pipeline.protocol.vocabulary import VERIFICATION_TASKS
from pipeline.resolved import RunFile, read_run_file
from pipeline.runtime.device import select_device
from pipeline.runtime.workspace import home
from pipeline.scoring.calibration import absent
from pipeline.scoring.model import MODEL, save_model
from pipeline.scoring.provenance import protocol_digest
from pipeline.scoring.released import released_model
from pipeline.settings import Params
from pipeline.store import MATRIX, read_matrix
from pipeline.training import (
    StateFile,
    TrainedRun,
    calibrate,
    calibration_trials,
    cost_of,
    train_run,
    training_lists,
)
from stages.common import Artifacts, run_stage

HISTORY, COST = "history.csv", "cost.json"
_NO_HISTORY = ("seed", "epoch", "learning_rate", "loss", "validation_eer", "validation_auc", "chosen")
_TRAINED_ON = "validation people are of the training files, on which a released checkpoint was trained"

Stores = Sequence[tuple[np.ndarray, Mapping[str, object]]]  # matrix and provenance of faces, then of voices

logger = logging.getLogger("stages.train")


def main(params: Params, deps: Artifacts, outs: Artifacts, run: str) -> None:
    """Write the chosen networks and the history of a run; a killed training continues from its last state."""
    file, state_file = read_run_file(deps.settings / f"{run}.json", params, run), StateFile(home() / "training", run)
    settings, tables = file.settings, read_protocol(deps.protocol)
    stores = [read_matrix(store / MATRIX) for store in (deps.faces, deps.voices)]
    trained = _train(file, tables, stores, state_file)
    file.check_code()  # once more: it is still what it was
    folder = outs.runs / run
    save_model(folder / MODEL, replace(trained.model, protocol=protocol_digest(tables)))
    with atomic_path(folder / HISTORY) as temporary:
        trained.history.to_csv(temporary, index=False, lineterminator="\n")
    cost = cost_of(trained, stores[0][0], stores[1][0], select_device().type)
    write_text(folder / COST, json.dumps(asdict(cost), indent=2) + "\n")
    state_file.remove()
    if settings.checkpoint is not None:
        logger.info("train %s: released checkpoint %s, not trained here", run, settings.checkpoint)
        return
    epochs = ", ".join(map(str, trained.model.chosen_epoch))
    logger.info("train %s: epoch %s of %d, chosen on %s", run, epochs, settings.epochs, settings.selection)


def _train(file: RunFile, tables: ProtocolTables, stores: Stores, state_file: StateFile) -> TrainedRun:
    settings = file.settings
    (faces, face_origin), (voices, voice_origin) = stores
    if settings.checkpoint is not None:
        model = released_model(settings, faces.shape[1], voices.shape[1])
        if tables.summary.get(VALIDATION_OF_LABELS):
            none = {task: (absent(_TRAINED_ON),) * model.judges for task in VERIFICATION_TASKS}
            model = replace(model, calibrations=none)
        else:
            trials = calibration_trials(tables, settings)
            model = calibrate(model, trials, {"face": faces, "voice": voices}, settings.calibration_prior)
        return TrainedRun(model, pd.DataFrame(columns=list(_NO_HISTORY)))
    lists = training_lists(tables, settings, len(faces), len(voices))
    provenance = {"face": face_origin, "voice": voice_origin}
    return train_run(settings, lists, faces, voices, select_device(), state_file, provenance=provenance, code=file.code)


if __name__ == "__main__":
    run_stage(main, takes="run")
