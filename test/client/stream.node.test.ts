/** A subscription over a stream: what it does when the line breaks, is refused, or dies without a word. */
import { expect, test } from "vitest";
import type { Socket } from "../../src/client/index.ts";
import { FakeBroker, problem } from "./fake-broker.node.ts";
import { turns } from "./fake-clock.node.ts";
import { FakeGroup, GROUP, GROUP_PATH, TOPIC } from "./fake-group.node.ts";

type Said = Readonly<Record<string, unknown>>;

class FakeSocket implements Socket {
  readyState = 0;
  readonly said: string[] = [];
  closedWith: number | undefined;
  readonly #listeners = new Map<string, ((event: { data: unknown }) => void)[]>();

  addEventListener(type: string, run: (event: { data: unknown }) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), run]);
  }

  send(text: string): void {
    this.said.push(text);
  }

  close(code?: number): void {
    this.closedWith = code;
    this.break();
  }

  open(): void {
    this.readyState = 1;
    this.#tell("open");
  }

  break(): void {
    this.readyState = 3;
    this.#tell("close");
  }

  hear(frame: unknown): void {
    this.#tell("message", typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  get frames(): Said[] {
    return this.said.filter((text) => text !== "ping").map((text) => JSON.parse(text) as Said);
  }

  #tell(type: string, data?: unknown): void {
    for (const run of this.#listeners.get(type) ?? []) run({ data });
  }
}

function begin(
  handle: (body: unknown) => unknown = () => undefined,
  settings: Record<string, unknown> = {},
) {
  const broker = new FakeBroker();
  const group = new FakeGroup(broker, settings);
  const sockets: FakeSocket[] = [];
  const asked: { url: string; protocols: readonly string[] }[] = [];
  const errors: unknown[] = [];
  const { clock } = broker;
  const mq = broker.client({ key: "hmq_default.k.s", namespace: "shop" });
  const consumer = mq.consumer(TOPIC, GROUP, {
    onError: (error) => errors.push(error),
    webSocket: (url, protocols) => {
      const socket = new FakeSocket();
      sockets.push(socket);
      asked.push({ url, protocols });
      return socket;
    },
  });
  const subscription = consumer.subscribe(({ body }) => handle(body), {
    stream: true,
    maxMessages: 5,
  });
  return { broker, group, sockets, asked, errors, clock, subscription };
}

/** The newest socket, once it is open and was given its credit. */
async function opened(sockets: readonly FakeSocket[]): Promise<FakeSocket> {
  await turns();
  const socket = sockets.at(-1);
  if (socket === undefined) throw new Error("no socket was made");
  socket.open();
  await turns();
  return socket;
}

const results = (socket: FakeSocket | undefined, ...receipts: string[]): void =>
  socket?.hear({ results: receipts.map((receipt) => ({ receipt, ok: true })) });

const deliver = (socket: FakeSocket | undefined, ...receipts: string[]): void =>
  socket?.hear({
    messages: receipts.map((receipt) => ({
      id: receipt,
      receipt,
      body: receipt,
      deliveryAttempt: 1,
    })),
  });

const acked = (socket: FakeSocket | undefined): unknown[] =>
  socket?.frames.flatMap(({ ack }) => (ack as string[] | undefined) ?? []) ?? [];

test("it shows the key as a subprotocol, gives credit for its room, and acks together on the socket", async () => {
  const seen: unknown[] = [];
  const { sockets, asked, subscription, clock } = begin((body) => seen.push(body));
  await turns();
  expect(asked).toEqual([
    {
      url: `ws://broker.test${GROUP_PATH}/stream`,
      protocols: ["halfmq", "halfmq.bearer.aG1xX2RlZmF1bHQuay5z", "halfmq.namespace.shop"],
    },
  ]);
  const [socket] = sockets;
  socket?.open();
  await turns();
  expect(socket?.frames).toEqual([{ credit: 5 }]);
  deliver(socket, "r1", "r2");
  await clock.advance(5);
  expect(seen).toEqual(["r1", "r2"]);
  expect(socket?.frames.at(-1), "one frame").toEqual({ ack: ["r1", "r2"] });
  results(socket, "r1", "r2");
  expect(await subscription.stop()).toEqual({ unfinished: 0 });
  expect(socket?.frames.at(-1), "no more is wanted").toEqual({ credit: 0 });
  expect(socket?.closedWith).toBe(1000);
  expect(clock.timers).toBe(0);
});

