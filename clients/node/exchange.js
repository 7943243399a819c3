// What becomes of a request: its answer, an error, or another try.

import { setTimeout as sleep } from "node:timers/promises";

import { Conflict, NotDone, NotFound, Outdated, Refused, TryLater, Unanswered } from "./errors.js";

const ERRORS = { 404: NotFound, 409: Conflict, 412: Outdated };
const LATER = new Set([429, 503]);
const BUG = 500;
const LONGEST_PAUSE = 10; // in seconds; who is asked to wait longer is told so
// With these nothing has been sent.
const NOT_CONNECTED = new Set([
  "ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT",
]);

/** The tries at one request: one, and after each pause one more, if that does no harm. */
export class Tries {
  #url;
  #request;
  #ends;
  #pauses;
  #mayBeDone = false;

  constructor(url, request, { repeatable = false, ends = false }, pauses) {
    this.#url = url;
    this.#request = request;
    this.#ends = ends; // nothing is to be found once it was carried out
    this.#pauses = repeatable ? [...pauses] : [];
  }

  async carryOut(read) {
    for (;;) {
      try {
        return await this.#once(read);
      } catch (error) {
        if (!(error instanceof TryLater || error instanceof Unanswered)) throw error;
        await sleep(this.#pauseAfter(error), undefined, { signal: this.#request.signal });
      }
    }
  }

  async #once(read) {
    let answer;
    try {
      answer = await fetch(this.#url, this.#request);
      const isDone = answer.status === 404 && this.#mayBeDone && this.#ends;
      if (!answer.ok && !isDone) throw await errorOf(answer, this.#request.method);
      return await read(answer);
    } catch (error) {
      if (error instanceof NotDone || this.#request.signal?.aborted) throw error;
      if (error instanceof TypeError && error.cause) throw lost(this.#url, error);
      // Its body is not what kala-trio answers.
      throw new Refused(stranger(answer, this.#request.method), answer?.status, { cause: error });
    }
  }

  #pauseAfter(failure) {
    this.#mayBeDone ||= failure instanceof Unanswered;
    const wanted = failure.retryAfter ?? 0;
    const isHopeless = failure.status === BUG || wanted > LONGEST_PAUSE;
    const pause = isHopeless ? undefined : this.#pauses.shift();
    if (pause !== undefined) return Math.max(pause, wanted * 1000);
    if (this.#mayBeDone && failure instanceof TryLater && this.#request.method !== "GET") {
      // This try changed nothing, but an earlier one may have.
      throw new Unanswered(failure.message, failure.status, { cause: failure });
    }
    throw failure;
  }
}

/** Read what stands in an answer by a name. */
export function member(name) {
  return async (answer) => {
    const found = (await answer.json())[name];
    if (found === undefined) throw new SyntaxError(`no ${name}`);
    return found;
  };
}

export async function nothing(answer) {
  await answer.arrayBuffer(); // so that the connection can be used again
}

/** Read a page: what is on it, and the cursor of the next one, null on the last. */
export function page(entriesOf) {
  return async (answer) => {
    const found = await answer.json();
    return { entries: [...entriesOf(found)], next: found.next ?? null };
  };
}

/** Yield a body as it comes. */
export async function* follow(answer) {
  try {
    yield* answer.body;
  } catch (error) {
    throw lost(new URL(answer.url), error);
  }
}

async function errorOf(answer, method) {
  const { status } = answer;
  const said = await answer.json().then((body) => body?.error, () => undefined);
  if (typeof said !== "string" && status < 500 && !LATER.has(status)) {
    return new Refused(stranger(answer, method), status);
  }
  const sentence = said ?? stranger(answer, method);
  if (LATER.has(status)) {
    const after = answer.headers.get("retry-after") ?? "";
    return new TryLater(sentence, status, /^\d+$/.test(after) ? Number(after) : null);
  }
  if (status >= 500) return new Unanswered(sentence, status);
  return new (ERRORS[status] ?? Refused)(sentence, status);
}

/** Return what an exchange that broke means: that nothing was sent, or that nobody knows. */
function lost(url, error) {
  const why = error.cause?.message || error.cause?.code || error.message;
  if (NOT_CONNECTED.has(codeOf(error.cause))) {
    const sentence = `no kala-trio can be reached at ${url.origin}: ${why}`;
    return new TryLater(sentence, null, null, { cause: error });
  }
  const sentence = `the connection to ${url.origin} broke before all was answered: ${why}`;
  return new Unanswered(sentence, null, { cause: error });
}

/** Return the code of an error, or of the first of those that it sums up. */
function codeOf(error) {
  return error?.code ?? error?.errors?.[0]?.code;
}

function stranger(answer, method) {
  const { origin, pathname } = new URL(answer.url);
  const asked = `${method} ${origin}${pathname}`;
  return `${asked} was answered with ${answer.status}, not as kala-trio does; is it the URL?`;
}
