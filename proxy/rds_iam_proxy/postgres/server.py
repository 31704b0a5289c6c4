"""What is known of the server behind one target. Learnt from each login."""

from pg_wire.constants import Kind
from pg_wire.framing import Form, Frames
from pg_wire.messages import ParameterStatus

from ..logs import printable


class Server:
    """One per target and endpoint."""

    def __init__(self) -> None:
        self.version = ""
        """Fit to be shown; empty until it has answered, over verified TLS."""

    @property
    def has_answered(self) -> bool:
        return bool(self.version)

    def learn(self, messages: bytes) -> None:
        """`messages`: what it said while it let somebody in."""
        self.version = printable(version_in(messages)) or "unknown"


def version_in(messages: bytes) -> bytes:
    """`server_version` among ParameterStatus messages; empty if it is not there."""
    frames, position = Frames(Form.MESSAGE), 0
    while position < len(messages):
        needs = frames.needs
        frame = frames.receive(messages[position : position + needs])
        position += needs
        if frame is not None and frame.kind == Kind.PARAMETER_STATUS:
            status = ParameterStatus.decode(frame.payload)
            if status.name == b"server_version":
                return status.value
    return b""
