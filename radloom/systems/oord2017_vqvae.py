"""VQ-VAE: images from a grid of codes, which a gated PixelCNN draws (van den Oord 2017)."""

from radloom.models.discrete import Levels, Softmax
from radloom.models.latent import Latent, as_they_are
from radloom.models.model import Model
from radloom.models.pixelcnn import PixelCNN
from radloom.models.staged import Staged
from radloom.models.vqvae import VQVAE, Codes
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.causal import GatedPixelCNN
from radloom.networks.codebook import Codebook
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def vqvae(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], codes: int, code_width: int, prior_width: int,
    prior_layers: int, autoencoder_steps: int, gate: float,
) -> Model:  # fmt: skip
    """The autoencoder for `autoencoder_steps`, then the prior of its codes, which hears the condition."""
    count = len(task.target)
    autoencoder = VQVAE(Encoder(dims, count, code_width, channels), Decoder(dims, code_width, count, channels),
                        Codebook(codes, code_width))  # fmt: skip
    heard = task.heard(prior_width)
    network = GatedPixelCNN(dims, 1, prior_width, layers=prior_layers, vector=prior_width if heard else 0)
    prior = PixelCNN(dims, 1, network, Softmax(codes), Levels(codes), vectors=heard)
    return Staged(autoencoder, Latent(Codes(autoencoder), prior, gate=gate, scale=as_they_are), first=autoencoder_steps)


_TINY = {"channels": (8, 16), "codes": 16, "code_width": 4, "prior_width": 8, "prior_layers": 2, "autoencoder_steps": 6,
         "gate": 1e9}  # fmt: skip # ours
_CPU = {"channels": (32, 64, 96), "codes": 128, "code_width": 16, "prior_width": 64, "prior_layers": 8,
        "autoencoder_steps": 600, "gate": 0.5}  # fmt: skip # ours
_PAPER = {"channels": (256, 256), "codes": 512, "code_width": 64, "prior_width": 128, "prior_layers": 12,
          "autoencoder_steps": 250_000, "gate": 0.5}  # fmt: skip # ours: the prior, which the paper does not state
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.7, "ema": 0.995}  # ours

SYSTEM = System(
    name="oord2017_vqvae",
    title="VQ-VAE: images from a grid of codes, drawn by a PixelCNN",
    family="autoencoder",
    cite=Citation(
        key="oord2017neural",
        authors="van den Oord A, Vinyals O, Kavukcuoglu K",
        title="Neural discrete representation learning",
        venue="NeurIPS 30",
        year=2017,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(vqvae, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(vqvae, {**_TINY, "autoencoder_steps": 4}, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(vqvae, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(vqvae, {**_CPU, "autoencoder_steps": 300}, Training(600, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(vqvae, _PAPER, Training(500_000, 128, (128, 128), learning_rate=2e-4)),
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The codebook follows by moving averages (the paper's appendix), and codes that nobody uses move to latents.",
        "Autoencoder and prior train in one run, one after the other; the prior does not begin on a bad autoencoder.",
        "Three halvings at size cpu, two in the paper: 64 codes an image, so that the prior is quick.",
    ),
)
