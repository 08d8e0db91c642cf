"""Sessions of all environments: their data, origin and diagnosis, and the index that stores them."""
