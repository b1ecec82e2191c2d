"""Abdominal CT with and without contrast from one anatomy, and a liver-nodule phantom under eight protocols."""

from radloom.phantom.abdomen_case import CONTRASTS, examination
from radloom.phantom.abdomen_values import PROTOCOLS
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    return lambda index: [examination(request, index)]


SIMULATION = Simulation(
    name="abdomen-ct",
    shows="abdominal CT with and without contrast, organs and liver lesions (patients); 8 doses x kernels (phantom)",
    shape=(160, 160, 32),
    small=(32, 32, 8),
    variants=("patients", "phantom"),
    images=(*CONTRASTS, *PROTOCOLS),
    usual=CONTRASTS,
    begin=begin,
    labels={
        "mask.organs": "1 liver, 2 spleen, 3 right kidney, 4 left kidney, 5 pancreas, 6 aorta, 7 gallbladder, 8 spine",
        "mask.lesion": "liver lesions or nodules numbered 1, 2, ...",
        "mask.roi": "phantom: 1 liver without vessels, 2 aorta, 3 muscle beside the spine, 4 nodules",
        "label.phase": "portal or arterial: when the site scans after the injection",
        "label.lesions": "liver lesions that fill half of a voxel or more",
        "label.lesion_ml": "their volume together, ml",
        "label.hypervascular": "lesions that are as dense as liver before the injection",
        "label.clips": "1 where metal clips stand in for a gallbladder",
        "label.liver_hu": "native HU of the liver; a fatty liver is below 45",
        "label.liver_cect_hu": "phantom: HU of the liver with contrast agent",
        "label.diameters_mm": "phantom: diameters of nodules 1, 2, ..., mm",
        "label.contrasts_hu": "phantom: HU of nodules 1, 2, ... above the liver",
    },
)
