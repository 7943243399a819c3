// What the API takes and gives, made of its OpenAPI document by `python -m tests.node_types`.
// Instants are texts by RFC 3339, in UTC; docs/http-api.md tells what each key means.

export interface NewJob {
  /** What to call it. */
  name: string;
  /** Required, but for a remote job, which has none; run without a shell. */
  command?: string | null;
  /** Whose it is; the daemon's default owner if it is empty. */
  owner?: string | null;
  /** Accept it, but don't run it. */
  disabled?: boolean;
  /** An ISO 8601 recurrence; empty is once and now. */
  schedule?: string | null;
  /** An IANA name, for schedules that name none. */
  time_zone?: string | null;
  /** The ids of the jobs whose success triggers it; it has no schedule then. */
  parent_jobs?: string[] | null;
  /** The id of the job that is triggered when this one does not succeed. */
  on_failure_job?: string | null;
  /** Attempts beyond the first. */
  retries?: number;
  /** An ISO 8601 duration: how late an attempt may start; empty is any time. */
  epsilon?: string | null;
  /** Don't catch up after downtime. */
  resume_at_next_scheduled_time?: boolean;
  /** Run once more what was in progress when the daemon was killed. */
  rerun_lost?: boolean;
  /** To find it by, and to limit how many run at once. */
  tags?: string[] | null;
  /** The set of job files that it comes from. */
  file_set?: string | null;
  /** The request of a job of type 1. */
  remote_properties?: { url?: string | null; method?: "" | "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" | null; headers?: Record<string, string[] | null> | null; body?: string | null; timeout?: number; expected_response_codes?: number[] | null; follow_redirects?: boolean } | null;
  /** Two marks, which make templates of command, URL, headers and body. */
  template_delimiters?: string | null;
  /** An exact duration: how long an attempt may take. */
  timeout?: string | null;
  /** What becomes of a trigger while a run is in progress. */
  overlap?: "queue" | "skip" | "allow" | "replace";
  /** With overlap allow, how many runs at once; 0 is any number. */
  max_running?: number;
  /** What still runs of occurrences that were passed over. */
  catch_up?: "latest" | "all" | "none";
  /** With catch_up all, how many may wait. */
  catch_up_limit?: number;
  /** Whether any parent's success triggers it, or that of all of them. */
  parent_rule?: "any" | "all";
  /** An exact duration: the pause before a further attempt. */
  retry_delay?: string | null;
  /** By what each further pause is longer. */
  retry_backoff?: number;
  /** An exact duration: the longest pause. */
  retry_max_delay?: string | null;
  /** The part of a pause by which it may be shorter. */
  retry_jitter?: number;
  /** Retry only what ended with one of these codes; none is any. */
  retry_exit_codes?: number[] | null;
  /** Variables for the command, beside the daemon's. */
  env?: Record<string, string> | null;
  /** The directory that the command starts in, a full path. */
  cwd?: string | null;
  /** Whom the command runs as, by name or number. */
  user?: string | null;
  /** The group that the command runs as, by name or number. */
  group?: string | null;
  /** The file mode creation mask, in octal. */
  umask?: string | null;
  /** What the command reads on its standard input. */
  stdin?: string | null;
  /** The command is a line for /bin/sh. */
  shell?: boolean;
  /** A cron expression. */
  cron?: string | null;
  /** Further schedules, of ISO 8601 or cron. */
  schedules?: string[] | null;
  /** A date and time; nothing runs by itself later. */
  not_after?: string | null;
  /** Days, or first and last days with a slash between, on which nothing runs. */
  excluded_dates?: string[] | null;
  /** An exact duration: all is moved by less than that. */
  jitter?: string | null;
  /** The URL that gets a POST of JSON about what became of runs; or secrets.NAME. */
  notify_webhook?: string | null;
  /** Addresses that get an e-mail. */
  notify_email?: string[] | null;
  /** Of what; none is failure, recovery and late. */
  notify_on?: ("start" | "success" | "failure" | "recovery" | "late")[] | null;
  /** Tell of each failure, not only of the first in a row. */
  notify_every_time?: boolean;
  /** An exact duration: how long after its scheduled time a success is expected. */
  expect_within?: string | null;
  /** Pinged at each start, success and failure, as healthchecks.io has it. */
  ping_url?: string | null;
  /** Variables that are shown to nobody; true is one that stays as it is. */
  secrets?: Record<string, string | boolean> | null;
  /** The same from files, read at the start of each attempt. */
  secret_files?: Record<string, string> | null;
  /** 0 is a command, 1 is a request. */
  type?: 0 | 1;
}

