"""What abdominal tissues weigh in HU, without contrast and in two phases after it, and how it varies; data mostly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radloom.phantom.ct_scan import Kernel, Protocol, smooth, standard

Phase = Literal["arterial", "portal"]


@dataclass(frozen=True)
class TissueHU:
    """Native HU, its sd between people, what iodine adds in each phase, and the sd of the tissue's own texture."""

    native: float
    spread: float
    arterial: float
    portal: float
    texture: float


# SYSTEMS-direct 4.3 and 4.4 (HU defaults, iodine); the phases follow usual reports: aorta about 300 HU in the late
# arterial phase, liver +55, spleen +75 and kidney +140 in the portal venous phase [ours].
TISSUES: dict[str, TissueHU] = {
    "skin": TissueHU(30.0, 5.0, 2.0, 8.0, 5.0),
    "fat": TissueHU(-103.0, 4.0, 0.0, 2.0, 5.0),
    "cavity": TissueHU(-104.0, 4.0, 0.0, 3.0, 6.0),
    "muscle": TissueHU(52.0, 5.0, 4.0, 12.0, 12.0),
    "lung": TissueHU(-850.0, 25.0, 10.0, 12.0, 25.0),
    "heart": TissueHU(42.0, 3.0, 210.0, 110.0, 5.0),
    "gut wall": TissueHU(38.0, 4.0, 35.0, 50.0, 8.0),
    "gut fluid": TissueHU(16.0, 6.0, 0.0, 0.0, 8.0),
    "stool": TissueHU(15.0, 12.0, 0.0, 0.0, 45.0),
    "stomach content": TissueHU(18.0, 8.0, 0.0, 0.0, 12.0),
    "gas": TissueHU(-960.0, 10.0, 0.0, 0.0, 0.0),
    "pancreas": TissueHU(42.0, 5.0, 62.0, 48.0, 9.0),
    "kidney right": TissueHU(33.0, 3.0, 150.0, 140.0, 4.0),
    "kidney left": TissueHU(33.0, 3.0, 150.0, 140.0, 4.0),
    "medulla right": TissueHU(32.0, 3.0, 40.0, 125.0, 4.0),
    "medulla left": TissueHU(32.0, 3.0, 40.0, 125.0, 4.0),
    "sinus": TissueHU(-70.0, 8.0, 0.0, 5.0, 12.0),
    "urine": TissueHU(5.0, 4.0, 0.0, 3.0, 2.0),
    "spleen": TissueHU(49.0, 4.0, 85.0, 75.0, 4.0),
    "liver": TissueHU(56.0, 6.0, 18.0, 55.0, 5.0),
    "gallbladder": TissueHU(10.0, 5.0, 0.0, 0.0, 2.0),
    "aorta": TissueHU(42.0, 4.0, 270.0, 115.0, 3.0),
    "artery": TissueHU(42.0, 4.0, 260.0, 110.0, 3.0),
    "vein": TissueHU(42.0, 4.0, 55.0, 105.0, 3.0),
    "portal vein": TissueHU(42.0, 4.0, 75.0, 125.0, 3.0),
    "hepatic vein": TissueHU(42.0, 4.0, 15.0, 112.0, 3.0),
    "metastasis": TissueHU(40.0, 5.0, 14.0, 24.0, 7.0),
    "metastasis core": TissueHU(30.0, 6.0, 4.0, 6.0, 7.0),
    "cyst": TissueHU(6.0, 4.0, 0.0, 0.0, 1.0),
    "haemangioma": TissueHU(44.0, 4.0, 150.0, 95.0, 14.0),
    "haemangioma core": TissueHU(44.0, 4.0, 5.0, 40.0, 8.0),
    "hypervascular": TissueHU(54.0, 2.0, 65.0, 40.0, 8.0),
    "cartilage": TissueHU(95.0, 12.0, 3.0, 5.0, 25.0),
    "rib cortex": TissueHU(650.0, 90.0, 0.0, 0.0, 90.0),
    "rib marrow": TissueHU(180.0, 50.0, 5.0, 8.0, 40.0),
    "disc": TissueHU(78.0, 8.0, 2.0, 3.0, 6.0),
    "cortex": TissueHU(480.0, 90.0, 0.0, 0.0, 70.0),
    "marrow": TissueHU(170.0, 45.0, 6.0, 8.0, 35.0),
    "canal": TissueHU(25.0, 4.0, 3.0, 5.0, 4.0),
    "clip": TissueHU(3000.0, 0.0, 0.0, 0.0, 0.0),
    "stone": TissueHU(160.0, 60.0, 0.0, 0.0, 10.0),
}


@dataclass(frozen=True)
class Site:
    """A hospital: how it scans and when after the injection; iodine weighs more at a lower tube voltage."""

    site: str
    vendor: str
    phase: Phase
    protocol: Protocol
    iodine: float


SITES = (
    Site("north", "A", "portal", Protocol(standard, 1.2e6), 1.0),
    Site("east", "B", "portal", Protocol(standard, 8.0e5), 1.25),
    Site("south", "C", "arterial", Protocol(smooth, 2.5e5), 0.9),
)
KERNELS: dict[str, Kernel] = {"smooth": smooth, "standard": standard}
DOSES = {"d100": 1.0e6, "d50": 5.0e5, "d25": 2.5e5, "d12": 1.25e5}
PROTOCOLS = {f"{dose}-{name}": Protocol(kernel, photons)
             for dose, photons in DOSES.items() for name, kernel in KERNELS.items()}  # fmt: skip
REFERENCE = "d100-smooth"


@dataclass(frozen=True, eq=False)
class Blood:
    """One subject's tissues: native HU and what iodine adds, HU, by name."""

    native: Mapping[str, float]
    added: Mapping[str, float]

    def without(self, name: str) -> tuple[float, float]:
        """HU before the injection, and the sd of the tissue's texture."""
        return self.native[name], TISSUES[name].texture

    def with_iodine(self, name: str) -> tuple[float, float]:
        """HU in the site's phase, and the sd of the tissue's texture."""
        return self.native[name] + self.added[name], TISSUES[name].texture


def draw_values(*, phase: Phase, iodine: float, rng: np.random.Generator) -> Blood:
    """A subject's values: organs keep their order, livers may be fatty, circulation and timing vary."""
    native = {name: one.native + one.spread * float(rng.standard_normal()) for name, one in TISSUES.items()}
    blood = float(rng.normal(0, 4))
    for name in ("aorta", "artery", "vein", "portal vein", "hepatic vein", "heart"):
        native[name] = TISSUES[name].native + blood
    for part in ("kidney", "medulla"):  # both kidneys are alike
        native[f"{part} left"] = native[f"{part} right"]
    fatty = float(rng.uniform(10, 50)) if rng.random() < 0.25 else 0.0
    for name in ("liver", "hypervascular", "metastasis"):
        native[name] -= fatty * (0.15 if name == "metastasis" else 1.0)
    native["hypervascular"] = native["liver"] + float(rng.normal(-1, 2))  # cannot be seen before the injection
    strength = iodine * float(rng.uniform(0.75, 1.25))
    added = {}
    for name, one in TISSUES.items():
        own = one.arterial if phase == "arterial" else one.portal
        added[name] = strength * own * float(np.exp(rng.normal(0, 0.08)))
    for name in ("artery", "heart"):
        added[name] = added["aorta"] * getattr(TISSUES[name], phase) / getattr(TISSUES["aorta"], phase)
    for part in ("kidney", "medulla"):
        added[f"{part} left"] = added[f"{part} right"]
    return Blood(native, added)
