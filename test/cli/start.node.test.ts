/** `npm start`, as its user sees it: what it prints, what it refuses, and what it leaves behind. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { freePort } from "../../demo/free-port.ts";
import { startServer } from "../../src/cli/server.ts";
import { dataFolder, Launched, listens, until, urlIn } from "./launched.node.ts";

/** Of this process alone: another run looks for its own among all processes. */
const GIVEN_KEY = `a-root-key-given-by-the-environment-of-${process.pid}`;

describe("a start", () => {
  test("serves on the address that it prints", async () => {
    const launched = new Launched({ HALFMQ_DATA: await dataFolder() });
    const url = urlIn(await launched.greeting());
    const answer = await fetch(`${url}/v1/health`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ status: "ok", version: "0.1.0" });
  });

  test("by npm ends with npm when that is asked to", async () => {
    const launched = new Launched({ HALFMQ_DATA: await dataFolder() }, [], ["npm", "start"]);
    const url = urlIn(await launched.greeting());
    launched.signal("SIGTERM");
    await launched.nothingLeft();
    await until(async () => !(await listens(url)));
  });

  test("makes a root key that only its owner can read, and prints it", async () => {
    const data = await dataFolder();
    const greeting = await new Launched({ HALFMQ_DATA: data }).greeting();
    const file = join(data, "root-key");
    const key = readFileSync(file, "utf8").trim();
    expect(key).toMatch(/^hmq_root_[\w-]{43}$/u);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(greeting).toContain(`root key     ${key} (made now, kept in ${file})`);
    expect(greeting).toContain(`data folder  ${data}`);
  });

  test("prints a send and a receive as whole commands with the key", async () => {
    const greeting = await new Launched({ HALFMQ_DATA: await dataFolder() }).greeting();
    const url = urlIn(greeting);
    const [send = "", receive = ""] = greeting.match(/curl .*/gu) ?? [];
    const key = /root key {5}(\S+)/u.exec(greeting)?.[1];
    const json = `-H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d`;
    expect(send).toBe(
      `curl -sS ${url}/v1/topics/orders/messages ${json} '{"body": {"hello": "world"}}'; echo`,
    );
    expect(receive).toBe(
      `curl -sS ${url}/v1/topics/orders/groups/billing/receive ${json} '{}'; echo`,
    );
  });

  test("shows a given root key nowhere: not in its words, its files or the process list", async () => {
    const data = await dataFolder();
    const launched = new Launched({ HALFMQ_DATA: data, HALFMQ_ROOT_KEY: GIVEN_KEY });
    expect(await launched.greeting()).not.toContain(GIVEN_KEY);
    expect(spawnSync("grep", ["-r", GIVEN_KEY, data]).status).toBe(1);
    const list = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
    expect(list).toContain("workerd serve");
    expect(list).not.toContain(GIVEN_KEY);
  });

  test("keeps three processes: the launcher, workerd, and the shell that watches", async () => {
    const launched = new Launched({ HALFMQ_DATA: await dataFolder() });
    await launched.greeting();
    expect(launched.commands()).toEqual([
      expect.stringContaining("src/cli/start.ts"),
      expect.stringContaining("workerd serve"),
      expect.stringContaining("sh -c trap"),
    ]);
  });

  test("on loopback lets webhooks reach loopback, on every address it does not", async () => {
    const [near, far] = [await dataFolder(), await dataFolder()];
    await new Launched({ HALFMQ_DATA: near }).greeting();
    const greeting = await new Launched({ HALFMQ_DATA: far, HALFMQ_HOST: "0.0.0.0" }).greeting();
    expect(greeting).toContain("bound to 0.0.0.0");
    expect(readFileSync(join(near, "workerd.capnp"), "utf8")).toContain("HALFMQ_LOOPBACK");
    expect(readFileSync(join(far, "workerd.capnp"), "utf8")).not.toContain("HALFMQ_LOOPBACK");
  });

  test("after a stop finds the key of the one before", async () => {
    const data = await dataFolder();
    const first = new Launched({ HALFMQ_DATA: data });
    await first.greeting();
    first.signal("SIGTERM");
    await first.ended;
    const greeting = await new Launched({ HALFMQ_DATA: data }).greeting();
    expect(greeting).toContain(readFileSync(join(data, "root-key"), "utf8").trim());
    expect(greeting).toContain("kept in");
  });
});

