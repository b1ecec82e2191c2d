"""Missing sequences: T1 from T1c and FLAIR from T2, so that a four-sequence tumour segmenter can run (Conte 2021)."""

from collections.abc import Callable

from radloom.errors import RadloomError
from radloom.models.ensemble import Averaged, Ensemble
from radloom.models.gan import PairedGAN
from radloom.models.losses import Term, l1, least_squares, mse
from radloom.models.model import Model
from radloom.models.wrappers import Independent, Route
from radloom.networks.pix2pix import PatchDiscriminator, UNetGenerator
from radloom.networks.residual_unet import ChannelNorm, PositionNorm, ResidualUNet
from radloom.networks.voxelwise import VoxelwisePolynomial
from radloom.system import Citation, Figure, Size, System, Task, Training


def pix2pix(
    *, dims: int, task: Task, sees: str, members: int, channels: tuple[int, ...], width: int, l1_weight: float
) -> Model:
    """Two pix2pix GANs, as the paper's abstract describes; widths, losses and schedule are pix2pix's own."""

    def part(inputs: int) -> Model:
        generator = UNetGenerator(dims, inputs, 1, channels)
        discriminator = PatchDiscriminator(dims, inputs + 1, width=width)
        terms = (Term("l1", l1_weight, l1),)
        return PairedGAN(generator, discriminator, game=least_squares, adversarial_weight=1.0, terms=terms)

    return _by_target(part, task, sees, members)


def residual(
    *, dims: int, task: Task, sees: str, members: int, channels: tuple[int, ...], width: int, adversarial_weight: float,
    mse_weight: float,
) -> Model:  # fmt: skip
    """Two GANs whose residual U-Net corrects the best cubic voxel-wise map."""

    def part(inputs: int) -> Model:
        # slices are drawn whole, cubes are not: a tile must be answered as the volume around it is
        norm, finish = (ChannelNorm, 8) if dims == 2 else (PositionNorm, 0)
        generator = ResidualUNet(dims, inputs, 2, channels, finish=finish, norm=norm)
        discriminator = PatchDiscriminator(dims, inputs + 1, width=width, halvings=2)
        terms = (Term("l1", 1.0, l1), Term("mse", mse_weight, mse))
        base = VoxelwisePolynomial(inputs, 1, degree=3)
        return PairedGAN(generator, discriminator, game=least_squares, adversarial_weight=adversarial_weight,
                         terms=terms, base=base)  # fmt: skip

    return _by_target(part, task, sees, members)


def _by_target(part: Callable[[int], Model], task: Task, sees: str, members: int) -> Model:
    """A GAN for each target. own: it sees the input at its own place, as in the paper; both: it sees all inputs.

    members: GANs that begin at other weights and whose images are averaged.
    """
    inputs, targets = len(task.inputs), len(task.target)
    if sees == "own" and inputs != targets:
        raise RadloomError(f"--set sees=own with {inputs} inputs for {targets} targets", expected="one input for each",
                           do="--set sees=both shows every input to every generator")  # fmt: skip
    if sees not in ("own", "both"):
        raise RadloomError(f"--set sees={sees} is unknown", expected="own or both")
    routes = tuple(Route((i,), (i,) if sees == "own" else tuple(range(inputs))) for i in range(targets))
    if members < 1:
        raise RadloomError(f"--set members={members}", expected="1 or more")

    def averaged(route: Route) -> Model:
        parts = tuple(part(len(route.sees)) for _ in range(members))
        return parts[0] if members == 1 else Averaged(Ensemble(parts))

    return Independent(tuple(map(averaged, routes)), routes)


