"""Which way the players of a paired GAN pull: the discriminator parts real from generated, the generator joins them."""

import pytest
import torch
from torch import Tensor

from radloom.given import Given
from radloom.models.gan import PairedGAN
from radloom.models.losses import GAMES
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.residual_unet import ResidualUNet


def image(seed: int) -> Tensor:
    return torch.rand((4, 1, 16, 16), generator=torch.Generator().manual_seed(seed))


def after_steps(game: str, turn: str, count: int) -> list[float]:
    """The mean score of real images minus that of generated ones, before and after some steps of one player alone."""
    torch.manual_seed(0)
    generator, discriminator = ResidualUNet(2, 1, 1, (4, 4)), PatchDiscriminator(2, 2, width=4, halvings=1)
    model = PairedGAN(generator, discriminator, game=GAMES[game], adversarial_weight=1.0, terms=())
    given, real = Given(image=image(0)), 3 + image(1)

    def gap() -> float:
        with torch.no_grad():
            fake = model.sample(given, (4, 1, 16, 16), rng=torch.Generator())
            scores = [discriminator(torch.cat([image(0), x], dim=1)).mean() for x in (real, fake)]
        return float(scores[0] - scores[1])

    gaps, optimiser = [gap()], torch.optim.Adam(model.trainable(turn), 1e-3)
    for _ in range(count):
        optimiser.zero_grad()
        model.loss(real, given, turn=turn, rng=torch.Generator())["total"].backward()
        optimiser.step()
    return [*gaps, gap()]


@pytest.mark.parametrize("game", GAMES)
def test_the_discriminator_learns_to_score_real_images_above_generated_ones(game: str) -> None:
    before, after = after_steps(game, "discriminator", 10)
    assert after > before + 0.1


@pytest.mark.parametrize("game", GAMES)
def test_the_generator_learns_to_be_scored_as_real(game: str) -> None:
    before, after = after_steps(game, "generator", 10)
    assert after < before - 0.01
