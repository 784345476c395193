import { codeOf, isConnectionLoss } from '#store/faults.ts'
import { CliFailure, EXIT } from './failure.ts'
import type { CliOptions } from './options.ts'
import { settingsOf, unavailable } from './services.ts'

const LISTEN_REASONS: { readonly [code: string]: string } = {
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EACCES: 'this user may not listen there',
}

/**
 * Why the server did not start, where the environment is at fault and not Warder: an address that nothing can listen on,
 * or a database that can't be reached or refuses the login. Undefined for every other fault.
 */
export function serveFailure(fault: unknown, options: CliOptions): CliFailure | undefined {
  return (
    listenFailure(fault) ?? (isDatabaseRefusal(fault) ? unavailable(fault, settingsOf(options)) : undefined)
  )
}

function listenFailure(fault: unknown): CliFailure | undefined {
  if (!(fault instanceof Error) || !('syscall' in fault) || fault.syscall !== 'listen') return undefined
  const reason = LISTEN_REASONS[codeOf(fault) ?? '']
  if (reason === undefined) return undefined
  const at = 'address' in fault && 'port' in fault ? `${fault.address}:${fault.port}` : 'an address'
  return new CliFailure(EXIT.usage, {
    code: 'listen.refused',
    message: `can not listen on ${at}: ${reason}`,
    help: 'set WARDER_LISTEN, WARDER_ADMIN_LISTEN or WARDER_EXT_AUTHZ_LISTEN to another host:port',
  })
}

/** Classes of SQLSTATE: the login is refused (28), there is no such database (3D), and what withDatabase counts. */
function isDatabaseRefusal(fault: unknown): boolean {
  return isConnectionLoss(fault) || /^(?:28|3D|53|57|58)[0-9A-Z]{3}$/.test(codeOf(fault) ?? '')
}
