"""What the network is trained to say about (x0, n), and how its answer becomes x0; no path, no network.

a and s are alpha(t) and sigma(t), shaped to broadcast; x_t = a x0 + s n.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from radloom.errors import RadloomError


@dataclass(frozen=True)
class Prediction:
    """target(x0, n, a, s): the right answer. clean(answer, x_t, a, s): the x0 that an answer implies."""

    target: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    clean: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


Preconditioning = Callable[[Tensor], Prediction]  # the data's root mean square -> what the answer means

noise = Prediction(  # epsilon (Ho et al. 2020)
    target=lambda x0, n, a, s: n,
    clean=lambda answer, x, a, s: (x - s * answer) / a,
)
image = Prediction(  # x0 itself
    target=lambda x0, n, a, s: x0,
    clean=lambda answer, x, a, s: answer,
)
score = Prediction(  # s times the score of x_t, which is -n: the network's answer is divided by s (Song et al. 2021)
    target=lambda x0, n, a, s: -n,
    clean=lambda answer, x, a, s: (x + s * answer) / a,
)
v = Prediction(  # (Salimans & Ho 2022, appendix D); the division is for paths that do not preserve the variance
    target=lambda x0, n, a, s: a * n - s * x0,
    clean=lambda answer, x, a, s: (a * x - s * answer) / (a**2 + s**2),
)
velocity = Prediction(  # dx/dt of the straight path (Liu et al. 2023)
    target=lambda x0, n, a, s: n - x0,
    clean=lambda answer, x, a, s: (x - s * answer) / (a + s),
)


def preconditioned(spread: float | Tensor) -> Prediction:
    """EDM's F, of unit variance at every noise level: x0 = c_skip x + c_out F (Karras et al. 2022, table 1).

    With sigma = s / a, x = x_t / a and data of root mean square `spread`: c_skip = spread**2 / (sigma**2 + spread**2),
    c_out = sigma spread / sqrt(sigma**2 + spread**2). Its loss of weight 1 is EDM's loss of weight 1 / c_out**2.
    """
    if not spread > 0:
        raise RadloomError(
            f"preconditioning with a spread of {spread}", expected="the data's root mean square, above 0"
        )

    def parts(a: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        sigma = s / a
        total = sigma**2 + spread**2
        return spread**2 / total, sigma * spread / total.sqrt()

    def target(x0: Tensor, n: Tensor, a: Tensor, s: Tensor) -> Tensor:
        skip, out = parts(a, s)
        return (x0 - skip * (x0 + (s / a) * n)) / out

    def clean(answer: Tensor, x: Tensor, a: Tensor, s: Tensor) -> Tensor:
        skip, out = parts(a, s)
        return skip * x / a + out * answer

    return Prediction(target, clean)
