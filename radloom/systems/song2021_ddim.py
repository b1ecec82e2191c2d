"""DDIM: a diffusion model's images in few steps without new noise (Song et al. 2021)."""

from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.likelihoods import diffusion_bits
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.stochastic import ddim
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def implicit(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool, steps_drawn: int,
    spread: float,
) -> Model:  # fmt: skip
    """DDPM's training; drawing by `steps_drawn` deterministic steps."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    path = paths.variance_preserving()
    return Diffusion(network, path, predictions.noise, sampler=ddim(0.0), times=times.discrete(1000), spread=spread,
                     sigmas=grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio))  # fmt: skip


_NET = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True}  # ours
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_drawn": 8, "spread": 0.7}  # ours
_CPU = {**_NET, "steps_drawn": 20, "spread": 0.7}  # ours
_PAPER = {"channels": (128, 256, 256, 256), "blocks": 2, "stem": 1, "attention": True, "steps_drawn": 50, "spread": 0.5}
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="song2021_ddim",
    title="DDIM: DDPM's images in few steps without new noise",
    family="diffusion",
    cite=Citation(
        key="song2021denoising",
        authors="Song J, Meng C, Ermon S",
        title="Denoising diffusion implicit models",
        venue="ICLR",
        year=2021,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(implicit, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(implicit, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(implicit, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(implicit, _CPU, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(
            implicit,
            _PAPER,
            Training(800_000, 128, (32, 32), learning_rate=2e-4, warmup=0.00625, decay_from=1.0, ema=0.9999),
        ),
    },
    metrics=(),
    bits=diffusion_bits,
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The network is a residual U-Net of our own with attention at its lowest level only; it is told where each "
        "voxel lies.",
        "Steps are even in the chain's continuous time, from its end to its beginning.",
        "Labels are added to the noise level's vector.",
    ),
)
