"""The surest errors of one run, with their faces and voices, as a page: `python -m stages.trials`."""

import logging
from functools import partial

from pipeline.config import run_settings
from pipeline.evaluation import lists_of
from pipeline.evaluation.evaluate import SCORES, measurable
from pipeline.extraction.face_table import read_faces
from pipeline.files import write_text
from pipeline.manifest.schema import read_manifest
from pipeline.protocol import read_protocol
from pipeline.report.trial_media import Excerpts, Sizes, excerpts
from pipeline.report.trials import hard_galleries, read_scores, wrong_trials
from pipeline.report.trials_page import PAGE, Errors, Rows, trials_page
from pipeline.scoring.fusion import load_trained
from pipeline.scoring.model import MODEL
from pipeline.scoring.provenance import check_protocol, check_provenance
from pipeline.settings import Params
from pipeline.store import read_store
from stages.common import Artifacts, media_path, run_stage

logger = logging.getLogger("stages.trials")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Write artifacts/report/trials.html for the run that `trials.run` names, or the first of `experiments:`."""
    run = params.trials.run or next(iter(params.experiments))
    modality, folder, shown = run_settings(params, run).modality, deps.runs / run, params.trials.shown
    scores = read_scores(folder / SCORES, run)
    model, faces, voices = load_trained(folder / MODEL), read_store(deps.faces), read_store(deps.voices)
    check_provenance(model.provenance, {"face": faces.provenance, "voice": voices.provenance}, str(folder / MODEL))
    protocol = read_protocol(deps.protocol)
    stage = f"{'fuse' if run in params.fusions else 'train'}@{run}"
    check_protocol(model.protocol, protocol, str(folder / MODEL), stage)
    lists = measurable(lists_of(protocol, faces, voices), model)
    galleries = hard_galleries(model, lists, faces, voices, modality, shown)
    errors = Errors(run, wrong_trials(scores, modality, shown), galleries)
    rows = Rows(faces.index, voices.index, protocol.identities)
    write_text(outs.report / PAGE, trials_page(errors, rows, _media(params, deps, errors, rows)))
    counts = (len(errors.wrong), len(errors.galleries), run)
    logger.info("trials: %d wrong trials, %d galleries of %s: %s", *counts, outs.report / PAGE)


def _media(params: Params, deps: Artifacts, errors: Errors, rows: Rows) -> Excerpts | str:
    """What there is to see and to hear, or why there shall be nothing."""
    if params.features.source == "csv":
        return "The embeddings are of feature files: there are no media, and rows of the files stand for them."
    if not params.trials.media:
        return "Faces and voices are not copied into this page (trials.media in params.yaml)."
    boxes, _ = read_faces(deps.faces / "detections.parquet")
    sizes = Sizes(params.trials.side, params.trials.seconds)
    locate = partial(media_path, params)
    return excerpts(*rows.media_of(errors.samples), read_manifest(deps.manifest), boxes, locate, sizes)


if __name__ == "__main__":
    run_stage(main)
