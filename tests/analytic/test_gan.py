"""The GAN's penalties, disguises and modes against finite differences, numbers worked by hand and planted truths."""

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
from radloom.models.augmentation import Augmentation, Change
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


def chance_of(feedback: Feedback, shares: list[float], batch: int = 10) -> list[float]:
    found = []
    for share in shares:
        known = round(share * batch)
        feedback.note(torch.tensor([[1.0]] * known + [[-1.0]] * (batch - known)))
        feedback.after_step()
        found.append(round(float(feedback.p), 6))
    return found


def test_feedback_moves_by_the_images_seen_towards_its_target_and_stays_in_bounds() -> None:
    feedback = Feedback(target=0.6, images=200, every=2)
    # r of a share s is 2 s - 1: above 0.6 from s = 0.8 on
    assert chance_of(feedback, [0.9, 0.9, 0.9, 0.5]) == [0, 0.1, 0.1, 0.0]
    assert chance_of(Feedback(target=0.6, images=30, every=1), [1.0] * 4) == pytest.approx(
        [1 / 3, 2 / 3, 1, 1], abs=1e-5
    )
    assert chance_of(Feedback(target=None, start=0.3), [1.0] * 8) == [0.3] * 8


class Echo(nn.Module):
    """Images that are their z: already from the distribution of the data, so that only memory can tell them apart."""

    latent, shape = 16, (1, 4, 4)

    def forward(self, z: Tensor, given: Given, noise: Callable[[Tensor], Tensor]) -> Tensor:
        return z.view(-1, *self.shape)


class Judge(nn.Module):
    """Two layers on all numbers of an item."""

    def __init__(self, numbers: int, width: int) -> None:
        super().__init__()
        hidden = (nn.Linear(numbers, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.layers = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, 1))

    def forward(self, x: Tensor, given: Given, time: Tensor | None) -> Tensor:
        return self.layers(x)


def overfitting(images: int, feedback: Feedback, steps: int) -> float:
    """The p after a discriminator has trained on so many images."""
    torch.manual_seed(0)
    model = GAN(Echo(), Judge(16, 128), game=losses.non_saturating,
                disguise=Augmentation((augmentation.intensity(), augmentation.grain()), feedback))  # fmt: skip
    data = normal(images, 1, 4, 4, seed=9)
    optimiser = torch.optim.Adam(model.trainable("discriminator"), 2e-3, (0.0, 0.99))
    for step in range(steps):
        rng = torch_stream(step)
        chosen = torch.randint(images, (32,), generator=rng)
        model.zero_grad()
        model.loss(data[chosen], NOTHING, turn="discriminator", rng=rng)["total"].backward()
        optimiser.step()
        model.after_step()
    return float(feedback.p)


def test_p_rises_on_fifty_images_that_a_discriminator_learns_by_heart_and_not_on_many() -> None:
    few = overfitting(50, Feedback(target=0.6, images=8000), 400)
    many = overfitting(20_000, Feedback(target=0.6, images=8000), 400)
    assert few > 0.2
    assert many < 0.05


@pytest.mark.parametrize("edge", [(6, 5), (4, 5, 6)])
@pytest.mark.parametrize("name", ["placement", "intensity", "grain", "cutout"])
def test_a_change_touches_its_share_of_items_and_passes_gradients(name: str, edge: tuple[int, ...]) -> None:
    change: Change = getattr(augmentation, name)()
    x = (1 + normal(400, 1, *edge)).requires_grad_()
    y = change(x, 0.2, torch_stream(1))
    touched = ((y - x).abs().flatten(1).amax(1) > 1e-4).double().mean()
    parts = {"placement": 4, "intensity": 2, "grain": 1, "cutout": 1}[name]
    assert float(touched) == pytest.approx(1 - 0.8**parts, abs=0.07)
    y.sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().amax()) > 0
    torch.testing.assert_close(change(x, 0.0, torch_stream(1)), x)
    assert torch.equal(change(x, 0.7, torch_stream(2)), change(x, 0.7, torch_stream(2)))


def test_no_change_mirrors_an_image_unless_asked() -> None:
    x = torch.zeros(300, 1, 16, 16)
    x[:, :, 2, 7:9] = 1.0  # a mark on the low side of the first axis
    still = {"shift": 0.0, "turn": 0.0, "scale": 0.0, "stretch": 0.0}
    torch.testing.assert_close(augmentation.placement(**still)(x, 1.0, torch_stream(0)), x)
    turned = augmentation.placement()(x, 1.0, torch_stream(0))
    assert float(turned[:, :, 11:].abs().amax()) < 1e-3
    for axis in (0, 1):
        mirrored = augmentation.placement(**still, flips=(axis,))(x, 1.0, torch_stream(0))
        low = (mirrored[:, 0, 2, 7] > 0.999).double().mean()
        high = (mirrored[:, 0, 13, 7] > 0.999).double().mean()
        assert float(low + high) == 1
        assert float(high) == pytest.approx(0.5 if axis == 0 else 0.0, abs=0.1)


