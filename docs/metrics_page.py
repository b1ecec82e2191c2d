"""Writes docs/reference/metrics.md: every public name of radloom.metrics and radloom.stats, from the code itself.

python docs/metrics_page.py            # after a change to a docstring or to the registries of metrics
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from radloom.files import write_text
from radloom.metrics import METRICS, SET_METRICS, Metric, SetMetric

PAGE = Path(__file__).resolve().parent / "reference" / "metrics.md"
PACKAGES = ("metrics", "stats")
HEAD = """# Metrics and statistics

Every public name of `radloom.metrics` and `radloom.stats`, by module, written by `docs/metrics_page.py` from the code.
The docstring of each (`help(fid)`) has the formula, the shapes, the errors, the citation and an example.

*better* is the direction of improvement or the best value, where there is one. The unit `1` is none, `image` is the
image's own, `feature^2` the extractor's squared. What a number is *blind to* decides which second number belongs beside
it. `radloom.metrics.METRICS` holds the metrics of one case by name, `SET_METRICS` those of a set of cases.

## One image against another

```python
import numpy as np
from radloom.metrics.fidelity import psnr, ssim
from radloom.stats import bootstrap_ci

rng = np.random.default_rng(0)
real = rng.random((12, 32, 32))  # 12 slices of 4 patients, in [0, 1]
drawn = real + 0.05 * rng.normal(size=real.shape)
values = [psnr(a, b, data_range=1) for a, b in zip(drawn, real)]
patients = np.repeat(["A", "B", "C", "D"], 3)
found = bootstrap_ci(values, patients=patients, rng=rng)
print(f"PSNR {found.estimate:.1f} dB [{found.low:.1f}, {found.high:.1f}], {found.n_patients} patients")
print(f"SSIM of the first {ssim(drawn[0], real[0], data_range=1):.3f}")
```

```
{first}
```

## One set of images against another

```python
import numpy as np
from radloom.metrics.distribution import fid_infinity, frechet_distance, frechet_floor, prdc

rng = np.random.default_rng(0)
real = rng.normal(size=(400, 16))  # features of an extractor: one row per image
drawn = rng.normal(size=(200, 16)) * 0.7  # right on average, too little variety
found, floor = frechet_distance(real[:200], drawn), frechet_floor(real, 200, rng=rng)
print(f"Frechet distance {found.value:.2f}, {floor.mean:.2f} for real images, n = {found.n_real}, d = {found.d}")
print(f"with unlimited images {fid_infinity(real, drawn, draws=0, rng=rng).value:.2f}; 16 * 0.3^2 is 1.44")
balls = prdc(real[:200], drawn)
print(f"precision {balls.precision:.2f}, recall {balls.recall:.2f}, coverage {balls.coverage:.2f}")
```

```
{second}
```
"""


def page() -> str:
    """The whole page."""
    examples = re.findall(r"```python\n(.*?)```", HEAD, flags=re.DOTALL)
    head = HEAD
    for place, code in zip(("{first}", "{second}"), examples, strict=True):
        head = head.replace(place, printed(code).strip())
    listed: set[str] = set()
    parts = [_section(module, listed) for module in modules()]
    return "\n".join([head, *(part for part in parts if part)])


def printed(code: str) -> str:
    """What an example prints."""
    lines: list[str] = []
    exec(code, {"print": lambda *words: lines.append(" ".join(map(str, words)))})
    return "\n".join(lines)


def modules() -> list[ModuleType]:
    """Every module of the packages; first those that gather names of others, which are listed there only."""
    found = []
    for package in PACKAGES:
        names = [f"radloom.{package}"]
        names += [m.name for m in pkgutil.iter_modules(importlib.import_module(names[0]).__path__, f"{names[0]}.")]
        inside = [importlib.import_module(name) for name in names]
        found += sorted(inside, key=lambda m: (m.__name__ == "radloom.stats", not hasattr(m, "__all__"), m.__name__))
    return found


def public(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The public functions and classes that a module gathers in __all__ or defines; functions first."""
    named = getattr(module, "__all__", [])
    for name, value in sorted(vars(module).items(), key=lambda item: (inspect.isclass(item[1]), item[0].lower())):
        if name.startswith("_") or not (inspect.isfunction(value) or inspect.isclass(value)):
            continue
        if name in named or value.__module__ == module.__name__:
            yield name, value


def _section(module: ModuleType, listed: set[str]) -> str:
    rows = []
    for name, value in public(module):
        home = f"{value.__module__}.{name}"  # type: ignore[attr-defined]
        if home not in listed:
            listed.add(home)
            rows.append([f"`{name}`", *_facts(value)])
    if not rows:
        return ""
    columns = ["name", "what", "better", "unit", "blind to"]
    used = [i for i in range(len(columns)) if i < 2 or any(row[i] for row in rows)]
    lines = [[columns[i] for i in used], ["---"] * len(used), *([row[i] for i in used] for row in rows)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([f"## `{module.__name__}`", "", sentence(inspect.getdoc(module) or "") + ".", "", *table, ""])


def _facts(value: object) -> list[str]:
    """What it is, which direction is better, the unit, what it is blind to; "" where neither registry nor text says."""
    text = inspect.getdoc(value) or ""
    what = sentence(text)
    known = registered(value)
    if known:
        return [what, known.better, known.unit, known.blind_to]
    if inspect.isclass(value):
        return [what, "", "", ""]
    better = re.search(r"(\w+) is (?:best|better)", what)
    unit = "1" if re.search(r"\bunit 1\b", what) else "mm" if re.search(r"\bin mm\b", what) else ""
    return [what, better[1] if better else "", unit, blind_to(text)]


def registered(value: object) -> Metric | SetMetric | None:
    """The entry of a metric in one of the registries."""
    return next((metric for metric in [*METRICS.values(), *SET_METRICS.values()] if metric.value is value), None)


def sentence(docstring: str) -> str:
    """The first sentence of a docstring, on one line."""
    first = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<!\bal)(?<!\bvs)\. (?=[A-Z])", first)[0].rstrip(".")


def blind_to(docstring: str) -> str:
    """What a docstring says that the number is blind to, without what follows that sentence."""
    found = re.search(r"Blind to: (.*)", docstring, flags=re.DOTALL)
    return sentence(found[1]) if found else ""


if __name__ == "__main__":
    write_text(PAGE, page())
