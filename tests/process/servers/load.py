"""
Send events to a server, from four threads, until it takes no more.

    python load.py PORT

Prints a line for each request: its number, and the process that acknowledged it, or `-` if
none did. A thread ends with its first request that is not acknowledged.
"""

import http.client
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

CLIENTS = 4
PATIENCE = 60.0

numbers = iter(range(30_000))  # far more than it takes, but no server may keep it busy for ever


def send(port: int, number: int) -> int:
    """Return which process acknowledged the event."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("POST", f"/events/{number}", headers={"Connection": "close"})
        response = connection.getresponse()
        if response.status != 202:
            raise http.client.HTTPException(response.status)
        process: int = json.load(response)["process"]
        return process
    finally:
        connection.close()


def work(port: int) -> None:
    for number in numbers:
        try:
            said = str(send(port, number))
        except (OSError, http.client.HTTPException) as error:
            sys.stderr.write(f"{number}: {error!r}\n")
            said = "-"
        os.write(1, f"{number} {said}\n".encode())  # whole, whatever the other threads write
        if said == "-":
            return


if __name__ == "__main__":
    with ThreadPoolExecutor(CLIENTS) as threads:
        for ended in [threads.submit(work, int(sys.argv[1])) for _ in range(CLIENTS)]:
            ended.result()
