/**
 * What `npm start -- --cluster FILE` says about the cluster to join, checked: the file holds what may be seen, the environment
 * the secrets. It never opens the bucket.
 */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { reasonOf, StartRefused } from "./refusal.ts";
import type { Cluster } from "./server.ts";

const KEY_LENGTH_MIN = 32;

/** How workerd reads the bucket's credentials; passed on as they are. */
const CREDENTIALS = [
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_CREDENTIALS_FILE",
];

/** Nothing that could end the text in workerd's configuration in which it stands. */
const TEXT = /^[^\s"\\]+$/u;
const text = z.string().regex(TEXT, "must be without spaces, quotes and backslashes");
const address = text.regex(/:\d{1,5}$/u, "must end with a port, as in 10.0.0.5:7000");

const File = z.strictObject({
  bucket: text.regex(/^s3:\/\/[^/]+/u, "must be as in s3://bucket/prefix"),
  endpoint: text.regex(/^https?:\/\//u, "must be an http or https address").optional(),
  region: text.default("auto"),
  address,
  advertise: address.optional(),
});

/** The cluster, or a StartRefused that names the field or the variable that is wrong. */
export async function clusterFrom(path: string, environment: NodeJS.ProcessEnv): Promise<Cluster> {
  const { advertise, endpoint, ...file } = await fileAt(path);
  const key = environment["HALFMQ_CLUSTER_KEY"] ?? "";
  if (key.length < KEY_LENGTH_MIN || !TEXT.test(key)) {
    throw new StartRefused(
      `HALFMQ_CLUSTER_KEY must hold at least ${KEY_LENGTH_MIN} characters, without spaces, quotes and backslashes, the same for every instance`,
    );
  }
  if (environment["HALFMQ_ROOT_KEY"] === undefined) {
    throw new StartRefused(
      "HALFMQ_ROOT_KEY must be given in a cluster, the same to every instance",
    );
  }
  const credentials: Record<string, string> = {};
  for (const name of CREDENTIALS) {
    const value = environment[name];
    if (value !== undefined) credentials[name] = value;
  }
  return {
    ...file,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(advertise === undefined ? {} : { advertise }),
    key,
    credentials,
  };
}

async function fileAt(path: string): Promise<z.infer<typeof File>> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    throw new StartRefused(`the cluster's file ${path} cannot be read: ${reasonOf(error)}`);
  }
  const parsed = File.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join(".") || "as a whole";
  throw new StartRefused(`the cluster's file ${path} is wrong: ${field}: ${issue?.message}`);
}
