"""Client A leaves something behind; client B gets the same session and finds what a new session has."""

from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection

from reuse.ground import Ground, rows, session_id, value
from reuse.states import LEFT_BEHIND, STATES, State

HARMLESS = {"timestamp", "pseudo_thread_id", "rand_seed1", "rand_seed2", "last_insert_id", "identity", "error_count"}
"""Variables that are different in each session, or with each statement. STATES has them."""

GLOBAL_IN_TRUTH = {"max_relay_log_size", "sql_slave_skip_counter"}
"""MariaDB lists them as a session's."""


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_the_next_client_finds_a_new_session(ground: Ground, state: State) -> None:
    if state.where not in ("both", ground.server.family):
        pytest.skip("not a state of this database")
    with ground.stranger(**state.options) as new:
        expected = state.look(ground, new)
    first = ground.connect(**state.options)
    before = session_id(first)
    state.leave(first)
    ground.leave(first)
    second = ground.connect(**state.options)
    assert (session_id(second) != before) == state.is_unfit
    assert state.look(ground, second) == expected
    ground.leave(second)


def test_every_variable_that_can_be_set_is_back(ground: Ground) -> None:
    with ground.stranger() as new:
        expected = dict(rows(new, "SHOW SESSION VARIABLES"))
    changed, wrong = 0, {}
    client = ground.connect()
    for name in expected.keys() - HARMLESS - GLOBAL_IN_TRUTH:
        before = session_id(client)
        if not _set_to_something_else(client, name, expected[name]):
            continue
        changed += 1
        ground.leave(client)
        client = ground.connect()
        found = rows(client, f"SHOW SESSION VARIABLES LIKE '{name}'")
        if session_id(client) != before or found != [(name, expected[name])]:
            wrong[name] = found
    ground.leave(client)
    assert wrong == {}
    assert changed >= 140


def _set_to_something_else(client: "Connection[Any]", name: str, present: str) -> bool:
    for other in _candidates(present):
        if value(client, f"SET SESSION {name} = {other}") is not None:
            continue
        try:
            if rows(client, f"SHOW SESSION VARIABLES LIKE '{name}'") != [(name, present)]:
                return True
        except pymysql.MySQLError:  # so much was changed that nothing works any more
            return True
    return False


def _candidates(present: str) -> list[str]:
    if present in ("ON", "OFF"):
        return ["0" if present == "ON" else "1"]
    try:
        number = float(present)
    except ValueError:
        texts = "latin1 latin1_bin utf8mb4 utf8mb4_bin x +03:00 SERIALIZABLE MEMORY MyISAM en_GB de_DE OFF ON NONE"
        return [*(f"'{text}'" for text in texts.split()), "''", "0", "1", "2"]
    return [str(int(other)) for other in (number + 1, max(0, number - 1), number * 2, number + 1024, number // 2, 0, 1)]


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_what_differs_tells_nothing_of_the_client_before(ground: Ground, what: str) -> None:
    found = set()
    for left in ((), LEFT_BEHIND[what]):
        first = ground.connect()
        before = session_id(first)
        for statement in left:
            value(first, statement)
        ground.leave(first)
        second = ground.connect()
        found.add(value(second, f"SELECT {what}"))
        assert session_id(second) == before
        ground.leave(second)
    assert len(found) == 1
