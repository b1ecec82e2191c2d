"""The Haar transform against hand and its algebra; a model of bands against the model of the whole image."""

import doctest
import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import paths, predictions, wavelet
from radloom.models.closed_form import TrainingMean
from radloom.models.diffusion import Diffusion
from radloom.models.latent import relative_error
from radloom.models.model import Batch
from radloom.models.wavelet import Wavelet, bands, image
from radloom.networks import haar as transform
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.haar import haar, inverse_haar
from radloom.operators.base import LinearOperator, Measurement
from radloom.random import torch_stream
from radloom.samplers import grids, stochastic

NOTHING = Given()
SHAPES = [(4, 6), (5, 7), (1, 2), (4, 6, 2), (5, 3, 7), (1, 1, 1)]


def some(shape: tuple[int, ...], channels: int = 2) -> Tensor:
    return torch.randn(2, channels, *shape, generator=torch_stream(0), dtype=torch.float64)


def by_hand(x: Tensor) -> Tensor:
    """Sums and differences of neighbours along one axis after the other (b, c, *s), even axes."""
    dims = x.ndim - 2
    found = []
    for signs in product((1, -1), repeat=dims):
        z = x
        for axis, sign in enumerate(signs, start=2):
            first = z.index_select(axis, torch.arange(0, z.shape[axis], 2))
            second = z.index_select(axis, torch.arange(1, z.shape[axis], 2))
            z = (first + sign * second) / math.sqrt(2)
        found.append(z)
    return torch.stack(found, dim=2).flatten(1, 2)


