/**
 * What CloudEvents over HTTP has and this door has not, each with its reason: what the reader of docs/doors/cloudevents.md is
 * told. None of it is taken and ignored.
 */
export const LACKS: Readonly<Record<string, string>> = {
  "The key in the query string (`access_token`)":
    "URLs are logged by everybody on the way: the key is shown in the Authorization header alone.",
  "`WebHook-Request-Callback`, and grants that come later":
    "A grant is the answer to the question; an endpoint that does not agree is asked again.",
  "Batches in pushes":
    "The status answers for one event; the format `messages` carries many, with results for each.",
  "Formats other than JSON (Avro, Protobuf, XML)": "JSON is the format that every SDK has.",
  "A `type` of more than 128 bytes": "The type is the message's tag, by which groups filter.",
  "Attributes of more than 16 KiB together":
    "They are properties of the message, which have this room.",
  "Booleans and integers of extensions":
    "They are taken, and come out as text, as in every binary event.",
};

/** What HalfMQ does that CloudEvents over HTTP has no word for, and what to do instead. */
export const LACKING_VERBS = {
  delay: "An event has no word for a later time; a native send has delayMs and deliverAt.",
  extension: "An endpoint answers within the push's timeoutMs; a native consumer can ask for more.",
  polls: "An endpoint is called and does not ask; native consumers of the same topic do.",
  "answers for many": "A call is one event, and its status is the answer.",
  purge: "There is no verb for it; the native seek passes over what waits.",
  recall: "Nothing is delayed, so nothing is taken back; DELETE /v1/messages/{id} does natively.",
  redrive: "There is no verb for it; the group's dead-letters/redrive puts them back.",
  transactions:
    "There is no word for half events; prepare natively, with properties ce_…, and commit.",
} as const;
