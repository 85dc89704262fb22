"""The gradebook is nbgrader's own."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from nbgrader.api import Gradebook as Database
from sqlalchemy import text

from autograder.grading.ledger import holds_nobody, make_tables, not_waiting_for_the_disk


def structure(path: Path) -> tuple[set[str], list[str]]:
    """The statements that made a database, and nbgrader's version of it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        made = connection.execute("select sql from sqlite_master where sql is not null")
        statements = {" ".join(row[0].replace("\t", " ").split()).strip(";") for row in made}
        (version,) = connection.execute("select version_num from alembic_version").fetchall()
    return {s.replace("( ", "(").replace(" )", ")") for s in statements}, list(version)


def test_the_tables_are_those_that_nbgrader_makes(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.db", tmp_path / "ours.db"
    Database(f"sqlite:///{theirs}").close()
    make_tables(f"sqlite:///{ours}")
    assert structure(ours) == structure(theirs)


def test_tables_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "gradebook.db"
    url = f"sqlite:///{path}"
    make_tables(url)
    with Database(url) as database:
        database.add_student("s001")
    before = path.read_bytes()
    make_tables(url)
    assert path.read_bytes() == before


def test_a_gradebook_with_a_student_waits_for_the_disk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    make_tables(url)
    assert holds_nobody(url)
    with Database(url) as database:
        database.add_student("s001")
    assert not holds_nobody(url)


def test_only_meanwhile_nobody_waits_for_the_disk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    make_tables(url)

    def synchronous() -> int:
        with Database(url) as database:
            return int(database.db.execute(text("PRAGMA synchronous")).scalar())

    usual = synchronous()
    with not_waiting_for_the_disk():
        assert synchronous() == 0
    assert synchronous() == usual != 0
