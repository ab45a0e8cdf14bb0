"""The Python side of talk_to_python.ts, which starts it.

It connects to the address it is told, asks for jobs, and answers each. Nothing
here is special to Deno: it is multiprocessing.connection as it comes with Python,
with JSON in place of pickle, which only Python can read.
"""

import json
import sys
from multiprocessing.connection import Client


def answer(job):
    numbers = job["numbers"]
    mean = sum(numbers) / len(numbers)
    return {"id": job["id"], "mean": mean, "python": sys.version_info[0]}


def main():
    # Not among the arguments, which everybody on this machine can read.
    setup = json.loads(sys.stdin.readline())
    with Client(setup["address"], authkey=bytes.fromhex(setup["authkey"])) as deno:
        while True:
            try:
                job = json.loads(deno.recv_bytes())
            except EOFError:
                return  # the other side has closed its end
            deno.send_bytes(json.dumps(answer(job)).encode())


if __name__ == "__main__":
    main()
