"""The command line that makes a tunnel. No I/O."""

import json
from pathlib import Path

from ...config import CommandTunnel, SSHTunnel, SSMTunnel, Target
from ...net.address import Address

NearEnd = Address | Path
"""Where the tunnel is entered: a port of this machine's loopback, or a Unix socket."""

DOCUMENT = "AWS-StartPortForwardingSessionToRemoteHost"

SSH_OPTIONS = (
    "BatchMode=yes",  # a question would be asked where nobody sees it
    "ExitOnForwardFailure=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "LogLevel=INFO",  # else it does not say why a connection was not forwarded
    "ControlMaster=no",  # a master would outlive us
    "ControlPath=none",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "StreamLocalBindMask=0177",
)
"""What the user's own configuration may not change (man ssh_config)."""


def argv(target: Target, near: NearEnd) -> tuple[str, ...]:
    """The program and its arguments. The target has a tunnel."""
    match target.tunnel:
        case SSHTunnel() as ssh:
            return _ssh(ssh, target.address, near)
        case SSMTunnel() as ssm if isinstance(near, Address):
            return _aws(ssm, target, near)
        case CommandTunnel(words) if isinstance(near, Address):
            values = {
                "{host}": target.address.host,
                "{remote_port}": str(target.address.port),
                "{local_port}": str(near.port),
            }
            return tuple(_filled(word, values) for word in words)
    raise AssertionError("no tunnel, or one that cannot be entered by a Unix socket")


def _ssh(tunnel: SSHTunnel, address: Address, near: NearEnd) -> tuple[str, ...]:
    options = (word for option in SSH_OPTIONS for word in ("-o", option))
    port = () if tunnel.port is None else ("-p", str(tunnel.port))
    return "ssh", "-N", "-T", *options, *port, "-L", f"{near}:{address}", "--", tunnel.destination


def _aws(tunnel: SSMTunnel, target: Target, near: Address) -> tuple[str, ...]:
    profile = () if target.profile is None else ("--profile", target.profile)
    parameters = {
        "host": [target.address.host],
        "portNumber": [str(target.address.port)],
        "localPortNumber": [str(near.port)],
    }
    return (
        "aws",
        *("ssm", "start-session"),
        *("--region", target.region),
        *profile,
        *("--target", tunnel.instance),
        *("--document-name", DOCUMENT),
        *("--parameters", json.dumps(parameters)),
    )


def _filled(word: str, values: dict[str, str]) -> str:
    for field, value in values.items():
        word = word.replace(field, value)
    return word
