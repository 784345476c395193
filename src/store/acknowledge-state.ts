import type { AuditActor } from '#admin/audit.ts'
import type { RolledBack } from '#model/state.ts'
import { createWriter } from './audit.ts'
import type { Database } from './database.ts'
import { readPosition } from './position.ts'
import { acknowledgePosition } from './state-seen.ts'

/** What an operator accepted. */
export interface AcknowledgedState {
  /** The state version that the database has. */
  readonly version: number
  /** Undefined when the database was not older than it had been. */
  readonly rolledBack: RolledBack | undefined
}

/** Accepts the database as it is for the servers that keep their data in `dataDirectory`; recorded as done by `actor`. */
export async function acknowledgeState(
  db: Database,
  actor: AuditActor,
  dataDirectory: string,
): Promise<AcknowledgedState> {
  const position = await readPosition(db.sql)
  const { version } = position
  const writer = createWriter(db.owner, actor)
  const rolledBack = await acknowledgePosition(dataDirectory, position, async ({ seen }) => {
    await db.owner.begin((transaction) =>
      writer.record(transaction, {
        tenant: null,
        target: 'state',
        before: { version: seen },
        after: { version },
      }),
    )
  })
  return { version, rolledBack }
}
