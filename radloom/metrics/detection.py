"""Which detections are which lesions, and how many lesions are found at how many false alarms; AP is beside it.

Boxes and their overlap come from `boxes`, average precision from `average_precision`; both are offered here too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.average_precision import COCO_IOU, MEDICAL_IOU, average_precision, average_recall, coco_summary
from radloom.metrics.boxes import Detections, Truth, box_iou, box_iou_crowd, box_sizes, center_distances
from radloom.stats.intervals import FEWEST, Interval
from radloom.stats.numbers import Numbers, share

__all__ = [
    "COCO_IOU",
    "MEDICAL_IOU",
    "Detections",
    "ImageCounts",
    "Truth",
    "average_precision",
    "average_recall",
    "box_iou",
    "box_iou_crowd",
    "box_sizes",
    "center_distances",
    "coco_summary",
    "count_hits",
    "false_positives_per_image",
    "lesion_sensitivity",
    "match_boxes",
    "match_centers",
    "match_greedily",
]


@dataclass(frozen=True)
class ImageCounts:
    """Lesions that count, lesions found, and false positives of one image at one operating point."""

    lesions: int
    found: int
    false: int


def match_greedily(affinity: Numbers, scores: Numbers, *, at_least: Number) -> np.ndarray:
    """For each detection the index of its truth, or -1 (n,): by falling score, each takes the best one still free.

    affinity (n, m): larger is closer (IoU, or minus a distance); only values >= at_least may match. scores (n,). A
    truth is taken once; of equal affinities the first truth, of equal scores the first detection comes first.
    Raises RadloomError when shapes differ or a value is NaN.
    Blind to: the assignment that would match most (the Hungarian one), on purpose: scores decide, as in use.
    Everingham M et al. Int J Comput Vis 2010;88:303-338.

    >>> match_greedily(np.array([[0.6, 0.0], [0.9, 0.2]]), np.array([0.9, 0.8]), at_least=0.1).tolist()
    [0, 1]
    """
    affinity, scores = np.asarray(affinity, np.float64), np.asarray(scores, np.float64)
    if affinity.ndim != 2 or scores.shape != (len(affinity),):
        raise RadloomError(f"affinity {affinity.shape} and scores {scores.shape}", expected="(n, m) and (n,)")
    if np.isnan(affinity).any() or np.isnan(scores).any():
        raise RadloomError("some affinities or scores are NaN", expected="numbers")
    matched, free = np.full(len(scores), -1), np.ones(affinity.shape[1], bool)
    for detection in np.argsort(-scores, kind="stable"):
        fits = free & (affinity[detection] >= at_least)
        if fits.any():
            best = int(np.argmax(np.where(fits, affinity[detection], -math.inf)))
            matched[detection], free[best] = best, False
    return matched


def match_boxes(detections: Detections, truth: Truth, *, iou: Number) -> np.ndarray:
    """For each detection of one image the index of its true box, or -1 (n,): greedy by score at IoU >= iou.

    Boxes match within their class only. Ignored and crowd truths take part like others; see `count_hits`.
    Blind to: what `match_greedily` is blind to.

    >>> match_boxes(Detections([[0, 0, 2, 2]], [0.9]), Truth([[0, 0, 2, 1]]), iou=0.3).tolist()
    [0]
    """
    if not 0 < iou <= 1:
        raise RadloomError(f"iou is {iou}", expected="a share in (0, 1]")
    same = detections.classes[:, None] == truth.classes[None]
    return match_greedily(np.where(same, box_iou(detections.boxes, truth.boxes), -1), detections.scores, at_least=iou)


def match_centers(points: Numbers, scores: Numbers, centers: Numbers, *, within: Numbers) -> np.ndarray:
    """For each point of one image the index of its lesion, or -1 (n,): greedy by score, nearest free lesion first.

    points (n, d), centers (m, d), in mm; within: the largest distance that is a hit, in mm, one number or one per
    lesion (its radius). A point at exactly that distance is a hit (LUNA16's strict rule is in `froc`).
    Blind to: size and shape.

    >>> match_centers([[0, 0, 1]], [0.9], [[0, 0, 0], [9, 9, 9]], within=5).tolist()
    [0]
    """
    distances = center_distances(points, centers)
    reach = np.broadcast_to(np.asarray(within, np.float64), distances.shape[1:])
    if not (reach > 0).all():
        raise RadloomError("some distances `within` are not above 0", expected="millimetres above 0")
    affinity = np.where(distances <= reach, -distances, -math.inf)
    return match_greedily(affinity, np.asarray(scores, np.float64), at_least=-1e300)


def count_hits(detections: Detections, truth: Truth, *, iou: Number, score: Number = -math.inf) -> ImageCounts:
    """Lesions, lesions found and false positives of one image, of the detections with at least this score.

    Ignored and crowd truths are no lesions, and an unmatched detection that overlaps one enough is no false positive.

    >>> count_hits(Detections([[0, 0, 2, 2], [7, 7, 9, 9]], [0.9, 0.4]), Truth([[0, 0, 2, 2]]), iou=0.1)
    ImageCounts(lesions=1, found=1, false=1)
    """
    kept = detections.scores >= score
    seen = Detections(detections.boxes[kept], detections.scores[kept], detections.classes[kept])
    real = ~(truth.crowd | truth.ignore)
    matched = match_boxes(seen, Truth(truth.boxes[real], truth.classes[real]), iou=iou)
    others = Truth(truth.boxes[~real], truth.classes[~real], truth.crowd[~real])
    overlap = np.where(
        others.crowd[None], box_iou_crowd(seen.boxes, others.boxes), box_iou(seen.boxes, others.boxes)
    )  # fmt: skip
    same = seen.classes[:, None] == others.classes[None]
    excused = ((overlap >= iou) & same).any(axis=1)
    found = int(np.count_nonzero(matched >= 0))
    return ImageCounts(int(np.count_nonzero(real)), found, int(np.count_nonzero((matched < 0) & ~excused)))


def lesion_sensitivity(
    images: Sequence[ImageCounts],
    *,
    patients: Numbers,
    level: float = 0.95,
    draws: int = 2000,
    rng: np.random.Generator,
) -> Interval:
    """The share of all lesions that are found, with its percentile bootstrap interval over patients, unit 1, in [0, 1].

    sum of found / sum of lesions. images: one `ImageCounts` each; patients: who each image is from. Patients are drawn
    with all their images; draws without a lesion are left out. No lesion: NaN; fewer than 3 patients: NaN bounds.
    Blind to: false positives; patients with many lesions weigh more. Rao JNK, Scott AJ. Biometrics
    1992;48:577-585.

    >>> images = [ImageCounts(2, 1, 0), ImageCounts(1, 1, 3), ImageCounts(1, 0, 0)]
    >>> lesion_sensitivity(images, patients=["a", "b", "c"], rng=np.random.default_rng(0)).estimate
    0.5
    """
    return _ratio(images, lambda image: (image.found, image.lesions), patients, level, draws, rng)


def false_positives_per_image(
    images: Sequence[ImageCounts],
    *,
    patients: Numbers,
    level: float = 0.95,
    draws: int = 2000,
    rng: np.random.Generator,
) -> Interval:
    """The mean number of false positives per image, with its percentile bootstrap interval over patients, unit 1.

    Images without a lesion count too. As `lesion_sensitivity`. Blind to: whether they crowd in a few images.

    >>> images = [ImageCounts(2, 1, 0), ImageCounts(1, 1, 3), ImageCounts(0, 0, 0)]
    >>> false_positives_per_image(images, patients=["a", "b", "c"], rng=np.random.default_rng(0)).estimate
    1.0
    """
    return _ratio(images, lambda image: (image.false, 1), patients, level, draws, rng)


def _ratio(
    images: Sequence[ImageCounts],
    parts: Callable[[ImageCounts], tuple[int, int]],
    patients: Numbers,
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> Interval:
    """A ratio of sums over images, bootstrapped over patients."""
    share(level)
    who = np.asarray(patients)
    if not len(images) or who.shape != (len(images),) or draws < 1:
        raise RadloomError(
            f"{len(images)} images, patients of shape {who.shape}, {draws} draws",
            expected="at least one image, one patient for each, 1 draw or more",
        )
    _, patient = np.unique(who, return_inverse=True)
    n = int(patient.max()) + 1
    above, below = np.array([parts(image) for image in images], float).T
    above, below = np.bincount(patient, above), np.bincount(patient, below)
    estimate = float(above.sum() / below.sum()) if below.sum() else math.nan
    if n < FEWEST or math.isnan(estimate):
        return Interval(estimate, math.nan, math.nan, level, n)
    times = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    total = times @ below
    drawn = (times @ above)[total > 0] / total[total > 0]
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(drawn, tails) if len(drawn) else (math.nan, math.nan)
    return Interval(estimate, float(low), float(high), level, n)
