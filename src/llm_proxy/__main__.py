"""`python -m llm_proxy`: the same as the `llm-proxy` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
