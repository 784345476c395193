import { describe } from 'vitest'
import { createAdminStore } from '#store/admin-store.ts'
import { entitiesAt } from '#store/entities.ts'
import { createReadPolicies } from '#store/releases.ts'
import { adminStoreContract } from '../contracts/admin-store.contract.ts'
import { openTestDatabase } from '../support/database.ts'

describe('the admin store on Postgres', () => {
  adminStoreContract(async () => {
    const db = await openTestDatabase()
    return {
      store: createAdminStore(db),
      readPolicies: createReadPolicies(db),
      entitiesAt: (tenant, stateVersion) => entitiesAt(db, tenant, stateVersion),
      close: () => db.close(),
    }
  })
})
