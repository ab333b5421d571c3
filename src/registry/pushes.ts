/**
 * Groups that push: the secrets that sign, and that each pusher hears of every change. A change is on disk before its pusher
 * hears of it; one that did not get there is completed by the next call on its topic or by the alarm.
 */
import { base64 } from "../platform/random.ts";
import { accept, type Outcome } from "../protocol/errors.ts";
import type { GroupRoute, PushRecord, TopicRoute } from "../protocol/rpc.ts";
import type { Ports } from "./ground.ts";
import { inParallel } from "./parallel.ts";
import type { PushRow, PushStore } from "./push-store.ts";
import { liveSecrets, rotated } from "./secrets.ts";

const OPEN_CALLS_MAX = 32;
const SECRET_BYTES = 32;

interface GroupAt {
  readonly topic: string;
  readonly incarnation: number;
}

export class Pushes {
  readonly #store: PushStore;
  readonly #ports: Ports;

  constructor(store: PushStore, ports: Ports) {
    this.#store = store;
    this.#ports = ports;
  }

  /** The group was made or changed; call it inside that transaction. The first URL gets a secret. */
  note({ topic, incarnation }: GroupAt, { number, name, settings: { push } }: GroupRoute): void {
    const known = this.#store.find(incarnation, number);
    if (push === undefined) {
      if (known !== undefined) this.#store.markDeleting(incarnation, number);
      return;
    }
    const had = known?.secrets ?? [];
    const secrets = "url" in push && had.length === 0 ? this.#withFresh(had) : had;
    this.#store.put({ incarnation, number, topic, group: name, secrets });
  }

  /** The group is deleted, or, without a number, its topic; call it inside that transaction. */
  forget(incarnation: number, number?: number): void {
    this.#store.markDeleting(incarnation, number);
  }

  /** The newest secret when nobody was told of the group's first one yet. Ask before `tell`. */
  untold(incarnation: number, number: number): string | undefined {
    const row = this.#store.find(incarnation, number);
    return row !== undefined && row.secretSince > row.confirmed
      ? row.secrets[0]?.secret
      : undefined;
  }

  /** A new secret in front of the old ones; call it inside a transaction. Undefined: the group signs nothing. */
  rotate({ topic, incarnation }: GroupAt, { number, name }: GroupRoute): string | undefined {
    const row = this.#store.find(incarnation, number);
    if (row === undefined || row.secrets.length === 0) return undefined;
    const secrets = this.#withFresh(row.secrets);
    this.#store.put({ incarnation, number, topic, group: name, secrets });
    return secrets[0]?.secret;
  }

  versionOf(incarnation: number, number: number): number | undefined {
    return this.#store.find(incarnation, number)?.version;
  }

  /** What the group's pusher is to know; undefined when there is nothing to push. */
  record(route: TopicRoute, group: GroupRoute | undefined): PushRecord | undefined {
    if (group?.settings.push === undefined) return undefined;
    const row = this.#store.find(route.incarnation, group.number);
    if (row === undefined || row.deleting) return undefined;
    const { namespace, topic, incarnation, version, settings } = route;
    return {
      namespace,
      topic,
      stamp: { incarnation, version },
      queues: settings.queues,
      group,
      version: row.version,
      secrets: liveSecrets(row.secrets, this.#ports.clock.nowMs()),
    };
  }

  /** Brings every pusher of the topic what it lacks. */
  async tell(incarnation: number, route?: TopicRoute): Promise<Outcome<unknown>> {
    const rows = this.#store.unfinishedOf(incarnation);
    // A group that was made again has the pusher of the former one: that one's end comes first.
    const ended = rows.filter(({ deleting }) => deleting);
    const live = route === undefined ? [] : rows.filter(({ deleting }) => !deleting);
    for (const some of [ended, live]) {
      const told = await inParallel(some, OPEN_CALLS_MAX, (row) => this.#tellOne(row, route));
      const refusal = told.find((outcome) => !outcome.ok);
      if (refusal !== undefined) return refusal;
    }
    return accept(undefined);
  }

  async #tellOne(row: PushRow, route: TopicRoute | undefined): Promise<Outcome<unknown>> {
    const { incarnation, version, topic, group } = row;
    const groupNow = route?.groups.find(({ number }) => number === row.number);
    const record = route === undefined || row.deleting ? undefined : this.record(route, groupNow);
    const upTo = { incarnation, version };
    const outcome = await this.#ports.configurePusher({ topic, group }, record, upTo);
    if (!outcome.ok) {
      const { code } = outcome;
      this.#ports.log.error("registry.pusher_refused", { topic, group, code });
      return outcome;
    }
    if (row.deleting) this.#store.remove(row);
    else this.#store.confirm(row);
    return outcome;
  }

  #withFresh(secrets: PushRow["secrets"]) {
    const fresh = `whsec_${base64(this.#ports.randomBytes(SECRET_BYTES))}`;
    return rotated(secrets, fresh, this.#ports.clock.nowMs());
  }
}
