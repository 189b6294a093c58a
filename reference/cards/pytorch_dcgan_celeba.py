"""What the document says of `pytorch-dcgan-celeba`."""

from __future__ import annotations

from collections.abc import Mapping

from reference.api.card import (
    Card,
    Claim,
    Deviation,
    InitialWeights,
    LogLine,
    LogSchedule,
    NetworkCard,
    OptimizerCard,
    Shape,
    exactly,
)

GENERATOR_PRINTED = """\
Generator(
  (main): Sequential(
    (0): ConvTranspose2d(100, 512, kernel_size=(4, 4), stride=(1, 1), bias=False)
    (1): BatchNorm2d(512, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (2): ReLU(inplace=True)
    (3): ConvTranspose2d(512, 256, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (4): BatchNorm2d(256, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (5): ReLU(inplace=True)
    (6): ConvTranspose2d(256, 128, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (7): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (8): ReLU(inplace=True)
    (9): ConvTranspose2d(128, 64, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (10): BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (11): ReLU(inplace=True)
    (12): ConvTranspose2d(64, 3, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (13): Tanh()
  )
)"""


DISCRIMINATOR_PRINTED = """\
Discriminator(
  (main): Sequential(
    (0): Conv2d(3, 64, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (1): LeakyReLU(negative_slope=0.2, inplace=True)
    (2): Conv2d(64, 128, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (3): BatchNorm2d(128, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (4): LeakyReLU(negative_slope=0.2, inplace=True)
    (5): Conv2d(128, 256, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (6): BatchNorm2d(256, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (7): LeakyReLU(negative_slope=0.2, inplace=True)
    (8): Conv2d(256, 512, kernel_size=(4, 4), stride=(2, 2), padding=(1, 1), bias=False)
    (9): BatchNorm2d(512, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    (10): LeakyReLU(negative_slope=0.2, inplace=True)
    (11): Conv2d(512, 1, kernel_size=(4, 4), stride=(1, 1), bias=False)
    (12): Sigmoid()
  )
)"""


_GENERATOR_LAYERS: Mapping[str, Shape] = {
    f"main.{3 * block + offset}": (width, size, size)
    for block, (width, size) in enumerate(((512, 4), (256, 8), (128, 16), (64, 32)))
    for offset in range(3)
} | {"main.12": (3, 64, 64), "main.13": (3, 64, 64)}


_DISCRIMINATOR_LAYERS: Mapping[str, Shape] = (
    {"main.0": (64, 32, 32), "main.1": (64, 32, 32)}
    | {
        f"main.{2 + 3 * block + offset}": (width, size, size)
        for block, (width, size) in enumerate(((128, 16), (256, 8), (512, 4)))
        for offset in range(3)
    }
    | {"main.11": (1, 1, 1), "main.12": (1, 1, 1)}
)



def _log(step: int, d_loss: float, g_loss: float, real: float, before: float, after: float) -> LogLine:
    values = {"loss_discriminator": d_loss, "loss_generator": g_loss, "D(x)": real}
    return LogLine(0, step, values | {"D(G(z))": before, "D(G(z)) after": after})


