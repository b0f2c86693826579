"""``syncd demo``: runs a receiver and a daemon on sample images and compares the copies."""
