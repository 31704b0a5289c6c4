"""What every limit on grants must hold, whatever the test."""


def assert_within(grants: list[float], rate: float, burst: int) -> None:
    """No window, from any grant to any later one, holds more than rate * t + burst."""
    for first, start in enumerate(grants):
        for last in range(first, len(grants)):
            assert last - first + 1 <= rate * (grants[last] - start) + burst + 1e-6
