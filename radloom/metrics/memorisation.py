"""Whether a generator repeats its training images, from features; every number stands beside real held-out images.

`training` are the features of the generator's training images, `synthetic` of its output, `held_out` of real images of
other patients of the same population that it never saw: matrices (n, d) of one extractor. Distances sum squared
differences in float64, so a copy is at 0. Copies in the images themselves are found by `copies`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.copies import ImageCopies, image_copies
from radloom.metrics.data_copying import DataCopying, data_copying
from radloom.metrics.featuresets import Features, Patients, feature_triple
from radloom.metrics.membership import Membership, membership_auc, tpr_at_fpr
from radloom.metrics.neighbours import nearest_neighbours, squared_radii
from radloom.stats.intervals import Interval, bootstrap_ci
from radloom.stats.numbers import share

__all__ = [
    "Authenticity",
    "CopyFraction",
    "DataCopying",
    "ImageCopies",
    "Membership",
    "NearestTraining",
    "authenticity",
    "copy_fraction",
    "data_copying",
    "image_copies",
    "membership_attack",
    "membership_auc",
    "nearest_training_distance",
    "tpr_at_fpr",
]


@dataclass(frozen=True, eq=False)
class NearestTraining:
    """Distances to the nearest training image: of each synthetic (n,) and held-out (m,) one, and the numbers of both's.

    ratio: median of the synthetic over median of the held-out distances; near 1 without copying, near 0 with it.
    """

    synthetic: np.ndarray
    held_out: np.ndarray
    nearest: np.ndarray
    ratio: float
    n_training: int
    n_synthetic: int
    n_held_out: int
    d: int


@dataclass(frozen=True)
class CopyFraction:
    """Share of synthetic images whose distance ratio is below what the `alpha` closest held-out images have.

    fraction: with its interval over patients; held_out_fraction: of the real images, alpha or a little less.
    """

    fraction: Interval
    held_out_fraction: float
    threshold: float
    alpha: float
    k: int
    n_training: int
    n_synthetic: int
    n_held_out: int
    d: int


@dataclass(frozen=True)
class Authenticity:
    """Share of authentic synthetic images with its interval over patients, and of held-out real images, unit 1."""

    synthetic: Interval
    held_out: float
    n_training: int
    n_synthetic: int
    n_held_out: int
    d: int


def nearest_training_distance(training: Features, synthetic: Features, held_out: Features) -> NearestTraining:
    """The Euclidean distance of each synthetic and each held-out image to its nearest training image, feature units.

    d(z) = min_i |z - t_i|; the held-out images show how near an unseen real image comes.
    Blind to: copies that the extractor places elsewhere (flips, crops); the training set's own duplicates; a generator
    that draws far from everything looks safe.

    >>> found = nearest_training_distance(np.array([[0.0], [4.0]]), np.array([[4.0], [1.0]]), np.array([[2.0], [5.0]]))
    >>> found.synthetic.tolist(), found.nearest.tolist(), found.held_out.tolist(), round(found.ratio, 6)
    ([0.0, 1.0], [1, 0], [2.0, 1.0], 0.333333)
    """
    t, s, h = feature_triple(training, synthetic, held_out)
    near, baseline = nearest_neighbours(s, t), nearest_neighbours(h, t)
    usual = float(np.median(baseline.distances))
    if usual == 0:
        raise RadloomError(
            "half of the held-out images are copies of training images", expected="held-out images of other patients"
        )
    distances = near.distances[:, 0]
    return NearestTraining(
        distances, baseline.distances[:, 0], near.indices[:, 0], float(np.median(distances)) / usual,
        len(t), len(s), len(h), t.shape[1],
    )  # fmt: skip


def copy_fraction(
    training: Features,
    synthetic: Features,
    held_out: Features,
    *,
    alpha: float = 0.05,
    k: int = 50,
    patients: Patients = None,
    rng: np.random.Generator,
) -> CopyFraction:
    """The share of synthetic images that lie nearer to one training image than real images do, unit 1; `alpha` is best.

    Ratio(z) = d_1(z) / mean_{j<=k} d_j(z), d_j the distance to the j-th nearest of all training images (k is lowered to
    their number): 0 for a copy, near 1 between many. Threshold: the floor(alpha m)-th smallest ratio of the m held-out
    images, so that just under alpha of them lie strictly below; the fraction counts synthetic images strictly below.
    With fewer than 2/alpha held-out images it is their smallest. `patients` (synthetic images,) for the interval.
    Blind to: what `nearest_training_distance` is blind to; how sure the threshold is (take some hundred
    held-out images). After Carlini N et al. USENIX Secur Symp 2023:5253-5270, whose threshold is fixed.

    >>> rng = np.random.default_rng(0)
    >>> train, new, other = (rng.normal(size=(100, 8)) for _ in range(3))
    >>> drawn = np.concatenate([train[:40] + 0.001, new[:60]])
    >>> found = copy_fraction(train, drawn, other, rng=rng)
    >>> 0.4 <= found.fraction.estimate < 0.5, found.held_out_fraction <= 0.05
    (True, True)
    """
    t, s, h = feature_triple(training, synthetic, held_out)
    share(alpha)
    if len(t) < 2 or k < 2:
        raise RadloomError(f"k={k} among {len(t)} training images", expected="2 or more of both")
    k = min(k, len(t))
    ratios, baseline = (_ratio(nearest_neighbours(z, t, k).distances) for z in (s, h))
    threshold = float(np.sort(baseline)[max(int(alpha * len(h)) - 1, 0)])
    who = np.arange(len(s)) if patients is None else patients
    return CopyFraction(
        bootstrap_ci((ratios < threshold) * 1.0, patients=who, rng=rng), float(np.mean(baseline < threshold)),
        threshold, alpha, k, len(t), len(s), len(h), t.shape[1],
    )  # fmt: skip


def authenticity(
    training: Features,
    synthetic: Features,
    held_out: Features,
    *,
    patients: Patients = None,
    rng: np.random.Generator,
) -> Authenticity:
    """The share of synthetic images that are no copies in Alaa's sense, unit 1; read it against the held-out share.

    z is authentic when its nearest training image t* has a training image nearer to it than z is:
    min_{i != *} |t* - t_i| < |t* - z|. A real image drawn from the same population is so about half of the time, which
    is the number to reach; above it the synthetic images lie too far away, below it too near.
    `patients` (synthetic images,) for the interval.
    Blind to: what `nearest_training_distance` is blind to; duplicates in the training set make every image authentic.
    Alaa AM et al. Proc Int Conf Mach Learn 2022;162:290-306.

    >>> train = np.array([[0.0], [1.0], [5.0]])  # distances to the nearest other: 1, 1, 4
    >>> drawn, real = np.array([[0.5], [2.5], [5.0]]), np.array([[-2.0], [4.0]])
    >>> found = authenticity(train, drawn, real, rng=np.random.default_rng(0))
    >>> round(3 * found.synthetic.estimate), found.held_out
    (1, 0.5)
    """
    t, s, h = feature_triple(training, synthetic, held_out)
    own = np.sqrt(squared_radii(t, 1, "the training set", centre=t[0], arithmetic="exact", block=1000))

    def authentic(z: np.ndarray) -> np.ndarray:
        found = nearest_neighbours(z, t)
        return own[found.indices[:, 0]] < found.distances[:, 0]

    who = np.arange(len(s)) if patients is None else patients
    interval = bootstrap_ci(authentic(s) * 1.0, patients=who, rng=rng)
    return Authenticity(interval, float(np.mean(authentic(h))), len(t), len(s), len(h), t.shape[1])


def membership_attack(
    training: Features,
    synthetic: Features,
    held_out: Features,
    *,
    patients_training: Patients = None,
    patients_held_out: Patients = None,
    draws: int = 1000,
    rng: np.random.Generator,
) -> Membership:
    """How well the distance to the nearest synthetic image tells training from held-out images; 0.5 is privacy.

    Score of a real image z = -min_j |z - s_j|; members are the training images, non-members the held-out ones; area,
    rates and interval as in `membership_auc`. The held-out images are the baseline.
    Blind to: attacks that see the model. Chen D et al. Proc ACM Conf Comput Commun Secur 2020:343-362.

    >>> rng = np.random.default_rng(0)
    >>> train, other = rng.normal(size=(60, 4)), rng.normal(size=(60, 4))
    >>> found = membership_attack(train, train + 0.01, other, rng=rng)
    >>> found.auc.estimate > 0.99, found.d
    (True, 4)
    """
    t, s, h = feature_triple(training, synthetic, held_out)
    members, others = (-nearest_neighbours(z, s).distances[:, 0] for z in (t, h))
    found = membership_auc(
        members,
        others,
        patients_members=patients_training,
        patients_non_members=patients_held_out,
        draws=draws,
        rng=rng,
    )
    return replace(found, d=t.shape[1])


def _ratio(distances: np.ndarray) -> np.ndarray:
    """The nearest distance over the mean of all; 0 where all are copies."""
    mean = distances.mean(axis=1)
    return np.divide(distances[:, 0], mean, out=np.zeros_like(mean), where=mean > 0)