_LIGHT = {"adversarial_weight": 0.001, "mse_weight": 5.0}  # ours: the squared error is what finds the tumours
_TINY = {"sees": "own", "members": 1, "channels": (8, 16), "width": 8, **_LIGHT}  # ours
_CPU = {"sees": "own", "members": 1, "channels": (16, 32, 64, 96, 128), "width": 8, **_LIGHT}  # ours
_CPU_3D = {"sees": "own", "members": 1, "channels": (16, 32, 64), "width": 16, **_LIGHT}  # ours
_PAPER = {
    "sees": "own",
    "members": 1,
    "channels": (64, 128, 256, 512, 512, 512, 512),
    "width": 64,
    "l1_weight": 100.0,
}  # ours: pix2pix's own
_SCHEDULE = {"learning_rate": 3e-3, "betas": (0.9, 0.99), "warmup": 0.025, "decay_from": 0.3, "ema": 0.99}  # ours
_READER_TINY = {"channels": (8, 8, 16, 16, 16), "steps": 12, "batch": 2, "patch": 32}  # ours
_READER = {"channels": (16, 32, 64, 96, 128), "steps": 500, "batch": 8, "patch": 96}  # ours
_READER_PAPER = {"channels": (64, 64, 128, 256, 512), "steps": 40_000, "batch": 16, "patch": 192}  # ours

_SIZES = {
    ("tiny", 2): Size(residual, _TINY, Training(12, batch=2, patch=(32, 32), learning_rate=1e-3), _READER_TINY),
    ("tiny", 3): Size(residual, _TINY, Training(8, batch=1, patch=(16, 16, 16), learning_rate=1e-3), _READER_TINY),
    ("cpu", 2): Size(
        residual,
        _CPU,
        Training(1500, 2, (96, 96), **_SCHEDULE),
        _READER,
    ),
    ("cpu", 3): Size(
        residual,
        _CPU_3D,
        Training(400, 1, (64, 64, 24), **{**_SCHEDULE, "learning_rate": 1e-3}),
        _READER,
    ),
    # 135 patients, slices with > 1 % brain, 200 epochs of batch 1: about 3.5 million steps # ours: pix2pix's own
    ("paper", 2): Size(
        pix2pix, _PAPER, Training(3_500_000, batch=1, patch=(256, 256), learning_rate=2e-4, clip=1e9), _READER_PAPER
    ),
}  # fmt: skip

SYSTEM = System(
    name="conte2021_missing_sequence",
    title="Missing T1 and FLAIR for a four-sequence tumour segmenter",
    cite=Citation(
        key="conte2021generative",
        authors="Conte GM, Weston AD, Vogelsang DC, Philbrick KA, Cai JC, Barbera M, et al.",
        title="Generative adversarial networks to synthesize missing T1 and FLAIR MRI sequences for use in a "
        "multisequence brain tumor segmentation model",
        venue="Radiology 299:313-323",
        year=2021,
    ),
    task=Task(target=("image.t1", "image.flair"), inputs=("image.t1c", "image.t2")),
    sizes=_SIZES,
    study="replace",
    metrics=("psnr", "ssim_slices", "mae", "mse"),
    claim="With synthetic T1 and FLAIR a segmenter of four sequences keeps more Dice than with any filling-in that "
    "needs no generator",
    paper=(
        Figure("median MSE of T1", "0.005-0.013", "abstract"),
        Figure("median MSE of FLAIR", "0.004-0.103", "abstract"),
        Figure("median SSIM of T1", "0.82-0.92", "abstract"),
        Figure("median SSIM of FLAIR", "0.76-0.92", "abstract"),
        Figure("median Dice, both replaced (whole / hyperintensity / enhancing)", "0.82 / 0.71 / 0.92", "review"),
        Figure("median Dice, FLAIR replaced", "0.84 / 0.74 / 0.97", "review"),
        Figure("median Dice, T1 replaced", "0.97 / 0.95 / 0.92", "review"),
    ),
    deviations=(
        "The paper's network widths, losses and schedule were not at hand: size paper uses pix2pix's own.",
        "--set sees=both lets either generator see T1c and T2, since both are at hand when T1 and FLAIR are missing; "
        "the paper's routes are T1c -> T1 and T2 -> FLAIR.",
        "Sizes tiny and cpu: a residual U-Net corrects the best cubic voxel-wise map; absolute plus squared error, "
        "least-squares game at weight 0.001.",
        "Intensities are divided by the median of the head; the paper's scaling is not stated in the abstract.",
        "The segmenter is ours, trained on the run's real training patients and then frozen.",
        "Dice is also given against the expert mask; the paper compared with the segmentation of the real images.",
        "Paired Wilcoxon tests with Holm's correction per region and replaced set beside "
        "Friedman's test; notes on the paper name Mann-Whitney, Friedman and Dunn (not checked).",
    ),
)
