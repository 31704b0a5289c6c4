"""What systemd does for a service with sockets: opens them, names them, and becomes the service.

activate.py NAME=HOST:PORT|NAME=/PATH... -- COMMAND
"""

import os
import socket
import sys


def main() -> None:
    end = sys.argv.index("--")
    names = []
    for number, argument in enumerate(sys.argv[1:end]):
        name, _, where = argument.partition("=")
        names.append(name)
        if where.startswith("/"):
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(where)
        else:
            host, _, port = where.rpartition(":")
            sock = socket.create_server((host, int(port)))
        sock.listen()
        os.dup2(sock.detach(), 100 + number)
    for number in range(len(names)):
        os.dup2(100 + number, 3 + number)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)}
    os.execvp(sys.argv[end + 1], sys.argv[end + 1 :])  # noqa: S606


if __name__ == "__main__":
    main()
