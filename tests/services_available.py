"""Where the real servers are that the tests talk to, and what to do when one is not there.

A test asks for the address and gets it only if somebody answers there; else it is skipped with the reason on a
developer's machine, and fails under CI. As a program it says whether one server can be reached:
``python -m tests.services_available postgresql``.
"""

import os
import sys
from functools import cache
from typing import NoReturn

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

# Server → the variable that names another one, and the address where it is looked for without.
_ADDRESSES = {
    "postgresql": ("KILONOVA_TEST_POSTGRESQL_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mariadb": ("KILONOVA_TEST_MARIADB_URL", "mysql+pymysql://root@127.0.0.1:3306/test?charset=utf8mb4"),
    "rabbitmq": ("KILONOVA_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}


def postgresql_url() -> str:
    """Give the PostgreSQL database to test with; its account may make and drop databases and schemas."""
    return _answering("postgresql")


def mariadb_url() -> str:
    """Give the MariaDB database to test with; its account may make and drop databases."""
    return _answering("mariadb")


def rabbitmq_url() -> str:
    """Give RabbitMQ's address. Whether it answers shows when the test connects."""
    return _address("rabbitmq")


def require_or_skip(reason: str) -> NoReturn:
    """Fail the test under CI, skip it elsewhere: what it needs is not here, for this reason."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (under CI nothing may be missing)", pytrace=False)
    pytest.skip(reason)


def _address(server: str) -> str:
    variable, default = _ADDRESSES[server]
    return os.environ.get(variable, default)


def _answering(server: str) -> str:
    url = _address(server)
    trouble = _trouble(url)
    if trouble:
        require_or_skip(f"{server} does not answer: {trouble}. {_ADDRESSES[server][0]} can name another one")
    return url


@cache
def _trouble(url: str) -> str | None:
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": 30})
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except SQLAlchemyError as error:
        return str(error).splitlines()[0]
    return None


if __name__ == "__main__":
    sys.exit(_trouble(_address(sys.argv[1])))
