"""Files: directories, ownership checks, safe reading and writing, and formats."""
