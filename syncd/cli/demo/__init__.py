"""``syncd demo``: run a receiver and a daemon on sample images and compare what arrives."""
