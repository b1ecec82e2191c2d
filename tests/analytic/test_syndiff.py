"""SynDiff: its chain by the paper's schedule and by Bayes, who learns from whom, and a toy without pairs."""

import math

import pytest
import torch
from shifts import shift_between
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.adversarial_diffusion import AdversarialDiffusion, large_steps
from radloom.models.losses import Game, Term, l1
from radloom.models.paths import variance_preserving
from radloom.models.syndiff import SynDiff
from radloom.networks.conditions import image_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.time_discriminator import TimeDiscriminator
from radloom.random import torch_stream
from radloom.samplers.stochastic import posterior
from radloom.systems.ozbey2023_syndiff import SYSTEM

CHAIN = large_steps(variance_preserving(earliest=1e-3), 4)
KEPT = [4.3e-5, 0.00343, 0.0787, 0.5217, 1.0]  # the cumulative abar of SynDiff's four steps, from noise to image
BETAS = [0.9874, 0.9564, 0.8492, 0.4783]


def test_the_chain_has_the_four_steps_of_the_published_code() -> None:
    model = SYSTEM.resolve("cpu", 2, {}).build()
    assert isinstance(model, SynDiff)
    for chain in (model.draws_x, model.draws_image):
        kept = 1 / (1 + chain.sigmas**2)  # abar of a variance-preserving step whose noise is sigma times its signal
        assert kept.tolist() == pytest.approx(KEPT, rel=5e-3)
        assert (1 - kept[:-1] / kept[1:]).tolist() == pytest.approx(BETAS, abs=6e-5)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_step_back_is_bayes_rule_in_the_variance_preserving_chain(step: int) -> None:
    """p(x_s | x_t, x0) ~ p(x_t | x_s) p(x_s | x0), its moments summed over a grid of x_s."""
    clean, seen = 0.7, -0.4
    kept = [1 / (1 + float(sigma) ** 2) for sigma in CHAIN]
    now, then = kept[step], kept[step + 1]
    at = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    ratio = now / then  # 1 - beta
    log = -((seen - math.sqrt(ratio) * at) ** 2) / (2 * (1 - ratio))
    log = log - (at - math.sqrt(then) * clean) ** 2 / (2 * (1 - then))
    weight = (log - log.max()).exp()
    weight = weight / weight.sum()
    expected = float((weight * at).sum())
    spread = math.sqrt(float((weight * (at - expected) ** 2).sum()))
    mean, deviation = posterior(torch.tensor(seen / math.sqrt(now)), torch.tensor(clean), CHAIN[step], CHAIN[step + 1])
    assert float(mean) * math.sqrt(then) == pytest.approx(expected, abs=1e-5)
    assert float(deviation) * math.sqrt(then) == pytest.approx(spread, abs=1e-5)


@pytest.mark.parametrize("size", ["tiny", "cpu"])
def test_two_contrasts_may_stand_on_one_side_and_one_on_the_other(size: str) -> None:
    model = SYSTEM.resolve(size, 2, {"inputs": "image.t1,image.t2"}).build()
    image, x = torch.rand(1, 2, 20, 24), torch.rand(1, 1, 20, 24)
    given = Given(image=image, mask=torch.ones(1, 1, 20, 24))
    for turn in model.turns:
        assert torch.isfinite(model.loss(x, given, turn=turn, rng=torch_stream(0))["total"])
    assert model.sample(given, (1, 1, 20, 24), rng=torch_stream(0)).shape == x.shape


class Partner(nn.Module):
    """Answers with a multiple of what is given, whatever the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        assert given.image is not None
        return self.factor * given.image


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Blind(nn.Module):
    """Scores 0."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, *heard: object) -> Tensor:
        return self.nothing * x.sum(1, keepdim=True)


def by_hand(there: float = 0.5, back: float = 2.0, *, cycle: float = 0.5) -> SynDiff:
    def chain() -> AdversarialDiffusion:
        return AdversarialDiffusion(Partner(), Blind(), sigmas=CHAIN, terms=(Term("l1", 0.5, l1),), penalty=0.0,
                                    spread=1.0)  # fmt: skip

    return SynDiff(chain(), chain(), Times(there), Times(back), Blind(), Blind(), cycle=cycle)


def test_the_last_step_adds_no_noise() -> None:
    image = torch.rand(2, 1, 6, 6, generator=torch_stream(0))
    for seed in (1, 2):
        assert torch.equal(by_hand().sample(Given(image=image), (2, 1, 6, 6), rng=torch_stream(seed)), 3 * image)


