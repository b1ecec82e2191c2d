"""Overlap and surface metrics against hand-worked values, MONAI and a search over all pairs of border voxels."""

import inspect
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from radloom.errors import RadloomError
from radloom.metrics import METRICS, overlap
from radloom.metrics.surfels import surfels

SPACINGS = ((1.0, 1.0, 1.0), (0.7, 1.3, 3.0))
DISTANCES = (overlap.average_surface_distance, overlap.hausdorff, overlap.hausdorff95)


def blobs(seed: int, shape: tuple[int, ...], level: float = 0.62) -> tuple[np.ndarray, np.ndarray]:
    """Two different masks that are ragged, have holes and reach the edges."""
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, *shape))
    for axis in range(len(shape)):
        a, b = (field + np.roll(field, 1, axis) for field in (a, b))
    a, b = (field / field.max() for field in (a, 0.7 * b + 0.3 * a))
    return a > np.quantile(a, level), b > np.quantile(b, level + 0.1)


def directed(a: np.ndarray, b: np.ndarray, spacing) -> tuple[np.ndarray, np.ndarray]:
    """Distances of border voxels over all pairs."""
    points = [np.argwhere(mask & ~binary_erosion(mask)) * np.asarray(spacing) for mask in (a, b)]
    between = np.linalg.norm(points[0][:, None] - points[1][None], axis=2)
    return between.min(1), between.min(0)


def test_overlap_has_the_values_worked_by_hand():
    a, b = np.zeros((2, 4, 4), bool)
    a[:2, :3], b[1:3, 1:4] = True, True  # six voxels each, two shared
    assert overlap.dice(a, b) == 4 / 12
    assert overlap.iou(a, b) == 2 / 10
    assert overlap.volume(a, spacing_mm=(0.5, 2)) == 6
    assert overlap.volume(np.ones((2, 3, 4)), spacing_mm=(1, 1, 2.5)) == 60


def test_distances_of_two_parallel_plates_are_their_gap_in_mm():
    a, b = np.zeros((2, 6, 6, 9), bool)
    a[..., 2], b[..., 6] = True, True
    for distance in DISTANCES:
        assert distance(a, b, spacing_mm=(1, 1, 2.5)) == 10
    # each plate has two sides: the near ones are 7.5 mm from the other plate, the far ones 10 mm
    for tolerance, want in ((7.4, 0), (7.5, 0.5), (9.9, 0.5), (10, 1)):
        got = overlap.surface_dice(a, b, spacing_mm=(1, 1, 2.5), tolerance_mm=tolerance)
        assert got == pytest.approx(want, abs=1e-12)


