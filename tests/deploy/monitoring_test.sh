#!/usr/bin/env bash
# Alert rules by promtool's own unit tests; the dashboard is JSON that names panels once.
# That every series they name is there, metrics_names_test asks real services.
set -eu
cd "$1/deploy/monitoring"
promtool check rules alerts.yml
promtool test rules alerts_test.yml
python3 - <<'PYTHON'
import json
panels = json.load(open("dashboard.json"))["panels"]
ids = [panel["id"] for panel in panels]
assert len(set(ids)) == len(ids), ids
for panel in panels:
    assert panel["title"] and panel["targets"], panel

import re
runbook = open("../RUNBOOK.md").read()
sections = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"(?m)^#+ (.*)$", runbook)}
alerts = open("alerts.yml").read()
links = re.findall(r'runbook_url: "[^"#]*/RUNBOOK\.md#([^"]*)"', alerts)
assert len(links) == alerts.count("- alert: "), "every alert has a runbook_url"
assert set(links) <= sections, set(links) - sections
PYTHON
