"""Chest CT and its parts: volumes of tubes, Murray's law, known nodules, HU of tissues, noise by dose, shared noise."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.phantom import chest_ct
from radloom.phantom.chest import make_chest
from radloom.phantom.chest_scanners import STYLES, scan
from radloom.phantom.chest_shape import draw_build
from radloom.phantom.cohorts import load
from radloom.phantom.fields import Grid
from radloom.phantom.lung_nodules import Nodule, nodule_fraction
from radloom.phantom.lung_patterns import draw_patterns, pattern_hu
from radloom.phantom.lung_trees import TERMINAL_MM, grow
from radloom.phantom.simulation import Request
from radloom.phantom.solids import body_grid
from radloom.phantom.splats import Cloud, fraction, lines, tube
from radloom.random import numpy_stream
from radloom.types import Case

CUBE = Grid((40, 40, 40), (-19.5, -19.5, -19.5), (1.0, 1.0, 1.0))


@cache
def case(variant: str, index: int) -> Case:
    images = ("ct", "reference", "healthy")
    return chest_ct.subject(index, Request(0, (64, 52, 16), variant, images))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (1.0, 2.0, 4.0)])
def test_a_tube_fills_its_volume_on_any_grid(spacing: tuple[float, float, float]) -> None:
    shape = tuple(int(40 / d) for d in spacing)
    origin = tuple(-20 + d / 2 for d in spacing)
    grid = Grid(shape, origin, spacing)  # pyright: ignore[reportArgumentType]
    path = np.array([[-10.0, 0.3, 0.2], [10.0, 0.3, 0.2]])
    held = float(fraction(tube(path, 5.0, min(spacing)), grid).sum() * np.prod(spacing))
    assert held == pytest.approx(np.pi * 25 * 20, rel=0.04)  # pi r^2 L; a little is lost where points crowd


def test_thin_lines_keep_their_volume_and_points_outside_are_dropped() -> None:
    paths = np.array([[[-10.0, 0, 0], [10, 0, 0]], [[0, -8.0, 5], [0, 8, 5]]])
    cloud = lines(paths, np.array([0.3, 0.2]), 1.0)
    assert fraction(cloud, CUBE).sum() == pytest.approx(np.pi * (0.09 * 20 + 0.04 * 16), rel=1e-6)
    outside = Cloud(np.array([[100.0, 0, 0]]), np.array([1.0]))
    assert not fraction(outside, CUBE).any()
    assert not fraction(lines(np.zeros((0, 2, 3)), np.zeros(0), 1.0), CUBE).any()


def test_trees_keep_murrays_law_and_reach_every_end() -> None:
    rng = np.random.default_rng(0)
    ends = rng.uniform(-50, 50, (60, 3))
    branches = grow(np.zeros(3), np.array([1.0, 0, 0]), ends, fewest=1, rng=rng)
    assert branches[0].radius ** 3 == pytest.approx(60 * TERMINAL_MM**3)
    by_start: dict[tuple[float, ...], list] = {}
    for branch in branches[1:]:
        by_start.setdefault(tuple(branch.path[0].round(6)), []).append(branch)
    forks = [(one, by_start[tuple(one.path[-1].round(6))]) for one in branches if one.leaves > 1]
    assert len(forks) == 59  # a tree with 60 ends has 59 forks
    for parent, daughters in forks:
        assert sum(one.radius**3 for one in daughters) == pytest.approx(parent.radius**3)
    tips = {tuple(one.path[-1].round(6)) for one in branches if one.leaves == 1}
    assert tips == {tuple(one.round(6)) for one in ends}


@pytest.mark.parametrize("diameter", [8.0, 16.0])
def test_a_smooth_nodule_has_the_volume_of_its_diameter(diameter: float) -> None:
    nodule = Nodule((0.2, -0.1, 0.3), diameter, "solid", (1.25, 0.8, 1.0), (0.0,) * 7, 0, False)
    filled, added = nodule_fraction(nodule, CUBE, 1.0)
    assert filled.sum() == pytest.approx(np.pi / 6 * diameter**3, rel=0.03)  # the stretches' product is 1
    assert (added == 890).all()


@pytest.mark.parametrize("index", [1, 3])
def test_nodules_are_as_many_as_the_label_says_and_lie_in_the_lungs(index: int) -> None:
    one = case("nodules", index)
    mask, lung = one.images["mask.nodule"].voxels, one.images["mask.lung"].voxels
    assert set(np.unique(mask)) == set(range(one.labels["label.nodules"] + 1))
    assert len(one.labels["label.nodule_mm"].split()) == one.labels["label.nodules"]
    assert (lung[mask > 0] > 0).all()


def test_tissues_have_their_hounsfield_units() -> None:
    one = case("none", 0)
    hu, lung = one.images["image.reference"].voxels, one.images["mask.lung"].voxels
    assert -890 < np.median(hu[lung > 0]) < -790
    x, y, z = np.indices(hu.shape)
    affine = one.images["image.ct"].affine
    heart = np.hypot(np.hypot(x * affine[0, 0] + affine[0, 3] + 20, y * affine[1, 1] + affine[1, 3] - 26),
                     z * affine[2, 2] + affine[2, 3] + 25) < 20  # fmt: skip
    assert np.median(hu[heart]) == pytest.approx(42, abs=10)
    assert (hu[[0, -1], 0] < -900).all()  # air around the body
    assert (hu > 500).mean() > 0.002  # bone


def test_each_lung_has_its_side_and_size() -> None:
    image = case("none", 0).images["mask.lung"]
    x = np.indices(image.shape)[0] * image.affine[0, 0] + image.affine[0, 3]
    assert (x[image.voxels == 1] > -15).all()
    assert x[image.voxels == 1].mean() > 40
    assert x[image.voxels == 2].mean() < -40
    litres = np.count_nonzero(image.voxels) * np.prod(image.spacing_mm) / 1e6
    assert 2.5 < litres < 8  # total lung capacity of adults


def test_a_quarter_of_the_dose_doubles_the_noise_and_no_kernel_shifts_water() -> None:
    grid = Grid((64, 64, 6), (-126.0, -126.0, 0.0), (4.0, 4.0, 4.0))
    x, y, _ = grid.points_mm()
    water = np.where(np.hypot(x, y) < 100, 0.0, -1000.0).astype(np.float32)
    inside = np.hypot(x, y) < 60
    rng = np.random.default_rng
    for style in (STYLES[0], STYLES[4]):
        clean = replace(style, ring_hu=0.0, offset_hu=0.0)
        full = scan(water, grid, clean, rng=rng(0))[inside].astype(float)
        low = scan(water, grid, replace(clean, photons=clean.photons / 4), rng=rng(0))[inside].astype(float)
        assert low.std() / full.std() == pytest.approx(2, abs=0.15)
        assert abs(full.mean()) < 3
    sharp = scan(water, grid, STYLES[0], rng=rng(0))[inside].std()
    medium = scan(water, grid, STYLES[5], rng=rng(0))[inside].std()
    assert sharp > 2 * medium


def test_the_healthy_scan_differs_only_at_the_disease() -> None:
    one = case("nodules", 1)
    difference = np.abs(one.images["image.ct"].voxels.astype(int) - one.images["image.healthy"].voxels)
    mask = one.images["mask.nodule"].voxels > 0
    assert mask.any()
    assert difference[mask].mean() > 150
    assert np.quantile(difference[~mask], 0.95) <= 8


def test_patterns_have_their_density_and_place() -> None:
    def stream(name: str) -> np.random.Generator:
        return numpy_stream(4, "patterns", name)

    grid = body_grid((72, 60, 20), chest_ct.SIZE_MM, chest_ct.CENTRE_MM)
    one = make_chest(draw_build(rng=stream("build")), grid, congestion=0.0, arms="raised", stream=stream)
    drawn = [draw_patterns(one, rng=numpy_stream(4, "drawn", i)) for i in range(12)]
    lung = np.full(grid.shape, -860, np.float32)
    x, y, z = np.nonzero(one.lungs.max(0) >= 0.5)
    quarters = np.zeros(grid.shape, np.uint8)
    quarters[x, y, z] = 1 + (x + y) % 5  # every pattern, everywhere
    hu = pattern_hu(one, quarters, lung, rng=stream("structure"))
    mean = {number: float(hu[quarters == number].mean()) for number in range(1, 6)}
    assert -710 - 30 < mean[1] < -560 + 30  # 150 to 300 HU above the lung
    assert -60 < mean[2] < 70
    assert hu[quarters == 3].max() <= -100  # septa
    assert hu[quarters == 4].min() >= -951  # cysts and their walls
    assert hu[quarters == 4].max() <= -60
    assert -985 <= hu[quarters == 5].min() < mean[5] < -910
    assert (hu[quarters == 0] == -860).all()
    depth, inside = one.depth, one.lungs.max(0) >= 0.5
    honeycombs = [depth[mask == 4].mean() for mask in drawn if (mask == 4).any()]
    assert len(honeycombs) >= 4
    assert np.mean(honeycombs) < 0.6 * depth[inside].mean()  # beneath the pleura
    height = np.broadcast_to(one.points[2], depth.shape)
    emphysema = [height[mask == 5].mean() for mask in drawn if (mask == 5).any()]
    assert np.mean(emphysema) > height[inside].mean() + 10  # in the upper lobes
    assert all((mask[~inside] == 0).all() for mask in drawn)


def test_label_shares_are_those_of_the_mask() -> None:
    one = case("ild", 0)
    mask, lung = one.images["mask.pattern"].voxels, one.images["mask.lung"].voxels
    assert one.labels["label.reticulation"] == pytest.approx(100 * (mask == 3).sum() / (lung > 0).sum(), abs=0.01)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(RadloomError, match="chest CT of shape"):
        load("chest-ct").begin(Request(0, (8, 40, 12), "none", ("ct",)))
