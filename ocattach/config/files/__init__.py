"""Reading and writing files: directories, ownership, and the formats that are read."""
