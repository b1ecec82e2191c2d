"""R3GAN: a GAN without tricks, by a relativistic game with both gradient penalties and a plain network (Huang 2024)."""

from radloom.models.losses import relativistic
from radloom.models.model import Model
from radloom.models.noise_gan import GAN
from radloom.models.penalties import r1, r2
from radloom.networks.r3gan import R3Discriminator, R3Generator
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def r3gan(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], latent: int, width: int, blocks: int, group: int,
    gamma: float, every: int, stem: int,
) -> Model:  # fmt: skip
    """R1 and R2 of weight gamma / 2, each `every` steps; gamma is that of images from -1 to 1."""
    count = len(task.target)
    generator = R3Generator(dims, task.grid, count, channels, latent=latent, blocks=blocks, group=group,
                            vectors=task.heard(width), width=width, patch=stem)  # fmt: skip
    discriminator = R3Discriminator(dims, task.grid, count, channels, blocks=blocks, group=group,
                                    vectors=task.heard(channels[0]), width=channels[0], patch=stem)  # fmt: skip
    penalties = (r1(gamma, every=every), r2(gamma, every=every))
    return GAN(generator, discriminator, game=relativistic, penalties=penalties)


_TINY = {"channels": (8, 8), "latent": 8, "width": 8, "blocks": 1, "group": 4, "gamma": 1.0, "every": 4,
         "stem": 2}  # fmt: skip # ours
_CPU = {"channels": (96, 64, 48, 24, 8), "latent": 64, "width": 64, "blocks": 1, "group": 8, "gamma": 2.0, "every": 4,
        "stem": 1}  # fmt: skip # ours
_PAPER = {"channels": (768, 768, 768, 768, 384, 192, 96), "latent": 64, "width": 64, "blocks": 2, "group": 16,
          "gamma": 150.0, "every": 1, "stem": 1}  # fmt: skip # ours but for gamma
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.0, 0.99), "warmup": 0.02, "decay_from": 0.7, "ema": 0.995}  # ours

SYSTEM = System(
    name="huang2024_r3gan",
    title="R3GAN: a GAN without tricks",
    family="adversarial",
    cite=Citation(
        key="huang2024modern",
        authors="Huang Y, Gokaslan A, Kuleshov V, Tompkin J",
        title="The GAN is dead; long live the GAN! A modern GAN baseline",
        venue="NeurIPS 37",
        year=2024,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(r3gan, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(r3gan, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(r3gan, _CPU, Training(800, 8, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(
            r3gan, {**_CPU, "channels": (64, 32, 16), "stem": 2}, Training(300, 2, (48, 48, 16), **_SCHEDULE)
        ),
        # 20 million images; the batch is ours
        ("paper", 2): Size(
            r3gan,
            _PAPER,
            Training(78_125, 256, (256, 256), learning_rate=2e-4, betas=(0.0, 0.99), decay_from=0.0, ema=0.999),
        ),
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "gamma stays where the paper's schedule lets it fall (150 to 15 at 256 x 256), and the learning rate falls to "
        "0 in a straight line; Adam's betas stay too.",
        "At sizes tiny and cpu the penalties are taken each fourth step, four times as heavy; at tiny, and in 3D at "
        "cpu, the finest resolution holds patches of two voxels along each axis as channels.",
        "No augmentation; the widths are ours.",
        "Resolutions double and halve by linear interpolation with the filters of our StyleGAN2.",
    ),
)
