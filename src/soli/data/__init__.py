"""Tracks, cached training audio, mixing and rendering."""
