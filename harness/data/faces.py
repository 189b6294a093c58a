"""Drawn faces: the stand-in for CelebA, 178×218 RGB with known attributes, the same for the same seed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from harness.data.image_folder import ATTRIBUTES, FOLDER, Attributes, write_attributes
from harness.records.progress import report_progress

_log = logging.getLogger(__name__)

FACES_VERSION = 1
SIZE = (178, 218)
_SCALE = 2  # drawn larger and reduced, for smooth edges

# CelebA's names, in its alphabetical order, with how often each is drawn. Hair colours exclude each other.
FREQUENCIES: Mapping[str, float] = {
    "Bald": 0.06,
    "Bangs": 0.25,
    "Black_Hair": 0.3,
    "Blond_Hair": 0.25,
    "Brown_Hair": 0.3,
    "Eyeglasses": 0.25,
    "Male": 0.45,
    "Mouth_Slightly_Open": 0.35,
    "Mustache": 0.3,
    "Pale_Skin": 0.2,
    "Smiling": 0.5,
    "Wearing_Hat": 0.15,
    "Wearing_Lipstick": 0.6,
}
_HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair")
_HAIR_COLOURS = {"Black_Hair": (25, 22, 24), "Blond_Hair": (222, 188, 108), "Brown_Hair": (104, 62, 32)}
Colour = tuple[int, int, int]


def draw_attributes(seed: int, index: int) -> dict[str, bool]:
    """The attributes of face `index`: independent of how many faces there are."""
    random = np.random.default_rng([seed, index, 0])
    drawn = {name: bool(random.random() < share) for name, share in FREQUENCIES.items()}
    drawn["Bald"] &= drawn["Male"]
    drawn["Mustache"] &= drawn["Male"]
    drawn["Wearing_Lipstick"] &= not drawn["Male"]
    drawn["Bangs"] &= not drawn["Bald"]
    colour = None if drawn["Bald"] else _HAIR[random.choice(3, p=[0.35, 0.3, 0.35])]
    drawn |= {name: name == colour for name in _HAIR}
    return drawn


def draw_face(attributes: Mapping[str, bool], seed: int, index: int) -> Image.Image:
    """One face with these attributes; position, proportions, tones and background vary with seed and index."""
    random = np.random.default_rng([seed, index, 1])
    width, height = SIZE[0] * _SCALE, SIZE[1] * _SCALE
    background = _colour(random, (60, 70, 80), (200, 205, 215))
    image = Image.new("RGB", (width, height), background)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, int(height * 0.55), width, height), fill=_shade(background, 0.85))

    x = width / 2 + random.normal(0, 5)
    y = height * 0.53 + random.normal(0, 6)
    half = width * random.uniform(0.24, 0.28) * (1.06 if attributes["Male"] else 1.0)
    tall = half * random.uniform(1.28, 1.42)
    skin = (
        _colour(random, (236, 208, 188), (250, 226, 210))
        if attributes["Pale_Skin"]
        else _colour(random, (150, 98, 66), (226, 176, 142))
    )
    hair = next((_HAIR_COLOURS[name] for name in _HAIR if attributes[name]), _shade(skin, 0.9))

    _draw_back_hair(draw, attributes, hair, x, y, half, tall)
    shirt = _colour(random, (30, 40, 60), (190, 120, 140))
    draw.rectangle((x - half * 0.4, y + tall * 0.7, x + half * 0.4, y + tall * 1.4), fill=_shade(skin, 0.88))
    draw.ellipse((x - half * 1.7, y + tall * 1.15, x + half * 1.7, y + tall * 2.6), fill=shirt)
    for side in (-1, 1):
        _ellipse(draw, x + side * half, y, half * 0.14, tall * 0.16, _shade(skin, 0.92))
    _ellipse(draw, x, y, half, tall, skin)
    _draw_eyes(draw, attributes, hair, random, x, y, half, tall)
    draw.line(
        (x, y, x - half * 0.08, y + tall * 0.24, x + half * 0.1, y + tall * 0.25),
        fill=_shade(skin, 0.72),
        width=5,
        joint="curve",
    )
    _draw_mouth(draw, attributes, skin, hair, x, y, half, tall)
    _draw_top(draw, attributes, hair, shirt, x, y, half, tall)
    return image.resize(SIZE, Image.Resampling.BOX)


def write_faces(root: Path, n: int, seed: int) -> None:
    """Write `n` faces as JPEG files with their attribute file, in CelebA's layout below `root`."""
    (root / FOLDER).mkdir(parents=True)
    rows, files = [], []
    for index in range(n):
        attributes = draw_attributes(seed, index)
        file = f"{index + 1:06d}.jpg"
        draw_face(attributes, seed, index).save(root / FOLDER / file, quality=90)
        rows.append([attributes[name] for name in FREQUENCIES])
        files.append(file)
        report_progress(_log, "drawing faces", index + 1, n)
    write_attributes(root / ATTRIBUTES, Attributes(tuple(FREQUENCIES), tuple(files), torch.tensor(rows)))


