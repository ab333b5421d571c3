/**
 * Consumer groups of topics: made, changed, paused and deleted, each as a new version of their topic (topics.ts, R1–R3).
 * Numbers are never given twice within an incarnation, so that an old receipt leads nowhere.
 */
import { utf8Length } from "../core/bytes.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { GroupRoute, PushRecord, TopicRoute } from "../protocol/rpc.ts";
import type { GroupPatch, GroupSettings } from "../protocol/topic.ts";
import type { Changes } from "./changes.ts";
import type { Ports } from "./ground.ts";
import type { Pushes } from "./pushes.ts";
import { mergeGroup, newGroup, sameValue } from "./rules.ts";
import type { TopicRow, TopicStore } from "./topic-store.ts";
import type { Topics } from "./topics.ts";

interface PutOptions {
  readonly createTopic: boolean;
  /** A group that is there stays as it is. */
  readonly onlyIfMissing: boolean;
}

/** The parts of the registry that groups are made of. */
interface GroupParts {
  readonly store: TopicStore;
  readonly changes: Changes;
  readonly topics: Topics;
  readonly pushes: Pushes;
}

export class Groups {
  readonly #store: TopicStore;
  readonly #changes: Changes;
  readonly #topics: Topics;
  readonly #pushes: Pushes;
  readonly #ports: Ports;

  constructor(parts: GroupParts, ports: Ports) {
    this.#store = parts.store;
    this.#changes = parts.changes;
    this.#topics = parts.topics;
    this.#pushes = parts.pushes;
    this.#ports = ports;
  }

