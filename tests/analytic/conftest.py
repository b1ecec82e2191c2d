"""Puts this folder on the path, so that tests find what they share (`shifts`, `gaussian_data`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
