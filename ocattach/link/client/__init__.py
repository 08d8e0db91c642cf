"""The foreground's side of a link: finding, starting and querying it."""
