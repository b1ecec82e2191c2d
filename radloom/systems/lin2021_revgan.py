"""RevGAN: FDG PET from T1 and T1 from FDG PET by one reversible 3D generator, to diagnose Alzheimer (Lin 2021)."""

from radloom.models.losses import least_squares
from radloom.models.model import Model
from radloom.models.revgan import RevGAN
from radloom.networks.memory import kept, recomputed
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.reversible import ReversibleGenerator
from radloom.system import Citation, Figure, Size, System, Task, Training


def revgan(
    *, dims: int, task: Task, width: int, depth: int, judge: int, adversarial: float, pixel: float, cycle: float,
    pool: int, pooled: tuple[int, ...],
) -> Model:  # fmt: skip
    """One generator, two judges; pooled: the spatial shape of the drawn images that the pools keep."""
    k, c = len(task.inputs), len(task.target)
    generator = ReversibleGenerator(dims, k, c, width=width, depth=depth, run=recomputed if depth > 4 else kept)
    judges = [PatchDiscriminator(dims, count, width=judge, halvings=2) for count in (c, k)]
    return RevGAN(generator, *judges, shapes=((c, *pooled), (k, *pooled)), game=least_squares, adversarial=adversarial,
                  pixel=pixel, cycle=cycle, pool=pool)  # fmt: skip


_TINY = {"width": 4, "depth": 2, "judge": 4, "adversarial": 1.0, "pixel": 100.0, "cycle": 0.0, "pool": 4,
         "pooled": (16, 16, 16)}  # fmt: skip # ours
_CPU = {"width": 12, "depth": 4, "judge": 8, "adversarial": 1.0, "pixel": 100.0, "cycle": 0.0, "pool": 50,
        "pooled": (48, 48, 24)}  # fmt: skip # ours
_PAPER = {"width": 32, "depth": 8, "judge": 32, "adversarial": 1.0, "pixel": 100.0, "cycle": 0.0, "pool": 50,
          "pooled": (96, 112, 96)}  # fmt: skip # ours: width, depth, judge
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.5, 0.99), "decay_from": 0.4, "ema": 0.99}  # ours
_READER = {"steps": 300, "batch": 8, "width": 8, "learning_rate": 3e-3}  # ours

SYSTEM = System(
    name="lin2021_revgan",
    title="RevGAN: MRI and PET from each other by one reversible 3D generator",
    cite=Citation(
        key="lin2021bidirectional",
        authors="Lin W, Lin W, Chen G, Zhang H, Gao Q, Huang Y, et al.",
        title="Bidirectional mapping of brain MRI and PET with 3D reversible GAN for the diagnosis of Alzheimer's "
        "disease",
        venue="Frontiers in Neuroscience 15:646013",
        year=2021,
    ),
    task=Task(target=("image.pet",), inputs=("image.t1",)),
    sizes={
        ("tiny", 3): Size(revgan, _TINY, Training(8, 1, (16, 16, 16), learning_rate=1e-3), {**_READER, "steps": 4}),
        ("cpu", 3): Size(revgan, _CPU, Training(800, 1, (48, 48, 24), **_SCHEDULE), _READER),
        # 100 + 100 epochs at batch 1 # ours: over 300 pairs
        ("paper", 3): Size(
            revgan,
            _PAPER,
            Training(120_000, 1, (96, 112, 96), learning_rate=2e-4, betas=(0.5, 0.999), clip=1e9),
            {**_READER, "steps": 5000, "width": 16},
        ),
    },
    study="classify",
    claim="Draws PET nearer to the real one than the best voxel-wise map of T1 draws, and both directions from one "
    "network",
    paper=(Figure("classification", "synthetic images are close to the real ones and help the diagnosis", "abstract"),),
    deviations=(
        "Widths and depths are ours; nearest resizing and convolution replace the transposed convolution.",
        "Intensities are divided by the median of the head; the output is not bounded by a tanh.",
        "Images are not registered to a template: each is on its own grid.",
        "Outside the head the drawn image is 0, in training too.",
        "The classifier tells AD from CN; the paper also tells stable from progressive MCI.",
    ),
    pitfalls=(
        "Stems and heads are not invertible, only the core: there and back is near the original, not equal to it.",
        "A classifier may read the generator's prior instead of the patient: compare with MRI alone.",
    ),
)
