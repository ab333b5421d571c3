/** The tail of a topic: messages with their places, taken up again where the line broke. */
import { expect, test } from "vitest";
import { FakeBroker } from "./fake-broker.node.ts";
import { FakeClock } from "./fake-clock.node.ts";

/** A broker whose every line is one of the given texts; the last one stays open. */
function lines(...texts: readonly string[]) {
  const asked: { readonly url: string; readonly lastEventId: string | undefined }[] = [];
  const clock = new FakeClock();
  const broker = new FakeBroker();
  const mq = broker.client({
    clock,
    fetch: (url, { headers, signal }) => {
      asked.push({ url: url.replace(/^.*\/topics/u, ""), lastEventId: headers["last-event-id"] });
      const text = texts[asked.length - 1] ?? "";
      const isLast = asked.length >= texts.length;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          controller.enqueue(new TextEncoder().encode(text));
          if (!isLast) controller.close();
          else signal.addEventListener("abort", () => controller.error(signal.reason));
        },
      });
      return Promise.resolve(new Response(body));
    },
  });
  return { mq, clock, asked };
}

const event = (id: string, data: unknown, name = ""): string =>
  `id: ${id}\n${name === "" ? "" : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;

const problem = (code: string, status: number, retryable: boolean): object => ({
  type: "about:blank",
  code,
  detail: code,
  status,
  retryable,
});

test("messages come with their places, and gaps are told", async () => {
  const { mq, asked } = lines(
    `: halfmq\nid: 7-0\n\n${event("7-5", { queue: 0, offset: 0, count: 4 }, "gap")}${event("7-5", { id: "m" })}`,
  );
  const gaps: unknown[] = [];
  const tail = mq.tail("orders", { from: "earliest", onGap: (gap) => gaps.push(gap) });
  expect(await tail.next()).toEqual({ done: false, value: { message: { id: "m" }, place: "7-5" } });
  await tail.return();
  expect(gaps).toEqual([{ queue: 0, offset: 0, count: 4 }]);
  expect(asked).toEqual([{ url: "/orders/tail?from=earliest", lastEventId: undefined }]);
});

test("a line that breaks before its first message goes on where it began, a place goes before from", async () => {
  const { mq, clock, asked } = lines(": halfmq\nid: 7-3\n\n", event("7-4", { id: "m" }));
  const tail = mq.tail("orders", { place: "7-1" });
  const first = tail.next();
  await clock.advance(200);
  expect(await first).toMatchObject({ value: { place: "7-4" } });
  expect(asked.map(({ lastEventId }) => lastEventId)).toEqual(["7-1", "7-3"]);
  await tail.return();
  expect(clock.timers).toBe(0);
});

test("who takes his time with a message is no dead line", async () => {
  const { mq, clock, asked } = lines(event("7-1", 1) + event("7-2", 2));
  const tail = mq.tail("orders");
  await tail.next();
  expect(clock.timers, "nothing is watched meanwhile").toBe(0);
  await clock.advance(600_000);
  expect(await tail.next()).toMatchObject({ value: { place: "7-2" } });
  expect(asked).toHaveLength(1);
  await tail.return();
});

test("an end that will not pass is thrown, a passing one is ridden out", async () => {
  const { mq, clock } = lines(
    event("7-1", problem("unavailable", 503, true), "end"),
    event("7-2", { id: "m" }) + event("7-2", problem("topic_not_found", 404, false), "end"),
  );
  const errors: unknown[] = [];
  const tail = mq.tail("orders", { onError: (error) => errors.push(error) });
  const first = tail.next();
  await clock.advance(200);
  expect(await first).toMatchObject({ value: { place: "7-2" } });
  expect(errors).toEqual([expect.objectContaining({ code: "unavailable" })]);
  await expect(tail.next()).rejects.toMatchObject({ code: "topic_not_found", status: 404 });
});

test("what is not the broker's is thrown as such", async () => {
  const { mq } = lines("data: <html>\n\n");
  await expect(mq.tail("orders").next()).rejects.toMatchObject({ code: "unexpected_answer" });
  const endless = lines(`data: ${"x".repeat(17 * 1024 * 1024)}`);
  await expect(endless.mq.tail("orders").next()).rejects.toMatchObject({
    code: "unexpected_answer",
  });
});
