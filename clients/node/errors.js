// What may go wrong when a kala-trio is asked, each by what its caller should do.

/** The root of what the client throws; its message is the daemon's own sentence, if it said one. */
export class NotDone extends Error {
  constructor(sentence, status = null, options = undefined) {
    super(sentence, options);
    this.name = this.constructor.name;
    /** That of the answer; null where there was none. */
    this.status = status;
  }
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
  constructor(sentence, status = null, retryAfter = null, options = undefined) {
    super(sentence, status, options);
    /** In how many seconds, if the daemon said so. */
    this.retryAfter = retryAfter;
  }
}
