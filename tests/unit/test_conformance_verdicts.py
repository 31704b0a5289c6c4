"""What makes a cell of the conformance matrix green, a limit or a fault."""

from typing import Any

from conformance.cells import Verdict, judge
from conformance.limits import limit_of
from conformance.masks import masked
from conformance.script import Check, act, query

CHECK = Check("unicode", (query("SELECT 1", rows=(("1",),)),))


def _rows(*rows: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"sets": [{"columns": ["1"], "rows": [list(row) for row in rows]}]}]


def _error(code: int) -> list[dict[str, Any]]:
    return [{"error": {"code": code, "text": "no"}}]


def test_the_same_right_answer_on_both_sides_is_green() -> None:
    assert judge("pymysql", "mysql", CHECK, _rows(("1",)), _rows(("1",))).verdict is Verdict.SAME


def test_the_same_wrong_answer_on_both_sides_is_a_fault() -> None:
    assert judge("pymysql", "mysql", CHECK, _rows(("2",)), _rows(("2",))).verdict is Verdict.FAULT


def test_a_difference_is_a_fault_that_says_where() -> None:
    cell = judge("pymysql", "mysql", Check("version", (query("SELECT 1"),)), _rows(("1",)), _rows(("2",)))
    assert cell.verdict is Verdict.FAULT
    assert cell.details == ("[0].sets[0].rows[0][0]: proxy '1' | direct '2'",)


def test_no_result_through_the_proxy_is_a_fault() -> None:
    assert judge("pymysql", "mysql", CHECK, None, _rows(("1",))).verdict is Verdict.FAULT
    assert judge("pymysql", "mysql", CHECK, None, None).verdict is Verdict.FAULT


def test_an_expected_error_that_did_not_come_is_a_fault() -> None:
    refused = Check("errors", (query("SELEC 1", fails="yes"),))
    assert judge("pymysql", "mysql", refused, _error(1064), _error(1064)).verdict is Verdict.SAME
    assert judge("pymysql", "mysql", refused, _rows(), _rows()).verdict is Verdict.FAULT


def test_what_a_client_does_not_have_is_its_limit_only_if_the_direct_side_says_so_too() -> None:
    lacking = [{"unsupported": "has none"}]
    check = Check("reset connection", (act("reset"),))
    assert judge("pymysql", "mysql", check, lacking, lacking).verdict is Verdict.LIMIT
    assert judge("pymysql", "mysql", check, lacking, [{}]).verdict is Verdict.FAULT


def test_a_known_limit_covers_only_the_same_failure_on_both_sides() -> None:
    check = Check("20 MB", CHECK.actions)
    assert limit_of("asyncmy", "mysql", "20 MB") is not None
    assert judge("asyncmy", "mysql", check, _rows(), _rows()).verdict is Verdict.LIMIT
    assert judge("asyncmy", "mysql", check, _error(1), _rows()).verdict is Verdict.FAULT
    assert judge("asyncmy", "mysql", check, _rows(), _rows(("1",))).verdict is Verdict.FAULT


def test_a_client_that_only_the_proxy_lets_in_must_get_the_right_answers() -> None:
    nobody = [{"login": {"error": {"code": 1251}}}]
    assert judge("mysqljs", "mysql", CHECK, _rows(("1",)), nobody).verdict is Verdict.PROXY_ONLY
    assert judge("mysqljs", "mysql", CHECK, _rows(("2",)), nobody).verdict is Verdict.FAULT
    assert judge("pymysql", "mysql", CHECK, _rows(("1",)), nobody).verdict is Verdict.FAULT


def test_a_difference_by_design_covers_its_own_path_only() -> None:
    check = Check("refused change of user", (query("A"), query("B", fails="yes")))

    def results(sqlstate: str, first: str = "1") -> list[dict[str, Any]]:
        return [*_rows((first,)), {"error": {"code": 1045, "sqlstate": sqlstate}}]

    def verdict(client: str, family: str, proxy: list[dict[str, Any]]) -> Verdict:
        return judge(client, family, check, proxy, results("28000")).verdict

    assert verdict("php-mysqli", "mysql", results("HY000")) is Verdict.BY_DESIGN
    assert verdict("php-mysqli", "mariadb", results("HY000")) is Verdict.FAULT
    assert verdict("pymysql", "mysql", results("HY000")) is Verdict.FAULT
    assert verdict("php-mysqli", "mysql", results("HY000", "2")) is Verdict.FAULT


def test_users_ports_and_times_are_masked_and_nothing_else() -> None:
    proxy = {"text": "user_batch@% on 3307, 0.41 sec\tuser_report@x", "code": 3307, "cancelled after": 0.1}
    direct = {"text": "conf_app@% on 3306, 12 sec\tconf_other@x", "code": 3307, "cancelled after": 0.2}
    assert masked(proxy, (3306, 3307)) == masked(direct, (3306, 3307))
    assert masked("my_user_batch 33071 seconds", (3307,)) == "my_user_batch 33071 seconds".replace(
        "33071 seconds", "<seconds>"
    )
    assert masked(["latin1"], (1,)) != masked(["utf8mb4"], (1,))
