"""A PostgreSQL server of the tests' own: started on a socket in a fresh directory, stopped and removed at the end.

It runs as the user ``postgres`` where the tests run as root, which PostgreSQL refuses to.
"""

import os
import shutil
import subprocess
import tempfile
from glob import glob
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg

REQUIRED = "ZKSHARE_TEST_POSTGRES"
"""Set to ``required`` where a missing server is a failure and not a reason to skip, as in continuous integration."""


def programs() -> Path | None:
    """The directory of initdb and pg_ctl, of the newest version that is installed, or None."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += [Path(place) for place in glob("/usr/lib/postgresql/*/bin")]
    places = [place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()]
    return max(places, key=lambda place: [int(part) for part in place.parts if part.isdigit()], default=None)


class PostgresServer:
    """A running server; :meth:`stop` and :meth:`start` it at will."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else None
        self._directory = tempfile.mkdtemp(prefix="zkshare-postgres-")
        if self._user:
            shutil.chown(self._directory, self._user, self._user)
        self._numbers = count()
        self._run("initdb", "--auth=trust", "--username=zkshare", "--encoding=UTF8", "--no-locale")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self._directory}"
        self._run("pg_ctl", "start", "--wait", "--log", f"{self._directory}/log", "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; ``immediate`` is as if it had crashed."""
        self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._directory)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://zkshare:opensesame@/{database}?host={quote(self._directory, safe='')}"

    def fresh(self) -> str:
        """URL of a new, empty database."""
        name = f"store_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.encode())

    def _run(self, program: str, *arguments: str) -> None:
        result = subprocess.run(
            [self._programs / program, "--pgdata", f"{self._directory}/data", *arguments],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert result.returncode == 0, result.stderr
