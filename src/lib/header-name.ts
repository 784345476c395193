/** Characters of a header name that every gateway passes on: no `_`, which some turn into `-` (RFC 9110 section 5.1). */
const NAME = /^[A-Za-z0-9-]{1,128}$/

/** Names that belong to the connection, to credentials, to the gateway or to Warder's own answer. */
const STEERING =
  /^(?:x-warder-.*|x-envoy-.*|x-forwarded-.*|x-original-.*|x-real-ip|x-decision-id|x-request-id|traceparent|tracestate|authorization|www-authenticate|cookie2?|set-cookie2?|location|host|connection|keep-alive|te|trailer|upgrade|expect|forwarded|via|date|cache-control|content-.*|transfer-encoding|proxy-.*)$/i

/** Whether a policy may set this header on the request to the upstream. Checked at publish and again when it is written. */
export function isSettableHeader(name: string): boolean {
  return NAME.test(name) && !STEERING.test(name)
}
