"""What the document says of `idl-ex4-inpainting-unet-mnist`."""

from __future__ import annotations

from reference.api.card import Card, Claim, Deviation, LogSchedule, NetworkCard, OptimizerCard, at_most
from reference.cards.idl_chapter_convolutional import critic_card, critic_weights
from reference.cards.idl_chapter_unet import unet_layers, unet_parameters, unet_weights

CARD = Card(
    name="idl-ex4-inpainting-unet-mnist",
    document="004",
    section="exercise 4",
    title="Inpainting MNIST with a U-Net and a WGAN-GP critic",
    dataset="mnist-erased",
    data_shape=(1, 28, 28),
    data_range=(0.0, 1.0),
    latent_shape=None,
    condition="erased",
    batch_size=128,
    drop_last=True,
    epochs=15,
    seed=0,
    optimizer=OptimizerCard("AdamW", 1e-4, (0.0, 0.9), weight_decay=0.01),
    hyperparameters={"U-Net width": 32, "filters": 32, "leak": 0.2, "λ": 10},
    log=LogSchedule(every=100, first=100),
    source="written from document 004; the U-Net after arXiv 1505.04597, the loss after arXiv 1704.00028",
    networks={
        "generator": NetworkCard(
            ((1, 28, 28),), (1, 28, 28), {**unet_layers("0.", 1), "1": (1, 28, 28)}, unet_parameters(1)
        ),
        "critic": critic_card(),
    },
    initial_weights=(*unet_weights("generator", "0.", 1), *critic_weights()),
    claims=(
        Claim("fills", "004, exercise 4", "the erased pixels are filled better than by the picture's mean",
              "a question", "inpainting_error_over_mean_fill", at_most(1), n_at_least=1000, epochs=15, needs_data=True),
    ),
    deviations=(
        Deviation(1, "harness", "The exercise names the U-Net of the book's chapter before and no sizes: here 32, 64 "
                  "and 128 channels, two convolutions a side; its last layer is followed by a sigmoid, because pixels "
                  "lie in [0, 1]."),
        Deviation(2, "harness", "RandomErasing has torchvision's default areas (2 to 33 %) and ratios (0.3 to 3.3) and "
                  "fills with 0; here it always erases, where its default leaves every other picture whole."),
        Deviation(3, "harness", "The critic is that of section 9.4 and sees only the picture, as the exercise says "
                  "(it stays the same): nothing but it tells the generator to keep what wasn't erased."),
        Deviation(4, "formula against code", "The loop is the chapter's: its gradient norm runs over dimension 1 only. "
                  "The variant `corrected` takes the formula's norm over the image."),
        Deviation(5, "harness", "The chapter puts networks in evaluation mode before it shows samples; only in the "
                  "U-Net's BatchNorm does that matter. Samples are drawn in training mode like everywhere in this "
                  "project: a picture is normalised with the others of its batch. The claim is measured on training "
                  "pictures, each with a hole of its own."),
        Deviation(6, "harness", "Both generator passes of a step get the same erased pictures. Training length as in "
                  "section 9.4, 15 epochs; the default seed is 0, the log distance of 100 steps this project's."),
    ),
    variants={"corrected": "the penalty's gradient norm runs over all of a sample, as the formula says"},
)

