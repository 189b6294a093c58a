"""What the document says of `aniketmaurya-dcgan-celeba`."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    Shape,
    exactly,
)


def _stack(name: str, widths: tuple[tuple[int, int], ...]) -> dict[str, Shape]:
    return {f"{name}.{i}.{part}": (c, side, side) for i, (c, side) in enumerate(widths) for part in range(3)}


def _generator_card(width: int) -> NetworkCard:
    """`width` channels after the first layer, half as many after each further one."""
    sides = ((width, 4), (width // 2, 8), (width // 4, 16), (width // 8, 32), (3, 64))
    channels = [100, *(c for c, _ in sides)]
    return NetworkCard(
        inputs=((100, 1, 1),),
        output=(3, 64, 64),
        layers=_stack("gen", sides),
        parameters=sum(16 * a * b + 2 * b for a, b in pairwise(channels)),
    )


def _hidden(width: int) -> tuple[int, ...]:
    """The discriminator's channels: 32, 64, 128, 128 where the generator has 1024."""
    return tuple(width * times // 32 for times in (1, 2, 4, 4))


def _discriminator_card(width: int) -> NetworkCard:
    hidden = _hidden(width)
    channels = [3, *hidden]
    return NetworkCard(
        inputs=((3, 64, 64),),
        output=(1,),
        layers=_stack("disc", tuple(zip(hidden, (31, 14, 11, 4), strict=True))) | {"disc.4.0": (1, 1, 1)},
        parameters=sum((16 * a + 1) * b + 2 * b for a, b in pairwise(channels)) + 16 * hidden[-1] + 1,
    )


def _initial_biases(width: int) -> tuple[InitialWeights, ...]:
    """PyTorch's default for the convolutions, uniform in ±1/√fan-in."""
    fans = [16 * channels for channels in (3, *_hidden(width))]
    return tuple(InitialWeights("discriminator", f"disc.{i}.0.bias", "uniform", -(fan**-0.5), fan**-0.5)
                 for i, fan in enumerate(fans))


CARD = Card(
    name="aniketmaurya-dcgan-celeba",
    document="002",
    section="发电机 to 发电机损耗",
    title="A tutorial's DCGAN on CelebA",
    dataset="celeba",
    data_shape=(3, 64, 64),
    data_range=(-1.0, 1.0),
    latent_shape=(100, 1, 1),
    batch_size=128,
    drop_last=False,
    epochs=50,
    seed=0,
    optimizer=OptimizerCard("Adam", 2e-4, (0.5, 0.999)),
    hyperparameters={"latent": 100, "hidden": 32, "leak": 0.2, "initial deviation": 0.02},
    log=LogSchedule(every=500, first=501, printed_from=0, averaged=True),
    sample_every=500,
    source="written from document 002; architecture after arXiv 1511.06434",
    networks={"generator": _generator_card(1024), "discriminator": _discriminator_card(1024)},
    reduced="width=64",
    initial_weights=(
        *(InitialWeights("generator", f"gen.{i}.0.weight", "normal", 0.0, 0.02) for i in range(5)),
        *(InitialWeights("discriminator", f"disc.{i}.0.weight", "normal", 0.0, 0.02) for i in range(5)),
        *_initial_biases(1024),
        *(InitialWeights(role, f"{name}.{i}.1.{part}", "constant", value)
          for role, name, count in (("generator", "gen", 5), ("discriminator", "disc", 4)) for i in range(count)
          for part, value in (("weight", 1.0), ("bias", 0.0))),
    ),
    claims=(
        Claim("size", "002, generator", "noise of 100 values becomes a picture of 3×64×64 by way of 1024 channels",
              "3×64×64", "layer_mismatches", exactly(0), where={"network": "generator"}),
    ),
    deviations=(
        Deviation(1, "repair", "Names that the print uses before or without defining them (the epoch count, the "
                  "batch's size, the two logits, the averaged loss) are spelt as they are meant; both means are of the "
                  "losses that are stepped on."),
        Deviation(2, "repair", "The discriminator's backward keeps its graph for no use; here it doesn't. Same bits."),
        Deviation(3, "text against code", "The print states no betas for Adam: those of the paper that it quotes, 0.5 "
                  "and 0.999. Nor does it initialise; the text quotes N(0, 0.02) for all weights, which is done "
                  "for the convolutions: BatchNorm keeps its 1 and 0, the biases PyTorch's default."),
        Deviation(4, "text against code", "Noise of four dimensions is accepted by the print's check; here, as its "
                  "message says, only noise of the shape (N, 100, 1, 1)."),
        Deviation(5, "text against code", "The quoted guidelines leave BatchNorm off the generator's last layer; the "
                  "code has it there, and the code counts."),
        Deviation(6, "harness", "The print fixes no seed and names no data loader's settings; the default seed is 0 "
                  "and the last, smaller batch is used. Grids come from fixed latents instead of the last batch. The "
                  "log's means are taken over the steps since the line before; the print counts steps over all epochs, "
                  "and divides the sum of the first 501 by 500."),
        Deviation(7, "harness", "`width` makes a narrower system of the same kind: all channels in proportion."),
    ),
)



def card_for(width: int) -> Card:
    """The card of a narrower or wider system."""
    others = tuple(drawn for drawn in CARD.initial_weights if not drawn.pattern.endswith(".0.bias"))
    return dataclasses.replace(
        CARD,
        networks={"generator": _generator_card(width), "discriminator": _discriminator_card(width)},
        initial_weights=(*others, *_initial_biases(width)),
        claims=CARD.claims if width == 1024 else (),  # of another one, nothing is claimed
    )
