"""Settings of the simulator: what is refused, in one line."""

import json

import pytest

from market_simulator.service import build
from market_simulator.settings import SimulatorSettings
from shared.errors import ConfigError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIM_SPEED", "0"),
        ("SIM_SPEED", "101"),
        ("SIM_SEED", "-1"),
        ("SIM_START", "2019-12-31"),
        ("SIM_START", "noon"),
        ("SIM_WS_ERRORS", "round"),
        ("SIM_PING_S", "0"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SimulatorSettings.read({name: value})
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_simulated_time_before_the_markets_first_day_is_refused() -> None:
    settings = SimulatorSettings.read({"SIM_START": "2099-01-01", "SIM_SPEED": "100"})
    with pytest.raises(ConfigError, match="SIM_START"):
        build(settings, markets={})


def test_a_built_service_answers_without_running() -> None:
    service = build(SimulatorSettings.read({"REDIS_ENABLED": "false"}), markets={})
    answer = service.app.test_client().get("/api/v3/exchangeInfo", headers={"Host": "localhost"})
    assert answer.status_code == 200
    assert json.loads(answer.data)["symbols"] == []
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "20"
