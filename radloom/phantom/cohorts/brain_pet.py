"""Brains on T1 and FDG PET: healthy, MCI and Alzheimer, some with a change of uptake that MR cannot show."""

from radloom.phantom.anatomy import head_grid, load_atlas
from radloom.phantom.head_pet import IMAGES, PATTERN, subject
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    head_grid(request.shape, centre_z_mm=0.0)  # refuses an impossible shape before the work
    atlas = load_atlas()
    return lambda index: [subject(atlas, index, seed=request.seed, shape=request.shape, images=request.images)]


SIMULATION = Simulation(
    name="brain-pet",
    shows="T1 and FDG PET (SUV) of healthy, MCI and Alzheimer brains, a quarter with a focus that MR cannot show",
    shape=(96, 96, 48),
    small=(32, 32, 6),
    variants=("alzheimer",),
    images=IMAGES,
    usual=IMAGES,
    begin=begin,
    labels={
        "label.group": "CN, MCI or AD",
        "label.ad": "1 for AD",
        "label.converts": "1 for an MCI that becomes AD",
        "label.severity": "0 to 1",
        "label.uptake_precuneus": "true factor of uptake, mean of both sides; likewise temporoparietal",
        "label.hidden": "1 when mask.focus holds a change of uptake that MR cannot show",
        "label.focus_uptake": "factor of uptake in that focus, 1 without one",
        "mask.regions": ", ".join(f"{i} {name}" for i, name in enumerate(PATTERN, start=1)),
    },
)
