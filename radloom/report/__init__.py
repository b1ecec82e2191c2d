"""A run folder becomes one page that a radiologist can read and a reviewer can check; nothing is computed elsewhere."""
