/** Strikes a running broker: at any moment, and at named ones. A named one is seen on the line, or in the growth of a file. */
import type { Dice } from "../sim/world/dice.ts";
import type { ChaosBroker } from "./broker.ts";
import { HONEST, HOSTILE, type Endpoint } from "./endpoint.ts";
import { CALM, type Moment, type Proxy, type Weather } from "./proxy.ts";
import { note, type Scene } from "./scene.ts";
import type { SmallDisk } from "./small-disk.ts";

/** Where it kills. Any moment at all is one, too. */
export const KILL_POINTS = [
  "send passed",
  "send answered",
  "prepare passed",
  "prepare answered",
  "commit passed",
  "commit answered",
  "ack passed",
  "receive answered",
  "log grew",
] as const satisfies readonly (Moment | "log grew")[];

const STORM: Weather = {
  cut: 0.08,
  cutAnswer: 0.08,
  swallow: 0.08,
  duplicate: 0.3,
  delay: 0.3,
  delayMsMax: 400,
};
/** Between two strikes. */
const CALM_MS_MAX = 2_000;
const FULL_MS_MAX = 1_500;
/** For a moment that does not come by. */
const PATIENCE_MS = 2_000;
/** A commit, as it is under way when the request has passed. */
const LATER_MS_MAX = 6;

export class Nemesis {
  readonly #scene: Scene;
  readonly #dice: Dice;
  readonly #broker: ChaosBroker;
  readonly #proxy: Proxy;
  readonly #endpoint: Endpoint;
  readonly #disk: SmallDisk | undefined;
  /** By name. */
  readonly counts: Record<string, number> = {};

  constructor(
    scene: Scene,
    dice: Dice,
    parts: {
      readonly broker: ChaosBroker;
      readonly proxy: Proxy;
      readonly endpoint: Endpoint;
      /** Where the broker's data is, if it can be filled. */
      readonly disk: SmallDisk | undefined;
    },
  ) {
    this.#scene = scene;
    this.#dice = dice;
    this.#broker = parts.broker;
    this.#proxy = parts.proxy;
    this.#endpoint = parts.endpoint;
    this.#disk = parts.disk;
  }

  /** Until everything is drained; every named point in turn, and the rest by chance. */
  async run(): Promise<void> {
    const offset = this.#dice.int(0, KILL_POINTS.length - 1);
    for (let turn = 0; !this.#scene.isDraining; turn++) {
      await this.#pause(200 + this.#dice.roll() * CALM_MS_MAX);
      if (this.#scene.isDraining) break;
      await this.#strikeOnce(KILL_POINTS[(offset + turn) % KILL_POINTS.length] ?? "log grew");
    }
    this.#proxy.weather = CALM;
    this.#endpoint.habits = HONEST;
  }

  async #strikeOnce(point: (typeof KILL_POINTS)[number]): Promise<void> {
    const [broker, dice] = [this.#broker, this.#dice];
    const what = dice.weighted({
      point: 5,
      kill: 2,
      freeze: 2,
      restart: 1,
      storm: 2,
      zoo: 1,
      full: this.#disk === undefined ? 0 : 2,
    });
    switch (what) {
      case "point":
        return this.#killAt(point);
      case "kill":
        return this.#strike("kill -9 at any moment", () => broker.crash());
      case "freeze":
        return this.#strike("SIGSTOP", () => broker.freeze(100 + dice.roll() * 2_000));
      case "restart":
        return this.#strike("restart", () => broker.restart());
      case "storm":
        return this.#strike("storm on the line", () => this.#storm());
      case "full":
        return this.#strike("disk full", () => this.#fill());
      case "zoo":
        this.#endpoint.habits = this.#endpoint.habits === HONEST ? HOSTILE : HONEST;
    }
  }

  async #fill(): Promise<void> {
    this.#disk?.fill();
    await this.#pause(this.#dice.roll() * FULL_MS_MAX);
    await this.#disk?.free();
  }

  async #storm(): Promise<void> {
    this.#proxy.weather = STORM;
    await this.#pause(500 + this.#dice.roll() * 1_500);
    // Now and then it goes on through the next strikes.
    if (this.#dice.chance(0.7)) this.#proxy.weather = CALM;
  }

  async #strike(name: string, run: () => Promise<void>): Promise<void> {
    this.#note(name);
    await run();
  }

  #note(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    note(this.#scene, { is: "fault", fault: name });
  }

  async #killAt(point: (typeof KILL_POINTS)[number]): Promise<void> {
    const laterMs = point.endsWith("passed") ? this.#dice.roll() * LATER_MS_MAX : 0;
    await new Promise<void>((resolve) => {
      let isOver = false;
      const strike = (): void => {
        if (isOver) return;
        isOver = true;
        const crash = (): void => {
          this.#note(`kill -9 at: ${point}`);
          resolve(this.#broker.crash());
        };
        if (laterMs === 0) crash();
        else setTimeout(crash, laterMs);
      };
      const giveUp = point === "log grew" ? this.#broker.onceWalGrows(strike) : (): void => {};
      this.#proxy.onMoment = (moment) => {
        if (moment === point) strike();
      };
      setTimeout(() => {
        giveUp();
        if (isOver) return;
        isOver = true;
        resolve();
      }, PATIENCE_MS);
    });
    this.#proxy.onMoment = () => {};
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      setTimeout(resolve, ms);
    });
  }
}
