"""The planted association and its control, on the last stores: `python -m tools.benchmarks.association`.

Every split is another draw of training and test people; the interval is Student's over the splits. Splits
share people, so it is a little narrower than fresh corpora would give.
"""

import argparse
import logging
import sys

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.config import load_params
from pipeline.errors import ConfigError
from pipeline.resolved import resolved
from pipeline.store import read_store
from stages.common import PARAMS, Artifacts, run_command
from tools.benchmarks.association.trial import Corpus, Rates, exchange_voices, measure

_CONFIDENCE = 0.95


def main() -> None:
    """Print AUC overall and within gender, as planted and with voices exchanged, over several splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="single_fop", help="run of params.yaml whose settings are used")
    parser.add_argument("--splits", type=int, default=8, help="draws of training and test people")
    arguments = parser.parse_args()
    params = load_params(PARAMS)
    settings = resolved(params, arguments.run)
    if settings.selection == "test":
        raise ConfigError(f"{arguments.run}: chosen on the test list, here the people measured on: selection: test")
    quick = params.evaluate.model_copy(update={"bootstrap": 0})
    artifacts = Artifacts()
    manifest = pd.read_parquet(artifacts.manifest)
    corpus = Corpus(manifest, read_store(artifacts.faces), read_store(artifacts.voices))
    for name in ("as planted", "voices exchanged within gender"):
        found = []
        for split in range(arguments.splits):
            media = corpus if name == "as planted" else exchange_voices(corpus, split)
            protocol = params.protocol.model_copy(update={"seed": params.protocol.seed + split})
            found.append(measure(media, protocol, settings, quick))
        sys.stdout.write(f"{name}: {_line(found)}\n")


def _line(found: list[Rates]) -> str:
    parts = []
    for label, values in (
        ("AUC", [rates.overall for rates in found]),
        ("within gender", [rates.within_gender for rates in found]),
    ):
        half = stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1) * stats.sem(values) if len(values) > 1 else np.nan
        parts.append(f"{label} {np.mean(values):.1f} [{np.mean(values) - half:.1f}, {np.mean(values) + half:.1f}]")
    return ", ".join(parts) + f" ({len(found)} splits)"


if __name__ == "__main__":
    logging.getLogger("pipeline").setLevel(logging.WARNING)
    run_command(main)
