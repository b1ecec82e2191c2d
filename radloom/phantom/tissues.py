"""Relaxation times and proton densities of the brain by field strength, each with its source; data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Field = Literal["1.5T", "3T"]


@dataclass(frozen=True)
class Tissue:
    """T1 and T2 in ms, proton density relative to CSF, and where the values come from."""

    pd: float
    t1: float
    t2: float
    source: str


# T2* differs with shimming and iron more than with tissue; one ratio serves the short echoes used here [ours].
T2_STAR_PER_T2 = 0.7

BRAINWEB = "BrainWeb's simulator values (Collins et al. 1998)"
MRPRO = "within mrpro's VALUES_3T range"
OURS = "ours"

TISSUES: dict[Field, dict[str, Tissue]] = {
    "1.5T": {
        # BrainWeb's CSF (2569/329) is a convention of that simulator; real CSF relaxes far more slowly.
        "csf": Tissue(1.00, 4300.0, 2000.0, "Stanisz et al. 2005 and later; BrainWeb's 2569/329 is too short"),
        "grey": Tissue(0.86, 833.0, 83.0, BRAINWEB),
        "white": Tissue(0.77, 500.0, 70.0, BRAINWEB),
        "blood": Tissue(0.55, 1441.0, 290.0, "Stanisz et al. 2005; pd lowered for flow void, ours"),
        "core": Tissue(0.90, 1150.0, 112.0, OURS),
        "necrosis": Tissue(0.97, 2800.0, 330.0, OURS),
        "mismatch core": Tissue(0.95, 2800.0, 200.0, OURS),
        "oedema": Tissue(0.87, 1050.0, 108.0, OURS),
        "rim": Tissue(0.86, 1050.0, 115.0, OURS),
        "lesion": Tissue(0.80, 900.0, 130.0, OURS),
        "plaque": Tissue(0.82, 870.0, 108.0, OURS),
        "cortical plaque": Tissue(0.89, 1250.0, 95.0, OURS),
    },
    "3T": {
        "csf": Tissue(1.00, 4000.0, 1700.0, MRPRO),
        "grey": Tissue(0.83, 1400.0, 95.0, MRPRO),
        "white": Tissue(0.70, 880.0, 70.0, MRPRO),
        "blood": Tissue(0.55, 1800.0, 275.0, MRPRO + "; pd lowered for flow void, ours"),
        "core": Tissue(0.88, 1650.0, 125.0, OURS),
        "necrosis": Tissue(0.96, 3000.0, 320.0, OURS),
        "mismatch core": Tissue(0.94, 3000.0, 220.0, OURS),
        "oedema": Tissue(0.84, 1550.0, 115.0, OURS),
        "rim": Tissue(0.82, 1450.0, 110.0, OURS),
        "lesion": Tissue(0.85, 1400.0, 125.0, OURS),
        "plaque": Tissue(0.82, 1400.0, 120.0, OURS),
        "cortical plaque": Tissue(0.87, 1800.0, 118.0, OURS),
    },
}

# Longitudinal and transverse relaxivity of a gadolinium chelate in plasma, L/mmol/s [remembered, SYSTEMS-direct 4.3].
RELAXIVITY: dict[Field, tuple[float, float]] = {"1.5T": (4.5, 5.5), "3T": (4.2, 5.5)}
