"""Breasts by cone beam: chords and water worked by hand, what fewer views do, projections that stay as measured."""

from functools import cache

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.phantom import breast, breast_cbct
from radloom.phantom.breast import Mass
from radloom.phantom.simulation import Request
from radloom.random import numpy_stream
from radloom.types import Case

SHAPE = (48, 48, 30)


@cache
def case(index: int, variant: str = "images") -> Case:
    return breast_cbct.subject(index, Request(2, SHAPE, variant, breast_cbct.IMAGES))


def test_the_central_ray_of_a_ball_is_its_diameter() -> None:
    grid = breast.breast_grid((96, 96, 60))
    ball = breast.softened(30.0 - np.linalg.norm(grid.points_mm(), axis=0), grid.spacing_mm[0])
    seen = breast_cbct.line_integrals(0.02 * ball, SHAPE)
    geometry = breast_cbct.scanner(SHAPE)
    assert seen.shape == (48, 48, geometry.rows)
    assert geometry.angles[16] == pytest.approx(2 * np.pi / 3)
    middle = seen[:, 23:25, (geometry.rows - 1) // 2 : geometry.rows // 2 + 1]
    assert middle.mean() == pytest.approx(0.02 * 60, rel=0.01)
    assert seen[:, 0].max() == 0  # the detector is wider than the ball's shadow


@pytest.mark.parametrize("every", [1, 2, 3])
def test_water_reads_zero_whatever_the_views(every: int) -> None:
    x, y, _ = breast.breast_grid((96, 96, 60)).points_mm()
    water = breast.WATER * breast.softened(45.0 - np.hypot(x, y), 1.6)
    found = breast_cbct.reconstructed(breast_cbct.line_integrals(water.astype(np.float32), SHAPE), SHAPE, every)
    assert found[20:28, 20:28, 13:17].mean() == pytest.approx(0, abs=10)


def test_noise_is_that_of_the_photons() -> None:
    # Poisson and electronic noise of 10 photons^2 at exp(-2) of 1e4 photons.
    mean = 1e4 * np.exp(-2)
    found = breast_cbct.measured(np.full((40, 40, 40), 2.0), 1e4, rng=numpy_stream(0, "noise"))
    assert found.std() == pytest.approx(np.sqrt(mean + 10) / mean, rel=0.02)
    assert found.mean() == pytest.approx(2.0, abs=0.002)


def test_tissues_have_the_hounsfield_units_of_their_attenuation() -> None:
    # (0.02583 / 0.03190 - 1) * 1000 = -190 and (0.03336 / 0.03190 - 1) * 1000 = 46.
    # Most voxels of gland hold some fat; the pure ones are in the upper half.
    truth, gland = case(2).images["image.truth"].voxels, case(2).images["mask.gland"].voxels > 0
    inner = case(2).images["mask.breast"].voxels > 0
    assert np.quantile(truth[gland], 0.75) == pytest.approx(46, abs=12)
    assert np.quantile(truth[inner & ~gland], 0.3) == pytest.approx(-190, abs=8)
    assert np.median(truth[~inner]) == -1000


def test_fewer_views_leave_more_streaks() -> None:
    for index in range(3):
        images, inner = case(index).images, case(index).images["mask.breast"].voxels[..., 8:22] > 0
        full, half, third = (
            images[f"image.{key}"].voxels[..., 8:22].astype(float) for key in ("full", "half", "third")
        )
        away = [np.sqrt(np.mean((one - full)[inner] ** 2)) for one in (half, third)]
        assert 2 < away[0] < 0.75 * away[1]


def test_projections_keep_what_was_measured_and_fill_the_rest_by_lines() -> None:
    images = case(1, "projections").images
    geometry = breast_cbct.scanner(SHAPE)
    assert images["image.full"].shape == (geometry.cells, geometry.rows, len(geometry.angles))
    assert images["image.full"].spacing_mm[2] == pytest.approx(360 / 48)
    full = images["image.full"].voxels
    for key, every in (("half", 2), ("third", 3)):
        found, kept = images[f"image.{key}"].voxels, images[f"mask.{key}"].voxels > 0
        assert kept[0, 0].tolist() == [view % every == 0 for view in range(48)]
        assert np.array_equal(found[kept], full[kept])
        assert not np.array_equal(found[~kept], full[~kept])
    third = images["image.third"].voxels
    assert np.allclose(third[..., 1], (2 * full[..., 0] + full[..., 3]) / 3, atol=1e-5)
    assert np.allclose(third[..., 47], (full[..., 45] + 2 * full[..., 0]) / 3, atol=1e-5)  # over the circle's seam


def test_the_projections_are_those_that_the_images_are_made_from() -> None:
    stack = np.moveaxis(case(1, "projections").images["image.full"].voxels, -1, 0)
    again = breast_cbct.reconstructed(stack, SHAPE, 3)
    assert np.abs(again - case(1).images["image.third"].voxels).max() <= 1  # float32 on disk
    assert case(1, "projections").labels == case(1).labels


def test_masses_are_numbered_and_a_malignant_one_has_rays() -> None:
    grid = breast.breast_grid((96, 96, 60))
    masses = (Mass((0.0, 0.0, 10.0), 7.0, False), Mass((25.0, 0.0, 20.0), 7.0, True))
    habit = breast.Build((60.0, 58.0), 75.0, 0.2, masses, True)
    made = breast.build(grid, habit, rng=numpy_stream(0, "breast"))
    labels = breast.numbered(made.masses, grid.shape)
    assert set(np.unique(labels)) == {0, 1, 2}
    x, y, z = (int(np.abs(axis - at).argmin()) for axis, at in zip(grid.axes_mm(), (25.0, 0.0, 20.0), strict=True))
    assert labels[x, y, z] == 2
    smooth, rough = (np.count_nonzero((one > 0.1) & (one < 0.5)) for one in made.masses)
    assert rough > 1.5 * smooth
    assert 6 <= made.specks <= 24
    volume = made.calcium.sum() * np.prod(grid.spacing_mm)  # spheres of 0.2 to 0.5 mm
    assert made.specks * np.pi / 6 * 0.2**3 < volume < made.specks * np.pi / 6 * 0.5**3
    assert made.gland[labels == 0].mean() < 0.5


def test_subjects_differ_in_density_and_in_what_they_carry() -> None:
    drawn = [breast.draw_build(rng=numpy_stream(1, i)) for i in range(300)]
    assert 0.5 < np.mean([len(one.masses) > 0 for one in drawn]) < 0.7
    assert 0.2 < np.mean([one.calcified for one in drawn]) < 0.4
    assert {breast.density_class(one.gland) for one in drawn} == set("abcd")
    assert all(2.5 <= mass.radius <= 7.5 for one in drawn for mass in one.masses)


@pytest.mark.parametrize("shape", [(64, 48, 40), (8, 8, 5), (64, 64, 20), (64, 64, 64)])
def test_impossible_shapes_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(RadloomError, match="breast of shape"):
        breast.breast_grid(shape)
