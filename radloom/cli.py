"""The command line: parse, call, print. Every import that costs time stands inside its command."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from radloom import __version__
from radloom.cli_compare import compare
from radloom.cli_data import app as data_commands
from radloom.cli_data import print_answer
from radloom.cli_triage import triage

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from radloom.runfolder import RunFolder
    from radloom.starting import Order
    from radloom.system import Recipe

app = typer.Typer(
    help="Generative AI for radiology images, with the evidence on whether they may be used.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
app.add_typer(data_commands, name="data")

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Name = Annotated[str, typer.Argument(metavar="SYSTEM", help="A system's name; see `radloom systems`.")]
Data = Annotated[Path, typer.Option("--data", metavar="COHORT", help="The cohort: its table or its folder.")]
Out = Annotated[Path, typer.Option("--out", metavar="RUN", help="The new run folder.")]
SizeName = Annotated[str, typer.Option("--size", help="tiny (seconds), cpu (minutes on two cores) or paper.")]
Dims = Annotated[int, typer.Option("--dims", help="2: axial slices. 3: cubes.")]
Seed = Annotated[int, typer.Option("--seed", help="One seed, one result.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; may be repeated.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out where it stopped.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def _changes(settings: list[str] | None) -> dict[str, str]:
    from radloom.errors import RadloomError

    pairs = [text.partition("=") for text in settings or []]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise RadloomError(
                f"--set {name}{equals}{value} cannot be read", expected="NAME=VALUE, such as --set steps=500"
            )
    return {name: value for name, _, value in pairs}


def _begun(order: Order) -> tuple[RunFolder, Recipe, Fabric]:
    from radloom.starting import started_everywhere
    from radloom.training.hardware import launched_fabric

    fabric = launched_fabric()
    folder, recipe = started_everywhere(fabric, order)
    return folder, recipe, fabric


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Generative AI for radiology images, with the evidence on whether they may be used."""
    if show:
        print(f"radloom {__version__}")
        raise typer.Exit


@app.command()
def systems(json: Json = False) -> None:
    """List the published systems by family."""
    from radloom.systems import load, names

    known = sorted(map(load, names()), key=lambda system: (system.family, system.name))
    found = [{"name": one.name, "title": one.title, "cite": one.cite.key, "family": one.family} for one in known]
    print_answer(found, json, "\n".join(f"{row['name']:32} {row['family']:18} {row['title']}" for row in found))


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show what a system draws from what.

    And its sizes, its claim, the paper's figures and how ours deviates.
    """
    from radloom.describe import described, description
    from radloom.systems import load

    system = load(name)
    print_answer(description(system), json, described(system))


@app.command()
def cite(name: Name, json: Json = False) -> None:
    """Print a system's publication as BibTeX."""
    from dataclasses import asdict

    from radloom.systems import load

    publication = load(name).cite
    print_answer({**asdict(publication), "bibtex": publication.bibtex()}, json, publication.bibtex())


@app.command()
def plan(
    name: Name, size: SizeName = "cpu", dims: Dims = 2, seed: Seed = 0, settings: Set = None, json: Json = False
) -> None:
    """Estimate the time and memory of training.

    On this machine, from a rehearsal of a few steps; nothing is written.
    """
    from radloom.systems import load
    from radloom.training.hardware import launched_fabric
    from radloom.training.plan import plan as estimate

    recipe = load(name).resolve(size, dims, _changes(settings))
    found = estimate(recipe, launched_fabric(), seed=seed)
    text = (f"{found.steps} steps of {found.step_seconds:.3f} s on {found.device} ({found.precision}): about "
            f"{found.seconds / 60:.1f} minutes; {found.peak_mb:.0f} MiB of {found.available_mb:.0f} MiB: "
            f"{found.advice(recipe.training.batch)}; {found.parameters:,} parameters")  # fmt: skip
    print_answer(found.record(), json, text)


@app.command()
def train(
    name: Name, data: Data, out: Out, size: SizeName = "cpu", dims: Dims = 2, seed: Seed = 0,
    settings: Set = None, resume: Resume = False, json: Json = False,
) -> None:  # fmt: skip
    """Train a system on a cohort.

    Under torchrun: on several processes, GPUs or machines.
    """
    from radloom.pipeline import trained
    from radloom.starting import Order

    folder, recipe, fabric = _begun(Order(name, data, out, size, dims, seed, _changes(settings), resume))
    trained(folder, recipe, fabric)
    if fabric.is_global_zero:
        text = f"{folder.weights}\nnext: radloom draw {quote(str(out))}"
        print_answer({"run": folder.path, "weights": folder.weights}, json, text)


