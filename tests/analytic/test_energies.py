"""Energy-based models, their products, and answers found by descent, against densities that are known."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.energy import Composed, EnergyModel, Langevin, drawn, either
from radloom.models.irem import IREM, given_image
from radloom.networks.energies import ConvEnergy, VectorEnergy
from radloom.random import torch_stream
from radloom.samplers.denoiser import streams

NOTHING = Given()
ANGLES = torch.arange(8) * math.pi / 4
RING = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)  # eight modes on the unit circle
WIDTH = 0.15


class Modes(nn.Module):
    """-ln of eight Gaussians."""

    def forward(self, x: Tensor) -> Tensor:
        return -(-(x.flatten(1)[:, None] - RING).square().sum(2) / (2 * WIDTH**2)).logsumexp(1)


class Bowl(nn.Module):
    """The energy of N(mean, deviation**2) for each number."""

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.mean, self.deviation = mean, deviation

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.deviation).square().flatten(1).sum(1) / 2


def fair(steps: int, step: float, edge: float = 2.0) -> Langevin:
    return Langevin(steps, step, step**0.5, clip=1e6, low=-edge, high=edge)


def nearest(points: Tensor) -> tuple[Tensor, Tensor]:
    distance = torch.cdist(points.flatten(1), RING)
    return distance.min(1)


def test_langevin_from_noise_finds_all_eight_modes_with_their_width() -> None:
    points = drawn(Modes(), (800, 2, 1, 1), fair(200, 0.01), torch_stream(0))
    off, which = nearest(points)
    counts = torch.bincount(which, minlength=8)
    assert counts.min() > 40
    assert off.square().mean().sqrt() == pytest.approx(WIDTH * 2**0.5, rel=0.15)


def test_langevin_draws_a_gaussian_with_its_mean_and_deviation() -> None:
    points = drawn(Bowl(0.3, 0.5), (50, 1, 20, 20), fair(300, 0.02, 5.0), torch_stream(0))
    assert float(points.mean()) == pytest.approx(0.3, abs=0.02)
    assert float(points.std()) == pytest.approx(0.5, rel=0.03)


def test_one_step_is_half_a_step_down_the_clipped_slope_plus_noise() -> None:
    x = torch.tensor([[[[0.5, 3.0]]]])
    rng = torch_stream(0)
    still = Langevin(1, 0.2, 0.0, clip=1.0, low=-9.0, high=9.0)(Bowl(0.0, 1.0), x, streams(rng, 1))
    assert still.flatten().tolist() == pytest.approx([0.5 - 0.1 * 0.5, 3.0 - 0.1 * 1.0])
    many = torch.zeros(1, 1, 100, 100)
    noisy = Langevin(1, 0.2, 0.7, clip=1.0, low=-9.0, high=9.0)(Bowl(0.0, 1.0), many, streams(rng, 1))
    assert float(noisy.std()) == pytest.approx(0.7, rel=0.03)
    kept = Langevin(3, 0.2, 5.0, clip=1.0, low=0.0, high=1.0)(Bowl(0.0, 1.0), many, streams(rng, 1))
    assert float(kept.min()) >= 0
    assert float(kept.max()) <= 1


def test_two_experts_of_gaussians_draw_their_product() -> None:
    model = Composed([Bowl(0.0, 1.0), Bowl(1.0, 0.5)], [1.0, 1.0], fair(300, 0.02, 6.0))
    points = model.sample(NOTHING, (30, 1, 20, 20), rng=torch_stream(0))
    # precisions 1 and 4 add up; the mean is 4 / 5
    assert float(points.mean()) == pytest.approx(0.8, abs=0.03)
    assert float(points.std()) == pytest.approx(5**-0.5, rel=0.03)
    x = torch.randn(3, 1, 2, 2, generator=torch_stream(1))
    torch.testing.assert_close(model.energy(x), Bowl(0.0, 1.0)(x) + Bowl(1.0, 0.5)(x))
    assert float(model.loss(x, NOTHING, rng=torch_stream(0))["total"]) == pytest.approx(float(model.energy(x).mean()))


def test_the_sum_of_energies_is_and() -> None:
    class Right(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 4 * (1 - x.flatten(1)[:, 0]).clamp_min(0) / WIDTH

    both = Composed([Modes(), Right()], [1.0, 1.0], fair(300, 0.01))
    points = both.sample(NOTHING, (300, 2, 1, 1), rng=torch_stream(0))
    off, which = nearest(points)
    right = (which == 0) | (which == 1) | (which == 7)  # the modes at 0 and +-45 degrees
    assert right.double().mean() > 0.9
    assert off.mean() < 3 * WIDTH


def test_either_is_the_mixture() -> None:
    one, two = Bowl(-1.0, 0.2), Bowl(1.0, 0.2)
    x = torch.linspace(-2, 2, 9).view(-1, 1, 1, 1)
    torch.testing.assert_close(either([one, two])(x), -((-one(x)).exp() + (-two(x)).exp()).log())
    points = drawn(either([one, two]), (300, 1, 1, 1), fair(200, 0.01), torch_stream(0))
    assert 0.3 < float((points > 0).double().mean()) < 0.7


def test_the_first_gradient_raises_the_energy_of_draws_and_lowers_that_of_data() -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.slope * x.flatten(1).mean(1)

    model = EnergyModel(Line(), (1, 2, 2), langevin=Langevin(1, 1e-6, 0.0), buffer=8, weight=0.0)
    x = torch.ones(64, 1, 2, 2)
    model.loss(x, NOTHING, rng=torch_stream(0))["total"].backward()
    assert float(model.energy.slope.grad) == pytest.approx(1 - 0.5, abs=0.06)  # E(x+) - E(x-), x- uniform on [0, 1]


def test_the_buffer_takes_the_ends_of_chains_after_the_step_and_chains_go_on_from_there() -> None:
    still = Langevin(1, 1e-9, 0.0)
    model = EnergyModel(Bowl(0.0, 1.0), (1, 2, 2), langevin=still, buffer=4, fresh=0.0)
    x = torch.rand(4, 1, 2, 2, generator=torch_stream(0))
    model.loss(x, NOTHING, rng=torch_stream(1))
    assert int(model.filled) == 0
    model.after_step()
    assert int(model.filled) == 4
    first = model.buffer.clone()
    assert len({float(v) for v in first[:, 0, 0, 0]}) == 4
    model.loss(x, NOTHING, rng=torch_stream(2))
    model.after_step()
    torch.testing.assert_close(model.buffer, first, rtol=0, atol=1e-6)  # a chain that stands still ends where it began


def divergence(energy: nn.Module, edge: float = 2.0) -> float:
    """KL(data || exp(-energy)) in nats on a grid over the square that the chains are kept in."""
    ticks = torch.linspace(-edge, edge, 201, dtype=torch.float64)[:-1] + edge / 200
    points = torch.cartesian_prod(ticks, ticks).float()[..., None, None]
    with torch.no_grad():
        right, found = ((-e(points)).double().log_softmax(0) for e in (Modes(), energy))
    return float((right.exp() * (right - found)).sum())


def eight_modes(count: int, seed: int) -> Tensor:
    rng = torch_stream(seed, "data")
    centres = RING[torch.randint(8, (count,), generator=rng)]
    return (centres + WIDTH * torch.randn(count, 2, generator=rng))[..., None, None]


def test_contrast_learns_the_density_of_eight_modes_and_langevin_from_noise_finds_them_all() -> None:
    torch.manual_seed(0)
    steps = 400
    energy = VectorEnergy(2, 128, scale=4.0, bend=torch.tanh)
    model = EnergyModel(energy, (2, 1, 1), langevin=fair(10, 0.01), buffer=2000, weight=0.003)
    average = copy.deepcopy(energy).requires_grad_(False)
    optimiser = torch.optim.Adam(model.parameters(), betas=(0.5, 0.99))
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 5e-3 * min(1.0, 2 * (1 - step / steps))
        optimiser.zero_grad()
        model.loss(eight_modes(256, step), NOTHING, rng=torch_stream(step))["total"].backward()
        optimiser.step()
        model.after_step()
        keep = min(0.99, (1 + step) / (10 + step))  # the trainer's moving average
        torch._foreach_lerp_(list(average.parameters()), list(energy.parameters()), 1 - keep)
    assert divergence(average) < 0.1
    points = drawn(average, (400, 2, 1, 1), fair(150, 0.01), torch_stream(0))
    off, which = nearest(points)
    assert torch.bincount(which[off < 3 * WIDTH], minlength=8).min() > 15  # 50 each if all were equal
    assert float((off < 3 * WIDTH).double().mean()) > 0.9


@pytest.mark.parametrize("dims", [2, 3])
def test_the_convolutions_of_an_energy_have_unit_norm_and_its_reference_is_a_gaussian(dims: int) -> None:
    torch.manual_seed(0)
    plain = ConvEnergy(dims, 1, (4, 8))
    for layer in plain.layers:
        singular = torch.linalg.svdvals(layer.weight.flatten(1))
        assert float(singular[0].detach()) == pytest.approx(1, abs=1e-5)
    far = ConvEnergy(dims, 1, (4, 8), reference=0.5)
    far.load_state_dict(plain.state_dict())
    x = torch.randn(3, 1, *(5,) * dims, generator=torch_stream(0))
    torch.testing.assert_close(far(x) + plain(x), x.square().flatten(1).sum(1) / (2 * 0.25))


class Squares(nn.Module):
    """E([question, y]) = (y - 3 question)**2 / 4, whose gradient step of 2 solves it in one go."""

    def forward(self, x: Tensor) -> Tensor:
        question, y = x.chunk(2, dim=1)
        return ((y - 3 * question).square() / 4).flatten(1).sum(1)


def test_descent_reaches_the_minimum_of_a_quadratic_at_the_rate_of_its_curvature() -> None:
    given = Given(image=torch.rand(2, 1, 3, 3, generator=torch_stream(0)))
    exact = IREM(Squares(), given_image, draws=1, step=2.0).eval()
    answer = exact.sample(given, (2, 1, 3, 3), rng=torch_stream(1))
    torch.testing.assert_close(answer, 3 * given.image, rtol=1e-5, atol=1e-5)
    slow = {n: IREM(Squares(), given_image, draws=n, step=1.0).eval() for n in (1, 4)}
    error = {n: (m.sample(given, (2, 1, 3, 3), rng=torch_stream(1)) - 3 * given.image).norm() for n, m in slow.items()}
    assert float(error[4] / error[1]) == pytest.approx(0.5**3, rel=1e-3)  # each step halves the error


def test_irem_learns_to_add_and_more_steps_answer_better() -> None:
    torch.manual_seed(0)
    model = IREM(VectorEnergy(3, 32), lambda given: given.image, steps=4, step=0.5).train()
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(250):
        question = torch.rand(64, 2, 1, 1, generator=torch_stream(step, "question"))
        optimiser.zero_grad()
        losses = model.loss(question.sum(1, keepdim=True), Given(image=question), rng=torch_stream(step))
        losses["total"].backward()
        optimiser.step()
    question = torch.rand(200, 2, 1, 1, generator=torch_stream(0, "test"))
    model.eval()

    def error(draws: int) -> float:
        model.draws = draws
        answer = model.sample(Given(image=question), (200, 1, 1, 1), rng=torch_stream(1))
        return float((answer - question.sum(1, keepdim=True)).square().mean())

    assert error(4) < 0.02
    assert error(4) < 0.5 * error(1)
    assert error(8) < 2 * error(4)  # more steps than were trained do no harm


def test_what_makes_no_energy_model_is_refused() -> None:
    model = EnergyModel(ConvEnergy(2, 1, (4,)), (1, 4, 4), langevin=Langevin(), buffer=4)
    with pytest.raises(RadloomError, match="images of"):
        model.loss(torch.zeros(1, 1, 6, 6), NOTHING, rng=torch_stream(0))
    for make in (
        lambda: Langevin(steps=0), lambda: Langevin(step=float("nan")), lambda: Langevin(low=1.0, high=1.0),
        lambda: EnergyModel(Bowl(0, 1), (1,), langevin=Langevin(), buffer=0), lambda: Composed([], [], Langevin()),
        lambda: Composed([Bowl(0, 1)], [1.0, 2.0], Langevin()), lambda: ConvEnergy(2, 1, (4,), reference=0.0),
        lambda: VectorEnergy(2, 4, scale=0.0),
        lambda: IREM(Squares(), given_image, steps=0), lambda: IREM(Squares(), given_image, step=0.0),
        lambda: given_image(NOTHING),
    ):  # fmt: skip
        with pytest.raises(RadloomError, match="expected"):
            make()
