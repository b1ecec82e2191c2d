"""Flow matching: the velocity of straight paths from noise to images (Lipman 2023)."""

from radloom.models import paths, predictions
from radloom.models.diffusion import Diffusion
from radloom.models.likelihoods import diffusion_bits
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.solvers import flow_midpoint
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def flow_matching(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool, steps_drawn: int,
    spread: float,
) -> Model:  # fmt: skip
    """The velocity at times uniform on the straight path; drawing by `steps_drawn` of the midpoint rule."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    path = paths.rectified_flow()
    return Diffusion(network, path, predictions.velocity, sampler=flow_midpoint, spread=spread,
                     sigmas=grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio))  # fmt: skip


_NET = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True}  # ours
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_drawn": 4, "spread": 0.7}  # ours
_CPU = {**_NET, "steps_drawn": 10, "spread": 0.7}  # ours
_PAPER = {"channels": (128, 256, 256, 256), "blocks": 2, "stem": 1, "attention": True, "steps_drawn": 50, "spread": 0.5}
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="lipman2023_flow_matching",
    title="Flow matching: the velocity of straight paths from noise to images",
    family="diffusion",
    cite=Citation(
        key="lipman2023flow",
        authors="Lipman Y, Chen RTQ, Ben-Hamu H, Nickel M, Le M",
        title="Flow matching for generative modeling",
        venue="ICLR",
        year=2023,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(flow_matching, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(flow_matching, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(flow_matching, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(flow_matching, _CPU, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(
            flow_matching, _PAPER, Training(400_000, 256, (32, 32), learning_rate=5e-4, warmup=0.1, decay_from=0.1)
        ),
    },
    metrics=(),
    bits=diffusion_bits,
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The network is a residual U-Net of our own with attention at its lowest level only; it is told where each "
        "voxel lies.",
        "Drawing takes fixed steps of the midpoint rule (docs/explanation/diffusion.md, How many steps); the paper "
        "solves adaptively.",
        "Labels are added to the noise level's vector.",
    ),
)
