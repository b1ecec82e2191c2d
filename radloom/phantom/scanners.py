"""The simulated sites: field strength, sequence settings, noise and sharpness of three scanners; no images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from radloom.phantom import mr_signal
from radloom.phantom.tissues import T2_STAR_PER_T2, Field

Signal = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # pd, t1 ms, t2 ms -> signal


@dataclass(frozen=True)
class Scanner:
    """One site's scanner. Times in ms; noise as a fraction of white matter's signal; blur as a full width, mm."""

    site: str
    vendor: str
    field: Field
    t1: Signal
    t2: Signal
    pd: Signal
    inversion_tr: float
    inversion_last_echo: float
    inversion_te: float
    noise: float
    blur_mm: Mapping[str, float]

    def sequences(self, *, t1_csf: float, t1_wm: float, tuning: float) -> dict[str, Signal]:
        """One signal function per contrast; inversion times solved for the subject, off by the factor `tuning`."""
        tr, last_echo, te = self.inversion_tr, self.inversion_last_echo, self.inversion_te
        times = mr_signal.nulling_times(t1_csf=t1_csf, t1_wm=t1_wm, tr=tr, last_echo=last_echo)
        flair = partial(mr_signal.flair, tr=tr, ti=times.flair * tuning, te=te, last_echo=last_echo)
        dir_ = partial(mr_signal.dir_, tr=tr, ti1=times.dir1, ti2=times.dir2, te=te, last_echo=last_echo)
        return {"t1": self.t1, "t1c": self.t1, "t2": self.t2, "pd": self.pd, "flair": flair, "dir": dir_}


def gradient_echo(pd: np.ndarray, t1: np.ndarray, t2: np.ndarray, *, tr: float, te: float, flip: float) -> np.ndarray:
    """Spoiled gradient echo with T2* taken from T2."""
    return mr_signal.spoiled_gradient_echo(pd, t1, t2 * T2_STAR_PER_T2, tr=tr, te=te, flip_deg=flip)


def magnetisation_prepared(
    pd: np.ndarray, t1: np.ndarray, t2: np.ndarray, *, tr: float, ti: float, te: float
) -> np.ndarray:
    """Magnitude of MP-RAGE with T2* taken from T2."""
    return np.abs(mr_signal.mp_rage(pd, t1, t2 * T2_STAR_PER_T2, tr=tr, ti=ti, te=te))


SCANNERS = (
    Scanner(
        site="north", vendor="A", field="3T",
        t1=partial(magnetisation_prepared, tr=2100.0, ti=1050.0, te=3.0),
        t2=partial(mr_signal.spin_echo, tr=5000.0, te=100.0, last_echo=200.0),
        pd=partial(mr_signal.spin_echo, tr=4000.0, te=15.0, last_echo=60.0),
        inversion_tr=9000.0, inversion_last_echo=350.0, inversion_te=115.0,
        noise=0.010, blur_mm={"t1": 1.5, "t1c": 1.5, "t2": 1.5, "flair": 2.0},
    ),
    Scanner(
        site="east", vendor="B", field="1.5T",
        t1=partial(mr_signal.spin_echo, tr=500.0, te=14.0),
        t2=partial(mr_signal.spin_echo, tr=4200.0, te=95.0, last_echo=180.0),
        pd=partial(mr_signal.spin_echo, tr=3000.0, te=14.0, last_echo=60.0),
        inversion_tr=11000.0, inversion_last_echo=250.0, inversion_te=120.0,
        noise=0.020, blur_mm={"t1": 2.0, "t1c": 2.0, "t2": 2.0, "flair": 2.3},
    ),
    Scanner(
        site="south", vendor="C", field="3T",
        t1=partial(gradient_echo, tr=250.0, te=2.5, flip=70.0),
        t2=partial(mr_signal.spin_echo, tr=6000.0, te=88.0, last_echo=170.0),
        pd=partial(mr_signal.spin_echo, tr=3500.0, te=12.0, last_echo=50.0),
        inversion_tr=8500.0, inversion_last_echo=450.0, inversion_te=125.0,
        noise=0.014, blur_mm={"t1": 1.4, "t1c": 1.4, "t2": 1.6, "flair": 1.8},
    ),
)  # fmt: skip
