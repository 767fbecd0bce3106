"""Turns files into Photos and Results into files: formats, colour, metadata."""
