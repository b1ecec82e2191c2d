"""A book of vectors that stand for latents, learned by moving averages; no encoder, no decoder."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Codebook(nn.Module):
    """K vectors, each the moving average of the latents nearest to it (van den Oord et al. 2017, appendix A.1).

    keep: decay of the averages. alive: a code used less than this share of the mean use is dead and moves to a latent
    of the last batch (ours; the paper leaves it). Reading notes what `update` then takes in; nothing else changes.
    """

    table: Tensor
    uses: Tensor
    sums: Tensor

    def __init__(self, codes: int, width: int, *, keep: float = 0.99, alive: float = 0.05) -> None:
        super().__init__()
        self.keep, self.alive = keep, alive
        self.register_buffer("table", torch.randn(codes, width))
        self.register_buffer("uses", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, width))
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def nearest(self, z: Float[Tensor, "b w *t"]) -> Tensor:
        """The index of the code nearest to each latent (b, *t)."""
        flat = z.movedim(1, -1).reshape(-1, z.shape[1]).float()
        return torch.cdist(flat, self.table).argmin(1).view(len(z), *z.shape[2:])

    def vectors(self, index: Tensor) -> Float[Tensor, "b w *t"]:
        """The codes with these indices (b, *t)."""
        return F.embedding(index, self.table).movedim(-1, 1)

    def read(self, z: Float[Tensor, "b w *t"], rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The nearest codes, whose gradient is z's (straight-through), and their indices; notes z for `update`."""
        index = self.nearest(z)
        with torch.no_grad():
            flat, chosen = z.movedim(1, -1).reshape(-1, z.shape[1]).float(), index.flatten()
            spare = torch.randint(len(flat), (len(self.table),), generator=rng, device=z.device)
            self._seen = flat.detach(), chosen, spare
        return z + (self.vectors(index) - z).detach(), index

    def update(self) -> None:
        """Moves the codes by the latents read last."""
        if self._seen is None:
            return
        flat, chosen, spare = self._seen
        uses = torch.bincount(chosen, minlength=len(self.table)).to(self.uses)
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, flat)
        self.uses.lerp_(uses, 1 - self.keep)
        self.sums.lerp_(sums, 1 - self.keep)
        mean = self.uses.mean()
        dead = self.uses < self.alive * mean
        self.uses[dead] = mean
        self.sums[dead] = mean * flat[spare[dead]]
        self.table.copy_(self.sums / self.uses[:, None].clamp_min(1e-12))
        self._seen = None


def perplexity(index: Tensor, codes: int) -> Tensor:
    """The exp of the entropy of the codes' use: `codes` when all are used alike, 1 when a single one is.

    >>> float(perplexity(torch.tensor([0, 1, 2, 3]), 8))
    4.0
    """
    share = torch.bincount(index.flatten(), minlength=codes).double() / index.numel()
    return torch.special.entr(share).sum().exp()
