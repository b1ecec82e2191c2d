"""Simulated radiographs beside real dual-energy pairs: grey values, spectrum, noise and what the soft image leaves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from radloom import io
from radloom.errors import RadloomError
from radloom.phantom import load
from radloom.phantom.simulation import Request

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "cxr_bone_suppression_pairs"
SIZE = 192  # rows and columns at which both are compared
QUANTILES = (5, 25, 50, 75, 95)
BANDS = ((0.02, 0.1), (0.1, 0.5))  # of the spectrum, in cycles per pixel
Pair = tuple[np.ndarray, np.ndarray]  # film and soft-tissue image, 0 to 1


def main() -> None:
    """Prints a table: what is measured, in the real pairs, in the simulated ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=REAL, help="folder with CXR/*.png and BS/*.png")
    parser.add_argument("--subjects", type=int, default=4, help="how many to simulate, without disease")
    given = parser.parse_args()
    real, ours = real_pairs(given.real), simulated_pairs(given.subjects)
    print(f"| {len(real)} real and {len(ours)} simulated, {SIZE} x {SIZE} | real | simulated |\n|---|---|---|")
    for name, left, right in zip(measures(real[0]), *(table(pairs) for pairs in (real, ours)), strict=True):
        print(f"| {name} | {left} | {right} |")


def real_pairs(folder: Path) -> list[Pair]:
    """Films and soft-tissue images of one name, averaged down to SIZE."""
    names = sorted(path.name for path in (folder / "CXR").glob("*.png") if (folder / "BS" / path.name).exists())
    if not names:
        raise RadloomError(f"{folder} holds no pair CXR/0.png and BS/0.png", expected="real dual-energy pairs")
    return [
        (shrunk(io.read(folder / "CXR" / one).voxels), shrunk(io.read(folder / "BS" / one).voxels)) for one in names
    ]


def shrunk(picture: np.ndarray) -> np.ndarray:
    """The 8-bit picture (x, y, 1) as SIZE x SIZE means of its pixels, 0 to 1."""
    import torch

    grey = torch.from_numpy(picture[None, None, :, :, 0].astype(np.float64) / 255)
    return torch.nn.functional.interpolate(grey, size=(SIZE, SIZE), mode="area")[0, 0].numpy()


def simulated_pairs(count: int) -> list[Pair]:
    """Films and soft-tissue images of the cohort at its usual size, seed 0."""
    simulation = load("chest-xray")
    begun = simulation.begin(Request(0, simulation.shape, "none", ("cxr", "soft")))
    cases = [begun(index)[0].images for index in range(count)]
    return [(one["image.cxr"].voxels[..., 0] / 4095, one["image.soft"].voxels[..., 0] / 4095) for one in cases]


def table(pairs: Sequence[Pair]) -> list[str]:
    """Each measure over the pairs: the smallest and the largest."""
    found = [measures(pair) for pair in pairs]
    ends = [(min(one[name] for one in found), max(one[name] for one in found)) for name in found[0]]
    return [f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g}" for low, high in ends]


def measures(pair: Pair) -> dict[str, float]:
    """What is compared, by name."""
    film, soft = pair
    found = {f"film, {q} % of the pixels below": float(np.percentile(film, q)) for q in QUANTILES}
    found |= {f"soft image, {q} % below": float(np.percentile(soft, q)) for q in QUANTILES}
    for name, picture in (("film", film), ("soft image", soft)):
        for low, high in BANDS:
            found[f"{name}, slope of the spectrum, {low:g}-{high:g} per pixel"] = slope(picture, low, high)
        found[f"{name}, fine noise"] = fine_noise(picture)
    found["correlation of film and soft image"] = float(np.corrcoef(film.ravel(), soft.ravel())[0, 1])
    return found


def slope(picture: np.ndarray, low: float, high: float) -> float:
    """The exponent of the power over frequency (cycles per pixel) in a band, the border faded out."""
    window = np.multiply.outer(*(np.hanning(n) for n in picture.shape))
    power = np.abs(np.fft.fft2((picture - picture.mean()) * window)) ** 2
    f = np.hypot(np.fft.fftfreq(picture.shape[0])[:, None], np.fft.fftfreq(picture.shape[1])[None])
    edges = np.geomspace(low, high, 13)
    band = np.digitize(f, edges)
    inside = [k for k in range(1, len(edges)) if (band == k).any()]
    mean = [power[band == k].mean() for k in inside]
    return float(np.polyfit(np.log([f[band == k].mean() for k in inside]), np.log(mean), 1)[0])


def fine_noise(picture: np.ndarray) -> float:
    """The median over the picture's body of what a 3 x 3 mean takes off, as a standard deviation; 1 is white."""
    rest = picture - ndimage.uniform_filter(picture, 3)
    return float(1.4826 * np.median(np.abs(rest[(picture > 0.05) & (picture < 0.98)])))


if __name__ == "__main__":
    main()
