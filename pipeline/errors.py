"""Every error that SBNet raises on purpose.

PipelineError
├── ConfigError       params.yaml: an unknown key, a wrong type, a value out of range
├── ManifestError     the media folder or its tables contradict themselves
├── MediaError        one item cannot be used; recorded in skipped.csv, the run goes on
│   ├── LimitError    it took too much time or memory; otherwise usable
│   └── GoneError     its bytes are not those of the manifest; the stage fails once the others are cached
├── ExtractionError   too many items skipped, or an extractor broke its promise
├── ProtocolError     splits, trials or lists that would make the numbers dishonest
├── ScoreError        what a run has no score for; scores or labels without a rate; also a ValueError
├── RunError          a stage's results are damaged; DVC was killed around it; what it reads is absent or changed
├── StoreError        a store or the item cache is damaged or of another shape
├── CheckpointError   a model file is damaged, poisoned or of another network
└── WeightsError      pretrained weights are absent or not the published ones

A message says what is wrong, with which item, and what to do about it.
"""

from collections.abc import Sequence


def first_of(items: Sequence[str], shown: int, rest: str = "more") -> list[str]:
    """The first `shown` items for a message and, where there are others, their number: "... and 7 more"."""
    return [*items[:shown], *([f"... and {len(items) - shown} {rest}"] if len(items) > shown else [])]


class PipelineError(Exception):
    """Base of all errors whose message is meant for the user."""


class ConfigError(PipelineError):
    """params.yaml holds something the pipeline cannot run with."""


class ManifestError(PipelineError):
    """The media folder or one of its tables contradicts itself."""


class MediaError(PipelineError):
    """One item of media cannot be used; the other items still can."""


class LimitError(MediaError):
    """An item took more time or memory than there was: on another day, or with more of it, it can be used."""


class GoneError(MediaError):
    """A medium is not there, or has other bytes than the manifest says."""


class ExtractionError(PipelineError):
    """Too many items were skipped, or an extractor gave vectors it must not give."""


class ProtocolError(PipelineError):
    """Splits, trials or lists are broken in a way that would falsify the results."""


class ScoreError(PipelineError, ValueError):
    """A run cannot score what it was asked to, or scores and labels allow no rate: none, of one kind, not finite."""


class RunError(PipelineError):
    """What a stage made must not be taken for a result: it is damaged, or its DVC is gone, or its inputs changed."""


class StoreError(PipelineError):
    """A packed store or the item cache is damaged or does not fit its index."""


class CheckpointError(PipelineError):
    """A model file is damaged, unsafe to load, or belongs to another network."""


class WeightsError(PipelineError):
    """Pretrained weights are absent, unreachable or not the published bytes."""
