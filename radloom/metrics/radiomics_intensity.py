"""Statistics of the intensities in a region and of their histogram (IBSI sections 3.3 and 3.4); no texture."""

from __future__ import annotations

import math

import numpy as np

from radloom.metrics.radiomics_levels import Region


def intensity_statistics(region: Region) -> dict[str, float]:
    """The 18 IBSI intensity statistics, in the image's unit or its powers, and PyRadiomics' total energy.

    Skewness and kurtosis are 0 in a flat region; kurtosis is the excess (PyRadiomics' is 3 more). Quotients whose
    denominator is 0 are NaN. stat_total_energy = energy x voxel volume in mm^3.
    Blind to: where the intensities lie. Zwanenburg A et al. Radiology 2020;295:328-338.

    >>> from radloom.metrics.radiomics_levels import region_of
    >>> found = intensity_statistics(region_of(np.array([[1.0, 2, 3, 4]]), np.ones((1, 4)), (1, 1)))
    >>> found["stat_mean"], found["stat_var"], found["stat_iqr"]
    (2.5, 1.25, 1.5)
    """
    x = region.values
    mean, median = float(x.mean()), float(np.median(x))
    low, high = float(x.min()), float(x.max())
    p10, p25, p75, p90 = (float(q) for q in np.percentile(x, (10, 25, 75, 90)))
    centred = x - mean if high > low else np.zeros_like(x)  # the mean of equal numbers is not always that number
    variance = float(np.mean(centred**2))
    robust = x[(x >= p10) & (x <= p90)]
    energy = float(np.sum(x**2))
    return {
        "stat_mean": mean,
        "stat_var": variance,
        "stat_skew": float(np.mean(centred**3)) / variance**1.5 if variance > 0 else 0.0,
        "stat_kurt": float(np.mean(centred**4)) / variance**2 - 3 if variance > 0 else 0.0,
        "stat_median": median,
        "stat_min": low,
        "stat_p10": p10,
        "stat_p90": p90,
        "stat_max": high,
        "stat_iqr": p75 - p25,
        "stat_range": high - low,
        "stat_mad": float(np.mean(np.abs(centred))),
        "stat_rmad": float(np.mean(np.abs(robust - robust.mean()))) if len(robust) else 0.0,
        "stat_medad": float(np.mean(np.abs(x - median))),
        "stat_cov": math.sqrt(variance) / mean if mean else math.nan,
        "stat_qcod": (p75 - p25) / (p75 + p25) if p75 + p25 else math.nan,
        "stat_energy": energy,
        "stat_rms": math.sqrt(energy / len(x)),
        "stat_total_energy": energy * math.prod(region.spacing_mm),
    }


def histogram_statistics(levels: np.ndarray) -> dict[str, float]:
    """Entropy in bits and uniformity of the grey levels' histogram, unit 1.

    Entropy = -sum p log2 p, uniformity = sum p^2 over the levels of the region (0 is outside).
    Blind to: where the levels lie and which they are. Both depend on the bins. Zwanenburg A et al. Radiology
    2020;295:328-338.

    >>> histogram_statistics(np.array([[1, 1, 2, 2]]))
    {'ih_entropy': 1.0, 'ih_uniformity': 0.5}
    """
    counts = np.bincount(levels[levels > 0])
    p = counts[counts > 0] / counts.sum()
    return {"ih_entropy": float(-np.sum(p * np.log2(p))) + 0.0, "ih_uniformity": float(np.sum(p**2))}
