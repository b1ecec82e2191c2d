"""The physics of measurements as linear operators, differentiable and batched; no noise, no reconstruction settings."""
