"""What brings a head to the emergency CT: bleeding, infarct, fracture, mass effect; where it is and its HU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from radloom.phantom.anatomy import Anatomy
from radloom.phantom.fields import Grid, smooth_field
from radloom.phantom.head import Head

KINDS = ("normal", "intraparenchymal", "subdural", "epidural", "subarachnoid", "infarct", "fracture")
SHARES = (0.5, 0.12, 0.08, 0.06, 0.07, 0.12, 0.05)
BLEEDS = ("intraparenchymal", "subdural", "epidural", "subarachnoid")
FRESH_HU, OLD_HU = (60.0, 78.0), (22.0, 34.0)  # clotted blood; blood of some weeks, like the brain beside it
Wound = tuple[np.ndarray, float]


@dataclass(frozen=True)
class Emergency:
    """One patient's finding: its side (-1 left, 1 right), place in MNI mm, size in mm and HU.

    hidden: on the images the finding is not to be seen (an infarct of the first hours, old isodense blood).
    """

    kind: str
    side: int
    centre: tuple[float, float, float]
    size_mm: float
    hu: float
    fracture: bool
    hidden: bool

    @property
    def urgent(self) -> bool:
        """Whether the patient needs the reader at once: everything but a normal head."""
        return self.kind != "normal"

    @property
    def labels(self) -> dict[str, int | float | str]:
        """The columns of the table."""
        return {
            "label.finding": self.kind,
            "label.haemorrhage": int(self.kind in BLEEDS),
            "label.infarct": int(self.kind == "infarct"),
            "label.fracture": int(self.fracture),
            "label.hidden": int(self.hidden),
            "label.size_mm": round(self.size_mm, 1) if self.urgent else 0.0,
        }

    @property
    def report(self) -> str:
        """One or two sentences, as a reader who saw everything would write them."""
        side = "right" if self.side > 0 else "left"
        text = {
            "normal": "No acute intracranial abnormality.",
            "intraparenchymal": f"Acute intraparenchymal haemorrhage in the {side} hemisphere.",
            "subdural": f"Subdural haematoma over the {side} convexity, {self.size_mm:.0f} mm thick.",
            "epidural": f"Epidural haematoma on the {side}, {self.size_mm:.0f} mm thick.",
            "subarachnoid": "Subarachnoid haemorrhage in the basal cisterns and sulci.",
            "infarct": f"Infarct in the territory of the {side} middle cerebral artery.",
            "fracture": f"Fracture of the {side} parietal bone without bleeding.",
        }[self.kind]
        return text + (f" Fracture of the {side} parietal bone." if self.fracture and self.kind != "fracture" else "")


def draw_emergency(*, rng: np.random.Generator) -> Emergency:
    """A patient's finding; half of the heads are normal, and a few findings cannot be seen."""
    kind = str(rng.choice(KINDS, p=SHARES))
    side = int(rng.choice([-1, 1]))
    sizes = {"intraparenchymal": (7, 24), "subdural": (5, 16), "epidural": (8, 24), "infarct": (18, 36)}
    size = float(rng.uniform(*sizes.get(kind, (4, 8))))
    places = {
        "intraparenchymal": (27.0, -6.0, 8.0) if rng.random() < 0.6 else (36.0, rng.uniform(-55, 25), 25.0),
        "infarct": (40.0, rng.uniform(-30, 15), 14.0),
        "epidural": (58.0, rng.uniform(-25, 15), 8.0),
        "subdural": (50.0, rng.uniform(-30, 10), 35.0),
    }
    x, y, z = places.get(kind, (50.0, rng.uniform(-50, 0), 45.0))
    centre = (side * x + rng.normal(0, 3), float(y) + rng.normal(0, 4), z + rng.normal(0, 4))
    chance = rng.random()
    hidden = kind in ("infarct", "subdural") and chance < 0.15
    hu = float(rng.uniform(*FRESH_HU))
    if kind == "infarct":
        hu = 31.0 if hidden else float(rng.uniform(17, 26))
    elif kind == "subdural" and (hidden or chance < 0.4):
        hu = 33.0 if hidden else float(rng.uniform(*OLD_HU))
    fracture = kind == "fracture" or (kind == "epidural" and rng.random() < 0.75) or (
        kind == "subdural" and rng.random() < 0.2)  # fmt: skip
    return Emergency(kind, side, (float(centre[0]), centre[1], float(centre[2])), size, hu, fracture, hidden)


