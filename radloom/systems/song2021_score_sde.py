"""Score-based diffusion by a stochastic differential equation whose noise explodes (Song 2021)."""

from radloom.models import paths, predictions
from radloom.models.diffusion import Diffusion
from radloom.models.likelihoods import diffusion_bits
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.stochastic import predictor_corrector
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def score_sde(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool, steps_drawn: int,
    spread: float, lowest: float, highest: float, snr: float,
) -> Model:  # fmt: skip
    """The score on sigmas from `lowest` to `highest`; drawing by `steps_drawn` of predictor and corrector."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    return Diffusion(network, paths.variance_exploding(lowest, highest), predictions.score,
                     sampler=predictor_corrector(snr=snr), sigmas=grids.geometric(steps_drawn, lowest, highest),
                     spread=spread)  # fmt: skip


_NET = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True}  # ours
_TINY = {
    "channels": (8, 16),
    "blocks": 1,
    "stem": 2,
    "attention": False,
    "steps_drawn": 4,
    "spread": 0.7,
    "lowest": 0.01,
    "highest": 50.0,
    "snr": 0.16,
}  # ours
_CPU = {**_NET, "steps_drawn": 50, "spread": 0.7, "lowest": 0.01, "highest": 50.0, "snr": 0.16}  # ours
_PAPER = {
    "channels": (128, 256, 256, 256),
    "blocks": 4,
    "stem": 1,
    "attention": True,
    "steps_drawn": 1000,
    "spread": 0.5,
    "lowest": 0.01,
    "highest": 50.0,
    "snr": 0.16,
}
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="song2021_score_sde",
    title="Score-based diffusion by a stochastic differential equation",
    family="diffusion",
    cite=Citation(
        key="song2021score",
        authors="Song Y, Sohl-Dickstein J, Kingma DP, Kumar A, Ermon S, Poole B",
        title="Score-based generative modeling through stochastic differential equations",
        venue="ICLR",
        year=2021,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(score_sde, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(score_sde, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(score_sde, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(score_sde, _CPU, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(
            score_sde,
            _PAPER,
            Training(1_300_000, 128, (32, 32), learning_rate=2e-4, warmup=0.004, decay_from=1.0, ema=0.999),
        ),
    },
    metrics=(),
    bits=diffusion_bits,
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    paper=(
        Figure("FID, CIFAR-10, unconditional", "2.20", "abstract"),
        Figure("bits per dimension, CIFAR-10", "2.99", "abstract"),
    ),
    deviations=(
        "The network is a residual U-Net of our own with attention at its lowest level only; it is told where each "
        "voxel lies.",
        "50 steps of predictor and corrector are drawn at size cpu, 1000 in the paper.",
        "Labels are added to the noise level's vector.",
    ),
)
