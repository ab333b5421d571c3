/**
 * The module of a Worker that does with its bindings what a test asks of it, in good and in bad faith. Beside it stands the
 * bundled client as `client.js`.
 */
export const PROBER = `
import { HalfMQ } from "./client.js";
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const never = () => new Promise(() => {});
const stories = {
  verb: async (env, { binding = "HALFMQ", verb, args }) => env[binding][verb](...args),
  client: async (env, { binding = "HALFMQ", path, args }) => {
    const mq = new HalfMQ({ binding: env[binding], retry: { attempts: 1 } });
    try {
      const [method, owner = mq] = path.split(".").reverse().map((name, at) => (at === 0 ? name : mq[name]));
      return { value: await owner[method](...args) };
    } catch (error) {
      const { name, code, status, facts, retryable, requestId } = error;
      return { name, code, status, facts, retryable, hasRequestId: typeof requestId === "string" };
    }
  },
  // The Worker's answer ends its context while its poll is still waiting.
  leave: async (env, { topic, how }) => {
    const waits = how === "client"
      ? new HalfMQ({ binding: env.HALFMQ }).consumer(topic, "g").receive({ waitMs: 20_000 })
      : env.HALFMQ.receive(topic, "g", { waitMs: 20_000 }, { hold: never });
    waits.catch(() => {});
    await sleep(500);
    return "left";
  },
  // Its client is gone in the middle, and it with it.
  wait: (env, { topic }) => env.HALFMQ.receive(topic, "g", { waitMs: 20_000 }, { hold: never }),
  // The poll is given up, and the Worker lives on.
  giveUp: async (env, { topic }) => {
    const controller = new AbortController();
    const consumer = new HalfMQ({ binding: env.HALFMQ }).consumer(topic, "g");
    const waits = consumer.receive({ waitMs: 20_000, signal: controller.signal }).catch(({ message }) => message);
    await sleep(500);
    controller.abort(new Error("enough"));
    return waits;
  },
  changes: async (env, { topic }) => {
    const mq = new HalfMQ({ binding: env.HALFMQ });
    const controller = new AbortController();
    const seen = [];
    // What is made before the line stands is not told.
    const making = (async () => {
      for (let n = 0; seen.length === 0; n++) {
        await mq.topics.put(topic + "-" + n, {});
        await sleep(100);
      }
    })();
    for await (const { event, data } of mq.changes({ signal: controller.signal })) {
      if (!String(data.topic).startsWith(topic)) continue;
      seen.push(event);
      break;
    }
    await making;
    return seen;
  },
  stream: async (env, { topic }) => {
    try {
      const consumer = new HalfMQ({ binding: env.HALFMQ }).consumer(topic, "g");
      await consumer.subscribe(() => {}, { stream: true }).done;
      return "streamed";
    } catch ({ name }) {
      return name;
    }
  },
  hidden: async (env, { name }) => {
    try {
      await env.HALFMQ[name]("http://halfmq.test/v1/topics");
      return "answered";
    } catch {
      return "refused";
    }
  },
  // HTTP over a binding, of which nobody but the caller says how long its body is.
  lengthened: async (env, { topic, key, contentLength, mebibytes, isStream }) => {
    const text = '{"body":"' + "x".repeat(mebibytes * 2 ** 20) + '"}';
    const headers = { authorization: "Bearer " + key, "content-type": "application/json", "content-length": contentLength };
    const body = isStream ? new Blob([text]).stream() : text;
    const answer = await env.EDGE.fetch("http://halfmq.test/v1/topics/" + topic + "/messages", { method: "POST", headers, body });
    return [answer.status, (await answer.json()).code ?? "stored"];
  },
  stubs: async (env, { topic }) => {
    const results = [
      await env.HALFMQ.send(topic, { body: () => 1 }),
      await env.HALFMQ.send(topic, { body: { f: () => 1, n: 1 } }),
      await env.HALFMQ.send(() => topic, { body: 1 }),
      await env.HALFMQ.send(topic, { body: 10n }),
      await env.HALFMQ.call(() => 1),
      await env.HALFMQ.send(topic, { body: 1 }, { hold: 5 }),
    ];
    return results.map(({ ok, code, body }) => code ?? JSON.parse(body ?? "{}").code ?? ok);
  },
};
export default {
  async fetch(request, env) {
    const { story, ...rest } = await request.json();
    return Response.json((await stories[story](env, rest)) ?? null);
  },
};
`;
