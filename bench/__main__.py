"""Compares syncd with its peers, case by case, alternating in one run: ``make bench``.

    .venv/bin/python -m bench [--quick] [--pairs 5] [--case TEXT] [--json FILE] [--against FILE]

Prints medians, spreads and ratios; a ratio is syncd's files per second divided by the peer's. Absolute numbers depend
on the machine, and only ratios within one run can be compared. ``--json`` writes all runs, ``--against`` compares the
ratios with those of an earlier file.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from bench import daemon_cases
from bench.cases import CASES, Case
from bench.clients import Run, make_files, peer, serving

QUICK_SHARE = 0.1
QUICK_PAIRS = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the files, one pair a case")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--case", default="", help="only the cases whose name contains this")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    before = json.loads(given.against.read_text()) if given.against else {}
    results: dict[str, Any] = {}
    for case in CASES:
        if given.case in case.name:
            chosen = case.scaled(QUICK_SHARE) if given.quick else case
            results[case.name] = compare(chosen, QUICK_PAIRS if given.quick else given.pairs, before.get(case.name, {}))
    for name, measure in daemon_cases.MEASUREMENTS.items():
        if given.case in name:
            results[name] = measure(quick=given.quick)
            print(f"{name}\n    {results[name]}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


def compare(case: Case, pairs: int, before: dict[str, Any]) -> dict[str, Any]:
    """Run syncd and each peer ``pairs`` times in turn; print and return the results."""
    folder = make_files(case.count, case.size)
    clients = {"syncd": case.syncd, **{name: run for name, run in case.peers.items() if is_there(name)}}
    runs: dict[str, list[Run]] = {name: [] for name in clients}
    notes = []
    with serving(*case.server) as server:
        for _ in range(pairs):
            for name, client in clients.items():
                server.reset()
                runs[name].append(client(server.url, folder))
                stats = server.stats()
                if stats["Files"] != case.count or stats["Bad"]:
                    raise SystemExit(f"bench: {name} sent {stats['Files']} of {case.count} files: {stats}")
                if name == "syncd":
                    notes.append(case.check(stats))
    print(f"{case.name}: {case.count:,} files of {case.size:,} bytes", flush=True)
    ours = runs["syncd"]
    result: dict[str, Any] = {}
    for name, theirs in runs.items():
        # Neighbours in time are compared with each other, as the machine may change its pace.
        ratio = statistics.median(b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True))
        cpu = statistics.median(a.cpu / b.cpu for a, b in zip(ours, theirs, strict=True))
        seconds = sorted(run.seconds for run in theirs)
        result[name] = {
            "files_per_second": case.count / statistics.median(seconds),
            "slowest": case.count / seconds[-1],
            "fastest": case.count / seconds[0],
            "cpu_ms_per_file": 1000 * statistics.median(run.cpu for run in theirs) / case.count,
            "peak_mb": max(run.peak for run in theirs),
            "ratio": ratio,
            "cpu_ratio": cpu,
        }
        print("    " + row(name, case, result[name], before.get(name)))
    for target in case.targets:
        if target.peer in result:
            print("    " + verdict(target.peer, result[target.peer], target.least, target.most_cpu))
    if any(notes):
        print("    " + "; ".join(notes))
        result["notes"] = notes
    return result


def row(name: str, case: Case, result: dict[str, float], before: dict[str, float] | None) -> str:
    rate = result["files_per_second"]
    line = f"{name:10} {rate:7.0f} files/s ({result['slowest']:.0f}-{result['fastest']:.0f})"
    line += f" {rate * case.size / 1e6:6.1f} MB/s {result['cpu_ms_per_file']:7.2f} ms CPU a file"
    line += f" {result['peak_mb']:5.0f} MB"
    if case.line_rate:
        line += f"  {rate * case.size / case.line_rate:.0%} of the line"
    if name != "syncd":
        line += f"  syncd is {result['ratio']:.2f} x as fast, {result['cpu_ratio']:.2f} x the CPU"
        if before:
            line += f" (before: {before['ratio']:.2f} x, {before['cpu_ratio']:.2f} x)"
    return line


def verdict(peer_name: str, result: dict[str, float], least: float | None, most_cpu: float | None) -> str:
    parts = []
    if least is not None:
        parts.append(f"wanted >= {least:.2f} x its speed: {'met' if result['ratio'] >= least else 'MISSED'}")
    if most_cpu is not None:
        parts.append(f"wanted <= {most_cpu:.2f} x its CPU: {'met' if result['cpu_ratio'] <= most_cpu else 'MISSED'}")
    return f"-> {peer_name}: {', '.join(parts)} ({result['ratio']:.2f} x, CPU {result['cpu_ratio']:.2f} x)"


def is_there(client: str) -> bool:
    return not client.startswith(("rclone", "s5cmd")) or bool(peer(client.split(maxsplit=1)[0]))


if __name__ == "__main__":
    main()
