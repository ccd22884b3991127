"""Take results to other programs.

`python -m stages.export --to authors-csv [--out FOLDER]`: the embeddings as the official code's feature files.
`python -m stages.export RUN --to onnx [--with-extractors] [--out FOLDER]`: a trained run as ONNX files with a card.
"""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from pipeline.config import load_params
from pipeline.errors import CheckpointError, ConfigError, StoreError
from pipeline.export.authors_csv import write_authors_csv
from pipeline.export.card import CARD, model_card
from pipeline.export.onnx_files import described_graphs, extractor_graphs, run_graphs, write_onnx
from pipeline.files import sha256_of, write_text
from pipeline.protocol import read_protocol
from pipeline.protocol.vocabulary import MODALITIES
from pipeline.report.header import report_header
from pipeline.report.leaks import leaks
from pipeline.report.runs import read_run
from pipeline.resolved import resolved
from pipeline.scoring.fusion import Fusion, load_trained
from pipeline.scoring.model import MODEL
from pipeline.scoring.provenance import check_protocol
from pipeline.scoring.vectors import MediaVectors
from pipeline.settings import Params
from pipeline.store import MATRIX, read_store
from stages.common import PARAMS, Artifacts, run_command

logger = logging.getLogger("stages.export")


def main() -> None:
    """A command, not a stage of the graph: write what `dvc repro` has made in the form of another program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="onnx: the name of a run of experiments: in params.yaml")
    parser.add_argument("--to", required=True, choices=("authors-csv", "onnx"), help="the form")
    parser.add_argument("--with-extractors", action="store_true", help="onnx: FaceNet and the aggregator, too")
    parser.add_argument("--out", type=Path, help="an empty or new folder; artifacts/export/<form>[/<run>] by default")
    options = parser.parse_args()
    if (options.to == "onnx") != (options.run is not None):
        parser.error("--to onnx takes the name of a run, authors-csv takes none")
    if options.with_extractors and options.to != "onnx":
        parser.error("--with-extractors belongs to --to onnx")
    out = options.out or Artifacts().root / "export" / options.to / (options.run or "")
    _refuse_full_folder(out)
    if options.to == "onnx":
        export_onnx(load_params(PARAMS), Artifacts(), out, options.run, options.with_extractors)
    else:
        export_authors_csv(Artifacts(), out)


def export_onnx(params: Params, deps: Artifacts, out: Path, name: str, with_extractors: bool) -> None:
    """The branches of a run, if asked for the networks of its extractors, and a card that says what they are."""
    settings, path = resolved(params, name), deps.runs / name / MODEL
    model, protocol = load_trained(path, cpu := torch.device("cpu")), read_protocol(deps.protocol)
    if not model.was_trained_with(settings):
        raise CheckpointError(
            f"{path} was trained with other settings than params.yaml now gives run {name!r}: run `dvc repro`"
        )
    if isinstance(model, Fusion):
        members = ", ".join(model.contents)
        raise ConfigError(f"run {name} is a fusion, which has no embeddings to export: export its members, {members}")
    run = read_run(name, params, deps.runs / name)
    if run.metrics is not None and run.group("model").get("sha256") != sha256_of(path):
        raise CheckpointError(f"{path} is not the model whose figures lie beside it: run `dvc repro evaluate@{name}`")
    if settings.checkpoint is None:  # a released one was trained on its authors' protocol
        check_protocol(model.protocol, protocol, str(path), f"train@{name}")
    graphs = run_graphs(model)
    if with_extractors:
        graphs += extractor_graphs(model, MediaVectors(model.provenance, str(path), cpu))
    difference = write_onnx(out, graphs)
    origins: dict[str, Mapping[str, object]] = {modality: model.provenance.get(modality, {}) for modality in MODALITIES}
    header = report_header(params, [run], origins, protocol.summary, [])
    card = model_card(run, model, header, leaks(origins, protocol), described_graphs(graphs), difference)
    write_text(out / CARD, card)
    files = ", ".join(f"{graph.name}.onnx" for graph in graphs)
    logger.info("%s and %s in %s; torch and onnxruntime differ by %.1e at most", files, CARD, out, difference)


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


if __name__ == "__main__":
    run_command(main)
