"""Paths, predictions, training noise, conditions and the diffusion models themselves, against formulas."""

import doctest
import math
import warnings
from typing import final

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import improved_ddpm, paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.improved_ddpm import ImprovedDDPM, gaussian_kl, learned_log_variance
from radloom.models.paths import Path
from radloom.networks import conditions
from radloom.networks.conditions import Class, Dropout, Value, Words, dropped, never
from radloom.operators.base import LinearOperator, Measurement
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


# Improved DDPM


@final
class NoiseOracle(nn.Module):
    """The best noise for data N(0, s**2), and the same v everywhere."""

    def __init__(self, spread: float, share: float) -> None:
        super().__init__()
        self.spread, self.share = spread, share

    def forward(self, x: Tensor, noise: Tensor, given: Given) -> Tensor:
        sigma = (4 * noise).exp().view(-1, 1, 1, 1)
        seen = x * (1 + sigma**2).sqrt()
        best = seen * sigma / (sigma**2 + self.spread**2)
        return torch.cat([best, torch.full_like(best, 2 * self.share - 1)], dim=1)


def test_gaussian_divergence_is_that_of_torch_distributions() -> None:
    a, b, c, d = (torch.randn(50, generator=rng(seed), dtype=torch.float64) for seed in range(4))
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(a, (b / 2).exp()), normal(c, (d / 2).exp()))
    torch.testing.assert_close(gaussian_kl(a, b, c, d), expected)


def test_learned_variance_runs_from_beta_tilde_to_beta_of_the_chain() -> None:
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    bar = (1 - beta).cumprod(0)
    ratio = ((1 - bar) / bar).sqrt()
    for t in (1, 500, 999):
        tilde = (1 - bar[t - 1]) / (1 - bar[t]) * beta[t]
        ends = [learned_log_variance(torch.tensor(v), ratio[t], ratio[t - 1]).exp() * bar[t - 1] for v in (0.0, 1.0)]
        torch.testing.assert_close(ends[0], tilde)
        torch.testing.assert_close(ends[1], beta[t])


def test_the_bound_prefers_the_variance_that_the_data_have() -> None:
    """beta is right for N(0, 1) data, beta~ for data that are one point (Ho et al. 2020, section 3.2)."""
    for spread, better in ((1.0, 1.0), (1e-3, 0.0)):
        bounds = {}
        for share in (0.0, 1.0):
            model = ImprovedDDPM(NoiseOracle(spread, share), paths.cosine(), steps=20, draws=10)
            x = spread * torch.randn((400, 1, 8, 8), generator=rng(1))
            losses = model.loss(x, Given(), rng=rng(2))
            assert losses["total"].item() == pytest.approx(losses["simple"].item() + 0.02 * losses["bound"].item())
            bounds[share] = losses["bound"].item()
        assert bounds[better] < bounds[1 - better] - 0.01


def test_the_bound_is_the_density_of_normal_data_and_looser_where_the_variance_is_wrong_or_the_steps_are_few() -> None:
    """For N(0, 1) data beta is the exact variance, of any number of steps (Ho et al. 2020, section 3.2)."""
    missed = {}
    for spread, share, draws in ((1.0, 1.0, 10), (1.0, 1.0, 100), (1.0, 0.0, 10), (0.3, 1.0, 10), (0.3, 1.0, 100)):
        x = spread * torch.randn((40, 1, 32, 32), generator=rng(1))
        exact = torch.distributions.Normal(0.0, spread).log_prob(x).mean().item()
        model = ImprovedDDPM(NoiseOracle(spread, share), paths.cosine(), steps=100, draws=draws)
        bound = model.bound(x, Given(), rng=rng(2))
        assert bound.shape == (40,)
        missed[spread, share, draws] = exact - bound.mean().item() / 1024
    for draws in (10, 100):  # the noise of x_t moves it by about 0.01
        assert missed[1.0, 1.0, draws] == pytest.approx(0, abs=0.04)
    assert missed[1.0, 0.0, 10] > 0.1
    assert missed[0.3, 1.0, 10] > missed[0.3, 1.0, 100] + 0.05 > 0.05


