"""Settings that cannot be used are errors that name them."""

import dask
import pytest

from supreme_dask import config
from supreme_dask.errors import ConfigError


@pytest.mark.parametrize(
    ("setting", "value", "read"),
    [
        ("patience", "soon", config.settings),
        ("patience", -1, config.settings),
        ("infeasible-timeout", "-1s", config.settings),
        ("look-ahead.tasks", 0, config.settings),
        ("look-ahead.tasks", 1.5, config.settings),
        ("look-ahead.seconds", "long", config.settings),
        ("look-ahead.below", [], config.settings),
        ("memory.safe-fraction", 0, lambda: config.fraction("memory.safe-fraction")),
        ("memory.safe-fraction", 1.1, lambda: config.fraction("memory.safe-fraction")),
        ("memory.safe-fraction", "most", lambda: config.fraction("memory.safe-fraction")),
        ("network", "fast", config.network),
        ("demands", {"load": {"memory": -1}}, config.demands),
        ("demands", {"load": 5}, config.demands),
        ("demands", 5, config.demands),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_named(setting, value, read):
    with dask.config.set({f"supreme.{setting}": value}), pytest.raises(ConfigError, match=f"supreme.{setting}"):
        read()


def test_the_defaults_can_be_used():
    assert config.settings().patience == 1.0
    assert config.settings().infeasible_timeout is None
    assert config.demands() == {}
    assert config.network() == 1_250_000_000
    assert config.fraction("memory.safe-fraction") == 0.92


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            {"supreme.patiense": "1s"},
            "supreme.patiense is no setting of supreme-dask and has no effect (did you mean 'patience'?)",
        ),
        (
            {"supreme.memory.safe-fracton": 0.9},
            "supreme.memory.safe-fracton is no setting of supreme-dask and has no effect "
            "(did you mean 'safe-fraction'?)",
        ),
        ({"supreme.colour": "red"}, "supreme.colour is no setting of supreme-dask and has no effect"),
    ],
    ids=str,
)
def test_a_key_that_is_no_setting_is_named(setting, said):
    with dask.config.set(setting):
        assert config.unknown() == [said]


def test_keys_of_the_users_own_are_no_mistake():
    with dask.config.set(
        {"supreme.labels.zone": "a", "supreme.demands": {"load": {"cpu": 1}}, "supreme.look_ahead.tasks": 3}
    ):
        assert config.unknown() == []
