"""What the document says of `style-transfer`."""

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
    at_most,
)

# VGG-19 up to the last style layer: a number is a 3×3 convolution's channels, each followed by ReLU; P pools.
_VGG19: tuple[int | str, ...] = (
    64, 64, "P", 128, 128, "P", 256, 256, 256, 256, "P", 512, 512, 512, 512, "P", 512,
)


def _picture_card(size: int) -> NetworkCard:
    shape = (3, size, size)
    return NetworkCard((), shape, {"": shape}, math.prod(shape))



def _features_card(size: int) -> NetworkCard:
    layers: dict[str, Shape] = {}
    channels, side = 3, size
    for entry in _VGG19:
        if isinstance(entry, str):
            side //= 2
            layers[f"layers.{len(layers)}"] = (channels, side, side)
        else:
            channels = entry
            layers |= {f"layers.{len(layers) + i}": (channels, side, side) for i in (0, 1)}
    return NetworkCard(((3, size, size),), (channels, side, side), layers, 0)  # nothing of it is trained



def _features_weights() -> tuple[InitialWeights, ...]:
    rows, index = [], 0
    for entry in _VGG19:
        if not isinstance(entry, str):
            rows.append(InitialWeights("features", f"layers.{index}.weight", "normal", 0.0, (2 / (9 * entry)) ** 0.5))
        index += 1 if isinstance(entry, str) else 2
    return (*rows, InitialWeights("features", "*.bias", "constant", 0.0))


CARD = Card(
    name="style-transfer",
    document="001",
    section="风格迁移",
    title="Neural style transfer by optimising a picture",
    dataset="content-and-style",
    data_shape=(3, 256, 256),
    data_range=(0.0, 1.0),
    latent_shape=None,
    condition="style",
    batch_size=1,
    drop_last=False,
    epochs=1000,
    seed=0,
    optimizer=OptimizerCard("Adam", 0.02, (0.9, 0.999)),
    hyperparameters={"content weight": 1, "style weight": 1000},
    log=LogSchedule(every=1, first=1),
    sample_every=100,
    source="written from arXiv 1508.06576",
    networks={"picture": _picture_card(256), "features": _features_card(256)},
    initial_weights=(InitialWeights("picture", "pixels", "uniform", 0.0, 1.0), *_features_weights()),
    durations=(Duration("a GPU, one picture", None, 10),),
    claims=(
        Claim("content", "001, prose on style transfer", "the picture comes near the one picture in content", "near",
              "last_over_first", at_most(0.5), where={"quantity": "loss_content"}, epochs=300, needs_data=True,
              obstacle="needs VGG-19's trained weights (option `weights`) and two pictures of one's own"),
        Claim("style", "001, prose on style transfer", "and near the other in style", "near",
              "last_over_first", at_most(0.1), where={"quantity": "loss_style"}, epochs=300, needs_data=True,
              obstacle="needs VGG-19's trained weights (option `weights`) and two pictures of one's own"),
    ),
    deviations=(
        Deviation(1, "text against code", "The document describes the method in prose and prints no code and no "
                  "formula: the losses are those of the paper that the method comes from, content at conv4_2 and Gram "
                  "matrices at conv1_1 to conv5_1, equally weighted, with average pooling."),
        Deviation(2, "harness", "Adam takes the place of the paper's L-BFGS, which evaluates a loss several times in a "
                  "step; the rate of 0.02 is this project's."),
        Deviation(3, "harness", "The ratio of the weights is the paper's 1:1000, in torchvision's scaling of pixels."),
        Deviation(4, "harness", "An epoch is one step, for the data set is one pair of pictures; the document "
                  "speaks of hundreds to thousands of steps, here 1,000, and states its ten minutes without a count."),
        Deviation(5, "harness", "Without the option `weights` the feature network is random: enough to check the "
                  "computation, no judge of content. `features` is vgg19 or `module:callable` that returns an "
                  "`nn.Sequential`; `content_layer` and `style_layers` number its layers."),
    ),
    reduced="size=32",
)


def card_for(size: int, *, own_features: bool, trained: bool) -> Card:
    """The card of pictures of this side; of features of one's own, and of weights from a file, it says nothing.

    Of thumbnails nothing is claimed; with trained weights nothing stands in the way of deciding.
    """
    claims = CARD.claims if size >= 128 else ()
    features = {} if own_features else {"features": _features_card(size)}
    return dataclasses.replace(
        CARD,
        data_shape=(3, size, size),
        networks={"picture": _picture_card(size)} | features,
        initial_weights=CARD.initial_weights[:1] if own_features or trained else CARD.initial_weights,
        claims=tuple(dataclasses.replace(claim, obstacle="") for claim in claims) if trained else claims,
    )