def draw_normal(*, rng: np.random.Generator) -> Emergency:
    """A patient without any finding."""
    return replace(draw_emergency(rng=rng), kind="normal", fracture=False, hidden=False)


DRAWS = {"emergency": draw_emergency, "normal": draw_normal}  # by variant of the cohort


def push_of(ill: Emergency) -> tuple[np.ndarray, float, float]:
    """(centre, radius mm, strength): how the finding presses the brain away, as `new_subject` takes it."""
    centre = np.array(ill.centre)
    if ill.kind == "intraparenchymal":
        return centre, 1.8 * ill.size_mm, 0.3
    if ill.kind in ("subdural", "epidural"):
        # From outside the brain: its surface and the midline move inwards.
        return centre * (1.25, 1.0, 1.0), 34.0 + ill.size_mm, 0.008 * ill.size_mm
    if ill.kind == "infarct":
        return centre, 1.4 * ill.size_mm, 0.004 * ill.size_mm
    return centre, 20.0, 0.0


def injure(
    ill: Emergency, anatomy: Anatomy, head: Head, *, rng: np.random.Generator
) -> tuple[list[Wound], dict[str, np.ndarray]]:
    """(wounds, masks): fractions with their HU, and mask.haemorrhage, mask.infarct and mask.fracture."""
    grid = anatomy.grid
    makers = {"intraparenchymal": _clot, "subdural": _subdural, "epidural": _epidural, "subarachnoid": _in_the_cisterns}
    masks = {f"mask.{name}": np.zeros(grid.shape, np.uint8) for name in ("haemorrhage", "infarct", "fracture")}
    wounds: list[Wound] = []
    if ill.kind in makers:
        blood = makers[ill.kind](ill, anatomy, head, rng)
        if ill.kind == "intraparenchymal":
            halo = _irregular(ill, grid, ill.size_mm + rng.uniform(3, 7), rng) * anatomy.brain
            wounds.append((0.8 * np.clip(halo - blood, 0, 1), 20.0))
        wounds.append((blood, ill.hu))
        masks["mask.haemorrhage"] = (blood > 0.5).astype(np.uint8)
    if ill.kind == "infarct":
        dead = _territory(ill, anatomy, rng)
        wounds.append((dead, ill.hu))
        masks["mask.infarct"] = (dead > 0.4).astype(np.uint8)
    if ill.fracture:
        crack = _crack(ill, grid, head, rng)
        wounds.append((crack, 20.0))
        masks["mask.fracture"] = (crack > 0.15).astype(np.uint8)
    return wounds, masks


def _inside(depth_mm: np.ndarray) -> np.ndarray:
    return np.clip(0.5 + depth_mm / 1.6, 0, 1)


def _distance(grid: Grid, centre: tuple[float, float, float]) -> np.ndarray:
    return np.sqrt(sum((p - c) ** 2 for p, c in zip(grid.points_mm(), centre, strict=True)))


def _irregular(ill: Emergency, grid: Grid, radius: float, rng: np.random.Generator) -> np.ndarray:
    warp = 0.18 * smooth_field(grid, 18.0, rng=rng) + 0.08 * smooth_field(grid, 8.0, rng=rng)
    return _inside(radius - _distance(grid, ill.centre) * np.clip(1 + warp, 0.6, 1.5))


def _clot(ill: Emergency, anatomy: Anatomy, head: Head, rng: np.random.Generator) -> np.ndarray:
    """A clot in the brain, with blood in the ventricles when it reaches them."""
    clot = _irregular(ill, anatomy.grid, ill.size_mm, rng) * anatomy.brain
    if ill.size_mm > 17:
        low = anatomy.grid.points_mm()[1] < -25  # it settles in the occipital horns
        clot = np.maximum(clot, 0.7 * anatomy.fractions[2] * (anatomy.ventricle_mm < 1.5) * low)
    return clot


