"""Protocols that answer a clinical question with a system's images."""
