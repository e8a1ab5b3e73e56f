"""``python -m svc``: the same command as the console script ``svc``."""

from svc.cli import main

if __name__ == "__main__":
    main()
