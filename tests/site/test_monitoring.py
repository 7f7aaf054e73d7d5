"""The page of metrics, the dashboard and the alerts name the metrics that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from registry_site.server.request_metrics import ENDPOINTS
from tests import make
from tests.servers import PROJECT_FOLDER, BerthServer

PAGE = (PROJECT_FOLDER / "docs" / "metrics.md").read_text()
FOLDER = PROJECT_FOLDER / "deploy" / "monitoring"
PROMTOOL = PROJECT_FOLDER / ".tools" / "bin" / "promtool"
ROW = re.compile(
    r"^\| `(\w+)(?:\{([\w,]+)\})?` \| (counter|gauge|histogram) \| (node|site) \|", re.M
)
NAME = re.compile(r"\bberth_\w+")
SUFFIXES = re.compile(r"_(?:bucket|count|sum)$")


def documented() -> dict[str, tuple[str, set[str]]]:
    """Return the type and the labels of each metric that the page has a row for."""
    return {
        name: (kind, set(labels.split(",")) if labels else set())
        for name, labels, kind, _ in ROW.findall(PAGE)
    }


@pytest.fixture(scope="module")
def scraped(registry: BerthServer) -> str:
    secret = make.access_token(make.user("scraper", is_superuser=True))
    headers = {"Authorization": f"Bearer {secret}"}
    answer = httpx.get(f"{registry.url}/metrics", headers=headers, timeout=60)
    assert answer.status_code == 200
    return answer.text


def test_the_page_has_a_row_for_each_metric(scraped: str) -> None:
    rows = documented()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", scraped, re.M))
    assert {name: kind for name, (kind, _) in rows.items()} == kinds
    for family in text_string_to_metric_families(scraped):
        for sample in family.samples:
            name = sample.name if sample.name in rows else family.name
            assert set(sample.labels) - {"le"} == rows[name][1], sample


def test_the_page_has_a_row_for_each_endpoint_and_alert() -> None:
    endpoints, alerts = PAGE.split("## Endpoints")[1].split("## Alerts")
    assert set(re.findall(r"^\| `(\w+)` \|", endpoints, re.M)) == set(ENDPOINTS)
    explained = re.findall(r"^\| (`Berth.+`) \|", alerts, re.M)
    assert set(re.findall(r"`(\w+)`", "".join(explained))) == {*alert_rules()}


def alert_rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboard_expressions() -> Iterator[tuple[str, str]]:
    """Yield the title and the expression of each query of the dashboard."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_alerts_and_dashboard_name_metrics_that_exist() -> None:
    """Each name and each label that an expression selects is one of the page."""
    expressions = [*dashboard_expressions()]
    expressions += [(name, rule["expr"]) for name, rule in alert_rules().items()]
    rows = documented()
    used = set()
    for where, expression in expressions:
        found = NAME.findall(expression)
        assert found or expression.startswith("up{"), where
        for name in found:
            family = name if name in rows else SUFFIXES.sub("", name)
            assert family in rows, where
            kind, labels = rows[family]
            used.add(family)
            if kind == "histogram":
                assert name == f"{family}_bucket", where
            for selected in re.findall(rf"{name}{{([^}}]*)}}", expression):
                names = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", selected))
                assert names <= labels | {"job"}, where
            is_rate = re.search(
                rf"(?:rate|increase)\({name}(?:{{[^}}]*}})?\[", expression
            )
            assert bool(is_rate) is (kind != "gauge"), where
    assert used == rows.keys(), "the dashboard shows every metric"


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        cells |= taken
