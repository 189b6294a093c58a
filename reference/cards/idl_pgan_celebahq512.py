"""What the document says of `idl-pgan-celebahq512`."""

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
    at_least,
    at_most,
)

_WIDTHS = (512, 512, 512, 512, 256, 128, 64, 32)  # channels at 4×4, 8×8, … 512×512


def _generator_card(widths: tuple[int, ...], side: int) -> NetworkCard:
    layers: dict[str, Shape] = {
        "formatLayer.module": (16 * widths[0],), "groupScale0.0.module": (widths[0], 4, 4),
        f"toRGBLayers.{len(widths) - 1}.module": (3, side, side),
    }
    parameters = (512 + 1) * 16 * widths[0] + (9 * widths[0] + 1) * widths[0]
    for level, (before, width) in enumerate(pairwise(widths)):
        here = 8 * 2**level
        layers |= {f"scaleLayers.{level}.{i}.module": (width, here, here) for i in (0, 1)}
        parameters += (9 * before + 1) * width + (9 * width + 1) * width
    parameters += sum(3 * width + 3 for width in widths)
    return NetworkCard(((512,),), (3, side, side), layers, parameters)



def _critic_card(widths: tuple[int, ...], side: int) -> NetworkCard:
    layers: dict[str, Shape] = {
        f"fromRGBLayers.{len(widths) - 1}.module": (widths[-1], side, side),
        "groupScaleZero.0.module": (widths[0], 4, 4), "groupScaleZero.1.module": (widths[0],),
        "decisionLayer.module": (1,),
    }
    parameters = (9 * (widths[0] + 1) + 1) * widths[0] + (16 * widths[0] + 1) * widths[0] + widths[0] + 1
    for level, (after, width) in enumerate(pairwise(widths)):
        here = 8 * 2**level
        layers |= {
            f"scaleLayers.{level}.0.module": (width, here, here), f"scaleLayers.{level}.1.module": (after, here, here)
        }
        parameters += (9 * width + 1) * width + (9 * width + 1) * after
    parameters += sum(3 * width + width for width in widths)
    return NetworkCard(((3, side, side),), (1,), layers, parameters, checks_inputs=True)  # they grow


CARD = Card(
    name="idl-pgan-celebahq512",
    document="004",
    section="9.6",
    title="Progressive GAN on CelebA-HQ at 512×512, from a hub's checkpoint or grown from 4×4",
    dataset="celeba-hq",
    data_shape=(3, 512, 512),
    data_range=(-1.0, 1.0),
    latent_shape=(512,),
    batch_size=16,
    drop_last=True,
    epochs=384,
    seed=3,
    optimizer=OptimizerCard("Adam", 1e-3, (0.0, 0.99)),
    hyperparameters={"latent": 512, "leak": 0.2, "λ": 10, "ε": 0.001, "steps per depth": 96_000},
    log=LogSchedule(every=100, first=100),
    sample_every=1000,
    source="written from document 004, arXiv 1710.10196 and the published settings of the hub's model",
    networks={"generator": _generator_card(_WIDTHS, 512), "critic": _critic_card(_WIDTHS, 512)},
    initial_weights=tuple(
        weights
        for role in ("generator", "critic")
        for weights in (InitialWeights(role, "*.weight", "normal", 0.0, 1.0),
                        InitialWeights(role, "*.bias", "constant", 0.0))
    ),
    claims=(
        Claim("interpolation", "004, 9.6.2", "eight steps between two latents turn one face into the other smoothly",
              "smooth", "interpolation_largest_step", at_most(0.5), n_at_least=20, where={"path": "midpoints"},
              needs_data=True,
              obstacle="needs the hub's checkpoint, which isn't here: with its path, "
              "`gan-harness sample 'idl-pgan-celebahq512@checkpoint=PATH' --mode interpolate "
              "--interpolation midpoints` "
              "makes the picture and the numbers"),
        Claim("semantic", "004, 9.6.3", "adding the vector of a label moves the labelled attribute", "moves",
              "semantic_shift", at_least(0.2), n_at_least=1000, where={"attribute": "Smiling"}, needs_data=True,
              obstacle="needs the hub's checkpoint, which isn't here, and the document's 32 hand-made labels"),
    ),
    deviations=(
        Deviation(1, "text against code", "The document loads a trained model and doesn't train: the training follows "
                  "the paper's losses (means over the batch) and the hub's schedule, rates and batch of 16; 384 epochs "
                  "are its 720,000 steps on 30,000 pictures."),
        Deviation(2, "harness", "All depths are made at the start, those not reached yet unused, and Adam keeps its "
                  "moments when a depth is added: the hub adds layers and starts Adam afresh."),
        Deviation(3, "harness", "The hub's code also keeps an average of the generator's weights; the document samples "
                  "the generator itself, and so does this. The file's average is checked and not used."),
        Deviation(4, "formula against code", "The function that makes semantic vectors lost its negation and "
                  "subtracts a mean from itself: as written it returns zero. The latent tools have both, as written "
                  "and as meant."),
        Deviation(5, "harness", "`resolution`, `width` and `phase_steps` make a smaller system of the same kind; "
                  "`width` scales all channel counts from 512."),
        Deviation(6, "harness", "The document clamps pictures to [−1, 1] for display; so does sampling."),
        Deviation(7, "harness", "The hub's critic doesn't fade its second depth, 8×8, in: a slip of its code. Here "
                  "every depth fades in, as in the paper. The claim on interpolation is measured over ten midpoints, "
                  "where the document shows eight."),
        Deviation(8, "harness", "Seed 3 is the one with which the document draws its 32 faces."),
    ),
    reduced="resolution=16,width=32,phase_steps=4",
)


def card_for(widths: tuple[int, ...], side: int, *, trained: bool) -> Card:
    """The card of a system that grows to this side; of the hub's weights, `trained`, its claims can be decided."""
    claims = CARD.claims if (widths, side) == (_WIDTHS, 512) else ()  # of a smaller system nothing is claimed
    return dataclasses.replace(
        CARD,
        data_shape=(3, side, side),
        networks={"generator": _generator_card(widths, side), "critic": _critic_card(widths, side)},
        claims=tuple(dataclasses.replace(claim, obstacle="") for claim in claims) if trained else claims,
    )
