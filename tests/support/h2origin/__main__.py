"""``python -m tests.support.h2origin``: see the package."""

from tests.support.h2origin.house import main

main()
