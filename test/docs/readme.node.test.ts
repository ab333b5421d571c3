/** The README's commands and its program, run as they stand against a started server. Only the port is another. */
import { execFile, spawn } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { blocks, read, ROOT } from "./markdown.node.ts";
import { serveDocs } from "./serving.node.ts";

const PORT = "127.0.0.1:8787";
const readme = read("README.md");

test("the curl lines succeed in order", async () => {
  const { folder, port } = await serveDocs();
  const commands = blocks(readme, "sh").filter((block) => block.includes("URL"));
  expect(commands.length).toBeGreaterThan(5);
  // A mark after each block, so that an answer can be told from the others.
  const script = commands.map((block) => `${block}\necho; echo "-----"`).join("\n");
  const { stdout } = await promisify(execFile)(
    "bash",
    ["-euo", "pipefail", "-c", `exec 2>&1\n${script.replaceAll(PORT, `127.0.0.1:${port}`)}`],
    { cwd: folder, timeout: 100_000 },
  );
  const [send, receive, prepare, unseen, check, decided] = stdout.split("-----");
  expect(send).toContain('"state":"ready"');
  expect(receive).toContain('"hello"');
  expect(receive).toContain('"ok":true');
  expect(prepare).toContain('"state":"prepared"');
  expect(unseen?.trim()).toBe('{"messages":[]}');
  expect(check).toContain('"orderId": 17');
  expect(decided).toContain('"state":"committed"');
  expect(decided).toContain('"orderId": 17');
  // Answers end without a line break of their own.
  expect(stdout).not.toMatch(/[}\]][{"$]/u);
});

test("the server's address and the folder of its key are the ones of npm start", () => {
  expect(readme).toContain(`http://${PORT}`);
  expect(readme).toContain("cat .halfmq/root-key");
});

test("the TypeScript program sells an order", async () => {
  const { url, rootKey } = await serveDocs();
  const [program = ""] = blocks(readme, "ts");
  const folder = `${ROOT}dist/readme-${process.pid}`;
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/program.ts`, program);
  const child = spawn(process.execPath, ["--conditions=halfmq-source", `${folder}/program.ts`], {
    env: { ...process.env, HALFMQ_URL: url, HALFMQ_KEY: rootKey },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    expect(await lines.next()).toEqual({ done: false, value: "sold 18" });
  } finally {
    child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
});

test("the README stays within 150 lines", () => {
  expect(readme.split("\n").length).toBeLessThanOrEqual(150);
});
