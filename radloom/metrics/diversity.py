"""How different the images of one set are from each other: Inception score, Vendi score, pairwise MS-SSIM."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.featuresets import Features, Patients, as_features
from radloom.metrics.fidelity import ms_ssim
from radloom.metrics.structural import SCALE_WEIGHTS

Images = Any  # a list of arrays of one shape, or one array or tensor (n, x, y) or (n, x, y, z)


@dataclass(frozen=True)
class InceptionScore:
    """Mean and population standard deviation of the score over splits; n images, d classes; from 1 to d."""

    mean: float
    sd: float
    splits: int
    n: int
    d: int


@dataclass(frozen=True)
class PairwiseSimilarity:
    """Mean and standard deviation of MS-SSIM over pairs of n images of d voxels each; se is NaN when pairs were drawn.

    se: jackknife over patients, since pairs that share an image are no independent evidence.
    """

    mean: float
    sd: float
    se: float
    pairs: int
    n: int
    d: int


def inception_score(logits: Features, splits: int = 10, *, rng: np.random.Generator | None = None) -> InceptionScore:
    """The Inception score, unit 1, from 1 to the number of classes; higher is better where the classes mean something.

    IS = exp(mean_i KL(p(c|x_i) || mean_i p(c|x_i))) of each of `splits` contiguous parts (rows i n/s to (i+1) n/s),
    then mean and population SD over the parts. logits (n, classes), n of `splits` or more; log-softmax in float64.
    `rng` shuffles the rows first: do so when they are sorted by class.
    Blind to: the real images (it never sees them), variety within a class, copies; with ImageNet's classes it says
    nothing about radiology. Biased upwards by splits. Salimans T et al. Adv Neural Inf Process Syst 2016;29:2234-2242.

    >>> round(inception_score(np.array([[50.0, 0.0], [0.0, 50.0]]), 1).mean, 9)
    2.0
    """
    z = as_features(logits, "the logits").astype(np.float64)
    if not 1 <= splits <= len(z):
        raise RadloomError(f"{splits} splits of {len(z)} images", expected=f"1 to {len(z)} splits")
    if rng is not None:
        z = z[rng.permutation(len(z))]
    z -= z.max(axis=1, keepdims=True)
    logs = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    bounds = [i * len(z) // splits for i in range(splits + 1)]
    scores = [_score(logs[a:b]) for a, b in itertools.pairwise(bounds)]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)), splits, *z.shape)


def _score(logs: np.ndarray) -> float:
    shares = np.exp(logs)
    margin = shares.mean(axis=0)
    # a class that no image has contributes 0
    log_margin = np.log(margin, out=np.zeros_like(margin), where=margin > 0)
    return float(np.exp(np.mean(np.sum(shares * (logs - log_margin), axis=1))))


def vendi_score(features: Features, order: Number = 1) -> float:
    """The Vendi score: the effective number of different images, from 1 (all alike) to n.

    VS_q = (sum_i l_i^q)^(1/(1-q)), for q = 1 exp(-sum_i l_i log l_i), for infinity 1/max l: l are the eigenvalues of
    K/n with K_ij the cosine between rows i and j of the matrix (n, d). From the smaller of (n, n) and (d, d).
    Blind to: whether the images are realistic; noise is diverse. Counts at most d; grows with n: compare at equal n,
    with the real set beside it. Low q counts rare kinds. Friedman D, Dieng AB. Trans Mach Learn Res 2023.

    >>> round(vendi_score(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])), 9)
    2.0
    """
    x = as_features(features, "the feature matrix").astype(np.float64)
    if not order >= 0:
        raise RadloomError(f"order is {order}", expected="0 or more")
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise RadloomError(
            f"{np.count_nonzero(lengths == 0)} rows are zero everywhere", expected="rows with a direction"
        )
    x /= lengths * np.sqrt(len(x))
    shares = np.linalg.eigvalsh(x @ x.T if len(x) <= x.shape[1] else x.T @ x)
    shares = shares[shares > len(shares) * np.finfo(float).eps]  # the others are rounding
    if order == 1:
        return float(np.exp(-np.sum(shares * np.log(shares))))
    if np.isinf(order):
        return float(1 / shares.max())
    return float(np.sum(shares**order) ** (1 / (1 - order)))


def ms_ssim_diversity(
    images: Images,
    *,
    data_range: Number,
    weights: Sequence[Number] | np.ndarray = SCALE_WEIGHTS,
    pairs: int | None = None,
    patients: Patients = None,
    rng: np.random.Generator | None = None,
) -> PairwiseSimilarity:
    """Mean MS-SSIM between the images of one set, unit 1, in [0, 1]; lower is more diverse.

    images: 2 or more of one shape, (x, y) or (x, y, z); `data_range` and `weights` as in `ms_ssim`. All pairs of images
    of different patients (every image its own when None), or `pairs` of them drawn without replacement by `rng`.
    Blind to: whether the images are realistic; noise is diverse. Alignment decides much of it: read it beside the same
    number of real images, towards which it should go, not below. Odena A et al. Proc Int Conf Mach Learn
    2017;70:2642-2651.

    >>> image = np.random.default_rng(0).random((44, 44))
    >>> found = ms_ssim_diversity([image, image, image], data_range=1, weights=SCALE_WEIGHTS[:3])
    >>> found.mean, found.pairs, found.n, found.d
    (1.0, 3, 3, 1936)
    """
    who = np.arange(len(images)) if patients is None else np.asarray(patients)
    if who.shape != (len(images),):
        raise RadloomError(f"{len(images)} images and patients of shape {who.shape}", expected="one patient per image")
    apart = [(i, j) for i, j in itertools.combinations(range(len(images)), 2) if who[i] != who[j]]
    if not apart:
        raise RadloomError(f"{len(images)} images without a pair of different patients", expected="2 images or more")
    if pairs is not None:
        if rng is None or not 1 <= pairs <= len(apart):
            raise RadloomError(
                f"{pairs} pairs of {len(apart)}", expected=f"1 to {len(apart)} pairs and an rng that draws them"
            )
        apart = [apart[i] for i in rng.choice(len(apart), pairs, replace=False)]
    values = np.array([ms_ssim(images[i], images[j], data_range=data_range, weights=weights) for i, j in apart])
    se = _jackknife(values, who[np.array(apart)]) if pairs is None else np.nan
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
    return PairwiseSimilarity(float(values.mean()), sd, se, len(apart), len(images), int(np.prod(images[0].shape)))


def _jackknife(values: np.ndarray, who: np.ndarray) -> float:
    """The standard error of the mean over pairs, leaving out one patient at a time; NaN for fewer than 3 patients."""
    patients = np.unique(who)
    if len(patients) < 3:
        return float("nan")
    others = np.array([values[(who != patient).all(axis=1)].mean() for patient in patients])
    return float(np.sqrt((len(patients) - 1) / len(patients) * np.sum((others - others.mean()) ** 2)))
