"""Consistency training against closed forms of Gaussian data: the path, its levels, and what training finds."""

import doctest
import math
from itertools import pairwise
from pathlib import Path
from typing import final

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import consistency
from radloom.models.consistency import Consistency, Ladder
from radloom.random import torch_stream
from radloom.weights import load_tensors, save_weights

NOTHING = Given()
MEAN, DEVIATION = 0.3, 0.4


def along(sigma: Tensor, lowest: float) -> Tensor:
    """How much of x - MEAN the exact path keeps from sigma down to the lowest level, for data N(MEAN, DEVIATION**2)."""
    return ((DEVIATION**2 + lowest**2) / (DEVIATION**2 + sigma**2)).sqrt()


def learned(sigmas: Tensor) -> Tensor:
    """The same for what training converges to on these levels.

    f at a level is the mean of the answer below given x: k_(i+1) = k_i Cov(x_i, x_(i+1)) / Var(x_(i+1)).
    """
    kept = [torch.ones((), dtype=torch.float64)]
    for low, high in pairwise(sigmas):
        kept.append(kept[-1] * (DEVIATION**2 + low * high) / (DEVIATION**2 + high**2))
    return torch.stack(kept)


@final
class Slopes(nn.Module):
    """F for which f(x, sigma) = MEAN + kept(sigma) (x - MEAN), with a slope for each level of a ladder."""

    def __init__(self, ladder: Ladder, kept: Tensor, spread: float) -> None:
        super().__init__()
        self.ladder, self.spread = ladder, spread
        self.kept = nn.Parameter(kept.float())

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        s = (4 * noise).exp().view(-1, 1, 1, 1)
        level = (self.ladder.sigmas(0)[None] - s.flatten()[:, None]).abs().argmin(1)
        total, way = (s**2 + self.spread**2).sqrt(), s - self.ladder.lowest
        seen = x * total
        f = MEAN + self.kept[level].view(-1, 1, 1, 1) * (seen - MEAN)
        skip, out = self.spread**2 / (way**2 + self.spread**2), self.spread * way / total
        return torch.where(level.view(-1, 1, 1, 1) == 0, 0.0, (f - skip * seen) / out.clamp_min(1e-9))


FEW = Ladder(steps=1, first=6, last=6, lowest=0.05, highest=5.0)


def sloped(kept: Tensor) -> Consistency:
    return Consistency(Slopes(FEW, kept, 0.5), FEW, draws=(5.0,), spread=0.5)


def pull(kept: Tensor) -> Tensor:
    """The gradient of the loss for each level's slope, and its standard error, from 12 batches of wide images."""
    found = []
    for seed in range(12):
        model = sloped(kept)
        x = MEAN + DEVIATION * torch.randn(200, 1, 24, 24, generator=torch_stream(seed, "x"))
        model.loss(x, NOTHING, rng=torch_stream(seed))["total"].backward()
        network = model.network
        assert isinstance(network, Slopes)
        assert network.kept.grad is not None
        found.append(network.kept.grad[1:])
    each = torch.stack(found)
    return each.mean(0) / (each.std(0) / len(found) ** 0.5)


def test_the_gradient_vanishes_at_the_closed_form_of_the_levels_and_pulls_back_from_either_side() -> None:
    right = learned(FEW.sigmas(0))
    assert float(pull(right).abs().max()) < 4
    above, below = right.clone(), right.clone()
    above[1:] += 0.03
    below[1:] -= 0.03
    assert float(pull(above)[0]) > 4  # the first level's answer below is the image itself, which stays
    assert float(pull(below)[0]) < -4


def test_on_more_and_more_levels_the_closed_form_becomes_the_path_itself() -> None:
    errors = []
    for count in (20, 40, 80):
        ladder = Ladder(steps=1, first=count, last=count)
        sigmas = ladder.sigmas(0)
        errors.append(float((learned(sigmas) / along(sigmas, ladder.lowest) - 1).abs().max()))
    assert errors[0] / errors[1] > 1.5
    assert errors[1] / errors[2] > 1.7
    assert errors[2] < 0.1


def test_draws_by_the_exact_path_have_the_data_in_one_jump_and_in_two() -> None:
    @final
    class Exact(nn.Module):
        def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
            s = (4 * noise).exp().view(-1, 1, 1, 1)
            total, way = (s**2 + 0.25).sqrt(), s - 0.002
            seen = x * total
            f = MEAN + along(s, 0.002) * (seen - MEAN)
            return (f - 0.25 / (way**2 + 0.25) * seen) / (0.5 * way / total)

    for draws in ((80.0,), (80.0, 0.821), (80.0, 5.0, 0.5)):
        model = Consistency(Exact(), Ladder(steps=1), draws=draws, spread=0.5)
        drawn = model.sample(NOTHING, (2, 1, 100, 100), rng=torch_stream(0))
        assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.01)
        assert float(drawn.std()) == pytest.approx(DEVIATION, rel=0.02)


