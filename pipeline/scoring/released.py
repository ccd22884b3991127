"""A checkpoint that SBNet's authors released as a model file of ours, to be measured on the user's own vectors."""

import logging
from dataclasses import replace
from pathlib import Path

from pipeline.errors import CheckpointError
from pipeline.files import PINNED_DIGITS, pinned_path, sha256_of
from pipeline.methods.official import official_method
from pipeline.scoring.model import Model
from pipeline.scoring.provenance import RELEASED
from pipeline.settings import RunSettings

ORIGIN = "released checkpoint: trained on the authors' features"

logger = logging.getLogger(__name__)


def released_model(settings: RunSettings, faces: int, voices: int) -> Model:
    """The checkpoint that `settings.checkpoint` names, for face vectors of width `faces` and voice vectors of `voices`.

    Raises CheckpointError for a file that is none, has another digest than is written beside it, takes vectors of
    another width, or was released for pairs but shall be tested within one modality.
    """
    path = _file(str(settings.checkpoint))
    name, options, method = official_method(path, settings.modality)
    for modality, width in (("face", faces), ("voice", voices)):
        wanted = method.inputs(modality)
        if settings.modality in ("both", modality) and wanted != width:
            raise CheckpointError(f"{path} takes {modality} vectors of width {wanted}, the store's have {width}")
    if method.takes == "pairs" and settings.modality != "both":
        raise CheckpointError(f"{path} holds two branches, which were trained on pairs: leave out modality")
    if method.takes == "samples":  # a branch of one modality: it takes the other where that is as wide
        method.sizes = replace(method.sizes, face=faces, voice=voices)
    origin = {"extractor": ORIGIN, RELEASED: True, "checkpoint": sha256_of(path)}
    provenance = {modality: {**origin, "dimension": width} for modality, width in (("face", faces), ("voice", voices))}
    resolved = {**settings.model_dump(), "method": name, "method_options": options}
    logger.warning("%s was trained on vectors of its authors' extractors; other vectors may mean little to it", path)
    return Model([method], resolved, method.sizes, (0,), provenance)


def _file(checkpoint: str) -> Path:
    """The file of `path` or `path#sha256`; DVC watches params.yaml and not that file."""
    path, pin = pinned_path(checkpoint)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist: give the path of a released .pth.tar file as checkpoint:")
    digest = sha256_of(path)
    if not digest.startswith(pin):
        raise CheckpointError(
            f"{path} holds other bytes than checkpoint: says; write #{digest[:PINNED_DIGITS]} for these"
        )
    if not pin:
        logger.warning("DVC does not watch %s: write `checkpoint: %s#%s`", path, checkpoint, digest[:PINNED_DIGITS])
    return path
