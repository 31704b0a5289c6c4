"""On what the time of a login goes, so that what used it is blamed when it is over, and not what came last."""

from collections.abc import Callable

from ..config import Target
from ..errors.tree import Limited, LoginError
from . import failures
from .login import OnStep, Step


class Patience:
    """Of one login, however many tries it takes. `waited`: seconds for the permit of the first."""

    def __init__(self, waited: float, now: Callable[[], float]) -> None:
        self._now = now
        self._seconds = {step: 0.0 for step in Step} | {Step.PERMIT: waited}
        self._step = Step.PERMIT
        self._since = now()

    @property
    def step(self) -> Step:
        """What is waited for, or was when it failed."""
        return self._step

    def on(self, step: Step) -> None:
        """From now on this is what is waited for."""
        now = self._now()
        self._seconds[self._step] += now - self._since
        self._step, self._since = step, now

    def beside(self, other: OnStep) -> OnStep:
        """Both hear of each step."""

        def on_step(step: Step) -> None:
            self.on(step)
            other(step)

        return on_step

    def over(self, target: Target) -> LoginError:
        """There is no time left: the failure that names what took most of it."""
        self.on(self._step)
        step = max(self._seconds, key=self._seconds.__getitem__)
        seconds = self._seconds[step]
        if step is Step.PERMIT:
            return Limited("permit-too-late", waited=seconds, rest=sum(self._seconds.values()) - seconds)
        if step is Step.CREDENTIALS:
            return failures.credentials_too_late(seconds)
        return failures.no_answer(target, step, seconds)
