from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.latents.vectors import (
    Terms,
    arithmetic,
    interpolate,
    load_vectors,
    picked,
    save_vectors,
    scattered,
    semantic_vector,
)

finite = st.floats(-10, 10, allow_nan=False, width=32)
vectors = arrays(np.float64, 6, elements=finite)


@given(vectors, vectors, st.integers(2, 20))
def test_ends_are_included_and_steps_are_equal(first: np.ndarray, second: np.ndarray, n: int) -> None:
    way = interpolate(first, second, n, "ends")
    assert way.shape == (n, 6)
    assert np.allclose(way[0], first)
    assert np.allclose(way[-1], second)
    assert np.allclose(np.diff(way, axis=0), (second - first) / (n - 1), atol=1e-9)


def test_midpoints_are_mixed_as_the_document_mixes_them() -> None:
    way = interpolate(np.array([1.0]), np.array([0.0]), 8, "midpoints")
    assert np.allclose(way[:, 0], [0.0625, 0.1875, 0.3125, 0.4375, 0.5625, 0.6875, 0.8125, 0.9375])


@given(vectors.filter(lambda v: np.linalg.norm(v) > 0.1), vectors.filter(lambda v: np.linalg.norm(v) > 0.1))
@settings(max_examples=50)
def test_spherical_steps_turn_evenly_and_lengths_change_evenly(first: np.ndarray, second: np.ndarray) -> None:
    a, b = np.linalg.norm(first), np.linalg.norm(second)
    if first @ second / (a * b) < -0.99:
        return  # nearly opposite: the way between them is ill-conditioned
    way = interpolate(first, second, 5, "spherical")
    assert np.allclose(way[0], first, atol=1e-6)
    assert np.allclose(way[-1], second, atol=1e-6)
    lengths = np.linalg.norm(way, axis=1)
    if first @ second / (a * b) < 1 - 1e-9:
        assert np.allclose(lengths, np.linspace(a, b, 5), rtol=1e-6)
        units = way / lengths[:, None]
        angles = np.arccos(np.clip((units[1:] * units[:-1]).sum(1), -1, 1))
        assert np.allclose(angles, angles[0], atol=1e-4)


def test_interpolation_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="no direction"):
        interpolate(np.zeros(2), np.ones(2), 3, "spherical")
    with pytest.raises(ValueError, match="no shortest way"):
        interpolate(np.ones(2), -np.ones(2), 3, "spherical")
    with pytest.raises(ValueError, match="2 steps or more, not 1"):
        interpolate(np.zeros(2), np.ones(2), 1, "ends")
    with pytest.raises(ValueError, match="one shape"):
        interpolate(np.zeros(2), np.ones(3), 3, "ends")
    with pytest.raises(ValueError, match=r"unknown interpolation 'diagonal'.*there are: ends, midpoints, spherical"):
        interpolate(np.zeros(2), np.ones(2), 3, "diagonal")  # type: ignore[arg-type]


def test_the_documents_arithmetic() -> None:
    ten = np.eye(10)
    expected = np.zeros(10)
    for sign, numbers in ((1, (0, 6, 8)), (-1, (1, 2, 4)), (1, (3, 4, 6))):
        for number in numbers:
            expected[number] += sign / 3
    assert np.allclose(arithmetic(ten, Terms()), expected)
    assert Terms.parse("0,6,8-1,2,4+3,4,6") == Terms()
    for wrong in ("0,6", "a-b+c", "0-1", "0,,1-2+3", "-1-2+3"):
        with pytest.raises(ValueError, match=r"as 0,6,8-1,2,4\+3,4,6"):
            Terms.parse(wrong)
    with pytest.raises(ValueError, match="no vector 6: 5 are there, 0 to 4"):
        arithmetic(np.eye(5), Terms())
    with pytest.raises(ValueError, match="no vector -1"):
        picked(ten, [-1])


def test_the_noise_as_written_has_mean_minus_one() -> None:
    centre = np.full((4, 2), 5.0)
    written = scattered(centre, 20_000, np.random.default_rng(0))
    assert written.shape == (20_000, 4, 2)
    assert np.allclose(written.mean(0), 4.9, atol=0.005)
    assert np.allclose(written.std(0), 0.1, atol=0.005)
    assert np.allclose(scattered(centre, 20_000, np.random.default_rng(0), mean=0.0).mean(0), 5, atol=0.005)


def test_semantic_vectors_as_meant_and_as_written() -> None:
    latents = np.array([[1.0, 0], [3, 0], [0, 5], [0, 7]])
    labels = np.array([True, True, False, False])
    assert np.array_equal(semantic_vector(latents, labels), [2, -6])
    assert np.array_equal(semantic_vector(latents, labels, literal=True), [0, 0])
    with pytest.raises(ValueError, match="all 4 are True"):
        semantic_vector(latents, np.ones(4, bool))
    with pytest.raises(ValueError, match="one label per latent, not 3 for 4"):
        semantic_vector(latents, np.ones(3, bool))


@pytest.mark.parametrize("suffix", [".txt", ".safetensors"])
def test_vectors_come_back_from_both_files(tmp_path: Path, suffix: str) -> None:
    latents = np.random.default_rng(0).normal(size=(7, 3, 1, 1))
    files = save_vectors(tmp_path / "vec.png", latents)
    assert {file.suffix for file in files} == {".txt", ".safetensors"}
    back = load_vectors(tmp_path / f"vec{suffix}", (3, 1, 1))
    assert back.shape == latents.shape
    assert np.allclose(back, latents, atol=1e-6)
    with pytest.raises(ValueError, match="vectors of 3 values; this reference's latents have 5"):
        load_vectors(tmp_path / f"vec{suffix}", (5,))


def test_the_documents_own_files_are_read(tmp_path: Path) -> None:
    latents = np.random.default_rng(0).normal(size=(10, 100))
    np.savetxt(tmp_path / "vec_20190317-223131.txt", latents)
    assert np.array_equal(load_vectors(tmp_path / "vec_20190317-223131.txt", (100, 1, 1)).reshape(10, 100), latents)


@pytest.mark.parametrize("content", [b"", b"one two three", b"\x80\xff\x00", b"1 2\n3\n", b"1 nan 2"])
@pytest.mark.parametrize("suffix", [".txt", ".safetensors"])
def test_files_that_are_none_are_named(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"vec{suffix}"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="vec"):
        load_vectors(file, (3,))
