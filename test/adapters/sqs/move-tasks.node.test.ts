/** A move task that one request cannot finish, over a broker made of memory in which a message takes a second. */
import { expect, it } from "vitest";
import type { Context } from "../../../src/adapters/sqs/context.ts";
import { LeftTasks } from "../../../src/adapters/sqs/left-tasks.ts";
import { goOn, workAt } from "../../../src/adapters/sqs/moving.ts";
import type { Task } from "../../../src/adapters/sqs/tasks.ts";
import type { Broker, Delivery } from "../../../src/broker/broker.ts";
import { accept } from "../../../src/protocol/errors.ts";
import type { TopicRoute } from "../../../src/protocol/rpc.ts";
import { GROUP_DEFAULTS, TOPIC_DEFAULTS } from "../../../src/protocol/topic.ts";

class World {
  nowMs = 1_000_000;
  waiting: number;
  moved = 0;
  labels: Record<string, string>;
  readonly left = new LeftTasks();
  readonly work: Promise<unknown>[] = [];

  constructor(waiting: number, task: Task) {
    this.waiting = waiting;
    this.labels = { [`sqs:task:${task.startedAt.toString(36)}`]: JSON.stringify(task) };
  }

  get task(): Task {
    return JSON.parse(Object.values(this.labels)[0] ?? "") as Task;
  }

  context(namespace = "default"): Context {
    const route = (topic: string): TopicRoute => ({
      namespace: "default",
      topic,
      incarnation: 1,
      version: 1,
      settings: { ...TOPIC_DEFAULTS, labels: topic === "dead" ? this.labels : {} },
      createdAt: 0,
      growths: [],
      groups: [{ name: "sqs", number: 1, settings: GROUP_DEFAULTS, paused: false, createdAt: 0 }],
    });
    const broker: Partial<Broker> = {
      topic: async ({ topic }) => accept(route(topic)),
      putTopic: async (_at, { labels }) => {
        this.labels = { ...this.labels, ...(labels as Record<string, string>) };
        return accept({ route: route("dead"), created: false });
      },
      receive: async () => {
        this.nowMs += 1_000;
        const message = { receipt: "r", id: "m", content: { body: { json: "1" } } };
        const messages = this.waiting === 0 ? [] : [message as unknown as Delivery];
        return accept({ messages, paused: false });
      },
      send: async () => accept({ messages: [], replayed: false }),
      settle: async () => {
        this.waiting--;
        this.moved++;
        return accept([]);
      },
    };
    return {
      edge: {
        broker: broker as Broker,
        clock: { nowMs: () => this.nowMs, after: () => () => undefined },
        newRequestId: () => "id",
        log: { info: () => undefined, error: (event: string) => expect.fail(event) },
      },
      caller: { namespace },
      nowMs: this.nowMs,
      left: this.left,
      outlive: (work: Promise<unknown>) => void this.work.push(work),
    } as unknown as Context;
  }

  async done(): Promise<void> {
    for (let at = 0; at < this.work.length; at++) await this.work[at];
  }
}

it("goes on with whatever request of its namespace comes next, until it is done", async () => {
  const begun: Task = { startedAt: 5, status: "RUNNING", moved: 0, toMove: 60, destination: "q" };
  const world = new World(60, begun);
  workAt(world.context(), "dead", begun);
  await world.done();
  expect(world.moved).toBe(25);
  expect(world.task).toMatchObject({ status: "RUNNING", moved: 25, workedUntil: 0 });
  goOn(world.context("another"));
  await world.done();
  expect(world.moved).toBe(25);
  for (let request = 0; request < 5; request++) {
    goOn(world.context());
    await world.done();
  }
  expect(world.moved).toBe(60);
  expect(world.task).toMatchObject({ status: "COMPLETED", moved: 60 });
});

it("is left to whoever is at it", async () => {
  const begun: Task = { startedAt: 5, status: "RUNNING", moved: 0, toMove: 60, destination: "q" };
  const world = new World(60, { ...begun, workedUntil: 2_000_000 });
  world.left.put("default", "dead");
  goOn(world.context());
  await world.done();
  expect(world.moved).toBe(0);
});
