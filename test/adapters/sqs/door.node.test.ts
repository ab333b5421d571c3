/** The SQS door over a broker made of memory: errors that a running server does not make at will, and requests that no SDK sends. */
import { expect, test } from "vitest";
import { sqsDoor } from "../../../src/adapters/sqs/door.ts";
import { FAULTS } from "../../../src/adapters/sqs/faults.ts";
import { ALL_SCOPES, type Principal } from "../../../src/auth/principal.ts";
import type { Broker } from "../../../src/broker/broker.ts";
import {
  accept,
  type ErrorCode,
  ERRORS,
  type Outcome,
  refuse,
} from "../../../src/protocol/errors.ts";

const CALLER: Principal = { namespace: "default", scopes: ALL_SCOPES, root: true, keyName: "root" };

interface World {
  readonly broker?: { readonly [K in keyof Broker]?: Broker[K] };
  readonly admitted?: Outcome<undefined>;
}

function doorIn({ broker = {}, admitted = accept(undefined) }: World = {}) {
  const logged: string[] = [];
  const door = sqsDoor(
    {
      broker: broker as Broker,
      admit: () => Promise.resolve(admitted),
      clock: { nowMs: () => 1_700_000_000_000, after: () => () => undefined },
      newRequestId: () => "request-1",
      log: { info: () => undefined, error: (event) => void logged.push(event) },
    },
    () => Promise.resolve(accept({ region: "here", verify: () => accept(CALLER) })),
  );
  const ask = (
    headers: Record<string, string>,
    body: NonNullable<RequestInit["body"]>,
  ): Promise<Response> => {
    const request = new Request("http://halfmq.test/", { method: "POST", headers, body });
    expect(door.takes(request)).toBe(true);
    return door.answer(request, () => undefined);
  };
  return {
    logged,
    json: (action: string, body: NonNullable<RequestInit["body"]>) =>
      ask({ "x-amz-target": `AmazonSQS.${action}` }, body),
    query: (body: string) => ask({ "content-type": "application/x-www-form-urlencoded" }, body),
  };
}

/** Status and error, in both protocols. */
async function told(answer: Response): Promise<string> {
  const text = await answer.text();
  const [, name] =
    /"__type":"[^#"]+#(\w+)"|<Code>([\w.]+)<\/Code>/u.exec(text)?.filter(Boolean) ?? [];
  return `${answer.status} ${name ?? text}`;
}

const TO = JSON.stringify({ QueueUrl: "http://halfmq.test/default/q", MessageBody: "x" });
const send = (world: World): Promise<string> => doorIn(world).json("SendMessage", TO).then(told);

test("every refusal of the broker is one of SQS's errors, with its status", async () => {
  for (const code of [...Object.keys(ERRORS), "stale_route"] as (ErrorCode | "stale_route")[]) {
    const topic = () => Promise.resolve(refuse(code, "why"));
    const [status, name = ""] = (await send({ broker: { topic } })).split(" ");
    expect(Object.keys(FAULTS), code).toContain(name);
    expect(Number(status), code).toBe(FAULTS[name as keyof typeof FAULTS].status);
    // Who may try again must not be told that it is his fault.
    const isOurs = code === "stale_route" || ERRORS[code].status >= 500;
    expect(isOurs, code).toBe(Number(status) >= 500);
  }
});

test("who sends too fast is told RequestThrottled", async () => {
  const group = { name: "sqs", number: 1, settings: {}, paused: false, createdAt: 0 };
  const route = { namespace: "default", topic: "q", settings: {}, groups: [group] };
  const topic = () => Promise.resolve(accept(route as never));
  const admitted = refuse("rate_limited", "Too many");
  expect(await send({ broker: { topic }, admitted })).toBe("403 RequestThrottled");
});

test("a bug is InternalFailure, and is logged", async () => {
  const { json, logged } = doorIn({ broker: { topic: () => Promise.reject(new Error("bug")) } });
  expect(await told(await json("SendMessage", TO))).toBe("500 InternalFailure");
  expect(logged).toEqual(["internal_error"]);
});

test("actions that are none, though every object has them, are InvalidAction", async () => {
  const { json, query, logged } = doorIn();
  for (const action of ["Fly", "constructor", "toString", "hasOwnProperty"]) {
    expect(await told(await json(action, "{}"))).toBe("400 InvalidAction");
    expect(await told(await query(`Action=${action}`))).toBe("400 InvalidAction");
  }
  for (const action of ["AddPermission", "RemovePermission"])
    expect(await told(await json(action, "{}"))).toBe("400 UnsupportedOperation");
  expect(logged).toEqual([]);
});

test("what is no JSON, no text or no address is told so", async () => {
  const { json } = doorIn();
  expect(await told(await json("ListQueues", "{"))).toBe("400 SerializationException");
  const bytes = Uint8Array.of(0x22, 0xff, 0x22);
  expect(await told(await json("ListQueues", bytes))).toBe("400 SerializationException");
  const nowhere = JSON.stringify({ QueueUrl: "q", MessageBody: "x" });
  expect(await told(await json("SendMessage", nowhere))).toBe("404 InvalidAddress");
});

test("forms of too many names, of names too deep, and of names that every object has are judged, and no bug", async () => {
  const { query, logged } = doorIn();
  const named = async (form: string) => told(await query(`Action=GetQueueUrl&${form}`));
  expect(await named("a=1&".repeat(2_001))).toBe("400 InvalidParameterValue");
  expect(await named("&".repeat(7_000_000))).toBe("400 InvalidParameterValue");
  expect(await named(`${"a.".repeat(3_000_000)}b=1`)).toBe("400 InvalidParameterValue");
  expect(await named("constructor.1=x&toString.1.Name=x")).toBe("400 MissingParameter");
  expect(logged).toEqual([]);
});
