"""Big results or big statements, one after the other over one connection."""

import json
import time

from bench.drivers.answers import answer_length, query, read, send
from bench.drivers.order import read_order, relay_cpu
from bench.subjects import Connector


def main() -> None:
    subject, order = read_order()
    command = query(order["statement"].encode() + b"x" * order["padding"] + order["ending"].encode())
    connection, sock = Connector(subject).connect()
    length = answer_length(sock, command)
    bytes_once = max(length, len(command))
    times = 0
    cpu = relay_cpu(subject)
    began = time.perf_counter()
    while (seconds := time.perf_counter() - began) < order["seconds"]:
        send(sock, command)
        read(sock, length)
        times += 1
    used = relay_cpu(subject)
    moved = times * bytes_once
    print(
        json.dumps(
            {
                "megabytes_per_second": moved / 1e6 / seconds,
                "cpu_user_per_gigabyte": (used[0] - cpu[0]) / (moved / 1e9),
                "cpu_system_per_gigabyte": (used[1] - cpu[1]) / (moved / 1e9),
            }
        )
    )
    connection.close()


if __name__ == "__main__":
    main()
