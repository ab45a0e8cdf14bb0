"""CPython's side of each row: cpython.py ROW"""

import array
import json
import multiprocessing
import sys
import time

SERIAL_CALLS = 5000
BURST = 50_000
MAP_ITEMS = 1_000_000
QUEUE_ITEMS = 50_000
ROUND_TRIPS = 3000
# For so long each side does its work before it is measured.
WARM_UP_S = 2
BYTES_64_MB = 64 * 2**20
CPU_ITEMS = 800


def square(x):
    return x * x


def calculate(seed):
    x = seed + 1
    for i in range(8000):
        x = (x * 1664525 + i) & 0xFFFFFFFF
    return x


def nothing():
    pass


def echo(end):
    while True:
        value = end.recv()
        if value is None:
            return
        end.send(value)


def produce(orders, items):
    while True:
        count = orders.get()
        if count == 0:
            return
        for i in range(count):
            items.put({"id": i, "name": "item", "done": False})


def total(memory, end):
    numbers = memoryview(memory.buf).cast("d")
    while True:
        count = end.recv()
        if count == 0:
            return
        numbers[0] = numbers[count - 1] + 1
        end.send(numbers[0])


def each_timed(count, operation):
    times = []
    for i in range(count):
        start = time.perf_counter()
        operation(i)
        times.append(time.perf_counter() - start)
    times.sort()
    return {
        "value": times[count // 2] * 1e6,
        "p99": times[int(count * 0.99)] * 1e6,
    }


def rate(count, work):
    start = time.perf_counter()
    work()
    return {"value": count / (time.perf_counter() - start)}


def serial(mp):
    pool = mp.Pool(1)
    return lambda: each_timed(SERIAL_CALLS, lambda i: pool.apply(square, (i,)))


def burst(mp):
    pool = mp.Pool(2)

    def work(count):
        results = [pool.apply_async(square, (i,)) for i in range(count)]
        for result in results:
            result.get()

    def round_():
        work(BURST // 10)  # as the others do, to be warm
        return rate(BURST, lambda: work(BURST))

    return round_


def map_(mp):
    pool = mp.Pool(2)
    items = list(range(MAP_ITEMS))
    return lambda: rate(MAP_ITEMS, lambda: pool.map(square, items))


def queue(mp):
    orders, items = mp.Queue(), mp.Queue()
    mp.Process(target=produce, args=(orders, items), daemon=True).start()

    def work():
        for _ in range(QUEUE_ITEMS):
            items.get()

    def round_():
        orders.put(QUEUE_ITEMS)
        return rate(QUEUE_ITEMS, work)

    return round_


def pipe(mp):
    here, there = mp.Pipe()
    mp.Process(target=echo, args=(there,), daemon=True).start()

    def trip(i):
        here.send(i)
        here.recv()

    return lambda: each_timed(ROUND_TRIPS, trip)


def bulk(mp):
    here, there = mp.Pipe()
    mp.Process(target=echo, args=(there,), daemon=True).start()
    numbers = array.array("d", [1.5]) * (BYTES_64_MB // 8)

    def round_():
        start = time.perf_counter()
        here.send(numbers)
        back = here.recv()
        value = (time.perf_counter() - start) * 1e3
        assert len(back) == len(numbers)
        return {"value": value}

    return round_


def bulk_shared(mp):
    from multiprocessing.shared_memory import SharedMemory

    memory = SharedMemory(create=True, size=BYTES_64_MB)
    here, there = mp.Pipe()
    mp.Process(target=total, args=(memory, there), daemon=True).start()

    def round_():
        start = time.perf_counter()
        here.send(BYTES_64_MB // 8)
        here.recv()
        return {"value": (time.perf_counter() - start) * 1e3}

    return round_, memory.unlink


def start(mp):
    def round_():
        begin = time.perf_counter()
        child = mp.Process(target=nothing)
        child.start()
        child.join()
        return {"value": (time.perf_counter() - begin) * 1e3}

    return round_


def pool_start(mp):
    def round_():
        begin = time.perf_counter()
        pool = mp.Pool(2)
        pool.apply(square, (2,))
        value = (time.perf_counter() - begin) * 1e3
        pool.terminate()
        pool.join()
        return {"value": value}

    return round_


def mean(count, work):
    start = time.perf_counter()
    work()
    return {"value": (time.perf_counter() - start) / count * 1e6}


def lock(mp):
    one = mp.Lock()

    def work():
        for _ in range(200_000):
            one.acquire()
            one.release()

    return lambda: mean(200_000, work)


def value(mp):
    one = mp.Value("i", 0)

    def work():
        for _ in range(100_000):
            with one.get_lock():
                one.value += 1

    return lambda: mean(100_000, work)


def cpu(mp):
    one = mp.Pool(1)
    two = mp.Pool(2)
    items = list(range(CPU_ITEMS))

    def round_():
        alone = time.perf_counter()
        one.map(calculate, items)
        begin = time.perf_counter()
        two.map(calculate, items)
        return {"value": (begin - alone) / (time.perf_counter() - begin)}

    return round_


ROWS = {
    "serial": serial,
    "burst": burst,
    "map": map_,
    "queue": queue,
    "pipe": pipe,
    "bulk": bulk,
    "bulk-shared": bulk_shared,
    "start": start,
    "pool-start": pool_start,
    "lock": lock,
    "value": value,
    "cpu": cpu,
}


def main():
    made = ROWS[sys.argv[1]](multiprocessing.get_context("spawn"))
    round_, end = made if isinstance(made, tuple) else (made, lambda: None)
    warm_at = time.perf_counter() + WARM_UP_S
    round_()
    while time.perf_counter() < warm_at:
        round_()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(round_()), flush=True)
    end()


if __name__ == "__main__":
    main()
