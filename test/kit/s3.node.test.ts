/** The bucket of the cluster's tests, where it is more than a map: a client that is killed in the middle of a write. */
import { once } from "node:events";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { closed } from "./closed.node.ts";
import { S3_CREDENTIALS, startS3 } from "./s3.node.ts";

// Each of them failed once, as an unhandled rejection, when the owner of a queue was killed in the middle of a flush.
test.each(["PUT", "GET"])(
  "a %s whose client ends before its body does stores nothing, and the next is answered",
  async (method) => {
    const { endpoint, names, stop } = await startS3();
    onTestFinished(stop);
    const socket = connect(Number(new URL(endpoint).port), "127.0.0.1");
    const authorization = `AWS4-HMAC-SHA256 Credential=${S3_CREDENTIALS.AWS_ACCESS_KEY_ID}/`;
    const head = `${method} /b/half HTTP/1.1\r\nhost: s3\r\nauthorization: ${authorization}\r\n`;
    socket.write(`${head}content-length: 8\r\nexpect: 100-continue\r\n\r\nhalf`);
    // That it goes on says that the server has the request.
    await once(socket, "data");
    const ended = closed(socket);
    socket.resetAndDestroy();
    await ended;
    const headers = { authorization };
    const put = await fetch(`${endpoint}/b/whole`, { method: "PUT", headers, body: "whole" });
    expect(put.status).toBe(200);
    expect(names()).toEqual(["b/whole"]);
  },
);
