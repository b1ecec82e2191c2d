"""The command `radloom compare`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radloom.cli_data import print_answer

if TYPE_CHECKING:
    from radloom.compare import Comparison


def compare(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="A folder, cohort table, or .npy/.npz of real images.")],
    synthetic: Annotated[
        Path, typer.Argument(metavar="SYNTHETIC", help="The same of synthetic images; or a run, whose samples count.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where results.csv and report.html go.")],
    held_out: Annotated[
        Path | None,
        typer.Option("--held-out", metavar="FOLDER", help="Real images that the generator never saw."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="Only this column, such as image.flair; may be repeated."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Only these cases of a real cohort table, such as test.")] = "",
    patient: Annotated[
        str,
        typer.Option("--patient", metavar="REGEX", help="Its first group finds the patient in a file's name."),
    ] = "",
    pairs: Annotated[str, typer.Option("--pairs", help="auto: by case. none: as two sets alone.")] = "auto",
    data_range: Annotated[
        float | None, typer.Option("--data-range", help="Of PSNR and SSIM; the window's width unless given.")
    ] = None,
    window: Annotated[
        str | None, typer.Option("--window", metavar="LOW,HIGH", help="Intensities; from the real set unless given.")
    ] = None,
    normalise: Annotated[
        str, typer.Option("--normalise", help="none, or median: divide each image by its median above 0.")
    ] = "none",
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", metavar="NAME=FILE", help="inception=FILE or radimagenet=FILE; may be repeated."),
    ] = None,
    slices: Annotated[int, typer.Option("--slices", min=1, help="Axial slices of each volume.")] = 8,
    radiomics: Annotated[
        int, typer.Option("--radiomics", min=0, help="Most images of each set for radiomic features; 0 for none.")
    ] = 300,
    seed: Annotated[int, typer.Option("--seed", help="One seed, one result.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Compare two sets of images with every metric that applies.

    Whoever made them: results.csv and report.html say what was found, beside real images and copies.
    """
    from radloom.compare import compare as compared
    from radloom.compare import write_tables
    from radloom.compare.run import Options
    from radloom.report.compare_page import write_comparison

    options = Options(
        columns=tuple(column or ()), split=split, patient=patient, pairs=_word("--pairs", pairs, ("auto", "none")),
        window=_window(window), data_range=data_range,
        normalise=_word("--normalise", normalise, ("none", "median")), weights=_weights(weights or []), slices=slices,
        radiomics=radiomics, seed=seed,
    )  # fmt: skip
    found = compared(real, synthetic, held_out=held_out, options=options)
    tables = write_tables(found, out)
    report = write_comparison(found, out)
    answer, text = _answer(found)
    places = {"results": tables[0], "cases": tables[1] if tables[1:] else None, "report": report}
    print_answer({**places, **answer}, json, f"{text}\n{quote(str(report))}")


def _answer(found: Comparison) -> tuple[dict[str, Any], str]:
    """The answer as JSON and as the sentences of its verdict."""
    from radloom.compare.comparison import sentences
    from radloom.compare.measures import record

    targets = {
        target.column: {
            "verdict": sentences(target),
            "pairs": target.pairs,
            "notes": target.notes,
            "measures": [record(one) for one in target.found.measures],
            "not_applicable": {one.metric: one.reason for one in target.found.refused},
        }
        for target in found.targets
    }
    parts = [f"{column}: " * bool(column) + " ".join(about["verdict"]) for column, about in targets.items()]
    return {"targets": targets, "provenance": found.provenance}, "\n".join(parts)


def _word(option: str, value: str, allowed: tuple[str, ...]) -> Any:
    from radloom.errors import RadloomError

    if value not in allowed:
        raise RadloomError(f"{option} {value} is unknown", expected=" or ".join(allowed))
    return value


def _window(text: str | None) -> tuple[float, float] | None:
    from radloom.errors import RadloomError

    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise RadloomError(f"--window {text} cannot be read", expected="LOW,HIGH, such as --window=-160,240") from error
    return low, high


def _weights(given: list[str]) -> tuple[tuple[str, Path], ...]:
    from radloom.errors import RadloomError

    pairs = [text.partition("=") for text in given]
    for name, equals, path in pairs:
        if not (name and equals and path):
            raise RadloomError(f"--weights {name}{equals}{path} cannot be read", expected="NAME=FILE")
    return tuple((name, Path(path)) for name, _, path in pairs)
