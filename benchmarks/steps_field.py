"""Who competes in steps.py: solvers on the grids that they are published with, and what a draw costs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from radloom.models import paths
from radloom.samplers import grids, solvers, stochastic
from radloom.samplers.denoiser import Sampler

LOWEST, HIGHEST = 0.002, 80.0  # EDM's range; every grid but one runs over it, so that all begin at the same noise
SHORT = 20.0  # where the exception begins

Grid = Callable[[int], Tensor]


def karras(steps: int) -> Tensor:
    """EDM's grid."""
    return grids.karras(steps, LOWEST, HIGHEST)


def short_karras(steps: int) -> Tensor:
    """EDM's grid from 0.02 to 20."""
    return grids.karras(steps, 0.02, SHORT)


def geometric(steps: int) -> Tensor:
    """Equal steps of log sigma."""
    return grids.geometric(steps, LOWEST, HIGHEST)


def trained(steps: int) -> Tensor:
    """Equal shares of the noise levels that the network was trained at."""
    return grids.quantile(steps, LOWEST, HIGHEST, mean=-1.2, deviation=1.2)


def _in_time(path: paths.Path) -> Grid:
    ends = path.time(torch.tensor([LOWEST, HIGHEST], dtype=torch.float64)).tolist()
    return lambda steps: grids.uniform_in_time(steps, ends[0], ends[1], path.ratio)


ddpm, cosine, straight = (
    _in_time(path) for path in (paths.variance_preserving(), paths.cosine(), paths.rectified_flow())
)
GRIDS: dict[str, Grid] = {
    "Karras, rho 7": karras, "geometric": geometric, "DDPM's time": ddpm, "cosine time": cosine,
    "flow's time": straight, "as trained": trained,
}  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """A solver on a grid. A grid of n levels above 0 costs it `each` * n - `saved` network evaluations.

    most: the largest number of evaluations that is measured below the longest walk. new_noise: whether it draws noise
    on its way.
    """

    name: str
    title: str
    solver: Sampler
    grid: Grid
    each: int
    saved: int
    most: int
    new_noise: bool = False

    def steps(self, evaluations: int) -> int:
        """The levels above 0 that this many evaluations allow; 0 where they are too few for one."""
        return (evaluations + self.saved) // self.each

    def sigmas(self, evaluations: int) -> Tensor:
        """The grid, which for a single step is its first level and 0."""
        steps = self.steps(evaluations)
        return self.grid(steps) if steps > 1 else self.grid(2)[[0, 2]]


FIELD = (
    Contender("heun", "Heun, Karras", solvers.heun, karras, 2, 1, 100),
    Contender("ancestral", "ancestral, DDPM's time", stochastic.ancestral, ddpm, 1, 0, 200, new_noise=True),
    Contender("euler", "Euler, Karras", solvers.euler, karras, 1, 0, 100),
    Contender("ddim", "DDIM (eta 0), DDPM's time", stochastic.ddim(0.0), ddpm, 1, 0, 50),
    Contender("midpoint", "midpoint, Karras", solvers.midpoint, karras, 2, 1, 50),
    Contender("dpm2m", "DPM-Solver++(2M), Karras", solvers.dpm_solver_2m, karras, 1, 0, 100),
    Contender("unipc2", "UniPC-2, Karras", solvers.unipc(2), karras, 1, 0, 50),
    Contender("unipc3", "UniPC-3, Karras", solvers.unipc(3), karras, 1, 0, 100),
    Contender("unipc2-short", "UniPC-2, Karras 0.02 to 20", solvers.unipc(2), short_karras, 1, 0, 50),
    Contender("flow-euler", "Euler, flow's time", solvers.euler, straight, 1, 0, 50),
    Contender("flow-midpoint", "flow midpoint, flow's time", solvers.flow_midpoint, straight, 2, 0, 50),
    Contender("ancestral-karras", "ancestral, Karras", stochastic.ancestral, karras, 1, 0, 50, new_noise=True),
    Contender("corrector", "predictor-corrector, geometric", stochastic.predictor_corrector(snr=0.16), geometric,
              2, 0, 200, new_noise=True),
)  # fmt: skip
ODE, SDE = "heun", "ancestral"  # whose longest walks the others are held against
# solvers that are tried on every grid
CROSSED = (
    Contender("euler", "Euler (DDIM)", solvers.euler, karras, 1, 0, 20),
    Contender("heun", "Heun", solvers.heun, karras, 2, 1, 20),
    Contender("dpm2m", "DPM-Solver++(2M)", solvers.dpm_solver_2m, karras, 1, 0, 20),
    Contender("unipc2", "UniPC-2", solvers.unipc(2), karras, 1, 0, 20),
    Contender("unipc3", "UniPC-3", solvers.unipc(3), karras, 1, 0, 20),
    Contender("flow-heun", "flow Heun", solvers.flow_heun, karras, 2, 1, 20),
    Contender("flow-midpoint", "flow midpoint", solvers.flow_midpoint, karras, 2, 0, 20),
)
