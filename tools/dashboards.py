"""Grafana's dashboards, from a few lines each: `make render` writes deploy/grafana/dashboards/<uid>.json.

A panel is a title, a unit, and its queries by legend. Panels stand two in a row, a row of small numbers above.
"""

import json
from dataclasses import dataclass, field
from typing import Any

WIDTH, HEIGHT, STAT_HEIGHT = 24, 8, 4
SOURCE = {"type": "prometheus", "uid": "prometheus"}
FLEET = '{job="fleet"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `queries`: legend → expression."""

    title: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page."""

    uid: str
    title: str
    numbers: list[Panel] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)


def number(title: str, unit: str, query: str, legend: str = "{{service}}") -> Panel:
    """A single value."""
    return Panel(title, unit, {legend: query}, "stat")


DASHBOARDS = [
    Dashboard(
        "fleet", "Fleet",
        [
            number("Answering", "bool_yes_no", f"up{FLEET}"),
            number("Ready", "bool_yes_no", f"fleet_ready{FLEET}"),
            number("Alerts firing", "short", 'sum(ALERTS{alertstate="firing"}) or vector(0)', "alerts"),
        ],
        [
            Panel("Requests a second", "reqps", {"{{service}}": "service:http_requests:rate5m"}),
            Panel("Failed requests", "percentunit", {"{{service}}": "service:http_failures:ratio5m"}),
            Panel("p99 of an answer", "s", {"{{service}}": "service:http_request_duration_seconds:p99_5m"}),
            Panel("Refused by limits, a second", "reqps", {"{{service}}": "service:http_limited:rate5m"}),
            Panel(
                "Memory, and where it is restarted", "bytes",
                {
                    "{{service}}": f"process_resident_memory_bytes{FLEET}",
                    "{{service}} limit": f"fleet_memory_limit_bytes{FLEET}",
                },
            ),
            Panel("Processor", "percentunit", {"{{service}}": f"rate(process_cpu_seconds_total{FLEET}[1m])"}),
            Panel("Open descriptors", "short", {"{{service}}": f"process_open_fds{FLEET}"}),
            Panel(
                "Dependencies that are well", "bool_yes_no",
                {"{{service}}: {{dependency}}": f"fleet_dependency_healthy{FLEET}"},
            ),
        ],
    ),
    Dashboard(
        "storage", "Storage",
        [
            number("Signals", "short", f"database_signals{FLEET}"),
            number("Closed trades", "short", f"database_closed_trades{FLEET}"),
            number("Rows in the spool", "short", f"database_spool_rows{FLEET}"),
            number("Waiting in the spool for", "s", f"database_spool_age_seconds{FLEET}"),
        ],
        [
            Panel(
                "Saves a second", "reqps",
                {"{{route}} {{status}}": 'sum by (route, status) (rate(http_requests_total{service="database-service", '
                 'method="POST"}[1m]))'},
            ),
            Panel(
                "p99 of a save and of a page of history", "s",
                {"{{route}}": "histogram_quantile(0.99, sum by (route, le) (rate(http_request_duration_seconds_bucket"
                 '{service="database-service", route=~"/signals/(save|batch|history)"}[5m])))'},
            ),
            Panel("Saves that wait for their commit", "short", {"waiting": f"database_writes_waiting{FLEET}"}),
            Panel("Rows in the spool", "short", {"rows": f"database_spool_rows{FLEET}"}),
            Panel("Signals stored a second", "ops", {"signals": f"deriv(database_signals{FLEET}[5m])"}),
            Panel(
                "The database", "bool_yes_no",
                {"{{service}}": 'fleet_dependency_healthy{job="fleet", dependency="database"}'},
            ),
        ],
    ),
    Dashboard(
        "streaming", "Streaming",
        [
            number("Exchange connected", "bool_yes_no", f"stream_upstream_connected{FLEET}"),
            number("Stale symbols", "short", f"stream_stale_symbols{FLEET}"),
            number("Clients", "short", f"stream_clients{FLEET}"),
            number("Subscriptions", "short", f"stream_subscriptions{FLEET}"),
        ],
        [
            Panel("Messages in, a second", "ops", {"{{instance}}": f"rate(stream_messages_in_total{FLEET}[1m])"}),
            Panel("Updates out, a second", "ops", {"{{instance}}": f"rate(stream_messages_out_total{FLEET}[1m])"}),
            Panel(
                "Holes in the trades", "short",
                {
                    "found": f"increase(stream_gaps_found_total{FLEET}[10m])",
                    "filled": f"increase(stream_gaps_filled_total{FLEET}[10m])",
                },
            ),
            Panel(
                "Order books fetched anew, reconnects", "short",
                {
                    "books": f"increase(stream_book_resyncs_total{FLEET}[10m])",
                    "reconnects": f"increase(stream_reconnects_total{FLEET}[10m])",
                },
            ),
            Panel("Clients closed, since they did not read", "short",
                  {"{{instance}}": f"increase(stream_slow_clients_total{FLEET}[10m])"}),
            Panel(
                "Simulator", "short",
                {"open sockets": f"simulator_sockets{FLEET}", "scenarios": f"simulator_scenarios_running{FLEET}"},
            ),
        ],
    ),
]  # fmt: skip


def rendered(dashboard: Dashboard) -> str:
    """The dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    width = WIDTH // max(1, len(dashboard.numbers))
    for place, panel in enumerate(dashboard.numbers):
        panels.append(_panel(panel, len(panels) + 1, place * width, 0, width, STAT_HEIGHT))
    top = STAT_HEIGHT if dashboard.numbers else 0
    for place, panel in enumerate(dashboard.panels):
        x, y = place % 2 * WIDTH // 2, top + place // 2 * HEIGHT
        panels.append(_panel(panel, len(panels) + 1, x, y, WIDTH // 2, HEIGHT))
    document = {
        "uid": dashboard.uid, "title": dashboard.title, "schemaVersion": 39, "version": 1, "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"}, "timezone": "utc", "tags": ["fleet"], "panels": panels,
    }  # fmt: skip
    return json.dumps(document, indent=1) + "\n"


def _panel(panel: Panel, number: int, x: int, y: int, width: int, height: int) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend}
        for place, (legend, expression) in enumerate(panel.queries.items())
    ]
    return {
        "id": number, "title": panel.title, "type": panel.kind, "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []}, "targets": targets,
    }  # fmt: skip
