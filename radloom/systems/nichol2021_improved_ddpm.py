"""Improved DDPM: a chain that learns its variances, drawn in few of its steps (Nichol & Dhariwal 2021)."""

from radloom.models import paths
from radloom.models.improved_ddpm import ImprovedDDPM
from radloom.models.likelihoods import improved_ddpm_bits
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def improved_ddpm(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    steps_trained: int, steps_drawn: int, bound_weight: float,
) -> Model:  # fmt: skip
    """A chain of `steps_trained` on the cosine path; drawing takes `steps_drawn` of them."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, 2 * count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    return ImprovedDDPM(network, paths.cosine(), steps=steps_trained, draws=steps_drawn, bound_weight=bound_weight)


_NET = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True}  # ours
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_trained": 1000, "steps_drawn": 8,
         "bound_weight": 1e-3}  # fmt: skip # ours
_CPU = {**_NET, "steps_trained": 1000, "steps_drawn": 50, "bound_weight": 1e-3}  # ours but for the weight
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours
_PAPER = {"channels": (128, 256, 256, 256), "blocks": 3, "stem": 1, "attention": True, "steps_trained": 4000,
          "steps_drawn": 4000, "bound_weight": 1e-3}  # fmt: skip # ours: the widths and blocks

SYSTEM = System(
    name="nichol2021_improved_ddpm",
    title="Improved DDPM: a chain that learns its variances",
    family="diffusion",
    cite=Citation(
        key="nichol2021improved",
        authors="Nichol AQ, Dhariwal P",
        title="Improved denoising diffusion probabilistic models",
        venue="ICML, PMLR 139:8162-8171",
        year=2021,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(improved_ddpm, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(improved_ddpm, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(improved_ddpm, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(improved_ddpm, _CPU, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        # ours: the number of steps
        ("paper", 2): Size(
            improved_ddpm, _PAPER, Training(500_000, 128, (32, 32), learning_rate=1e-4, decay_from=1.0, ema=0.9999)
        ),
    },
    metrics=(),
    bits=improved_ddpm_bits,
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The network is a residual U-Net of our own with attention at its lowest level only; it is told where each "
        "voxel lies.",
        "Trained on the hybrid loss; times are drawn evenly, not by importance.",
        "The chain's last step is the cosine path at 0.999, where the paper caps beta at 0.999.",
        "Bits per voxel are those of the chain that is drawn, with fewer steps than the one that is trained.",
    ),
)
