"""The single branch against its equations, written out by hand."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.methods import SingleBranch


def branch(batch_norm: str, dropout: float = 0.0) -> SingleBranch:
    torch.manual_seed(0)
    return SingleBranch(12, 8, 5, batch_norm=batch_norm, dropout=dropout, momentum=0.1)


def normalised(x: torch.Tensor) -> torch.Tensor:
    """Batch normalisation of columns, without scale and offset."""
    return (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize("batch_norm", ["last", "both"])
def test_forward_is_the_written_out_network(batch_norm: str) -> None:
    network, x = branch(batch_norm), torch.randn(16, 12)
    first = x @ network.first.linear.weight.T + network.first.linear.bias
    if batch_norm == "both":
        first = normalised(first)
    second = normalised(first.clamp_min(0.0) @ network.second.linear.weight.T + network.second.linear.bias)
    expected = second.clamp_min(0.0)
    expected = expected / expected.square().sum(1, keepdim=True).sqrt()
    embedding, logits = network(x)
    torch.testing.assert_close(embedding, expected)
    torch.testing.assert_close(logits, expected @ network.classifier.weight.T + network.classifier.bias)


def test_paper_normalises_after_the_last_layer_only() -> None:
    names = [name for name, _ in branch("last").named_parameters() if "norm" in name]
    assert names == ["second.norm.weight", "second.norm.bias"]


def test_embeddings_have_unit_norm_and_the_promised_shapes() -> None:
    embedding, logits = branch("both").eval()(torch.randn(7, 12))
    assert embedding.shape == (7, 8)
    assert logits.shape == (7, 5)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(7))


def test_faces_and_voices_go_the_same_way() -> None:
    network, x = branch("last").eval(), torch.randn(4, 12)
    assert torch.equal(network.embed_faces(x), network.embed_voices(x))


def test_dropout_acts_in_training_only() -> None:
    network, x = branch("both", dropout=0.5), torch.randn(16, 12)
    assert not torch.equal(network(x).embedding, network(x).embedding)
    network.eval()
    assert torch.equal(network(x).embedding, network(x).embedding)


def test_running_statistics_follow_the_momentum() -> None:
    network = SingleBranch(12, 8, 5, batch_norm="last", dropout=0.0, momentum=0.9)
    x = torch.randn(16, 12)
    hidden = network.second.linear(F.relu(network.first.linear(x))).detach()
    network(x)
    torch.testing.assert_close(network.second.norm.running_mean, 0.9 * hidden.mean(0))
    torch.testing.assert_close(network.second.norm.running_var, 0.1 + 0.9 * hidden.var(0, unbiased=True))