def test_what_strays_beyond_the_variances_that_can_be_right_is_drawn_as_the_nearest_of_them() -> None:
    drawn = [
        ImprovedDDPM(NoiseOracle(1.0, share), paths.cosine(), steps=50, draws=5).sample(
            Given(), (1, 1, 8, 8), rng=rng()
        )
        for share in (1.0, 30.0)
    ]
    torch.testing.assert_close(drawn[0], drawn[1])


def test_a_short_chain_with_the_learned_variance_draws_the_data_where_the_lower_bound_is_too_narrow() -> None:
    spreads = {}
    for share in (0.0, 1.0):
        model = ImprovedDDPM(NoiseOracle(1.0, share), paths.cosine(), steps=200, draws=8)
        spreads[share] = model.sample(Given(), (1, 1, 80, 80), rng=rng()).std().item()
    assert spreads[1.0] == pytest.approx(1.0, rel=0.04)
    assert spreads[0.0] < 0.95
    x = torch.randn((2, 1, 4, 4), generator=rng())
    torch.testing.assert_close(model.denoise(x, torch.tensor(1.0), Given()), x / 2)
    with pytest.raises(RadloomError, match="draws from a chain"):
        ImprovedDDPM(NoiseOracle(1.0, 0.0), paths.cosine(), steps=5, draws=6)


# What is given


def test_given_carries_a_measurement_through_slicing_and_moving() -> None:
    @final
    class Double(LinearOperator):
        def __call__(self, x: Tensor) -> Tensor:
            return 2 * x

        adjoint = __call__

        def pinv(self, y: Tensor) -> Tensor:
            return y / 2

    given = Given(
        image=torch.zeros(3, 2, 1, 1), measured=Measurement(torch.arange(3.0)[:, None], Double()), text=("a", "b", "c")
    )
    some = given[1:].to("cpu")
    assert some.measured is not None
    assert some.measured.y.flatten().tolist() == [1.0, 2.0]
    assert some.measured.operator is given.measured.operator
    assert some.text == ("b", "c")
    kept = given.channels((1,))
    assert kept.measured is given.measured
    assert kept.image is not None
    assert kept.image.shape == (3, 1, 1, 1)


def test_dropout_hides_each_entry_and_all_together_at_the_rates_asked_for() -> None:
    count = 20_000
    given = Given(label=torch.ones(count, 2), image=torch.zeros(count, 1, 1, 1), text=("tumour",) * count)
    policy = Dropout(("label", "image", "text"), each=0.2, jointly=0.1)
    hidden = dropped(given, count, policy, rng())
    lost = torch.stack(
        [hidden.label[:, 0].isnan(), hidden.image[:, 0, 0, 0].isnan(), torch.tensor([t == "" for t in hidden.text])]
    )
    torch.testing.assert_close(lost.float().mean(1), torch.full((3,), 0.1 + 0.9 * 0.2), rtol=0.0, atol=0.015)
    assert lost.all(0).float().mean().item() == pytest.approx(0.1 + 0.9 * 0.008, abs=0.01)
    assert hidden.label.isnan().all(1).equal(hidden.label.isnan().any(1))
    assert dropped(given, count, never, rng()) is given
    assert dropped(Given(), 5, policy, rng()) == Given()
    with pytest.raises(RadloomError, match="dropout of colour"):
        Dropout(("colour",))
    with pytest.raises(RadloomError, match="chances"):
        Dropout(("label",), each=1.5)


