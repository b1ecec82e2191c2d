"""Every operator in 2D and 3D: adjoint, linear, pseudo-inverse, dtype, gradients, and a batch equals its singles."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from radloom.errors import RadloomError
from radloom.operators import ct, image, mri, mri_masks, mri_sensitivity, pet, xray
from radloom.operators.base import LinearOperator


def drawn(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@dataclass(frozen=True)
class Item:
    build: Callable[[], LinearOperator]
    shape: tuple[int, ...]
    complex_image: bool = False
    precision: float = 1e-6  # of A A^+ A x = A x in float64


def lines(*size: int) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    return mri_masks.random_lines(size, acceleration=2.0, centre_fraction=0.3, rng=rng)


def multi_coil(*size: int) -> LinearOperator:
    return mri.MultiCoil(lines(*size), mri_sensitivity.loops(size, coils=4).to(torch.complex128))


PARALLEL = ct.Parallel((9, 8), 1.3, ct.half_circle(7), 12, 1.1)
FAN = ct.Fan((9, 8), 1.3, ct.full_circle(7), 12, 2.2, 40.0, 80.0)
CONE = ct.Cone((7, 7, 5), 1.3, ct.full_circle(5), 9, 2.2, 6, 2.2, 40.0, 80.0)
ITEMS = {
    "mask": Item(lambda: image.inpainting(drawn((1, 1, 6, 7)) > 0), (2, 6, 7)),
    "mask, 3D": Item(lambda: image.inpainting(drawn((1, 1, 6, 7, 4)) > 0), (2, 6, 7, 4)),
    "blur": Item(lambda: image.gaussian_blur((9, 8), fwhm_mm=2.0, spacing_mm=(1.0, 1.5)), (2, 9, 8)),
    "blur, 3D": Item(lambda: image.gaussian_blur((9, 8, 5), fwhm_mm=2.0, spacing_mm=(1.0, 1.5, 2.0)), (1, 9, 8, 5)),
    "downsample": Item(lambda: image.downsample((8, 6), (2, 3)), (2, 8, 6)),
    "downsample, 3D": Item(lambda: image.downsample((8, 6, 5), (2, 3, 1)), (2, 8, 6, 5)),
    "single coil": Item(lambda: mri.SingleCoil(lines(7, 10)), (2, 7, 10), complex_image=True),
    "single coil, 3D": Item(lambda: mri.SingleCoil(lines(4, 5, 12)), (1, 4, 5, 12), complex_image=True),
    "multi-coil": Item(lambda: multi_coil(7, 10), (1, 7, 10), complex_image=True, precision=1e-5),
    "multi-coil, 3D": Item(lambda: multi_coil(4, 5, 12), (1, 4, 5, 12), complex_image=True, precision=1e-5),
    "k-space crop": Item(lambda: mri.KSpaceCrop((8, 9), (5, 4)), (2, 8, 9), complex_image=True),
    "k-space crop, 3D": Item(lambda: mri.KSpaceCrop((8, 9, 5), (5, 4, 5)), (1, 8, 9, 5), complex_image=True),
    "slab": Item(lambda: mri.slab((8, 6), axis=0, voxels=4), (2, 8, 6)),
    "slices, 3D": Item(lambda: mri.gaussian_slices((4, 5, 12), axis=2, fwhm_voxels=3.0, apart_voxels=3), (1, 4, 5, 12)),
    "parallel": Item(lambda: ct.Projector(PARALLEL), (2, 9, 8), precision=1e-4),
    "parallel, 3D": Item(lambda: ct.Projector(PARALLEL), (1, 9, 8, 3), precision=1e-4),
    "fan": Item(lambda: ct.Projector(FAN), (2, 9, 8), precision=1e-4),
    "fan, 3D": Item(lambda: ct.Projector(FAN), (1, 9, 8, 3), precision=1e-4),
    "cone, 3D": Item(lambda: ct.Projector(CONE), (2, 7, 7, 5), precision=1e-4),
    "projection": Item(lambda: xray.Projection(1, 8, 0.5), (2, 6, 8)),
    "projection, 3D": Item(lambda: xray.Projection(2, 4, 0.5), (2, 6, 8, 4)),
    "detector": Item(lambda: xray.DetectorMTF(1.5, 0.2), (2, 6, 9)),
    "detector, 3D": Item(lambda: xray.DetectorMTF(1.5, 0.2), (2, 6, 9, 4)),
    "PET attenuation": Item(lambda: pet.Attenuation(drawn((1, 1, 6, 7)).abs()), (2, 6, 7)),
    "PET attenuation, 3D": Item(lambda: pet.Attenuation(drawn((1, 1, 6, 7, 3)).abs()), (2, 6, 7, 3)),
    "a chain": Item(
        lambda: ct.Projector(PARALLEL) @ image.gaussian_blur((9, 8), fwhm_mm=2.0, spacing_mm=(1.0, 1.0)),
        (1, 9, 8),
        precision=1e-4,
    ),
}
each_item = pytest.mark.parametrize("name", ITEMS)


def made(name: str, batch: int = 2, seed: int = 1) -> tuple[LinearOperator, Tensor]:
    item = ITEMS[name]
    dtype = torch.complex128 if item.complex_image else torch.float64
    return item.build(), drawn((batch, *item.shape), dtype, seed)


def inner(a: Tensor, b: Tensor) -> complex:
    return complex((a.conj() * b).sum())


@each_item
def test_the_adjoint_keeps_the_inner_product(name: str) -> None:
    A, x = made(name)
    y = drawn(A(x).shape, A(x).dtype, 2)
    assert abs(inner(A(x), y) - inner(x, A.adjoint(y))) < 1e-10 * abs(inner(A(x), A(x)))


@each_item
def test_an_operator_is_linear(name: str) -> None:
    A, x = made(name)
    other = made(name, seed=5)[1]
    torch.testing.assert_close(A(2.5 * x - other), 2.5 * A(x) - A(other), rtol=1e-10, atol=1e-10)


@each_item
def test_the_pseudo_inverse_fits_what_was_measured_and_adds_nothing(name: str) -> None:
    A, x = made(name, batch=1)
    y = A(x)
    back = A.pinv(y)
    assert torch.linalg.vector_norm(A(back) - y) < ITEMS[name].precision * torch.linalg.vector_norm(y)
    assert torch.linalg.vector_norm(back) <= torch.linalg.vector_norm(x) * (1 + 1e-6)  # of least norm


@each_item
def test_a_batch_equals_its_singles(name: str) -> None:
    A, x = made(name)
    torch.testing.assert_close(A(x)[1:], A(x[1:]), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(A.adjoint(A(x))[1:], A.adjoint(A(x[1:])), rtol=1e-10, atol=1e-10)


@each_item
def test_precision_follows_the_input(name: str) -> None:
    A, x = made(name)
    low = x.to(torch.complex64 if x.is_complex() else torch.float32)
    y = A(low)
    assert torch.finfo(y.dtype).bits == 32
    assert torch.finfo(A.adjoint(y).dtype).bits == 32
    assert torch.finfo(A(x).dtype).bits == 64
    torch.testing.assert_close(y, A(x).to(y.dtype), rtol=1e-4, atol=1e-4)


@each_item
def test_device_follows_the_input(name: str) -> None:
    A, x = made(name)
    assert A(x).device == x.device
    if name not in ("a chain",) and not name.startswith(("parallel", "fan", "cone")):  # `meta` computes shapes only
        assert A(x.to("meta")).device.type == "meta"


@each_item
def test_gradients_run_through_an_operator_and_its_adjoint(name: str) -> None:
    A, x = made(name)
    x.requires_grad_()
    y = A(x)
    (grad,) = torch.autograd.grad(0.5 * y.abs().square().sum(), x, create_graph=True)
    torch.testing.assert_close(grad, A.adjoint(y), rtol=1e-8, atol=1e-8)
    (second,) = torch.autograd.grad(grad.abs().square().sum(), x)
    assert torch.isfinite(second.abs()).all()
    assert second.abs().max() > 0


@each_item
def test_an_image_of_another_grid_is_refused_or_does_not_broadcast(name: str) -> None:
    A, x = made(name)
    if isinstance(A, xray.DetectorMTF):
        pytest.skip("fits any grid")
    wrong = torch.zeros(2, x.shape[1], *(n + 3 for n in x.shape[2:]), dtype=x.dtype)
    with pytest.raises((RadloomError, RuntimeError)):
        A(wrong)


def test_real_and_imaginary_channels_pair_into_a_complex_image() -> None:
    A, x = mri.Paired(), drawn((2, 4, 5, 6))
    y = drawn((2, 2, 5, 6), torch.complex128)
    assert A(x)[0, 1, 2, 3] == complex(x[0, 2, 2, 3], x[0, 3, 2, 3])
    assert inner(A(x), y).real == pytest.approx(inner(x, A.adjoint(y)).real, rel=1e-12)
    torch.testing.assert_close(A.pinv(A(x)), x)
