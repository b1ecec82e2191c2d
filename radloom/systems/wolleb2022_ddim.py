"""DDIM and classifier guidance: a diseased image is translated to its healthy version (Wolleb 2022)."""

import torch

from radloom.data.condition import Condition
from radloom.errors import RadloomError
from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.guided_healing import GuidedHealing
from radloom.models.model import Model
from radloom.networks.conditions import Dropout, position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.networks.noisy_classifier import NoisyClassifier
from radloom.samplers import grids
from radloom.samplers.stochastic import ancestral
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def guided(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    classifier_channels: tuple[int, ...], steps_drawn: int, noised_to: float, steps_healed: int, weight: float,
    healthy: str, encode_label: str, iterations: int, hidden_label: float, spread: float,
) -> Model:  # fmt: skip
    """noised_to: L, in shares of the chain of 1000. weight: s. healthy: the class that is no disease."""
    if len(task.condition) != 1:
        raise RadloomError(f"{len(task.condition)} conditions", expected="one, the disease: --set condition=mask.NAME")
    count, classes = len(task.target), task.classes()
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    classifier = NoisyClassifier(dims, count, classes, classifier_channels, patch=stem, maps=(position_maps(dims),))
    path = paths.variance_preserving()
    prior = Diffusion(
        network, path, predictions.noise, sampler=ancestral, times=times.discrete(1000), spread=spread,
        sigmas=grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio),
        dropout=Dropout(("label",), each=hidden_label, jointly=0.0),
    )  # fmt: skip
    highest = float(path.ratio(torch.tensor(noised_to, dtype=torch.float64, device="cpu")))
    sigmas = grids.geometric(steps_healed, 0.02, highest)[:-1]
    return GuidedHealing(prior, classifier, sigmas, healthy=task.condition[0].code(healthy), weight=weight,
                         encode_label=encode_label, iterations=iterations)  # fmt: skip


_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "classifier_channels": (8, 16),
         "steps_drawn": 8, "noised_to": 0.5, "steps_healed": 20, "weight": 100.0, "healthy": "0",
         "encode_label": "target", "iterations": 3, "hidden_label": 0.1, "spread": 0.7}  # fmt: skip # ours
_CPU = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True,
        "classifier_channels": (24, 48, 64), "steps_drawn": 100, "noised_to": 0.5, "steps_healed": 20,
        "weight": 100.0, "healthy": "0", "encode_label": "target", "iterations": 3, "hidden_label": 0.1,
        "spread": 0.7}  # fmt: skip # ours but for L and s
_PAPER = {"channels": (128, 128, 256, 256, 512, 512), "blocks": 2, "stem": 1, "attention": True,
          "classifier_channels": (32, 64, 64, 128), "steps_drawn": 1000, "noised_to": 0.5, "steps_healed": 500,
          "weight": 100.0, "healthy": "0", "encode_label": "target", "iterations": 3, "hidden_label": 0.1,
          "spread": 0.5}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="wolleb2022_ddim",
    title="DDIM and classifier guidance: a diseased image translated to its healthy version",
    family="anomaly",
    cite=Citation(
        key="wolleb2022diffusion",
        authors="Wolleb J, Bieder F, Sandkühler R, Cattin PC",
        title="Diffusion models for medical anomaly detection",
        venue="MICCAI; arXiv:2203.04306",
        year=2022,
    ),
    task=Synthesis(
        target=("image.t1", "image.t1c", "image.t2", "image.flair"), condition=(Condition("mask.tumour"),)
    ),
    sizes={
        ("tiny", 2): Size(guided, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3),
                          {"autoencoder_steps": 4, "segmenter_steps": 4}),
        ("cpu", 2): Size(guided, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE),
                         {"autoencoder_steps": 600, "segmenter_steps": 300}),
        # batch and rate are the public code's; 50,000 iterations are remembered, not checked; widths are ours
        ("paper", 2): Size(guided, _PAPER, Training(50_000, 10, (256, 256), learning_rate=1e-4, decay_from=1.0),
                           {"autoencoder_steps": 20_000, "segmenter_steps": 20_000}),
    },
    study="anomaly",
    metrics=(),
    claim="Finds diseased voxels with a higher average precision than an autoencoder and than intensity alone",
    deviations=(
        "Labels are named: --set healthy=NAME says which class is no disease. The authors' code takes class 0, which "
        "in its radiographs is the diseased one.",
        "The way up is inverted exactly, by a few fixed-point iterations a step, and the way down starts where it "
        "ended; in the code they miss each other by two steps.",
        "The steps of both ways are even in log sigma, 20 at size cpu in place of 500 of 1000.",
        "The variance of the chain is not learned: drawing by DDIM does not use it.",
        "The networks are a residual U-Net and a classifier of our own; the U-Net is told where each voxel lies, and a "
        "tenth of the labels is hidden from it, so that --set encode_label=unknown is possible.",
        "The map is the mean over channels of |x - healthy|, which orders voxels as the sum does.",
    ),
)  # fmt: skip
