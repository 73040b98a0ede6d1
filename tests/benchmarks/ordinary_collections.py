"""Ordinary work of collections: delayed, arrays, bags, dataframes; and of libraries that bring their own."""

from __future__ import annotations

import time
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import numpy as np
from distributed import Client, wait
from ordinary_registry import workload

MB = 1_000_000


# ---------------------------------------------------------------------------------------- delayed
@workload(full={"items": 60, "seconds": 0.05}, quick={"items": 10, "seconds": 0.003})
def delayed_loop(client: Client, items: int, seconds: float) -> float:
    """A loop over six delayed functions."""
    load, clean, split, fit, score, save = (
        dask.delayed(function, pure=False) for function in (_load, _clean, _split, _fit, _score, _save)
    )
    saved = []
    for item in range(items):
        whole = clean(load(item, seconds), seconds)
        one, other = split(whole, 0, seconds), split(whole, 1, seconds)
        saved.append(save(score(fit(one, seconds), other, seconds), seconds))
    return float(client.compute(dask.delayed(sum)(saved)).result())


def _load(item: int, seconds: float) -> np.ndarray:
    time.sleep(seconds)
    return np.full(200_000, float(item))


def _clean(data: np.ndarray, seconds: float) -> np.ndarray:
    time.sleep(seconds)
    return data + 1


def _split(data: np.ndarray, part: int, seconds: float) -> np.ndarray:
    time.sleep(seconds)
    return data[part::2]


def _fit(data: np.ndarray, seconds: float) -> float:
    time.sleep(seconds)
    return float(data.mean())


def _score(model: float, data: np.ndarray, seconds: float) -> float:
    time.sleep(seconds)
    return float(model * data.mean())


def _save(score: float, seconds: float) -> float:
    time.sleep(seconds)
    return score


# ----------------------------------------------------------------------------------------- arrays
def _source(rows: int, columns: int, chunks: tuple[int, int], seed: int) -> da.Array:
    return da.random.default_rng(seed).random((rows, columns), chunks=chunks)


@workload(full={"steps": 160, "cells": 1_000_000}, quick={"steps": 16, "cells": 100_000})
def array_anomalies(client: Client, steps: int, cells: int) -> float:
    """Anomalies of two sources, multiplied: 1.28 GB each, in blocks of 16 MB."""
    one, other = (_source(steps, cells, (2, cells), seed) for seed in (1, 2))
    product = (one - one.mean(axis=0)) * (other - other.mean(axis=0))
    return float(client.compute(product.mean()).result())


