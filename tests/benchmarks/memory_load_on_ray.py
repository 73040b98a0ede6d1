"""The load of `memory_load` on Ray: one node with the pooled threads and memory. Prints JSON."""

from __future__ import annotations

import json
import os
import sys
import time

# Nobody else is in its network; without this it writes a token into the home directory.
os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_enable_metrics_collection="0", RAY_AUTH_MODE="disabled")

import ray
from memory_load import BYTES, MB, THREADS, USABLE, WORKERS, load


def main(seed: int) -> None:
    threads = THREADS * WORKERS
    ray.init(
        num_cpus=threads,
        _memory=USABLE * WORKERS,
        object_store_memory=100 * MB,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    # Worker processes are there, and have imported numpy, before time counts.
    warm = ray.remote(_warm).options(num_cpus=1)
    ray.get([warm.remote() for _ in range(threads)])
    since = time.time()
    futures = [ray.remote(task).options(num_cpus=1, memory=BYTES[task]).remote() for task in load(seed)]
    runs = ray.get(futures)
    until = time.time()
    ray.shutdown()
    print(json.dumps({"since": since, "until": until, "runs": runs}))


def _warm() -> None:
    import numpy  # noqa: F401

    time.sleep(4)


if __name__ == "__main__":
    main(int(sys.argv[1]))
