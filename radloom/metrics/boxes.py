"""Boxes in 2D and 3D, how much they overlap and how far centres lie apart; matching is in `detection`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from radloom.errors import RadloomError
from radloom.stats.numbers import plain

Boxes = Any  # (n, 4) x0 y0 x1 y1 or (n, 6) x0 y0 z0 x1 y1 z1, numpy, torch or nested lists; no type names them all


@dataclass(frozen=True)
class Detections:
    """What was found in one image: boxes (n, 4) or (n, 6), scores (n,), and classes (n,), all 0 when not given.

    Anything like an array is taken; numpy arrays are kept."""

    boxes: Any
    scores: Any
    classes: Any = ()

    def __post_init__(self) -> None:
        boxes = as_boxes(self.boxes, "the detections' boxes")
        scores = np.asarray(plain(self.scores), np.float64).reshape(-1)
        if len(scores) != len(boxes) or np.isnan(scores).any():
            raise RadloomError(f"{len(boxes)} boxes with {len(scores)} scores", expected="one score, not NaN, per box")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "classes", _per_box(self.classes, boxes, "classes").astype(int))


@dataclass(frozen=True)
class Truth:
    """What there is in one image: boxes (n, 4) or (n, 6), and for each a class, whether it is a crowd and to ignore.

    crowd: a region of many objects, which any number of detections may hit (COCO). ignore: one finding that counts
    neither as found nor as missed, and neither does a detection matched to it (a benign nodule, say).
    """

    boxes: Any
    classes: Any = ()
    crowd: Any = ()
    ignore: Any = ()

    def __post_init__(self) -> None:
        boxes = as_boxes(self.boxes, "the true boxes")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "classes", _per_box(self.classes, boxes, "classes").astype(int))
        for name in ("crowd", "ignore"):
            object.__setattr__(self, name, _per_box(getattr(self, name), boxes, name).astype(bool))


def as_boxes(boxes: Boxes, name: str) -> np.ndarray:
    """The boxes (n, 4) or (n, 6) in float64; no box is (0, 4). Raises RadloomError when a box is turned inside out.

    >>> as_boxes([[0, 0, 2, 1]], "boxes")
    array([[0., 0., 2., 1.]])
    """
    values = np.asarray(plain(boxes), np.float64)
    if values.size == 0:
        return np.zeros((0, values.shape[1] if values.ndim == 2 and values.shape[1] in (4, 6) else 4))
    if values.ndim != 2 or values.shape[1] not in (4, 6):
        raise RadloomError(
            f"{name} have shape {values.shape}", expected="(n, 4) or (n, 6), low corner then high corner"
        )
    low, high = np.split(values, 2, axis=1)
    if not (np.isfinite(values).all() and (high >= low).all()):
        raise RadloomError(
            f"{name} have a NaN, infinite or negative side", expected="x0 y0 (z0) x1 y1 (z1) with high >= low",
            do="convert x y width height to corners",
        )  # fmt: skip
    return values


def box_sizes(boxes: Boxes) -> np.ndarray:
    """The area or volume (n,) of each box, in the boxes' unit squared or cubed.

    >>> box_sizes([[0, 0, 2, 3], [1, 1, 1, 5]])
    array([6., 0.])
    """
    low, high = np.split(as_boxes(boxes, "the boxes"), 2, axis=1)
    return np.prod(high - low, axis=1)


def box_iou(a: Boxes, b: Boxes) -> np.ndarray:
    """Intersection over union (n, m) of each box of a with each of b, unit 1, in [0, 1]; two empty boxes give 0.

    a (n, 4) or (n, 6), b (m, the same): low corner, then high corner, in continuous coordinates (no pixel is added to
    a side). Blind to: which side is off; hard on small boxes. Everingham M et al. Int J Comput Vis 2010;88:303-338.

    >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [5, 5, 6, 6]]).round(4).tolist()
    [[0.3333, 0.0]]
    """
    shared = _intersections(a, b)
    union = box_sizes(a)[:, None] + box_sizes(b)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def box_iou_crowd(a: Boxes, crowd: Boxes) -> np.ndarray:
    """The share (n, m) of each box of a that lies in each crowd region, unit 1, in [0, 1]: COCO's overlap for crowds.

    Blind to: how much of the region is covered. Lin TY et al. Proc ECCV 2014:740-755.

    >>> box_iou_crowd([[0, 0, 2, 2]], [[1, 0, 30, 20]]).tolist()
    [[0.5]]
    """
    shared = _intersections(a, crowd)
    own = np.broadcast_to(box_sizes(a)[:, None], shared.shape)
    return np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)


def center_distances(a: Any, b: Any) -> np.ndarray:
    """Euclidean distances (n, m) of the points of a (n, d) and b (m, d), in their unit (mm, when they are in mm).

    Blind to: size and shape.

    >>> center_distances([[0, 0, 0]], [[3, 4, 0]]).tolist()
    [[5.0]]
    """
    first, second = (np.asarray(plain(points), np.float64) for points in (a, b))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise RadloomError(f"points of shapes {first.shape} and {second.shape}", expected="(n, d) and (m, d)")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise RadloomError("some points are NaN or infinite", expected="finite positions")
    return np.sqrt(np.sum((first[:, None] - second[None]) ** 2, axis=2))


def _intersections(a: Boxes, b: Boxes) -> np.ndarray:
    first, second = as_boxes(a, "the boxes"), as_boxes(b, "the other boxes")
    if first.shape[1] != second.shape[1] and len(first) and len(second):
        raise RadloomError("boxes of 2 and of 3 dimensions", expected="the same in both")
    if not (len(first) and len(second)):
        return np.zeros((len(first), len(second)))
    half = first.shape[1] // 2
    low = np.maximum(first[:, None, :half], second[None, :, :half])
    high = np.minimum(first[:, None, half:], second[None, :, half:])
    return np.prod(np.maximum(high - low, 0), axis=2)


def _per_box(values: Any, boxes: np.ndarray, name: str) -> np.ndarray:
    """One value per box; none at all is zero for each."""
    given = np.asarray(plain(values)).reshape(-1)
    if len(given) == 0:
        return np.zeros(len(boxes), int)
    if len(given) != len(boxes):
        raise RadloomError(f"{len(boxes)} boxes with {len(given)} {name}", expected="one per box")
    return given
