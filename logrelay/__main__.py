"""``python -m logrelay`` is the command ``logrelay``."""

from logrelay.cli import main

raise SystemExit(main())
