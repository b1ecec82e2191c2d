"""VAE, VQ-VAE and Latent against closed forms and against what their papers promise."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import closed_form
from radloom.models.latent import Latent, as_they_are, relative_error, unit_spread
from radloom.models.model import Batch
from radloom.models.vae import VAE, Capacity, kl_to_standard
from radloom.models.vqvae import VQVAE, Codes
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.codebook import Codebook, perplexity
from radloom.random import torch_stream

NOTHING = Given()
SLOPE, NOISE = 0.8, 0.5


class Line(Encoder):
    """The exact posterior of z from x = SLOPE z + NOISE n, moved by `shift`."""

    def __init__(self, shift: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.factor, self.shift = 1, shift

    def forward(self, x: Tensor) -> Tensor:
        variance = 1 / (1 + SLOPE**2 / NOISE**2)
        mean = variance * SLOPE / NOISE**2 * x + self.shift
        return torch.cat([mean, torch.full_like(x, math.log(variance))], dim=1)


class Scaled(Decoder):
    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.factor = 1

    def forward(self, z: Tensor) -> Tensor:
        return SLOPE * z


def line(shift: float = 0.0) -> VAE:
    model = VAE(Line(shift), Scaled(), 1)
    nn.init.constant_(model.log_deviation, math.log(NOISE))
    return model.requires_grad_(False)


def exact(x: Tensor) -> Tensor:
    """Of x ~ N(0, SLOPE**2 + NOISE**2) at each voxel."""
    return torch.distributions.Normal(0, (SLOPE**2 + NOISE**2) ** 0.5).log_prob(x).flatten(1).sum(1)


def test_the_bound_is_the_likelihood_itself_where_the_posterior_is_exact() -> None:
    x = torch.randn(5, 1, 3, 2, generator=torch_stream(0))
    torch.testing.assert_close(line().bound(x, NOTHING, rng=torch_stream(1)), exact(x), rtol=1e-5, atol=1e-4)


def test_the_elbo_is_below_the_importance_weighted_bound_which_is_below_the_likelihood() -> None:
    x, model = torch.randn(200, 1, 2, 2, generator=torch_stream(0)), line(shift=0.3)
    elbo = float(torch.stack([model.bound(x, NOTHING, rng=torch_stream(i)) for i in range(20)]).mean())
    tight = model.bound(x, NOTHING, draws=50, rng=torch_stream(9)).mean()
    variance = 1 / (1 + SLOPE**2 / NOISE**2)
    gap = 4 * 0.3**2 / (2 * variance)  # KL between q and the posterior, 4 latents
    assert elbo == pytest.approx(float(exact(x).mean()) - gap, abs=0.05)
    assert elbo + 0.3 < tight < exact(x).mean() + 0.02


def test_the_loss_is_the_negative_bound_per_voxel() -> None:
    x, model = torch.randn(3000, 1, 2, 2, generator=torch_stream(0)), line(shift=0.3)
    loss = model.loss(x, NOTHING, rng=torch_stream(1))["total"]
    assert float(loss) == pytest.approx(-float(model.bound(x, NOTHING, rng=torch_stream(2)).mean()) / 4, abs=0.02)


def test_the_analytic_kl_agrees_with_monte_carlo() -> None:
    rng = torch_stream(0)
    mean, log_variance = torch.randn(1, 4, generator=rng), torch.randn(1, 4, generator=rng)
    z = mean + (log_variance / 2).exp() * torch.randn(400_000, 4, generator=rng)
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    p = torch.distributions.Normal(0.0, 1.0)
    monte_carlo = (q.log_prob(z) - p.log_prob(z)).sum(1).mean()
    assert float(kl_to_standard(mean, log_variance)) == pytest.approx(float(monte_carlo), rel=0.01)


def blobs(count: int, seed: int = 0) -> Tensor:
    """A bright square at one of 4 x 4 places on 8 x 8 pixels."""
    places = torch.randint(4, (count, 2), generator=torch_stream(seed))
    x = torch.zeros(count, 1, 8, 8)
    for image, (row, column) in zip(x, places.tolist(), strict=True):
        image[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1
    return x


def trained(model: VAE | VQVAE, steps: int, rate: float = 3e-3) -> dict[str, float]:
    optimiser = torch.optim.Adam(model.parameters(), rate)
    mean: dict[str, float] = {}
    for step in range(steps):
        optimiser.zero_grad()
        losses = model.loss(blobs(32, step), NOTHING, rng=torch_stream(step))
        losses["total"].backward()
        optimiser.step()
        model.after_step()
        if step >= steps - 20:
            mean = {name: mean.get(name, 0.0) + float(value.detach()) / 20 for name, value in losses.items()}
    return mean


def vae(beta: float = 1.0, capacity: Capacity | None = None) -> VAE:
    torch.manual_seed(0)
    encoder, decoder = Encoder(2, 1, 8, (8, 8, 8)), Decoder(2, 4, 1, (8, 8, 8))
    return VAE(encoder, decoder, 4, beta=beta, capacity=capacity)


def test_more_beta_gives_less_kl() -> None:
    kls = [trained(vae(beta), 80, 1e-2)["kl"] for beta in (0.1, 1.0, 10.0)]
    assert kls[0] > 1.3 * kls[1] > 1.3 * 1.3 * kls[2]


def test_capacity_holds_the_kl_where_it_is_told() -> None:
    assert trained(vae(capacity=Capacity(top=2.0, steps=40)), 90, 1e-2)["kl"] == pytest.approx(2.0, abs=0.3)


def test_what_makes_no_vae_is_refused() -> None:
    for beta in (0.0, -1.0, float("nan")):
        with pytest.raises(RadloomError, match="beta"):
            vae(beta)
    with pytest.raises(RadloomError, match="one factor"):
        VAE(Encoder(2, 1, 8, (8, 8)), Decoder(2, 4, 1, (8,)), 4)
    with pytest.raises(RadloomError, match="one factor"):
        VQVAE(Encoder(2, 1, 8, (8, 8)), Decoder(2, 8, 1, (8,)), Codebook(4, 8))


def test_the_gradient_passes_straight_through_the_codes() -> None:
    codebook, rng = Codebook(5, 3), torch_stream(0)
    z = torch.randn(2, 3, 4, 4, generator=rng).requires_grad_()
    quantised, index = codebook.read(z, rng)
    torch.testing.assert_close(quantised, codebook.vectors(index))
    free = quantised.detach().requires_grad_()
    (at_code,) = torch.autograd.grad(free.sin().sum(), free)
    (at_latent,) = torch.autograd.grad(quantised.sin().sum(), z)
    assert torch.equal(at_code, at_latent)


def test_a_code_is_the_nearest_one() -> None:
    codebook = Codebook(4, 2)
    codebook.table.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]))
    z = torch.tensor([[0.9, 0.2], [0.1, 0.7], [4.0, 3.0], [0.4, 0.3]]).T.view(1, 2, 4)
    assert codebook.nearest(z).tolist() == [[1, 2, 3, 0]]


def test_codes_follow_the_mean_of_their_latents_by_the_moving_average() -> None:
    codebook, rng = Codebook(2, 1, keep=0.9, alive=0.0), torch_stream(0)
    codebook.table.copy_(torch.tensor([[-1.0], [1.0]]))
    codebook.read(torch.tensor([[[-2.0, -4.0, 3.0]]]), rng)
    codebook.update()
    assert codebook.table.flatten().tolist() == pytest.approx([-3.0, 3.0])
    codebook.read(torch.tensor([[[-2.0, 4.0]]]), rng)
    codebook.update()
    # uses 0.1 * 2 = 0.2 -> 0.18 + 0.1; sums 0.1 * -6 = -0.6 -> -0.54 - 0.2; and 0.1 -> 0.19, 0.3 -> 0.27 + 0.4
    assert codebook.table.flatten().tolist() == pytest.approx([-0.74 / 0.28, 0.67 / 0.19])
    before = codebook.table.clone()
    codebook.update()  # nothing was read since
    assert torch.equal(codebook.table, before)


def test_a_dead_code_moves_to_a_latent_of_the_batch() -> None:
    codebook, rng = Codebook(3, 1), torch_stream(0)
    codebook.table.copy_(torch.tensor([[0.0], [1.0], [1000.0]]))
    seen = torch.tensor([[[0.25, 0.75, 1.25]]])
    codebook.read(seen, rng)
    codebook.update()
    assert any(float(codebook.table[2]) == pytest.approx(value) for value in (0.25, 0.75, 1.25))


def test_perplexity_counts_codes_used_alike() -> None:
    assert float(perplexity(torch.tensor([[3, 3], [3, 3]]), 8)) == pytest.approx(1.0)
    assert float(perplexity(torch.tensor([0, 0, 0, 1]), 8)) == pytest.approx(0.25**-0.25 * 0.75**-0.75)


def vqvae(codes: int) -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(Encoder(2, 1, 8, (16, 16)), Decoder(2, 8, 1, (16, 16)), Codebook(codes, 8))


@pytest.fixture(scope="module")
def learned() -> tuple[VQVAE, dict[str, float]]:
    model = vqvae(8)
    return model, trained(model, 250)


def test_vqvae_learns_to_reconstruct_and_uses_its_codes(learned: tuple[VQVAE, dict[str, float]]) -> None:
    model, losses = learned
    x = blobs(64, 1000)
    error = (model.decode(model.encode(x), (8, 8)) - x).square().mean()
    assert error < 0.1 * x.var()
    assert losses["perplexity"] > 0.3 * 8
    codes = Codes(model)
    assert torch.equal(codes.decode(codes.encode(x), (8, 8)), model.decode(model.encode(x), (8, 8)))


def regions(x: Tensor) -> list[Batch]:
    return [Batch(x, NOTHING, torch.ones_like(x[:, :1], dtype=torch.bool))]


def test_relative_error_is_one_for_the_mean_image_and_zero_for_the_image_itself() -> None:
    class Mean:
        def encode(self, x: Tensor) -> Tensor:
            return x.mean().expand(x.shape)

        def decode(self, z: Tensor, size: tuple[int, ...]) -> Tensor:
            return z

        def latent_shape(self, size: tuple[int, ...]) -> tuple[int, ...]:
            return (1, *size)

    class Same(Mean):
        def encode(self, x: Tensor) -> Tensor:
            return x

    x = torch.rand(4, 1, 5, 5, generator=torch_stream(0))
    assert relative_error(Mean(), regions(x)) == pytest.approx(1.0)
    assert relative_error(Same(), regions(x)) == 0
    assert math.isnan(relative_error(Same(), []))
    half = Batch(x, NOTHING, torch.zeros_like(x[:, :1], dtype=torch.bool))
    half.region[..., :2] = True
    wrong = (x.mean() - x[..., :2]).double()
    expected = (wrong.square().mean() / x[..., :2].double().var(unbiased=False)).sqrt()
    assert relative_error(Mean(), [half]) == pytest.approx(float(expected))


def test_a_prior_does_not_train_on_an_autoencoder_that_reconstructs_badly() -> None:
    x = blobs(32)
    raw = Latent(vae(), closed_form.Constant(0.0), gate=0.3)
    with pytest.raises(RadloomError, match=r"relative error of .* expected at most 0\.3; train the autoencoder longer"):
        raw.begin(lambda: regions(x))
    with pytest.raises(RadloomError, match="relative error of nan"):
        raw.begin(lambda: regions(x * float("nan")))
    with pytest.raises(RadloomError, match="relative error of nan"):
        raw.begin(list)
    with pytest.raises(RadloomError, match="gate"):
        Latent(vae(), closed_form.Constant(0.0), gate=0.0)


def test_the_prior_sees_latents_of_unit_spread_and_the_decoder_gets_their_own_back(
    learned: tuple[VQVAE, dict[str, float]],
) -> None:
    autoencoder, x = copy.deepcopy(learned[0]), blobs(32)
    model = Latent(autoencoder, closed_form.TrainingMean(8), gate=0.5)
    model.begin(lambda: regions(x))
    z = autoencoder.encode(x)
    assert float(model.scale) == pytest.approx(1 / float(z.std()), rel=1e-5)
    assert unit_spread(5 * torch.randn(10_000, generator=torch_stream(0))) == pytest.approx(0.2, rel=0.05)
    drawn = model.sample(NOTHING, (1, 1, 8, 8), rng=torch_stream(0))
    torch.testing.assert_close(drawn, autoencoder.decode(z.mean(0, keepdim=True), (8, 8)), rtol=1e-4, atol=1e-4)
    assert as_they_are(z) == 1
    assert not [p for p in model.parameters() if p.requires_grad]
    assert not model.train().autoencoder.training
