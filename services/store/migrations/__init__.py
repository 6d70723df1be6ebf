"""The steps by which a store comes to be what this version of the software expects.

Written in SQLite's words for types; :mod:`services.store.postgres` translates them.
"""

import re
from importlib.resources import files


def migrations() -> list[str]:
    """SQL of every migration, in order; the files are numbered from 0001 without a gap."""
    found = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".sql")), key=lambda f: f.name)
    for number, file in enumerate(found, 1):
        if not re.fullmatch(rf"{number:04}_[a-z_]+\.sql", file.name):
            raise RuntimeError(f"migration {file.name} is not number {number:04}")
    return [file.read_text(encoding="utf-8") for file in found]
