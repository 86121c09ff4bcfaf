"""`python -m mosha`: the command `mosha`."""

from mosha.cli.main import main

if __name__ == "__main__":
    main()
