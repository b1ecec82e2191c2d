"""Neural spline flow: couplings by monotone rational-quadratic splines (Durkan 2019)."""

from radloom.models.by_class import by_class, by_class_bits
from radloom.models.flow import Flow
from radloom.models.likelihoods import LEVELS, flow_bits
from radloom.models.model import Model
from radloom.networks.flows import Glow, Spline
from radloom.synthesis import Synthesis
from radloom.system import Citation, Size, System, Training


def spline_flow(
    *,
    dims: int,
    task: Synthesis,
    width: int,
    levels: int,
    steps_of_flow: int,
    bins: int,
    bound: float,
    temperature: float,
) -> Model:
    """`levels` of `steps_of_flow` steps; one model for each class of a condition."""

    def one() -> Model:
        glow = Glow(dims, len(task.target), width, levels=levels, steps=steps_of_flow, transform=Spline(bins, bound))
        return Flow(glow, LEVELS, temperature=temperature)

    return by_class(one, task.classes())


_TINY = {"width": 8, "levels": 2, "steps_of_flow": 1, "bins": 4, "bound": 3.0, "temperature": 0.7}  # ours
_CPU = {"width": 32, "levels": 4, "steps_of_flow": 2, "bins": 6, "bound": 3.0, "temperature": 0.7}  # ours
_PAPER = {"width": 96, "levels": 3, "steps_of_flow": 7, "bins": 4, "bound": 3.0, "temperature": 1.0}  # ours: the width
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.9, 0.99), "warmup": 0.1, "decay_from": 0.5, "ema": 0.995}  # ours

SYSTEM = System(
    name="durkan2019_spline_flow",
    title="Neural spline flow: couplings by monotone splines",
    family="flow",
    cite=Citation(
        key="durkan2019neural",
        authors="Durkan C, Bekasov A, Murray I, Papamakarios G",
        title="Neural spline flows",
        venue="NeurIPS 32:7509-7520",
        year=2019,
    ),
    task=Synthesis(target=("image.flair",)),
    sizes={
        ("tiny", 2): Size(spline_flow, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3)),
        ("tiny", 3): Size(spline_flow, _TINY, Training(8, 2, (32, 32, 8), learning_rate=1e-3)),
        ("cpu", 2): Size(spline_flow, _CPU, Training(1200, 16, (64, 64), **_SCHEDULE)),
        ("cpu", 3): Size(spline_flow, {**_CPU, "levels": 3}, Training(300, 2, (48, 48, 16), **_SCHEDULE)),
        ("paper", 2): Size(spline_flow, _PAPER, Training(200_000, 512, (32, 32), learning_rate=5e-4)),
    },
    metrics=(),
    bits=by_class_bits(flow_bits),
    claim="Draws images nearer to those of held-out patients than a Gaussian fitted on the training images draws",
    deviations=(
        "The couplings' networks are three convolutions, not residual networks.",
        "A class condition trains one model for each class.",
    ),
)
