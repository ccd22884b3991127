"""Take results to other programs: `python -m stages.export --to authors-csv [--out FOLDER]`."""

import argparse
import logging
from pathlib import Path

from pipeline.errors import ConfigError, StoreError
from pipeline.export.authors_csv import write_authors_csv
from pipeline.protocol import read_protocol
from pipeline.store import MATRIX, read_store
from stages.common import Artifacts, run_command

logger = logging.getLogger("stages.export")


def main() -> None:
    """A command, not a stage of the graph: write what `dvc repro` has made in the form of another program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", required=True, choices=list(_TARGETS), help="the form")
    parser.add_argument("--out", type=Path, help="an empty or new folder; artifacts/export/<form> by default")
    arguments = parser.parse_args()
    out = arguments.out or Artifacts().root / "export" / arguments.to
    _refuse_full_folder(out)
    _TARGETS[arguments.to](Artifacts(), out)


def export_authors_csv(deps: Artifacts, out: Path) -> None:
    """The stores as the feature files of msaadsaeed/SBNet, which `features.source: csv` reads back."""
    _refuse_absent(deps.faces / MATRIX, deps.voices / MATRIX, deps.protocol / "summary.json")
    files = write_authors_csv(out, read_store(deps.faces), read_store(deps.voices), read_protocol(deps.protocol))
    logger.info("%d files in %s; to read them back: features: {source: csv, folder: %s}", files, out, out)


def _refuse_absent(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise StoreError(f"{path} does not exist: `dvc repro protocol` makes it, and what it needs")


def _refuse_full_folder(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not an empty folder: name another with --out, or remove it first")


_TARGETS = {"authors-csv": export_authors_csv}


if __name__ == "__main__":
    run_command(main)
