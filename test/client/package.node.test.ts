/** The published package, as `npm pack` makes it: what is in it, and what a stranger's Node and TypeScript make of it. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);
/** Of a stranger: nothing of this process, such as its conditions. */
const env = { PATH: process.env["PATH"], HOME: process.env["HOME"] };

let folder: string;
let files: readonly string[];

/** A project of somebody else, with nothing but this package installed. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "halfmq-package-"));
  const packed = await run("npm", ["pack", "--json", "--pack-destination", folder], {
    cwd: ROOT,
    env,
  });
  // What prepack prints stands before the report.
  const report = packed.stdout.slice(packed.stdout.search(/^[[{]$/mu));
  const parsed = JSON.parse(report) as Record<string, Packed> | Packed[];
  const [pack] = Object.values(parsed);
  if (pack === undefined) throw new Error(`nothing was packed: ${packed.stdout}`);
  files = pack.files.map(({ path }) => path);
  const installed = join(folder, "node_modules/halfmq");
  await mkdir(installed, { recursive: true });
  await run("tar", ["-xzf", join(folder, pack.filename), "--strip-components=1", "-C", installed]);
  await writeFile(join(folder, "package.json"), '{"type": "module", "private": true}');
});

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

afterAll(() => rm(folder, { recursive: true, force: true }));

test("holds the client and what it shares with the server, and asks for nothing else", async () => {
  const others = files.filter(
    (path) => !/^dist\/(?:client|protocol)\/[\w-]+\.(?:d\.ts|js)$/u.test(path),
  );
  expect(others.toSorted()).toEqual(["LICENSE", "README.md", "package.json"]);
  for (const entry of ["index.js", "index.d.ts", "databases.js", "databases.d.ts"]) {
    expect(files).toContain(`dist/client/${entry}`);
  }
  const manifest: unknown = JSON.parse(
    await readFile(join(folder, "node_modules/halfmq/package.json"), "utf8"),
  );
  expect(manifest).not.toHaveProperty("dependencies");
  expect(manifest).not.toHaveProperty("peerDependencies");
});

test("plain Node imports it and calls with it", async () => {
  const program = `
    import { DatabaseSync } from "node:sqlite";
    import { HalfMQ, HalfmqError, LIMITS, RollbackError } from "halfmq";
    import { onSqlite, transactionTable } from "halfmq/databases";
    const table = transactionTable(onSqlite(new DatabaseSync(":memory:")));
    await table.create();
    await table.answer({ transactionId: "t" });
    const late = await table.run({ id: "t" }, () => 1).catch((error) => error instanceof RollbackError);
    const fetch = async (url, { headers }) => Response.json({ url, key: headers["idempotency-key"] });
    const mq = new HalfMQ({ url: "http://127.0.0.1:1", key: "k", fetch });
    console.log(JSON.stringify({ ...(await mq.health()), error: HalfmqError.name, ms: LIMITS.waitMsMax, late }));
  `;
  await writeFile(join(folder, "program.js"), program);
  const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder, env });
  expect(JSON.parse(stdout)).toEqual({
    url: "http://127.0.0.1:1/v1/health",
    error: "HalfmqError",
    ms: 20_000,
    late: true,
  });
});

test.each([
  ["nodenext", "nodenext"],
  ["esnext", "bundler"],
])("a consumer's TypeScript reads its declarations (%s, %s)", async (module, moduleResolution) => {
  const program = `
    import { HalfMQ, isHalfmqError, type SentMessage } from "halfmq";
    import { once, onPostgres, type PostgresClient } from "halfmq/databases";
    const mq = new HalfMQ({ url: "http://127.0.0.1:1", key: "k" });
    interface Client extends PostgresClient { listen(): void }
    export const handled = (pool: { connect(): Promise<Client> }): Promise<boolean> =>
      once(onPostgres(pool), { id: "m" }, (client) => client.listen(), { handler: "h" });
    // @ts-expect-error -- who handles must be said
    export const nameless = (pool: { connect(): Promise<Client> }) => once(onPostgres(pool), { id: "m" }, () => 1, {});
    export async function main(): Promise<string | undefined> {
      const sent: SentMessage = await mq.send("t", { body: { order: 1 } });
      for await (const message of mq.consumer<{ order: number }>("t", "g")) {
        const order: number = message.body.order;
        // @ts-expect-error -- the body has a type
        const text: string = message.body.order;
        if (order > 0) return text;
      }
      try {
        await mq.recall(sent.id);
      } catch (error) {
        if (isHalfmqError(error, "already_delivered")) return error.code;
      }
      return undefined;
    }
  `;
  await writeFile(join(folder, "program.ts"), program);
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022", "dom", "dom.iterable"],
    module,
    moduleResolution,
    types: [],
    strict: true,
    noEmit: true,
    // The declarations themselves are looked at, too.
    skipLibCheck: false,
  };
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions, files: ["program.ts"] }),
  );
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const compiled = run(process.execPath, [tsc, "-p", "tsconfig.json"], { cwd: folder, env });
  await expect(compiled.catch((error: { stdout: string }) => error.stdout)).resolves.toEqual({
    stdout: "",
    stderr: "",
  });
});
