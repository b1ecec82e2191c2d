"""Two sets of images, real and synthetic, whoever made them: every metric that applies, and why the others do not."""

from radloom.compare.comparison import Comparison, Target
from radloom.compare.run import compare, write_tables

__all__ = ["Comparison", "Target", "compare", "write_tables"]
