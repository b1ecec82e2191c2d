"""Ours: the image that is best on average, from a slice and its neighbours, with a map of the error to expect."""

from radloom.models.losses import Term, l1, mse
from radloom.models.model import Model
from radloom.models.regression import Regression
from radloom.networks.residual_unet import ChannelNorm, PositionNorm, ResidualUNet
from radloom.system import Citation, Size, System, Task, Training


def regression(
    *, dims: int, task: Task, channels: tuple[int, ...], blocks: int, mse_weight: float, error_weight: float
) -> Model:
    """A residual U-Net fitted by L1 and squared error; no discriminator, no closed-form map below it."""
    norm, finish = (ChannelNorm, 8) if dims == 2 else (PositionNorm, 0)  # a tile must answer as the whole would
    network = ResidualUNet(dims, task.seen(dims), 2 * len(task.target), channels, blocks=blocks, finish=finish,
                           norm=norm)  # fmt: skip
    terms = (Term("l1", 1.0, l1), Term("mse", mse_weight, mse))
    return Regression(network, terms=terms, error_weight=error_weight)


_WEIGHTS = {"mse_weight": 5.0, "error_weight": 0.1}
_TINY = {"channels": (8, 16), "blocks": 1, **_WEIGHTS}
_CPU = {"channels": (16, 32, 64, 96, 128), "blocks": 1, **_WEIGHTS}
_LARGE = {"channels": (64, 128, 256, 384, 512), "blocks": 2, **_WEIGHTS}
_SCHEDULE = {"learning_rate": 3e-3, "betas": (0.9, 0.99), "warmup": 0.025, "decay_from": 0.3, "ema": 0.99}

SYSTEM = System(
    name="radloom_translation",
    title="Ours: one best image from a slice and its neighbours, and the error to expect of it",
    cite=Citation(
        key="kendall2017uncertainties",
        authors="Kendall A, Gal Y",
        title="What uncertainties do we need in Bayesian deep learning for computer vision?",
        venue="NeurIPS 30:5574-5584",
        year=2017,
    ),
    task=Task(target=("image.flair",), inputs=("image.t1", "image.t1c", "image.t2"), context=1),
    sizes={
        ("tiny", 2): Size(regression, _TINY, Training(12, 2, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(regression, _TINY, Training(8, 1, (16, 16, 16), learning_rate=1e-3)),
        ("cpu", 2): Size(regression, _CPU, Training(3000, 2, (96, 96), **_SCHEDULE)),
        ("cpu", 3): Size(
            regression,
            {**_CPU, "channels": (16, 32, 64)},
            Training(600, 1, (64, 64, 24), **{**_SCHEDULE, "learning_rate": 1e-3}),
        ),
        ("paper", 2): Size(
            regression, _LARGE, Training(100_000, 16, (192, 192), **{**_SCHEDULE, "learning_rate": 1e-3})
        ),
    },
    claim="Is nearer to the real image than the best voxel-wise map and than any published system here given the same "
    "training time",
    deviations=(
        "No paper describes it; the citation is for the map of the expected error. Every setting is ours.",
        "It draws the average of what fits the inputs: noise, and detail that the inputs do not settle, come out "
        "smooth. A system that samples looks sharper and is further off on average.",
        "Size paper names a size for a large GPU; it has not been trained.",
    ),
)
