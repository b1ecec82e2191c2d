"""Average precision of boxes by COCO's rules, in 2D and 3D; single operating points are in `detection`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics.arrays import Number
from radloom.metrics.boxes import Detections, Truth, box_iou, box_iou_crowd, box_sizes

COCO_IOU = tuple(np.linspace(0.5, 0.95, 10))
MEDICAL_IOU = (0.1, 0.3)
RECALLS = np.linspace(0, 1, 101)
ANY_SIZE = (0.0, 1e10)
SIZES = {"": ANY_SIZE, "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}


@dataclass(frozen=True)
class _Pair:
    """One image and class: detections by falling score, truths, and their overlaps (detections, truths)."""

    scores: np.ndarray
    sizes: np.ndarray
    truth_sizes: np.ndarray
    crowd: np.ndarray
    ignore: np.ndarray
    overlaps: np.ndarray


@dataclass(frozen=True)
class _Judged:
    """For each detection of one image and class (thresholds, n): matched, and left out; how many truths count."""

    scores: np.ndarray
    matched: np.ndarray
    left_out: np.ndarray
    truths: int


def average_precision(
    detections: Sequence[Detections],
    truth: Sequence[Truth],
    *,
    iou: Sequence[Number] = COCO_IOU,
    max_detections: int = 100,
    size: tuple[Number, Number] = ANY_SIZE,
) -> float:
    """Average precision of boxes by COCO's rules, mean over IoU thresholds and classes, unit 1, in [0, 1].

    detections, truth: one entry per image, in the same order. Per image and class, detections by falling score (at
    most max_detections) each take the unmatched truth of largest IoU >= threshold, real ones before ignored ones; a
    crowd may be taken again. Detections on ignored truths, and unmatched ones outside `size` (area or volume), count as
    nothing; all other unmatched ones are false. AP is the mean over recalls 0, 0.01 ... 1 of the largest precision at
    that recall or beyond. No truth that counts: NaN (pycocotools: -1); classes without one are left out.
    iou=COCO_IOU is the mean over 0.50, 0.55 ... 0.95; iou=MEDICAL_IOU (0.1 and 0.3) suits small lesions, and holds for
    3D boxes alike.
    Blind to: calibration of scores and how false positives spread over patients. Lin TY et al. Proc ECCV
    2014:740-755; Jaeger PF et al. Proc ML4H 2020:171-183.

    >>> found = Detections([[0, 0, 2, 2], [5, 5, 6, 6]], [0.9, 0.8])
    >>> average_precision([found], [Truth([[0, 0, 2, 2]])], iou=(0.5,))
    1.0
    """
    precision, _ = _tables(_pairs(detections, truth), iou, (max_detections,), (size,))
    return _mean(precision[0])


def average_recall(
    detections: Sequence[Detections],
    truth: Sequence[Truth],
    *,
    iou: Sequence[Number] = COCO_IOU,
    max_detections: int = 100,
    size: tuple[Number, Number] = ANY_SIZE,
) -> float:
    """The recall that all detections together reach, mean over IoU thresholds and classes, unit 1, in [0, 1].

    Arguments, matching and NaN as in `average_precision`. Blind to: false positives. Hosang J et al. IEEE Trans
    Pattern Anal Mach Intell 2016;38:814-830.

    >>> found = Detections([[0, 0, 2, 2]], [0.9])
    >>> average_recall([found], [Truth([[0, 0, 2, 2], [5, 5, 6, 6]])], iou=(0.5,))
    0.5
    """
    _, recall = _tables(_pairs(detections, truth), iou, (max_detections,), (size,))
    return _mean(recall[0])


def coco_summary(detections: Sequence[Detections], truth: Sequence[Truth]) -> dict[str, float]:
    """COCO's twelve numbers, unit 1, in [0, 1], by name: AP, AP50, AP75, AP by size, AR at 1, 10, 100, AR by size.

    Boxes in 2D and in pixels, since small, medium and large are cut at 32^2 and 96^2 pixels. Undefined is NaN.
    Blind to: what `average_precision` is blind to. Lin TY et al. Proc ECCV 2014:740-755.

    >>> found = Detections([[0, 0, 2, 2]], [0.9])
    >>> numbers = coco_summary([found], [Truth([[0, 0, 2, 2]])])
    >>> numbers["AP"], numbers["ARsmall"], numbers["APlarge"]
    (1.0, 1.0, nan)
    """
    pairs = _pairs(detections, truth)
    sizes, limits = list(SIZES), (1, 10, 100)
    precision, recall = _tables(pairs, COCO_IOU, limits, tuple(SIZES.values()))
    at = {(s, m): i * len(limits) + j for i, s in enumerate(sizes) for j, m in enumerate(limits)}
    numbers = {"AP": _mean(precision[at["", 100]])}
    numbers |= {name: _mean(precision[at["", 100]][:, t]) for name, t in (("AP50", 0), ("AP75", 5))}
    numbers |= {f"AP{s}": _mean(precision[at[s, 100]]) for s in sizes if s}
    numbers |= {f"AR{m}": _mean(recall[at["", m]]) for m in limits}
    return numbers | {f"AR{s}": _mean(recall[at[s, 100]]) for s in sizes if s}


def _pairs(detections: Sequence[Detections], truth: Sequence[Truth]) -> dict[int, list[_Pair]]:
    """Images by class; every class of the truth, since detections of other classes have no recall."""
    if len(detections) != len(truth) or not len(truth):
        raise RadloomError(
            f"{len(detections)} images with detections and {len(truth)} with truth",
            expected="the same images, not none",
        )
    kinds = sorted({int(k) for image in truth for k in image.classes})
    return {kind: [_pair(d, t, kind) for d, t in zip(detections, truth, strict=True)] for kind in kinds}


def _pair(detections: Detections, truth: Truth, kind: int) -> _Pair:
    mine, real = detections.classes == kind, truth.classes == kind
    order = np.argsort(-detections.scores[mine], kind="stable")
    boxes, others, crowd = detections.boxes[mine][order], truth.boxes[real], truth.crowd[real]
    overlaps = np.where(crowd[None], box_iou_crowd(boxes, others), box_iou(boxes, others))
    scores = detections.scores[mine][order]
    return _Pair(scores, box_sizes(boxes), box_sizes(others), crowd, crowd | truth.ignore[real], overlaps)


def _tables(
    pairs: dict[int, list[_Pair]],
    iou: Sequence[Number],
    limits: tuple[int, ...],
    sizes: tuple[tuple[Number, Number], ...],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For each size and limit: average precision and recall (classes, thresholds), NaN where no truth counts."""
    thresholds = np.asarray(iou, np.float64)
    if not (len(thresholds) and ((thresholds > 0) & (thresholds <= 1)).all() and min(limits) > 0):
        raise RadloomError(
            f"iou={tuple(iou)}, max_detections={limits[0]}", expected="thresholds in (0, 1], a limit > 0"
        )
    precision, recall = [], []
    for size in sizes:
        # the best few are matched alike whatever the limit, since matching goes by falling score
        judged = {k: [_judge(_first(pair, max(limits)), thresholds, size) for pair in v] for k, v in pairs.items()}
        for limit in limits:
            curves = [_curves(images, limit) for images in judged.values()]
            precision.append(np.array([c[0] for c in curves]).reshape(-1, len(thresholds)))
            recall.append(np.array([c[1] for c in curves]).reshape(-1, len(thresholds)))
    return precision, recall


