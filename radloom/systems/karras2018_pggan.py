"""PGGAN: generator and critic that grow together from coarse images to fine ones (Karras 2018)."""

from radloom.models.losses import wasserstein
from radloom.models.model import Model
from radloom.models.noise_gan import GAN, Growth
from radloom.models.penalties import drift, gradient_penalty
from radloom.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def pggan(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], latent: int, width: int, fade: int, stable: int
) -> Model:
    """Each resolution fades in over `fade` images and stays for `stable`; WGAN-GP with a drift of 0.001."""
    count = len(task.target)
    generator = ProgressiveGenerator(dims, task.grid, count, channels, latent=latent, vectors=task.heard(width),
                                     width=width)  # fmt: skip
    discriminator = ProgressiveDiscriminator(dims, task.grid, count, channels, vectors=task.heard(channels[0]),
                                             width=channels[0])  # fmt: skip
    return GAN(generator, discriminator, game=wasserstein, penalties=(gradient_penalty(), drift()),
               growth=Growth(fade, stable))  # fmt: skip


_TINY = {"channels": (8, 8), "latent": 8, "width": 8, "fade": 16, "stable": 8}  # ours
_CPU = {"channels": (64, 64, 48, 24, 12), "latent": 64, "width": 32, "fade": 500, "stable": 300}  # ours
_PAPER = {"channels": (512, 512, 512, 512, 256, 128, 64, 32, 16), "latent": 512, "width": 64, "fade": 600_000,
          "stable": 600_000}  # fmt: skip
_SCHEDULE = {"learning_rate": 2e-3, "betas": (0.0, 0.99), "warmup": 0.02, "decay_from": 0.7, "ema": 0.995}  # ours

SYSTEM = System(
    name="karras2018_pggan",
    title="PGGAN: images that grow from coarse to fine",
    family="adversarial",
    cite=Citation(
        key="karras2018progressive",
        authors="Karras T, Aila T, Laine S, Lehtinen J",
        title="Progressive growing of GANs for improved quality, stability, and variation",
        venue="ICLR",
        year=2018,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(pggan, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(pggan, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(pggan, _CPU, Training(1000, 8, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(
            pggan,
            {**_CPU, "channels": (64, 32, 16), "fade": 150, "stable": 100},
            Training(400, 2, (48, 48, 16), **_SCHEDULE),
        ),
        # ours: the images that are shown after the last growth
        ("paper", 2): Size(
            pggan,
            _PAPER,
            Training(750_000, 16, (1024, 1024), learning_rate=1e-3, betas=(0.0, 0.99), decay_from=1.0, ema=0.999),
        ),
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    paper=(Figure("inception score, CIFAR-10, unconditional", "8.80", "abstract"),),
    deviations=(
        "One batch size for all resolutions, where the authors' code takes smaller ones for finer images.",
        "Counts of images are those of the authors' code, 600 000 for each growth and as many between.",
        "Labels, in the paper's class-conditional model a second task of the critic, are projected on its features.",
        "Adam's moments are kept when the networks grow.",
    ),
)
