"""What the document says of `idl-ex5-inpainting-unet-latent-mnist`."""

from __future__ import annotations

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    InitialWeights,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    at_least,
    at_most,
)
from reference.cards.idl_chapter_convolutional import critic_card, critic_weights
from reference.cards.idl_chapter_unet import unet_layers, unet_parameters, unet_weights

CARD = Card(
    name="idl-ex5-inpainting-unet-latent-mnist",
    document="004",
    section="exercise 5",
    title="Inpainting MNIST with a U-Net that also gets a latent",
    dataset="mnist-erased",
    data_shape=(1, 28, 28),
    data_range=(0.0, 1.0),
    latent_shape=(64,),
    condition="erased",
    batch_size=128,
    drop_last=True,
    epochs=15,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"latent": 64, "U-Net width": 32, "filters": 32, "leak": 0.2, "λ": 10},
    log=LogSchedule(every=100, first=100),
    source="written from document 004; the U-Net after arXiv 1505.04597, the loss after arXiv 1704.00028",
    networks={
        "generator": NetworkCard(
            inputs=((1, 28, 28), (64,)),
            output=(1, 28, 28),
            layers={"plane.0": (784,), "plane.1": (1, 28, 28), **unet_layers("unet.", 2), "squash": (1, 28, 28)},
            parameters=unet_parameters(2) + 65 * 784,
        ),
        "critic": critic_card(),
    },
    initial_weights=(
        InitialWeights("generator", "plane.0.*", "uniform", -0.125, 0.125),
        *unet_weights("generator", "unet.", 2),
        *critic_weights(),
    ),
    claims=(
        Claim("fills", "004, exercise 5", "the erased pixels are filled better than by the picture's mean",
              "a question", "inpainting_error_over_mean_fill", at_most(1), n_at_least=1000, epochs=15, needs_data=True),
        Claim("differs", "004, exercise 5", "another latent fills the same hole otherwise", "a question",
              "inpainting_spread_over_latents", at_least(0.01), n_at_least=100, epochs=15, needs_data=True),
    ),
    deviations=(
        Deviation(1, "harness", "The exercise doesn't say how the latent enters: here 64 values, made by one linear "
                  "layer into a second channel beside the erased picture."),
        Deviation(2, "harness", "U-Net and sigmoid as in exercise 4: 32, 64, 128 channels, two convolutions a side."),
        Deviation(3, "harness", "RandomErasing has torchvision's default areas (2 to 33 %) and ratios (0.3 to 3.3) and "
                  "fills with 0; here it always erases, where its default leaves every other picture whole."),
        Deviation(4, "harness", "The critic is that of section 9.4 and sees only the picture."),
        Deviation(5, "formula against code", "The loop is the chapter's: its gradient norm runs over dimension 1 only. "
                  "The variant `corrected` takes the formula's norm over the image."),
        Deviation(6, "harness", "The chapter puts networks in evaluation mode before it shows samples; only in the "
                  "U-Net's BatchNorm does that matter. Samples are drawn in training mode like everywhere in this "
                  "project. The claims are measured on training pictures, each with a hole of its own."),
        Deviation(7, "harness", "The two generator passes of a step get the same erased pictures and fresh latents. "
                  "Training length as in section 9.4, 15 epochs; the default seed is 0, the log distance of 100 steps "
                  "this project's. The spread is the erased pixels' standard deviation over eight latents, its claim "
                  "asks for 1 % of the pixel range."),
    ),
    variants={"corrected": "the penalty's gradient norm runs over all of a sample, as the formula says"},
)

