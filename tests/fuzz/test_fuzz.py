"""The fuzz targets: their corpus, and a moment of fuzzing."""

import importlib.util
import os

import pytest

from fuzz.__main__ import CORPUS, fuzz
from fuzz.targets import TARGETS

TOTAL_SECONDS = 20
"""For all targets together."""


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_passes(target: str) -> None:
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    for path in inputs:
        TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_a_moment_of_fuzzing_finds_nothing(target: str) -> None:
    if importlib.util.find_spec("atheris") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("atheris is not installed")
        pytest.skip("atheris is not installed: make fuzz installs it where it has a wheel for this Python")
    outcome = fuzz(target, max(2, TOTAL_SECONDS // len(TARGETS)))
    assert not outcome.failed, outcome.output
    assert outcome.inputs > 100
