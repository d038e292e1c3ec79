"""The dashboard in a real browser, what looking at the fleet costs, how large its images are.

`--minutes 3` is how long the page is watched under load, `--only paint,memory,cost,images` takes a part. It needs
Chromium and the Python package playwright, and for the images a Docker engine that has built them (deploy/deploy.sh);
`make containers` starts an engine of its own and prints the sizes, too. Server, browser and market share the machine.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3

from benchmarks.report import Row, say, show
from benchmarks.services import rss_mb
from shared.fleet import read_fleet
from shared.testing.process import ServiceProcess

PARTS = ("paint", "memory", "cost", "images")
OPENINGS = 5
SETTLE_MS = 3000  # after the load event: panels have their first data by then
FAST = "20"  # SIM_SPEED: 1,000 updates a second and more for what the page subscribes to
SECONDS = "/#interval=1s"  # the chart keeps at most 1,500 bars: so fast, a second's fill it in less than a minute
WARM_S = 120.0  # until all that the page keeps is full, and has been emptied once
SAMPLE_S = 5.0
TOLD = 12  # one of so many samples is told while one waits: one a minute, on a busy machine fewer
CALLS = 200
LOOKS = 15
LOOK_EVERY_S = 1.1  # /api/fleet is kept for a second
WIDE = {"width": 1600, "height": 1000}
# What a browser knows about how it painted. Entries are buffered, so that it may be asked afterwards.
PAINTED = """() => new Promise(resolve => {
  const found = { shift: 0, largest: 0 };
  new PerformanceObserver(list => { for (const e of list.getEntries()) found.largest = e.startTime })
    .observe({ type: 'largest-contentful-paint', buffered: true });
  new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) found.shift += e.value })
    .observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => {
    const first = performance.getEntriesByName('first-contentful-paint')[0];
    const files = [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')];
    const own = files.filter(e => !/socket\\.io/.test(e.name) || /vendor/.test(e.name));
    resolve({ ...found, first: first ? first.startTime : 0, files: own.length,
      bytes: own.reduce((sum, e) => sum + e.transferSize, 0) });
  }, 100);
})"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The services that run, by name."""

    services: dict[str, ServiceProcess]

    @property
    def page(self) -> ServiceProcess:
        """The dashboard."""
        return self.services["dashboard"]


@contextlib.contextmanager
def fleet(**settings: str) -> Iterator[Fleet]:
    """All of it, limits off, with some signals and closed trades to show."""
    free = {"RATE_LIMIT_ENABLED": "false", "SIM_LIMITS": "false", **settings}
    with contextlib.ExitStack() as stack:
        running: dict[str, ServiceProcess] = {}
        for name in [service.name for service in read_fleet().services]:
            urls = {one: process.base_url for one, process in running.items()}
            found = {"SERVICE_URLS": ",".join(f"{one}={url}" for one, url in urls.items())}
            if running:
                found["SIMULATOR_URL"] = urls["market-simulator"]
            running[name] = stack.enter_context(ServiceProcess(name, free | found))
        _fill(running["database-service"].base_url)
        yield Fleet(running)


def _fill(url: str) -> None:
    signals = [
        {"symbol": "BTCUSDT", "signal_type": "BUY", "confidence": 0.5 + n % 50 / 100, "price": 60000 + n, "leverage": 1}
        for n in range(500)
    ]
    urllib3.request("POST", f"{url}/signals/batch", json=signals, timeout=30)
    for n in range(60):
        trade = {"strategy": f"s{n % 3}", "pnl": float(n % 7 - 2)}
        urllib3.request("POST", f"{url}/performance/track", json=trade, timeout=30)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Chromium, headless."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("This needs the Python package playwright: make dev")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("This needs Chromium: apt-get install chromium")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to start otherwise
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=as_root)
        yield started
        started.close()