def test_distances_of_a_point_and_a_row_tell_the_conventions_apart():
    a, b = np.zeros((2, 3, 9), bool)
    a[1, 0], b[1, :6] = True, True  # there: 0; back: 0 1 2 3 4 5
    spacing = (1, 2)
    assert overlap.hausdorff(a, b, spacing_mm=spacing) == 10
    assert overlap.average_surface_distance(a, b, spacing_mm=spacing) == pytest.approx(30 / 7)
    mean = overlap.average_surface_distance(a, b, spacing_mm=spacing, method="mean_of_means")
    assert mean == pytest.approx((0 + 5) / 2)
    assert overlap.hausdorff95(a, b, spacing_mm=spacing) == pytest.approx(9.5)  # percentile 95 of 0, 2, ..., 10
    assert overlap.hausdorff95(a, b, spacing_mm=spacing, method="pooled") == pytest.approx(9.4)
    assert overlap.hausdorff95(a, b, spacing_mm=spacing, method="surfel") == 10


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("shape", [(9, 10, 8), (14, 15)])
def test_distances_agree_with_a_search_over_all_pairs(shape, spacing):
    spacing = spacing[: len(shape)]
    for seed in range(3):
        a, b = blobs(seed, shape)
        there, back = directed(a, b, spacing)
        both = np.concatenate([there, back])
        want = {
            overlap.average_surface_distance(a, b, spacing_mm=spacing): both.mean(),
            overlap.hausdorff(a, b, spacing_mm=spacing): both.max(),
            overlap.hausdorff95(a, b, spacing_mm=spacing): max(np.percentile(d, 95) for d in (there, back)),
            overlap.hausdorff95(a, b, spacing_mm=spacing, method="pooled"): np.percentile(both, 95),
        }
        for ours, theirs in want.items():
            assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_one_search_gives_the_three_distances_and_empty_masks_as_stated(spacing):
    a, b = blobs(4, (10, 9, 8))
    found = overlap.surface_distances(a, b, spacing_mm=spacing)
    there, back = directed(a, b, spacing)
    assert found.average == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-12)
    assert found.hausdorff == pytest.approx(max(there.max(), back.max()), rel=1e-12)
    assert found.hausdorff95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-12)
    missed = overlap.surface_distances(0 * a, b, spacing_mm=spacing, one_empty=40)
    assert (missed.average, missed.hausdorff, missed.hausdorff95) == (40, 40, 40)
    assert overlap.surface_distances(a, 0 * b, spacing_mm=spacing).average == math.inf
    assert math.isnan(overlap.surface_distances(0 * a, 0 * b, spacing_mm=spacing).hausdorff95)


