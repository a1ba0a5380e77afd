"""`python -m partitioned_buffer`: see `cli/main.py`."""

from .cli.main import main

if __name__ == "__main__":
    main()
