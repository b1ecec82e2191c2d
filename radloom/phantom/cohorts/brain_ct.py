"""Heads from the emergency department, CT in HU with findings, a paired T1c and a worklist; or normal heads alone."""

from typing import Any

from radloom.phantom.anatomy import load_atlas
from radloom.phantom.head import whole_head_grid
from radloom.phantom.head_ct import IMAGES, subject
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    whole_head_grid(request.shape)  # refuses an impossible shape before the work
    atlas = load_atlas()
    asked: dict[str, Any] = {"seed": request.seed, "shape": request.shape, "images": request.images}
    return lambda index: [subject(atlas, index, variant=request.variant, **asked)]


SIMULATION = Simulation(
    name="brain-ct",
    shows="head CT in HU with haemorrhage, infarct, fracture and mass effect; the same heads on T1c; a "
    "worklist; or normal heads alone",
    shape=(128, 128, 24),
    small=(32, 32, 6),
    variants=("emergency", "normal"),
    images=IMAGES,
    usual=IMAGES,
    begin=begin,
    labels={
        "label.finding": "normal, intraparenchymal, subdural, epidural, subarachnoid, infarct or fracture",
        "label.haemorrhage": "1 when there is blood",
        "label.infarct": "1 when there is an infarct",
        "label.fracture": "1 when the skull is broken",
        "label.hidden": "1 when the finding cannot be seen (isodense blood, an infarct of the first hours)",
        "label.size_mm": "radius of a clot or an infarct, thickness of a subdural or epidural haematoma, mm",
        "label.emergency": "1 when a reader is needed at once",
        "time.arrival": "seconds after the start of the worklist; of all subjects below this one, arrivals every 100 s",
        "time.reading": "seconds that the reading takes",
    },
)
