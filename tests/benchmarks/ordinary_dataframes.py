"""Ordinary work of dataframes: groups, shuffles, merges, and four queries of TPC-H on generated tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from distributed import Client
from ordinary_registry import workload

NEEDS = ("pandas", "pyarrow")
SEGMENTS = np.array(["AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"])
DAY = np.datetime64("1992-01-01", "s")
ROWS = {"full": 150_000, "quick": 2000}  # of each part of the largest table
PARTS = {"full": 24, "quick": 4}


def _sizes(**more: Any) -> dict[str, Any]:
    """Return the sizes of a workload, full and quick, as `workload` takes them."""
    return {size: {"parts": PARTS[size], "rows": ROWS[size], **more} for size in ROWS}


def _events(part: int, rows: int) -> Any:
    import pandas as pd

    chance = np.random.default_rng(part)
    return pd.DataFrame(
        {
            "key": chance.integers(0, rows // 4, rows),
            "kind": SEGMENTS[chance.integers(0, 5, rows)],
            "value": chance.random(rows),
            "weight": chance.random(rows),
        }
    )


def _frame(make: Any, parts: int, rows: int) -> Any:
    import dask.dataframe as dd

    return dd.from_map(make, range(parts), rows=rows, meta=make(0, 4))


def _rows(client: Client, frame: Any) -> list[Any]:
    """Compute a small frame, and return its rows in an order of their own."""
    found = client.compute(frame).result()
    return sorted(found.reset_index().astype(str if found.empty else object).to_numpy().tolist(), key=repr)


# --------------------------------------------------------------------------------------- single steps
@workload(**_sizes(), needs=NEEDS)
def frame_groupby(client: Client, parts: int, rows: int) -> list[Any]:
    """Groups of few kinds and of many keys."""
    events = _frame(_events, parts, rows)
    few = events.groupby("kind").agg({"value": ["mean", "std"], "weight": "sum"})
    many = events.groupby("key").value.sum(split_out=4).nlargest(5)
    few.columns = ["mean", "std", "sum"]
    return [_rows(client, few), _rows(client, many.to_frame())]


@workload(**_sizes(), needs=NEEDS)
def frame_shuffle(client: Client, parts: int, rows: int) -> list[Any]:
    """A shuffle from worker to worker (P2P)."""
    events = _frame(_events, parts, rows)
    found = events.shuffle("key", shuffle_method="p2p").map_partitions(_keys, meta=("key", "int64"))
    return [int(client.compute(found.sum()).result()), int(client.compute(events.value.count()).result())]


def _keys(part: Any) -> Any:
    return part.drop_duplicates("key").key


@workload(**_sizes(), needs=NEEDS)
def frame_merge(client: Client, parts: int, rows: int) -> list[Any]:
    """A merge of two large tables."""
    left, right = _frame(_events, parts, rows), _frame(_keyed, parts, rows // 8)
    merged = left.merge(right, on="key", how="inner")
    return _rows(client, merged.groupby("kind")[["value", "bonus"]].sum())


def _keyed(part: int, rows: int) -> Any:
    import pandas as pd

    return pd.DataFrame({"key": np.arange(rows) + part * rows, "bonus": np.random.default_rng(part).random(rows)})


# --------------------------------------------------------------------------------------------- TPC-H
def _items(part: int, rows: int) -> Any:
    import pandas as pd

    chance = np.random.default_rng(100 + part)
    return pd.DataFrame(
        {
            "orderkey": chance.integers(0, rows // 4, rows) + part * (rows // 4),
            "partkey": chance.integers(0, 2000, rows),
            "suppkey": chance.integers(0, 100, rows),
            "quantity": chance.integers(1, 51, rows).astype(float),
            "price": chance.random(rows) * 1e4,
            "discount": chance.integers(0, 11, rows) / 100,
            "tax": chance.integers(0, 9, rows) / 100,
            "returnflag": np.array(["A", "N", "R"])[chance.integers(0, 3, rows)],
            "linestatus": np.array(["F", "O"])[chance.integers(0, 2, rows)],
            "shipdate": DAY + chance.integers(0, 2500, rows).astype("timedelta64[D]"),
        }
    )


def _orders(part: int, rows: int) -> Any:
    import pandas as pd

    chance, count = np.random.default_rng(200 + part), rows // 4
    return pd.DataFrame(
        {
            "orderkey": np.arange(count) + part * count,
            "custkey": chance.integers(0, 20_000, count),
            "orderdate": DAY + chance.integers(0, 2400, count).astype("timedelta64[D]"),
        }
    )


def _customers() -> Any:
    import pandas as pd

    chance = np.random.default_rng(300)
    segment = SEGMENTS[chance.integers(0, 5, 20_000)]
    return pd.DataFrame({"custkey": np.arange(20_000), "segment": segment, "nation": chance.integers(0, 25, 20_000)})


def _suppliers() -> Any:
    import pandas as pd

    return pd.DataFrame({"suppkey": np.arange(100), "suppnation": np.arange(100) % 25})


def _costs() -> Any:
    import pandas as pd

    chance = np.random.default_rng(400)
    pairs = pd.MultiIndex.from_product([range(2000), range(100)], names=["partkey", "suppkey"])
    costs = pd.DataFrame({"cost": chance.random(len(pairs)) * 100}, index=pairs).reset_index()
    costs["name"] = np.where(costs.partkey % 17 == 0, "green", "other")
    return costs


@workload(**_sizes(), needs=NEEDS)
def tpch_1(client: Client, parts: int, rows: int) -> list[Any]:
    """TPC-H 1, the pricing summary: one scan, many sums."""
    items = _frame(_items, parts, rows)
    items = items[items.shipdate <= np.datetime64("1998-09-02")]
    items["net"] = items.price * (1 - items.discount)
    items["charge"] = items.net * (1 + items.tax)
    sums = {"quantity": "sum", "price": "sum", "net": "sum", "charge": "sum", "discount": "mean"}
    return _rows(client, items.groupby(["returnflag", "linestatus"]).agg(sums))


@workload(**_sizes(), needs=NEEDS)
def tpch_3(client: Client, parts: int, rows: int) -> list[Any]:
    """TPC-H 3, the shipping priority: a large merge, then the largest few."""
    customers = _customers()
    chosen = customers[customers.segment == "BUILDING"][["custkey"]]
    items, orders = _frame(_items, parts, rows), _frame(_orders, parts, rows)
    items = items[items.shipdate > np.datetime64("1995-03-15")][["orderkey", "price", "discount"]]
    orders = orders[orders.orderdate < np.datetime64("1995-03-15")].merge(chosen, on="custkey")
    joined = orders[["orderkey", "orderdate"]].merge(items, on="orderkey")
    joined["revenue"] = joined.price * (1 - joined.discount)
    revenue = joined.groupby("orderkey").revenue.sum(split_out=4)
    return _rows(client, revenue.nlargest(10).to_frame())


@workload(**_sizes(), needs=NEEDS)
def tpch_5(client: Client, parts: int, rows: int) -> list[Any]:
    """TPC-H 5, the volume of local suppliers: small tables joined to a large merge."""
    items, orders = _frame(_items, parts, rows), _frame(_orders, parts, rows)
    early = orders.orderdate < np.datetime64("1995-01-01")
    orders = orders[early & (orders.orderdate >= np.datetime64("1994-01-01"))].merge(_customers(), on="custkey")
    joined = orders[["orderkey", "nation"]].merge(items[["orderkey", "suppkey", "price", "discount"]], on="orderkey")
    joined = joined.merge(_suppliers(), on="suppkey")
    joined = joined[(joined.nation == joined.suppnation) & (joined.nation < 5)]
    joined["revenue"] = joined.price * (1 - joined.discount)
    return _rows(client, joined.groupby("nation").revenue.sum().to_frame())


@workload(**_sizes(), needs=NEEDS)
def tpch_9(client: Client, parts: int, rows: int) -> list[Any]:
    """TPC-H 9, the profit by nation and year: merges with small tables, then a large one."""
    items, orders = _frame(_items, parts, rows), _frame(_orders, parts, rows)
    costs = _costs()
    joined = items.merge(costs[costs.name == "green"], on=["partkey", "suppkey"]).merge(_suppliers(), on="suppkey")
    joined = joined.merge(orders[["orderkey", "orderdate"]], on="orderkey")
    joined["profit"] = joined.price * (1 - joined.discount) - joined.cost * joined.quantity
    joined["year"] = joined.orderdate.dt.year
    return _rows(client, joined.groupby(["suppnation", "year"]).profit.sum().to_frame())
