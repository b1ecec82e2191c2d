"""An energy of images, learned by contrast with Langevin chains from a replay buffer (Du & Mordatch 2019)."""

from radloom.models.by_class import by_class
from radloom.models.energy import EnergyModel, Langevin
from radloom.models.model import Model
from radloom.networks.energies import ConvEnergy
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def energy(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], chain: int, drawn_chain: int, step: float,
    deviation: float, kept: int,
) -> Model:  # fmt: skip
    """Chains of `chain` Langevin steps in training and `drawn_chain` to draw; one model for each class."""
    count = len(task.target)

    def langevin(steps: int) -> Langevin:
        return Langevin(steps=steps, step=step, deviation=deviation, low=-1.0, high=1.0)

    def one() -> Model:
        return EnergyModel(ConvEnergy(dims, count, channels), (count, *task.grid), langevin=langevin(chain),
                           draw=langevin(drawn_chain), buffer=kept)  # fmt: skip

    return by_class(one, task.classes())


_TINY = {"channels": (8, 16), "chain": 4, "drawn_chain": 8, "step": 10.0, "deviation": 0.005, "kept": 16}  # ours
_CPU = {"channels": (24, 48, 64), "chain": 10, "drawn_chain": 200, "step": 20.0, "deviation": 0.01,
        "kept": 1000}  # fmt: skip # ours
_PAPER = {"channels": (128, 256, 256, 256), "chain": 60, "drawn_chain": 240, "step": 10.0, "deviation": 0.005,
          "kept": 10_000}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.0, 0.99), "warmup": 0.02, "decay_from": 0.5, "ema": 0.99}  # ours

SYSTEM = System(
    name="du2019_energy",
    title="An energy of images, learned by contrast with Langevin chains",
    family="energy",
    cite=Citation(
        key="du2019implicit",
        authors="Du Y, Mordatch I",
        title="Implicit generation and modeling with energy-based models",
        venue="NeurIPS 32:3608-3618",
        year=2019,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(energy, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(energy, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(energy, _CPU, Training(1000, 8, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(energy, {**_CPU, "kept": 100}, Training(200, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(energy, _PAPER, Training(100_000, 128, (32, 32), learning_rate=1e-4)),  # ours: the steps
    },
    metrics=(),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The energy is a small network of patches with spectral norms, not the paper's residual network.",
        "A class condition trains one model for each class.",
        "Images are drawn by chains from noise; the paper's best figures continue chains from the replay buffer.",
    ),
)
