"""Multi-view: one identity classifier over two encoders (Sari et al. 2021, https://arxiv.org/abs/2102.06291).

L = CE(W g(v), y) + CE(W h(f), y): only the classifier W is shared, and brings both encoders into one space. The weight
of the two halves is the mean of all samples here, half of the sum. What is compared is the cosine of g(v) and h(f).
Inputs are frozen vectors, so that g and h are small encoders, where the paper trains a whole speaker and a whole face
network (PunkMale/XM-ALIGN `trainer.py` with share_head does the same). Published with cross entropy: `loss: ce`;
another loss of losses: sees faces and voices as samples of either modality.
"""

from pipeline.methods.base import register
from pipeline.methods.encoders import EncoderOptions, TwoEncoders


@register("multi_view")
class MultiView(TwoEncoders):
    """Two encoders, one classifier."""

    class Options(EncoderOptions):
        """`methods.multi_view:`."""
