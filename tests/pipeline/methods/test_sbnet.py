"""The single branch against its equations, written out by hand."""

import pytest
import torch
from torch.nn import functional as F

from pipeline.methods import Sizes, build_method
from pipeline.methods.layers import Dropout
from pipeline.methods.sbnet import SingleBranch
from tests.pipeline.settings_for_training import train_settings


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
    method, x = made(Sizes(12, 12, 5)), torch.randn(4, 12)
    assert torch.equal(method.embed("face", x), method.embed("voice", x))


def made(sizes: Sizes, **changes: object) -> torch.nn.Module:
    return build_method(train_settings(**changes), sizes, torch.Generator().manual_seed(0)).eval()


def test_the_narrower_modality_has_zeros_behind_it() -> None:
    method, x = made(Sizes(12, 10, 5)), torch.randn(4, 10)
    padded = torch.cat([x, torch.zeros(4, 2)], dim=1)
    assert torch.equal(method.embed("voice", x), method.embed("face", padded))
    assert (method.inputs("face"), method.inputs("voice")) == (12, 10)


def test_a_branch_of_one_modality_has_its_width_and_refuses_another() -> None:
    method = made(Sizes(12, 10, 5), modality="voice")
    assert method.network.first.linear.in_features == 10
    assert (method.inputs("voice"), method.inputs("face")) == (10, None)
    assert made(Sizes(12, 12, 5), modality="voice").inputs("face") == 12


def test_initial_values_are_xavier_uniform_and_the_bias_of_the_settings() -> None:
    state = made(Sizes(512, 512, 5), embedding=256, initial_bias=0.01).state_dict()
    bound = (6.0 / (512 + 256)) ** 0.5
    weight = state["network.first.linear.weight"]
    assert float(weight.abs().max()) <= bound
    assert abs(float(weight.std()) - bound / 3**0.5) < 0.001
    torch.testing.assert_close(state["network.second.linear.bias"], torch.full((256,), 0.01))


def test_dropout_acts_in_training_only() -> None:
    network, x = branch("both", dropout=0.5), torch.randn(16, 12)
    assert not torch.equal(network(x).embedding, network(x).embedding)
    network.eval()
    assert torch.equal(network(x).embedding, network(x).embedding)


def test_dropout_keeps_the_share_and_the_mean() -> None:
    passed = Dropout(0.25).train()(torch.ones(400, 100))
    assert abs(float((passed == 0.0).float().mean()) - 0.25) < 0.01
    assert sorted(passed.unique().tolist()) == pytest.approx([0.0, 1.0 / 0.75])


def test_running_statistics_follow_the_momentum() -> None:
    network = SingleBranch(12, 8, 5, batch_norm="last", dropout=0.0, momentum=0.9)
    x = torch.randn(16, 12)
    hidden = network.second.linear(F.relu(network.first.linear(x))).detach()
    network(x)
    torch.testing.assert_close(network.second.norm.running_mean, 0.9 * hidden.mean(0))
    torch.testing.assert_close(network.second.norm.running_var, 0.1 + 0.9 * hidden.var(0, unbiased=True))
