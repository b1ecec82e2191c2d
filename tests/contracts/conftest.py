"""Puts this folder on the path, so that contracts find the lists that they run over (`model_list`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
