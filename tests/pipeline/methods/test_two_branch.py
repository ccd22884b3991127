"""The two-branch network against its equations, written out by hand."""

import pytest
import torch

from pipeline.methods.two_branch import TwoBranch


def branches(fusion: str) -> TwoBranch:
    torch.manual_seed(0)
    return TwoBranch(12, 10, 8, 5, fusion=fusion, dropout=0.0, momentum=0.1)


def branch(dense: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    x = x @ dense.linear.weight.T + dense.linear.bias
    return ((x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()).clamp_min(0.0)


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=1, keepdim=True)


def test_gated_fusion_is_the_written_out_network() -> None:
    network, faces, voices = branches("gated"), torch.randn(16, 12), torch.randn(16, 10)
    face, voice = unit(branch(network.face, faces)), unit(branch(network.voice, voices))
    hidden = branch(network.fusion.hidden, torch.cat([face, voice], dim=1))
    gate = network.fusion.gate
    attention = 1.0 / (1.0 + torch.exp(-(hidden @ gate.weight.T + gate.bias)))
    fused = torch.tanh(face) * attention + (1.0 - attention) * torch.tanh(voice)
    output = network(faces, voices)
    torch.testing.assert_close(output.embedding, fused)
    torch.testing.assert_close(output.face, torch.tanh(face))
    torch.testing.assert_close(output.voice, torch.tanh(voice))
    torch.testing.assert_close(output.logits, fused @ network.classifier.weight.T + network.classifier.bias)


def test_linear_fusion_is_a_sum_with_two_learnt_numbers() -> None:
    network, faces, voices = branches("linear"), torch.randn(16, 12), torch.randn(16, 10)
    with torch.no_grad():
        network.fusion.face.weight.fill_(0.25)
        network.fusion.voice.weight.fill_(-2.0)
    face, voice = unit(branch(network.face, faces)), unit(branch(network.voice, voices))
    output = network(faces, voices)
    torch.testing.assert_close(output.embedding, 0.25 * face - 2.0 * voice)
    torch.testing.assert_close(output.face, face)
    torch.testing.assert_close(output.voice, voice)


@pytest.mark.parametrize("fusion", ["gated", "linear"])
def test_a_modality_alone_is_embedded_as_in_the_pair(fusion: str) -> None:
    network, faces, voices = branches(fusion).eval(), torch.randn(16, 12), torch.randn(16, 10)
    output = network(faces, voices)
    torch.testing.assert_close(network.embed("face", faces), output.face)
    torch.testing.assert_close(network.embed("voice", voices), output.voice)
