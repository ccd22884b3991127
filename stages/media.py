"""Digest of the files of a large media folder: `python -m stages.media`, at every `dvc repro` where `listed` is set."""

import json
import logging

from pipeline.errors import RunError
from pipeline.files import write_text
from pipeline.manifest.watch import media_digest
from pipeline.runtime.workspace import watched_path
from pipeline.settings import Params
from stages.common import Artifacts, media_path, run_stage

logger = logging.getLogger("stages.media")


def main(params: Params, deps: Artifacts, outs: Artifacts) -> None:
    """Write artifacts/media.json; on a machine without the media, what was pulled stays."""
    media = media_path(params, "")
    if media.is_dir():
        found = media_digest(media, watched_path())
        write_text(outs.media, json.dumps(found, indent=1, sort_keys=True) + "\n")
        logger.info("media: %s files", found["files"])
    elif outs.media.is_file():
        logger.warning("media: %s is not there; the media are taken to be those of the last run", media)
    else:
        raise RunError(
            f"neither {media} is there nor {outs.media}: run `dvc pull {outs.media}`, or mend manifest.listed"
        )


if __name__ == "__main__":
    run_stage(main)
