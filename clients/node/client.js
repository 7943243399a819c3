// The client: each method asks a daemon over its HTTP API, and promises what it answers.

import { Tries, follow, member, nothing, page } from "./exchange.js";
import { NotFound, Refused } from "./errors.js";

/** Where a daemon listens if nobody says. */
export const URL_OF_A_DAEMON = "http://127.0.0.1:8000";

const PAUSES = [100, 500, 2000];
const USUAL_PAGE = 100;

export class Client {
  #base;
  #headers;
  #pauses;
  #signal;

  constructor(url = URL_OF_A_DAEMON, { token = "", pauses = PAUSES, signal } = {}) {
    this.#base = baseOf(url);
    if (/[^\x20-\x7e]/.test(token)) {
      throw new Refused("the token can't be used; one looks like kt_ and some letters");
    }
    this.#headers = token ? { authorization: `Bearer ${token}` } : {};
    this.#pauses = [...pauses];
    this.#signal = signal;
  }

  create(keys, { id = crypto.randomUUID() } = {}) {
    const headers = { "idempotency-key": id };
    const ask = { method: "POST", path: "/job/", body: keys, headers, repeatable: true };
    return this.#ask(ask, member("id"));
  }

  createAll(jobs) {
    return this.#ask({ method: "POST", path: "/job/bulk/", body: [...jobs] }, member("ids"));
  }

  apply({ create = [], edit = [], delete: gone = [] }) {
    const changes = { create: [...create], edit: [...edit], delete: [...gone] };
    return this.#ask({ method: "POST", path: "/apply/", body: changes }, nothing);
  }

  get(id) {
    return this.#job({ path: `/job/${inPath(id)}/`, repeatable: true });
  }

  find(criteria = {}) {
    return this.#pages("/job/", criteria, (found) => Object.values(found.jobs));
  }

  replace(id, keys, { version } = {}) {
    const edit = { method: "PUT", path: `/job/${inPath(id)}/`, body: keys };
    // With a version the second one would be told that it is outdated.
    return this.#job({ ...edit, headers: matching(version), repeatable: version === undefined });
  }

  patch(id, keys, { version } = {}) {
    const edit = { method: "PATCH", path: `/job/${inPath(id)}/`, body: keys };
    return this.#job({ ...edit, headers: matching(version) });
  }

  delete(id) {
    if (id === "all") { // which in a path means something else
      return Promise.reject(new NotFound("there is no job 'all'; deleteAll deletes all jobs"));
    }
    const path = `/job/${inPath(id)}/`;
    return this.#ask({ method: "DELETE", path, repeatable: true, ends: true }, nothing);
  }

  deleteAll() {
    return this.#ask({ method: "DELETE", path: "/job/all/" }, nothing);
  }

  start(id) {
    return this.#ask({ method: "POST", path: `/job/start/${inPath(id)}/` }, nothing);
  }

  enable(id) {
    return this.#ask({ method: "POST", path: `/job/enable/${inPath(id)}/` }, nothing);
  }

  disable(id) {
    return this.#ask({ method: "POST", path: `/job/disable/${inPath(id)}/` }, nothing);
  }

  runs(id = undefined, criteria = {}) {
    const path = id === undefined ? "/run/" : `/job/runs/${inPath(id)}/`;
    return this.#pages(path, criteria, (found) => found.runs);
  }

  run(runId) {
    return this.#ask({ path: `/run/${inPath(runId)}/`, repeatable: true }, member("run"));
  }

  cancel(runId) {
    return this.#ask({ method: "POST", path: `/run/cancel/${inPath(runId)}/` }, nothing);
  }

  output(runId, { tail } = {}) {
    const ask = { path: `/run/${inPath(runId)}/output/`, params: { tail }, repeatable: true };
    return this.#ask(ask, async (answer) => new Uint8Array(await answer.arrayBuffer()));
  }

  async *follow(runId) {
    const params = { follow: true };
    const ask = { path: `/run/${inPath(runId)}/output/`, params, repeatable: true };
    yield* follow(await this.#ask(ask, (answer) => answer));
  }

  missed(id) {
    return this.#ask({ path: `/job/missed/${inPath(id)}/`, repeatable: true }, member("missed"));
  }

  notices(id) {
    return this.#pages(`/job/notices/${inPath(id)}/`, {}, (found) => found.notices);
  }

  jobStats(id) {
    return this.#ask({ path: `/job/stats/${inPath(id)}/`, repeatable: true }, member("job_stats"));
  }

  stats() {
    return this.#ask({ path: "/stats/", repeatable: true }, member("Stats"));
  }

  #ask(ask, read) {
    const url = new URL(this.#base);
    url.pathname += ask.path;
    for (const [name, value] of Object.entries(ask.params ?? {})) {
      if (value !== undefined && value !== null) url.searchParams.set(name, written(value));
    }
    const headers = { ...this.#headers, ...ask.headers };
    if (ask.body !== undefined) headers["content-type"] = "application/json";
    const request = {
      method: ask.method ?? "GET",
      headers,
      body: ask.body === undefined ? undefined : JSON.stringify(ask.body),
      signal: this.#signal,
      redirect: "manual",
    };
    return new Tries(url, request, ask, this.#pauses).carryOut(read);
  }

  #job(ask) {
    return this.#ask(ask, member("job"));
  }

  async *#pages(path, criteria, entriesOf) {
    let cursor;
    do {
      const params = { limit: USUAL_PAGE, ...criteria, cursor };
      const found = await this.#ask({ path, params, repeatable: true }, page(entriesOf));
      yield* found.entries;
      cursor = found.next;
    } while (cursor !== null);
  }
}

function baseOf(url) {
  let base;
  try {
    base = new URL(url);
  } catch {
    throw new Refused(`the URL '${url}' can't be used; for example ${URL_OF_A_DAEMON}`);
  }
  if (!/^https?:$/.test(base.protocol) || base.username || base.password) {
    const problem = "is not one of HTTP without a password";
    throw new Refused(`the URL '${base.host}' ${problem}; for example ${URL_OF_A_DAEMON}`);
  }
  base.pathname = `${base.pathname.replace(/\/+$/, "")}/api/v1`;
  return base;
}

function matching(version) {
  return version === undefined ? {} : { "if-match": `"${version}"` };
}

function inPath(id) {
  const text = String(id);
  // Dots alone would lead elsewhere, however they are written, and so would two words.
  if (/^(?:\.*|all|bulk)$/.test(text)) throw new NotFound(`there is nothing with the id '${text}'`);
  return encodeURIComponent(text);
}

function written(value) {
  if (value instanceof Date) return value.toISOString();
  return Array.isArray(value) ? value.map(written).join(",") : String(value);
}
