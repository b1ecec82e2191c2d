"""Ways to segment from n labelled patients: heads on diffusion features, U-Nets, a threshold, the mean mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float

from radloom.downstream.pixels import Features, HeadSettings, read_pixels, train_best, train_head
from radloom.downstream.segment import SegmenterSettings, train_segmenter
from radloom.models.features import FeatureDiffusion, Reading
from radloom.networks.precision import channels_last, in_channels_last
from radloom.random import derived_seed, torch_stream
from radloom.studies.anomaly_slices import Slices
from radloom.system import Recipe

SCRATCH, SEGMENTER, MEAN, THRESHOLD = "U-Net from scratch", "U-Net, Dice loss and jitter", "mean mask", "threshold"
Masks = Bool[np.ndarray, "n h w"]
_CHUNK = 16


@dataclass(frozen=True, eq=False)
class Shown:
    """Slices, and their features: of training slices `draws` times each, noise drawn anew, one draw after the other."""

    slices: Slices
    features: Features
    draws: int


def shown(model: FeatureDiffusion, slices: Slices, *, draws: int, seed: int) -> Shown:
    """The slices with their features; a slice's noise depends on (seed, case, level, draw) alone."""
    steps = tuple(sorted({step for reading in model.readings.values() for group in reading for step in group}))
    found: list[list[torch.Tensor]] = []
    for draw in range(draws):
        for n, (case, z) in enumerate(zip(slices.case, slices.z, strict=True)):
            x, given = slices.given(slice(n, n + 1))
            rng = torch_stream(seed, "features", case, int(z), draw)
            at_steps = [model.features(x, given, step, rng=rng) for step in steps]
            found.append([torch.cat(one).movedim(1, -1).half() for one in zip(*at_steps, strict=True)])
    levels = tuple(torch.stack(level) for level in zip(*found, strict=True))
    height, width = slices.x.shape[2:]
    return Shown(slices, Features(levels, model.strides, steps, (height, width)), draws)


@dataclass(frozen=True, eq=False)
class Answers:
    """Masks of the test slices by arm, and of the averaged method its probabilities by noise step (n, steps, h, w)."""

    masks: Mapping[str, Masks]
    by_step: Float[np.ndarray, "n g h w"]


def answers(
    recipe: Recipe, model: FeatureDiffusion, train: Shown, val: Shown, test: Shown, patients: Sequence[str], seed: int
) -> Answers:  # fmt: skip
    """What every arm makes of the test slices after it has seen the masks of these training patients."""
    settings = recipe.system.sizes[recipe.size, recipe.dims].study
    labelled = np.isin(train.slices.patient, list(patients))
    few, masks = train.slices.of(labelled), {}
    by_step = np.zeros((0, 0, 0, 0), np.float32)
    for name, reading in model.readings.items():
        maps = _by_head(train, labelled, val, test, reading, settings, seed)
        masks[name] = maps.mean(1) > 0.5
        if len(reading) > 1:
            by_step = maps
    masks[SCRATCH] = _from_scratch(recipe, few, val.slices, test.slices, settings, seed)
    masks[SEGMENTER] = _segmented(few, test.slices, settings, seed)
    masks[MEAN] = np.broadcast_to(few.truth.mean(0) > 0.5, test.slices.truth.shape)
    masks[THRESHOLD] = thresholded(few, test.slices)
    return Answers({name: one & test.slices.region for name, one in masks.items()}, by_step)


def _by_head(
    train: Shown, labelled: Bool[np.ndarray, " n"], val: Shown, test: Shown, reading: Reading,
    settings: Mapping[str, Any], seed: int,
) -> Float[np.ndarray, "n g h w"]:  # fmt: skip
    chosen = np.flatnonzero(np.tile(labelled, train.draws))
    head = train_head(
        train.features.of(chosen.tolist()), np.tile(train.slices.truth, (train.draws, 1, 1))[chosen],
        (val.features, val.slices.truth), reading,
        settings=HeadSettings(settings["head_steps"], settings["head_pixels"], settings["head_rate"]),
        seed=derived_seed(seed, str(reading)),
    )  # fmt: skip
    return read_pixels(head, test.features, reading)


def _from_scratch(
    recipe: Recipe, few: Slices, val: Slices, test: Slices, settings: Mapping[str, Any], seed: int
) -> Masks:  # fmt: skip
    """The backbone's own U-Net without what it learned, trained on the masks by cross-entropy."""
    torch.manual_seed(derived_seed(seed, "scratch"))
    network = in_channels_last(recipe.build())
    assert isinstance(network, FeatureDiffusion), "a system with this study builds a model with features"

    def loss(of: Slices, n: np.ndarray) -> torch.Tensor:
        logits = _logits(network, of, n)
        return F.binary_cross_entropy_with_logits(logits, torch.from_numpy(of.truth[n]).float())

    def step(number: int) -> torch.Tensor:
        rng = torch_stream(seed, "scratch", number)
        return loss(few, torch.randint(len(few.x), (settings["scratch_batch"],), generator=rng).numpy())

    def watched() -> float:
        return float(np.mean([float(loss(val, part)) for part in _chunks(len(val.x))]))

    train_best(network, step, watched, steps=settings["scratch_steps"], checks=10,
               learning_rate=settings["scratch_rate"])  # fmt: skip
    with torch.no_grad():
        return np.concatenate([(_logits(network, test, part) > 0).numpy() for part in _chunks(len(test.x))])


def _logits(network: FeatureDiffusion, of: Slices, n: np.ndarray) -> torch.Tensor:
    from radloom.given import Given

    given = Given(mask=torch.from_numpy(of.region[n])[:, None])
    return network.logits(channels_last(torch.from_numpy(of.x[n])), given)[:, 0]


def _segmented(few: Slices, test: Slices, settings: Mapping[str, Any], seed: int) -> Masks:
    """The segmenter of the other studies: another U-Net, Dice and cross-entropy, brightness varied."""
    if not few.truth.any():
        return np.zeros_like(test.truth)
    how = SegmenterSettings(settings["segmenter"], settings["segmenter_steps"], 8, max(few.x.shape[2:]))
    labels = [truth[..., None].astype(np.int64) for truth in few.truth]  # each slice a volume of its own
    model = train_segmenter([x[None] for x in few.x], labels, classes=2, settings=how, seed=seed)
    with torch.no_grad():
        found = [model(torch.from_numpy(test.x[part])).argmax(1) for part in _chunks(len(test.x))]
    return torch.cat(found).numpy() > 0


def thresholded(few: Slices, test: Slices) -> Masks:
    """What is darker, or brighter, in any one channel than the level with the best Dice on the labelled slices."""
    best, chosen = -1.0, (0, 1.0, 0.0)
    for channel in range(few.x.shape[1]):
        values = few.x[:, channel]
        for sign in (-1.0, 1.0):
            for level in np.unique(np.quantile(sign * values, np.linspace(0.02, 0.98, 49))):
                marked = (sign * values > level) & few.region
                found = 2 * float((marked & few.truth).sum()) / max(float(marked.sum() + few.truth.sum()), 1.0)
                if found > best:
                    best, chosen = found, (channel, sign, float(level))
    channel, sign, level = chosen
    return np.asarray(sign * test.x[:, channel] > level)


def _chunks(count: int) -> list[np.ndarray]:
    return [np.arange(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
