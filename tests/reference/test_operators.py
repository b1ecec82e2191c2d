"""Operators against NumPy, PyWavelets and scikit-image, and the examples in their docstrings."""

import doctest
import importlib

import numpy as np
import pytest
import pywt
import torch
from skimage.transform import iradon, radon

from radloom.operators import ct, ct_reconstruct, mri, wavelets

MODULES = (
    "solvers", "wavelets", "image", "mri", "mri_masks", "mri_sensitivity",
    "ct", "ct_reconstruct", "ct_dose", "pet", "xray",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_of_the_operators_has_an_example_that_runs(name: str) -> None:
    module = importlib.import_module(f"radloom.operators.{name}")
    with_examples = {test.name.split(".")[-1] for test in doctest.DocTestFinder().find(module) if test.examples}
    public = {
        key
        for key, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and getattr(value, "__module__", "") == module.__name__
        if not key.startswith("_")
    }
    assert public <= with_examples, f"without an example: {public - with_examples}"
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


@pytest.mark.parametrize("size", [(7, 8), (5, 6, 9)])
def test_the_fourier_transform_is_numpys_centred_and_orthonormal(size: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(size) + 1j * np.random.default_rng(1).standard_normal(size)
    theirs = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(x), norm="ortho"))
    ours = mri.fourier(torch.from_numpy(x)[None, None], len(size))[0, 0].numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_wavelet_transform_is_pywavelets() -> None:
    x = np.random.default_rng(0).standard_normal((32, 24))
    coarse, (details,) = wavelets.forward(torch.from_numpy(x)[None, None], 1)
    # PyWavelets starts its periodic filters three samples later and turns the sign of the high band
    theirs, others = pywt.dwt2(np.roll(x, (-3, -3), (0, 1)), "db4", mode="periodization")
    np.testing.assert_allclose(coarse[0, 0].numpy(), theirs, atol=1e-12)
    along_first, along_second, both = others
    for ours, other in zip(details, (along_second, along_first, both), strict=True):
        np.testing.assert_allclose(np.abs(ours[0, 0].numpy()), np.abs(other), atol=1e-12)


def test_the_wavelet_transform_of_a_volume_keeps_energy_and_is_inverted_exactly() -> None:
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 1, 16, 8, 12)))
    coarse, details = wavelets.forward(x, 2)
    energy = coarse.square().sum() + sum(band.square().sum() for level in details for band in level)
    assert float(energy) == pytest.approx(float(x.square().sum()), rel=1e-12)
    torch.testing.assert_close(wavelets.inverse(coarse, details), x, atol=1e-12, rtol=0)


def blobs(n: int) -> np.ndarray:
    """A smooth image within the inscribed circle."""
    x, y = np.meshgrid(*(np.arange(n) - (n - 1) / 2,) * 2, indexing="ij")
    one = np.exp(-((x - 0.1 * n) ** 2 + (y + 0.15 * n) ** 2) / (2 * (0.08 * n) ** 2))
    return one + 0.6 * np.exp(-((x + 0.12 * n) ** 2 + (y - 0.05 * n) ** 2) / (2 * (0.1 * n) ** 2))


def test_parallel_projections_are_scikit_images_radon() -> None:
    n, views = 65, 24  # odd: scikit-image rotates about n // 2
    image = blobs(n)
    geometry = ct.Parallel((n, n), 1.0, ct.half_circle(views), n, 1.0)
    ours = ct.Projector(geometry)(torch.from_numpy(image)[None, None])[0, 0].numpy()
    # scikit-image rotates rows downwards: its angle runs the other way round and its detector along the columns
    theirs = radon(image.T, np.rad2deg(-np.array(geometry.angles)), circle=True).T
    error = np.abs(ours - theirs).max()
    assert error < 0.01 * ours.max()


def test_filtered_back_projection_is_scikit_images() -> None:
    n, views = 65, 90
    geometry = ct.Parallel((n, n), 1.0, ct.half_circle(views), n, 1.0)
    y = ct.Projector(geometry)(torch.from_numpy(blobs(n))[None, None])
    x, z = np.meshgrid(*(np.arange(n) - n // 2,) * 2, indexing="ij")
    inside = np.hypot(x, z) < 0.45 * n
    for kernel, name in ((ct_reconstruct.bone, "ramp"), (ct_reconstruct.standard, "hann")):
        ours = ct_reconstruct.fbp(y, geometry, kernel=kernel)[0, 0].numpy()
        degrees = np.rad2deg(np.array(geometry.angles))
        theirs = iradon(y[0, 0].numpy().T, -degrees, filter_name=name, circle=True).T
        error = np.abs((ours - theirs)[inside]).max()
        assert error < 0.01
