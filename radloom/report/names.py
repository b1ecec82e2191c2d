"""How the report writes entries, arms, metrics and numbers; no values and no layout here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from radloom.metrics import METRICS

_ENTRIES = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR", "pd": "PD", "dir": "DIR", "ct": "CT", "pet": "PET"}
_ARMS = {
    "real": "all real",
    "model": "model",
    "identity": "the input itself",
    "quantile": "input, histogram matched",
    "cubic": "cubic voxel-wise map",
    "linear": "linear voxel-wise map",
    "mean": "training mean",
    "zero": "zero-filled",
}


@dataclass(frozen=True)
class Shown:
    """What a reader must know of a metric: how to write it, which way is better, what it cannot see."""

    title: str
    higher_is_better: bool
    digits: int
    blind_to: str


_TITLES = {"ms_ssim": "MS-SSIM", "ssim_slices": "SSIM of slices", "dice": "Dice", "dice_to_real": "Dice to all-real"}
_DIGITS = {"psnr": 1, "mse": 4, "nmse": 4}
_TO_REAL = "agreement with the same segmenter on real images: both may be wrong at the same place"


def metric(name: str) -> Shown:
    """How to write this metric; one that radloom.metrics does not know counts as better when higher."""
    known = METRICS.get(name)
    title = _TITLES.get(name, name.upper() if known else name)
    higher = known.better == "higher" if known else True
    blind_to = known.blind_to if known else _TO_REAL if name == "dice_to_real" else "not described"
    return Shown(title, higher, _DIGITS.get(name, 3), blind_to)


def entry(key: str) -> str:
    """The short clinical name of an entry: "image.flair" -> "FLAIR"."""
    suffix = key.partition(".")[2] or key
    return _ENTRIES.get(suffix, suffix)


def replaced(keys: str) -> str:
    """The entries that stood in for real ones: "image.t1+image.flair" -> "T1 + FLAIR"; "nothing" for none."""
    return " + ".join(entry(key) for key in keys.split("+")) if keys else "nothing"


def arm(name: str) -> str:
    """What made the image, in words; an unknown arm keeps its name."""
    return _ARMS.get(name, name)


def short_arm(name: str) -> str:
    """The arm in one or two words, for a plot's margin."""
    return arm(name).replace(" voxel-wise", "")


def region(name: str, anatomy: str) -> str:
    """The region in words: what results call "brain" is all of what lies inside the region that counts."""
    return anatomy if name == "brain" else name


def arm_order(name: str) -> tuple[int, str]:
    """A sort key: all-real, the model, the baselines from strong to weak, then any other."""
    known = list(_ARMS)
    return (known.index(name) if name in known else len(known), name)


def unit(text: str) -> str:
    """The unit as written after a number; empty for a pure number. Images are judged in units of their own median."""
    return {"1": "", "image": "× median", "image^2": "× median²", "HU^2": "HU²"}.get(text, text)


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals and a true minus sign; a dash for what is undefined."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{abs(value):.{digits}f}"
    return f"−{text}" if value < 0 and float(text) != 0 else text


def signed(value: float, digits: int) -> str:
    """A difference with its sign; a true minus."""
    text = fixed(value, digits)
    return text if text[0] in "−–" or not text.strip("0.") else f"+{text}"


def p_value(p: float) -> str:
    """A p value as journals print it: "p < 0.001", "p = 0.008", "p = 0.21"."""
    if math.isnan(p):
        return "p undefined"
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {min(p, 1):.2f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use: "8 s", "4 min 12 s", "3 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def memory(megabytes: float | int) -> str:
    """Megabytes as MB or GB."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def count(number: int, noun: str) -> str:
    """ "1 patient", "8 patients", "1 274 113 parameters"."""
    return f"{number:,}".replace(",", " ") + f" {noun}{'' if number == 1 else 's'}"


def listed(words: list[str]) -> str:
    """ "T1", "T1 and FLAIR", "T1, T2 and FLAIR"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else "none"
