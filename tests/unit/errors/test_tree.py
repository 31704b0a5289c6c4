"""A failure names its row and its values; what it says, and what it is the same as, follows from these."""

import pytest

from rds_iam_proxy.errors.symptoms import CHAPTERS, SYMPTOMS
from rds_iam_proxy.errors.tree import MAX_TEXT_BYTES, LoginError, Refused, TLSFailure, Unreachable, Verdict


def no_answer(where: str = "db:3306", seconds: float = 9.5) -> Unreachable:
    return Unreachable("no-answer", where=where, seconds=seconds, step="connecting")


def test_a_row_and_its_values_make_the_text() -> None:
    assert no_answer().text.startswith("db:3306 did not answer within 9.5 s while connecting; check")
    assert str(no_answer()) == no_answer().text


def test_no_failure_without_a_row_or_with_a_field_left_open() -> None:
    with pytest.raises(KeyError):
        LoginError("no-such-row")
    with pytest.raises(KeyError):
        Unreachable("no-answer", where="db:3306")


def test_a_client_is_told_who_speaks_but_for_the_words_of_a_server() -> None:
    assert no_answer().shown.startswith("rds-iam-proxy: db:3306 did not answer")
    passed = Refused("passed-on", Verdict.PASSED_ON, 1049, "42000", answer="Unknown database 'x'")
    assert passed.shown == "Unknown database 'x'"


def test_what_a_client_is_told_is_one_line_that_is_cut_between_characters() -> None:
    shown = no_answer(where="a\nb" + "ä" * 500).shown
    assert shown.startswith("rds-iam-proxy: a bä")
    assert shown.endswith("ä...")
    assert MAX_TEXT_BYTES - 1 <= len(shown.encode()) <= MAX_TEXT_BYTES


def test_failures_that_differ_in_what_was_measured_are_the_same() -> None:
    assert no_answer(seconds=9.5).same == no_answer(seconds=0.2).same
    assert no_answer(where="db-1").same != no_answer(where="db-2").same
    assert no_answer().same != Unreachable("cname-unknown", host="db").same


def test_one_that_repeats_another_has_its_reason_and_is_the_same_where_that_is() -> None:
    first, second = (
        Unreachable("not-tried", count=count, seconds=count / 2, last=no_answer(seconds=count)) for count in (5, 6)
    )
    assert first.same == second.same
    tls = TLSFailure("not-tried", count=5, seconds=1.0, last=TLSFailure("no-tls", where="db:3306"))
    assert (first.reason, tls.reason) == ("unreachable", "tls")
    assert first.same != tls.same


def test_the_same_failure_anew_has_no_traceback() -> None:
    try:
        raise Refused("passed-on", Verdict.RATE_LIMITED, 1040, "08004", answer="no")
    except Refused as error:
        again = error.again()
    assert (again.verdict, again.code, again.sqlstate, again.text) == (Verdict.RATE_LIMITED, 1040, "08004", "no")
    assert again.__traceback__ is None


def test_keys_are_unique() -> None:
    assert len(SYMPTOMS) == sum(len(rows) for _, rows in CHAPTERS)