export interface Job {
  /** What to call it. */
  name: string;
  /** Required, but for a remote job, which has none; run without a shell. */
  command: string;
  /** Whose it is; the daemon's default owner if it is empty. */
  owner: string;
  /** Accept it, but don't run it. */
  disabled: boolean;
  /** An ISO 8601 recurrence; empty is once and now. */
  schedule: string;
  /** An IANA name, for schedules that name none. */
  time_zone: string;
  /** The id of the job that is triggered when this one does not succeed. */
  on_failure_job: string;
  /** Attempts beyond the first. */
  retries: number;
  /** An ISO 8601 duration: how late an attempt may start; empty is any time. */
  epsilon: string;
  /** Don't catch up after downtime. */
  resume_at_next_scheduled_time: boolean;
  /** Run once more what was in progress when the daemon was killed. */
  rerun_lost: boolean;
  /** To find it by, and to limit how many run at once. */
  tags?: string[];
  /** The set of job files that it comes from. */
  file_set?: string;
  /** Two marks, which make templates of command, URL, headers and body. */
  template_delimiters: string;
  /** An exact duration: how long an attempt may take. */
  timeout?: string;
  /** What becomes of a trigger while a run is in progress. */
  overlap?: "queue" | "skip" | "allow" | "replace";
  /** With overlap allow, how many runs at once; 0 is any number. */
  max_running?: number;
  /** What still runs of occurrences that were passed over. */
  catch_up?: "latest" | "all" | "none";
  /** With catch_up all, how many may wait. */
  catch_up_limit?: number;
  /** Whether any parent's success triggers it, or that of all of them. */
  parent_rule?: "any" | "all";
  /** An exact duration: the pause before a further attempt. */
  retry_delay?: string;
  /** By what each further pause is longer. */
  retry_backoff?: number;
  /** An exact duration: the longest pause. */
  retry_max_delay?: string;
  /** The part of a pause by which it may be shorter. */
  retry_jitter?: number;
  /** Retry only what ended with one of these codes; none is any. */
  retry_exit_codes?: number[];
  /** Variables for the command, beside the daemon's. */
  env?: Record<string, string>;
  /** The directory that the command starts in, a full path. */
  cwd?: string;
  /** Whom the command runs as, by name or number. */
  user?: string;
  /** The group that the command runs as, by name or number. */
  group?: string;
  /** The file mode creation mask, in octal. */
  umask?: string;
  /** What the command reads on its standard input. */
  stdin?: string;
  /** The command is a line for /bin/sh. */
  shell?: boolean;
  /** A cron expression. */
  cron?: string;
  /** Further schedules, of ISO 8601 or cron. */
  schedules?: string[];
  /** A date and time; nothing runs by itself later. */
  not_after?: string;
  /** Days, or first and last days with a slash between, on which nothing runs. */
  excluded_dates?: string[];
  /** An exact duration: all is moved by less than that. */
  jitter?: string;
  /** The URL that gets a POST of JSON about what became of runs; or secrets.NAME. */
  notify_webhook?: string;
  /** Addresses that get an e-mail. */
  notify_email?: string[];
  /** Of what; none is failure, recovery and late. */
  notify_on?: ("start" | "success" | "failure" | "recovery" | "late")[];
  /** Tell of each failure, not only of the first in a row. */
  notify_every_time?: boolean;
  /** An exact duration: how long after its scheduled time a success is expected. */
  expect_within?: string;
  /** Pinged at each start, success and failure, as healthchecks.io has it. */
  ping_url?: string;
  /** The same from files, read at the start of each attempt. */
  secret_files?: Record<string, string>;
  /** The ids of the jobs whose success triggers it; it has no schedule then. */
  parent_jobs: string[] | null;
  /** Variables that are shown to nobody; true is one that stays as it is. */
  secrets?: Record<string, true>;
  /** The request of a job of type 1. */
  remote_properties: { url: string; method: string; headers: Record<string, string[]> | null; body: string; timeout: number; expected_response_codes: number[] | null; follow_redirects?: boolean };
  /** 0 is a command, 1 is a request. */
  type: 0 | 1;
  /** Successful runs. */
  success_count: number;
  /** 0001-01-01T00:00:00Z is never. */
  last_success: string;
  /** Failed attempts. */
  error_count: number;
  /** 0001-01-01T00:00:00Z is never. */
  last_error: string;
  /** 0001-01-01T00:00:00Z is never. */
  last_attempted_run: string;
  /** A UUID. */
  id: string;
  /** Each change by hand raises it. */
  version: number;
  /** The ids of its children. */
  dependent_jobs: string[] | null;
  /** The next occurrence; 0001-01-01T00:00:00Z is never. */
  next_run_at: string;
  metadata: { success_count: number; last_success: string; error_count: number; last_error: string; last_attempted_run: string; number_of_finished_runs: number };
  /** Its latest ended runs, oldest first. */
  stats: Stat[];
  /** Nothing will run by itself any more. */
  is_done: boolean;
  /** Only while a trigger waits. */
  pending?: Trigger;
  /** Only while there are any: the ids of its runs in progress. */
  running?: string[];
}

