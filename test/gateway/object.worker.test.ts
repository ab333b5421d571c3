/** The gateway as an object with real sockets: it may be evicted while they are open. */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect, onTestFinished, test, vi } from "vitest";

const { HALFMQ_ROOT_KEY } = env as unknown as { HALFMQ_ROOT_KEY: string };
const headers = { authorization: `Bearer ${HALFMQ_ROOT_KEY}`, "content-type": "application/json" };

const call = (method: string, path: string, body?: unknown): Promise<Response> =>
  exports.default.fetch(
    new Request(`http://halfmq.test${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );

interface Frame {
  readonly messages?: readonly { readonly body: unknown; readonly receipt: string }[];
  readonly results?: readonly { readonly ok: boolean }[];
}

async function open(path: string) {
  const answer = await exports.default.fetch(
    new Request(`http://halfmq.test${path}/stream`, {
      headers: { ...headers, upgrade: "websocket" },
    }),
  );
  const socket = answer.webSocket;
  if (socket === null) throw new Error(await answer.text());
  const frames: Frame[] = [];
  socket.addEventListener("message", ({ data }) => {
    frames.push(JSON.parse(String(data)) as Frame);
  });
  socket.accept();
  onTestFinished(() => socket.close(1000));
  return { frames, say: (frame: unknown) => socket.send(JSON.stringify(frame)) };
}

const PATIENCE = { timeout: 30_000 };

const messagesOf = (frames: readonly Frame[]) => frames.flatMap(({ messages = [] }) => messages);

test("a gateway that is evicted while nothing is held goes on with its sockets and their credit", async () => {
  const topic = "/v1/topics/evicted";
  const group = `${topic}/groups/g`;
  await call("PUT", group, {});
  const { frames, say } = await open(group);
  say({ credit: 2 });
  const stub = env.GATEWAY.getByName("default/evicted/g");
  for (const body of ["first", "second", "third"]) {
    await call("POST", `${topic}/messages`, { body });
    await vi.waitFor(() => expect(messagesOf(frames).at(-1)?.body).toBe(body), PATIENCE);
    const answered = frames.filter(({ results }) => results !== undefined).length;
    say({ ack: [messagesOf(frames).at(-1)?.receipt] });
    await vi.waitFor(() => {
      const results = frames.filter((frame) => frame.results !== undefined);
      expect(results).toHaveLength(answered + 1);
      expect(results.at(-1)?.results).toMatchObject([{ ok: true }]);
    }, PATIENCE);
    // It would wait for a timer: with nothing held there is none.
    await evictDurableObject(stub);
  }
  expect(messagesOf(frames)).toHaveLength(3);
  expect(await runDurableObjectAlarm(stub), "it looks around now and then").toBe(true);
});
