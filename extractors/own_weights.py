"""Weights that the user names by path. DVC watches params.yaml and not that file, so its digest may stand beside it."""

import logging
import re
from pathlib import Path

from pipeline.errors import WeightsError
from pipeline.files import sha256_of

_PINNED = re.compile(r"(.+)#([0-9a-f]{8,64})")
_DIGITS = 12  # of the digest that we propose; 48 bits tell a lab's files apart

logger = logging.getLogger(__name__)


def own_file(given: str, stage: str) -> Path:
    """The file that `<stage>.weights` names: a path, or `path#digest` with eight or more digits of its SHA-256.

    Without a digest, other weights under the same path would leave results that DVC calls up to date, which is said
    in the log. Raises WeightsError for a file of another digest; whether there is a file at all is the caller's to say.
    """
    if Path(given).is_file():
        logger.warning(
            "DVC does not watch %s. Write `%s.weights: %s#%s`, so that other bytes are refused; or, whenever they "
            "change, run `dvc repro --single-item --force %s`",
            *(given, stage, given, sha256_of(Path(given))[:_DIGITS], stage),
        )
        return Path(given)
    if not (pinned := _PINNED.fullmatch(given)) or not Path(pinned[1]).is_file():
        return Path(given)
    path, digest = Path(pinned[1]), sha256_of(Path(pinned[1]))
    if not digest.startswith(pinned[2]):
        raise WeightsError(
            f"{path} holds other bytes than {stage}.weights says: put the right file there, or write "
            f"`weights: {path}#{digest[:_DIGITS]}` for these"
        )
    return path
