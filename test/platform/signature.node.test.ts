/** Signatures agree with the reference library of Standard Webhooks in both directions. */
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { sign, verify } from "../../src/platform/signature.ts";

const secretOf = (fill: number): string => `whsec_${Buffer.alloc(32, fill).toString("base64")}`;
const OLD = secretOf(1);
const NEW = secretOf(2);
const BODY = '{"type":"transaction.check","data":{"text":"žluť 🐎"}}';

// The reference library reads the real clock and cannot be given another.
const NOW_MS = Date.now();
const TIMESTAMP = Math.floor(NOW_MS / 1_000);
const ID = "chk_tx_1_0_5_1";

const flip = (text: string, at: number): string =>
  text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);

const signedWith = async (
  secrets: Parameters<typeof sign>[0],
  nowMs = NOW_MS,
): Promise<Record<string, string>> => ({
  "webhook-id": ID,
  "webhook-timestamp": String(TIMESTAMP),
  "webhook-signature":
    (await sign(secrets, { id: ID, timestamp: TIMESTAMP, body: BODY }, nowMs)) ?? "",
});

test("the reference library accepts what we sign", async () => {
  const headers = await signedWith([{ secret: NEW }]);
  expect(new Webhook(NEW).verify(BODY, headers)).toEqual(JSON.parse(BODY));
  expect(() => new Webhook(OLD).verify(BODY, headers)).toThrow("No matching signature");
});

test("we accept what the reference library signs", async () => {
  const signature = new Webhook(NEW).sign(ID, new Date(TIMESTAMP * 1_000), BODY);
  const headers = { id: ID, timestamp: String(TIMESTAMP), signature };
  expect(await verify(NEW, headers, BODY, NOW_MS)).toBe(true);
  expect(await verify(OLD, headers, BODY, NOW_MS)).toBe(false);
  expect(
    await verify(NEW, { ...headers, signature: `v1a,AAAA ${signature} v1,%%` }, BODY, NOW_MS),
  ).toBe(true);
});

test("a rotated secret signs beside its successor until its time is over, and not after", async () => {
  const secrets = [{ secret: NEW }, { secret: OLD, untilAt: NOW_MS + 1 }];
  const during = await signedWith(secrets);
  expect(during["webhook-signature"]?.split(" ")).toHaveLength(2);
  new Webhook(NEW).verify(BODY, during);
  new Webhook(OLD).verify(BODY, during);

  const after = await signedWith(secrets, NOW_MS + 1);
  new Webhook(NEW).verify(BODY, after);
  expect(() => new Webhook(OLD).verify(BODY, after)).toThrow("No matching signature");
});

test("one flipped byte of body, id, instant or signature fails", async () => {
  const headers = await signedWith([{ secret: NEW }]);
  const webhook = new Webhook(NEW);
  const signature = headers["webhook-signature"] ?? "";
  const changed: [string, Record<string, string>][] = [
    [flip(BODY, 10), headers],
    [BODY, { ...headers, "webhook-id": flip(ID, 3) }],
    [BODY, { ...headers, "webhook-timestamp": String(TIMESTAMP - 1) }],
    [BODY, { ...headers, "webhook-signature": flip(signature, 8) }],
  ];
  for (const [body, each] of changed) {
    expect(() => webhook.verify(body, each, { jsonParse: false })).toThrow("No matching signature");
    const ours = {
      id: each["webhook-id"] ?? "",
      timestamp: each["webhook-timestamp"] ?? "",
      signature: each["webhook-signature"] ?? "",
    };
    expect(await verify(NEW, ours, body, NOW_MS)).toBe(false);
  }
});

test("a signature older or newer than five minutes is refused", async () => {
  const { "webhook-signature": signature = "" } = await signedWith([{ secret: NEW }]);
  const headers = { id: ID, timestamp: String(TIMESTAMP), signature };
  expect(await verify(NEW, headers, BODY, TIMESTAMP * 1_000 + 300_000)).toBe(true);
  expect(await verify(NEW, headers, BODY, TIMESTAMP * 1_000 + 300_001)).toBe(false);
  expect(await verify(NEW, headers, BODY, TIMESTAMP * 1_000 - 300_001)).toBe(false);
  expect(await verify(NEW, { ...headers, timestamp: "1e9" }, BODY, NOW_MS)).toBe(false);
});

test("secrets that cannot be read sign nothing", async () => {
  for (const secret of ["whsec_", "", "whsec_%%%"]) {
    expect(await sign([{ secret }], { id: ID, timestamp: 1, body: "" }, 0)).toBeUndefined();
    expect(await verify(secret, { id: ID, timestamp: "1", signature: "v1," }, "", 1_000)).toBe(
      false,
    );
  }
});
