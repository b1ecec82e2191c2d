"""The Frechet radiomics distance from two feature matrices; the extraction of radiomic features is not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import as_numpy
from radloom.metrics.featuresets import Features, as_features, same_features
from radloom.metrics.frechet import frechet_distance

Version = Literal["v0", "v1"]
Preset = Literal["clean", "paper_exact"]
_TOP = 7.45670747756958  # of version 0's joint scale, as its authors' program has it


@dataclass(frozen=True)
class RadiomicDistance:
    """A Frechet radiomics distance, unit 1; value is log d^2 for v1 and d^2 for v0, `squared` is d^2 always.

    d is the number of features that remained; dropped_rows (real, synthetic) had NaN, dropped_columns were constant,
    not finite after scaling, or diagnostics.
    """

    value: float
    squared: float
    n_real: int
    n_synthetic: int
    d: int
    dropped_rows: tuple[int, int]
    dropped_columns: int
    version: Version
    preset: Preset

    @property
    def paper_log(self) -> float:
        """The formula log d of v1's paper; half of log d^2, which its program gives."""
        return float(0.5 * np.log(self.squared)) if self.squared > 0 else -np.inf


def frechet_radiomic_distance(
    real: Features,
    synthetic: Features,
    *,
    version: Version = "v1",
    preset: Preset = "clean",
    names: Sequence[str] = (),
) -> RadiomicDistance:
    """The Frechet distance of scaled radiomic features, unit 1; lower is better. real is the reference: not symmetric.

    v1: z = (x - mean)/sd with mean and population SD of the real set, value log d^2 (-inf for identical sets).
    v0: each feature's range over both sets becomes [0, 7.456707...], value d^2. d^2 as in `frechet_distance`.
    Matrices (n, d), (m, d), one column per feature, `names` (d,) of the columns. "clean": float64; columns whose name
    starts with "diagnostics" and columns constant in both sets go; NaN, and a feature constant in the real set alone,
    are errors. "paper_exact" follows the authors' program: v1 drops images with NaN, casts to float32, keeps
    diagnostics and drops every column that is not finite after scaling; v0 puts NaN and constant columns mid-scale.
    From given features it has frd-score 1.0.1's values to 1e-7 (v1, float32) and 1e-8 (v0).
    Blind to: what the features do not measure; more features than images make d^2 mostly sampling bias.
    Konz N et al. arXiv 2412.01496; v0: Osuala R et al. arXiv 2403.13890.

    >>> real = np.array([[0.0, 5.0], [2.0, 5.0]])
    >>> found = frechet_radiomic_distance(real, real + [[3.0, 0.0]])  # z moves by 3, the constant column goes
    >>> round(found.squared, 9), round(found.value, 6), found.d, found.dropped_columns  # log 9
    (9.0, 2.197225, 1, 1)
    """
    if version not in ("v0", "v1") or preset not in ("clean", "paper_exact"):
        raise RadloomError(f"version {version!r}, preset {preset!r}", expected="v0 or v1, clean or paper_exact")
    sets = _clean(real, synthetic, names) if preset == "clean" else _paper(real, synthetic, version)
    n, m = (len(z) for z in sets)
    dropped = len(as_numpy(real)) - n, len(as_numpy(synthetic)) - m
    if min(n, m) < 2:
        raise RadloomError(f"{n} real and {m} synthetic images without NaN", expected="2 or more")
    scaled = _z_scores(*sets) if version == "v1" else _joint_range(*sets)
    finite = np.isfinite(scaled[0]).all(axis=0) & np.isfinite(scaled[1]).all(axis=0)
    if not finite.any():
        raise RadloomError("no radiomic feature varies in the real set", expected="at least one")
    found = frechet_distance(scaled[0][:, finite].astype(np.float64), scaled[1][:, finite].astype(np.float64))
    value = found.value
    if version == "v1":
        value = float(np.log(value)) if value > 0 else -np.inf
    columns = as_numpy(real).shape[1] - found.d
    return RadiomicDistance(value, found.value, n, m, found.d, dropped, columns, version, preset)


def _clean(real: Features, synthetic: Features, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    x, y = (as_features(z, f"the {name} set", fewest=2).astype(np.float64)
            for z, name in ((real, "real"), (synthetic, "synthetic")))  # fmt: skip
    same_features(x, y, "the real set", "the synthetic set")
    if names and len(names) != x.shape[1]:
        raise RadloomError(f"{len(names)} names of {x.shape[1]} features", expected="one name per column")
    titles = list(names) or [f"column {i}" for i in range(x.shape[1])]
    still = np.ptp(x, axis=0) == 0
    kept = ~(still & (np.ptp(y, axis=0) == 0) & (x[0] == y[0]))
    kept &= np.array([not title.startswith("diagnostics") for title in titles])
    if (still & kept).any():
        wrong = [title for title, bad in zip(titles, still & kept, strict=True) if bad]
        raise RadloomError(
            f"{len(wrong)} features are constant in the real set but not in the synthetic one ({', '.join(wrong[:3])})",
            expected="features that vary between real images",
            do="leave those columns out and state which",
        )
    return x[:, kept], y[:, kept]


def _paper(real: Features, synthetic: Features, version: Version) -> tuple[np.ndarray, np.ndarray]:
    x, y = (as_numpy(z) for z in (real, synthetic))
    if x.ndim != 2 or y.ndim != 2:
        raise RadloomError(f"radiomic features of shapes {x.shape} and {y.shape}", expected="matrices (n, d)")
    same_features(x, y, "the real set", "the synthetic set")
    if version == "v0":
        return x.astype(np.float64), y.astype(np.float64)
    x, y = (z[~np.isnan(z).any(axis=1)].astype(np.float32) for z in (x, y))
    return x, y


def _z_scores(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, sd = x.mean(axis=0), x.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # columns that are not finite are dropped by the caller
        return (x - mean) / sd, (y - mean) / sd


def _joint_range(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = np.concatenate([x, y])
    low, high = np.fmin.reduce(both, axis=0), np.fmax.reduce(both, axis=0)  # NaN only where a column has nothing else
    width = np.where(high > low, high - low, 1)

    def scaled(z: np.ndarray) -> np.ndarray:
        shares = np.where(high > low, (z - low) / width, 0.5)
        return _TOP * np.where(np.isnan(shares), 0.5, shares)

    return scaled(x), scaled(y)