CARD = Card(
    name="pytorch-dcgan-celeba",
    document="003",
    section="复现",
    title="The PyTorch DCGAN tutorial on CelebA",
    dataset="celeba",
    data_shape=(3, 64, 64),
    data_range=(-1.0, 1.0),
    latent_shape=(100, 1, 1),
    batch_size=128,
    drop_last=False,
    epochs=5,
    seed=999,
    optimizer=OptimizerCard("Adam", 2e-4, (0.5, 0.999)),
    hyperparameters={"latent": 100, "width": 64, "leak": 0.2, "initial deviation": 0.02, "workers": 2},
    log=LogSchedule(every=50, first=1, printed_from=0),
    sample_every=500,
    source="written from document 003",
    networks={
        "generator": NetworkCard(
            inputs=((100, 1, 1),),
            output=(3, 64, 64),
            layers=_GENERATOR_LAYERS,
            parameters=16 * (100 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 2 * (512 + 256 + 128 + 64),
            printed=GENERATOR_PRINTED,
        ),
        "discriminator": NetworkCard(
            inputs=((3, 64, 64),),
            output=(1, 1, 1),
            layers=_DISCRIMINATOR_LAYERS,
            parameters=16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 2 * (128 + 256 + 512),
            printed=DISCRIMINATOR_PRINTED,
        ),
    },
    initial_weights=(
        *(InitialWeights("generator", f"main.{i}.weight", "normal", 0.0, 0.02) for i in (0, 3, 6, 9, 12)),
        *(InitialWeights("generator", f"main.{i}.weight", "normal", 1.0, 0.02) for i in (1, 4, 7, 10)),
        *(InitialWeights("generator", f"main.{i}.bias", "constant", 0.0) for i in (1, 4, 7, 10)),
        *(InitialWeights("discriminator", f"main.{i}.weight", "normal", 0.0, 0.02) for i in (0, 2, 5, 8, 11)),
        *(InitialWeights("discriminator", f"main.{i}.weight", "normal", 1.0, 0.02) for i in (3, 6, 9)),
        *(InitialWeights("discriminator", f"main.{i}.bias", "constant", 0.0) for i in (3, 6, 9)),
    ),
    log_lines=(
        _log(0, 1.9847, 5.5914, 0.6004, 0.6680, 0.0062),
        _log(50, 0.1806, 12.1108, 0.9140, 0.0000, 0.0000),
        _log(100, 0.8331, 15.9898, 0.7703, 0.0000, 0.0000),
        _log(150, 0.3900, 8.1397, 0.9423, 0.2550, 0.0013),
        _log(200, 1.0928, 1.4200, 0.4597, 0.0297, 0.3640),
        _log(250, 0.6269, 5.7408, 0.7756, 0.1923, 0.0080),
        _log(300, 0.9402, 6.5511, 0.5708, 0.0081, 0.0075),
        _log(350, 0.4106, 3.6590, 0.7936, 0.0849, 0.0478),
        _log(400, 0.7224, 5.1288, 0.8881, 0.3856, 0.0126),
        _log(450, 0.3661, 3.8855, 0.8306, 0.1179, 0.0376),
        _log(500, 0.4808, 6.0407, 0.9085, 0.2369, 0.0060),
        _log(550, 0.4707, 3.1038, 0.7592, 0.1002, 0.0753),
        _log(600, 0.7048, 8.2070, 0.9285, 0.3892, 0.0012),
        _log(650, 0.4841, 4.0969, 0.8490, 0.2061, 0.0260),
        _log(700, 1.6738, 13.9404, 0.9671, 0.7496, 0.0000),
        _log(750, 0.8728, 7.7513, 0.9215, 0.4922, 0.0012),
        _log(800, 0.4033, 4.7722, 0.8287, 0.1279, 0.0183),
        _log(850, 0.8618, 3.2507, 0.5479, 0.0231, 0.0666),
        _log(900, 1.5095, 1.8737, 0.3548, 0.0082, 0.2237),
        _log(950, 0.6173, 4.5841, 0.7906, 0.2451, 0.0188),
    ),
    claims=(
        Claim("print-generator", "003, Generator", "printing the generator gives the text shown", "the text",
              "printed_text", exactly(1), where={"network": "generator"}),
        Claim("print-discriminator", "003, Discriminator", "printing the discriminator gives the text shown",
              "the text", "printed_text", exactly(1), where={"network": "discriminator"}),
        Claim("steps", "003, printed log", "an epoch has 1583 steps", "1583", "steps_per_epoch", exactly(1583),
              needs_data=True),
    ),
    deviations=(
        Deviation(1, "text against code", "Two comments give the initial deviation as 0.2; the code, and the text "
                  "before it, as 0.02. The code counts."),
        Deviation(2, "repair", "The printed text of the generator lacks its last closing bracket."),
        Deviation(3, "repair", "PyTorch 2.15 prints batch normalisation with a further `bias=True`; here it prints as "
                  "when the document was written. It computes the same."),
        Deviation(4, "harness", "With several GPUs only the layers are split over them, so that parameter names don't "
                  "depend on the number of GPUs; the print wraps the whole network."),
        Deviation(5, "harness", "Sampling the fixed latents uses batch statistics, as printed, but leaves the running "
                  "statistics of batch normalisation alone: in the print every grid moves them."),
        Deviation(6, "harness", "Initialisation, data order and noise draw from separate random streams; the seed's "
                  "bits therefore differ from the print's, whose draws share one global stream."),
        Deviation(7, "harness", "Grids are drawn after steps 500, 1000, … of the run and the last; the print draws "
                  "them after steps 1, 501, … and the last."),
        Deviation(8, "harness", "The device is the run's: `ngpu` 0 doesn't keep a run off the GPU."),
        Deviation(9, "harness", "Pictures are scaled from the card's fixed range; the print rescales each grid by its "
                  "own minimum and maximum."),
    ),
)

