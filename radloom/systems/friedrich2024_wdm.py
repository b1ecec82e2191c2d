"""WDM: diffusion of the Haar bands of a volume, which then fits whole into memory (Friedrich 2024)."""

from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.model import Model
from radloom.models.wavelet import Wavelet
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.stochastic import ancestral
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def wavelet_diffusion(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, attention: bool, steps_trained: int,
    steps_drawn: int,
) -> Model:  # fmt: skip
    """The network answers with the bands of the clean image; drawing takes `steps_drawn` of the chain's steps."""
    count = len(task.target) * 2**dims
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=1, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    path = paths.variance_preserving()
    sigmas = grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio)
    inner = Diffusion(network, path, predictions.image, sampler=ancestral, sigmas=sigmas,
                      times=times.discrete(steps_trained))  # fmt: skip
    return Wavelet(inner)


_TINY = {"channels": (8, 16), "blocks": 1, "attention": False, "steps_trained": 1000, "steps_drawn": 8}  # ours
_CPU = {"channels": (24, 48, 96, 96), "blocks": 1, "attention": True, "steps_trained": 1000, "steps_drawn": 100}  # ours
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours
_PAPER = {"channels": (64, 128, 128, 256, 256), "blocks": 2, "attention": False, "steps_trained": 1000,
          "steps_drawn": 1000}  # fmt: skip

SYSTEM = System(
    name="friedrich2024_wdm",
    title="WDM: diffusion of a volume's wavelet bands",
    family="diffusion",
    cite=Citation(
        key="friedrich2024wavelet",
        authors="Friedrich P, Wolleb J, Bieder F, Durrer A, Cattin PC",
        title="WDM: 3D wavelet diffusion models for high-resolution medical image synthesis",
        venue="Deep Generative Models, MICCAI Workshop",
        year=2024,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(wavelet_diffusion, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(wavelet_diffusion, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(wavelet_diffusion, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(wavelet_diffusion, _CPU, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        # channels, blocks, batch and rate of the authors' code at 128 x 128 x 128; ours: the number of steps
        ("paper", 3): Size(
            wavelet_diffusion,
            _PAPER,
            Training(1_000_000, 10, (128, 128, 128), learning_rate=1e-5, decay_from=1.0, ema=0.9999),
        ),
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The network is a residual U-Net of our own, told where each voxel lies; at size cpu with attention at its "
        "lowest level.",
        "The paper's linear beta from 1e-4 to 0.02 is taken in its continuous limit, from 0.1 to 20.",
        "The paper draws volumes; in 2D a slice has four bands.",
        "Labels, which the paper's models do not hear, are added to the noise level's vector.",
    ),
)
