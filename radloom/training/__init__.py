"""Training: the loop, its state on disk, the estimate before the first step, the picture during it."""
