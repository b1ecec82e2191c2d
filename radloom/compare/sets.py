"""Metrics of two sets with a space of their own: spectra, histograms, radiomic distance, inception score, diversity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from radloom.compare import appearance
from radloom.compare.appearance import Means
from radloom.compare.measures import HALVES, REAL, SYNTHETIC, Findings, Measure, Refused
from radloom.compare.paired import scales_for
from radloom.compare.planes import Described, FeatureRows, Plane, Scale
from radloom.compare.splits import SPLITS, halves, normal
from radloom.metrics import distribution
from radloom.metrics.structural import SCALE_WEIGHTS
from radloom.random import numpy_stream

LOGITS = "inception_v3_logits"
_DIVERSE = 20  # images of each set for MS-SSIM between all of them


def add_radiomic_distance(column: str, real: Described, synthetic: Described, found: Findings) -> None:
    """Adds the Frechet radiomic distance of each radiomic vector, features constant in the real set left out."""
    for name, one in real.features.items():
        other = synthetic.features[name]
        if name.startswith("radiomic") and not one.reason and not other.reason:
            found.attempt(column, f"frd ({name})", lambda a=one, b=other: _radiomic_distance(column, a, b))


def varying(rows: np.ndarray) -> np.ndarray:
    """Which features (d,) differ between the rows by more than rounding."""
    return np.ptp(rows, axis=0) > 1e-9 * np.abs(rows).max(axis=0)


def _radiomic_distance(column: str, one: FeatureRows, other: FeatureRows) -> Iterator[Measure]:
    kept = varying(one.values)
    value = distribution.frechet_radiomic_distance(one.values[:, kept], other.values[:, kept])
    note = "log of the squared distance (version 1); fd of the z-scored features has the interval and the floor"
    if min(value.n_real, value.n_synthetic) <= value.d:
        note += "; no more images than features: mostly sampling bias"
    yield Measure(column, "frd", SYNTHETIC, value.value, np.nan, np.nan, value.n_synthetic, value.n_real, value.d,
                  one.extractor, one.preprocessing, "1", "lower", note)  # fmt: skip


def add_inception_score(column: str, synthetic: Described, seed: int, found: Findings) -> None:
    """Adds the inception score where the classifier's weights were given, else why there is none."""
    logits = synthetic.features.get(LOGITS)
    if logits is None or logits.reason:
        reason = logits.reason if logits else "it needs a classifier whose classes fit the images; none was given"
        found.refused.append(Refused(column, "inception_score", reason))
    else:
        found.attempt(column, "inception_score", lambda: _inception_score(column, logits, seed))


def _inception_score(column: str, logits: FeatureRows, seed: int) -> Iterator[Measure]:
    n = len(logits.values)
    score = distribution.inception_score(logits.values, min(10, n), rng=numpy_stream(seed, "compare", column, "is"))
    note = f"classes of photographs: it says nothing about radiology; low, high: 1 SD over {score.splits} splits"
    yield Measure(column, "inception_score", SYNTHETIC, score.mean, score.mean - score.sd, score.mean + score.sd, n, 0,
                  score.d, LOGITS, logits.preprocessing, "1", "higher", note)  # fmt: skip


@dataclass(frozen=True)
class _Look:
    """A distance of mean spectra or histograms: its name, formula, rows, unit and direction."""

    metric: str
    statistic: Means
    rows: str
    unit: str
    better: str
    bins: int


_LOOKS = (
    _Look("spectral_distance", appearance.spectral_distance, "spectra", "dB", "lower", appearance.BINS),
    _Look("high_frequency_excess", appearance.high_frequency_excess, "spectra", "dB", "neither", appearance.BINS),
    _Look("histogram_distance", appearance.histogram_distance, "histograms", "window", "lower", appearance.LEVELS),
)


def add_appearance(column: str, real: Described, synthetic: Described, seed: int, found: Findings) -> None:
    """Adds spectra and histograms, with the same of halves of the real set as the floor."""
    for look in _LOOKS:
        found.attempt(column, look.metric, lambda one=look: _look(column, one, real, synthetic, seed))
        found.attempt(column, f"{look.metric} of real halves", lambda one=look: _floor(column, one, real, seed))


def _look(column: str, look: _Look, real: Described, synthetic: Described, seed: int) -> Iterator[Measure]:
    x, y = getattr(real, look.rows), getattr(synthetic, look.rows)
    rng = numpy_stream(seed, "compare", column, look.metric)
    value, se = appearance.with_spread(look.statistic, x, y, real.patients, synthetic.patients, rng=rng)
    low, high = normal(value, se)
    low = max(low, 0.0) if look.better == "lower" else low
    yield Measure(column, look.metric, SYNTHETIC, value, low, high, len(y), len(x), look.bins, "", "", look.unit,
                  look.better, "95 % interval: bootstrap over patients")  # fmt: skip


def _floor(column: str, look: _Look, real: Described, seed: int) -> Iterator[Measure]:
    x, values = getattr(real, look.rows), []
    for split in range(SPLITS):
        a, b = halves(real.patients, numpy_stream(seed, "compare", column, look.metric, split))
        values.append(look.statistic(x[a].mean(axis=0), x[b].mean(axis=0)))
    note = f"mean, smallest and largest over {SPLITS} random splits of the real patients"
    yield Measure(column, look.metric, HALVES, float(np.mean(values)), min(values), max(values), len(x) // 2,
                  len(x) // 2, look.bins, "", "", look.unit, look.better, note)  # fmt: skip


def add_diversity(column: str, real: Described, synthetic: Described, scale: Scale, seed: int, found: Findings) -> None:
    """Adds MS-SSIM between images of different patients within each set, as many images of both."""
    size = min(_DIVERSE, len(set(real.patients)), len(set(synthetic.patients)))
    for arm, chosen in ((SYNTHETIC, synthetic), (REAL, real)):
        rng = numpy_stream(seed, "compare", column, "diversity", arm)
        planes = _one_each(chosen, size, rng)
        found.attempt(column, f"ms_ssim_diversity ({arm})",
                      lambda a=arm, p=planes: _diversity(column, a, p, scale))  # fmt: skip


def _diversity(column: str, arm: str, planes: list[Plane], scale: Scale) -> Iterator[Measure]:
    images = [np.take(plane.item.image().voxels, plane.index, axis=plane.axis) for plane in planes]
    scales = scales_for(images[0].shape)
    value = distribution.ms_ssim_diversity(images, data_range=scale.data_range, weights=SCALE_WEIGHTS[:scales])
    note = (f"mean MS-SSIM ({scales} of 5 scales) over all {value.pairs} pairs of {value.n} images of different "
            "patients; below the real images' is noise, above it is sameness; 95 % interval: jackknife")  # fmt: skip
    yield Measure(column, "ms_ssim_diversity", arm, value.mean, *normal(value.mean, value.se), value.n, 0, value.d, "",
                  "", "1", "neither", note)  # fmt: skip


def _one_each(chosen: Described, size: int, rng: np.random.Generator) -> list[Plane]:
    """The middle plane of each of `size` patients drawn at random."""
    rows: dict[str, list[int]] = {}
    for row, patient in enumerate(chosen.patients):
        rows.setdefault(str(patient), []).append(row)
    names = list(rows)
    drawn = [names[i] for i in rng.permutation(len(names))[:size]]
    return [chosen.planes[rows[name][len(rows[name]) // 2]] for name in drawn]
