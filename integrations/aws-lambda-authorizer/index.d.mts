/** Where Warder is and who asks. */
export interface Settings {
  readonly url: string
  readonly gatewayKey: string
  readonly timeoutMilliseconds: number
}

/** Values that API Gateway hands on to integrations. */
export type AuthorizerContext = Readonly<Record<string, string>>

/** The answer to an event with format 2.0. */
export interface SimpleResult {
  readonly isAuthorized: boolean
  readonly context: AuthorizerContext
}

/** The answer to an event of a REST API. */
export interface PolicyResult {
  readonly principalId: string
  readonly policyDocument: {
    readonly Version: '2012-10-17'
    readonly Statement: readonly {
      readonly Action: string
      readonly Effect: 'Allow' | 'Deny'
      readonly Resource: string
    }[]
  }
  readonly context: AuthorizerContext
}

/** Asks Warder about the call that `event` describes. @throws Error `Unauthorized`, for a REST API's 401 */
export function authorize(event: unknown, settings: Settings): Promise<SimpleResult | PolicyResult>

/** The handler that AWS calls. */
export function handler(event: unknown): Promise<SimpleResult | PolicyResult>
