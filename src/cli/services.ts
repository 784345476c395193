import { userInfo } from 'node:os'
import type { AuditActor } from '#admin/audit.ts'
import type { AdminStore } from '#admin/ports.ts'
import { openSealing } from '#admin/sealing.ts'
import type { StreamParts } from '#admin/stream-setup.ts'
import type { LogRow, QueryLog } from '#decision-log/port.ts'
import type { AcknowledgedState } from '#store/acknowledge-state.ts'
import type { LogCare } from '#store/log-care.ts'
import { CliFailure, EXIT } from './failure.ts'
import type { CliOptions, CliSettings } from './options.ts'
import type { Output } from './output.ts'

/** What commands do their work with while the database is open. */
export interface Services extends LogCare {
  readonly store: AdminStore
  /** Streams of security events, and their transmitters. */
  readonly streams: StreamParts
  /** Who the audit says it was. */
  readonly actor: AuditActor
  readonly log: QueryLog
  /** The row that takes back what `row` says, if there is one. */
  correction(row: LogRow): Promise<LogRow | undefined>
  /** Accepts a database that is older than it was, for the data folder of the settings. */
  acknowledgeState(): Promise<AcknowledgedState>
}

/** The settings that commands need; every problem of the environment at once. */
export function settingsOf(options: CliOptions): CliSettings {
  const settings = options.readConfig({ ...options.env })
  if (settings.ok) return settings.value
  throw new CliFailure(
    EXIT.usage,
    { code: 'config.invalid', message: 'the environment has settings that can not be used' },
    settings.failure.map(({ variable, message, help }) => ({ path: variable, message, help })),
  )
}

/**
 * Opens the database, beside a running server or alone, does `work` and closes it again.
 * @param command what the audit of changes says that they were made with
 * @throws {CliFailure} `database.unavailable` when it can't be opened or stops answering
 */
export async function withDatabase<Outcome>(
  options: CliOptions,
  output: Output,
  command: string,
  work: (services: Services) => Promise<Outcome>,
): Promise<Outcome> {
  const settings = settingsOf(options)
  // Loaded only now: the driver and the migrations would slow down `--help` and the commands that need no database.
  const [{ openDatabase }, { createAdminStore }, logRows, logCare, state, faults, signals, transmitters] =
    await Promise.all([
      import('#store/database.ts'),
      import('#store/admin-store.ts'),
      import('#store/decisions.ts'),
      import('#store/log-care.ts'),
      import('#store/acknowledge-state.ts'),
      import('#store/faults.ts'),
      import('#store/signals.ts'),
      import('./transmitters.ts'),
    ])
  const database = await openDatabase({
    url: settings.databaseUrl,
    dataDir: settings.dataDirectory,
    applicationName: 'warder cli',
    onProgress: (text) => output.note(text),
  }).catch((fault: unknown) => {
    throw unavailable(fault, settings)
  })
  try {
    const actor = commandActor(command)
    const sealing = () => openSealing(settings.dataDirectory, settings.secretKeyFile)
    return await work({
      store: createAdminStore(database, actor, sealing),
      streams: {
        store: signals.createSignalAdminStore(database, actor, sealing),
        client: transmitters.openTransmitterClient(),
      },
      actor,
      log: logRows.createQueryLog(database),
      correction: (row) => logRows.findCorrection(database, row),
      ...logCare.createLogCare(database),
      acknowledgeState: () => state.acknowledgeState(database, actor, settings.dataDirectory),
    })
  } catch (fault) {
    // Classes of SQLSTATE: out of resources, operator intervention (also timeouts), system error.
    const failing = /^(?:53|57|58)/.test(faults.codeOf(fault) ?? '')
    throw failing || faults.isConnectionLoss(fault) ? unavailable(fault, settings) : fault
  } finally {
    await database.close()
  }
}

/** Who changes something by a command: whoever runs it has the database, so no role bounds them. */
function commandActor(command: string): AuditActor {
  return { actor: `cli:${userName()}`, role: 'owner', route: command }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A user without an entry in the system's list, as containers have them.
    return `uid-${process.getuid?.() ?? 'unknown'}`
  }
}

/** The database can't be opened or stopped answering; the text never shows its URL or password. */
export function unavailable(fault: unknown, settings: CliSettings): CliFailure {
  const reason = fault instanceof Error ? fault.message : 'it did not answer'
  const help =
    settings.databaseUrl === undefined
      ? `the embedded database lives in ${settings.dataDirectory} (WARDER_DATA_DIR)`
      : 'check WARDER_DATABASE_URL and that the server can be reached'
  const message = `the database is not available: ${withoutSecrets(reason, settings.databaseUrl)}`
  return new CliFailure(EXIT.database, { code: 'database.unavailable', message, help })
}

// INVARIANT: a message of the driver never shows the connection string or the password in it.
function withoutSecrets(text: string, url: string | undefined): string {
  if (url === undefined) return text
  const password = URL.parse(url)?.password ?? ''
  return [url, password, decodeURIComponent(password)]
    .filter((secret) => secret !== '')
    .reduce((clean, secret) => clean.replaceAll(secret, '…'), text)
}
