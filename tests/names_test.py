#!/usr/bin/env python3
"""Fails when a retired name stands anywhere but in an alias.

  names_test.py ROOT

One thing has one name, which is the field's. What users could see before keeps its old name as an
alias until 1.0; those places are listed here.
"""

import os
import re
import sys

FOLDED = (
    r"homeward_folded_frames_total|homeward_dead_letters_full|(ledger\.)?fold_interval_ms|"
    r"HOMEWARD_LEDGER_FOLD_INTERVAL_MS"
)
GIVEN_BACK = r"homeward_given_back_total"

# Retired name (a regular expression of whole words) and the name that took its place.
RETIRED = {
    r"[Dd]epartures?|Flight|PublishAnswer": "OutgoingFrame, PendingAck, PubAck",
    r"LeftRuns?|left runs?": "OrphanedRun",
    r"Burial|bury": "LostRange, report_lost(), add_dead_letters()",
    r"LaneMark|LaneShape(V1)?|closing mark": "LaneCheckpoint, LaneSuperblock, end-of-stream frame",
    r"(fence_all_threads|prepare_all_threads_fence|all_threads_fence)": "process_membarrier",
    r"OwnerPage|populate": "ForkDetectionPage, prefault",
    r"HeldEvents|emit_aside": "BufferedEvents, emit_slow",
    r"Latecomers|LetterRoom|letters_full": "PendingStreams, DeadLetterQuota, quota_full",
    r"AckKeeper|AckGate|Lineage|CommitMemory":
        "AckDeadlineExtender, ReplicationBarrier, LeaderFence, RecentCommits",
    r"look_back|note_lacking": "find_commits_lost_in_failover",
    r"FrameUnit|BatchWant|Pulled": "MessageWork, BatchBounds, PulledMessage",
    r"set_aside|keep_aside|kept aside": "quarantine",
    r"sift|copy_apart|give_back\w*": "isolate_bad_rows, nak_later",
    r"twins?|Settler|tend_\w+": "duplicate streams, StreamReconciler, maintain_…",
    r"Gate|ReadGate|ForkGate|GateOptions|ReadGateOptions": "RequestHandler, SessionConsistency, ForkGuard",
    r"Sight|Visit|Settle": "ReplicaStatus, HandlerResult, Completion",
    r"other_history|HOMEWARD_OTHER_HISTORY": "different_timeline",
    FOLDED: "compacted, dead_letter_quota_full",
    GIVEN_BACK: "homeward_delayed_naks_total",
    r"WALK\.md|deploy/lab|lab/\w+": "TUTORIAL.md, deploy/demo",
    r"stands twice": "duplicate",
    r"let us in": "authentication failed",
    r"belongs into": "must be inside",
}

# File (a regular expression) and the retired names that it may still have: aliases until 1.0, labels
# of metrics, which cannot have two values, and what a released version wrote.
ALIASES = {
    r"publisher/replay/include/homeward/replay/(request_handler|session_consistency)\.hpp":
        r"Gate|ReadGate|GateOptions|ReadGateOptions|Sight|Visit|Settle",
    r"publisher/replay/include/homeward/replay/decide\.hpp": r"other_history",
    r"publisher/include/homeward_replay\.h": r"HOMEWARD_OTHER_HISTORY",
    r"deploy/monitoring/alerts\.yml": r"other_history",
    r"consumer/(metrics/metric_families|base/config_settings)\.(cpp|hpp)": FOLDED,
    r"tests/consumer/(base/config|service/metrics)_test\.cpp": FOLDED,
    r"consumer/metrics/metric_families\.cpp|tests/consumer/service/metrics_test\.cpp": GIVEN_BACK,
    r"schemas/migrations/0020_consumers\.sql": FOLDED,
    r"schemas/migrations/v0\.1\.0\.objects|deploy/roles\.sql": r"bury",
}

ROOTS = ("schemas", "publisher", "consumer", "tests", "deploy", ".github")
KEPT = re.compile(
    r"^(schemas/migrations/000[1-8]_|schemas/golden/|tests/publisher/v0\.1\.0/|tests/fault/releases/|"
    r"tests/consumer/ledger/v0\.1\.0/|tests/names_test\.py|.*\.(json|png|svg|gz|bin)$)")


def sources(root):
    for name in sorted(os.listdir(root)):
        if name.endswith((".md", ".txt")) and name != "CHANGELOG.md":
            yield name
    for top in ROOTS:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                if not KEPT.match(path):
                    yield path


def mistakes(root):
    retired = [(re.compile(rf"(?<![\w.])(?:{old})(?!\w)"), new) for old, new in RETIRED.items()]
    any_retired = re.compile("|".join(RETIRED))
    aliases = [(re.compile(path), re.compile(rf"(?:{names})")) for path, names in ALIASES.items()]
    for path in sources(root):
        try:
            with open(os.path.join(root, path), encoding="utf-8") as source:
                lines = source.read().split("\n")
        except UnicodeDecodeError:
            continue
        if not any_retired.search("\n".join(lines)):
            continue
        allowed = [names for pattern, names in aliases if pattern.fullmatch(path)]
        for number, line in enumerate(lines, 1):
            if not any_retired.search(line):
                continue
            for pattern, new in retired:
                for found in pattern.finditer(line):
                    if not any(names.fullmatch(found[0]) for names in allowed):
                        yield f"{path}:{number}: '{found[0]}' is a retired name: {new}"


def main():
    found = list(mistakes(sys.argv[1]))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