def paint() -> list[Row]:
    """Opening the page: with nothing kept by the browser, and again."""
    cold, warm = [], []
    with fleet() as running, browser() as chromium:
        for _ in range(OPENINGS):
            context = chromium.new_context(viewport=WIDE)
            cold.append(_opened(context, running.page.base_url))
            warm.append(_opened(context, running.page.base_url))
            context.close()

    def usual(openings: list[dict[str, float]], what: str) -> float:
        return statistics.median(opening[what] for opening in openings)

    return [
        Row("page, first time: first paint", usual(cold, "first"), "ms", "< 1,000"),
        Row("page, first time: largest paint", usual(cold, "largest"), "ms", ""),
        Row("page, first time: transferred", usual(cold, "bytes") / 1000, "KB", ""),
        Row("page, first time: files and calls", usual(cold, "files"), "", ""),
        Row("page, again: first paint", usual(warm, "first"), "ms", "< 1,000"),
        Row("page, again: transferred", usual(warm, "bytes") / 1000, "KB", ""),
        Row("page: layout shift, the worst of all openings", max(one["shift"] for one in cold + warm), "", "≤ 0.1"),
    ]


def _opened(context: Any, url: str) -> dict[str, float]:
    page = context.new_page()
    page.goto(url, wait_until="load")
    page.wait_for_timeout(SETTLE_MS)
    found: dict[str, float] = page.evaluate(PAINTED)
    page.close()
    return found


@dataclass(frozen=True, slots=True)
class Sample:
    """Of the page at a moment, garbage collected first."""

    at: float
    heap_mb: float
    process_mb: float
    nodes: float
    busy_s: float


def memory(minutes: float) -> list[Row]:
    """The page under about 1,000 updates a second: does anything grow, and how busy is its main thread?"""
    with fleet(SIM_SPEED=FAST) as running, browser() as chromium:
        page = chromium.new_context(viewport=WIDE).new_page()
        page.goto(running.page.base_url + SECONDS, wait_until="load")
        devtools, whole = page.context.new_cdp_session(page), chromium.new_browser_cdp_session()
        devtools.send("Performance.enable")
        page.wait_for_timeout(WARM_S * 1000)
        streaming = running.services["websocket-streaming"]
        sent, samples = _sent(streaming), [_sample(devtools, whole)]
        while samples[-1].at - samples[0].at < minutes * 60:
            page.wait_for_timeout(SAMPLE_S * 1000)
            samples.append(_sample(devtools, whole))
            if len(samples) % TOLD == 0:
                _tell(samples[-1].at - samples[0].at, samples[-1])
        watched_s = samples[-1].at - samples[0].at
        rate = (_sent(streaming) - sent) / watched_s
    busy = (samples[-1].busy_s - samples[0].busy_s) / watched_s
    return [
        Row(f"page, watched for {minutes:g} min: updates a second, on average", rate, "", "1,000"),
        *_course(samples, "heap_mb", "JS heap", "MB"),
        *_course(samples, "process_mb", "its process", "MB"),
        *_course(samples, "nodes", "DOM nodes", ""),
        Row("page: its main thread is busy", busy * 100, "%", ""),
    ]


def _tell(after_s: float, sample: Sample) -> None:
    say(f"{after_s / 60:.1f} min: heap {sample.heap_mb:.2f} MB, process {sample.process_mb:.0f} MB")


