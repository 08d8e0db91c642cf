"""Daemons that run at a URL and are not managed by ocattach."""