def test_dice_distances_and_surface_dice_agree_with_monai():
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    spacing = SPACINGS[1]
    for seed in range(3):
        a, b = blobs(seed, (20, 24, 18), 0.8)
        one_hot = [torch.tensor(np.stack([~m, m])[None]).float() for m in (a, b)]
        got = compute_dice(*one_hot, include_background=False).item()
        assert overlap.dice(a, b) == pytest.approx(got, rel=1e-6)
        got = compute_hausdorff_distance(*one_hot, percentile=95, spacing=list(spacing)).item()
        assert overlap.hausdorff95(a, b, spacing_mm=spacing) == pytest.approx(got, rel=1e-5)
        got = compute_average_surface_distance(*one_hot, symmetric=True, spacing=list(spacing)).item()
        assert overlap.average_surface_distance(a, b, spacing_mm=spacing) == pytest.approx(got, rel=1e-5)
        got = compute_surface_dice(*one_hot, [0.8], spacing=spacing, use_subvoxels=True).item()
        assert overlap.surface_dice(a, b, spacing_mm=spacing, tolerance_mm=0.8) == pytest.approx(got, rel=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_every_surfel_has_the_size_in_deepminds_table(dims):
    from monai.metrics.utils import get_code_to_measure_table

    spacing = SPACINGS[1][:dims]
    table, kernel = (np.asarray(part) for part in get_code_to_measure_table(spacing))
    for code in range(1, 2 ** (2**dims) - 1):
        cell = np.array([code >> bit & 1 for bit in range(2**dims - 1, -1, -1)], bool).reshape((2,) * dims)
        at = np.argwhere(np.all(np.isclose(surfels(cell, spacing)[0], spacing), axis=1))  # the cell inside the array
        want = table[int((cell * kernel.reshape(cell.shape)).sum())]
        assert surfels(cell, spacing)[1][at].item() == pytest.approx(want, rel=1e-5)


def test_surfels_of_a_box_and_a_ball_have_their_area():
    box = np.ones((10, 12, 14), bool)
    areas = surfels(box, (1, 2, 3))[1]
    flat = 2 * (9 * 11 * 2 + 9 * 13 * 3 + 11 * 13 * 6)  # the faces without their bevelled edges
    assert flat < areas.sum() < 2 * (10 * 12 * 2 + 10 * 14 * 3 + 12 * 14 * 6)
    ball = np.linalg.norm(np.indices((41, 41, 41)) - 20, axis=0) < 18
    assert surfels(ball, (1, 1, 1))[1].sum() == pytest.approx(4 * math.pi * 18**2, rel=0.12)
    disc = ball[:, :, 20]
    assert surfels(disc, (1, 1))[1].sum() == pytest.approx(2 * math.pi * 18, rel=0.08)


@pytest.mark.parametrize("metric", [overlap.dice, overlap.iou])
def test_overlap_of_empty_masks_is_as_stated(metric):
    some, none = np.eye(4, dtype=bool), np.zeros((4, 4), bool)
    assert math.isnan(metric(none, none))
    assert metric(none, none, both_empty=1) == 1
    assert metric(some, none) == metric(none, some) == 0


@pytest.mark.parametrize("metric", DISTANCES)
def test_distances_of_empty_masks_are_as_stated(metric):
    some, none = np.eye(4, dtype=bool), np.zeros((4, 4), bool)
    assert math.isnan(metric(none, none, spacing_mm=(1, 1)))
    assert metric(some, none, spacing_mm=(1, 1)) == metric(none, some, spacing_mm=(1, 1)) == math.inf
    penalty = overlap.diagonal_mm((4, 4), (3, 4))
    assert metric(some, none, spacing_mm=(3, 4), one_empty=penalty) == 15


def test_surfel_metrics_of_empty_masks_are_as_stated():
    some, none = np.eye(4, dtype=bool), np.zeros((4, 4), bool)
    space = {"spacing_mm": (1, 1)}
    assert math.isnan(overlap.surface_dice(none, none, tolerance_mm=1, **space))
    assert overlap.surface_dice(some, none, tolerance_mm=1, **space) == 0
    assert overlap.hausdorff95(some, none, method="surfel", **space) == math.inf
    assert math.isnan(overlap.hausdorff95(none, none, method="surfel", **space))
    assert overlap.volume(none, spacing_mm=(1, 1)) == 0


def all_pairs(a, b, spacing) -> dict[str, float]:
    return {
        "dice": overlap.dice(a, b),
        "iou": overlap.iou(a, b),
        "surface_dice": overlap.surface_dice(a, b, spacing_mm=spacing, tolerance_mm=1.5),
        "surfel": overlap.hausdorff95(a, b, spacing_mm=spacing, method="surfel"),
    } | {m.__name__: m(a, b, spacing_mm=spacing) for m in DISTANCES}


@pytest.mark.parametrize("shape", [(12, 13), (9, 8, 10)])
def test_pair_metrics_are_symmetric_bounded_and_independent_of_place_and_type(shape):
    spacing = SPACINGS[1][: len(shape)]
    for seed in range(3):
        a, b = blobs(seed, shape)
        want = all_pairs(a, b, spacing)
        assert all_pairs(b, a, spacing) == pytest.approx(want, rel=1e-12)
        padded = [np.pad(m, 4).astype(np.int16) for m in (a, b)]
        assert all_pairs(*padded, spacing) == pytest.approx(want, rel=1e-12)
        turned = [torch.tensor(m.T.copy()) for m in (a, b)]
        assert all_pairs(*turned, spacing[::-1]) == pytest.approx(want, rel=1e-12)
        assert want["iou"] == pytest.approx(want["dice"] / (2 - want["dice"]))
        assert 0 <= want["surface_dice"] <= 1
        assert want["average_surface_distance"] <= want["hausdorff95"] <= want["hausdorff"]
        doubled = all_pairs(a, b, [2 * s for s in spacing])
        for name in ("average_surface_distance", "hausdorff", "hausdorff95", "surfel"):
            assert doubled[name] == pytest.approx(2 * want[name], rel=1e-12)


def test_pair_metrics_worsen_as_a_ball_moves_away():
    grid = np.indices((30, 16, 16))

    def ball(x):
        return np.linalg.norm(grid - np.array([x, 8, 8])[:, None, None, None], axis=0) < 6

    values = [all_pairs(ball(8), ball(8 + shift), (1, 1, 1)) for shift in (0, 2, 5, 9)]
    for name, first in values[0].items():
        higher = name in ("dice", "iou", "surface_dice")
        assert first == (1 if higher else 0)
        sequence = [v[name] for v in values]
        assert sequence == sorted(sequence, reverse=higher)
        assert sequence[1] != sequence[-1]


def test_surface_dice_grows_with_the_tolerance():
    a, b = blobs(5, (14, 15))
    sequence = [overlap.surface_dice(a, b, spacing_mm=(1, 1), tolerance_mm=t) for t in (0, 1, 2, 4, 30)]
    assert sequence == sorted(sequence)
    assert sequence[-1] == 1


@pytest.mark.parametrize("metric", [overlap.dice, overlap.iou, *DISTANCES, overlap.surface_dice])
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((4, 5), bool), "same grid"),
        (np.full((4, 4), 2), "mask == 3"),
        (np.full((4, 4), np.nan), "other values than 0 and 1"),
        (np.ones((1, 1, 4, 4), bool), "without batch"),
    ],
)
def test_bad_masks_give_one_clear_line(metric, mask, message):
    needs = {"spacing_mm": (1, 1), "tolerance_mm": 1}
    given = {name: needs[name] for name in inspect.signature(metric).parameters if name in needs}
    if mask.ndim == 4 and given:
        given["spacing_mm"] = (1, 1, 1, 1)
    with pytest.raises(RadloomError, match=message):
        metric(mask, np.eye(4, dtype=bool), **given)