def test_the_generators_objective_is_the_sum_of_games_paired_terms_and_cycles() -> None:
    x, image = torch.full((3, 1, 4, 4), 4.0), torch.full((3, 1, 4, 4), 1.0)
    model = by_hand(there=0.5, back=1.0)
    found = model.loss(x, Given(image=image), turn="generator", rng=torch_stream(0))
    game = math.log(2)  # of a blind judge
    assert float(found["x"]) == pytest.approx(game + 0.5 * abs(3 * 4.0 - 4))  # to_image(x) = 4, drawn as 12
    assert float(found["image"]) == pytest.approx(game + 0.5 * abs(3 * 0.5 - 1))
    assert float(found["translators"]) == pytest.approx(2 * game)
    assert float(found["cycle"]) == pytest.approx(0.5 * (abs(0.5 * 4 - 4) + abs(0.5 - 1)))
    assert float(found["total"].detach()) == pytest.approx(sum(float(found[k]) for k in found if k != "total"))


def test_the_chains_teach_the_translators_through_the_partners_that_they_made() -> None:
    nothing = Game(discriminator=lambda real, fake: 0 * fake.mean(), generator=lambda fake: 0 * fake.mean())
    model = by_hand(cycle=0.0)
    model.game = nothing
    x, image = torch.full((2, 1, 4, 4), 4.0), torch.full((2, 1, 4, 4), 1.0)
    model.loss(x, Given(image=image), turn="generator", rng=torch_stream(0))["total"].backward()
    # 0.5 |3 (f x) - x| grows with f by 0.5 * 3 x at f = 2, and 0.5 |3 (f image) - image| at f = 0.5 likewise
    assert isinstance(model.to_image, Times)
    assert isinstance(model.to_x, Times)
    assert float(model.to_image.factor.grad) == pytest.approx(0.5 * 3 * 4.0)  # type: ignore[arg-type]
    assert float(model.to_x.factor.grad) == pytest.approx(0.5 * 3 * 1.0)  # type: ignore[arg-type]
    model.zero_grad()
    model.loss(x, Given(image=image), turn="discriminator", rng=torch_stream(0))["total"].backward()
    assert model.to_image.factor.grad is None


def test_images_of_two_patients_keep_their_own_outlines() -> None:
    """The image's head lies left and x's right: a cycle of true inverses loses nothing."""
    left, right = torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 4, 6)
    left[..., :3], right[..., 3:] = 2.0, 5.0
    model = by_hand(there=0.5, back=2.0)
    found = model.loss(right, Given(image=left, mask=left > 0), turn="generator", rng=torch_stream(0))
    assert float(found["cycle"]) == pytest.approx(0, abs=1e-7)


def blobs(count: int, seed: int) -> Tensor:
    """Blobs, each somewhere, bright and symmetric (b, 1, 16, 16)."""
    rng = torch_stream(seed, "blobs")
    centre = 5 + 6 * torch.rand((count, 2, 1, 1), generator=rng)
    size = 1.2 + torch.rand((count, 1, 1), generator=rng)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    far = (rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2
    return (-far / (2 * size**2)).exp()[:, None]


def other_kind(image: Tensor) -> Tensor:
    return 1 - 0.8 * image


def test_without_pairs_it_learns_the_other_contrast_and_moves_nothing() -> None:
    torch.manual_seed(0)

    def chain() -> AdversarialDiffusion:
        network = DiffusionUNet(2, 2, 1, (16,), patch=1, maps=(image_maps(1),))
        return AdversarialDiffusion(network, TimeDiscriminator(2, 2, (8, 16)), sigmas=CHAIN, spread=0.5,
                                    terms=(Term("l1", 5.0, l1),))  # fmt: skip

    def translator() -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(16, 1, 3, padding=1))

    judges = [PatchDiscriminator(2, 1, width=8, halvings=1) for _ in range(2)]
    model = SynDiff(chain(), chain(), translator(), translator(), *judges, cycle=5.0)
    optimisers = {turn: torch.optim.Adam(model.trainable(turn), 2e-3, (0.5, 0.9)) for turn in model.turns}
    for step in range(150):
        x, image = other_kind(blobs(4, 2 * step)), blobs(4, 2 * step + 1)
        for turn in model.turns:
            model.zero_grad()
            model.loss(x, Given(image=image), turn=turn, rng=torch_stream(step, turn))["total"].backward()
            optimisers[turn].step()
        model.after_step()
    image = blobs(16, -1)
    with torch.no_grad():
        drawn = model.sample(Given(image=image), (16, 1, 16, 16), rng=torch_stream(0))
    true = other_kind(image)
    assert float((drawn - true).abs().mean()) < 0.4 * float((image - true).abs().mean())
    assert max(map(abs, shift_between(drawn, true))) < 0.5


def test_what_makes_no_syndiff_is_refused() -> None:
    with pytest.raises(RadloomError, match="weight"):
        by_hand(cycle=-1.0)
    with pytest.raises(RadloomError, match="no image"):
        by_hand().sample(Given(), (1, 1, 4, 4), rng=torch_stream(0))
