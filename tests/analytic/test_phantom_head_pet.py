"""FDG PET: uptake by tissue, the Alzheimer pattern's truth, resolution, and a focus that leaves the MR untouched."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from radloom.phantom import head_pet
from radloom.phantom.anatomy import head_grid, load_atlas, new_subject
from radloom.phantom.head_pet import Dementia, draw_dementia
from radloom.random import numpy_stream

SHAPE = (48, 48, 24)


def stream(name: str) -> np.random.Generator:
    return numpy_stream(0, "test", name)


@cache
def anatomy():
    grid = head_grid(SHAPE, centre_z_mm=20.0)
    return new_subject(load_atlas(), grid, push=(np.zeros(3), 20.0, 0.0), rng=stream("anatomy"))


def state(factor: float = 1.0, atrophy: float = 0.0, focus=None) -> Dementia:
    return Dementia("AD", 0.9, dict.fromkeys(head_pet.PATTERN, (factor, factor)), atrophy, focus, False)


def uptake(ill: Dementia) -> np.ndarray:
    return head_pet.uptake(anatomy(), ill, head_pet.focus_of(ill, anatomy()), stream)


def test_grey_matter_takes_up_four_times_as_much_as_white_and_csf_nothing() -> None:
    suv = uptake(state())
    grey, white, csf = (np.median(suv[fraction > 0.97]) for fraction in anatomy().fractions)
    assert grey / white == pytest.approx(4.0, rel=0.12)  # Hoffman's 4 : 1 : 0
    assert csf < 0.05 * grey
    assert 4 < grey < 11


def test_the_pattern_lowers_uptake_by_its_factor_in_its_regions_and_nowhere_else() -> None:
    ratio = uptake(state(0.7)) / np.maximum(uptake(state()), 1e-6)
    weight, grey = head_pet.weights(anatomy()).max(0), anatomy().fractions[0] > 0.5
    assert np.median(ratio[grey & (weight > 0.97)]) == pytest.approx(0.7, abs=0.06)
    assert ratio[grey & (weight < 0.01)] == pytest.approx(1.0, abs=0.02)
    labels = head_pet.regions(anatomy())
    assert set(np.unique(labels)) == set(range(len(head_pet.PATTERN) + 1))


def test_a_hidden_focus_changes_the_uptake_and_not_the_anatomy() -> None:
    ill = state(focus=((38.0, -10.0, 35.0), 16.0, 0.6))
    healthy = state()
    assert np.array_equal(head_pet.shrunken(anatomy(), ill).fractions, head_pet.shrunken(anatomy(), healthy).fractions)
    ratio = uptake(ill) / np.maximum(uptake(healthy), 1e-6)
    focus = head_pet.focus_of(ill, anatomy())
    taken = anatomy().fractions[0] > 0.3
    assert ratio[taken & (focus == 1)] == pytest.approx(0.6, abs=1e-6)
    assert ratio[taken & (focus == 0)] == pytest.approx(1.0, abs=1e-6)
    assert not head_pet.focus_of(healthy, anatomy()).any()


def test_atrophy_turns_grey_matter_into_csf_and_leaves_white_matter() -> None:
    before, after = anatomy().fractions, head_pet.shrunken(anatomy(), state(atrophy=0.8)).fractions
    assert after[0].sum() < 0.93 * before[0].sum()
    assert np.array_equal(after[1], before[1])
    assert after.sum(0) == pytest.approx(before.sum(0))


def test_a_point_is_spread_by_the_scanner_and_its_activity_kept() -> None:
    point = np.zeros(SHAPE)
    point[24, 24, 12] = 1000.0
    seen = head_pet.measured(point, anatomy(), 8.0, 1e12, rng=stream("point"))
    assert seen.sum() == pytest.approx(1000.0, rel=0.02)
    line = seen[:, 24, 12]
    # Gaussian: at half its full width (here 1 voxel of 4 mm) it has half its height.
    assert line[25] / line[24] == pytest.approx(0.5, abs=0.03)


def test_noise_follows_the_counts() -> None:
    flat = np.full(SHAPE, 5.0)
    errors = [
        (head_pet.measured(flat, anatomy(), 6.0, counts, rng=stream("noise")) - 5.0)[8:-8, 8:-8, 6:-6].std()
        for counts in (1e6, 4e6)
    ]
    assert errors[0] == pytest.approx(2 * errors[1], rel=0.01)
    assert errors[0] / 5.0 == pytest.approx(np.sqrt(4000 / 1e6), rel=0.15)


def test_groups_differ_in_uptake_while_atrophy_alone_does_not_tell_them() -> None:
    drawn = [draw_dementia(rng=numpy_stream(0, "draw", i)) for i in range(300)]
    columns = [head_pet.columns(one) for one in drawn]
    ill = np.array([one["label.ad"] for one in columns], bool)
    precuneus = np.array([one["label.uptake_precuneus"] for one in columns])
    atrophy = np.array([one.atrophy for one in drawn])
    assert precuneus[ill].max() < 0.95
    assert np.median(precuneus[[one.group == "CN" for one in drawn]]) > 0.97
    assert atrophy[ill].min() < np.median(atrophy[~ill])  # the two groups overlap on MR
    assert np.mean([one.focus is not None for one in drawn]) == pytest.approx(0.25, abs=0.07)
    assert all(one.group == "MCI" for one in drawn if one.converts)


def test_t1_is_the_same_with_and_without_the_focus() -> None:
    atlas = load_atlas()
    with_focus = next(i for i in range(40) if draw_dementia(rng=numpy_stream(3, "brain-pet", i, "dementia")).focus)
    case = head_pet.subject(atlas, with_focus, seed=3, shape=(32, 32, 8), images=("t1", "pet"))
    assert case.images["mask.focus"].voxels.any() or case.labels["label.hidden"] == 1
    ill = draw_dementia(rng=numpy_stream(3, "brain-pet", with_focus, "dementia"))
    grid = head_grid((32, 32, 8), centre_z_mm=20.0)
    own = numpy_stream(3, "brain-pet", with_focus, "anatomy")
    body = new_subject(atlas, grid, push=(np.zeros(3), 20.0, 0.0), rng=own)
    without = head_pet.shrunken(body, replace(ill, focus=None))
    assert np.array_equal(without.fractions, head_pet.shrunken(body, ill).fractions)
    assert case.images["image.pet"].unit == "SUV"
    assert case.images["image.t1"].same_grid(case.images["image.pet"])
