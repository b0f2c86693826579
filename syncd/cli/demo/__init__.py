"""``syncd demo``: uploads sample images to a receiver and compares the copies."""
