"""Brains with gliomas, MS-like lesions or nothing, by three MR scanners."""

from radloom.phantom.anatomy import head_grid, load_atlas
from radloom.phantom.brain import CONTRASTS, subject
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    head_grid(request.shape, centre_z_mm=0.0)  # refuses an impossible shape before the work
    atlas = load_atlas()
    return lambda index: [
        subject(atlas, index, seed=request.seed, shape=request.shape, contrasts=request.images, disease=request.variant)  # pyright: ignore
    ]


SIMULATION = Simulation(
    name="brain",
    shows="brains with gliomas (tumour), MS-like lesions (ms) or neither (none); T1, T1c, T2, FLAIR, PD, DIR",
    shape=(96, 96, 24),
    small=(32, 32, 6),
    variants=("tumour", "ms", "none"),
    images=CONTRASTS,
    usual=("t1", "t1c", "t2", "flair"),
    begin=begin,
    labels={"label.idh": "1 mutant, 0 wild type"},
)
