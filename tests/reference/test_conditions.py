"""Labels, erased pictures and outlines: what is given in the wrong form gets one line that says the right one."""

from __future__ import annotations

import pytest
import torch

import reference
from harness.training.networks import made_networks
from harness.training.player import make_players
from harness.training.streams import GeneratorNoise
from reference.blocks.idl_chapter_conditional import ConditionalWrapper, flat_combiner
from reference.blocks.idl_chapter_convolutional import FourByFour
from reference.blocks.idl_chapter_unet import UNetBlock, unet
from reference.idl_ex6_pix2pix import UNet
from reference.pytorch_dcgan_celeba import cards_from

CONDITIONAL = ("idl-cond-wgan-gp-mnist", "idl-ex2-cond-conv-wgan-gp-mnist")
PICTURED = ("idl-ex4-inpainting-unet-mnist", "idl-ex5-inpainting-unet-latent-mnist", "idl-ex6-pix2pix@size=32,width=4")


def noise() -> GeneratorNoise:
    return GeneratorNoise(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spec", CONDITIONAL)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 10, 2]), "whole numbers from 0 to 9, not 10"),
        (torch.tensor([0, -1, 2]), "whole numbers from 0 to 9, not -1"),
        (torch.tensor([0.0, 1.0, 2.0]), r"whole numbers from 0 to 9, not of type torch\.float32"),
        (torch.tensor([True, False, True]), r"not of type torch\.bool"),
        (torch.tensor([0, 1]), r"must have the shape \(3,\), one per sample, not \(2,\)"),
        (torch.tensor([[0], [1], [2]]), r"must have the shape \(3,\), one per sample, not \(3, 1\)"),
    ],
)
def test_wrong_labels_are_named(spec: str, labels: torch.Tensor, message: str) -> None:
    chosen = reference.get(spec)
    with pytest.raises(ValueError, match=message):
        chosen.sample(chosen.networks(), 3, noise(), labels=labels)


@pytest.mark.parametrize("spec", CONDITIONAL)
def test_labels_of_the_wrong_kind_are_refused_while_training_too(spec: str) -> None:
    chosen = reference.get(spec)
    networks = chosen.networks()
    players = make_players(networks, chosen.optimizers(networks))
    images = torch.rand(2, 1, 28, 28)
    with pytest.raises(ValueError, match=r"not of type torch\.float32"):
        chosen.step(players, reference.Batch(images, torch.tensor([0.0, 1.0])), noise())
    with pytest.raises(ValueError, match="from 0 to 9, not 10"):
        chosen.step(players, reference.Batch(images, torch.tensor([0, 10])), noise())
    with pytest.raises(ValueError, match="needs a batch with labels"):
        chosen.step(players, reference.Batch(images), noise())


@pytest.mark.parametrize("spec", CONDITIONAL)
def test_the_label_changes_the_sample_and_a_missing_one_is_drawn(spec: str) -> None:
    chosen = reference.get(spec)
    torch.manual_seed(0)
    networks = chosen.networks()
    with torch.no_grad():
        one, two = (chosen.sample(networks, 2, noise(), torch.full((2,), digit)) for digit in (1, 2))
        assert not torch.equal(one, two)
        drawn = chosen.sample(networks, 50, noise())
        assert torch.equal(drawn, chosen.sample(networks, 50, noise())), "labels come from the noise stream"


def test_a_missing_label_in_the_wrapper_is_drawn_as_printed() -> None:
    wrapper = ConditionalWrapper((4,), torch.nn.Identity(), flat_combiner((4,)))
    inputs = torch.ones(40, 4)
    torch.manual_seed(0)
    first, second = wrapper(inputs), wrapper(inputs)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("spec", PICTURED)
def test_a_missing_picture_is_named(spec: str) -> None:
    chosen = reference.get(spec)
    networks = chosen.networks()
    kind = chosen.card.condition
    with pytest.raises(ValueError, match=f"needs a condition for every sample: the {kind} picture"):
        chosen.sample(networks, 2, noise())
    one = torch.zeros(1, *chosen.card.data_shape)
    with pytest.raises(ValueError, match=f"needs 2 {kind} pictures, one per sample, not 1"):
        chosen.sample(networks, 2, noise(), condition=one)
    with pytest.raises(ValueError, match="needs a condition"):
        chosen.step(make_players(networks, chosen.optimizers(networks)), reference.Batch(one), noise())


