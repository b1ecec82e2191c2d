"""The neck cohort against what it was made from: lumen and degree of stenosis, HU of blood, motion, hidden plaque."""

from functools import cache

import numpy as np
import pytest

from radloom.phantom import load
from radloom.phantom.neck import draw_build, moved, neck_space
from radloom.phantom.neck_case import TISSUES
from radloom.phantom.neck_vessels import INTERNAL_MM, Plaque, draw_plaques, lumen_radius, vessels
from radloom.phantom.simulation import Request
from radloom.phantom.solids import spline
from radloom.types import Case


@cache
def case() -> Case:
    return load("neck-cta").begin(Request(4, (112, 112, 24), "patients", ("ncct", "cta", "aligned")))(1)[0]


@pytest.mark.parametrize("percent", [20.0, 50.0, 70.0, 90.0])
def test_the_narrowest_lumen_has_the_nascet_degree(percent: float) -> None:
    path = spline([(0, 0, 0), (0, 0, 30), (0, 0, 60)], step_mm=0.25)
    outer = np.where(path[:, 2] < 14, INTERNAL_MM + 1.3, INTERNAL_MM)  # a bulb, then the distal artery
    lumen = lumen_radius(path, outer, 1.0, Plaque("right", percent, 8.0, 12.0, "soft", 0.0))
    assert 100 * (1 - lumen.min() / lumen[-1]) == pytest.approx(percent, abs=0.5)
    assert path[lumen.argmin(), 2] == pytest.approx(8.0, abs=0.5)
    assert np.array_equal(lumen[path[:, 2] > 15], outer[path[:, 2] > 15])


def test_plaques_of_many_subjects_cover_none_to_occluded() -> None:
    drawn = [draw_plaques(rng=np.random.default_rng(i)) for i in range(400)]
    degrees = np.array([one.percent for plaques in drawn for one in plaques])
    assert 0.3 < np.mean([not plaques for plaques in drawn]) < 0.6
    assert degrees.min() >= 15
    assert 0.05 < np.mean(degrees == 100) < 0.2
    assert np.mean((degrees >= 70) & (degrees < 100)) > 0.15


def test_an_occluded_artery_has_no_lumen_behind_the_block() -> None:
    build = draw_build(rng=np.random.default_rng(0))
    space = neck_space((64, 64, 24), build, rng=np.random.default_rng(0))

    def volume(plaques: list[Plaque], name: str) -> float:
        found = vessels(space, plaques, rng=np.random.default_rng(1))
        return float(sum(layer.fraction.sum() for layer in found if layer.name == name))

    blocked = [Plaque("left", 100.0, 9.0, 12.0, "soft", 0.0)]
    assert volume(blocked, "occluded") > 0
    assert volume(blocked, "carotid left") < 0.9 * volume([], "carotid left")
    assert volume(blocked, "carotid right") == volume([], "carotid right")


def test_arteries_light_up_and_veins_less() -> None:
    one = case()
    gained = one.images["image.cta"].voxels.astype(float) - one.images["image.aligned"].voxels
    labels = one.images["mask.vessels"].voxels
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 5}
    arteries = np.percentile(gained[(labels == 1) | (labels == 2)], 90)  # the middle of thin vessels
    veins = np.percentile(gained[labels == 5], 75)
    assert 200 < arteries < 420
    assert 60 < veins < 0.6 * arteries
    assert abs(np.median(gained[labels == 0])) < 6


def test_carotids_and_vertebral_arteries_lie_on_their_sides() -> None:
    labels = case().images["mask.vessels"].voxels
    x = {n: np.argwhere(labels == n)[:, 0].mean() for n in (1, 2, 3, 4)}
    assert x[1] > x[3] > x[4] > x[2]  # +x is the patient's right; the carotids lie further out


def test_the_two_scans_are_a_little_out_of_step() -> None:
    one = case()
    assert 0.1 < one.labels["label.shift_mm"] < 5
    voxels = {key: one.images[f"image.{key}"].voxels.astype(float) for key in ("ncct", "aligned")}
    clean = voxels["aligned"] > -500
    assert np.abs(voxels["ncct"] - voxels["aligned"])[clean].mean() > 10


def test_motion_is_small_everywhere_and_lifts_the_larynx() -> None:
    build = draw_build(rng=np.random.default_rng(3))
    space = neck_space((24, 24, 12), build, rng=np.random.default_rng(3))
    moves = [moved(space, rng=np.random.default_rng(i))[1] for i in range(20)]
    assert max(np.linalg.norm(move, axis=0).max() for move in moves) < 12
    x, y, z = space.grid.points_mm()
    larynx = (np.abs(x) < 12) & (np.abs(y - 28) < 14) & (np.abs(z + 25) < 20)
    nape = (np.abs(x) < 12) & (y < -40) & (np.abs(z + 25) < 20)
    assert np.mean([move[2][larynx].mean() - move[2][nape].mean() for move in moves]) > 0.5


def test_soft_plaque_and_occluded_lumen_look_like_blood_before_the_injection() -> None:
    blood = TISSUES["carotid left"][0]
    for name in ("plaque", "occluded"):
        assert abs(TISSUES[name][0] - blood) < 4
        assert TISSUES[name][1] < 10
    assert TISSUES["chalk"][0] > 500
