/** The client as a browser would get it: nothing of Node, nothing of the server, and small. */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

/**
 * Of it the stream, the push handler and the tail are 2.4 KiB, the way over a binding is 0.4 KiB, the watch over gaps 0.4 KiB, what is
 * said of wrong arguments 0.7 KiB.
 */
const GZIP_BYTES_MAX = 16.9 * 1024;

test("bundles for browsers from the client's and the protocol's files alone, within its size", async () => {
  const { metafile, outputFiles } = await build({
    entryPoints: ["src/client/index.ts"],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
  });
  const strangers = Object.keys(metafile.inputs).filter(
    (file) => !/^src\/(?:client|protocol)\//u.test(file),
  );
  expect(strangers).toEqual([]);
  const [output] = Object.values(metafile.outputs);
  expect(output?.imports).toEqual([]);
  const [file] = outputFiles;
  expect(file?.text).not.toMatch(/\bnode:|\bprocess\.|\bBuffer\b|cloudflare:/u);
  expect(gzipSync(file?.contents ?? "").length).toBeLessThan(GZIP_BYTES_MAX);
});
