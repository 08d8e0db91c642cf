"""`python -m ocattach`."""

from ocattach.cli import main

if __name__ == "__main__":
    main()