describe("an end", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    for (const whom of ["the launcher", "the whole group"]) {
      test(`by ${signal} to ${whom} is clean: exit 0, no child, no listener, no words`, async () => {
        const launched = new Launched({ HALFMQ_DATA: await dataFolder() });
        const url = urlIn(await launched.greeting());
        if (whom === "the launcher") launched.signal(signal);
        else launched.signalGroup(signal);
        expect(await launched.ended).toEqual({ code: 0, stderr: "" });
        await launched.nothingLeft();
        await until(async () => !(await listens(url)));
      });
    }
  }

  test.for<[when: string, moment: (data: string, url: string) => boolean | Promise<boolean>]>([
    ["it holds its folder", (data) => existsSync(join(data, "lock"))],
    ["workerd is there", (data) => existsSync(join(data, "workerd.capnp"))],
    ["the server listens", (_, url) => listens(url)],
    ["the server answers", (_, url) => fetch(url).then(Boolean, () => false)],
  ])("by a signal as soon as %s is as clean", async ([, moment]) => {
    const data = await dataFolder();
    const port = await freePort();
    const launched = new Launched({ HALFMQ_DATA: data, PORT: String(port) });
    await until(() => moment(data, `http://127.0.0.1:${port}`));
    launched.signal("SIGINT");
    expect(await launched.ended).toEqual({ code: 0, stderr: "" });
    await launched.nothingLeft();
    expect(existsSync(join(data, "lock"))).toBe(false);
  });

  test("of a start that hangs is the signal's own", async () => {
    const data = await dataFolder();
    execFileSync("mkfifo", [join(data, "root-key")]);
    const launched = new Launched({ HALFMQ_DATA: data });
    await until(() => existsSync(join(data, "lock")));
    launched.signal("SIGTERM");
    expect(await launched.ended).toEqual({ code: null, stderr: "" });
  });

  test("by SIGKILL of the group leaves nothing alive or listening, and the folder free", async () => {
    const data = await dataFolder();
    const launched = new Launched({ HALFMQ_DATA: data });
    const url = urlIn(await launched.greeting());
    launched.signalGroup("SIGKILL");
    await launched.nothingLeft();
    // A killed process is a zombie before the last of its threads lets go of the socket.
    await until(async () => !(await listens(url)));
    await new Launched({ HALFMQ_DATA: data }).greeting();
  });

  test("by SIGKILL of the launcher alone ends its server too", async () => {
    const launched = new Launched({ HALFMQ_DATA: await dataFolder() });
    const url = urlIn(await launched.greeting());
    launched.signal("SIGKILL");
    await launched.nothingLeft();
    await until(async () => !(await listens(url)));
  });

  test("of workerd alone is said in one line, with exit 1", async () => {
    const data = await dataFolder();
    const launched = new Launched({ HALFMQ_DATA: data });
    await launched.greeting();
    const [, server] = JSON.parse(readFileSync(join(data, "lock"), "utf8")) as { pid: number }[];
    process.kill(server?.pid ?? 0, "SIGKILL");
    expect(await launched.ended).toEqual({
      code: 1,
      stderr: "halfmq: the server ended by itself: SIGKILL\n",
    });
    await launched.nothingLeft();
  });
});

