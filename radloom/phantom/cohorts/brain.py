"""Brains with gliomas, MS-like lesions or nothing, by three MR scanners."""

from radloom.phantom.anatomy import head_grid, load_atlas
from radloom.phantom.brain import CONTRASTS, subject
from radloom.phantom.ms_follow_up import two_examinations
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    head_grid(request.shape, centre_z_mm=0.0)  # refuses an impossible shape before the work
    atlas = load_atlas()
    if request.variant == "ms-follow-up":
        return lambda index: two_examinations(
            atlas, index, seed=request.seed, shape=request.shape, contrasts=request.images
        )
    return lambda index: [
        subject(atlas, index, seed=request.seed, shape=request.shape, contrasts=request.images, disease=request.variant)  # pyright: ignore
    ]


SIMULATION = Simulation(
    name="brain",
    shows="brains with gliomas (tumour), MS-like lesions (ms, twice in ms-follow-up) or neither (none); six contrasts",
    shape=(96, 96, 24),
    small=(32, 32, 6),
    variants=("tumour", "ms", "none", "ms-follow-up"),
    images=CONTRASTS,
    usual=("t1", "t1c", "t2", "flair"),
    begin=begin,
    labels={
        "label.idh": "1 mutant, 0 wild type",
        "label.new_lesions": "new lesions since the first examination, as many as mask.new numbers (ms-follow-up)",
        "time.months": "months since the first examination (ms-follow-up)",
    },
)
