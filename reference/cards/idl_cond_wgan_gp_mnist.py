"""What the document says of `idl-cond-wgan-gp-mnist`."""

from __future__ import annotations

from collections.abc import Mapping

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
)


def _wrapped_card(
    size: int, shape: Shape, inner: Mapping[str, Shape], output: Shape, inner_parameters: int
) -> NetworkCard:
    """A wrapper around input of `size` values: an embedding, Linear 2·size → size twice, LayerNorms, then `inner`."""
    layers: dict[str, Shape] = {"label_embedding": (size,), "combiner.0": (2 * size,)}
    layers |= {f"combiner.1.{part}": (size,) for part in range(3)}
    layers |= {"combiner.2": (size,), "combiner.3": (size,), "combiner.4": shape, "combiner.5": shape}
    wrapper = 10 * size + (2 * size + 1) * size + 2 * size + (size + 1) * size + 2 * size
    return NetworkCard((shape,), output, {**layers, **inner}, wrapper + inner_parameters, classes=10)


_GENERATOR = _wrapped_card(
    128, (128,),
    {f"net.0.{block}.{part}": (512,) for block in range(3) for part in range(3)}
    | {"net.0.3": (784,), "net.0.4": (1, 28, 28), "net.1": (1, 28, 28)},
    (1, 28, 28), 129 * 512 + 2 * 513 * 512 + 3 * 1024 + 513 * 784,
)


_CRITIC = _wrapped_card(
    784, (1, 28, 28),
    {"net.0": (784,), "net.4": (1,)} | {f"net.{block}.{part}": (512,) for block in (1, 2, 3) for part in range(3)},
    (1,), 785 * 512 + 2 * 513 * 512 + 3 * 1024 + 513,
)


# Fan-in of every linear layer, and the LayerNorms, by role.
_LINEAR = {
    "generator": {"combiner.1.0": 256, "combiner.2": 128, "net.0.0.0": 128, "net.0.1.0": 512, "net.0.2.0": 512,
                  "net.0.3": 512},
    "critic": {"combiner.1.0": 1568, "combiner.2": 784, "net.1.0": 784, "net.2.0": 512, "net.3.0": 512, "net.4": 512},
}


_NORMS = {
    "generator": ("combiner.1.2", "combiner.5", "net.0.0.2", "net.0.1.2", "net.0.2.2"),
    "critic": ("combiner.1.2", "combiner.5", "net.1.2", "net.2.2", "net.3.2"),
}


CARD = Card(
    name="idl-cond-wgan-gp-mnist",
    document="004",
    section="9.5",
    title="Conditional fully connected WGAN-GP on MNIST",
    dataset="mnist",
    data_shape=(1, 28, 28),
    data_range=(0.0, 1.0),
    latent_shape=(128,),
    classes=10,
    batch_size=128,
    drop_last=True,
    epochs=20,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"latent": 128, "hidden": 512, "classes": 10, "leak": 0.2, "λ": 10},
    log=LogSchedule(every=100, first=100),
    source="written from document 004; the loss after arXiv 1704.00028",
    networks={"generator": _GENERATOR, "critic": _CRITIC},
    initial_weights=tuple(
        weights
        for role in ("generator", "critic")
        for weights in (
            InitialWeights(role, "label_embedding.weight", "normal", 0.0, 1.0),
            *(InitialWeights(role, f"{name}.*", "uniform", -(n**-0.5), n**-0.5) for name, n in _LINEAR[role].items()),
            *(InitialWeights(role, f"{name}.weight", "constant", 1.0) for name in _NORMS[role]),
            *(InitialWeights(role, f"{name}.bias", "constant", 0.0) for name in _NORMS[role]),
        )
    ),
    claims=(
        Claim("requested", "004, 9.5.3", "each column of the grid shows the requested digit", "the requested digit",
              "requested_class_share", at_least(0.8), n_at_least=1000, epochs=20, needs_data=True),
        Claim("stroke", "004, 9.5.3", "if the first digit of a row is thick, all digits of the row are", "shared",
              "style_shared", at_least(0.2), n_at_least=1000, where={"trait": "stroke_width"}, epochs=20,
              needs_data=True),
        Claim("slant", "004, 9.5.3", "if the first digit of a row leans to the right, all digits of the row do",
              "shared", "style_shared", at_least(0.2), n_at_least=1000, where={"trait": "slant"}, epochs=20,
              needs_data=True),
    ),
    deviations=(
        Deviation(1, "repair", "The wrapper asks the input for its device number to draw missing labels, which a "
                  "tensor on the CPU doesn't have; labels are drawn on the input's device."),
        Deviation(2, "repair", "Two statements share a line in the wrapper's constructor, and the line that keeps the "
                  "network is indented too far."),
        Deviation(3, "formula against code", "The code takes the gradient's norm over dimension 1 only: on images "
                  "(B, 1, 28, 28) each pixel's absolute gradient. As written does what the code does; the variant "
                  "`corrected` takes the formula's norm over the image."),
        Deviation(4, "harness", "The training function with labels is described and not printed: the labels of the "
                  "real batch go into every call of both networks, the penalty's included."),
        Deviation(5, "harness", "The critic's loss isn't detached from the generator, as printed; the generator "
                  "gradients that this would add are cleared before use, so they are not computed. Same bits."),
        Deviation(6, "harness", "Labels that aren't whole numbers from 0 to 9, one per sample, are refused by name."),
        Deviation(7, "harness", "The print fixes no seed; the default here is 0. It prints no log; the loss names and "
                  "the log distance of 100 steps are this project's. The claims count a shared style from an "
                  "intraclass correlation of 0.2 on, where independent latents give 0, and a digit as the "
                  "requested one when a linear reader fitted on real digits says so."),
    ),
    variants={"corrected": "the penalty's gradient norm runs over all of a sample, as the formula says"},
)