@workload(full={"side": 9000, "times": 4}, quick={"side": 1500, "times": 1})
def array_transpose(client: Client, side: int, times: int) -> list[float]:
    """A matrix and its transpose, of four matrices one after the other."""
    matrices = [_source(side, side, (side // 6, side // 6), seed) for seed in range(times)]
    return [float(client.compute((matrix + matrix.T).std()).result()) for matrix in matrices]


@workload(full={"side": 8000}, quick={"side": 1600})
def array_rechunk(client: Client, side: int) -> float:
    """Rows that are made columns."""
    rows = _source(side, side, (side // 16, side), 4)
    return float(client.compute(rows.rechunk((side, side // 16)).cumsum(axis=0)[-1].mean()).result())


@workload(full={"rows": 600_000, "columns": 120}, quick={"rows": 40_000, "columns": 40})
def array_svd(client: Client, rows: int, columns: int) -> list[float]:
    """Singular values of a tall matrix."""
    matrix = _source(rows, columns, (rows // 30, columns), 5)
    return [float(value) for value in client.compute(da.linalg.svd(matrix)[1][:5]).result()]


@workload(full={"rows": 20_000, "columns": 20_000}, quick={"rows": 2000, "columns": 2000})
def array_reductions(client: Client, rows: int, columns: int) -> list[float]:
    """Mean, deviation and extremes of 3.2 GB."""
    data = _source(rows, columns, (rows // 20, columns // 10), 6)
    found = client.compute([data.mean(), data.std(), data.max(), data.min()])
    return [float(each) for each in client.gather(found)]


@workload(full={"side": 8000}, quick={"side": 1000})
def array_overlap(client: Client, side: int) -> float:
    """A filter that looks over the borders of its blocks."""
    data = _source(side, side, (side // 8, side // 8), 7)
    return float(client.compute(data.map_overlap(_smooth, depth=1, boundary="reflect").mean()).result())


def _smooth(block: np.ndarray) -> np.ndarray:
    return (block + np.roll(block, 1, 0) + np.roll(block, -1, 0) + np.roll(block, 1, 1) + np.roll(block, -1, 1)) / 5


@workload(full={"side": 5000}, quick={"side": 800})
def array_product(client: Client, side: int) -> float:
    """A product of two matrices."""
    one, other = (_source(side, side, (side // 5, side // 5), seed) for seed in (8, 9))
    return float(client.compute((one @ other).mean()).result())


# -------------------------------------------------------------------------------- persisted arrays
@workload(full={"blocks": 64, "megabytes": 16}, quick={"blocks": 8, "megabytes": 4})
def persisted_half(client: Client, blocks: int, megabytes: int) -> list[float]:
    """An array of half of the workers' memory, persisted and read three times."""
    return _persisted(client, blocks, megabytes)


@workload(full={"blocks": 128, "megabytes": 16}, quick={"blocks": 16, "megabytes": 4})
def persisted_whole(client: Client, blocks: int, megabytes: int) -> list[float]:
    """An array as large as the workers' memory, persisted and read three times."""
    return _persisted(client, blocks, megabytes)


@workload(full={"blocks": 256, "megabytes": 16}, quick={"blocks": 32, "megabytes": 4})
def persisted_double(client: Client, blocks: int, megabytes: int) -> list[float]:
    """An array of twice the workers' memory, persisted and read three times."""
    return _persisted(client, blocks, megabytes)


def _persisted(client: Client, blocks: int, megabytes: int) -> list[float]:
    width = megabytes * MB // 8
    data = client.persist(_source(blocks, width, (1, width), 10))
    wait(data)
    return [float(client.compute((data + step).mean()).result()) for step in range(3)]


# ------------------------------------------------------------------------------------------- bags
@workload(full={"parts": 64, "lines": 20_000}, quick={"parts": 8, "lines": 500})
def bag_words(client: Client, parts: int, lines: int) -> list[Any]:
    """The most frequent words of many lines."""
    words = db.from_sequence(range(parts), npartitions=parts).map(_lines, lines=lines).flatten()
    top = client.compute(words.frequencies().topk(5, key=1)).result()
    return sorted([word, count] for word, count in top)


def _lines(part: int, lines: int) -> list[str]:
    numbers = np.random.default_rng(part).zipf(1.5, lines * 10) % 5000
    return [f"word{number}" for number in numbers]


@workload(full={"parts": 48, "lines": 12_000}, quick={"parts": 8, "lines": 500})
def bag_fold(client: Client, parts: int, lines: int) -> list[Any]:
    """Sums by key, folded; only what passes a filter."""
    words = db.from_sequence(range(parts), npartitions=parts).map(_lines, lines=lines).flatten()
    folded = words.filter(_is_even).foldby(len, _count, 0, _plus, 0)
    return sorted(list(pair) for pair in client.compute(folded).result())


def _is_even(word: str) -> bool:
    return int(word[4:]) % 2 == 0


def _count(total: int, _: str) -> int:
    return total + 1


def _plus(one: int, other: int) -> int:
    return one + other


# -------------------------------------------------------------------------------------- libraries
@workload(full={"rows": 4000, "splits": 5}, quick={"rows": 200, "splits": 2}, needs=("joblib", "sklearn"))
def joblib_search(client: Client, rows: int, splits: int) -> float:
    """A search over parameters by scikit-learn, on Dask through joblib."""
    import joblib
    from sklearn.datasets import make_classification
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    features, classes = make_classification(rows, random_state=1)
    search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": [0.01, 0.1, 1]}, cv=splits)
    with joblib.parallel_backend("dask", client=client):
        search.fit(features, classes)
    return float(search.best_score_)


@workload(full={"rows": 400_000, "rounds": 50}, quick={"rows": 4000, "rounds": 3}, needs=("xgboost",))
def xgboost_train(client: Client, rows: int, rounds: int) -> bool:
    """Training of XGBoost on an array."""
    from xgboost import dask as trainer

    features = _source(rows, 20, (rows // 8, 20), 11)
    matrix = trainer.DaskDMatrix(client, features, features.sum(axis=1))
    trained = trainer.train(client, {"max_depth": 4, "tree_method": "hist"}, matrix, num_boost_round=rounds)
    return trained["booster"].num_boosted_rounds() == rounds


@workload(full={"rows": 400_000, "rounds": 50}, quick={"rows": 4000, "rounds": 3}, needs=("lightgbm",))
def lightgbm_train(client: Client, rows: int, rounds: int) -> bool:
    """Training of LightGBM on an array."""
    from lightgbm import DaskLGBMRegressor

    features = _source(rows, 20, (rows // 8, 20), 12)
    model = DaskLGBMRegressor(client=client, n_estimators=rounds, num_leaves=15)
    return bool(model.fit(features, features.sum(axis=1)).booster_.num_trees() == rounds)
