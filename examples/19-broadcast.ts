/** Every instance gets every message, with retries of its own: for caches and settings that each must hear of. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

await mq.groups.put("example-19", "caches", { mode: "broadcast", backoff: { delaysMs: [50] } });
const instance = (consumerId: string) =>
  mq.consumer<string>("example-19", "caches", { consumerId, onError: () => {} });

/** Drops two keys from a cache; the instance "b" fails once. */
async function drop(consumerId: string): Promise<void> {
  const dropped = Promise.withResolvers<void>();
  const keys = new Set<string>();
  const consumer = instance(consumerId);
  consumer.subscribe(({ body, deliveryAttempt }) => {
    if (consumerId === "b" && body === "user-1" && deliveryAttempt === 1) throw new Error("busy");
    keys.add(body);
    if (keys.size === 2) dropped.resolve();
  });
  await dropped.promise;
  await consumer.stop();
  console.log(`${consumerId} dropped ${[...keys].toSorted().join(" and ")}`);
}

await mq.send("example-19", [{ body: "user-1" }, { body: "user-2" }]);
for (const consumerId of ["a", "b"]) await drop(consumerId);
