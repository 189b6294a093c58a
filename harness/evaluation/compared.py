"""What an evaluation compares: the images of a folder or a function, real ones, how many of each, and who looks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.data import Dataset, open_data
from harness.data.dataset import linspace_indices, scale_pixels
from harness.data.images import Framing
from harness.data.registry import brings_data
from harness.data.registry import data_root as find_root
from harness.evaluation.extractors.extractor import Extractor, load_extractor
from harness.evaluation.extractors.networks import EXTRACTORS
from harness.evaluation.images import BYTES, as_images, check_range, check_varied, read_images, to_bytes
from harness.evaluation.options import EvaluateOptions
from harness.evaluation.protocol import RealImages, extractor_names, image_shape, sample_size, was_trained_for
from reference import Batch, Card, get
from reference.api.user_modules import import_user_module

USUAL_N = 10_000


class StoredImages:
    """uint8 images (n, C, H, W) in memory as a data set with values in a range."""

    in_memory = True
    real = complete = True

    def __init__(self, images: Tensor, title: str, value_range: tuple[float, float] = (0.0, 1.0)) -> None:
        self.title = title
        self.images = images
        self.value_range = value_range
        self.fingerprint = f"images-{hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16]}"

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Batch:
        return Batch(scale_pixels(self.images[indices], self.value_range))


def framing_of(options: EvaluateOptions) -> Framing | None:
    """How pictures of folders are brought to a size, if they are."""
    return None if options.resize is None else Framing((3, options.resize, options.resize))


def real_images(options: EvaluateOptions, device: torch.device) -> tuple[RealImages, Extractor]:
    """What images of one's own are held against, and who looks."""
    if not options.against:
        raise ValueError("images of your own need --against: a reference for its data, or a folder of real images")
    if Path(options.against).is_dir():
        root = find_root(options.data_root)
        if options.extractor is None:
            raise ValueError("against a folder of images, --extractor must say who looks at them")
        stored = _stored(Path(options.against), options)
        shape = tuple(stored.images.shape[1:])
        real = RealImages(stored, shape, (0.0, 1.0), held_out=held_out_images(options, shape, (0.0, 1.0)))
        return real, load_extractor(options.extractor, device, root, options.extractor_weights)
    chosen = get(options.against)
    root = find_root(options.data_root, own=brings_data(chosen))
    card, dataset = chosen.card, open_data(chosen, root)
    others = held_out_images(options, image_shape(card), card.data_range)
    return RealImages.of(card, dataset, others), choose_extractor(options, card, dataset, device, root)


def held_out_images(
    options: EvaluateOptions, shape: tuple[int, ...], value_range: tuple[float, float]
) -> StoredImages | None:
    """The images of --held-out in a shape (C, H, W) and range; None where it isn't given.

    Raises:
        ValueError: they have another size, or lie where those lie that they are held out of.
    """
    if options.held_out is None:
        return None
    if not options.held_out.is_dir():
        raise ValueError(f"--held-out {options.held_out} is no folder")
    for which, folder in (("--against", options.against), ("what is evaluated", options.target)):
        if folder and Path(folder).resolve() == options.held_out.resolve():
            raise ValueError(f"--held-out and {which} are the same folder, {options.held_out}: hold out other images")
    others = _stored(options.held_out, options)
    if tuple(others.images.shape[1:]) != shape:
        given, wanted = ("×".join(map(str, size)) for size in (others.images.shape[1:], shape))
        raise ValueError(f"--held-out {options.held_out} holds images of {given}, and the others have {wanted}")
    return StoredImages(others.images, others.title, value_range)


def _stored(folder: Path, options: EvaluateOptions) -> StoredImages:
    """The real images of a folder, of one channel where they are grey."""
    images = _in_bytes(read_images(folder, framing_of(options)), BYTES, options, str(folder))
    check_varied(images, str(folder))
    return StoredImages(images[:, :1] if bool((images[:, :1] == images).all()) else images, str(folder))


def choose_extractor(
    options: EvaluateOptions, card: Card, dataset: Dataset, device: torch.device, root: Path | None
) -> Extractor:
    """The extractor asked for, else the one that fits a card's data.

    Raises:
        ValueError: the one asked for wasn't trained to see them, and nobody said that it may look all the same.
    """
    name = options.extractor or extractor_names(card, dataset, options.extractor_weights)[0]
    opened = load_extractor(name, device, root, options.extractor_weights)
    if not (options.any_data or was_trained_for(name, card, dataset)):
        raise ValueError(
            f"{name} was trained on {opened.trained_on} and would look at {dataset.title}: leave --extractor to what "
            "fits, or let it look with --any-data, which the figures then say"
        )
    return opened


def how_many(options: EvaluateOptions, dataset: Dataset, what: str) -> int:
    """As many as were asked for, else as usual, but no more than there are.

    Raises:
        ValueError: more were asked for than can be compared.
    """
    n = sample_size(options.count or USUAL_N, dataset)
    if options.count and n < options.count:
        raise ValueError(f"{options.count} {what} can't be compared with {len(dataset)} of {dataset.title}")
    return n


