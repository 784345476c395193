/** What the tests use of oidc-provider, which brings no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  /** A token that was issued. */
  interface Token {
    readonly expiration: number
    readonly clientId: string
    readonly isValid: boolean
    setAudience(audience: string): void
    save(): Promise<string>
  }

  interface TokenModel {
    new (properties: { readonly client: object; readonly scope?: string | undefined }): Token
    find(value: string): Promise<Token | undefined>
  }

  /** A request to the token endpoint. */
  export interface GrantContext {
    readonly oidc: {
      readonly client: object
      readonly params: { readonly [name: string]: string | undefined }
    }
    status: number
    body: object
  }

  class Provider {
    constructor(issuer: string, configuration: object)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
    registerGrantType(
      name: string,
      handler: (ctx: GrantContext) => Promise<void>,
      params: readonly string[],
    ): void
    readonly ClientCredentials: TokenModel
  }
  // biome-ignore lint/style/noDefaultExport: as the package has it
  export default Provider
}
