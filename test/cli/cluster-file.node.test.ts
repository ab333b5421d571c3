/** `npm start -- --cluster FILE`: what it takes, what it refuses, and where the secrets are. */
import { readFileSync, statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { S3_CREDENTIALS, startS3 } from "../kit/s3.node.ts";
import { dataFolder, Launched, urlIn } from "./launched.node.ts";

const CLUSTER_KEY = "a-key-of-at-least-32-characters-here";
const ROOT_KEY = "a-root-key-of-the-whole-cluster";
const SECRETS = {
  ...S3_CREDENTIALS,
  HALFMQ_CLUSTER_KEY: CLUSTER_KEY,
  HALFMQ_ROOT_KEY: ROOT_KEY,
};
const FILE = { bucket: "s3://halfmq/one", region: "auto", address: "127.0.0.1:0" };

async function launch(
  file: unknown,
  env: Readonly<Record<string, string>> = SECRETS,
): Promise<Launched> {
  const data = await dataFolder();
  const path = join(await dataFolder(), "cluster.json");
  await writeFile(path, typeof file === "string" ? file : JSON.stringify(file));
  return new Launched({ HALFMQ_DATA: data, ...env }, ["--cluster", path]);
}

const refusal = async (launched: Launched): Promise<string> => {
  const { code, stderr } = await launched.ended;
  expect(code).toBe(1);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  return stderr;
};

test("joins the cluster of the file, and says which", async () => {
  const s3 = await startS3();
  onTestFinished(s3.stop);
  const data = await dataFolder();
  const path = join(data, "cluster.json");
  await writeFile(path, JSON.stringify({ ...FILE, endpoint: s3.endpoint }));
  const launched = new Launched({ HALFMQ_DATA: data, ...SECRETS }, ["--cluster", path]);
  const greeting = await launched.greeting();
  expect(greeting).toContain("cluster      s3://halfmq/one, reached at 127.0.0.1:0");
  expect(greeting).not.toContain(CLUSTER_KEY);
  const sent = await fetch(`${urlIn(greeting)}/v1/topics/orders/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${ROOT_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ body: 1 }),
  });
  expect(sent.status).toBe(200);
  expect(s3.names().some((name) => name.startsWith("halfmq/one/"))).toBe(true);
  // workerd takes the cluster's key from nowhere but its configuration; the other secrets stay out of it.
  const config = join(data, "workerd.capnp");
  expect(statSync(config).mode & 0o777).toBe(0o600);
  const text = readFileSync(config, "utf8");
  expect(text).not.toContain(S3_CREDENTIALS.AWS_SECRET_ACCESS_KEY);
  expect(text).not.toContain(ROOT_KEY);
});

test.each([
  ["no JSON", "{", "cannot be read"],
  ["no bucket", { address: FILE.address }, "bucket: "],
  ["another store", { ...FILE, bucket: "gs://halfmq" }, "bucket: must be as in s3://"],
  ["an address without a port", { ...FILE, address: "10.0.0.5" }, "address: must end with a port"],
  ["a quote", { ...FILE, region: 'auto", x = "' }, "region: must be without"],
  ["an unknown field", { ...FILE, adress: "10.0.0.5:1" }, "adress"],
])("refuses a file with %s", async (_what, file, words) => {
  expect(await refusal(await launch(file))).toContain(words);
});

test.each([
  ["HALFMQ_CLUSTER_KEY", { HALFMQ_CLUSTER_KEY: "short" }],
  ["HALFMQ_CLUSTER_KEY", { HALFMQ_CLUSTER_KEY: `${CLUSTER_KEY}"` }],
  ["HALFMQ_ROOT_KEY", { HALFMQ_ROOT_KEY: undefined }],
])("refuses a wrong or missing %s without showing it", async (name, change) => {
  const env = Object.entries({ ...SECRETS, ...change }).filter(([, value]) => value !== undefined);
  const words = await refusal(
    await launch(FILE, Object.fromEntries(env) as Record<string, string>),
  );
  expect(words).toContain(`${name} must`);
  expect(words).not.toContain(CLUSTER_KEY);
});

test("refuses an option that it does not know", async () => {
  const launched = new Launched({ HALFMQ_DATA: await dataFolder() }, ["--clutser", "x"]);
  expect(await refusal(launched)).toContain("known is only --cluster FILE");
});

test("never takes the data of a server by itself for a cluster's copies, nor the other way", async () => {
  const [single, copies] = [await dataFolder(), await dataFolder()];
  await mkdir(join(single, "objects", "halfmq-queue"), { recursive: true });
  await mkdir(join(copies, "cluster-copies", "halfmq-queue"), { recursive: true });
  const path = join(copies, "cluster.json");
  await writeFile(path, JSON.stringify({ ...FILE, endpoint: "http://127.0.0.1:1" }));
  const joining = new Launched({ HALFMQ_DATA: single, ...SECRETS }, ["--cluster", path]);
  expect(await refusal(joining)).toContain("holds the data of a server by itself");
  expect(await refusal(new Launched({ HALFMQ_DATA: copies }))).toContain(
    "holds copies of a cluster",
  );
});
