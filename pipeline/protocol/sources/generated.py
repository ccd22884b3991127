"""A protocol for any corpus, with the structure of the released one."""

import numpy as np

from pipeline.protocol.assemble import Splits, assemble
from pipeline.protocol.corpus import read_corpus
from pipeline.protocol.galleries import matching_lists
from pipeline.protocol.pairs import training_pairs
from pipeline.protocol.sources import Draft, Inputs, register
from pipeline.protocol.splits import assign_splits, held_out_clips
from pipeline.protocol.trials import seen_condition, unseen_condition, verification_lists
from pipeline.settings import ProtocolSettings


@register("generated")
def generate(inputs: Inputs, settings: ProtocolSettings) -> Draft:
    """Split the people, hold recordings out, generate training pairs, trials and galleries; all decided by the seed.

    Only people with a face and a voice train or are in cross-modal trials; the others are in trials of their one
    modality. Lists that the corpus cannot give are absent, with the reason in coverage. Raises ProtocolError for too
    few people.
    """
    corpus = read_corpus(inputs.manifest, inputs.faces, inputs.voices)
    split = assign_splits(corpus.people, settings)
    training = np.asarray((split == "train") & corpus.paired)
    held_out = held_out_clips(corpus, training, settings)
    test = unseen_condition(corpus, "test", split)
    conditions = [unseen_condition(corpus, "validation", split), test, seen_condition(corpus, training, held_out)]
    lists = [one for condition in conditions for one in verification_lists(corpus, condition, settings)]
    lists += matching_lists(corpus, test, settings)
    pairs = training_pairs(corpus, training, held_out, settings)
    return Draft(assemble(corpus, Splits(split, training, held_out), lists, pairs, settings), corpus, held_out)
