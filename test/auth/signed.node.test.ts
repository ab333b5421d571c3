/** Who a signed request is from, against a registry made of memory; requests are signed with Node's own HMAC. */
import { createHash, createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { signedRequest } from "../../src/auth/signed.ts";
import { signingPair, type SigningPair } from "../../src/auth/signing-keys.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { sha256 } from "../../src/platform/constant-time.ts";
import { base64url } from "../../src/platform/random.ts";
import { accept, refuse } from "../../src/protocol/errors.ts";
import type { KeyRecord } from "../../src/protocol/rpc.ts";

const ROOT = "root-key-of-the-test";
const BODY = new TextEncoder().encode("{}");
const hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const hmac = (key: Uint8Array | string, text: string): Buffer =>
  createHmac("sha256", key).update(text).digest();

function signed({ accessKeyId, secretAccessKey }: SigningPair, nowMs: number) {
  const at = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const scope = [at.slice(0, 8), "eu-central-1", "sqs", "aws4_request"];
  const headers = `host:mq.test\nx-amz-date:${at}\n`;
  const canonical = `POST\n/\n\n${headers}\nhost;x-amz-date\n${hex(BODY)}`;
  const text = `AWS4-HMAC-SHA256\n${at}\n${scope.join("/")}\n${hex(Buffer.from(canonical))}`;
  let key: Buffer = Buffer.from(`AWS4${secretAccessKey}`);
  for (const part of scope) key = hmac(key, part);
  return {
    method: "POST",
    url: "https://mq.test/",
    headers: new Headers({
      host: "mq.test",
      "x-amz-date": at,
      authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope.join("/")}, SignedHeaders=host;x-amz-date, Signature=${hmac(key, text).toString("hex")}`,
    }),
  };
}

class World {
  nowMs = Date.UTC(2026, 0, 31);
  isDown = false;
  lookups = 0;
  readonly keys = new Map<string, { record: KeyRecord; hash: Uint8Array }>();
  readonly clock: Clock = { nowMs: () => this.nowMs, after: () => () => undefined };

  env(root = ROOT): Parameters<typeof signedRequest>[1] {
    const getByName = () => ({
      knowsNamespace: async (name: string) => accept({ known: name === "shop" }),
      keyHash: async (name: string) => {
        this.lookups++;
        if (this.isDown) throw new Error("gone");
        const found = this.keys.get(name);
        return found === undefined ? refuse("key_not_found", "none") : accept(found);
      },
    });
    return { HALFMQ_ROOT_KEY: root, REGISTRY: { getByName } };
  }

  key(name: string, more: Partial<KeyRecord> = {}, secret = name): SigningPair {
    const record: KeyRecord = { name, namespace: "shop", scopes: ["send"], createdAt: 1, ...more };
    const hash = sha256(secret);
    this.keys.set(name, { record, hash });
    const caller = { ...record, keyName: name, root: false, keyHash: base64url(hash) };
    const pair = signingPair(caller, ROOT);
    if (pair === undefined) throw new Error("a key without a pair");
    return pair;
  }

  async ask(pair: SigningPair, root = ROOT) {
    const found = await signedRequest(signed(pair, this.nowMs), this.env(root), this.clock);
    return found.ok ? found.value.verify(BODY) : found;
  }
}

const WRONG = { code: "unauthenticated", facts: { reason: "wrong" } };

describe("a signed request", () => {
  it("is from the key whose pair signed it, with its rights and limits", async () => {
    const world = new World();
    const limits = { sendsPerSecond: 1, burst: 1 };
    const pair = world.key("rights", { topics: ["a-*"], limits });
    expect(pair.accessKeyId).toBe("shop.rights");
    expect(await world.ask(pair)).toMatchObject({
      ok: true,
      value: { namespace: "shop", keyName: "rights", topics: ["a-*"], limits, root: false },
    });
  });

  it("is from root in the namespace that its id names", async () => {
    const world = new World();
    const root = { accessKeyId: "root@shop", secretAccessKey: ROOT };
    expect(await world.ask(root)).toMatchObject({ value: { namespace: "shop", root: true } });
    for (const accessKeyId of ["root@", "root@Shop", "root@-x", "rooted"])
      expect(await world.ask({ ...root, accessKeyId })).toMatchObject(WRONG);
  });

  it("is from nobody when the key has expired, was made anew, or the root key is another", async () => {
    const world = new World();
    const expiring = world.key("expiring", { expiresAt: world.nowMs + 1_000 });
    expect(await world.ask(expiring)).toMatchObject({ ok: true });
    world.nowMs += 1_000;
    expect(await world.ask(expiring)).toMatchObject(WRONG);
    const former = world.key("renewed");
    const renewed = world.key("renewed", {}, "another secret");
    expect(await world.ask(former)).toMatchObject(WRONG);
    expect(await world.ask(renewed)).toMatchObject({ ok: true });
    expect(await world.ask(renewed, "another root key")).toMatchObject(WRONG);
    expect(await world.ask(renewed, "")).toMatchObject({ code: "not_configured" });
  });

  it("asks the registry every five seconds, and takes no answer for no key", async () => {
    const world = new World();
    const pair = world.key("cached");
    for (let count = 0; count < 3; count++) await world.ask(pair);
    expect(world.lookups).toBe(1);
    world.nowMs += 5_000;
    world.keys.delete("cached");
    expect(await world.ask(pair)).toMatchObject(WRONG);
    world.isDown = true;
    expect(await world.ask(pair)).toMatchObject({ code: "unavailable" });
  });

  it("is of this body alone", async () => {
    const world = new World();
    const pair = world.key("body");
    const found = await signedRequest(signed(pair, world.nowMs), world.env(), world.clock);
    if (!found.ok) throw new Error(found.code);
    expect(found.value.verify(new Uint8Array())).toMatchObject(WRONG);
  });
});