@pytest.mark.parametrize("spacing", [(1,), (1, 1, 1), (1, -1), (1, 0), (1, math.nan)])
def test_an_impossible_spacing_is_refused(spacing):
    a = np.eye(4, dtype=bool)
    for metric in DISTANCES:
        with pytest.raises(RadloomError, match="above 0 mm"):
            metric(a, a, spacing_mm=spacing)
    with pytest.raises(RadloomError, match="above 0 mm"):
        overlap.volume(a, spacing_mm=spacing)
    with pytest.raises(RadloomError, match="tolerance"):
        overlap.surface_dice(a, a, spacing_mm=(1, 1), tolerance_mm=-1)


def test_unknown_methods_are_refused():
    a = np.eye(4, dtype=bool)
    for metric in (overlap.average_surface_distance, overlap.hausdorff95):
        with pytest.raises((RadloomError, TypeError), match="method"):
            metric(a, a, spacing_mm=(1, 1), method="other")


def test_every_registered_metric_says_what_one_must_know_of_it():
    for name, metric in METRICS.items():
        parameters = inspect.signature(metric.value).parameters
        assert metric.needs == tuple(n for n, p in parameters.items() if p.default is p.empty)
        assert metric.value.__name__ == name
        assert metric.blind_to
        assert metric.unit
        assert metric.better in ("higher", "lower", "neither")
        assert metric.cite or name == "volume"
    assert {"mse", "rmse", "mae", "nmse", "nrmse", "psnr", "ssim", "ms_ssim", "gmsd"} <= set(METRICS)
    assert {"dice", "iou", "average_surface_distance", "hausdorff", "hausdorff95", "surface_dice"} <= set(METRICS)


def test_the_declared_direction_is_the_direction():
    a = np.zeros((30, 30), bool)
    a[8:20, 8:20] = True
    arguments = {"data_range": 1, "spacing_mm": (1, 1), "tolerance_mm": 1}
    for metric in METRICS.values():
        if metric.better == "neither" or metric.name in ("ms_ssim", "ssim_slices"):
            continue
        given = {name: arguments[name] for name in metric.needs if name in arguments}
        near, far = (metric.value(np.roll(a, shift, 0), a, **given) for shift in (1, 4))
        assert type(near) is float
        assert (near > far) == (metric.better == "higher"), metric.name
