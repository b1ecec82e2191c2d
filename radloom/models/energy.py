"""Energy-based models: p(x) ~ exp(-E(x)), learned by contrast with Langevin draws; energies add up to AND."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Model
from radloom.samplers.denoiser import Streams, streams

Energy = Callable[[Tensor], Tensor]  # (b, c, *s) -> (b,)


@dataclass(frozen=True)
class Langevin:
    """x <- x - step / 2 * grad E + deviation * n, `steps` times, grad E clipped to +-clip (Du & Mordatch 2019).

    deviation**2 = step draws from exp(-E); the paper's noise is far smaller, which draws from a colder, sharper one.
    low, high: the range that x is kept in.
    """

    steps: int = 60
    step: float = 10.0
    deviation: float = 0.005
    clip: float = 0.01
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.step > 0 or not self.deviation >= 0 or not self.clip > 0:
            raise RadloomError(f"Langevin with {self}", expected="steps >= 1, step and clip above 0, deviation >= 0")
        if not self.low < self.high:
            raise RadloomError(f"a range from {self.low} to {self.high}", expected="a lower and a higher value")

    def __call__(self, energy: Energy, x: Tensor, rng: Streams) -> Tensor:
        """The x after all steps, without gradient to the energy's parameters."""
        for _ in range(self.steps):
            with torch.enable_grad():
                at = x.detach().requires_grad_()
                (slope,) = torch.autograd.grad(energy(at).sum(), at)
            x = at.detach() - self.step / 2 * slope.clamp(-self.clip, self.clip) + self.deviation * rng.normal(x)
            x = x.clamp(self.low, self.high)
        return x

    def start(self, x: Tensor, rng: Streams) -> Tensor:
        """Uniform noise over the range, of x's shape."""
        uniform = torch.special.ndtr(rng.normal(x))
        return self.low + (self.high - self.low) * uniform


@final
class EnergyModel(Model):
    """An energy learned by contrastive divergence with a replay buffer (Du & Mordatch 2019).

    energy: (b, c, *s) -> (b,), such as networks.energies.ConvEnergy. shape: (c, *s) of the training images. buffer: how
    many draws it keeps; a share `fresh` of the chains starts from noise, the others where earlier ones ended. weight:
    alpha of E(x+)**2 + E(x-)**2, which keeps energies near 0. The paper's 1 goes with its cold chains, a density proper
    (deviation**2 = step) wants 0.01 or less: the term flattens it. langevin: in training; draw: for `sample`, from
    noise, None for the same with four times as many steps. What is given is not heard.
    """

    buffer: Tensor
    filled: Tensor

    def __init__(
        self, energy: nn.Module, shape: tuple[int, ...], *, langevin: Langevin, draw: Langevin | None = None,
        buffer: int = 10_000, fresh: float = 0.05, weight: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if buffer < 1 or not 0 <= fresh <= 1:
            raise RadloomError(f"a buffer of {buffer} and a share of {fresh}", expected="at least 1, and 0 to 1")
        self.energy, self.langevin, self.draw = energy, langevin, draw or replace(langevin, steps=4 * langevin.steps)
        self.fresh, self.weight = fresh, weight
        self.register_buffer("buffer", torch.zeros(buffer, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))
        self._ended: tuple[Tensor, Tensor] | None = None

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """E(x+) - E(x-) + weight (E(x+)**2 + E(x-)**2), means over the batch; gap is E(x-) - E(x+)."""
        if x.shape[1:] != self.buffer.shape[1:]:
            raise RadloomError(f"images of {tuple(x.shape[1:])} for an energy model",
                               expected=str(tuple(self.buffer.shape[1:])))  # fmt: skip
        own = Streams((rng,))  # for the batch as one item: a stream for each would cost more than the energy
        places = torch.randint(len(self.buffer), (len(x),), generator=rng, device=x.device)
        new = torch.rand(len(x), generator=rng, device=x.device) < self.fresh
        new = new | (places >= self.filled)
        begun = torch.where(_like(new, x), self.langevin.start(x[None], own)[0], self.buffer[places])
        fake = self.langevin(lambda batch: self.energy(batch[0]), begun[None], own)[0]
        where = torch.where(places < self.filled, places, (self.filled + torch.arange(len(x), device=x.device)))
        self._ended = fake.detach(), where % len(self.buffer)
        real_energy, fake_energy = self.energy(x), self.energy(fake.detach())
        contrast = real_energy.mean() - fake_energy.mean()
        size = (real_energy.square() + fake_energy.square()).mean()
        return {"total": contrast + self.weight * size, "gap": -contrast, "size": size}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The end of a chain from noise."""
        return drawn(self.energy, shape, self.draw, rng)

    def log_ratio(self, x: Tensor) -> Float[Tensor, " b"]:
        """-E(x): ln p(x) but for a constant that nobody knows; ranks images by how usual they are."""
        return -self.energy(x)

    def after_step(self) -> None:
        """Puts the ends of the chains into the buffer."""
        if self._ended is not None:
            ends, where = self._ended
            self.buffer[where] = ends
            self.filled = torch.maximum(self.filled, where.max() + 1)
            self._ended = None


@final
class Composed(Model):
    """The product of experts exp(-sum of weights * energies): what all of them hold likely (Du et al. 2020, AND).

    A negative weight is NOT. Nothing trains here; each energy has its own model.
    """

    def __init__(self, energies: Sequence[nn.Module], weights: Sequence[float], langevin: Langevin) -> None:
        super().__init__()
        if not energies or len(energies) != len(weights):
            raise RadloomError(f"{len(energies)} energies and {len(weights)} weights", expected="one weight for each")
        self.energies, self.weights, self.langevin = nn.ModuleList(energies), tuple(weights), langevin
        self.requires_grad_(False)

    def energy(self, x: Tensor) -> Float[Tensor, " b"]:
        """The weighted sum."""
        return torch.stack([w * e(x) for w, e in zip(self.weights, self.energies, strict=True)]).sum(0)

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The mean energy of x, for the record."""
        return {"total": self.energy(x).mean()}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The end of a chain from noise."""
        return drawn(self.energy, shape, self.langevin, rng)


def either(energies: Sequence[Energy]) -> Energy:
    """The energy -ln sum exp(-E_i): what any of them holds likely (Du et al. 2020, OR)."""
    return lambda x: -torch.stack([-energy(x) for energy in energies]).logsumexp(0)


def drawn(energy: Energy, shape: tuple[int, ...], langevin: Langevin, rng: torch.Generator) -> Tensor:
    """The ends of chains from uniform noise (b, c, *s); a batch draws what its items draw one after the other."""
    own = streams(rng, shape[0])
    return langevin(energy, langevin.start(torch.empty(shape, device=rng.device), own), own)


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.view(-1, *(1,) * (x.ndim - 1))
