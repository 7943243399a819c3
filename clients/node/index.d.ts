import type { Entry, Figures, Job, Missed, NewJob, Notice, Run, Stat } from "./api.js";

export type { Attempt, Entry, Figures, Job, Missed, NewJob, Notice, Run, Stat, Trigger } from "./api.js";

/** An instant: a Date, or a text by RFC 3339. */
export type When = Date | string;

export interface Options {
  /** What to show a daemon that asks for a token. */
  token?: string;
  /** The pauses after which what may be repeated is repeated, in milliseconds. */
  pauses?: Iterable<number>;
  /** Ends all that the client does. */
  signal?: AbortSignal;
}

export interface JobCriteria {
  name?: string;
  owner?: string;
  tag?: string;
  state?: "enabled" | "disabled" | "running" | "waiting" | "failing" | "done";
  next_before?: When;
  sort?: string;
  /** How many a page has. */
  limit?: number;
}

export interface RunCriteria {
  outcome?: string | string[];
  cause?: string | string[];
  since?: When;
  until?: When;
  /** How many a page has. */
  limit?: number;
}

/** What is to be made, edited and deleted together; `version` is that of the job which was read. */
export interface Changes {
  create?: Iterable<NewJob & { id: string }>;
  edit?: Iterable<NewJob & { id: string; version: number }>;
  delete?: Iterable<{ id: string; version: number }>;
}

export const URL_OF_A_DAEMON: string;

/**
 * Asks a daemon. Each method rejects with a NotDone whose kind says what to do. What may be repeated
 * without harm is repeated if the connection breaks or the daemon can't do it now: all that only
 * reads, `create`, `delete`, and `replace` without a version.
 */
export class Client {
  constructor(url?: string | URL, options?: Options);
  /** Create a job, once, however often it is called with one `id`, a UUID; return its id. */
  create(keys: NewJob, options?: { id?: string }): Promise<string>;
  /** Create all of these jobs, or none; one may name those before it. */
  createAll(jobs: Iterable<NewJob>): Promise<string[]>;
  /** Make all of these changes, or none; never repeated, since others may have gone on from it. */
  apply(changes: Changes): Promise<void>;
  get(id: string): Promise<Job>;
  /** Yield the jobs that fit, page by page. */
  find(criteria?: JobCriteria): AsyncGenerator<Job, void, void>;
  /** Put another definition in the place of a job's own, if it is still at `version`. */
  replace(id: string, keys: NewJob, options?: { version?: number }): Promise<Job>;
  /** Change some keys, if the job is still at `version`; null gives one its default. */
  patch(
    id: string,
    keys: { [Key in keyof NewJob]?: NewJob[Key] | null },
    options?: { version?: number },
  ): Promise<Job>;
  /** Delete a job, and the children that have no other parent. */
  delete(id: string): Promise<void>;
  deleteAll(): Promise<void>;
  /** Start a job now; never repeated, since it might run twice. */
  start(id: string): Promise<void>;
  enable(id: string): Promise<void>;
  disable(id: string): Promise<void>;
  /** Yield what became of the triggers of a job, or of all, the latest first. */
  runs(id?: string, criteria?: RunCriteria): AsyncGenerator<Entry, void, void>;
  run(runId: string): Promise<Run>;
  cancel(runId: string): Promise<void>;
  /** What a run has written so far, or the last bytes of it. */
  output(runId: string, options?: { tail?: number }): Promise<Uint8Array>;
  /** Yield what a run writes, as it writes it, until it is over. */
  follow(runId: string): AsyncGenerator<Uint8Array, void, void>;
  missed(id: string): Promise<Missed[]>;
  notices(id: string): AsyncGenerator<Notice, void, void>;
  jobStats(id: string): Promise<Stat[]>;
  stats(): Promise<Figures>;
}

/** The root of what the client throws; its message is the daemon's own sentence, if it said one. */
export class NotDone extends Error {
  /** That of the answer; null where there was none. */
  readonly status: number | null;
}
/** The request can't be accepted as it is: correct what is named, and send it again. */
export class Refused extends NotDone {}
/** There is no such job or run: look it up again. */
export class NotFound extends NotDone {}
/** The job's present state forbids it: change that state first. */
export class Conflict extends NotDone {}
/** Somebody else has changed the job since it was read: read it again, and change that. */
export class Outdated extends NotDone {}
/** It was carried out or it was not: look, and then decide whether to send it again. */
export class Unanswered extends NotDone {}
/** Nothing was changed, and nothing is wrong with the request: send it again later. */
export class TryLater extends NotDone {
  /** In how many seconds, if the daemon said so. */
  readonly retryAfter: number | null;
}
