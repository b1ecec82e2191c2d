"""Vessels: published inflow signals, Murray's law, narrowings and occlusions as drawn, and what low resolution does."""

from functools import cache

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.phantom import coronary, mra, time_of_flight, vessel_tree
from radloom.phantom.anatomy import load_atlas
from radloom.phantom.cerebral_arteries import Arteries, Finding, draw_arteries
from radloom.phantom.fields import Grid
from radloom.phantom.vessel_paint import painted
from radloom.random import numpy_stream
from radloom.types import Case

SHAPE = (112, 112, 40)


@cache
def scans() -> list[Case]:
    atlas = load_atlas()
    return [mra.subject(atlas, i, seed=1, shape=SHAPE) for i in range(3)]


@pytest.mark.parametrize(("depth", "velocity", "signal"), [(40, 400, 0.247), (40, 200, 0.204), (40, 80, 0.127),
                                                           (160, 200, 0.091)])  # fmt: skip
def test_blood_after_a_way_through_the_slab_has_the_tabulated_signal(
    depth: float, velocity: float, signal: float
) -> None:
    # SYSTEMS-direct 4.2: TR 24 ms, TE 3.6 ms, 18 degrees.
    pulses = np.array([depth / (velocity * 0.024)])
    assert time_of_flight.inflow(pulses) == pytest.approx(signal, rel=0.02)


def test_branches_obey_murrays_law() -> None:
    first, second = vessel_tree.murray(1.7, 0.3)
    assert first**3 + second**3 == pytest.approx(1.7**3)
    assert first < second


def straight(radius: float = 2.0, length: float = 40.0) -> vessel_tree.Tube:
    line = vessel_tree.through(np.array([[0.0, 0, 0], [0, 0, length / 2], [0, 0, length]]))
    return vessel_tree.Tube("straight", line, np.full(len(line), radius))


def test_pulses_grow_with_the_way_inside_the_slab_and_start_anew_in_the_next() -> None:
    tube = straight()
    seen = vessel_tree.pulses_seen([tube], [(10.0, 20.0), (20.0, 40.0)], tr_ms=24.0)[0]
    z = tube.points[:, 2]
    per_mm = 1 / (vessel_tree.VELOCITY_PER_RADIUS * 2.0 * 0.024)
    assert not seen[0][z < 10].any()
    assert not seen[0][z > 20].any()
    for k, (low, high) in enumerate([(10.0, 20.0), (20.0, 40.0)]):
        inside = (z >= low) & (z <= high)
        assert seen[k][inside] == pytest.approx((z[inside] - low) * per_mm, abs=0.5 * per_mm)


def test_a_branch_inherits_the_pulses_of_its_parent() -> None:
    tube = straight()
    side = vessel_tree.through(np.array([tube.points[50], tube.points[50] + [10.0, 0, 0.0]]))
    branch = vessel_tree.Tube("branch", side, np.full(len(side), 1.0), 0, 50)
    parent, child = vessel_tree.pulses_seen([tube, branch], [(-1.0, 50.0)], tr_ms=24.0)
    assert child[0, 0] == pytest.approx(parent[0, 50])
    assert child[0, -1] > parent[0, 50]


def test_a_narrowing_takes_its_share_at_its_centre_and_nothing_beyond_its_length() -> None:
    tube = straight()
    at = len(tube.points) // 2
    ill = vessel_tree.narrowed(tube, at, share=0.7, length_mm=8.0)
    away = np.abs(tube.points[:, 2] - tube.points[at, 2])
    assert ill.radius[at] == pytest.approx(0.3 * 2.0)
    assert ill.radius[away > 4.3] == pytest.approx(2.0)
    assert ill.radius[np.abs(away - 2.0).argmin()] == pytest.approx(2.0 * (1 - 0.35), abs=0.08)


def test_beyond_an_occlusion_nothing_is_left_and_before_it_everything() -> None:
    tube = straight()
    twigs = [vessel_tree.Tube(f"twig {i}", straight(1.0, 8.0).points, np.full(21, 1.0), 0, i) for i in (10, 80)]
    beyond = vessel_tree.Tube("beyond", straight(1.0, 8.0).points, np.full(21, 0.5), 2, 5)
    left = vessel_tree.without([tube, *twigs, beyond], 0, 40)
    assert [one.name for one in left] == ["straight", "twig 10"]
    assert len(left[0].points) == 41
    assert left[1].parent == 0


def test_a_painted_tube_holds_its_volume_thin_or_thick() -> None:
    grid = Grid((40, 40, 60), (-19.5, -19.5, -10.0), (1.0, 1.0, 1.0))
    for radius in (0.3, 3.0):
        tube = straight(radius)
        fraction, value = painted(grid, tube.points, tube.radius, np.full(len(tube.points), 7.0))
        cut = fraction[:, :, 30].sum()  # mm^2 in the middle of the tube
        assert cut == pytest.approx(np.pi * radius**2, rel=0.12 if radius > 1 else 2.0)
        assert value[fraction > 0] == pytest.approx(7.0)
    assert painted(grid, np.full((1, 3), 500.0), np.ones(1), np.ones(1))[0].max() == 0  # off the grid


