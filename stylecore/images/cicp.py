"""Coding-independent code points (ITU-T H.273): colours as HEIF's and AVIF's nclx and PNG's cICP describe them.

HDR (ITU-R BT.2100: PQ, HLG) becomes SDR in the same primaries. SDR's white is 203 cd/m2 (ITU-R BT.2408). A picture with
nothing brighter keeps its light as it is; in others, the curve of ITU-R BT.2390 makes room for the highlights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stylecore.colour import Floats, Pixels
from stylecore.images import icc

UNSPECIFIED, PQ, HLG = 2, 16, 18
PRIMARIES = {  # red, green, blue, white
    1: (*icc.SRGB_PRIMARIES, *icc.D65),
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *icc.D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *icc.D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *icc.D65),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *icc.D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *icc.D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *icc.D65),
}
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
BT709 = (1, 6, 14, 15)
SRGB = 13
WHITE = 203.0  # cd/m2
HLG_PEAK = 1000.0  # cd/m2, of BT.2100's reference display
BRIGHTEST = 0.9995  # quantile that counts as the picture's peak: single hot pixels are clipped
SPARSE = 4  # every fourth pixel, across and down, finds the peak
BAND = 256  # rows at a time


class Cicp(NamedTuple):
    """``full``: the samples use the whole range (else 16 to 235 of 255)."""

    primaries: int
    transfer: int
    full: bool = True


SRGB_SPACE = Cicp(1, SRGB)


def is_hdr(colour: Cicp) -> bool:
    return colour.transfer in (PQ, HLG)


def profile_of(colour: Cicp) -> bytes | None:
    """The ICC profile for these code points, with sRGB's curve for HDR that was tone mapped; None for sRGB. What is
    unspecified counts as sRGB's (ISO 23000-22, 7.3.6.4). Raises UnknownColours for code points whose meaning is
    reserved or not known."""
    primaries = 1 if colour.primaries == UNSPECIFIED else colour.primaries
    transfer = SRGB if colour.transfer in (UNSPECIFIED, PQ, HLG) else colour.transfer
    if primaries not in PRIMARIES:
        raise icc.UnknownColours(f"colour primaries {colour.primaries}")
    if (primaries, transfer) == (1, SRGB):
        return None
    numbers = PRIMARIES[primaries]
    if transfer in GAMMAS:
        return icc.rgb_profile(numbers[:6], numbers[6:], gamma=GAMMAS[transfer])
    encoded = np.linspace(0, 1, icc.TABLE)
    if transfer in BT709:
        curve = np.where(encoded < 0.081, encoded / 4.5, ((encoded + 0.099) / 1.099) ** (1 / 0.45))
    elif transfer == SRGB:
        curve = icc.srgb_to_linear(encoded)
    else:
        raise icc.UnknownColours(f"transfer characteristics {colour.transfer}")
    return icc.rgb_profile(numbers[:6], numbers[6:], curve=curve)


def full_range(samples: Pixels) -> Pixels:
    """Expand samples of 16..235 (of 255, or the same shares of 65535) to the whole range."""
    top = np.iinfo(samples.dtype).max
    unit = (top + 1) / 256
    out: Pixels = np.rint((samples.astype(np.float32) - 16 * unit) * (top / (219 * unit))).clip(0, top)
    return out.astype(samples.dtype)


def tone_mapped(samples: Pixels, colour: Cicp) -> Pixels:
    """PQ or HLG samples (height, width, 3) to uint16 with sRGB's curve, in the same primaries.

    The curve works on the largest channel and keeps the ratios of the three, so hues stay.
    """
    out = np.empty(samples.shape, np.uint16)
    peak = float(np.quantile(_light(samples[::SPARSE, ::SPARSE], colour).max(-1), BRIGHTEST))
    for start in range(0, samples.shape[0], BAND):
        rows = slice(start, start + BAND)
        light = _light(samples[rows], colour)
        brightest = np.maximum(light.max(-1, keepdims=True), np.float32(1e-4))
        light *= rolled_off(brightest, peak) / brightest
        out[rows] = np.rint(icc.linear_to_srgb(light.clip(0, 1)) * 65535)
    return out


def rolled_off(light: Floats, peak: float) -> Floats:
    """cd/m2 to SDR light in 0..1. If ``peak``, the picture's own, is above 203 cd/m2: the Hermite spline of ITU-R
    BT.2390-10, section 5.4.1, in PQ-encoded values, which brings it down to that."""
    if peak <= WHITE:
        return light / np.float32(WHITE)
    source, target = _pq(np.float32(peak)), _pq(np.float32(WHITE))
    e1 = np.minimum(_pq(light) / source, 1)
    highest = target / source
    knee = 1.5 * highest - 0.5
    t = np.clip((e1 - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * highest
    out: Floats = (_pq_light(np.where(e1 < knee, e1, spline) * source) / WHITE).astype(np.float32)
    return out


def _light(samples: Pixels, colour: Cicp) -> Floats:
    """Encoded samples to cd/m2."""
    encoded = samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    return _pq_light(encoded) if colour.transfer == PQ else _hlg_light(encoded, _luma_weights(colour))


def _pq_light(encoded: Floats) -> Floats:
    """SMPTE ST 2084's EOTF: 0..1 to 0..10000 cd/m2."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = encoded.clip(0, 1) ** (1 / m2)
    out: Floats = (10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)).astype(np.float32)
    return out


def _pq(light: NDArray[np.float32] | np.float32) -> Floats:
    """The inverse of ``_pq_light``."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (np.maximum(light, 0) / 10000) ** m1
    out: Floats = (((c1 + c2 * power) / (1 + c3 * power)) ** m2).astype(np.float32)
    return out


def _hlg_light(encoded: Floats, weights: Floats) -> Floats:
    """ITU-R BT.2100's inverse OETF and OOTF for a display of 1000 cd/m2: 0..1 to 0..1000 cd/m2."""
    a, b, c, gamma = 0.17883277, 0.28466892, 0.55991073, 1.2
    scene = np.where(encoded <= 0.5, encoded**2 / 3, (np.exp((encoded - c) / a) + b) / 12)
    luminance = np.maximum(scene @ weights, 1e-6)[..., None]
    out: Floats = (HLG_PEAK * luminance ** (gamma - 1) * scene).astype(np.float32)
    return out


def _luma_weights(colour: Cicp) -> Floats:
    """The share of each primary in the luminance of white, (3,)."""
    x = np.array(PRIMARIES.get(colour.primaries, PRIMARIES[9])).reshape(4, 2)
    xyz = np.stack([x[:, 0] / x[:, 1], np.ones(4), (1 - x.sum(1)) / x[:, 1]])  # (3, 4)
    weights: Floats = np.linalg.solve(xyz[:, :3], xyz[:, 3]).astype(np.float32)
    return weights