test("of an ordered group it asks for one message of a message group at a time", async () => {
  const { sockets } = begin(() => undefined, { ordered: true });
  const socket = await opened(sockets);
  expect(socket.frames).toEqual([{ credit: 1, onePerMessageGroup: true }]);
});

test("answers find their questions in whatever order they come, and a new receipt is taken over", async () => {
  const gates = new Map<unknown, (error?: Error) => void>();
  const { sockets, errors, clock, subscription } = begin(
    (body) =>
      new Promise<void>((resolve, reject) => {
        gates.set(body, (error) => (error === undefined ? resolve() : reject(error)));
      }),
  );
  const socket = await opened(sockets);
  deliver(socket, "r1", "r2");
  await clock.advance(15_000);
  expect(socket.frames.at(-1)).toEqual({ extend: ["r1", "r2"], invisibleMs: 30_000 });
  socket.hear({ results: ["n1", "n2"].map((receipt) => ({ receipt, ok: true })) });
  await turns();
  gates.get("r1")?.(new Error("not now"));
  await turns();
  expect(socket.frames.at(-1)).toEqual({ nack: ["n1"], reason: "Error: not now" });
  gates.get("r2")?.();
  await clock.advance(5);
  expect(socket.frames.at(-1)).toEqual({ ack: ["n2"] });
  results(socket, "n2");
  socket.hear({ results: [{ receipt: "n1", ok: false, code: "receipt_expired" }] });
  expect(await subscription.stop()).toEqual({ unfinished: 0 });
  expect(errors.map(String)).toEqual([
    "Error: not now",
    expect.stringContaining("receipt_expired"),
  ]);
});

test("a line that broke is opened again after a pause, and acks meanwhile go by HTTP", async () => {
  const gates: (() => void)[] = [];
  const { sockets, group, errors, clock, subscription } = begin(
    () => new Promise<void>((resolve) => gates.push(resolve)),
  );
  const first = await opened(sockets);
  deliver(first, "r1");
  await turns();
  first.break();
  gates[0]?.();
  await clock.advance(10);
  expect(group.acked).toEqual(["r1"]);
  expect(sockets, "not at once").toHaveLength(1);
  expect(errors).toEqual([expect.objectContaining({ code: "network_error" })]);
  await clock.advance(90);
  const second = await opened(sockets);
  expect(second.frames).toEqual([{ credit: 5 }]);
  await subscription.stop();
});

test("a broker that hangs up again and again is left alone for longer and longer", async () => {
  const { sockets, clock, subscription } = begin();
  const openedAt: number[] = [];
  const beganAt = clock.now();
  for (let time = 0; time < 5; time++) {
    (await opened(sockets)).break();
    openedAt.push(clock.now() - beganAt);
    while (sockets.length < time + 2) await clock.advance(50);
  }
  expect(openedAt).toEqual([0, 100, 300, 700, 1_500]);
  await subscription.stop();
  expect(clock.timers).toBe(0);
});

test("an ack whose answer was lost with the line is said again by HTTP", async () => {
  const { sockets, group, clock, subscription } = begin();
  const socket = await opened(sockets);
  deliver(socket, "r1");
  await clock.advance(5);
  expect(acked(socket)).toEqual(["r1"]);
  socket.break();
  await clock.advance(10);
  expect(group.acked).toEqual(["r1"]);
  await subscription.stop();
});

