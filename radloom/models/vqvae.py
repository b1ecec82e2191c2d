"""VQ-VAE: an autoencoder whose latents are codes of a learned book (van den Oord et al. 2017)."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.model import Model
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.codebook import Codebook, perplexity
from radloom.networks.layers import cropped_to
from radloom.samplers.denoiser import streams


@final
class VQVAE(Model):
    """An image from a grid of codes; by itself it draws each code by its frequency, a prior comes with `Latent`.

    encoder: (b, c, *s) -> (b, width, *t). decoder: back. commitment: weight of |latent - code|**2, in the encoder
    alone; the codes follow by moving averages. What is given is not heard.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, codebook: Codebook, *, commitment: float = 0.25) -> None:
        super().__init__()
        if encoder.factor != decoder.factor:
            raise RadloomError(f"an encoder by {encoder.factor} and a decoder by {decoder.factor}",
                               expected="one factor", do="give both the same number of levels")  # fmt: skip
        self.encoder, self.decoder, self.codebook, self.commitment = encoder, decoder, codebook, commitment

    def loss(self, x: Tensor, given: Given, *, turn: str = "all", rng: torch.Generator) -> dict[str, Tensor]:
        """The mean squared error of the reconstruction + commitment |z - sg[code]|**2; perplexity is of the codes."""
        z = self.encoder(x).float()
        quantised, index = self.codebook.read(z, rng)
        error = (self._image(quantised, x.shape[2:]) - x).square().mean()
        committed = (z - self.codebook.vectors(index)).square().mean()
        total = error + self.commitment * committed
        used = perplexity(index, len(self.codebook.table)).float()
        return {"total": total, "error": error, "commitment": committed, "perplexity": used}

    def sample(self, given: Given, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
        """The image of codes drawn one by one, by how often each is used."""
        own, grid = streams(rng, shape[0]), self.latent_shape(shape[2:])[1:]
        shares = self.codebook.uses + 1e-6 * self.codebook.uses.sum().clamp_min(1)
        drawn = [torch.multinomial(shares, math.prod(grid), True, generator=g).view(grid) for g in own.generators]
        return self._image(self.codebook.vectors(torch.stack(drawn)), shape[2:])

    def encode(self, x: Tensor) -> Tensor:
        """The latents before they become codes."""
        return self.encoder(x).float()

    def decode(self, z: Tensor, size: tuple[int, ...]) -> Tensor:
        """The image (b, c, *size) of the codes nearest to z."""
        return self._image(self.codebook.vectors(self.codebook.nearest(z)), size)

    def latent_shape(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Channels and axes of the latents of an image of this size."""
        return (self.codebook.table.shape[1], *(-(-length // self.encoder.factor) for length in size))

    def after_step(self) -> None:
        """Moves the codes."""
        self.codebook.update()

    def _image(self, codes: Tensor, size: tuple[int, ...]) -> Tensor:
        return cropped_to(self.decoder(codes).float(), torch.Size(size))


@final
class Codes(nn.Module):
    """A VQ-VAE seen as an autoencoder whose latents are the codes' indices (b, 1, *t), for a prior over whole numbers.

    They come as index / (K - 1), from 0 to 1: `Discrete` levels of K.
    """

    def __init__(self, vqvae: VQVAE) -> None:
        super().__init__()
        self.vqvae = vqvae
        self.last = len(vqvae.codebook.table) - 1

    def encode(self, x: Tensor) -> Tensor:
        """The indices of x's codes, from 0 to 1."""
        return self.vqvae.codebook.nearest(self.vqvae.encode(x))[:, None] / self.last

    def decode(self, z: Tensor, size: tuple[int, ...]) -> Tensor:
        """The image (b, c, *size) of the codes with these indices."""
        codebook = self.vqvae.codebook
        index = (z[:, 0] * self.last).round().long().clamp(0, self.last)
        return self.vqvae.decode(codebook.vectors(index), size)

    def latent_shape(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """One channel, and the axes of the codes."""
        return (1, *self.vqvae.latent_shape(size)[1:])
