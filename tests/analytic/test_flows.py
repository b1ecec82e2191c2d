"""Flows: inverses, log-determinants and densities against autograd and against integrals."""

import math

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.discrete import Levels
from radloom.models.flow import DenoisingFlow, Flow
from radloom.models.model import Batch
from radloom.networks.flows import ActNorm, Affine, Chain, Coupling, Glow, Mix, Planar, Spline, coupling_chain
from radloom.networks.splines import spline
from radloom.random import torch_stream

NOTHING = Given()
BIJECTIONS = {
    "planar": lambda dims: Chain([Planar(4 * 4 ** (dims - 1)) for _ in range(3)]),
    "activation norm": lambda dims: Chain([ActNorm(1)]),
    "mix": lambda dims: Glow(dims, 1, 4, levels=1, steps=1, transform=Affine()).levels[0].parts[1],
    "affine": lambda dims: Glow(dims, 1, 4, levels=1, steps=2, transform=Affine()),
    "Glow": lambda dims: Glow(dims, 1, 4, levels=2, steps=2, transform=Affine()),
    "spline": lambda dims: Glow(dims, 1, 4, levels=2, steps=2, transform=Spline(5, 3.0)),
}


def bijection(name: str, dims: int) -> nn.Module:
    torch.manual_seed(3)
    made = BIJECTIONS[name](dims)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += (0.3 if name == "planar" else 0.05) * torch.randn_like(parameter)  # invertible with 9 digits
    return made.double()


def images(name: str, dims: int, count: int = 3) -> Tensor:
    shape = (2**dims, *(2,) * dims) if name == "mix" else (1, *(4,) * dims)
    if name == "planar":
        shape = (1, 4, *(4,) * (dims - 1))
    return 2 * torch.randn(count, *shape, dtype=torch.float64, generator=torch_stream(0))


def inverted(made: nn.Module, z: Tensor, x: Tensor) -> Tensor:
    return made.invert(z.flatten(1), tuple(x.shape[1:])) if isinstance(made, Glow | Chain) else made.inverse(z)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", BIJECTIONS)
