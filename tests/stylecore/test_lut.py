"""Tables applied at 8 and 16 bits, in any space."""

from __future__ import annotations

import numpy as np
import pytest

from stylecore.colour import Floats
from stylecore.images import icc
from stylecore.lut import Lut, apply, from_bytes, identity, restyle, to_bytes

P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def p3_profile() -> bytes:
    curve = icc.srgb_to_linear(np.linspace(0, 1, 1024))
    return icc.rgb_profile(P3, icc.D65, curve=curve, name="Display P3")


def test_the_identity_changes_no_sample() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.uint16):
        pixels = rng.integers(0, np.iinfo(dtype).max + 1, (300, 70, 3), dtype)
        np.testing.assert_array_equal(apply(Lut(identity()), pixels), pixels)


def test_8_bits_are_within_1_of_255_of_floats(warm: Lut, colours: Floats) -> None:
    pixels = np.rint(colours * 255).astype(np.uint8)
    error = np.abs(apply(warm, pixels) / 255 - warm.of(pixels.astype(np.float32) / np.float32(255)))
    assert error.max() <= 1 / 255


def test_16_bits_never_go_through_8(warm: Lut) -> None:
    ramp = np.arange(20_000, 20_512, dtype=np.uint16)
    pixels = np.repeat(ramp[None, :, None], 3, axis=2)
    result = apply(warm, pixels)
    expected = warm.of(pixels.astype(np.float32) / np.float32(65535)) * 65535
    assert np.abs(result - expected).max() <= 2
    assert len(np.unique(result[0, :, 1])) > 400  # with 8 bits, there would be two or three


def test_strength_and_size(warm: Lut, colours: Floats) -> None:
    assert np.array_equal(warm.at_strength(0).colours, identity())
    half = warm.at_strength(50)
    np.testing.assert_allclose(half.of(colours), (colours + warm.of(colours)) / 2, atol=1e-6)
    np.testing.assert_allclose(warm.resampled(64).of(colours), warm.of(colours), atol=0.003)


def test_bytes_lose_less_than_a_step_of_16_bits(warm: Lut) -> None:
    assert np.abs(from_bytes(to_bytes(warm)).colours - warm.colours).max() <= 0.5 / 65535 + 1e-7


def linear_profile() -> bytes:
    return icc.rgb_profile(icc.SRGB_PRIMARIES, icc.D65, gamma=1.0, name="Linear sRGB")


@pytest.mark.parametrize(
    "profile",
    [p3_profile(), icc.adobe_rgb(), icc.prophoto_rgb(), linear_profile()],
    ids=["p3", "adobe", "prophoto", "linear"],
)
def test_a_photo_in_another_space_neither_clips_nor_shifts(profile: bytes, warm: Lut) -> None:
    """What changes nothing in sRGB changes nothing here, and a colour that sRGB holds comes out as it does there."""
    ramp = np.linspace(0, 65535, 18).astype(np.uint16)
    vivid = np.stack(np.meshgrid(ramp, ramp, ramp), -1).reshape(1, -1, 3)
    still = restyle(Lut(identity()), vivid, profile)
    assert np.abs(still.astype(int) - vivid).max() < 0.0015 * 65535

    encoded = np.random.default_rng(0).uniform(0.02, 0.98, (1, 5000, 3)).astype(np.float32)
    here = np.rint(icc.from_srgb(encoded, profile) * 65535).astype(np.uint16)
    there = icc.to_srgb(restyle(warm, here, profile).astype(np.float32) / np.float32(65535), profile)
    error = np.abs(there - warm.of(encoded))
    assert error.max() < 0.04 and error.mean() < 0.001
    eight = restyle(warm, (here // 257).astype(np.uint8), profile)
    assert (
        eight.dtype == np.uint8
        and np.abs(eight.astype(int) * 257 - restyle(warm, here // 257 * 257, profile)).max() < 400
    )

    if profile != linear_profile():
        green = np.array([[[0, 65535, 0]]], np.uint16)  # outside sRGB
        milder = restyle(Lut(identity() * 0.9 + 0.05), green, profile)[0, 0] / 65535
        assert milder[1] > 0.85 and milder[0] < 0.35  # by a tenth, not cut down to what sRGB holds
