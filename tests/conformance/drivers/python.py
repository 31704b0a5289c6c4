"""`python -m conformance.drivers.python CLIENT`: the Python clients, in an environment that has them."""

from conformance.drivers.asynchronous import AioMySQL, AsyncMy
from conformance.drivers.dbapi import Connector, MySQLClient, OldConnector, OldPyMySQL, PureConnector, PyMySQL
from conformance.drivers.loop import main
from conformance.drivers.mappers import Django, SQLAlchemy

DRIVERS = (
    PyMySQL,
    OldPyMySQL,
    OldConnector,
    AioMySQL,
    AsyncMy,
    Connector,
    PureConnector,
    MySQLClient,
    SQLAlchemy,
    Django,
)

if __name__ == "__main__":
    main({driver.name: driver for driver in DRIVERS})