def _shell(ill: Emergency, grid: Grid, head: Head, spread_mm: tuple[float, float, float]) -> np.ndarray:
    """Thickness of blood under the skull, mm: largest beside the centre, 0 far away and on the other side."""
    points = grid.points_mm()
    away = sum(((p - c) / s) ** 2 for p, c, s in zip(points, ill.centre, spread_mm, strict=True))
    return ill.size_mm * np.clip(1 - away, 0, None) ** 0.5 * (points[0] * ill.side > 4)


def _below_skull(head: Head, thickness: np.ndarray) -> np.ndarray:
    inner = head.skull_mm[0]
    return _inside(inner - head.depth_mm) * _inside(head.depth_mm - inner + thickness) * (thickness > 0.7)


def _subdural(ill: Emergency, anatomy: Anatomy, head: Head, rng: np.random.Generator) -> np.ndarray:
    """A crescent over the whole convexity."""
    grain = np.clip(1 + 0.15 * smooth_field(anatomy.grid, 25.0, rng=rng), 0.6, 1.4)
    return _below_skull(head, _shell(ill, anatomy.grid, head, (70.0, 75.0, 60.0)) * grain)


def _epidural(ill: Emergency, anatomy: Anatomy, head: Head, rng: np.random.Generator) -> np.ndarray:
    """A lens: short and thick."""
    reach = 26.0 + 0.5 * ill.size_mm
    shape = _shell(ill, anatomy.grid, head, (60.0, reach, reach))
    return _below_skull(head, shape * np.clip(1 + 0.08 * smooth_field(anatomy.grid, 20.0, rng=rng), 0.7, 1.3))


def _in_the_cisterns(ill: Emergency, anatomy: Anatomy, head: Head, rng: np.random.Generator) -> np.ndarray:
    """Blood mixed with CSF around the base of the brain and in the Sylvian fissures; none in the ventricles."""
    x, y, z = anatomy.grid.points_mm()
    base = np.exp(-((x / 40) ** 2) - ((y + 2) / 32) ** 2 - ((z + 14) / 17) ** 2)
    fissure = np.exp(-(((np.abs(x) - 40) / 14) ** 2) - ((y - 2) / 24) ** 2 - ((z - 2) / 16) ** 2)
    patch = np.clip(0.9 + 0.35 * smooth_field(anatomy.grid, 20.0, rng=rng), 0, 1)
    fluid = np.clip(anatomy.fractions[2] * (anatomy.ventricle_mm > 4) + 0.6 * head.parts["csf"], 0, 1)
    return np.clip(1.3 * np.maximum(base, 0.9 * fissure), 0, 1) * patch * fluid


def _territory(ill: Emergency, anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """A wedge of brain from the insula to the cortex; its grey matter becomes as dark as the white."""
    wedge = _irregular(ill, anatomy.grid, ill.size_mm, rng)
    own_side = _inside(ill.side * anatomy.template_x_mm - 12.0)
    return 0.9 * wedge * own_side * anatomy.brain * (1 - 0.9 * anatomy.fractions[2])


def _crack(ill: Emergency, grid: Grid, head: Head, rng: np.random.Generator) -> np.ndarray:
    """A thin winding line through the skull beside the finding."""
    x, y, z = grid.points_mm()
    slope, bend = rng.uniform(-0.5, 0.5), 2.5 * smooth_field(grid, 15.0, rng=rng)
    off = np.abs(y - ill.centre[1] - slope * (z - ill.centre[2]) + bend)
    width = float(rng.uniform(0.7, 1.5))
    line = np.clip(width / 2 / max(grid.spacing_mm[1], width) * 2, 0, 1) * np.exp(
        -((off / max(grid.spacing_mm[1], 1.0)) ** 2)
    )
    near = _inside(38.0 - np.abs(z - ill.centre[2])) * (x * ill.side > 25)
    inner, outer = head.skull_mm
    return line * near * _inside(head.depth_mm - inner) * _inside(outer - head.depth_mm)