@app.command()
def draw(
    run: Run,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="COHORT", help="Another cohort than the run's own.")
    ] = None,
    case: Annotated[list[str] | None, typer.Option("--case", help="Only this case; may be repeated.")] = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Images per case.")] = 1,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Images per condition, of a system that draws from nothing.")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", metavar="LABEL=VALUE", help="Only under this condition; may be repeated."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The run's own unless given.")] = None,
    json: Json = False,
) -> None:
    """Draw synthetic images into RUN/samples.

    Of the run's test cases, or of all cases of another cohort, which needs the inputs alone; or --count images from
    nothing, under each condition.
    """
    from radloom.pipeline import drawn
    from radloom.starting import opened
    from radloom.training.hardware import launched_fabric

    folder, recipe = opened(run)
    fabric = launched_fabric()
    cases = drawn(folder, recipe, fabric, data=data, cases=case or [], draws=draws, count=count,
                  conditions=condition or [], seed=seed)  # fmt: skip
    if fabric.is_global_zero:
        then = f"evaluate {quote(str(run))}" if not data else f"export {quote(str(run))} --out {quote(f'{run}-dicom')}"
        what = "cases" if recipe.system.task.inputs else "images"
        text = f"{len(cases)} {what} drawn into {run / 'samples'}\nnext: radloom {then}"
        print_answer({"cases": cases, "samples": run / "samples"}, json, text)


@app.command()
def evaluate(run: Run, json: Json = False) -> None:
    """Judge the drawn test images: RUN/results.csv.

    Against the real ones, with the baselines beside them.
    """
    from radloom.pipeline import evaluated
    from radloom.starting import opened

    folder, recipe = opened(run)
    cohort = folder.cohort()
    rows = evaluated(folder, recipe, cohort, cohort.where("test").ids)
    text = f"{folder.results}\nnext: radloom report {quote(str(run))}"
    print_answer({"results": folder.results, "rows": rows}, json, text)


@app.command()
def study(
    name: Annotated[str, typer.Argument(metavar="STUDY", help="The study that `radloom show SYSTEM` names.")],
    run: Run,
    elsewhere: Annotated[
        Path | None,
        typer.Option("--elsewhere", metavar="DATA", help="Another cohort: all of its cases are looked at."),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Run a clinical-utility protocol on a run.

    Does a downstream task still work with its images? With --elsewhere: also at another site, on another disease?
    """
    from radloom.pipeline import study as answer
    from radloom.starting import opened

    folder, recipe = opened(run)
    found = answer(folder, recipe, folder.cohort(), name, elsewhere=elsewhere)
    print_answer(found, json, f"{found['answer']}\nnext: radloom report {quote(str(run))}")


@app.command()
def report(run: Run, json: Json = False) -> None:
    """Write RUN/report.html from the run's files."""
    from radloom.report.page import write_report
    from radloom.starting import opened

    opened(run)
    path = write_report(run)
    print_answer({"report": path}, json, str(path))


@app.command()
def run(
    name: Name, data: Data, out: Out, size: SizeName = "cpu", dims: Dims = 2, seed: Seed = 0,
    settings: Set = None, resume: Resume = False, json: Json = False,
) -> None:  # fmt: skip
    """Train, draw, evaluate, study and report.

    The main job; prints the path of the report.
    """
    from radloom.pipeline import run_all
    from radloom.starting import Order

    order = Order(name, data, out, size, dims, seed, _changes(settings), resume, splits=("train", "test"))
    folder, recipe, fabric = _begun(order)
    path = run_all(folder, recipe, fabric)
    if fabric.is_global_zero:
        print_answer({"report": path, "next": folder.path / "next.txt"}, json, f"{path}")


app.command()(compare)
app.command()(triage)


@app.command()
def export(
    run: Run,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new folder for the DICOM series.")],
    burn_in: Annotated[bool, typer.Option("--burn-in", help="Draw SYNTHETIC into a corner of every slice.")] = False,
    json: Json = False,
) -> None:
    """Write the drawn images as DICOM series.

    Each says that it is synthetic; patient and study come from the source series where there is one.
    """
    from radloom.export import export_dicom

    folders = export_dicom(run, out, burn_in="SYNTHETIC" if burn_in else "")
    print_answer({"series": folders}, json, f"{len(folders)} series in {out}")