  put(
    topic: string,
    name: string,
    patch: GroupPatch,
    { createTopic, onlyIfMissing }: PutOptions,
  ): Promise<Outcome<{ route: TopicRoute; created: boolean; secret?: string }>> {
    return this.#topics.alone(topic, async () => {
      const found = this.#topics.findOrMake(topic, createTopic);
      if (!found.ok) return found;
      const put = this.#put(found.value, name, onlyIfMissing ? undefined : patch, patch);
      if (!put.ok) return put;
      const { row, since } = put.value;
      const { number } = this.#find(row, name) ?? { number: 0 };
      const secret = this.#pushes.untold(row.incarnation, number);
      const route = await this.#topics.complete(row);
      if (!route.ok) return route;
      // Made by a call that nobody was told the end of counts as made now.
      const made = { route: route.value, created: since > row.confirmed };
      return accept(secret === undefined ? made : { ...made, secret });
    });
  }

  pause(topic: string, name: string, paused: boolean): Promise<Outcome<TopicRoute>> {
    return this.#withGroup(topic, name, (row, group) =>
      group.paused === paused
        ? row
        : this.#changed(row, group, { settings: group.settings, paused }),
    );
  }

  delete(topic: string, name: string): Promise<Outcome<TopicRoute>> {
    return this.#withGroup(topic, name, (row, group) =>
      this.#store.atomically(() => {
        const { incarnation } = row;
        this.#changes.add("group.deleted", { topic, incarnation, group: name });
        this.#pushes.forget(incarnation, group.number);
        return this.#store.deleteGroup(row, group);
      }),
    );
  }

  // ------------------------------------------------------------ the push of a group

  deletePush(topic: string, name: string): Promise<Outcome<TopicRoute>> {
    return this.#withGroup(topic, name, (row, group) => {
      const { push, ...settings } = group.settings;
      return push === undefined
        ? row
        : this.#changed(row, group, { settings, paused: group.paused });
    });
  }

  rotatePushSecret(
    topic: string,
    name: string,
  ): Promise<Outcome<{ route: TopicRoute; secret: string }>> {
    return this.#topics.alone(topic, async () => {
      const found = this.#topics.findOrMake(topic, false);
      if (!found.ok) return found;
      const row = found.value;
      const group = this.#find(row, name);
      if (group === undefined) return noGroup(topic, name);
      const { incarnation } = row;
      const secret = this.#store.atomically(() =>
        this.#pushes.rotate({ topic, incarnation }, group),
      );
      if (secret === undefined) return noPush(name);
      this.#ports.armAlarm(this.#ports.clock.nowMs() + COMPLETE_AFTER_MS);
      const route = await this.#topics.complete(row);
      if (!route.ok) return route;
      const told = await this.#pushes.tell(incarnation, route.value);
      return told.ok ? accept({ route: route.value, secret }) : told;
    });
  }

  /** Not one by one with other calls: a pusher asks while the registry may be telling it something. */
  pushRecord(topic: string, name: string, incarnation: number): Outcome<PushRecord | undefined> {
    const found = this.#topics.findOrMake(topic, false);
    if (!found.ok || found.value.incarnation !== incarnation) return accept(undefined);
    const route = this.#store.routeOf(found.value);
    return accept(this.#pushes.record(route, this.#find(found.value, name)));
  }

  disablePush(
    topic: string,
    name: string,
    what: { incarnation: number; version: number; reason: string },
  ): Promise<Outcome<{ disabled: boolean }>> {
    return this.#topics.alone(topic, async () => {
      const found = this.#topics.findOrMake(topic, false);
      if (!found.ok) return accept({ disabled: false });
      const row = found.value;
      const { incarnation } = row;
      const group = this.#find(row, name);
      const push = group?.settings.push;
      const isSame =
        incarnation === what.incarnation &&
        group !== undefined &&
        this.#pushes.versionOf(incarnation, group.number) === what.version;
      if (!isSame || push === undefined || push.disabled !== undefined)
        return accept({ disabled: false });
      const disabled = { at: this.#ports.clock.nowMs(), reason: what.reason };
      const settings = { ...group.settings, push: { ...push, disabled } };
      const changed = this.#store.atomically(() => {
        const { reason } = what;
        this.#changes.add("push.disabled", { topic, incarnation, group: name, reason });
        return this.#changed(row, group, { settings, paused: group.paused });
      });
      const route = await this.#topics.complete(changed);
      return route.ok ? accept({ disabled: true }) : route;
    });
  }

  /** Tells the topic's pushers what they lack; the alarm's part. */
  tellPushers(topic: string): Promise<Outcome<unknown>> {
    return this.#topics.alone(topic, async () => {
      const found = this.#topics.findOrMake(topic, false);
      if (!found.ok) return accept(undefined);
      return this.#pushes.tell(found.value.incarnation, this.#store.routeOf(found.value));
    });
  }

  #withGroup(
    topic: string,
    name: string,
    change: (row: TopicRow, group: GroupRoute) => TopicRow,
  ): Promise<Outcome<TopicRoute>> {
    return this.#topics.alone(topic, async () => {
      const row = this.#topics.findOrMake(topic, false);
      if (!row.ok) return row;
      const group = this.#find(row.value, name);
      if (group === undefined) {
        // A delete that was answered `unavailable` may stand here unfinished: its repeat must not hide that.
        const settled = await this.#topics.complete(row.value);
        return settled.ok ? noGroup(topic, name) : settled;
      }
      return this.#topics.complete(change(row.value, group));
    });
  }

  /** The group after `change`, or a new one with `fresh`; `since` is the version that brought it. */
  #put(
    row: TopicRow,
    name: string,
    change: GroupPatch | undefined,
    fresh: GroupPatch,
  ): Outcome<{ row: TopicRow; since: number }> {
    const group = this.#find(row, name);
    if (group === undefined) {
      const made = this.#make(row, name, fresh);
      return made.ok ? accept({ row: made.value, since: made.value.version }) : made;
    }
    const { since } = group;
    if (change === undefined) return accept({ row, since });
    const settings = mergeGroup(group.settings, change);
    if (!settings.ok) return settings;
    if (sameValue(settings.value, group.settings)) return accept({ row, since });
    const tooLarge = this.#sizeRefusal(row, name, settings.value);
    if (tooLarge !== undefined) return tooLarge;
    const to = { settings: settings.value, paused: group.paused };
    return accept({ row: this.#changed(row, group, to), since });
  }

  #make(row: TopicRow, name: string, patch: GroupPatch): Outcome<TopicRow> {
    const actual = this.#store.groups(row.incarnation).length + 1;
    if (actual > LIMITS.groupsMax) {
      const facts = { field: "group", limit: LIMITS.groupsMax, actual };
      return refuse("invalid_request", `A topic has at most ${LIMITS.groupsMax} groups`, facts);
    }
    const settings = newGroup(patch);
    if (!settings.ok) return settings;
    const tooLarge = this.#sizeRefusal(row, name, settings.value);
    if (tooLarge !== undefined) return tooLarge;
    return accept(
      this.#store.atomically(() => {
        const { name: topic, incarnation } = row;
        this.#changes.add("group.created", { topic, incarnation, group: name });
        const nowMs = this.#ports.clock.nowMs();
        const made = this.#store.insertGroup(row, name, settings.value, nowMs);
        this.#notePush(made, name);
        return made;
      }),
    );
  }

  /** Settings that no queue could store would be a change that is never completed. */
  #sizeRefusal(row: TopicRow, name: string, settings: GroupSettings): Refusal | undefined {
    const limit = LIMITS.groupSettingsBytesMax;
    const mine = utf8Length(JSON.stringify(settings));
    const actual = mine + this.#store.groupSettingsBytes(row.incarnation, name);
    if (actual <= limit) return undefined;
    const detail = `The settings of a topic's groups take at most ${limit} bytes together`;
    return refuse("invalid_request", detail, { field: "group", limit, actual });
  }

  #changed(
    row: TopicRow,
    group: GroupRoute,
    to: { readonly settings: GroupSettings; readonly paused: boolean },
  ): TopicRow {
    return this.#store.atomically(() => {
      const changed = this.#store.changeGroup(row, group, to);
      const { name: topic, incarnation, version } = changed;
      const data = { topic, incarnation, version, group: group.name, paused: to.paused };
      this.#changes.add("group.updated", data);
      this.#notePush(changed, group.name);
      return changed;
    });
  }

  #notePush(row: TopicRow, name: string): void {
    const group = this.#find(row, name);
    if (group !== undefined)
      this.#pushes.note({ topic: row.name, incarnation: row.incarnation }, group);
  }

  #find(row: TopicRow, name: string) {
    return this.#store.groups(row.incarnation).find((group) => group.name === name);
  }
}

const COMPLETE_AFTER_MS = 5_000;

const noPush = (group: string): Refusal =>
  refuse("invalid_request", "The group pushes to no URL, so that nothing is signed", { group });

const noGroup = (topic: string, group: string): Refusal =>
  refuse("group_not_found", `Topic ${topic} has no group ${group}`, { group });
