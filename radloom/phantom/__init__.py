"""The embedded cohorts: simulated patients that prove software and method, never a clinical claim."""

from radloom.phantom.cohort import write_cohort
from radloom.phantom.cohorts import load, names

__all__ = ["load", "names", "write_cohort"]
