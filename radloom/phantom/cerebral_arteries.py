"""The arteries of the brain: circle of Willis, its branches, and what is wrong with them; no signals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from radloom.phantom.vessel_tree import Tube, grown, narrowed, through, without

# Centre lines of the right side (left: x mirrored), MNI mm, and radii at both ends, mm; parents come first. A branch
# names the parent's end ("end") or the nearest point on it.
COURSES: dict[str, tuple[str, tuple[float, float], tuple[tuple[float, float, float], ...]]] = {
    "ica": ("", (2.4, 1.9), ((24, -22, -62), (25, -18, -50), (21, -13, -41), (13, -8, -37), (11, 2, -34), (12, 9, -29),
                             (14, 9, -23), (13, 4, -20), (14, 1, -16), (15, 2, -12))),
    "m1": ("ica", (1.5, 1.3), ((15, 2, -12), (22, 4, -13), (30, 4, -14), (38, 2, -13))),
    "m2 superior": ("m1", (1.15, 0.98), ((38, 2, -13), (42, 7, -8), (42, 11, 2), (40, 9, 13), (45, 5, 22))),
    "m2 inferior": ("m1", (1.15, 0.98), ((38, 2, -13), (42, -4, -8), (43, -13, 0), (42, -23, 8), (46, -33, 13))),
    "a1": ("ica", (1.15, 1.05), ((15, 2, -12), (9, 6, -13), (3, 12, -16))),
    "a2": ("a1", (1.0, 0.85), ((3, 12, -16), (2.5, 22, -13), (3, 34, -5), (3, 40, 7), (3, 37, 18), (3, 25, 27))),
    "frontopolar": ("a2", (0.6, 0.5), ((3, 34, -5), (4, 44, -6), (5, 55, -2), (7, 62, 8))),
    "pcom": ("ica", (0.65, 0.6), ((13.5, 3, -18), (13, -7, -19), (12, -18, -17))),
    "temporal": ("m1", (0.65, 0.5), ((27, 4, -14), (36, 10, -20), (46, 8, -26), (54, 0, -26))),
}  # fmt: skip
BASILAR = ((0, -30, -50), (0.5, -28, -40), (1, -23, -29), (0, -17, -20))
POSTERIOR: dict[str, tuple[str, tuple[float, float], tuple[tuple[float, float, float], ...]]] = {
    "p1": ("basilar", (1.1, 1.0), ((0, -17, -20), (6, -16, -18), (12, -18, -17))),
    "p2": ("p1", (1.0, 0.8), ((12, -18, -17), (20, -24, -15), (25, -34, -11), (20, -48, -6), (15, -62, -1))),
    "sca": ("basilar", (0.75, 0.5), ((0.5, -19, -23), (8, -20, -24), (17, -30, -22), (21, -42, -18), (24, -54, -16))),
}
PULL = {"m2 superior": (0.45, 0.15, 0.7), "m2 inferior": (0.4, -0.75, 0.35), "a2": (0.0, -0.85, 0.3),
        "frontopolar": (0.15, 0.4, 0.7), "temporal": (0.5, -0.5, -0.1), "p2": (0.05, -0.9, 0.15),
        "sca": (0.3, -0.7, 0.1)}  # fmt: skip
DEPTH = {"m2 superior": 5, "m2 inferior": 5, "a2": 4, "p2": 4}
MAIN = ("ica", "m1", "a1", "p1", "p2", "basilar", "m2 superior", "m2 inferior")
BIFURCATIONS = ("m1", "a1", "basilar", "ica", "pcom")  # where aneurysms sit: the end, or the origin of the pcom


@dataclass(frozen=True)
class Finding:
    """What is wrong at one place: centre and size in mm; share: of the diameter that is lost, for a stenosis."""

    kind: str  # "stenosis", "aneurysm", "occlusion", "flow gap"
    vessel: str
    centre: tuple[float, float, float]
    size_mm: float
    share: float = 0.0


@dataclass(frozen=True, eq=False)
class Arteries:
    """One subject's tree (named "right m1", ...) and its findings."""

    tree: list[Tube]
    findings: list[Finding] = field(default_factory=list)


def draw_arteries(*, rng: np.random.Generator) -> Arteries:
    """A subject's arteries: variants of the circle, bent courses and, in most subjects, findings."""
    tree = _circle(rng=rng)
    for name, depth in list(DEPTH.items()) + [(one, 3) for one in PULL if one not in DEPTH]:
        for side, sign in (("right", 1), ("left", -1)):
            root = _place(tree, f"{side} {name}")
            if root is not None:
                pull = np.array(PULL[name]) * (sign, 1, 1)
                tree = grown(tree, root, pull, depth=depth, rng=rng)
    return _with_findings(tree, rng=rng)


def _circle(*, rng: np.random.Generator) -> list[Tube]:
    scale, wide = rng.uniform(0.9, 0.99, 3), float(rng.uniform(0.9, 1.12))
    tree: list[Tube] = []
    for side, sign in (("right", 1), ("left", -1)):
        for name, (parent, radii, course) in COURSES.items():
            factor = wide * _variant(name, rng=rng)
            if factor > 0:
                _add(
                    tree,
                    f"{side} {name}",
                    f"{side} {parent}" if parent else "",
                    radii,
                    course,
                    sign,
                    factor,
                    scale,
                    rng,
                )
    lower = float(rng.uniform(-1.5, 1.5))
    for side, sign in (("right", 1), ("left", -1)):
        course = ((14, -44, -72), (10 + lower, -37, -60), (0, -30, -50))
        _add(tree, f"{side} vertebral", "", (1.5, 1.3), course, sign, wide * rng.uniform(0.6, 1.15), scale, rng)
    _add(tree, "basilar", "right vertebral", (1.7, 1.5), BASILAR, 1, wide, scale, rng)
    for side, sign in (("right", 1), ("left", -1)):
        for name, (parent, radii, course) in POSTERIOR.items():
            owner = parent if parent == "basilar" else f"{side} {parent}"
            _add(tree, f"{side} {name}", owner, radii, course, sign, wide, scale, rng)
    if rng.random() < 0.8:
        ends = [tree[i].points[-1] for i in (_place(tree, f"{side} a1") for side in ("right", "left")) if i is not None]
        if len(ends) == 2:
            line = through(np.stack(ends))
            owner = next(i for i, tube in enumerate(tree) if tube.name == "right a1")
            tree.append(Tube("acom", line, np.full(len(line), 0.7 * wide), owner, len(tree[owner].points) - 1))
    return tree


