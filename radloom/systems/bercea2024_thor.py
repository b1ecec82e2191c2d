"""THOR: a draw of a healthy brain that is pulled back to the input where it need not differ (Bercea 2024)."""

import torch

from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.healing import Healing
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.samplers import grids
from radloom.samplers.healing import harmonised
from radloom.samplers.stochastic import ancestral
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def thor(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    steps_drawn: int, noised_to: float, harmonised_at: tuple[float, ...], steps_healed: int, reach: int, spread: float,
) -> Model:  # fmt: skip
    """A chain of 1000 levels. noised_to, harmonised_at: in shares of the chain. reach: voxels by which what may change
    is grown. steps_healed: levels from noised_to down."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            maps=(position_maps(dims),))  # fmt: skip
    path = paths.variance_preserving()
    prior = Diffusion(
        network, path, predictions.noise, sampler=ancestral, times=times.discrete(1000), spread=spread,
        sigmas=grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio),
    )  # fmt: skip
    sigmas = grids.uniform_in_time(steps_healed, path.earliest, noised_to, path.ratio)
    at = path.ratio(torch.tensor(harmonised_at, dtype=torch.float64, device="cpu")).tolist()
    return Healing(prior, harmonised(sigmas, tuple(at), reach=reach))


_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_drawn": 8, "noised_to": 0.35,
         "harmonised_at": (0.3, 0.15, 0.05), "steps_healed": 8, "reach": 3, "spread": 0.7}  # fmt: skip
_CPU = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True, "steps_drawn": 100,
        "noised_to": 0.35, "harmonised_at": (0.3, 0.15, 0.05), "steps_healed": 20, "reach": 7,
        "spread": 0.7}  # fmt: skip
_PAPER = {"channels": (128, 256, 256), "blocks": 1, "stem": 1, "attention": True, "steps_drawn": 1000,
          "noised_to": 0.35, "harmonised_at": (0.3, 0.15, 0.05), "steps_healed": 350, "reach": 13,
          "spread": 0.5}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="bercea2024_thor",
    title="THOR: a healthy draw that is pulled back to the input where it need not differ",
    family="anomaly",
    cite=Citation(
        key="bercea2024diffusion",
        authors="Bercea CI, Wiestler B, Rueckert D, Schnabel JA",
        title="Diffusion models with implicit guidance for medical anomaly detection",
        venue="MICCAI; arXiv:2403.08464",
        year=2024,
    ),
    task=Synthesis(target=("image.t1", "image.t1c", "image.t2", "image.flair"), without="mask.tumour"),
    sizes={
        ("tiny", 2): Size(thor, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3),
                          {"autoencoder_steps": 4, "segmenter_steps": 4}),
        ("cpu", 2): Size(thor, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE),
                         {"autoencoder_steps": 600, "segmenter_steps": 300}),
        # 3000 epochs of 581 slices in batches of 16
        ("paper", 2): Size(thor, _PAPER, Training(108_000, 16, (128, 128), learning_rate=1e-4, decay_from=1.0),
                           {"autoencoder_steps": 20_000, "segmenter_steps": 20_000}),
    },
    study="anomaly",
    metrics=(),
    claim="Finds diseased voxels with a higher average precision than an autoencoder and than intensity alone",
    deviations=(
        "Learns four contrasts of every slice without tumour; --set target=image.t1 takes T1 alone.",
        "The perceptual distance (LPIPS) that weights the residual is 1 - SSIM in windows of 5 voxels: no weights of a "
        "network are needed.",
        "Harmonised images are not cut to [0, 1], as the code cuts images that go from -1 to 1.",
        "At size cpu 20 levels stand for the 350 of the draw, what may change is grown by 7 voxels of 64 in place of "
        "13 of 128, and the network is a residual U-Net of our own that is told where each voxel lies.",
    ),
)  # fmt: skip
