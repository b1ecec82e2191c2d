"""CycleGAN: translation learned from two heaps of images that do not belong together (Zhu 2017)."""

from collections.abc import Callable

from torch import nn

from radloom.models.cyclegan import CycleGAN
from radloom.models.losses import least_squares
from radloom.models.model import Model
from radloom.networks.pix2pix import PatchDiscriminator, ResNetGenerator
from radloom.networks.residual_unet import ChannelNorm, ResidualUNet
from radloom.system import Citation, Size, System, Task, Training


def resnet(
    *, dims: int, task: Task, width: int, blocks: int, judge: int, cycle: float, identity: float, pool: int,
    pooled: tuple[int, ...],
) -> Model:  # fmt: skip
    """The paper's networks: ResNet generators and PatchGANs of three halvings."""
    return _model(
        task, lambda inputs, outputs: ResNetGenerator(dims, inputs, outputs, width=width, blocks=blocks),
        lambda inputs: PatchDiscriminator(dims, inputs, width=judge), cycle, identity, pool, pooled,
    )  # fmt: skip


def residual(
    *, dims: int, task: Task, channels: tuple[int, ...], judge: int, cycle: float, identity: float, pool: int,
    pooled: tuple[int, ...],
) -> Model:  # fmt: skip
    """Residual U-Nets on 2x2 patches, and PatchGANs of two halvings."""
    return _model(
        task, lambda inputs, outputs: ResidualUNet(dims, inputs, outputs, channels, finish=8, norm=ChannelNorm),
        lambda inputs: PatchDiscriminator(dims, inputs, width=judge, halvings=2), cycle, identity, pool, pooled,
    )  # fmt: skip


def _model(
    task: Task, generator: Callable[[int, int], nn.Module], judge: Callable[[int], nn.Module], cycle: float,
    identity: float, pool: int, pooled: tuple[int, ...],
) -> Model:  # fmt: skip
    """Both generators against both judges; pooled: the spatial shape of the drawn images that the pools keep."""
    k, c = len(task.inputs), len(task.target)
    return CycleGAN(generator(k, c), generator(c, k), judge(c), judge(k), shapes=((c, *pooled), (k, *pooled)),
                    game=least_squares, cycle=cycle, identity=identity, pool=pool)  # fmt: skip


_TINY = {"channels": (8, 16), "judge": 8, "cycle": 10.0, "identity": 0.0, "pool": 4, "pooled": (32, 32)}  # ours
_CPU = {"channels": (16, 32, 64), "judge": 16, "cycle": 10.0, "identity": 0.0, "pool": 50,
        "pooled": (64, 64)}  # fmt: skip # ours
_PAPER = {"width": 64, "blocks": 9, "judge": 64, "cycle": 10.0, "identity": 0.0, "pool": 50, "pooled": (256, 256)}
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.5, 0.99), "decay_from": 0.4, "ema": 0.99}  # ours

SYSTEM = System(
    name="zhu2017_cyclegan",
    title="CycleGAN: translation without pairs, by two generators that undo each other",
    cite=Citation(
        key="zhu2017unpaired",
        authors="Zhu J, Park T, Isola P, Efros AA",
        title="Unpaired image-to-image translation using cycle-consistent adversarial networks",
        venue="ICCV, 2242-2251",
        year=2017,
    ),
    task=Task(target=("image.flair",), inputs=("image.t2",), pairing="unpaired"),
    sizes={
        ("tiny", 2): Size(residual, _TINY, Training(12, 2, (32, 32), learning_rate=1e-3)),
        ("cpu", 2): Size(residual, _CPU, Training(2500, 1, (64, 64), **_SCHEDULE)),
        # 200 epochs, the second half with a falling rate, batch 1 # ours: over 2500 slices, as SynDiff trained it
        ("paper", 2): Size(resnet, _PAPER, Training(500_000, 1, (256, 256), learning_rate=2e-4, clip=1e9)),
    },
    metrics=("psnr", "ssim_slices", "mae", "mse"),
    claim="Without pairs it draws images nearer to the real ones than the histogram-matched input is",
    deviations=(
        "Sizes tiny and cpu: residual U-Nets on 2x2 patches, PatchGANs of two halvings, a higher learning rate.",
        "Nearest resizing and convolution replace the transposed convolution, which leaves a checkerboard.",
        "Intensities are divided by the median of the head, CT in units of water; the output is not bounded by a tanh.",
        "Outside the head the drawn image is 0, in training too.",
        "The identity loss, an option of the paper for photographs of paintings, is off: two contrasts do not share "
        "their grey levels.",
    ),
    pitfalls=(
        "What one kind of images shows more often than the other, such as tumours, is drawn or wiped away.",
        "No term compares the drawn image with the real one: grey levels of two tissues may be swapped.",
    ),
)
