/** Streams: messages as they come over a WebSocket, credit, acks on the same socket, and what bad clients get. */
import { expect } from "vitest";
import type { Cases } from "./client.ts";
import { type Json, there, until } from "./kit.ts";
import { connect, streamOf } from "./stream-kit.ts";

const base64url = (text: string): string =>
  btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

export const streams: Cases = {
  "a stream hands out what is there and what comes, and takes acks": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    await topic.send({ body: "before", tag: "t", keys: ["k"] });
    const stream = await streamOf(topic.group());
    stream.say({ credit: 10 });
    const [message] = await stream.count(1);
    expect(message).toMatchObject({
      topic: topic.name,
      body: "before",
      tag: "t",
      keys: ["k"],
      deliveryAttempt: 1,
    });
    for (let n = 0; n < 4; n += 1) await topic.send({ body: n, messageGroup: `group ${n}` });
    const all = await stream.count(5);
    const results = await stream.ack(...all);
    expect(results).toEqual(all.map(({ receipt }) => ({ receipt, ok: true })));
    const stats = await topic.stats();
    expect(stats.groups[0]).toMatchObject({ group: "g", lag: 0, inFlight: 0 });
  },

  "the streams of two consumers of a broadcast group each get every message": async (mq) => {
    const topic = await mq.topic({ queues: 4 });
    const group = await topic.group().make({ mode: "broadcast", startFrom: "latest" });
    await topic.send({ body: "before" });
    const open = [await streamOf(group, "?consumerId=a"), await streamOf(group, "?consumerId=b")];
    for (const stream of open) stream.say({ credit: 10 });
    await until("both are known", async () => {
      const [stats] = (await topic.stats()).groups as unknown as { consumers: Json[] }[];
      return stats?.consumers.length === 2;
    });
    for (let n = 0; n < 4; n += 1) await topic.send({ body: n, messageGroup: `group ${n}` });
    for (const stream of open) {
      await stream.ack(...(await stream.count(4)));
      expect(stream.bodies.map(Number).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    }
    expect((await topic.stats()).groups).toMatchObject([{ lag: 0, inFlight: 0 }]);
  },

  "limits of the group hold on a stream, which goes on when there is room": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ maxInFlight: 2 });
    await topic.send(...Array.from({ length: 9 }, (_, body) => ({ body })));
    const stream = await streamOf(group);
    stream.say({ credit: 10 });
    const two = await stream.count(2);
    await group.nothing();
    expect(stream.messages).toHaveLength(2);
    await stream.ack(there(two[0]));
    await stream.count(3);
    await group.make({ maxInFlight: 0, ratePerSecond: 4 });
    const began = Date.now();
    await stream.count(9);
    expect(Date.now() - began).toBeGreaterThanOrEqual(1_200);
    expect(stream.bodies).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  },

  "the credit is the most in flight": async (mq) => {
    const topic = await mq.topic();
    await topic.send(...Array.from({ length: 20 }, (_, body) => ({ body })));
    const stream = await streamOf(topic.group());
    stream.say({ credit: 3 });
    const [first, ...rest] = await stream.count(3);
    expect((await topic.stats()).groups[0]).toMatchObject({ inFlight: 3 });
    await stream.ack(there(first));
    await stream.count(4);
    expect((await topic.stats()).groups[0]).toMatchObject({ inFlight: 3 });
    stream.say({ credit: 0 });
    await stream.ack(...rest, there(stream.messages[3]));
    expect((await topic.stats()).groups[0]).toMatchObject({ inFlight: 0, lag: 16 });
    stream.say({ credit: 100 });
    await stream.count(20);
    expect(stream.bodies).toEqual(Array.from({ length: 20 }, (_, body) => body));
  },

  "nack and extend work on the socket, and a receipt's fate is told": async (mq) => {
    const topic = await mq.topic();
    const stream = await streamOf(topic.group());
    stream.say({ credit: 1 });
    await topic.send({ body: 1 });
    const [first] = await stream.count(1);
    const { receipt, invisibleUntil } = there(first);
    const [longer] = await stream.settle({ extend: [receipt], invisibleMs: 60_000 });
    expect(longer).toMatchObject({ ok: true });
    expect(there(longer).invisibleUntil).toBeGreaterThan(invisibleUntil);
    expect(await stream.settle({ nack: [receipt], delayMs: 100, reason: "not yet" })).toEqual([
      { receipt, ok: true },
    ]);
    const [, second] = await stream.count(2);
    expect(second).toMatchObject({ body: 1, deliveryAttempt: 2 });
    expect(await stream.settle({ ack: [receipt, "nonsense"] })).toEqual([
      { receipt, ok: false, code: "receipt_expired" },
      { receipt: "nonsense", ok: false, code: "receipt_invalid" },
    ]);
    await stream.settle({ nack: [there(second).receipt], retry: false, reason: "never" });
    expect(await topic.group().deadLetters()).toMatchObject([{ body: 1, reason: "never" }]);
  },

  "a lease that runs out frees its credit, and the message comes again": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ invisibleMs: 300 });
    await topic.send({ body: 1 });
    const stream = await streamOf(group);
    stream.say({ credit: 1 });
    const [, second] = await stream.count(2);
    expect(second).toMatchObject({ body: 1, deliveryAttempt: 2 });
  },

  "several sockets of a group share what comes, fairly": async (mq) => {
    const topic = await mq.topic({ queues: 3 });
    const group = await topic.group().make();
    const sockets = await Promise.all([streamOf(group), streamOf(group), streamOf(group)]);
    for (const stream of sockets) {
      stream.say({ credit: 30 });
      // An answer to a later frame: the credit is known before anything is sent.
      await stream.settle({ ack: ["nonsense"] });
    }
    await topic.send(...Array.from({ length: 60 }, (_, body) => ({ body })));
    await until(
      "all came",
      () => sockets.reduce((n, { messages }) => n + messages.length, 0) >= 60,
    );
    for (const { messages } of sockets) expect(messages.length).toBeGreaterThanOrEqual(10);
    const all = sockets.flatMap(({ bodies }) => bodies);
    expect(new Set(all).size, "nobody gets what another has").toBe(60);
  },

  "the answer that opens a stream carries the id of its request": async (mq) => {
    const path = `${(await mq.topic()).group().path}/stream`;
    const headers = { authorization: `Bearer ${mq.key}`, ...mq.headers };
    for (const given of ["stream-17", undefined]) {
      const more: Record<string, string> = given === undefined ? {} : { "x-request-id": given };
      const answer = await connect(mq, path, { ...headers, ...more });
      if (answer.is !== "open") throw new Error("not let in");
      const { requestId } = answer.socket;
      answer.socket.close(1000);
      if (given === undefined) expect(requestId).toMatch(/./u);
      else expect(requestId).toBe(given);
    }
  },

  "a stream of a broadcast group says who it is of, or is refused": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ mode: "broadcast" });
    const refused = { is: "refused", status: 400, code: "invalid_request" };
    expect(await connect(mq, `${group.path}/stream`)).toEqual(refused);
    await topic.send({ body: 1 });
    const stream = await streamOf(group, "?consumerId=a");
    stream.say({ credit: 1 });
    await stream.count(1);
  },

  "a goodbye of the client is answered, whatever it says": async (mq) => {
    const topic = await mq.topic();
    for (const [code, answered] of [[1000], [4321], [undefined, 1005]] as const) {
      const stream = await streamOf(topic.group());
      stream.say({ credit: 1 });
      await stream.settle({ ack: ["nonsense"] });
      stream.socket.close(code);
      expect(await stream.socket.closed).toBe(answered ?? code);
    }
  },

  "a socket that says goodbye gives its messages back at once, and that does not count": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ maxAttempts: 1 });
    await topic.send({ body: 1 }, { body: 2 });
    const stream = await streamOf(group);
    stream.say({ credit: 10 });
    const [first] = await stream.count(2);
    await stream.ack(there(first));
    stream.socket.close(1000);
    const [back] = await group.receive({ waitMs: 20_000 });
    expect(back).toMatchObject({ body: 2, deliveryAttempt: 1 });
    expect(await group.deadLetters()).toEqual([]);
  },

  "in an ordered group a socket gets a message group in order, one batch at a time": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    for (let body = 0; body < 6; body += 1)
      for (const messageGroup of ["a", "b"]) await topic.send({ body, messageGroup });
    const sockets = await Promise.all([streamOf(group), streamOf(group)]);
    for (const stream of sockets) stream.say({ credit: 2 });
    const seen = new Map<string, unknown[]>();
    const handled = new Set<string>();
    await until("all handled", async () => {
      for (const stream of sockets)
        for (const message of stream.messages) {
          if (handled.has(message.receipt)) continue;
          handled.add(message.receipt);
          const { messageGroup = "", body } = message;
          seen.set(messageGroup, [...(seen.get(messageGroup) ?? []), body]);
          await stream.ack(message);
        }
      return handled.size >= 12;
    });
    for (const bodies of seen.values()) expect(bodies).toEqual([0, 1, 2, 3, 4, 5]);
  },

  "a socket that asks for one of a message group has no two of it, and a failed one first": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const group = await topic.group().make({ ordered: true });
    for (const messageGroup of ["a", "b"])
      for (let body = 0; body < 3; body += 1) await topic.send({ body, messageGroup });
    const stream = await streamOf(group);
    stream.say({ credit: 10, onePerMessageGroup: true });
    const [first, other] = await stream.count(2);
    expect([first, other]).toMatchObject([
      { body: 0, messageGroup: "a" },
      { body: 0, messageGroup: "b" },
    ]);
    stream.say({ nack: [there(first).receipt], delayMs: 0 });
    const third = (await stream.count(3))[2];
    expect(third).toMatchObject({ body: 0, messageGroup: "a", deliveryAttempt: 2 });
    await stream.ack(there(third), there(other));
    for (const [at, body] of [
      [5, 1],
      [7, 2],
    ] as const) {
      const two = (await stream.count(at)).slice(at - 2);
      expect(two.map((message) => message.body)).toEqual([body, body]);
      await stream.ack(...two);
    }
  },

  "a half message is streamed after its commit only": async (mq) => {
    const topic = await mq.topic();
    const stream = await streamOf(topic.group());
    stream.say({ credit: 10 });
    const half = await topic.prepare({ body: "half" });
    await topic.send({ body: "sent" });
    await stream.count(1);
    expect(stream.bodies).toEqual(["sent"]);
    await mq.commit(half.transactionId);
    await stream.count(2);
    expect(stream.bodies).toEqual(["sent", "half"]);
  },

  "a bad frame gets an error with a code, and the stream goes on": async (mq) => {
    const topic = await mq.topic();
    const stream = await streamOf(topic.group());
    const bad: readonly (readonly [string, string, string?])[] = [
      ["{", "invalid_json"],
      ["null", "invalid_request"],
      ["[]", "invalid_request"],
      ["{}", "invalid_request"],
      ['{"credits":1}', "invalid_request", "credits"],
      ['{"credit":-1}', "invalid_request", "credit"],
      ['{"credit":1.5}', "invalid_request", "credit"],
      ['{"credit":1,"onePerMessageGroup":1}', "invalid_request", "onePerMessageGroup"],
      ['{"credit":1001}', "invalid_request", "credit"],
      ['{"credit":"1"}', "invalid_request", "credit"],
      ['{"credit":1,"ack":["x"]}', "invalid_request"],
      ['{"credit":1,"more":1}', "invalid_request", "more"],
      ['{"ack":[]}', "invalid_request", "ack"],
      ['{"ack":"x"}', "invalid_request", "ack"],
      ['{"ack":[1]}', "invalid_request", "ack[0]"],
      ['{"ack":["x"],"delayMs":1}', "invalid_request", "delayMs"],
      ['{"nack":["x"],"delayMs":-1}', "invalid_request", "delayMs"],
      ['{"nack":["x"],"reason":""}', "invalid_request", "reason"],
      ['{"nack":["x"],"retry":"no"}', "invalid_request", "retry"],
      ['{"extend":["x"]}', "invalid_request", "invisibleMs"],
      ['{"extend":["x"],"invisibleMs":99}', "invalid_request", "invisibleMs"],
      [JSON.stringify({ ack: Array.from({ length: 1_001 }, () => "x") }), "invalid_request", "ack"],
    ];
    for (const [frame, code, field] of bad) {
      const error = await stream.error(frame);
      expect(error, frame.slice(0, 80)).toMatchObject({
        code,
        ...(field === undefined ? {} : { field }),
      });
    }
    stream.socket.send(new Uint8Array([1, 2, 3]));
    await until("an error for bytes", () =>
      stream.frames.some(({ error }) => String(error?.["detail"]).includes("bytes")),
    );
    await topic.send({ body: 1 });
    stream.say({ credit: 1 });
    expect(await stream.count(1)).toMatchObject([{ body: 1 }]);
  },

  "a frame that is too large ends the socket": async (mq) => {
    const topic = await mq.topic();
    const large = await streamOf(topic.group());
    expect(await large.error(`{"ack":["${"x".repeat(300_000)}"]}`)).toMatchObject({
      code: "request_too_large",
    });
    expect(await large.socket.closed).toBe(1009);
  },

  "a stream needs a key with consume, in the header or, for browsers, as a subprotocol": async (
    mq,
  ) => {
    const topic = await mq.topic();
    const path = `${topic.group().path}/stream`;
    expect(await connect(mq, path, {})).toEqual({
      is: "refused",
      status: 401,
      code: "unauthenticated",
    });
    const name = `sender-${topic.name}`;
    const sender = await mq.ok<{ key: string }>("PUT", `/v1/keys/${name}`, { scopes: ["send"] });
    expect(await connect(mq.with(sender.key), path)).toMatchObject({
      status: 403,
      code: "forbidden",
    });
    await mq.ok("DELETE", `/v1/keys/${name}`);
    const offered = `halfmq, halfmq.bearer.${base64url(mq.key)}`;
    const stream = await streamOf(topic.group(), "", { "sec-websocket-protocol": offered });
    expect(stream.socket.protocol, "the key is not repeated").toBe("halfmq");
    const wrong = `halfmq, halfmq.bearer.${base64url("wrong")}`;
    expect(await connect(mq, path, { "sec-websocket-protocol": wrong })).toMatchObject({
      status: 401,
    });
    await mq.refused([400, "invalid_request"], "GET", path);
    await mq.refused([400, "invalid_request"], "GET", `${path}?unknown=1`);
  },

  "a ping is answered, so that a client sees that its line lives": async (mq) => {
    const topic = await mq.topic();
    const stream = await streamOf(topic.group());
    stream.socket.send("ping");
    await until("a pong", () => stream.pongs === 1);
    expect(stream.frames).toEqual([]);
  },

  "for browsers the namespace is a subprotocol as well": async (mq) => {
    const namespace = "stream-namespace";
    const apart = mq.with(mq.key, { "halfmq-namespace": namespace });
    const topic = await apart.topic();
    await topic.send({ body: "here" });
    const offered = `halfmq, halfmq.bearer.${base64url(mq.key)}, halfmq.namespace.${namespace}`;
    const stream = await streamOf(topic.group(), "", { "sec-websocket-protocol": offered });
    stream.say({ credit: 1 });
    expect(await stream.count(1)).toMatchObject([{ body: "here" }]);
  },

  "a stream ends with its group or topic, and says why": async (mq) => {
    for (const end of ["group", "topic"]) {
      const topic = await mq.topic();
      const group = await topic.group().make();
      const stream = await streamOf(group);
      stream.say({ credit: 1 });
      await mq.ok("DELETE", end === "group" ? group.path : `${topic.path}?force=true`);
      expect(await stream.socket.closed).toBe(1001);
      expect(stream.frames.at(-1)).toMatchObject({ error: { code: "group_not_found" } });
    }
  },

  "a paused group streams nothing, and goes on when it is resumed": async (mq) => {
    const topic = await mq.topic();
    const group = await topic.group().make();
    const stream = await streamOf(group);
    stream.say({ credit: 5 });
    await mq.ok("POST", `${group.path}/pause`, {});
    await topic.send({ body: 1 });
    expect(stream.messages).toEqual([]);
    await mq.ok("POST", `${group.path}/resume`, {});
    await stream.count(1);
  },

  "queues that a topic gets later are streamed as well": async (mq) => {
    const topic = await mq.topic();
    const stream = await streamOf(topic.group());
    stream.say({ credit: 100 });
    await mq.ok("PUT", topic.path, { queues: 4 });
    for (let n = 0; n < 12; n += 1) await topic.send({ body: n, messageGroup: `group ${n}` });
    await stream.count(12);
  },
};
