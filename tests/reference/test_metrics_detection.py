"""Boxes, matching and average precision against hand-worked values and pycocotools."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch

from radloom.errors import RadloomError
from radloom.metrics import detection as ours
from radloom.metrics.detection import Detections, ImageCounts, Truth


def corners(boxes: np.ndarray) -> np.ndarray:
    """x y width height to x0 y0 x1 y1."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def random_images(seed: int, images: int = 12) -> list[dict[str, np.ndarray]]:
    """Images of crowded boxes of all sizes in three classes, jittered detections of tied scores, and nonsense."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(images):
        n, m = int(rng.integers(0, 8)), int(rng.integers(0, 14))
        truth = np.concatenate([rng.integers(0, 300, (n, 2)), np.rint(np.exp(rng.uniform(1.5, 5.3, (n, 2))))], axis=1)
        classes = rng.integers(0, 3, n)
        of = rng.integers(0, n, m) if n else np.zeros(m, int)
        found = (truth[of] if n else np.tile([5.0, 5, 20, 20], (m, 1))) + np.rint(rng.normal(0, 6, (m, 4)))
        found[:, 2:] = np.maximum(found[:, 2:], 1)
        found_classes = np.where(rng.random(m) < 0.8, classes[of] if n else 0, rng.integers(0, 3, m))
        drawn.append({"truth": truth, "classes": classes, "crowd": rng.random(n) < 0.15, "found": found,
                      "scores": rng.integers(0, 20, m) / 20, "found_classes": found_classes})  # fmt: skip
    return drawn


def as_ours(images: list[dict[str, np.ndarray]]) -> tuple[list[Detections], list[Truth]]:
    found = [Detections(corners(i["found"]), i["scores"], i["found_classes"]) for i in images]
    return found, [Truth(corners(i["truth"]), i["classes"], i["crowd"]) for i in images]


def by_pycocotools(images: list[dict[str, np.ndarray]]) -> np.ndarray:
    """The twelve numbers of pycocotools, -1 turned into NaN."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = [], []
    for i, image in enumerate(images):
        for box, kind, crowd in zip(image["truth"], image["classes"], image["crowd"], strict=True):
            truth.append({"id": len(truth) + 1, "image_id": i, "category_id": int(kind), "bbox": box.tolist(),
                          "area": float(box[2] * box[3]), "iscrowd": int(crowd)})  # fmt: skip
        for box, kind, score in zip(image["found"], image["found_classes"], image["scores"], strict=True):
            found.append({"image_id": i, "category_id": int(kind), "bbox": box.tolist(), "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        ids = [{"id": i} for i in range(len(images))]
        coco.dataset = {"images": ids, "annotations": truth, "categories": [{"id": k} for k in range(3)]}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.where(evaluation.stats < 0, math.nan, evaluation.stats)


@pytest.mark.parametrize("seed", range(12))
def test_the_twelve_numbers_are_those_of_pycocotools(seed):
    images = random_images(seed)
    got = ours.coco_summary(*as_ours(images))
    assert list(got) == ["AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "AR1", "AR10", "AR100", "ARsmall",
                         "ARmedium", "ARlarge"]  # fmt: skip
    np.testing.assert_allclose(list(got.values()), by_pycocotools(images), rtol=1e-12, atol=1e-15)


def test_average_precision_has_the_value_worked_by_hand():
    # by score: hit, miss, hit of three truths: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3
    truth = [Truth([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]])]
    found = [Detections([[20, 20, 30, 30], [70, 70, 80, 80], [0, 0, 10, 10]], [0.9, 0.8, 0.7])]
    # recalls 0 ... 0.33 are 34 points at precision 1, 0.34 ... 0.66 are 33 points at 2/3, the rest 0
    want = (34 + 33 * 2 / 3) / 101
    assert ours.average_precision(found, truth, iou=(0.5,)) == pytest.approx(want, rel=1e-14)
    assert ours.average_recall(found, truth, iou=(0.5,)) == pytest.approx(2 / 3)
    assert ours.average_precision(found, truth, iou=(0.5,), max_detections=1) == pytest.approx(34 / 101)


def test_undefined_is_nan_and_nothing_found_is_zero():
    nothing, something = Detections(np.zeros((0, 4)), []), [Truth([[0, 0, 9, 9]])]
    assert ours.average_precision([nothing], something) == 0
    assert ours.average_recall([nothing], something) == 0
    assert math.isnan(ours.average_precision([Detections([[0, 0, 9, 9]], [1])], [Truth(np.zeros((0, 4)))]))
    assert math.isnan(ours.coco_summary([nothing], something)["APlarge"])
    assert math.isnan(ours.average_precision([nothing], [Truth([[0, 0, 9, 9]], crowd=[1])]))


def test_small_lesions_in_three_dimensions_are_found_at_the_medical_thresholds():
    truth = [Truth([[0, 0, 0, 10, 10, 10]])]
    found = [Detections([[0, 0, 0, 10, 10, 3], [50, 50, 50, 60, 60, 60]], [0.9, 0.95])]  # IoU 0.3 exactly
    assert ours.box_iou(found[0].boxes, truth[0].boxes)[:, 0].tolist() == [0.3, 0]
    # the false one comes first, so precision is 1/2 at every recall
    assert ours.average_precision(found, truth, iou=ours.MEDICAL_IOU) == 0.5
    assert ours.average_precision(found, truth, iou=(0.31,)) == 0


def test_an_ignored_finding_is_neither_missed_nor_a_false_alarm_and_takes_one_detection():
    truth = [Truth([[0, 0, 10, 10], [50, 50, 60, 60]], ignore=[False, True])]
    real, benign = [0, 0, 10, 10], [50, 50, 60, 60]
    once = [Detections([benign, real], [0.9, 0.5])]
    assert ours.average_precision(once, truth, iou=(0.5,)) == 1
    twice = [Detections([benign, benign, real], [0.9, 0.8, 0.5])]
    assert ours.average_precision(twice, truth, iou=(0.5,)) == 0.5
    crowd = [Truth(truth[0].boxes, crowd=[False, True])]
    assert ours.average_precision(twice, crowd, iou=(0.5,)) == 1
    assert ours.count_hits(once[0], truth[0], iou=0.5) == ImageCounts(lesions=1, found=1, false=0)


def test_overlaps_have_the_values_worked_by_hand():
    a, b = [[0, 0, 4, 2], [0, 0, 0, 0]], [[2, 1, 6, 3], [0, 0, 4, 2], [9, 9, 10, 10]]
    np.testing.assert_allclose(ours.box_iou(a, b), [[2 / 14, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(ours.box_iou_crowd(a, b), [[2 / 8, 1, 0], [0, 0, 0]])
    assert ours.box_iou([[0, 0, 0, 2, 2, 2]], [[1, 1, 1, 3, 3, 3]]).item() == pytest.approx(1 / 15)
    assert ours.box_iou(torch.tensor(a), torch.tensor(b)).shape == (2, 3)
    assert ours.box_iou(np.zeros((0, 4)), b).shape == (0, 3)
    assert ours.center_distances([[0, 0, 0]], [[1, 2, 2], [3, 4, 0]]).tolist() == [[3, 5]]


def test_matching_is_greedy_by_score_and_one_to_one():
    affinity = [[0.8, 0.7], [0.9, 0.1], [0.5, 0.5]]
    # the second, of the highest score, takes truth 0; the first is left with truth 1; the third finds none free
    assert ours.match_greedily(affinity, [0.5, 0.9, 0.4], at_least=0.3).tolist() == [1, 0, -1]
    assert ours.match_greedily(affinity, [0.5, 0.9, 0.4], at_least=0.75).tolist() == [-1, 0, -1]
    # ties: the first detection, then the first truth
    assert ours.match_greedily([[0.5, 0.5], [0.5, 0.5]], [1, 1], at_least=0.1).tolist() == [0, 1]
    assert ours.match_greedily(np.zeros((2, 0)), [1, 2], at_least=0.1).tolist() == [-1, -1]


def test_boxes_match_within_their_class_only():
    found, truth = Detections([[0, 0, 2, 2]], [1], [3]), Truth([[0, 0, 2, 2]], [4])
    assert ours.match_boxes(found, truth, iou=0.5).tolist() == [-1]
    assert ours.count_hits(found, truth, iou=0.5) == ImageCounts(1, 0, 1)


def test_centres_match_within_each_lesions_radius():
    centers = [[0, 0, 0], [20, 0, 0]]
    points = [[3, 0, 0], [0, 0, 1], [16, 0, 0]]
    assert ours.match_centers(points, [0.9, 0.8, 0.7], centers, within=3).tolist() == [0, -1, -1]
    assert ours.match_centers(points, [0.9, 0.8, 0.7], centers, within=[3, 4]).tolist() == [0, -1, 1]
    with pytest.raises(RadloomError, match="above 0"):
        ours.match_centers(points, [1, 1, 1], centers, within=[3, -4])


def test_a_threshold_on_the_score_drops_detections():
    found, truth = Detections([[0, 0, 2, 2], [7, 7, 9, 9]], [0.9, 0.4]), Truth([[0, 0, 2, 2], [7, 7, 9, 9]])
    assert ours.count_hits(found, truth, iou=0.5) == ImageCounts(2, 2, 0)
    assert ours.count_hits(found, truth, iou=0.5, score=0.5) == ImageCounts(2, 1, 0)


def test_lesion_sensitivity_and_false_positives_are_pooled_and_resampled_by_patient():
    images = [ImageCounts(4, 4, 0), ImageCounts(4, 0, 2), ImageCounts(0, 0, 1)] * 20
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 3)
    sensitivity = ours.lesion_sensitivity(images, patients=patients, rng=rng)
    # every patient is alike, so drawing patients changes nothing
    assert (sensitivity.low, sensitivity.estimate, sensitivity.high, sensitivity.n_patients) == (0.5, 0.5, 0.5, 20)
    assert ours.false_positives_per_image(images, patients=patients, rng=rng).estimate == 1
    apart = ours.lesion_sensitivity(images, patients=np.arange(60), rng=rng)
    # half of 40 lesion-bearing images found whole: about a binomial of 40
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 40), rel=0.15)


def test_rates_over_nothing_or_of_two_patients_have_no_interval():
    rng = np.random.default_rng(0)
    assert math.isnan(ours.lesion_sensitivity([ImageCounts(0, 0, 1)] * 4, patients=range(4), rng=rng).estimate)
    few = ours.false_positives_per_image([ImageCounts(0, 0, 1)] * 4, patients=[1, 1, 2, 2], rng=rng)
    assert few.estimate == 1
    assert math.isnan(few.low)
    with pytest.raises(RadloomError, match="one patient for each"):
        ours.lesion_sensitivity([], patients=[], rng=rng)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Detections([[0, 0, -1, 2]], [1]), "high >= low"),
        (lambda: Detections([[0, 0, math.nan, 2]], [1]), "NaN"),
        (lambda: Detections([[0, 0, 1, 2]], [1, 2]), "one score"),
        (lambda: Detections([[0, 0, 1, 2]], [math.nan]), "not NaN"),
        (lambda: Detections([[0, 0, 1]], [1]), "low corner then high corner"),
        (lambda: Truth([[0, 0, 1, 2]], classes=[1, 2]), "one per box"),
        (lambda: ours.box_iou([[0, 0, 1, 1]], [[0, 0, 0, 1, 1, 1]]), "2 and of 3"),
        (lambda: ours.average_precision([], []), "not none"),
        (lambda: ours.average_precision([], [Truth(np.zeros((0, 4)))]), "the same images"),
        (lambda: ours.average_precision([Detections([[0, 0, 1, 1]], [1])], [Truth([[0, 0, 1, 1]])], iou=(1.5,)), "iou"),
        (lambda: ours.match_boxes(Detections([[0, 0, 1, 1]], [1]), Truth([[0, 0, 1, 1]]), iou=0), "iou"),
        (lambda: ours.match_greedily([[math.nan]], [1], at_least=0), "NaN"),
        (lambda: ours.match_greedily([[0.5]], [1, 2], at_least=0), "shape|and"),
        (lambda: ours.center_distances([[0, 0]], [[0, 0, 0]]), "shapes"),
    ],
)
def test_bad_input_gives_one_clear_line(call, message):
    with pytest.raises(RadloomError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