def test_arteries_are_bright_and_the_low_resolution_loses_the_thin_ones() -> None:
    for case in scans():
        high, low = (case.images[f"image.{one}"].voxels.astype(float) for one in ("high", "low"))
        vessel = case.images["mask.vessel"].voxels > 0
        still = np.median(high[high > 0.5 * np.median(high[vessel]) * 0.3])
        assert np.median(high[vessel]) > 2 * still
        assert np.median(low[vessel]) < 0.75 * np.median(high[vessel])
        assert low.mean() == pytest.approx(high.mean(), rel=0.1)


def test_low_resolution_keeps_a_constant_and_removes_what_is_finer_than_its_voxel() -> None:
    grid = Grid((48, 48, 16), (-23.5, -23.5, -7.5), (1.0, 1.0, 1.0))
    how, rng = time_of_flight.Resolution((2, 2), 4), numpy_stream(0, "low")
    flat = time_of_flight.low_resolution(np.ones(grid.shape), grid, how, 0.0, shift_mm=np.zeros(3), rng=rng)
    inside = (slice(10, -10), slice(10, -10))  # k-space is cyclic, so that the phase jumps at the sides
    assert flat[inside] == pytest.approx(1.0, abs=0.03)
    stripes = np.ones(grid.shape) + 0.5 * (-1.0) ** np.arange(48)[:, None, None]
    low = time_of_flight.low_resolution(stripes, grid, how, 0.0, shift_mm=np.zeros(3), rng=rng)
    assert low[inside] == pytest.approx(1.0, abs=0.05)


def test_noise_of_the_low_resolution_falls_by_the_root_of_the_voxels_volume() -> None:
    grid = Grid((64, 64, 32), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    how = time_of_flight.Resolution((2, 2), 4)
    noisy, clean = (
        time_of_flight.low_resolution(
            np.full(grid.shape, 50.0), grid, how, sd, shift_mm=np.zeros(3), rng=numpy_stream(0, "noise")
        )
        for sd in (1.0, 0.0)
    )
    # Slices that were measured (every fourth); the window 0.75 + 0.25 cos keeps a share
    # 0.75^2 + 0.25^2 / 2 of the noise's power along each of the two axes.
    assert (noisy - clean)[:, :, 2::4].std() == pytest.approx((0.75**2 + 0.25**2 / 2) / np.sqrt(16), rel=0.06)


def test_findings_equal_the_columns_and_the_masks() -> None:
    for case in scans():
        aneurysms = int(case.images["mask.aneurysm"].voxels.max())
        assert aneurysms <= case.labels["label.aneurysm"]
        assert (case.labels["label.aneurysm_mm"] > 0) == (case.labels["label.aneurysm"] > 0)


def test_the_mask_of_an_aneurysm_has_its_volume() -> None:
    grid = mra.mra_grid((200, 200, 64))
    ill = Finding("aneurysm", "basilar", (0.0, -17.0, -10.0), 7.0)
    found = mra.masks(Arteries([straight()], [ill]), np.zeros(grid.shape), grid)
    volume = np.count_nonzero(found["mask.aneurysm"]) * np.prod(grid.spacing_mm)
    assert volume == pytest.approx(np.pi / 6 * 7.0**3, rel=0.15)
    assert mra.tags([ill])["label.aneurysm_mm"] == 7.0


def test_over_many_subjects_findings_are_common_and_within_their_sizes() -> None:
    drawn = [draw_arteries(rng=numpy_stream(0, "draw", i)) for i in range(40)]
    findings = [finding for one in drawn for finding in one.findings]
    kinds = {one.kind for one in findings}
    assert kinds == {"stenosis", "aneurysm", "occlusion", "flow gap"}
    assert all(0.3 <= one.share <= 0.9 for one in findings if one.kind == "stenosis")
    assert all(2.0 <= one.size_mm <= 8.0 for one in findings if one.kind == "aneurysm")
    assert any(not one.findings for one in drawn)
    for one in drawn:
        assert all(tube.parent < i for i, tube in enumerate(one.tree))


def test_coronaries_are_long_and_blood_is_brighter_than_muscle() -> None:
    case = coronary.subject(0, seed=2, shape=(96, 96, 40))
    assert 90 < case.labels["label.lad_mm"] < 150
    assert 60 < case.labels["label.lcx_mm"] < 130
    assert 100 < case.labels["label.rca_mm"] < 220
    assert case.images["mask.vessel"].voxels.any()
    again = coronary.subject(0, seed=2, shape=(96, 96, 40))
    assert np.array_equal(case.images["image.low"].voxels, again.images["image.low"].voxels)


@pytest.mark.parametrize("grid", [mra.mra_grid, coronary.heart_grid])
def test_impossible_shapes_are_refused(grid) -> None:
    with pytest.raises(RadloomError, match="shape"):
        grid((8, 64, 10))
