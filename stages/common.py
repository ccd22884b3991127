"""What every stage does first and last: logging to stderr, and errors that a user can read."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from pipeline.errors import PipelineError
from pipeline.runtime.input_guard import unchanged_inputs
from pipeline.runtime.locks import turn
from pipeline.runtime.workspace import project_root
from pipeline.settings import Params

ARTIFACTS = Path("artifacts")
PARAMS = Path("params.yaml")


def run_stage(main: Callable[[], None], takes: Literal["nothing", "run", "options"] = "nothing") -> None:
    """Run a stage's main in its turn; a PipelineError becomes its message on stderr and exit code 1, no traceback.

    What a stage `takes` from the command line: nothing, the name of a run, or options that it parses itself.
    """
    given = sys.argv[1:]
    if takes != "options" and {"-h", "--help"} & set(given):
        sys.stdout.write(f"{main.__globals__['__doc__']}\n\n{main.__doc__}\n")
        return
    if takes == "nothing" and given:
        sys.stderr.write(f"{main.__globals__['__doc__']}\n\nIt takes no arguments, but got {' '.join(given)}\n")
        sys.exit(2)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        stage = Path(sys.argv[0]).stem
        with turn("-".join([stage, *given[:1]])), unchanged_inputs(stage, *given[:1]):
            main()
    except PipelineError as error:
        sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; what was extracted so far is kept in the item cache\n")
        sys.exit(130)


class Described(Protocol):
    """An extractor, as far as a store's provenance goes."""

    name: str
    dimension: int
    weights_label: str

    def fingerprint(self) -> str:
        """Hex digest of what decides the vectors."""
        ...


def provenance(extractor: Described) -> dict[str, object]:
    """What a store says of the extractor that filled it."""
    return {
        "extractor": extractor.name,
        "dimension": extractor.dimension,
        "weights": extractor.weights_label,
        "fingerprint": extractor.fingerprint(),
    }


def media_path(params: Params, path: str) -> Path:
    """Where a manifest's medium lies; a relative media folder is taken from the working directory, then the project."""
    media = Path(params.manifest.media)
    return (media if media.exists() else project_root() / media) / path
