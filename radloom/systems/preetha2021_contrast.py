"""Post-contrast T1 without contrast agent, from T1, T2 and FLAIR, to judge a tumour's response (Preetha 2021)."""

from radloom.models.available import Available
from radloom.models.gan import PairedGAN
from radloom.models.losses import Term, l1, least_squares, ms_ssim, mse
from radloom.models.model import Model
from radloom.networks.added import Added
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.residual_unet import ChannelNorm, PositionNorm, ResidualUNet
from radloom.networks.voxelwise import VoxelwisePolynomial
from radloom.system import Citation, Figure, Size, System, Task, Training


def added(
    *, dims: int, task: Task, channels: tuple[int, ...], blocks: int, judge: int, hide: float, l1_weight: float,
    ssim_weight: float,
) -> Model:  # fmt: skip
    """A conditional GAN that adds the enhancement to the first input, T1; inputs are hidden at random in training."""
    inputs, targets = len(task.inputs), len(task.target)
    network = ResidualUNet(dims, 2 * inputs, targets, channels, blocks=blocks, patch=1)
    discriminator = PatchDiscriminator(dims, 2 * inputs + targets, width=judge, halvings=2)
    ssim = ms_ssim(4.0, scales=1)  # of images in units of their median, where few voxels lie above 4
    terms = (Term("l1", l1_weight, l1), Term("ssim", ssim_weight, ssim))
    gan = PairedGAN(Added(network), discriminator, game=least_squares, adversarial_weight=1.0, terms=terms)
    return Available(gan, inputs=inputs, hide=hide)


def residual(
    *, dims: int, task: Task, channels: tuple[int, ...], judge: int, adversarial_weight: float, mse_weight: float
) -> Model:
    """A conditional GAN whose residual U-Net corrects the best quadratic voxel-wise map of the inputs."""
    inputs, targets = len(task.inputs), len(task.target)
    norm, finish = (ChannelNorm, 8) if dims == 2 else (PositionNorm, 0)  # a tile is answered as the volume around it
    generator = ResidualUNet(dims, inputs, 2 * targets, channels, finish=finish, norm=norm)
    discriminator = PatchDiscriminator(dims, inputs + targets, width=judge, halvings=2)
    terms = (Term("l1", 1.0, l1), Term("mse", mse_weight, mse))
    return PairedGAN(generator, discriminator, game=least_squares, adversarial_weight=adversarial_weight, terms=terms,
                     base=VoxelwisePolynomial(inputs, targets, degree=2))  # fmt: skip


_LIGHT = {"judge": 8, "adversarial_weight": 0.001, "mse_weight": 5.0}  # ours: the squared error finds the rims
_SCHEDULE = {"learning_rate": 3e-3, "betas": (0.9, 0.99), "warmup": 0.025, "decay_from": 0.3, "ema": 0.99}  # ours
_CUBES = {**_SCHEDULE, "learning_rate": 1e-3}  # ours
_READER_TINY = {"channels": (8, 8, 16, 16, 16), "steps": 12, "batch": 2, "patch": 32}  # ours
_READER = {"channels": (16, 32, 64, 96, 128), "steps": 500, "batch": 8, "patch": 96}  # ours
_READER_PAPER = {"channels": (64, 64, 128, 256, 512), "steps": 40_000, "batch": 16, "patch": 192}  # ours
_PAPER = {
    "channels": (32, 64, 128, 256, 320),
    "blocks": 2,
    "judge": 64,
    "hide": 0.2,
    "l1_weight": 10.0,
    "ssim_weight": 1.0,
}  # ours

SYSTEM = System(
    name="preetha2021_contrast",
    title="Post-contrast T1 without contrast agent for tumour response",
    cite=Citation(
        key="preetha2021deep",
        authors="Preetha CJ, Meredig H, Brugnara G, Mahmutoglu MA, Foltyn M, Isensee F, et al.",
        title="Deep-learning-based synthesis of post-contrast T1-weighted MRI for tumour response assessment in "
        "neuro-oncology: a multicentre, retrospective cohort study",
        venue="The Lancet Digital Health 3:e784-e794",
        year=2021,
    ),
    task=Task(target=("image.t1c",), inputs=("image.t1", "image.t2", "image.flair")),
    sizes={
        ("tiny", 2): Size(
            residual, {"channels": (8, 16), **_LIGHT}, Training(12, 2, (32, 32), learning_rate=1e-3), _READER_TINY
        ),
        ("tiny", 3): Size(
            residual, {"channels": (8, 16), **_LIGHT}, Training(8, 1, (16, 16, 16), learning_rate=1e-3), _READER_TINY
        ),
        ("cpu", 2): Size(
            residual, {"channels": (16, 32, 64, 96), **_LIGHT}, Training(1500, 2, (96, 96), **_SCHEDULE), _READER
        ),
        ("cpu", 3): Size(
            residual, {"channels": (16, 32, 64), **_LIGHT}, Training(400, 1, (64, 64, 24), **_CUBES), _READER
        ),
        # 775 + 260 + 505 patients; steps and cubes are ours
        ("paper", 3): Size(
            added, _PAPER, Training(250_000, batch=2, patch=(128, 128, 128), learning_rate=2e-4, clip=1e9),
            _READER_PAPER,
        ),
    },
    study="response",
    claim="The volume of enhancing tumour on synthetic post-contrast T1 agrees with that on the real one, and "
    "progression read from either foretells survival alike",
    paper=(
        Figure("concordance of the enhancing volume", "0.782 (0.751-0.807)", "review"),
        Figure("median difference of the volume, cm3", "-0.48 (-0.37 to -0.76)", "review"),
        Figure("hazard ratio of progression, synthetic against real", "no significant difference", "review"),
    ),
    deviations=(
        "The review's table names a CycleGAN; the abstract says a deep convolutional network on co-registered pairs, "
        "which is what is done here: a paired conditional GAN.",
        "Diffusion, which a subset of the paper's patients had, is an input only with --set inputs.",
        "The network's widths, its losses and its schedule are ours; cubes are drawn evenly, not half of them in "
        "tumours.",
        "Sizes tiny and cpu: a residual U-Net corrects the best quadratic voxel-wise map of the inputs instead of T1.",
        "The segmenter is our slice-wise U-Net, trained on the run's real training patients and then frozen.",
        "Progression: at least 40 % above the lowest volume so far, at least 1 cm3, and confirmed by the next visit "
        "where there is one; these rules stand in notes on the paper, not checked.",
        "No significant difference is no proof of equivalence: two one-sided tests on the log hazard ratio, margin "
        "ln 1.25, stand beside it.",
    ),
)  # fmt: skip
