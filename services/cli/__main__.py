"""``python -m services.cli`` is the ``zkshare`` command."""

from services.cli import main

main()