def _course(samples: list[Sample], what: str, words: str, unit: str) -> list[Row]:
    """Where it stood and which way it went: medians of the first and the last third, and lines through the samples.

    Lists that fill and are emptied make the heap a saw, with teeth of less than a minute: a line goes through many.
    """
    values = [float(getattr(sample, what)) for sample in samples]
    third, half = max(1, len(samples) // 3), len(samples) // 2

    def hourly(begin: int) -> float:
        return statistics.linear_regression([sample.at for sample in samples[begin:]], values[begin:]).slope * 3600

    return [
        Row(f"page: {words}, first third", statistics.median(values[:third]), unit, ""),
        Row(f"page: {words}, last third", statistics.median(values[-third:]), unit, ""),
        Row(f"page: {words}, the line through {len(samples)} samples, an hour", hourly(0), unit, "flat"),
        Row(f"page: {words}, the line through the second half of them, an hour", hourly(half), unit, "flat"),
    ]


def _sent(streaming: ServiceProcess) -> int:
    """Updates that websocket-streaming has handed to the page, its only client; to count them there costs the page."""
    handed: int = streaming.get("/stats")["data"]["messages_out"]
    return handed


def _sample(devtools: Any, whole: Any) -> Sample:
    devtools.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
    processes = whole.send("SystemInfo.getProcessInfo")["processInfo"]
    largest = max(rss_mb(one["id"]) for one in processes if one["type"] == "renderer")
    return Sample(time.monotonic(), found["JSHeapUsedSize"] / 1e6, largest, found["Nodes"], found["TaskDuration"])


def cost() -> list[Row]:
    """Processor time of a look at the fleet, and of being looked at."""
    with fleet() as running:
        http = urllib3.PoolManager(maxsize=2)
        rows = [_scrape(http, name, process) for name, process in running.services.items()]
        return [*rows, *_looks(http, running.page)]


def _scrape(http: urllib3.PoolManager, name: str, process: ServiceProcess) -> Row:
    """Beside the service's other work, whose share is measured before and taken off."""
    url = f"{process.base_url}/metrics"
    http.request("GET", url)
    begun, used = time.monotonic(), cpu_s(process.pid)
    time.sleep(2)
    idle = (cpu_s(process.pid) - used) / (time.monotonic() - begun)
    begun, used = time.monotonic(), cpu_s(process.pid)
    for _ in range(CALLS):
        size = len(http.request("GET", url).data)
    spent = cpu_s(process.pid) - used - idle * (time.monotonic() - begun)
    return Row(f"{name}: processor time of a scrape ({size / 1000:.0f} KB)", spent / CALLS * 1000, "ms", "")


def _looks(http: urllib3.PoolManager, page: ServiceProcess) -> list[Row]:
    url = f"{page.base_url}/api/fleet"
    used, waits = cpu_s(page.pid), []
    for _ in range(LOOKS):
        time.sleep(LOOK_EVERY_S)
        begun = time.perf_counter()
        http.request("GET", url)
        waits.append(time.perf_counter() - begun)
    fresh = (cpu_s(page.pid) - used) / LOOKS
    used = cpu_s(page.pid)
    for _ in range(CALLS):
        http.request("GET", url)
    kept = (cpu_s(page.pid) - used) / CALLS
    return [
        Row("dashboard: `/api/fleet`, measured anew: time", statistics.median(waits) * 1000, "ms", ""),
        Row("dashboard: `/api/fleet`, measured anew: processor time", fresh * 1000, "ms", ""),
        Row("dashboard: `/api/fleet`, kept: processor time", kept * 1000, "ms", ""),
    ]


def images() -> list[Row]:
    """The size of each service's image, base included. None without an engine, or where they aren't built."""
    known = read_fleet()
    names = {service.name: f"{known.project}/{service.name}:{known.version}" for service in known.services}
    rows = []
    for name, image in names.items():
        command = ["docker", "image", "inspect", "-f", "{{.Size}}", image]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            sys.stderr.write(f"no image sizes: {type(error).__name__}\n")
            return []
        if done.returncode:
            sys.stderr.write(f"no size of {image}: {done.stderr.strip().splitlines()[-1][:100]}\n")
        else:
            rows.append(Row(f"{name}: image", int(done.stdout) / 1e6, "MB", ""))
    return rows


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, all threads (Linux: the process's own CPU clock)."""
    return float(time.clock_gettime((~pid << 3) | 2))


def main() -> None:
    """Measure what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--only", default=",".join(PARTS))
    chosen = parser.parse_args()
    parts = {"paint": paint, "memory": lambda: memory(chosen.minutes), "cost": cost, "images": images}
    if unknown := set(chosen.only.split(",")) - set(parts):
        sys.exit(f"No such part: {', '.join(sorted(unknown))}. There are: {', '.join(PARTS)}")
    rows: list[Row] = []
    for name in chosen.only.split(","):
        sys.stderr.write(f"measuring {name} …\n")
        rows += parts[name]()
    show(rows)


if __name__ == "__main__":
    main()
