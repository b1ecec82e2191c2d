"""What one does without a generative system: intensity, autoencoders, healthy neighbours, a U-Net with labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float

from radloom.downstream.segment import SegmenterSettings, train_segmenter
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models.vae import VAE
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.neighbours import Neighbours
from radloom.random import derived_seed, torch_stream
from radloom.samplers.healing import residual
from radloom.stats.auc import auc
from radloom.studies.anomaly_scores import auprc, case_scores, count, slice_scores
from radloom.studies.anomaly_slices import Cases, Slices

Maps = Callable[[Slices], Float[np.ndarray, "n h w"]]
_WIDTHS, _LATENTS = (16, 24, 32, 48, 64), 16  # of the autoencoders: an image of 64 x 64 becomes 2 x 2 x 16 numbers
_BANK = 6000  # healthy voxels that neighbours are looked for among
_CHUNK = 16


def baselines(
    train: Slices, val: Slices, settings: Mapping[str, int], names: tuple[str, ...], seed: int
) -> dict[str, Maps]:  # fmt: skip
    """The maps by name. Those without labels learn from the healthy slices of `train` alone.

    val: chooses channel and sign of the intensity. settings: autoencoder_steps, segmenter_steps. The U-Net stands for
    what labels buy; it is left out where no training slice shows disease.
    """
    healthy = train.of(~train.ill)
    if not len(healthy.x):
        raise RadloomError("no training slice is healthy", expected="slices without disease to learn from")
    steps = settings["autoencoder_steps"]
    found: dict[str, Maps] = {
        intensity_name(*(best := _brightest(val)), names): lambda s: _intensity(s, *best),
        "autoencoder": _reconstruction(_autoencoder(healthy, steps, 1e-6, derived_seed(seed, "autoencoder"))),
        "VAE": _reconstruction(_autoencoder(healthy, steps, 1.0, derived_seed(seed, "VAE"))),
        "nearest neighbours": _neighbours(healthy, seed),
    }
    if train.truth.any():
        found["U-Net with labels"] = _segmenter(train, settings["segmenter_steps"], seed)
    return found


def intensity_name(channel: int, sign: int, names: tuple[str, ...]) -> str:
    """Such as "flair, bright"."""
    return f"{names[channel].partition('.')[2]}, {'bright' if sign > 0 else 'dark'}"


def _brightest(val: Slices) -> tuple[int, int]:
    """The channel and sign whose intensity finds most on the validation slices."""

    def value(channel: int, sign: int) -> float:
        maps = _intensity(val, channel, sign)
        if not val.truth.any():
            scores = case_scores(slice_scores(maps, val.region), val.case)
            return auc(list(scores.values()), Cases.of(val).ill)
        counts = count(maps, val.region, val.truth, val.patient)
        return float(auprc(counts.ill.sum(0), counts.healthy.sum(0)))

    return max(((c, s) for c in range(val.x.shape[1]) for s in (1, -1)), key=lambda one: value(*one))


def _intensity(slices: Slices, channel: int, sign: int) -> Float[np.ndarray, "n h w"]:
    return (1 + sign * slices.x[:, channel]) / 2 * slices.region


def _autoencoder(healthy: Slices, steps: int, beta: float, seed: int) -> VAE:
    """A VAE of the healthy slices; with beta near 0 a plain autoencoder."""
    torch.manual_seed(seed)
    channels = healthy.x.shape[1]
    model = VAE(Encoder(2, channels, 2 * _LATENTS, _WIDTHS), Decoder(2, _LATENTS, channels, _WIDTHS), _LATENTS,
                beta=beta)  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), 1e-3, (0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    x = torch.from_numpy(healthy.x)
    for step in range(steps):
        rng = torch_stream(seed, "step", step)
        chosen = torch.randint(len(x), (16,), generator=rng)
        loss = model.loss(x[chosen], Given(), rng=rng)["total"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return model.eval().requires_grad_(False)


def _reconstruction(model: VAE) -> Maps:
    return _in_chunks(lambda x, given: residual(x, model.decode(model.encode(x), tuple(x.shape[2:]))))


def _neighbours(healthy: Slices, seed: int) -> Maps:
    memory = Neighbours(healthy.x.shape[1], _BANK)
    x, given = healthy.given(slice(None))
    assert given.mask is not None
    memory.fit([(x, given.mask)], torch_stream(seed, "neighbours"))

    def distance(x: torch.Tensor, given: Given) -> torch.Tensor:
        assert given.mask is not None
        return memory(x, given.mask)

    return _in_chunks(distance)


def _segmenter(train: Slices, steps: int, seed: int) -> Maps:
    settings = SegmenterSettings((16, 32, 64, 64, 64), steps, 8, max(train.x.shape[2:]))
    labels = [truth[..., None].astype(np.int64) for truth in train.truth]  # each slice a volume of its own
    model = train_segmenter([x[None] for x in train.x], labels, classes=2, settings=settings, seed=seed)
    return _in_chunks(lambda x, given: model(x).float().softmax(1)[:, 1:])


def _in_chunks(of: Callable[[torch.Tensor, Given], torch.Tensor]) -> Maps:
    """A map of some slices at once as a map of all, 0 outside the region."""

    def maps(slices: Slices) -> Float[np.ndarray, "n h w"]:
        with torch.no_grad():
            found = [of(*slices.given(slice(i, i + _CHUNK)))[:, 0] for i in range(0, len(slices.x), _CHUNK)]
        return torch.cat(found).numpy() * slices.region

    return maps
