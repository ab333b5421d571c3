/** Bundles the Worker into one module that plain workerd can run. It never runs what it builds. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, type BuildOptions, stop } from "esbuild";
import { StartRefused } from "./refusal.ts";

const ROOT = new URL("../../", import.meta.url);

const OPTIONS = {
  absWorkingDir: fileURLToPath(ROOT),
  entryPoints: ["src/worker.ts"],
  bundle: true,
  write: false,
  format: "esm",
  target: "es2024",
  conditions: ["workerd", "worker", "browser"],
  mainFields: ["browser", "module", "main"],
  external: ["cloudflare:*", "node:*"],
  loader: { ".html": "text", ".txt": "text", ".sql": "text" },
  logLevel: "silent",
} as const satisfies BuildOptions;

let bundled: Promise<string> | undefined;

/** The JavaScript of src/worker.ts and all that it imports; built once per process. */
export function workerBundle(): Promise<string> {
  bundled ??= bundle();
  return bundled;
}

/** What wrangler.toml, the one place for it, says. */
export async function compatibilityDate(): Promise<string> {
  const toml = await readFile(new URL("wrangler.toml", ROOT), "utf8");
  const date = /^compatibility_date = "([\d-]+)"$/mu.exec(toml)?.[1];
  if (date === undefined) throw new StartRefused("wrangler.toml names no compatibility_date");
  return date;
}

export async function packageVersion(): Promise<string> {
  const text = await readFile(new URL("package.json", ROOT), "utf8");
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

async function bundle(): Promise<string> {
  try {
    const result = await build(OPTIONS);
    const [file] = result.outputFiles;
    if (file === undefined) throw new StartRefused("the Worker does not build: no output");
    return file.text;
  } finally {
    // Else esbuild's service would stay beside the server, as a child of no use.
    await stop();
  }
}
