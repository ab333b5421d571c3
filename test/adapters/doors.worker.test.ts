/**
 * The behaviours of the broker through every door, inside the Workers runtime, the clients' programs as well: their `fetch` leads
 * to the Worker itself.
 */
import { insideServer } from "../conformance/inside.ts";
import { withSockets } from "./rocketmq/sockets.worker.ts";
import { throughEveryDoor } from "./through/every-door.ts";

const server = insideServer();
withSockets();

throughEveryDoor(() => server);
