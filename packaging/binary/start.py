"""Where the folder of `make binary` starts: PyInstaller wants a script, and the package's own imports are relative."""

import sys

from rds_iam_proxy.__main__ import main

sys.exit(main())
