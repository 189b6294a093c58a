"""What exercises 4 and 5 of document 004 say of their U-Net: layers, sizes, initial values."""

from __future__ import annotations

from reference.api.card import InitialWeights, Shape

# (prefix, inputs, width, side, input of the first convolution after concatenating) of the three nested blocks.
_BLOCKS = (("", 0, 32, 28, 64), ("inner.1.", 32, 64, 14, 128), ("inner.1.inner.1.", 64, 128, 7, 128))



def _convolutions(prefix: str, inputs: int) -> list[tuple[str, int, int, int]]:
    """(name, inputs, outputs, side) of the convolutions 3×3 with BatchNorm."""
    rows = []
    for name, given, width, side, joined in _BLOCKS:
        rows += [(f"{prefix}{name}entering.0", given or inputs, width, side),
                 (f"{prefix}{name}entering.1", width, width, side),
                 (f"{prefix}{name}leaving.0", joined, width, side),
                 (f"{prefix}{name}leaving.1", width, width, side)]
    return rows



def unet_layers(prefix: str, inputs: int) -> dict[str, Shape]:
    """Every layer's output, as the exercise's description gives it."""
    layers: dict[str, Shape] = {
        f"{name}.{part}": (outputs, side, side) for name, _, outputs, side in _convolutions(prefix, inputs)
        for part in range(3)
    }
    layers |= {
        f"{prefix}inner.0": (32, 14, 14), f"{prefix}inner.2": (32, 28, 28), f"{prefix}inner.1.inner.0": (64, 7, 7),
        f"{prefix}inner.1.inner.2": (64, 14, 14), f"{prefix}last": (1, 28, 28),
    }
    return layers



def unet_parameters(inputs: int) -> int:
    """Convolutions with biases, BatchNorm's two values per channel, two transposed convolutions, the last 1×1."""
    convolutions = sum((given * 9 + 1 + 2) * outputs for _, given, outputs, _ in _convolutions("", inputs))
    return convolutions + (64 * 9 * 32 + 32) + (128 * 9 * 64 + 64) + (32 + 1)



def unet_weights(role: str, prefix: str, inputs: int) -> tuple[InitialWeights, ...]:
    """PyTorch's defaults; a transposed convolution's fan-in counts its outputs."""
    rows = _convolutions(prefix, inputs)
    fans = [(f"{name}.0", given * 9) for name, given, _, _ in rows]
    fans += [(f"{prefix}inner.2", 32 * 9), (f"{prefix}inner.1.inner.2", 64 * 9), (f"{prefix}last", 32)]
    return (
        *(InitialWeights(role, f"{name}.*", "uniform", -(fan**-0.5), fan**-0.5) for name, fan in fans),
        *(InitialWeights(role, f"{name}.1.weight", "constant", 1.0) for name, *_ in rows),
        *(InitialWeights(role, f"{name}.1.bias", "constant", 0.0) for name, *_ in rows),
    )

