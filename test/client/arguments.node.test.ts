/**
 * Callers without types: what they leave out or mix up is said by its name, by every public function, and nothing is sent. Values are
 * untyped here on purpose.
 */
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import * as databases from "../../src/client/databases.ts";
import * as client from "../../src/client/index.ts";
import { FakeBroker } from "./fake-broker.node.ts";

/** Anything may be called with anything. */
// oxlint-disable-next-line typescript/no-explicit-any -- As programs without types see it.
type Plain = any;

const broker = new FakeBroker();
const mq: Plain = broker.client({ retry: { attempts: 1 } });
const sdk: Plain = client;
const db: Plain = databases;
const sqlite: Plain = db.onSqlite(new DatabaseSync(":memory:"));
const id = { id: "m1" };
const body = { body: 1 };
const how = { producerGroup: "p" };
const secret = "whsec_AAAA";
const work = (): number => 1;
const consumer: Plain = mq.consumer("t", "g");
const table: Plain = db.transactionTable(sqlite);
const url = "http://127.0.0.1:1";

const CASES: Readonly<Record<string, readonly (readonly [field: string, call: () => unknown])[]>> =
  {
    "new HalfMQ": [
      ["options", () => new sdk.HalfMQ()],
      ["url", () => new sdk.HalfMQ({ key: "k" })],
      ["key", () => new sdk.HalfMQ({ url })],
      ["key", () => new sdk.HalfMQ({ url, key: "" })],
      ["fetch", () => new sdk.HalfMQ({ url, key: "k", fetch: 5 })],
      ["binding.call", () => new sdk.HalfMQ({ binding: undefined })],
    ],
    send: [
      ["message", () => mq.send()],
      ["message", () => mq.send("t", "text")],
      ["message", () => mq.send("t", [null])],
      ["messages[1]", () => mq.send("t", [body, undefined])],
      ["message.bytes", () => mq.send("t", { bytes: "text" })],
      ["message.bodyText", () => mq.send("t", { bodyText: {} })],
      ["topic", () => mq.send(undefined, body)],
      ["topic", () => mq.send({ topic: "t" }, body)],
      ["options", () => mq.send("t", body, "key")],
      ["options", () => mq.send("t", body, null)],
    ],
    counting: [
      ["options", () => mq.counting("t")],
      ["id", () => mq.counting("t", { epoch: 1 })],
      ["epoch", () => mq.counting("t", { id: "a" })],
      ["message", () => mq.counting("t", { id: "a", epoch: 1 }).send()],
    ],
    "one message": [
      ["id", () => mq.recall()],
      ["id", () => mq.retime()],
      ["id", () => mq.message({})],
      ["message", () => sdk.bytesOf()],
    ],
    transaction: [
      ["options", () => mq.transaction("t")],
      ["producerGroup", () => mq.transaction("t", { message: body })],
      ["message", () => mq.transaction("t", how)],
      ["messages", () => mq.transaction("t", { ...how, messages: 5 })],
      ["topic", () => mq.transaction(undefined, { ...how, message: body })],
      ["work", () => mq.transact("t", body)],
      ["work", () => mq.transact("t", body, how)],
      ["options", () => mq.transact("t", body, work)],
      ["message", () => mq.transact("t", undefined, work, how)],
      ["id", () => mq.transactions.commit()],
    ],
    "check-back": [
      ["options", () => mq.producer()],
      ["group", () => mq.producer({ listener: {} })],
      ["listener", () => mq.producer({ group: "p" })],
      [
        "listener.checkLocalTransaction",
        () => mq.producer({ group: "p", listener: { executeLocalTransaction: work } }),
      ],
      ["check", () => mq.pollChecks("p")],
      ["producerGroup", () => mq.pollChecks(undefined, work)],
      ["options", () => mq.pollChecks("p", work, null)],
      ["options", () => sdk.checkHandler()],
      ["secret", () => mq.checkHandler()],
      ["secret", () => mq.checkHandler({ secret: [], check: work })],
      ["check", () => mq.checkHandler({ secret })],
    ],
    consumer: [
      ["topic", () => mq.consumer()],
      ["group", () => mq.consumer("t")],
      ["options", () => mq.consumer("t", "g", null)],
      ["options", () => consumer.receive(null)],
      ["options", () => consumer.messages(5).next()],
      ["handler", () => consumer.subscribe()],
      ["handler", () => consumer.subscribe({})],
      ["receipts", () => consumer.receipts.ack()],
      ["receipts", () => consumer.receipts.nack("r")],
      ["receipts", () => consumer.receipts.extend()],
    ],
    "push and webhooks": [
      ["options", () => sdk.pushHandler()],
      ["secret", () => mq.pushHandler({ secret: 5, handle: work })],
      ["handle", () => mq.pushHandler({ secret })],
      ["handler", () => sdk.nodeListener()],
      ["webhook", () => sdk.verifyWebhook()],
      ["secrets", () => sdk.verifyWebhook({ body: "", headers: new Headers(), nowMs: 1 })],
      ["webhook", () => sdk.signWebhook()],
      ["secrets", () => sdk.signWebhook({ id: "a", timestampMs: 1, body: "" })],
    ],
    "what is followed": [
      ["topic", () => mq.tail().next()],
      ["options", () => mq.tail("t", null).next()],
      ["options", () => mq.changes(null).next()],
    ],
    "what is managed": [
      ["topic", () => mq.topics.put()],
      ["topic", () => mq.topics.peek()],
      ["topic", () => mq.groups.put()],
      ["group", () => mq.groups.seek("t")],
      ["producerGroup", () => mq.producerGroups.put()],
      ["name", () => mq.keys.put()],
      ["schedule", () => mq.schedules.put("s")],
      ["message", () => mq.schedules.put("s", { topic: "t", cron: "* * * * *" })],
      ["name", () => mq.schedules.get()],
    ],
    once: [
      ["db", () => db.once()],
      ["db.guarded", () => db.once(new DatabaseSync(":memory:"), id, work, { handler: "g" })],
      ["message", () => db.once(sqlite)],
      ["work", () => db.once(sqlite, id)],
      ["work", () => db.once(sqlite, id, { handler: "g" })],
      ["options", () => db.once(sqlite, id, work)],
      ["options", () => db.once(sqlite, id, work, "g")],
      ["options.by", () => db.once(sqlite, id, work, { by: "INSERT" })],
      ["options.by.sql", () => db.once(sqlite, id, work, { by: {} })],
      ["handler", () => db.once(sqlite, id, work, {})],
      ["message.id", () => db.once(sqlite, {}, work, { handler: "g" })],
      ["db", () => db.createOnceTable()],
    ],
    transactionTable: [
      ["db", () => db.transactionTable()],
      ["db.guarded", () => db.transactionTable({})],
      ["options", () => db.transactionTable(sqlite, null)],
      ["transaction", () => table.run()],
      ["work", () => table.run(id)],
      ["check", () => table.answer()],
      ["transactionId", () => table.run({}, work)],
      ["transactionId", () => table.answer({})],
    ],
    databases: [
      ["db.prepare", () => db.onSqlite()],
      ["db.prepare", () => db.onD1({})],
      ["pool.connect", () => db.onPostgres()],
      ["pool.getConnection", () => db.onMysql("mysql://")],
      ["storage.transactionSync", () => db.onDurableObject({ sql: {} })],
    ],
  };

test.each(Object.entries(CASES))(
  "%s: says which argument lacks, and sends nothing",
  async (_, cases) => {
    for (const [field, call] of cases) {
      const error: unknown = await Promise.resolve()
        .then(call)
        .catch((thrown: unknown) => thrown);
      const told = [error instanceof client.HalfmqError, String(error)];
      expect([call.toString(), ...told]).toEqual([
        call.toString(),
        true,
        expect.stringContaining(`invalid_request: ${field} must be `),
      ]);
      expect(error).toMatchObject({ facts: { field }, retryable: false, mayBeDone: false });
    }
    expect(broker.requests).toEqual([]);
  },
);

test("what is told of a wrong argument is its type, for it may be a secret", () => {
  expect(() => new sdk.HalfMQ({ url, key: ["whsec_hidden"] })).toThrow(
    "key must be a string that is not empty, not a list",
  );
});
