"""CT angiography of the neck from CT without contrast agent, by a GAN that tolerates motion between them (Lyu 2023)."""

from torch import nn

from radloom.models.model import Model
from radloom.models.registration_gan import Jolt, RegistrationGAN
from radloom.networks.added import Added
from radloom.networks.pix2pix import PatchDiscriminator, ResNetGenerator
from radloom.networks.registration import RegistrationNet
from radloom.networks.residual_unet import ChannelNorm, ResidualUNet
from radloom.system import Citation, Figure, Size, System, Task, Training


def cta_gan(
    *, dims: int, task: Task, width: int, blocks: int, judge: int, registers: tuple[int, ...], correction: float,
    smooth: float, turn: float, shift: float, scaling: float,
) -> Model:  # fmt: skip
    """The published networks: ResNet generator, PatchGAN averaged to one score, registration U-Net."""
    k, c = len(task.inputs), len(task.target)
    discriminator = nn.Sequential(PatchDiscriminator(dims, c, width=judge), _POOLS[dims](1))
    return RegistrationGAN(
        ResNetGenerator(dims, k, c, width=width, blocks=blocks), discriminator, RegistrationNet(dims, 2 * c, registers),
        correction=correction, smooth=smooth, jolt=Jolt(turn, shift, scaling),
    )  # fmt: skip


def residual(
    *, dims: int, task: Task, channels: tuple[int, ...], judge: int, registers: tuple[int, ...],
    adversarial_weight: float, correction: float, smooth: float, turn: float, shift: float, scaling: float,
) -> Model:  # fmt: skip
    """A residual U-Net on 2x2 patches whose answer is added to the native CT, and a lighter game."""
    k, c = len(task.inputs), len(task.target)
    generator = Added(ResidualUNet(dims, k, c, channels, finish=8, norm=ChannelNorm))
    return RegistrationGAN(
        generator, PatchDiscriminator(dims, c, width=judge, halvings=2), RegistrationNet(dims, 2 * c, registers),
        adversarial_weight=adversarial_weight, correction=correction, smooth=smooth, jolt=Jolt(turn, shift, scaling),
    )  # fmt: skip


_POOLS = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_JOLT = {"turn": 1.0, "shift": 0.02, "scaling": 0.02}
# 20 times the absolute error where 2 units span 4095 HU: 9.8 times it in units of 1000 HU
_PAPER = {"width": 64, "blocks": 9, "judge": 64, "registers": (32, 64, 64, 64, 64, 64, 64), "correction": 9.8,
          "smooth": 10.0, **_JOLT}  # fmt: skip
_LIGHT = {"adversarial_weight": 0.01, "correction": 10.0, "smooth": 1.0, "turn": 0.5, "shift": 0.005,
          "scaling": 0.005}  # fmt: skip # ours: voxels of 1.3 mm move less than the paper's pixels of half of it
_TINY = {"channels": (8, 16), "judge": 8, "registers": (8, 16), **_LIGHT}  # ours
_CPU = {"channels": (16, 32, 64, 96, 128), "judge": 8, "registers": (16, 32, 32, 32), **_LIGHT}  # ours
_SCHEDULE = {"learning_rate": 2e-3, "betas": (0.9, 0.99), "warmup": 0.025, "decay_from": 0.3, "ema": 0.99}  # ours
_READER_TINY = {"channels": (8, 8, 16, 16, 16), "steps": 12, "batch": 2, "patch": 32}  # ours
_READER = {"channels": (16, 32, 64, 96, 128), "steps": 400, "batch": 8, "patch": 96}  # ours
_READER_PAPER = {"channels": (64, 64, 128, 256, 512), "steps": 40_000, "batch": 16, "patch": 192}  # ours

SYSTEM = System(
    name="lyu2023_cta",
    title="CT angiography of the neck from CT without contrast agent",
    cite=Citation(
        key="lyu2023generative",
        authors="Lyu J, Fu Y, Yang M, Xiong Y, Duan Q, Duan C, et al.",
        title="Generative adversarial network-based noncontrast CT angiography for aorta and carotid arteries",
        venue="Radiology 309:e230681",
        year=2023,
    ),
    task=Task(target=("image.cta",), inputs=("image.ncct",), anatomy="neck"),
    sizes={
        ("tiny", 2): Size(residual, _TINY, Training(12, 2, (32, 32), learning_rate=1e-3), _READER_TINY),
        ("cpu", 2): Size(residual, _CPU, Training(1000, 2, (96, 96), **_SCHEDULE), _READER),
        # 1137 patients, 65 epochs of batch 1, the last 20 with a falling rate # ours: about 150 slices each
        ("paper", 2): Size(
            cta_gan,
            _PAPER,
            Training(11_000_000, 1, (512, 512), learning_rate=1e-4, betas=(0.5, 0.999), decay_from=0.69, clip=1e9),
            _READER_PAPER,
        ),
    },
    study="vessels",
    metrics=("psnr", "ssim_slices", "mae", "nmse"),
    claim="In its angiograms a segmenter of real angiograms finds more of the arteries' lumen than in any voxel-wise "
    "map of the native CT",
    paper=(
        Figure("NMAE, internal and external test", "0.011 / 0.013", "abstract"),
        Figure("PSNR, internal and external test", "32.07 / 31.58 dB", "abstract"),
        Figure("accuracy of vascular diagnosis, internal and external test", "94 % / 86 %", "review"),
    ),
    deviations=(
        "The review files it under GANs; the published code has a registration network behind the generator, as here.",
        "The code's second stage, a discriminator of two scales on the image and its centre, is not built.",
        "CT is learned in units of water (air 0, water 1); the paper's weights are converted from its own units.",
        "Sizes tiny and cpu: a residual U-Net on 2x2 patches is added to the native CT; a lighter game, less "
        "smoothness and smaller jolts.",
        "Two radiologists read the paper's images; ours are read by a segmenter trained on real angiograms.",
    ),
    pitfalls=(
        "Nothing in native CT shows whether blood flows: an occluded artery is filled by analogy.",
        "Voxel-wise errors count the motion between both scans against the generator.",
    ),
)