def _first(pair: _Pair, n: int) -> _Pair:
    return _Pair(pair.scores[:n], pair.sizes[:n], pair.truth_sizes, pair.crowd, pair.ignore, pair.overlaps[:n])


def _judge(pair: _Pair, thresholds: np.ndarray, size: tuple[Number, Number]) -> _Judged:
    """Greedy matching of one image at every threshold."""
    low, high = size
    ignore = pair.ignore | (pair.truth_sizes < low) | (pair.truth_sizes > high)
    order = np.argsort(ignore, kind="stable")  # real ones first; COCO decides ties by this order
    overlaps, ignored, crowd = pair.overlaps[:, order], ignore[order], pair.crowd[order]
    real = len(ignored) - np.count_nonzero(ignored)
    shape = (len(thresholds), len(pair.scores))
    matched, left_out = np.zeros(shape, bool), np.zeros(shape, bool)
    for t, threshold in enumerate(np.minimum(thresholds, 1 - 1e-10)):
        free = np.ones(len(ignored), bool)
        for d in np.flatnonzero((overlaps >= threshold).any(axis=1)):
            fits = (overlaps[d] >= threshold) & (free | crowd)
            group = slice(0, real) if fits[:real].any() else slice(real, None)
            if not fits[group].any():
                continue
            among = np.where(fits[group], overlaps[d][group], -1)
            # of equal overlaps COCO takes the last
            best = (group.start or 0) + len(among) - 1 - int(np.argmax(among[::-1]))
            free[best], matched[t, d], left_out[t, d] = False, True, ignored[best]
    left_out |= ~matched & ((pair.sizes < low) | (pair.sizes > high))
    return _Judged(pair.scores, matched, left_out, int(real))


def _curves(images: list[_Judged], limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Average precision and recall (thresholds,) of one class over all images."""
    truths = sum(image.truths for image in images)
    thresholds = len(images[0].matched)
    if truths == 0:
        return np.full(thresholds, math.nan), np.full(thresholds, math.nan)
    order = np.argsort(-np.concatenate([image.scores[:limit] for image in images]), kind="stable")
    matched = np.concatenate([image.matched[:, :limit] for image in images], axis=1)[:, order]
    counts = ~np.concatenate([image.left_out[:, :limit] for image in images], axis=1)[:, order]
    hits, false = np.cumsum(matched & counts, axis=1), np.cumsum(~matched & counts, axis=1)
    recall = hits / truths
    # the largest precision at this recall or beyond; 0 beyond the last recall
    precision = np.divide(hits, hits + false, out=np.zeros(hits.shape), where=hits + false > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((thresholds, 1))], axis=1)
    at = [row[np.searchsorted(r, RECALLS)].mean() for row, r in zip(best, recall, strict=True)]
    return np.array(at), recall[:, -1] if recall.shape[1] else np.zeros(thresholds)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
