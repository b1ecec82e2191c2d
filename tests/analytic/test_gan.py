"""The GAN's games, penalties and modes against finite differences and numbers worked by hand; exact resume."""

import copy
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import augmentation, diffusion_gan, losses, penalties
from radloom.models.augmentation import Augmentation
from radloom.models.diffusion_gan import Diffused
from radloom.models.feedback import Feedback
from radloom.models.noise_gan import GAN, Growth
from radloom.models.penalties import PathLength, Shown, Unrolled
from radloom.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from radloom.networks.residual_discriminator import ResidualDiscriminator
from radloom.networks.stylegan import Mapping, StyleGenerator, StyleSynthesis2
from radloom.random import torch_stream
from radloom.weights import load_tensors, save_weights

NOTHING = Given()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch_stream(seed))


class Linear(nn.Module):
    """Scores slope * x."""

    def __init__(self, slope: Tensor) -> None:
        super().__init__()
        self.slope = nn.Parameter(slope)

    def forward(self, x: Tensor, given: Given = NOTHING, time: Tensor | None = None) -> Tensor:
        return (x * self.slope).flatten(1).sum(1, keepdim=True)


class Cubic(nn.Module):
    """Scores scale * sum of x**3 / 3: its slope at x is scale * x**2."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x**3).flatten(1).sum(1) / 3


def shown(scores: nn.Module, real: Tensor, fake: Tensor) -> Shown:
    return Shown(real, fake, scores, scores)


def test_games_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 1.5])
    log1pexp = lambda v: math.log1p(math.exp(v))  # noqa: E731
    assert float(losses.minimax.generator(fake)) == pytest.approx(-(log1pexp(-2) + log1pexp(1.5)) / 2)
    probability = torch.sigmoid(fake)
    assert float(losses.minimax.generator(fake)) == pytest.approx(float((1 - probability).log().mean()))
    assert float(losses.wasserstein.discriminator(real, fake)) == pytest.approx(-0.25 - 1.25)
    assert float(losses.wasserstein.generator(fake)) == pytest.approx(0.25)
    assert float(losses.relativistic.discriminator(real, fake)) == pytest.approx((log1pexp(-4) + log1pexp(1)) / 2)
    assert float(losses.relativistic.generator_loss(fake, lambda: real)) == pytest.approx(
        (log1pexp(4) + log1pexp(-1)) / 2
    )


def test_only_a_relative_game_asks_for_the_scores_of_real_images() -> None:
    def asked() -> Tensor:
        raise AssertionError

    for name, game in losses.GAMES.items():
        if name != "relativistic":
            assert torch.isfinite(game.generator_loss(torch.tensor([0.3]), asked))


@pytest.mark.parametrize("edge", [(2, 3), (2, 3, 2)])
def test_r1_is_half_gamma_times_the_squared_slope_found_by_finite_differences(edge: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    dims = len(edge)
    network = ResidualDiscriminator(dims, edge, 1, (4, 4), group=1).double()
    real, fake = normal(2, 1, *edge).double(), normal(2, 1, *edge, seed=1).double()
    of = lambda x: network(x.double(), NOTHING)  # noqa: E731
    for penalty, at in ((penalties.r1(3.0, every=4), real), (penalties.r2(3.0, every=4), fake)):
        total = 0.0
        for i in range(at.numel()):
            step = torch.zeros(at.numel(), dtype=torch.float64)
            step[i] = 1e-6
            step = step.view(at.shape)
            with torch.no_grad():
                total += float(((of(at + step) - of(at - step)).sum() / 2e-6) ** 2)
        value = penalty.due(8, Shown(real, fake, of, of), torch_stream(0))
        assert value is not None
        assert float(value.detach()) == pytest.approx(
            4 * 3.0 / 2 * total / 2, rel=1e-4
        )  # two images; four steps at once
        assert penalty.due(9, Shown(real, fake, of, of), torch_stream(0)) is None


def test_the_gradient_of_r1_for_the_weights_is_that_of_finite_differences() -> None:
    scores, x = Cubic(), normal(3, 1, 2, 2)
    value = penalties.r1(2.0, every=1).due(0, shown(scores, x, x), torch_stream(0))
    assert value is not None
    # gamma / 2 * scale**2 * sum of x**4, a mean over images
    assert float(value.detach()) == pytest.approx(0.49 * float((x**4).sum()) / 3, rel=1e-5)
    value.backward()
    assert scores.scale.grad is not None
    assert float(scores.scale.grad) == pytest.approx(2 * 0.7 * float((x**4).sum()) / 3, rel=1e-5)


@pytest.mark.parametrize("edge", [(4, 4), (3, 4, 2)])
def test_the_gradient_penalty_of_a_critic_of_slope_one_is_zero_and_of_slope_three_is_four(
    edge: tuple[int, ...],
) -> None:
    direction = normal(1, *edge)
    direction = direction / direction.norm()
    real, fake = normal(5, 1, *edge), normal(5, 1, *edge, seed=1)
    penalty = penalties.gradient_penalty(10.0)
    for slope, expected in ((1.0, 0.0), (3.0, 10 * 4.0)):
        value = penalty.due(0, shown(Linear(slope * direction), real, fake), torch_stream(0))
        assert value is not None
        assert float(value.detach()) == pytest.approx(expected, abs=1e-4)


def test_the_gradient_penalty_looks_between_the_images() -> None:
    places = []

    def scores(x: Tensor) -> Tensor:
        places.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = torch.full((500, 1, 1, 1), 2.0), torch.full((500, 1, 1, 1), 6.0)
    penalties.gradient_penalty().due(0, Shown(real, fake, scores, scores), torch_stream(0))
    found = places[0].flatten()
    assert 2 <= float(found.min()) < 2.05
    assert 5.95 < float(found.max()) <= 6
    assert float(found.mean()) == pytest.approx(4, abs=0.15)


def test_drift_is_the_mean_square_of_the_real_scores() -> None:
    real = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1)
    value = penalties.drift(0.1).due(0, shown(Linear(torch.ones(1, 1, 1)), real, real), torch_stream(0))
    assert value is not None
    assert float(value.detach()) == pytest.approx(0.1 * 5)


def style_generator(dims: int, size: tuple[int, ...]) -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(Mapping(4, 6), StyleSynthesis2(dims, size, 2, (6, 4), 6))


@pytest.mark.parametrize(("dims", "size"), [(2, (8, 6)), (3, (4, 4, 3))])
def test_path_length_is_the_slope_along_a_random_image_by_finite_differences(dims: int, size: tuple[int, ...]) -> None:
    synthesis = style_generator(dims, size).synthesis
    w = normal(2, synthesis.styles, 6)
    draw = lambda at: synthesis(at, torch.zeros_like)  # noqa: E731
    lengths = penalties.path_lengths(draw, w.clone(), torch_stream(0)).detach()
    y = torch.randn((2, 2, *size), generator=torch_stream(0)) / math.sqrt(math.prod(size))
    squares = torch.zeros(2)
    for layer in range(w.shape[1]):
        for entry in range(6):
            step = torch.zeros_like(w)
            step[:, layer, entry] = 1e-3
            with torch.no_grad():
                change = (draw(w + step) - draw(w - step)).double() / 2e-3
            squares += (change * y).flatten(1).sum(1).square().float()
    torch.testing.assert_close(lengths, (squares / w.shape[1]).sqrt(), rtol=5e-3, atol=1e-5)


def test_the_mean_path_length_begins_at_the_first_lengths_and_follows_slowly() -> None:
    path = PathLength(weight=2.0, every=2, decay=0.1, share=1.0)
    model = GAN(style_generator(2, (8, 8)), ResidualDiscriminator(2, (8, 8), 2, (4, 4)), game=losses.non_saturating,
                path_length=path)  # fmt: skip
    x = normal(4, 2, 8, 8)
    seen = []
    for step in range(3):
        found = model.loss(x, NOTHING, turn="generator", rng=torch_stream(step))
        if "path_length" in found:
            seen.append(float(found["path_length"]))
        model.after_step()
    assert len(seen) == 2  # steps 0 and 2
    assert float(model.mean_length) == pytest.approx(0.9 * seen[0] + 0.1 * seen[1], rel=1e-5)


def test_unrolled_descent_by_hand() -> None:
    scores = Linear(torch.tensor([[[2.0]]]))
    real, fake = torch.full((1, 1, 1, 1), 1.0), torch.full((1, 1, 1, 1), 4.0, requires_grad=True)
    game = losses.least_squares
    moved = Unrolled(2, 0.01).answered(scores, lambda d: game.discriminator(d(real), d(fake)))
    slope = 2.0
    for _ in range(2):  # the slope of (s - 1)**2 + (4 s)**2 for s
        slope -= 0.01 * (2 * (slope - 1) + 32 * slope)
    assert float(moved(torch.ones(1, 1, 1, 1)).detach()) == pytest.approx(slope, rel=1e-5)
    (heard,) = torch.autograd.grad(moved(torch.ones(1, 1, 1, 1)).sum(), fake)
    assert float(heard) < 0  # a fake farther out makes the discriminator answer with a smaller slope
    assert float(scores.slope.detach()) == 2.0


class Judge(nn.Module):
    """Two layers on all numbers of an item."""

    def __init__(self, numbers: int, width: int) -> None:
        super().__init__()
        hidden = (nn.Linear(numbers, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.layers = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, 1))

    def forward(self, x: Tensor, given: Given, time: Tensor | None) -> Tensor:
        return self.layers(x)


RING = 2 * torch.stack([(torch.arange(8) * math.pi / 4).cos(), (torch.arange(8) * math.pi / 4).sin()], dim=1)


class Points(nn.Module):
    """Points in the plane from z by two hidden layers."""

    latent, shape = 16, (2, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        hidden = (nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.layers = nn.Sequential(*hidden, nn.Linear(64, 2))

    def forward(self, z: Tensor, given: Given, noise: Callable[[Tensor], Tensor]) -> Tensor:
        return self.layers(z).view(-1, *self.shape)


def modes_found(unrolled: Unrolled | None, steps: int) -> int:
    """How many of eight Gaussians on a circle have more than 2 % of the draws near them after training."""
    torch.manual_seed(0)
    model = GAN(Points(), Judge(2, 64), game=losses.non_saturating, unrolled=unrolled)
    rates = {"discriminator": 1e-3, "generator": 5e-3}
    optimisers = {turn: torch.optim.Adam(model.trainable(turn), rates[turn], (0.5, 0.999)) for turn in model.turns}
    for step in range(steps):
        rng = torch_stream(step, "data")
        x = RING[torch.randint(8, (128,), generator=rng)] + 0.05 * torch.randn(128, 2, generator=rng)
        for turn in model.turns:
            for group in optimisers[turn].param_groups:  # falls over the second half
                group["lr"] = rates[turn] * min(1.0, 2 * (1 - step / steps))
            model.zero_grad()
            model.loss(x.view(128, 2, 1, 1), NOTHING, turn=turn, rng=torch_stream(step, turn))["total"].backward()
            optimisers[turn].step()
        model.after_step()
    points = model.sample(NOTHING, (1000, 2, 1, 1), rng=torch_stream(0)).detach().flatten(1)
    distance, mode = torch.cdist(points, RING).min(1)
    return int((torch.bincount(mode[distance < 0.25], minlength=8) > 20).sum())


def test_the_unrolled_generator_finds_all_eight_modes_where_the_plain_one_runs_from_one_to_the_next() -> None:
    assert modes_found(Unrolled(5, 0.05), 400) == 8
    assert modes_found(None, 400) <= 3


def test_growth_fades_between_stable_stretches() -> None:
    growth = Growth(fade=100, stable=50)
    assert [growth.stage(n, 3) for n in (0, 50, 100, 150, 200, 250, 300, 999)] == [0, 0, 0.5, 1, 1, 1.5, 2, 2]
    generator = ProgressiveGenerator(2, (8, 8), 1, (4, 4, 4), latent=4)
    model = GAN(generator, ProgressiveDiscriminator(2, (8, 8), 1, (4, 4, 4)), game=losses.wasserstein, growth=growth)
    assert float(generator.stage) == 0
    x = normal(25, 1, 8, 8)
    for _ in range(3):
        for turn in model.turns:
            model.loss(x, NOTHING, turn=turn, rng=torch_stream(0))
        model.after_step()
    assert int(model.shown) == 75
    assert float(generator.stage) == pytest.approx(0.25)
    assert float(model.discriminator.stage) == pytest.approx(0.25)


def everything() -> GAN:
    """A model with all the state that there is."""
    torch.manual_seed(0)
    generator = StyleGenerator(Mapping(4, 6), StyleSynthesis2(2, (8, 8), 1, (6, 4), 6))
    return GAN(
        generator, ResidualDiscriminator(2, (8, 8), 1, (6, 4), times=diffusion_gan.LONGEST, width=4),
        game=losses.non_saturating, penalties=(penalties.r1(1.0, every=3),), path_length=PathLength(every=2),
        disguise=Diffused(Feedback(target=-0.5, images=40, every=2)),
    )  # fmt: skip


def growing() -> GAN:
    torch.manual_seed(0)
    return GAN(
        ProgressiveGenerator(2, (8, 8), 1, (6, 4), latent=4), ProgressiveDiscriminator(2, (8, 8), 1, (6, 4)),
        game=losses.non_saturating, growth=Growth(fade=16, stable=4), penalties=(penalties.gradient_penalty(),),
        disguise=Augmentation(augmentation.radiology(), Feedback(target=-0.5, images=40, every=2)),
    )  # fmt: skip


@pytest.mark.parametrize("make", [everything, growing])
def test_training_that_stops_and_goes_on_from_the_saved_weights_gives_the_same_numbers(make, tmp_path: Path) -> None:
    def run(model: GAN, optimisers: dict[str, torch.optim.Optimizer], first: int, last: int) -> list[float]:
        found = []
        for step in range(first, last):
            for turn in model.turns:
                model.zero_grad()
                losses_ = model.loss(normal(4, 1, 8, 8, seed=step), NOTHING, turn=turn, rng=torch_stream(step, turn))
                losses_["total"].backward()
                optimisers[turn].step()
                found.append(float(losses_["total"].detach()))
            model.after_step()
        return found

    def plain(model: GAN) -> dict[str, torch.optim.Optimizer]:
        return {turn: torch.optim.SGD(model.trainable(turn), 0.01) for turn in model.turns}  # has no state of its own

    whole = make()
    expected = run(whole, plain(whole), 0, 9)
    half = make()
    begun = run(half, plain(half), 0, 5)
    save_weights(tmp_path / "w.safetensors", half)
    torch.manual_seed(5)
    other = copy.deepcopy(make())
    load_tensors(other, tmp_path / "w.safetensors")
    assert begun + run(other, plain(other), 5, 9) == expected
    state = whole.state_dict()
    assert {"steps", "shown", "mean_length", "disguise.feedback.p"} <= set(state)
    assert float(state["disguise.feedback.p"]) > 0


@pytest.mark.parametrize("make", [everything, growing])
def test_in_half_precision_the_losses_stay_near_and_the_gradients_finite(make) -> None:
    for turn in ("discriminator", "generator"):
        found = []
        for enabled in (False, True):
            model = make().train()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                total = model.loss(normal(4, 1, 8, 8), NOTHING, turn=turn, rng=torch_stream(0))["total"]
            total.backward()
            found.append(float(total.detach()))
            assert all(torch.isfinite(p.grad).all() for p in model.trainable(turn) if p.grad is not None)
        assert found[1] == pytest.approx(found[0], rel=0.03)


def test_what_makes_no_gan_is_refused() -> None:
    generator = ProgressiveGenerator(2, (8, 8), 1, (4, 4), latent=4)
    judge = ResidualDiscriminator(2, (8, 8), 1, (4, 4))
    model = GAN(generator, judge, game=losses.hinge)
    for make in (
        lambda: model.loss(normal(2, 1, 6, 8), NOTHING, turn="generator", rng=torch_stream(0)),
        lambda: model.sample(NOTHING, (2, 1, 6, 8), rng=torch_stream(0)),
        lambda: GAN(generator, judge, game=losses.hinge, path_length=PathLength()),
        lambda: GAN(generator, judge, game=losses.relativistic, disguise=Diffused(Feedback())),
        lambda: GAN(generator, judge, game=losses.hinge, growth=Growth(1, 1)),
        lambda: penalties.r1(-1.0), lambda: penalties.r1(1.0, every=0), lambda: PathLength(decay=0.0),
        lambda: Unrolled(0), lambda: Unrolled(2, 0.0), lambda: Growth(0, 1), lambda: Feedback(target=1.0),
        lambda: Feedback(images=0), lambda: Feedback(start=2.0), lambda: Diffused(Feedback(), deviation=0.0),
        lambda: Diffused(Feedback(), shortest=0), lambda: augmentation.radiology(unit=0.0),
    ):  # fmt: skip
        with pytest.raises(RadloomError, match="expected"):
            make()