def _draw_back_hair(
    draw: ImageDraw.ImageDraw, has: Mapping[str, bool], hair: Colour, x: float, y: float, half: float, tall: float
) -> None:
    if has["Bald"]:
        return
    _ellipse(draw, x, y - tall * 0.2, half * 1.14, tall * 0.98, hair)
    if not has["Male"]:
        draw.rounded_rectangle(
            (x - half * 1.16, y - tall * 0.25, x + half * 1.16, y + tall * 1.25), radius=half * 0.4, fill=hair
        )


def _draw_eyes(
    draw: ImageDraw.ImageDraw,
    has: Mapping[str, bool],
    hair: Colour,
    random: np.random.Generator,
    x: float,
    y: float,
    half: float,
    tall: float,
) -> None:
    iris = _colour(random, (40, 50, 30), (110, 140, 170))
    level = y - tall * 0.14
    for side in (-1, 1):
        centre = x + side * half * 0.42
        _ellipse(draw, centre, level, half * 0.17, tall * 0.075, (248, 248, 246))
        _ellipse(draw, centre, level, half * 0.08, tall * 0.065, iris)
        _ellipse(draw, centre, level, half * 0.04, tall * 0.032, (15, 15, 15))
        brow = (centre - half * 0.2, level - tall * 0.2, centre + half * 0.2, level - tall * 0.06)
        draw.arc(brow, 190, 350, fill=_shade(hair, 0.7), width=10 if has["Male"] else 5)
    if has["Eyeglasses"]:
        for side in (-1, 1):
            centre = x + side * half * 0.42
            box = (centre - half * 0.29, level - tall * 0.15, centre + half * 0.29, level + tall * 0.15)
            draw.ellipse(box, outline=(20, 20, 25), width=7)
            draw.line((x + side * half * 0.7, level, x + side * half, level - tall * 0.03), fill=(20, 20, 25), width=6)
        draw.line((x - half * 0.14, level, x + half * 0.14, level), fill=(20, 20, 25), width=7)


def _draw_mouth(
    draw: ImageDraw.ImageDraw,
    has: Mapping[str, bool],
    skin: Colour,
    hair: Colour,
    x: float,
    y: float,
    half: float,
    tall: float,
) -> None:
    lips = (190, 30, 55) if has["Wearing_Lipstick"] else _shade(skin, 0.66)
    level = y + tall * 0.5
    broad = half * (0.46 if has["Smiling"] else 0.3)
    deep = tall * (0.16 if has["Smiling"] else 0.03)
    box = (x - broad, level - deep, x + broad, level + deep)
    if has["Mouth_Slightly_Open"]:
        opening = (x - broad, level - deep, x + broad, level + max(deep, tall * 0.09))
        if has["Smiling"]:
            draw.chord(opening, 0, 180, fill=(250, 250, 250), outline=lips, width=8)
        else:
            draw.ellipse(opening, fill=(70, 20, 25), outline=lips, width=8)
    elif has["Smiling"]:
        draw.arc(box, 10, 170, fill=lips, width=11)
    else:
        draw.line((x - broad, level, x + broad, level), fill=lips, width=10)
    if has["Mustache"]:
        top = y + tall * 0.3
        draw.pieslice((x - half * 0.5, top, x + half * 0.5, top + tall * 0.24), 180, 360, fill=_shade(hair, 0.75))


def _draw_top(
    draw: ImageDraw.ImageDraw,
    has: Mapping[str, bool],
    hair: Colour,
    shirt: Colour,
    x: float,
    y: float,
    half: float,
    tall: float,
) -> None:
    if not has["Bald"]:
        draw.chord((x - half * 1.05, y - tall * 1.15, x + half * 1.05, y + tall * 0.2), 198, 342, fill=hair)
    if has["Bangs"]:
        draw.rectangle((x - half * 0.8, y - tall * 0.75, x + half * 0.8, y - tall * 0.36), fill=hair)
    if has["Wearing_Hat"]:
        colour = _shade(shirt, 1.15)
        draw.chord((x - half * 1.12, y - tall * 1.5, x + half * 1.12, y + tall * 0.3), 180, 360, fill=colour)
        draw.rounded_rectangle(
            (x - half * 1.5, y - tall * 0.7, x + half * 1.5, y - tall * 0.54), radius=12, fill=_shade(colour, 0.8)
        )


def _ellipse(draw: ImageDraw.ImageDraw, x: float, y: float, a: float, b: float, fill: Colour) -> None:
    draw.ellipse((x - a, y - b, x + a, y + b), fill=fill)


def _colour(random: np.random.Generator, low: Colour, high: Colour) -> Colour:
    share = random.random()
    jitter = random.normal(0, 6, 3)
    red, green, blue = (
        int(np.clip(a + share * (b - a) + j, 0, 255)) for a, b, j in zip(low, high, jitter, strict=True)
    )
    return red, green, blue


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(channel * factor)) for channel in colour)
    return red, green, blue