export interface Stat {
  job_id: string;
  /** The first attempt's start. */
  ran_at: string;
  number_of_retries: number;
  success: boolean;
  /** In nanoseconds. */
  execution_duration: number;
}

export interface Trigger {
  cause: "occurrence" | "manual" | "parent" | "failure" | "rerun";
  scheduled_at: string;
  occurrence: number | null;
  source: string | null;
}

export interface Attempt {
  number: number;
  started_at: string;
  ended_at: string | null;
  /** Why it did not succeed; empty if it did. */
  reason: string | null;
}

export interface Run {
  id: string;
  job_id: string;
  job_name: string;
  trigger: Trigger;
  started_at: string;
  ended_at: string | null;
  outcome: "succeeded" | "failed" | "timed_out" | "lost" | "stopped" | "cancelled" | null;
  /** Why it did not succeed, or was missed. */
  reason: string | null;
  /** Null unless it is in a pause between attempts. */
  next_attempt_at: string | null;
  attempts: Attempt[];
  /** How much it has written so far. */
  output_bytes: number;
}

export interface Entry {
  /** Null for what was missed. */
  id: string | null;
  job_id: string;
  job_name: string;
  trigger: Trigger;
  started_at: string | null;
  ended_at: string | null;
  outcome: "missed" | "succeeded" | "failed" | "timed_out" | "lost" | "stopped" | "cancelled" | null;
  /** Why it did not succeed, or was missed. */
  reason: string | null;
  /** Null unless it is in a pause between attempts. */
  next_attempt_at: string | null;
  attempts: Attempt[];
  /** How many adjacent triggers were missed. */
  count?: number;
  /** The scheduled time of the first of them. */
  first?: string;
  /** The scheduled time of the last of them. */
  last?: string;
}

export interface Missed {
  job_id: string;
  job_name: string;
  cause: "occurrence" | "manual" | "parent" | "failure" | "rerun";
  reason: "overlap" | "epsilon" | "late" | "downtime" | "disabled" | "deleted" | "edited";
  /** How many adjacent triggers were missed. */
  count: number;
  /** The scheduled time of the first of them. */
  first: string;
  /** The scheduled time of the last of them. */
  last: string;
}

export interface Notice {
  /** Counts what was told of the job. */
  number: number;
  job_id: string;
  job_name: string;
  news: "start" | "success" | "failure" | "recovery" | "late";
  channel: "webhook" | "email" | "ping";
  /** A URL, or addresses. */
  receiver: string;
  /** When it was decided on. */
  at: string;
  /** Null for what is late. */
  run_id: string | null;
  /** Of the run, or of what is late. */
  scheduled_at: string;
  /** Why it is late. */
  reason: string | null;
  /** How often it was sent. */
  tries: number;
  /** When it was taken. */
  delivered_at: string | null;
  /** Null once it was taken or given up. */
  next_try_at: string | null;
  /** Why the last try failed, or who refused what others took. */
  error: string | null;
}

export interface Figures {
  /** Jobs that are not disabled. */
  active_jobs: number;
  disabled_jobs: number;
  jobs: number;
  error_count: number;
  success_count: number;
  /** The earliest; 0001-01-01T00:00:00Z is never. */
  next_run_at: string;
  /** The latest; 0001-01-01T00:00:00Z is never. */
  last_attempted_run: string;
  /** When this was counted. */
  created: string;
  /** Runs in progress. */
  running: number;
  running_by_tag: Record<string, number>;
  /** Triggers that wait. */
  waiting: number;
}
