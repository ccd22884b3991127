"""New media against a trained run: `python -m stages.score verify --run single_fop --face FILE --voice FILE`.

A command, not a stage of the graph. It works from the run's model file alone and reads nothing of params.yaml. It ends
with exit code 0 where all was scored, and otherwise with 1 and the reason on stderr.
"""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pipeline.errors import CheckpointError, MediaError, PipelineError, StoreError, first_of
from pipeline.scoring import Scorer
from pipeline.scoring.scorer import EVEN, Ranking, Side, Verdict
from stages.common import Artifacts, run_command

_SHOWN = 5
_NUMBERS = ("--threshold", "--prior")  # options that take a number
_FILES: dict[str, Any] = {"nargs": "+", "action": "extend", "metavar": "FILE"}  # an option given twice adds files
_NAMED = {
    "eer": "at the equal error rate",
    "far_1": "at 1 % of false accepts",
    "far_10": "at 10 % of false accepts",
}


@dataclass(frozen=True)
class Answer:
    """What a command found."""

    result: dict[str, object]  # for --json
    sentence: str
    failure: PipelineError | None = None  # what was not scored, beside what was


def main(arguments: Sequence[str] | None = None) -> None:
    """Verify, match, index, retrieve or score a table of pairs, as `arguments` (default: the command line) say."""
    options = _parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    try:
        scorer = Scorer.load(_model_file(options))
        answer: Answer = options.command(scorer, options)
    except PipelineError as error:
        if options.json:
            _print(json.dumps({"error": str(error), "kind": type(error).__name__}))
        raise
    described = {"run": scorer.run, "model": str(scorer.path), **answer.result}
    _print(json.dumps(described, allow_nan=False) if options.json else answer.sentence)
    if answer.failure:
        raise answer.failure


def _verify(scorer: Scorer, options: argparse.Namespace) -> Answer:
    """Whether two sides are of one person."""
    given = {name: getattr(options, name) for name in ("face", "voice", "other_face", "other_voice")}
    verdict = scorer.verify(**given, threshold=options.threshold, prior=options.prior)
    return Answer(asdict(verdict), _in_words(verdict))


def _match(scorer: Scorer, options: argparse.Namespace) -> Answer:
    """Which candidate is the probe's person."""
    ranking = scorer.match(face=options.face, voice=options.voice, faces=options.faces, voices=options.voices)
    return Answer(asdict(ranking), _listed(ranking, f"Of {len(ranking.candidates)} {ranking.modality}s"))


def _retrieve(scorer: Scorer, options: argparse.Namespace) -> Answer:
    """The most similar of a store."""
    ranking = scorer.retrieve(
        options.store, face=options.face, voice=options.voice, top=options.top, among=options.among
    )
    return Answer(asdict(ranking), _listed(ranking, f"Of the {ranking.modality}s in {options.store}"))


def _index(scorer: Scorer, options: argparse.Namespace) -> Answer:
    """A folder's media to a store."""
    _make_folder(Path(options.out))
    counts = scorer.index(options.folder, options.out)
    words = f"{counts['face']} faces and {counts['voice']} voices; skipped: {counts['skipped']}"
    remark = f" (see {Path(options.out) / 'skipped.csv'})" if counts["skipped"] else ""
    return Answer({"store": str(options.out), **counts}, f"{options.out} holds {words}{remark}")


def _pairs(scorer: Scorer, options: argparse.Namespace) -> Answer:
    """A table of pairs to the same table with scores; what could not be scored is named and makes exit code 1."""
    from pipeline.scoring.pairs import read_pairs, score_pairs, write_scores

    table, columns = read_pairs(Path(options.table))
    if Path(options.out).is_dir():
        raise StoreError(f"{options.out} is a folder: give the path of a table as --out")
    _make_folder(Path(options.out).parent)
    scores = score_pairs(scorer, table, columns, Path(options.media), options.threshold, options.prior)
    write_scores(Path(options.out), scores)
    failed = scores[scores["reason"] != ""]
    scored = len(scores) - len(failed)
    result = {"out": str(options.out), "pairs": len(scores), "scored": scored, "failed": len(failed)}
    failure = None
    if len(failed):
        lines = first_of([f"row {row + 1}: {reason}" for row, reason in failed["reason"].items()], _SHOWN)
        failure = MediaError(
            f"{len(failed)} of {len(scores)} pairs could not be scored; {options.out} has all rows and reasons:\n  "
            + "\n  ".join(lines)
        )
    return Answer(result, f"{options.out}: {scored} of {len(scores)} pairs scored", failure)


