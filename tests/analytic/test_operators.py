"""Known answers: discs and spheres in CT, counts and dose, dual energy, point spreads, coil maps and sampling masks."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators import ct, ct_dose, ct_reconstruct, image, mri, mri_masks, mri_sensitivity, pet, solvers, xray

DISC = ct.Parallel((121, 121), 0.7, ct.half_circle(720), 320, 0.7)  # the central 85 mm of a 200 mm disc
KERNELS = ("smooth", "standard", "bone", "sharp")


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disc_chords(geometry: ct.Parallel, radius_mm: float) -> Tensor:
    s = ct.centred(geometry.cells, geometry.cell_mm, torch.zeros((), dtype=torch.float32))
    p = 2 * ct_dose.WATER_PER_MM * torch.sqrt(torch.clamp(radius_mm**2 - s**2, min=0))
    return p.expand(1, 1, len(geometry.angles), -1)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_water_disc_of_200_mm_has_0_hu(kernel: str) -> None:
    x = ct_reconstruct.fbp(disc_chords(DISC, 100.0), DISC, kernel=getattr(ct_reconstruct, kernel))
    hu = ct_dose.mu_to_hu(x)[0, 0, 30:91, 30:91]
    assert abs(float(hu.mean())) < 2


@pytest.mark.parametrize(("kernel", "sd"), zip(KERNELS, (4.7, 8.9, 24, 32), strict=True))
def test_noise_of_the_water_disc_is_that_of_the_calibration(kernel: str, sd: float) -> None:
    p = ct_dose.noisy_scan(disc_chords(DISC, 100.0), photons=2.5e5, rng=stream(1))
    hu = ct_dose.mu_to_hu(ct_reconstruct.fbp(p, DISC, kernel=getattr(ct_reconstruct, kernel)))[0, 0, 30:91, 30:91]
    assert float(hu.std()) == pytest.approx(sd, rel=0.10)


def test_a_lower_dose_inserted_into_a_scan_has_the_noise_of_a_scan_at_that_dose() -> None:
    p = torch.full((200_000,), 5.0, dtype=torch.float64)
    full = ct_dose.noisy_scan(p, photons=1e5, rng=stream(1))
    inserted = ct_dose.low_dose(full, fraction=0.25, photons=1e5, rng=stream(2))
    scanned = ct_dose.noisy_scan(p, photons=2.5e4, rng=stream(3))
    assert float(inserted.std()) == pytest.approx(float(scanned.std()), rel=0.02)
    torch.testing.assert_close(ct_dose.low_dose(full, fraction=1.0, photons=1e5, rng=stream()), full)


def test_line_integrals_through_a_sphere_are_its_chords_in_every_geometry() -> None:
    n, radius = 41, 14.0
    x = ct.centred(n, 1.0, torch.zeros((), dtype=torch.float64))
    distance = torch.stack(torch.meshgrid(x, x, x, indexing="ij")).square().sum(0).sqrt()
    sphere = torch.clamp(radius + 0.5 - distance, 0, 1)[None, None]
    cone = ct.Cone((n, n, n), 1.0, ct.full_circle(5), 21, 3.0, 9, 3.0, 100.0, 200.0)
    fan = ct.Fan((n, n), 1.0, ct.full_circle(5), 21, 3.0, 100.0, 200.0)
    y = ct.Projector(cone)(sphere)[0, 0]
    u, v = (ct.centred(k, 3.0, x)[:, None] for k in (21, 9))
    miss = 100.0 * torch.sqrt((u**2 + v.T**2) / (200.0**2 + u**2 + v.T**2))  # distance of the ray from the centre
    chords = 2 * torch.sqrt(torch.clamp(radius**2 - miss**2, min=0))
    away = (miss - radius).abs() > 1.5
    assert float((y - chords)[:, away].abs().max()) < 0.6
    torch.testing.assert_close(ct.Projector(fan)(sphere[..., n // 2])[0, 0], y[..., 4])


def test_fdk_gives_a_sphere_back_and_full_views_are_sparse_views_of_one() -> None:
    n = 31
    x = ct.centred(n, 1.0, torch.zeros(()))
    distance = torch.stack(torch.meshgrid(x, x, x, indexing="ij")).square().sum(0).sqrt()
    sphere = (0.02 * torch.clamp(10.5 - distance, 0, 1))[None, None]
    cone = ct.Cone((n, n, n), 1.0, ct.full_circle(90), 45, 1.5, 31, 1.5, 100.0, 150.0)
    fan = ct.Fan((n, n), 1.0, ct.full_circle(90), 45, 1.5, 100.0, 150.0)
    y = ct.Projector(cone)(sphere)
    back = ct_reconstruct.fdk(y, cone)[0, 0]
    assert float(back[13:18, 13:18, 13:18].mean()) == pytest.approx(0.02, rel=0.01)
    assert float(back[0:3, 13:18, 13:18].abs().mean()) < 0.0006
    flat = ct_reconstruct.fdk(ct.Projector(fan)(sphere[..., 15]), fan)[0, 0]
    assert float(flat[13:18, 13:18].mean()) == pytest.approx(0.02, rel=0.01)
    torch.testing.assert_close(back[..., 15], flat, atol=4e-4, rtol=0)
    torch.testing.assert_close(ct_reconstruct.fdk(y[:, :, ::1], ct.sparse(cone, 1))[0, 0], back)
    torch.testing.assert_close(ct.Projector(ct.sparse(cone, 3))(sphere), y[:, :, ::3])


def test_bone_cancels_in_the_soft_tissue_image_and_soft_tissue_in_the_bone_image() -> None:
    hu = torch.full((1, 1, 8, 60), -1000.0)
    hu[..., 10:50] = 40.0
    boned = hu.clone()
    boned[..., 4:, 20:24] = 1558.0  # 8 mm of bone, in place of soft tissue
    rays = xray.Projection(1, 60, 2.0)
    for low, high in (("60 kVp", "120 kVp"), ("60 kVp", "120 kVp, 1 mm Cu")):
        pair = {"low": xray.BEAMS[low], "high": xray.BEAMS[high]}
        t = xray.thickness(boned, rays)
        assert float(t.bone[0, 0, 7]) == pytest.approx(8.0)
        e = xray.expose(t, **pair)
        soft = xray.soft_tissue_image(e, **pair)
        expected = xray.soft_tissue_image(xray.expose(xray.Thickness(t.soft, 0 * t.bone), **pair), **pair)
        assert float((soft - expected).abs().max()) < 0.02 * float(e.high.max() - e.high.min())
        bones = xray.bone_image(e, **pair)
        assert float(bones[..., :4].abs().max()) < 0.02 * float(bones.max())
    assert xray.BEAMS["120 kVp"].bone / xray.BEAMS["60 kVp"].bone == pytest.approx(0.576, abs=5e-4)
    assert xray.BEAMS["120 kVp"].soft / xray.BEAMS["60 kVp"].soft == pytest.approx(0.809, abs=5e-4)


def test_counts_of_a_pet_sinogram_follow_poisson() -> None:
    y = pet.counted(torch.ones(2, 1, 50, 50), counts=2500 * 400.0, rng=stream())
    assert float(y.std()) == pytest.approx(1 / 20, rel=0.05)
    assert float(y.mean()) == pytest.approx(1, abs=0.002)


def test_k_space_crop_keeps_a_constant_and_what_is_band_limited() -> None:
    A = mri.KSpaceCrop((16, 16), (8, 8))
    torch.testing.assert_close(A(torch.full((1, 1, 16, 16), 3.0)).real, torch.full((1, 1, 8, 8), 3.0))
    wave = torch.cos(2 * math.pi * torch.arange(16.0) / 16).expand(1, 1, 16, 16)
    torch.testing.assert_close(A(wave).real, wave[..., ::2, ::2], atol=1e-5, rtol=0)


def test_espirit_finds_the_maps_that_made_the_k_space() -> None:
    n = 48
    maps = mri_sensitivity.loops((n, n), coils=6)
    x, z = torch.meshgrid(*(torch.arange(n) - n // 2,) * 2, indexing="ij")
    body = (x**2 / 18**2 + z**2 / 15**2 < 1).float() * (1 + 0.3 * torch.sin(x / 3.0) * torch.cos(z / 2.0))
    y = mri.MultiCoil(torch.ones(1, 1, n, n), maps)(body[None, None].to(torch.complex64))
    found = mri_sensitivity.espirit(y, centre=(24, 24))
    alike = (found.conj() * maps).sum(1).abs()[0]  # 1 where the maps are equal up to a phase
    inside = x**2 / 16**2 + z**2 / 13**2 < 1
    assert float(alike[inside].min()) > 0.99
    assert float((found[0, :, 0, 0].abs()).max()) == 0  # no signal in the corner


def test_sense_recovers_the_image_from_every_second_line_and_wavelets_beat_zero_filling() -> None:
    n = 32
    maps = mri_sensitivity.loops((n, n), coils=6)
    x = torch.zeros(1, 1, n, n, dtype=torch.complex64)
    x[..., 8:24, 6:26] = 1.0
    x[..., 12:18, 12:20] = 2.0
    half = torch.zeros(1, 1, n, n)
    half[..., ::2] = 1
    A = mri.MultiCoil(half, maps)
    error = torch.linalg.vector_norm(A.pinv(A(x)) - x) / torch.linalg.vector_norm(x)
    assert float(error) < 1e-2
    mask = mri_masks.gaussian_points((n, n), acceleration=3.0, centre_fraction=0.12, rng=stream(4))
    B = mri.SingleCoil(mask)
    found = solvers.wavelet_least_squares(B, B(x), weight=0.02, levels=3, rng=stream())
    assert torch.linalg.vector_norm(found - x) < 0.7 * torch.linalg.vector_norm(B.pinv(B(x)) - x)


@pytest.mark.parametrize(("acceleration", "fraction", "low"), [(4.0, 0.08, 26), (8.0, 0.04, 13)])
def test_line_masks_have_their_centre_and_their_acceleration(acceleration: float, fraction: float, low: int) -> None:
    settings = {"acceleration": acceleration, "centre_fraction": fraction}
    start = (320 - low + 1) // 2
    taken = []
    for draw in (mri_masks.random_lines, mri_masks.equispaced_lines, mri_masks.gaussian_lines):
        masks = torch.stack([draw((2, 320), **settings, rng=stream(seed)) for seed in range(40)])
        assert bool((masks[..., start : start + low] == 1).all())
        assert bool((masks[..., 0, :] == masks[..., 1, :]).all())
        taken.append(float(masks.mean()) * acceleration)
    assert taken == pytest.approx([1, 1, 1], abs=0.06)


def test_points_of_a_poisson_disc_keep_their_distance_and_thin_out() -> None:
    mask = mri_masks.poisson_disc((64, 64), acceleration=6.0, centre_fraction=0.0, rng=stream())[0, 0].numpy()
    points = np.argwhere(mask > 0)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
    far = np.linalg.norm(points - 32, axis=1) > 24
    assert apart.min(1)[far].min() >= 2.0
    assert np.median(apart.min(1)[far]) > np.median(apart.min(1)[np.linalg.norm(points - 32, axis=1) < 8])
    assert mask.mean() * 6 == pytest.approx(1, abs=0.03)


def test_noise_of_k_space_is_that_of_the_image_and_stays_on_the_samples() -> None:
    mask = torch.ones(1, 1, 128, 128)
    mask[..., ::2] = 0
    y = mri.add_noise(torch.zeros(1, 1, 128, 128), sd=0.5, mask=mask, rng=stream())
    assert bool((y[..., ::2] == 0).all())
    assert float(y[..., 1::2].real.std()) == pytest.approx(0.5, rel=0.03)
    assert float(mri.inverse_fourier(y, 2).imag.std()) == pytest.approx(0.5 / math.sqrt(2), rel=0.03)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: mri_masks.random_lines((8, 8), acceleration=1.0, centre_fraction=0.1, rng=stream()),
        lambda: mri_masks.gaussian_points((8, 8), acceleration=8.0, centre_fraction=0.9, rng=stream()),
        lambda: ct_dose.noisy_scan(torch.zeros(3), photons=0.0, rng=stream()),
        lambda: ct_dose.noisy_scan(torch.tensor([math.nan]), photons=1e4, rng=stream()),
        lambda: ct_dose.low_dose(torch.zeros(3), fraction=1.5, photons=1e4, rng=stream()),
        lambda: ct_reconstruct.fbp(torch.zeros(1, 1, 3, 320), DISC),
        lambda: ct_reconstruct.fbp(torch.full((1, 1, 720, 320), math.nan), DISC),
        lambda: pet.counted(torch.zeros(1, 1, 4), counts=100.0, rng=stream()),
        lambda: image.gaussian_blur((8,), fwhm_mm=-1.0, spacing_mm=(1.0,)),
        lambda: image.downsample((9,), (2,)),
        lambda: mri.KSpaceCrop((8,), (9,)),
        lambda: mri_sensitivity.espirit(torch.zeros(1, 2, 16, 16) + 0j, centre=(8, 8)),
        lambda: solvers.tikhonov(image.Mask(torch.ones(1)), torch.ones(1, 1, 4), weight=-1.0),
        lambda: solvers.least_squares(image.Mask(torch.ones(1)), torch.full((1, 1, 4), math.nan)),
        lambda: xray.display(torch.zeros(3), window=(1.0, 0.0)),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(ask) -> None:
    with pytest.raises(RadloomError) as error:
        ask()
    assert "\n" not in str(error.value)
