"""Without their libraries, nothing here runs that takes them; in CI they have to be there."""

import os
from importlib.util import find_spec

NEEDS = {
    "test_prometheus.py": ["prometheus_client"],
    "test_prometheus_processes.py": ["prometheus_client"],
    "test_alerts.py": ["prometheus_client"],
    "test_opentelemetry.py": ["opentelemetry"],
    "test_harmless.py": ["opentelemetry"],
    "test_names_fuzzed.py": ["hypothesis", "opentelemetry", "prometheus_client"],
}

missing = {each for needed in NEEDS.values() for each in needed if find_spec(each) is None}
if missing and os.environ.get("SERVERS") == "required":
    raise ImportError(f"not installed: {', '.join(sorted(missing))}")
collect_ignore = [file for file, needed in NEEDS.items() if missing & {*needed}]
