/**
 * One run from an empty folder to the verdict: who is started, who is killed when, and when it is over. Whatever happens, all
 * that it started has ended when `run` settles.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { HalfMQ } from "../src/client/index.ts";
import { Broker } from "./broker.ts";
import { differences, type Listed } from "./compare.ts";
import { freePort } from "./free-port.ts";
import { KeptService, type Report } from "./kept-service.ts";
import { orderDeaths, stockDeaths } from "./kill-plan.ts";
import type { Options } from "./options.ts";
import { OrderStore } from "./order-store.ts";
import { CONSUMER_GROUP, PRODUCER_GROUP, readOrders, TOPIC } from "./orders.ts";
import { StockStore } from "./stock-store.ts";

export interface Verdict {
  readonly rows: readonly (readonly [string, string | number])[];
  readonly faults: readonly string[];
}

const POLL_MS = 50;
const BROKER_KILLS = 4;
/** Short, so that what a killed service left open is soon asked for, and a check that died with the broker soon asked again. */
const ANSWER_MS = 1_000;
/** A hundred seconds until one is given up: on a busy machine a service is down for most of the time that its kills take. */
const CHECK = { timeoutMs: 300, intervalMs: 1_000, maxChecks: 100 };

export class Play {
  readonly #options: Options;
  readonly #orderDb: string;
  readonly #stockDb: string;
  readonly #dataFolder: string;
  readonly #failure = Promise.withResolvers<never>();
  #over = false;
  #handled = 0;
  #broker: Broker | undefined;
  #orderService: KeptService | undefined;
  #stockService: KeptService | undefined;

  constructor(options: Options, folder: string) {
    this.#options = options;
    this.#orderDb = join(folder, "orders.sqlite");
    this.#stockDb = join(folder, "stock.sqlite");
    this.#dataFolder = join(folder, "broker");
    this.#failure.promise.catch(() => {});
  }

  /** Ends the run now: `run` rejects with this error once all is cleaned up. */
  fail(error: Error): void {
    this.#failure.reject(error);
  }

  brokerLog(): string {
    return this.#broker?.log() ?? "";
  }

  async run(): Promise<Verdict> {
    const { deadlineMs } = this.#options;
    const late = setTimeout(() => {
      this.fail(new Error(`not over within ${deadlineMs} ms: ${this.#handled} orders are handled`));
    }, deadlineMs);
    try {
      return await Promise.race([this.#act(), this.#failure.promise]);
    } finally {
      clearTimeout(late);
      this.#over = true;
      await Promise.all([this.#orderService?.stop(), this.#stockService?.stop()]);
      await this.#broker?.end();
    }
  }

  async #act(): Promise<Verdict> {
    const broker = (this.#broker = await Broker.start(this.#dataFolder));
    const mq = new HalfMQ({ url: broker.url, key: broker.key });
    await this.#startServices(broker, mq);
    const killing = this.#options.killBroker ? this.#killBroker(broker) : Promise.resolve();
    await this.#until(() => this.#handled === this.#options.orders);
    await killing;
    await this.#until(
      async () =>
        (await mq.topics.transactions(TOPIC, { state: "prepared" }).page()).items.length === 0,
    );
    await this.#until(async () => {
      const { groups } = await mq.topics.stats(TOPIC);
      return groups.find(({ group }) => group === CONSUMER_GROUP)?.lag === 0;
    });
    return this.#verdict(broker, await this.#listed(mq));
  }

  async #startServices(broker: Broker, mq: HalfMQ): Promise<void> {
    const { orders, seed } = this.#options;
    const checkPort = await freePort();
    await mq.topics.put(TOPIC, { transaction: CHECK });
    const url = `http://127.0.0.1:${checkPort}/checks`;
    const { secret = "" } = await mq.producerGroups.put(PRODUCER_GROUP, {
      check: { url, timeoutMs: ANSWER_MS },
    });
    const env = {
      DEMO_URL: broker.url,
      DEMO_KEY: broker.key,
      DEMO_ORDERS: String(orders),
      DEMO_ORDER_DB: this.#orderDb,
      DEMO_STOCK_DB: this.#stockDb,
      DEMO_CHECK_PORT: String(checkPort),
      DEMO_CHECK_SECRET: secret,
    };
    const onFailure = (error: Error): void => this.fail(error);
    this.#orderService = new KeptService({
      script: "order-service.ts",
      env,
      deaths: orderDeaths(seed, Math.ceil(orders / 8)),
      onReport: (report) => this.#heard(report),
      onFailure,
    });
    this.#stockService = new KeptService({
      script: "stock-service.ts",
      env,
      deaths: stockDeaths(seed, Math.ceil(orders / 25)),
      onFailure,
    });
  }

  #heard(report: Report): void {
    if ("handled" in report) this.#handled = Math.max(this.#handled, report.handled);
  }

  /** Evenly over the orders. */
  async #killBroker(broker: Broker): Promise<void> {
    for (let kill = 1; kill <= BROKER_KILLS; kill++) {
      const at = Math.floor((kill * this.#options.orders) / (BROKER_KILLS + 1));
      await this.#until(() => this.#handled >= at);
      if (this.#over) return;
      await broker.killAndRestart();
    }
  }

  async #until(condition: () => boolean | Promise<boolean>): Promise<void> {
    while (!this.#over && !(await condition())) await pause(POLL_MS);
  }

  async #listed(mq: HalfMQ): Promise<Listed[]> {
    const states = ["prepared", "committed", "rolledBack", "discarded"] as const;
    const lists = states.map((state) =>
      mq.topics.transactions(TOPIC, { state, limit: 1_000 }).all(),
    );
    return (await Promise.all(lists)).flat();
  }

  #verdict(broker: Broker, listed: readonly Listed[]): Verdict {
    const store = new OrderStore(this.#orderDb);
    const stock = new StockStore(this.#stockDb);
    const orders = readOrders(this.#options.orders);
    const countOf = (state: string): number => listed.filter((each) => each.state === state).length;
    const rows = [
      ["orders", orders.length],
      ["sold", store.rows().filter(({ outcome }) => outcome === "sold").length],
      [
        "refused by the local rule",
        store.rows().filter(({ outcome }) => outcome === "refused").length,
      ],
      ["kills of the order service", this.#orderService?.kills ?? 0],
      ["kills of the stock service", this.#stockService?.kills ?? 0],
      ["kills of the broker", broker.kills],
      ["commits", countOf("committed")],
      ["rollbacks", countOf("rolledBack")],
      ["decided by check", listed.filter((each) => each.decidedBy === "check").length],
      ["open or discarded", countOf("prepared") + countOf("discarded")],
      ["duplicates seen and absorbed", stock.duplicates()],
    ] as const;
    const faults = differences(orders, store, stock, listed);
    store.close();
    stock.close();
    return { rows, faults };
  }
}
