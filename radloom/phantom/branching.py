"""Branching vessels: trees of smooth tapering tubes whose radii keep Murray's law; no images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radloom.phantom.solids import Point


@dataclass(frozen=True, eq=False)
class Branch:
    """One vessel between two forks: its path (n, 3) in mm and its radii (n,) in mm; generation 0 is the trunk."""

    path: np.ndarray
    radii: np.ndarray
    generation: int


def branching_tree(
    start: Point,
    direction: Point,
    *,
    radius: float,
    generations: int,
    rng: np.random.Generator,
    length_per_radius: float = 7.0,
) -> list[Branch]:
    """A tree from `start`: each branch forks in two whose cubed radii sum to its own (Murray 1926).

    The thinner daughter leaves at the wider angle. Branches bend a little and are about `length_per_radius` radii
    long, the thin ones relatively longer.
    """
    found: list[Branch] = []
    waiting = [(np.asarray(start, float), _unit(np.asarray(direction, float)), radius, 0)]
    while waiting:
        place, heading, r, generation = waiting.pop(0)
        length = length_per_radius * radius**0.45 * r**0.55 * rng.uniform(0.7, 1.3)
        path, heading = _bent(place, heading, length, rng=rng)
        found.append(Branch(path, np.linspace(r, 0.92 * r, len(path)), generation))
        if generation + 1 < generations:
            share = rng.uniform(0.3, 0.7)
            side = _across(heading, rng=rng)
            for part, sign in ((share, 1.0), (1 - share, -1.0)):
                angle = np.deg2rad(rng.uniform(50, 70) * (1 - part))
                turned = _unit(np.cos(angle) * heading + sign * np.sin(angle) * side)
                waiting.append((path[-1], turned, 0.92 * r * part ** (1 / 3), generation + 1))
    return found


def _bent(
    place: np.ndarray, heading: np.ndarray, length: float, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A slightly curved path of about `length` mm in steps of at most 1.5 mm, and the direction at its end."""
    bend = rng.uniform(-0.5, 0.5) * _across(heading, rng=rng)
    along = np.linspace(0, 1, max(int(length / 1.5), 2) + 1)[:, None]
    path = place + length * (along * heading + 0.5 * along**2 * bend)
    return path, _unit(heading + bend)


def _across(heading: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """A random unit vector at right angles to `heading`."""
    other = rng.standard_normal(3)
    return _unit(other - heading * (other @ heading))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
