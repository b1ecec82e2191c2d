"""VAE: images from one Gaussian vector, by the bound on their likelihood (Kingma & Welling 2014)."""

from radloom.models.by_class import by_class, by_class_bits
from radloom.models.likelihoods import vae_bits
from radloom.models.model import Model
from radloom.models.vae import VAE
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def vae(*, dims: int, task: Synthesis, channels: tuple[int, ...], latents: int, beta: float) -> Model:
    """A VAE whose encoder halves the image once for each of the channels; one model for each class of a condition."""
    count = len(task.target)

    def one() -> Model:
        encoder, decoder = (Encoder(dims, count, 2 * latents, channels), Decoder(dims, latents, count, channels))
        return VAE(encoder, decoder, latents, beta=beta)

    return by_class(one, task.classes())


_TINY = {"channels": (8, 8, 16, 16, 16), "latents": 8, "beta": 1.0}  # ours
_CPU = {"channels": (24, 32, 48, 64, 96, 128), "latents": 64, "beta": 1.0}  # ours
_PAPER = {"channels": (64, 64, 128, 128), "latents": 20, "beta": 1.0}  # ours but for the latents
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="kingma2014_vae",
    title="VAE: images from one Gaussian vector",
    family="autoencoder",
    cite=Citation(
        key="kingma2014auto",
        authors="Kingma DP, Welling M",
        title="Auto-encoding variational Bayes",
        venue="ICLR",
        year=2014,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(vae, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(vae, {**_TINY, "channels": (8, 8, 16)}, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(vae, _CPU, Training(1800, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(vae, {**_CPU, "channels": (32, 32, 64, 96)}, Training(500, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(vae, _PAPER, Training(100_000, 100, (32, 32), learning_rate=1e-3)),  # ours: steps and rate
    },
    metrics=(),
    bits=by_class_bits(vae_bits),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "Convolutional encoder and decoder; the paper's are layers of 500 hidden units, for 28 x 28 pixels.",
        "The decoder's standard deviation is learned; the image drawn is the decoder's mean, without its noise.",
        "The latents are a small grid where the image is larger than the encoder's factor.",
        "A class condition trains one model for each class, since the paper's hears none.",
    ),
)
