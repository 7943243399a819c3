// Compiled, never run: what the types allow, and what they must not.

import { Client, Outdated, TryLater, type Job, type Run } from "../index.js";

export async function allowed(): Promise<void> {
  const kala = new Client(new URL("http://localhost:8000"), { token: "kt_", pauses: [1] });
  const id: string = await kala.create({ name: "a", command: "true", overlap: "skip" });
  const job: Job = await kala.get(id);
  await kala.patch(id, { owner: null, retries: 3 }, { version: job.version });
  for await (const each of kala.find({ state: "failing", next_before: new Date() })) {
    const at: string = each.next_run_at;
    await kala.start(at);
  }
  const run: Run = await kala.run(`${id}.1`);
  for await (const data of kala.follow(run.id)) process.stdout.write(data);
  try {
    await kala.delete(id);
  } catch (error) {
    if (error instanceof TryLater) console.log(error.retryAfter, error.message);
    if (error instanceof Outdated) console.log(error.status);
  }
}

export async function refused(kala: Client): Promise<void> {
  // @ts-expect-error a job has a name
  await kala.create({ command: "true" });
  // @ts-expect-error there is no such key
  await kala.create({ name: "a", shedule: "R/PT1H" });
  // @ts-expect-error there is no such word
  await kala.create({ name: "a", overlap: "wait" });
  // @ts-expect-error an id is a text
  await kala.start(1);
}