@pytest.mark.parametrize("shape", [(4, 6), (2, 2), (4, 6, 2), (2, 4, 4)])
def test_bands_are_sums_and_differences_along_each_axis_in_turn(shape: tuple[int, ...]) -> None:
    torch.testing.assert_close(haar(some(shape)), by_hand(some(shape)))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_image_comes_back_whole_odd_axes_too(shape: tuple[int, ...]) -> None:
    x = some(shape)
    z = haar(x)
    assert z.shape == (2, 2 * 2 ** len(shape), *(-(-n // 2) for n in shape))
    torch.testing.assert_close(inverse_haar(z, shape), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(image(bands(x), shape), x, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 6), (4, 2, 6)])
def test_the_transform_keeps_energy_and_angles(shape: tuple[int, ...]) -> None:
    x, y = some(shape), some(shape).roll(1, -1)
    axes = tuple(range(1, x.ndim))
    torch.testing.assert_close((haar(x) * haar(y)).sum(axes), (x * y).sum(axes))
    torch.testing.assert_close(haar(x).square().sum(axes), x.square().sum(axes))


def test_white_noise_is_as_white_in_the_bands() -> None:
    z = haar(torch.randn(4, 1, 64, 64, 32, generator=torch_stream(1))).movedim(1, 0).flatten(1)
    torch.testing.assert_close(z @ z.T / z.shape[1], torch.eye(8), rtol=0, atol=0.02)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_constant_lies_in_the_coarse_band_as_itself_and_an_edge_in_one_detail(dims: int) -> None:
    z = bands(torch.full((1, 1, *(4,) * dims), 0.7))
    assert z[:, 0].unique().tolist() == pytest.approx([0.7])
    assert float(z[:, 1:].abs().max()) < 1e-7
    stripes = torch.tensor([1.0, 0.0]).repeat(2).expand(1, 1, *(4,) * dims)  # along the last axis
    z = bands(stripes)
    assert z[:, 1].unique().tolist() == pytest.approx([2 ** (dims / 2) / 2])
    assert float(z[:, 2:].abs().max()) < 1e-7


def test_nothing_is_lost_by_the_measure_that_gates_an_autoencoder() -> None:
    class Codec:
        def encode(self, x: Tensor) -> Tensor:
            return bands(x)

        def decode(self, z: Tensor, size: tuple[int, ...]) -> Tensor:
            return image(z, size)

        def latent_shape(self, size: tuple[int, ...]) -> tuple[int, ...]:
            return (2 ** len(size), *(-(-n // 2) for n in size))

    x = some((5, 7)).float()
    assert relative_error(Codec(), [Batch(x, NOTHING, torch.ones(2, 1, 5, 7, dtype=torch.bool))]) < 1e-6


def denoiser(dims: int, width: int) -> Diffusion:
    bands_of = 2**dims
    network = DiffusionUNet(dims, bands_of, bands_of, (width, width), patch=1)
    return Diffusion(network, paths.cosine(), predictions.image, sampler=stochastic.ddim(0.0),
                     sigmas=grids.karras(3, 0.02, 50.0))  # fmt: skip


@pytest.mark.parametrize("shape", [(7, 8), (6, 5, 4)])
def test_the_mean_of_bands_is_the_mean_of_images_inside_the_mask(shape: tuple[int, ...]) -> None:
    x = some(shape).float()
    region = torch.ones(2, 1, *shape, dtype=torch.bool)
    model = Wavelet(TrainingMean(2 * 2 ** len(shape)))
    model.begin(lambda: [Batch(x, NOTHING, region)])
    drawn = model.sample(NOTHING, (2, 2, *shape), rng=torch_stream(0))
    torch.testing.assert_close(drawn, x.mean(0, keepdim=True).expand_as(x))
    mask = torch.zeros(2, 1, *shape)
    mask[..., :3] = 1
    inside = model.sample(Given(mask=mask), (2, 2, *shape), rng=torch_stream(0))
    torch.testing.assert_close(inside, drawn * mask)


def test_the_inner_model_sees_bands_of_the_image_and_the_cells_that_a_mask_touches() -> None:
    class Listens(nn.Module):
        heard: Given

        def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
            self.heard = given
            return x

    inner = Diffusion(Listens(), paths.cosine(), predictions.image, sampler=stochastic.ddim(0.0),
                      sigmas=grids.karras(3, 0.02, 50.0))  # fmt: skip
    mask = torch.zeros(1, 1, 4, 5)
    mask[0, 0, 1, 4] = 1
    given = Given(image=some((4, 5)).float()[:1], mask=mask, label=torch.ones(1, 1))
    Wavelet(inner).sample(given, (1, 1, 4, 5), rng=torch_stream(0))
    network = inner.network
    assert isinstance(network, Listens)
    heard = network.heard
    assert heard.image is not None
    assert heard.mask is not None
    torch.testing.assert_close(image(heard.image, (4, 5)), given.image)
    assert heard.mask.tolist() == [[[[0, 0, 1], [0, 0, 0]]]]
    assert heard.label is given.label
    assert Wavelet(inner).loss(some((4, 5), 1).float()[:1], Given(mask=mask * float("nan")), turn="all",
                               rng=torch_stream(0))["total"] > 0  # fmt: skip
    assert network.heard.mask is not None
    assert network.heard.mask.isnan().all()  # unknown stays unknown


def kept_bytes(model: Diffusion | Wavelet, x: Tensor) -> int:
    """The memory of what one training step holds for its way back."""
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = model.loss(x, NOTHING, turn="all", rng=torch_stream(0))
    losses["total"].backward()
    return sum(held.values())


def test_a_volume_of_64_cubed_trains_in_a_fraction_of_the_memory_of_the_whole_and_its_loss_falls() -> None:
    torch.manual_seed(0)
    whole = Diffusion(DiffusionUNet(3, 1, 1, (4, 4), patch=1), paths.cosine(), predictions.image,
                      sampler=stochastic.ddim(0.0), sigmas=grids.karras(3, 0.02, 50.0))  # fmt: skip
    model = Wavelet(denoiser(3, 4))
    x = torch.zeros(1, 1, 64, 64, 64)
    x[..., 16:48, 16:48, 16:48] = 3
    part = x[..., :32, :32, :32]
    assert kept_bytes(model, part) < kept_bytes(whole, part) / 4  # an eighth of the positions, wider at both ends
    optimiser = torch.optim.Adam(model.trainable("all"), 5e-3)
    values = []
    for _ in range(5):
        optimiser.zero_grad()
        loss = model.loss(x, NOTHING, turn="all", rng=torch_stream(0))["total"]
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.8 * values[0]


def test_a_measurement_of_whole_images_is_refused() -> None:
    class Same(LinearOperator):
        def __call__(self, x: Tensor) -> Tensor:
            return x

        def adjoint(self, y: Tensor) -> Tensor:
            return y

        pinv = adjoint

    given = Given(measured=Measurement(torch.zeros(1, 1, 4, 4), Same()))
    with pytest.raises(RadloomError, match="wavelet bands"):
        Wavelet(denoiser(2, 4)).sample(given, (1, 1, 4, 4), rng=torch_stream(0))


@pytest.mark.parametrize("module", [transform, wavelet])
def test_examples_in_docstrings_are_true(module: object) -> None:
    done = doctest.testmod(module, extraglobs={"torch": torch})  # type: ignore[arg-type]
    assert done.attempted > 0
    assert done.failed == 0
