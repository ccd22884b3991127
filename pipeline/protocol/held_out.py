"""Recordings of training identities that are kept out of training, for the seen-heard trials."""

import numpy as np

from pipeline.protocol.chance import rank_key
from pipeline.protocol.corpus import Corpus, Flags
from pipeline.settings import ProtocolSettings


def held_out_clips(corpus: Corpus, training: Flags, settings: ProtocolSettings) -> Flags:
    """Which recordings (clips,) are kept out of training: a share of each training person's, (P,) flags `training`.

    The share is taken among recordings of one kind (face and voice, face only, voice only), of two or more at least one
    and never all, so that every training person keeps a face and a voice to train on.
    """
    clips = corpus.clips.copy()
    faces = np.bincount(corpus.faces.clip, minlength=len(clips)) > 0
    voices = np.bincount(corpus.voices.clip, minlength=len(clips)) > 0
    clips["kind"] = faces + 2 * voices
    names = corpus.people["identity"].to_numpy(dtype=object)[clips["person"]]
    clips["key"] = [rank_key(settings.seed, "held out", *pair) for pair in zip(names, clips["clip"], strict=True)]
    grouped = clips.sort_values("key").groupby(["person", "kind"], sort=False)
    rank = grouped.cumcount().reindex(clips.index).to_numpy()
    size = grouped["key"].transform("size").reindex(clips.index).to_numpy()
    share = np.floor(settings.seen_heard_clips * size + 0.5)
    taken = np.clip(share, 1, size - 1) if settings.seen_heard_clips > 0 else np.zeros(len(clips))
    return np.asarray((rank < taken) & training[clips["person"].to_numpy()], dtype=np.bool_)
