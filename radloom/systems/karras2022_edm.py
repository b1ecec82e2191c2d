"""EDM: diffusion whose network is preconditioned to unit variance at every noise level, drawn by Heun (Karras 2022)."""

from functools import partial

from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.likelihoods import diffusion_bits
from radloom.models.model import Model
from radloom.networks.conditions import Dropout, never, position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.denoiser import Sampler
from radloom.samplers.solvers import heun
from radloom.samplers.stochastic import ancestral
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def edm(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool, steps_drawn: int,
    spread: float, hidden_label: float, sampler: Sampler = heun,
) -> Model:  # fmt: skip
    """Noise levels of training from ln sigma ~ N(-1.2, 1.2); drawing by `steps_drawn` of Heun from 80 to 0.002."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    dropout = Dropout(("label",), each=hidden_label, jointly=0.0) if task.condition and hidden_label else never
    return Diffusion(network, paths.edm(), predictions.preconditioned(spread), sampler=sampler,
                     sigmas=grids.karras(steps_drawn, 0.002, 80.0), times=times.log_normal(-1.2, 1.2), spread=spread,
                     dropout=dropout)  # fmt: skip


edm_with_noise = partial(edm, sampler=ancestral)  # a network of minutes errs; fresh noise lets later steps mend it


_NET = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True}  # ours
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_drawn": 4, "spread": 0.7,
         "hidden_label": 0.0}  # fmt: skip # ours
_CPU = {**_NET, "steps_drawn": 36, "spread": 0.7, "hidden_label": 0.0}  # ours
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours
_PAPER = {"channels": (128, 256, 256, 256), "blocks": 4, "stem": 1, "attention": True, "steps_drawn": 18, "spread": 0.5,
          "hidden_label": 0.0}  # fmt: skip

SYSTEM = System(
    name="karras2022_edm",
    title="EDM: preconditioned diffusion, drawn in few steps",
    family="diffusion",
    cite=Citation(
        key="karras2022elucidating",
        authors="Karras T, Aittala M, Aila T, Laine S",
        title="Elucidating the design space of diffusion-based generative models",
        venue="NeurIPS 35:26565-26577",
        year=2022,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(edm, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(edm, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(edm_with_noise, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(edm_with_noise, _CPU, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        # 200 million images in batches of 512
        ("paper", 2): Size(
            edm, _PAPER, Training(390_625, 512, (32, 32), learning_rate=1e-3, warmup=0.05, decay_from=1.0, ema=0.9993)
        ),
    },
    metrics=(),
    bits=diffusion_bits,
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    paper=(
        Figure("FID, CIFAR-10, class-conditional", "1.79", "abstract"),
        Figure("FID, CIFAR-10, unconditional", "1.97", "abstract"),
        Figure("network evaluations per image", "35", "abstract"),
    ),
    deviations=(
        "The network is a residual U-Net of our own with attention at its lowest level only; it is told where each "
        "voxel lies.",
        "No augmentation pipeline: flips are wrong where laterality matters; --set flip=0.5 mirrors left to right.",
        "The loss weights all noise levels of the network's own output alike, as the paper's weighting does.",
        "At size cpu 36 ancestral steps, as many evaluations as 18 of Heun's: by the same weights after minutes of "
        "training they drew closed outlines where Heun's drew torn ones.",
        "spread is the root mean square of images from -1 to 1 as ours have it, 0.5 in the paper.",
    ),
)