def test_at_the_lowest_level_the_jump_is_the_image_whatever_the_network_says() -> None:
    class Loud(nn.Module):
        def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
            return 100 * torch.ones_like(x)

    model = Consistency(Loud(), Ladder(steps=1), spread=0.5)
    x = torch.randn(3, 1, 2, 2, generator=torch_stream(0))
    torch.testing.assert_close(model.jump(x, torch.tensor(0.002), NOTHING), x)
    far = model.jump(x, torch.tensor(1.002), NOTHING)  # c_skip = 1 / 5, c_out = 1 / sqrt(1.002**2 + 1 / 4) / 2
    torch.testing.assert_close(far, x / 5 + 50 / math.sqrt(1.002**2 + 0.25))


def test_levels_double_on_time_and_are_chosen_by_their_law() -> None:
    ladder = Ladder(steps=4000, first=10, last=160)
    assert [ladder.levels(k) for k in (0, 799, 800, 1600, 2400, 3200, 3999, 9999)] == [
        11,
        11,
        21,
        41,
        81,
        161,
        161,
        161,
    ]
    sigmas = ladder.sigmas(0)
    assert float(sigmas[0]) == pytest.approx(0.002)
    assert float(sigmas[-1]) == pytest.approx(80.0)
    erf = [math.erf((math.log(s) + 1.1) / (math.sqrt(2) * 2.0)) for s in sigmas.tolist()]
    parts = [b - a for a, b in pairwise(erf)]
    assert ladder.chances(sigmas).tolist() == pytest.approx([part / sum(parts) for part in parts], rel=1e-6)


class Small(nn.Module):
    """F = a(sigma) x + b(sigma)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 2))

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        a, b = self.layers(2 * noise[:, None]).T[..., None, None, None]
        return a * x + b


def train(model: Consistency, steps: range, optimiser: torch.optim.Optimizer) -> None:
    rate = optimiser.param_groups[0]["lr"]
    for step in steps:
        optimiser.param_groups[0]["lr"] = rate * (1 - step / model.ladder.steps)
        x = MEAN + DEVIATION * torch.randn(64, 1, 8, 8, generator=torch_stream(step, "x"))
        optimiser.zero_grad()
        model.loss(x, NOTHING, rng=torch_stream(step))["total"].backward()
        optimiser.step()
        model.after_step()


def test_training_finds_its_closed_form_and_draws_by_it_in_one_jump_and_in_two() -> None:
    torch.manual_seed(0)
    steps = 800
    ladder = Ladder(steps, first=8, last=16, lowest=0.02, highest=10.0, mean=0.0)
    sigmas = ladder.sigmas(steps)
    middle = float(sigmas[11])
    model = Consistency(Small(), ladder, draws=(10.0, middle), spread=0.5)
    train(model, range(steps), torch.optim.Adam(model.parameters(), 1e-2))
    kept = learned(sigmas).float()
    with torch.no_grad():
        ends = [model.jump(torch.full((17, 1, 1, 1), v), sigmas, NOTHING).flatten() for v in (MEAN, MEAN + 1)]
        torch.testing.assert_close(ends[1] - ends[0], kept, rtol=0.08, atol=0.005)
        torch.testing.assert_close(ends[0], torch.full((17,), MEAN), rtol=0, atol=0.05)
        one = float(kept[-1]) * 10.0
        two = float(kept[11]) * math.sqrt(one**2 + middle**2 - 0.02**2)
        for draws, spread in (((10.0,), one), ((10.0, middle), two)):
            model.draws = draws
            drawn = model.sample(NOTHING, (2, 1, 60, 60), rng=torch_stream(0))
            assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.05)
            assert float(drawn.std()) == pytest.approx(spread, rel=0.1)
    assert one < 0.95 * DEVIATION  # sixteen levels fall short, as the test above says


def test_training_goes_on_with_the_same_numbers_after_a_pause(tmp_path: Path) -> None:
    def fresh() -> tuple[Consistency, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = Consistency(Small(), Ladder(12, first=2, last=8), spread=0.5)
        return model, torch.optim.SGD(model.parameters(), 1e-2)

    whole, optimiser = fresh()
    train(whole, range(12), optimiser)
    half, optimiser = fresh()
    train(half, range(6), optimiser)
    save_weights(tmp_path / "w.safetensors", half)
    again, optimiser = fresh()
    load_tensors(again, tmp_path / "w.safetensors")
    assert int(again.step) == 6  # without it, the ladder would begin anew
    train(again, range(6, 12), optimiser)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_examples_in_docstrings_are_true() -> None:
    done = doctest.testmod(consistency)
    assert done.attempted > 0
    assert done.failed == 0


def test_what_makes_no_consistency_model_is_refused() -> None:
    for make in (
        lambda: Ladder(steps=0), lambda: Ladder(1, first=1), lambda: Ladder(1, first=20, last=10),
        lambda: Ladder(1, lowest=0.0), lambda: Ladder(1, highest=math.inf), lambda: Ladder(1, deviation=math.nan),
    ):  # fmt: skip
        with pytest.raises(RadloomError, match="a ladder of"):
            make()
    for draws in ((), (70.0,), (80.0, 0.002), (80.0, 1.0, 2.0)):
        with pytest.raises(RadloomError, match="falling levels"):
            Consistency(Small(), Ladder(1), draws=draws)
    for huber, spread in ((0.0, 0.5), (1e-3, -1.0), (1e-3, math.nan)):
        with pytest.raises(RadloomError, match="numbers above 0"):
            Consistency(Small(), Ladder(1), huber=huber, spread=spread)
