/**
 * Consumer groups of topics: made, changed, paused and deleted, each as a new version of their topic (topics.ts, R1–R3).
 * Numbers are never given twice within an incarnation, so that an old receipt leads nowhere.
 */
import { utf8Length } from "../core/bytes.ts";
import { accept, refuse, type Outcome, type Refusal } from "../protocol/errors.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { GroupRoute, TopicRoute } from "../protocol/rpc.ts";
import type { GroupSettings } from "../protocol/topic.ts";
import type { Changes } from "./changes.ts";
import type { Ports } from "./ground.ts";
import { mergeGroup, newGroup, sameValue } from "./rules.ts";
import type { TopicRow, TopicStore } from "./topic-store.ts";
import type { Topics } from "./topics.ts";

interface PutOptions {
  readonly createTopic: boolean;
  /** A group that is there stays as it is. */
  readonly onlyIfMissing: boolean;
}

export class Groups {
  readonly #store: TopicStore;
  readonly #changes: Changes;
  readonly #topics: Topics;
  readonly #ports: Ports;

  constructor(store: TopicStore, changes: Changes, topics: Topics, ports: Ports) {
    this.#store = store;
    this.#changes = changes;
    this.#topics = topics;
    this.#ports = ports;
  }

  put(
    topic: string,
    name: string,
    patch: Partial<GroupSettings>,
    { createTopic, onlyIfMissing }: PutOptions,
  ): Promise<Outcome<{ route: TopicRoute; created: boolean }>> {
    return this.#topics.alone(topic, async () => {
      const found = this.#topics.findOrMake(topic, createTopic);
      if (!found.ok) return found;
      const put = this.#put(found.value, name, onlyIfMissing ? undefined : patch, patch);
      if (!put.ok) return put;
      const { row, since } = put.value;
      const route = await this.#topics.complete(row);
      // Made by a call that nobody was told the end of counts as made now.
      return route.ok ? accept({ route: route.value, created: since > row.confirmed }) : route;
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
        return this.#store.deleteGroup(row, group);
      }),
    );
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
    change: Partial<GroupSettings> | undefined,
    fresh: Partial<GroupSettings>,
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

  #make(row: TopicRow, name: string, patch: Partial<GroupSettings>): Outcome<TopicRow> {
    const actual = this.#store.groups(row.incarnation).length + 1;
    if (actual > LIMITS.groupsMax) {
      const facts = { limit: LIMITS.groupsMax, actual };
      return refuse("invalid_request", `A topic has at most ${LIMITS.groupsMax} groups`, facts);
    }
    const settings = newGroup(patch);
    const tooLarge = this.#sizeRefusal(row, name, settings);
    if (tooLarge !== undefined) return tooLarge;
    return accept(
      this.#store.atomically(() => {
        const { name: topic, incarnation } = row;
        this.#changes.add("group.created", { topic, incarnation, group: name });
        return this.#store.insertGroup(row, name, settings, this.#ports.clock.nowMs());
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
      return changed;
    });
  }

  #find(row: TopicRow, name: string) {
    return this.#store.groups(row.incarnation).find((group) => group.name === name);
  }
}

const noGroup = (topic: string, group: string): Refusal =>
  refuse("group_not_found", `Topic ${topic} has no group ${group}`, { group });