def given_images(target: str, options: EvaluateOptions, real: RealImages) -> tuple[Tensor, int, str]:
    """The images of a folder or a function, uint8 (n, C, H, W), how many to compare, and a name for them."""
    if Path(target).is_dir():
        read = read_images(Path(target), framing_of(options))
        images = _to_grey(_in_bytes(read, BYTES, options, target), real, target)
        n = min(len(images), len(real.dataset)) if options.count is None else options.count
        if n > len(images):
            raise ValueError(f"{target} holds {len(images)} images, asked for were {n}")
        return images, n, Path(target).resolve().name
    n = how_many(options, real.dataset, "images")
    made = _call_generator(target, n, options.seed)
    if len(made) != n:
        raise ValueError(f"{target} was asked for {n} images and returned {len(made)}")
    images = _in_bytes(made, BYTES if made.dtype == torch.uint8 else real.value_range, options, target)
    return _to_grey(images, real, target), n, target


def given_samples(target: str, options: EvaluateOptions, card: Card, n: int) -> tuple[Tensor, str]:
    """`n` points (n, 2), or uint8 pictures, of a function, a file of points (.npy) or a folder of pictures; and a name.

    Raises:
        ValueError: others than asked for, or fewer.
    """
    path = Path(target)
    if path.suffix == ".npy":
        made, name = _points_of(path, n if options.count else None), path.stem
    elif path.is_dir() and len(card.data_shape) == 1:
        raise ValueError(f"{target} is a folder of pictures, and {card.name} has points: give a function or an .npy")
    elif path.is_dir():
        made, name = read_images(path), path.resolve().name
        if len(made) < n:
            raise ValueError(f"{target} holds {len(made)} pictures, asked for were {n}: -n {len(made)} takes these")
        made = made[linspace_indices(len(made), n)]
    else:
        made, name = _call_generator(target, n, options.seed), target
        if len(made) != n:
            raise ValueError(f"{target} was asked for {n} samples and returned {len(made)}")
    if tuple(made.shape[1:]) != card.data_shape:
        raise ValueError(f"{target} gives samples of shape {tuple(made.shape[1:])}, {card.name} has {card.data_shape}")
    if len(card.data_shape) == 1:
        return made, name
    usual = BYTES if made.dtype == torch.uint8 else card.data_range
    return _in_bytes(made, usual, options, target), name


def _points_of(path: Path, n: int | None) -> Tensor:
    try:
        held = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read as an array of points: {error}") from error
    if n is not None and len(held) < n:
        raise ValueError(f"{path} holds {len(held)} points, asked for were {n}")
    return torch.from_numpy(np.asarray(held[:n], np.float64))


def _in_bytes(images: Tensor, usual: tuple[float, float], options: EvaluateOptions, what: str) -> Tensor:
    """Images as uint8 (n, C, H, W): in the range that the user declares, else in the usual one, if they use it."""
    if options.value_range is not None:
        return to_bytes(images.float(), options.value_range)
    made = as_images(images) if images.dtype == torch.uint8 else to_bytes(images, usual)
    check_range(images, usual, what)
    return made


def _to_grey(images: Tensor, real: RealImages, target: str) -> Tensor:
    """One channel of images that are held against grey ones."""
    if real.shape[0] != 1:
        return images
    if not bool((images[:, :1] == images).all()):
        raise ValueError(f"{target} holds coloured images, the real ones are grey")
    return images[:, :1]


def is_strange(options: EvaluateOptions, real: RealImages, extractor: Extractor) -> bool:
    """Whether it is known that the extractor wasn't trained on such data: of a folder, its channels alone are."""
    if not Path(options.against).is_dir():
        return not was_trained_for(extractor.name, get(options.against).card, real.dataset)
    return extractor.name in EXTRACTORS and real.shape[0] != EXTRACTORS[extractor.name].CHANNELS


def _call_generator(target: str, n: int, seed: int) -> Tensor:
    """What `module:callable` returns for (n, seed), as a tensor on the CPU."""
    module, _, name = target.partition(":")
    try:
        function = getattr(import_user_module(module), name)
    except (Exception, SystemExit) as error:
        hint = "; give it as module:callable, without .py" if module.endswith(".py") else ""
        raise ValueError(f"{target} can't be imported: {type(error).__name__}: {error}{hint}") from error
    try:
        made = function(n, seed)
        if isinstance(made, np.ndarray):  # PyTorch takes neither negative strides nor a foreign order of bytes
            made = np.ascontiguousarray(made, made.dtype.newbyteorder("="))
        images = torch.as_tensor(made).detach().cpu() if isinstance(made, Tensor | np.ndarray) else None
    except (Exception, SystemExit) as error:  # whatever a stranger's code does
        raise ValueError(f"{target} called with ({n}, {seed}) fails: {type(error).__name__}: {error}") from error
    if images is None:
        raise ValueError(f"{target} must return a tensor or an array of images, not {type(made).__name__}")
    if (
        images.dim() < 2
        or images.layout != torch.strided
        or not (images.is_floating_point() or images.dtype == torch.uint8)
    ):
        raise ValueError(
            f"{target} must return {n} images as uint8 or floats, not {images.dtype} of shape {tuple(images.shape)}"
        )
    return images
