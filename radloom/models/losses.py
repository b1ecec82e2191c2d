"""Objectives that the adversarial families share: the adversarial games and the paired terms; no networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from radloom.networks import layers


@dataclass(frozen=True)
class Game:
    """An adversarial game: what the discriminator and the generator each minimise, from the scores they get.

    relative: whether the generator is judged by how far its scores lie above those of real images, not by themselves.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]  # (scores of real, scores of fake) -> loss
    generator: Callable[[Tensor], Tensor]  # (scores of fake) -> loss
    relative: bool = False

    def generator_loss(self, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
        """The generator's loss; `real` gives the scores of real images and is called only by a relative game."""
        return self.generator(fake - real() if self.relative else fake)


least_squares = Game(  # Mao et al. 2017, eq. 9 with b = c = 1, a = 0
    discriminator=lambda real, fake: (real - 1).square().mean() + fake.square().mean(),
    generator=lambda fake: (fake - 1).square().mean(),
)
hinge = Game(  # Lim & Ye 2017; Miyato et al. 2018, eq. 16-17
    discriminator=lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
    generator=lambda fake: -fake.mean(),
)
non_saturating = Game(  # Goodfellow et al. 2014, section 3, written with softplus
    discriminator=lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
    generator=lambda fake: F.softplus(-fake).mean(),
)
minimax = Game(  # Goodfellow et al. 2014, eq. 1: ln(1 - sigmoid(score)) hardly moves where the discriminator is sure
    discriminator=non_saturating.discriminator,
    generator=lambda fake: -F.softplus(fake).mean(),
)
wasserstein = Game(  # Arjovsky et al. 2017, eq. 2-3; the critic's slope needs a penalty, see models.penalties
    discriminator=lambda real, fake: fake.mean() - real.mean(),
    generator=lambda fake: -fake.mean(),
)
relativistic = Game(  # Jolicoeur-Martineau 2019, in the pairing form of Huang et al. 2024, eq. 3 (R3GAN)
    discriminator=lambda real, fake: F.softplus(fake - real).mean(),
    generator=lambda lead: F.softplus(-lead).mean(),
    relative=True,
)
GAMES = {
    "least_squares": least_squares,
    "hinge": hinge,
    "non_saturating": non_saturating,
    "minimax": minimax,
    "wasserstein": wasserstein,
    "relativistic": relativistic,
}


@dataclass(frozen=True)
class Term:
    """A weighted paired term of the generator's objective: distance(generated, real) >= 0, 0 when they are equal."""

    name: str
    weight: float
    distance: Callable[[Tensor, Tensor], Tensor]


def l1(fake: Float[Tensor, "b c *s"], real: Float[Tensor, "b c *s"]) -> Float[Tensor, ""]:
    """Mean absolute difference."""
    return (fake - real).abs().mean()


def mse(fake: Float[Tensor, "b c *s"], real: Float[Tensor, "b c *s"]) -> Float[Tensor, ""]:
    """Mean squared difference: what a few voxels of a lesion weigh most in."""
    return (fake - real).square().mean()


def fourier(fake: Float[Tensor, "b c *s"], real: Float[Tensor, "b c *s"]) -> Float[Tensor, ""]:
    """Mean absolute difference of the complex spectra, orthonormal over the spatial axes."""
    axes = tuple(range(2, fake.ndim))
    return (
        (torch.fft.fftn(fake.float(), dim=axes, norm="ortho") - torch.fft.fftn(real.float(), dim=axes, norm="ortho"))
        .abs()
        .mean()
    )


def gradient(fake: Float[Tensor, "b c *s"], real: Float[Tensor, "b c *s"]) -> Float[Tensor, ""]:
    """Mean absolute difference of the finite differences, averaged over the spatial axes."""
    error = fake - real
    axes = range(2, error.ndim)
    return torch.stack([error.diff(dim=axis).abs().mean() for axis in axes]).mean()


def ms_ssim(data_range: float, *, scales: int = 5, window: int = 11) -> Callable[[Tensor, Tensor], Tensor]:
    """The distance 1 - MS-SSIM (Wang et al. 2003) for images with this range.

    Fewer scales than 5 renormalise the published weights. An axis has at least window * 2**(scales - 1) voxels.
    """
    weights = torch.tensor([0.0448, 0.2856, 0.3001, 0.2363, 0.1333][:scales])
    weights = weights / weights.sum()

    def distance(fake: Tensor, real: Tensor) -> Tensor:
        layers.check_size(fake, window * 2 ** (scales - 1), f"MS-SSIM of {scales} scales")
        powers = weights.to(fake.device)
        parts = []
        for scale in range(scales):
            luminance, structure = _ssim_parts(fake, real, data_range, window)
            last = scale == scales - 1
            parts.append((luminance * structure if last else structure).flatten(2).mean(2).relu())
            if not last:
                pool = F.avg_pool2d if fake.ndim == 4 else F.avg_pool3d
                fake, real = pool(fake, 2), pool(real, 2)
        stacked = torch.stack(parts).clamp_min(1e-6)
        return 1 - (stacked ** powers[:, None, None]).prod(0).mean()

    return distance


def _ssim_parts(fake: Tensor, real: Tensor, data_range: float, window: int) -> tuple[Tensor, Tensor]:
    """The luminance map and the contrast-structure map of SSIM, Gaussian window of sigma 1.5, interior only."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    a, b = fake.float(), real.float()
    with torch.autocast(fake.device.type, enabled=False):  # a variance is a small difference of large numbers
        mean_a, mean_b = _blurred(a, window), _blurred(b, window)
        variance_a = _blurred(a * a, window) - mean_a * mean_a
        variance_b = _blurred(b * b, window) - mean_b * mean_b
        covariance = _blurred(a * b, window) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_a + variance_b + c2)


def _blurred(x: Tensor, window: int) -> Tensor:
    steps = torch.arange(window, device=x.device) - window // 2
    kernel = torch.exp(-(steps**2) / (2 * 1.5**2))
    kernel = kernel / kernel.sum()
    channels, dims = x.shape[1], x.ndim - 2
    convolve = F.conv2d if dims == 2 else F.conv3d
    for axis in range(dims):
        size = [1] * dims
        size[axis] = window
        x = convolve(x, kernel.view(1, 1, *size).expand(channels, 1, *size), groups=channels)
    return x


def perceptual(features: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean absolute difference of a frozen network's features (b, c, *s) -> (b, f, *t).

    No pretrained weights ship with radloom: the caller brings a network, in-domain or random, and says which. The
    network moves to where the images are: the model that owns this term does not know it and so cannot move it.
    """
    frozen = features.eval().requires_grad_(False)

    def distance(fake: Tensor, real: Tensor) -> Tensor:
        there = frozen.to(fake.device)
        return (there(fake) - there(real)).abs().mean()

    return distance
