"""Glow: an invertible map from images to Gaussian noise, with the exact density (Kingma & Dhariwal 2018)."""

from radloom.models.by_class import by_class, by_class_bits
from radloom.models.flow import Flow
from radloom.models.likelihoods import LEVELS, flow_bits
from radloom.models.model import Model
from radloom.networks.flows import Affine, Glow
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training


def glow_flow(*, dims: int, task: Synthesis, width: int, levels: int, steps_of_flow: int, temperature: float) -> Model:
    """`levels` of `steps_of_flow` steps; one model for each class of a condition."""

    def one() -> Model:
        glow = Glow(dims, len(task.target), width, levels=levels, steps=steps_of_flow, transform=Affine())
        return Flow(glow, LEVELS, temperature=temperature)

    return by_class(one, task.classes())


_TINY = {"width": 8, "levels": 2, "steps_of_flow": 2, "temperature": 0.7}  # ours
_CPU = {"width": 48, "levels": 4, "steps_of_flow": 4, "temperature": 0.7}  # ours but for the temperature
_PAPER = {"width": 512, "levels": 3, "steps_of_flow": 32, "temperature": 0.7}
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.1, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="kingma2018_glow",
    title="Glow: an invertible map from images to noise",
    family="flow",
    cite=Citation(
        key="kingma2018glow",
        authors="Kingma DP, Dhariwal P",
        title="Glow: generative flow with invertible 1x1 convolutions",
        venue="NeurIPS 31:10215-10224",
        year=2018,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(glow_flow, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(glow_flow, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(glow_flow, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(glow_flow, {**_CPU, "levels": 3}, Training(300, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(glow_flow, _PAPER, Training(1_000_000, 64, (32, 32), learning_rate=1e-3)),
    },
    metrics=(),
    bits=by_class_bits(flow_bits),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    paper=(Figure("bits per dimension, CIFAR-10", "3.35", "paper"),),
    deviations=(
        "The prior of each level is N(0, 1), not learned from the level before.",
        "Steps and batch of the paper's training are ours.",
        "A class condition trains one model for each class.",
    ),
)
