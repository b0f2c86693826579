"""Client of the image API: an image is registered, then sent as text chunks."""
