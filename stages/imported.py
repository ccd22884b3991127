"""Outputs of extraction that come from feature files: where `features.source` is csv, a stage copies them.

`stages.import_features` writes them beforehand, so that no extraction depends on code that reads feature files.
"""

import functools
import logging
import shutil
from collections.abc import Callable

from pipeline.files import atomic_path
from pipeline.settings import Params
from stages.common import Artifacts

logger = logging.getLogger(__name__)

ExtractionMain = Callable[[Params, Artifacts, Artifacts], None]


def or_imported(*files: str) -> Callable[[ExtractionMain], ExtractionMain]:
    """Decorator of a stage's main whose outputs are `files` below artifacts/: from media, or else imported."""

    def add(main: ExtractionMain) -> ExtractionMain:
        @functools.wraps(main)
        def extracted_or_imported(params: Params, deps: Artifacts, outs: Artifacts) -> None:
            if params.features.source == "media":
                main(params, deps, outs)
                return
            for name in files:
                with atomic_path(outs.root / name) as temporary:
                    shutil.copyfile(deps.features / name, temporary)
            folder = params.features.folder
            logger.info("%s: of the feature files in %s; no medium was read", ", ".join(files), folder)

        return extracted_or_imported

    return add
