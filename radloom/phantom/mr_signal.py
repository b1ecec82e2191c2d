"""MR signal equations and inversion times as functions of tissue values (times in ms); no images, no noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import numpy as np
from scipy.optimize import brentq

from radloom.errors import RadloomError

Value = TypeVar("Value", float, np.ndarray)  # one tissue, or one value per voxel


def spin_echo(pd: Value, t1: Value, t2: Value, *, tr: float, te: float, last_echo: float = 0.0) -> Value:
    """Spin-echo signal, in units of pd; for a turbo spin echo `last_echo` is the time of the train's last echo."""
    return cast(Value, pd * (1 - np.exp(-(tr - last_echo) / t1)) * np.exp(-te / t2))


def spoiled_gradient_echo(pd: Value, t1: Value, t2_star: Value, *, tr: float, te: float, flip_deg: float) -> Value:
    """Steady-state signal of a spoiled gradient echo (Ernst and Anderson 1966), in units of pd."""
    angle, e1 = np.deg2rad(flip_deg), np.exp(-tr / t1)
    return cast(Value, pd * np.sin(angle) * (1 - e1) / (1 - e1 * np.cos(angle)) * np.exp(-te / t2_star))


def mp_rage(pd: Value, t1: Value, t2_star: Value, *, tr: float, ti: float, te: float) -> Value:
    """MP-RAGE signal in units of pd, short read-out approximation; negative before the tissue's null."""
    longitudinal = 1 - 2 * np.exp(-ti / t1) / (1 + np.exp(-tr / t1))
    return cast(Value, pd * longitudinal * np.exp(-te / t2_star))


def flair(pd: Value, t1: Value, t2: Value, *, tr: float, ti: float, te: float, last_echo: float) -> Value:
    """Magnitude of the fluid-attenuated inversion-recovery signal, in units of pd."""
    return cast(Value, pd * np.abs(inversion(t1, tr=tr, ti=ti, last_echo=last_echo)) * np.exp(-te / t2))


def dir_(pd: Value, t1: Value, t2: Value, *, tr: float, ti1: float, ti2: float, te: float, last_echo: float) -> Value:
    """Magnitude of the double inversion-recovery signal, in units of pd.

    ti1 and ti2 run from the first and from the second inversion to the excitation.
    """
    longitudinal = double_inversion(t1, tr=tr, ti1=ti1, ti2=ti2, last_echo=last_echo)
    return cast(Value, pd * np.abs(longitudinal) * np.exp(-te / t2))


def inversion(t1: Value, *, tr: float, ti: float, last_echo: float) -> Value:
    """Longitudinal magnetisation at the excitation after one inversion, as a fraction of equilibrium."""
    return cast(Value, 1 - 2 * np.exp(-ti / t1) + np.exp(-(tr - last_echo) / t1))


def double_inversion(t1: Value, *, tr: float, ti1: float, ti2: float, last_echo: float) -> Value:
    """Longitudinal magnetisation at the excitation after two inversions, as a fraction of equilibrium."""
    return cast(Value, 1 - 2 * np.exp(-ti2 / t1) + 2 * np.exp(-ti1 / t1) - np.exp(-(tr - last_echo) / t1))


class NullingTimes(NamedTuple):
    """Inversion times, ms: FLAIR nulls CSF at `flair`; DIR nulls white matter and CSF at `dir1`, `dir2`."""

    flair: float
    dir1: float
    dir2: float


def nulling_times(*, t1_csf: float, t1_wm: float, tr: float, last_echo: float) -> NullingTimes:
    """The inversion times, ms, that null CSF (FLAIR) and white matter with CSF (DIR)."""
    recovery = tr - last_echo
    flair_ti = _root(lambda ti: inversion(t1_csf, tr=tr, ti=ti, last_echo=last_echo), 0.0, recovery)

    def second(ti1: float) -> float:  # the ti2 that nulls CSF for this ti1, in closed form
        return -t1_csf * math.log((1 - math.exp(-recovery / t1_csf) + 2 * math.exp(-ti1 / t1_csf)) / 2)

    def white_matter(ti1: float) -> float:
        return double_inversion(t1_wm, tr=tr, ti1=ti1, ti2=second(ti1), last_echo=last_echo)

    # Below the lower end ti2 would be negative; at the upper end the first inversion comes right after the last echo.
    low = -t1_csf * math.log((1 + math.exp(-recovery / t1_csf)) / 2) + 1e-6
    if t1_wm >= t1_csf or white_matter(low) * white_matter(recovery) >= 0:
        raise RadloomError(
            f"no double inversion nulls T1 {t1_wm:g} ms and {t1_csf:g} ms within TR {tr:g} ms",
            expected="a longer TR or tissues further apart",
        )
    ti1 = _root(white_matter, low, recovery)
    return NullingTimes(flair_ti, ti1, second(ti1))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    return float(cast(float, brentq(function, low, high)))


def with_agent(t: Value, concentration: float, *, relaxivity: float) -> Value:
    """Relaxation time, ms, with a contrast agent of `concentration` mmol/L and `relaxivity` L/mmol/s."""
    return cast(Value, 1.0 / (1.0 / t + relaxivity * concentration / 1000.0))
