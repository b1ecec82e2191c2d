"""The commands `radloom data ...`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Make, see, check and split a cohort.\n\nA folder of scans becomes a table; what is wrong with it is said.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Table = Annotated[Path, typer.Argument(metavar="COHORT", help="A cohort table, or the folder that holds cohort.csv.")]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The new cohort's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


def print_answer(value: Any, as_json: bool, text: str) -> None:
    """Prints the answer of a command: `value` as JSON, or the text."""
    if as_json:
        import json

        text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    print(text)


def _numbers(text: str | None, name: str, count: int) -> tuple[float, ...] | None:
    from radloom.errors import RadloomError

    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        values = ()
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise RadloomError(f"{name} {text} cannot be read", expected=f"one number or {count}, such as 1,1,2")
    return values


@app.command()
def phantom(
    out: Out,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A cohort's name; see `radloom data phantoms`.")],
    subjects: Annotated[int, typer.Option("--subjects", min=1)] = 64,
    seed: Annotated[int, typer.Option("--seed", help="One seed, one cohort, on every machine.")] = 0,
    shape: Annotated[
        str | None, typer.Option("--shape", help="Voxels along x, y, z; the cohort's own unless given.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="WORD", help="A form of the cohort, such as ms for brain.")
    ] = None,
    images: Annotated[
        str | None, typer.Option("--images", metavar="A,B", help="Which images to draw, such as t1,flair.")
    ] = None,
    json: Json = False,
) -> None:
    """Simulate an embedded cohort.

    It proves software and method, never a clinical claim.
    """
    from radloom.phantom import write_cohort

    size = _numbers(shape, "--shape", 3)
    write_cohort(
        name, out, subjects=subjects, seed=seed, variant=variant,
        shape=None if size is None else (int(size[0]), int(size[1]), int(size[2])),
        images=None if images is None else images.split(","),
    )  # fmt: skip
    text = f"{subjects} simulated subjects in {out}\nnext: radloom data inspect {quote(str(out))}"
    print_answer({"cohort": out, "subjects": subjects}, json, text)


@app.command()
def phantoms(json: Json = False) -> None:
    """List the embedded cohorts."""
    from radloom.phantom import load, names

    found = [load(name) for name in names()]
    rows = [{"name": one.name, "shows": one.shows, "shape": one.shape, "variants": one.variants,
             "images": one.images} for one in found]  # fmt: skip
    print_answer(rows, json, "\n".join(f"{one.name:14} {one.shows}" for one in found))


@app.command()
def build(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of cases.")],
    out: Out,
    layout: Annotated[
        str | None, typer.Option("--layout", metavar="NAME", help="A public data set; see `radloom data layouts`.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="CSV with columns pattern,column.")
    ] = None,
    spacing: Annotated[str | None, typer.Option("--spacing", help="Resample every case to this spacing, mm.")] = None,
    like: Annotated[str | None, typer.Option("--like", help="Bring each case onto the grid of this entry.")] = None,
    grids: Annotated[
        str, typer.Option("--grids", help="own: let entries lie on grids of their own, for `data register`.")
    ] = "one",
    json: Json = False,
) -> None:
    """Recognise the images in folders; write cohort.csv.

    Nothing is resampled unless asked for. A file that does not fit is named, and nothing is written.
    """
    from radloom.data.build import build as built
    from radloom.data.build import chosen

    spacing_mm = _numbers(spacing, "--spacing", 3)
    cohort = built(folders, out, layout=layout, mapping=mapping, spacing_mm=spacing_mm, like=like,  # pyright: ignore
                   grids=chosen(grids))  # fmt: skip
    columns = ", ".join(cohort.image_columns)
    text = f"{len(cohort)} cases of {len(cohort.patients)} patients with {columns}"
    synthetic = sum(map(len, cohort.about.get("synthetic", {}).values()))
    text += f"; {synthetic} of their images are synthetic" if synthetic else ""
    read_as = sorted(set(cohort.about["built_from"].values()))
    text += f"; read as {', '.join(read_as)}"
    found = {
        "cohort": out, "cases": cohort.ids, "columns": cohort.image_columns, "synthetic": synthetic, "layouts": read_as,
    }  # fmt: skip
    print_answer(found, json, f"{text}\nnext: radloom data audit {quote(str(out))}")


@app.command()
def register(
    table: Table,
    out: Out,
    fixed: Annotated[str, typer.Option("--fixed", metavar="ENTRY", help="The entry that stays, such as image.t1.")],
    moving: Annotated[str, typer.Option("--moving", metavar="ENTRY", help="The entry that moves onto its grid.")],
    movement: Annotated[str, typer.Option("--movement", help="rigid, affine or deformable.")] = "rigid",
    carry: Annotated[
        list[str] | None, typer.Option("--carry", metavar="ENTRY", help="Moves along, such as a mask; may be repeated.")
    ] = None,
    centres: Annotated[
        str | None,
        typer.Option("--centres", metavar="A,B", help="Masks of one structure on both: begin with them together."),
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--unit", help="Of the moving image where its file names none, such as HU.")
    ] = None,
    json: Json = False,
) -> None:
    """Register two images of each case.

    By mutual information; writes a new cohort, with the measure before and after. Look at the result.
    """
    from radloom.data.cohort import Cohort
    from radloom.data.register import moved_by, pair_of_masks
    from radloom.data.register import register as registered

    done = registered(
        Cohort.read(table), out, fixed=fixed, moving=moving, movement=moved_by(movement), carry=carry or [],
        centres=pair_of_masks(centres), unit=unit,
    )  # fmt: skip
    found = done.about["registered"]["mutual_information"]
    lines = [f"{case}: mutual information {one['before']:.3f} -> {one['after']:.3f}" for case, one in found.items()]
    text = "\n".join([*lines, f"next: radloom data inspect {quote(str(out))} --picture {quote(f'{out}.png')}"])
    print_answer({"cohort": out, **done.about["registered"]}, json, text)


@app.command()
def layouts(json: Json = False) -> None:
    """List the folder layouts that build knows.

    With licences, to be checked with the publisher.
    """
    from radloom.data.layouts import load, names

    found = {name: load(name) for name in names()}
    rows = [{"name": name, "title": one.title, "looks_like": one.looks_like, "licence": one.licence,
             "notes": one.notes} for name, one in found.items()]  # fmt: skip
    print_answer(rows, json, "\n".join(f"{name:12} {one.title} ({one.licence})" for name, one in found.items()))


@app.command()
def inspect(
    table: Table,
    picture: Annotated[Path | None, typer.Option("--picture", metavar="PNG", help="Write a sheet of pictures.")] = None,
    json: Json = False,
) -> None:
    """Show grids, spacings, ranges and missing entries.

    And a sheet of pictures on request.
    """
    from radloom.data.cohort import Cohort
    from radloom.data.inspect import inspect as inspected
    from radloom.data.inspect import picture_sheet

    cohort = Cohort.read(table)
    found = inspected(cohort)
    if picture is not None:
        picture_sheet(cohort, picture)
    text = found.T.to_string() + (f"\npictures: {picture}" if picture else "")
    print_answer(found.to_dict("index"), json, text)


@app.command()
def audit(table: Table, json: Json = False) -> None:
    """Say what is wrong with a cohort.

    Before anything is trained; exit status 1 when there is an error.
    """
    from dataclasses import asdict

    from radloom.data.audit import audit as audited
    from radloom.data.cohort import Cohort

    found = audited(Cohort.read_unchecked(table))
    print_answer([asdict(finding) for finding in found], json, "\n".join(map(str, found)) or "nothing found")
    if any(finding.severity == "error" for finding in found):
        raise typer.Exit(1)


@app.command()
def split(
    table: Table,
    fractions: Annotated[str, typer.Option("--fractions", help="Shares of train, val, test patients.")] = "0.7,0.1,0.2",
    seed: Annotated[int, typer.Option("--seed")] = 0,
    stratify: Annotated[str | None, typer.Option("--stratify", metavar="COLUMN", help="Keep its shares alike.")] = None,
    test: Annotated[list[str] | None, typer.Option("--test", metavar="PATIENT", help="Test on these patients.")] = None,
    val: Annotated[
        list[str] | None, typer.Option("--val", metavar="PATIENT", help="Validate on these patients.")
    ] = None,
    json: Json = False,
) -> None:
    """Assign patients to train, val and test.

    At random or by name; the table is written back.
    """
    from radloom.data.cohort import Cohort
    from radloom.data.split import assign
    from radloom.data.split import split as divided

    cohort = Cohort.read_unchecked(table)
    if test or val:
        done = assign(cohort, test=test or [], val=val or [])
    else:
        train, validate, hold = _numbers(fractions, "--fractions", 3) or (0.7, 0.1, 0.2)
        done = divided(cohort, fractions=(train, validate, hold), seed=seed, stratify=stratify)
    done.write(table)
    counts = {name: len(done.where(name)) for name in ("train", "val", "test")}
    print_answer(counts, json, ", ".join(f"{count} {name}" for name, count in counts.items()) + " cases")
