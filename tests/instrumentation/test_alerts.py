"""What ships for Prometheus and Grafana, read by `promtool` of Debian's package."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import partitioned_buffer
from partitioned_buffer.instrumentation.prometheus import Collector

FOLDER = Path(partitioned_buffer.__file__).parent / "instrumentation"
DASHBOARD: Any = json.loads((FOLDER / "dashboard.json").read_text())
EXPRESSIONS = [
    (panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]
]
VARIABLES = {"$__rate_interval": "1m", "$buffer": ".*"}

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [(DOCS / name).read_text() for name in ("at-3-am.md", "watch.md", "numbers.md")]
AT_3_AM = PAGES[0]

PROMTOOL = shutil.which("promtool")
with_promtool = pytest.mark.skipif(
    PROMTOOL is None and os.environ.get("SERVERS") != "required", reason="needs promtool"
)


def promtool(*arguments: str | Path) -> None:
    """Run it; fail with what it said, if it complains."""
    assert PROMTOOL is not None, "promtool is missing: apt-get install prometheus"
    command = [PROMTOOL, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"partitioned_buffer_\w+", text))


def known() -> set[str]:
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    families = Collector().describe()
    return {f.name + end for f in families for end in endings.get(f.type, [""])}


# --- the dashboard -----------------------------------------------------------------------


@with_promtool
def test_each_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    rules = []
    for number, (_, query) in enumerate(EXPRESSIONS):
        for name, value in VARIABLES.items():
            query = query.replace(name, value)  # noqa: PLW2901
        rules.append({"record": f"query_{number}", "expr": query})
    (tmp_path / "queries.yml").write_text(
        json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})
    )
    promtool("check", "rules", tmp_path / "queries.yml")


@pytest.mark.parametrize(("title", "query"), EXPRESSIONS)
def test_the_dashboard_asks_for_what_there_is(title: str, query: str) -> None:
    assert metrics_in(query)
    assert metrics_in(query) <= known(), title
    assert not re.search(r"\$(?!buffer\b|__rate_interval\b)", query), title


def test_all_that_is_told_is_on_the_dashboard_somewhere() -> None:
    shown = metrics_in(json.dumps(DASHBOARD["panels"]))
    families = {re.sub("_(total|bucket|count|sum)$", "", name) for name in shown}
    told = {family.name for family in Collector().describe()}
    left_out = "recovered coalesced deleted batches last_failure_timestamp_seconds"
    left_out += " shared_gaps shared_workers"
    assert told - families == {f"partitioned_buffer_{name}" for name in left_out.split()}


def test_panels_do_not_lie_on_each_other() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


# --- the alerts ---------------------------------------------------------------------------


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    labels = {"job": "web", "instance": "one", "buffer": "events"} | labels
    text = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"partitioned_buffer_{name}{{{text}}}", "values": values}


HEALTHY = [
    series("oldest_age_seconds", "4x30"),
    series("calls_total", "0+60x30"),
    series("failed_calls_total", "0+1x30"),
    series("dropped_total", "3x30", reason="full"),
    series("dead_lettered_total", "7x30"),
    series("overdue", "0x30"),
    series("blocked", "0x30"),
    series("waiting", "10x30"),
    series("in_flight", "10x30"),
    series("max_size", "100x30"),
]
TROUBLES = {
    "PartitionedBufferFallingBehind": [series("oldest_age_seconds", "0+60x30")],
    "PartitionedBufferFailing": [
        series("calls_total", "0+60x30"),
        series("failed_calls_total", "0+60x30"),
    ],
    "PartitionedBufferDropping": [series("dropped_total", "0+1x30", reason="full")],
    "PartitionedBufferDeadLetters": [series("dead_lettered_total", "0+1x30")],
    "PartitionedBufferOverdue": [series("overdue", "1x30", partition="3")],
    "PartitionedBufferFull": [series("blocked", "2x30")],
    "PartitionedBufferFull by size": [
        series("waiting", "90x30"),
        series("in_flight", "5x30"),
        series("max_size", "100x30"),
    ],
}


def alerts() -> set[str]:
    return set(re.findall(r"alert: (\w+)", (FOLDER / "alerts.yml").read_text()))


def test_each_alert_has_its_trouble_here() -> None:
    assert {name.split()[0] for name in TROUBLES} == alerts()
    assert metrics_in((FOLDER / "alerts.yml").read_text()) <= known()


@with_promtool
def test_queries_on_pages_are_queries(tmp_path: Path) -> None:
    queries = [
        query for page in PAGES for query in re.findall(r"```promql\n(.*?)```", page, re.DOTALL)
    ]
    rules = [{"record": f"query_{at}", "expr": query} for at, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(
        json.dumps({"groups": [{"name": "pages", "rules": rules}]})
    )
    assert len(queries) >= 8
    assert metrics_in("".join(queries)) <= known()
    promtool("check", "rules", tmp_path / "queries.yml")


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    sections = re.split(r"^## ", AT_3_AM, flags=re.MULTILINE)[1:]
    said = {section.partition("\n")[0]: section for section in sections}
    assert list(said) != []
    assert set(said) == alerts()
    for name, section in said.items():
        for words in ("**It means**", "**Look first**", "**Do**", "**Do not**"):
            assert words in section, (name, words)
        assert "```console\n$ " in section, name


def test_each_alert_names_its_section() -> None:
    text = (FOLDER / "alerts.yml").read_text()
    rules = re.split(r"- alert: ", text)[1:]
    for rule in rules:
        name = rule.partition("\n")[0]
        assert f"runbook: docs/at-3-am.md#{name.lower()}\n" in rule
        for page in PAGES[1:]:
            assert f"`{name}`" in page


@with_promtool
def test_alerts_are_rules() -> None:
    promtool("check", "rules", FOLDER / "alerts.yml")


@with_promtool
def test_each_trouble_raises_its_alert_and_no_other(tmp_path: Path) -> None:
    tests = []
    for trouble, inputs in {"": HEALTHY, **TROUBLES}.items():
        counts = [
            {
                "expr": f'count(ALERTS{{alertstate="firing",alertname="{name}"}}) or vector(0)',
                "eval_time": "20m",
                "exp_samples": [{"labels": "{}", "value": int(trouble.startswith(name))}],
            }
            for name in sorted(alerts())
        ]
        tests.append(
            {"interval": "1m", "name": trouble, "input_series": inputs, "promql_expr_test": counts}
        )
    rules = [str(FOLDER / "alerts.yml")]
    (tmp_path / "troubles.yml").write_text(json.dumps({"rule_files": rules, "tests": tests}))
    promtool("test", "rules", tmp_path / "troubles.yml")