def _variant(name: str, *, rng: np.random.Generator) -> float:
    """Factor of the radius: a thin or missing link of the circle is common in healthy people; 0 is missing."""
    chance = rng.random()
    if name == "pcom":
        return 0.0 if chance < 0.35 else 1.6 if chance > 0.85 else 1.0
    if name == "a1":
        return 0.55 if chance < 0.12 else 1.0
    return float(rng.uniform(0.92, 1.08))


def _add(
    tree: list[Tube], name: str, parent: str, radii: tuple[float, float], course: tuple, sign: int, factor: float,
    scale: np.ndarray, rng: np.random.Generator,
) -> None:  # fmt: skip
    controls = np.array(course, float) * scale * (sign, 1, 1)
    bend = rng.normal(0, 1.3, controls.shape)
    owner = _place(tree, parent) if parent else -1
    joint = -1
    if owner is None:
        return
    if owner >= 0:
        joint = int(np.linalg.norm(tree[owner].points - controls[0], axis=1).argmin())
        shift = tree[owner].points[joint] - controls[0]
        fade = np.linspace(1, 0, len(controls))[:, None]
        controls, bend[0] = controls + shift * fade, 0.0
    line = through(controls + bend)
    tree.append(Tube(name, line, factor * np.linspace(*radii, len(line)), owner, joint))


def _place(tree: list[Tube], name: str) -> int | None:
    return next((i for i, tube in enumerate(tree) if tube.name == name), None)


def _with_findings(tree: list[Tube], *, rng: np.random.Generator) -> Arteries:
    """Up to two stenoses, two aneurysms, an occlusion and a flow gap; a third of the subjects has none."""
    if rng.random() < 0.33:
        return Arteries(tree)
    found: list[Finding] = []
    main = [i for i, tube in enumerate(tree) if tube.name.split(" ", 1)[-1] in MAIN]
    first = {tree[i].name: i for i in reversed(main)}  # the stem, not the branches that grew from it
    stems = list(first.values())
    busy: set[int] = set()
    for _ in range(rng.choice([0, 1, 2], p=[0.4, 0.4, 0.2])):
        i = int(rng.choice([one for one in stems if one not in busy]))
        busy.add(i)
        at, share, length = _along(tree[i], rng), float(rng.uniform(0.3, 0.9)), float(rng.uniform(4, 10))
        found.append(_finding("stenosis", tree[i], at, length, share))
        tree[i] = narrowed(tree[i], at, share=share, length_mm=length)
    if rng.random() < 0.2:
        i = int(rng.choice([one for one in stems if one not in busy]))
        busy.add(i)
        at, length = _along(tree[i], rng), float(rng.uniform(3, 7))
        found.append(_finding("flow gap", tree[i], at, length))
    necks = [i for i in stems if tree[i].name.split(" ", 1)[-1] in BIFURCATIONS and i not in busy]
    for _ in range(rng.choice([0, 1, 2], p=[0.45, 0.4, 0.15])):
        i = int(rng.choice(necks))
        size = float(np.exp(rng.uniform(np.log(2.0), np.log(8.0))))
        away = rng.standard_normal(3)
        heading = tree[i].points[-1] - tree[i].points[-4]
        away = away / np.linalg.norm(away) + 1.5 * heading / np.linalg.norm(heading)
        centre = tree[i].points[-1] + away / np.linalg.norm(away) * (tree[i].radius[-1] * 0.7 + 0.42 * size)
        found.append(Finding("aneurysm", tree[i].name, _mm(centre), size))
        necks = [one for one in necks if one != i]
    if rng.random() < 0.12:
        ends = [
            i for i in stems if i not in busy and tree[i].name.split(" ")[-1] in ("m1", "p2", "superior", "inferior")
        ]
        i = int(rng.choice(ends))
        at = _along(tree[i], rng)
        found.append(_finding("occlusion", tree[i], at, 2 * float(tree[i].radius[at])))
        gone = tree[i].name
        tree = without(tree, i, at)
        found = [one for one in found if one.kind == "occlusion" or _still_there(one, gone, tree)]
    return Arteries(tree, found)


def _along(tube: Tube, rng: np.random.Generator) -> int:
    n = len(tube.points)
    return int(rng.integers(int(0.4 * n), max(int(0.75 * n), int(0.4 * n) + 1)))


def _still_there(finding: Finding, gone: str, tree: list[Tube]) -> bool:
    """Whether blood still reaches a finding after the occlusion of tube `gone`."""
    if finding.vessel == gone:
        return False
    return any(tube.name == finding.vessel for tube in tree)


def _finding(kind: str, tube: Tube, at: int, size: float, share: float = 0.0) -> Finding:
    return Finding(kind, tube.name, _mm(tube.points[at]), size, share)


def _mm(point: np.ndarray) -> tuple[float, float, float]:
    return (float(point[0]), float(point[1]), float(point[2]))
