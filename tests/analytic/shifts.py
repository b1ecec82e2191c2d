"""How far a drawn image lies beside the true one: a least-squares fit that no model under test has a part in."""

import torch
from torch import Tensor


def shift_between(drawn: Tensor, true: Tensor) -> tuple[float, float]:
    """Rows and columns by which the images drawn (b, 1, h, w) lie further on than the true ones; good below a voxel.

    drawn = a + b true - b (dy d true / dy + dx d true / dx), to first order in the shift.
    """
    rows, columns = torch.gradient(true[:, 0], dim=(1, 2))
    inner = (slice(None), slice(2, -2), slice(2, -2))
    parts = [torch.ones_like(rows), true[:, 0], rows, columns]
    matrix = torch.stack([part[inner].flatten() for part in parts], dim=1).double()
    fit = torch.linalg.lstsq(matrix, drawn[:, 0][inner].flatten().double()[:, None]).solution[:, 0]
    return float(-fit[2] / fit[1]), float(-fit[3] / fit[1])
