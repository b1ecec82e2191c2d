"""How images look on average, without any extractor: radial power spectra and histograms, and how far two sets differ.

A generator that blurs loses power at high frequencies; one that upsamples by transposed convolutions leaves peaks.
Durall R, Keuper M, Keuper J. Proc CVPR 2020:7890-7899.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.featuresets import clusters

BINS = 32  # of frequency, from 0 to half a cycle per pixel
LEVELS = 128  # of intensity within the window; one more below and above
FLOOR = 1e-12  # of the window's width squared: an empty image has a logarithm too

Means = Callable[[np.ndarray, np.ndarray], float]


def spectrum(plane: np.ndarray, width: Number) -> np.ndarray:
    """log10 of the radially averaged power of a plane (32,), from 0 to 0.5 cycles per pixel; power in window widths^2.

    P(f) = mean over the ring of |FFT(h (x - mean x) / width)|^2 / sum h^2, h the Hann window, rings of 1/64 cycles per
    pixel; the corners beyond 0.5 are left out. A ring without a frequency takes the value between its neighbours.
    Blind to: phase, which holds most of what one recognises. Raises RadloomError below 16 pixels along an axis.

    >>> stripes = np.tile(np.cos(2 * np.pi * 0.25 * np.arange(64)), (64, 1))
    >>> int(np.argmax(spectrum(stripes, 2))) in (15, 16)  # 0.25 cycles per pixel of 0.5 in 32 bins
    True
    """
    x = np.asarray(plane, np.float64)
    if x.ndim != 2 or min(x.shape) < 16:
        raise RadloomError(f"a plane has shape {x.shape}", expected="two axes of 16 pixels or more")
    hann = np.outer(np.hanning(x.shape[0]), np.hanning(x.shape[1]))
    power = np.abs(np.fft.rfft2((x - x.mean()) / width * hann)) ** 2 / np.sum(hann**2)
    rows, columns = np.fft.fftfreq(x.shape[0]), np.fft.rfftfreq(x.shape[1])
    ring = (np.hypot(rows[:, None], columns[None]) * 2 * BINS).astype(int)
    twice = np.full(power.shape, 2.0)  # rfft2 keeps one of each pair of conjugates
    twice[:, 0] = 1
    if x.shape[1] % 2 == 0:
        twice[:, -1] = 1
    inside = ring < BINS
    total = np.bincount(ring[inside], (power * twice)[inside], BINS)
    count = np.bincount(ring[inside], twice[inside], BINS)
    known = count > 0
    means = np.interp(np.arange(BINS), np.flatnonzero(known), total[known] / count[known])
    return np.log10(means + FLOOR)


def histogram(plane: np.ndarray, low: Number, high: Number) -> np.ndarray:
    """Shares of a plane's voxels (130,): below the window, 128 levels within it, and above; unit 1, sum 1.

    >>> found = histogram(np.array([[-1.0, 0.0], [127.5, 300.0]]), 0, 128)
    >>> found[[0, 1, 128, 129]].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    place = np.floor((np.asarray(plane, np.float64) - low) / (high - low) * LEVELS)
    counts = np.bincount(np.clip(place, -1, LEVELS).astype(int).ravel() + 1, minlength=LEVELS + 2)
    return counts / counts.sum()


def spectral_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """The root mean square difference of two mean log spectra (32,) in dB, over all rings but the lowest.

    >>> round(spectral_distance(np.zeros(32), np.full(32, 0.3)), 9)
    3.0
    """
    return float(10 * np.sqrt(np.mean((synthetic[1:] - real[1:]) ** 2)))


def high_frequency_excess(real: np.ndarray, synthetic: np.ndarray) -> float:
    """How much more power the synthetic spectrum has above a quarter cycle per pixel, mean in dB; below 0: blurred.

    >>> round(high_frequency_excess(np.zeros(32), np.r_[np.zeros(16), np.full(16, -1.0)]), 9)
    -10.0
    """
    return float(10 * np.mean(synthetic[BINS // 2 :] - real[BINS // 2 :]))


def histogram_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """The first Wasserstein distance of two mean histograms (130,), in widths of the window; 0 is best.

    W = sum |F_r - F_s| / 128, F the cumulated shares; voxels outside the window count as at its edge.
    Blind to: where the intensities lie.

    >>> a, b = np.zeros(130), np.zeros(130)
    >>> a[1], b[65] = 1, 1  # 64 of 128 levels apart
    >>> histogram_distance(a, b)
    0.5
    """
    return float(np.sum(np.abs(np.cumsum(real - synthetic))[1:-2]) / LEVELS)


def with_spread(
    statistic: Means,
    real: np.ndarray,
    synthetic: np.ndarray,
    patients_real: np.ndarray,
    patients_synthetic: np.ndarray,
    *,
    draws: int = 400,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """A statistic of two mean rows with its standard error over bootstraps of the patients of both sets.

    NaN with fewer than 3 patients in a set.
    """
    value = statistic(real.mean(axis=0), synthetic.mean(axis=0))
    groups = clusters(patients_real, len(real), "the real set"), clusters(patients_synthetic, len(synthetic), "synth")
    if min(map(len, groups)) < 3:
        return value, float("nan")
    means = []
    for rows, of in zip((real, synthetic), groups, strict=True):
        sums = np.stack([rows[members].sum(axis=0) for members in of])
        sizes = np.array([len(members) for members in of])
        drawn = rng.multinomial(len(of), np.full(len(of), 1 / len(of)), size=draws)
        means.append(drawn @ sums / (drawn @ sizes)[:, None])
    values = [statistic(a, b) for a, b in zip(*means, strict=True)]
    return value, float(np.std(values, ddof=1))
