"""S networks in one: each slice must be the plain network, and must not feel its neighbours."""

import pytest
import torch

from pipeline.errors import StoreError
from pipeline.methods import Network, Sizes, build_network, stacked_network, unstacked
from pipeline.settings import TrainSettings
from tests.pipeline.settings_for_training import train_settings

SIZES = Sizes(12, 12, 5)
VARIANTS = [
    {"branch": "single", "batch_norm": "last"},
    {"branch": "single", "batch_norm": "both"},
    {"branch": "two", "fusion": "gated"},
    {"branch": "two", "fusion": "linear"},
]


def stack(settings: TrainSettings) -> Network:
    return stacked_network(settings, SIZES, [torch.Generator().manual_seed(seed) for seed in settings.seeds])


def inputs(settings: TrainSettings, rows: int = 9) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(len(settings.seeds), rows, 12) for _ in range(2 if settings.branch == "two" else 1)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_slices_are_plain_networks_in_training_and_evaluation(variant: dict[str, object]) -> None:
    settings = train_settings(dropout=0.0, **variant)
    stacked, batch = stack(settings), inputs(settings)
    plain = [unstacked(stacked, settings, SIZES, index).train() for index in range(3)]
    for training in (True, True, False):  # two steps of running statistics, then their use
        together = stacked.train(training)(*batch)
        for index, network in enumerate(plain):
            alone = network.train(training)(*(part[index] for part in batch))
            for one, other in zip(together, alone, strict=True):
                torch.testing.assert_close(one[index], other)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_of_slices_are_those_of_plain_networks(variant: dict[str, object]) -> None:
    settings = train_settings(dropout=0.0, **variant)
    stacked, batch = stack(settings), inputs(settings)
    plain = unstacked(stacked, settings, SIZES, 2).train()
    stacked.train()(*batch).logits.square().sum().backward()
    plain(*(part[2] for part in batch)).logits.square().sum().backward()
    for (name, one), other in zip(stacked.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad[2], other.grad, msg=lambda text, name=name: f"{name}: {text}")


def test_slice_depends_on_its_own_seed_alone() -> None:
    three, one = stack(train_settings(seeds=[5, 6, 7])), stack(train_settings(seeds=[6]))
    for name, value in one.state_dict().items():
        assert torch.equal(three.state_dict()[name][1], value[0]), name


def test_dropout_masks_depend_on_the_own_generator_alone() -> None:
    three, one = train_settings(seeds=[5, 6, 7], dropout=0.5), train_settings(seeds=[6], dropout=0.5)
    together, alone = stack(three).train(), stack(one).train()
    batch = inputs(three)[0]
    assert torch.equal(together(batch).embedding[1], alone(batch[1:2]).embedding[0])


def test_dropout_keeps_the_share_and_the_mean() -> None:
    settings = train_settings(seeds=[0], dropout=0.25)
    dropout = stack(settings).train().first.dropout
    passed = dropout(torch.ones(1, 400, 100))
    assert abs(float((passed == 0.0).float().mean()) - 0.25) < 0.01
    assert sorted(passed.unique().tolist()) == pytest.approx([0.0, 1.0 / 0.75])


def test_initial_values_are_xavier_uniform_and_the_bias_of_the_settings() -> None:
    settings = train_settings(embedding=256, seeds=[0], initial_bias=0.01)
    state = stacked_network(settings, Sizes(512, 512, 5), [torch.Generator()]).state_dict()
    bound = (6.0 / (512 + 256)) ** 0.5
    weight = state["first.linear.weight"]
    assert float(weight.abs().max()) <= bound
    assert abs(float(weight.std()) - bound / 3**0.5) < 0.001
    torch.testing.assert_close(state["second.linear.bias"], torch.full((1, 256), 0.01))


def test_one_branch_refuses_modalities_of_different_widths() -> None:
    with pytest.raises(StoreError, match="12 and 10"):
        build_network(train_settings(), Sizes(12, 10, 5))
    assert build_network(train_settings(branch="two"), Sizes(12, 10, 5)).voice.linear.in_features == 10
    assert build_network(train_settings(modality="voice"), Sizes(12, 10, 5)).first.linear.in_features == 10
