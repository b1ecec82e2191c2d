"""AutoDDPM: mask, stitch and re-sample with a diffusion model of healthy brains (Bercea 2023)."""

from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.healing import Healing
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.samplers import grids
from radloom.samplers.healing import masked_and_resampled
from radloom.samplers.stochastic import ancestral
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def autoddpm(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    steps_drawn: int, noised_to: float, noised_again_to: float, steps_healed: int, share_masked: float, repeats: int,
    spread: float,
) -> Model:  # fmt: skip
    """A chain of 1000 levels. noised_to: of the draw that finds the mask, in shares of the chain; noised_again_to: of
    the re-sampling, `repeats` times at each of its levels. steps_healed: levels of each of the two."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            maps=(position_maps(dims),))  # fmt: skip
    path = paths.variance_preserving()
    first, second = (
        grids.uniform_in_time(steps_healed, path.earliest, highest, path.ratio)
        for highest in (noised_to, noised_again_to)
    )
    prior = Diffusion(
        network, path, predictions.noise, sampler=ancestral, times=times.discrete(1000), spread=spread,
        sigmas=grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio),
    )  # fmt: skip
    return Healing(prior, masked_and_resampled(first, second, share=share_masked, repeats=repeats))


_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_drawn": 8, "noised_to": 0.2,
         "noised_again_to": 0.05, "steps_healed": 3, "share_masked": 0.05, "repeats": 2, "spread": 0.7}  # fmt: skip
_CPU = {"channels": (24, 48, 96, 96), "blocks": 1, "stem": 2, "attention": True, "steps_drawn": 100, "noised_to": 0.2,
        "noised_again_to": 0.05, "steps_healed": 10, "share_masked": 0.05, "repeats": 5, "spread": 0.7}  # fmt: skip
_PAPER = {"channels": (128, 256, 256), "blocks": 1, "stem": 1, "attention": True, "steps_drawn": 1000,
          "noised_to": 0.2, "noised_again_to": 0.05, "steps_healed": 50, "share_masked": 0.05, "repeats": 5,
          "spread": 0.5}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="bercea2023_autoddpm",
    title="AutoDDPM: mask, stitch and re-sample with a diffusion model of healthy brains",
    family="anomaly",
    cite=Citation(
        key="bercea2023mask",
        authors="Bercea CI, Neumayr M, Rueckert D, Schnabel JA",
        title="Mask, stitch, and re-sample: enhancing robustness and generalizability in anomaly detection through "
        "automatic diffusion models",
        venue="ICML Workshop on Interpretable Machine Learning in Healthcare; arXiv:2305.19643",
        year=2023,
    ),
    task=Synthesis(target=("image.t1", "image.t1c", "image.t2", "image.flair"), without="mask.tumour"),
    sizes={
        ("tiny", 2): Size(autoddpm, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3),
                          {"autoencoder_steps": 4, "segmenter_steps": 4}),
        ("cpu", 2): Size(autoddpm, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE),
                         {"autoencoder_steps": 600, "segmenter_steps": 300}),
        # 3000 epochs of 581 slices in batches of 16
        ("paper", 2): Size(autoddpm, _PAPER, Training(108_000, 16, (128, 128), learning_rate=1e-4, decay_from=1.0),
                           {"autoencoder_steps": 20_000, "segmenter_steps": 20_000}),
    },
    study="anomaly",
    metrics=(),
    claim="Finds diseased voxels with a higher average precision than an autoencoder and than intensity alone",
    paper=(
        Figure("AUPRC of stroke lesions, AnoDDPM to AutoDDPM", "4.25 % to 14.48 %", "review"),
        Figure("best Dice of stroke lesions, AnoDDPM to AutoDDPM", "8.39 % to 22.75 %", "review"),
    ),
    deviations=(
        "Learns four contrasts of every slice without tumour in place of one mid-axial T1 slice of each healthy "
        "subject; --set target=image.t1 takes T1 alone.",
        "The perceptual distance (LPIPS) that weights the residual is 1 - SSIM in windows of 5 voxels: no weights of a "
        "network are needed.",
        "Masks the most suspect 5 % of the head of each image; the code's other choice is one threshold for all.",
        "At size cpu 10 levels stand for the 200 and the 50 of each draw, and the network is a residual U-Net of our "
        "own that is told where each voxel lies.",
        "Without the affine augmentation of the code.",
    ),
)  # fmt: skip
