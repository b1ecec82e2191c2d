"""Translation between MR contrasts that helps registration and segmentation across them (Yang 2020)."""

from radloom.models.gan import PairedGAN
from radloom.models.losses import Term, l1, least_squares, mse
from radloom.models.model import Model
from radloom.networks.pix2pix import PatchDiscriminator, UNetGenerator
from radloom.networks.residual_unet import ChannelNorm, PositionNorm, ResidualUNet
from radloom.networks.voxelwise import VoxelwisePolynomial
from radloom.system import Citation, Size, System, Task, Training


def pix2pix(*, dims: int, task: Task, channels: tuple[int, ...], judge: int, l1_weight: float) -> Model:
    """A conditional GAN of a U-Net and a PatchGAN, adversarial plus absolute error."""
    inputs, targets = len(task.inputs), len(task.target)
    generator = UNetGenerator(dims, inputs, targets, channels)
    discriminator = PatchDiscriminator(dims, inputs + targets, width=judge)
    terms = (Term("l1", l1_weight, l1),)
    return PairedGAN(generator, discriminator, game=least_squares, adversarial_weight=1.0, terms=terms)


def residual(
    *, dims: int, task: Task, channels: tuple[int, ...], judge: int, adversarial_weight: float, mse_weight: float
) -> Model:
    """A conditional GAN whose residual U-Net corrects the best cubic voxel-wise map."""
    inputs, targets = len(task.inputs), len(task.target)
    norm, finish = (ChannelNorm, 8) if dims == 2 else (PositionNorm, 0)  # a tile is answered as the volume around it
    generator = ResidualUNet(dims, inputs, 2 * targets, channels, finish=finish, norm=norm)
    discriminator = PatchDiscriminator(dims, inputs + targets, width=judge, halvings=2)
    terms = (Term("l1", 1.0, l1), Term("mse", mse_weight, mse))
    return PairedGAN(generator, discriminator, game=least_squares, adversarial_weight=adversarial_weight, terms=terms,
                     base=VoxelwisePolynomial(inputs, targets, degree=3))  # fmt: skip


_LIGHT = {"judge": 8, "adversarial_weight": 0.001, "mse_weight": 5.0}  # ours
_SCHEDULE = {"learning_rate": 3e-3, "betas": (0.9, 0.99), "warmup": 0.025, "decay_from": 0.3, "ema": 0.99}  # ours
_DEFORMATION = {"size_mm": 6.0, "smooth_mm": 20.0}  # ours
_REGISTRATION = {"mesh_mm": 20.0, "coarse": 40, "fine": 8, "step_mm": 0.6, "smoothness": 0.005}  # ours
_SHORT = {**_REGISTRATION, "coarse": 2, "fine": 1}
_READER_TINY = {"channels": (8, 8, 16, 16, 16), "steps": 4, "batch": 2, "patch": 32}  # ours
_READER = {"channels": (16, 32, 64, 96, 128), "steps": 300, "batch": 8, "patch": 96}  # ours
_READER_PAPER = {"channels": (64, 64, 128, 256, 512), "steps": 40_000, "batch": 16, "patch": 192}  # ours
_STUDY_TINY = {**_DEFORMATION, **_SHORT, **_READER_TINY}
_STUDY = {**_DEFORMATION, **_REGISTRATION, **_READER}
_STUDY_PAPER = {**_DEFORMATION, **_REGISTRATION, **_READER_PAPER}
_PAPER = {"channels": (64, 128, 256, 512, 512, 512, 512), "judge": 64, "l1_weight": 100.0}  # ours: pix2pix's own

SYSTEM = System(
    name="yang2020_imt",
    title="MR contrasts translated for registration and segmentation",
    cite=Citation(
        key="yang2020mri",
        authors="Yang Q, Li N, Zhao Z, Fan X, Chang EI, Xu Y",
        title="MRI cross-modality image-to-image translation",
        venue="Scientific Reports 10:3753",
        year=2020,
    ),
    task=Task(target=("image.t2",), inputs=("image.t1",)),
    sizes={
        ("tiny", 2): Size(
            residual, {"channels": (8, 16), **_LIGHT}, Training(12, 2, (32, 32), learning_rate=1e-3), _STUDY_TINY
        ),
        ("tiny", 3): Size(
            residual, {"channels": (8, 16), **_LIGHT}, Training(8, 1, (16, 16, 16), learning_rate=1e-3), _STUDY_TINY
        ),
        ("cpu", 2): Size(
            residual, {"channels": (16, 32, 64, 96), **_LIGHT}, Training(1000, 2, (96, 96), **_SCHEDULE), _STUDY
        ),
        # 176 patients [N: 200 epochs are ours]
        ("paper", 2): Size(
            pix2pix, _PAPER, Training(3_500_000, batch=1, patch=(256, 256), learning_rate=2e-4, clip=1e9), _STUDY_PAPER
        ),
    },
    study="register",
    claim="Registration to a translated image, fused with registration to the given one, misses by less than either",
    deviations=(
        "The paper's widths, weight of the absolute error and schedule were not at hand: size paper uses pix2pix's.",
        "Sizes tiny and cpu: a residual U-Net corrects the best cubic voxel-wise map; absolute plus squared error, "
        "least-squares game at weight 0.001.",
        "T1 to T2 unless --set target and inputs say otherwise; one network draws one direction.",
        "Registration is our own free-form deformation, after a smooth deformation that is known; the fused "
        "field is the weighted mean of both, its weight chosen on the validation patients.",
        "The segmenter is our slice-wise U-Net; the paper's is a fully convolutional network.",
    ),
)  # fmt: skip
