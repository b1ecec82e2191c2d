"""LEDM, LEDMe and TEDM: features of a diffusion model of unlabelled images segment by few labels (Rosnati 2023)."""

from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.features import FeatureDiffusion, as_trained, ensembled, from_zero_to_one, joined
from radloom.models.model import Model
from radloom.networks.conditions import position_maps
from radloom.networks.diffusion_unet import DiffusionUNet, hidden_width
from radloom.samplers import grids
from radloom.samplers.stochastic import ancestral
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def read_at_many_steps(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    steps_trained: int, steps_drawn: int, spread: float, method: str, noise_steps: tuple[int, ...],
    ledm_steps: tuple[int, ...], match_upstream_range: bool,
) -> Model:  # fmt: skip
    """method: the one that the claim is about. noise_steps: of LEDMe, joined, and of TEDM, averaged, counted from 0."""
    count = len(task.target)
    network = DiffusionUNet(dims, count, count, channels, blocks=blocks, patch=stem, attention=attention,
                            vectors=task.heard(hidden_width(channels)), maps=(position_maps(dims),))  # fmt: skip
    path = paths.cosine()
    sigmas = grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio)
    prior = Diffusion(network, path, predictions.noise, sampler=ancestral, sigmas=sigmas,
                      times=times.discrete(steps_trained), spread=spread)  # fmt: skip
    readings = {"ledm": joined(ledm_steps), "ledme": joined(noise_steps), "tedm": ensembled(noise_steps)}
    return FeatureDiffusion(prior, readings, method=method, chain=steps_trained,
                            see=from_zero_to_one if match_upstream_range else as_trained)  # fmt: skip


_READ = {"steps_trained": 1000, "method": "tedm", "noise_steps": (1, 10, 25, 50, 200, 400, 600, 800),
         "ledm_steps": (50, 150, 250), "match_upstream_range": False}  # fmt: skip
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 1, "attention": False, "steps_drawn": 8, "spread": 0.7, **_READ,
         "noise_steps": (1, 400), "ledm_steps": (50, 250)}  # fmt: skip # ours
_CPU = {"channels": (16, 32, 48, 64), "blocks": 1, "stem": 1, "attention": True, "steps_drawn": 100, "spread": 0.7,
        **_READ}  # fmt: skip # ours but for what is read
_PAPER = {"channels": (64, 128, 256, 512), "blocks": 2, "stem": 1, "attention": True, "steps_drawn": 1000,
          "spread": 0.5, **_READ}  # fmt: skip # spread is ours
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours
_TINY_STUDY = {"budgets": (1, 3), "orders": 1, "draws": 1, "head_steps": 10, "head_pixels": 64, "head_rate": 2e-3,
               "scratch_steps": 3, "scratch_batch": 2, "scratch_rate": 1e-3, "segmenter_steps": 3,
               "segmenter": (8, 8, 8, 8, 8)}  # fmt: skip # ours
_CPU_STUDY = {"budgets": (1, 3, 6), "orders": 1, "draws": 2, "head_steps": 200, "head_pixels": 384,
              "head_rate": 2e-3, "scratch_steps": 120, "scratch_batch": 4, "scratch_rate": 3e-3,
              "segmenter_steps": 200, "segmenter": (8, 16, 32, 32, 32)}  # fmt: skip # ours but for the budgets
_PAPER_STUDY = {"budgets": (1, 3, 6, 12, 24, 49, 98), "orders": 1, "draws": 8, "head_steps": 500_000,
                "head_pixels": 16_384, "head_rate": 1e-4, "scratch_steps": 500_000, "scratch_batch": 16,
                "scratch_rate": 1e-4, "segmenter_steps": 20_000,
                "segmenter": (32, 64, 128, 256, 256)}  # fmt: skip # draws, pixels and segmenter are ours

SYSTEM = System(
    name="rosnati2023_timesteps",
    title="TEDM: features of a diffusion model at several noise levels segment by few labels",
    family="segmentation",
    cite=Citation(
        key="rosnati2023robust",
        authors="Rosnati M, Roschewitz M, Glocker B",
        title="Robust semi-supervised segmentation with timestep ensembling diffusion models",
        venue="Machine Learning for Health; arXiv:2311.07421",
        year=2023,
    ),
    task=Synthesis(target=("image.cxr",), scaling="window"),
    sizes={
        ("tiny", 2): Size(read_at_many_steps, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3), _TINY_STUDY),
        ("cpu", 2): Size(read_at_many_steps, _CPU, Training(600, 12, (64, 64), **_SCHEDULE), _CPU_STUDY),
        ("paper", 2): Size(
            read_at_many_steps,
            _PAPER,
            Training(500_000, 16, (128, 128), learning_rate=1e-4, betas=(0.9, 0.999), decay_from=1.0),
            _PAPER_STUDY,
        ),
    },
    study="labels",
    metrics=(),
    claim="With at most 6 labelled patients it segments better than a U-Net from scratch, also at another hospital",
    paper=(
        Figure("Dice with all labels, same hospital: U-Net from scratch, LEDM, LEDMe, TEDM",
               "0.973 / 0.970 / 0.976 / 0.973", "review"),
        Figure("Dice with all labels, other hospitals: U-Net from scratch, LEDM, LEDMe, TEDM",
               "0.941 / 0.944 / 0.953 / 0.951", "review"),
    ),
    deviations=(
        "Features are shown images from -1 to 1, as the network learned them; --set match_upstream_range=true shows "
        "them from 0 to 1, as the authors' code does.",
        "The U-Net is our own, told where each voxel lies; it attends at its lowest level alone, where the code's "
        "attends at all four, and its features are what each level of the way up ends with.",
        "The noise is learned by its squared error; the code takes the absolute one.",
        "The noise of a labelled image is drawn `draws` times and its features kept, where the code draws it anew in "
        "each step; a step sees random pixels of all labelled images, where the code takes whole images.",
        "Labelled validation patients, beyond those counted, choose when heads and U-Net from scratch stop, as in the "
        "code; the U-Net with Dice loss and jitter, a baseline of ours, has no such help.",
        "Contrastive pretraining, a baseline of the code, is not built. The brain images of the review's table are "
        "reached by --set target and a cohort with mask.tumour; no weights of classes.",
    ),
    pitfalls=(
        "Which patients are labelled is one random order; with one label it decides much.",
        "The backbone learned from unlabelled images of both hospitals where the cohort's training patients are of "
        "both: another hospital's labels are unseen, its images are not.",
    ),
)  # fmt: skip
