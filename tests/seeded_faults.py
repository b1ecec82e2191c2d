"""Plants ten wrong formulas, one at a time, in a copy of the tree, and reports whether the tests notice each.

python tests/seeded_faults.py                # a few minutes; ends with 1 where a fault goes unnoticed
python tests/seeded_faults.py --only "KL"    # the faults with this in their name

The tests that ought to notice run once without a fault before: they must pass there. A fault whose right formula is
no longer found stops the script, so that it cannot pass by planting nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PASSED, FAILED = 0, 1  # pytest's exit codes; the others say that it could not judge


@dataclass(frozen=True)
class Fault:
    """A wrong formula: in `file`, `right` becomes `wrong`, and one of `tests` must fail."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


SAMPLERS, FLOWS = "tests/analytic/test_samplers.py", "tests/analytic/test_flows.py"
AUTOENCODERS = "tests/analytic/test_autoencoders.py"
FAULTS = (
    Fault("Euler posing as Heun", "radloom/samplers/solvers.py",
          "ahead = x + (then - now) * (slope + slope_ahead) / 2", "ahead = x + (then - now) * slope",
          (f"{SAMPLERS}::test_solver_converges_at_its_order_to_the_exact_flow_and_at_no_other",)),
    Fault("coupling without its log-determinant", "radloom/networks/flows.py",
          "return torch.cat([seen, rest], dim=1), slopes.flatten(1).sum(1)",
          "return torch.cat([seen, rest], dim=1), 0 * slopes.flatten(1).sum(1)",
          (f"{FLOWS}::test_log_determinants_are_those_of_the_jacobian_by_autograd",)),
    Fault("moving average that never moves", "radloom/training/loop.py",
          "list(self.model.parameters()), 1 - keep)", "list(self.model.parameters()), 0.0)",
          ("tests/contracts/test_training.py::test_moving_average_follows_with_a_memory_that_grows",)),
    Fault("real and fake swapped for the discriminator", "radloom/models/gan.py",
          "self.game.discriminator(self._scores(x, given), self._scores(fake, given))",
          "self.game.discriminator(self._scores(fake, given), self._scores(x, given))",
          ("tests/analytic/test_paired_gan.py",)),
    Fault("time step off by one", "radloom/models/improved_ddpm.py",
          "guess, share = self._heads(noisy, now, dropped(", "guess, share = self._heads(noisy, then, dropped(",
          ("tests/analytic/test_improved_ddpm.py::test_the_bound_prefers_the_variance_that_the_data_have",)),
    Fault("guidance with the wrong sign", "radloom/samplers/guidance.py",
          "return without + weight * (denoise(x, sigma, given) - without)",
          "return without - weight * (denoise(x, sigma, given) - without)",
          ("tests/analytic/test_guides.py::test_classifier_free_guidance_and_autoguidance_extrapolate_from_the_weaker_denoiser",)),
    Fault("codes without straight-through gradient", "radloom/networks/codebook.py",
          "return z + (self.vectors(index) - z).detach(), index", "return self.vectors(index), index",
          (f"{AUTOENCODERS}::test_the_gradient_passes_straight_through_the_codes",)),
    Fault("KL with the wrong sign", "radloom/models/vae.py",
          "price = self.beta * kl", "price = -self.beta * kl",
          (f"{AUTOENCODERS}::test_the_loss_is_the_negative_bound_per_voxel",)),
    Fault("mask B where mask A belongs", "radloom/networks/causal.py",
          "CausalConv(dims, inputs, channels, stack=k, strict=1, kernel=kernel) for k in range(dims)\n        )\n"
          "        self.layers",
          "CausalConv(dims, inputs, channels, stack=k, strict=0, kernel=kernel) for k in range(dims)\n        )\n"
          "        self.layers",
          ("tests/analytic/test_pixelcnn.py::test_features_depend_on_all_voxels_before_and_on_none_after",)),
    Fault("latent that is not scaled back", "radloom/models/latent.py",
          "return self.coder.decode(z / self.scale, shape[2:])", "return self.coder.decode(z, shape[2:])",
          (f"{AUTOENCODERS}::test_the_prior_sees_latents_of_unit_spread_and_the_decoder_gets_their_own_back",)),
)  # fmt: skip


def main() -> None:
    """Plants the faults and ends with 1 unless all are noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults with this in their name (all)")
    chosen = [fault for fault in FAULTS if parser.parse_args().only in fault.name]
    if not chosen:
        sys.exit("seeded_faults.py: no fault has this in its name")
    with tempfile.TemporaryDirectory(prefix="radloom-faults-") as name:
        tree = copied(ROOT, Path(name))
        if run(tree, sorted({test for fault in chosen for test in fault.tests})) != PASSED:
            sys.exit("seeded_faults.py: the tests fail without any fault")
        verdicts = [told(fault, noticed(fault, tree)) for fault in chosen]
    print(f"{sum(verdicts)} of {len(chosen)} faults noticed")
    sys.exit(0 if all(verdicts) else 1)


def copied(root: Path, folder: Path) -> Path:
    """A copy of the code and its tests in `folder`, in which faults may be planted."""
    for name in ("radloom", "tests"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", folder)
    return folder


def noticed(fault: Fault, tree: Path) -> bool:
    """Whether a test of the fault's fails while it stands in the copy; the copy is whole again afterwards."""
    path = tree / fault.file
    whole = path.read_text()
    path.write_text(planted(fault, whole))
    try:
        code = run(tree, fault.tests)
    finally:
        path.write_text(whole)
    if code not in (PASSED, FAILED):
        sys.exit(f"seeded_faults.py: pytest could not judge {fault.name!r} (exit code {code})")
    return code == FAILED


def planted(fault: Fault, text: str) -> str:
    """The text with the wrong formula; stops unless the right one stands in it exactly once."""
    found = text.count(fault.right)
    if found != 1:
        sys.exit(f"seeded_faults.py: {fault.file} holds the formula of {fault.name!r} {found} times, not once: "
                 f"{fault.right!r}")  # fmt: skip
    return text.replace(fault.right, fault.wrong)


def run(tree: Path, tests: Sequence[str]) -> int:
    """The exit code of pytest on these tests of the copy, without caches: a fault may keep a file's size and time."""
    surroundings = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, cwd=tree, env=surroundings, capture_output=True, text=True, check=False)
    if done.returncode != FAILED and done.returncode != PASSED:
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
    return done.returncode


def told(fault: Fault, seen: bool) -> bool:
    """The verdict, after a line about it."""
    print(f"{'noticed' if seen else 'MISSED '}  {fault.name}  ({fault.file})", flush=True)
    return seen


if __name__ == "__main__":
    main()
