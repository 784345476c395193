/** Errors of the HTTP layer itself: nothing was decided, so nothing is in the decision log. */
export const HTTP_ERRORS = {
  'http.unauthenticated': { status: 401, message: 'the request carries no valid gateway key' },
  'http.not_found': { status: 404, message: 'there is nothing at this path; see /openapi.json' },
  'http.method_not_allowed': { status: 405, message: 'this path takes another method' },
  'http.overloaded': { status: 503, message: 'too many requests are in flight; try again' },
  'http.draining': { status: 503, message: 'the server is stopping; try another one' },
} as const

/** Code of an error of the HTTP layer. */
export type HttpErrorCode = keyof typeof HTTP_ERRORS
