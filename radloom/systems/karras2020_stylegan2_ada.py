"""StyleGAN2-ADA: styles by layer, and augmentation that hides the training images from the critic (Karras 2020)."""

from radloom.models.augmentation import Augmentation, radiology
from radloom.models.feedback import Feedback
from radloom.models.losses import non_saturating
from radloom.models.model import Model
from radloom.models.noise_gan import GAN
from radloom.models.penalties import r1
from radloom.networks.residual_discriminator import ResidualDiscriminator
from radloom.networks.stylegan import Mapping, StyleGenerator, StyleSynthesis2
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def stylegan2_ada(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], latent: int, width: int, gamma: float, every: int,
    target: float, images: int, stem: int,
) -> Model:  # fmt: skip
    """StyleGAN2 with R1 each `every` steps, and augmentation that radiology can bear; unit 1 of images from -1 to 1."""
    count = len(task.target)
    mapping = Mapping(latent, width, vectors=task.heard(width))
    generator = StyleGenerator(mapping, StyleSynthesis2(dims, task.grid, count, channels, width, patch=stem))
    discriminator = ResidualDiscriminator(dims, task.grid, count, channels, vectors=task.heard(channels[0]),
                                          width=channels[0], patch=stem)  # fmt: skip
    feedback = Feedback(target=target, images=images)
    return GAN(generator, discriminator, game=non_saturating, penalties=(r1(gamma, every=every),),
               disguise=Augmentation(radiology(), feedback))  # fmt: skip


_TINY = {"channels": (8, 8), "latent": 8, "width": 8, "gamma": 1.0, "every": 4, "target": 0.6, "images": 1000,
         "stem": 2}  # fmt: skip # ours
_CPU = {"channels": (96, 96, 64, 48), "latent": 64, "width": 64, "gamma": 5.0, "every": 4, "target": 0.6,
        "images": 20_000, "stem": 2}  # fmt: skip # ours
_PAPER = {"channels": (512, 512, 512, 512, 256, 128, 64), "latent": 512, "width": 512, "gamma": 10.0, "every": 16,
          "target": 0.6, "images": 500_000, "stem": 1}  # fmt: skip
_SCHEDULE = {"learning_rate": 2.5e-3, "betas": (0.0, 0.99), "warmup": 0.02, "decay_from": 0.7, "ema": 0.995}  # ours

SYSTEM = System(
    name="karras2020_stylegan2_ada",
    title="StyleGAN2-ADA: styles by layer, trained on few images",
    family="adversarial",
    cite=Citation(
        key="karras2020training",
        authors="Karras T, Aittala M, Hellsten J, Laine S, Lehtinen J, Aila T",
        title="Training generative adversarial networks with limited data",
        venue="NeurIPS 33:12104-12114",
        year=2020,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(stylegan2_ada, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(stylegan2_ada, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(stylegan2_ada, _CPU, Training(800, 8, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(
            stylegan2_ada, {**_CPU, "channels": (64, 32, 16)}, Training(300, 2, (48, 48, 16), **_SCHEDULE)
        ),
        ("paper", 2): Size(
            stylegan2_ada, _PAPER, Training(390_625, 64, (256, 256), learning_rate=2.5e-3, decay_from=1.0)
        ),
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "Augmentation moves, turns, scales, stretches, and changes brightness and contrast; no hue and no flips.",
        "No path-length penalty (models/penalties.py has it).",
        "Convolutions that double or halve work at the lower resolution; at sizes tiny and cpu the finest one holds "
        "2 x 2 patches as channels.",
    ),
)
