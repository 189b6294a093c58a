"""What the document says of `idl-ex6-pix2pix`."""

from __future__ import annotations

import dataclasses
import math

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    Duration,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    Shape,
    at_least,
    at_most,
)


def _unet_widths(size: int, width: int) -> tuple[int, ...]:
    """Channels on the way down: width × 1, 2, 4, then 8 at every further halving."""
    return tuple(width * min(2**level, 8) for level in range(int(math.log2(size))))



def _generator_card(size: int, width: int) -> NetworkCard:
    widths = _unet_widths(size, width)
    last = len(widths) - 1
    layers: dict[str, Shape] = {}
    parameters = 0
    for level, channels in enumerate(widths):
        side = size >> (level + 1)
        count = 3 if 0 < level < last else 2
        layers |= {f"down.{level}.{part}": (channels, side, side) for part in range(count)}
        parameters += 16 * (widths[level - 1] if level else 3) * channels + channels + (count - 2) * 2 * channels
    for place, level in enumerate(range(last, 0, -1)):
        channels, side = widths[level - 1], size >> level
        count = 4 if place < 3 else 3
        layers |= {f"up.{place}.{part}": (channels, side, side) for part in range(count)}
        parameters += 16 * (widths[level] if place == 0 else 2 * widths[level]) * channels + 3 * channels
    layers |= {f"up.{last}.{part}": (3, size, size) for part in (0, 1)}
    return NetworkCard(((3, size, size),), (3, size, size), layers, parameters + 16 * 2 * widths[0] * 3 + 3)



def _discriminator_card(size: int, width: int) -> NetworkCard:
    half, quarter, eighth = size // 2, size // 4, size // 8
    layers: dict[str, Shape] = {f"patches.{i}": (width, half, half) for i in (0, 1)}
    layers |= {f"patches.{i}": (2 * width, quarter, quarter) for i in (2, 3, 4)}
    layers |= {f"patches.{i}": (4 * width, eighth, eighth) for i in (5, 6, 7)}
    layers |= {f"patches.{i}": (8 * width, eighth - 1, eighth - 1) for i in (8, 9, 10)}
    layers["patches.11"] = (1, eighth - 2, eighth - 2)
    parameters = 16 * (6 + 2 * width + 8 * width + 32 * width) * width + 15 * width + 2 * 14 * width
    picture = (3, size, size)
    return NetworkCard((picture, picture), layers["patches.11"], layers, parameters + 16 * 8 * width + 1)



def _initial_weights(size: int) -> tuple[InitialWeights, ...]:
    last = int(math.log2(size)) - 1
    norms = [("generator", f"down.{level}.1") for level in range(1, last)]
    norms += [("generator", f"up.{place}.1") for place in range(last)]
    norms += [("discriminator", f"patches.{index}") for index in (3, 6, 9)]
    return (
        *(InitialWeights(role, f"{name}.weight", "normal", 1.0, 0.02) for role, name in norms),
        *(InitialWeights(role, "*.weight", "normal", 0.0, 0.02) for role in ("generator", "discriminator")),
        *(InitialWeights(role, "*.bias", "constant", 0.0) for role in ("generator", "discriminator")),
    )


CARD = Card(
    name="idl-ex6-pix2pix",
    document="004",
    section="exercise 6",
    title="pix2pix: from outlines to pictures",
    dataset="pairs",
    data_shape=(3, 256, 256),
    data_range=(-1.0, 1.0),
    latent_shape=None,
    condition="paired",
    batch_size=1,
    drop_last=False,
    epochs=200,
    seed=0,
    optimizer=OptimizerCard("Adam", 2e-4, (0.5, 0.999)),
    hyperparameters={"L1 weight": 100, "width": 64, "dropout": 0.5, "leak": 0.2, "initial deviation": 0.02},
    log=LogSchedule(every=100, first=100),
    source="written from arXiv 1611.07004",
    networks={"generator": _generator_card(256, 64), "discriminator": _discriminator_card(256, 64)},
    initial_weights=_initial_weights(256),
    durations=(Duration("a single Pascal Titan X (facades)", 200, 120),),
    claims=(
        Claim("nearer", "arXiv 1611.07004, section 3.1", "the L1 term pulls the output towards the true picture",
              "towards the truth", "translation_error_ratio", at_most(0.5), n_at_least=100, epochs=200,
              needs_data=True),
        Claim("little-noise", "arXiv 1611.07004, section 3.1", "dropout brings only minor variation between samples of "
              "one condition", "minor", "translation_spread_over_noise", at_most(0.1), n_at_least=100,
              epochs=200, needs_data=True),
        Claim("some-noise", "arXiv 1611.07004, section 3.1", "and yet it brings some", "minor",
              "translation_spread_over_noise", at_least(1e-4), n_at_least=100, epochs=200, needs_data=True),
    ),
    deviations=(
        Deviation(1, "repair", "With one picture a batch, batch normalisation of the 1×1 bottleneck would zero it, as "
                  "the paper's erratum says; it has none, as in the authors' code."),
        Deviation(2, "text against code", "The appendix lists the decoder's widths with the joined channels, and says "
                  "that every convolution of the discriminator has stride 2; a field of 70×70 takes stride 1 in its "
                  "last two layers, as in the authors' code."),
        Deviation(3, "harness", "Sampling runs pictures one by one, so that each is normalised by its own statistics "
                  "as in training, and leaves dropout on, as the paper does."),
        Deviation(4, "harness", "The condition is the left half of each pair, `swap` takes the right one; the paper "
                  "has data sets of both kinds. 200 epochs are those of its facades."),
        Deviation(5, "harness", "The paper draws weights from N(0, 0.02); BatchNorm's from N(1, 0.02) and biases of "
                  "0 are those of the authors' code."),
        Deviation(6, "harness", "`size` and `width` make a smaller system of the same kind; the U-Net always goes down "
                  "to 1×1. The error claim is measured on training pairs and compares with pictures of other "
                  "pairs, the noise claims are standard deviations in shares of the pixel range; both bands "
                  "are this project's."),
    ),
    reduced="size=64,width=8",
)


def card_for(size: int, width: int, *, swap: bool) -> Card:
    """The card of a system on pictures of this side, with this many channels in its first layers."""
    return dataclasses.replace(
        CARD,
        dataset="pairs-swapped" if swap else "pairs",
        data_shape=(3, size, size),
        networks={"generator": _generator_card(size, width), "discriminator": _discriminator_card(size, width)},
        initial_weights=_initial_weights(size),
        claims=CARD.claims if (size, width) == (256, 64) else (),  # of a smaller one, nothing is claimed
    )
