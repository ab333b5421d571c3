/** The RocketMQ door over a broker made of memory: what a running server does not do at will. */
import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { STATUS } from "../../../src/adapters/rocketmq/faults.ts";
import { rocketmqDoor } from "../../../src/adapters/rocketmq/door.ts";
import type { Broker, Delivery, PrepareRequest } from "../../../src/broker/broker.ts";
import { ALL_SCOPES, type Principal } from "../../../src/auth/principal.ts";
import {
  accept,
  type ErrorCode,
  ERRORS,
  type Outcome,
  refuse,
} from "../../../src/protocol/errors.ts";

const NOW_MS = 1_700_000_000_000;
const SECRET = "secret";
const CALLER: Principal = { namespace: "default", scopes: ALL_SCOPES, root: true, keyName: "root" };
const PUBLISH =
  '<Message xmlns="http://mq.aliyuncs.com/doc/v1/"><MessageBody>a</MessageBody></Message>';
const HALF = PUBLISH.replace("</Message>", "<Properties>__TransCheckT:10</Properties></Message>");

interface World {
  readonly broker?: { readonly [K in keyof Broker]?: Broker[K] };
  readonly signer?: Outcome<{ secret: string; principal?: Principal }>;
  readonly admitted?: Outcome<undefined>;
  /** How far the clock goes on at each look. */
  readonly tickMs?: number;
}

function doorIn({ broker = {}, signer, admitted, tickMs = 0 }: World) {
  const logged: string[] = [];
  const outlived: Promise<unknown>[] = [];
  let now = NOW_MS;
  const door = rocketmqDoor(
    {
      broker: broker as Broker,
      admit: () => Promise.resolve(admitted ?? accept(undefined)),
      clock: { nowMs: () => (now += tickMs), after: () => () => undefined },
      newRequestId: () => "request-1",
      log: { info: () => undefined, error: (event) => void logged.push(event) },
    },
    () => Promise.resolve(signer ?? accept({ secret: SECRET, principal: CALLER })),
  );
  const ask = (method: string, target: string, body?: string): Promise<Response> => {
    const date = new Date(NOW_MS).toUTCString();
    const text = `${method}\n\ntext/xml\n${date}\n${target}`;
    const signature = createHmac("sha1", SECRET).update(text).digest("base64");
    const headers = { date, "content-type": "text/xml", authorization: `MQ root:${signature}` };
    const request = new Request(`http://halfmq.test${target}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    expect(door.takes(request)).toBe(true);
    return door.answer(request, (work) => void outlived.push(work));
  };
  return { ask, logged, outlived };
}

async function told(answer: Response): Promise<string> {
  const text = await answer.text();
  return `${answer.status} ${/<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? text}`;
}

const publish = (world: World, body = PUBLISH): Promise<string> =>
  doorIn(world).ask("POST", "/topics/T/messages", body).then(told);

test("every refusal of the broker is one of the protocol's errors, with its status", async () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const send = () => Promise.resolve(refuse(code, "why"));
    const [status, name = ""] = (await publish({ broker: { send } })).split(" ");
    expect(Object.keys(STATUS), code).toContain(name);
    expect(Number(status), code).toBe(STATUS[name as keyof typeof STATUS]);
    // Who may try again must not be told that it is his fault.
    expect(ERRORS[code].status >= 500, code).toBe(Number(status) >= 500);
  }
});

const noTopic = () => Promise.resolve(refuse("topic_not_found", "There is no such topic"));
const later = () => Promise.resolve(refuse("unavailable", "later"));

test("a topic that may not be made is TopicNotExist, too many requests are QpsLimitExceeded", async () => {
  expect(await publish({ broker: { send: noTopic } })).toBe("404 TopicNotExist");
  const limited = refuse("rate_limited", "Too many");
  expect(await publish({ admitted: limited })).toBe("400 QpsLimitExceeded");
});

test("a bug is InternalError, and is logged", async () => {
  const { ask, logged } = doorIn({ broker: { send: () => Promise.reject(new Error("bug")) } });
  expect(await told(await ask("POST", "/topics/T/messages", PUBLISH))).toBe("500 InternalError");
  expect(logged).toEqual(["internal_error"]);
});

test("a deployment without a root key is told apart from a wrong key", async () => {
  const signer = refuse("not_configured", "The deployment has no root key");
  expect(await publish({ signer })).toBe("500 InternalServerError");
  expect(await publish({ signer: accept({ secret: "other" }) })).toBe("403 InvalidAccessKeyId");
});

test("row 74: a half over HTTP is asked after for a day, every ten seconds", async () => {
  const asked: PrepareRequest[] = [];
  const prepare: Broker["prepare"] = (_, request) => {
    asked.push(request);
    return Promise.resolve(refuse("unavailable", "later"));
  };
  await publish({ broker: { prepare } }, HALF);
  const { check } = asked[0] ?? {};
  expect(check).toMatchObject({ timeoutMs: 10_000, intervalMs: 10_000 });
  expect((check?.maxChecks ?? 0) * 10_000).toBe(24 * 3_600_000);
});

const prepareAt = (nameChars: number): Promise<string> =>
  doorIn({ broker: { prepare: later } })
    .ask("POST", `/topics/${"t".repeat(nameChars)}/messages`, HALF)
    .then(told);

test("a topic of half messages has room in its name for what is put before it", async () => {
  expect(await prepareAt(121)).toBe("500 InternalServerError");
  expect(await prepareAt(122)).toBe("400 InvalidArgument");
});

test("what a client that is gone was given after a wait is given back", async () => {
  const delivery: Delivery = {
    id: "m",
    topic: "T",
    queue: 0,
    offset: 0,
    sentAt: NOW_MS,
    storedAt: NOW_MS,
    content: { body: { json: '"a"' } },
    deliveryAttempt: 1,
    receipt: "r",
    invisibleUntil: NOW_MS + 1,
  };
  let back = 0;
  const giveBack = (): Promise<unknown> => Promise.resolve(back++);
  const broker: World["broker"] = {
    group: () => Promise.resolve(refuse("group_not_found", "not yet")),
    putGroup: later,
    receive: () => Promise.resolve(accept({ messages: [delivery], paused: false, giveBack })),
  };
  const target = "/topics/T/messages?consumer=G&numOfMessages=1&waitseconds=1";
  expect(await told(await doorIn({ broker }).ask("GET", target))).toBe("500 InternalServerError");
  const settings = { ordered: false, mode: "shared" };
  const known = { ...broker, group: () => Promise.resolve(accept({ settings } as never)) };
  const { ask, outlived } = doorIn({ broker: known, tickMs: 20 });
  const reader = (await ask("GET", target)).body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await Promise.all(outlived);
  expect(back).toBe(1);
});

test("the door takes what is its own, and leaves the rest", () => {
  const door = rocketmqDoor({} as never, () => Promise.reject(new Error("not asked")));
  const takes = (url: string, authorization?: string): boolean =>
    door.takes(new Request(url, authorization === undefined ? {} : { headers: { authorization } }));
  expect(takes("http://a/topics/T/messages")).toBe(true);
  expect(takes("http://a//topics/T/messages")).toBe(true);
  expect(takes("http://a/anything", "MQ id:signature")).toBe(true);
  expect(takes("http://a/anything", "Bearer key")).toBe(false);
  expect(takes("http://a")).toBe(false);
});
