# SPDX-License-Identifier: MIT
"""The alerts in share/: each fires for what it is about, says so, and for nothing less.

promtool computes them from made-up series, as Prometheus would.
"""

import json
import re
import shutil
import subprocess

import peers
import pytest
from cli_tool import ROOT

RULES = ROOT / "share" / "snakepit.rules.yml"
POOL = {"pool": "a"}
HERE = {"instance": "here"}


def series(name, values, **labels):
    """One of Prometheus' time series: a value a minute, in promtool's short form."""
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{inner}}}", "values": values}


def lag(up_to_100_ms, longer):
    """Growing counts of a loop's turns: those not late, and those late by up to a second."""
    return [series("snakepit_loop_lag_seconds_bucket", values, le=bound, **HERE)
            for bound, values in (("0.1", up_to_100_ms), ("1", longer), ("+Inf", longer))]


# name: (the series that make it fire, the minute in which it does, its labels, what it says,
#        [series that do not, in no minute])
ALERTS = {
    "SnakepitNotReady": (
        [series("snakepit_health", "0x10", aspect="ready", **HERE)], 2,
        {"severity": "critical", "aspect": "ready", **HERE},
        ("here takes no calls, or a pool has no worker",
         "`snakepit status --deaths` says how the last workers ended."),
        [
            [series("snakepit_health", "0 0 1 0 0 1 0 0 1", aspect="ready", **HERE)],
            [series("snakepit_health", "0x10", aspect="healthy", **HERE)],
        ],
    ),
    "SnakepitBreakerOpen": (
        [series("snakepit_breaker_state", "1x10", **POOL)], 1,
        {"severity": "critical", **POOL},
        ("pool a starts no workers: too many died",
         "`snakepit status --deaths` has their causes and last lines."),
        [[series("snakepit_breaker_state", "0 1 0 2 0 1 0", **POOL)]],
    ),
    "SnakepitQueueFilling": (
        [series("snakepit_pool_queue_length", "900x10", **POOL),
         series("snakepit_pool_queue_limit", "1000x10", **POOL)], 1,
        {"severity": "warning", **POOL},
        ("the queue of pool a is 90% full",
         "Calls will be refused with SP-QUEUE-FULL: add workers, or call less."),
        [[series("snakepit_pool_queue_length", "800x10", **POOL),
          series("snakepit_pool_queue_limit", "1000x10", **POOL)]],
    ),
    "SnakepitQueueStuck": (
        [series("snakepit_pool_queue_oldest_seconds", "45x10", **POOL)], 1,
        {"severity": "warning", **POOL},
        ("the first in the queue of pool a waits for 45 s",
         "Is a call hanging? `snakepit status -o wide` shows who is busy."),
        [[series("snakepit_pool_queue_oldest_seconds", "30x10", **POOL)],
         [series("snakepit_pool_queue_oldest_seconds", "45 1 45 1 45 1", **POOL)]],
    ),
    "SnakepitCallsRefused": (
        [series("snakepit_calls_rejected_total", "0+1x20", reason="SP-QUEUE-FULL", **POOL)], 7,
        {"severity": "warning", "reason": "SP-QUEUE-FULL", **POOL},
        ("pool a refuses calls: SP-QUEUE-FULL",
         "`snakepit explain SP-QUEUE-FULL` says what to do."),
        [[series("snakepit_calls_rejected_total", "5x20", reason="SP-QUEUE-FULL", **POOL)]],
    ),
    "SnakepitCallsFail": (
        [series("snakepit_calls_total", "0+60x30", code="SP-OK", tool="f", **POOL),
         series("snakepit_calls_total", "0+20x30", code="SP-REMOTE", tool="f", **POOL),
         series("snakepit_calls_total", "0+10x30", code="SP-TIMEOUT", tool="g", **POOL)], 20,
        {"severity": "warning", **POOL},
        ("33.33% of the calls of pool a fail", "snakepit_calls_total has them by tool and code."),
        [
            [series("snakepit_calls_total", "0+60x30", code="SP-OK", **POOL),
             series("snakepit_calls_total", "0+60x30", code="SP-CANCELLED", **POOL)],
            [series("snakepit_calls_total", "0+96x30", code="SP-OK", **POOL),
             series("snakepit_calls_total", "0+4x30", code="SP-REMOTE", **POOL)],
            [series("snakepit_calls_total", "7x30", code="SP-REMOTE", **POOL)],
        ],
    ),
    "SnakepitWorkersDie": (
        [series("snakepit_worker_deaths_total", "0+1x20", cause="crashed", **POOL)], 12,
        {"severity": "warning", "cause": "crashed", **POOL},
        ("workers of pool a die: crashed",
         "`snakepit status --deaths` has their last lines and the calls they had."),
        [
            [series("snakepit_worker_deaths_total", "0+9x20", cause=cause, **POOL)]
            for cause in ("stopped", "recycled", "cancelled", "operator")
        ] + [[series("snakepit_worker_deaths_total", "0+1x2 2x20", cause="crashed", **POOL)]],
    ),
    "SnakepitSessionsFilling": (
        [series("snakepit_sessions", "95x20", **HERE),
         series("snakepit_session_limit", "100x20", **HERE)], 5,
        {"severity": "warning", **HERE},
        ("95% of the sessions there may be are there",
         "One more than sessions.max is refused: end them, or shorten their time to live."),
        [[series("snakepit_sessions", "90x20", **HERE),
          series("snakepit_session_limit", "100x20", **HERE)]],
    ),
    "SnakepitLoopLags": (
        lag("0x40", "0+60x40"), 25,
        {"severity": "warning", **HERE},
        ("the loop of here is late by 0.91 s",
         "The machine is overloaded, or the host is stopped for long."),
        [lag("0+60x40", "0+60x40"), lag("0+55x40", "0+60x40")],
    ),
    "SnakepitTelemetryLost": (
        [series("snakepit_export_dropped_total", "0+1x40", signal="traces", reason="refused",
                **HERE)], 11,
        {"severity": "warning", "signal": "traces", "reason": "refused", **HERE},
        ("traces of here get lost: refused",
         "Does the collector of telemetry.otlp or telemetry.statsd run, and keep up?"),
        [
            [series("snakepit_export_dropped_total", values, signal="traces", reason="refused",
                    **HERE)]
            for values in ("5x40", "0x5 3x30")  # long ago; once
        ],
    ),
    "SnakepitFewDescriptorsLeft": (
        [series("process_open_fds", "900x20", **HERE),
         series("process_max_fds", "1000x20", **HERE)], 5,
        {"severity": "warning", **HERE},
        ("here has 90% of its descriptors open",
         "Raise the limit (LimitNOFILE), or lower listen.clients or size."),
        [[series("process_open_fds", "800x20", **HERE),
          series("process_max_fds", "1000x20", **HERE)]],
    ),
}  # fmt: skip
LAST_MINUTE = 30

