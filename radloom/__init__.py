"""Generative AI for radiology images, with the evidence on whether they may be used; importing it loads no torch."""

__version__ = "0.1.0"
