/**
 * Producer groups: who is asked about their transactions, and the secrets that sign the question. A change is on disk
 * before the coordinator hears of it, and there before it is answered; one that did not get there is completed by the next
 * change or the alarm. Reading calls nobody.
 */
import { base64 } from "../platform/random.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import type { Page, ProducerGroupRecord } from "../protocol/rpc.ts";
import type { CheckTarget } from "../protocol/topic.ts";
import type { Changes } from "./changes.ts";
import { pageOf, type PageQuery } from "../core/pages.ts";
import { inParallel, KeyedChain } from "./parallel.ts";
import type { Ports } from "./ground.ts";
import {
  type ProducerGroupRow,
  type ProducerGroupStore,
  recordOf,
} from "./producer-group-store.ts";
import { sameValue } from "./rules.ts";
import { rotated } from "./secrets.ts";

const OPEN_CALLS_MAX = 32;
const SECRET_BYTES = 32;
const COMPLETE_AFTER_MS = 5_000;

export class ProducerGroups {
  readonly #store: ProducerGroupStore;
  readonly #changes: Changes;
  readonly #ports: Ports;
  readonly #chain = new KeyedChain();

  constructor(store: ProducerGroupStore, changes: Changes, ports: Ports) {
    this.#store = store;
    this.#changes = changes;
    this.#ports = ports;
  }

  get(name: string): Outcome<ProducerGroupRecord> {
    const row = this.#live(name);
    return row === undefined ? missing(name) : accept(recordOf(row, this.#nowMs));
  }

  list(query: PageQuery): Outcome<Page<ProducerGroupRecord>> {
    const nowMs = this.#nowMs;
    return pageOf("p", query, (after, limit) =>
      this.#store.list(after, limit).map((row) => [row.id, recordOf(row, nowMs)] as const),
    );
  }

  /** `created`: the group is new, or it got its first secret; nobody was told of either before. */
  put(
    name: string,
    patch: { readonly check?: CheckTarget },
  ): Promise<Outcome<{ record: ProducerGroupRecord; created: boolean }>> {
    return this.#alone(name, async (found) => {
      const row = found === undefined ? this.#make(name, patch) : this.#change(found, patch);
      const record = await this.#complete(row);
      const created = row.confirmed === 0 || row.secretSince > row.confirmed;
      return record.ok ? accept({ record: record.value, created }) : record;
    });
  }

  /** The group, made without a target when nobody knows it. Its coordinator need not hear of that: no target, no change. */
  async see(name: string): Promise<Outcome<ProducerGroupRecord>> {
    const known = this.#live(name);
    if (known !== undefined) return accept(recordOf(known, this.#nowMs));
    return this.#alone(name, async (found) => {
      const row =
        found ?? this.#store.atomically(() => this.#store.confirm(this.#insert(name, {})));
      return accept(recordOf(row, this.#nowMs));
    });
  }

  rotate(name: string): Promise<Outcome<ProducerGroupRecord>> {
    return this.#alone(name, async (found) => {
      if (found === undefined) return missing(name);
      return this.#complete(this.#write(found, found.check, this.#withFreshSecret(found)));
    });
  }

  delete(name: string): Promise<Outcome<{ deleted: true }>> {
    return this.#chain.run(name, async () => {
      const found = this.#store.byName(name);
      if (found === undefined) return missing(name);
      if (found.deleting) return this.#finishDelete(found);
      const row = this.#store.atomically(() => {
        this.#changes.add("producerGroup.deleted", { producerGroup: name });
        return this.#store.markDeleting(found);
      });
      return this.#finishDelete(row);
    });
  }

  /** Completes what is incomplete; true when nothing is left. */
  async completeAll(): Promise<boolean> {
    const outcomes = await inParallel(this.#store.unfinished(), OPEN_CALLS_MAX, (name) =>
      this.#alone<unknown>(name, async (row) =>
        row === undefined ? accept(undefined) : this.#complete(row),
      ),
    );
    return outcomes.every(({ ok }) => ok);
  }

  get #nowMs(): number {
    return this.#ports.clock.nowMs();
  }

  #live(name: string): ProducerGroupRow | undefined {
    const row = this.#store.byName(name);
    return row?.deleting === true ? undefined : row;
  }

  /** Runs `work` as the only one on this group, after what is left of a delete. */
  #alone<T>(
    name: string,
    work: (row: ProducerGroupRow | undefined) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    return this.#chain.run(name, async () => {
      const row = this.#store.byName(name);
      if (row?.deleting !== true) return work(row);
      const finished = await this.#finishDelete(row);
      return finished.ok ? work(undefined) : finished;
    });
  }

  #make(name: string, patch: { readonly check?: CheckTarget }): ProducerGroupRow {
    return this.#store.atomically(() => this.#insert(name, patch));
  }

  #insert(name: string, patch: { readonly check?: CheckTarget }): ProducerGroupRow {
    this.#changes.add("producerGroup.updated", { producerGroup: name });
    if (patch.check === undefined) return this.#store.insert(name, { secrets: [] }, this.#nowMs);
    const secrets = rotated([], this.#newSecret(), this.#nowMs);
    return this.#store.insert(name, { check: patch.check, secrets }, this.#nowMs);
  }

  #change(row: ProducerGroupRow, patch: { readonly check?: CheckTarget }): ProducerGroupRow {
    if (patch.check === undefined) return row;
    const needsSecret = row.secrets.length === 0;
    if (!needsSecret && sameValue(patch.check, row.check)) return row;
    const secrets = needsSecret ? this.#withFreshSecret(row) : row.secrets;
    return this.#write(row, patch.check, secrets);
  }

  #write(
    row: ProducerGroupRow,
    check: CheckTarget | undefined,
    secrets: ProducerGroupRow["secrets"],
  ): ProducerGroupRow {
    return this.#store.atomically(() => {
      this.#changes.add("producerGroup.updated", { producerGroup: row.name });
      return this.#store.change(row, check === undefined ? { secrets } : { check, secrets });
    });
  }

  #withFreshSecret(row: ProducerGroupRow) {
    return rotated(row.secrets, this.#newSecret(), this.#nowMs);
  }

  #newSecret(): string {
    return `whsec_${base64(this.#ports.randomBytes(SECRET_BYTES))}`;
  }

  async #complete(row: ProducerGroupRow): Promise<Outcome<ProducerGroupRecord>> {
    const record = recordOf(row, this.#nowMs);
    if (row.confirmed === row.version) return accept(record);
    const told = await this.#tell(row.name, record);
    if (!told.ok) return told;
    this.#store.atomically(() => this.#store.confirm(row));
    return accept(record);
  }

  async #finishDelete(row: ProducerGroupRow): Promise<Outcome<{ deleted: true }>> {
    const told = await this.#tell(row.name, undefined);
    if (!told.ok) return told;
    this.#store.remove(row);
    return accept({ deleted: true });
  }

  /** The alarm is armed in the same synchronous stretch as the row that needs it. */
  async #tell(name: string, record: ProducerGroupRecord | undefined): Promise<Outcome<unknown>> {
    this.#ports.armAlarm(this.#nowMs + COMPLETE_AFTER_MS);
    const outcome = await this.#ports.configureCoordinator(name, record);
    if (!outcome.ok) {
      const { code } = outcome;
      this.#ports.log.error("registry.coordinator_refused", { producerGroup: name, code });
    }
    return outcome;
  }
}

const missing = (group: string): Refusal =>
  refuse("producer_group_not_found", `No producer group is called ${group}`, { group });
