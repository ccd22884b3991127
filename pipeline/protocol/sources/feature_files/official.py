"""The official code's feature files, by name (data/face and data/voice of msaadsaeed/SBNet)."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.protocol.vocabulary import PUBLISHED, REGIMES

TRAIN = {"face": "face/facenetfaceTrain.csv", "voice": "voice/voiceTrain.csv"}
_TEST = {
    "face": "face/facenet_face_veriflist_test_{criterion}_{heard}.csv",
    "voice": "voice/voice_veriflist_test_{criterion}_{heard}.csv",
}


@dataclass(frozen=True)
class TrialList:
    """One verification list: a face file, a voice file and, where it is given, the released list they follow."""

    criterion: str  # of PUBLISHED
    regime: str  # unseen_unheard | seen_heard

    @property
    def name(self) -> str:
        """Short name, unique."""
        return f"{self.criterion}_{REGIMES[self.regime].run_together}"

    def item(self, modality: str) -> str:
        """Path of the list's features below the features folder."""
        return _TEST[modality].format(criterion=self.criterion, heard=REGIMES[self.regime].run_together)

    def source(self, folder: Path) -> Path:
        """Where the released list lies, if it is there."""
        return folder / "veriflist" / f"veriflist_test_{self.name}.txt"


TRIAL_LISTS = tuple(TrialList(criterion, regime) for regime in REGIMES for criterion in PUBLISHED)
