"""The contract of every extractor: it owns its options, its weights and the preparation of its input.

An author writes four things: `version`, `Options`, `load` and the call. The base makes the fingerprint that cached
results go by, over all of them and their source, so that none can be forgotten. Its file imports no model library.
"""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from pipeline.errors import RunError
from pipeline.extraction.fingerprint import code_digest, fingerprint_of
from pipeline.media import MEDIA_VERSION
from pipeline.settings import Section

if TYPE_CHECKING:
    import torch

_DIGEST = re.compile("[0-9a-f]{64}")
_FINAL = ("fingerprint", "identity", "provenance")
_FOLDER = Path(__file__).resolve().parent
_NO_ARITHMETIC = (_FOLDER / "base.py", _FOLDER / "registry.py")  # the contract, and who finds a class by its name
_BY_DIGEST = "weights"  # option that counts in a fingerprint by the digest of its file, so that the file may move


class ExtractorOptions(Section):
    """An extractor's own keys of its section of params.yaml; their defaults are there, not here.

    Every one counts in the fingerprint; what cannot matter to a vector is no option. One called `weights` counts by
    the digest of what it names.
    """


class NoOptions(ExtractorOptions):
    """Of an extractor without any."""


@dataclass(frozen=True)
class Weights:
    """What a network's parameters are, as the store's provenance keeps it."""

    name: str  # short: casia-webface, distilled, or the name of the user's file
    digest: str  # hex SHA-256 of their bytes
    description: str  # for the report's header
    trained_on: tuple[str, ...] | None  # corpora by their usual names; None: not known
    official: bool = False  # the published ones of the paper that the network is from
    stand_in: bool = False  # not what anyone would publish figures with

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest):
            raise TypeError(f"weights {self.name}: the digest must be a hex SHA-256, not {self.digest!r}")


NO_WEIGHTS = Weights("none", fingerprint_of("no weights"), "no weights", trained_on=())


class Extractor(ABC):
    """A model by its name in params.yaml, made of its options.

    `load` is called once, when it is made, and reads networks and files. What runs in decode workers is not the
    extractor but its `preparer`, which knows nothing of the model.
    """

    name: ClassVar[str]  # set by the decorator that registers it
    version: ClassVar[int]  # raised when results change by what is not below extractors/, such as a library
    Options: ClassVar[type[ExtractorOptions]] = NoOptions
    # Whether an input's result has the same bytes whatever else is in the call: a CPU then gets several items at once.
    independent: ClassVar[bool] = False
    code_at_import: ClassVar[str]  # digest of the source, with what it imports below extractors/
    backend: str | None = None  # what its networks run in, for the record: no part of the fingerprint, as the device

    def __init__(self, options: ExtractorOptions, device: "torch.device") -> None:
        """Loads the networks onto `device`; raises WeightsError where their weights cannot be had."""
        self.options = options
        self.device = device
        self.weights = self.load()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if own := [name for name in _FINAL if name in vars(cls)]:
            raise TypeError(f"{cls.__name__} must not define {own[0]}: the base makes it, over all that counts")
        cls.code_at_import = _code_of(cls.__mro__)

    @abstractmethod
    def load(self) -> Weights:
        """Load networks onto self.device, as self.options say; returns what their weights are."""

    @abstractmethod
    def preparer(self) -> object:
        """What decode workers run: an instance of a frozen dataclass with a `version`, made of options alone.

        It is pickled, so its module should import no model library: every worker would.
        """

    @final
    def fingerprint(self) -> str:
        """Hex SHA-256 of all that decides a result but the medium: code, weights, options, preparer and decoder."""
        return fingerprint_of(
            {
                "name": self.name,
                "version": self.version,
                "code": self._code(),
                "weights": self.weights.digest,
                "options": self.options.model_dump(mode="json", exclude={_BY_DIGEST}),
                "preparer": self.preparer(),
                "media": MEDIA_VERSION,
            }
        )

    @final
    def provenance(self) -> dict[str, object]:
        """What a store says of the extractor that filled it, in JSON's types; enough to make it again."""
        return {
            "extractor": self.name,
            **({} if self.backend is None else {"backend": self.backend}),
            "version": self.version,
            "code": self._code(),
            "options": self.options.model_dump(mode="json"),
            "weights": {**asdict(self.weights), "trained_on": _as_list(self.weights.trained_on)},
            "fingerprint": self.fingerprint(),
        }

    @final
    def identity(self, weights: Weights) -> str:
        """Hex SHA-256 of what may decide its networks, code, weights and options: kept_network's, for `load`."""
        return fingerprint_of(
            {
                "name": self.name,
                "version": self.version,
                "code": self._code(),
                "weights": weights.digest,
                "options": self.options.model_dump(mode="json", exclude={_BY_DIGEST}),
            }
        )

    def _code(self) -> str:
        """Digest of the source of the class and of its preparer's, with what they import below extractors/.

        A class that was typed at a prompt has no file: `version` alone says what it is. Raises RunError where the
        source has changed since this process imported it: results of the old code would be kept as the new one's.
        """
        if _code_of(type(self).__mro__) != self.code_at_import:
            raise RunError(f"the source of extractor {self.name} has changed since it was imported: start again")
        return _code_of([*type(self).__mro__, *type(self.preparer()).__mro__])


def _code_of(classes: Iterable[type]) -> str:
    files = {getattr(sys.modules.get(found.__module__), "__file__", None) for found in classes if _is_own(found)}
    return code_digest((Path(file).resolve() for file in files if file), _FOLDER, _NO_ARITHMETIC)


def _is_own(found: type) -> bool:
    """Whether a class is of an extractor or a preparer, not of Python."""
    return found.__module__.partition(".")[0] not in sys.stdlib_module_names or found.__module__ == "__main__"


def _as_list(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)