def _make_folder(folder: Path) -> None:
    """Make the folder that results go to, before anything is scored; raises StoreError where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written to ({error.strerror}): give another --out") from error


def _in_words(verdict: Verdict) -> str:
    sides = " and ".join(_of(side) for side in (verdict.left, verdict.right))
    known = [f"similarity {verdict.similarity:z.3f}"]
    if verdict.threshold is not None:
        named = _NAMED.get(verdict.threshold_name)
        known.append(f"threshold {verdict.threshold:.3f}" + (f", {named}" if named else ""))
    if verdict.probability is not None:
        known.append(
            f"probability {verdict.probability:.1%} where {100.0 * verdict.prior:.3g}% of pairs are of one person"
        )
    found = "; ".join(known)
    remark = f"\nNot calibrated: {verdict.reason}" if verdict.reason else ""
    if verdict.same is not None and verdict.probability is not None and verdict.same != (verdict.probability >= EVEN):
        remark += "\nThe threshold and the probability disagree: they answer two questions (docs/scoring.md)."
    if verdict.same is None:
        return f"Whether {sides} are of one person cannot be said ({found}).{remark}"
    return f"{sides[0].upper()}{sides[1:]} are {'' if verdict.same else 'not '}of one person ({found}).{remark}"


def _listed(ranking: Ranking, among: str) -> str:
    lines = [f"{among}, the nearest to {_of(ranking.probe)}:"]
    for one in ranking.candidates:
        known = f"similarity {one.similarity:z.3f}"
        if one.probability is not None:
            known += f", probability {one.probability:.1%} if it is one of them"
        elif one.log_likelihood_ratio is not None:
            known += f", log-likelihood ratio {one.log_likelihood_ratio:.2f}"
        lines.append(f"{one.rank:4d}. {one.medium} ({known})")
    return "\n".join([*lines, *([f"Not calibrated: {ranking.reason}"] if ranking.reason else [])])


def _of(side: Side) -> str:
    return f"the {side.modality} of {', '.join(side.files)}"


def _model_file(options: argparse.Namespace) -> Path:
    """The model file that --model names, or that of --run; raises CheckpointError for a run that is not there."""
    from pipeline.scoring import MODEL

    if options.model is not None:
        return Path(options.model)
    runs = Artifacts().runs
    path: Path = runs / options.run / MODEL
    if not path.is_file():
        known = ", ".join(sorted(found.parent.name for found in runs.glob(f"*/{MODEL}"))) or "none"
        raise CheckpointError(f"{path} does not exist: `dvc repro train@{options.run}` makes it; trained runs: {known}")
    return path


def _joined(arguments: Sequence[str]) -> list[str]:
    """Arguments in which a negative number is joined to its option: argparse takes -1e-3 by itself for an option."""
    joined: list[str] = []
    for text in arguments:
        if text.startswith("-") and isinstance(_threshold(text), float) and joined and joined[-1] in _NUMBERS:
            joined[-1] += f"={text}"
        else:
            joined.append(text)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.score", description=__doc__.partition("\n\n")[2])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    several = "; several files of one person are averaged"

    verify = _command(commands, "verify", _verify, "whether a face and a voice, two faces or two voices are one person")
    verify.add_argument("--face", **_FILES, help=f"image or video{several}")
    verify.add_argument("--voice", **_FILES, help=f"sound, or video with sound{several}")
    verify.add_argument("--other-face", **_FILES, help="to compare two faces")
    verify.add_argument("--other-voice", **_FILES, help="to compare two voices")
    _judging(verify)

    match = _command(commands, "match", _match, "which of several faces or voices is the person of a voice or a face")
    _probe(match, several)
    match.add_argument("--faces", **_FILES, help="candidates, a file each")
    match.add_argument("--voices", **_FILES, help="candidates, a file each")

    index = _command(commands, "index", _index, "a folder's faces and voices to a store")
    index.add_argument("folder", metavar="FOLDER")
    index.add_argument("--out", required=True, metavar="STORE", help="folder of the store")

    retrieve = _command(commands, "retrieve", _retrieve, "the most similar of a store")
    _probe(retrieve, several)
    retrieve.add_argument("--store", required=True)
    retrieve.add_argument("--top", required=True, type=int, metavar="N", help="how many")
    retrieve.add_argument("--among", choices=["face", "voice"], help="default: faces for a voice, voices for a face")

    pairs = _command(commands, "pairs", _pairs, "a table of pairs to the same table with scores")
    pairs.add_argument(
        "table", metavar="TABLE.csv", help="columns face and voice (other pairs, frames: docs/scoring.md)"
    )
    pairs.add_argument("--out", required=True, metavar="SCORES.csv")
    pairs.add_argument("--media", default=".", metavar="FOLDER", help="what the table's paths are below; default: here")
    _judging(pairs)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[Scorer, argparse.Namespace], Answer],
    does: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=does, description=does)
    parser.set_defaults(command=command)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--run", metavar="NAME", help="a run of experiments: or fusions: that was trained here")
    model.add_argument("--model", metavar="PATH", help="a run's model.safetensors, wherever it is")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, for machines")
    return parser


def _probe(parser: argparse.ArgumentParser, several: str) -> None:
    probe = parser.add_mutually_exclusive_group(required=True)
    probe.add_argument("--face", **_FILES, help=f"image or video{several}")
    probe.add_argument("--voice", **_FILES, help=f"sound, or video with sound{several}")


def _judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold", type=_threshold, default="eer", help="eer (default) | far_1 | far_10 | a similarity"
    )
    parser.add_argument(
        "--prior", type=float, help="share of pairs that are of one person, for the probability; default: the run's"
    )


def _threshold(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _print(text: str) -> None:
    """Write lines to stdout; what its encoding lacks, such as bytes of a path that are no text, is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")


if __name__ == "__main__":
    run_command(main, logging.WARNING)
