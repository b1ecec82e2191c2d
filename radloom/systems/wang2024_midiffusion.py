"""MIDiffusion: zero-shot translation by a diffusion model that hears local mutual information alone (Wang 2024)."""

from radloom.errors import RadloomError
from radloom.models import paths, predictions, times
from radloom.models.diffusion import Diffusion
from radloom.models.model import Model
from radloom.models.zero_shot import ZeroShot
from radloom.networks.conditions import image_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.local_mutual_information import Histogram, Informed
from radloom.samplers import grids, guidance
from radloom.samplers.stochastic import ancestral
from radloom.system import Citation, Size, System, Task, Training


def midiffusion(
    *, dims: int, task: Task, channels: tuple[int, ...], blocks: int, stem: int, attention: bool, steps_trained: int,
    steps_drawn: int, spread: float, bins: int, width: float, window: tuple[float, ...],
) -> Model:  # fmt: skip
    """DDPM of the target given maps of local mutual information; window: what is 0 and 255 of the histogram."""
    if len(task.inputs) != 1 or len(task.target) != 1:
        raise RadloomError(f"mutual information of {len(task.inputs)} inputs and {len(task.target)} targets",
                           expected="one image on either side")  # fmt: skip
    if len(window) != 2:
        raise RadloomError(f"a window of {len(window)} numbers", expected="two: low, high")
    network = DiffusionUNet(dims, 1, 1, channels, blocks=blocks, patch=stem, attention=attention, maps=(image_maps(2),))
    path = paths.variance_preserving()
    informed = Informed(network, Histogram(window[0], window[1], bins, width), spread=spread)
    return ZeroShot(
        Diffusion(
            informed,
            path,
            predictions.noise,
            sampler=ancestral,
            times=times.discrete(steps_trained),
            sigmas=grids.uniform_in_time(steps_drawn, path.earliest, path.latest, path.ratio),
            spread=spread,
            guides=(guidance.inside_region,),
        )
    )


_WINDOW = (-0.5, 2.5)  # ours: medians of the head, with room for noise below the background
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "steps_trained": 1000, "steps_drawn": 3,
         "spread": 0.7, "bins": 9, "width": 8.0, "window": _WINDOW}  # fmt: skip # ours
_CPU = {"channels": (16, 32, 64, 64), "blocks": 1, "stem": 2, "attention": False, "steps_trained": 1000,
        "steps_drawn": 50, "spread": 0.7, "bins": 9, "width": 8.0, "window": _WINDOW}  # fmt: skip # ours
_PAPER = {"channels": (64, 128, 128, 128), "blocks": 2, "stem": 1, "attention": True, "steps_trained": 1000,
          "steps_drawn": 1000, "spread": 0.7, "bins": 27, "width": 2.0, "window": _WINDOW}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="wang2024_midiffusion",
    title="MIDiffusion: zero-shot translation by local mutual information",
    cite=Citation(
        key="wang2024mutual",
        authors="Wang Z, Yang Y, Chen Y, Yuan T, Sermesant M, Delingette H, et al.",
        title="Mutual information guided diffusion for zero-shot cross-modality medical image translation",
        venue="IEEE Transactions on Medical Imaging 43:2825-2838",
        year=2024,
    ),
    task=Task(target=("image.flair",), inputs=("image.t1",), pairing="unpaired"),
    sizes={
        ("tiny", 2): Size(midiffusion, _TINY, Training(8, 2, (24, 24), learning_rate=1e-3)),
        ("cpu", 2): Size(midiffusion, _CPU, Training(1500, 4, (64, 64), **_SCHEDULE)),
        # ours: 500,000 steps; the code trains batches of 4 with Adam at 3e-4 and mirrors half of the images
        ("paper", 2): Size(
            midiffusion,
            _PAPER,
            Training(500_000, 4, (128, 128), learning_rate=3e-4, decay_from=1.0, ema=0.9999, flip=0.5),
        ),
    },
    claim="Without having seen one source image it draws images nearer to the real ones than the histogram-matched "
    "input is",
    deviations=(
        "The maps in training compare with x_t itself, which is what sampling does; the published code takes the "
        "next step's, with the same noise.",
        "Every value counts 1 in its histogram, so that mutual information is never negative.",
        "Sampling has the posterior's variance, not the larger beta of the step.",
        "The plain mutual information is used everywhere; the published code normalises it for IXI.",
        "Sizes tiny and cpu count in 9 wider bins instead of 27 and draw fewer steps.",
        "Intensities are divided by the median of the head; outside it the drawn image is 0.",
    ),
    pitfalls=(
        "The maps tell where edges are, not which side is bright: grey levels of two tissues may be swapped.",
        "A lesion that the training images do not have is drawn as what they have at such an edge.",
    ),
)
