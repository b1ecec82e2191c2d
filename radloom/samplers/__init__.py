"""From a denoiser to draws: grids of noise levels, solvers, guides, inversion, likelihood; no networks."""
