import { Command } from 'commander'
import { addAgentCommands } from './agent-commands.ts'
import { addApiKeyCommands } from './api-key-commands.ts'
import { addAuditCommands } from './audit-commands.ts'
import { createContext } from './context.ts'
import { addFederationCommands } from './federation-commands.ts'
import { addGatewayCommands } from './gateway-commands.ts'
import { addGrantCommands } from './grant-commands.ts'
import { addHealthCommands } from './health-commands.ts'
import { addIdentityCommands } from './identity-commands.ts'
import { addIssuerCommands } from './issuer-commands.ts'
import { addLogsCommands } from './logs-commands.ts'
import type { CliOptions } from './options.ts'
import { addPolicyCommands } from './policy-commands.ts'
import { addRegistryCommands } from './registry-commands.ts'
import { addRevocationCommands } from './revocation-commands.ts'
import { addServeCommand } from './serve-command.ts'
import { addSignalCommands } from './signal-commands.ts'
import { addStateCommands } from './state-commands.ts'
import { addTenantCommands } from './tenant-commands.ts'
import { addTokenCommands } from './token-commands.ts'

/**
 * The command `warder` with all its subcommands. `parseAsync` rejects with a `CommanderError` or a `CliFailure` instead
 * of ending the process; `runCli` turns both into an exit code.
 */
export function createProgram(options: CliOptions): Command {
  const program = new Command('warder')
    .description('Warder: policy decision point for AI agents')
    .option('--json', 'print JSON only')
    .version(options.version, '--version', 'print the version')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => options.stdout.write(text),
      // Usage errors are printed by `runCli`, in the form that `--json` asks for.
      writeErr: () => undefined,
      outputError: () => undefined,
    })
  const context = createContext(options)
  addServeCommand(program, context)
  addHealthCommands(program, context)
  addPolicyCommands(program, context)
  addRegistryCommands(program, context)
  addTenantCommands(program, context)
  addGatewayCommands(program, context)
  addIssuerCommands(program, context)
  addIdentityCommands(program, context)
  addAgentCommands(program, context)
  addApiKeyCommands(program, context)
  addGrantCommands(program, context)
  addFederationCommands(program, context)
  addRevocationCommands(program, context)
  addSignalCommands(program, context)
  addLogsCommands(program, context)
  addTokenCommands(program, context)
  addAuditCommands(program, context)
  addStateCommands(program, context)
  return program
}
