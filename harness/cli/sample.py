"""`gan-harness sample`: what a run's newest checkpoint draws."""

from __future__ import annotations

from harness.cli.app import command
from harness.latents.options import SampleOptions
from harness.reporting.screen import showing


@command("sample")
def sample(options: SampleOptions) -> None:
    """Look at a run's newest checkpoint in the documents' ways: a picture, and the numbers beside it.

    Beside the picture lie the images (.npy), the latents (.txt and .safetensors) and what was computed (.json).

    Example: [bold]gan-harness sample runs/mlp --mode interpolate --pick 2,9[/bold]
    """
    from harness.latents.sample import sample_run

    with showing():
        made = sample_run(options)
    print(made)
