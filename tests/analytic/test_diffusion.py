"""Paths, predictions, training noise and the diffusion models themselves, against formulas."""

import math
from typing import final

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.paths import Path
from radloom.samplers import grids, guidance, likelihood, solvers, stochastic
from radloom.samplers.denoiser import Sampler

PATHS = {
    "VP": paths.variance_preserving(),
    "sub-VP": paths.sub_variance_preserving(),
    "cosine": paths.cosine(),
    "VE": paths.variance_exploding(0.01, 50.0),
    "EDM": paths.edm(),
    "flow": paths.rectified_flow(),
}
PREDICTIONS = {
    "noise": predictions.noise,
    "image": predictions.image,
    "score": predictions.score,
    "v": predictions.v,
    "velocity": predictions.velocity,
    "EDM": predictions.preconditioned(0.5),
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spots(path: Path) -> Tensor:
    return torch.linspace(path.earliest, path.latest, 101, dtype=torch.float64)


@pytest.mark.parametrize("name", PATHS)
def test_time_inverts_the_ratio_of_noise_to_signal(name: str) -> None:
    path = PATHS[name]
    t = spots(path)
    ratio = path.ratio(t)
    torch.testing.assert_close(path.time(ratio), t, rtol=1e-7, atol=1e-9)
    assert (ratio.diff() > 0).all()
    assert (path.alpha(t) > 0).all()


def test_paths_are_the_published_ones() -> None:
    t = spots(PATHS["VP"])
    integral = torch.stack([  # of beta(t) = 0.1 + 19.9 t by the trapezoid rule, exact for a line
        torch.trapezoid(0.1 + 19.9 * torch.linspace(0, one, 3).double(), torch.linspace(0, one, 3).double())
        for one in t.tolist()
    ])  # fmt: skip
    torch.testing.assert_close(PATHS["VP"].alpha(t), (-0.5 * integral).exp(), rtol=1e-6, atol=0)
    torch.testing.assert_close(PATHS["VP"].sigma(t) ** 2, 1 - (-integral).exp(), rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(PATHS["sub-VP"].sigma(t), 1 - (-integral).exp(), rtol=1e-5, atol=1e-9)
    t = spots(PATHS["cosine"])
    f = ((t + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    bar = f / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    torch.testing.assert_close(PATHS["cosine"].alpha(t) ** 2, bar)
    torch.testing.assert_close(PATHS["cosine"].sigma(t) ** 2, 1 - bar)
    assert PATHS["VE"].sigma(torch.tensor([0.0, 0.5, 1.0]).double()).tolist() == pytest.approx([0.01, 0.5**0.5, 50.0])
    assert PATHS["flow"].ratio(torch.tensor(0.75)).item() == pytest.approx(3.0)
    for make in (lambda: paths.variance_exploding(1.0, 0.1), lambda: paths.variance_preserving(0.0, 1.0)):
        with pytest.raises(RadloomError, match="a path from"):
            make()


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("name", PATHS)
def test_a_perfect_answer_gives_the_image_back(name: str, kind: str) -> None:
    path, prediction = PATHS[name], PREDICTIONS[kind]
    t = spots(path)
    a, s = path.alpha(t), path.sigma(t)
    x0, n = (torch.randn(101, generator=rng(seed), dtype=torch.float64) for seed in (0, 1))
    clean = prediction.clean(prediction.target(x0, n, a, s), a * x0 + s * n, a, s)
    torch.testing.assert_close(clean, x0, rtol=1e-6, atol=1e-6)


def test_edm_preconditioning_asks_for_unit_variance_at_every_level_and_is_karras_table() -> None:
    spread = 0.5
    x0 = spread * torch.randn(200_000, generator=rng(0), dtype=torch.float64)
    n = torch.randn(200_000, generator=rng(1), dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    for sigma in (0.002, 0.1, 0.5, 3.0, 80.0):
        s = torch.tensor(sigma, dtype=torch.float64)
        target = predictions.preconditioned(spread).target(x0, n, one, s)
        assert target.std().item() == pytest.approx(1.0, rel=0.01)
        assert ((x0 + s * n) / (s**2 + spread**2).sqrt()).std().item() == pytest.approx(1.0, rel=0.01)
    clean = predictions.preconditioned(spread).clean(torch.tensor(2.0), torch.tensor(1.0), one, torch.tensor(1.0))
    assert clean.item() == pytest.approx(0.25 / 1.25 + 2 * 0.5 / math.sqrt(1.25))  # c_skip x + c_out F
    with pytest.raises(RadloomError, match="spread"):
        predictions.preconditioned(0.0)


def test_training_times_follow_their_laws() -> None:
    path = PATHS["EDM"]
    drawn = times.log_normal()(20_000, path, rng()).log()
    assert drawn.mean().item() == pytest.approx(-1.2, abs=0.03)
    assert drawn.std().item() == pytest.approx(1.2, rel=0.03)
    flow = PATHS["flow"]
    logits = times.logit_normal(0.5, 0.8)(20_000, flow, rng()).logit()
    assert logits.mean().item() == pytest.approx(0.5, abs=0.03)
    assert logits.std().item() == pytest.approx(0.8, rel=0.03)
    even = times.uniform(1000, flow, rng())
    parts = ((even - flow.earliest) / (flow.latest - flow.earliest) * 1000).floor()
    assert parts.unique().numel() > 990  # one in each part, but for rounding
    chain = times.discrete(5)(2000, flow, rng()).unique()
    torch.testing.assert_close(chain, torch.linspace(flow.earliest, flow.latest, 5))
    assert times.min_snr(5.0)(torch.tensor([10.0, 1.0, 0.1])).tolist() == pytest.approx([1.0, 1.0, 0.05])
    with pytest.raises(RadloomError, match="a chain of 1"):
        times.discrete(1)


# The model around a perfect network


@final
class Oracle(nn.Module):
    """The best answer for data N(m, s**2), whatever path and prediction: from E[x0 | x] the n and the target follow."""

    def __init__(self, kind: str, path: Path, *, mean: float, spread: float) -> None:
        super().__init__()
        self.kind, self.path, self.mean, self.spread = kind, path, mean, spread

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        sigma = (4 * noise).exp().view(-1, *(1,) * (x.ndim - 1))
        a = self.path.alpha(self.path.time(sigma))
        seen = x * (sigma**2 + 0.5**2).sqrt()  # undo the scale to unit variance: x0 + sigma n
        clean = (self.mean * sigma**2 + seen * self.spread**2) / (sigma**2 + self.spread**2)
        return PREDICTIONS[self.kind].target(clean, (seen - clean) / sigma, a, a * sigma)


def perfect(kind: str, path: Path, sampler: Sampler, sigmas: Tensor) -> Diffusion:
    network = Oracle(kind, path, mean=0.3, spread=0.4)
    return Diffusion(network, path, PREDICTIONS[kind], sampler=sampler, sigmas=sigmas)


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("name", PATHS)
def test_a_perfect_network_makes_the_perfect_denoiser_on_every_path(name: str, kind: str) -> None:
    model = perfect(kind, PATHS[name], solvers.heun, grids.karras(5, 0.02, 40.0))
    for sigma in (0.02, 1.0, 30.0):
        x = 0.3 + sigma * torch.randn((2, 1, 4, 4), generator=rng(), dtype=torch.float64)
        expected = (0.3 * sigma**2 + x * 0.16) / (sigma**2 + 0.16)
        found = model.denoise(x, torch.tensor(sigma), Given())
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-4, check_dtype=False)  # float32 inside


@pytest.mark.parametrize("name", PATHS)
def test_a_perfect_network_draws_the_data_and_has_its_likelihood_on_every_path(name: str) -> None:
    model = perfect("v", PATHS[name], solvers.heun, grids.karras(40, 0.01, 60.0))
    drawn = model.sample(Given(), (2, 1, 60, 50), rng=rng())
    assert drawn.mean().item() == pytest.approx(0.3, abs=0.03)
    assert drawn.std().item() == pytest.approx(0.4, rel=0.06)
    x = 0.3 + 0.4 * torch.randn((3, 1, 2, 2), generator=rng())
    fine = perfect("v", PATHS[name], solvers.heun, grids.geometric(150, 0.005, 60.0))
    found = fine.log_likelihood(x, Given(), rng=rng(), trace=likelihood.exact_trace)
    exact = torch.distributions.Normal(0.3, math.hypot(0.4, 0.005)).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(found, exact, rtol=0.0, atol=0.03)


def test_decoding_undoes_encoding() -> None:
    model = perfect("noise", PATHS["VP"], solvers.euler, grids.geometric(25, 0.02, 40.0))
    x = 0.3 + 0.4 * torch.randn((2, 1, 4, 4), generator=rng())
    for highest in (None, 1.0):
        code = model.encode(x, Given(), highest=highest)
        assert code.std() > 0.7
        torch.testing.assert_close(model.decode(code, Given(), highest=highest), x, rtol=0.0, atol=1e-3)
    with pytest.raises(RadloomError, match="levels of noise"):
        model.encode(x, Given(), highest=0.01)


def test_the_loss_of_a_perfect_network_is_the_variance_that_no_network_can_explain() -> None:
    """For v, Var(v | x) = (a**2 + s**2)**2 Var(n | x) / a**2: of n given x0 + r n, s0**2 / (s0**2 + r**2)."""
    path = PATHS["VP"]
    model = perfect("v", path, solvers.euler, grids.karras(5, 0.02, 40.0))
    model.times = lambda count, path, rng: torch.full((count,), 0.4)
    x = 0.3 + 0.4 * torch.randn((64, 1, 16, 16), generator=rng(5))
    r = path.ratio(torch.tensor(0.4).double()).item()
    expected = (0.16 / (0.16 + r**2)) * (1 + r**2)
    assert model.loss(x, Given(), rng=rng())["total"].item() == pytest.approx(expected, rel=0.05)


def test_a_model_with_an_impossible_grid_or_spread_is_refused() -> None:
    for sigmas in (torch.tensor([1.0]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0, 0.0])):
        with pytest.raises(RadloomError, match="does not fall"):
            perfect("v", PATHS["VP"], solvers.euler, sigmas)
    with pytest.raises(RadloomError, match="root mean square"):
        Diffusion(nn.Identity(), PATHS["VP"], predictions.v, sampler=solvers.euler,
                  sigmas=torch.tensor([1.0, 0.0]), spread=0.0)  # fmt: skip


def test_classifier_free_guidance_moves_a_trained_model_along_its_label() -> None:
    """A network that says the class: guided draws of class 1 lie beyond unguided ones."""

    @final
    class Says(nn.Module):
        def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
            return torch.zeros_like(x) if given.label is None else given.label.view(-1, 1, 1, 1).expand_as(x)

    drawn = []
    for guides in ((), (guidance.classifier_free(2.0, drop=("label",)),)):
        model = Diffusion(Says(), paths.edm(), predictions.image, sampler=stochastic.ancestral,
                          sigmas=grids.karras(4, 0.1, 10.0), guides=guides)  # fmt: skip
        drawn.append(model.sample(Given(label=torch.ones(1, 1)), (1, 1, 2, 2), rng=rng()).unique().tolist())
    assert drawn == [[1.0], [2.0]]
