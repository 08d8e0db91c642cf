"""What is run from a checkout: by `make`, or by hand."""