def test_the_unknown_is_the_same_whether_absent_nan_or_empty_and_differs_from_all_that_is_known() -> None:
    torch.manual_seed(0)
    unknown = Given(label=torch.tensor([[float("nan")], [0.0]]), text=("", "no tumour"))
    for part in (Class(3, 8), Value(8, centre=1.0, scale=2.0), Words(8)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, absent = part(unknown, 2), part(Given(), 2)
        assert found.shape == (2, 8)
        assert torch.isfinite(found).all()
        assert torch.equal(found[0], absent[0])
        assert not torch.equal(found[1], absent[1])


def test_values_far_apart_and_words_in_any_case_are_told_apart_and_mistakes_are_said() -> None:
    torch.manual_seed(0)
    value = Value(16)(Given(label=torch.tensor([[0.1], [0.9]])), 2)
    assert not torch.allclose(value[0], value[1], atol=1e-3)
    words = Words(8)(Given(text=("Tumour, left.", "left tumour", "right tumour")), 3)
    torch.testing.assert_close(words[0], words[1])
    assert not torch.allclose(words[0], words[2])
    for label in (3.0, -1.0):
        with pytest.raises(RadloomError, match="expected 0 to 2"):
            Class(3, 8)(Given(label=torch.tensor([[label]])), 1)
    with pytest.raises(RadloomError, match="a label of shape"):
        Class(3, 8, column=1)(Given(label=torch.tensor([[1.0]])), 1)


def test_boxes_are_painted_with_their_shares_of_voxels() -> None:
    corners = torch.tensor([[[0.5, 1.0, 2.0, 3.0], [float("nan")] * 4]])  # rows 0.5 to 2, columns 1 to 3
    expected = torch.tensor([[0, 0.5, 0.5, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(conditions.painted(corners, (3, 4))[0, 0], expected)
    box = conditions.box_map(3, 1, first=1)
    x = torch.zeros(1, 1, 4, 4, 4)
    assert box.draw(Given(label=torch.tensor([[9.0, 0, 1, 2, 2, 3, 4]])), x).sum().item() == 8
    assert not box.draw(Given(), x).any()
    with pytest.raises(RadloomError, match="corners"):
        box.draw(Given(label=torch.zeros(1, 3)), x)


@final
class Shadow(LinearOperator):
    """Every image without its first column."""

    def __call__(self, x: Tensor) -> Tensor:
        return x[..., 1:]

    def adjoint(self, y: Tensor) -> Tensor:
        return torch.nn.functional.pad(y, (1, 0))

    pinv = adjoint


def test_a_measurement_is_seen_as_the_image_that_it_determines_or_as_unknown() -> None:
    x, y = torch.zeros(2, 1, 2, 3), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]] * 2)
    y[1, 0, 0, 0] = float("nan")
    seen = conditions.measured_maps(1).draw(Given(measured=Measurement(y, Shadow())), x)
    assert seen[0].tolist() == [[[0, 1, 2], [0, 3, 4]], [[1, 1, 1], [1, 1, 1]]]
    assert not seen[1].any()
    assert torch.equal(conditions.measured_maps(1).draw(Given(), x), torch.zeros(2, 2, 2, 3))
    with pytest.raises(RadloomError, match="a measurement of images"):
        conditions.measured_maps(2).draw(Given(measured=Measurement(y, Shadow())), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_dropout_hides_a_measurement_of_real_or_complex_numbers_and_leaves_the_operator(dtype: torch.dtype) -> None:
    given = Given(measured=Measurement(torch.ones(2000, 1, 1, 2, dtype=dtype), Shadow()))
    hidden = dropped(given, 2000, Dropout(("measured",), each=0.3, jointly=0.0), rng())
    assert given.measured is not None
    assert hidden.measured is not None
    assert hidden.measured.operator is given.measured.operator
    lost = hidden.measured.y.isnan().flatten(1)
    assert torch.equal(lost.all(1), lost.any(1))
    assert lost[:, 0].float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert not given.measured.y.isnan().any()


def test_maps_tell_known_from_unknown_voxels_and_refuse_other_shapes() -> None:
    x = torch.zeros(2, 1, 4, 4)
    image = torch.ones(2, 1, 4, 4)
    image[1, 0, 0] = float("nan")
    drawn = conditions.image_maps(1).draw(Given(image=image), x)
    assert drawn[0].sum().item() == 32
    assert drawn[1].sum().item() == 24
    assert not conditions.mask_maps(1).draw(Given(), x).any()
    assert conditions.mask_maps(1).draw(Given(mask=torch.zeros(2, 1, 4, 4, dtype=torch.bool)), x)[:, 1].all()
    with pytest.raises(RadloomError, match="a given image of shape"):
        conditions.image_maps(2).draw(Given(image=image), x)


@pytest.mark.parametrize("module", [conditions, improved_ddpm])
def test_examples_in_docstrings_are_true(module: object) -> None:
    done = doctest.testmod(module, extraglobs={"torch": torch})  # type: ignore[arg-type]
    assert done.attempted > 0
    assert done.failed == 0


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
