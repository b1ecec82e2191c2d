"""Solids, tubes and trees of the body phantoms: volumes against closed forms, painting order, Murray's law."""

import numpy as np
import pytest

from radloom.phantom.branching import branching_tree
from radloom.phantom.solids import (
    Layer,
    Space,
    body_field,
    body_grid,
    depth_in_ellipsoid,
    ellipsoid,
    labelled,
    painted,
    spline,
    tube,
    warped_space,
)

GRID = body_grid((80, 80, 60), (160.0, 160.0, 120.0))  # 2 mm voxels
STRAIGHT = Space(GRID, GRID.points_mm().astype(np.float32))
ML = 8.0 / 1000


@pytest.mark.parametrize("turn", [(0, 0, 0), (30, 0, 0), (0, 40, 25)])
def test_an_ellipsoid_has_its_volume_whichever_way_it_is_turned(turn: tuple[int, int, int]) -> None:
    layer = ellipsoid(STRAIGHT, "one", (3, -5, 4), (30, 18, 24), turn_deg=turn)
    assert layer.fraction.sum() * ML == pytest.approx(4 / 3 * np.pi * 30 * 18 * 24 / 1000, rel=0.01)


def test_depth_is_the_distance_to_the_surface_of_a_sphere() -> None:
    points = np.array([[0.0, 7.0, 13.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert depth_in_ellipsoid(points, (0, 0, 0), (10, 10, 10))[1:] == pytest.approx([3.0, -3.0])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_quarter_turn_about_an_axis_is_right_handed(axis: int) -> None:
    first, second = (axis + 1) % 3, (axis + 2) % 3  # about z, x turns to y
    radii, turn, place = np.full(3, 5.0), np.zeros(3), np.zeros((3, 1))
    radii[first], turn[axis], place[second] = 20.0, 90.0, 15.0
    assert depth_in_ellipsoid(place, (0, 0, 0), radii, turn)[0] == pytest.approx(5.0, abs=1e-4)
    turn[axis] = 45.0
    place[first] = 15.0  # the long axis now lies between the first and the second axis, not beside the second
    assert depth_in_ellipsoid(place, (0, 0, 0), radii, turn)[0] > -1.5
    place[first] = -15.0
    assert depth_in_ellipsoid(place, (0, 0, 0), radii, turn)[0] < -10


def test_a_tube_has_the_volume_of_a_cylinder_with_round_ends() -> None:
    path = spline([(-40, 3, 0), (0, 3, 0), (40, 3, 0)])
    expected = np.pi * 8**2 * 80 + 4 / 3 * np.pi * 8**3
    assert tube(STRAIGHT, "one", path, 8.0).fraction.sum() * 8 == pytest.approx(expected, rel=0.02)


def test_a_vessel_thinner_than_a_voxel_keeps_its_cross_section() -> None:
    path = spline([(-40, 0.4, 0.3), (0, 0.4, 0.3), (40, 0.4, 0.3)])
    wide, thin = (tube(STRAIGHT, "one", path, r).fraction.sum() for r in (1.0, 0.5))
    assert thin < 0.5 * wide


def test_a_spline_passes_through_its_points_in_small_steps() -> None:
    points = np.array([(0.0, 0, 0), (20, 10, 0), (40, 0, 15), (60, 5, 5)])
    path = spline(points, step_mm=0.5)
    for point in points:
        assert np.linalg.norm(path - point, axis=1).min() < 0.4
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 1.0


def test_a_later_layer_covers_an_earlier_one_in_image_and_mask() -> None:
    box = (slice(0, 2), slice(0, 1), slice(0, 1))
    layers = [Layer("a", box, np.array([[[1.0]], [[1.0]]], np.float32)),
              Layer("b", box, np.array([[[0.25]], [[0.75]]], np.float32))]  # fmt: skip
    texture = np.array([0.0, 2.0, 9.0], np.float32).reshape(3, 1, 1)
    image = painted((3, 1, 1), layers, {"a": (100.0, 0.0), "b": (20.0, 5.0)}.__getitem__, texture, -1000.0)
    assert image.ravel() == pytest.approx([80.0, 47.5, -1000.0])
    assert labelled((3, 1, 1), layers, {"a": 1}).ravel().tolist() == [1, 0, 0]
    assert labelled((3, 1, 1), layers, {"a": 1, "b": 2}).ravel().tolist() == [1, 2, 0]


def test_a_field_over_a_trunk_has_unit_variance_up_to_its_borders() -> None:
    grid = body_grid((48, 48, 48), (380.0, 380.0, 380.0))
    fields = np.stack([body_field(grid, 30.0, rng=np.random.default_rng(i)) for i in range(24)])
    assert fields.var() == pytest.approx(1.0, rel=0.05)
    assert fields[:, [0, -1]].var() == pytest.approx(1.0, rel=0.15)
    assert fields[:, :, :, [0, -1]].var() == pytest.approx(1.0, rel=0.15)


def test_a_finer_grid_shows_the_same_subject() -> None:
    coarse, fine = (
        warped_space(body_grid(shape, (300.0, 300.0, 90.0)), ((60.0, 6.0),), rng=np.random.default_rng(7))
        for shape in ((10, 10, 3), (30, 30, 9))
    )
    assert fine.points[:, 1::3, 1::3, 1::3] == pytest.approx(coarse.points, abs=1e-3)


def test_a_tree_keeps_murrays_law_and_its_daughters_begin_where_the_parent_ends() -> None:
    tree = branching_tree((0, 0, 0), (0, 0, 1), radius=4.0, generations=4, rng=np.random.default_rng(1))
    assert [sum(b.generation == g for b in tree) for g in range(4)] == [1, 2, 4, 8]
    for generation in range(3):
        for branch in (b for b in tree if b.generation == generation):
            daughters = [b for b in tree if np.allclose(b.path[0], branch.path[-1]) and b.generation == generation + 1]
            assert len(daughters) == 2
            assert sum(d.radii[0] ** 3 for d in daughters) == pytest.approx(branch.radii[-1] ** 3)
