"""Fuzzing: bytes from outside, chosen by what they reach in the code. `python -m fuzz` is `make fuzz`.

A target is a function of bytes that raises when something is wrong; `targets.TARGETS` lists them. atheris (an optional
dependency) drives them; the small corpus beside this file also goes through them in each test run, without it.
"""
