"""The alert rules for Prometheus use existing metrics and pass their own tests."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "packaging" / "prometheus"
FUNCTIONS = {"sum", "by", "and", "on", "increase", "resets", "job", "instance", "remote", "state", "up"}


def alerts():
    (group,) = yaml.safe_load((RULES / "syncd-alerts.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def documented_metrics():
    """Return the metrics in the reference, which another test compares with the code."""
    text = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    return {
        name: set(labels.replace("`", "").split())
        for name, labels in re.findall(r"(?m)^\| `(\w+)` \| \w+ \|(.*?)\|", text)
    }


def test_alert_rules_use_existing_metrics():
    metrics = documented_metrics()
    assert "syncd_jobs" in metrics
    for name, rule in alerts().items():
        expression = re.sub(r'"[^"]*"|\[\w+\]', "", rule["expr"])
        names = set(re.findall(r"\b[a-z_]{2,}\b", expression)) - FUNCTIONS
        assert names <= metrics.keys(), name


def test_alert_rules_use_existing_labels():
    metrics = documented_metrics()
    for name, rule in alerts().items():
        for metric, selectors in re.findall(r"(syncd_\w+)\{([^}]*)\}", rule["expr"]):
            assert set(re.findall(r"(\w+)=", selectors)) <= metrics[metric], name
        used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) - {"instance"}
        assert used <= set().union(*(metrics[metric] for metric in re.findall(r"syncd_\w+", rule["expr"]))), name


def test_alert_rules_are_documented_and_tested():
    monitor = (ROOT / "docs" / "how-to" / "monitor.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"(?m)^\| `(Syncd\w+)` \| (\w+) \|", monitor))
    assert documented == {name: rule["labels"]["severity"] for name, rule in alerts().items()}
    tests = yaml.safe_load((RULES / "syncd-alerts.test.yml").read_text(encoding="utf-8"))["tests"]
    raised = {case["alertname"] for test in tests for case in test["alert_rule_test"] if "exp_alerts" in case}
    assert raised == set(alerts())


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
@pytest.mark.parametrize(
    "command",
    [
        ["check", "rules", "syncd-alerts.yml"],
        ["test", "rules", "syncd-alerts.test.yml"],
        ["check", "config", "syncd-scrape.yml"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_promtool_accepts(command):
    done = subprocess.run(["promtool", *command], cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
