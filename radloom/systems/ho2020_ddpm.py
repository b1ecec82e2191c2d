"""DDPM: images from noise in many small steps, by a network that predicts the noise (Ho 2020)."""

from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.likelihoods import diffusion_bits
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.stochastic import ancestral
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def ddpm(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    steps_trained: int, steps_drawn: int, spread: float,
) -> Model:  # fmt: skip
    """A chain of `steps_trained` noise levels; drawing takes `steps_drawn` of them."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    path = paths.variance_preserving()
    sigmas = grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio)
    return Diffusion(network, path, predictions.noise, sampler=ancestral, sigmas=sigmas,
                     times=times.discrete(steps_trained), spread=spread)  # fmt: skip


_NET = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True}  # ours
_CHAIN = {"steps_trained": 1000, "steps_drawn": 100, "spread": 0.7}  # ours: 100 steps drawn, by sigma / alpha
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_trained": 1000, "steps_drawn": 8,
         "spread": 0.7}  # fmt: skip # ours
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours
_PAPER = {"channels": (128, 256, 256, 256), "blocks": 2, "stem": 1, "attention": True, "steps_trained": 1000,
          "steps_drawn": 1000, "spread": 0.5}  # fmt: skip

SYSTEM = System(
    name="ho2020_ddpm",
    title="DDPM: images from noise in many small steps",
    family="diffusion",
    cite=Citation(
        key="ho2020denoising",
        authors="Ho J, Jain A, Abbeel P",
        title="Denoising diffusion probabilistic models",
        venue="NeurIPS 33:6840-6851",
        year=2020,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(ddpm, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(ddpm, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(ddpm, {**_NET, **_CHAIN}, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(ddpm, {**_NET, **_CHAIN}, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        # 800 000 steps of batch 128 at 32 x 32
        ("paper", 2): Size(
            ddpm,
            _PAPER,
            Training(800_000, 128, (32, 32), learning_rate=2e-4, warmup=0.00625, decay_from=1.0, ema=0.9999),
        ),
    },
    metrics=(),
    bits=diffusion_bits,
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    paper=(Figure("FID, CIFAR-10, unconditional", "3.17", "abstract"),),
    deviations=(
        "The network is a residual U-Net of our own with attention at its lowest level only; it is told where each "
        "voxel lies.",
        "Time is continuous; training picks 1000 equal steps, and drawing takes fewer at sizes tiny and cpu.",
        "The paper's linear beta from 1e-4 to 0.02 is taken in its continuous limit, from 0.1 to 20.",
        "Labels, which the paper's models do not hear, are added to the noise level's vector.",
    ),
)