def test_a_shift_moves_by_up_to_its_share_of_the_axis_and_a_turn_keeps_shapes_on_an_oblong_grid() -> None:
    x = torch.zeros(400, 1, 40, 20)
    x[:, :, 18:22, 8:12] = 1.0  # a square in the middle
    centre = lambda y, axis: (y.sum(3 - axis) * torch.arange(y.shape[2 + axis])).sum(-1) / y.sum((2, 3))  # noqa: E731
    moved = augmentation.placement(turn=0.0, scale=0.0, stretch=0.0)(x, 1.0, torch_stream(0))
    for axis, (length, middle) in enumerate(((40, 19.5), (20, 9.5))):
        away = (centre(moved, axis)[:, 0] - middle).abs()
        assert float(away.max()) == pytest.approx(0.125 * length, rel=0.05)
        assert float(away.max()) <= 0.125 * length + 1e-3
    turned = augmentation.placement(shift=0.0, turn=45.0, scale=0.0, stretch=0.0)(x, 1.0, torch_stream(0))
    mass = turned.sum((1, 2, 3))
    assert float((mass - 16).abs().max()) < 1.2  # sheared or stretched it would have another area


def test_a_turn_in_space_keeps_the_distance_from_the_centre() -> None:
    x = torch.zeros(60, 1, 21, 15, 17)
    x[:, 0, 10, 7, 13] = 1.0  # 5 voxels from the centre along the last axis
    y = augmentation.placement(shift=0.0, turn=60.0, scale=0.0, stretch=0.0)(x, 1.0, torch_stream(0))[:, 0]
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) - (n - 1) / 2 for n in (21, 15, 17)), indexing="ij"))
    y = y * (grid.norm(dim=0) < 7)  # farther out the reflected image comes in
    places = (y[:, None] * grid).flatten(2).sum(2) / y.flatten(1).sum(1, keepdim=True)
    assert float((places.norm(dim=1) - 5.0).abs().max()) < 0.35
    assert (places.std(0) > 0.5).all()


def test_the_intensity_keeps_zero_and_the_relation_of_channels() -> None:
    x = torch.stack([torch.zeros(300, 4, 4), torch.ones(300, 4, 4), 2 * torch.ones(300, 4, 4)], dim=1)
    contrast = augmentation.intensity(brightness=0.0)(x, 1.0, torch_stream(0))
    assert not contrast[:, 0].any()
    torch.testing.assert_close(contrast[:, 2], 2 * contrast[:, 1])
    assert float(contrast[:, 1, 0, 0].log2().std()) == pytest.approx(0.5, rel=0.15)
    bright = augmentation.intensity(contrast=0.0, unit=3.0)(x, 1.0, torch_stream(0))
    assert float((bright - x)[:, 0, 0, 0].std()) == pytest.approx(0.6, rel=0.15)


def test_half_of_diffusions_list_is_noiseless_and_the_rest_favours_late_times() -> None:
    torch.manual_seed(0)
    diffused = Diffused(Feedback(start=1.0, target=None, every=1))
    late = []
    for seed in range(200):
        diffused._refill(seed)
        assert int((diffused.slots == 0).sum()) == 32
        late.append(diffused.slots[32:].clone())
    times = torch.cat(late).double()
    # P(t) in proportion to t on 1 ... T: mean (2 T + 1) / 3, a share of (k / T)**2 below k
    assert float(times.mean()) == pytest.approx(2001 / 3, rel=0.01)
    assert float((times <= 500).double().mean()) == pytest.approx(500 * 501 / (1000 * 1001), abs=0.015)
    assert int(times.max()) > 990
    early = Diffused(Feedback(start=0.0, target=None))
    assert int(early.slots.max()) <= 10


def test_diffusion_keeps_the_variance_that_its_time_says_and_hands_the_time_on() -> None:
    diffused = Diffused(Feedback(start=1.0, target=None), deviation=0.05)
    x = torch.ones(64, 1, 40, 40)
    y, time = diffused(x, torch_stream(0))
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    for i in range(64):
        kept = float((1 - betas[: int(time[i])]).prod())
        assert float(y[i].mean()) == pytest.approx(kept**0.5, abs=0.01)
        assert float(y[i].std()) == pytest.approx(0.05 * (1 - kept) ** 0.5, rel=0.1, abs=1e-6)
    assert torch.equal(y[time == 0], x[time == 0])


def test_the_list_is_drawn_anew_only_when_p_is_set() -> None:
    diffused = Diffused(Feedback(target=0.6, images=100, every=2))
    before = diffused.slots.clone()
    diffused.note(torch.ones(50))
    diffused.after_step(1)
    assert torch.equal(diffused.slots, before)
    diffused.note(torch.ones(50))
    diffused.after_step(2)
    assert float(diffused.feedback.p) == 1.0
    assert int(diffused.slots.max()) > 500


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
        game=losses.non_saturating, growth=Growth(fade=16, stable=4),
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
