"""Intervals and tests over patients, each with what it assumes; metrics of images are in `metrics`."""
