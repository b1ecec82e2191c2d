"""GAN: images from noise by one pass, in the game against a discriminator (Goodfellow 2014)."""

from radloom.models.losses import non_saturating
from radloom.models.model import Model
from radloom.models.noise_gan import GAN
from radloom.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def gan(*, dims: int, task: Synthesis, channels: tuple[int, ...], latent: int, width: int) -> Model:
    """Plain convolutions from coarse to fine, and their mirror image; a condition is heard by both."""
    count = len(task.target)
    generator = ProgressiveGenerator(dims, task.grid, count, channels, latent=latent, vectors=task.heard(width),
                                     width=width)  # fmt: skip
    discriminator = ProgressiveDiscriminator(dims, task.grid, count, channels, vectors=task.heard(channels[0]),
                                             width=channels[0], group=1)  # fmt: skip
    return GAN(generator, discriminator, game=non_saturating)


_TINY = {"channels": (8, 8), "latent": 8, "width": 8}  # ours
_CPU = {"channels": (64, 64, 48, 24, 12), "latent": 64, "width": 32}  # ours
_PAPER = {"channels": (512, 256, 128, 64), "latent": 100, "width": 64}  # ours
_SCHEDULE = {"learning_rate": 2e-3, "betas": (0.0, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="goodfellow2014_gan",
    title="GAN: images by one pass, in the game against a discriminator",
    family="adversarial",
    cite=Citation(
        key="goodfellow2014generative",
        authors="Goodfellow IJ, Pouget-Abadie J, Mirza M, Xu B, Warde-Farley D, Ozair S, et al.",
        title="Generative adversarial nets",
        venue="NeurIPS 27:2672-2680",
        year=2014,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(gan, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(gan, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(gan, _CPU, Training(1000, 8, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(gan, {**_CPU, "channels": (64, 32, 16)}, Training(400, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(gan, _PAPER, Training(100_000, 100, (32, 32), learning_rate=2e-4)),  # ours
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "Convolutions with equalised rates; the paper's networks are fully connected or deconvolutions with maxout.",
        "The generator plays the non-saturating game that the paper advises, with Adam.",
        "What draws is a moving average of the generator, which the paper does not have.",
    ),
)
