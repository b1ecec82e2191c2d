"""PixelCNN++: the exact probability of an image, voxel by voxel, by mixtures of logistics (Salimans 2017)."""

from radloom.models.discrete import Levels, LogisticMixture
from radloom.models.likelihoods import LEVELS, pixelcnn_bits
from radloom.models.model import Model
from radloom.models.pixelcnn import PixelCNN
from radloom.networks.causal import PixelCNNPlusPlus
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def pixelcnnpp(
    *, dims: int, task: Synthesis, width: int, levels: int, blocks: int, dropout: float, components: int, grey: int
) -> Model:  # fmt: skip
    """`levels` resolutions of `blocks` layers each way; images of `grey` levels from -1 to 1."""
    count, heard = len(task.target), task.heard(width)
    network = PixelCNNPlusPlus(dims, count, width, levels=levels, blocks=blocks, dropout=dropout,
                               vector=width if heard else 0)  # fmt: skip
    return PixelCNN(dims, count, network, LogisticMixture(grey, components),
                    Levels(grey, LEVELS.low, LEVELS.high), vectors=heard)  # fmt: skip


_TINY = {"width": 4, "levels": 1, "blocks": 1, "dropout": 0.0, "components": 3, "grey": 256}  # ours
_CPU = {"width": 32, "levels": 1, "blocks": 1, "dropout": 0.0, "components": 5, "grey": 256}  # ours
_PAPER = {"width": 160, "levels": 3, "blocks": 5, "dropout": 0.5, "components": 10, "grey": 256}
_SCHEDULE = {"learning_rate": 2e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="salimans2017_pixelcnnpp",
    title="PixelCNN++: one voxel after the other, with its exact probability",
    family="autoregressive",
    cite=Citation(
        key="salimans2017pixelcnn",
        authors="Salimans T, Karpathy A, Chen X, Kingma DP",
        title="PixelCNN++: improving the PixelCNN with discretized logistic mixture likelihood and other modifications",
        venue="ICLR",
        year=2017,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(pixelcnnpp, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(pixelcnnpp, _TINY, Training(4, 1, (32, 32, 4), learning_rate=1e-3)),
        ("cpu", 2): Size(pixelcnnpp, _CPU, Training(500, 8, (64, 64), **_SCHEDULE)),
        ("paper", 2): Size(pixelcnnpp, _PAPER, Training(400_000, 128, (32, 32), learning_rate=1e-3)),  # ours: steps
    },
    metrics=(),
    bits=pixelcnn_bits,
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    paper=(Figure("bits per dimension, CIFAR-10", "2.92", "abstract"),),
    deviations=(
        "Channels hear each other through 1 x 1 heads, not through the paper's linear terms.",
        "Size cpu has one resolution and one block, for every voxel that is drawn costs a pass of its neighbourhood.",
        "No size cpu in 3D: drawing would take hours.",
    ),
)
