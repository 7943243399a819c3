// A client for kala-trio, the job scheduler.

export { Client, URL_OF_A_DAEMON } from "./client.js";
export { Conflict, NotDone, NotFound, Outdated, Refused, TryLater, Unanswered } from "./errors.js";
