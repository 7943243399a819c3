// Against the daemon at KALA_TRIO_API, which is a real one.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createNetServer } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  Client, Conflict, NotDone, NotFound, Outdated, Refused, TryLater, Unanswered,
} from "../index.js";

const URL_ = process.env.KALA_TRIO_API;
const FUTURE = "R/2099-01-01T00:00:00Z/P1D";
const AT_ONCE = { pauses: [0, 0, 0] };
const kala = new Client(URL_);
const created = (keys = {}) =>
  kala.create({ name: "job", command: "true", schedule: FUTURE, ...keys });

async function all(entries) {
  const found = [];
  for await (const each of entries) found.push(each);
  return found;
}

/** Wait until a question is answered with something. */
async function eventually(ask) {
  for (const deadline = Date.now() + 60_000; ;) {
    const found = await ask();
    if (found) return found;
    assert.ok(Date.now() < deadline, `never: ${ask}`);
    await sleep(20);
  }
}

/** Let requests through to the daemon, but for the first ones, which meet this trouble. */
async function relay(trouble, use) {
  const asked = [];
  const server = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const body = [];
    for await (const piece of request) body.push(piece);
    const met = trouble.shift();
    if (typeof met === "function") return met(response);
    const { host, connection, "content-length": _, ...headers } = request.headers;
    const answer = await fetch(`${URL_}${request.url}`, {
      method: request.method, headers, body: body.length ? Buffer.concat(body) : undefined,
    });
    if (met === CUT) return response.destroy();
    const text = Buffer.from(await answer.arrayBuffer());
    const kept = ["content-type", "etag"].filter((name) => answer.headers.has(name));
    for (const name of kept) response.setHeader(name, answer.headers.get(name));
    response.writeHead(answer.status).end(text);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  try {
    await use(`http://127.0.0.1:${server.address().port}`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const CUT = Symbol("the request arrives, and its answer does not");
const saying = (status, headers = {}, body = '{"error": "no"}') =>
  (response) => response.writeHead(status, headers).end(body);

test("a job that was created is got with its keys and version", async () => {
  const id = await created({ tags: ["a"], retries: 2 });
  const job = await kala.get(id);
  assert.deepEqual([job.id, job.version, job.tags, job.retries], [id, 1, ["a"], 2]);
});

test("a create under one id creates one job, however often", async () => {
  const id = randomUUID();
  for (let times = 0; times < 2; times++) {
    assert.equal(await kala.create({ name: "a", command: "true", schedule: FUTURE }, { id }), id);
  }
});

test("a list of jobs is created whose entries name each other", async () => {
  const [first, second] = await kala.createAll([
    { name: "a", command: "true", schedule: FUTURE },
    { name: "b", command: "true", parent_jobs: ["a"] },
  ]);
  assert.deepEqual((await kala.get(second)).parent_jobs, [first]);
});

test("changes are made together or not at all", async () => {
  const [job, gone] = [await kala.get(await created()), await kala.get(await created())];
  // Names that no other job of this daemon has, since changes may not come to one (M11).
  const named = (name) => ({ name: `${name} ${randomUUID()}`, command: "true" });
  const edited = { ...named("edited"), schedule: FUTURE };
  const changes = {
    create: [{ ...named("child"), id: randomUUID(), parent_jobs: [job.id] }],
    edit: [{ ...edited, id: job.id, version: job.version }],
    delete: [{ id: gone.id, version: gone.version }],
  };
  await kala.apply(changes);
  const now = await kala.get(job.id);
  assert.deepEqual([now.name, now.dependent_jobs], [edited.name, [changes.create[0].id]]);
  await assert.rejects(kala.get(gone.id), NotFound);
  changes.create = [{ ...named("another"), id: randomUUID(), schedule: FUTURE }];
  await assert.rejects(kala.apply(changes), NotDone);
  await assert.rejects(kala.get(changes.create[0].id), NotFound);
});

test("a search goes on over all of its pages", async () => {
  const owner = randomUUID();
  const ids = [];
  for (let number = 0; number < 5; number++) {
    ids.push(await created({ owner, name: `job ${number}` }));
  }
  const found = await all(kala.find({ owner, sort: "-name", limit: 2 }));
  assert.deepEqual(found.map((each) => each.id), ids.reverse());
  assert.deepEqual(await all(kala.find({ owner, next_before: new Date() })), []);
});

test("an edit of a version that is no more is outdated", async () => {
  const job = await kala.get(await created());
  const { version } = job;
  assert.equal((await kala.patch(job.id, { retries: 3 }, { version })).version, 2);
  await assert.rejects(kala.patch(job.id, { retries: 4 }, { version }), Outdated);
  const other = await kala.replace(job.id, { name: "other", command: "false" }, { version: 2 });
  assert.deepEqual([other.name, other.retries], ["other", 0]);
});

test("a job is disabled, enabled and deleted", async () => {
  const id = await created();
  await kala.disable(id);
  await assert.rejects(kala.start(id), (error) => {
    assert.ok(error instanceof Conflict);
    assert.match(error.message, /is disabled; enable it first/);
    assert.equal(error.status, 409);
    return true;
  });
  await kala.enable(id);
  await kala.delete(id);
  await assert.rejects(kala.delete(id), NotFound);
  await assert.rejects(kala.delete("all"), NotFound);
});

test("what became of a started job is told", async () => {
  const id = await created({ command: "echo hello" });
  await kala.start(id);
  const [run] = await eventually(async () => {
    const found = await all(kala.runs(id, { outcome: ["succeeded"] }));
    return found.length && found;
  });
  assert.equal((await kala.run(run.id)).output_bytes, 6);
  assert.equal(new TextDecoder().decode(await kala.output(run.id)), "hello\n");
  assert.equal(new TextDecoder().decode(await kala.output(run.id, { tail: 3 })), "lo\n");
  assert.equal((await kala.jobStats(id))[0].success, true);
  assert.deepEqual([await kala.missed(id), await all(kala.notices(id))], [[], []]);
  assert.ok((await kala.stats()).jobs > 0);
});

test("what a run writes is followed until it is cancelled", async () => {
  const id = await created({ command: "echo begun; exec sleep 600", shell: true });
  await kala.start(id);
  const [{ id: run }] = await eventually(async () => {
    const found = await all(kala.runs(id));
    return found.length && found;
  });
  let text = "";
  for await (const data of kala.follow(run)) {
    text += new TextDecoder().decode(data);
    if (text === "begun\n") await kala.cancel(run);
  }
  assert.equal(text, "begun\n");
  await assert.rejects(kala.cancel(run), Conflict);
});

test("a refusal is the sentence of the daemon", async () => {
  await assert.rejects(created({ shedule: FUTURE }), (error) => {
    assert.ok(error instanceof Refused);
    assert.match(error.message, /^shedule: a job has no such field/);
    return true;
  });
});

for (const id of ["a/b", "..", "ü", "", "?", "a b", "all", "bulk"]) {
  test(`${JSON.stringify(id)} is nothing but an id in a path`, async () => {
    for (const method of [() => kala.get(id), () => kala.run(id), () => kala.start(id)]) {
      await assert.rejects(async () => method(), NotFound);
    }
  });
}

test("a create whose connection breaks is repeated, and creates one job", async () => {
  const owner = randomUUID();
  await relay([CUT, saying(503), saying(429)], async (url, asked) => {
    const client = new Client(url, AT_ONCE);
    const id = await client.create({ name: "a", command: "true", schedule: FUTURE, owner });
    assert.deepEqual(asked, Array(4).fill("POST /api/v1/job/"));
    assert.deepEqual((await all(kala.find({ owner }))).map((each) => each.id), [id]);
  });
});

test("what may have been done by an earlier try is not called undone", async () => {
  await relay([CUT, saying(503), saying(503), saying(503)], async (url, asked) => {
    const client = new Client(url, AT_ONCE);
    const create = client.create({ name: "a", command: "true", schedule: FUTURE });
    await assert.rejects(create, (error) => error instanceof Unanswered && error.status === 503);
    assert.equal(asked.length, 4);
  });
});

test("a delete that is repeated does not miss what it has deleted", async () => {
  const id = await created();
  await relay([CUT], async (url, asked) => {
    await new Client(url, AT_ONCE).delete(id);
    assert.equal(asked.length, 2);
  });
});

test("a start is never sent a second time", async () => {
  const id = await created();
  for (const [trouble, kind] of [[CUT, Unanswered], [saying(503), TryLater]]) {
    await relay([trouble], async (url, asked) => {
      await assert.rejects(new Client(url, AT_ONCE).start(id), kind);
      assert.equal(asked.length, 1);
    });
  }
});

test("who is asked to wait for long is told so, and a bug is not asked for again", async () => {
  await relay([saying(503, { "retry-after": "3600" })], async (url, asked) => {
    const isLater = (error) => error instanceof TryLater && error.retryAfter === 3600;
    await assert.rejects(new Client(url, AT_ONCE).stats(), isLater);
    assert.equal(asked.length, 1);
  });
  await relay([saying(500)], async (url, asked) => {
    await assert.rejects(new Client(url, AT_ONCE).stats(), Unanswered);
    assert.equal(asked.length, 1);
  });
});

test("where nobody listens nothing was changed", async () => {
  const server = createNetServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  await assert.rejects(new Client(`http://127.0.0.1:${port}`, { pauses: [] }).start("a"), (error) => {
    assert.ok(error instanceof TryLater);
    assert.match(error.message, /no kala-trio can be reached at http:\/\/127/);
    return true;
  });
});

test("another server is told from a kala-trio", async () => {
  for (const strange of [saying(200, {}, "<html>"), saying(200, {}, "[]"), saying(302, {}, "")]) {
    await relay([strange], async (url) => {
      await assert.rejects(new Client(url, AT_ONCE).stats(), /not as kala-trio does; is it the URL/);
    });
  }
  await assert.rejects(new Client(`${URL_}/api/v1/job/stats`).stats(), NotDone);
});

test("what is no URL, or no token, is refused", () => {
  for (const url of ["", "kala", "ftp://localhost", "http://", "http://ada:secret@localhost"]) {
    assert.throws(() => new Client(url), (error) => {
      assert.ok(error instanceof Refused);
      assert.match(error.message, /for example http:\/\/127.0.0.1:8000/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
  assert.throws(() => new Client(URL_, { token: "a\nb" }), Refused);
});

test("a signal ends what it is given to, and nothing is asked any more", async () => {
  const ending = new AbortController();
  const isMade = (response) => { ending.abort(); void response; };
  await relay([isMade], async (url, asked) => {
    const client = new Client(url, { ...AT_ONCE, signal: ending.signal });
    await assert.rejects(client.stats(), { name: "AbortError" });
    assert.equal(asked.length, 1);
  });
});