def test_pooling_from_slices_is_the_documents_pooling() -> None:
    """What CUDA gets in place of a layer without a deterministic backward."""
    features = torch.randn(3, 2, 7, 7)
    assert torch.allclose(FourByFour.sliced(features), FourByFour(4)(features), atol=1e-6)


def test_sizes_that_cannot_be_halved_are_named() -> None:
    with pytest.raises(ValueError, match="27×28 pixels can't be halved"):
        unet(1)(torch.zeros(2, 1, 27, 28))
    with pytest.raises(ValueError, match="15×15 pixels can't be halved"):
        unet(1)(torch.zeros(2, 1, 30, 30))
    assert UNetBlock(1, 4)(torch.zeros(2, 1, 7, 7)).shape == (2, 4, 7, 7), "the innermost block halves nothing"
    with pytest.raises(ValueError, match="halves its pictures 3 times; 12×8 pixels can't be"):
        UNet((4, 8, 8))(torch.zeros(1, 3, 12, 8))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("idl-ex6-pix2pix@size=100", "size must be a power of two from 32 to 1024, .* not 100"),
        ("idl-ex6-pix2pix@size=16", "not 16"),
        ("idl-ex6-pix2pix@width=0", "width must be from 1 to 1024, not 0"),
        ("idl-ex1-fc-stem-wgan-gp-mnist@stem=3", "stem must be 1 or 2, as the exercise has it, not 3"),
        ("idl-conv-wgan-gp-mnist@critic_updates=0", "critic_updates must be 1 or more, not 0"),
        ("style-transfer@size=100", "size must be a multiple of 16 from 16 to 2048"),
        ("style-transfer@style_layers=a", r"numbers joined by \+"),
        ("style-transfer@style_layers=1+1", "each style layer once"),
        ("style-transfer@content_layer=-1", "counted from 0"),
        ("style-transfer@style_weight=nan", "style_weight must be a finite number from 0 on, not nan"),
    ],
)
def test_options_that_cannot_be_are_named(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reference.get(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "handson-dcgan-lsun",
        "aniketmaurya-dcgan-celeba",
        "idl-conv-wgan-gp-mnist",
        "idl-ex5-inpainting-unet-latent-mnist",
    ],
)
def test_noise_of_another_shape_is_refused(spec: str) -> None:
    chosen = reference.get(spec)
    generator = made_networks(chosen)["generator"]
    right = [torch.zeros(2, *shape) for shape in chosen.card.networks["generator"].inputs]
    wrong = torch.zeros(2, *right[-1].shape[1:], 2)
    with pytest.raises(ValueError, match=r"expects input of shape \(N, "):
        generator(*right[:-1], wrong)


def test_dropout_is_pix2pix_noise_and_sampling_goes_one_by_one() -> None:
    chosen = reference.get("idl-ex6-pix2pix@size=32,width=4")
    torch.manual_seed(0)
    networks = chosen.networks()
    condition = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        first, second = (chosen.sample(networks, 3, noise(), condition=condition) for _ in range(2))
        assert not torch.equal(first, second), "dropout stays on"
        torch.manual_seed(5)
        alone = chosen.sample(networks, 1, noise(), condition=condition[:1])
        torch.manual_seed(5)
        together = chosen.sample(networks, 3, noise(), condition=condition)
    assert torch.equal(alone[0], together[0]), "a picture's statistics are its own"


@pytest.mark.parametrize(("first", "ngpu", "cards"), [(0, 2, [0, 1]), (1, 2, [1, 2]), (2, 2, [2, 3])])
def test_a_batch_is_split_over_cards_from_its_own_on(
    first: int, ngpu: int, cards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch wants the input on the first of them."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert cards_from(first, ngpu) == cards
    with pytest.raises(ValueError, match="ngpu=3 from cuda:2 on asks for more GPUs than there are: 4"):
        cards_from(2, 3)
