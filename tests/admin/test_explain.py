"""A text that a client has read is found again in the table of symptoms."""

from string import Formatter

import pytest

from rds_iam_proxy.admin.explain import explain
from rds_iam_proxy.errors.symptoms import SYMPTOMS, Symptom


def filled(template: str) -> str:
    return "".join(words + ("x.example:1" if field else "") for words, field, _, _ in Formatter().parse(template))


@pytest.mark.parametrize(
    "row", [row for row in SYMPTOMS.values() if len(filled(row.text)) > 40], ids=lambda row: row.key
)
def test_each_text_of_ours_has_its_explanation(row: Symptom) -> None:
    text = filled(row.text)
    found = explain(row.code, text if row.verbatim else f"rds-iam-proxy: {text}")
    assert found is not None
    assert found.reads(text)


def test_what_a_database_says_in_its_own_words_has_none() -> None:
    assert explain(1049, "Unknown database 'shop'") is None
