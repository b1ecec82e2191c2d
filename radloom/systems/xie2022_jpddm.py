"""JPDDM: FDG PET from T1 by joint diffusion of noisy PET beside clean MRI, three planes averaged (Xie 2022)."""

from torch import Tensor

from radloom.errors import RadloomError
from radloom.given import Given
from radloom.models import paths, predictions
from radloom.models.diffusion import Diffusion
from radloom.models.model import Model
from radloom.models.planes import Planes
from radloom.networks.conditions import image_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.samplers import grids, guidance
from radloom.samplers.denoiser import Denoiser, Sampler, Streams
from radloom.samplers.stochastic import predictor_corrector
from radloom.system import Citation, Figure, Size, System, Task, Training


def jpddm(
    *, dims: int, task: Task, channels: tuple[int, ...], blocks: int, stem: int, attention: bool, steps_drawn: int,
    lowest: float, highest: float, snr: float, spread: float, prior: str, slices: int, draws: int,
) -> Model:  # fmt: skip
    """Three models of slices, sagittal, coronal and axial; prior: "exploded" N(0, highest^2), or "unit" N(0, 1)."""
    if prior not in _PRIORS:
        raise RadloomError(f"prior {prior}", expected=" or ".join(_PRIORS))

    def plane() -> Model:
        network = DiffusionUNet(2, len(task.target), len(task.target), channels, blocks=blocks, patch=stem,
                                attention=attention, maps=(image_maps(len(task.inputs)),))  # fmt: skip
        return Diffusion(network, paths.variance_exploding(lowest, highest), predictions.score,
                         sampler=_PRIORS[prior](predictor_corrector(snr=snr)),
                         sigmas=grids.geometric(steps_drawn, lowest, highest), spread=spread,
                         guides=(guidance.inside_region,))  # fmt: skip

    return Planes((plane(), plane(), plane()), slices=slices, draws=draws)


def _exploded(sampler: Sampler) -> Sampler:
    """The sampler as it is: it begins at the highest sigma times noise."""
    return sampler


def _unit(sampler: Sampler) -> Sampler:
    """The sampler begun at noise of standard deviation 1, as the published code does though sigma says otherwise."""

    def sample(denoise: Denoiser, x: Tensor, sigmas: Tensor, given: Given, rng: Streams) -> Tensor:
        return sampler(denoise, x / sigmas[0].to(x), sigmas, given, rng)

    return sample


_PRIORS = {"exploded": _exploded, "unit": _unit}
_NOISE = {"lowest": 0.01, "highest": 348.0, "snr": 0.075, "prior": "exploded"}
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_drawn": 4, "slices": 2, "draws": 1,
         "spread": 1.0, **_NOISE}  # fmt: skip # ours
_CPU = {"channels": (16, 32, 64), "blocks": 1, "stem": 2, "attention": False, "steps_drawn": 30, "slices": 4,
        "draws": 1, "spread": 1.0, **_NOISE}  # fmt: skip # ours
_PAPER = {"channels": (128, 128, 256, 256, 256, 256, 256), "blocks": 2, "stem": 1, "attention": True,
          "steps_drawn": 1000, "slices": 1, "draws": 4, "spread": 1.0, **_NOISE}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="xie2022_jpddm",
    title="JPDDM: PET from MRI by joint diffusion in three planes",
    cite=Citation(
        key="xie2022synthesizing",
        authors="Xie T, Cao C, Cui Z, Li F, Wei Z, Zhu Y, et al.",
        title="Brain PET synthesis from MRI using joint probability distribution of diffusion model at ultrahigh "
        "fields",
        venue="arXiv 2211.08901",
        year=2022,
    ),
    task=Task(target=("image.pet",), inputs=("image.t1",)),
    sizes={
        ("tiny", 3): Size(jpddm, _TINY, Training(8, 1, (24, 24, 16), learning_rate=1e-3)),
        ("cpu", 3): Size(jpddm, _CPU, Training(800, 2, (96, 96, 48), **_SCHEDULE)),
        # the code: 1000 epochs at batch 1, a warm-up of 5000 steps # ours: over 100 volumes of 128 slices
        ("paper", 3): Size(
            jpddm,
            _PAPER,
            Training(12_800_000, 1, (128, 128, 128), learning_rate=2e-4, warmup=0.0004, decay_from=1.0, ema=0.999),
        ),
    },
    study="hidden",
    claim="Draws PET nearer to the real one than the best voxel-wise map of T1 draws",
    paper=(Figure("PSNR", "higher than CycleGAN and a score-based model", "review"),),
    deviations=(
        "The network is a residual U-Net of our own instead of NCSN++; at size paper too.",
        "Sampling begins at the standard prior of the exploding path; --set prior=unit begins at noise of standard "
        "deviation 1 as the published code does.",
        "Intensities are divided by the median of the head, not by 1.5 standard deviations of k-space.",
        "Outside the head the drawn image is 0.",
        "Sizes tiny and cpu draw fewer steps and average fewer draws.",
    ),
    pitfalls=(
        "A change of uptake that leaves no trace on MRI cannot be drawn: the study counts the error there.",
        "The average of three planes and several draws is smoother than a real PET.",
    ),
)