test("an ack that the broker does not answer is said again by HTTP, and holds nobody up", async () => {
  const { sockets, group, clock, subscription } = begin();
  const socket = await opened(sockets);
  deliver(socket, "r1");
  await clock.advance(5);
  socket.hear({ error: { code: "unavailable", detail: "a queue is away", status: 503 } });
  const stopped = subscription.stop();
  await clock.advance(10_000);
  expect(group.acked).toEqual(["r1"]);
  expect(await stopped).toEqual({ unfinished: 0 });
});

test("nacks that would flood the line go by HTTP", async () => {
  const { sockets, group, clock, subscription } = begin(() => {
    throw new Error("no");
  });
  const socket = await opened(sockets);
  for (let n = 0; n < 100; n++) {
    const receipts = Array.from({ length: 5 }, (_, each) => `r${n * 5 + each}`);
    deliver(socket, ...receipts);
    await turns();
    for (const receipt of receipts) results(socket, receipt);
  }
  const nacks = socket.frames.filter(({ nack }) => nack !== undefined).length;
  expect(nacks).toBe(400);
  expect(group.nacked).toHaveLength(100);
  await clock.advance(10);
  await subscription.stop();
});

test("a line that dies without a word is given up", async () => {
  const { sockets, clock, subscription } = begin();
  const socket = await opened(sockets);
  await clock.advance(30_000);
  expect(socket.said.at(-1)).toBe("ping");
  socket.hear("pong");
  await clock.advance(29_000);
  expect(socket.closedWith).toBeUndefined();
  await clock.advance(16_001);
  expect(socket.readyState).toBe(3);
  await clock.advance(60_000);
  expect(sockets.length).toBeGreaterThan(1);
  await subscription.stop();
});

test("a line that speaks nonsense is given up, and the process lives", async () => {
  const { sockets, errors, clock, subscription } = begin();
  const socket = await opened(sockets);
  socket.hear("<html>");
  expect(socket.readyState).toBe(3);
  expect(errors).toEqual([expect.objectContaining({ code: "unexpected_answer" })]);
  await clock.advance(100);
  expect(sockets).toHaveLength(2);
  await subscription.stop();
});

test("leases of what came and waits for its turn are kept", async () => {
  const { sockets, clock, subscription } = begin(() => new Promise<void>(() => {}));
  const socket = await opened(sockets);
  deliver(socket, "r1", "r2", "r3");
  await turns();
  deliver(socket, "r4");
  await clock.advance(15_000);
  const extended = socket.frames.flatMap(({ extend }) => (extend as string[] | undefined) ?? []);
  expect(extended).toEqual(["r1", "r2", "r3", "r4"]);
  const stopped = subscription.stop({ deadlineMs: 0 });
  await clock.advance(20_000);
  expect(await stopped).toEqual({ unfinished: 1 });
  expect(socket.closedWith).toBe(1000);
});

test("a socket that is not open yet is given up by a stop", async () => {
  const { sockets, clock, subscription } = begin();
  await turns();
  await subscription.stop();
  expect(sockets[0]?.readyState).toBe(3);
  expect(clock.timers).toBe(0);
});

test("a key that may not is told so, instead of being tried for ever", async () => {
  const { broker, sockets, subscription } = begin();
  broker.on(`GET ${GROUP_PATH}/stream`, () => problem(403, "forbidden"));
  await turns();
  sockets[0]?.break();
  await expect(subscription.done).rejects.toMatchObject({ code: "forbidden" });
});

test("a consumer of a broadcast group says who it is", async () => {
  const { subscription, sockets } = begin(undefined, { mode: "broadcast" });
  await expect(subscription.done).rejects.toMatchObject({
    code: "invalid_request",
    facts: { field: "consumerId" },
  });
  expect(sockets).toEqual([]);
});

test("the end of the group ends the subscription", async () => {
  const { sockets, subscription } = begin();
  const socket = await opened(sockets);
  socket.hear({ error: { code: "group_not_found", detail: "gone", status: 404 } });
  await expect(subscription.done).rejects.toMatchObject({ code: "group_not_found" });
});
