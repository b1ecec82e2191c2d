"""Improved consistency training: one or two jumps from noise to the image, learned without a teacher (Song 2024)."""

from radloom.models.consistency import Consistency, Ladder
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def consistency(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool, ladder: int,
    first: int, last: int, jumps: tuple[float, ...], huber: float,
) -> Model:  # fmt: skip
    """From `first` to `last` steps between the noise levels over `ladder` steps of training; draws by `jumps`."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    return Consistency(network, Ladder(ladder, first=first, last=last), draws=jumps, huber=huber)


_NET = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True}  # ours
_JUMPS = {"jumps": (80.0, 0.821), "huber": 0.00054}
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "ladder": 12, "first": 10, "last": 40,
         **_JUMPS}  # fmt: skip # ours
_CPU = {**_NET, "ladder": 1000, "first": 10, "last": 160, **_JUMPS}  # ours: the ladder
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.99}  # ours
_PAPER = {"channels": (128, 256, 256, 256), "blocks": 4, "stem": 1, "attention": True, "ladder": 400_000, "first": 10,
          "last": 1280, **_JUMPS}  # fmt: skip # ours: the network

SYSTEM = System(
    name="song2024_consistency",
    title="Consistency training: one or two jumps from noise to the image",
    family="diffusion",
    cite=Citation(
        key="song2024improved",
        authors="Song Y, Dhariwal P",
        title="Improved techniques for training consistency models",
        venue="ICLR",
        year=2024,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(consistency, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(consistency, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(consistency, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(consistency, {**_CPU, "ladder": 400}, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(
            consistency,
            _PAPER,
            Training(400_000, 1024, (32, 32), learning_rate=1e-4, decay_from=1.0, ema=0.99993),  # ours: the schedule
        ),
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    paper=(
        Figure("FID, CIFAR-10, one jump", "2.51", "abstract"),
        Figure("FID, CIFAR-10, two jumps", "2.24", "abstract"),
        Figure("FID, ImageNet 64 x 64, one jump", "3.25", "abstract"),
    ),
    deviations=(
        "The network is a residual U-Net of our own with attention at its lowest level only and without dropout; it "
        "is told where each voxel lies.",
        "The mean, not the sum, of squares over voxels stands in the pseudo-Huber metric.",
        "At size cpu the ladder of noise levels ends at 160 steps, 1280 in the paper.",
        "Adam, not RAdam.",
    ),
)
