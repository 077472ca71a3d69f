"""`python -m kvae_cli` is the command `kvae`."""

import sys

from kvae_cli.main import main

sys.exit(main())
