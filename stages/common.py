"""What every stage does first and last: logging to stderr, and errors that a user can read."""

import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config import load_params
from pipeline.errors import ConfigError, PipelineError
from pipeline.runtime.input_guard import refuse_absent_inputs, unchanged_inputs, warn_of_linked_folders
from pipeline.runtime.locks import stage_lock
from pipeline.runtime.workspace import project_root
from pipeline.settings import Params

PARAMS = Path("params.yaml")

StageMain = Callable[..., None]  # main(params, deps, outs), and the name of a run where the stage takes one


@dataclass(frozen=True)
class Artifacts:
    """Paths of the files of `artifacts/`. A stage reads below one root, `deps`, and writes below another, `outs`.

    With DVC both are one folder; a test may separate them, to see what a stage reads and what it writes.
    """

    root: Path = Path("artifacts")

    @property
    def features(self) -> Path:
        """Folder of what extraction would have written, where the embeddings come from feature files."""
        return self.root / "features"

    @property
    def media(self) -> Path:
        """Digest of a large media folder."""
        return self.root / "media.json"

    @property
    def manifest(self) -> Path:
        """Table of the items."""
        return self.root / "manifest.parquet"

    @property
    def faces(self) -> Path:
        """Folder of the face table and the face store."""
        return self.root / "faces"

    @property
    def voices(self) -> Path:
        """Folder of the voice store."""
        return self.root / "voices"

    @property
    def protocol(self) -> Path:
        """Folder of splits, training pairs, trials and galleries."""
        return self.root / "protocol"

    @property
    def settings(self) -> Path:
        """Folder of the runs' settings, a file each."""
        return self.root / "settings"

    @property
    def runs(self) -> Path:
        """Folder of the runs, a folder each."""
        return self.root / "runs"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.root / "report"


def run_stage(
    main: StageMain, takes: Literal["nothing", "run", "fusion"] = "nothing", arguments: Sequence[str] | None = None
) -> None:
    """Run a stage under its lock: main(params, deps, outs), with the run's name behind them if the stage `takes` one.

    `arguments` replace those of the command line. A PipelineError becomes its message on stderr and exit code 1, no
    traceback.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    description = inspect.unwrap(main).__globals__["__doc__"]
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(f"{description}\n\n{main.__doc__}\n")
        return
    if len(arguments) != (0 if takes == "nothing" else 1):
        section = "fusions" if takes == "fusion" else "experiments"
        named = f"one argument, the name of a run of {section}: in params.yaml"
        wanted = "no arguments" if takes == "nothing" else named
        sys.stderr.write(f"{description}\n\nIt takes {wanted}, but got {' '.join(arguments) or 'none'}\n")
        sys.exit(2)
    stage = Path(sys.argv[0]).stem

    def locked() -> None:
        with stage_lock("-".join([stage, *arguments])), unchanged_inputs(stage, *arguments):
            params = load_params(PARAMS)
            if takes != "nothing":
                _check_kind(params, takes, *arguments)
            if params.features.source == "media" and stage != "manifest":  # which refuses such links itself
                warn_of_linked_folders(media_path(params, ""))
            refuse_absent_inputs(stage, *arguments)
            main(params, Artifacts(), Artifacts(), *arguments)

    run_command(locked)


def _check_kind(params: Params, takes: str, run: str) -> None:
    """Raise ConfigError for a run of the other section than the stage takes."""
    if takes == "run" and run in params.fusions:
        raise ConfigError(f"{run} is a fusion, neither trained nor evaluated by itself: run `dvc repro fuse@{run}`")
    if takes == "fusion" and run not in params.fusions:
        known = ", ".join(params.fusions) or "none there"
        raise ConfigError(f"no run {run!r} under fusions: in params.yaml; known: {known}")


def run_command(command: Callable[[], None], level: int = logging.INFO) -> None:
    """Run a command with logging to stderr; a PipelineError becomes its message there and exit code 1."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        command()
    except PipelineError as error:
        sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; what was extracted so far is in the item cache\n")
        sys.exit(130)


def media_path(params: Params, path: str) -> Path:
    """Path of a manifest's medium; a relative media folder is below the working directory or else the project."""
    media = Path(params.manifest.folder)
    return (media if media.exists() else project_root() / media) / path
