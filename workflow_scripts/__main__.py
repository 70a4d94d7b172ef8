"""Run a step: `python workflow_scripts <step> --flag …` (this folder, not the package)."""

from varlm.cli import main

raise SystemExit(main())
