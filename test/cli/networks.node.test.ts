/** What the Worker can reach under plain workerd: the network itself refuses what the Worker did not mean to call. */
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compatibilityDate } from "../../src/cli/bundle.ts";
import { OBJECTS_FOLDER, WORKER_FILE, workerdConfig } from "../../src/cli/workerd-config.ts";
import { CONFIG_FILE, startWorkerd } from "../../src/cli/workerd-process.ts";
import { dataFolder } from "./launched.node.ts";

/** Calls the URL in its query both ways and says which one got through. */
const WORKER = `
import { DurableObject } from "cloudflare:workers";
export class QueueObject extends DurableObject {}
export class RegistryObject extends DurableObject {}
export class CoordinatorObject extends DurableObject {}
const reaches = (call) => call.then((answer) => answer.status === 200, () => false);
export default {
  async fetch(request, env) {
    const url = new URL(request.url).searchParams.get("url");
    return Response.json({
      plain: await reaches(fetch(url)),
      open: await reaches(env.HALFMQ_PRIVATE.fetch(url)),
    });
  },
};
`;

test("only the binding for allowed targets reaches private addresses, plain fetch does not", async () => {
  const folder = await dataFolder();
  await mkdir(join(folder, OBJECTS_FOLDER));
  await writeFile(join(folder, WORKER_FILE), WORKER);
  const config = { compatibilityDate: await compatibilityDate(), variables: [] };
  await writeFile(join(folder, CONFIG_FILE), workerdConfig({ address: "127.0.0.1:0", ...config }));
  const inside = createServer((_, response) => void response.end("secret"));
  await new Promise<void>((resolve) => inside.listen(0, "127.0.0.1", resolve));
  const workerd = await startWorkerd({ folder, env: {}, onOutput: () => {} });
  try {
    const { port } = inside.address() as AddressInfo;
    for (const host of ["127.0.0.1", "localhost"]) {
      const url = encodeURIComponent(`http://${host}:${port}/`);
      const answer = await fetch(`http://127.0.0.1:${workerd.port}/?url=${url}`);
      expect(await answer.json()).toEqual({ plain: false, open: true });
    }
  } finally {
    await workerd.kill();
    inside.close();
  }
});