# What is computed beforehand: (the series, the expression, its value after ten minutes)
RECORDED = {
    "snakepit:calls:rate5m": (
        [series("snakepit_calls_total", "0+60x20", code="SP-OK", tool="f", **POOL),
         series("snakepit_calls_total", "0+30x20", code="SP-REMOTE", tool="g", **POOL)],
        {"pool": "a"}, 1.5,
    ),
    "snakepit:call_errors:ratio5m": (
        [series("snakepit_calls_total", "0+60x20", code="SP-OK", **POOL),
         series("snakepit_calls_total", "0+20x20", code="SP-REMOTE", **POOL)],
        {"pool": "a"}, 0.25,
    ),
    "snakepit:call_duration_seconds:p99": (
        [series("snakepit_call_duration_seconds_bucket", "0+100x20", le=le, tool="f", **POOL)
         for le in ("1", "+Inf")],
        {"pool": "a", "tool": "f"}, 0.99,
    ),
    "snakepit:queue_wait_seconds:p99": (
        [series("snakepit_queue_wait_seconds_bucket", "0+100x20", le=le, **POOL)
         for le in ("1", "+Inf")],
        {"pool": "a"}, 0.99,
    ),
}  # fmt: skip


def promtool(*words, cwd=None):
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (prometheus)")
    return subprocess.run(["promtool", *words], capture_output=True, text=True, cwd=cwd,
                          timeout=peers.DEADLINE_S)


def judged(place, *tests):
    """What promtool says of the rules with these series; it reads JSON as YAML."""
    files = {"rule_files": [str(RULES)], "evaluation_interval": "1m",
             "tests": [{"interval": "1m", **test} for test in tests]}
    (place / "test.yml").write_text(json.dumps(files))
    return promtool("test", "rules", "test.yml", cwd=place)


def check(place, *tests):
    ran = judged(place, *tests)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def at(minute, name, *expected):
    return {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": list(expected)}


def test_promtool_accepts_the_rules():
    ran = promtool("check", "rules", str(RULES))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{len(ALERTS) + len(RECORDED)} rules found" in ran.stdout


def test_every_rule_is_tried_here():
    text = RULES.read_text()
    assert sorted(re.findall(r"alert: (\S+)", text)) == sorted(ALERTS)
    assert sorted(re.findall(r"record: (\S+)", text)) == sorted(RECORDED)


@pytest.mark.parametrize("name", ALERTS)
def test_it_fires_and_says_for_what(tmp_path, name):
    given, minute, labels, (summary, description), _ = ALERTS[name]
    alert = {"exp_labels": labels,
             "exp_annotations": {"summary": summary, "description": description}}
    check(tmp_path, {"input_series": given, "alert_rule_test": [
        at(0, name), at(minute, name, alert), at(minute + 1, name, alert),
    ]})  # fmt: skip


@pytest.mark.parametrize("name", ALERTS)
def test_it_does_not_fire_for_less(tmp_path, name):
    quiet = ALERTS[name][4]
    assert quiet
    check(tmp_path, *(
        {"input_series": given,
         "alert_rule_test": [at(minute, name) for minute in range(LAST_MINUTE)]}
        for given in quiet
    ))  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded(tmp_path, name):
    given, labels, value = RECORDED[name]
    inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
    check(tmp_path, {"input_series": given, "promql_expr_test": [
        {"expr": name, "eval_time": "10m",
         "exp_samples": [{"labels": f"{name}{{{inner}}}", "value": value}]},
    ]})  # fmt: skip


def test_promtool_would_say_what_is_wrong(tmp_path):
    given, minute, labels, _, quiet = ALERTS["SnakepitQueueStuck"]
    silent = judged(tmp_path, {"input_series": given,
                               "alert_rule_test": [at(minute, "SnakepitQueueStuck")]})
    loud = judged(tmp_path, {"input_series": quiet[0], "alert_rule_test": [
        at(minute, "SnakepitQueueStuck", {"exp_labels": labels, "exp_annotations": {}}),
    ]})  # fmt: skip
    assert silent.returncode != 0 and loud.returncode != 0
