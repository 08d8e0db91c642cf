"""What a link does for sessions: it follows their events and records their origin."""