def test_inverses_give_the_image_back_in_both_precisions(name: str, dims: int) -> None:
    made, x = bijection(name, dims), images(name, dims)
    with torch.no_grad():
        z = made(x)[0]
        torch.testing.assert_close(inverted(made, z, x), x, rtol=0, atol=1e-9)
        assert (z.flatten() - x.flatten()).abs().max() > 0.01  # not the identity
        single = made.float()
        torch.testing.assert_close(inverted(single, single(x.float())[0], x), x.float(), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", BIJECTIONS)
def test_log_determinants_are_those_of_the_jacobian_by_autograd(name: str, dims: int) -> None:
    made, x = bijection(name, dims), images(name, dims, 2)
    change = made(x)[1]
    for i in range(2):
        jacobian = torch.autograd.functional.jacobian(lambda y: made(y)[0].flatten(), x[i : i + 1])
        right = torch.linalg.slogdet(jacobian.reshape(x[0].numel(), -1))[1]
        torch.testing.assert_close(change[i], right, rtol=1e-8, atol=1e-8)


def test_a_spline_of_zeros_is_the_identity_and_any_spline_rises_and_is_it_outside() -> None:
    x = torch.linspace(-5, 5, 401, dtype=torch.float64)
    z, slope = spline(x, torch.zeros(401, 14, dtype=torch.float64), 4.0)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(slope, torch.zeros_like(x), rtol=0, atol=1e-12)
    answer = 2 * torch.randn(14, dtype=torch.float64, generator=torch_stream(0))
    z, slope = spline(x, answer.expand(401, 14), 4.0)
    assert (z.diff() > 0).all()
    assert torch.equal(z[x.abs() >= 4], x[x.abs() >= 4])
    middle = (z[2:] - z[:-2]) / (x[2:] - x[:-2])
    near = (slope[1:-1].exp() - middle).abs() < 0.05 * (1 + middle)
    assert near.double().mean() > 0.9  # the rest are the knots


def plane(transform: Affine | Spline, steps: int = 4) -> Chain:
    torch.manual_seed(0)
    return coupling_chain(2, 2, 16, steps, transform, kernel=1)


def grid(edge: float, steps: int) -> tuple[Tensor, float]:
    axis = torch.linspace(-edge, edge, steps, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis).view(-1, 2, 1, 1), (2 * edge / (steps - 1)) ** 2


@pytest.mark.parametrize("kind", ["planar", "affine", "spline"])
def test_the_density_integrates_to_one_over_the_plane(kind: str) -> None:
    torch.manual_seed(1)
    made = (
        Chain([Planar(2) for _ in range(4)]) if kind == "planar" else plane(Affine() if kind == "affine" else Spline())
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    model = Flow(made, None).double()
    x, cell = grid(14.0, 281)
    with torch.no_grad():
        assert float(model.log_likelihood(x, NOTHING).exp().sum() * cell) == pytest.approx(1, abs=0.005)


def fitted(model: Flow | DenoisingFlow, data: Tensor, *, steps: int, count: int) -> None:
    model.begin(lambda: [Batch(data, NOTHING, torch.ones(len(data), 1, *data.shape[2:], dtype=torch.bool))])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(steps):
        optimiser.zero_grad()
        rng = torch_stream(step)
        chosen = data[torch.randint(len(data), (count,), generator=rng)]
        model.loss(chosen, NOTHING, rng=rng)["total"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()


def test_a_flow_learns_a_correlated_gaussian_to_its_entropy() -> None:
    rng = torch_stream(0)
    root = torch.tensor([[2.0, 0.0], [1.5, 0.5]])
    data = (torch.randn(4000, 2, generator=rng) @ root.T + 3).view(-1, 2, 1, 1)
    model = Flow(plane(Affine()), None)
    fitted(model, data, steps=100, count=128)
    entropy = 1 + math.log(2 * math.pi) + math.log(2.0 * 0.5)
    with torch.no_grad():
        assert -float(model.log_likelihood(data, NOTHING).mean()) == pytest.approx(entropy, abs=0.1)
        drawn = model.sample(NOTHING, (2000, 2, 1, 1), rng=torch_stream(1)).view(-1, 2)
    assert drawn.mean(0).tolist() == pytest.approx([3.0, 3.0], abs=0.25)
    torch.testing.assert_close(torch.cov(drawn.T), root @ root.T, rtol=0.15, atol=0.3)


def test_discrete_images_are_spread_within_their_levels() -> None:
    levels = Levels(5, 0.0, 1.0)
    model = Flow(Chain([ActNorm(1)]), levels)  # the identity: x ~ N(0, 1)
    x = torch.full((4000, 1, 1, 1), 0.5)
    bits = model.bits_per_dimension(x, NOTHING, rng=torch_stream(0)).mean()
    square = 0.5**2 + 0.25**2 / 12  # mean square of U(0.375, 0.625)
    assert float(bits.detach()) == pytest.approx((square / 2 + math.log(2 * math.pi) / 2) / math.log(2) + 2, abs=0.01)
    loss = model.loss(x, NOTHING, rng=torch_stream(0))["total"]
    assert float(loss.detach()) == pytest.approx(square / 2 + math.log(2 * math.pi) / 2, abs=0.01)


def test_the_first_images_set_the_activation_norm() -> None:
    x = 3 * torch.randn(64, 2, 4, 4, generator=torch_stream(0)) + 5
    norm = ActNorm(2)
    norm.fit(x)
    z = norm(x)[0].movedim(1, 0).flatten(1)
    torch.testing.assert_close(z.mean(1), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.std(1), torch.ones(2), rtol=1e-4, atol=0)


def test_draws_are_as_wide_as_the_temperature() -> None:
    model = Flow(Chain([ActNorm(1)]), None, temperature=0.5)
    assert float(model.sample(NOTHING, (2, 1, 50, 50), rng=torch_stream(0)).std()) == pytest.approx(0.5, rel=0.05)


def spiral(count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points on an arm (b, 2, 1, 1), and many points along it."""

    def arm(turn: Tensor) -> Tensor:
        return torch.stack([turn * turn.cos(), turn * turn.sin()], dim=1) / 3

    turns = 2 + 4 * torch.rand(count, generator=rng)
    return arm(turns).view(-1, 2, 1, 1), arm(torch.linspace(2, 6, 2000))


def test_points_beside_a_spiral_are_projected_back_onto_it() -> None:
    rng, deviation = torch_stream(0), 0.1
    data, arm = spiral(3000, rng)
    model = DenoisingFlow(plane(Spline(8, 4.0)), 1, deviation=deviation, weight=50.0)
    fitted(model, data, steps=350, count=256)
    beside = data[:500] + deviation * torch.randn(500, 2, 1, 1, generator=rng)
    with torch.no_grad():
        back = model.project(beside).view(-1, 2)
        drawn = model.sample(NOTHING, (500, 2, 1, 1), rng=torch_stream(1)).view(-1, 2)
        far = model.distance(data[:500] * 1.5).mean()
        near = model.distance(data[:500]).mean()

    def off(points: Tensor) -> Tensor:
        return torch.cdist(points, arm).min(1).values

    assert off(back).mean() < 0.6 * off(beside.view(-1, 2)).mean()
    assert off(back).square().mean().sqrt() < deviation
    assert off(drawn).mean() < deviation
    assert far > 3 * near


def test_what_makes_no_flow_is_refused() -> None:
    glow = Glow(2, 1, 4, levels=2, steps=1, transform=Affine())
    with pytest.raises(RadloomError, match="multiples of 4"):
        Flow(glow, None).log_likelihood(torch.zeros(1, 1, 6, 8), NOTHING)
    with pytest.raises(RadloomError, match="squeeze"):
        Coupling(2, 1, 4, Affine())
    with pytest.raises(RadloomError, match="planar"):
        Planar(3)(torch.zeros(1, 1, 2, 2))
    with pytest.raises(RadloomError, match="temperature"):
        Flow(glow, None, temperature=0.0)
    with pytest.raises(RadloomError, match="with levels"):
        Flow(glow, None).bits_per_dimension(torch.zeros(1, 1, 4, 4), NOTHING, rng=torch_stream(0))
    with pytest.raises(RadloomError, match="manifold"):
        DenoisingFlow(glow, 0)
    with pytest.raises(RadloomError, match="fewer dimensions"):
        DenoisingFlow(glow, 16).log_likelihood(torch.zeros(1, 1, 4, 4), NOTHING)
    with pytest.raises(RadloomError, match="NaN"):
        Flow(glow, Levels(256)).loss(torch.full((1, 1, 4, 4), float("nan")), NOTHING, rng=torch_stream(0))


def test_a_mix_is_a_rotation_at_the_start() -> None:
    torch.manual_seed(0)
    matrix = Mix(5)._matrix()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(5), rtol=0, atol=1e-5)
