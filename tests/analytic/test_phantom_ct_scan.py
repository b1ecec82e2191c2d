"""The simulated CT scanner: noise of water discs against the table, kernels, dose and streaks."""

import numpy as np
import pytest

from radloom.phantom.ct_scan import Kernel, Protocol, bone, ct_scan, noise_hu, sharp, smooth, standard
from radloom.phantom.fields import Grid
from radloom.phantom.solids import body_grid

GRID = body_grid((128, 128, 12), (380.0, 380.0, 60.0))
# Standard deviation in HU at the centre of a water disc at 2.5e5 photons, of filtered back-projections with 720 views
# and 0.7 mm cells (SYSTEMS-direct 4.4): rows are discs of 200 and 300 mm.
TABLE: dict[Kernel, tuple[float, float]] = {
    smooth: (4.7, 12.0),
    standard: (8.9, 23.0),
    bone: (24.0, 62.0),
    sharp: (32.0, 84.0),
}


def disc(grid: Grid, diameter_mm: float) -> np.ndarray:
    x, y, _ = grid.points_mm()
    return np.where(np.hypot(x, y) < diameter_mm / 2, 0.0, -1000.0)


def centre(grid: Grid, radius_mm: float = 20.0) -> np.ndarray:
    x, y, _ = grid.points_mm()
    return np.hypot(x, y) < radius_mm


@pytest.mark.parametrize("kernel", TABLE)
def test_noise_of_a_water_disc_is_within_a_tenth_of_the_table(kernel: Kernel) -> None:
    for diameter, expected in zip((200.0, 300.0), TABLE[kernel], strict=True):
        noise = noise_hu(disc(GRID, diameter), GRID, Protocol(kernel, 2.5e5), rng=np.random.default_rng(1))
        assert noise[centre(GRID)].std() == pytest.approx(expected, rel=0.11)


def test_noise_has_no_mean_and_falls_with_the_root_of_the_dose() -> None:
    hu = disc(GRID, 250.0)
    high, low = (
        noise_hu(hu, GRID, Protocol(standard, photons), rng=np.random.default_rng(2)) for photons in (1e6, 2.5e5)
    )
    assert abs(high.mean()) < 0.05
    assert low[centre(GRID)].std() / high[centre(GRID)].std() == pytest.approx(2.0, rel=0.02)


def test_few_photons_add_electronic_noise() -> None:
    # Quantum noise alone would grow by 10 from 1e6 to 1e4; variance N + 10 at the centre's N = 1e4 exp(-5.79) = 30.7
    # photons gives sqrt(1 + 10 / 30.7) = 1.15 times more; rays beside the axis are longer or shorter than 300 mm.
    hu = disc(GRID, 300.0)
    many, few = (
        noise_hu(hu, GRID, Protocol(standard, photons), rng=np.random.default_rng(2)) for photons in (1e6, 1e4)
    )
    assert few[centre(GRID, 10)].std() / many[centre(GRID, 10)].std() == pytest.approx(11.5, rel=0.03)


@pytest.mark.parametrize("kernel", TABLE)
def test_every_kernel_keeps_the_mean(kernel: Kernel) -> None:
    assert kernel(np.array([0.0]))[0] == 1.0
    seen = ct_scan(disc(GRID, 200.0), GRID, Protocol(kernel, 1e9), rng=np.random.default_rng(0))
    assert seen[centre(GRID, 40)].mean() == pytest.approx(0.0, abs=2.0)


def test_a_sharp_kernel_overshoots_at_an_edge_and_a_smooth_one_does_not() -> None:
    hu = disc(GRID, 200.0)
    peak = {k: int(ct_scan(hu, GRID, Protocol(k, 1e9), rng=np.random.default_rng(0)).max()) for k in (smooth, sharp)}
    assert peak[sharp] > 80
    assert peak[smooth] < 40


def test_noise_streaks_along_the_longer_axis_of_a_body() -> None:
    x, y, _ = GRID.points_mm()
    hu = np.where((x / 170) ** 2 + (y / 90) ** 2 < 1, 0.0, -1000.0)
    noise = noise_hu(hu, GRID, Protocol(standard, 1e5), rng=np.random.default_rng(3))
    inside = noise[44:84, 54:74]
    along_x = np.diff(inside, axis=0).std()
    along_y = np.diff(inside, axis=1).std()
    assert along_y > 1.3 * along_x  # rays along x are the noisy ones: they differ from row to row


def test_noise_is_correlated_as_the_kernel_says() -> None:
    lag = {}
    for kernel in (smooth, bone):
        noise = noise_hu(disc(GRID, 200.0), GRID, Protocol(kernel, 2.5e5), rng=np.random.default_rng(4))
        here, next_ = noise[54:74, 54:74], noise[55:75, 54:74]
        lag[kernel] = np.corrcoef(here.ravel(), next_.ravel())[0, 1]
        slices = np.corrcoef(noise[54:74, 54:74, 0].ravel(), noise[54:74, 54:74, 1].ravel())[0, 1]
        assert abs(slices) < 0.15
    assert lag[smooth] > 0.5
    assert lag[bone] < lag[smooth] - 0.3


def test_values_are_clipped_to_what_a_scanner_stores() -> None:
    hu = np.full(GRID.shape, 5000.0)
    seen = ct_scan(hu, GRID, Protocol(smooth, 1e12), rng=np.random.default_rng(0))
    assert seen.dtype == np.int16
    assert seen.max() == 3071
