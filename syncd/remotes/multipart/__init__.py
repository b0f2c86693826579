"""The client of the multipart API, which DysonNetwork Drive and DysonFS offer."""
