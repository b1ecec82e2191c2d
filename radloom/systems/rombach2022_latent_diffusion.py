"""Latent diffusion: a diffusion prior over the latents of an autoencoder (Rombach 2022)."""

from radloom.models import paths, predictions
from radloom.models.diffusion import Diffusion
from radloom.models.latent import Latent
from radloom.models.model import Model
from radloom.models.staged import Staged
from radloom.models.vae import VAE
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.stochastic import ddim
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def latent_diffusion(
    *, dims: int, task: Synthesis, coder: tuple[int, ...], latents: int, beta: float, channels: tuple[int, ...],
    blocks: int, attention: bool, steps_drawn: int, autoencoder_steps: int, gate: float,
) -> Model:  # fmt: skip
    """The autoencoder for `autoencoder_steps`, then diffusion of its latents by `steps_drawn` of DDIM."""
    count = len(task.target)
    encoder, decoder = Encoder(dims, count, 2 * latents, coder), Decoder(dims, latents, count, coder)
    autoencoder = VAE(encoder, decoder, latents, beta=beta)
    network = DiffusionUNet(dims, latents, latents, channels, blocks=blocks, patch=1, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    path = paths.variance_preserving()
    prior = Diffusion(network, path, predictions.noise, sampler=ddim(0.0), spread=1.0,
                      sigmas=grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio))  # fmt: skip
    return Staged(autoencoder, Latent(autoencoder, prior, gate=gate), first=autoencoder_steps)


_TINY = {"coder": (8, 16), "latents": 4, "beta": 0.1, "channels": (8, 16), "blocks": 1, "attention": False,
         "steps_drawn": 8, "autoencoder_steps": 6, "gate": 1e9}  # fmt: skip # ours
_CPU = {"coder": (32, 64), "latents": 4, "beta": 0.1, "channels": (64, 96), "blocks": 2, "attention": True,
        "steps_drawn": 50, "autoencoder_steps": 350, "gate": 0.5}  # fmt: skip # ours
_PAPER = {"coder": (128, 256), "latents": 3, "beta": 1e-6, "channels": (224, 448, 672, 896), "blocks": 2,
          "attention": True, "steps_drawn": 200, "autoencoder_steps": 250_000, "gate": 0.5}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.7, "ema": 0.995}  # ours

SYSTEM = System(
    name="rombach2022_latent_diffusion",
    title="Latent diffusion: diffusion of an autoencoder's latents",
    family="diffusion",
    cite=Citation(
        key="rombach2022high",
        authors="Rombach R, Blattmann A, Lorenz D, Esser P, Ommer B",
        title="High-resolution image synthesis with latent diffusion models",
        venue="Proc CVPR:10684-10695",
        year=2022,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(latent_diffusion, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(
            latent_diffusion, {**_TINY, "autoencoder_steps": 4}, Training(8, 2, (32, 32, 8), learning_rate=1e-3)
        ),
        ("cpu", 2): Size(latent_diffusion, _CPU, Training(1050, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(
            latent_diffusion, {**_CPU, "autoencoder_steps": 200}, Training(800, 2, (48, 48, 16), **_SCHEDULE)
        ),
        ("paper", 2): Size(latent_diffusion, _PAPER, Training(750_000, 48, (256, 256), learning_rate=1e-4)),
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The autoencoder is a VAE with a learned deviation; the paper adds a perceptual and a patch-adversarial loss.",
        "Autoencoder and prior train in one run, one after the other; the prior does not begin on a bad autoencoder.",
        "A condition is added to the noise level's vector; the paper attends to it.",
        "The prior is told where each latent lies.",
        "Steps and batch of the paper's autoencoder are ours.",
    ),
)
