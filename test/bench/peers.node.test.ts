/**
 * Each peer of the benches that is on this machine does what it is measured at; one that is not says so by its name. The
 * servers are scratch ones on loopback.
 */
import { expect, test } from "vitest";
import { PEERS } from "../../bench/peers/questions.ts";
import { until } from "../cli/launched.node.ts";

test.each(PEERS.map((peer) => [peer.name, peer] as const))(
  "%s sends, sends a batch and gives it back, or is missed by name",
  async (_name, peer) => {
    const why = peer.missing();
    if (why !== undefined) {
      expect(why).toMatch(/(?:redis-server|nats-server|rabbitmq-server|epmd)\b/u);
      return;
    }
    const running = await peer.start();
    try {
      expect(() => process.kill(running.pid, 0)).not.toThrow();
      const client = await running.connect();
      await client.send();
      await client.sendBatch();
      if (peer.pushes === true) await until(async () => (await running.delivered?.()) === 101);
      else for (let count = 0; count < 101; count++) await client.receiveAck?.();
      await client.close();
    } finally {
      await running.stop();
    }
  },
  90_000,
);
