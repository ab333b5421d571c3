/** Work that fails: when it comes again, what it becomes at last, and how that is put back a few at a time. */
import { HalfMQ } from "halfmq";

const { HALFMQ_URL: url = "http://127.0.0.1:8787", HALFMQ_KEY: key = "" } = process.env;
const mq = new HalfMQ({ url, key });

const settings = { maxAttempts: 2, backoff: { delaysMs: [100, 1_000] } };
const printer = mq.consumer<string>("example-22", "printer", { settings });
await mq.send("example-22", [{ body: "a" }, { body: "b" }, { body: "c" }, { body: "useless" }]);

// Three fail twice, one is not worth a second try.
for (let failures = 0; failures < 7;)
  for (const message of await printer.receive({ waitMs: 5_000 })) {
    const isUseless = message.body === "useless";
    await message.nack(isUseless ? { retry: false, reason: "no page" } : { reason: "no paper" });
    failures++;
  }

const ids: string[] = [];
for await (const letter of mq.groups.deadLetters<string>("example-22", "printer")) {
  console.log(`${letter.body}: ${letter.reason}, at attempt ${letter.deliveryAttempt}`);
  if (letter.reason === "no paper") ids.push(letter.id);
}

// There is paper again, and not too much of it at a time.
await mq.groups.redrive("example-22", "printer", { ids, ratePerSecond: 10 });
for (let printed = 0; printed < 3;)
  for (const message of await printer.receive({ waitMs: 5_000 })) {
    console.log(`printed ${message.body} at attempt ${message.deliveryAttempt}`);
    await message.ack();
    printed++;
  }
const { state, redriven } = await mq.groups.redriveProgress("example-22", "printer");
console.log(`${state}: ${redriven} were put back`);
await mq.groups.purgeDeadLetters("example-22", "printer");
