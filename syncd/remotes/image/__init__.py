"""The client of the image API, which stores images as text."""
