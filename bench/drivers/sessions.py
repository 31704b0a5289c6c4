"""Opens sessions and keeps them. A line on stdin: each fetches a result once. The end of stdin: all close."""

import sys

from bench.drivers.answers import answer_length, query, read, send
from bench.drivers.order import read_order
from bench.subjects import Connector


def main() -> None:
    subject, order = read_order()
    connector = Connector(subject)
    sessions = [connector.connect() for _ in range(order["count"])]
    print("ready", flush=True)
    for _ in sys.stdin:
        command = query(order["statement"].encode())
        length = answer_length(sessions[0][1], command)
        for _, sock in sessions[1:]:
            send(sock, command)
            read(sock, length)
        print("ready", flush=True)


if __name__ == "__main__":
    main()
