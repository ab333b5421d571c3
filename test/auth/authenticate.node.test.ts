/** Who a request is from: root, a key, or nobody, against a registry made of memory. */
import { describe, expect, it } from "vitest";
import { allows } from "../../src/auth/allows.ts";
import { authenticate } from "../../src/auth/authenticate.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { sha256 } from "../../src/platform/constant-time.ts";
import { keyText } from "../../src/platform/key-text.ts";
import { base64url, randomBytes } from "../../src/platform/random.ts";
import { accept, refuse } from "../../src/protocol/errors.ts";
import type { KeyRecord } from "../../src/protocol/rpc.ts";

const ROOT = "root-key-of-the-test";

class World {
  readonly keys = new Map<string, { record: KeyRecord; hash: Uint8Array }>();
  lookups = 0;
  readonly asked = new Set<string>();
  isDown = false;
  nowMs = 1_000_000;
  readonly clock: Clock = { nowMs: () => this.nowMs, after: () => () => undefined };

  env(root: string | undefined = ROOT): Parameters<typeof authenticate>[1] {
    const getByName = (namespace: string) => ({
      knowsNamespace: async (name: string) => {
        if (this.isDown) throw new Error("gone");
        return accept({ known: namespace === "default" && name === "shop" });
      },
      keyHash: async (name: string) => {
        this.lookups++;
        this.asked.add(namespace);
        if (this.isDown) throw new Error("gone");
        const found = this.keys.get(`${namespace}/${name}`);
        return found === undefined ? refuse("key_not_found", "none") : accept(found);
      },
    });
    return { HALFMQ_ROOT_KEY: root, REGISTRY: { getByName } };
  }

  async key(name: string, more: Partial<KeyRecord> = {}): Promise<string> {
    const secret = base64url(randomBytes(32));
    const namespace = "shop";
    const record: KeyRecord = { name, namespace, scopes: ["send"], createdAt: 1, ...more };
    this.keys.set(`${namespace}/${name}`, { record, hash: sha256(secret) });
    return keyText({ namespace, name, secret });
  }

  ask(authorization?: string, namespace?: string) {
    const headers = new Headers();
    if (authorization !== undefined) headers.set("authorization", authorization);
    if (namespace !== undefined) headers.set("halfmq-namespace", namespace);
    return authenticate(headers, this.env(), this.clock);
  }
}

