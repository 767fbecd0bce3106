"""A file to a Photo, a Result to a file: formats, colour, metadata."""
