"""`python -m mosha`: the command `mosha`, without the modules of the working directory.

Python puts that directory first. It is taken away here before mosha imports anything; from what
Python itself imports before that (runpy), only `python -P -m mosha` keeps it away.
"""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]
    from mosha.host.programs import PACKAGES  # it is found: its package has been

    sys.path.append(PACKAGES)
    from mosha.cli.main import main

    main()
