"""What pelvic tissues are on CT and MR: HU, proton density, T1 and T2 at two fields, and the sites; data mostly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from radloom.phantom import mr_signal
from radloom.phantom.ct_scan import Protocol, smooth, standard


@dataclass(frozen=True)
class PelvicTissue:
    """HU with the sd of its texture; proton density relative to water; T1 and T2, ms, at 1.5 T and at 3 T."""

    hu: float
    texture_hu: float
    pd: float
    t1: tuple[float, float]
    t2: tuple[float, float]


# HU, fat, muscle, marrow and blood: SYSTEMS-direct 4.1 and 4.4; prostate, uterus and cartilage within the ranges that
# debazelaire2004mr and stanisz2005t1 report; the rest [ours].
TISSUES: dict[str, PelvicTissue] = {
    "air": PelvicTissue(-1000.0, 0.0, 0.0, (1000.0, 1000.0), (50.0, 50.0)),
    "skin": PelvicTissue(20.0, 8.0, 0.7, (700.0, 900.0), (35.0, 35.0)),
    "fat": PelvicTissue(-103.0, 6.0, 0.95, (300.0, 370.0), (75.0, 70.0)),
    "muscle": PelvicTissue(54.0, 12.0, 0.85, (900.0, 1300.0), (42.0, 38.0)),
    "septum": PelvicTissue(-85.0, 10.0, 0.9, (320.0, 400.0), (72.0, 68.0)),
    "cavity": PelvicTissue(-104.0, 7.0, 0.95, (300.0, 370.0), (75.0, 70.0)),
    "gut wall": PelvicTissue(40.0, 8.0, 0.85, (950.0, 1250.0), (70.0, 65.0)),
    "gut fluid": PelvicTissue(16.0, 8.0, 0.97, (2200.0, 2600.0), (400.0, 350.0)),
    "gas": PelvicTissue(-960.0, 0.0, 0.02, (1000.0, 1000.0), (20.0, 20.0)),
    "rectum wall": PelvicTissue(40.0, 8.0, 0.85, (950.0, 1250.0), (70.0, 65.0)),
    "stool": PelvicTissue(20.0, 40.0, 0.6, (600.0, 800.0), (60.0, 55.0)),
    "bladder wall": PelvicTissue(38.0, 5.0, 0.85, (950.0, 1300.0), (60.0, 55.0)),
    "urine": PelvicTissue(6.0, 2.0, 1.0, (3500.0, 3800.0), (900.0, 800.0)),
    "prostate": PelvicTissue(42.0, 5.0, 0.92, (1300.0, 1700.0), (140.0, 130.0)),
    "central gland": PelvicTissue(42.0, 6.0, 0.88, (1150.0, 1500.0), (88.0, 80.0)),
    "vesicle": PelvicTissue(30.0, 5.0, 0.95, (1700.0, 2100.0), (220.0, 200.0)),
    "uterus": PelvicTissue(48.0, 5.0, 0.9, (1150.0, 1500.0), (85.0, 78.0)),
    "endometrium": PelvicTissue(42.0, 4.0, 0.95, (1500.0, 1900.0), (190.0, 170.0)),
    "ovary": PelvicTissue(38.0, 5.0, 0.92, (1300.0, 1650.0), (115.0, 105.0)),
    "follicle": PelvicTissue(12.0, 2.0, 1.0, (2800.0, 3200.0), (500.0, 450.0)),
    "tumour": PelvicTissue(43.0, 5.0, 0.86, (1050.0, 1400.0), (72.0, 66.0)),
    "artery": PelvicTissue(44.0, 3.0, 0.35, (1441.0, 1900.0), (180.0, 150.0)),
    "vein": PelvicTissue(42.0, 3.0, 0.5, (1441.0, 1900.0), (160.0, 130.0)),
    "cartilage": PelvicTissue(70.0, 8.0, 0.75, (1000.0, 1200.0), (38.0, 34.0)),
    "canal": PelvicTissue(15.0, 5.0, 0.98, (3000.0, 3300.0), (500.0, 450.0)),
    "pelvic cortex": PelvicTissue(780.0, 90.0, 0.08, (400.0, 500.0), (4.0, 3.0)),
    "pelvic marrow": PelvicTissue(150.0, 45.0, 0.82, (430.0, 520.0), (65.0, 60.0)),
    "sacrum cortex": PelvicTissue(560.0, 80.0, 0.12, (400.0, 500.0), (5.0, 4.0)),
    "sacrum marrow": PelvicTissue(110.0, 40.0, 0.80, (450.0, 540.0), (62.0, 57.0)),
    "femur cortex": PelvicTissue(1150.0, 100.0, 0.05, (400.0, 500.0), (3.0, 2.0)),
    "femur marrow": PelvicTissue(130.0, 60.0, 0.93, (320.0, 390.0), (74.0, 69.0)),
}
Signal = Callable[[float, float, float], float]


@dataclass(frozen=True)
class PelvicSite:
    """A hospital: its MR scanner's field (0 for 1.5 T, 1 for 3 T), sequences, noise, bias and blur, and its CT.

    noise: a fraction of fat's signal on T1. bias: log amplitude of the receive coil. blur_mm: full width in plane.
    """

    site: str
    vendor: str
    field: int
    t1: Signal
    t2: Signal
    noise: float
    bias: float
    blur_mm: float
    ct: Protocol


SITES = (
    PelvicSite("north", "A", 1, partial(mr_signal.spin_echo, tr=600.0, te=10.0),
               partial(mr_signal.spin_echo, tr=6000.0, te=95.0, last_echo=190.0), 0.012, 0.22, 3.0,
               Protocol(standard, 2.0e6)),
    PelvicSite("east", "B", 0, partial(mr_signal.spin_echo, tr=520.0, te=12.0),
               partial(mr_signal.spin_echo, tr=5000.0, te=100.0, last_echo=180.0), 0.022, 0.12, 3.4,
               Protocol(smooth, 6.0e5)),
    PelvicSite("south", "C", 1, partial(mr_signal.spoiled_gradient_echo, tr=7.0, te=2.4, flip_deg=15.0),
               partial(mr_signal.spin_echo, tr=8000.0, te=85.0, last_echo=160.0), 0.016, 0.3, 2.8,
               Protocol(standard, 1.2e6)),
)  # fmt: skip