describe("a start is refused in one line with exit 1", () => {
  const wrong: [name: string, env: Record<string, string>, words: string][] = [
    [
      "a PORT that is no number",
      { PORT: "http" },
      'PORT must be a number from 0 to 65535, but is "http"',
    ],
    [
      "a PORT past the last",
      { PORT: "65536" },
      'PORT must be a number from 0 to 65535, but is "65536"',
    ],
    ["an empty PORT", { PORT: "" }, 'PORT must be a number from 0 to 65535, but is ""'],
    [
      "a HALFMQ_HOST that is no address",
      { HALFMQ_HOST: "broker" },
      'HALFMQ_HOST must be an IP address or localhost, but is "broker"',
    ],
    [
      "a HALFMQ_HOST of another machine",
      { HALFMQ_HOST: "192.0.2.1" },
      "this machine has no address 192.0.2.1",
    ],
    [
      "a HALFMQ_QUEUE_BYTES that is no number",
      { HALFMQ_QUEUE_BYTES: "9GB" },
      'HALFMQ_QUEUE_BYTES must be a number of bytes, but is "9GB"',
    ],
    [
      "a HALFMQ_AUTO_CREATE beside on and off",
      { HALFMQ_AUTO_CREATE: "yes" },
      'HALFMQ_AUTO_CREATE must be "on" or "off", but is "yes"',
    ],
    [
      "an empty root key",
      { HALFMQ_ROOT_KEY: "" },
      "HALFMQ_ROOT_KEY must hold at least 16 characters, but holds 0",
    ],
    [
      "a short root key",
      { HALFMQ_ROOT_KEY: "fifteen-letters" },
      "HALFMQ_ROOT_KEY must hold at least 16 characters, but holds 15",
    ],
    [
      "a root key with a space",
      { HALFMQ_ROOT_KEY: "sixteen letters long" },
      "HALFMQ_ROOT_KEY must hold only visible ASCII characters",
    ],
    [
      "a HALFMQ_ALLOWED_TARGETS with a URL",
      { HALFMQ_ALLOWED_TARGETS: "hook.lan,http://x:80/" },
      'must list host names or addresses without scheme, port or path, but holds "http://x:80/"',
    ],
    [
      "a HALFMQ_ALLOWED_ORIGINS with a path",
      { HALFMQ_ALLOWED_ORIGINS: "https://app.example.com/" },
      'must list origins such as https://app.example.com, but holds "https://app.example.com/"',
    ],
    [
      "a data folder where nothing can be made",
      { HALFMQ_DATA: "/proc/halfmq/data" },
      "the data folder /proc/halfmq/data cannot be written",
    ],
    ["an empty HALFMQ_DATA", { HALFMQ_DATA: "" }, "HALFMQ_DATA must name a folder, but is empty"],
  ];
  test.for(wrong)("%s", async ([, env, words]) => {
    const launched = new Launched({ HALFMQ_DATA: await dataFolder(), ...env });
    await expectRefusal(launched, words);
  });

  test("a busy port", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await until(() => holder.listening);
    const { port } = holder.address() as { port: number };
    const launched = new Launched({ HALFMQ_DATA: await dataFolder(), PORT: String(port) });
    await expectRefusal(launched, `port ${port} is busy`).finally(() => holder.close());
  });

  test("a data folder that cannot be made", async () => {
    const file = join(await dataFolder(), "file");
    writeFileSync(file, "");
    const launched = new Launched({ HALFMQ_DATA: join(file, "data") });
    await expectRefusal(launched, `the data folder ${file}/data cannot be written`);
  });

  test("a data folder in use, by the process that holds it", async () => {
    const data = await dataFolder();
    const first = new Launched({ HALFMQ_DATA: data });
    await first.greeting();
    await expectRefusal(new Launched({ HALFMQ_DATA: data }), `in use by process ${first.pid}`);
    expect(readFileSync(join(data, "lock"), "utf8")).toContain(String(first.pid));
  });

  test("a kept root key that was emptied", async () => {
    const data = await dataFolder();
    writeFileSync(join(data, "root-key"), "");
    await expectRefusal(new Launched({ HALFMQ_DATA: data }), "must hold at least 16 characters");
  });
});

describe("a lock left behind", () => {
  test.for([
    ["a process that is gone", JSON.stringify([{ pid: 2 ** 22 + 1, started: "1" }])],
    ["another process that had this id", JSON.stringify([{ pid: process.pid, started: "1" }])],
    ["a crash in the middle of its write", '[{"pid'],
  ])("by %s is taken over", async ([, lock]) => {
    const data = await dataFolder();
    writeFileSync(join(data, "lock"), lock ?? "");
    await new Launched({ HALFMQ_DATA: data }).greeting();
  });
});

describe("startServer", () => {
  test("starts anew on the folder of a killed server", async () => {
    const data = await dataFolder();
    const first = await startServer({ dataFolder: data, port: await freePort() });
    await first.kill();
    expect(await listens(first.url)).toBe(false);
    const second = await startServer({ dataFolder: data, port: first.port });
    expect([second.url, second.rootKey, second.keySource]).toEqual([
      first.url,
      first.rootKey,
      "kept",
    ]);
    await second.stop();
    expect(await second.ended).toBe("code 0");
  });

  test("refuses a folder that this process holds already", async () => {
    const data = await dataFolder();
    const server = await startServer({ dataFolder: data });
    await expect(startServer({ dataFolder: data })).rejects.toThrow(`process ${process.pid}`);
    await server.stop();
  });
});

async function expectRefusal(launched: Launched, words: string): Promise<void> {
  const { code, stderr } = await launched.ended;
  expect(stderr).toMatch(/^halfmq: [^\n]+\n$/u);
  expect(stderr).toContain(words);
  expect(code).toBe(1);
  await launched.nothingLeft();
}
