"""For each key of a job, JSON that works: what refusals show."""

from kala_trio.core.errors import Refused

EXAMPLES = {
    "name": '"nightly backup"',
    "command": '"sh /usr/local/bin/backup.sh"',
    "owner": '"ada@example.com"',
    "disabled": "false",
    "schedule": '"R/2030-01-01T09:00:00Z/P1D"',
    "time_zone": '"Europe/Berlin"',
    "parent_jobs": '["93b65499-b211-49ce-57e0-19e735cc5abd"] or null',
    "on_failure_job": '"" or the id of a job that GET /api/v1/job/ lists',
    "retries": "3",
    "epsilon": '"PT5M"',
    "resume_at_next_scheduled_time": "false",
    "rerun_lost": "false",
    "template_delimiters": '"{{ }}"',
    "tags": '["backup", "nightly"] or null',
    "cron": '"0 9 * * MON-FRI"',
    "schedules": '["0 9 * * MON-FRI", "R/2030-01-01T18:00:00Z/P1M"]',
    "not_after": '"2030-12-31T23:59:59Z"',
    "excluded_dates": '["2026-12-25", "2026-12-24/2027-01-01"]',
    "jitter": '"PT5M"',
    "env": '{"LANG": "C.UTF-8"}',
    "cwd": '"/srv/backup"',
    "user": '"www-data"',
    "group": '"www-data"',
    "umask": '"027"',
    "stdin": '"some text"',
    "shell": "true",
    "timeout": '"PT5M"',
    "overlap": '"queue" or "skip", "allow", "replace"',
    "max_running": "4",
    "catch_up": '"latest" or "all", "none"',
    "catch_up_limit": "100",
    "parent_rule": '"any" or "all"',
    "retry_delay": '"PT10S"',
    "retry_backoff": "2",
    "retry_max_delay": '"PT10M"',
    "retry_jitter": "0.5",
    "retry_exit_codes": "[75, 111] or []",
    "type": "0 for a command, 1 for a request to remote_properties.url",
    "remote_properties": 'null or {"url": "https://example.com/hook"}, for a job of type 1',
    "remote_properties.url": '"https://example.com/hook?source=kala"',
    "remote_properties.method": '"POST"',
    "remote_properties.headers": '{"Content-Type": ["application/json"]}',
    "remote_properties.body": '"{\\"text\\": \\"hello\\"}"',
    "remote_properties.timeout": "30, in seconds",
    "remote_properties.expected_response_codes": "[200, 201]",
    "remote_properties.follow_redirects": "true",
}


def refused(field: str, problem: str, found: object) -> Refused:
    """Return the refusal of a key's value, with its example."""
    return Refused(field, problem, found=found, example=EXAMPLES[field])
