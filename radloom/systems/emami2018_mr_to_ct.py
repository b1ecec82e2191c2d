"""CT of the head from post-contrast T1, for radiotherapy planned on MR alone (Emami 2018)."""

from radloom.models.gan import PairedGAN
from radloom.models.losses import Term, l1, least_squares
from radloom.models.model import Model
from radloom.networks.pix2pix import PatchDiscriminator, ResNetGenerator
from radloom.networks.residual_unet import ChannelNorm, PositionNorm, ResidualUNet
from radloom.networks.voxelwise import VoxelwisePolynomial
from radloom.system import Citation, Figure, Size, System, Task, Training


def resnet(*, dims: int, task: Task, width: int, blocks: int, judge: int, l1_weight: float) -> Model:
    """A residual network of nine blocks against a discriminator of five convolutions, as in the abstract."""
    k, c = len(task.inputs), len(task.target)
    return PairedGAN(
        ResNetGenerator(dims, k, c, width=width, blocks=blocks), PatchDiscriminator(dims, k + c, width=judge),
        game=least_squares, adversarial_weight=1.0, terms=(Term("l1", l1_weight, l1),),
    )  # fmt: skip


def residual(
    *, dims: int, task: Task, channels: tuple[int, ...], judge: int, l1_weight: float, adversarial_weight: float
) -> Model:
    """A residual U-Net on 2x2 patches that corrects the best cubic voxel-wise map."""
    k, c = len(task.inputs), len(task.target)
    norm, finish = (ChannelNorm, 8) if dims == 2 else (PositionNorm, 0)  # slices are drawn whole, cubes as tiles
    generator = ResidualUNet(dims, k, 2 * c, channels, finish=finish, norm=norm)
    return PairedGAN(
        generator, PatchDiscriminator(dims, k + c, width=judge, halvings=2), game=least_squares,
        adversarial_weight=adversarial_weight, terms=(Term("l1", l1_weight, l1),), base=VoxelwisePolynomial(k, c, 3),
    )  # fmt: skip


_LIGHT = {"l1_weight": 1.0, "adversarial_weight": 0.001}  # ours: a heavier game costs accuracy in HU
_TINY = {"channels": (8, 16), "judge": 8, **_LIGHT}  # ours
_CPU = {"channels": (16, 32, 64, 96, 128), "judge": 8, **_LIGHT}  # ours
_PAPER = {"width": 64, "blocks": 9, "judge": 64, "l1_weight": 100.0}  # ours: pix2pix's weights
_SCHEDULE = {"learning_rate": 3e-3, "betas": (0.9, 0.99), "warmup": 0.025, "decay_from": 0.3, "ema": 0.99}  # ours

SYSTEM = System(
    name="emami2018_mr_to_ct",
    title="CT of the head from post-contrast T1, for radiotherapy without a planning CT",
    cite=Citation(
        key="emami2018generating",
        authors="Emami H, Dong M, Nejad-Davarani SP, Glide-Hurst CK",
        title="Generating synthetic CTs from magnetic resonance images using generative adversarial networks",
        venue="Medical Physics 45:3627-3636",
        year=2018,
    ),
    task=Task(target=("image.ct",), inputs=("image.t1c",), anatomy="head"),
    sizes={
        ("tiny", 2): Size(residual, _TINY, Training(12, 2, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(residual, _TINY, Training(8, 1, (16, 16, 16), learning_rate=1e-3)),
        ("cpu", 2): Size(residual, _CPU, Training(1200, 2, (96, 96), **_SCHEDULE)),
        ("cpu", 3): Size(
            residual,
            {**_CPU, "channels": (16, 32, 64)},
            Training(400, 1, (64, 64, 24), **{**_SCHEDULE, "learning_rate": 1e-3}),
        ),
        # 12 patients of a fold, 200 epochs of batch 1 over about 150 slices each # ours: pix2pix's own
        ("paper", 2): Size(resnet, _PAPER, Training(360_000, 1, (256, 256), learning_rate=2e-4, clip=1e9)),
    },
    study="beams",
    metrics=("psnr", "ssim_slices", "mae", "mse"),
    claim="Its CT is nearer to the real one in HU than any voxel-wise map of the MR, in soft tissue, bone and air",
    paper=(
        Figure("MAE in the full field of view", "89.3 (SD 10.3) HU", "abstract"),
        Figure("MAE in soft tissue", "41.9 (SD 8.6) HU", "abstract"),
        Figure("PSNR", "26.6 (SD 1.2) dB", "abstract"),
        Figure("SSIM", "0.83 (SD 0.03)", "abstract"),
        Figure("MAE of a CNN without a game, full field of view", "102.4 (SD 11.1) HU", "abstract"),
        Figure("time for a patient", "5.7 (SD 0.6) s", "abstract"),
    ),
    deviations=(
        "Weights of the objective, widths and schedule of the paper were not at hand: size paper uses pix2pix's own.",
        "Sizes tiny and cpu: a residual U-Net corrects the best cubic voxel-wise map; absolute error and a "
        "least-squares game at weight 0.001.",
        "CT is learned in units of water (air 0, water 1) and 0 outside the head; the paper's scaling is not stated in "
        "the abstract.",
        "The paper's errors in the full field of view count the air around the head, which flatters them; ours are "
        "taken inside the head.",
        "The paper crossvalidated five folds of 15 patients; ours uses the cohort's own split.",
    ),
    pitfalls=(
        "Air and cortical bone are both black on MR: look at sinuses, mastoid and skull base.",
        "Fresh blood and fractures hardly show on T1: the drawn CT must not be read for them.",
    ),
)
