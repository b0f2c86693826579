"""Client of the multipart API (DysonNetwork Drive and DysonFS): create, send chunks, complete."""