describe("authenticate", () => {
  it("says not_configured without a root key", async () => {
    const world = new World();
    for (const root of ["", undefined]) {
      const env = { ...world.env(), HALFMQ_ROOT_KEY: root } as ReturnType<World["env"]>;
      const headers = new Headers({ authorization: "Bearer x" });
      expect(await authenticate(headers, env)).toMatchObject({ code: "not_configured" });
    }
  });

  it("gives root every scope, in default or the namespace it names", async () => {
    const world = new World();
    const root = await world.ask(`Bearer ${ROOT}`);
    expect(root).toMatchObject({ value: { namespace: "default", root: true } });
    expect(await world.ask(`bearer ${ROOT}`, "shop-2")).toMatchObject({
      value: { namespace: "shop-2" },
    });
    for (const bad of ["Shop", "-shop", "a/b", "", "a".repeat(64)]) {
      expect(await world.ask(`Bearer ${ROOT}`, bad)).toMatchObject({ code: "invalid_request" });
    }
  });

  it("refuses whatever is missing, malformed, unknown or wrong in the same words", async () => {
    const world = new World();
    const good = await world.key("k.1");
    const flipped = `${good.slice(0, -2)}${good.at(-2) === "A" ? "B" : "A"}${good.at(-1)}`;
    const bad = [
      `Basic ${ROOT}`,
      "Bearer",
      `Bearer ${ROOT}x`,
      "Bearer hmq_a.b",
      `Bearer ${flipped}`,
    ];
    bad.push(`Bearer ${good.replace("k.1", "k.2")}`, `Bearer ${good.replace("shop", "other")}`);
    const first = await world.ask();
    expect(first).toMatchObject({ code: "unauthenticated" });
    for (const each of bad) expect(await world.ask(each), each).toEqual(first);
  });

  it("knows a key whose name holds dots, in its own namespace only", async () => {
    const world = new World();
    const text = await world.key("a.b.c", { topics: ["orders*"] });
    const found = await world.ask(`Bearer ${text}`, "shop");
    expect(found).toEqual(
      accept({
        keyHash: expect.stringMatching(/^[\w-]{43}$/u) as string,
        namespace: "shop",
        scopes: ["send"],
        topics: ["orders*"],
        root: false,
        keyName: "a.b.c",
      }),
    );
    expect(await world.ask(`Bearer ${text}`, "default")).toMatchObject({ code: "forbidden" });
  });

  it("remembers a good key for five seconds, and never beyond its end", async () => {
    const world = new World();
    const text = `Bearer ${await world.key("k", { expiresAt: world.nowMs + 3_000 })}`;
    const lasting = `Bearer ${await world.key("lasting")}`;
    for (const each of [text, text, lasting, lasting]) {
      expect(await world.ask(each)).toMatchObject({ ok: true });
    }
    expect(world.lookups).toBe(2);
    world.keys.clear();
    world.nowMs += 3_000;
    expect(await world.ask(text)).toMatchObject({ code: "unauthenticated" });
    expect(await world.ask(lasting)).toMatchObject({ ok: true });
    world.nowMs += 2_000;
    expect(await world.ask(lasting)).toMatchObject({ code: "unauthenticated" });
  });

  it("asks once about a wrong key in five seconds, and at once about another of its name", async () => {
    const world = new World();
    const old = `Bearer ${await world.key("k")}`;
    const fresh = `Bearer ${await world.key("k")}`;
    for (let count = 0; count < 5; count++) {
      expect(await world.ask(old)).toMatchObject({ code: "unauthenticated" });
    }
    expect(world.lookups).toBe(1);
    expect(await world.ask(fresh)).toMatchObject({ ok: true });
    world.nowMs += 5_000;
    expect(await world.ask(old)).toMatchObject({ code: "unauthenticated" });
    expect(world.lookups).toBe(3);
  });

  it("brings no registry to life for a namespace that nobody made", async () => {
    const world = new World();
    const text = await world.key("k");
    for (const namespace of ["made-up", "other", "x"]) {
      const stranger = `Bearer ${text.replace("shop", namespace)}`;
      expect(await world.ask(stranger)).toMatchObject({ code: "unauthenticated" });
    }
    expect(await world.ask(`Bearer ${text}`)).toMatchObject({ ok: true });
    expect(await world.ask(`Bearer ${text.replace("shop", "default")}`)).toMatchObject({
      code: "unauthenticated",
    });
    expect([...world.asked]).toEqual(["shop", "default"]);
  });

  it("never takes an unreachable registry for a wrong key", async () => {
    const world = new World();
    const text = `Bearer ${await world.key("k")}`;
    world.isDown = true;
    expect(await world.ask(text)).toMatchObject({ code: "unavailable" });
    world.isDown = false;
    expect(await world.ask(text)).toMatchObject({ ok: true });
  });
});

describe("allows", () => {
  const key = { namespace: "n", scopes: ["send"], root: false, keyName: "k" } as const;
  it("asks for the scope, then for the topic", () => {
    const bound = { ...key, topics: ["orders", "log-*"] };
    for (const topic of ["orders", "log-", "log-a", undefined]) {
      expect(allows(bound, "send", topic)).toMatchObject({ ok: true });
    }
    for (const topic of ["orders2", "order", "log", "*"]) {
      expect(allows(bound, "send", topic)).toMatchObject({ code: "forbidden" });
    }
    expect(allows(key, "send", "any")).toMatchObject({ ok: true });
    expect(allows(key, "manage", "any")).toMatchObject({ code: "forbidden" });
  });
});
