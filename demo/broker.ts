/** The demo's broker: a real server on one port and one data folder, which can be killed and comes back there. */
import { type Server, startServer } from "../src/cli/server.ts";
import { freePort } from "./free-port.ts";

const LOG_CHARS = 20_000;

export class Broker {
  readonly #dataFolder: string;
  #server: Server;
  #kills = 0;
  #log: () => string;

  private constructor(dataFolder: string, server: Server, log: () => string) {
    this.#dataFolder = dataFolder;
    this.#server = server;
    this.#log = log;
  }

  static async start(dataFolder: string): Promise<Broker> {
    const { server, log } = await serve(dataFolder, await freePort());
    return new Broker(dataFolder, server, log);
  }

  get url(): string {
    return this.#server.url;
  }
  get key(): string {
    return this.#server.rootKey;
  }
  get kills(): number {
    return this.#kills;
  }

  /** The end of what it logged since its last start. */
  log(): string {
    return this.#log();
  }

  /** SIGKILL in the middle of whatever it does, then the same again. */
  async killAndRestart(): Promise<void> {
    const { port } = this.#server;
    await this.#server.kill();
    this.#kills++;
    ({ server: this.#server, log: this.#log } = await serve(this.#dataFolder, port));
  }

  /** Nobody needs it any more: no use in letting it finish in good order. */
  end(): Promise<void> {
    return this.#server.kill();
  }
}

async function serve(
  dataFolder: string,
  port: number,
): Promise<{ server: Server; log: () => string }> {
  let log = "";
  const server = await startServer({
    dataFolder,
    port,
    onOutput: (text) => {
      log = (log + text).slice(-LOG_CHARS);
    },
  });
  return { server, log: () => log };
}
